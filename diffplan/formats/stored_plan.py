"""A whole plan from its file: the motion, its robot, and the scene that it was planned in."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from diffplan.errors import InputError
from diffplan.formats.constraints import read_constraints
from diffplan.formats.fingerprint import file_sum, robot_sums
from diffplan.formats.plan_file import PlanFile, load_plan
from diffplan.formats.robot_file import load_robot
from diffplan.formats.scene_file import read_scene
from diffplan.geometry.pose import Float
from diffplan.problem import Contact, Fingerprint, Judged, Plan, Status, holding
from diffplan.robot.model import Robot
from diffplan.scene import Scene, UnknownScene
from diffplan.strict.entry import Entry
from diffplan.strict.record import read_record


@dataclass(frozen=True, kw_only=True, eq=False)
class StoredPlan:
    """A plan as its file tells it, and what of it is not any more as it was when the plan was made.

    `plan.fingerprint` holds the sums of then; `changed` names the files and the parts of the robot that are others
    now, and `intact` is false if the plan file itself was changed after it was written.
    """

    plan: Plan
    changed: tuple[str, ...]
    intact: bool


def read_plan(path: str | Path, *, robot: Robot | None = None) -> Plan:
    """Return the plan that was saved (see `Plan.load`).

    Raises:
        InputError: naming file, key and value if the file is wrong, or what has changed since.
    """
    stored = read_stored(path, robot=robot)
    again = f"`diffplan check {path}` certifies its motion as it is now"
    if not stored.intact:
        raise InputError("this plan file was changed after it was written", file=path, key="content_sum", allowed=again)
    if stored.changed:
        what = ", ".join(stored.changed)
        raise InputError(f"not as it was when this plan was made: {what}", file=path, key="sums", allowed=again)
    return stored.plan


def read_stored(path: str | Path, *, robot: Robot | None = None) -> StoredPlan:
    """Return the plan with the robot and the files of today, and what has changed since it was made.

    Raises:
        InputError: naming file, key and value if the file is wrong, or a file of robot or scene is missing.
    """
    path = Path(path)
    file = load_plan(path)
    robot = _robot(file, robot)
    then = _fingerprint(file.entries["sums"]) if "sums" in file.entries else None
    changed = _changes(then, robot) if then else ()
    scene = read_scene(file.entries["world"]) if "world" in file.entries else UnknownScene(file.scene, path)
    if "world" in file.entries:
        try:
            robot = holding(robot, scene)
        except InputError as error:
            raise file.entries["world"].error(f"not a scene for {robot.name}: {error.problem}") from error
    return StoredPlan(plan=_plan(file, path, robot, scene, then), changed=changed, intact=file.intact)


def _plan(file: PlanFile, path: Path, robot: Robot, scene: Scene, then: Fingerprint | None) -> Plan:
    entries = file.entries
    for key in ("start", "goals"):
        if key not in entries:
            raise InputError(f"key {key!r} is missing", file=path)
    certified = file.trajectory is not None and file.certificate is not None and file.certificate.valid
    if file.status is Status.SOLVED and not certified:
        raise entries["status"].error("no valid certificate stands in this file", allowed="another status")
    return Plan(
        status=file.status,
        message=file.message,
        planner=file.planner,
        solved_by=file.solved_by,
        robot=robot,
        scene=scene,
        seed=file.seed,
        start=np.array(entries["start"].numbers(robot.dof)),
        goals=_goals(entries["goals"], robot.dof),
        goal_numbers=_goal_numbers(entries),
        speed=entries["speed"].number() if "speed" in entries else 1.0,
        trajectory=file.trajectory,
        certificate=file.certificate,
        metrics=file.metrics,
        timing_s=file.timing_s,
        costs=_numbers(entries.get("costs")),
        alternatives=file.alternatives,
        judged=read_record(Judged, entries["judged"]) if "judged" in entries else Judged(),
        remarks=tuple(entry.text() for entry in entries["remarks"].sequence()) if "remarks" in entries else (),
        contact=_contact(entries.get("contact")),
        fingerprint=then,
        constraints=read_constraints(entries["constraints"]) if "constraints" in entries else (),
    )


def _contact(entry: Entry | None) -> Contact | None:
    return None if entry is None or entry.raw is None else read_record(Contact, entry)


def _goals(entry: Entry, dof: int) -> Float:
    return np.array([goal.numbers(dof) for goal in entry.sequence()], dtype=np.float64).reshape(-1, dof)


def _goal_numbers(entries: dict[str, Entry]) -> tuple[int, ...]:
    """Return which goal each row is of; of rows that were changed since, they say nothing."""
    numbers = [number.whole() for number in entries["goal_numbers"].sequence()] if "goal_numbers" in entries else []
    return tuple(numbers) if len(numbers) == len(entries["goals"].sequence()) else ()


def _numbers(entry: Entry | None) -> dict[str, float]:
    return {name: value.number() for name, value in entry.mapping().items()} if entry else {}


def _robot(file: PlanFile, robot: Robot | None) -> Robot:
    """Return the robot that the file names, holding the joints that it held."""
    if robot is None:
        entry = file.entries.get("robot_file", file.entries["robot"])
        try:
            robot = load_robot(
                entry.file.parent / file.entries["robot_file"].text() if "robot_file" in file.entries else file.robot
            )
        except InputError as error:
            raise entry.error(f"its robot cannot be loaded: {error}", allowed="Plan.load(file, robot=...)") from error
    if robot.joint_names != file.joint_names:
        names = ", ".join(robot.joint_names)
        raise file.entries["joint_names"].error(f"not the joints of {robot.name}", allowed=names)
    for joint in (name for name in file.held_joints if name not in robot.still_joints):
        raise file.entries["held_joints"].error(f"{robot.name} holds no joint {joint!r}", allowed=robot.still_joints)
    return robot.standing(file.held_joints)


def _fingerprint(entry: Entry) -> Fingerprint:
    fields = entry.fields(("robot", "files"))
    files = fields["files"].mapping()
    return Fingerprint(
        robot={part: value.text() for part, value in fields["robot"].mapping().items()},
        files={os.path.abspath(value.file.parent / name): value.text() for name, value in files.items()},
    )


def _changes(then: Fingerprint, robot: Robot) -> tuple[str, ...]:
    """Name what is not as it was: files by path, and parts of the robot."""
    now = robot_sums(robot)
    parts = [f"the {part} of {robot.name}" for part, found in then.robot.items() if now.get(part) != found]
    files = [file for file, found in then.files.items() if not Path(file).is_file() or file_sum(Path(file)) != found]
    return (*parts, *files)
