"""Whether points lie in the solid of a closed mesh: what a distance to its surface cannot tell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffplan.geometry.pose import Float
from diffplan.geometry.shapes import Shape
from diffplan.system.computed import computed


@dataclass(frozen=True, kw_only=True, eq=False)
class Solid:
    """The inside of a closed mesh: its triangles [t, 3, 3] in the frame of the obstacle's pose (m)."""

    name: str
    triangles: Float

    @staticmethod
    def of(shape: Shape) -> Solid:
        """Read the mesh of a hollow obstacle.

        Raises:
            InputError: if the file is missing or the mesh is not closed.
        """
        pose = shape.pose.matrix
        corners = shape.solids()[0].triangles
        return Solid(name=shape.name, triangles=np.asarray(corners) @ pose[:3, :3].T + pose[:3, 3])

    @computed
    def box(self) -> tuple[Float, Float]:
        """Lower and upper corner [3] of the box around it."""
        return self.triangles.min(axis=(0, 1)), self.triangles.max(axis=(0, 1))

    def contains(self, points: Float) -> np.ndarray:
        """Return for points [n, 3] whether they lie inside [n]: the winding number is not zero.

        The solid angles of all triangles seen from the point add up to 4 pi times it (A. Van Oosterom, J. Strackee,
        "The solid angle of a plane triangle", IEEE Trans. Biomed. Eng. 30(2), 1983, eq. 8).
        """
        low, high = self.box
        inside = np.all((points > low) & (points < high), axis=1)
        for i in np.flatnonzero(inside):
            a, b, c = np.moveaxis(self.triangles - points[i], 1, 0)
            la, lb, lc = (np.linalg.norm(side, axis=1) for side in (a, b, c))
            dot_ab, dot_bc, dot_ca = ((u * v).sum(axis=1) for u, v in ((a, b), (b, c), (c, a)))
            volume = (a * np.cross(b, c)).sum(axis=1)
            angles = 2 * np.arctan2(volume, la * lb * lc + dot_ab * lc + dot_bc * la + dot_ca * lb)
            inside[i] = abs(angles.sum()) > 2 * np.pi
        return inside
