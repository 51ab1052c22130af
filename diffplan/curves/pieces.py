"""A cubic spline q(s) run through by another, s(r): its derivatives by r, and what it exceeds in time. Compiled.

Both are given by the powers of (parameter - begin of the piece) in pieces of equal length over [0, 1] (spline.taylor).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from diffplan.geometry.pose import Float
from diffplan.system.compiled import inner as borrowing


@njit(cache=True, error_model="numpy")
def composed(outer: Float, inner: Float, r: Float) -> tuple[Float, Float, Float, Float]:
    """Return q and its first three derivatives by r, each [m, dof], at parameters r [m].

    Where one of the splines has a knot the third derivative is that behind it; at the end of [0, 1] that before it.

    Args:
        outer: the powers of q(s) [k, 4, dof].
        inner: the powers of s(r) [j, 4].
        r: parameters in [0, 1].
    """
    dof = outer.shape[2]
    q, first = np.empty((len(r), dof)), np.empty((len(r), dof))
    second, third = np.empty((len(r), dof)), np.empty((len(r), dof))
    for m in range(len(r)):
        _at(outer, inner, r[m], first[m], second[m], (q[m], third[m]))
    return q, first, second, third


@borrowing(error_model="numpy")
def _at(outer: Float, inner: Float, r: float, first: Float, second: Float, others: tuple[Float, Float] | None) -> None:
    """Set the first two derivatives at r, each [dof], and `others`, if they are wanted: q itself and the third."""
    k, j = len(outer), len(inner)
    piece = min(max(int(r * j), 0), j - 1)
    x, a = r - piece / j, inner[piece]
    s = min(max(a[0] + x * (a[1] + x * (a[2] + x * a[3])), 0.0), 1.0)
    rate, bend, jerk = a[1] + x * (2 * a[2] + x * 3 * a[3]), 2 * a[2] + 6 * x * a[3], 6 * a[3]
    piece = min(int(s * k), k - 1)
    y = s - piece / k
    for i in range(len(first)):
        b0, b1, b2, b3 = outer[piece, 0, i], outer[piece, 1, i], outer[piece, 2, i], outer[piece, 3, i]
        by_s, twice, thrice = b1 + y * (2 * b2 + y * 3 * b3), 2 * b2 + 6 * y * b3, 6 * b3
        first[i] = by_s * rate
        second[i] = twice * rate**2 + by_s * bend
        if others is not None:
            others[0][i] = b0 + y * (b1 + y * (b2 + y * b3))
            others[1][i] = thrice * rate**3 + 3 * twice * rate * bend + by_s * jerk


class Course(NamedTuple):
    """A curve `outer`, `inner` (as for `composed`) in time, and its limits.

    `grid`, `time`, `speed` are the parameter r, when it is reached (s), and dr/dt there [n], `rates` the path
    acceleration in each segment [n - 1], `velocity` and `acceleration` the limits [dof].
    """

    outer: Float
    inner: Float
    grid: Float
    time: Float
    speed: Float
    rates: Float
    velocity: Float
    acceleration: Float


@njit(cache=True, error_model="numpy")
def excess(course: Course, places: Float, step: float) -> Float:
    """Return by which factor time must be stretched [n - 1], so that the curve keeps its limits, by segments of time.

    Args:
        course: the curve in time, and its limits.
        places: where in each segment is looked, in [0, 1).
        step: and every so many s.
    """
    time, n, dof = course.time, len(course.grid) - 1, course.outer.shape[2]
    found, room = np.zeros(n), np.empty((2, dof))
    segment, ticks = 0, int(np.ceil(time[n] / step))
    for i in range(ticks):
        while segment < n - 1 and i * step >= time[segment + 1]:
            segment += 1
        most = _too_fast(course, segment, i * step, room)
        found[segment] = max(found[segment], most)
    for k in range(n):
        for place in places:
            t = time[k] + (time[k + 1] - time[k]) * place
            segment = k + 1 if k < n - 1 and t >= time[k + 1] else k
            most = _too_fast(course, segment, t, room)
            found[segment] = max(found[segment], most)
    return found


@borrowing(error_model="numpy")
def _too_fast(course: Course, k: int, t: float, room: Float) -> float:
    """Return the factor at time t in segment k."""
    velocity, acceleration = course.velocity, course.acceleration
    dt, u, v = t - course.time[k], course.rates[k], course.speed[k]
    r, v = min(max(course.grid[k] + dt * (v + dt * u / 2), 0.0), 1.0), max(v + dt * u, 0.0)
    _at(course.outer, course.inner, r, room[0], room[1], None)
    fastest, strongest = 0.0, 0.0
    for i in range(len(velocity)):
        fastest = max(fastest, abs(room[0, i] * v) / velocity[i])
        strongest = max(strongest, abs(room[1, i] * (v * v) + room[0, i] * u) / acceleration[i])
    return max(fastest, np.sqrt(strongest))
