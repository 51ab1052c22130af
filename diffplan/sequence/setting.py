"""One state of the world during a sequence, with what plans and judges in it: made once, used by many choices."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from diffplan.certificate.certifier import Certifier
from diffplan.collision.obstacles import Obstacles
from diffplan.formats.fingerprint import fingerprint
from diffplan.geometry.pose import Float, Pose
from diffplan.lines import LineFinder
from diffplan.planners.task import packed
from diffplan.problem import Fingerprint, robot_in
from diffplan.robot.model import Robot
from diffplan.scene import AllowedContact, Scene
from diffplan.system.computed import computed

_MOST_OPEN = 3  # certifiers at a time; each has a PyBullet client, and few of those are kept when they are closed
_DEEPEST = 10 / 13  # share of how far spheres stick out of links by which they may overlap, as in lines.py


class Setting:
    """A scene as it stands between two changes: what the hand holds, where the fingers are, where things lie."""

    def __init__(self, bare: Robot, scene: Scene, judges: Judges, openings: Mapping[str, float] | None = None) -> None:
        """Take a robot that holds nothing; nothing is packed or loaded yet.

        `openings` are the distances of the pads [m] at which objects that are held are let go.
        """
        self.bare, self.scene, self._judges = bare, scene, judges
        self.openings = dict(openings or {})

    def changed(self, scene: Scene, *, opening: Mapping[str, float] | None = None) -> Setting:
        """Return the setting of another scene, with further openings."""
        return Setting(self.bare, scene, self._judges, {**self.openings, **(opening or {})})

    @computed
    def robot(self) -> Robot:
        """The robot with its fingers and what it holds as the scene says."""
        return robot_in(self.bare, self.scene)

    @computed
    def finder(self) -> LineFinder:
        """What finds lines here."""
        return LineFinder(packed(self.robot), Obstacles.around(self.robot, self.scene), self.scene.robot_base)

    def get_ready(self) -> None:
        """Do what takes long where a mesh is new: pack obstacles and what is held (to be put down), load the judge."""
        held = (replace(body.obstacle, pose=self.scene.robot_base) for body in self.scene.attached)
        Obstacles.around(self.robot, replace(self.scene, obstacles=tuple(held), attached=(), allowed_contacts=()))
        _ = self.finder, self.certifier

    def finder_at(self, q: Float) -> LineFinder:
        """Return what finds lines from q [dof], where continuous joints may have turned."""
        turned = self.robot.turned(q)
        if turned is self.robot:
            return self.finder
        return LineFinder(packed(turned), self.finder.world, self.scene.robot_base)

    @computed
    def sums(self) -> Fingerprint:
        """The sums of the files behind robot and scene."""
        return fingerprint(self.robot, self.scene)

    @property
    def certifier(self) -> Certifier:
        """The judge of this setting, for use before another setting's is asked for."""
        return self._judges.of(self)

    @property
    def held(self) -> tuple[str, ...]:
        """The names of what the robot holds."""
        return tuple(body.name for body in self.scene.attached)

    def clear(self, q: Float) -> np.ndarray:
        """Return which of configurations q [k, dof] are clear by the spheres, or nearly so; the certificate decides."""
        obstacles, own = self.finder.model.clearance(self.finder.world, q)
        return np.asarray(np.minimum(obstacles, own) >= -_DEEPEST * self.robot.spheres.outside)

    def tool(self, q: Float) -> Pose:
        """Return where the tool is at q [dof], in the world."""
        return self.finder.pose(q)


class Judges:
    """Certifiers of the settings that were used last; a context manager that closes them."""

    def __init__(self) -> None:
        self._open: OrderedDict[int, tuple[Setting, Certifier]] = OrderedDict()

    def of(self, setting: Setting) -> Certifier:
        """Return the certifier of a setting, opened now if it is not."""
        key = id(setting)
        if key not in self._open:
            while len(self._open) >= _MOST_OPEN:
                self._open.popitem(last=False)[1][1].close()
            self._open[key] = setting, Certifier(setting.robot, setting.scene)
        self._open.move_to_end(key)
        return self._open[key][1]

    def __enter__(self) -> Judges:
        return self

    def __exit__(self, *_: object) -> None:
        while self._open:
            self._open.popitem()[1][1].close()


def allowing(scene: Scene, contacts: Sequence[AllowedContact]) -> Scene:
    """Return a scene in which these contacts are allowed too; what it allows of a pair already stands."""
    known = {frozenset(contact.pair) for contact in scene.allowed_contacts}
    for contact in contacts:
        if frozenset(contact.pair) not in known:
            scene = scene.allow(*contact.pair, contact.depth_m)
    return scene
