"""RRT-Connect by OMPL with our compiled checker: the core of the sampling planner and of the training data."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
from ompl import base as ob
from ompl import geometric as og
from ompl import util as ou

from diffplan.geometry import Float
from diffplan.kernels.collision import CollisionModel, Obstacles
from diffplan.planners.polyline import dense

ou.noOutputHandler()
ou.setLogLevel(ou.LogLevel.LOG_NONE)


@dataclass(frozen=True, kw_only=True, eq=False)
class Checker:
    """The compiled collision check of one scene with its margins [m] and its step along edges [rad, max-norm]."""

    model: CollisionModel
    world: Obstacles
    scene: int = 0
    margin: float = 0.0
    self_margin: float = 0.0
    step: float = 0.03

    def free(self, q: Float) -> bool:
        """Whether a configuration [dof] keeps the margins."""
        return self.model.free(self.world, q, self.scene, margin=self.margin, self_margin=self.self_margin)

    def edge_free(self, a: Float, b: Float) -> bool:
        """Whether the straight edge between two configurations [dof] keeps the margins."""
        return self.model.edge_free(
            self.world, a, b, self.scene, step=self.step, margin=self.margin, self_margin=self.self_margin
        )

    def path_free(self, path: Float) -> bool:
        """Whether every edge of a polyline [m, dof] keeps the margins; one compiled call for the whole of it."""
        least = max(self.margin, self.self_margin)
        obstacle, own = self.model.clearance(self.world, dense(path, self.step), self.scene, cap=max(least, 0.0) + 0.01)
        return bool(np.all(obstacle >= self.margin) and np.all(own >= self.self_margin))


@dataclass(frozen=True, kw_only=True)
class TreeConfig:
    """RRT-Connect: longest tree edge `reach` [rad], iterations at most, OMPL's simplification afterwards or not."""

    reach: float = 2.0
    iterations: int = 20_000
    simplify: bool = True

    def __post_init__(self) -> None:
        if not (self.reach > 0 and self.iterations > 0):
            raise ValueError(f"reach and iterations must be positive: {self}")


class _Motion(ob.MotionValidator):
    """An edge check by one compiled call."""

    def __init__(self, si: ob.SpaceInformation, checker: Checker, dof: int) -> None:
        super().__init__(si)
        self._check = checker.edge_free
        self._joints = slice(0, dof)

    def checkMotion(self, a: ob.State, b: ob.State, *_rest: object) -> bool:
        return self._check(_array(a, self._joints), _array(b, self._joints))


def _array(state: ob.State, joints: slice) -> Float:
    return np.array(cast("ob.RealVectorStateType", state)[joints])


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

    OMPL draws the seed of each new generator from one global generator. Every call here seeds that one again and makes
    all OMPL objects anew, so one seed gives one answer as long as `deadline` (`time.perf_counter` seconds) is not
    reached, whatever ran before in the process; calls must not run in parallel threads.
    Source: Kuffner and LaValle, "RRT-Connect: an efficient approach to single-query path planning", ICRA 2000.
    """
    config = config or TreeConfig()
    ou.RNG.setSeed(seed % (2**31 - 1) + 1)
    robot = checker.model.robot
    space = ob.RealVectorStateSpace(robot.dof)
    bounds = ob.RealVectorBounds(robot.dof)
    for i in range(robot.dof):
        bounds.setLow(i, float(robot.lower[i]))
        bounds.setHigh(i, float(robot.upper[i]))
    space.setBounds(bounds)
    si = ob.SpaceInformation(space)
    si.setStateValidityChecker(ob.AllValidStateValidityChecker(si))  # every edge check covers both ends
    si.setMotionValidator(_Motion(si, checker, robot.dof))
    si.setup()
    definition = ob.ProblemDefinition(si)
    definition.addStartState(_state(si, start))
    goal = ob.GoalStates(si)
    for q in goals:
        goal.addState(_state(si, q))
    definition.setGoal(goal)
    planner = og.RRTConnect(si)
    planner.setRange(config.reach)
    planner.setProblemDefinition(definition)
    planner.setup()
    stop = ob.PlannerTerminationCondition(_limit(config.iterations, deadline))
    planner.solve(stop)
    if not definition.hasExactSolution():
        return None
    path = definition.getSolutionPath()
    assert isinstance(path, og.PathGeometric)
    if config.simplify:
        og.PathSimplifier(si).simplify(path, ob.PlannerTerminationCondition(_limit(config.iterations, deadline)))
    return np.array([_array(state, slice(0, robot.dof)) for state in path.getStates()])


def _state(si: ob.SpaceInformation, q: Float) -> ob.State:
    state = si.allocState()
    cast("ob.RealVectorStateType", state)[0 : len(q)] = q.tolist()
    return state


def _limit(iterations: int, deadline: float) -> Callable[[], bool]:
    """Return a condition that holds after so many calls, or after the deadline [s, perf_counter]."""
    count = 0

    def stop() -> bool:
        nonlocal count
        count += 1
        return count > iterations or time.perf_counter() > deadline

    return stop
