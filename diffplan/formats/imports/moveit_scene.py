"""MoveIt's planning scenes (moveit_msgs/PlanningScene as YAML): MotionBenchMaker's, or as `ros2 topic echo` prints.

Boxes have full edge lengths, cylinders `dimensions: [height, radius]`. Primitive types are names or the numbers of
shape_msgs/SolidPrimitive; positions and orientations are lists (x, y, z, w) or mappings. What a suite cannot hold
(meshes, planes, cones, octomaps, attached objects, padding, permitted contacts with an object) is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from diffplan.formats.imports.draft import (
    frame_in_base,
    is_identity,
    put,
    quaternion,
    root_in_base,
    unit_quaternion,
    unsupported,
)
from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import Box, Cylinder, Primitive, Sphere
from diffplan.robot.model import Robot
from diffplan.strict.entry import Entry
from diffplan.strict.strict_yaml import read_yaml

_SCENE_KEYS = (
    "name",
    "robot_state",
    "robot_model_name",
    "fixed_frame_transforms",
    "allowed_collision_matrix",
    "link_padding",
    "link_scale",
    "object_colors",
    "is_diff",
)
_PRIMITIVE_KEYS = ("primitives", "primitive_poses")
_OTHER_GEOMETRY = {"meshes": "a mesh", "mesh_poses": "a mesh", "planes": "a plane", "plane_poses": "a plane"}
_OBJECT_KEYS = (
    "header",
    "pose",
    "type",
    *_PRIMITIVE_KEYS,
    *_OTHER_GEOMETRY,
    "subframe_names",
    "subframe_poses",
    "operation",
)
_KINDS = {"1": "box", "2": "sphere", "3": "cylinder", "4": "cone", "5": "prism"}
_DIMENSIONS: dict[str, tuple[type[Primitive], tuple[int, ...]]] = {
    "box": (Box, (0, 1, 2)),
    "sphere": (Sphere, (0,)),
    "cylinder": (Cylinder, (1, 0)),
}
"""The shape of each kind, and where its `sizes` stand among `dimensions`."""
STATE_KEYS = ("joint_state", "multi_dof_joint_state", "attached_collision_objects", "is_diff")


def read_scene(path: Path, robot: Robot) -> tuple[Primitive, ...]:
    """Return the obstacles of a planning scene, in the frame of the robot's base.

    Raises:
        Unsupported: for what a suite cannot hold.
        InputError: if the file is laid out in another way.
    """
    fields = read_yaml(path).fields(("world",), _SCENE_KEYS)
    if "robot_state" in fields:
        check_state(fields["robot_state"].fields((), STATE_KEYS), robot)
    world = fields["world"].fields(("collision_objects",), ("octomap",))
    objects = world["collision_objects"].sequence()
    if "octomap" in world:
        _expect_no_octomap(world["octomap"])
    for key, neutral in (("link_padding", 0.0), ("link_scale", 1.0)):
        for item in items(fields.get(key)):
            value = item.fields(("link_name", key.removeprefix("link_")))[key.removeprefix("link_")]
            if value.number() != neutral:
                raise unsupported(value, "the robot's links are made larger or smaller", allowed=f"{neutral:g}")
    for transform in items(fields.get("fixed_frame_transforms")):
        _expect_base_at_origin(transform, robot)
    obstacles = tuple(obstacle for entry in objects for obstacle in _object(entry, robot))
    if "allowed_collision_matrix" in fields:
        names = {entry.mapping()["id"].text() for entry in objects}
        _expect_contacts_forbidden(fields["allowed_collision_matrix"], names)
    return obstacles


def items(entry: Entry | None) -> list[Entry]:
    """Return the entries of a list that may be absent."""
    return entry.sequence() if entry else []


def check_state(state: dict[str, Entry], robot: Robot) -> None:
    """Check that a robot state has no attached objects and leaves the robot's base at the origin.

    Raises:
        Unsupported: if it does not.
    """
    for attached in items(state.get("attached_collision_objects")):
        raise unsupported(attached, "an object is attached to the robot", allowed="an arm that holds nothing")
    if "multi_dof_joint_state" in state:
        for transform in items(state["multi_dof_joint_state"].mapping().get("transforms")):
            if not is_identity(_transform(transform)):
                raise unsupported(transform, "the robot's base is moved", allowed="the identity")


def _transform(entry: Entry) -> Pose:
    fields = entry.fields(("translation", "rotation"))
    return Pose(xyz=_position(fields["translation"]), quat_xyzw=_orientation(fields["rotation"]))


def _expect_base_at_origin(entry: Entry, robot: Robot) -> None:
    fields = entry.fields(("child_frame_id", "transform"), ("header",))
    if fields["child_frame_id"].text() in ("world", robot.base_link) and not is_identity(
        _transform(fields["transform"])
    ):
        raise unsupported(
            fields["transform"], "the robot's base is not where the world frame is", allowed="the identity"
        )


def _expect_no_octomap(entry: Entry) -> None:
    fields = entry.mapping()
    tree = fields["octomap"].mapping() if "octomap" in fields else fields
    if "data" in tree and (not tree["data"].is_list or tree["data"].sequence()):
        raise unsupported(tree["data"], "the scene has an octomap", allowed="collision objects of primitive shapes")


def _expect_contacts_forbidden(entry: Entry, objects: set[str]) -> None:
    """Refuse a matrix that lets an object touch something."""
    fields = entry.fields(("entry_names", "entry_values"), ("default_entry_names", "default_entry_values"))
    names = fields["entry_names"].sequence()
    rows = fields["entry_values"].sequence()
    if len(rows) != len(names):
        raise fields["entry_values"].error("not as many rows as names", allowed=f"{len(names)} rows")
    for name, row in zip(names, rows, strict=True):
        values = row.fields(("enabled",))["enabled"] if row.is_mapping else row
        if name.text() in objects and any(value.boolean() for value in values.sequence()):
            raise unsupported(name, "contact with this object is permitted", allowed="contacts between links only")
    defaults = items(fields.get("default_entry_values"))
    for name, value in zip(items(fields.get("default_entry_names")), defaults, strict=False):
        if name.text() in objects and value.boolean():
            raise unsupported(name, "contact with this object is permitted", allowed="contacts between links only")


def _object(entry: Entry, robot: Robot) -> Iterator[Primitive]:
    fields = entry.fields(("id",), _OBJECT_KEYS)
    name = fields["id"].text()
    if "header" in fields and "frame_id" in (header := fields["header"].mapping()):
        frame = frame_in_base(header["frame_id"], robot)
    else:
        frame = root_in_base(robot)
    if "operation" in fields and fields["operation"].text() not in ("0", "add"):
        raise unsupported(fields["operation"], f"{name!r} changes an earlier scene", allowed=["0", "add"])
    for key, what in _OTHER_GEOMETRY.items():
        if items(fields.get(key)):
            raise unsupported(fields[key], f"{name!r} has {what}", allowed=_DIMENSIONS)
    shapes = items(fields.get("primitives"))
    poses = items(fields.get("primitive_poses"))
    if not shapes:
        raise entry.error(f"{name!r} has no shape", allowed="at least one of primitives")
    if len(poses) != len(shapes):
        raise entry.error(f"{name!r} has {len(shapes)} primitives and {len(poses)} primitive_poses", allowed="as many")
    parent = _object_pose(fields["pose"]) if "pose" in fields else Pose()
    for i, (shape, pose) in enumerate(zip(shapes, poses, strict=True)):
        local = _pose(pose)
        placed = local if is_identity(parent) else parent @ local
        yield from put([_primitive(name if len(shapes) == 1 else f"{name}[{i}]", shape, placed)], frame)


def _primitive(name: str, entry: Entry, pose: Pose) -> Primitive:
    fields = entry.fields(("type", "dimensions"), ("polygon",))
    given = fields["type"].text().lower()
    kind = _KINDS.get(given, given)
    if kind not in _KINDS.values():
        raise fields["type"].error(f"{name!r} is no known primitive", allowed=[f"{n} ({k})" for n, k in _KINDS.items()])
    if kind not in _DIMENSIONS:
        raise unsupported(fields["type"], f"{name!r} is a {kind}", allowed=_DIMENSIONS)
    shape, order = _DIMENSIONS[kind]
    dimensions = fields["dimensions"].numbers(len(order), positive=True)
    return shape.of_sizes(name, [dimensions[i] for i in order], pose)


def _pose(entry: Entry) -> Pose:
    fields = entry.fields(("position", "orientation"))
    return Pose(xyz=_position(fields["position"]), quat_xyzw=_orientation(fields["orientation"]))


def _object_pose(entry: Entry) -> Pose:
    """Return an object's own pose; one whose numbers are all zero was never set (ROS 1) and moves nothing."""
    fields = entry.fields(("position", "orientation"))
    values = [_numbers(fields[key], axes) for key, axes in (("position", "xyz"), ("orientation", "xyzw"))]
    return _pose(entry) if any(any(value) for value in values) else Pose()


def _numbers(entry: Entry, axes: str) -> tuple[float, ...]:
    if entry.is_mapping:
        fields = entry.fields(axes)
        return tuple(fields[axis].number() for axis in axes)
    return entry.numbers(len(axes))


def _position(entry: Entry) -> tuple[float, float, float]:
    x, y, z = _numbers(entry, "xyz")
    return x, y, z


def _orientation(entry: Entry) -> tuple[float, float, float, float]:
    if entry.is_list:
        return quaternion(entry, "xyzw")
    return unit_quaternion(entry, dict(zip("xyzw", _numbers(entry, "xyzw"), strict=True)))
