"""Paths as polylines [m, dof] in joint space: length, resampling, shortcutting, and rounding to a B-spline."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from diffplan import spline
from diffplan.geometry import Float


def length(path: Float) -> float:
    """Return the Euclidean length [rad] of a polyline [m, dof]."""
    return float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum())


def at(path: Float, part: Float) -> Float:
    """Return the points [k, dof] at fractions `part` [k] in [0, 1] of the arc length of a polyline [m, dof]."""
    steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
    keep = np.concatenate([[True], steps > 1e-12])
    path, steps = path[keep], steps[keep[1:]]
    if len(path) == 1:
        return np.repeat(path, len(part), axis=0)
    arc = np.concatenate([[0.0], np.cumsum(steps)])
    wanted = np.asarray(part) * arc[-1]
    i = np.clip(np.searchsorted(arc, wanted, side="right") - 1, 0, len(steps) - 1)
    weight = ((wanted - arc[i]) / steps[i])[:, None]
    return path[i] + weight * (path[i + 1] - path[i])


def resample(path: Float, points: int) -> Float:
    """Return `points` waypoints [points, dof] uniform in arc length, both ends exact."""
    result = at(path, np.linspace(0.0, 1.0, points))
    result[0], result[-1] = path[0], path[-1]
    return result


def dense(path: Float, step: float) -> Float:
    """Return the vertices of a polyline [m, dof] and points between them, at most `step` rad apart (max-norm)."""
    parts = np.maximum(1, np.ceil(np.abs(np.diff(path, axis=0)).max(axis=1) / step)).astype(np.int64)
    first = np.repeat(np.arange(len(parts)), parts)
    weight = (np.arange(len(first)) - np.repeat(np.cumsum(parts) - parts, parts)) / parts[first]
    points = path[first] + weight[:, None] * (path[first + 1] - path[first])
    return np.concatenate([points, path[-1:]])


def shortcut(
    path: Float, edge_free: Callable[[Float, Float], bool], rng: np.random.Generator, *, attempts: int
) -> Float:
    """Return a polyline no longer than `path`: random pairs of points on it joined by free straight edges.

    Stops early after as many vain attempts in a row as there are vertices times eight (nothing left to cut).
    Source: Geraerts and Overmars, "Creating high-quality paths for motion planning", IJRR 2007.
    """
    vain = 0
    for _ in range(attempts):
        if len(path) <= 2 or vain > 8 * len(path):
            break
        steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
        arc = np.concatenate([[0.0], np.cumsum(steps)])
        low, high = np.sort(rng.random(2)) * arc[-1]
        i, j = (int(k) for k in np.clip(np.searchsorted(arc, [low, high], side="right") - 1, 0, len(steps) - 1))
        vain += 1
        if i == j:
            continue
        a = path[i] + (low - arc[i]) / steps[i] * (path[i + 1] - path[i])
        b = path[j] + (high - arc[j]) / steps[j] * (path[j + 1] - path[j])
        gain = (high - low) - float(np.linalg.norm(b - a))
        if gain > 1e-3 and edge_free(a, b):
            path = np.concatenate([path[: i + 1], [a, b], path[j + 1 :]])
            vain = 0
    return path


def rounded(path: Float, spacing: float) -> Float:
    """Return B-spline control points [n, dof] on a polyline, about `spacing` rad apart, ends exact.

    The curve of a uniform cubic B-spline lies in the hull of four neighbouring control points, so it leaves a straight
    stretch only within two spacings of a corner: the closer the control points, the closer the curve.
    """
    number = max(8, int(np.ceil(length(path) / spacing)) + 3)
    control = at(path, spline.greville(number))
    control[0], control[-1] = path[0], path[-1]
    return control
