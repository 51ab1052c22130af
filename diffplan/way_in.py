"""A way in for starts that are not quite right: a short straight motion that comes before the planned one.

The arm comes to rest at its end, where the planner's motion begins; the certificate judges both as one motion.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from diffplan.certificate.certifier import Certifier
from diffplan.curves.spline import straight
from diffplan.geometry.pose import Float
from diffplan.problem import Trajectory
from diffplan.robot.model import Robot

_CONTROL_POINTS = 8
_APART, _LEAST_APART = 0.01, 0.001  # [m] between what touched, where the planned motion begins: wanted, and enough
_NUDGE, _STEP, _STEPS = 1e-3, 0.005, 60  # [rad or m]
_ROUNDING = 1e-6


@dataclass(frozen=True, kw_only=True, eq=False)
class WayIn:
    """A motion from a start that is not quite right, and what of it the certificate has to allow."""

    trajectory: Trajectory
    start_tolerance: float = 0.0
    start_contact_m: float = 0.0

    @property
    def end(self) -> Float:
        """Where the planned motion begins [dof]."""
        return self.trajectory.position[-1]

    def then(self, motion: Trajectory) -> Trajectory:
        """Return both motions as one; `motion` begins where this one ends, at rest."""
        return self.trajectory.then(motion)


def into_limits(
    robot: Robot, start: Float, tolerance: float, retime: Callable[[Float, Robot], Trajectory | None]
) -> WayIn | None:
    """Return the straight motion to the nearest joint positions within the limits.

    Args:
        robot: whose limits hold.
        start: joint positions [dof].
        tolerance: by how much joints may stand outside their limits (rad or m).
        retime: times a path within the limits of a robot (`diffplan.pace.paced`, which is slow to import).

    Returns:
        The motion, or None where no joint stands outside, or one farther than that.
    """
    inside = np.clip(start, robot.lower, robot.upper)
    if not robot.joints_outside(start) or not robot.outside_within(start, tolerance):
        return None
    wider = replace(robot, lower=np.minimum(robot.lower, start), upper=np.maximum(robot.upper, start))
    trajectory = retime(straight(start, inside, _CONTROL_POINTS), wider)
    return None if trajectory is None else WayIn(trajectory=trajectory, start_tolerance=tolerance)


def out_of_contact(
    certifier: Certifier, start: Float, depth: float, retime: Callable[[Float, Robot], Trajectory | None]
) -> WayIn | None:
    """Return a short straight motion along which everything that touches at the start comes apart.

    Args:
        certifier: measures, in the scene.
        start: joint positions [dof] within the limits.
        depth: how deep bodies may touch there (m).
        retime: times a path within the limits of a robot (`diffplan.pace.paced`, which is slow to import).

    Returns:
        The motion, which the certificate accepts, or None where nothing touches, something deeper than that, or no such
        motion was found.
    """
    robot, touching = certifier.robot, certifier.touching(start)
    if not touching or min(touching.values()) < -depth:
        return None
    nudges = _NUDGE * np.eye(robot.dof)
    opened = [certifier.clearances(start + n, touching) - certifier.clearances(start - n, touching) for n in nudges]
    slope = np.stack(opened, axis=1) / (2 * _NUDGE)  # [pairs, dof]
    for direction in (np.linalg.pinv(slope, rcond=0.05) @ np.ones(len(slope)), slope.sum(axis=0)):
        if np.abs(direction).max() < _ROUNDING:
            continue
        end = _apart(certifier, start, direction / np.abs(direction).max(), touching)
        trajectory = None if end is None else retime(straight(start, end, _CONTROL_POINTS), robot)
        if trajectory is None or end is None:
            continue
        if certifier.certify(trajectory, start=start, goals=end[None], start_contact_m=depth).valid:
            return WayIn(trajectory=trajectory, start_contact_m=depth)
    return None


def _apart(
    certifier: Certifier, start: Float, direction: Float, touching: Mapping[tuple[str, str], float]
) -> Float | None:
    """Return where the touching pairs are `_APART` from each other along a direction [dof], or as far as is free."""
    robot, last, found = certifier.robot, np.array(list(touching.values())), None
    for way in np.arange(1, _STEPS + 1) * _STEP:
        q = np.clip(start + way * direction, robot.lower, robot.upper)
        clearance = certifier.clearances(q, touching)
        if (clearance < last).any():
            break
        last = clearance
        if clearance.min() > _LEAST_APART and certifier.check(q).free:
            found = q
            if clearance.min() > _APART:
                break
    return found
