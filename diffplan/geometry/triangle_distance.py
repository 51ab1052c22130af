"""Signed distances from points to closed triangle meshes, exact at every point."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from diffplan.geometry.box_tree import box_trees
from diffplan.geometry.pose import Float
from diffplan.system.kernel_threads import run_parallel
from diffplan.system.progress import working

_LEAF = 4  # triangles, or surfaces, in a leaf of a tree
_BLOCK = 2048  # points that one call looks at: always the same ones together, whatever the number of threads
_AT_ONCE = 16  # blocks between two steps of the bar
_EVERY = 32  # one of so many points is looked at first for the farthest


@dataclass(frozen=True, kw_only=True, eq=False)
class Surface:
    """A connected closed surface: triangles [t, 3, 3], pseudonormals [t, 7, 3] of face, edges ab, bc, ca and corners.

    The normals point out of the material: those of a cavity point into it. `level` is the number of cavities that hold
    some of it: what stands in a hollow is solid all the same.
    """

    triangles: Float
    normals: Float
    cavity: bool = False
    level: int = 0


class SolidDistance:
    """The distance to a solid: level by level, the union of closed surfaces, less its cavities; positive outside.

    Exact to the triangles themselves (inside an overlap of two surfaces: to the farther surface of the two). The sign
    comes from the angle-weighted pseudonormal of the nearest feature, exact for closed surfaces
    (Baerentzen and Aanaes, "Signed distance computation using the angle weighted pseudonormal", TVCG 2005).
    """

    def __init__(self, surfaces: list[Surface]) -> None:
        self._levels = []
        for level in range(max(s.level for s in surfaces) + 1):
            own = [s for s in surfaces if s.level == level]
            self._levels.append((_pack([s for s in own if not s.cavity]), _pack([s for s in own if s.cavity])))

    def at(self, points: Float, enough: float = 0.0) -> Float:
        """Return the signed distances [n] of points [n, 3], in m.

        Below `enough` it may be any value between the distance and `enough`, which is found sooner; for
        `unsigned_distance` only.
        """
        values = np.full(len(points), np.inf)
        blocks = -(-len(points) // _BLOCK)

        def measure(first: int, end: int) -> None:
            for block in range(first, end):
                part = slice(block * _BLOCK, (block + 1) * _BLOCK)
                for solids, cavities in self._levels:
                    _measure(points[part], solids, cavities, values[part], enough * enough)

        with working("", blocks) as task:
            for begin in range(0, blocks, _AT_ONCE):
                number = min(_AT_ONCE, blocks - begin)
                run_parallel(lambda first, end, begin=begin: measure(begin + first, begin + end), number, _BLOCK)
                task.advance(number)
        return values

    def farthest(self, points: Float) -> float:
        """Return the largest distance of points [n, 3], in m; for `unsigned_distance` only."""
        some = float(self.at(np.ascontiguousarray(points[::_EVERY])).max())
        return max(some, float(self.at(points, some).max()))


def unsigned_distance(triangles: Float) -> SolidDistance:
    """Return the distance to triangles [t, 3, 3] that need not be closed: positive on either side, exact."""
    normals = np.zeros((len(triangles), 7, 3))  # without them there is no inside
    return SolidDistance([Surface(triangles=np.asarray(triangles, dtype=np.float64), normals=normals)])


def _pack(surfaces: list[Surface]) -> tuple[np.ndarray, ...]:
    """Return the trees over the triangles of each surface, one over the surfaces, and what they index."""
    counts = np.array([len(s.triangles) for s in surfaces], dtype=np.int64)
    bounds = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    triangles = np.concatenate([s.triangles for s in surfaces] or [np.zeros((0, 3, 3))])
    normals = np.concatenate([s.normals for s in surfaces] or [np.zeros((0, 7, 3))])
    lower, upper = triangles.min(axis=1), triangles.max(axis=1)
    order, boxes, first, count, roots = box_trees(lower, upper, triangles.mean(axis=1), bounds, _LEAF)
    around = boxes[roots]
    middles, bounds = (around[:, :3] + around[:, 3:]) / 2, np.array([0, len(surfaces)])
    which, top_boxes, top_first, top_count, _ = box_trees(around[:, :3], around[:, 3:], middles, bounds, _LEAF)
    corners = np.ascontiguousarray(triangles[order].reshape(-1, 9))
    return corners, normals[order], boxes, first, count, roots[which], top_boxes, top_first, top_count


@njit(cache=True)
def _closest(px, py, pz, corners, i):
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
def _to_box(px, py, pz, boxes, n):
    """Return the squared distance from p to box `boxes[n]` [6]."""
    dx, dy, dz = (
        max(boxes[n, 0] - px, px - boxes[n, 3], 0.0),
        max(boxes[n, 1] - py, py - boxes[n, 4], 0.0),
        max(boxes[n, 2] - pz, pz - boxes[n, 5], 0.0),
    )
    return dx * dx + dy * dy + dz * dz


@njit(cache=True)
def _to_surface(px, py, pz, root, near, group, stack, least, enough):
    """Return the signed distance from p to the surface with this root, and its nearest triangle; `near` is a guess.

    `stack` holds nodes that are still to be looked at, `least` the squared distances to their boxes. A squared distance
    below `enough` is taken as it is.
    """
    corners, normals, boxes, first, count = group[0], group[1], group[2], group[3], group[4]
    feature, x, y, z = _closest(px, py, pz, corners, near)
    best, height = x * x + y * y + z * z, 1
    stack[0], least[0] = root, 0.0
    while height > 0 and best >= enough:
        height -= 1
        if least[height] >= best:
            continue
        node = stack[height]
        if count[node] > 0:
            for t in range(first[node], first[node] + count[node]):
                f, u, v, w = _closest(px, py, pz, corners, t)
                square = u * u + v * v + w * w
                if square < best:
                    best, near, feature, x, y, z = square, t, f, u, v, w
            continue
        left, right = node + 1, first[node]
        to_left, to_right = _to_box(px, py, pz, boxes, left), _to_box(px, py, pz, boxes, right)
        if to_left < to_right:
            left, right, to_left, to_right = right, left, to_right, to_left
        if to_left < best:
            stack[height], least[height] = left, to_left
            height += 1
        if to_right < best:
            stack[height], least[height] = right, to_right
            height += 1
    n = normals[near, feature]
    return np.sqrt(best) * (-1.0 if x * n[0] + y * n[1] + z * n[2] < 0 else 1.0), near


@njit(cache=True)
def _lower(px, py, pz, value, sign, group, near, stack, least, tops, enough):
    """Return the least of value and the distances to the surfaces of a group, these times sign (-1: cavities)."""
    boxes, roots, top_boxes, top_first, top_count = group[2], group[5], group[6], group[7], group[8]
    height = 1 if len(roots) > 0 else 0
    tops[0] = 0
    while height > 0:
        height -= 1
        node = tops[height]
        apart = _to_box(px, py, pz, top_boxes, node)
        if apart > 0.0 and (value <= 0.0 or apart >= value * value):
            continue  # outside of a surface, the distance to it is at least that to its box
        for s in range(top_first[node], top_first[node] + top_count[node]):
            apart = _to_box(px, py, pz, boxes, roots[s])
            if apart > 0.0 and (value <= 0.0 or apart >= value * value):
                continue
            distance, near[s] = _to_surface(px, py, pz, roots[s], near[s], group, stack, least, enough)
            value = min(value, sign * distance)
        if top_count[node] == 0:
            left, right = node + 1, top_first[node]
            if _to_box(px, py, pz, top_boxes, left) < _to_box(px, py, pz, top_boxes, right):
                left, right = right, left
            tops[height], tops[height + 1] = left, right
            height += 2
    return value


@njit(cache=True)
def _firsts(group):
    """Return a triangle of each surface: the first of its tree's first leaf."""
    found = np.empty(len(group[5]), np.int64)
    for s in range(len(found)):
        node = group[5][s]
        while group[4][node] == 0:
            node += 1
        found[s] = group[3][node]
    return found


@njit(cache=True, nogil=True)
def _measure(points, solids, cavities, values, enough):
    """Bring values [n], signed distances of points [n, 3], to what they are with one more level of surfaces.

    Distances whose square is below `enough` need not be exact.
    """
    stack, least, tops = np.empty(128, np.int64), np.empty(128), np.empty(128, np.int64)
    near, near_cavity = _firsts(solids), _firsts(cavities)  # nearest to the point before: a good first bound
    for i in range(len(points)):
        px, py, pz = points[i, 0], points[i, 1], points[i, 2]
        value = _lower(px, py, pz, values[i], 1.0, solids, near, stack, least, tops, enough)
        values[i] = -_lower(px, py, pz, -value, -1.0, cavities, near_cavity, stack, least, tops, enough)
