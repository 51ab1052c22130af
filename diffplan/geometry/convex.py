"""Unions of convex polyhedra: depth inside, distance outside, and their common surface. All lengths in m."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from diffplan.geometry.pose import Float
from diffplan.geometry.triangle_distance import SolidDistance, unsigned_distance
from diffplan.system.computed import computed
from diffplan.system.third_party import trimesh

TOUCHING = 0.0005
"""Parts that lie closer together than this touch [m]: what is between them is no outer surface."""
_SAMPLED = 0.0015
_MOST_POINTS = 400_000


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
        return _within(np.ascontiguousarray(points), *self._planes, -np.inf)

    def outer(self, points: Float, normals: Float) -> np.ndarray:
        """Return which points [n, 3] of parts' surfaces, with these normals, no other part covers."""
        over = np.ascontiguousarray(points + TOUCHING * normals)
        return _within(over, *self._planes, -TOUCHING / 2) <= -TOUCHING / 2

    @computed
    def _planes(self) -> tuple[Float, np.ndarray]:
        """The planes [m, 4] of all parts (outward normal, offset), and where those of each part begin [parts + 1]."""
        found = []
        for part in self.parts:
            offsets = np.einsum("fd,fd->f", part.face_normals, part.triangles[:, 0])
            planes = np.concatenate([part.face_normals, offsets[:, None]], axis=1)
            found.append(planes[np.unique(np.round(planes, 9), axis=0, return_index=True)[1]])
        return np.concatenate(found), np.cumsum([0, *map(len, found)])

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
    steps = np.maximum(1, np.ceil(np.stack([longest, height], axis=1) / spacing).astype(int))
    points, normals = [], []
    for along, across in np.unique(steps, axis=0):
        u, v = np.meshgrid(np.linspace(0, 1, along + 1), np.linspace(0, 1, across + 1), indexing="ij")
        u, v = u.reshape(-1, 1, 1), v.reshape(-1, 1, 1)
        chosen = np.flatnonzero((steps == (along, across)).all(axis=1))
        points.append(((1 - v) * ((1 - u) * a[chosen] + u * b[chosen]) + v * c[chosen]).reshape(-1, 3))
        normals.append(np.tile(mesh.face_normals[chosen], (u.size, 1)))
    return np.concatenate(points), np.concatenate(normals)


@njit(cache=True, nogil=True)
def _within(points, planes, starts, least_depth):
    """Return the depth [n] of points [n, 3] in the deepest of the parts with these planes (see `_planes`).

    At least `least_depth`. The part that held the point before and, of each part, the plane that kept it out are looked
    at first: for points in order that settles most.
    """
    found = np.full(len(points), least_depth)
    count = len(starts) - 1
    first, last = starts[:-1].copy(), 0
    for i in range(len(points)):
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        before = last
        for n in range(-1, count):
            k = before if n < 0 else n
            if n == before:
                continue
            m = first[k]
            least = planes[m, 3] - planes[m, 0] * x - planes[m, 1] * y - planes[m, 2] * z
            if least <= found[i]:
                continue
            for m in range(starts[k], starts[k + 1]):
                depth = planes[m, 3] - planes[m, 0] * x - planes[m, 1] * y - planes[m, 2] * z
                if depth < least:
                    least, first[k] = depth, m
                    if least <= found[i]:
                        break
            if least > found[i]:
                found[i], last = least, k
    return found
