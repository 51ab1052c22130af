"""What is measured of a certified motion after planning: clearance along it, its execution, contacts on a fine grid."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from diffplan.geometry.pose import Float
from diffplan.problem import Plan, Trajectory

_CLEARANCE_STEP = 0.02  # [s]


@dataclass(frozen=True, kw_only=True)
class MotionMeasures:
    """A motion's mean clearance (None without obstacles), its largest tracking error, and whether it touched then."""

    mean_clearance_m: float | None
    tracking_error_rad: float
    touched: bool


def measure_motion(plan: Plan) -> MotionMeasures:
    """Measure the clearance every 0.02 s and let PyBullet's position control execute the plan, gravity on.

    Raises:
        InputError: if the plan has no trajectory.
    """
    from diffplan.pybullet.execution import execute

    report = execute(plan)
    return MotionMeasures(
        mean_clearance_m=mean_clearance(plan),
        tracking_error_rad=report.max_tracking_error_rad,
        touched=bool(report.contacts),
    )


def mean_clearance(plan: Plan) -> float | None:
    """Return the mean over time of PyBullet's least clearance from the obstacles [m]; None without obstacles."""
    from diffplan.certificate.certifier import Certifier

    if not plan.scene.obstacles:
        return None
    with Certifier(plan.robot, plan.scene) as certifier:
        return float(np.mean([certifier.clearance(q) for q in time_samples(_trajectory(plan), _CLEARANCE_STEP)]))


def time_samples(trajectory: Trajectory, step: float) -> Float:
    """Return configurations [n, dof] evenly spaced in time, at most `step` [s] apart, both ends among them."""
    count = max(1, math.ceil(trajectory.duration / step))
    times = np.linspace(trajectory.time[0], trajectory.time[-1], count + 1)
    return np.stack([np.interp(times, trajectory.time, q) for q in trajectory.position.T], axis=1)


def dense_samples(position: Float, step: float) -> Float:
    """Return configurations along the polyline `position` [n, dof], no joint moving more than `step` between two."""
    pieces = [position[:1]]
    for a, b in pairwise(position):
        parts = max(1, math.ceil(float(np.abs(b - a).max()) / step))
        pieces.append(a + (b - a) * (np.arange(1, parts + 1) / parts)[:, None])
    return np.concatenate(pieces)


def dense_contact(plan: Plan, step: float) -> bool:
    """Whether PyBullet finds a contact (clearance <= 0) at any configuration `step` [rad] apart on the trajectory."""
    from diffplan.certificate.certifier import Certifier

    with Certifier(plan.robot, plan.scene) as certifier:
        for q in dense_samples(_trajectory(plan).position, step):
            check = certifier.check(q)
            if min(check.clearance_m, check.self_clearance_m) <= 0:
                return True
    return False


def _trajectory(plan: Plan) -> Trajectory:
    if plan.trajectory is None:
        raise ValueError("a plan without a trajectory cannot be measured")
    return plan.trajectory
