"""robometrics' problems, which cuRobo's benchmark runs (YAML): `{set: [{start, goal_ik, obstacles, ...}]}`.

Full edge lengths (`dims`), and poses [x, y, z, qw, qx, qy, qz]; problems are counted from 1 within their set.
Source: robometrics/datasets.py and content/dataset of fishbotics/robometrics.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from diffplan.formats.imports.draft import Draft, Imported, frame_in_base, pose_of_seven, problem_id, put, unsupported
from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import Box, Cylinder, Primitive, Sphere
from diffplan.robot.model import Robot
from diffplan.strict.entry import Entry
from diffplan.strict.strict_yaml import read_yaml

_REQUIRED = ("start", "obstacles")
_OPTIONAL = ("goal_ik", "goal_pose", "collision_buffer_ik", "world_frame", "solution")
_SHAPES: dict[str, tuple[type[Primitive], dict[str, int]]] = {
    "cuboid": (Box, {"dims": 3}),
    "cylinder": (Cylinder, {"radius": 1, "height": 1}),
    "sphere": (Sphere, {"radius": 1}),
}
"""The shape of each kind, and the keys of its `sizes` with how many numbers each holds."""
_OTHER_SHAPES = ("capsule", "mesh", "blox")


def drafts(path: Path, robot: Robot) -> Iterator[Draft]:
    """Yield the problems of a file.

    Raises:
        InputError: if this is no mapping of sets to lists of problems.
    """
    for problem_set, problems in read_yaml(path).mapping().items():
        for index, entry in enumerate(problems.sequence(), 1):
            yield Draft(id=problem_id(problem_set, index, robot), read=partial(_problem, entry, robot))


def _problem(entry: Entry, robot: Robot) -> Imported:
    fields = entry.fields(_REQUIRED, _OPTIONAL)
    frame = frame_in_base(fields["world_frame"], robot) if "world_frame" in fields else Pose()
    if "collision_buffer_ik" in fields and fields["collision_buffer_ik"].number() < 0:
        raise unsupported(
            fields["collision_buffer_ik"],
            "marked by its makers as without a free goal; cuRobo leaves it out",
            allowed=">= 0",
        )
    goals = fields["goal_ik"].sequence() if "goal_ik" in fields else []
    if not goals:
        allowed = "goal_ik with at least one list of joint values"
        raise unsupported(
            fields.get("goal_ik", fields.get("goal_pose", entry)), "no goal in joint values", allowed=allowed
        )
    return Imported(
        start=fields["start"].numbers(robot.dof),
        goals=tuple(goal.numbers(robot.dof) for goal in goals),
        obstacles=put(_obstacles(fields["obstacles"]), frame),
    )


def _obstacles(entry: Entry) -> Iterator[Primitive]:
    for kind, named in entry.fields((), (*_SHAPES, *_OTHER_SHAPES)).items():
        for name, shape in named.mapping().items():
            if kind in _OTHER_SHAPES:
                raise unsupported(shape, f"{name!r} is a {kind}", allowed=_SHAPES)
            yield _shape(kind, name, shape)


def _shape(kind: str, name: str, entry: Entry) -> Primitive:
    shape, keys = _SHAPES[kind]
    place = "pose" if shape.oriented or "pose" in entry.mapping() else "position"
    fields = entry.fields((*keys, place), ("color",))
    sizes = fields.sizes(keys)
    if place == "pose":
        return shape.of_sizes(name, sizes, pose_of_seven(fields["pose"], "wxyz"))
    x, y, z = fields["position"].numbers(3)
    return shape.of_sizes(name, sizes, Pose(xyz=(x, y, z)))
