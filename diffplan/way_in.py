"""A way in for starts that are not quite right: a short straight motion that comes before the planned one.

The arm comes to rest at its end, where the planner's motion begins; the certificate judges both as one motion.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from diffplan.geometry import Float
from diffplan.problem import Trajectory
from diffplan.robot import Robot
from diffplan.spline import straight

_CONTROL_POINTS = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class WayIn:
    """A motion from a start that is not quite right, and what of it the certificate has to allow."""

    trajectory: Trajectory
    start_tolerance: float = 0.0

    @property
    def end(self) -> Float:
        """Where the planned motion begins [dof]."""
        return self.trajectory.position[-1]

    def then(self, motion: Trajectory) -> Trajectory:
        """Return both motions as one; `motion` begins where this one ends, at rest."""
        first = self.trajectory
        return Trajectory(
            time=np.concatenate([first.time[:-1], first.time[-1] - motion.time[0] + motion.time]),
            position=np.concatenate([first.position[:-1], motion.position]),
            velocity=np.concatenate([first.velocity[:-1], motion.velocity]),
            acceleration=np.concatenate([first.acceleration[:-1], motion.acceleration]),
        )


def into_limits(
    robot: Robot, start: Float, tolerance: float, retime: Callable[[Float, Robot], Trajectory | None]
) -> WayIn | None:
    """Return the straight motion to the nearest joint positions within the limits.

    Args:
        robot: whose limits hold.
        start: joint positions [dof].
        tolerance: by how much joints may stand outside their limits (rad or m).
        retime: `diffplan.retime.retime`, which is slow to import.

    Returns:
        The motion, or None where no joint stands outside, or one farther than that.
    """
    inside = np.clip(start, robot.lower, robot.upper)
    if not robot.joints_outside(start) or not robot.outside_within(start, tolerance):
        return None
    wider = replace(robot, lower=np.minimum(robot.lower, start), upper=np.maximum(robot.upper, start))
    trajectory = retime(straight(start, inside, _CONTROL_POINTS), wider)
    return None if trajectory is None else WayIn(trajectory=trajectory, start_tolerance=tolerance)
