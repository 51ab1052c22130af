"""Which meshes of a link collide as convex parts, and the parts."""

from __future__ import annotations

import numpy as np

from diffplan.geometry.decompose import kept_parts
from diffplan.geometry.shapes import Mesh, Shape
from diffplan.robot.link_solid import LinkSolid
from diffplan.system.third_party import trimesh

LIMITS: dict[str, float] = {"hull": np.inf, "auto": 0.010, "convex": 0.005}
"""How far what collides may bulge beyond the mesh [m], by the name of the choice."""


def cut_link(
    shapes: tuple[Shape, ...], limit: float, published: LinkSolid | None = None
) -> list[tuple[int, Mesh, list[trimesh.Trimesh]]]:
    """Return the number of each mesh whose hulls bulge farther than the limit [m], the mesh, and its convex parts.

    Parts that were made before come from the user's cache folder. `published` is the link's solid, if it is there.

    Raises:
        InputError: if a mesh file cannot be read.
    """
    meshes = [(n, shape) for n, shape in enumerate(shapes) if isinstance(shape, Mesh)] if np.isfinite(limit) else []
    return [
        (number, mesh, kept_parts(np.asarray(mesh.surface().triangles), limit))
        for number, mesh in meshes
        if (published if published and len(shapes) == 1 else LinkSolid.from_shapes((mesh,))).bulge >= limit
    ]
