"""Which meshes of a link collide as convex parts, and the parts."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import numpy as np

from diffplan.geometry import convex, decompose, field_files
from diffplan.geometry.shapes import Mesh, Shape
from diffplan.robot.link_solid import LinkSolid
from diffplan.system.third_party import trimesh

LIMITS: dict[str, float] = {"hull": np.inf, "auto": 0.010, "convex": 0.005}
"""How far what collides may bulge beyond the mesh [m], by the name of the choice."""


def cut_link(shapes: tuple[Shape, ...], limit: float) -> list[tuple[int, Mesh, list[trimesh.Trimesh]]]:
    """Return the number of each mesh whose hulls bulge farther than the limit [m], the mesh, and its convex parts.

    Parts that were made before come from the user's cache folder.

    Raises:
        InputError: if a mesh file cannot be read.
    """
    meshes = [(n, shape) for n, shape in enumerate(shapes) if isinstance(shape, Mesh)] if np.isfinite(limit) else []
    return [
        (number, mesh, _parts(np.asarray(mesh.surface().triangles), limit))
        for number, mesh in meshes
        if LinkSolid.from_shapes((mesh,)).bulge >= limit
    ]


def _parts(triangles: np.ndarray, limit: float) -> list[trimesh.Trimesh]:
    digest = hashlib.sha256(np.ascontiguousarray(triangles).tobytes()).hexdigest()
    key = ("convex parts", code_digest(convex.__file__, decompose.__file__), digest, limit)
    kept = field_files.load(key)
    if kept is None:
        found = decompose.decompose(triangles, limit)
        kept = {
            f"{kind}{n}": np.asarray(getattr(p, kind)) for n, p in enumerate(found) for kind in ("vertices", "faces")
        }
        field_files.save(key, kept)
    return [trimesh.Trimesh(kept[f"vertices{n}"], kept[f"faces{n}"], process=False) for n in range(len(kept) // 2)]


@cache
def code_digest(*files: str) -> str:
    """Return a digest of modules' files: what was made by other code is made again."""
    return hashlib.sha256(b"\0".join(Path(file).read_bytes() for file in files)).hexdigest()
