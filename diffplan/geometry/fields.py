"""Sampled distance fields of meshes: what the planner sees of them. The certificate sees the meshes themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from diffplan.geometry import field_files
from diffplan.geometry.mesh_files import read_mesh
from diffplan.geometry.meshes import Scale, solids
from diffplan.geometry.pose import Float
from diffplan.system.kept import Kept
from diffplan.system.progress import working
from diffplan.system.third_party import trimesh

if TYPE_CHECKING:
    from diffplan.geometry.triangle_distance import Surface

SPLIT = 4
"""A cell that is split has so many small ones along each side."""
_UNIT: Scale = (1.0, 1.0, 1.0)
_SMALLEST_CELL, _CELLS, _PADDING = 0.004, 64, 0.1
_LARGE_CELL = 0.01  # [m] a field that would need larger cells is cut to what is in reach, and its cells are split
_SNAP = 0.25  # [m] so that a mesh that moves a little often keeps its field
_NEAR = 0.03  # [m] how far from the solid a cell may be and still matter: where obstacles begin to push
_CROOKED = 0.002  # [m] a cell whose corners fit no plane so well is split
_MOST_SPLIT = 16_000  # cells
_TOUCH = 1e-9  # [m] surfaces that touch may lie so deep in each other by rounding
_SLOW = 0.1  # [s] a field that took longer is kept on the disk

_fields: Kept[DistanceField] = Kept(256 * 2**20)


@dataclass(frozen=True, kw_only=True, eq=False)
class DistanceField:
    """Signed distances `values` [nx, ny, nz] in m, positive outside, in the mesh's own frame.

    Node (i, j, k) lies at `origin + spacing * (i, j, k)`; between nodes, interpolate trilinearly. Where cells are
    split, `cells` [nx - 1, ny - 1, nz - 1] has the index of a cell's own nodes in `split` [m, n, n, n], n = SPLIT + 1
    (`spacing / SPLIT` apart), or -1; where none is, both are empty.
    """

    origin: Float
    spacing: float
    values: np.ndarray
    cells: np.ndarray
    split: np.ndarray

    @property
    def nbytes(self) -> int:
        """Size of the arrays."""
        return self.values.nbytes + self.cells.nbytes + self.split.nbytes


@dataclass(frozen=True, kw_only=True)
class Reach:
    """A ball that holds all that the arm can meet [m]."""

    centre: tuple[float, float, float]
    radius: float

    def seen_from(self, T: Float) -> Reach:
        """Return the ball in the frame with the pose T [4, 4]."""
        x, y, z = (T[:3, :3].T @ (np.array(self.centre) - T[:3, 3])).tolist()
        return Reach(centre=(x, y, z), radius=self.radius)


def file_field(
    file: str | Path, scale: Scale = _UNIT, *, convex: bool = False, reach: Reach | None = None
) -> DistanceField | None:
    """Return the distance field of a mesh file, solid with its hollows or as its convex hulls.

    Fields are kept by content, in memory, and on the disk where they are slow to make.

    Args:
        file: the mesh file.
        scale: factors along x, y, z.
        convex: whether the mesh stands for its convex hulls.
        reach: where distances are wanted (in the scaled mesh's frame); a large mesh is sampled there only.

    Returns:
        The field, or None if the box around the mesh does not come into reach.

    Raises:
        InputError: as `load_mesh` and `load_hulls`.
    """
    content = read_mesh(file)
    meshes = solids(content, scale, convex=convex)
    window = None
    if reach is not None:
        lower, upper = _box(meshes)
        nearest = np.clip(reach.centre, lower, upper)
        if np.linalg.norm(nearest - reach.centre) > reach.radius:
            return None
        if _cell(upper - lower + 2 * _PADDING) > _LARGE_CELL:
            ends = np.array([np.array(reach.centre) - reach.radius, np.array(reach.centre) + reach.radius]) / _SNAP
            window = (tuple((np.floor(ends[0]) * _SNAP).tolist()), tuple((np.ceil(ends[1]) * _SNAP).tolist()))
    key = (content.key, scale, convex, window)

    def make() -> DistanceField:
        kept = field_files.load(key)
        if kept is not None:
            spacing = float(kept.pop("spacing"))
            return DistanceField(**kept, spacing=spacing)
        begin = perf_counter()
        with working(f"measuring distances to {content.file.name}"):
            field = distance_field(meshes) if window is None else split_field(meshes, *map(np.array, window))
        if perf_counter() - begin > _SLOW:
            field_files.save(key, {name: np.asarray(value) for name, value in vars(field).items()})
        return field

    return _fields.get(key, make, lambda field: field.nbytes)


def distance_field(
    meshes: list[trimesh.Trimesh], spacing: float | None = None, padding: float = _PADDING
) -> DistanceField:
    """Sample the signed distance to the union of closed meshes, exact at the nodes (see `SolidDistance`).

    Args:
        meshes: closed, normals outside.
        spacing: edge of a cell [m]; by default 4 mm, or a 64th of the grid's longest side where that is more.
        padding: how far the grid reaches beyond the meshes [m].
    """
    lower, upper = _box(meshes)
    field, _ = _sample(meshes, lower - padding, upper - lower + 2 * padding, spacing)
    return field


def split_field(meshes: list[trimesh.Trimesh], lower: Float, upper: Float) -> DistanceField:
    """Sample the part of a union of closed meshes that lies in a box [3], [3], finer where it is crooked.

    Cells near the surface are split where the distances at their corners are no plane's: at edges, and where something
    thinner than a cell is. (Adaptively sampled distance fields, Frisken et al., SIGGRAPH 2000, with two levels.)
    """
    low, high = _box(meshes)
    lower, upper = np.maximum(lower, low - _PADDING), np.minimum(upper, high + _PADDING)
    field, measure = _sample(meshes, lower, upper - lower, None)
    crooked = _crooked(field.values.astype(np.float64), field.spacing)
    chosen = np.argwhere(crooked > _CROOKED)
    if len(chosen) > _MOST_SPLIT:
        worst = np.argsort(-crooked[tuple(chosen.T)], kind="stable")[:_MOST_SPLIT]
        chosen = chosen[np.sort(worst)]
    step = np.stack(np.meshgrid(*[np.arange(SPLIT + 1)] * 3, indexing="ij"), axis=-1) / SPLIT
    points = field.origin + field.spacing * (chosen[:, None, None, None] + step)
    split = measure(points.reshape(-1, 3)).reshape(points.shape[:-1]).astype(np.float32)
    cells = np.full(crooked.shape, -1, dtype=np.int32)
    cells[tuple(chosen.T)] = np.arange(len(chosen))
    return DistanceField(origin=field.origin, spacing=field.spacing, values=field.values, cells=cells, split=split)


def _crooked(values: Float, spacing: float) -> Float:
    """Return how badly a plane at unit slope fits the corners of each cell [m]; zero far from the surface."""
    corners = np.stack([values[i:, j:, k:][: -1 if not i else None, : -1 if not j else None, : -1 if not k else None]
                        for i in (0, 1) for j in (0, 1) for k in (0, 1)])  # fmt: skip
    signs = np.array([(i, j, k) for i in (-0.5, 0.5) for j in (-0.5, 0.5) for k in (-0.5, 0.5)])
    slope = np.tensordot(signs, corners, axes=(0, 0)) / 2  # [3, cells], of one cell's length
    plane = corners.mean(axis=0) + np.tensordot(signs, slope, axes=(1, 0))
    worst = np.maximum(np.abs(corners - plane).max(axis=0), np.abs(spacing - np.linalg.norm(slope, axis=0)) / 2)
    half = np.sqrt(3) / 2 * spacing  # from a cell's centre to its corners
    near = (corners.min(axis=0) < _NEAR + half) & (corners.max(axis=0) > -half)
    return np.where(near, worst, 0.0)


def _cell(sides: Float) -> float:
    """Return the edge of a cell [m] of a grid with these sides [3]."""
    return max(_SMALLEST_CELL, float(sides.max()) / _CELLS)


def _box(meshes: list[trimesh.Trimesh]) -> tuple[Float, Float]:
    """Return the lower and upper corner [3] of all meshes."""
    return np.min([mesh.bounds[0] for mesh in meshes], axis=0), np.max([mesh.bounds[1] for mesh in meshes], axis=0)


def _sample(
    meshes: list[trimesh.Trimesh], origin: Float, sides: Float, spacing: float | None
) -> tuple[DistanceField, Callable[[Float], Float]]:
    """Return the field on a grid with its first node at `origin` [3] and these sides [3], and what measures points."""
    from diffplan.geometry.triangle_distance import SolidDistance  # compiled code, slow to import

    spacing = _cell(sides) if spacing is None else spacing
    axes = [np.arange(int(n) + 1) for n in np.ceil(sides / spacing)]
    nodes = origin + spacing * np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    measure = SolidDistance([surface for mesh in meshes for surface in _surfaces(mesh)]).at
    values = measure(nodes.reshape(-1, 3)).reshape(nodes.shape[:-1])
    field = DistanceField(
        origin=np.asarray(origin, dtype=np.float64),
        spacing=spacing,
        values=values.astype(np.float32),
        cells=np.zeros((0, 0, 0), dtype=np.int32),
        split=np.zeros((0, SPLIT + 1, SPLIT + 1, SPLIT + 1), dtype=np.float32),
    )
    return field, measure


def _surfaces(mesh: trimesh.Trimesh) -> list[Surface]:
    """Return the connected surfaces: solids, which may overlap, and cavities, whose normals point inwards."""
    from diffplan.geometry.triangle_distance import Surface

    labels = trimesh.graph.connected_component_labels(mesh.face_adjacency, node_count=len(mesh.faces))
    corners = np.stack([np.repeat(labels, 3), mesh.faces.ravel()], axis=1)  # surfaces may touch in a vertex
    used, faces = np.unique(corners, axis=0, return_inverse=True)
    apart = trimesh.Trimesh(mesh.vertices[used[:, 1]], faces.reshape(-1, 3), process=False)
    triangles, normals = np.asarray(apart.triangles, dtype=np.float64), _pseudonormals(apart)
    volumes = np.bincount(labels, np.linalg.det(triangles - triangles.mean(axis=(0, 1))))
    order = np.argsort(labels, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(labels))[:-1])
    found = [
        Surface(triangles=triangles[part], normals=normals[part], cavity=not volume > 0)
        for part, volume in zip(parts, volumes, strict=True)
    ]
    return [replace(surface, level=level) for surface, level in zip(found, _levels(found), strict=True)]


def _levels(surfaces: list[Surface]) -> np.ndarray:
    """Return for each surface how many cavities hold a corner of it, or the middle of a triangle."""
    from diffplan.geometry.triangle_distance import SolidDistance

    levels = np.zeros(len(surfaces), dtype=np.int64)
    hollow = [i for i, surface in enumerate(surfaces) if surface.cavity]
    if not hollow:
        return levels
    boxes = np.array([[s.triangles.min(axis=(0, 1)), s.triangles.max(axis=(0, 1))] for s in surfaces])
    for i in hollow:
        low, high = boxes[i]
        inside = SolidDistance([replace(surfaces[i], cavity=False, level=0)])  # its normals point inwards
        for j in np.flatnonzero((boxes[:, 0] < high).all(axis=1) & (boxes[:, 1] > low).all(axis=1)):
            if j == i:
                continue
            triangles = surfaces[j].triangles
            points = np.concatenate([triangles.reshape(-1, 3), triangles.mean(axis=1)])
            points = points[((points > low) & (points < high)).all(axis=1)]
            levels[j] += bool(len(points)) and bool((inside.at(points) > _TOUCH).any())
    return levels


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
