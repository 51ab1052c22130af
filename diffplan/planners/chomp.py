"""CHOMP as published and as MoveIt ships it, with restarts, and tuned: the optimisers to compare against.

docs/optimisers.md says which part comes from where.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from typing_extensions import Self

from diffplan.errors import InputError
from diffplan.geometry.pose import Float
from diffplan.planners.base import Candidate, Options, Planner
from diffplan.planners.chomp_functional import obstacle_functional
from diffplan.planners.options import configured, require_positive
from diffplan.planners.task import Task
from diffplan.planners.waypoints import Believer, control_points, goals_in_turn, metric, quintic, within_limits


@dataclass(frozen=True, kw_only=True)
class ChompConfig:
    """Options of CHOMP; the defaults are the ones that MoveIt 2 ships, but for its stochastic descent.

    Attributes:
        points: waypoints of a path, both ends included.
        duration: time from the first to the last waypoint [s], by which the cost's velocities are reckoned.
        learning_rate: factor of a step along the covariant gradient.
        obstacle_weight, smoothness_weight: weights of the two costs.
        clearance: distance [m] at which the obstacle potential begins (0.05 in `chomp-tuned`: docs/optimisers.md).
        ridge: added to the diagonal of the smoothness metric.
        iterations: steps of a descent at most.
        update_limit: longest displacement of a joint in one step [rad].
        check_every: iterations between two checks of the best path so far, which is taken if it is free.
        threshold: weighted obstacle cost below which the descent ends, after `settle` more iterations.
        settle: see `threshold`.
        recovery: how often a failed run goes on, with the learning rate raised by 0.02, the ridge by 0.002, the
            iterations by 50 (MoveIt's).
        restarts: whether to go on until the deadline from random smooth paths.
        bend: largest size of their random part [rad].
    """

    points: int = 100
    duration: float = 3.0
    learning_rate: float = 0.01
    obstacle_weight: float = 1.0
    smoothness_weight: float = 0.1
    clearance: float = 0.2
    ridge: float = 0.01
    iterations: int = 200
    update_limit: float = 0.1
    check_every: int = 10
    threshold: float = 0.07
    settle: int = 5
    recovery: int = 5
    restarts: bool = False
    bend: float = 1.5

    def __post_init__(self) -> None:
        positive = ("duration", "learning_rate", "obstacle_weight", "clearance", "iterations", "update_limit")
        require_positive(self, *positive, "check_every")
        if self.points < 5:
            raise InputError("too few waypoints", key="points", value=self.points, allowed=">= 5")
        for key in ("smoothness_weight", "ridge", "threshold", "settle", "recovery", "bend"):
            if getattr(self, key) < 0:
                raise InputError("must not be negative", key=key, value=getattr(self, key), allowed=">= 0")

    @property
    def recovered(self) -> ChompConfig:
        """The options of the next attempt to recover."""
        return replace(
            self,
            learning_rate=self.learning_rate + 0.02,
            ridge=self.ridge + 0.002,
            iterations=self.iterations + 50,
        )


class ChompPlanner(Planner):
    """Covariant Hamiltonian optimisation for motion planning, with MoveIt's parameters and recovery.

    Yields only what its own check calls free. Self-collision is in that check, as in MoveIt, and not in the cost.
    Source: Zucker et al., "CHOMP: Covariant Hamiltonian optimization for motion planning", IJRR 2013.
    """

    name = "chomp"
    defaults = ChompConfig()

    def __init__(self, config: ChompConfig | None = None) -> None:
        self.config = config or self.defaults

    @classmethod
    def from_options(cls, options: Options) -> Self:
        """Return the planner with options of `ChompConfig`.

        Raises:
            InputError: for an unknown option or a value that makes no sense.
        """
        return cls(configured(cls.defaults, options, cls.name))

    def prepare(self, task: Task) -> None:
        """Pack the robot, invert the metric, and compile the kernel."""
        problem, descent = task.problem, _Descent(task, self.config)
        path = quintic(problem.start, problem.goals[0], self.config.points)
        descent.run(path, replace(self.config, iterations=1), deadline=np.inf)
        task.model.pull_back(path[:1], np.zeros((1, len(task.model.double.sphere), 3)))  # no obstacle may be near

    def candidates(self, task: Task) -> Iterator[Candidate]:
        """Yield a path to each goal, nearest first, that the planner believes in; then those of restarts, if any."""
        problem, descent = task.problem, _Descent(task, self.config)
        turn = list(goals_in_turn(problem))
        for index in turn:
            path = quintic(problem.start, problem.goals[index], self.config.points)
            yield from self._found(descent.recover(path, deadline=task.deadline), index)
        attempt = 0
        while self.config.restarts and time.perf_counter() < task.deadline:
            index = turn[attempt % len(turn)]
            path = descent.bent(quintic(problem.start, problem.goals[index], self.config.points))
            yield from self._found(descent.recover(path, deadline=task.deadline), index)
            attempt += 1

    def _found(self, control: Float | None, index: int) -> Iterator[Candidate]:
        if control is not None:
            yield Candidate(control=control, goal_index=index, source=self.name)


class ChompMultiPlanner(ChompPlanner):
    """CHOMP with MoveIt's parameters, restarted from random smooth paths instead of recovered."""

    name = "chomp-multi"
    defaults = ChompConfig(restarts=True, recovery=0)


class ChompTunedPlanner(ChompPlanner):
    """CHOMP with our parameters: a small clearance, a metric without ridge, restarts (docs/optimisers.md)."""

    name = "chomp-tuned"
    defaults = ChompConfig(clearance=0.05, ridge=0.0, restarts=True, recovery=0)


class _Descent:
    """Covariant gradient descent in one scene."""

    def __init__(self, task: Task, config: ChompConfig) -> None:
        self.config, self.rng = config, task.rng()
        self.model, self.world = task.model, task.world
        self.believer = Believer(self.model, self.world)

    def recover(self, path: Float, *, deadline: float) -> Float | None:
        """Run with recovery: a run that fails goes on from its best path; return control points [n, dof] or None."""
        config = self.config
        for _ in range(self.config.recovery + 1):
            path, control = self.run(path, config, deadline=deadline)
            if control is not None or time.perf_counter() > deadline:
                return control
            config = config.recovered
        return None

    def run(self, path: Float, config: ChompConfig, *, deadline: float) -> tuple[Float, Float | None]:
        """Return the cheapest path [points, dof] of a descent, and its control points if it is believed free."""
        path, robot = path.copy(), self.model.robot
        dt = config.duration / (config.points - 1)
        smooth = metric(config.points, dt, config.ridge)
        best, least, left = path.copy(), np.inf, -1
        for iteration in range(config.iterations):
            if time.perf_counter() > deadline:
                break
            obstacle, push = obstacle_functional(self.model, self.world, path, clearance=config.clearance, dt=dt)
            roughness, pull = smooth.cost(path * robot.metric)
            cost = config.obstacle_weight * obstacle + config.smoothness_weight * roughness
            if cost < least:
                best, least = path.copy(), cost
            step = smooth.inverse @ (config.obstacle_weight * push / robot.metric + config.smoothness_weight * pull)
            step *= config.learning_rate
            step *= np.minimum(1.0, config.update_limit / np.maximum(np.abs(step).max(axis=0), 1e-12))
            path[1:-1] -= step / robot.metric
            within_limits(path, robot, smooth.inverse)
            if iteration % config.check_every == 0 and self.believer.free(control := control_points(best, robot)):
                return best, control
            if left < 0 and config.obstacle_weight * obstacle < config.threshold:
                left = config.settle
            elif left >= 0:
                left -= 1
                if left < 0:
                    return best, control_points(best, robot)
        control = control_points(best, robot)
        return best, control if self.believer.free(control) else None

    def bent(self, path: Float) -> Float:
        """Return a path [points, dof] with smooth noise of random size up to `bend` [rad] added, within the limits."""
        noise = metric(len(path), self.config.duration / (len(path) - 1), 0.0).root
        path = path.copy()
        amplitude = self.rng.uniform(0.0, self.config.bend)
        move = amplitude * (noise @ self.rng.standard_normal((len(path) - 2, path.shape[1])))
        path[1:-1] += move / self.model.robot.metric
        return np.clip(path, self.model.robot.lower, self.model.robot.upper)
