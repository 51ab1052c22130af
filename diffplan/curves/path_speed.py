"""The fastest way along a path under bounds on velocity and acceleration: TOPP-RA, compiled.

H. Pham, Q.-C. Pham, "A New Approach to Time-Optimal Path Parameterization Based on Reachability Analysis", IEEE T-RO
34(3), 2018. On a grid r_i let x_i be the square of the path speed, and u_i the path acceleration, constant from r_i to
r_i+1, so that x_i+1 = x_i + 2 (r_i+1 - r_i) u_i. A joint with q' and q'' by r has the acceleration q'' x + q' u. It is
bounded at both ends of each segment, which are linear constraints on x_i and u_i.

Backwards: the largest x_i from which rest at the end can be reached (`_largest`). Standing still keeps all bounds, and
what can be reached is convex, so that every smaller x_i is one too. Forwards: the largest u_i that keeps to those.

The largest x_i: for given x_i each constraint is a bound on u_i, linear in x_i. The least of the upper bounds less the
greatest of the lower ones is a concave function of x_i, not negative at 0, of which the largest root is looked for. The
two lines that count at x_i have a difference that is never less than the function, so that their crossing lies between
x_i and the root; from there it is done again (Newton's method), and ends at the root, as there are finitely many lines.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from diffplan.geometry.pose import Float
from diffplan.system.compiled import inner

_FLAT = 1e-9  # a coefficient of u below this has no say in it: it is added to others of about 1
_TURNS = 100


@njit(cache=True)
def fastest(grid: Float, first: Float, second: Float, most: Float, cap: Float) -> Float:
    """Return the path speed [n] at grid points of the fastest motion from rest to rest.

    Args:
        grid: path parameters r [n], rising.
        first: dq/dr there [n, dof], in units in which it is about 1.
        second: likewise d2q/dr2.
        most: the greatest acceleration of each joint [dof].
        cap: the greatest path speed at each grid point [n].
    """
    n = len(grid)
    reachable, x = np.zeros(n), np.zeros(n)
    for i in range(n - 2, -1, -1):
        reachable[i] = _largest(grid[i + 1] - grid[i], first, second, most, i, cap[i] ** 2, reachable[i + 1])
    for i in range(n - 2):
        twice = 2 * (grid[i + 1] - grid[i])
        _, _, high, _ = _bounds(twice, first, second, most, i, x[i], reachable[i + 1])
        x[i + 1] = min(max(x[i] + twice * high, 0.0), reachable[i + 1])
    return np.sqrt(x)


@inner()
def _largest(step: float, first: Float, second: Float, most: Float, i: int, x: float, top: float) -> float:
    """Return the largest x_i, at most x, from which some x_i+1 up to `top` can be reached."""
    for j in range(first.shape[1]):
        ends = ((first[i, j], second[i, j]), (first[i + 1, j] + 2 * step * second[i + 1, j], second[i + 1, j]))
        for of_u, of_x in ends:
            if abs(of_u) < _FLAT and abs(of_x) * x > most[j]:
                x = most[j] / abs(of_x)
    for _ in range(_TURNS):
        low, low_slope, high, high_slope = _bounds(2 * step, first, second, most, i, x, top)
        if high >= low:
            break
        nearer = x + (low - high) / (high_slope - low_slope) if high_slope < low_slope else 0.0
        if not nearer < x:  # as near as numbers are
            break
        x = max(nearer, 0.0)
    return x


@inner()
def _bounds(
    twice: float, first: Float, second: Float, most: Float, i: int, x: float, top: float
) -> tuple[float, float, float, float]:
    """Return the greatest lower bound on u_i at x_i = x and its slope by x_i, and the least upper one and its slope."""
    low, low_slope = -x / twice, -1 / twice
    high, high_slope = (top - x) / twice, -1 / twice
    for j in range(first.shape[1]):
        for end in range(2):
            of_u, of_x = first[i + end, j] + end * twice * second[i + end, j], second[i + end, j]
            if abs(of_u) < _FLAT:
                continue
            middle, width, slope = -of_x * x / of_u, most[j] / abs(of_u), -of_x / of_u
            if middle - width > low:
                low, low_slope = middle - width, slope
            if middle + width < high:
                high, high_slope = middle + width, slope
    return low, low_slope, high, high_slope
