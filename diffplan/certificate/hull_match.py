"""Whether the corners that PyBullet tells are those of the convex parts that we read."""

from __future__ import annotations

import numpy as np
from scipy.spatial import ConvexHull, KDTree

from diffplan.geometry.pose import Float
from diffplan.geometry.shapes import Shape

_SIDES = 32
_ROUNDED = 2e-4  # of a part's size: PyBullet's hulls have their corners on a grid of 1/10216, and merge level faces
_LEAST = 1e-5
_FINE = 4e-4
_BLOCK = 4_000_000


def differing_part(parts: list[Float], corners: Float) -> str:
    """Say how the corners [n, 3] differ from those of the convex parts [m, 3] (all in m); empty if they do not.

    Every corner must lie within a part, and the corners within each part must span it.
    """
    bounds = [rounding(part) for part in parts]
    away = np.stack([beyond(part, corners, bound) for part, bound in zip(parts, bounds, strict=True)])
    least = (away - np.array(bounds)[:, None]).min(axis=0)
    if least.max() > 0:
        worst = int(np.argmax(least))
        return f"a corner at {corners[worst].round(4).tolist()}, {1000 * away[:, worst].min():.2f} mm outside of it"
    for bound, (missing, corner) in zip(bounds, missing_corners(parts, corners), strict=True):
        if missing > bound:
            at = corner.round(4).tolist()
            return f"no corner near {at}: {1000 * missing:.2f} mm of it are missing there"
    return ""


def missing_corners(parts: list[Float], corners: Float) -> list[tuple[float, Float]]:
    """Return for each part how far it sticks out of the hull of the corners that lie in it (m), and where [3].

    Below 0.4 mm it is a bound from above.
    """
    missing = []
    for part in parts:
        bound = rounding(part)
        within = corners[beyond(part, corners, bound) <= bound]
        if len(within) < 4 or np.linalg.matrix_rank(within - within.mean(axis=0), tol=1e-7) < 3:
            missing.append((np.inf, part[0]))
            continue
        away = beyond(within, part, min(bound, _FINE))
        missing.append((float(away.max()), part[int(np.argmax(away))]))
    return missing


def rounding(part: Float) -> float:
    """Return how far PyBullet may move the corners of a part [m, 3] (m)."""
    return _LEAST + _ROUNDED * float(np.ptp(part, axis=0).max())


def beyond(corners: Float, points: Float, enough: float) -> Float:
    """Bound from above how far points [n, 3] lie outside of the convex hull of the corners [n] (m).

    A point is no farther from the hull than from its nearest corner. Only where that is more than `enough`, and the
    point lies in the corners' box or `enough` from it, is it asked how far it lies beyond the planes of the hull's
    faces (negative inside): hulls of fine meshes have thousands of faces.
    """
    away = np.asarray(KDTree(corners).query(points)[0], dtype=np.float64)
    off_box = np.maximum(corners.min(axis=0) - points, points - corners.max(axis=0)).max(axis=1)
    unclear = np.flatnonzero((away > enough) & (off_box <= enough))
    if len(unclear):
        planes = ConvexHull(corners).equations
        for some in np.array_split(unclear, 1 + len(unclear) * len(planes) // _BLOCK):
            away[some] = (points[some] @ planes[:, :3].T + planes[:, 3]).max(axis=1)
    return away


def prism(shape: Shape) -> list[Float]:
    """Return the corners [64, 3] (link frame), one list, of PyBullet's prism of 32 sides for a URDF's cylinder."""
    radius, length = shape.sizes
    turn = 2 * np.pi * np.arange(_SIDES) / _SIDES
    ring = np.stack([radius * np.sin(turn), radius * np.cos(turn), np.zeros(_SIDES)], axis=1)
    points = np.concatenate([ring + np.array([0.0, 0.0, z]) for z in (-length / 2, length / 2)])
    return [points @ shape.pose.matrix[:3, :3].T + shape.pose.matrix[:3, 3]]
