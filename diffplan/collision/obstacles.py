"""Obstacles of one or many scenes, packed for the compiled kernel and for the torch reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from typing import NamedTuple

import numpy as np

from diffplan.collision.lanes import BOX, CAPSULE, CYLINDER, FIELD, SPHERE, SPLIT_FIELD, ObstacleArrays
from diffplan.geometry.fields import SPLIT, DistanceField, Reach, file_field
from diffplan.geometry.pose import Float
from diffplan.geometry.shapes import Box, Capsule, Cylinder, Primitive, Shape, Sphere
from diffplan.robot.model import Robot
from diffplan.scene import Scene, bodies
from diffplan.system.computed import computed

_EXACT: dict[type[Primitive], tuple[int, tuple[float, float, float]]] = {
    Box: (BOX, (0.5, 0.5, 0.5)),
    Sphere: (SPHERE, (1.0, 0.0, 0.0)),
    Cylinder: (CYLINDER, (1.0, 0.5, 0.0)),
    Capsule: (CAPSULE, (1.0, 0.5, 0.0)),
}
"""The kernel's kind of each primitive, and what its sizes are multiplied by for the kernel's `size`."""
ANY = 1e3
"""By how much a link may be nearer where it may touch however deep: farther than anything is [m]."""
_LOOK = 0.25  # [m] farther than any planner looks from the arm's surface (CHOMP: 0.2)


@dataclass(frozen=True, kw_only=True, eq=False)
class Row:
    """One solid in the robot's base frame: its kind, pose, half sizes [m], and its field if it is a mesh.

    `extent` are the lower and upper corner of its box, in its own frame. `give` is by how much links may be nearer (m),
    by name, where contact is allowed: `ANY` where any depth will do.
    """

    name: str
    kind: int
    T_base_solid: Float
    size: tuple[float, float, float]
    extent: tuple[Float, Float]
    field: DistanceField | None = None
    give: dict[str, float] = dataclass_field(default_factory=dict)


class _Places(NamedTuple):
    """Frames [m, 12], sizes [m, 3] and boxes [m, 6] of rows, as in `ObstacleArrays`."""

    frame: Float
    size: Float
    aabb: Float


@dataclass(frozen=True, kw_only=True, eq=False)
class Obstacles:
    """Packed obstacles; scene i owns rows `first[i]` to `first[i + 1]`.

    `links` are those of the robot in its order if some may touch an obstacle; else none.
    """

    rows: tuple[Row, ...]
    first: tuple[int, ...]
    links: tuple[str, ...] = ()

    @computed
    def arrays(self) -> ObstacleArrays:
        """What the kernel takes, in float32."""
        return _arrays(self, self._places, np.float32)

    @computed
    def double(self) -> ObstacleArrays:
        """What the kernel takes, in float64."""
        return _arrays(self, self._places, np.float64)

    @computed
    def _places(self) -> _Places:
        return _Places(
            frame=np.array([frame12(row.T_base_solid) for row in self.rows]).reshape(-1, 12),
            size=np.array([row.size for row in self.rows]).reshape(-1, 3),
            aabb=np.array([_aabb(row) for row in self.rows]).reshape(-1, 6),
        )

    @staticmethod
    def around(robot: Robot, scene: Scene) -> Obstacles:
        """Pack the scene that a robot stands in, as far as it matters to this robot.

        Meshes farther off than the arm reaches are left out; large ones are sampled where it does reach. Where contact
        of a link (or of a held body) with an obstacle is allowed up to a depth, it may be nearer by that, and by how
        far spheres stick out: the certificate knows the real shape.

        Raises:
            InputError: if a mesh or URDF file cannot be read.
        """
        packed = Obstacles.pack([scene], reach_of(robot))
        gives = _gives(robot, scene)
        if not gives:
            return packed
        rows = tuple(replace(row, give=gives.get(row.name, {})) for row in packed.rows)
        return Obstacles(rows=rows, first=packed.first, links=robot.links)

    @staticmethod
    def pack(scenes: Sequence[Scene], reach: Reach | None = None) -> Obstacles:
        """Pack scenes, each in its own robot base frame; meshes whole, or as far as they are in reach (base frame).

        Raises:
            InputError: if a mesh or URDF file cannot be read.
        """
        rows: list[Row] = []
        first = [0]
        for scene in scenes:
            T_base_world = scene.robot_base.inverse().matrix
            for obstacle in scene.obstacles:
                for body in bodies(obstacle):
                    T_base_body = T_base_world @ body.pose.matrix
                    base = -T_base_body[:3, :3].T @ T_base_body[:3, 3]
                    for shape in (shape.near(base) for shape in body.shapes):
                        rows += _rows(obstacle.name, shape, T_base_body @ shape.pose.matrix, reach)
            first.append(len(rows))
        packed = Obstacles(rows=tuple(rows), first=tuple(first))
        _ = packed.arrays  # now, since this is not planning
        return packed


def reach_of(robot: Robot) -> Reach:
    """Return a ball in the base frame with all that the arm's spheres can come as near to as planners look."""
    x, y, z = robot.chain.origin[0, :3, 3].tolist()
    return Reach(centre=(x, y, z), radius=robot.farthest_sphere + _LOOK)


