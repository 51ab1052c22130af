"""How deep two bodies overlap at most: by directions along which one is moved out of the other.

For convex solids P and Q and a unit vector n, the solids are apart once P is moved along n by

    max {q . n : q in Q} - min {p . n : p in P};

the depth is the least of these over all n, so that each is a bound from above. Of bodies of several convex parts the
deepest pair of parts counts. Directions are PyBullet's contact normals and the axes of the shapes: along the faces of
boxes that rest on each other the bound is exact, where PyBullet's own depth needs the room of `Pairs.rounded`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from diffplan.geometry.pose import Float
from diffplan.geometry.shapes import Shape


@dataclass(frozen=True, kw_only=True, eq=False)
class Parts:
    """Convex parts of a body in one frame: the corners [n, 3] of each and by how much it is rounder (m).

    `axes` [k, 3] are directions in which its shapes are flat.
    """

    corners: tuple[tuple[Float, float], ...]
    axes: Float

    @staticmethod
    def of(shapes: Iterable[Shape]) -> Parts:
        """Return the parts of shapes in the frame of their poses; a hollow mesh counts as its hull."""
        shapes = tuple(shapes)
        corners = tuple((part, shape.rounding) for shape in shapes for part in shape.corners())
        axes = np.concatenate([shape.pose.matrix[:3, :3].T for shape in shapes])
        return Parts(corners=corners, axes=axes)

    def placed(self, matrix: Float) -> Parts:
        """Return the parts seen from another frame, of which this one is at [4, 4]."""
        turn, shift = matrix[:3, :3], matrix[:3, 3]
        corners = tuple((part @ turn.T + shift, rounder) for part, rounder in self.corners)
        return Parts(corners=corners, axes=self.axes @ turn.T)


def depth(one: Parts, other: Parts, normals: Float) -> float:
    """Bound from above how deep `one` overlaps `other` (m), in one frame; below zero they are so far apart at least.

    `normals` [k, 3] are unit vectors that may lead out of the other; the axes of both are tried besides.
    """
    axes = np.concatenate([one.axes, other.axes])
    n = np.concatenate([normals.reshape(-1, 3), axes, -axes]).T
    out = [(part @ n).min(axis=0) - rounder for part, rounder in one.corners]
    stays = [(part @ n).max(axis=0) + rounder for part, rounder in other.corners]
    return max(float((end - begin).min()) for begin in out for end in stays)
