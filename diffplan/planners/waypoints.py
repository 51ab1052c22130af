"""Trajectories as waypoints [points, dof] equally spaced in time, as CHOMP and its relatives optimise them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from diffplan.collision.cpu import CollisionModel, Obstacles
from diffplan.curves import spline
from diffplan.geometry.pose import Float
from diffplan.problem import Problem
from diffplan.refinement import RefineConfig, Refiner
from diffplan.robot.model import Robot

_MARGIN = 0.625  # share of what the spheres leave uncovered of the links; the diffusion planner asks as much first
_CONTROL_SHARE = 0.4  # control points a waypoint: enough to follow every bend that the waypoints can be trusted with


def quintic(start: Float, goal: Float, points: int) -> Float:
    """Return the minimum-jerk trajectory [points, dof] from rest at start to rest at goal [dof]."""
    s = np.linspace(0.0, 1.0, points)[:, None]
    path = start + (10 * s**3 - 15 * s**4 + 6 * s**5) * (goal - start)
    path[-1] = goal
    return path


@dataclass(frozen=True, kw_only=True, eq=False)
class Metric:
    """The smoothness metric of the inner waypoints, scaled so that the inverse's greatest entry is 1.

    `hessian` [points, points] is that of the smoothness cost, ends included; `inverse` [points - 2, points - 2] is the
    inverse of its inner block with the ridge; `root` its Cholesky factor, for smooth noise.
    """

    hessian: Float
    inverse: Float
    root: Float

    def cost(self, path: Float) -> tuple[float, Float]:
        """Return the smoothness cost of a path [points, dof] and its gradient [points - 2, dof]."""
        pull = self.hessian @ path
        return float((path * pull).sum()), 2 * pull[1:-1]


@lru_cache(maxsize=16)
def metric(points: int, dt: float, ridge: float) -> Metric:
    """Return the metric of squared accelerations by finite differences, from rest to rest, plus a ridge.

    As MoveIt scales it: second differences squared times dt^2, plus the ridge, then the greatest entry of the inverse
    made 1. The ridge stands in the metric only; in MoveIt it also pulls the joints to zero. Source: Zucker et al.,
    "CHOMP", IJRR 2013, eqs. 4 and 15.
    """
    second = -2 * np.eye(points) + np.eye(points, k=1) + np.eye(points, k=-1)
    second[0, 0] = second[-1, -1] = -1.0  # the ends are at rest: the waypoint before the first is the first again
    hessian = dt**2 * second.T @ second
    inner = hessian[1:-1, 1:-1] + ridge * np.eye(points - 2)
    inverse = np.linalg.inv(inner)
    scale = inverse.max()
    inverse = (inverse + inverse.T) / (2 * scale)
    return Metric(
        hessian=hessian * scale, inverse=inverse, root=np.linalg.cholesky(inverse + 1e-10 * np.eye(points - 2))
    )


def within_limits(path: Float, robot: Robot, inverse: Float, *, passes: int = 10) -> None:
    """Bring a path [points, dof] back into the joint limits, smoothly: the worst waypoint at a time.

    A violation is taken back along its column of the inverse metric; after `passes` a joint, what is left is clipped.
    Source: Zucker et al., "CHOMP", IJRR 2013, section 4.4.
    """
    for j in range(robot.dof):
        inner = path[1:-1, j]
        for _ in range(passes):
            beyond = np.maximum(robot.lower[j] - inner, 0.0) + np.minimum(robot.upper[j] - inner, 0.0)
            worst = int(np.argmax(np.abs(beyond)))
            if abs(beyond[worst]) < 1e-6:
                break
            inner += beyond[worst] * inverse[:, worst] / inverse[worst, worst]
        np.clip(inner, robot.lower[j], robot.upper[j], out=inner)


class Believer:
    """An optimiser's own check of its path, in the sphere model: obstacles and self, between the waypoints too.

    Ends with less room than the margin excuse as much near by (see `RefineConfig`).
    """

    def __init__(self, model: CollisionModel, world: Obstacles) -> None:
        self._refiner = Refiner(model, world, RefineConfig(clearance=_MARGIN * model.robot.spheres.uncovered))

    def free(self, control: Float) -> bool:
        """Whether the curve of control points [n, dof] is free."""
        return bool(self._refiner.slack_along(control[None]).min() >= 0.0)


def control_points(path: Float, robot: Robot) -> Float:
    """Return B-spline control points [n, dof] of the curve closest to waypoints [points, dof], within the limits."""
    number = max(spline.DEGREE + 5, round(_CONTROL_SHARE * len(path)))
    return spline.fit_within(path, number, robot.lower, robot.upper)


def goals_in_turn(problem: Problem) -> Iterator[int]:
    """Yield the indices of the goals, nearest first."""
    yield from np.argsort(problem.robot.distance(problem.start, problem.goals), kind="stable").tolist()
