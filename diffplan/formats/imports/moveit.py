"""MotionBenchMaker's folders: `scene0001.yaml` with `request0001.yaml`, and so on (MoveIt's messages as YAML).

A scene may also be MoveIt's text, `scene0001.scene`. A folder is a set, and the number in the file's name the
problem's. Requests are moveit_msgs/MotionPlanRequest; a goal is met at the position of its joint constraints, whatever
their tolerances. The robot of the request moves within its own limits here, so scaling factors are not taken over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from diffplan.errors import InputError
from diffplan.formats.imports.draft import Draft, Imported, Named, by_name, problem_id, put, root_in_base, unsupported
from diffplan.formats.imports.moveit_scene import STATE_KEYS, check_state, items, read_scene
from diffplan.formats.imports.scene_text import read_scene_text
from diffplan.robot.model import Robot
from diffplan.strict.entry import Entry
from diffplan.strict.strict_yaml import read_yaml

FILE_NAME = re.compile(r"(scene|request)(\d+)\.(yaml|yml|scene)")
_REQUEST_KEYS = (
    "workspace_parameters",
    "path_constraints",
    "trajectory_constraints",
    "reference_trajectories",
    "pipeline_id",
    "planner_id",
    "group_name",
    "num_planning_attempts",
    "allowed_planning_time",
    "max_velocity_scaling_factor",
    "max_acceleration_scaling_factor",
    "cartesian_speed_limited_link",
    "cartesian_speed_end_effector_link",
    "max_cartesian_speed",
)
_OTHER_CONSTRAINTS = ("position_constraints", "orientation_constraints", "visibility_constraints")
_TOLERANCES = ("tolerance_above", "tolerance_below", "weight")


def drafts(folder: Path, robot: Robot) -> Iterator[Draft]:
    """Yield the problems of a folder and of the folders in it, sorted by folder and number.

    Raises:
        InputError: if there are none, or a scene or a request stands alone.
    """
    found: dict[tuple[Path, int], dict[str, Path]] = {}
    for path in sorted(folder.rglob("*")):
        match = FILE_NAME.fullmatch(path.name)
        if match and path.is_file():
            pair = found.setdefault((path.parent, int(match[2])), {})
            if match[1] in pair:
                raise InputError(f"a second {match[1]} {match[2]}", file=path, allowed=f"{pair[match[1]].name} only")
            pair[match[1]] = path
    if not found:
        raise InputError("no problems in this folder", file=folder, allowed="scene0001.yaml, request0001.yaml, ...")
    for (parent, number), pair in sorted(found.items()):
        for kind, other in (("scene", "request"), ("request", "scene")):
            if kind not in pair:
                raise InputError(
                    f"this {other} has no {kind}", file=pair[other], allowed=f"a {kind}{number:04d}.yaml beside it"
                )
        name = problem_id(parent.resolve().name, number, robot)
        yield Draft(id=name, read=partial(_problem, pair["scene"], pair["request"], robot))


def _problem(scene: Path, request: Path, robot: Robot) -> Imported:
    start, goals = _request(request, robot)
    if scene.suffix == ".scene":
        obstacles = put(read_scene_text(scene), root_in_base(robot))
    else:
        obstacles = read_scene(scene, robot)
    return Imported(
        start=start.values,
        goals=goals,
        obstacles=obstacles,
        held=start.held,
        fixed=start.fixed,
        unknown=start.unknown,
    )


def _request(path: Path, robot: Robot) -> tuple[Named, tuple[tuple[float, ...], ...]]:
    """Return start and goals of a request."""
    fields = read_yaml(path).fields(("start_state", "goal_constraints"), _REQUEST_KEYS)
    state = fields["start_state"].fields(("joint_state",), STATE_KEYS)
    check_state(state, robot)
    joints = state["joint_state"].fields(("name", "position"), ("header", "velocity", "effort"))
    names, positions = joints["name"].sequence(), joints["position"].sequence()
    if len(names) != len(positions):
        raise joints["position"].error("not as many values as names", allowed=f"{len(names)} values")
    named = zip((name.text() for name in names), positions, strict=True)
    start = by_name(robot, named, joints["name"])
    if "path_constraints" in fields:
        _expect_free(fields["path_constraints"])
    for constraints in (
        items(fields["trajectory_constraints"].mapping().get("constraints"))
        if "trajectory_constraints" in fields
        else []
    ):
        _expect_free(constraints)
    goals = fields["goal_constraints"].sequence()
    if not goals:
        raise fields["goal_constraints"].error("no goal", allowed="at least one set of joint_constraints")
    return start, tuple(_goal(goal, robot) for goal in goals)


def _expect_free(entry: Entry) -> None:
    for key, constraints in entry.mapping().items():
        if key != "name" and constraints.sequence():
            raise unsupported(constraints, "the motion is constrained on its way", allowed="no path constraints")


def _goal(entry: Entry, robot: Robot) -> tuple[float, ...]:
    fields = entry.fields((), ("name", "joint_constraints", *_OTHER_CONSTRAINTS))
    for key in _OTHER_CONSTRAINTS:
        if items(fields.get(key)):
            raise unsupported(fields[key], "a goal that is no configuration", allowed="joint_constraints only")
    constraints = items(fields.get("joint_constraints"))
    pairs = [constraint.fields(("joint_name", "position"), _TOLERANCES) for constraint in constraints]
    goal = by_name(robot, ((pair["joint_name"].text(), pair["position"]) for pair in pairs), entry)
    for error in goal.unknown.values():
        raise error
    if still := [*goal.held, *goal.fixed]:
        raise unsupported(entry, f"a goal for {', '.join(still)}, which are held still", allowed=robot.joint_names)
    return goal.values
