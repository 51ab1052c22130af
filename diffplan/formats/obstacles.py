"""Obstacles and poses as scene files and problem suites spell them."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from diffplan.errors import Faults, InputError
from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import Box, Capsule, Cylinder, Mesh, Plane, Sphere
from diffplan.robot.urdf import load_urdf
from diffplan.scene import Obstacle, Urdf
from diffplan.strict.entry import Entry

_FULL_TURN = 1.001 * 2 * math.pi
_ROTATIONS = ("rpy", "rpy_deg", "quat_xyzw", "quat_wxyz")
_KEYS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {  # type: (required, optional)
    "box": (("size",), ()),
    "sphere": (("radius",), ()),
    "cylinder": (("radius", "height"), ()),
    "capsule": (("radius", "height"), ()),
    "plane": ((), ()),
    "floor": ((), ()),
    "mesh": (("file",), ("scale", "convex")),
    "urdf": (("file",), ("scale", "joints")),
}


def read_pose(entry: Entry) -> Pose:
    """Return a pose: `xyz`, and at most one rotation of `rpy`, `rpy_deg`, `quat_xyzw`, `quat_wxyz`.

    Raises:
        InputError: if a key or a value is not allowed.
    """
    keys = entry.mapping()
    for key in ("quat", "quaternion", "orientation"):
        if key in keys:
            raise keys[key].error(f"the order of {key!r} is not said", allowed=["quat_xyzw", "quat_wxyz"])
    with Faults() as faults:
        fields = entry.fields(("xyz",), _ROTATIONS, faults)
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


def read_obstacle(entry: Entry) -> Obstacle:
    """Return one obstacle; meshes and URDFs are opened, so that a bad one is reported here.

    Raises:
        InputError: if a key or a value is not allowed, or a file is missing or not usable.
    """
    common = ("name", "type", "pose")
    keys = entry.mapping()
    if "type" not in keys:
        raise entry.error("key 'type' is missing", allowed=_KEYS)
    kind = keys["type"].choice(_KEYS, "obstacle type")
    required, optional = _KEYS[kind]
    if kind == "floor":
        common, optional = ("name", "type"), ("pose",)
    with Faults() as faults:
        fields = entry.fields((*common, *required), optional, faults)
        name = faults.of(lambda: fields["name"].text())
        pose = faults.of(lambda: read_pose(fields["pose"]) if "pose" in fields or kind != "floor" else Pose())
        shaped = faults.of(lambda: _shape(kind, fields, faults))
    try:
        return shaped(name, pose)
    except InputError as error:
        if error.file is not None:
            raise
        *_, size = (error.key or "").removeprefix(f"{name}.").partition("[")[0].rpartition(".")
        raise fields.get(size, entry).error(error.problem, allowed=error.allowed) from error


def _shape(kind: str, fields: dict[str, Entry], faults: Faults) -> Callable[[str, Pose], Obstacle]:
    """Return what makes an obstacle of these fields, given a name and a pose; `faults` gathers what is wrong."""

    def positive(key: str) -> float:
        return faults.of(lambda: fields[key].number(positive=True))

    if kind == "box":
        x, y, z = fields["size"].numbers(3, positive=True)
        return lambda name, pose: Box(name=name, size=(x, y, z), pose=pose)
    if kind == "sphere":
        radius = positive("radius")
        return lambda name, pose: Sphere(name=name, radius=radius, pose=pose)
    if kind in ("cylinder", "capsule"):
        round_, radius, height = Cylinder if kind == "cylinder" else Capsule, positive("radius"), positive("height")
        return lambda name, pose: round_(name=name, radius=radius, height=height, pose=pose)
    if kind in ("plane", "floor"):
        return lambda name, pose: Plane(name=name, pose=pose)
    if kind == "mesh":
        factors = faults.of(lambda: _factors(fields["scale"])) if "scale" in fields else 1.0
        file = fields["file"].path()
        convex = fields["convex"].boolean() if "convex" in fields else False
        if factors is not None:
            _check_mesh(fields["file"], Mesh(name="mesh", file=file, scale=factors, convex=convex))
        return lambda name, pose: Mesh(name=name, file=file, scale=factors, pose=pose, convex=convex)
    scale = positive("scale") if "scale" in fields else 1.0
    file = fields["file"].path()
    joints = _urdf_joints(fields["file"], file, 1.0 if scale is None else scale, fields.get("joints"))
    return lambda name, pose: Urdf(name=name, file=file, scale=scale, pose=pose, joints=joints)


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
