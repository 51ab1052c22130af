"""Ways out of narrow ends: walks from the start and from the goals, of which those go on that nearly see each other.

Where an end lies deep in a narrow place, a curve from the other end that is pushed clear of obstacles pierces a board
instead of going round it. Here walkers leave each end by short random steps, each pushed out of collision along the
kernel's gradient. Every few steps those walkers stay, and are doubled, from which the straight line to the other side
collides least; the others are dropped ("go with the winners": Aldous and Vazirani, FOCS 1994). Two walks and the line
between them are a seed, pushed and drawn tight as any other. It is a search by random sampling, but no tree or roadmap:
nothing is connected, and a walk that was dropped is forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter

import numpy as np

from diffplan.curves import spline
from diffplan.geometry.pose import Float
from diffplan.planners.polyline import resample, shortcut
from diffplan.planners.task import Task

_CHOICES, _STEPS = 20, 10
"""How often walkers are chosen at most, and how many steps they make in between."""
_STRIDE, _SHORTEST = 0.15, 0.02
"""How far a step goes, and how far it must still go after it was pushed [rad, all joints together]."""
_WANDER = 0.3
"""How much a direction that led on changes from step to step, against its own length 1."""
_LONGEST_PUSH = 0.1  # rad
_ACTIVATION, _SELF_ACTIVATION = 0.03, 0.01  # m
_LOOKS, _LINE_ACTIVATION = 15, 0.005
"""Places on a straight line from a walker to where it looks, and the distance [m] at which obstacles count there."""
_BEST = 4
"""Walkers of each side that seeds are made of."""
_SLACK = 1e-4  # m
_WAYPOINTS, _SHORTCUTS = 128, 100


class _Side:
    """The walkers of one end: where they have been, the last being where they are, and what they keep clear of [m].

    `trail` are arrays [walkers, dof], one a step; `way` [walkers, dof] are their directions, `cost` [walkers] how much
    the line from each to the other side collides, `root` [walkers] the numbers of the ends where they began.
    """

    def __init__(self, ends: Float, room: tuple[np.ndarray, np.ndarray]) -> None:
        self.trail = [ends]
        self.way = np.zeros_like(ends)
        self.cost = np.zeros(len(ends))
        self.root = np.arange(len(ends))
        self.floor, self.self_floor = (np.minimum(clear, 0.0) - _SLACK for clear in room)

    @property
    def q(self) -> Float:
        """Where the walkers are, [walkers, dof]."""
        return self.trail[-1]

    def keep(self, chosen: np.ndarray) -> None:
        """Keep these walkers, in this order; one may be named twice."""
        self.trail = [q[chosen] for q in self.trail]
        self.way, self.cost, self.root = self.way[chosen], self.cost[chosen], self.root[chosen]
        self.floor, self.self_floor = self.floor[chosen], self.self_floor[chosen]

    def path(self, walker: int) -> Float:
        """Return the way of a walker from its end [m, dof], without the steps that it stood still."""
        path = np.stack([q[walker] for q in self.trail])
        return path[np.append(True, np.any(np.diff(path, axis=0), axis=1))]


class Walks:
    """Walkers that leave the start and the goals of a task, until some of either side see each other."""

    def __init__(self, task: Task, goal_of: np.ndarray, seed: tuple[int, ...], *, pushes: int = 3) -> None:
        """Put as many walkers to the start as to the goals.

        Args:
            task: the problem.
            goal_of: the goal [walkers] that each walker of the goals' side leaves.
            seed: where random numbers come from.
            pushes: how often a step is pushed out of collision at most.
        """
        self._model, self._world, self._robot = task.model, task.world, task.problem.robot
        self._deadline, self._rng, self._goal_of = task.deadline, np.random.default_rng(seed), goal_of
        self._pushes = pushes
        start = np.repeat(task.problem.start[None], len(goal_of), axis=0)
        self._start, self._goals = (self._side(ends) for ends in (start, task.problem.goals[goal_of]))

    def warm_up(self) -> None:
        """Run the compiled functions that only walks call, lest loading them counts as planning."""
        self._step(self._start)
        self._model.free(self._world, self._start.q[0])

    def go_on(self) -> bool:
        """Walk until two walkers see each other, as far as time and the number of choices allow; return whether."""
        for _ in range(_CHOICES):
            for side, other in ((self._goals, self._start), (self._start, self._goals)):
                for _ in range(_STEPS):
                    if perf_counter() > self._deadline:
                        return False
                    self._step(side)
                if self._choose(side, other):
                    return True
        return False

    def seeds(self, n: int) -> Iterator[tuple[Float, np.ndarray]]:
        """Yield control points [1, n, dof] along pairs of walks, those first that see each other best, and the goal."""
        metric, lower, upper = self._robot.metric, self._robot.lower, self._robot.upper
        ones, others = _best(self._start), _best(self._goals)
        cost = self._between(self._start.q[ones][:, None], self._goals.q[others][None])
        for pair in np.argsort(cost, axis=None, kind="stable"):
            i, j = int(ones[pair // len(others)]), int(others[pair % len(others)])
            waypoints = resample(self._joined(i, j), _WAYPOINTS, metric)
            yield spline.fit_within(waypoints, n, lower, upper)[None], self._goal_of[[self._goals.root[j]]]

    def _joined(self, i: int, j: int) -> Float:
        """Return the path [m, dof] along walk i from the start and walk j from a goal, shortened where that is free."""
        one, other = self._start, self._goals
        margin, self_margin = min(one.floor[i], other.floor[j]), min(one.self_floor[i], other.self_floor[j])

        def free(a: Float, b: Float) -> bool:
            return self._model.edge_free(self._world, a, b, margin=margin, self_margin=self_margin)

        path = np.concatenate([one.path(i), other.path(j)[::-1]])
        return shortcut(path, free, self._rng, attempts=_SHORTCUTS, metric=self._robot.metric)

    def _side(self, ends: Float) -> _Side:
        return _Side(ends, self._model.clearance(self._world, ends))

    def _choose(self, side: _Side, other: _Side) -> bool:
        """Double the half that sees the other side best, its end or its best walker; return whether one sees it."""
        aims = np.stack([other.trail[0][0], other.q[0]])
        side.cost = self._between(side.q[:, None], aims[None]).min(axis=1)
        order = np.argsort(side.cost, kind="stable")
        half = len(order) // 2
        side.keep(np.concatenate([order[: len(order) - half], order[:half]]))
        side.way[len(order) - half :] = self._directions(half)
        return bool(side.cost[0] <= 0)

    def _step(self, side: _Side) -> None:
        """Let each walker make a step, or stand still and turn where there is none."""
        robot, metric = self._robot, self._robot.metric
        fresh = self._directions(len(side.q))
        way = np.where(np.any(side.way, axis=1).reshape(-1, 1), side.way, fresh)
        trial = np.clip(side.q + _STRIDE * way / metric, robot.lower, robot.upper)
        trial, keeps = self._model.step(
            self._world,
            side.q,
            trial,
            activation=_ACTIVATION,
            self_activation=_SELF_ACTIVATION,
            pushes=self._pushes,
            longest=_LONGEST_PUSH,
            floor=side.floor,
            self_floor=side.self_floor,
        )
        moved = (trial - side.q) * metric
        far = np.linalg.norm(moved, axis=1)
        on = (keeps & (far > _SHORTEST)).reshape(-1, 1)
        side.trail.append(np.where(on, trial, side.q))
        side.way = np.where(on, _unit(moved / (far[:, None] + 1e-12) + _WANDER * fresh), fresh)

    def _directions(self, number: int) -> Float:
        return _unit(self._rng.standard_normal((number, self._robot.dof)))

    def _between(self, ones: Float, others: Float) -> Float:
        """Return how deep straight lines from configurations [m, 1, dof] to [1, k, dof] collide [m, k]; 0 if clear.

        That is the sum of the squared depths [m^2] over places on the line; where it begins it is clear. The kernel
        takes 16 neighbours together: equal parts of different lines are nearer than parts of a line.
        """
        part = (np.arange(_LOOKS) + 1.0)[:, None] / _LOOKS
        lines = (ones[..., None, :] + part * (others - ones)[..., None, :]).astype(np.float32)
        m, k = lines.shape[:2]
        q = lines.transpose(2, 1, 0, 3).reshape(_LOOKS, k * m, -1)
        result = self._model.evaluate(self._world, q, activation=_LINE_ACTIVATION, self_activation=0.0, gradient=False)
        cost = np.maximum(_LINE_ACTIVATION - result.clearance, 0.0) ** 2 + np.maximum(-result.self_clearance, 0.0) ** 2
        return cost.reshape(_LOOKS, k, m).transpose(2, 1, 0).sum(axis=2).astype(np.float64)


def _best(side: _Side) -> np.ndarray:
    """Return the numbers of the walkers that see the other side best, no two of which stand in one place."""
    _, apart = np.unique(side.q, axis=0, return_index=True)
    return apart[np.argsort(side.cost[apart], kind="stable")][:_BEST]


def _unit(vectors: Float) -> Float:
    return vectors / (np.linalg.norm(vectors, axis=1, keepdims=True) + 1e-12)
