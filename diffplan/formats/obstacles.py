"""Obstacles and poses as scene files and problem suites spell them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from diffplan.errors import InputError
from diffplan.formats.entry import Entry
from diffplan.geometry import Pose
from diffplan.scene import Box, Capsule, Cylinder, Mesh, Obstacle, Plane, Sphere, Urdf
from diffplan.urdf import load_urdf

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
    fields = entry.fields(("xyz",), _ROTATIONS)
    given = [key for key in _ROTATIONS if key in fields]
    if len(given) > 1:
        raise entry.error(f"more than one rotation: {', '.join(given)}", allowed="one of them")
    x, y, z = fields["xyz"].numbers(3)
    if not given:
        return Pose(xyz=(x, y, z))
    rotation = fields[given[0]]
    if given[0].startswith("rpy"):
        unit = math.pi / 180 if given[0] == "rpy_deg" else 1.0
        roll, pitch, yaw = (unit * angle for angle in rotation.numbers(3))
        return Pose.turned((x, y, z), (roll, pitch, yaw))
    values = rotation.numbers(4)
    norm = float(np.linalg.norm(values))
    if abs(norm - 1) > 1e-3:
        raise rotation.error(f"quaternion not normalised: its norm is {norm:.6g}", allowed="a norm of 1, within 0.001")
    qx, qy, qz, qw = values if given[0] == "quat_xyzw" else (*values[1:], values[0])
    return Pose(xyz=(x, y, z), quat_xyzw=(qx, qy, qz, qw))


def read_obstacles(entry: Entry) -> tuple[Obstacle, ...]:
    """Return the obstacles of a list; their names must differ.

    Raises:
        InputError: if a key or a value is not allowed.
    """
    obstacles: dict[str, Obstacle] = {}
    for item in entry.sequence():
        obstacle = read_obstacle(item)
        if obstacle.name in obstacles:
            raise item.mapping()["name"].error("duplicate obstacle name", allowed="a name used once")
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
    fields = entry.fields((*common, *required), optional)
    name, pose = fields["name"].text(), read_pose(fields["pose"]) if "pose" in fields else Pose()
    try:
        return _obstacle(kind, name, pose, fields)
    except InputError as error:
        if error.file is not None:
            raise
        *_, size = (error.key or "").removeprefix(f"{name}.").partition("[")[0].rpartition(".")
        raise fields.get(size, entry).error(error.problem, allowed=error.allowed) from error


def _obstacle(kind: str, name: str, pose: Pose, fields: dict[str, Entry]) -> Obstacle:
    """Return the obstacle of these fields; what no obstacle may be is an error that names no file yet."""

    def positive(key: str) -> float:
        return fields[key].number(positive=True)

    if kind == "box":
        x, y, z = fields["size"].numbers(3, positive=True)
        return Box(name=name, size=(x, y, z), pose=pose)
    if kind == "sphere":
        return Sphere(name=name, radius=positive("radius"), pose=pose)
    if kind == "cylinder":
        return Cylinder(name=name, radius=positive("radius"), height=positive("height"), pose=pose)
    if kind == "capsule":
        return Capsule(name=name, radius=positive("radius"), height=positive("height"), pose=pose)
    if kind in ("plane", "floor"):
        return Plane(name=name, pose=pose)
    file, scale = fields["file"].path(), positive("scale") if "scale" in fields else 1.0
    if kind == "mesh":
        convex = fields["convex"].boolean() if "convex" in fields else False
        _check_mesh(fields["file"], file, scale, convex)
        return Mesh(name=name, file=file, scale=scale, pose=pose, convex=convex)
    joints = _urdf_joints(fields["file"], file, scale, fields.get("joints"))
    return Urdf(name=name, file=file, scale=scale, pose=pose, joints=joints)


def _check_mesh(entry: Entry, file: Path, scale: float, convex: bool) -> None:
    from diffplan.meshes import load_hulls, load_mesh  # trimesh is slow to import, and few scenes have meshes

    try:
        if convex:
            load_hulls(file, (scale, scale, scale))
        else:
            load_mesh(file, (scale, scale, scale))
    except InputError as error:
        line = f", on its line {error.line}" if error.line else ""
        raise entry.error(error.problem + line, allowed=error.allowed) from error


def _urdf_joints(entry: Entry, file: Path, scale: float, joints: Entry | None) -> dict[str, float]:
    """Check the URDF file of an obstacle and return its joint values."""
    try:
        model = load_urdf(file)
    except InputError as error:
        raise entry.error(f"URDF not usable: {error}") from error
    movable = [name for name, joint in model.joints.items() if joint.kind != "fixed"]
    fields = joints.fields((), movable) if joints else {}
    values = {name: value.number() for name, value in fields.items()}
    try:
        model.joint_values(values, scale, key="", limited=True)
    except InputError as error:
        raise fields[error.key or ""].error(error.problem, allowed=error.allowed) from error
    return values
