"""What a motion can be asked to keep: `Upright`, `StayIn`, `SpeedLimit`, and `OnLine` (constraints/on_line.py).

Each speaks of a frame by a link's name, or of the robot's tool by the word "tool", and holds all that is needed to
check it, but for the axis of an `Upright` that leaves it to the start.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from typing_extensions import Self

from diffplan import arguments
from diffplan.constraints.on_line import OnLine
from diffplan.errors import InputError, did_you_mean
from diffplan.geometry.pose import Float, Pose
from diffplan.geometry.shapes import Box
from diffplan.robot.model import Robot, Tool

TOOL = "tool"
"""The word for the robot's tool where a link is named."""
AXES = {
    "x": (1.0, 0.0, 0.0),
    "y": (0.0, 1.0, 0.0),
    "z": (0.0, 0.0, 1.0),
    "-x": (-1.0, 0.0, 0.0),
    "-y": (0.0, -1.0, 0.0),
    "-z": (0.0, 0.0, -1.0),
}


def frame(robot: Robot, link: str, key: str = "link") -> Tool:
    """Return the frame of a link, or of the robot's tool.

    Raises:
        InputError: naming `key`, if the robot has no such link.
    """
    if link == TOOL:
        return robot.tool_frame
    if link not in robot.chain.placement:
        allowed = [TOOL, *robot.chain.placement]
        raise InputError(f"no such link{did_you_mean(link, allowed)}", key=key, value=link, allowed=allowed)
    return Tool(link=link)


def unit(axis: object, key: str) -> tuple[float, float, float]:
    """Return the unit vector of an axis by name (`AXES`), or of three numbers.

    Raises:
        InputError: naming `key`, if it is none.
    """
    allowed = ", ".join((*AXES, "three numbers, not all zero"))
    if isinstance(axis, str):
        if axis not in AXES:
            raise InputError(f"unknown{did_you_mean(axis, AXES)}", key=key, value=axis, allowed=allowed)
        return AXES[axis]
    found = arguments.items(axis, key, allowed=allowed)
    if len(found) != 3:
        raise InputError("not a direction", key=key, value=arguments.plain(axis), allowed=allowed)
    vector = arguments.vector(found, 3, key)
    largest = max(map(abs, vector))
    if largest == 0:
        raise InputError("not a direction", key=key, value=axis, allowed=allowed)
    x, y, z = np.divide(vector, largest)  # so that its length neither overflows nor vanishes
    norm = math.hypot(x, y, z)
    return float(x / norm), float(y / norm), float(z / norm)


@dataclass(frozen=True, kw_only=True)
class _OnLink:
    """A constraint on the frame of a link, or on the robot's tool, which joints must move."""

    link: str = TOOL
    name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", arguments.text(self.name, "name"))
        object.__setattr__(self, "link", arguments.text(self.link, f"{self.name}.link"))

    def at(self, robot: Robot, robot_base: Pose, start: Float) -> Self:
        """Return the same with what it leaves to the start [dof], which is nothing for most.

        Raises:
            InputError: if the robot has no such link, or it does not move.
        """
        tool = frame(robot, self.link, f"{self.name}.link")
        if robot.chain.placement[tool.link][0] == 0:
            moving = [TOOL, *(link for link, (body, _) in robot.chain.placement.items() if body > 0)]
            raise InputError("a link that no joint moves", key=f"{self.name}.link", value=tool.link, allowed=moving)
        return self


@dataclass(frozen=True, kw_only=True)
class Upright(_OnLink):
    """An axis of a link stays within `degrees` of the vertical; the tool's if no link is named.

    `axis` is a direction in the link's frame (or the tool's), by name or as [3]; None stands for the one that points up
    where the motion starts, so that what stands in the hand keeps standing. Given as a cost, it is a wish of this
    `weight` (see `diffplan.costs.terms.upright`).
    """

    axis: tuple[float, float, float] | None = None
    degrees: float = 5.0
    weight: float = 20.0
    name: str = "upright"

    def __post_init__(self) -> None:
        super().__post_init__()
        degrees = arguments.real(self.degrees, f"{self.name}.degrees", allowed="0 < degrees < 180")
        if not 0 < degrees < 180:
            raise InputError(
                "no such tilt", key=f"{self.name}.degrees", value=self.degrees, allowed="0 < degrees < 180"
            )
        object.__setattr__(self, "degrees", degrees)
        if self.axis is not None:
            object.__setattr__(self, "axis", unit(self.axis, f"{self.name}.axis"))

    def at(self, robot: Robot, robot_base: Pose, start: Float) -> Self:
        """Return the same with the axis that points up at start [dof], if it leaves that to the start.

        Raises:
            InputError: if the robot has no such link, or it does not move.
        """
        super().at(robot, robot_base, start)
        if self.axis is not None:
            return self
        tool = frame(robot, self.link)
        pose = robot_base.matrix @ robot.link_pose(start, tool.link)[0] @ tool.pose.matrix
        return replace(self, axis=tuple(pose[2, :3].tolist()))


@dataclass(frozen=True, kw_only=True)
class StayIn(_OnLink):
    """The origin of a link, or the tool's, stays in a box in the world."""

    box: Box
    name: str = "stay_in"

    def __post_init__(self) -> None:
        super().__post_init__()
        arguments.instance(self.box, Box, f"{self.name}.box", allowed="a Box")


@dataclass(frozen=True, kw_only=True)
class SpeedLimit(_OnLink):
    """The origin of a link, or the tool's, is never faster than `limit` [m/s]."""

    limit: float
    name: str = "speed"

    def __post_init__(self) -> None:
        super().__post_init__()
        limit = arguments.positive(self.limit, f"{self.name}.limit", what="speed", allowed="> 0 m/s")
        object.__setattr__(self, "limit", limit)


Constraint: TypeAlias = Upright | StayIn | SpeedLimit | OnLine
KINDS: dict[str, type[Constraint]] = {"upright": Upright, "stay_in": StayIn, "speed": SpeedLimit, "line": OnLine}
"""The kinds by their names in files."""


def stay_in(box: Box, link: str = TOOL, *, name: str = "stay_in") -> StayIn:
    """Return the constraint that the tool's origin, or a link's, stays in a box in the world.

    Raises:
        InputError: if the box is none.
    """
    return StayIn(box=box, link=link, name=name)


def speed(link: str, limit: float, *, name: str = "speed") -> SpeedLimit:
    """Return the constraint that the origin of a link ("tool": the tool's) is never faster than `limit` [m/s].

    Raises:
        InputError: if the limit is not positive.
    """
    return SpeedLimit(link=link, limit=limit, name=name)


def read_constraints(value: object) -> tuple[Constraint, ...]:
    """Return constraints as a tuple; one alone may come without a list, and a wish that is one (`Cost.constraint`) too.

    Raises:
        InputError: naming the first that is none, or two of the same name.
    """
    allowed = "a list of constraints (dp.upright, dp.stay_in and dp.speed make some)"
    alone = isinstance(value, Upright | StayIn | SpeedLimit | OnLine) or hasattr(value, "constraint")
    items = [value] if alone else arguments.items(() if value is None else value, "constraints", allowed=allowed)
    found: list[Constraint] = []
    for i, item in enumerate(items):
        one = getattr(item, "constraint", item)
        if not isinstance(one, Upright | StayIn | SpeedLimit | OnLine):
            raise InputError("not a constraint", key=f"constraints[{i}]", value=arguments.plain(item), allowed=allowed)
        found.append(one)
    names = [one.name for one in found]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise InputError("constraints must have different names", key="constraints", value=doubled[0])
    return tuple(found)
