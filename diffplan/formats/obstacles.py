"""Obstacles and poses as scene files and problem suites spell them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from diffplan.errors import Faults, InputError
from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import Box, Capsule, Cylinder, Mesh, Plane, Primitive, Sphere
from diffplan.robot.urdf import load_urdf
from diffplan.scene import Obstacle, Urdf
from diffplan.strict.entry import Entry, Fields
from diffplan.strict.keys import Key, Keys

_FULL_TURN = 1.001 * 2 * math.pi
POSE = Keys(
    xyz=Key(kind="3 numbers", about="position", unit="m", example="[0.5, 0, 0.4]"),
    rpy=Key(
        kind="3 numbers",
        about="roll, pitch, yaw: turns about the fixed axes x, then y, then z; at most one rotation is given",
        unit="rad",
        default="no rotation",
        example="[0, 1.5708, 0]",
    ),
    rpy_deg=Key(
        kind="3 numbers", about="the same in degrees", unit="degrees", default="no rotation", example="[0, 90, 0]"
    ),
    quat_xyzw=Key(
        kind="4 numbers", about="quaternion of norm 1, w last", default="no rotation", example="[0, 0.7071, 0, 0.7071]"
    ),
    quat_wxyz=Key(
        kind="4 numbers", about="quaternion of norm 1, w first", default="no rotation", example="[0.7071, 0, 0.7071, 0]"
    ),
)
_ROTATIONS = POSE.optional


def read_pose(entry: Entry, others: tuple[str, ...] = ()) -> Pose:
    """Return a pose: `xyz`, and at most one rotation of `rpy`, `rpy_deg`, `quat_xyzw`, `quat_wxyz`.

    `others` are keys beside these that may be there.

    Raises:
        InputError: if a key or a value is not allowed.
    """
    keys = entry.mapping()
    for key in ("quat", "quaternion", "orientation"):
        if key in keys:
            raise keys[key].error(f"the order of {key!r} is not said", allowed=["quat_xyzw", "quat_wxyz"])
    with Faults() as faults:
        fields = entry.fields(POSE.required, (*_ROTATIONS, *others), faults)
        given = [key for key in _ROTATIONS if key in fields]
        if len(given) > 1:
            faults.add(entry.error(f"more than one rotation: {', '.join(given)}", allowed="one of them"))
        place = faults.of(lambda: fields["xyz"].numbers(3))
        turns = {key: faults.of(partial(_rotation, key, fields[key])) for key in given}
    x, y, z = place
    if not given:
        return Pose(xyz=(x, y, z))
    values = turns[given[0]]
    if given[0].startswith("rpy"):
        roll, pitch, yaw = values
        return Pose.turned((x, y, z), (roll, pitch, yaw))
    qx, qy, qz, qw = values
    return Pose(xyz=(x, y, z), quat_xyzw=(qx, qy, qz, qw))


def _rotation(key: str, entry: Entry) -> tuple[float, ...]:
    """Return roll, pitch, yaw [rad], or a quaternion x, y, z, w."""
    if key == "rpy_deg":
        return tuple(math.pi / 180 * angle for angle in entry.numbers(3))
    if key == "rpy":
        angles = entry.numbers(3)
        if max(map(abs, angles)) > _FULL_TURN:
            raise entry.error(
                "more than a full turn: rpy is in radians", allowed="-6.2832 ... 6.2832, or rpy_deg for degrees"
            )
        return angles
    values = entry.numbers(4)
    norm = float(np.linalg.norm(values))
    if abs(norm - 1) > 1e-3:
        raise entry.error(f"quaternion not normalised: its norm is {norm:.6g}", allowed="a norm of 1, within 0.001")
    return values if key == "quat_xyzw" else (*values[1:], values[0])


def read_obstacles(entry: Entry) -> tuple[Obstacle, ...]:
    """Return the obstacles of a list; their names must differ.

    Raises:
        InputError: if a key or a value is not allowed; all that is wrong in the list is told together.
    """
    obstacles: dict[str, Obstacle] = {}
    with Faults() as faults:
        for item in entry.sequence():
            obstacle = faults.of(partial(read_obstacle, item))
            if obstacle is None:
                continue
            if obstacle.name in obstacles:
                faults.add(item.mapping()["name"].error("duplicate obstacle name", allowed="a name used once"))
            obstacles[obstacle.name] = obstacle
    return tuple(obstacles.values())


def read_obstacle(entry: Entry, others: tuple[str, ...] = ()) -> Obstacle:
    """Return one obstacle; meshes and URDFs are opened, so that a bad one is reported here.

    `others` are keys beside its own that may be there.

    Raises:
        InputError: if a key or a value is not allowed, or a file is missing or not usable.
    """
    keys = entry.mapping()
    if "type" not in keys:
        raise entry.error("key 'type' is missing", allowed=OBSTACLES)
    own = OBSTACLES[keys["type"].choice(OBSTACLES, "obstacle type")]
    with Faults() as faults:
        fields = entry.fields((*OBSTACLE.required, *own.keys.required), (*own.keys.optional, *others), faults)
        name = faults.of(lambda: fields["name"].text())
        pose = faults.of(lambda: read_pose(fields["pose"]) if "pose" in (*fields, *own.keys.required) else Pose())
        made = faults.of(lambda: own.read(fields, faults))
    try:
        return made(name, pose)
    except InputError as error:
        if error.file is not None:
            raise
        *_, size = (error.key or "").removeprefix(f"{name}.").partition("[")[0].rpartition(".")
        raise fields.get(size, entry).error(error.problem, allowed=error.allowed) from error


OBSTACLE = Keys(
    name=Key(kind="text", about="its name, used once in the file", example="table"),
    type=Key(kind="a type below", about="what it is", example="box"),
)
"""What every obstacle has."""
_POSE = Key(kind="pose", about="where it is, in the world", example="{xyz: [0.5, 0, 0.4]}")
_LENGTHS = {
    "size": Key(kind="3 numbers", about="full edge lengths along x, y, z", unit="m", example="[0.6, 1.0, 0.04]"),
    "radius": Key(kind="number", about="radius", unit="m", example="0.05"),
    "height": Key(
        kind="number", about="height along z; of a capsule the part between the half spheres", unit="m", example="0.2"
    ),
}
_FILE = Key(kind="path", about="the file, from the folder of this one", example="meshes/mug.obj")
_PLANE = Key(
    kind="pose", about="a point of its surface; what is below along its z axis is solid", example="{xyz: [0, 0, 0]}"
)
_FACTOR = "1: the file is in metres"


_Making = Callable[[str, Pose], Obstacle]  # from a name and a pose


@dataclass(frozen=True, kw_only=True)
class _Type:
    """A type of obstacle: its keys, and what reads them; all that is wrong is added to the faults."""

    keys: Keys
    read: Callable[[Fields, Faults], _Making]


def _primitive(kind: type[Primitive]) -> _Type:
    def read(fields: Fields, faults: Faults) -> _Making:
        parts = [faults.of(partial(fields.sizes, {key: many})) for key, many in kind.lengths.items()]
        return lambda name, pose: kind.of_sizes(name, [size for part in parts for size in part], pose)

    return _Type(keys=Keys(pose=_POSE, **{key: _LENGTHS[key] for key in kind.lengths}), read=read)


def _plane(fields: Fields, faults: Faults) -> _Making:
    return lambda name, pose: Plane(name=name, pose=pose)


def _mesh(fields: Fields, faults: Faults) -> _Making:
    factors = faults.of(lambda: _factors(fields["scale"])) if "scale" in fields else 1.0
    file = fields["file"].path()
    convex = fields["convex"].boolean() if "convex" in fields else False
    if factors is not None:
        _check_mesh(fields["file"], Mesh(name="mesh", file=file, scale=factors, convex=convex))
    return lambda name, pose: Mesh(name=name, file=file, scale=factors, pose=pose, convex=convex)


def _urdf(fields: Fields, faults: Faults) -> _Making:
    scale = faults.of(lambda: fields["scale"].number(positive=True)) if "scale" in fields else 1.0
    file = fields["file"].path()
    joints = _urdf_joints(fields["file"], file, 1.0 if scale is None else scale, fields.get("joints"))
    return lambda name, pose: Urdf(name=name, file=file, scale=scale, pose=pose, joints=joints)


OBSTACLES = {
    "box": _primitive(Box),
    "sphere": _primitive(Sphere),
    "cylinder": _primitive(Cylinder),
    "capsule": _primitive(Capsule),
    "plane": _Type(keys=Keys(pose=_PLANE), read=_plane),
    "floor": _Type(keys=Keys(pose=replace(_PLANE, default="z = 0 of the world")), read=_plane),
    "mesh": _Type(
        keys=Keys(
            pose=_POSE,
            file=_FILE,
            scale=Key(
                kind="number, or 3 numbers",
                about="factor to metres, or one each for x, y, z",
                default=_FACTOR,
                example="0.001",
            ),
            convex=Key(
                kind="true or false",
                about="the convex hull of each of its parts stands for it",
                default="false",
                example="true",
            ),
        ),
        read=_mesh,
    ),
    "urdf": _Type(
        keys=Keys(
            pose=_POSE,
            file=replace(_FILE, example="models/cupboard.urdf"),
            scale=Key(kind="number", about="factor to metres", default=_FACTOR, example="1"),
            joints=Key(
                kind="names to numbers",
                about="where its joints stand",
                unit="rad or m",
                default="0",
                example="{door: 1.2}",
            ),
        ),
        read=_urdf,
    ),
}


def _factors(entry: Entry) -> float | tuple[float, float, float]:
    """Return the scale of a mesh: one factor, or one each for x, y and z (a negative one mirrors)."""
    if not entry.is_list:
        return entry.number(positive=True)
    x, y, z = entry.numbers(3)
    if x * y * z == 0:
        raise entry.error("a mesh without thickness", allowed="a number > 0, or three numbers that are not 0")
    return x, y, z


def _check_mesh(entry: Entry, mesh: Mesh) -> None:
    """Make sure that the mesh in a file can be an obstacle."""
    try:
        mesh.solids()
    except InputError as error:
        line = f", on its line {error.line}" if error.line else ""
        raise entry.error(error.problem + line, allowed=error.allowed) from error


def _urdf_joints(entry: Entry, file: Path, scale: float, joints: Entry | None) -> dict[str, float]:
    """Check the URDF file of an obstacle and return its joint values."""
    try:
        model = load_urdf(file, scale)
    except InputError as error:
        raise entry.error(f"URDF not usable: {error}") from error
    movable = [name for name, joint in model.joints.items() if joint.kind != "fixed"]
    fields = joints.fields((), movable) if joints else {}
    values = {name: value.number() for name, value in fields.items()}
    try:
        model.joint_values(values, key="", limited=True)
    except InputError as error:
        raise fields[error.key or ""].error(error.problem, allowed=error.allowed) from error
    return values
