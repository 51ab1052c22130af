"""STOMP: a path improved by averaging smooth random changes of it, the cheaper the more."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle

import numpy as np
from typing_extensions import Self

from diffplan.errors import InputError
from diffplan.geometry.pose import Float
from diffplan.planners.base import Candidate, Options, Planner
from diffplan.planners.options import configured, require_positive
from diffplan.planners.task import Task
from diffplan.planners.waypoints import Believer, Metric, control_points, goals_in_turn, metric, quintic


@dataclass(frozen=True, kw_only=True)
class StompConfig:
    """Options of STOMP; numbers of waypoints and rollouts are MoveIt 2's, `noise` was measured (docs/optimisers.md).

    Attributes:
        points: waypoints of a path, both ends included.
        rollouts: random changes of the path drawn in each iteration.
        kept: the cheapest earlier changes that are used again beside them.
        iterations: after so many the search begins anew.
        noise: standard deviation of the changes in the middle of the path [rad].
        sensitivity: h of the weights exp(-h (S - min) / (max - min)) (Kalakrishnan et al., 2011, eq. 11).
        clearance: distance [m] at which the obstacle cost begins.
        control_weight: weight of squared accelerations beside the obstacle cost, for what is kept.
    """

    points: int = 40
    rollouts: int = 15
    kept: int = 10
    iterations: int = 200
    noise: float = 0.3
    sensitivity: float = 10.0
    clearance: float = 0.05
    control_weight: float = 0.1

    def __post_init__(self) -> None:
        require_positive(self, "rollouts", "iterations", "noise", "sensitivity", "clearance")
        if self.points < 5:
            raise InputError("too few waypoints", key="points", value=self.points, allowed=">= 5")
        for key in ("kept", "control_weight"):
            if getattr(self, key) < 0:
                raise InputError("must not be negative", key=key, value=getattr(self, key), allowed=">= 0")


class StompPlanner(Planner):
    """Stochastic trajectory optimisation, again and again; yields a path as soon as its own check calls it free.

    Source: Kalakrishnan et al., "STOMP: Stochastic trajectory optimization for motion planning", ICRA 2011, table 1.
    """

    name = "stomp"

    def __init__(self, config: StompConfig | None = None) -> None:
        self.config = config or StompConfig()

    @classmethod
    def from_options(cls, options: Options) -> Self:
        """Return the planner with options of `StompConfig`.

        Raises:
            InputError: for an unknown option or a value that makes no sense.
        """
        return cls(configured(StompConfig(), options, cls.name))

    def prepare(self, task: Task) -> None:
        """Pack the robot, invert the metric, and compile the kernel."""
        problem, search = task.problem, _Search(task, self.config)
        search.state_costs(quintic(problem.start, problem.goals[0], self.config.points)[None])

    def candidates(self, task: Task) -> Iterator[Candidate]:
        """Yield paths that the planner believes in, to the goals in turn, nearest first, until the deadline."""
        problem, search = task.problem, _Search(task, self.config)
        for index in cycle(goals_in_turn(problem)):
            if time.perf_counter() > task.deadline:
                return
            control = search.run(
                quintic(problem.start, problem.goals[index], self.config.points), deadline=task.deadline
            )
            if control is not None:
                yield Candidate(control=control, goal_index=index, source=self.name)


class _Search:
    """Stochastic descent in one scene."""

    def __init__(self, task: Task, config: StompConfig) -> None:
        self.config, self.rng = config, task.rng()
        self.model, self.world = task.model, task.world
        self.believer = Believer(self.model, self.world)
        self.metric: Metric = metric(config.points, 1.0, 0.0)
        self.smoother = self.metric.inverse / (self.metric.inverse.max(axis=0) * (config.points - 2))

    def state_costs(self, paths: Float) -> Float:
        """Return the obstacle costs [batch, points - 2] of inner waypoints: how far each is within the clearance."""
        reach = self.config.clearance
        found = self.model.evaluate(
            self.world, paths[:, 1:-1].astype(np.float32), activation=reach, self_activation=reach, gradient=False
        )
        return (reach - np.minimum(found.clearance, found.self_clearance)).astype(np.float64)

    def run(self, path: Float, *, deadline: float) -> Float | None:
        """Return control points [n, dof] of a path believed free, from a first path [points, dof]; None if none is."""
        c, robot = self.config, self.model.robot
        earlier = np.zeros((0, *path[1:-1].shape))
        for _ in range(c.iterations):
            if self.believer.free(control := control_points(path, robot)):
                return control
            if time.perf_counter() > deadline:
                return None
            fresh = c.noise * (self.metric.root @ self.rng.standard_normal((c.rollouts, *path[1:-1].shape)))
            fresh /= robot.metric
            changed = np.repeat(path[None], c.rollouts + len(earlier), axis=0)
            changed[:, 1:-1] = np.clip(np.concatenate([path[1:-1] + fresh, earlier]), robot.lower, robot.upper)
            states = self.state_costs(changed)
            change = changed[:, 1:-1] - path[1:-1]
            path = path.copy()
            path[1:-1] += self.smoother @ (self._shares(states)[:, :, None] * change).sum(axis=0)
            path[1:-1] = np.clip(path[1:-1], robot.lower, robot.upper)
            total = states.sum(axis=1) + c.control_weight * self._roughness(changed)
            earlier = changed[np.argsort(total, kind="stable")[: c.kept], 1:-1]
        return None

    def _shares(self, states: Float) -> Float:
        """Return the weight [batch, points - 2] of each change at each waypoint, cheap ones more."""
        low, high = states.min(axis=0), states.max(axis=0)
        weight = np.exp(-self.config.sensitivity * (states - low) / np.maximum(high - low, 1e-12))
        return weight / weight.sum(axis=0)

    def _roughness(self, paths: Float) -> Float:
        """Return the sums [batch] of squared second differences."""
        return np.square(np.diff(paths, 2, axis=1) * self.model.robot.metric).sum(axis=(1, 2))
