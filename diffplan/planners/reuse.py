"""Re-use of an earlier motion: bent smoothly so that it joins the new start and goal."""

from __future__ import annotations

import numpy as np

from diffplan import spline
from diffplan.geometry import Float
from diffplan.planners.polyline import resample
from diffplan.problem import Problem, Trajectory

WARM_START = "warm-start"
"""Source of a candidate that an earlier motion led to."""
_PLACES = 128


def adapted(previous: Trajectory, problem: Problem, n: int) -> tuple[Float, int]:
    """Return an earlier motion as control points [n, dof] from the problem's start to a goal, and that goal's index.

    The goal is the one nearest to where the motion ended. What start and goal have moved by fades along the path, so
    that its form stays; control points are kept within the joint limits.
    """
    goal = int(np.argmin(np.linalg.norm(problem.goals - previous.position[-1], axis=1)))
    ends = problem.start, problem.goals[goal]
    control = spline.fit(resample(previous.position, _PLACES), n)
    share = spline.greville(n)[:, None]
    control += (1 - share) * (ends[0] - control[0]) + share * (ends[1] - control[-1])
    control = np.clip(control, problem.robot.lower, problem.robot.upper)
    control[0], control[-1] = ends
    return control, goal
