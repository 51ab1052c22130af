"""Unions of convex polyhedra: depth inside, distance outside, and their common surface. All lengths in m."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit

from diffplan.geometry.box_tree import box_trees
from diffplan.geometry.pose import Float
from diffplan.geometry.triangle_distance import SolidDistance, unsigned_distance
from diffplan.system.computed import computed
from diffplan.system.third_party import trimesh

TOUCHING = 0.0005
"""Parts that lie closer together than this touch [m]: what is between them is no outer surface."""
_SAMPLED = 0.0015
_MOST_POINTS = 400_000
_LEAF = 8  # planes in a leaf of a tree
_ROUNDING = 1e-9
"""By how much bounds of distances may be wrong [m]."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ConvexUnion:
    """The union of convex `parts` (closed meshes, normals outside), in one frame."""

    parts: tuple[trimesh.Trimesh, ...]

    @property
    def bounds(self) -> Float:
        """The lower and upper corner [2, 3]."""
        return np.array(
            [
                np.min([part.bounds[0] for part in self.parts], axis=0),
                np.max([part.bounds[1] for part in self.parts], axis=0),
            ]
        )

    @computed
    def area(self) -> float:
        """Area of the surfaces of all parts [m^2], those within other parts too."""
        return sum(float(part.area) for part in self.parts)

    def within_parts(self, points: Float) -> Float:
        """Return how deep [n] points [n, 3] are in one part at most: the distance to its nearest plane.

        Negative outside of all parts, where it is at most as large as the distance. In one part alone it is the depth
        in the union; a point between two parts that touch may be deeper in their union.
        """
        return _within(np.ascontiguousarray(points), self._planes, -np.inf)

    def outer(self, points: Float, normals: Float) -> np.ndarray:
        """Return which points [n, 3] of parts' surfaces, with these normals, no other part covers."""
        over = np.ascontiguousarray(points + TOUCHING * normals)
        return _within(over, self._planes, -TOUCHING / 2) <= -TOUCHING / 2

    @computed
    def _planes(self) -> _Trees:
        """The planes of all parts (outward normal, offset), in a tree for each part."""
        found = []
        for part in self.parts:
            offsets = np.einsum("fd,fd->f", part.face_normals, part.triangles[:, 0])
            planes = np.concatenate([part.face_normals, offsets[:, None]], axis=1)
            found.append(planes[np.unique(np.round(planes, 9), axis=0, return_index=True)[1]])
        planes, starts = np.concatenate(found), np.cumsum([0, *map(len, found)])
        middles = np.array([part.bounds.mean(axis=0) for part in self.parts])
        normals = planes[:, :3]
        order, boxes, first, count, roots = box_trees(normals, normals, normals, starts, _LEAF)
        least = _least_offsets(planes[order], first, count, roots, middles)
        return _Trees(planes[order], starts, boxes, first, count, roots, least, middles)

    def surface(self, spacing: float) -> Float:
        """Return points [n, 3] on the union's surface, neighbours on a face at most about `spacing` apart."""
        points, normals = zip(*(surface_grid(part, spacing) for part in self.parts), strict=True)
        points, normals = np.concatenate(points), np.concatenate(normals)
        return points if len(self.parts) == 1 else points[self.outer(points, normals)]

    def depth(self, points: Float) -> Float:
        """Return the depth [n] of points [n, 3] below the union's surface, never too large; negative outside."""
        depth = self.within_parts(points)
        if len(self.parts) > 1:
            inside = np.flatnonzero(depth > -TOUCHING)
            samples, spacing = self._sampled
            to_surface = samples.at(points[inside])
            # A sample lies at most half a diagonal of the samples' grid beside the nearest point.
            depth[inside] = np.maximum(depth[inside], np.sqrt(np.maximum(to_surface**2 - spacing**2 / 2, 0.0)))
        return depth

    @computed
    def _sampled(self) -> tuple[SolidDistance, float]:
        """Samples of the surface as triangles of no area: they are found from one point to the next, as on a grid."""
        spacing = max(_SAMPLED, float(np.sqrt(self.area / _MOST_POINTS)))
        return unsigned_distance(np.repeat(self.surface(spacing)[:, None], 3, axis=1)), spacing

    def distance(self, points: Float) -> Float:
        """Return the distance [n] of points [n, 3] to the union, exact; 0 inside."""
        found = np.zeros(len(points))
        away = np.flatnonzero(self.within_parts(points) < 0)
        found[away] = unsigned_distance(np.concatenate([part.triangles for part in self.parts])).at(points[away])
        return found


def surface_grid(mesh: trimesh.Trimesh, spacing: float) -> tuple[Float, Float]:
    """Return points [n, 3] on every triangle, neighbours at most about `spacing` [m] apart, and their normals."""
    triangles = mesh.triangles
    edges = np.linalg.norm(np.roll(triangles, -1, axis=1) - triangles, axis=2)
    base = edges.argmax(axis=1)
    rows = np.arange(len(triangles))
    a, b, c = (triangles[rows, (base + k) % 3] for k in range(3))
    longest = edges[rows, base]
    height = 2 * mesh.area_faces / longest
    steps = np.maximum(1, np.ceil(np.stack([longest, height], axis=1) / spacing).astype(np.int64))
    order = np.lexsort(steps.T[::-1])
    return _grid(a[order], b[order], c[order], np.asarray(mesh.face_normals, dtype=np.float64)[order], steps[order])