def _gives(robot: Robot, scene: Scene) -> dict[str, dict[str, float]]:
    """Return by how much links may be nearer to an obstacle (m), by the obstacle's name and theirs."""
    obstacles, found = {obstacle.name for obstacle in scene.obstacles}, {}
    for contact in scene.allowed_contacts:
        for one, other in (contact.pair, contact.pair[::-1]):
            if one in obstacles and other in robot.links:
                give = ANY if contact.depth_m is None else contact.depth_m + robot.spheres.outside
                found.setdefault(one, {})[other] = give
    return found


def _rows(name: str, shape: Shape, T: Float, reach: Reach | None) -> list[Row]:
    """Return the row of a shape at T_base_shape [4, 4]; none if it is a mesh out of reach."""
    if isinstance(shape, Primitive):
        kind, factors = _EXACT[type(shape)]
        a, b, c = (size * factor for size, factor in zip((*shape.sizes, 0.0, 0.0), factors, strict=False))
        half = np.array(shape.half_extents)
        return [Row(name=name, kind=kind, T_base_solid=T, size=(a, b, c), extent=(-half, half))]
    (file,) = shape.files
    seen = None if reach is None else reach.seen_from(T)
    field = file_field(file, shape.scales, convex=not shape.hollow, reach=seen)
    if field is None:
        return []
    kind = SPLIT_FIELD if field.cells.size else FIELD
    lower = np.asarray(field.origin, dtype=np.float64)
    upper = lower + (np.array(field.values.shape) - 1) * field.spacing
    return [Row(name=name, kind=kind, T_base_solid=T, size=(0.0, 0.0, 0.0), extent=(lower, upper), field=field)]


def _aabb(row: Row) -> Float:
    """Return the row's box in the base frame [6]: lower and upper corner."""
    lower, upper = row.extent
    centre = row.T_base_solid[:3, :3] @ ((lower + upper) / 2) + row.T_base_solid[:3, 3]
    half = np.abs(row.T_base_solid[:3, :3]) @ ((upper - lower) / 2)
    return np.concatenate([centre - half, centre + half])


def _arrays(obstacles: Obstacles, places: _Places, kind: type) -> ObstacleArrays:
    rows, first, links = obstacles.rows, obstacles.first, obstacles.links
    fields: dict[int, DistanceField] = {id(row.field): row.field for row in rows if row.field is not None}
    index = {key: i for i, key in enumerate(fields)}
    grids = list(fields.values())
    counts = [grid.values.size + grid.split.size for grid in grids]
    nodes = [part.ravel() for grid in grids for part in (grid.values, grid.split)]
    first_node = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    cells = [
        np.where(grid.cells < 0, -1, begin + grid.values.size + grid.cells.astype(np.int64) * (SPLIT + 1) ** 3).ravel()
        for grid, begin in zip(grids, first_node, strict=False)
    ]
    return ObstacleArrays(
        first=np.array(first, dtype=np.int64),
        kind=np.array([row.kind for row in rows], dtype=np.int64),
        frame=places.frame.astype(kind),
        size=places.size.astype(kind),
        aabb=places.aabb.astype(kind),
        field=np.array([index.get(id(row.field), -1) for row in rows], dtype=np.int64),
        nodes=np.concatenate([*nodes, np.zeros(0, dtype=np.float32)]).astype(kind, copy=False),
        field_first=first_node,
        field_shape=np.array([grid.values.shape for grid in grids], dtype=np.int64).reshape(-1, 3),
        field_grid=np.array([[*grid.origin, grid.spacing] for grid in grids], dtype=kind).reshape(-1, 4),
        cells=np.concatenate([*cells, np.zeros(0, dtype=np.int64)]),
        cell_first=np.concatenate([[0], np.cumsum([len(part) for part in cells])]).astype(np.int64),
        give=np.array([[row.give.get(link, 0.0) for link in links] for row in rows if links], dtype=kind).reshape(
            len(rows) if links else 0, len(links)
        ),
    )


def frame12(matrix: Float) -> Float:
    """Return rotation (row-major) and translation [12] of a homogeneous matrix."""
    return np.concatenate([matrix[:3, :3].ravel(), matrix[:3, 3]])
