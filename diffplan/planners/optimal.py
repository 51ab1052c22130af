"""Planners of OMPL that go on improving their first path: RRT*, BIT* and AORRTC."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from diffplan.errors import InputError
from diffplan.planners.ompl import base as ob
from diffplan.planners.ompl import geometric as og
from diffplan.planners.options import require_positive
from diffplan.planners.trees import OmplQuery

GOOD_ENOUGH = 1.001
"""A path no longer than so many straight lines to the nearest goal is not improved any more."""
RESERVE = 0.2
"""Share of the time left that is kept for what comes after the search."""

Optimal: TypeAlias = "og.RRTstar | og.BITstar | og.AORRTC"


@dataclass(frozen=True, kw_only=True)
class OptimisingConfig:
    """Options of the planners that improve their paths.

    An attempt gives up after `iterations` turns of OMPL's loop without a path (later attempts take more). From the
    first path on, it is improved for `optimise_iterations` turns or `optimise_s` seconds, whichever is over first.
    `simplify`: OMPL's path simplification of the result, and a few shortcuts.
    """

    iterations: int
    optimise_iterations: int
    optimise_s: float = math.inf
    simplify: bool = True

    def __post_init__(self) -> None:
        require_positive(self, "iterations")
        for key in ("optimise_iterations", "optimise_s"):
            if not getattr(self, key) >= 0:
                raise InputError("must not be negative", key=key, value=getattr(self, key), allowed=">= 0")


@dataclass(frozen=True, kw_only=True)
class RRTStarConfig(OptimisingConfig):
    """Options of RRT*: longest edge `range` [rad], share `goal_bias` of samples that are goals.

    `k_nearest`: neighbours by number, OMPL's default, instead of those within a radius.
    """

    iterations: int = 10_000
    optimise_iterations: int = 4_000
    range: float = 1.0
    goal_bias: float = 0.05
    k_nearest: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "range", "goal_bias")


@dataclass(frozen=True, kw_only=True)
class BITStarConfig(OptimisingConfig):
    """Options of BIT*: `batch` samples are added at a time."""

    iterations: int = 20_000
    optimise_iterations: int = 10_000
    batch: int = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "batch")


@dataclass(frozen=True, kw_only=True)
class AORRTCConfig(OptimisingConfig):
    """Options of AORRTC: longest edge `range` [rad]."""

    iterations: int = 20_000
    optimise_iterations: int = 20_000
    range: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "range")


class Improving:
    """Counts the turns of a planner's loop and says when to stop: nothing found, improved enough, or time over."""

    def __init__(
        self, query: OmplQuery, config: OptimisingConfig, cost: Callable[[], float], *, iterations: int, enough: float
    ) -> None:
        """Watch `cost`, the length of the best path so far [rad] (not finite while there is none)."""
        now = time.perf_counter()
        self._query, self._config, self._cost, self._enough = query, config, cost, enough
        self._left = iterations if query.found_at is None else config.optimise_iterations
        self.deadline = query.deadline - RESERVE * max(query.deadline - now, 0.0)

    def __call__(self) -> bool:
        """Whether to stop; one call a turn."""
        now, cost, query = time.perf_counter(), self._cost(), self._query
        if query.found_at is None and math.isfinite(cost):
            query.found_at, self._left = now, self._config.optimise_iterations
            self.deadline = min(self.deadline, now + self._config.optimise_s)
        self._left -= 1
        return self._left < 0 or now > self.deadline or cost <= self._enough

    def end(self) -> None:
        """Let go of the planner, which may keep this condition: Python cannot collect such a circle through C++."""
        self._left, self._cost = 0, lambda: math.inf


def rrt_star(query: OmplQuery, config: RRTStarConfig, iterations: int) -> og.PathGeometric | None:
    """Return the best path of RRT*.

    Source: Karaman and Frazzoli, "Sampling-based algorithms for optimal motion planning", IJRR 2011.
    """

    def planner() -> Optimal:
        star = og.RRTstar(query.si)
        star.setRange(config.range)
        star.setGoalBias(config.goal_bias)
        star.setKNearest(config.k_nearest)
        return star

    return _improved(query, planner, config, iterations)


def bit_star(query: OmplQuery, config: BITStarConfig, iterations: int) -> og.PathGeometric | None:
    """Return the best path of BIT*.

    Source: Gammell, Srinivasa, Barfoot, "Batch informed trees (BIT*)", ICRA 2015.
    """

    def planner() -> Optimal:
        star = og.BITstar(query.si)
        star.setSamplesPerBatch(config.batch)
        return star

    return _improved(query, planner, config, iterations)


def aorrtc(query: OmplQuery, config: AORRTCConfig, iterations: int) -> og.PathGeometric | None:
    """Return the best path of AORRTC: RRT-Connect again and again in the space of joints and cost below the last.

    Source: Wilson, Thomason, Kingston, Kavraki, Gammell, "AORRTC: almost-surely asymptotically optimal planning with
    RRT-Connect", RA-L 2025.
    """

    def planner() -> Optimal:
        connect = og.AORRTC(query.si)
        connect.setRange(config.range)
        return connect

    return _improved(query, planner, config, iterations)


def straight(query: OmplQuery) -> og.PathGeometric | None:
    """Return the shortest free straight edge to a goal, if any, and leave the query the goals that are nearer.

    Farther goals cannot give a shorter path. It also keeps AORRTC off goals that a straight edge reaches: OMPL 2.0.1
    reads a null pointer there (https://github.com/ompl/ompl/pull/1413).
    """
    distance = query.goal_distances()
    order = np.argsort(distance, kind="stable")
    free = query.checker.edge_free
    for k, i in enumerate(order):
        goal = query.goals[i]
        if free(query.start, goal) or free(goal, query.start):
            path = query.path(np.stack([query.start, goal]))
            query.found_at = time.perf_counter()
            query.aim(query.goals[order[:k]])
            return path
    return None


def _improved(
    query: OmplQuery, make: Callable[[], Optimal], config: OptimisingConfig, iterations: int
) -> og.PathGeometric | None:
    """Run a planner until its path is improved as the options say; None if there is no path."""
    best = straight(query)
    if len(query.goals) == 0:
        return best
    planner = make()
    planner.setProblemDefinition(query.definition)
    planner.setup()
    enough = GOOD_ENOUGH * float(query.goal_distances().min())
    stop = Improving(query, config, lambda: planner.bestCost().value(), iterations=iterations, enough=enough)
    try:
        with query.stopped_at(stop.deadline):
            planner.solve(ob.PlannerTerminationCondition(stop))
    finally:
        stop.end()
    found = query.solution()
    if found is not None and not query.begins(found):
        found = None  # AORRTC of OMPL 2.0.1 can put a path together that begins at the goal (the same pull request)
    return shorter(best, found)


def shorter(one: og.PathGeometric | None, other: og.PathGeometric | None) -> og.PathGeometric | None:
    """Return the shorter of two paths; a path that is None is none."""
    if one is None or other is None:
        return other if one is None else one
    return one if one.length() <= other.length() else other
