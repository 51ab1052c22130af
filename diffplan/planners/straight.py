"""The straight line in joint space: the planner that every other one must beat."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from diffplan import spline
from diffplan.planners.base import Candidate, Planner
from diffplan.problem import Problem

_CONTROL_POINTS = 8


class StraightPlanner(Planner):
    """Yields the straight line to each goal, nearest first, without any check."""

    name = "straight"

    def candidates(self, problem: Problem, *, seed: int, deadline: float) -> Iterator[Candidate]:
        """Yield one candidate a goal; the seed does not matter."""
        nearest = np.argsort(np.linalg.norm(problem.goals - problem.start, axis=1), kind="stable")
        for index in nearest:
            if time.perf_counter() > deadline:
                return
            control = spline.straight(problem.start, problem.goals[index], _CONTROL_POINTS)
            yield Candidate(control=control, goal_index=int(index), source=self.name)
