"""Scene files (YAML, `diffplan/scene@1`)."""

from __future__ import annotations

from pathlib import Path

from diffplan import arguments
from diffplan.assets import asset_folder, shipped_robots, shipped_scenes
from diffplan.errors import InputError, did_you_mean
from diffplan.formats.entry import Entry
from diffplan.formats.obstacles import read_obstacles, read_pose
from diffplan.formats.robot_file import load_robot
from diffplan.formats.strict_yaml import read_yaml
from diffplan.geometry import Pose
from diffplan.reading import is_file
from diffplan.robot import Robot
from diffplan.scene import FARTHEST, Goal, PoseGoal, Query, Scene

_REQUIRED, _OPTIONAL = ("name",), ("robot", "robot_base", "obstacles", "queries", "hold")


def scene_path(name_or_path: str | Path) -> Path:
    """Return the scene file of a path, or of a shipped scene's name.

    Raises:
        InputError: if there is none; the message lists the shipped scenes.
    """
    text = str(arguments.path(name_or_path, "scene"))
    path = Path(text)
    if is_file(path):
        return path
    known = shipped_scenes()
    if text in known:
        return asset_folder("scenes") / f"{text}.yaml"
    raise InputError(
        f"no such scene file{did_you_mean(text, known)}",
        value=text,
        allowed=f"a scene file, or a shipped scene: {', '.join(known)}",
    )


def load_scene(name_or_path: str | Path) -> Scene:
    """Read a scene file, or a shipped scene by its name; meshes and the robot that it names are checked too.

    Raises:
        InputError: naming file, line, key, value and what is allowed.
    """
    path = scene_path(name_or_path)
    fields = read_yaml(path).fields(("format", *_REQUIRED), _OPTIONAL)
    fields["format"].expect_format("diffplan/scene@1")
    robot = _robot(fields["robot"]) if "robot" in fields else None
    return _scene(fields, robot, load_robot(robot, collision=False) if robot else None)


def read_scene(entry: Entry) -> Scene:
    """Return a scene from the keys of a scene file inside another file; its robot need not be at hand.

    Raises:
        InputError: naming file, key, value and what is allowed.
    """
    fields = entry.fields(_REQUIRED, _OPTIONAL)
    robot = fields["robot"].text() if "robot" in fields else None
    beside = entry.file.parent / robot if robot else None
    in_file = beside and robot not in shipped_robots() and (is_file(beside) or is_file(beside / "robot.yaml"))
    return _scene(fields, str(beside) if in_file else robot, None)


def _scene(fields: dict[str, Entry], robot: str | None, model: Robot | None) -> Scene:
    queries = fields["queries"].mapping() if "queries" in fields else {}
    base = read_pose(fields["robot_base"]) if "robot_base" in fields else Pose()
    if max(map(abs, base.xyz)) > FARTHEST:
        allowed = f"within {FARTHEST:.0f} m of the world's origin"
        raise fields["robot_base"].error("too far away for distances to hold", allowed=allowed)
    return Scene(
        name=fields["name"].text(),
        robot=robot,
        robot_base=base,
        hold=_hold(fields["hold"], model) if "hold" in fields else {},
        obstacles=read_obstacles(fields["obstacles"]) if "obstacles" in fields else (),
        queries={name: _query(entry, model) for name, entry in queries.items()},
    )


def _hold(entry: Entry, robot: Robot | None) -> dict[str, float]:
    """Return where the robot's held joints (fingers) stand in this scene."""
    joints = entry.fields((), robot.held_joints) if robot else entry.mapping()
    return {name: value.number() for name, value in joints.items()}


def _robot(entry: Entry) -> str:
    """Return the name of a shipped robot, or the path of a robot file given relative to the scene."""
    text = entry.text()
    path = entry.file.parent / text
    if text in shipped_robots():
        return text
    if is_file(path) or is_file(path / "robot.yaml"):
        return str(path)
    known = shipped_robots()
    raise entry.error(f"unknown robot{did_you_mean(text, known)}", allowed=[*known, "the path of a robot file"])


def _query(entry: Entry, robot: Robot | None) -> Query:
    fields = entry.fields(("start", "goal"))
    return Query(start=_configuration(fields["start"], robot), goal=_goal(fields["goal"], robot))


def _goal(entry: Entry, robot: Robot | None) -> Goal:
    if not entry.is_mapping:
        return _configuration(entry, robot)
    fields = entry.fields(("pose",), ("link",))
    if "link" not in fields:
        link = None
    else:
        link = fields["link"].choice(robot.chain.placement, "link") if robot else fields["link"].text()
    return PoseGoal(link=link, pose=read_pose(fields["pose"]))


def _configuration(entry: Entry, robot: Robot | None) -> tuple[float, ...] | str:
    """Return joint values or a configuration's name, checked against the robot where the scene names one."""
    if entry.is_list:
        return entry.numbers(robot.dof if robot else len(entry.sequence()))
    if entry.is_mapping:
        raise entry.error("a start is joint values or a name", allowed="[q1, q2, ...] or the name of a configuration")
    return entry.choice(robot.configurations, "configuration") if robot else entry.text()
