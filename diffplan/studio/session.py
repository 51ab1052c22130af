"""What a person has set up in the studio, as a value; edits give new values, and a history goes back and forth.

Nothing here knows of a browser.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np

from diffplan import arguments
from diffplan.costs.reader import parse_cost
from diffplan.ends import configuration, misfit
from diffplan.errors import InputError
from diffplan.formats.constraints import constraint_word, parse_constraint
from diffplan.geometry.pose import Float, Pose
from diffplan.geometry.shapes import Box, Capsule, Cylinder, Primitive, Sphere
from diffplan.ik import inverse_kinematics
from diffplan.planners import check_name
from diffplan.problem import Plan, robot_in
from diffplan.robot.model import Robot
from diffplan.scene import Obstacle, PoseGoal, Query, Scene
from diffplan.system.assets import named_robots
from diffplan.system.files import make_folder

End: TypeAlias = "tuple[float, ...] | PoseGoal | tuple[PoseGoal, ...]"
QUERY = "studio"
"""The name of the query in scene files that the studio writes."""
_MOST_EDITS = 200
_ASIDE = 0.1  # [m] by which a copy stands beside its original
_STARTS = 8  # of inverse kinematics for the start
_NEW = 0.1  # [m] edge or diameter of a new obstacle
KINDS: dict[str, dict[str, object]] = {
    "box": {"size": (_NEW, _NEW, 2 * _NEW)},
    "sphere": {"radius": _NEW / 2},
    "cylinder": {"radius": _NEW / 2, "height": 2 * _NEW},
    "capsule": {"radius": _NEW / 2, "height": _NEW},
}
"""The kinds of obstacles that can be added, with the sizes that they have at first [m]."""
_CLASSES = {"box": Box, "sphere": Sphere, "cylinder": Cylinder, "capsule": Capsule}


@dataclass(frozen=True, kw_only=True, eq=False)
class Setting:
    """A question in a scene: robot, obstacles, start, goal, and how it is to be planned.

    `robot` is as it was loaded; `arm` as it stands in the scene. `start` are joint positions [dof] (rad or m), `goal`
    such, or poses of which any will do. `costs` and `constraints` are words of the command line.
    """

    robot: Robot
    scene: Scene
    start: tuple[float, ...]
    goal: End
    planner: str = "diffusion"
    seed: int = 0
    timeout: float = 10.0
    alternatives: int = 0
    costs: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()

    @staticmethod
    def of(robot: Robot, scene: Scene, *, at: tuple[float, ...] | None = None) -> Setting:
        """Return the setting of a scene's query `default`, or else of its first that is for this robot.

        Without one, start and goal are `at` [dof] (None: `home`, or the middle of the limits).
        """
        home = _home(robot) if at is None else at
        setting = Setting(robot=robot, scene=scene, start=home, goal=home)
        fitting = setting.queries if at is None else []
        return setting.asked(scene.query("default" if "default" in fitting else fitting[0])) if fitting else setting

    @property
    def queries(self) -> list[str]:
        """The names of the scene's queries that are for this robot."""
        return [name for name, query in self.scene.queries.items() if not misfit(self.robot, self.scene, query)]

    @property
    def arm(self) -> Robot:
        """The robot with fingers and held objects as the scene says."""
        return robot_in(self.robot, self.scene)

    def asked(self, query: Query) -> Setting:
        """Return a copy with a query's start, goal and constraints.

        Raises:
            InputError: if it is not for this robot.
        """
        goal = query.goal
        if isinstance(goal, str) or not (isinstance(goal, PoseGoal) or isinstance(goal[0], PoseGoal)):
            goal = _plain(configuration(self.robot, goal, "goal"))
        constraints = tuple(constraint_word(one) for one in query.constraints)
        start = _plain(configuration(self.robot, query.start, "start"))
        return replace(self, start=start, goal=goal, constraints=constraints)  # pyright: ignore[reportArgumentType]

    @property
    def query(self) -> Query:
        """Start, goal and constraints as a query."""
        return Query(
            start=self.start, goal=self.goal, constraints=tuple(parse_constraint(word) for word in self.constraints)
        )

    def goal_pose(self) -> Pose:
        """Return where the goal's handle stands: the (first) pose, or the tool's at the goal's joints (world)."""
        if isinstance(self.goal, PoseGoal):
            return self.goal.pose
        if isinstance(self.goal[0], PoseGoal):
            return self.goal[0].pose
        return self.tool_pose(self.goal)  # pyright: ignore[reportArgumentType]

    def tool_pose(self, q: Sequence[float] | Float) -> Pose:
        """Return the tool's pose in the world at joint positions q [dof]."""
        frame = self.robot.tool_frame
        at = self.arm.link_pose(np.asarray(q, dtype=np.float64), frame.link)[0]
        return self.scene.robot_base @ Pose.from_matrix(at) @ frame.pose

    def to_pose(self, pose: Pose) -> Setting:
        """Return a copy whose goal is this pose (world): of the goal's own link if it was a pose, else of the tool."""
        if isinstance(self.goal, PoseGoal):
            return replace(self, goal=replace(self.goal, pose=pose))
        return replace(self, goal=PoseGoal(pose=pose))

    def ending_at(self, q: Sequence[float] | Float) -> Setting:
        """Return a copy whose goal is joint positions q [dof] (rad or m)."""
        return replace(self, goal=_plain(np.asarray(q, dtype=np.float64)))

    def starting_at(self, q: Sequence[float] | Float) -> Setting:
        """Return a copy that starts at joint positions q [dof] (rad or m)."""
        return replace(self, start=_plain(np.asarray(q, dtype=np.float64)))

    def starting_near(self, pose: Pose) -> Setting:
        """Return a copy that starts with the tool at a pose (world), near where it starts now.

        Raises:
            InputError: if no joint positions bring the tool there.
        """
        found = inverse_kinematics(
            self.arm,
            pose,
            self.scene.robot_base,
            seeds=_STARTS,
            rng=np.random.default_rng(0),
            near=np.array(self.start),
        )
        if not len(found):
            raise InputError("no joint values within the limits bring the tool there", key="start", value=pose.xyz)
        return self.starting_at(found[0])

    def asking(
        self, *, planner: str, seed: int, timeout: float, alternatives: int, costs: Sequence[str], kept: Sequence[str]
    ) -> Setting:
        """Return a copy that is planned so: `costs` and constraints to be `kept` as words of the command line.

        Raises:
            InputError: for a planner, cost or constraint that makes no sense.
        """
        check_name(planner, "planner")
        costs, kept = tuple(filter(None, costs)), tuple(filter(None, kept))
        for word in costs:
            parse_cost(word, self.robot, self.scene)
        for word in kept:
            parse_constraint(word)
        limit = arguments.positive(timeout, "timeout", what="time limit", allowed="s > 0")
        return replace(
            self,
            planner=planner,
            seed=seed,
            timeout=limit,
            alternatives=alternatives,
            costs=costs,
            constraints=kept,
        )

    def moved(self, name: str, pose: Pose) -> Setting:
        """Return a copy with an obstacle at another pose (world)."""
        return replace(self, scene=self.scene.move(name, pose))

    def resized(self, name: str, sizes: Sequence[float]) -> Setting:
        """Return a copy with an obstacle of other lengths [m], in the order of its `lengths`.

        Raises:
            InputError: if it has no lengths (a mesh, a plane), or one makes no sense.
        """
        old = self.scene.obstacle(name)
        if not isinstance(old, Primitive):
            raise InputError("this obstacle has no sizes", key=name, allowed="box, sphere, cylinder, capsule")
        return self._with(name, type(old).of_sizes(name, sizes, old.pose))

    def added(self, kind: str, pose: Pose) -> tuple[Setting, str]:
        """Return a copy with a new obstacle, and the name it has."""
        name = self._free_name(kind)
        new = _CLASSES[kind](name=name, pose=pose, **KINDS[kind])
        return replace(self, scene=self.scene.add(new)), name

    def copied(self, name: str) -> tuple[Setting, str]:
        """Return a copy with one more obstacle like this one, 0.1 m beside it, and the name that it has."""
        old = self.scene.obstacle(name)
        new = replace(old, name=self._free_name(name), pose=Pose(xyz=(0.0, _ASIDE, 0.0)) @ old.pose)
        return replace(self, scene=self.scene.add(new)), new.name

    def removed(self, name: str) -> Setting:
        """Return a copy without an obstacle."""
        return replace(self, scene=self.scene.remove(name))

    def _with(self, name: str, new: Obstacle) -> Setting:
        obstacles = tuple(new if one.name == name else one for one in self.scene.obstacles)
        return replace(self, scene=replace(self.scene, obstacles=obstacles))

    def _free_name(self, stem: str) -> str:
        taken = {body.name for body in (*self.scene.obstacles, *self.scene.attached)} | {*self.robot.links}
        number = 1
        while f"{stem}_{number}" in taken:
            number += 1
        return f"{stem}_{number}"

    def saved(self, folder: Path, plan: Plan | None) -> list[Path]:
        """Write the scene with the query `studio`, and the plan if there is one; return the files.

        Raises:
            InputError: if a file cannot be written.
        """
        make_folder(folder)
        queries = {**self.scene.queries, QUERY: self.query}
        files = [folder / "scene.yaml"]
        replace(self.scene, robot=self.robot_word, queries=queries).save(files[0])
        if plan is not None:
            files.append(folder / "plan.json")
            plan.save(files[1])
        return files

    @property
    def robot_word(self) -> str:
        """What names the robot in files: its name if it is shipped or the user's, else its file."""
        known = self.robot.name in named_robots() or self.robot.file is None
        return self.robot.name if known else str(self.robot.file)

    def command(self, folder: Path) -> str:
        """Return the command that plans the same from what `saved` writes to a folder."""
        words = ["diffplan", "plan", str(folder / "scene.yaml"), "--query", QUERY, "--planner", self.planner]
        words += ["--seed", str(self.seed), "--timeout", f"{self.timeout:.10g}"]
        words += ["--alternatives", str(self.alternatives)] if self.alternatives else []
        for cost in self.costs:
            words += ["--cost", cost]
        return shlex.join([*words, "--out", str(folder / "again.json")])


