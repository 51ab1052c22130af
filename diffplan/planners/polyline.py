"""Paths as polylines [m, dof] in joint space: length, resampling, shortcutting, and rounding to a B-spline.

Lengths weigh the joints by `metric` [dof] (`Robot.metric`; 1: all turn).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from diffplan.curves import spline
from diffplan.geometry.pose import Float

Metric: TypeAlias = "Float | float"


def length(path: Float, metric: Metric = 1.0) -> float:
    """Return the Euclidean length [rad] of a polyline [m, dof]."""
    return float(_steps(path, metric).sum())


def _steps(path: Float, metric: Metric) -> Float:
    """Return the lengths [m - 1] of the edges of a polyline [m, dof]."""
    return np.linalg.norm(np.diff(path, axis=0) * metric, axis=1)


def at(path: Float, part: Float, metric: Metric = 1.0) -> Float:
    """Return the points [k, dof] at fractions `part` [k] in [0, 1] of the arc length of a polyline [m, dof]."""
    steps = _steps(path, metric)
    keep = np.concatenate([[True], steps > 1e-12])
    path, steps = path[keep], steps[keep[1:]]
    if len(path) == 1:
        return np.repeat(path, len(part), axis=0)
    arc = np.concatenate([[0.0], np.cumsum(steps)])
    wanted = np.asarray(part) * arc[-1]
    i = np.clip(np.searchsorted(arc, wanted, side="right") - 1, 0, len(steps) - 1)
    weight = ((wanted - arc[i]) / steps[i])[:, None]
    return path[i] + weight * (path[i + 1] - path[i])


def resample(path: Float, points: int, metric: Metric = 1.0) -> Float:
    """Return `points` waypoints [points, dof] uniform in arc length, both ends exact."""
    result = at(path, np.linspace(0.0, 1.0, points), metric)
    result[0], result[-1] = path[0], path[-1]
    return result


def dense(path: Float, step: float, metric: Metric = 1.0) -> Float:
    """Return the vertices of a polyline [m, dof] and points between them, at most `step` rad apart (max-norm)."""
    parts = np.maximum(1, np.ceil(np.abs(np.diff(path, axis=0) * metric).max(axis=1) / step)).astype(np.int64)
    first = np.repeat(np.arange(len(parts)), parts)
    weight = (np.arange(len(first)) - np.repeat(np.cumsum(parts) - parts, parts)) / parts[first]
    points = path[first] + weight[:, None] * (path[first + 1] - path[first])
    return np.concatenate([points, path[-1:]])


def shortcut(
    path: Float,
    edge_free: Callable[[Float, Float], bool],
    rng: np.random.Generator,
    *,
    attempts: int,
    metric: Metric = 1.0,
) -> Float:
    """Return a polyline no longer than `path`: random pairs of points on it joined by free straight edges.

    Stops early after as many vain attempts in a row as there are vertices times eight (nothing left to cut).
    Source: Geraerts and Overmars, "Creating high-quality paths for motion planning", IJRR 2007.
    """
    vain, arc = 0, _arc(path, metric)
    for low, high in np.sort(rng.random((attempts, 2)), axis=1):
        if len(path) <= 2 or vain > 8 * len(path):
            break
        vain += 1
        i, a = _point(path, arc, low * arc[-1])
        j, b = _point(path, arc, high * arc[-1])
        if i != j and (high - low) * arc[-1] - math.dist(a * metric, b * metric) > 1e-3 and edge_free(a, b):
            path = np.concatenate([path[: i + 1], [a, b], path[j + 1 :]])
            vain, arc = 0, _arc(path, metric)
    return path


def _arc(path: Float, metric: Metric) -> Float:
    """Return the arc length [m] up to each vertex."""
    return np.concatenate([[0.0], np.cumsum(_steps(path, metric))])


def _point(path: Float, arc: Float, length: float) -> tuple[int, Float]:
    """Return the edge at an arc length, and the point [dof] there."""
    i = min(int(np.searchsorted(arc, length, side="right")) - 1, len(path) - 2)
    step = arc[i + 1] - arc[i]
    weight = (length - arc[i]) / step if step > 0 else 0.0
    return i, path[i] + weight * (path[i + 1] - path[i])


def rounded(path: Float, spacing: float, metric: Metric = 1.0) -> Float:
    """Return B-spline control points [n, dof] on a polyline, about `spacing` rad apart, ends exact.

    The curve of a uniform cubic B-spline lies in the hull of four neighbouring control points, so it leaves a straight
    stretch only within two spacings of a corner: the closer the control points, the closer the curve.
    """
    number = max(8, int(np.ceil(length(path, metric) / spacing)) + 3)
    control = at(path, spline.greville(number), metric)
    control[0], control[-1] = path[0], path[-1]
    return control
