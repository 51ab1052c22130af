"""The straight line in joint space: the planner that every other one must beat."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from diffplan.curves import spline
from diffplan.planners.base import Candidate, Planner
from diffplan.planners.task import Task

_CONTROL_POINTS = 8


class StraightPlanner(Planner):
    """Yields the straight line to each goal, nearest first, without any check."""

    name = "straight"

    def candidates(self, task: Task) -> Iterator[Candidate]:
        """Yield one candidate a goal; the seed does not matter."""
        problem = task.problem
        nearest = np.argsort(problem.robot.distance(problem.start, problem.goals), kind="stable")
        for index in nearest:
            if time.perf_counter() > task.deadline:
                return
            control = spline.straight(problem.start, problem.goals[index], _CONTROL_POINTS)
            yield Candidate(control=control, goal_index=int(index), source=self.name)
