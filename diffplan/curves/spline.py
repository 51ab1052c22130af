"""Clamped uniform cubic B-splines: the one representation of a path before it is timed.

A path is a matrix of control points [n, dof]. The curve starts at the first and ends at the last, is twice
continuously differentiable, and stays in the hull of four neighbouring control points.
Source: de Boor, "A Practical Guide to Splines", 1978, ch. IX.
"""

from __future__ import annotations

from functools import lru_cache
from math import factorial

import numpy as np
from scipy.interpolate import BSpline
from scipy.optimize import lsq_linear

from diffplan.geometry.pose import Float

DEGREE = 3


@lru_cache(maxsize=64)
def knots(n: int) -> Float:
    """Return the clamped uniform knot vector [n + 4] on [0, 1] for n >= 4 control points.

    Raises:
        ValueError: if n < 4.
    """
    if n < DEGREE + 1:
        raise ValueError(f"a cubic B-spline needs at least 4 control points, not {n}")
    inner = np.linspace(0.0, 1.0, n - DEGREE + 1)
    return np.concatenate([np.zeros(DEGREE), inner, np.ones(DEGREE)])


@lru_cache(maxsize=64)
def basis(n: int, points: int, derivative: int = 0) -> Float:
    """Return the matrix [points, n] that maps control points to the curve (or a derivative) at uniform parameters."""
    spline = BSpline(knots(n), np.eye(n), DEGREE)
    matrix = np.asarray(spline(np.linspace(0.0, 1.0, points), nu=derivative))
    matrix.setflags(write=False)
    return matrix


@lru_cache(maxsize=64)
def taylor(n: int) -> Float:
    """Return the tensor [n - 3, 4, n] that maps control points to the powers of (parameter - begin) in each piece."""
    spline, begins = BSpline(knots(n), np.eye(n), DEGREE), np.linspace(0.0, 1.0, n - DEGREE + 1)[:-1]
    powers = [np.asarray(spline(begins, nu=k)) / factorial(k) for k in range(DEGREE + 1)]
    return np.stack(powers, axis=1)


@lru_cache(maxsize=64)
def greville(n: int) -> Float:
    """Return the parameter [n] at which each control point acts most (Greville abscissae)."""
    t = knots(n)
    return np.array([t[i + 1 : i + 1 + DEGREE].mean() for i in range(n)])


@lru_cache(maxsize=64)
def interpolation(n: int) -> Float:
    """Return the matrix [n, n] from the curve's values at `greville` to the control points."""
    return np.linalg.inv(BSpline(knots(n), np.eye(n), DEGREE)(greville(n)))


@lru_cache(maxsize=64)
def _fit_matrix(n: int, points: int) -> tuple[Float, Float]:
    matrix = basis(n, points)
    return np.linalg.pinv(matrix[:, 1:-1]).astype(np.float64), matrix[:, [0, -1]]


def fit(waypoints: Float, n: int) -> Float:
    """Return the control points [..., n, dof] closest (least squares) to waypoints [..., points, dof], ends exact."""
    solve, at_ends = _fit_matrix(n, waypoints.shape[-2])
    ends = waypoints[..., [0, -1], :]
    inner = solve @ (waypoints - at_ends @ ends)
    return np.concatenate([ends[..., :1, :], inner, ends[..., 1:, :]], axis=-2)


def fit_within(waypoints: Float, n: int, lower: Float, upper: Float) -> Float:
    """Return the control points [n, dof] closest to waypoints [points, dof] of those within limits [dof], ends exact.

    By the hull property the curve keeps the limits where the ends do. Bounded least squares, for the joints whose free
    fit leaves the limits.
    """
    control = fit(waypoints, n)
    beyond = ((control[1:-1] < lower) | (control[1:-1] > upper)).any(axis=0)
    for j in np.flatnonzero(beyond):
        matrix = basis(n, len(waypoints))
        target = waypoints[:, j] - matrix[:, [0, -1]] @ waypoints[[0, -1], j]
        control[1:-1, j] = lsq_linear(matrix[:, 1:-1], target, (lower[j], upper[j]), method="bvls").x
    return control


def straight(start: Float, goal: Float, n: int) -> Float:
    """Return the control points [..., n, dof] of straight lines from start to goal [..., dof], ends exact."""
    start, goal = np.broadcast_arrays(start, goal)
    control = start[..., None, :] + greville(n)[:, None] * (goal - start)[..., None, :]
    control[..., -1, :] = goal  # start + (goal - start) may be off by a rounding
    return control
