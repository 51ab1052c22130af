"""Obstacles of one or many scenes, packed for the compiled kernel and for the torch reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from diffplan.geometry import Float, Pose
from diffplan.kernels.lanes import BOX, CAPSULE, CYLINDER, FIELD, SPHERE, ObstacleArrays
from diffplan.meshes import DistanceField, file_field
from diffplan.robot import Robot
from diffplan.scene import Box, Capsule, Cylinder, Mesh, Obstacle, Plane, Scene, Sphere, Urdf
from diffplan.urdf import CollisionShape, load_urdf


@dataclass(frozen=True, kw_only=True, eq=False)
class Row:
    """One solid in the robot's base frame: its kind, pose, half sizes [m], and its field if it is a mesh."""

    name: str
    kind: int
    T_base_solid: Float
    size: tuple[float, float, float]
    field: DistanceField | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Obstacles:
    """Packed obstacles; `arrays` is float32, `double` float64."""

    rows: tuple[Row, ...]
    arrays: ObstacleArrays
    double: ObstacleArrays

    @staticmethod
    def around(robot: Robot, scene: Scene) -> Obstacles:
        """Pack the scene that a robot stands in.

        Raises:
            InputError: if a mesh or URDF file cannot be read.
        """
        return Obstacles.pack([scene])

    @staticmethod
    def pack(scenes: Sequence[Scene]) -> Obstacles:
        """Pack scenes, each in its own robot base frame.

        Raises:
            InputError: if a mesh or URDF file cannot be read.
        """
        rows: list[Row] = []
        first = [0]
        for scene in scenes:
            T_base_world = scene.robot_base.inverse().matrix
            for obstacle in scene.obstacles:
                rows += _rows(obstacle, T_base_world @ obstacle.pose.matrix)
            first.append(len(rows))
        return Obstacles(
            rows=tuple(rows), arrays=_arrays(rows, first, np.float32), double=_arrays(rows, first, np.float64)
        )


def _rows(obstacle: Obstacle, T: Float) -> list[Row]:
    name = obstacle.name
    if isinstance(obstacle, Plane):
        near = replace(obstacle, pose=Pose.from_matrix(T)).near((0.0, 0.0, 0.0))
        return _rows(near, near.pose.matrix)
    if isinstance(obstacle, Box):
        x, y, z = obstacle.size
        return [Row(name=name, kind=BOX, T_base_solid=T, size=(x / 2, y / 2, z / 2))]
    if isinstance(obstacle, Sphere):
        return [Row(name=name, kind=SPHERE, T_base_solid=T, size=(obstacle.radius, 0.0, 0.0))]
    if isinstance(obstacle, Cylinder | Capsule):
        kind = CYLINDER if isinstance(obstacle, Cylinder) else CAPSULE
        return [Row(name=name, kind=kind, T_base_solid=T, size=(obstacle.radius, obstacle.height / 2, 0.0))]
    if isinstance(obstacle, Mesh):
        return [_mesh_row(name, T, obstacle.file, (obstacle.scale, obstacle.scale, obstacle.scale), obstacle.convex)]
    return _urdf_rows(obstacle, T)


def _mesh_row(name: str, T: Float, file: Path, scale: tuple[float, float, float], convex: bool) -> Row:
    return Row(
        name=name, kind=FIELD, T_base_solid=T, size=(0.0, 0.0, 0.0), field=file_field(file, scale, convex=convex)
    )


def _urdf_rows(obstacle: Urdf, T: Float) -> list[Row]:
    model = load_urdf(obstacle.file)
    values = model.joint_values(obstacle.joints, obstacle.scale, key=f"{obstacle.name}.joints", limited=True)
    rows = []
    poses = model.link_poses(values, obstacle.scale)
    for link, shapes in model.collisions.items():
        T_link = T @ poses[link]
        for shape in shapes:
            T_shape = shape.pose.matrix.copy()
            T_shape[:3, 3] *= obstacle.scale
            rows.append(_shape_row(obstacle, shape, T_link @ T_shape))
    return rows


def _shape_row(obstacle: Urdf, shape: CollisionShape, T: Float) -> Row:
    name, s = obstacle.name, obstacle.scale
    if shape.kind == "mesh":
        assert shape.file is not None
        x, y, z = shape.scale
        return _mesh_row(name, T, shape.file, (x * s, y * s, z * s), convex=True)
    if shape.kind == "box":
        x, y, z = shape.size
        return Row(name=name, kind=BOX, T_base_solid=T, size=(x * s / 2, y * s / 2, z * s / 2))
    if shape.kind == "sphere":
        return Row(name=name, kind=SPHERE, T_base_solid=T, size=(shape.size[0] * s, 0.0, 0.0))
    kind = CYLINDER if shape.kind == "cylinder" else CAPSULE
    return Row(name=name, kind=kind, T_base_solid=T, size=(shape.size[0] * s, shape.size[1] * s / 2, 0.0))


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


def _arrays(rows: list[Row], first: list[int], kind: type) -> ObstacleArrays:
    fields: dict[int, DistanceField] = {id(row.field): row.field for row in rows if row.field is not None}
    index = {key: i for i, key in enumerate(fields)}
    grids = list(fields.values())
    counts = [grid.values.size for grid in grids]
    return ObstacleArrays(
        first=np.array(first, dtype=np.int64),
        kind=np.array([row.kind for row in rows], dtype=np.int64),
        frame=np.array([frame12(row.T_base_solid) for row in rows], dtype=kind).reshape(-1, 12),
        size=np.array([row.size for row in rows], dtype=kind).reshape(-1, 3),
        aabb=np.array([_aabb(row) for row in rows], dtype=kind).reshape(-1, 6),
        field=np.array([index.get(id(row.field), -1) for row in rows], dtype=np.int64),
        nodes=np.concatenate([grid.values.ravel() for grid in grids] or [np.zeros(0)]).astype(kind),
        field_first=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        field_shape=np.array([grid.values.shape for grid in grids], dtype=np.int64).reshape(-1, 3),
        field_grid=np.array([[*grid.origin, grid.spacing] for grid in grids], dtype=kind).reshape(-1, 4),
    )


def frame12(matrix: Float) -> Float:
    """Return rotation (row-major) and translation [12] of a homogeneous matrix."""
    return np.concatenate([matrix[:3, :3].ravel(), matrix[:3, 3]])
