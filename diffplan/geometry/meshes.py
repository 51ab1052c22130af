"""Triangle meshes from files: convex hulls as PyBullet makes them, and closed meshes."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import numpy as np
from scipy.spatial import QhullError

from diffplan.errors import InputError
from diffplan.geometry.mesh_files import MeshContent, read_mesh
from diffplan.system.kept import Kept
from diffplan.system.third_party import trimesh

Scale: TypeAlias = "tuple[float, float, float]"
_UNIT: Scale = (1.0, 1.0, 1.0)
LARGEST = 100.0
"""Largest mesh [m across]; up to there float32 in PyBullet is good for a hundredth of a millimetre."""
LARGE = 20.0
"""A mesh that is larger [m across] is likely to be in other units, unless it is a hall."""
MOST_VERTICES, MOST_TRIANGLES = 131_072, 174_762
"""What PyBullet takes of a hollow mesh (B3_MAX_NUM_VERTICES, B3_MAX_NUM_INDICES / 3)."""
MOST_CORNERS = 50_000
"""Corners of a convex hull; each distance in PyBullet looks at all of them several times."""
_kept: Kept[list[trimesh.Trimesh]] = Kept(256 * 2**20)


def load_hulls(file: str | Path, scale: Scale = _UNIT) -> list[trimesh.Trimesh]:
    """Return what PyBullet collides with: one convex hull for each group (`o`, `g`) of an OBJ file, else one in all.

    The meshes are kept: copy them before you change them.

    Raises:
        InputError: if the file is missing, not readable, a group is flat, or the mesh is larger than `LARGEST`.
    """
    return solids(read_mesh(file), scale, convex=True)


def load_mesh(file: str | Path, scale: Scale = _UNIT) -> trimesh.Trimesh:
    """Return a closed mesh with its normals outside; it is kept: copy it before you change it.

    Raises:
        InputError: if the file is missing, not readable, or the mesh is not closed, larger than `LARGEST`, or has more
            vertices or triangles than PyBullet takes.
    """
    return solids(read_mesh(file), scale)[0]


def load_triangles(file: str | Path, scale: Scale = _UNIT) -> trimesh.Trimesh:
    """Return the triangles of a mesh file as they are, closed or not; those without area are left out.

    Raises:
        InputError: if the file is missing or not readable.
    """
    content = read_mesh(file)
    mesh = trimesh.Trimesh(content.vertices, np.concatenate(content.groups), process=False)
    mesh.apply_scale(scale)
    mesh.update_faces(mesh.nondegenerate_faces())
    return mesh


def solids(content: MeshContent, scale: Scale = _UNIT, *, convex: bool = False) -> list[trimesh.Trimesh]:
    """Return what `load_hulls` (convex) or `load_mesh` returns, for a file that has been read.

    Raises:
        InputError: as they do.
    """
    if convex:
        return _kept.get(("hulls", content.key, scale), lambda: _hulls(content, scale), _bytes)
    return _kept.get(("closed", content.key, scale), lambda: [_closed(content, scale)], _bytes)


def _hulls(content: MeshContent, scale: Scale) -> list[trimesh.Trimesh]:
    _check_size(content, scale)
    hulls = []
    for faces in content.groups:
        try:
            with np.errstate(all="ignore"):
                hull = trimesh.convex.convex_hull(content.vertices[np.unique(faces)] * scale)
                flat = not hull.volume > 0
        except QhullError as error:
            raise InputError("a part of the mesh is flat and has no convex hull", file=content.file) from error
        if flat:
            raise InputError("a part of the mesh is flat and has no convex hull", file=content.file)
        if len(hull.vertices) > MOST_CORNERS:
            allowed = f"up to {MOST_CORNERS} corners (a coarser mesh)"
            raise InputError(f"a convex hull of {len(hull.vertices)} corners", file=content.file, allowed=allowed)
        hulls.append(hull)
    return hulls


def _closed(content: MeshContent, scale: Scale) -> trimesh.Trimesh:
    _check_size(content, scale)
    used, faces = np.unique(np.concatenate(content.groups), return_inverse=True)
    vertices, faces = content.vertices[used] * np.asarray(scale), faces.reshape(-1, 3)
    mesh = trimesh.Trimesh(vertices, faces, process=True)
    mesh.update_faces(mesh.nondegenerate_faces())
    if len(mesh.vertices) > MOST_VERTICES or len(mesh.faces) > MOST_TRIANGLES:
        raise InputError(
            f"a mesh of {len(mesh.vertices)} vertices and {len(mesh.faces)} triangles",
            file=content.file,
            allowed=f"up to {MOST_VERTICES} vertices and {MOST_TRIANGLES} triangles (or cut into parts), "
            "or `convex: true` for its convex hull",
        )
    with np.errstate(all="ignore"):
        volume = float(mesh.volume)
    if not (mesh.is_watertight and mesh.is_winding_consistent and abs(volume) > 0):
        raise InputError(
            "the mesh is not closed (watertight)",
            file=content.file,
            allowed="a mesh whose every edge joins two triangles, or `convex: true` for its convex hull",
        )
    if volume < 0:
        mesh.invert()
    return mesh


def _check_size(content: MeshContent, scale: Scale) -> None:
    """Refuse a mesh that, scaled, is too large to be in metres."""
    with np.errstate(all="ignore"):  # numbers so large that they overflow are refused below
        corners = content.vertices[np.unique(np.concatenate(content.groups))] * scale
        across = float(np.ptp(corners, axis=0).max())
    if not across <= LARGEST or not np.abs(corners).max() <= 10 * LARGEST:
        x, y, z = (0.001 * factor for factor in scale)
        raise InputError(
            f"the mesh is {across:.6g} m across, its farthest corner at {np.abs(corners).max():.6g} m",
            file=content.file,
            allowed=f"up to {LARGEST:g} m; if the file is in millimetres, its scale is "
            + (f"{x:g}" if x == y == z else f"{x:g} {y:g} {z:g}"),
        )


def _bytes(meshes: list[trimesh.Trimesh]) -> int:
    return sum(mesh.vertices.nbytes + mesh.faces.nbytes for mesh in meshes)
