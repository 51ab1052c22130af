"""Joint paths along which the tool goes straight: continuation of inverse kinematics, then a ladder graph.

From a configuration the line is followed in layers of equal progress. Each step is Newton's on the pose error e,
dq = J+ e + (I - J+ J) z, with J+ the right inverse of the geometric Jacobian that is least in the robot's metric, and z
what the free joints of a redundant arm are used for: away from obstacles and own links (the kernel's gradient), away
from joint limits, and a drift that differs from try to try. All tries from all starts are one batch.

Where no try comes through, a ladder (Kang et al., "Torm", ICRA 2020, use such a graph for paths of the tool): in each
layer all configurations that can be reached, found by stepping along the null space both ways until a limit or an
obstacle; neighbours of consecutive layers are joined where the step is small, and dynamic programming takes the
cheapest way. Progress never falls.

The nodes are smoothed in the null space, set back onto the line and interpolated by a cubic B-spline
(curves/spline.py), whose control points grow in number until the curve is on the line too.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from diffplan.collision.cpu import CollisionModel, Evaluation, Obstacles
from diffplan.constraints.kinds import Constraint
from diffplan.constraints.line import Line
from diffplan.constraints.on_line import Segment
from diffplan.curves import spline
from diffplan.geometry.pose import Float, Pose
from diffplan.ik import error_and_jacobian
from diffplan.keeping import Keeper
from diffplan.robot.model import Robot, Tool

LIMIT, COLLISION, CONSTRAINT, SINGULAR = "limit", "collision", "constraint", "singular"
_LAYER_M, _LAYER_RAD, _LAYERS = 0.02, 0.1, 10  # [m, rad] between layers, and how many there are at least
_FINER = (1, 5)  # times as many layers
_DRIFTS = (0.0, 0.6, -0.6, 1.5, -1.5)  # [rad] along the null space over the whole line
_NUDGE = 0.05  # [rad] the most that obstacles and limits push in a step
_AWAY_M, _AWAY_SELF_M, _AWAY_LIMIT = 0.05, 0.02, 0.15  # where they begin to push; [rad] of a limit
_JUMP = 0.4  # [rad] the most that a joint moves between two layers
_MET, _STEPS = 1e-7, 8  # norm of a pose error (m and rad) that is met, and Newton steps for it
_DAMPING = 1e-8
_ROUNDING = 1e-9
_INSIDE = 1e-4  # [rad or m] from the limits, so that the curve between nodes stays within
_SPACING = 0.12  # [rad] of nodes along the null space
_MOST_NODES = 150  # in a layer
_DEEPEST = 10 / 13  # share of how far the spheres stick out of the links
_WANTED = 0.625  # share of what the spheres leave uncovered: with less room a place costs more
_COST = 0.05  # [rad^2] of a place that has no room where it should have the wanted one
_SMOOTHINGS, _RETRIES = 8, 4
_CONTROLS = (16, 32, 64, 128, 256)
_OFF_M, _OFF_RAD = 5e-5, 2e-4  # how far the curve may be off the line
_NEARLY = 0.03  # least singular value of the Jacobian (m and rad) below which it counts as singular


@dataclass(frozen=True, kw_only=True, eq=False)
class LinePath:
    """A path on a line: control points [n, dof] of a B-spline, and the least room by the spheres along it [m].

    The spheres are a little larger than the links, and leave some of them uncovered: the certificate decides.
    """

    control: Float
    room: float
    segment: Segment


@dataclass(frozen=True, kw_only=True, eq=False)
class LineStop:
    """Where a line ends too early: progress [0, 1], the configuration q [dof] there, and the cause.

    `joints` are those that stand at a limit, if the cause is "limit"; with "collision" q is where the spheres touch,
    with "constraint" where one is broken.
    """

    progress: float
    q: Float
    cause: str
    joints: tuple[str, ...]
    segment: Segment


@dataclass(frozen=True, kw_only=True, eq=False)
class _Layer:
    """Configurations [n, dof] on the line at one progress, and the room of each [n] (m)."""

    q: Float
    room: Float


class LineFinder:
    """Finds paths on lines of a robot's tool among obstacles; one serves for any number of lines.

    Args:
        model: the robot's spheres.
        world: the packed obstacles.
        robot_base: where the robot stands.
        tool: the frame that goes straight; the robot's tool if None.
    """

    def __init__(
        self, model: CollisionModel, world: Obstacles, robot_base: Pose, *, tool: Tool | None = None, scene: int = 0
    ) -> None:
        self.model, self.world, self.scene = model, world, scene
        self.robot: Robot = model.robot
        self.tool = tool or self.robot.tool_frame
        self.base = robot_base
        self._T_base_world = np.linalg.inv(robot_base.matrix)
        self._T_tool_link = self.tool.pose.inverse().matrix
        self._give = 1 / self.robot.metric**2
        self._floor = -_DEEPEST * self.robot.spheres.outside
        self._wanted = _WANTED * self.robot.spheres.uncovered
        self.keeper = Keeper(model, robot_base, ())
        self.margin = True

    def under(self, constraints: Sequence[Constraint], q: Float) -> LineFinder:
        """Return a finder of paths that keep constraints as well, for lines that begin or end at q [dof].

        The axes of `Upright` are given. Paths keep the planner's `margin` to what they may, unless q does not.
        """
        found = copy(self)
        found.keeper = Keeper(self.model, self.base, constraints)
        found.margin = not found.keeper or bool(found.keeper.worst(q[None])[0] <= 0)
        return found

    def pose(self, q: Float) -> Pose:
        """Return where the tool is at q [dof], in the world."""
        link = self.robot.link_pose(q, self.tool.link)[0]
        return Pose.from_matrix(self.base.matrix @ link @ self.tool.pose.matrix)

    def segment(self, q: Float, line: Line, *, ends: bool = False) -> Segment:
        """Return where a line runs that begins at q [dof], or that ends there."""
        return line.to_end(self.pose(q)) if ends else line.from_begin(self.pose(q))

    def room(self, q: Float) -> float:
        """Return the room at q [dof] by the spheres (m): the clearance from obstacles, half of that between links."""
        return float(self._rooms(q[None])[0])

    def paths(
        self, q: Float, line: Line, *, ends: bool = False, thorough: bool = True, deadline: float = np.inf
    ) -> list[LinePath | LineStop]:
        """Return for each configuration q [k, dof] a path on the line, or where and why there is none.

        Nothing is certified: the paths are clear, or nearly, by the spheres.

        Args:
            q: where lines begin.
            line: where they go.
            ends: whether they end at q instead; they are followed backwards from there.
            thorough: whether the ladder is tried where continuation does not come through (some 0.1 s each).
            deadline: when ladders are given up, in s of `time.perf_counter`.

        Raises:
            InputError: for lines that end at q, but do not tell where they begin.
        """
        segments = [self.segment(row, line, ends=ends) for row in q]
        if ends:
            segments = [segment.reversed for segment in segments]
        found = self._follow(q, segments)
        result: list[LinePath | LineStop] = []
        for row, segment, tries in zip(q, segments, found, strict=True):
            path = next(self._finished(tries, segment), None)
            if path is None and thorough:
                path = next(self._by_ladder(row, segment, tries, 1, deadline), None)
            one = path or tries.stop
            assert one is not None
            result.append(_reversed(one) if ends and isinstance(one, LinePath) else one)
        return result

    def follow(self, q: Float, line: Line, *, ends: bool = False) -> list[Followed]:
        """Return for each configuration q [k, dof] whether the line can be followed from there, by continuation alone.

        That is the quick part of `paths`, whose arguments these are; `finished` is the rest.
        """
        segments = [self.segment(row, line, ends=ends) for row in q]
        segments = [segment.reversed for segment in segments] if ends else segments
        found = self._follow(q, segments)
        return [
            Followed(tries=tries, segment=segment, ends=ends) for tries, segment in zip(found, segments, strict=True)
        ]

    def finished(self, followed: Followed) -> LinePath | None:
        """Return the path of a line that was followed; None if none is smooth enough."""
        path = next(self._finished(followed.tries, followed.segment), None)
        return _reversed(path) if path and followed.ends else path

    def candidates(self, q: Float, segment: Segment, deadline: float = np.inf) -> Iterator[LinePath | LineStop]:
        """Yield paths on a line from q [dof], best first, and last where the farthest try that failed came to, if one
        did.

        Where no path is taken, the line is followed in finer layers: near a singular configuration joints go far in
        one of the others. That is no help where an obstacle or a constraint is in the way.
        """
        stop: LineStop | None = None
        for finer in _FINER:
            (tries,) = self._follow(q[None], [segment], finer)
            yield from self._finished(tries, segment)
            yield from self._by_ladder(q, segment, tries, finer, deadline)
            if tries.stop and (stop is None or tries.stop.progress > stop.progress):
                stop = tries.stop
            if time.perf_counter() > deadline or (stop and stop.cause in (COLLISION, CONSTRAINT)):
                break
        if stop:
            yield stop

    def _follow(self, q: Float, segments: Sequence[Segment], finer: int = 1) -> list[_Tries]:
        """Follow lines from q [k, dof] by continuation, several tries each, in so many times the layers."""
        layers = finer * max(_layers(segment) for segment in segments)
        s = np.linspace(0.0, 1.0, layers + 1)
        goals = np.stack([self._goals(segment, s) for segment in segments])
        free = self.robot.dof > 6
        drifts = np.array(_DRIFTS if free else _DRIFTS[:1])
        owner = np.repeat(np.arange(len(q)), len(drifts))
        drift = np.tile(drifts / layers, len(q))
        path = np.empty((len(owner), layers + 1, self.robot.dof))
        path[:, 0] = q[owner]
        room, push = self._look(path[:, 0])
        rooms = np.empty((len(owner), layers + 1))
        rooms[:, 0] = room
        floor = self._floors(room)
        come = np.full(len(owner), layers)
        along = self._along(path[:, 0], goals[owner, 0]) if free else np.zeros_like(path[:, 0])
        alive = np.arange(len(owner))
        for i in range(layers):
            here = path[alive, i]
            z = self._limits_push(here) + push[alive] + drift[alive, None] * along[alive]
            there, met, along[alive] = self._moved(here, goals[owner[alive], i + 1], z, along[alive])
            room, push[alive] = self._look(there)
            path[alive, i + 1], rooms[alive, i + 1] = there, room
            good = met & (np.abs((there - here) * self.robot.metric).max(axis=1) <= _JUMP) & (room >= floor[alive])
            come[alive[~good]] = i
            alive = alive[good]
            if len(alive) == 0:
                break
        result = []
        for k, segment in enumerate(segments):
            rows = np.flatnonzero(owner == k)
            through = rows[come[rows] == layers]
            costs = [self._cost(path[row], rooms[row]) for row in through]
            order = through[np.argsort(costs, kind="stable")] if len(through) else through
            tries = _Tries(paths=[path[row] for row in order])
            if len(through) < len(rows):
                failed = rows[come[rows] < layers]
                row = failed[int(np.argmax(come[failed]))]
                i = int(come[row])
                tries.stop = self._located(path[row, i], float(s[i]), float(s[i + 1]), segment, float(floor[row]))
            result.append(tries)
        return result

    def _floors(self, room: Float) -> Float:
        """Return the room [n] that a path must have, by what it has where it begins."""
        return np.minimum(self._floor, room - 1e-3)

    def _cost(self, path: Float, room: Float) -> float:
        steps = (np.diff(path, axis=0) * self.robot.metric) ** 2
        return float(steps.sum() + self._want(room).sum())

    def _want(self, room: Float) -> Float:
        """Return what it costs that places have so little room [...] (rad^2)."""
        return _COST * (np.maximum(self._wanted - room, 0.0) / self._wanted) ** 2

    def _goals(self, segment: Segment, s: Float) -> Float:
        """Return T_base_link [n, 4, 4] of the tool's link at progress s [n]."""
        return self._T_base_world @ segment.at(s) @ self._T_tool_link

    def _look(self, q: Float) -> tuple[Float, Float]:
        """Return the rooms [n] at q [n, dof] (m), and a push away from what is near [n, dof]."""
        found = self._evaluated(q, gradient=True)
        slope = found.gradient[0].astype(np.float64) * self._give
        steep = (found.gradient[0] * slope).sum(axis=1)
        step = -slope * (2 * found.cost[0] / (steep + 1e-12))[:, None]
        return self._kept(q, _room(found)), self._capped(step, _NUDGE)

    def _rooms(self, q: Float) -> Float:
        """Return the rooms [n] at q [n, dof] (m), up to 5 cm from obstacles and 1 cm from the arm itself."""
        return self._kept(q, _room(self._evaluated(q, gradient=False)))

    def _kept(self, q: Float, room: Float) -> Float:
        """Return the rooms [n]; there is none, however little will do, where q [n, dof] breaks a constraint."""
        return np.where(self._broken(q), -np.inf, room) if self.keeper else room

    def _broken(self, q: Float) -> np.ndarray:
        """Return which of q [n, dof] break a constraint, or are too near to it."""
        return np.asarray(self.keeper.worst(q, margin=self.margin) > 0)

    def _evaluated(self, q: Float, *, gradient: bool) -> Evaluation:
        return self.model.evaluate(
            self.world,
            q[None].astype(np.float32),
            np.array([self.scene]),
            activation=_AWAY_M,
            self_activation=_AWAY_SELF_M,
            gradient=gradient,
        )

    def _capped(self, step: Float, longest: float) -> Float:
        """Return steps [n, dof] of which no joint's is longer (rad)."""
        size = np.abs(step * self.robot.metric).max(axis=1, keepdims=True)
        return step * np.minimum(1.0, longest / np.maximum(size, 1e-12))

    def _limits_push(self, q: Float) -> Float:
        """Return a push [n, dof] away from joint limits that are near."""
        low, high = self.robot.limits
        reach = _AWAY_LIMIT / self.robot.metric
        deep = np.maximum(1 - (q - low) / reach, 0.0) - np.maximum(1 - (high - q) / reach, 0.0)
        return _NUDGE * np.clip(deep, -1.0, 1.0) / self.robot.metric

    def _along(self, q: Float, goals: Float) -> Float:
        """Return a direction [n, dof] of the null space at q [n, dof], of which no joint's part exceeds 1."""
        _, J = error_and_jacobian(self.robot, self.tool.link, goals, q)
        return self._capped(np.linalg.svd(J)[2][:, -1], 1.0)

    def _inverse(self, J: Float, fixed: np.ndarray | None = None) -> Float:
        """Return damped right inverses [n, dof, 6] of Jacobians, least in the metric; `fixed` joints do not move."""
        give = self._give if fixed is None else np.where(fixed, 0.0, self._give)
        weighed = (J * give[..., None, :]).transpose(0, 2, 1)
        return weighed @ np.linalg.inv(J @ weighed + _DAMPING * np.eye(6))

    def _moved(self, q: Float, goals: Float, z: Float, along: Float | None) -> tuple[Float, np.ndarray, Float]:
        """Return q [n, dof] moved to poses of the tool's link [n, 4, 4], whether they are met [n], and where `along`
        points in the null space there; `z` [n, dof] is what the first step does in the null space.
        """
        robot, link = self.robot, self.tool.link
        low, high = np.minimum(robot.lower + _INSIDE, q), np.maximum(robot.upper - _INSIDE, q)
        error, J = error_and_jacobian(robot, link, goals, q)
        inverse = self._inverse(J)
        turned = np.zeros_like(q)
        if along is not None:
            turned = along - (inverse @ (J @ along[..., None]))[..., 0]
            turned = self._capped(turned * 1e3, 1.0)
        step = (inverse @ error[..., None])[..., 0] + z - (inverse @ (J @ z[..., None]))[..., 0]
        met = np.zeros(len(q), dtype=bool)
        for _ in range(_STEPS):
            moved: Float = q + self._capped(step, _JUMP)
            beyond = np.asarray((moved < low) | (moved > high))
            if beyond.any():  # a joint at its limit gives way to the others
                inverse = self._inverse(J, beyond)
                blocked = np.clip(moved, low, high) - q
                blocked = np.where(beyond, blocked, 0.0)
                rest = (inverse @ (error - (J @ blocked[..., None])[..., 0])[..., None])[..., 0] + blocked
                moved = np.where(np.any(beyond, axis=1, keepdims=True), q + self._capped(rest, _JUMP), moved)
            q = np.clip(moved, low, high)
            error, J = error_and_jacobian(robot, link, goals, q)
            met = np.asarray(np.linalg.norm(error, axis=1) <= _MET)
            if met.all():
                break
            inverse = self._inverse(J)
            step = (inverse @ error[..., None])[..., 0]
        return q, met, turned

    def _located(self, q: Float, low: float, high: float, segment: Segment, floor: float) -> LineStop:
        """Return how far from q [dof] at progress `low` one comes on the way to `high`, and what stops there."""
        there, met, on = q, True, False
        for _ in range(6):
            middle = (low + high) / 2
            q, met, there, on = self._tried(q, middle, segment, floor)
            low, high = (middle, high) if on else (low, middle)
        if met:  # the last that went on: look once more at what stops it
            q, met, there, on = self._tried(q, high, segment, floor)
        at_limit = self._at_limit(there)
        cause = LIMIT if at_limit else SINGULAR
        if met and not on:  # else it is only that a joint would move too far at once
            cause = CONSTRAINT if self.keeper and self._broken(there[None])[0] else COLLISION
        return LineStop(
            progress=low, q=there if met else q, cause=cause, joints=at_limit if cause == LIMIT else (), segment=segment
        )

    def _tried(self, q: Float, s: float, segment: Segment, floor: float) -> tuple[Float, bool, Float, bool]:
        """Try to go from q [dof] to progress s; returns where it stands, whether the pose was met, where, and if so
        whether there is room.
        """
        _, push = self._look(q[None])
        z = push + self._limits_push(q[None])
        there, met, _ = self._moved(q[None], self._goals(segment, np.array([s])), z, None)
        step = np.abs((there - q) * self.robot.metric).max()
        on = bool(met[0] and step <= _JUMP and self._rooms(there)[0] >= floor)
        return (there[0] if on else q), bool(met[0] and step <= _JUMP), there[0], on

    def _at_limit(self, q: Float) -> tuple[str, ...]:
        low, high = self.robot.limits
        near = (q - low <= 2 * _INSIDE) | (high - q <= 2 * _INSIDE)
        return tuple(name for name, one in zip(self.robot.joint_names, near, strict=True) if one)

    def _finished(self, tries: _Tries, segment: Segment) -> Iterator[LinePath]:
        """Yield the curves of the tries that came through, in their order."""
        for nodes in tries.paths:
            curve = self._curve(nodes, segment, self._floors(self._rooms(nodes[:1]))[0])
            if isinstance(curve, LinePath):
                yield curve

    def _by_ladder(self, q: Float, segment: Segment, tries: _Tries, finer: int, deadline: float) -> Iterator[LinePath]:
        """Yield paths through the graph of all that can be reached from q [dof], those with more room first.

        An edge whose curve turns out to be in collision is taken out, and the next best way is tried.
        """
        if self.robot.dof <= 6:
            return
        s = np.linspace(0.0, 1.0, finer * _layers(segment) + 1)
        floor = float(self._floors(self._rooms(q[None]))[0])
        layers = self._layers_from(q, segment, s, floor, deadline)
        if time.perf_counter() > deadline:
            return
        if len(layers) <= len(s) - 1:
            last = layers[-1]
            row = int(np.argmax(last.room))
            low, high = s[len(layers) - 1 : len(layers) + 1].tolist()
            stop = self._located(last.q[row], low, high, segment, floor)
            if tries.stop is None or stop.progress > tries.stop.progress:
                tries.stop = stop
            return
        costs = [self._steps(a, b) for a, b in pairwise(layers)]
        taken: list[int] = []
        for least in sorted({self._wanted, 0.0, floor}, reverse=True):
            shut = [np.where(layer.room >= min(least, layers[0].room[0]), 0.0, np.inf) for layer in layers]
            for _ in range(_RETRIES):
                way = _cheapest(costs, shut, [self._want(layer.room) for layer in layers])
                if way is None or way == taken or time.perf_counter() > deadline:
                    break
                taken = way
                nodes = np.array([layer.q[i] for layer, i in zip(layers, way, strict=True)])
                curve = self._curve(nodes, segment, floor)
                if isinstance(curve, LinePath):
                    yield curve
                    break
                edge = min(int(curve * len(costs)), len(costs) - 1)
                costs[edge][way[edge], way[edge + 1]] = np.inf

    def _steps(self, a: _Layer, b: _Layer) -> Float:
        """Return the costs [na, nb] of steps between two layers, infinite where a joint would move too far."""
        way = (b.q[None] - a.q[:, None]) * self.robot.metric
        return np.where(np.abs(way).max(axis=2) <= _JUMP, (way**2).sum(axis=2), np.inf)

    def _layers_from(self, q: Float, segment: Segment, s: Float, floor: float, deadline: float) -> list[_Layer]:
        """Return the layers of what can be reached from q [dof], q first; fewer than asked for if one is empty, or the
        time is up.
        """
        goals = self._goals(segment, s)
        layers = [self._spread(q[None], goals[0], floor)]
        for goal in goals[1:]:
            if time.perf_counter() > deadline:
                break
            here = layers[-1].q
            there, met, _ = self._moved(here, np.repeat(goal[None], len(here), axis=0), np.zeros_like(here), None)
            good = met & (np.abs((there - here) * self.robot.metric).max(axis=1) <= _JUMP)
            there = there[good]
            there = there[self._rooms(there) >= floor] if len(there) else there
            if len(there) == 0:
                return layers
            layers.append(self._spread(there, goal, floor))
        return layers

    def _spread(self, q: Float, goal: Float, floor: float) -> _Layer:
        """Return what can be reached from q [n, dof] along the null space at one pose [4, 4], q first."""
        robot, metric = self.robot, self.robot.metric
        nodes = self._apart(q, q[:0])
        fresh = nodes
        while len(fresh) and len(nodes) < _MOST_NODES:
            goals = np.repeat(goal[None], len(fresh), axis=0)
            _, J = error_and_jacobian(robot, self.tool.link, goals, fresh)
            null = np.linalg.svd(J / metric)[2][:, 6:] / metric
            ways = np.concatenate([null, -null], axis=1) * _SPACING
            trial = (fresh[:, None] + ways).reshape(-1, robot.dof)
            inside = np.all((trial >= robot.lower + _INSIDE) & (trial <= robot.upper - _INSIDE), axis=1)
            trial = self._apart(trial[inside], nodes)
            if len(trial) == 0:
                break
            trial, met, _ = self._moved(trial, np.repeat(goal[None], len(trial), axis=0), np.zeros_like(trial), None)
            trial = trial[met]
            trial = trial[self._rooms(trial) >= floor] if len(trial) else trial
            fresh = self._apart(trial, nodes)
            nodes = np.concatenate([nodes, fresh])
        return _Layer(q=nodes, room=self._rooms(nodes))

    def _apart(self, q: Float, others: Float) -> Float:
        """Return those of q [n, dof] that are not close to one of the others [m, dof], nor to one another."""
        metric, least = self.robot.metric, (0.6 * _SPACING) ** 2
        if len(others) and len(q):
            q = q[((((q[:, None] - others[None]) * metric) ** 2).sum(axis=2) > least).all(axis=1)]
        kept: list[Float] = []
        for row in q:
            if not kept or ((((np.array(kept) - row) * metric) ** 2).sum(axis=1) > least).all():
                kept.append(row)
        return np.array(kept).reshape(-1, self.robot.dof)

    def _curve(self, nodes: Float, segment: Segment, floor: float) -> LinePath | float:
        """Return the B-spline along nodes [layers + 1, dof], or where it is not free or not on the line (progress)."""
        nodes = self._smoothed(nodes, segment, floor)
        where = 0.0
        for number in _CONTROLS:
            q = _resampled(nodes, spline.greville(number))
            q[1:], met, _ = self._moved(
                q[1:], self._goals(segment, spline.greville(number)[1:]), np.zeros_like(q[1:]), None
            )
            if not met.all():
                return float(spline.greville(number)[1 + int(np.argmin(met))])
            control = spline.interpolation(number) @ q
            control[0], control[-1] = q[0], q[-1]
            s = np.linspace(0.0, 1.0, 4 * number + 1)
            curve = spline.basis(number, len(s)) @ control
            room = self._rooms(curve)
            if room.min() < floor:
                return float(s[int(np.argmin(room))])
            off = np.maximum(self._off(curve, segment), np.where(self._outside(curve), np.inf, 0.0))
            if off.max() <= 1:
                return LinePath(control=control, room=float(room.min()), segment=segment)
            where = float(s[int(np.argmax(off))])
        return where

    def _off(self, curve: Float, segment: Segment) -> Float:
        """Return how far configurations [n, dof] are off the line, as shares of what they may [n]."""
        poses = self.base.matrix @ self.robot.link_pose(curve, self.tool.link) @ self.tool.pose.matrix
        goals = self._goals(segment, np.clip(segment.progress(poses), 0.0, 1.0))
        error, _ = error_and_jacobian(self.robot, self.tool.link, goals, curve)
        turned = np.linalg.norm(error[:, 3:], axis=1)
        away = np.linalg.norm(error[:, :3], axis=1)
        return np.maximum(away / _OFF_M, turned / _OFF_RAD)

    def _outside(self, q: Float) -> np.ndarray:
        """Return which of q [n, dof] are outside the joint limits."""
        low, high = self.robot.limits
        return np.any((q < low - _ROUNDING) | (q > high + _ROUNDING), axis=1)

    def _smoothed(self, nodes: Float, segment: Segment, floor: float) -> Float:
        """Return nodes [n, dof] drawn towards the middle of their neighbours within the null space, the first fixed."""
        if self.robot.dof <= 6:
            return nodes
        s = np.linspace(0.0, 1.0, len(nodes))
        goals = self._goals(segment, s[1:])
        room, push = self._look(nodes)
        for _ in range(_SMOOTHINGS):
            z = np.empty_like(nodes[1:])
            z[:-1] = (nodes[2:] + nodes[:-2]) / 2 - nodes[1:-1]
            z[-1] = (nodes[-2] - nodes[-1]) / 2
            near = room[1:] < self._wanted
            z = np.where(near[:, None], push[1:], z) + self._limits_push(nodes[1:])
            there, met, _ = self._moved(nodes[1:], goals, z, None)
            if not met.all():
                return nodes
            room_there, push_there = self._look(there)
            if room_there.min() < min(float(room.min()), self._wanted):
                return nodes
            nodes = np.concatenate([nodes[:1], there])
            room, push = np.append(room[:1], room_there), np.concatenate([push[:1], push_there])
        return nodes


