"""Pull a path tight: an elastic band of waypoints that shortens itself and is pushed off the obstacles."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from diffplan.collision.cpu import CollisionModel, Obstacles
from diffplan.geometry.pose import Float
from diffplan.planners.polyline import length, resample

# (tension, iterations, activation [m]): taut first, then slack so that the push settles; tuned for 64 waypoints.
SCHEDULES = (
    ((3.0, 20, 0.03), (0.7, 20, 0.03), (0.2, 15, 0.03)),
    ((0.3, 80, 0.04),),
)
_LONGEST_PUSH = 0.05  # [rad] a waypoint and iteration
_SELF_ACTIVATION = 0.008  # [m]


def tighten(
    model: CollisionModel, world: Obstacles, waypoints: Float, is_free: Callable[[Float], bool], *, scene: int = 0
) -> Float:
    """Return the shortest free band reached from waypoints [n, dof] (uniform in arc length), or them if none is.

    Each iteration moves every inner waypoint along its collision gradient by the capped Gauss-Newton step
    2 c g / |g|^2, then relaxes the band implicitly: (I + tension A) x = pushed, A the second-difference matrix.
    Source: Quinlan and Khatib, "Elastic bands: connecting path planning and control", ICRA 1993.
    """
    metric = model.robot.metric
    best, best_length = waypoints, length(waypoints, metric)
    for schedule in SCHEDULES:
        band = waypoints
        for tension, iterations, activation in schedule:
            band = _relax(model, world, band, tension, iterations, activation, scene)
        band = resample(band, len(waypoints), metric)
        if length(band, metric) < best_length and is_free(band):
            best, best_length = band, length(band, metric)
            break
    return best


def _relax(
    model: CollisionModel, world: Obstacles, band: Float, tension: float, iterations: int, activation: float, scene: int
) -> Float:
    smooth = _smoother(len(band) - 2, tension)
    ends = np.zeros((len(band) - 2, band.shape[1]))
    ends[0], ends[-1] = tension * band[0], tension * band[-1]
    band = band.copy()
    which = np.array([scene])
    for _ in range(iterations):
        found = model.evaluate(
            world, band[None].astype(np.float32), which, activation=activation, self_activation=_SELF_ACTIVATION
        )
        gradient = found.gradient[0, 1:-1].astype(np.float64) / model.robot.metric
        cost = found.cost[0, 1:-1, None].astype(np.float64)
        push = 2 * cost / np.maximum((gradient**2).sum(axis=1, keepdims=True), 1e-9) * gradient
        push *= np.minimum(1.0, _LONGEST_PUSH / np.maximum(np.linalg.norm(push, axis=1, keepdims=True), 1e-9))
        band[1:-1] = smooth @ (band[1:-1] - push / model.robot.metric + ends)
    lower, upper = model.robot.lower, model.robot.upper
    return np.clip(band, lower, upper)


@lru_cache(maxsize=32)
def _smoother(n: int, tension: float) -> Float:
    second = 2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
    return np.linalg.inv(np.eye(n) + tension * second).astype(np.float64)
