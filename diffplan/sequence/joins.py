"""Motions in a row, joined: the arm goes on from one to the next at speed instead of stopping between them.

At a seam the path of a move gives way: it is bent so that it leaves, or comes in, along the tangent of the line beside
it (of two moves, along the mean of both). With w the way from the seam, t the change of the tangent and u = w / reach,
w (1 + 3 u) (1 - u)^3 t is added: it has the slope t and no curvature at the seam, and fades out at the reach. Lines
stay as they are; where two of them meet at an angle, the arm stops.

The whole path is one B-spline then, timed as one from rest to rest and cut at its seams again. Each part is certified
for its own step, as it was before but for the rest at seams: with what is held, the contacts allowed and the
constraints kept in that step. Where one is refused, or nothing is gained, the arm stops as before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from diffplan.curves import hermite, spline
from diffplan.geometry.pose import Float
from diffplan.line_planning import LINE
from diffplan.pace import paced
from diffplan.problem import Plan, Status, Trajectory, trajectory_metrics
from diffplan.sequence.result import SequenceStep
from diffplan.sequence.setting import Setting

_REACHES = (0.3, 0.5, 0.8, 1.2)  # [rad] of the way along which a move is bent
_CERTIFIED = 3  # of those paths that save time are certified, the fastest first, until one passes
_LEAST_WAY = 0.01  # [rad] of a motion that can be joined to another
_TANGENT = 0.001  # [rad] of the way that tells the tangent at an end
_AGREE = 0.02  # between unit tangents that are taken as one
_SPACING, _FEWEST, _MOST = 0.02, 32, 256  # [rad] between control points, and how many of them
_FINE = 8  # places in each step between samples, where the way is measured
_LEAST_GAIN_S = 0.01
_SAME_S = 1e-6


def join_steps(done: Sequence[tuple[SequenceStep, Setting]], left: Callable[[], float]) -> tuple[SequenceStep, ...]:
    """Return the steps of a sequence, those joined that are motions with nothing between them.

    Args:
        done: the steps, each with the setting that its motion takes place in.
        left: how much time is left [s]; without any, nothing more is joined.
    """
    steps, i = [step for step, _ in done], 0
    while i < len(steps):
        parts = _row([(step.plan, setting) for step, setting in done[i:]])
        plans: list[Plan] = []
        while len(parts) > 1 and not plans and left() > 0:
            plans = _joined(parts, left)
            parts = parts[:-1]
        for k, plan in enumerate(plans):
            steps[i + k] = replace(steps[i + k], plan=plan)
        i += max(1, len(plans))
    return tuple(steps)


def _row(motions: Sequence[tuple[Plan | None, Setting]]) -> list[_Part]:
    """Return the parts from the first on that may be joined: up to where nothing moves, or the path has a corner."""
    parts: list[_Part] = []
    for plan, setting in motions:
        part = None if plan is None else _Part.of(plan, setting)
        if part is None or (parts and _tangent(parts[-1], part) is None):
            break
        parts.append(part)
    return parts


def _joined(parts: Sequence[_Part], left: Callable[[], float]) -> list[Plan]:
    """Return the plans of parts that go on at speed at all seams between them; none if that is refused."""
    first, apart = parts[0].plan, sum(part.motion.duration for part in parts)
    kept = [one for part in parts for one in part.plan.constraints]
    jerk = _jerk_limited(first)
    timed = [paced(_path(parts, reach), first.robot, kept, speed=first.speed, jerk=jerk) for reach in _REACHES]
    shorter = [whole for whole in timed if whole and whole.duration < apart - _LEAST_GAIN_S]
    for whole in sorted(shorter, key=lambda whole: whole.duration)[:_CERTIFIED]:
        if left() <= 0:
            break
        plans = _certified(parts, _cut(whole, [part.motion.position[-1] for part in parts[:-1]], jerk))
        if plans:
            return plans
    return []


def _path(parts: Sequence[_Part], reach: float) -> Float:
    """Return the control points [n, dof] of one B-spline along all parts, bent at their seams."""
    bends = [np.zeros((2, part.motion.position.shape[1])) for part in parts]
    for i, (one, other) in enumerate(pairwise(parts)):
        tangent = _tangent(one, other)
        assert tangent is not None
        if not one.straight:
            bends[i][1] = tangent - one.tangent(end=True)
        if not other.straight:
            bends[i + 1][0] = tangent - other.tangent(end=False)
    ends = np.cumsum([part.length for part in parts])
    number = int(np.clip(np.ceil(ends[-1] / _SPACING), _FEWEST, _MOST))
    places = ends[-1] * spline.greville(number)
    q = np.empty((number, bends[0].shape[1]))
    begin = 0.0
    for part, bend, end in zip(parts, bends, ends, strict=True):
        here = (places >= begin) & (places <= end)
        q[here] = part.at(places[here] - begin, bend, reach)
        begin = end
    low, high = parts[0].plan.robot.limits
    control = np.clip(spline.interpolation(number) @ np.clip(q, low, high), low, high)
    control[0], control[-1] = parts[0].motion.position[0], parts[-1].motion.position[-1]
    return control


def _cut(whole: Trajectory, seams: Sequence[Float], jerk: bool) -> list[Trajectory]:
    """Return the parts of a motion, cut where it is nearest to configurations [dof] that it passes in this order."""
    found, time = [], whole.time
    for seam in seams:
        low, high = (found[-1] if found else time[0]), time[-1]
        for _ in range(4):
            moments = np.linspace(low, high, max(64, len(time)))
            nearest = int(np.argmin(np.linalg.norm(_positions(whole, moments) - seam, axis=1)))
            low, high = moments[max(0, nearest - 1)], moments[min(len(moments) - 1, nearest + 1)]
        moment = (low + high) / 2
        sample = int(np.argmin(np.abs(time - moment)))
        found.append(float(time[sample]) if abs(time[sample] - moment) < _SAME_S else moment)
        whole = _with_sample(whole, found[-1], jerk)
        time = whole.time
    cuts = [0, *np.searchsorted(time, found).tolist(), len(time) - 1]
    return [
        Trajectory(
            time=time[a : b + 1] - time[a],
            position=whole.position[a : b + 1],
            velocity=whole.velocity[a : b + 1],
            acceleration=whole.acceleration[a : b + 1],
        )
        for a, b in pairwise(cuts)
    ]


def _with_sample(motion: Trajectory, moment: float, jerk: bool) -> Trajectory:
    """Return the same motion with a sample at a moment, if there is none: the cubics stay what they are.

    Where jerk is limited, acceleration is linear between samples; else it may jump at either, and the mean is told.
    """
    row = int(np.searchsorted(motion.time, moment))
    if motion.time[row] == moment:
        return motion
    at = motion.at(moment)
    if jerk:
        between = [np.interp(moment, motion.time, joint) for joint in motion.acceleration.T]
    else:
        between = (motion.velocity[row] - motion.velocity[row - 1]) / (motion.time[row] - motion.time[row - 1])
    return Trajectory(
        time=np.insert(motion.time, row, moment),
        position=np.insert(motion.position, row, at.position, axis=0),
        velocity=np.insert(motion.velocity, row, at.velocity, axis=0),
        acceleration=np.insert(motion.acceleration, row, between, axis=0),
    )


def _certified(parts: Sequence[_Part], motions: Sequence[Trajectory]) -> list[Plan]:
    """Return the plans of these motions of the parts; none if one is refused."""
    plans: list[Plan] = []
    for i, (part, motion) in enumerate(zip(parts, motions, strict=True)):
        plan, start = part.plan, motion.position[0]
        goals = motion.position[-1:] if part.straight else plan.goals
        certificate = part.setting.certifier.certify(
            motion,
            start=start,
            goals=goals,
            constraints=plan.constraints,
            jerk_limited=_jerk_limited(plan),
            from_rest=i == 0,
            to_rest=i == len(parts) - 1,
        )
        if not certificate.valid:
            return []
        words = [Status.SOLVED.advice, certificate.contact_words, certificate.speed_words]
        plans.append(
            replace(
                plan,
                message="; ".join(one for one in words if one),
                start=start,
                goals=goals,
                trajectory=motion,
                certificate=certificate,
                metrics=trajectory_metrics(motion, plan.robot.metric),
            )
        )
    return plans


def _tangent(one: _Part, other: _Part) -> Float | None:
    """Return the tangent [dof] with which the arm goes on from one part to the other, None where it has to stop."""
    if min(one.length, other.length) < _LEAST_WAY:
        return None
    before, after, metric = one.tangent(end=True), other.tangent(end=False), one.plan.robot.metric
    if one.straight and other.straight:
        return before if np.linalg.norm((before - after) * metric) < _AGREE else None
    if one.straight or other.straight:
        return before if one.straight else after
    size = np.linalg.norm((before + after) * metric)
    return (before + after) / size if size > _AGREE else None


def _jerk_limited(plan: Plan) -> bool:
    return plan.certificate is not None and plan.certificate.jerk_share is not None


def _positions(motion: Trajectory, time: Float) -> Float:
    return hermite.at(motion.time, motion.position, motion.velocity, time)[0]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Part:
    """A motion from rest to rest, and the setting it takes place in; `straight` if it keeps to a line.

    Its path is told by the way along it: `way` [n] (rad, in the robot's metric) at times `time` [n].
    """

    plan: Plan
    motion: Trajectory
    setting: Setting
    straight: bool
    time: Float
    way: Float

    @staticmethod
    def of(plan: Plan, setting: Setting) -> _Part:
        motion = plan.trajectory
        assert motion is not None
        within = np.diff(motion.time)[:, None] * np.arange(_FINE) / _FINE
        time = np.append((motion.time[:-1, None] + within).ravel(), motion.time[-1])
        steps = np.linalg.norm(np.diff(_positions(motion, time), axis=0) * plan.robot.metric, axis=1)
        way = np.concatenate([[0.0], np.cumsum(steps)])
        return _Part(plan=plan, motion=motion, setting=setting, straight=plan.planner == LINE, time=time, way=way)

    @property
    def length(self) -> float:
        return float(self.way[-1])

    def at(self, way: Float, bend: Float, reach: float) -> Float:
        """Return the positions [m, dof] at ways [m], with the tangents at both ends changed by `bend` [2, dof]."""
        reach = min(reach, self.length / max(1, np.count_nonzero(np.any(bend, axis=1))))
        q = _positions(self.motion, np.interp(way, self.way, self.time))
        for w, change in ((way, bend[0]), (self.length - way, -bend[1])):
            u = np.minimum(w / reach, 1.0)
            q = q + (w * (1 + 3 * u) * (1 - u) ** 3)[:, None] * change
        return q

    def tangent(self, *, end: bool) -> Float:
        """Return the tangent [dof] at an end, of length 1 in the robot's metric."""
        ways = np.array([self.length - _TANGENT, self.length] if end else [0.0, _TANGENT])
        chord = np.diff(_positions(self.motion, np.interp(ways, self.way, self.time)), axis=0)[0]
        return chord / np.linalg.norm(chord * self.plan.robot.metric)
