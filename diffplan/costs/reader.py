"""Named costs as people write them: `avoid:xyz=0.4,0.3,0.5:radius=0.2`, or a file of format `diffplan/costs@1`."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

from diffplan.constraints.kinds import AXES
from diffplan.costs.cost import Cost
from diffplan.costs.named import COMMON, COSTS, PARAMETERS
from diffplan.costs.terms import avoid, prefer, upright
from diffplan.errors import Faults, InputError
from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import Box, Capsule, Sphere
from diffplan.robot.model import Robot
from diffplan.scene import Obstacle, Scene
from diffplan.strict.entry import Entry, Fields
from diffplan.strict.spec import read_spec
from diffplan.strict.strict_yaml import read_yaml

_RADIAN = math.pi / 180
_OPTION = Path("--cost")
"""Stands for the file in messages about the command line."""


def parse_cost(text: str, robot: Robot, scene: Scene) -> Cost:
    """Return the cost of a word of the command line: `KIND[:KEY=VALUE]...`, lists with commas.

    Raises:
        InputError: naming the key, the value and what is allowed.
    """
    kind, entry = read_spec(text, COSTS, "cost", option=_OPTION)
    return _cost(kind, entry, entry.fields((), _keys(kind, robot)), robot, scene)


def read_costs(file: Path, robot: Robot, scene: Scene) -> tuple[Cost, ...]:
    """Read a costs file (YAML, `diffplan/costs@1`): a list `costs` of mappings with `cost: KIND` and its parameters.

    Raises:
        InputError: naming file, line, key, value and what is allowed.
    """
    with Faults() as faults:
        fields = read_yaml(file, faults).fields(("format", "costs"), (), faults)
        fields["format"].expect_format("diffplan/costs@1")
        return tuple(faults.of(partial(_read_cost, entry, robot, scene)) for entry in fields["costs"].sequence())


def _read_cost(entry: Entry, robot: Robot, scene: Scene) -> Cost:
    keys = entry.mapping()
    if "cost" not in keys:
        raise entry.error("key 'cost' is missing", allowed=COSTS)
    kind = keys["cost"].choice(COSTS, "cost")
    return _cost(kind, entry, entry.fields(("cost",), _keys(kind, robot)), robot, scene)


def _keys(kind: str, robot: Robot) -> list[str]:
    """Return the keys that a cost of this kind may have."""
    joints = robot.joint_names if kind == "prefer" else ()
    return [*(key for key in PARAMETERS[kind] if key != "JOINT"), *joints, *COMMON]


def _cost(kind: str, entry: Entry, fields: Fields, robot: Robot, scene: Scene) -> Cost:
    """Return the cost of a mapping; what the cost itself refuses is reported where the mapping stands."""
    name = fields["name"].text() if "name" in fields else kind
    try:
        return _READERS[kind](fields, entry, robot, scene, name)
    except InputError as error:
        if error.file is not None:
            raise
        raise InputError(
            error.problem, file=entry.file, line=entry.line, key=error.key, value=error.value, allowed=error.allowed
        ) from error


def _upright(fields: Fields, entry: Entry, robot: Robot, scene: Scene, name: str) -> Cost:
    axis = fields.get("axis")
    return upright(
        robot,
        link=_link(fields, robot),
        axis=None if axis is None else axis.numbers(3) if axis.is_list else axis.choice(AXES, "axis"),
        robot_base=scene.robot_base,
        name=name,
        **_numbers(fields, "tolerance_deg", "weight"),
    )


def _avoid(fields: Fields, entry: Entry, robot: Robot, scene: Scene, name: str) -> Cost:
    return avoid(
        robot,
        _region(fields, entry, scene, name),
        link=_link(fields, robot),
        robot_base=scene.robot_base,
        name=name,
        **_numbers(fields, "comfort", "weight"),
    )


def _prefer(fields: Fields, entry: Entry, robot: Robot, scene: Scene, name: str) -> Cost:
    if "within" in fields and "near" not in fields:
        raise fields["within"].error("nothing to stay within reach of", allowed="together with `near`")
    return prefer(
        robot,
        {joint: _range(fields[joint]) for joint in robot.joint_names if joint in fields} or None,
        near=fields["near"].choice(robot.configurations, "configuration") if "near" in fields else None,
        name=name,
        **_numbers(fields, "within", "weight"),
    )


_READERS = {"upright": _upright, "avoid": _avoid, "prefer": _prefer}


def _numbers(fields: Fields, *keys: str) -> dict[str, float]:
    """Return the numbers that are given; the others keep their defaults."""
    return {key: fields[key].number() for key in keys if key in fields}


def _link(fields: Fields, robot: Robot) -> str | None:
    return fields["link"].choice(robot.chain.placement, "link") if "link" in fields else None


def _range(entry: Entry) -> tuple[float, float]:
    low, high = entry.numbers(2)
    return low, high


def _region(fields: Fields, entry: Entry, scene: Scene, name: str) -> Obstacle:
    """Return the region that is spelt out: an obstacle of the scene, a sphere, a standing capsule, or a box."""
    given = [key for key in ("obstacle", "size", "radius") if key in fields]
    needed = {"obstacle": {"obstacle"}, "size": {"size", "xyz"}, "radius": {"radius", "xyz"}}
    free = {"obstacle": set(), "size": {"rpy_deg"}, "radius": {"rpy_deg", "height"}}
    shape = {"obstacle", "size", "radius", "height", "xyz", "rpy_deg"} & fields.keys()
    if len(given) != 1 or not needed[given[0]] <= shape <= needed[given[0]] | free[given[0]]:
        allowed = "xyz and radius (a sphere), also height (a capsule); xyz and size (a box); or obstacle alone"
        raise InputError("which region?", file=entry.file, line=entry.line, key=entry.key or None, allowed=allowed)
    if given == ["obstacle"]:
        known = {obstacle.name: obstacle for obstacle in scene.obstacles}
        return known[fields["obstacle"].choice(known, "obstacle")]
    x, y, z = fields["xyz"].numbers(3)
    roll, pitch, yaw = (_RADIAN * v for v in fields["rpy_deg"].numbers(3)) if "rpy_deg" in fields else (0.0, 0.0, 0.0)
    pose = Pose.turned((x, y, z), (roll, pitch, yaw))
    kind = Box if given == ["size"] else Capsule if "height" in fields else Sphere
    return kind.of_sizes(name, fields.sizes(kind.lengths), pose)
