"""The solid of one link: its collision meshes, and the convex parts that collide instead of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffplan.geometry.convex import ConvexUnion
from diffplan.geometry.shapes import Shape
from diffplan.geometry.triangle_distance import SolidDistance, unsigned_distance
from diffplan.system.computed import computed
from diffplan.system.third_party import trimesh

_BULGE_SPACING = 0.002
_MOST_POINTS = 200_000


@dataclass(frozen=True, kw_only=True, eq=False)
class LinkSolid:
    """One link in its own frame [m]: its `mesh` as published, and the union `solid` of the parts that collide."""

    mesh: trimesh.Trimesh
    solid: ConvexUnion

    @staticmethod
    def from_shapes(shapes: tuple[Shape, ...]) -> LinkSolid:
        """Join the collision shapes of a link, each moved by its own pose.

        Raises:
            InputError: if a mesh file cannot be read.
        """
        meshes, parts = [], []
        for shape in shapes:
            mesh, own = shape.surface(), [hull.copy() for hull in shape.hulls()]
            for part in (mesh, *own):
                part.apply_transform(shape.pose.matrix)
            meshes.append(mesh)
            parts += own
        return LinkSolid(mesh=_joined(meshes), solid=ConvexUnion(parts=tuple(parts)))

    @computed
    def bulge(self) -> float:
        """How far the surface of the parts lies from that of the mesh at most [m], over samples 2 mm apart."""
        return self.bulge_of(self.solid)

    def bulge_of(self, solid: ConvexUnion) -> float:
        """Return how far the surface of a solid lies from that of the mesh at most [m], over samples 2 mm apart."""
        spacing = max(_BULGE_SPACING, float(np.sqrt(solid.area / _MOST_POINTS)))
        return self._distance.farthest(solid.surface(spacing))

    @computed
    def _distance(self) -> SolidDistance:
        return unsigned_distance(np.asarray(self.mesh.triangles))


def _joined(meshes: list[trimesh.Trimesh]) -> trimesh.Trimesh:
    first = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes[:-1])])
    return trimesh.Trimesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.faces + offset for mesh, offset in zip(meshes, first, strict=True)]),
        process=False,
    )
