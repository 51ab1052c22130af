"""Obstacles of one or many scenes, packed for the compiled kernel and for the torch reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from diffplan.computed import computed
from diffplan.fields import SPLIT, DistanceField, Reach, file_field
from diffplan.geometry import Float, Pose
from diffplan.kernels.lanes import BOX, CAPSULE, CYLINDER, FIELD, SPHERE, SPLIT_FIELD, ObstacleArrays
from diffplan.robot import Robot
from diffplan.scene import Box, Capsule, Cylinder, Mesh, Obstacle, Plane, Scene, Sphere, Urdf
from diffplan.urdf import CollisionShape, load_urdf

_LOOK = 0.25  # [m] farther than any planner looks from the arm's surface (CHOMP: 0.2)


@dataclass(frozen=True, kw_only=True, eq=False)
class Row:
    """One solid in the robot's base frame: its kind, pose, half sizes [m], and its field if it is a mesh."""

    name: str
    kind: int
    T_base_solid: Float
    size: tuple[float, float, float]
    field: DistanceField | None = None


class _Places(NamedTuple):
    """Frames [m, 12], sizes [m, 3] and boxes [m, 6] of rows, as in `ObstacleArrays`."""

    frame: Float
    size: Float
    aabb: Float


@dataclass(frozen=True, kw_only=True, eq=False)
class Obstacles:
    """Packed obstacles; scene i owns rows `first[i]` to `first[i + 1]`."""

    rows: tuple[Row, ...]
    first: tuple[int, ...]

    @computed
    def arrays(self) -> ObstacleArrays:
        """What the kernel takes, in float32."""
        return _arrays(self.rows, self.first, self._places, np.float32)

    @computed
    def double(self) -> ObstacleArrays:
        """What the kernel takes, in float64."""
        return _arrays(self.rows, self.first, self._places, np.float64)

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

        Meshes farther off than the arm reaches are left out; large ones are sampled where it does reach.

        Raises:
            InputError: if a mesh or URDF file cannot be read.
        """
        return Obstacles.pack([scene], reach_of(robot))

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
                rows += _rows(obstacle, T_base_world @ obstacle.pose.matrix, reach)
            first.append(len(rows))
        packed = Obstacles(rows=tuple(rows), first=tuple(first))
        _ = packed.arrays  # now, since this is not planning
        return packed


def reach_of(robot: Robot) -> Reach:
    """Return a ball in the base frame with all that the arm's spheres can come as near to as planners look."""
    chain = robot.chain
    length = np.linalg.norm(chain.origin[:, :3, 3], axis=1)
    length[chain.prismatic] += np.maximum(np.abs(robot.lower), np.abs(robot.upper))[chain.prismatic]
    length = np.cumsum([0.0, *length[1:]])  # from the first joint's place at zero to each body's
    if chain.prismatic[0]:
        length += max(abs(float(robot.lower[0])), abs(float(robot.upper[0])))
    farthest = 0.0
    for i, centre, radius in zip(robot.spheres.link, robot.spheres.centre, robot.spheres.radius, strict=True):
        body, T_body_link = chain.placement[robot.spheres.links[i]]
        if body > 0:
            at = T_body_link[:3, :3] @ centre + T_body_link[:3, 3]
            farthest = max(farthest, float(length[body - 1] + np.linalg.norm(at) + radius))
    x, y, z = chain.origin[0, :3, 3].tolist()
    return Reach(centre=(x, y, z), radius=farthest + _LOOK)


