"""How far convex parts reach along y between limits of x and z: what of an object is between a gripper's pads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.spatial import ConvexHull

from diffplan.geometry.pose import Float

_HAIR = 1e-9
Range = tuple[float, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """The convex hull of points: `corners` [n, 3], `edges` [m, 2] between them, `planes` [k, 4] of its faces."""

    corners: Float
    edges: np.ndarray
    planes: Float

    @staticmethod
    def of(points: Float) -> Part:
        """Return the hull of points [n, 3], which must not lie in a plane."""
        hull = ConvexHull(points)
        edges = np.sort(hull.simplices[:, [[0, 1], [1, 2], [0, 2]]].reshape(-1, 2), axis=1)
        return Part(corners=points, edges=np.unique(edges, axis=0), planes=np.unique(hull.equations, axis=0))

    def moved(self, T: Float) -> Part:
        """Return the part in another frame: T [4, 4] takes points there."""
        R, t = T[:3, :3], T[:3, 3]
        normals = self.planes[:, :3] @ R.T
        planes = np.concatenate([normals, self.planes[:, 3:] - normals @ t[:, None]], axis=1)
        return Part(corners=self.corners @ R.T + t, edges=self.edges, planes=planes)

    def reach(self, x: Range, z: Range) -> Float:
        """Return where along y [k] corners of what lies within these limits of x and z are; none if nothing does."""
        p = self.corners[np.unique(self.edges)]
        found = [p[_within(p, 0, x) & _within(p, 2, z), 1]]
        a, b = self.corners[self.edges[:, 0]], self.corners[self.edges[:, 1]]
        for axis, levels, other, limits in ((0, x, 2, z), (2, z, 0, x)):
            for level in (value for value in levels if np.isfinite(value)):
                u, v = a[:, axis] - level, b[:, axis] - level
                cut = u * v < 0
                points = a[cut] + (u[cut] / (u[cut] - v[cut]))[:, None] * (b[cut] - a[cut])
                found.append(points[_within(points, other, limits), 1])
        for corner_x in x:
            for corner_z in z:
                if np.isfinite([corner_x, corner_z]).all():
                    found.append(self._line(corner_x, corner_z))
        return np.concatenate(found)

    def _line(self, x: float, z: float) -> Float:
        """Return where along y [2] the line at x, z enters and leaves; none if it misses."""
        slope = self.planes[:, 1]
        level = self.planes[:, 0] * x + self.planes[:, 2] * z + self.planes[:, 3]
        across = np.abs(slope) > _HAIR
        if (level[~across] > 0).any():
            return np.zeros(0)
        y = -level[across] / slope[across]
        low = y[slope[across] < 0].max(initial=-np.inf)
        high = y[slope[across] > 0].min(initial=np.inf)
        return np.array([low, high]) if low <= high else np.zeros(0)


def extent(parts: Iterable[Part], x: Range, z: Range) -> Range | None:
    """Return the least and greatest y of what of parts lies within limits of x and z; None if nothing does."""
    found = np.concatenate([part.reach(x, z) for part in parts])
    return (float(found.min()), float(found.max())) if len(found) else None


def _within(points: Float, axis: int, limits: Range) -> np.ndarray:
    return (points[:, axis] >= limits[0]) & (points[:, axis] <= limits[1])
