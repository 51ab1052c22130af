"""The corners of URDF collision shapes: what the links are made of, read without PyBullet."""

from __future__ import annotations

import numpy as np

from diffplan.geometry import Float
from diffplan.meshes import load_hulls
from diffplan.urdf import CollisionShape


def convex_parts(shape: CollisionShape) -> list[Float]:
    """Return the corners [n, 3] (link frame) of hulls that hold a shape's convex parts; a sphere's is its centre.

    A mesh is read as its file is now.
    """
    if shape.kind == "mesh" and shape.file is not None:
        parts = [np.asarray(hull.vertices) for hull in load_hulls(shape.file, shape.scale)]
    elif shape.kind == "box":
        parts = [_corners(np.array(shape.size) / 2)]
    elif shape.kind == "sphere":
        parts = [np.zeros((1, 3))]
    else:
        radius, length = shape.size
        parts = [_corners(np.array([radius, radius, length / 2 + (radius if shape.kind == "capsule" else 0.0)]))]
    pose = shape.pose.matrix
    return [part @ pose[:3, :3].T + pose[:3, 3] for part in parts]


def _corners(half: Float) -> Float:
    signs = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1).T
    return signs * half