def _rows(obstacle: Obstacle, T: Float, reach: Reach | None) -> list[Row]:
    name = obstacle.name
    if isinstance(obstacle, Plane):
        near = replace(obstacle, pose=Pose.from_matrix(T)).near((0.0, 0.0, 0.0))
        return _rows(near, near.pose.matrix, reach)
    if isinstance(obstacle, Box):
        x, y, z = obstacle.size
        return [Row(name=name, kind=BOX, T_base_solid=T, size=(x / 2, y / 2, z / 2))]
    if isinstance(obstacle, Sphere):
        return [Row(name=name, kind=SPHERE, T_base_solid=T, size=(obstacle.radius, 0.0, 0.0))]
    if isinstance(obstacle, Cylinder | Capsule):
        kind = CYLINDER if isinstance(obstacle, Cylinder) else CAPSULE
        return [Row(name=name, kind=kind, T_base_solid=T, size=(obstacle.radius, obstacle.height / 2, 0.0))]
    if isinstance(obstacle, Mesh):
        scale = (obstacle.scale, obstacle.scale, obstacle.scale)
        return _mesh_rows(name, T, obstacle.file, scale, obstacle.convex, reach)
    return _urdf_rows(obstacle, T, reach)


def _mesh_rows(
    name: str, T: Float, file: Path, scale: tuple[float, float, float], convex: bool, reach: Reach | None
) -> list[Row]:
    """Return the row of a mesh; none if it is out of reach."""
    field = file_field(file, scale, convex=convex, reach=None if reach is None else reach.seen_from(T))
    if field is None:
        return []
    kind = SPLIT_FIELD if field.cells.size else FIELD
    return [Row(name=name, kind=kind, T_base_solid=T, size=(0.0, 0.0, 0.0), field=field)]


def _urdf_rows(obstacle: Urdf, T: Float, reach: Reach | None) -> list[Row]:
    model = load_urdf(obstacle.file)
    values = model.joint_values(obstacle.joints, obstacle.scale, key=f"{obstacle.name}.joints", limited=True)
    rows = []
    poses = model.link_poses(values, obstacle.scale)
    for link, shapes in model.collisions.items():
        T_link = T @ poses[link]
        for shape in shapes:
            T_shape = shape.pose.matrix.copy()
            T_shape[:3, 3] *= obstacle.scale
            rows += _shape_rows(obstacle, shape, T_link @ T_shape, reach)
    return rows


def _shape_rows(obstacle: Urdf, shape: CollisionShape, T: Float, reach: Reach | None) -> list[Row]:
    name, s = obstacle.name, obstacle.scale
    if shape.kind == "mesh":
        assert shape.file is not None
        x, y, z = shape.scale
        return _mesh_rows(name, T, shape.file, (x * s, y * s, z * s), True, reach)
    if shape.kind == "box":
        x, y, z = shape.size
        return [Row(name=name, kind=BOX, T_base_solid=T, size=(x * s / 2, y * s / 2, z * s / 2))]
    if shape.kind == "sphere":
        return [Row(name=name, kind=SPHERE, T_base_solid=T, size=(shape.size[0] * s, 0.0, 0.0))]
    kind = CYLINDER if shape.kind == "cylinder" else CAPSULE
    return [Row(name=name, kind=kind, T_base_solid=T, size=(shape.size[0] * s, shape.size[1] * s / 2, 0.0))]


def extent(row: Row) -> tuple[Float, Float]:
    """Return lower and upper corner of the row's solid in its own frame."""
    a, b, c = row.size
    if row.field is not None:
        shape = np.array(row.field.values.shape)
        lower = np.asarray(row.field.origin, dtype=np.float64)
        return lower, lower + (shape - 1) * row.field.spacing
    half = {BOX: (a, b, c), SPHERE: (a, a, a), CYLINDER: (a, a, b), CAPSULE: (a, a, a + b)}[row.kind]
    return -np.array(half), np.array(half)


def _aabb(row: Row) -> Float:
    """Return the row's box in the base frame [6]: lower and upper corner."""
    lower, upper = extent(row)
    centre = row.T_base_solid[:3, :3] @ ((lower + upper) / 2) + row.T_base_solid[:3, 3]
    half = np.abs(row.T_base_solid[:3, :3]) @ ((upper - lower) / 2)
    return np.concatenate([centre - half, centre + half])


def _arrays(rows: Sequence[Row], first: Sequence[int], places: _Places, kind: type) -> ObstacleArrays:
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
    )


def frame12(matrix: Float) -> Float:
    """Return rotation (row-major) and translation [12] of a homogeneous matrix."""
    return np.concatenate([matrix[:3, :3].ravel(), matrix[:3, 3]])