@dataclass(eq=False)
class _Tries:
    """Nodes [layers + 1, dof] of the tries that came through, best first, and where the farthest other one stopped."""

    paths: list[Float]
    stop: LineStop | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Followed:
    """A line that was followed by continuation; `ends` if backwards from its end. `stop` tells where it failed."""

    tries: _Tries
    segment: Segment
    ends: bool

    @property
    def through(self) -> bool:
        """Whether a try came through."""
        return bool(self.tries.paths)

    @property
    def stop(self) -> LineStop | None:
        """Where the farthest try stopped that did not come through."""
        return self.tries.stop


def _room(found: Evaluation) -> Float:
    """Return the rooms [n] of one trajectory: clearances from obstacles, and halves of those between own links, both
    of whose spheres stick out (m).
    """
    return np.minimum(found.clearance[0], found.self_clearance[0] / 2).astype(np.float64)


def _layers(segment: Segment) -> int:
    return max(_LAYERS, int(np.ceil(segment.length / _LAYER_M)), int(np.ceil(segment.angle / _LAYER_RAD)))


def _reversed(path: LinePath) -> LinePath:
    return LinePath(control=path.control[::-1].copy(), room=path.room, segment=path.segment.reversed)


def _resampled(nodes: Float, places: Float) -> Float:
    """Return nodes [n, dof] at equal parameters, interpolated linearly at places [m] in [0, 1]."""
    at = np.linspace(0.0, 1.0, len(nodes))
    return np.stack([np.interp(places, at, joint) for joint in nodes.T], axis=1)


def _cheapest(costs: list[Float], shut: list[Float], wants: list[Float]) -> list[int] | None:
    """Return the nodes of the cheapest way through the layers from node 0 of the first, None if there is none."""
    total = np.full(len(wants[0]), np.inf)
    total[0] = 0.0
    before: list[np.ndarray] = []
    for cost, closed, want in zip(costs, shut[1:], wants[1:], strict=True):
        reached = total[:, None] + cost
        best = reached.argmin(axis=0)
        before.append(best)
        total = reached[best, np.arange(len(best))] + want + closed
    if not np.isfinite(total).any():
        return None
    way = [int(total.argmin())]
    for best in reversed(before):
        way.append(int(best[way[-1]]))
    return way[::-1]
