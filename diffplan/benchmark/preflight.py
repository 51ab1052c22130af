"""Whether a problem's start and goals are within limits, reachable and free of contact in PyBullet; no planning."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffplan.benchmark.suites import Case
from diffplan.geometry import Float
from diffplan.ik import inverse_kinematics
from diffplan.scene import PoseGoal
from diffplan.simulation.certificate import Certifier

_LIMIT_TOLERANCE = 1e-6
_IK_SEEDS = 96


@dataclass(frozen=True, kw_only=True)
class End:
    """Whether the robot can stand there, and in words how or why not."""

    free: bool
    text: str


def preflight(case: Case) -> tuple[End, End]:
    """Return the start's and the best goal's state."""
    with Certifier(case.robot, case.scene) as certifier:
        return _start(case, certifier), _goal(case, certifier)


def _start(case: Case, certifier: Certifier) -> End:
    start = case.robot.configuration(case.start) if isinstance(case.start, str) else np.asarray(case.start, dtype=float)
    return _state(start, case, certifier)


def _goal(case: Case, certifier: Certifier) -> End:
    """Return the state of the best goal configuration."""
    goal = case.goal
    if isinstance(goal, PoseGoal):
        rng = np.random.default_rng(0)
        goals = inverse_kinematics(case.robot, goal, case.scene.robot_base, seeds=_IK_SEEDS, rng=rng)
        if len(goals) == 0:
            return End(free=False, text=f"unreachable: no joint values bring {goal.link} there")
    elif isinstance(goal, str):
        goals = case.robot.configuration(goal)[None]
    else:
        goals = np.atleast_2d(np.asarray(goal, dtype=float))
    return max((_state(q, case, certifier) for q in goals), key=lambda end: end.free)


def _state(q: Float, case: Case, certifier: Certifier) -> End:
    """Return in words whether a configuration [dof] is within limits and free."""
    robot = case.robot
    for i in np.flatnonzero((q < robot.lower - _LIMIT_TOLERANCE) | (q > robot.upper + _LIMIT_TOLERANCE)):
        limits = f"{robot.lower[i]:.4f} ... {robot.upper[i]:.4f}"
        return End(free=False, text=f"{robot.joint_names[i]} = {q[i]:.4f} is outside {limits}")
    check = certifier.check(q)
    if not check.free:
        return End(free=False, text=check.contact)
    return End(
        free=True, text=f"free, {1000 * check.clearance_m:.0f} mm to {check.obstacle}" if check.obstacle else "free"
    )
