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


def section_winding(triangles: Float, plane: tuple[Float, float], points: Float) -> Float:
    """Return the winding number [n] of points [n, 3] of a plane `axis . x = place` in triangles [t, 3, 3].

    For a closed mesh the same as `winding_number`, from the outline that it cuts out of the plane alone, which has far
    fewer edges than the mesh has triangles. A hole in the mesh leaves a gap in the outline no wider than itself.
    """
    axis, place = plane
    u = np.linalg.svd(axis[None])[2][1]
    in_plane = np.stack([u, np.cross(axis, u)], axis=1)
    above = triangles @ axis - place >= 0
    crossed = np.flatnonzero(above.any(axis=1) & ~above.all(axis=1))
    corners, above = triangles[crossed], above[crossed]
    ahead, above_ahead = np.roll(corners, -1, axis=1), np.roll(above, -1, axis=1)
    ends: list[Float] = []
    for leaving, high, low in ((above & ~above_ahead, corners, ahead), (~above & above_ahead, ahead, corners)):
        high, low = high[leaving], low[leaving]  # from above to below in both triangles of an edge: equal to the bit
        height, depth = high @ axis - place, place - low @ axis
        crossing = high + (low - high) * (height / (height + depth))[:, None]
        ends.append(np.asarray(crossing @ in_plane, dtype=np.float64))
    total = np.empty(len(points))
    begin, end = ends
    _wind_outline(begin, end, np.asarray(points @ in_plane, dtype=np.float64), total)
    return total


@njit(cache=True)
def _wind_outline(begin: Float, end: Float, points: Float, total: Float) -> None:
    for n in range(len(points)):
        angle = 0.0
        for e in range(len(begin)):
            ax, ay = begin[e, 0] - points[n, 0], begin[e, 1] - points[n, 1]
            bx, by = end[e, 0] - points[n, 0], end[e, 1] - points[n, 1]
            angle += math.atan2(ax * by - ay * bx, ax * bx + ay * by)
        total[n] = angle / (2 * math.pi)
