"""Signed distances from the nodes of a grid to a closed triangle mesh, exact at every node."""

from __future__ import annotations

import numpy as np
from numba import njit

from diffplan.geometry import Float

_BLOCK = 8  # nodes along the edge of a block that shares its list of candidate triangles


@njit(cache=True, fastmath=False)
def _closest(p: Float, a: Float, b: Float, c: Float, out: Float) -> int:
    """Write the point of triangle abc closest to p and return the feature that it lies on.

    0 face; 1, 2, 3 edges ab, bc, ca; 4, 5, 6 corners a, b, c (Ericson, Real-Time Collision Detection, section 5.1.5).
    """
    d1 = d2 = d3 = d4 = d5 = d6 = 0.0
    for k in range(3):
        ab, ac = b[k] - a[k], c[k] - a[k]
        d1 += ab * (p[k] - a[k])
        d2 += ac * (p[k] - a[k])
        d3 += ab * (p[k] - b[k])
        d4 += ac * (p[k] - b[k])
        d5 += ab * (p[k] - c[k])
        d6 += ac * (p[k] - c[k])
    va, vb, vc = d3 * d6 - d5 * d4, d5 * d2 - d1 * d6, d1 * d4 - d3 * d2
    if d1 <= 0 and d2 <= 0:
        v, w, feature = 0.0, 0.0, 4
    elif d3 >= 0 and d4 <= d3:
        v, w, feature = 1.0, 0.0, 5
    elif d6 >= 0 and d5 <= d6:
        v, w, feature = 0.0, 1.0, 6
    elif vc <= 0 and d1 >= 0 and d3 <= 0:
        v, w, feature = d1 / (d1 - d3), 0.0, 1
    elif vb <= 0 and d2 >= 0 and d6 <= 0:
        v, w, feature = 0.0, d2 / (d2 - d6), 3
    elif va <= 0 and d4 - d3 >= 0 and d5 - d6 >= 0:
        w = (d4 - d3) / ((d4 - d3) + (d5 - d6))
        v, feature = 1.0 - w, 2
    else:
        total = va + vb + vc
        v, w, feature = vb / total, vc / total, 0
    for k in range(3):
        out[k] = a[k] + v * (b[k] - a[k]) + w * (c[k] - a[k])
    return feature


@njit(cache=True)
def grid_distance(origin: Float, spacing: float, triangles: Float, normals: Float, values: Float) -> None:
    """Fill `values` [nx, ny, nz] with signed distances [m], positive outside.

    Node (i, j, k) lies at `origin + spacing * (i, j, k)`. A block of nodes keeps only the triangles that can be nearest
    to one of them: those no farther from its centre than the nearest one plus the block's diameter. The sign comes from
    the angle-weighted pseudonormal of the nearest feature (Baerentzen and Aanaes 2005), exact for closed meshes.

    Args:
        origin: position of node (0, 0, 0) [3].
        spacing: edge of a cell.
        triangles: corners [t, 3, 3].
        normals: pseudonormals [t, 7, 3] of face, edges ab, bc, ca and corners a, b, c, pointing outside.
        values: where the result goes.
    """
    shape = values.shape
    nearest, point = np.empty(3), np.empty(3)
    to_centre = np.empty(len(triangles))
    candidates = np.empty(len(triangles), dtype=np.int64)
    for i0 in range(0, shape[0], _BLOCK):
        for j0 in range(0, shape[1], _BLOCK):
            for k0 in range(0, shape[2], _BLOCK):
                half = (_BLOCK - 1) / 2
                point[0], point[1], point[2] = (i0 + half) * spacing, (j0 + half) * spacing, (k0 + half) * spacing
                point += origin
                for t in range(len(triangles)):
                    _closest(point, triangles[t, 0], triangles[t, 1], triangles[t, 2], nearest)
                    to_centre[t] = np.sqrt(((point - nearest) ** 2).sum())
                reach = to_centre.min() + 2 * half * np.sqrt(3.0) * spacing * (1 + 1e-9)
                count = 0
                for t in range(len(triangles)):
                    if to_centre[t] <= reach:
                        candidates[count] = t
                        count += 1
                for i in range(i0, min(i0 + _BLOCK, shape[0])):
                    for j in range(j0, min(j0 + _BLOCK, shape[1])):
                        for k in range(k0, min(k0 + _BLOCK, shape[2])):
                            point[0] = origin[0] + i * spacing
                            point[1] = origin[1] + j * spacing
                            point[2] = origin[2] + k * spacing
                            values[i, j, k] = _signed(point, triangles, normals, candidates[:count], nearest)


@njit(cache=True)
def _signed(point: Float, triangles: Float, normals: Float, candidates: np.ndarray, nearest: Float) -> float:
    """Return the signed distance from a point to the candidate triangles."""
    best, sign = np.inf, 1.0
    for t in candidates:
        feature = _closest(point, triangles[t, 0], triangles[t, 1], triangles[t, 2], nearest)
        square = dot = 0.0
        for k in range(3):
            square += (point[k] - nearest[k]) ** 2
            dot += (point[k] - nearest[k]) * normals[t, feature, k]
        if square < best:
            best, sign = square, (-1.0 if dot < 0 else 1.0)
    return sign * np.sqrt(best)