class History:
    """The settings so far: where one is, what was before, and what was undone."""

    def __init__(self, setting: Setting) -> None:
        self._past: list[Setting] = []
        self._future: list[Setting] = []
        self._now = setting
        self._joined: object = None

    @property
    def now(self) -> Setting:
        """The setting that holds."""
        return self._now

    @property
    def can_undo(self) -> bool:
        """Whether there is something to take back."""
        return bool(self._past)

    @property
    def can_redo(self) -> bool:
        """Whether something was taken back."""
        return bool(self._future)

    def edit(self, setting: Setting, *, joined: object = None) -> None:
        """Take a new setting; edits in a row that are `joined` by the same value (one drag) are taken back as one."""
        if joined is None or joined != self._joined:
            self._past = [*self._past, self._now][-_MOST_EDITS:]
        self._now, self._joined, self._future = setting, joined, []

    def settle(self) -> None:
        """End a row of joined edits."""
        self._joined = None

    def undo(self) -> None:
        """Go back by one edit, if there is one."""
        if self._past:
            self._future.append(self._now)
            self._now, self._joined = self._past.pop(), None

    def redo(self) -> None:
        """Take back the last undo, if there was one."""
        if self._future:
            self._past.append(self._now)
            self._now, self._joined = self._future.pop(), None


def _plain(q: Float) -> tuple[float, ...]:
    return tuple(q.tolist())


def _home(robot: Robot) -> tuple[float, ...]:
    home = "home" in robot.configurations
    return _plain(robot.configuration("home") if home else (robot.lower + robot.upper) / 2)
