"""Spheres around a solid in milliseconds: for what a hand holds. `sphere_fit` takes its time and needs fewer.

A greedy set cover of surface samples. A sphere's centre is a point of the solid, or of its surface, and its radius
is the centre's depth plus a margin. It then sticks out of the solid by the margin at most, for the ball of that depth
lies inside.
"""

from __future__ import annotations

import numpy as np

from diffplan.geometry.convex import TOUCHING, ConvexUnion
from diffplan.geometry.pose import Float
from diffplan.geometry.sphere_cover import greedy_cover, nearest_gaps
from diffplan.geometry.sphere_fit import SphereFit, Tolerance

TOLERANCES = (
    (24, Tolerance(uncovered=0.0045, outside=0.0045)),
    (48, Tolerance(uncovered=0.006, outside=0.009)),
    (250, Tolerance(uncovered=0.0079, outside=0.0129)),
)
"""The first whose cover takes at most so many spheres is taken; the last is as coarse as the fit of a robot's links."""
_FEWEST, _MOST, _MEASURED, _INNER = 400, 1600, 8000, 700  # points
_COARSER = 1.5
_R2 = np.array([0.7548776662466927, 0.5698402909980532])


def quick_cover(solid: ConvexUnion) -> SphereFit:
    """Return spheres in which a solid lies but for `uncovered` of its surface, measured at about 12,000 points.

    A solid so large that 250 spheres do not cover it within 8 and 13 mm is covered more coarsely: its `uncovered`
    and `outside` say so.
    """
    most, tolerance = TOLERANCES[0]
    for most, tolerance in TOLERANCES:
        fit = _cover(solid, tolerance, most)
        if fit is not None:
            return fit
    while True:
        tolerance = Tolerance(uncovered=_COARSER * tolerance.uncovered, outside=_COARSER * tolerance.outside)
        fit = _cover(solid, tolerance, most)
        if fit is not None:
            return fit


def _cover(solid: ConvexUnion, tolerance: Tolerance, most: int) -> SphereFit | None:
    """Return a cover of at most so many spheres, None if this needs more."""
    apart = (tolerance.uncovered + tolerance.outside) / 1.5
    missing = _surface(solid, int(np.clip(solid.area / apart**2, _FEWEST, _MOST)))
    measured = _surface(solid, _MEASURED)
    candidates, centre, radius = _inner(solid), np.zeros((0, 3)), np.zeros(0)
    while True:
        candidates = np.concatenate([candidates, missing])
        depth = np.maximum(solid.within_parts(candidates), 0.0)
        # What lies between two samples is covered a little less than they are.
        chosen = greedy_cover(candidates, depth + tolerance.outside, missing, 0.7 * tolerance.uncovered)
        centre = np.concatenate([centre, candidates[chosen]])
        radius = np.concatenate([radius, depth[chosen] + tolerance.outside])
        if len(radius) > most:
            return None
        gaps = nearest_gaps(measured, centre, radius)[0]
        uncovered = max(0.0, float(gaps.max()))
        if uncovered <= tolerance.uncovered:
            return SphereFit(centre=centre, radius=radius, uncovered=uncovered, outside=tolerance.outside)
        missing = measured[gaps > tolerance.uncovered]


def _surface(solid: ConvexUnion, count: int) -> Float:
    """Return about so many points [n, 3] of the union's surface, evenly spread, and the corners of its parts.

    However thin triangles are, points are as many as their area asks for (the R2 sequence of M. Roberts, 2018).
    """
    triangles, normals = (
        np.concatenate([np.asarray(getattr(part, name)) for part in solid.parts])
        for name in ("triangles", "face_normals")
    )
    area = np.linalg.norm(np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]), axis=1)
    number = np.arange(count) + 0.5
    of = np.searchsorted(np.cumsum(area), number / count * area.sum()).clip(max=len(area) - 1)
    u, v = (number[:, None] * _R2 % 1.0).T
    u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
    a, b, c = triangles[of].transpose(1, 0, 2)
    points = a + u[:, None] * (b - a) + v[:, None] * (c - a)
    corners = triangles[:, 0] if len(triangles) > count else triangles.reshape(-1, 3)
    corners = corners[:: 1 + len(corners) // count]
    points = np.concatenate([points, corners])
    outward = np.concatenate([normals[of], np.zeros_like(corners)])
    if len(solid.parts) == 1:
        return points
    return points[solid.within_parts(points + TOUCHING * outward) <= TOUCHING / 2]


def _inner(solid: ConvexUnion) -> Float:
    """Return points [n, 3] of a grid within the solid, one layer at least."""
    low, high = solid.bounds
    spacing = float(np.cbrt(np.prod(high - low) / _INNER))
    axes = []
    for a, b in zip(low, high, strict=True):
        cells = int(np.clip(round((b - a) / spacing), 1, 60)) | 1  # odd: one layer in the middle
        axes.append(a + (np.arange(cells) + 0.5) * (b - a) / cells)
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    return points[solid.within_parts(points) > 0]
