"""PRM* of OMPL: a roadmap grown by counts, so that one seed gives one answer, and its shortest paths."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from diffplan.geometry.pose import Float
from diffplan.planners.ompl import base as ob
from diffplan.planners.ompl import geometric as og
from diffplan.planners.optimal import GOOD_ENOUGH, RESERVE, OptimisingConfig, shorter, straight
from diffplan.planners.polyline import length
from diffplan.planners.trees import Checker, OmplQuery, configuration_of

_FIRST = 100  # milestones before the first look for a path; each further look comes at twice as many
_BATCH = 256  # configurations that are drawn and checked at a time


@dataclass(frozen=True, kw_only=True)
class PRMStarConfig(OptimisingConfig):
    """Options of PRM*: its `iterations` are milestones."""

    iterations: int = 2_000
    optimise_iterations: int = 400


class _FreeStates(ob.ValidStateSampler):
    """Uniform samples that are free: drawn and checked many at a time in one compiled call.

    It must not hold the query: OMPL's space keeps it, and Python cannot collect a circle through C++.
    """

    def __init__(self, si: ob.SpaceInformation, checker: Checker, seed: int) -> None:
        super().__init__(si)
        self._checker, self._rng = checker, np.random.default_rng(seed)
        self._ready: list[list[float]] = []

    def sample(self, state: ob.State) -> bool:
        """Write the next free sample into a state; False if a whole batch had none."""
        if not self._ready:
            robot = self._checker.model.robot
            q = self._rng.uniform(robot.lower, robot.upper, (_BATCH, robot.dof))
            self._ready = (q[self._checker.all_free(q)] * robot.metric).tolist()
        if not self._ready:
            return False
        free = self._ready.pop()
        cast("ob.RealVectorStateType", state)[0 : len(free)] = free
        return True


def prm_star(query: OmplQuery, config: PRMStarConfig, iterations: int) -> og.PathGeometric | None:
    """Return the shortest path through a PRM* roadmap of at most so many milestones; None if they join no goal.

    OMPL's own `solve` looks for a path from a second thread, at times that the machine's speed decides. So OMPL grows
    the roadmap here (samples, neighbours, edges), and the shortest path through it is found by Dijkstra's algorithm.
    Source: Karaman and Frazzoli, "Sampling-based algorithms for optimal motion planning", IJRR 2011.
    """
    best = straight(query)
    if len(query.goals) == 0:
        return best
    checker, seed = query.checker, query.seed
    query.si.setValidStateSamplerAllocator(lambda si: _FreeStates(si, checker, seed))
    planner = og.PRMstar(query.si)
    planner.setProblemDefinition(query.definition)
    planner.setup()
    for _ in query.goals:  # each call takes in one more goal, and ends at once
        planner.solve(ob.plannerAlwaysTerminatingCondition())
    begin = time.perf_counter()
    deadline = query.deadline - RESERVE * max(query.deadline - begin, 0.0)
    size, path = 0, _shortest(query, planner)
    while path is None and best is None and size < iterations and time.perf_counter() < deadline:
        size = min(max(2 * size, _FIRST), iterations)
        planner.growRoadmapPtc(ob.PlannerTerminationCondition(_reached(planner, size, deadline)))
        path = _shortest(query, planner)
    if path is None and best is None:
        return None
    now = time.perf_counter()
    query.found_at = query.found_at or now
    if path is None or length(path, query.metric) > GOOD_ENOUGH * float(query.goal_distances().min()):
        size = planner.milestoneCount() + config.optimise_iterations
        deadline = min(deadline, now + config.optimise_s)
        planner.growRoadmapPtc(ob.PlannerTerminationCondition(_reached(planner, size, deadline)))
        path = _shortest(query, planner)
    return shorter(best, None if path is None else query.path(path))


def _reached(planner: og.PRMstar, size: int, deadline: float) -> Callable[[], bool]:
    return lambda: planner.milestoneCount() >= size or time.perf_counter() > deadline


def _shortest(query: OmplQuery, planner: og.PRMstar) -> Float | None:
    """Return the shortest polyline [m, dof] through the roadmap from the start to a goal; None if it joins none."""
    data = ob.PlannerData(query.si)
    planner.getPlannerData(data)
    count = data.numVertices()
    if data.numStartVertices() == 0 or data.numGoalVertices() == 0:
        return None
    q = np.array([configuration_of(data.getVertex(i).getState(), query.metric) for i in range(count)])
    ends = [data.getEdges(i) for i in range(count)]
    tail = np.repeat(np.arange(count), [len(e) for e in ends])
    head = np.array([j for e in ends for j in e], dtype=np.int64)
    graph = csr_matrix((query.checker.model.robot.distance(q[head], q[tail]), (tail, head)), shape=(count, count))
    start = data.getStartIndex(0)
    distance, before = dijkstra(graph, directed=False, indices=start, return_predecessors=True)
    goals = [data.getGoalIndex(i) for i in range(data.numGoalVertices())]
    vertex = min(goals, key=lambda goal: float(distance[goal]))
    if not np.isfinite(distance[vertex]):
        return None
    way = [vertex]
    while way[-1] != start:
        way.append(int(before[way[-1]]))
    return q[way[::-1]]
