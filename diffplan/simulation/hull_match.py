"""Whether the corners that PyBullet tells are those of the convex parts that we read."""

from __future__ import annotations

import numpy as np
from scipy.spatial import ConvexHull

from diffplan.geometry import Float
from diffplan.urdf import CollisionShape

_SIDES = 32
_ROUNDED = 2e-4  # of a part's size: PyBullet's hulls have their corners on a grid of 1/10216, and merge level faces
_LEAST = 1e-5


def differing_part(parts: list[Float], corners: Float) -> str:
    """Say how the corners [n, 3] differ from those of the convex parts [m, 3] (all in m); empty if they do not.

    Every corner must lie within a part, and the corners within each part must span it.
    """
    away = np.stack([beyond(part, corners) for part in parts])
    rounding = [_LEAST + _ROUNDED * float(np.ptp(part, axis=0).max()) for part in parts]
    least = (away - np.array(rounding)[:, None]).min(axis=0)
    if least.max() > 0:
        worst = int(np.argmax(least))
        return f"a corner at {corners[worst].round(4).tolist()}, {1000 * away[:, worst].min():.2f} mm outside of it"
    for bound, (missing, corner) in zip(rounding, missing_corners(parts, corners), strict=True):
        if missing > bound:
            at = corner.round(4).tolist()
            return f"no corner near {at}: {1000 * missing:.2f} mm of it are missing there"
    return ""


def missing_corners(parts: list[Float], corners: Float) -> list[tuple[float, Float]]:
    """Return for each part how far it sticks out of the hull of the corners that lie in it (m), and where [3]."""
    missing = []
    for part in parts:
        within = corners[beyond(part, corners) <= _LEAST + _ROUNDED * float(np.ptp(part, axis=0).max())]
        if len(within) < 4 or np.linalg.matrix_rank(within - within.mean(axis=0), tol=1e-7) < 3:
            missing.append((np.inf, part[0]))
            continue
        away = beyond(within, part)
        missing.append((float(away.max()), part[int(np.argmax(away))]))
    return missing


def beyond(corners: Float, points: Float) -> Float:
    """Return how far points [n, 3] lie beyond the planes of the faces of the corners' convex hull [n]; < 0 inside."""
    planes = ConvexHull(corners).equations
    return (points @ planes[:, :3].T + planes[:, 3]).max(axis=1)


def prism(shape: CollisionShape) -> Float:
    """Return the corners [64, 3] (link frame) of what PyBullet makes of a URDF's cylinder: a prism of 32 sides."""
    radius, length = shape.size
    turn = 2 * np.pi * np.arange(_SIDES) / _SIDES
    ring = np.stack([radius * np.sin(turn), radius * np.cos(turn), np.zeros(_SIDES)], axis=1)
    points = np.concatenate([ring + np.array([0.0, 0.0, z]) for z in (-length / 2, length / 2)])
    return points @ shape.pose.matrix[:3, :3].T + shape.pose.matrix[:3, 3]
