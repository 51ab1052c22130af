"""What a pick, a place or a move can be done with: the quick tests, before any motion is planned.

A `Choice` is one grasp of one object, one place for what is held, or one move; its `Way`s are the joint positions that
serve it: where the tool's lines before and after come through by the spheres. The certificate judges later.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from diffplan.constraints.line import Line
from diffplan.ends import goal_configurations
from diffplan.geometry.pose import Float, Pose
from diffplan.ik import inverse_kinematics
from diffplan.line_planning import line_reason
from diffplan.lines import Followed, LineStop
from diffplan.scene import AllowedContact, Scene
from diffplan.sequence.fingers import Fingers
from diffplan.sequence.grasps import Grasp, grasps_of
from diffplan.sequence.setting import Setting, allowing
from diffplan.sequence.steps import Move, Pick, Place

REST_DEPTH = 0.003
"""How deep an object may lie in what it rests on, while it is lifted off or put down [m]."""
_SEEDS = 32  # of inverse kinematics
_LOOKS = (4, 8)  # joint positions whose lines are followed, nearest first; the second lot if the first has none
_TURNS = 8
_TOO_NEAR = "too little room for the spheres of the planner"

Reason: TypeAlias = "str | Callable[[], str]"
"""Why a choice has no way; one that takes a while to find is found when it is asked for."""


@dataclass(frozen=True, kw_only=True)
class Offer:
    """What a step may be done with, before any test: a grasp of the object `name`, or a `pose` for it."""

    title: str
    name: str = ""
    grasp: Grasp | None = None
    pose: Pose | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Way:
    """Joint positions q [dof] at the grasp, the place or the goal, and the lines followed to and from there."""

    q: Float
    lines: tuple[Followed, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Choice:
    """One way of doing a step. The move to it takes place in `move`, the line in and the line out in `before` and
    `after`; `end` is the setting that it leaves.
    """

    name: str
    object: str
    move: Setting
    before: Setting | None
    after: Setting | None
    end: Setting
    ways: tuple[Way, ...]


@dataclass(kw_only=True, eq=False)
class Maker:
    """Makes the choices of steps; `blocked` is told why one has no way."""

    fingers: Fingers | None
    seed: int
    near: Float
    blocked: Callable[[Reason], None]

    def made(self, step: Pick | Place | Move, setting: Setting, offer: Offer) -> Choice | None:
        """Return how a step can be done with what is offered; None if it cannot."""
        if isinstance(step, Pick):
            assert offer.grasp is not None
            return self._pick(step, setting, offer.title, offer.name, offer.grasp)
        if isinstance(step, Place):
            assert offer.pose is not None
            return self._place(step, setting, offer.title, offer.name, offer.pose)
        return self._move(step, setting, offer.title)

    def _pick(self, step: Pick, setting: Setting, title: str, name: str, grasp: Grasp) -> Choice | None:
        assert self.fingers is not None
        lying = setting.scene.obstacle(name)
        opened = setting.changed(self._holding(setting, grasp.opening))
        qs = self._free(opened, self._reached(opened, lying.pose @ grasp.pose))
        if len(qs) == 0:
            return None
        closed = replace(opened.scene, hold={**opened.scene.hold, **self.fingers.values(grasp.width)})
        held = setting.changed(closed.attach(name, robot=opened.robot, q=qs[0]), opening={name: grasp.opening})
        rest = self._rest(held, name, qs[0])
        if rest is None:
            return None
        lifted = held.changed(allowing(held.scene, rest))
        rise = Line(to=(0.0, 0.0, step.lift))
        way_in = Line(to=(0.0, 0.0, step.approach), frame="tool")
        ways = self._followed(qs, (opened, way_in, True, "going in"), (lifted, rise, False, "lifting"))
        if not ways:
            return None
        return Choice(
            name=title,
            object=name,
            move=opened,
            before=opened,
            after=lifted,
            end=held,
            ways=ways,
        )

    def _place(self, step: Place, setting: Setting, title: str, name: str, pose: Pose) -> Choice | None:
        assert self.fingers is not None
        attached = next(body for body in setting.scene.attached if body.name == name)
        placement, tool = setting.robot.chain.placement, setting.robot.tool_frame
        T_object_body = np.linalg.inv(placement[attached.link][1] @ attached.obstacle.pose.matrix)
        T_object_tool = Pose.from_matrix(T_object_body @ placement[tool.link][1] @ tool.pose.matrix)
        qs = self._reached(setting, pose @ T_object_tool)
        rest = self._rest(setting, name, qs[0]) if len(qs) else None
        if rest is None:
            return None
        lowered = setting.changed(allowing(setting.scene, rest))
        qs = self._free(lowered, qs)
        if len(qs) == 0:
            return None
        scene = self._holding(setting, setting.openings.get(name, self.fingers.widest))
        put = setting.changed(scene.detach(name, robot=setting.robot, q=qs[0]))
        down = Line(to=(0.0, 0.0, -step.approach))
        out = Line(to=(0.0, 0.0, -step.retreat), frame="tool")
        ways = self._followed(qs, (lowered, down, True, "lowering"), (put, out, False, "going back"))
        if not ways:
            return None
        return Choice(name=title, object=name, move=setting, before=lowered, after=put, end=put, ways=ways)

    def _move(self, step: Move, setting: Setting, title: str) -> Choice | None:
        robot, scene = setting.robot, setting.scene
        goals = goal_configurations(robot, scene, step.goal, self.near, self.seed)
        if isinstance(goals, tuple):
            goals = goals[0]
        if len(goals) == 0:
            self.blocked("out of reach")
            return None
        return Choice(
            name=title,
            object="",
            move=setting,
            before=None,
            after=None,
            end=setting,
            ways=tuple(Way(q=q) for q in goals),
        )

    def _holding(self, setting: Setting, width: float) -> Scene:
        assert self.fingers is not None
        return replace(setting.scene, hold={**setting.scene.hold, **self.fingers.values(width)})

    def _reached(self, setting: Setting, pose: Pose) -> Float:
        """Return joint positions [k, dof], nearest first, that bring the tool to a pose."""
        robot, base = setting.robot, setting.scene.robot_base
        rng = np.random.default_rng(self.seed)
        qs = inverse_kinematics(robot, pose, base, seeds=_SEEDS, rng=rng, near=self.near)
        if len(qs) == 0:
            self.blocked("out of reach")
        return qs

    def _free(self, setting: Setting, qs: Float) -> Float:
        """Return those of joint positions [k, dof] that touch nothing: by the spheres, and the first few exactly."""
        if len(qs) == 0:
            return qs
        clear = np.flatnonzero(setting.clear(qs))[: sum(_LOOKS)]
        contacts = [setting.certifier.check(qs[k]).contact for k in clear]
        free = clear[[not contact for contact in contacts]] if len(clear) else clear
        if len(free) == 0:
            found = contacts[0] if contacts else setting.certifier.check(qs[0]).contact or _TOO_NEAR
            self.blocked(found)
        return qs[free]

    def _rest(self, held: Setting, name: str, q: Float) -> tuple[AllowedContact, ...] | None:
        """Return the contacts of a held object with what it rests on at q [dof]; None if it is too deep in one."""
        obstacles = {obstacle.name for obstacle in held.scene.obstacles}
        found = []
        for pair, clearance in held.certifier.touching(q).items():
            if name not in pair or not obstacles & set(pair):
                continue
            if -clearance > REST_DEPTH:
                other = next(body for body in pair if body != name)
                self.blocked(f"{name} would be {-1000 * clearance:.0f} mm deep in {other}")
                return None
            found.append(AllowedContact(pair=(pair[0], pair[1]), depth_m=REST_DEPTH))
        return tuple(found)

    def _followed(
        self, qs: Float, first: tuple[Setting, Line, bool, str], second: tuple[Setting, Line, bool, str]
    ) -> tuple[Way, ...]:
        """Return the joint positions from which both lines come through; why not, if there is none."""
        begin = 0
        farthest: list[tuple[str, Setting, LineStop]] = []
        for many in _LOOKS:
            looked = qs[begin : begin + many]
            begin += many
            if len(looked) == 0:
                break
            kept = [(q, ()) for q in looked]
            for setting, line, ends, doing in (first, second):
                if not kept:
                    break
                found = setting.finder.follow(np.array([q for q, _ in kept]), line, ends=ends)
                farthest += [(doing, setting, one.stop) for one in found if not one.through and one.stop]
                kept = [(q, (*lines, one)) for (q, lines), one in zip(kept, found, strict=True) if one.through]
            if kept:
                return tuple(Way(q=q, lines=lines) for q, lines in kept)
        if farthest:
            doing, setting, stop = max(farthest, key=lambda one: (one[0] == second[3], one[2].progress))
            self.blocked(lambda: f"{doing}: {line_reason(stop, setting.finder, setting.certifier, self.seed)}")
        else:
            self.blocked("no line comes through")
        return ()


def offers(
    step: Pick | Place | Move, setting: Setting, fingers: Fingers | None
) -> tuple[list[Offer], list[tuple[str, str]]]:
    """Return what there is to choose from at a step, and what is left out at once: titles and reasons."""
    if isinstance(step, Move):
        return [Offer(title="its goal")], []
    if isinstance(step, Place):
        name = step.object or setting.held[-1]
        return [Offer(title=title, name=name, pose=pose) for title, pose in _places(step)], []
    assert fingers is not None
    found: list[Offer] = []
    left_out: list[tuple[str, str]] = []
    for name in step.objects:
        kept, reasons = grasps_of(fingers, setting.scene.obstacle(name), step.grasps)
        found += [Offer(title=f"grasp {k} of {name}", name=name, grasp=grasp) for k, grasp in enumerate(kept)]
        left_out += [(f"no grasp of {name}", reason) for reason in reasons.elements()]
    return found, left_out


def _places(step: Place) -> list[tuple[str, Pose]]:
    """Return the poses at which a place step may put its object, with titles; turned about its free axis last."""
    found = []
    for i, pose in enumerate(step.poses):
        title = "place" if len(step.poses) == 1 else f"place {i}"
        found.append((title, pose))
    if step.free is None:
        return found
    turned = list(found)
    for k in range(1, _TURNS):
        angle = 2 * np.pi * k / _TURNS
        rpy = [angle if axis == step.free else 0.0 for axis in "xyz"]
        turn = Pose.from_rpy((0.0, 0.0, 0.0), (rpy[0], rpy[1], rpy[2]))
        turned += [(f"{title} turned by {np.degrees(angle):.0f} deg", pose @ turn) for title, pose in found]
    return turned
