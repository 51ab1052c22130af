"""OMPL set up with our compiled checker, and RRT-Connect: the core of the sampling planners and training data."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import numpy as np

from diffplan.collision.cpu import CollisionModel, Obstacles
from diffplan.geometry.pose import Float
from diffplan.keeping import Keeper
from diffplan.planners.ompl import base as ob
from diffplan.planners.ompl import geometric as og
from diffplan.planners.ompl import util as ou
from diffplan.planners.polyline import dense

ou.noOutputHandler()
ou.setLogLevel(ou.LogLevel.LOG_NONE)


@dataclass(frozen=True, kw_only=True, eq=False)
class Checker:
    """The compiled collision check of one scene with its margins [m] and its step along edges [rad, max-norm].

    What breaks a constraint of the `keeper`, if there is one, is not free.
    """

    model: CollisionModel
    world: Obstacles
    scene: int = 0
    margin: float = 0.0
    self_margin: float = 0.0
    step: float = 0.03
    keeper: Keeper | None = None

    def free(self, q: Float) -> bool:
        """Whether a configuration [dof] keeps the margins."""
        free = self.model.free(self.world, q, self.scene, margin=self.margin, self_margin=self.self_margin)
        return free and self._kept(q[None])

    def edge_free(self, a: Float, b: Float) -> bool:
        """Whether the straight edge between two configurations [dof] keeps the margins."""
        free = self.model.edge_free(
            self.world, a, b, self.scene, step=self.step, margin=self.margin, self_margin=self.self_margin
        )
        return free and (not self.keeper or self._kept(dense(np.stack([a, b]), self.step, self.model.robot.metric)))

    def all_free(self, q: Float) -> np.ndarray:
        """Which of many configurations [n, dof] keep the margins; one compiled call."""
        cap = max(self.margin, self.self_margin, 0.0) + 0.01
        obstacle, own = self.model.clearance(self.world, q, self.scene, cap=cap)
        free = (obstacle >= self.margin) & (own >= self.self_margin)
        return free & (self.keeper.worst(q, margin=False) <= 0) if self.keeper else free

    def _kept(self, q: Float) -> bool:
        """Whether configurations [n, dof] keep the constraints."""
        return not self.keeper or bool(self.keeper.worst(q, margin=False).max() <= 0)

    def path_free(self, path: Float) -> bool:
        """Whether every edge of a polyline [m, dof] keeps the margins; one compiled call for the whole of it."""
        return bool(self.all_free(dense(path, self.step, self.model.robot.metric)).all())


@dataclass(frozen=True, kw_only=True)
class TreeConfig:
    """RRT-Connect: longest edge `range` [rad], `iterations` at most; `simplify`: OMPL's simplification afterwards."""

    range: float = 2.0
    iterations: int = 20_000
    simplify: bool = True

    def __post_init__(self) -> None:
        if not (self.range > 0 and self.iterations > 0):
            raise ValueError(f"range and iterations must be positive: {self}")


class Edges(ob.MotionValidator):
    """Edge checks by one compiled call each; counts them, and after `deadline` [s, perf_counter] calls none free.

    OMPL has loops that no termination condition ends; they all end when nothing is free any more.
    """

    def __init__(self, si: ob.SpaceInformation, checker: Checker, deadline: float) -> None:
        super().__init__(si)
        self._check = checker.edge_free
        self._metric = checker.model.robot.metric
        self.deadline = deadline
        self.count = 0

    def checkMotion(self, a: ob.State, b: ob.State, *_rest: object) -> bool:
        """Whether the straight edge between two states is free."""
        self.count += 1
        if time.perf_counter() > self.deadline:
            return False
        return self._check(configuration_of(a, self._metric), configuration_of(b, self._metric))


