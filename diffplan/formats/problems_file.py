"""Problem suites (JSON, may be gzipped, `diffplan/problems@1`)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from diffplan.errors import Faults, InputError
from diffplan.formats.obstacles import read_obstacles
from diffplan.formats.robot_file import load_robot, robot_word
from diffplan.geometry.pose import Float
from diffplan.robot.model import Robot
from diffplan.scene import Scene
from diffplan.strict.entry import Entry
from diffplan.strict.keys import Key, Keys
from diffplan.strict.strict_json import read_json


@dataclass(frozen=True, kw_only=True, eq=False)
class SuiteEntry:
    """One problem: from `start` [dof] to any row of `goals` [k, dof] in `scene` (rad or m)."""

    id: str
    start: Float
    goals: Float
    scene: Scene


@dataclass(frozen=True, kw_only=True, eq=False)
class Suite:
    """A set of problems for one robot, which holds its `fixed_joints` (rad or m) already."""

    name: str
    robot: Robot
    fixed_joints: dict[str, float]
    entries: tuple[SuiteEntry, ...]


SUITE = Keys(
    format=Key(kind="text", about="the format and its version", example="diffplan/problems@1"),
    name=Key(kind="text", about="the name of the suite", example="hard"),
    robot=Key(kind="text", about="a robot's name, or the path of a robot file", example="panda"),
    joint_names=Key(kind="list of texts", about="the robot's joints, in its order", example='["panda_joint1", ...]'),
    problems=Key(kind="list of problems", about="the problems; ids are SET/NUMBER", example="[...]"),
    fixed_joints=Key(
        kind="names to numbers",
        about="where joints stand that are not planned for",
        unit="rad or m",
        default="as the robot file says",
        example='{"panda_finger_joint1": 0.0}',
    ),
    source=Key(kind="any", about="where the problems come from; not read", default="not told", example='"..."'),
    description=Key(kind="any", about="what they are; not read", default="not told", example='"..."'),
    license=Key(kind="any", about="their licence; not read", default="not told", example='"..."'),
)
PROBLEM = Keys(
    id=Key(kind="text", about="its name, used once; what is before the slash is its set", example='"shelf/1"'),
    start=Key(kind="numbers", about="joint values in the order of joint_names", unit="rad or m", example="[0, ...]"),
    goals=Key(
        kind="list of numbers", about="joint values, any of them will do", unit="rad or m", example="[[0.5, ...]]"
    ),
    obstacles=Key(kind="list of obstacles", about="as in a scene file, in the robot's base frame", example="[...]"),
)


def load_problems(path: str | Path) -> Suite:
    """Read a problem suite.

    Raises:
        InputError: naming file, key path, value and what is allowed.
    """
    fields = read_json(path).fields(*SUITE.names)
    fields["format"].expect_format("diffplan/problems@1")
    robot_name = robot_word(fields["robot"])
    robot = load_robot(robot_name)
    names = tuple(entry.text() for entry in fields["joint_names"].sequence())
    if names != robot.joint_names:
        raise fields["joint_names"].error("not the robot's joints, in its order", allowed=robot.joint_names)
    held = fields["fixed_joints"].fields((), robot.held_joints) if "fixed_joints" in fields else {}
    fixed_joints = {name: entry.number() for name, entry in held.items()}
    entries: dict[str, SuiteEntry] = {}
    with Faults() as faults:
        for item in fields["problems"].sequence():
            entry = faults.of(partial(_problem, item, robot_name, robot.dof))
            if entry is None:
                continue
            if entry.id in entries:
                faults.add(item.mapping()["id"].error("duplicate problem id", allowed="an id used once"))
            entries[entry.id] = entry
    if not entries:
        raise InputError("the suite has no problems", file=path, key="problems")
    try:
        robot = robot.with_held(fixed_joints)
    except InputError as error:
        raise held[error.key or ""].error(error.problem, allowed=error.allowed) from error
    return Suite(
        name=fields["name"].text(),
        robot=robot,
        fixed_joints=fixed_joints,
        entries=tuple(entries.values()),
    )


def _problem(entry: Entry, robot: str, dof: int) -> SuiteEntry:
    with Faults() as faults:
        fields = entry.fields(*PROBLEM.names, faults)
        name = faults.of(lambda: fields["id"].text())
        start = faults.of(lambda: fields["start"].numbers(dof))
        goals = faults.of(lambda: _goals(fields["goals"], dof))
        obstacles = faults.of(lambda: read_obstacles(fields["obstacles"]))
    scene = Scene(name=name, robot=robot, obstacles=obstacles)
    return SuiteEntry(id=name, start=np.array(start), goals=np.array(goals), scene=scene)


def _goals(entry: Entry, dof: int) -> list[tuple[float, ...]]:
    goals = [goal.numbers(dof) for goal in entry.sequence()]
    if not goals:
        raise entry.error("no goal", allowed="at least one list of joint values")
    return goals
