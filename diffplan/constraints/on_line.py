"""Straight lines of the tool: where one runs (`Segment`), and that it is kept (`OnLine`)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from diffplan.geometry.pose import Float, Pose
from diffplan.robot.model import Robot, Tool

if TYPE_CHECKING:
    from scipy.spatial.transform import Rotation

TOLERANCE_M = 0.001
"""How far the tool may be from the line [m]."""
TOLERANCE_RAD = math.radians(0.5)
"""By which angle its orientation may differ from that of the line [rad]."""
_BY_POSITION = 0.01  # [m] a line at least so long is as far done as its way is


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Poses on a straight line: `at` progress s in [0, 1] the position is (1 - s) `begin` + s `end`, and the
    orientation begin exp(s r), with r the rotation vector of begin^-1 end (slerp).
    """

    begin: Pose
    end: Pose

    @property
    def shift(self) -> Float:
        """The way from begin to end [3] (m)."""
        return np.subtract(self.end.xyz, self.begin.xyz)

    @property
    def turn(self) -> Float:
        """The rotation vector r [3] from begin to end, in the frame of begin (rad)."""
        return np.asarray((_rotation(self.begin).inv() * _rotation(self.end)).as_rotvec())

    @property
    def length(self) -> float:
        """How far the position goes [m]."""
        return float(np.linalg.norm(self.shift))

    @property
    def angle(self) -> float:
        """How far the orientation turns [rad]."""
        return float(np.linalg.norm(self.turn))

    @property
    def reversed(self) -> Segment:
        """The same line the other way."""
        return Segment(begin=self.end, end=self.begin)

    def at(self, s: Float) -> Float:
        """Return the poses [n, 4, 4] at progress s [n]."""
        from scipy.spatial.transform import Rotation

        poses = np.zeros((len(s), 4, 4))
        poses[:, :3, :3] = (_rotation(self.begin) * Rotation.from_rotvec(s[:, None] * self.turn)).as_matrix()
        poses[:, :3, 3] = np.asarray(self.begin.xyz) + s[:, None] * self.shift
        poses[:, 3, 3] = 1.0
        return poses

    @property
    def by_position(self) -> bool:
        """Whether progress is that of the position, not of the rotation: the line is 1 cm long or longer, or it is
        longer, in tolerances, than it turns.
        """
        return self.length >= _BY_POSITION or self.length / TOLERANCE_M >= self.angle / TOLERANCE_RAD

    def progress(self, poses: Float) -> Float:
        """Return how far along the line poses [n, 4, 4] are [n], beyond 0 and 1 too: the share of the way, or where
        that is short the share of the rotation (see `by_position`).
        """
        if self.by_position:
            return (poses[:, :3, 3] - self.begin.xyz) @ self.shift / max(self.length, 1e-12) ** 2
        from scipy.spatial.transform import Rotation

        turned = _rotation(self.begin).inv() * Rotation.from_matrix(poses[:, :3, :3])
        return turned.as_rotvec() @ self.turn / self.angle**2


def _rotation(pose: Pose) -> Rotation:
    from scipy.spatial.transform import Rotation  # here, because it is slow to import

    return Rotation.from_quat(pose.quat_xyzw)


@dataclass(frozen=True, kw_only=True)
class OnLine:
    """The tool stays on a line: within 1 mm of its position and 0.5 deg of its orientation at equal progress.

    It begins at the line's begin and ends at its end, within the same. `segment` is in the world frame.
    """

    tool: Tool
    segment: Segment
    name: str = "line"

    def at(self, robot: Robot, robot_base: Pose, start: Float) -> OnLine:
        """Return the same: a line leaves nothing to the start."""
        return self
