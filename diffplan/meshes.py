"""Triangle meshes from files: convex hulls as PyBullet makes them, closed meshes, and sampled distance fields."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

import numpy as np
import trimesh
from scipy.spatial import QhullError

from diffplan.errors import InputError
from diffplan.geometry import Float

Scale: TypeAlias = "tuple[float, float, float]"
_UNIT: Scale = (1.0, 1.0, 1.0)
_FORMATS = ("obj", "stl", "ply", "off", "glb", "gltf")


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

    Raises:
        InputError: if the file is missing, not readable, or a group is flat.
    """
    path = Path(file)
    groups = _read_obj(path) if path.suffix.lower() == ".obj" else [_read_other(path)]
    hulls = []
    for vertices, faces in groups:
        try:
            hull = trimesh.convex.convex_hull(np.asarray(vertices)[np.unique(faces)] * scale)
        except QhullError as error:
            raise InputError("a part of the mesh is flat and has no convex hull", file=path) from error
        hulls.append(hull)
    return hulls


def load_mesh(file: str | Path, scale: Scale = _UNIT) -> trimesh.Trimesh:
    """Return a closed mesh with its normals outside.

    Raises:
        InputError: if the file is missing, not readable, or the mesh is not closed.
    """
    path = Path(file)
    groups = _read_obj(path) if path.suffix.lower() == ".obj" else [_read_other(path)]
    faces = np.concatenate([group for _, group in groups])
    mesh = trimesh.Trimesh(groups[0][0] * np.asarray(scale), faces, process=True)
    mesh.update_faces(mesh.nondegenerate_faces())
    if not (mesh.is_watertight and mesh.is_winding_consistent and mesh.volume != 0):
        raise InputError(
            "the mesh is not closed (watertight)",
            file=path,
            allowed="a mesh whose every edge joins two triangles, or `convex: true` for its convex hull",
        )
    if mesh.volume < 0:
        mesh.invert()
    return mesh


@lru_cache(maxsize=64)
def _cached_field(path: Path, modified_ns: int, scale: Scale, convex: bool) -> DistanceField:
    return distance_field(load_hulls(path, scale) if convex else [load_mesh(path, scale)])


def file_field(file: str | Path, scale: Scale = _UNIT, *, convex: bool = False) -> DistanceField:
    """Return the distance field of a mesh file, solid with its hollows or as its convex hulls; kept in memory.

    Raises:
        InputError: as `load_mesh` and `load_hulls`.
    """
    path = _existing(Path(file)).resolve()
    return _cached_field(path, path.stat().st_mtime_ns, scale, convex)


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


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise InputError("mesh file not found", file=path)
    if path.suffix.lower().lstrip(".") not in _FORMATS:
        raise InputError("mesh format not supported", file=path, value=path.suffix, allowed=_FORMATS)
    return path


def _read_other(path: Path) -> tuple[Float, np.ndarray]:
    """Return vertices [v, 3] and faces [f, 3] of a file that trimesh reads."""
    _existing(path)
    try:
        mesh = trimesh.load(path, force="mesh")
    except (ValueError, KeyError, IndexError, OSError, ImportError) as error:
        raise InputError(f"not readable as a mesh: {error}", file=path) from error
    if not isinstance(mesh, trimesh.Trimesh) or len(mesh.faces) == 0:
        raise InputError("the file holds no triangles", file=path)
    return np.asarray(mesh.vertices, dtype=np.float64), np.asarray(mesh.faces)


def _read_obj(path: Path) -> list[tuple[Float, np.ndarray]]:
    """Return the vertices (all, shared) and the triangles [f, 3] of every group of an OBJ file.

    Only positions and faces count: textures and normals would split vertices and open the mesh.
    """
    vertices: list[list[float]] = []
    groups: list[list[list[int]]] = [[]]
    for number, line in enumerate(_existing(path).read_text(errors="replace").splitlines(), start=1):
        words = line.split()
        try:
            if not words:
                continue
            if words[0] == "v":
                vertices.append([float(words[1]), float(words[2]), float(words[3])])
            elif words[0] in ("o", "g"):
                groups.append([])
            elif words[0] == "f":
                indices = [int(word.split("/")[0]) for word in words[1:]]
                corners = [i - 1 if i > 0 else len(vertices) + i for i in indices]
                if min(corners) < 0 or max(corners) >= len(vertices):
                    raise ValueError("a face names a vertex that is not there")
                groups[-1] += [[corners[0], corners[k], corners[k + 1]] for k in range(1, len(corners) - 1)]
        except (ValueError, IndexError) as error:
            problem = "too few values" if isinstance(error, IndexError) else str(error)
            raise InputError(f"not readable as OBJ: {problem}", file=path, line=number, value=line.strip()) from error
    points = np.array(vertices, dtype=np.float64).reshape(-1, 3)
    filled = [(points, np.array(group, dtype=np.int64)) for group in groups if group]
    if not filled or not np.isfinite(points).all():
        raise InputError("the file holds no triangles, or vertices that are not finite", file=path)
    return filled
