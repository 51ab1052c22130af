"""What every importer hands over: problems that are read one by one, and the errors that say what cannot be kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache

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
    fixed: dict[str, float] = field(default_factory=dict)
    """What the file says of joints that the robot's URDF fixes."""
    unknown: dict[str, InputError] = field(default_factory=dict)
    """Joints that the robot has not, each with the error that says so."""


@dataclass(frozen=True, kw_only=True)
class Named:
    """Joint values by name, sorted by what the robot makes of them; `values` [dof] in its order. See `Imported`."""

    values: tuple[float, ...]
    held: dict[str, float]
    fixed: dict[str, float]
    unknown: dict[str, InputError]


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


@lru_cache(maxsize=8)
def root_in_base(robot: Robot) -> Pose:
    """Return T_base_root: the pose of the URDF's root, the frame that others call `world`, in the robot's base."""
    T_root_base = robot.model.link_poses(robot.still_joints)[robot.base_link]
    pose = Pose.from_matrix(np.linalg.inv(T_root_base).astype(np.float64))
    return Pose() if is_identity(pose) else pose


def put(shapes: Iterable[Primitive], frame: Pose) -> tuple[Primitive, ...]:
    """Return shapes that stand in a frame, in the frame that `frame` is given in."""
    if is_identity(frame):
        return tuple(shapes)
    return tuple(replace(shape, pose=frame @ shape.pose) for shape in shapes)


def frame_in_base(entry: Entry, robot: Robot) -> Pose:
    """Return the pose of a named frame in the robot's base; an empty name means the URDF's root, as `world` does.

    Raises:
        Unsupported: if it is another one.
    """
    name = entry.raw.value if isinstance(entry.raw, yaml.ScalarNode) else entry.raw
    if isinstance(name, str) and name.lstrip("/") == robot.base_link:
        return Pose()
    if not isinstance(name, str) or name.lstrip("/") not in ("", "world", robot.model.root):
        raise unsupported(entry, "a frame other than the robot's base", allowed=["world", robot.base_link, "''"])
    return root_in_base(robot)


def by_name(robot: Robot, names: Iterable[tuple[str, Entry]], where: Entry) -> Named:
    """Return joint values in the robot's order, and those of joints that it does not move, from names and values.

    Raises:
        InputError: for a joint that is named twice, or one that is missing.
    """
    known = [*robot.joint_names, *robot.held_joints]
    fixed = [name for name, joint in robot.model.joints.items() if joint.kind == "fixed"]
    values: dict[str, float] = {}
    unknown: dict[str, InputError] = {}
    for name, entry in names:
        if name not in known and name not in fixed:
            unknown[name] = InputError(
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
    if missing and unknown:  # likelier a name that is spelt otherwise
        raise next(iter(unknown.values()))
    if missing:
        raise where.error(f"no value for {', '.join(missing)}", allowed=f"one for each joint of {robot.name}")
    return Named(
        values=tuple(values[name] for name in robot.joint_names),
        held={name: value for name, value in values.items() if name in robot.held_joints},
        fixed={name: value for name, value in values.items() if name in fixed},
        unknown=unknown,
    )
