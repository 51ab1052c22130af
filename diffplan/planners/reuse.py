"""Paths made from paths: an earlier motion fitted to new ends, and smooth random bends, of a colliding stretch too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from diffplan.curves import spline
from diffplan.geometry.pose import Float
from diffplan.planners.polyline import resample
from diffplan.problem import Problem, Trajectory
from diffplan.refinement import Refiner, metric_inverse
from diffplan.robot.model import Robot

if TYPE_CHECKING:
    import torch

WARM_START = "warm-start"
"""Source of a candidate that an earlier motion led to."""
_PLACES = 128
_ACTS = 0.1
"""A control point acts on a place of the curve where its share of it is at least this."""


def adapted(previous: Trajectory, problem: Problem, n: int) -> tuple[Float, int]:
    """Return an earlier motion as control points [n, dof] from the problem's start to a goal, and that goal's index.

    The goal is the one nearest to where the motion ended. What start and goal have moved by fades along the path, so
    that its form stays; control points are kept within the joint limits.
    """
    # An earlier motion that began another turn away is the same one.
    begin, robot = previous.position[0], problem.robot
    position = previous.position + (robot.nearest_turn(begin, problem.start) - begin)
    goal = int(np.argmin(robot.distance(position[-1], problem.goals)))
    ends = problem.start, problem.goals[goal]
    control = spline.fit(resample(position, _PLACES, robot.metric), n)
    share = spline.greville(n)[:, None]
    control += (1 - share) * (ends[0] - control[0]) + share * (ends[1] - control[-1])
    control = np.clip(control, problem.robot.lower, problem.robot.upper)
    control[0], control[-1] = ends
    return control, goal


def bent(
    control: Float,
    robot: Robot,
    generator: torch.Generator,
    amplitudes: tuple[float, float],
    where: np.ndarray | None = None,
) -> Float:
    """Return paths [batch, K, dof] bent by smooth Gaussian noise, its size [rad] growing over the batch.

    The noise has the smoothness metric's covariance, is unit-sized in the middle of the path and goes from the first
    to the second of `amplitudes`; where `where` [batch, K] is false control points stay, as the ends always do.
    """
    import torch  # here, because it takes a second, and most plans reuse none

    batch, n, dof = control.shape
    noise = torch.randn((batch, n - 2, dof), generator=generator, dtype=torch.float64).numpy()
    root = np.linalg.cholesky(metric_inverse(n) + 1e-9 * np.eye(n - 2))
    move = np.linspace(*amplitudes, batch)[:, None, None] * (root @ noise) / robot.metric
    if where is not None:
        move *= where[:, 1:-1, None]
    result = control.copy()
    result[:, 1:-1] = np.clip(control[:, 1:-1] + move, robot.lower, robot.upper)
    return result


def colliding_stretch(refiner: Refiner, control: Float, widen: int) -> np.ndarray:
    """Return for each control point of paths [b, K, dof] whether it lies in the stretch that collides, [b, K].

    The stretch reaches from the first to the last control point that acts on a place without the wanted clearance,
    and `widen` control points farther on either side, but leaves the ends out; a path that is clear has none.
    """
    n = control.shape[1]
    slack = refiner.slack_along(control)
    acts = spline.basis(n, slack.shape[1]) >= _ACTS
    touched = (slack < 0) @ acts
    index = np.arange(n)
    first = np.where(touched, index, n).min(axis=1, keepdims=True) - widen
    last = np.where(touched, index, -1).max(axis=1, keepdims=True) + widen
    inside = (index >= first) & (index <= last) & touched.any(axis=1, keepdims=True)
    inside[:, [0, -1]] = False
    return inside
