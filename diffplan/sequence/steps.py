"""The steps of a sequence, as a person writes them: what each means is done by search.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from diffplan import arguments
from diffplan.constraints.kinds import Constraint, read_constraints
from diffplan.constraints.line import Line
from diffplan.ends import GoalLike
from diffplan.errors import InputError
from diffplan.geometry.pose import Pose
from diffplan.sequence.grasps import Grasps

_FREE = ("x", "y", "z")
_LONGEST = 2.0  # m of an approach, lift or retreat
_LONGEST_S = 3600.0  # of a pause


@dataclass(frozen=True, kw_only=True, eq=False)
class Move:
    """Move to a goal as `diffplan.plan` takes it, under constraints, with what is held then."""

    goal: GoalLike
    constraints: tuple[Constraint, ...] = ()
    kind = "move"

    def __init__(self, goal: GoalLike, *, constraints: Sequence[Constraint] | Constraint = ()) -> None:
        """Take the goal by position: `Move("home")`."""
        object.__setattr__(self, "goal", goal)
        object.__setattr__(self, "constraints", read_constraints(constraints))


@dataclass(frozen=True, kw_only=True)
class Gripper:
    """Open or close the gripper, or bring its pads so far apart [m].

    `close` closes it on what is between its pads, or else wholly.
    """

    to: str | float
    kind = "gripper"

    def __init__(self, to: str | float) -> None:
        """Take the value by position: `Gripper("open")`."""
        allowed = "open, close, or the distance of its pads [m]"
        if isinstance(to, str):
            if to not in ("open", "close"):
                raise InputError("not what a gripper does", key="gripper", value=to, allowed=allowed)
        else:
            to = arguments.real(to, "gripper", allowed=allowed)
            if to < 0:
                raise InputError("not a distance", key="gripper", value=to, allowed=allowed)
        object.__setattr__(self, "to", to)


@dataclass(frozen=True, kw_only=True)
class Attach:
    """From here on the robot holds the object as it lies relative to its tool."""

    object: str
    kind = "attach"

    def __init__(self, object: str) -> None:
        """Take the object's name by position."""
        _set(self, "object", arguments.text(object, "attach", allowed="the name of an obstacle"))


@dataclass(frozen=True, kw_only=True)
class Detach:
    """From here on the object stays where it is."""

    object: str
    kind = "detach"

    def __init__(self, object: str) -> None:
        """Take the object's name by position."""
        _set(self, "object", arguments.text(object, "detach", allowed="the name of a held object"))


@dataclass(frozen=True, kw_only=True)
class Pause:
    """The arm stands still for so long [s]; 0 s are a stop."""

    seconds: float
    kind = "pause"

    def __init__(self, seconds: float = 0.0) -> None:
        """Take the time by position."""
        allowed = f"0 <= s <= {_LONGEST_S:g}"
        value = arguments.real(seconds, "pause", allowed=allowed)
        if not 0 <= value <= _LONGEST_S:
            raise InputError("no such time", key="pause", value=seconds, allowed=allowed)
        _set(self, "seconds", value)


@dataclass(frozen=True, kw_only=True, eq=False)
class Pick:
    """Take one of `objects`: open, move before it, go in straight, close, attach, lift straight up.

    Which of the objects and `grasps`, and with which joint positions, is chosen together with all later steps.
    """

    objects: tuple[str, ...]
    grasps: Grasps = "any"
    approach: float = 0.10
    lift: float = 0.10
    kind = "pick"


@dataclass(frozen=True, kw_only=True, eq=False)
class Place:
    """Put the held object (None: the one there is) down at one of `poses` (T_world_object): carry it above, lower it
    straight, open, detach, go back straight. `free` is an axis of the object about which any turn will do.
    """

    object: str | None
    poses: tuple[Pose, ...]
    free: str | None = None
    approach: float = 0.08
    retreat: float = 0.10
    kind = "place"


Step: TypeAlias = "Move | Line | Gripper | Attach | Detach | Pause | Pick | Place"
STEPS = (Move, Line, Gripper, Attach, Detach, Pause, Pick, Place)


def pick(
    object: str | Sequence[str], *, grasps: Grasps = "any", approach: float = 0.10, lift: float = 0.10
) -> list[Step]:
    """Return the steps that take an object.

    Args:
        object: the name of an obstacle, or several of which any will do.
        grasps: `top`, `side`, `any` (see `diffplan.sequence.grasps`), or a list of your own: T_object_tool each, alone
            or with the opening of the gripper on the way in [m].
        approach: how far the hand goes in straight, along the tool's z axis [m].
        lift: how far it is lifted straight up [m].

    Raises:
        InputError: for an argument that makes no sense.
    """
    names = [object] if isinstance(object, str) else arguments.items(object, "object", allowed="names of obstacles")
    if not names:
        raise InputError("no object", key="object", allowed="the name of an obstacle, or several")
    return [
        Pick(
            objects=tuple(arguments.text(name, "object", allowed="the name of an obstacle") for name in names),
            grasps=grasps,
            approach=_length(approach, "approach"),
            lift=_length(lift, "lift"),
        )
    ]


def place(
    object: str | None,
    pose: Pose | Sequence[float] | Sequence[Pose],
    *,
    free: str | None = None,
    approach: float = 0.08,
    retreat: float = 0.10,
) -> list[Step]:
    """Return the steps that put a held object down.

    Args:
        object: its name; None for the one that is held then.
        pose: where its frame shall be in the world: a pose, x, y, z [m] (not turned), or several poses of which any
            will do.
        free: `x`, `y` or `z`: any turn about that axis of the object's frame will do.
        approach: from how far above it is lowered [m].
        retreat: how far the hand goes back straight, against the tool's z axis [m].

    Raises:
        InputError: for an argument that makes no sense.
    """
    several = [pose] if isinstance(pose, Pose) else list(arguments.items(pose, "pose", allowed="a Pose, or several"))
    poses = several if several and all(isinstance(one, Pose) for one in several) else [Pose.of(pose, "pose")]
    if free is not None and free not in _FREE:
        raise InputError("not an axis", key="free", value=free, allowed=[*_FREE, "None"])
    step = Place(
        object=None if object is None else arguments.text(object, "object"),
        poses=tuple(poses),  # pyright: ignore[reportArgumentType]
        free=free,
        approach=_length(approach, "approach"),
        retreat=_length(retreat, "retreat"),
    )
    return [step]


def pick_and_place(
    object: str | Sequence[str],
    pose: Pose | Sequence[float] | Sequence[Pose],
    *,
    grasps: Grasps = "any",
    free: str | None = None,
    approach: float = 0.10,
    lift: float = 0.10,
    lower: float = 0.08,
    retreat: float = 0.10,
) -> list[Step]:
    """Return the steps of `pick` and `place` for one object; `lower` is the `approach` of the latter.

    Raises:
        InputError: for an argument that makes no sense.
    """
    taken = pick(object, grasps=grasps, approach=approach, lift=lift)
    return [
        *taken,
        *place(object if isinstance(object, str) else None, pose, free=free, approach=lower, retreat=retreat),
    ]


def _length(value: float, key: str) -> float:
    return arguments.positive(value, key, highest=_LONGEST, allowed=f"0 < m <= {_LONGEST:g}")


def _set(step: object, key: str, value: object) -> None:
    object.__setattr__(step, key, value)
