"""A cubic spline q(s) run through by another, s(r), evaluated with its derivatives by r: compiled.

Both are given by the powers of (parameter - begin of the piece) in pieces of equal length over [0, 1] (spline.taylor).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from diffplan.geometry.pose import Float


@njit(cache=True)
def composed(outer: Float, inner: Float, r: Float) -> tuple[Float, Float, Float, Float]:
    """Return q and its first three derivatives by r, each [m, dof], at parameters r [m].

    Where one of the splines has a knot the third derivative is that behind it; at the end of [0, 1] that before it.

    Args:
        outer: the powers of q(s) [k, 4, dof].
        inner: the powers of s(r) [j, 4].
        r: parameters in [0, 1].
    """
    k, _, dof = outer.shape
    j = len(inner)
    q, first = np.empty((len(r), dof)), np.empty((len(r), dof))
    second, third = np.empty((len(r), dof)), np.empty((len(r), dof))
    for m in range(len(r)):
        piece = min(max(int(r[m] * j), 0), j - 1)
        x, a = r[m] - piece / j, inner[piece]
        s = min(max(a[0] + x * (a[1] + x * (a[2] + x * a[3])), 0.0), 1.0)
        rate, bend, jerk = a[1] + x * (2 * a[2] + x * 3 * a[3]), 2 * a[2] + 6 * x * a[3], 6 * a[3]
        piece = min(int(s * k), k - 1)
        y = s - piece / k
        for i in range(dof):
            b0, b1, b2, b3 = outer[piece, 0, i], outer[piece, 1, i], outer[piece, 2, i], outer[piece, 3, i]
            by_s, twice, thrice = b1 + y * (2 * b2 + y * 3 * b3), 2 * b2 + 6 * y * b3, 6 * b3
            q[m, i] = b0 + y * (b1 + y * (b2 + y * b3))
            first[m, i] = by_s * rate
            second[m, i] = twice * rate**2 + by_s * bend
            third[m, i] = thrice * rate**3 + 3 * twice * rate * bend + by_s * jerk
    return q, first, second, third
