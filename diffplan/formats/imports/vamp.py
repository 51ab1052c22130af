"""VAMP's problems (JSON): `{robot, joints, problems: {set: [{index, start, goals, box, cylinder, sphere, ...}]}}`.

Boxes have `half_extents`, cylinders a full `length`; rotations come as `orientation_quat_xyzw`, as fixed-axis angles
`orientation_euler_xyz`, or as both, which must agree. VAMP's own verdict, `valid`, is not taken over.
Source: resources/problem_tar_to_pkl_json.py of vamp-planner.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from diffplan.errors import InputError
from diffplan.formats.imports.draft import Draft, Imported, problem_id, put, quaternion, root_in_base
from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import Box, Cylinder, Primitive, Sphere
from diffplan.robot.model import Robot
from diffplan.strict.entry import Entry
from diffplan.strict.strict_json import read_json

_SHAPES: dict[str, tuple[type[Primitive], dict[str, int], float]] = {
    "box": (Box, {"half_extents": 3}, 2.0),
    "cylinder": (Cylinder, {"radius": 1, "length": 1}, 1.0),
    "sphere": (Sphere, {"radius": 1}, 1.0),
}
"""The shape of each kind, the keys of its `sizes` with how many numbers each holds, and their common factor."""
_ROTATIONS = ("orientation_quat_xyzw", "orientation_euler_xyz")
_SAME_ROTATION = 1e-6


def drafts(path: Path, robot: Robot) -> Iterator[Draft]:
    """Yield the problems of a file.

    Raises:
        InputError: if the file is for another robot or is laid out in another way.
    """
    fields = read_json(path).fields(("robot", "joints", "problems"))
    fields["robot"].choice([robot.name], "robot")
    names = tuple(name.text() for name in fields["joints"].sequence())
    if sorted(names) != sorted(robot.joint_names):
        raise fields["joints"].error("not the robot's joints", allowed=robot.joint_names)
    order = [names.index(name) for name in robot.joint_names]
    for problem_set, problems in fields["problems"].mapping().items():
        for entry in problems.sequence():
            keys = entry.fields(("index", "start", "goals", *_SHAPES), ("problem", "valid"))
            index = keys["index"].number()
            if not index.is_integer():
                raise keys["index"].error("not a whole number", allowed="the problem's number")
            yield Draft(
                id=problem_id(problem_set, int(index), robot), read=partial(_problem, keys, order, root_in_base(robot))
            )


def _problem(fields: dict[str, Entry], order: list[int], root: Pose) -> Imported:
    def joints(entry: Entry) -> tuple[float, ...]:
        values = entry.numbers(len(order))
        return tuple(values[i] for i in order)

    goals = fields["goals"].sequence()
    if not goals:
        raise fields["goals"].error("no goal", allowed="at least one list of joint values")
    return Imported(
        start=joints(fields["start"]),
        goals=tuple(joints(goal) for goal in goals),
        obstacles=put(_obstacles(fields), root),
    )


def _obstacles(fields: dict[str, Entry]) -> Iterator[Primitive]:
    for kind, (shape, keys, factor) in _SHAPES.items():
        for entry in fields[kind].sequence():
            values = entry.fields(("name", "position", *keys), _ROTATIONS)
            name, pose = values["name"].text(), _pose(entry, values, turns=shape.oriented)
            yield shape.of_sizes(name, [factor * size for size in values.sizes(keys)], pose)


def _pose(entry: Entry, fields: dict[str, Entry], *, turns: bool) -> Pose:
    x, y, z = fields["position"].numbers(3)
    poses: list[Pose] = []
    if "orientation_quat_xyzw" in fields:
        poses.append(Pose(xyz=(x, y, z), quat_xyzw=quaternion(fields["orientation_quat_xyzw"], "xyzw")))
    if "orientation_euler_xyz" in fields:
        roll, pitch, yaw = fields["orientation_euler_xyz"].numbers(3)
        poses.append(Pose.turned((x, y, z), (roll, pitch, yaw)))
    if not poses and turns:
        raise InputError("no rotation", file=entry.file, key=entry.key, allowed=_ROTATIONS)
    if len(poses) == 2 and not np.allclose(poses[0].matrix, poses[1].matrix, rtol=0, atol=_SAME_ROTATION):
        raise fields["orientation_quat_xyzw"].error(
            "not the rotation that orientation_euler_xyz says", allowed="the same rotation, x, y, z, w in this order"
        )
    return poses[0] if poses else Pose(xyz=(x, y, z))