@njit(cache=True, nogil=True)
def _grid(a, b, c, normals, steps):
    """Return points on triangles and their normals; those of equal `steps` [t, 2] lie together, place by place."""
    total = ((steps[:, 0] + 1) * (steps[:, 1] + 1)).sum()
    points, outward, n, begin = np.empty((total, 3)), np.empty((total, 3)), 0, 0
    while begin < len(steps):
        along, across = steps[begin]
        end = begin
        while end < len(steps) and steps[end, 0] == along and steps[end, 1] == across:
            end += 1
        for i in range(along + 1):
            u = i * (1 / along) if i < along else 1.0
            for j in range(across + 1):
                v = j * (1 / across) if j < across else 1.0
                for t in range(begin, end):
                    for k in range(3):
                        points[n, k] = (1 - v) * ((1 - u) * a[t, k] + u * b[t, k]) + v * c[t, k]
                        outward[n, k] = normals[t, k]
                    n += 1
        begin = end
    return points, outward


class _Trees(NamedTuple):
    """A tree over the planes of each part, whose boxes are around their normals (see `box_trees`).

    `planes` [m, 4] in the trees' order, those of part k from `starts[k]` on; `boxes`, `first`, `number` (counts) and
    `roots` of the trees; `least` [nodes] is the least offset of a node's planes as seen from the middle of the part,
    `middles` [parts, 3].
    """

    planes: Float
    starts: np.ndarray
    boxes: Float
    first: np.ndarray
    number: np.ndarray
    roots: np.ndarray
    least: Float
    middles: Float


@njit(cache=True)
def _least_offsets(planes, first, count, roots, middles):
    """Return the least offset [nodes] of the planes of each node, as seen from the middle of its part."""
    least, part = np.empty(len(first)), len(roots) - 1
    for node in range(len(first) - 1, -1, -1):  # children come after their parents
        while node < roots[part]:
            part -= 1
        if count[node] == 0:
            least[node] = min(least[node + 1], least[first[node]])
            continue
        least[node] = np.inf
        for m in range(first[node], first[node] + count[node]):
            offset = planes[m, 3]
            for i in range(3):
                offset -= planes[m, i] * middles[part, i]
            least[node] = min(least[node], offset)
    return least


@njit(cache=True, nogil=True)
def _least_in(x, y, z, trees, node):
    """Return a bound from below of the distances to the planes of a node, of a point as seen from the part's middle."""
    boxes = trees.boxes
    return (
        trees.least[node]
        - max(boxes[node, 0] * x, boxes[node, 3] * x)
        - max(boxes[node, 1] * y, boxes[node, 4] * y)
        - max(boxes[node, 2] * z, boxes[node, 5] * z)
        - _ROUNDING
    )


@njit(cache=True, nogil=True)
def _within(points, trees, least_depth):
    """Return the depth [n] of points [n, 3] in the deepest of the parts with these planes.

    At least `least_depth`. The part that held the point before and, of each part, the plane that kept it out are looked
    at first: for points in order that settles most.
    """
    found = np.full(len(points), least_depth)
    planes, middles, count = trees.planes, trees.middles, len(trees.middles)
    first, last = trees.starts[:-1].copy(), 0
    stack, least_of = np.empty(128, np.int64), np.empty(128)
    for i in range(len(points)):
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        before = last
        for n in range(-1, count):
            k = before if n < 0 else n
            if n == before:
                continue
            m = first[k]
            least = planes[m, 3] - planes[m, 0] * x - planes[m, 1] * y - planes[m, 2] * z
            u, v, w = x - middles[k, 0], y - middles[k, 1], z - middles[k, 2]
            stack[0], least_of[0], height = trees.roots[k], -np.inf, 1
            while height > 0 and least > found[i]:
                height -= 1
                node = stack[height]
                if least_of[height] >= least:
                    continue
                if trees.number[node] > 0:
                    for m in range(trees.first[node], trees.first[node] + trees.number[node]):
                        depth = planes[m, 3] - planes[m, 0] * x - planes[m, 1] * y - planes[m, 2] * z
                        if depth < least:
                            least, first[k] = depth, m
                    continue
                left, right = node + 1, trees.first[node]
                to_left, to_right = _least_in(u, v, w, trees, left), _least_in(u, v, w, trees, right)
                if to_left < to_right:
                    left, right, to_left, to_right = right, left, to_right, to_left
                stack[height], least_of[height] = left, to_left
                stack[height + 1], least_of[height + 1] = right, to_right
                height += 2
            if least > found[i]:
                found[i], last = least, k
    return found
