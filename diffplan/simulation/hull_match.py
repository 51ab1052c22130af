"""Whether the corners that PyBullet tells are those of the convex parts that we read."""

from __future__ import annotations

import numpy as np
import trimesh

from diffplan.geometry import Float
from diffplan.urdf import CollisionShape

_SIDES = 32
_ROUNDED = 2e-4  # of a part's size: PyBullet's hulls have their corners on a grid of 1/10216, and merge level faces
_LEAST = 1e-5


def differing_part(parts: list[Float], corners: Float) -> str:
    """Say how the corners [n, 3] differ from those of the convex parts [m, 3] (all in m); empty if they do not.

    Every corner must lie within a part, and the corners within each part must span it.
    """
    hulls = [trimesh.convex.convex_hull(part) for part in parts]
    away = np.stack([_beyond(hull, corners) for hull in hulls])
    rounding = [_LEAST + _ROUNDED * float(np.ptp(part, axis=0).max()) for part in parts]
    least = (away - np.array(rounding)[:, None]).min(axis=0)
    if least.max() > 0:
        worst = int(np.argmax(least))
        return f"a corner at {corners[worst].round(4).tolist()}, {1000 * away[:, worst].min():.2f} mm outside of it"
    for hull, far, bound in zip(hulls, away, rounding, strict=True):
        missing = _unspanned(np.asarray(hull.vertices), corners[far <= bound])
        if missing[0] > bound:
            at = missing[1].round(4).tolist()
            return f"no corner near {at}: {1000 * missing[0]:.2f} mm of it are missing there"
    return ""


def prism(shape: CollisionShape) -> Float:
    """Return the corners [64, 3] (link frame) of what PyBullet makes of a URDF's cylinder: a prism of 32 sides."""
    radius, length = shape.size
    turn = 2 * np.pi * np.arange(_SIDES) / _SIDES
    ring = np.stack([radius * np.sin(turn), radius * np.cos(turn), np.zeros(_SIDES)], axis=1)
    points = np.concatenate([ring + np.array([0.0, 0.0, z]) for z in (-length / 2, length / 2)])
    return points @ shape.pose.matrix[:3, :3].T + shape.pose.matrix[:3, 3]


def _beyond(hull: trimesh.Trimesh, points: Float) -> Float:
    """Return how far points [n, 3] lie beyond the farthest face plane of a convex mesh [n]; negative inside."""
    normals, origins = np.asarray(hull.face_normals), np.asarray(hull.triangles)[:, 0]
    return (points @ normals.T - (normals * origins).sum(axis=1)).max(axis=1)


def _unspanned(points: Float, corners: Float) -> tuple[float, Float]:
    """Return the point [3] farthest outside of the hull of the corners, and how far [m]."""
    if len(corners) < 4 or np.linalg.matrix_rank(corners - corners.mean(axis=0), tol=1e-7) < 3:
        return np.inf, points[0]
    beyond = _beyond(trimesh.convex.convex_hull(corners), points)
    return float(beyond.max()), points[int(np.argmax(beyond))]
