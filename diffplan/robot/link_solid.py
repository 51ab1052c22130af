"""The solid of one link: its collision meshes, the hulls that engines collide with, and depth below the surface."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import RegularGridInterpolator
from scipy.spatial import KDTree

from diffplan.geometry.pose import Float
from diffplan.geometry.shapes import Shape
from diffplan.system.computed import computed
from diffplan.system.third_party import trimesh

_CONVEX_VOLUME_RATIO = 0.999
_BEYOND = -1.0
_BULGE_SPACING = 0.003


@dataclass(frozen=True, kw_only=True, eq=False)
class LinkSolid:
    """One link in its own frame [m]: its `mesh`, and the convex `hulls` that PyBullet collides with instead."""

    mesh: trimesh.Trimesh
    hulls: tuple[trimesh.Trimesh, ...]

    @staticmethod
    def from_shapes(shapes: tuple[Shape, ...]) -> LinkSolid:
        """Join the collision shapes of a link, each moved by its own pose.

        Raises:
            InputError: if a mesh file cannot be read.
        """
        meshes, hulls = [], []
        for shape in shapes:
            mesh, own = shape.surface(), [hull.copy() for hull in shape.hulls()]
            for part in (mesh, *own):
                part.apply_transform(shape.pose.matrix)
            meshes.append(mesh)
            hulls += own
        return LinkSolid(mesh=_joined(meshes), hulls=tuple(hulls))

    @computed
    def bulge(self) -> float:
        """How far the hulls reach beyond the mesh [m], over samples."""
        if self.is_convex:
            return 0.0
        hulls = np.concatenate([surface_grid(hull, _BULGE_SPACING)[0] for hull in self.hulls])
        return float(KDTree(surface_grid(self.mesh, _BULGE_SPACING)[0]).query(hulls)[0].max())

    def of_hulls(self) -> LinkSolid:
        """Return the solid that PyBullet collides with: the hulls in place of the mesh."""
        return LinkSolid(mesh=_joined(list(self.hulls)), hulls=self.hulls)

    @computed
    def is_convex(self) -> bool:
        """Whether the mesh is one convex solid, up to rounding."""
        return len(self.hulls) == 1 and float(self.mesh.volume) > _CONVEX_VOLUME_RATIO * float(self.hulls[0].volume)

    def surface(self, spacing: float) -> Float:
        """Return points [n, 3] on the surfaces of mesh and hulls, neighbours at most about `spacing` [m] apart."""
        hulls = [surface_grid(hull, spacing)[0] for hull in self.hulls]
        return np.concatenate(hulls if self.is_convex else [*hulls, surface_grid(self.mesh, spacing)[0]])

    def inside(self, points: Float) -> np.ndarray:
        """Return which points [n, 3] are inside the mesh."""
        if self.is_convex:
            return _depth_in_hull(self.hulls[0], points) >= 0
        return _inside_mesh(self.mesh, points)

    @computed
    def depth(self) -> Callable[[Float], Float]:
        """The function: points [n, 3] -> depth [n] below the mesh's surface, negative outside, -1 far outside.

        Exact for convex solids, else interpolated on a 3 mm grid; surfaces buried inside the solid do not count.
        """
        return (lambda points: _depth_in_hull(self.hulls[0], points)) if self.is_convex else _depth_grid(self.mesh)


def surface_grid(mesh: trimesh.Trimesh, spacing: float) -> tuple[Float, Float]:
    """Return points [n, 3] on every triangle, neighbours at most about `spacing` [m] apart, and their normals."""
    triangles = mesh.triangles
    edges = np.linalg.norm(np.roll(triangles, -1, axis=1) - triangles, axis=2)
    base = edges.argmax(axis=1)
    rows = np.arange(len(triangles))
    a, b, c = (triangles[rows, (base + k) % 3] for k in range(3))
    longest = edges[rows, base]
    height = 2 * mesh.area_faces / longest
    steps = np.maximum(1, np.ceil(np.stack([longest, height], axis=1) / spacing).astype(int))
    points, normals = [], []
    for along, across in np.unique(steps, axis=0):
        u, v = np.meshgrid(np.linspace(0, 1, along + 1), np.linspace(0, 1, across + 1), indexing="ij")
        u, v = u.reshape(-1, 1, 1), v.reshape(-1, 1, 1)
        chosen = np.flatnonzero((steps == (along, across)).all(axis=1))
        points.append(((1 - v) * ((1 - u) * a[chosen] + u * b[chosen]) + v * c[chosen]).reshape(-1, 3))
        normals.append(np.tile(mesh.face_normals[chosen], (u.size, 1)))
    return np.concatenate(points), np.concatenate(normals)


def _joined(meshes: list[trimesh.Trimesh]) -> trimesh.Trimesh:
    first = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes[:-1])])
    return trimesh.Trimesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.faces + offset for mesh, offset in zip(meshes, first, strict=True)]),
        process=False,
    )


def _depth_in_hull(hull: trimesh.Trimesh, points: Float) -> Float:
    offsets = np.einsum("fd,fd->f", hull.face_normals, hull.triangles[:, 0])
    return (offsets - points @ hull.face_normals.T).min(axis=1)


def _depth_grid(mesh: trimesh.Trimesh, spacing: float = 0.003, padding: float = 0.021) -> Callable[[Float], Float]:
    points, normals = surface_grid(mesh, 0.001)
    outer = _inside_mesh(mesh, points + 0.0005 * normals) != _inside_mesh(mesh, points - 0.0005 * normals)
    axes = [np.arange(a - padding, b + padding, spacing) for a, b in zip(*mesh.bounds, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    distance = KDTree(points[outer]).query(grid)[0]
    signed = np.where(_inside_mesh(mesh, grid), distance, -distance).reshape([len(axis) for axis in axes])
    return RegularGridInterpolator(axes, signed, bounds_error=False, fill_value=_BEYOND)


def _inside_mesh(mesh: trimesh.Trimesh, points: Float) -> np.ndarray:
    from diffplan.geometry.winding import winding_number  # compiled code, slow to import

    inside = np.zeros(len(points), dtype=bool)
    possible = np.flatnonzero(_depth_in_hull(mesh.convex_hull, points) > 0)
    inside[possible] = winding_number(mesh.triangles, points[possible]) > 0.5
    return inside
