"""The generalised winding number: whether points are inside a triangle mesh, also one with small holes."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from diffplan.geometry.pose import Float


def winding_number(triangles: Float, points: Float) -> Float:
    """Return the winding number [n] of points [n, 3] in triangles [t, 3, 3]: about 1 inside, about 0 outside.

    The sum of the triangles' solid angles over 4 pi (Jacobson, Kavan, Sorkine-Hornung, "Robust Inside-Outside
    Segmentation using Generalized Winding Numbers", 2013; solid angle by van Oosterom and Strackee, 1983).
    """
    total = np.empty(len(points))
    _wind(np.ascontiguousarray(triangles, dtype=np.float64), np.ascontiguousarray(points, dtype=np.float64), total)
    return total


@njit(cache=True)
def _wind(triangles: Float, points: Float, total: Float) -> None:
    for n in range(len(points)):
        x, y, z = points[n, 0], points[n, 1], points[n, 2]
        angle = 0.0
        for t in range(len(triangles)):
            ax, ay, az = triangles[t, 0, 0] - x, triangles[t, 0, 1] - y, triangles[t, 0, 2] - z
            bx, by, bz = triangles[t, 1, 0] - x, triangles[t, 1, 1] - y, triangles[t, 1, 2] - z
            cx, cy, cz = triangles[t, 2, 0] - x, triangles[t, 2, 1] - y, triangles[t, 2, 2] - z
            a = math.sqrt(ax * ax + ay * ay + az * az)
            b = math.sqrt(bx * bx + by * by + bz * bz)
            c = math.sqrt(cx * cx + cy * cy + cz * cz)
            volume = ax * (by * cz - bz * cy) + ay * (bz * cx - bx * cz) + az * (bx * cy - by * cx)
            ab, bc, ca = ax * bx + ay * by + az * bz, bx * cx + by * cy + bz * cz, cx * ax + cy * ay + cz * az
            angle += math.atan2(volume, a * b * c + ab * c + bc * a + ca * b)
        total[n] = angle / (2 * math.pi)