class OmplQuery:
    """One question to OMPL: the joint space within the robot's limits, our edge checks, a start and several goals.

    OMPL's states are joint positions times `Robot.metric`, so that its distances are the robot's.

    OMPL draws the seed of each new generator from one global generator. A query seeds that one again, and all OMPL
    objects must be made anew for each query; then one seed gives one answer, whatever ran before in the process, as
    long as the deadline is not reached. Queries must not run in parallel threads.
    """

    def __init__(self, checker: Checker, start: Float, goals: Float, *, seed: int, deadline: float = np.inf) -> None:
        """Prepare a query from start [dof] to goals [k, dof]; `deadline` in `time.perf_counter` seconds."""
        ou.RNG.setSeed(seed % (2**31 - 1) + 1)
        robot = checker.model.robot
        self.checker, self.start, self.seed, self.deadline = checker, start, seed, deadline
        self.metric = robot.metric
        self.found_at: float | None = None
        """When the planner had its first path [s, perf_counter], as it reports it."""
        space = ob.RealVectorStateSpace(robot.dof)
        bounds = ob.RealVectorBounds(robot.dof)
        for i in range(robot.dof):
            bounds.setLow(i, float(robot.lower[i] * self.metric[i]))
            bounds.setHigh(i, float(robot.upper[i] * self.metric[i]))
        space.setBounds(bounds)
        self.si = ob.SpaceInformation(space)
        # Every edge check covers both ends, so states need no check of their own.
        self.si.setStateValidityChecker(ob.AllValidStateValidityChecker(self.si))
        self.edges = Edges(self.si, checker, deadline)
        self.si.setMotionValidator(self.edges)
        self.si.setup()
        self.definition = ob.ProblemDefinition(self.si)
        self.definition.addStartState(self.state(start))
        self.aim(goals)

    def aim(self, goals: Float) -> None:
        """Make these the goals [k, dof]."""
        self.goals = goals
        goal = ob.GoalStates(self.si)
        for q in goals:
            goal.addState(self.state(q))
        self.definition.setGoal(goal)

    def state(self, q: Float) -> ob.State:
        """Return joint positions [dof] as an OMPL state."""
        state = self.si.allocState()
        cast("ob.RealVectorStateType", state)[0 : len(q)] = (q * self.metric).tolist()
        return state

    def path(self, polyline: Float) -> og.PathGeometric:
        """Return a polyline [m, dof] as OMPL's path."""
        path = og.PathGeometric(self.si)
        for q in polyline:
            path.append(self.state(q))
        return path

    def stop_after(self, iterations: int) -> ob.PlannerTerminationCondition:
        """Return a condition that holds after so many calls, or after the deadline."""
        return ob.PlannerTerminationCondition(_limit(iterations, self.deadline))

    @contextmanager
    def stopped_at(self, deadline: float) -> Iterator[None]:
        """Call no edge free after an earlier deadline [s, perf_counter], within the block.

        Some turns of OMPL's loops take a second and ask no termination condition.
        """
        self.edges.deadline = min(deadline, self.deadline)
        try:
            yield
        finally:
            self.edges.deadline = self.deadline

    def solution(self) -> og.PathGeometric | None:
        """Return the best exact solution that a planner has found."""
        if not self.definition.hasExactSolution():
            return None
        path = self.definition.getSolutionPath()
        assert isinstance(path, og.PathGeometric)
        return path

    def polyline(self, path: og.PathGeometric, *, simplify: int = 0) -> Float:
        """Return a path as a polyline [m, dof], simplified by OMPL in so many turns of its loop if `simplify` > 0."""
        if simplify:
            og.PathSimplifier(self.si).simplify(path, self.stop_after(simplify))
        points = np.array([configuration_of(state, self.metric) for state in path.getStates()])
        points[0] = self.start  # which scaling may have rounded
        return points

    def begins(self, path: og.PathGeometric) -> bool:
        """Whether a path begins at the start."""
        return np.allclose(configuration_of(path.getState(0), self.metric), self.start, rtol=1e-12, atol=0.0)

    def goal_distances(self) -> Float:
        """Return the distances [k] of the goals from the start [rad]."""
        return self.checker.model.robot.distance(self.start, self.goals)


def configuration_of(state: ob.State, metric: Float) -> Float:
    """Return the joint positions [dof] of an OMPL state."""
    return np.array(cast("ob.RealVectorStateType", state)[0 : len(metric)]) / metric


def rrt_connect(
    checker: Checker,
    start: Float,
    goals: Float,
    *,
    seed: int,
    config: TreeConfig | None = None,
    deadline: float = np.inf,
) -> Float | None:
    """Return a free polyline [m, dof] from start [dof] to one of goals [k, dof]; None if none was found in time.

    One seed gives one answer as long as `deadline` (`time.perf_counter` seconds) is not reached, see `OmplQuery`.
    Source: Kuffner and LaValle, "RRT-Connect: an efficient approach to single-query path planning", ICRA 2000.
    """
    config = config or TreeConfig()
    query = OmplQuery(checker, start, goals, seed=seed, deadline=deadline)
    path = connect(query, range=config.range, iterations=config.iterations)
    return None if path is None else query.polyline(path, simplify=config.iterations if config.simplify else 0)


def connect(query: OmplQuery, *, range: float, iterations: int) -> og.PathGeometric | None:
    """Return the first path of RRT-Connect with tree edges up to `range` [rad]; None within so many turns."""
    planner = og.RRTConnect(query.si)
    planner.setRange(range)
    planner.setProblemDefinition(query.definition)
    planner.setup()
    planner.solve(query.stop_after(iterations))
    query.found_at = time.perf_counter()
    return query.solution()


def _limit(iterations: int, deadline: float) -> Callable[[], bool]:
    """Return a condition that holds after so many calls, or after the deadline [s, perf_counter]."""
    count = 0

    def stop() -> bool:
        nonlocal count
        count += 1
        return count > iterations or time.perf_counter() > deadline

    return stop
