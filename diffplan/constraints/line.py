"""A straight line of the tool, as it is asked for; on_line.py has where it runs and that it is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from diffplan import arguments
from diffplan.constraints.kinds import Constraint, read_constraints
from diffplan.constraints.on_line import Segment
from diffplan.errors import InputError
from diffplan.geometry.pose import Float, Pose

FRAMES = ("world", "tool")


@dataclass(frozen=True, kw_only=True)
class Line:
    """The tool goes straight: to a pose, or by an offset.

    `to` is an offset x, y, z [m], which leaves the orientation as it is, or a `Pose`. Both are meant in the `frame`: in
    the world (of a pose: there the tool shall be at the end), or as seen from the tool where the line begins. The
    motion keeps these `constraints` too, as `diffplan.plan` takes them.
    """

    to: Pose | tuple[float, float, float]
    frame: str = "world"
    constraints: Sequence[Constraint] | Constraint = ()

    def __post_init__(self) -> None:
        if not isinstance(self.frame, str) or self.frame not in FRAMES:
            raise InputError("no such frame", key="Line.frame", value=self.frame, allowed=FRAMES)
        object.__setattr__(self, "constraints", read_constraints(self.constraints))
        if not isinstance(self.to, Pose):
            found = arguments.items(self.to, "Line.to", allowed="a Pose, or an offset x, y, z [m]")
            object.__setattr__(self, "to", arguments.vector(found, 3, "Line.to", unit="m"))

    def from_begin(self, begin: Pose) -> Segment:
        """Return where the line runs if the tool stands at `begin` (world frame)."""
        if isinstance(self.to, Pose):
            return Segment(begin=begin, end=self.to if self.frame == "world" else begin @ self.to)
        return Segment(begin=begin, end=_moved(begin, self._offset(begin)))

    def to_end(self, end: Pose) -> Segment:
        """Return where the line runs if the tool shall stand at `end` (world frame) after it.

        Raises:
            InputError: for a line to a pose in the world, which tells its end only.
        """
        if not isinstance(self.to, Pose):
            return Segment(begin=_moved(end, -self._offset(end)), end=end)
        if self.frame == "world":
            allowed = 'an offset, or a pose with frame="tool"'
            raise InputError("a line to a pose does not tell where it begins", key="Line.to", allowed=allowed)
        return Segment(begin=end @ self.to.inverse(), end=end)

    def _offset(self, pose: Pose) -> Float:
        """Return the offset [3] in the world, of a tool that is turned like `pose`."""
        offset = np.asarray(self.to)
        return pose.matrix[:3, :3] @ offset if self.frame == "tool" else offset


def _moved(pose: Pose, by: Float | Sequence[float]) -> Pose:
    x, y, z = np.add(pose.xyz, by).tolist()
    return Pose(xyz=(x, y, z), quat_xyzw=pose.quat_xyzw)
