"""Scenes written in the keys of the scene file, as mappings or as a YAML file."""

from __future__ import annotations

import os
from dataclasses import MISSING, fields
from pathlib import Path

import yaml

from diffplan.errors import InputError
from diffplan.formats.constraints import constraint_word
from diffplan.geometry.pose import Pose
from diffplan.scene import Attached, Goal, Obstacle, PoseGoal, Query, Scene
from diffplan.strict.entry import Json
from diffplan.system.assets import named_robots
from diffplan.system.files import write_text


class _Dumper(yaml.SafeDumper):
    """Writes a value that stands in two places twice: scene files have no anchors."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def save_scene(scene: Scene, path: str | Path) -> None:
    """Write a scene file (`diffplan/scene@1`); meshes below its folder are named relative to it, others absolutely.

    Raises:
        InputError: if the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in (".yaml", ".yml"):
        raise InputError("a scene file is YAML", file=path, value=path.suffix, allowed=[".yaml", ".yml"])
    document: dict[str, Json] = {"format": "diffplan/scene@1", **scene_keys(scene, path.parent)}
    text = yaml.dump(document, Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=2**20)
    write_text(path, text)


def scene_keys(scene: Scene, folder: Path | None) -> dict[str, Json]:
    """Return a scene in the keys of scene files, which plan files share.

    Args:
        scene: the scene.
        folder: of the file that is written; None makes all paths absolute.
    """
    keys: dict[str, Json] = {"name": scene.name}
    if scene.robot is not None:
        path = Path(scene.robot)
        in_file = scene.robot not in named_robots() and (path.is_file() or (path / "robot.yaml").is_file())
        keys["robot"] = path_word(path, folder) if in_file else scene.robot
    keys["robot_base"] = _pose(scene.robot_base)
    if scene.hold:
        keys["hold"] = {name: float(value) for name, value in scene.hold.items()}
    keys["obstacles"] = [obstacle_keys(obstacle, folder) for obstacle in scene.obstacles]
    if scene.attached:
        keys["attached"] = [_attached(body, folder) for body in scene.attached]
    if scene.allowed_contacts:
        keys["allowed_contacts"] = [
            {"pair": list(one.pair), **({} if one.depth_m is None else {"depth_mm": round(1000 * one.depth_m, 9)})}
            for one in scene.allowed_contacts
        ]
    if scene.queries:
        keys["queries"] = {name: _query(query) for name, query in scene.queries.items()}
    return keys


def _attached(body: Attached, folder: Path | None) -> dict[str, Json]:
    keys: dict[str, Json] = {**obstacle_keys(body.obstacle, folder), "link": body.link}
    return keys if body.may_touch is None else {**keys, "may_touch": list(body.may_touch)}


def obstacle_keys(obstacle: Obstacle, folder: Path | None) -> dict[str, Json]:
    """Return an obstacle as scene files spell it."""
    keys: dict[str, Json] = {"name": obstacle.name, "type": type(obstacle).__name__.lower()}
    for field in fields(obstacle):
        value = getattr(obstacle, field.name)
        default = field.default if field.default_factory is MISSING else field.default_factory()
        if field.name not in ("name", "pose") and value != default:
            keys[field.name] = path_word(value, folder) if isinstance(value, Path) else _numbers(value)
    return {**keys, "pose": _pose(obstacle.pose)}


def _numbers(value: bool | float | tuple[float, ...] | dict[str, float]) -> Json:
    """Return a number, or a list or mapping of numbers, as files take them."""
    if isinstance(value, tuple):
        return [float(item) for item in value]
    if isinstance(value, dict):
        return {name: float(item) for name, item in value.items()}
    return value if isinstance(value, bool) else float(value)


def path_word(file: Path, folder: Path | None) -> str:
    """Return the path of a file relative to `folder` if it lies there or deeper, else the absolute one."""
    whole = Path(os.path.abspath(file))
    base = None if folder is None else Path(os.path.abspath(folder))
    return whole.relative_to(base).as_posix() if base and whole.is_relative_to(base) else str(whole)


def _pose(pose: Pose) -> dict[str, Json]:
    keys: dict[str, Json] = {"xyz": [float(value) for value in pose.xyz]}
    if tuple(pose.quat_xyzw) != Pose().quat_xyzw:
        keys["quat_xyzw"] = [float(value) for value in pose.quat_xyzw]
    return keys


def _query(query: Query) -> dict[str, Json]:
    kept: dict[str, Json] = {"constraints": [constraint_word(one) for one in query.constraints]}
    return {"start": _goal(query.start), "goal": _goal(query.goal), **(kept if query.constraints else {})}


def _goal(goal: Goal) -> Json:
    if isinstance(goal, PoseGoal):
        return _pose_goal(goal)
    if isinstance(goal, str):
        return goal
    return [_pose_goal(one) if isinstance(one, PoseGoal) else one for one in goal]


def _pose_goal(goal: PoseGoal) -> dict[str, Json]:
    keys: dict[str, Json] = {"link": goal.link} if goal.link else {}
    keys["pose"] = _pose(goal.pose)
    if goal.free:
        keys["free"] = goal.free
    if goal.box:
        keys["box"] = list(goal.box)
    return keys
