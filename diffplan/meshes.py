"""Triangle meshes from files: convex hulls as PyBullet makes them, closed meshes, and sampled distance fields."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import trimesh
from scipy.spatial import QhullError

from diffplan.errors import InputError
from diffplan.geometry import Float
from diffplan.kept import Kept
from diffplan.mesh_files import MeshContent, read_mesh

Scale: TypeAlias = "tuple[float, float, float]"
_UNIT: Scale = (1.0, 1.0, 1.0)
LARGEST = 100.0
"""Largest mesh [m across]; up to there float32 in PyBullet is good for a hundredth of a millimetre."""
MOST_VERTICES, MOST_TRIANGLES = 131_072, 174_762
"""What PyBullet takes of a hollow mesh (B3_MAX_NUM_VERTICES, B3_MAX_NUM_INDICES / 3)."""
MOST_CORNERS = 50_000
"""Corners of a convex hull; each distance in PyBullet looks at all of them several times."""
_kept: Kept[list[trimesh.Trimesh]] = Kept(256 * 2**20)


@dataclass(frozen=True, kw_only=True, eq=False)
class DistanceField:
    """Signed distances `values` [nx, ny, nz] in m, positive outside, in the mesh's own frame.

    Node (i, j, k) lies at `origin + spacing * (i, j, k)`; between nodes, interpolate trilinearly.
    """

    origin: Float
    spacing: float
    values: np.ndarray


def load_hulls(file: str | Path, scale: Scale = _UNIT) -> list[trimesh.Trimesh]:
    """Return what PyBullet collides with: one convex hull for each group (`o`, `g`) of an OBJ file, else one in all.

    The meshes are kept: copy them before you change them.

    Raises:
        InputError: if the file is missing, not readable, a group is flat, or the mesh is larger than `LARGEST`.
    """
    content = read_mesh(file)
    return _kept.get(("hulls", content.key, scale), lambda: _hulls(content, scale), _bytes)


def load_mesh(file: str | Path, scale: Scale = _UNIT) -> trimesh.Trimesh:
    """Return a closed mesh with its normals outside; it is kept: copy it before you change it.

    Raises:
        InputError: if the file is missing, not readable, or the mesh is not closed, larger than `LARGEST`, or has more
            vertices or triangles than PyBullet takes.
    """
    content = read_mesh(file)
    return _kept.get(("closed", content.key, scale), lambda: [_closed(content, scale)], _bytes)[0]


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


_fields: Kept[DistanceField] = Kept(256 * 2**20)


def file_field(file: str | Path, scale: Scale = _UNIT, *, convex: bool = False) -> DistanceField:
    """Return the distance field of a mesh file, solid with its hollows or as its convex hulls; kept in memory.

    Raises:
        InputError: as `load_mesh` and `load_hulls`.
    """
    content = read_mesh(file)

    def make() -> DistanceField:
        return distance_field(_hulls(content, scale) if convex else [_closed(content, scale)])

    return _fields.get((content.key, scale, convex), make, lambda field: field.values.nbytes)


def distance_field(meshes: list[trimesh.Trimesh], spacing: float | None = None, padding: float = 0.1) -> DistanceField:
    """Sample the signed distance to the union of closed meshes.

    Exact at the nodes to the triangles themselves (inside an overlap of two meshes: to the farther surface of the two).

    Args:
        meshes: closed, normals outside.
        spacing: edge of a cell [m]; by default 4 mm, or a 64th of the grid's longest side where that is more.
        padding: how far the grid reaches beyond the meshes [m].
    """
    lower = np.min([mesh.bounds[0] for mesh in meshes], axis=0)
    upper = np.max([mesh.bounds[1] for mesh in meshes], axis=0)
    if spacing is None:
        spacing = max(0.004, float((upper - lower).max() + 2 * padding) / 64)
    from diffplan.kernels.triangle_distance import grid_distance  # compiled code, slow to import

    origin = np.asarray(lower - padding, dtype=np.float64)
    nx, ny, nz = (int(n) + 1 for n in np.ceil((upper - lower + 2 * padding) / spacing))
    shape = (nx, ny, nz)
    solids = np.full(shape, np.inf)
    cavities = np.full(shape, -np.inf)
    for part in (part for mesh in meshes for part in _parts(mesh)):
        triangles = np.asarray(part.triangles, dtype=np.float64)
        values = grid_distance(origin, spacing, shape, triangles, _pseudonormals(part))
        if part.volume > 0:
            np.minimum(solids, values, out=solids)
        else:
            np.maximum(cavities, values, out=cavities)
    values = np.maximum(solids, cavities)
    return DistanceField(origin=origin, spacing=spacing, values=values.astype(np.float32))


def _parts(mesh: trimesh.Trimesh) -> list[trimesh.Trimesh]:
    """Return the connected surfaces: solids, which may overlap, and cavities, whose normals point inwards."""
    labels = trimesh.graph.connected_component_labels(mesh.face_adjacency, node_count=len(mesh.faces))
    return [trimesh.Trimesh(mesh.vertices, mesh.faces[labels == i], process=False) for i in range(labels.max() + 1)]


def _pseudonormals(mesh: trimesh.Trimesh) -> Float:
    """Return the normals [t, 7, 3] of face, edges ab, bc, ca and corners a, b, c of every triangle (not normalised)."""
    faces = np.asarray(mesh.faces)
    face_normals = np.cross(mesh.triangles[:, 1] - mesh.triangles[:, 0], mesh.triangles[:, 2] - mesh.triangles[:, 0])
    face_normals /= np.linalg.norm(face_normals, axis=1, keepdims=True)
    vertex_normals = np.zeros((len(mesh.vertices), 3))
    np.add.at(vertex_normals, faces, face_normals[:, None] * mesh.face_angles[:, :, None])
    edge_normals = np.zeros((len(mesh.edges_unique), 3))
    np.add.at(edge_normals, mesh.faces_unique_edges, face_normals[:, None])
    normals = np.empty((len(faces), 7, 3))
    normals[:, 0] = face_normals
    normals[:, 1:4] = edge_normals[mesh.faces_unique_edges]
    normals[:, 4:7] = vertex_normals[faces]
    return normals
