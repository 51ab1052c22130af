"""Signed distances from the nodes of a grid to a closed triangle mesh, exact at every node."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from diffplan.geometry import Float

_LEAF = 4  # triangles in a leaf of the tree


@dataclass(frozen=True, kw_only=True, eq=False)
class TriangleTree:
    """A binary tree of bounding boxes over triangles.

    Node n has the box `boxes[n]` = (lower, upper) [6]; `first[n]`, `count[n]` are its triangles in the order of `order`
    if it is a leaf (count > 0), else its children are n + 1 and `first[n]`.
    """

    order: NDArray[np.int64]
    boxes: Float
    first: NDArray[np.int64]
    count: NDArray[np.int64]


def build_tree(triangles: Float) -> TriangleTree:
    """Return the tree over triangles [t, 3, 3], split at the median along the longest side of each box."""
    lower, upper, middle = triangles.min(axis=1), triangles.max(axis=1), triangles.mean(axis=1)
    order: list[NDArray[np.int64]] = []
    boxes: list[Float] = []
    first: list[int] = []
    count: list[int] = []
    placed = 0
    stack: list[tuple[NDArray[np.int64], int]] = [(np.arange(len(triangles)), -1)]
    while stack:
        chosen, parent = stack.pop()
        node = len(boxes)
        if parent >= 0:
            first[parent] = node
        boxes.append(np.concatenate([lower[chosen].min(axis=0), upper[chosen].max(axis=0)]))
        is_leaf = len(chosen) <= _LEAF
        first.append(placed)
        count.append(len(chosen) if is_leaf else 0)
        if is_leaf:
            order.append(chosen)
            placed += len(chosen)
            continue
        axis = int(np.argmax(boxes[-1][3:] - boxes[-1][:3]))
        ranked = chosen[np.argsort(middle[chosen, axis], kind="stable")]
        half = len(ranked) // 2
        stack += [(ranked[half:], node), (ranked[:half], -1)]
    return TriangleTree(
        order=np.concatenate(order), boxes=np.array(boxes), first=np.array(first), count=np.array(count)
    )


def grid_distance(
    origin: Float, spacing: float, shape: tuple[int, int, int], triangles: Float, normals: Float
) -> Float:
    """Return signed distances [nx, ny, nz] in m, positive outside, from the nodes `origin + spacing * (i, j, k)`.

    The sign comes from the angle-weighted pseudonormal of the nearest feature, exact for closed meshes
    (Baerentzen and Aanaes, "Signed distance computation using the angle weighted pseudonormal", TVCG 2005).

    Args:
        origin: position of node (0, 0, 0) [3].
        spacing: edge of a cell.
        shape: number of nodes along x, y, z.
        triangles: corners [t, 3, 3].
        normals: pseudonormals [t, 7, 3] of face, edges ab, bc, ca and corners a, b, c, pointing outside.
    """
    tree = build_tree(triangles)
    corners = np.ascontiguousarray(triangles[tree.order].reshape(-1, 9))
    values = np.empty(shape)
    _fill(origin, spacing, corners, normals[tree.order], tree.boxes, tree.first, tree.count, values)
    return values


@njit(cache=True)
def _closest(px: float, py: float, pz: float, corners: Float, i: int) -> tuple[int, float, float, float]:
    """Return the feature of triangle `corners[i]` [9] closest to p, and the vector from its closest point to p.

    0 face; 1, 2, 3 edges ab, bc, ca; 4, 5, 6 corners a, b, c (Ericson, Real-Time Collision Detection, section 5.1.5).
    """
    ax, ay, az = px - corners[i, 0], py - corners[i, 1], pz - corners[i, 2]
    bx, by, bz = px - corners[i, 3], py - corners[i, 4], pz - corners[i, 5]
    cx, cy, cz = px - corners[i, 6], py - corners[i, 7], pz - corners[i, 8]
    ux, uy, uz = corners[i, 3] - corners[i, 0], corners[i, 4] - corners[i, 1], corners[i, 5] - corners[i, 2]
    wx, wy, wz = corners[i, 6] - corners[i, 0], corners[i, 7] - corners[i, 1], corners[i, 8] - corners[i, 2]
    d1, d2 = ux * ax + uy * ay + uz * az, wx * ax + wy * ay + wz * az
    if d1 <= 0 and d2 <= 0:
        return 4, ax, ay, az
    d3, d4 = ux * bx + uy * by + uz * bz, wx * bx + wy * by + wz * bz
    if d3 >= 0 and d4 <= d3:
        return 5, bx, by, bz
    d5, d6 = ux * cx + uy * cy + uz * cz, wx * cx + wy * cy + wz * cz
    if d6 >= 0 and d5 <= d6:
        return 6, cx, cy, cz
    va, vb, vc = d3 * d6 - d5 * d4, d5 * d2 - d1 * d6, d1 * d4 - d3 * d2
    if vc <= 0 and d1 >= 0 and d3 <= 0:
        s = d1 / (d1 - d3)
        return 1, ax - s * ux, ay - s * uy, az - s * uz
    if vb <= 0 and d2 >= 0 and d6 <= 0:
        s = d2 / (d2 - d6)
        return 3, ax - s * wx, ay - s * wy, az - s * wz
    if va <= 0 and d4 - d3 >= 0 and d5 - d6 >= 0:
        s = (d4 - d3) / ((d4 - d3) + (d5 - d6))
        return 2, bx - s * (wx - ux), by - s * (wy - uy), bz - s * (wz - uz)
    v, w = vb / (va + vb + vc), vc / (va + vb + vc)
    return 0, ax - v * ux - w * wx, ay - v * uy - w * wy, az - v * uz - w * wz


@njit(cache=True)
def _to_box(px: float, py: float, pz: float, boxes: Float, n: int) -> float:
    """Return the squared distance from p to box `boxes[n]` [6]."""
    dx, dy, dz = (
        max(boxes[n, 0] - px, px - boxes[n, 3], 0.0),
        max(boxes[n, 1] - py, py - boxes[n, 4], 0.0),
        max(boxes[n, 2] - pz, pz - boxes[n, 5], 0.0),
    )
    return dx * dx + dy * dy + dz * dz


@njit(cache=True)
def _fill(
    origin: Float,
    spacing: float,
    corners: Float,
    normals: Float,
    boxes: Float,
    first: NDArray[np.int64],
    count: NDArray[np.int64],
    values: Float,
) -> None:
    stack = np.empty(128, dtype=np.int64)
    near = 0  # the triangle nearest to the node before: a good first bound
    for i in range(values.shape[0]):
        for j in range(values.shape[1]):
            for k in range(values.shape[2]):
                px, py, pz = origin[0] + i * spacing, origin[1] + j * spacing, origin[2] + k * spacing
                feature, x, y, z = _closest(px, py, pz, corners, near)
                best, height = x * x + y * y + z * z, 1
                stack[0] = 0
                while height > 0:
                    height -= 1
                    node = stack[height]
                    if _to_box(px, py, pz, boxes, node) >= best:
                        continue
                    for t in range(first[node], first[node] + count[node]):
                        f, u, v, w = _closest(px, py, pz, corners, t)
                        square = u * u + v * v + w * w
                        if square < best:
                            best, near, feature, x, y, z = square, t, f, u, v, w
                    if count[node] == 0:
                        left, right = node + 1, int(first[node])
                        if _to_box(px, py, pz, boxes, left) < _to_box(px, py, pz, boxes, right):
                            left, right = right, left
                        stack[height], stack[height + 1] = left, right
                        height += 2
                n = normals[near, feature]
                values[i, j, k] = np.sqrt(best) * (-1.0 if x * n[0] + y * n[1] + z * n[2] < 0 else 1.0)
