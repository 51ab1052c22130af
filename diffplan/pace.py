"""Timing that keeps the speeds that a motion may have, as the certificate proves them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from diffplan.certificate.constraint_bounds import kept_bounds
from diffplan.constraints.kinds import Constraint, SpeedLimit
from diffplan.geometry.pose import Float, Pose
from diffplan.problem import Trajectory
from diffplan.robot.model import Robot
from diffplan.timing import retime

_TRIES, _LESS = 8, 0.999
_STILL = 1e-12  # [m/s]


def paced(
    control: Float,
    robot: Robot,
    constraints: Sequence[Constraint] = (),
    *,
    speed: float = 1.0,
    jerk: bool = False,
) -> Trajectory | None:
    """Return the fastest trajectory along a path within the robot's limits and those of the constraints on speeds.

    The proof between the samples counts a little more than the speed on the path: where that is too much, timing is
    asked for as much less.

    Args:
        control: control points [n, dof] of a B-spline, as for `retime`.
        robot: whose limits hold.
        constraints: those of the motion; the limits on speeds count.
        speed: share of the robot's limits that may be used, in (0, 1].
        jerk: whether the jerk limits hold too.

    Returns:
        The trajectory, or None where `retime` has none.
    """
    limits = [one for one in constraints if isinstance(one, SpeedLimit)]
    asked, trajectory = limits, retime(control, robot, speed=speed, jerk=jerk, limits=limits)
    for _ in range(_TRIES if limits else 0):
        if trajectory is None:
            break
        shares = [one.limit / max(one.worst, _STILL) for one in kept_bounds(robot, Pose(), trajectory, limits)]
        if min(shares) >= 1:
            break
        asked = [
            replace(one, limit=min(1.0, _LESS * share) * one.limit) for one, share in zip(asked, shares, strict=True)
        ]
        trajectory = retime(control, robot, speed=speed, jerk=jerk, limits=asked)
    return trajectory
