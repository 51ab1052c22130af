"""What every importer hands over: problems that are read one by one, and the errors that say what cannot be kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import yaml

from diffplan.errors import InputError, did_you_mean
from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import Primitive
from diffplan.robot.model import Robot
from diffplan.strict.entry import Entry

_IDENTITY_TOLERANCE = 1e-9


class Unsupported(InputError):
    """A sound problem that a suite cannot hold, as against a file that is wrong; may be left out on request."""


@dataclass(frozen=True, kw_only=True)
class Imported:
    """One problem: joint values [dof] (rad or m) in the robot's order, obstacles in the frame of its base."""

    start: tuple[float, ...]
    goals: tuple[tuple[float, ...], ...]
    obstacles: tuple[Primitive, ...]
    held: dict[str, float] = field(default_factory=dict)
    """What the file says of the joints that the robot keeps still; empty if it says nothing."""


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A problem still to be read. `read` raises `Unsupported`, or `InputError` for a file that is wrong."""

    id: str
    read: Callable[[], Imported]


def unsupported(entry: Entry, problem: str, *, allowed: str | Iterable[str] | None = None) -> Unsupported:
    """Return the error that says where a value stands that a suite cannot hold."""
    error = entry.error(problem, allowed=allowed)
    return Unsupported(
        error.problem, file=error.file, line=error.line, key=error.key, value=error.value, allowed=error.allowed
    )


def problem_id(problem_set: str, index: int, robot: Robot) -> str:
    """Return `set/index`, without the robot's name at the end of the set's (`cage_panda` is the set `cage`)."""
    return f"{problem_set.removesuffix(f'_{robot.name}')}/{index}"


def quaternion(entry: Entry, order: str) -> tuple[float, float, float, float]:
    """Return the quaternion (x, y, z, w) of a list of four numbers in `order`, `xyzw` or `wxyz`.

    Raises:
        InputError: if these are not four numbers, or their norm is not 1 within 1e-3.
    """
    return unit_quaternion(entry, dict(zip(order, entry.numbers(4), strict=True)))


def unit_quaternion(entry: Entry, values: dict[str, float]) -> tuple[float, float, float, float]:
    """Return (x, y, z, w) of the values by name.

    Raises:
        InputError: if their norm is not 1 within 1e-3.
    """
    norm = float(np.linalg.norm(list(values.values())))
    if abs(norm - 1) > 1e-3:
        raise entry.error(f"quaternion not normalised: its norm is {norm:.6g}", allowed="a norm of 1, within 0.001")
    return values["x"], values["y"], values["z"], values["w"]


def pose_of_seven(entry: Entry, order: str) -> Pose:
    """Return the pose of a list x, y, z and a quaternion in `order`.

    Raises:
        InputError: if these are not seven numbers or the quaternion is no unit one.
    """
    x, y, z, *rotation = entry.numbers(7)
    return Pose(xyz=(x, y, z), quat_xyzw=unit_quaternion(entry, dict(zip(order, rotation, strict=True))))


def is_identity(pose: Pose) -> bool:
    """Whether a pose moves nothing."""
    return bool(np.allclose(pose.matrix, np.eye(4), rtol=0, atol=_IDENTITY_TOLERANCE))


def expect_frame(entry: Entry, robot: Robot) -> None:
    """Check that a frame is the robot's base; an empty one means the model's frame, which is the same.

    Raises:
        Unsupported: if it is another one.
    """
    name = entry.raw.value if isinstance(entry.raw, yaml.ScalarNode) else entry.raw
    if not isinstance(name, str) or name.lstrip("/") not in ("", "world", robot.base_link):
        raise unsupported(entry, "a frame other than the robot's base", allowed=["world", robot.base_link, "''"])


def by_name(
    robot: Robot, names: Iterable[tuple[str, Entry]], where: Entry
) -> tuple[tuple[float, ...], dict[str, float]]:
    """Return joint values in the robot's order, and those of its held joints, from pairs of name and value.

    Raises:
        InputError: for a joint that the robot has not, or that is named twice, or one that is missing.
    """
    known = [*robot.joint_names, *robot.held_joints]
    values: dict[str, float] = {}
    for name, entry in names:
        if name not in known:
            raise InputError(
                f"{robot.name} has no such joint{did_you_mean(name, known)}",
                file=entry.file,
                line=entry.line,
                key=entry.key,
                value=name,
                allowed=known,
            )
        if name in values:
            raise entry.error(f"joint {name!r} is named twice", allowed="each joint once")
        values[name] = entry.number()
    missing = [name for name in robot.joint_names if name not in values]
    if missing:
        raise where.error(f"no value for {', '.join(missing)}", allowed=f"one for each joint of {robot.name}")
    held = {name: value for name, value in values.items() if name in robot.held_joints}
    return tuple(values[name] for name in robot.joint_names), held
