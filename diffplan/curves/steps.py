"""What the cubics between samples (hermite.py) do at most in each of their steps: compiled."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from diffplan.geometry.pose import Float
from diffplan.system.compiled import inner


class Steps(NamedTuple):
    """Of each step [n - 1, dof]: the least and the greatest position `low` and `high`, the greatest `speed`, `off`, how
    far the cubic is at most from the straight line between the samples, and `at_ends` [n - 1, 2, dof], the acceleration
    at both ends, where it is extreme.
    """

    low: Float
    high: Float
    speed: Float
    off: Float
    at_ends: Float

    @staticmethod
    def of(time: Float, position: Float, velocity: Float) -> Steps:
        """Look at the steps between samples at times [n], which rise, with positions and velocities [n, dof]."""
        return Steps(*_steps(*(np.ascontiguousarray(part, dtype=np.float64) for part in (time, position, velocity))))


@njit(cache=True, error_model="numpy")
def _steps(time: Float, position: Float, velocity: Float) -> tuple[Float, Float, Float, Float, Float]:
    n, dof = position.shape[0] - 1, position.shape[1]
    low, high, speed, off = np.empty((n, dof)), np.empty((n, dof)), np.empty((n, dof)), np.empty((n, dof))
    at_ends = np.empty((n, 2, dof))
    for s in range(n):
        h = time[s + 1] - time[s]
        for j in range(dof):
            before, after = position[s, j], position[s + 1, j]
            way = after - before
            d0, d1 = h * velocity[s, j] - way, h * velocity[s + 1, j] - way
            begin, end = -4 * d0 - 2 * d1, 2 * d0 + 4 * d1
            at_ends[s, 0, j], at_ends[s, 1, j] = begin / (h * h), end / (h * h)
            u = _inside(begin, begin - end)  # where the acceleration vanishes
            rate = way + d0 * (1 - u) * (1 - 3 * u) - d1 * u * (2 - 3 * u)
            speed[s, j] = max(max(abs(velocity[s, j]), abs(velocity[s + 1, j])), abs(rate) / h)
            low[s, j], high[s, j], off[s, j] = min(before, after), max(before, after), 0.0
            for u in _roots(way + d0, -2 * (2 * d0 + d1), 3 * (d0 + d1)):
                q = before + u * way + u * (1 - u) * ((1 - u) * d0 - u * d1)
                low[s, j], high[s, j] = min(low[s, j], q), max(high[s, j], q)
            for u in _roots(d0, -2 * (2 * d0 + d1), 3 * (d0 + d1)):
                off[s, j] = max(off[s, j], abs(u * (1 - u) * ((1 - u) * d0 - u * d1)))
    return low, high, speed, off, at_ends


@inner(error_model="numpy")
def _inside(above: float, below: float) -> float:
    """Return the quotient, or the nearest number of [0, 1]; 0 where there is none."""
    return min(max(above / below, 0.0), 1.0) if below != 0 else 0.0


@inner(error_model="numpy")
def _roots(c: float, b: float, a: float) -> tuple[float, float]:
    """Return the roots of a u^2 + b u + c in [0, 1], or some other places of [0, 1] instead."""
    q = -(b + np.copysign(np.sqrt(max(b * b - 4 * a * c, 0.0)), b)) / 2
    return _inside(q, a), _inside(c, q)
