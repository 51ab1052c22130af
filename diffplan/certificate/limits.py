"""Whether a sampled trajectory says the truth about itself and keeps within the robot's limits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffplan.curves import hermite
from diffplan.curves.steps import Steps
from diffplan.geometry.pose import Float
from diffplan.problem import Outside, Trajectory
from diffplan.robot.model import Robot

MAX_STEP_S = 0.010
"""Longest time between two samples [s]."""
START_TOLERANCE = 1e-6
GOAL_TOLERANCE = 1e-3
_POSITION_TOLERANCE = 1e-6
_RELATIVE_TOLERANCE = 1e-3
_REST = 1e-3
_ROUNDED_S = 2e-9  # [s] by which a step may be longer: files round times to a nanosecond


@dataclass(frozen=True, kw_only=True)
class LimitCheck:
    """What was found without looking at the scene; `reason` is empty where nothing is wrong."""

    well_formed: bool
    reason: str
    joint_limits_ok: bool
    velocity_limits_ok: bool
    acceleration_limits_ok: bool
    start_error_rad: float
    goal_error_rad: float
    goal_index: int
    interpolation_rad: float | None = None
    velocity_share: float | None = None
    acceleration_share: float | None = None
    jerk_share: float | None = None
    from_rest: bool = True
    to_rest: bool = True


def check_limits(
    robot: Robot,
    trajectory: Trajectory,
    *,
    start: Float,
    goals: Float,
    start_tolerance: float = 0.0,
    jerk_limited: bool = False,
    at_rest: tuple[bool, bool] = (True, True),
) -> LimitCheck:
    """Check form, ends, and position, velocity and acceleration limits of the samples.

    Velocities are also checked against the positions' differences, and accelerations against the velocities', so that
    no field can say what the positions do not do. Where acceleration is at most `a`, the mean velocity over a step dt
    differs from the mean of the velocities at its ends by at most a * dt / 2; more is a lie.

    The cubics between the samples (`Trajectory.at`) may exceed the limits by what they may where the samples are those
    of a motion that keeps them (`hermite.OFF` and its like: with a step of 10 ms and 10 rad/s^2, 6e-5 rad and 0.025
    rad/s, and two thirds of the acceleration, where it switches within a step).

    Args:
        robot: whose limits count; velocities and accelerations may exceed them by 0.1 %.
        trajectory: as returned to the user.
        start: where it must begin, within 1e-6 rad [dof].
        goals: in one of which it must end, within 1e-3 rad, continuous joints at any whole turn from it [k, dof].
        start_tolerance: by how much a joint may begin outside its position limits (rad or m). Until it is inside it
            may go no farther out than it was before, afterwards its limits hold.
        jerk_limited: whether the samples must be those of a motion within the jerk limits (by 0.1 %), which begins and
            ends with zero acceleration. Then the acceleration changes from sample to sample by no more than jerk times
            time, and that of the cubic is off from it by at most `hermite.OFF_ACCELERATION` times as much.
        at_rest: whether it must begin and end at rest; where not, another motion comes before or after it.
    """
    form = _form_error(robot, trajectory)
    if form:
        return LimitCheck(
            well_formed=False,
            reason=form,
            joint_limits_ok=False,
            velocity_limits_ok=False,
            acceleration_limits_ok=False,
            start_error_rad=np.inf,
            goal_error_rad=np.inf,
            goal_index=0,
        )
    q = trajectory.position
    start_error = float(np.abs(q[0] - start).max())
    errors = np.abs(robot.nearest_turn(goals, q[-1]) - q[-1]).max(axis=1)
    nearest = int(np.argmin(errors))
    low, high = _bounds(robot, q, start_tolerance)
    with np.errstate(over="ignore", invalid="ignore"):  # infinite is beyond every limit, and caught first
        position, velocity, acceleration = (
            _position_error(robot, np.maximum(low - q, q - high)),
            _velocity_error(robot, trajectory),
            _acceleration_error(robot, trajectory),
        )
    resting = [bool(speed <= _REST) for speed in np.abs(trajectory.velocity[[0, -1]]).max(axis=1)]
    ends = ""
    if start_error > START_TOLERANCE:
        ends = f"begins {start_error:.2g} rad away from the start"
    elif errors[nearest] > GOAL_TOLERANCE:
        ends = f"ends {errors[nearest]:.2g} rad away from the nearest goal"
    elif any(asked and not rests for asked, rests in zip(at_rest, resting, strict=True)):
        ends = f"does not {_where(at_rest)} at rest"
    cubic = None if position or velocity or acceleration else _Cubic.of(trajectory)
    if cubic:
        position, velocity = cubic.position_error(robot, low[1:], high[1:]), cubic.velocity_error(robot)
        acceleration = cubic.acceleration_error(robot)
    jerk = cubic.jerk_error(robot, trajectory, at_rest) if cubic and jerk_limited else ""
    return LimitCheck(
        well_formed=True,
        reason=ends or position or velocity or acceleration or jerk,
        joint_limits_ok=not position,
        velocity_limits_ok=not velocity,
        acceleration_limits_ok=not acceleration,
        start_error_rad=start_error,
        goal_error_rad=float(errors[nearest]),
        goal_index=nearest,
        interpolation_rad=float(cubic.off.max()) if cubic else None,
        velocity_share=float((cubic.speed / robot.velocity).max()) if cubic else None,
        acceleration_share=float((cubic.acceleration / robot.acceleration).max()) if cubic else None,
        jerk_share=float((_jerk(trajectory) / robot.jerk).max()) if jerk_limited else None,
        from_rest=resting[0],
        to_rest=resting[1],
    )


def _jerk(trajectory: Trajectory) -> Float:
    """Return by how much the acceleration changes in each step, over its length [n - 1, dof]."""
    return np.abs(np.diff(trajectory.acceleration, axis=0)) / np.diff(trajectory.time)[:, None]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Cubic:
    """What the cubics between the samples do in each step [n - 1, dof] of length `step` [n - 1, 1].

    `at_ends` [n - 1, 2, dof] are their accelerations at both ends of each step.
    """

    step: Float
    low: Float
    high: Float
    speed: Float
    acceleration: Float
    at_ends: Float
    off: Float

    @staticmethod
    def of(trajectory: Trajectory) -> _Cubic:
        found = Steps.of(trajectory.time, trajectory.position, trajectory.velocity)
        return _Cubic(
            step=np.diff(trajectory.time)[:, None],
            low=found.low,
            high=found.high,
            speed=found.speed,
            acceleration=np.abs(found.at_ends).max(axis=1),
            at_ends=found.at_ends,
            off=found.off,
        )

    def position_error(self, robot: Robot, low: Float, high: Float) -> str:
        """Return what is wrong where each step has the limits low and high [n - 1, dof]."""
        excess = np.maximum(low - self.low, self.high - high)
        if np.all(excess <= _POSITION_TOLERANCE + hermite.OFF * robot.acceleration * self.step**2):
            return ""
        joint, row = _worst(robot, excess)
        return f"{joint} leaves its position limits by {excess.max():.3g} between samples, after sample {row}"

    def velocity_error(self, robot: Robot) -> str:
        allowed = robot.velocity * (1 + _RELATIVE_TOLERANCE) + hermite.OFF_SPEED * robot.acceleration * self.step
        if np.all(self.speed <= allowed):
            return ""
        excess = self.speed / robot.velocity - 1
        joint, row = _worst(robot, excess)
        return f"{joint} exceeds its velocity limit by {100 * excess.max():.2g} % between samples, after sample {row}"

    def acceleration_error(self, robot: Robot) -> str:
        excess = self.acceleration / robot.acceleration - 1
        if excess.max() <= hermite.OVERSHOOT * (1 + _RELATIVE_TOLERANCE) - 1:
            return ""
        joint, row = _worst(robot, excess)
        return f"no motion within the acceleration limit of {joint} has these samples, after sample {row}"

    def jerk_error(self, robot: Robot, trajectory: Trajectory, at_rest: tuple[bool, bool]) -> str:
        excess = _jerk(trajectory) / robot.jerk - 1
        if excess.max() > _RELATIVE_TOLERANCE:
            joint, row = _worst(robot, excess)
            return f"{joint} exceeds its jerk limit by {100 * excess.max():.2g} %, after sample {row}"
        told = trajectory.acceleration
        if np.any(np.abs(told[[0, -1]][list(at_rest)]) > _RELATIVE_TOLERANCE * robot.acceleration):
            return f"does not {_where(at_rest)} with zero acceleration"
        off = np.abs(self.at_ends - np.stack([told[:-1], told[1:]], axis=1)).max(axis=1)
        excess = off - hermite.OFF_ACCELERATION * robot.jerk * self.step - _RELATIVE_TOLERANCE * robot.acceleration
        if excess.max() <= 0:
            return ""
        joint, row = _worst(robot, excess)
        return f"no motion within the jerk limit of {joint} has these samples, after sample {row}"


def _where(at_rest: tuple[bool, bool]) -> str:
    return " and ".join(word for word, rests in zip(("begin", "end"), at_rest, strict=True) if rests)


def _form_error(robot: Robot, trajectory: Trajectory) -> str:
    """Return what makes the arrays no trajectory, or an empty string."""
    time = trajectory.time
    if not _real(time):
        return "time is no array of real numbers"
    if time.ndim != 1 or len(time) < 2:
        return "has fewer than two samples"
    for name in ("position", "velocity", "acceleration"):
        values = getattr(trajectory, name)
        if not _real(values):
            return f"{name} is no array of real numbers"
        if values.shape != (len(time), robot.dof):
            return f"{name} has shape {values.shape}, expected ({len(time)}, {robot.dof})"
        if not np.isfinite(values).all():
            return f"{name} has values that are not finite"
    if not np.isfinite(time).all() or np.diff(time).min() <= 0:
        return "time does not increase strictly"
    if np.diff(time).max() > MAX_STEP_S + _ROUNDED_S:
        return f"has a step of {np.diff(time).max():.4f} s, longer than {MAX_STEP_S} s"
    return ""


def _real(values: object) -> bool:
    """Whether these are numbers to reckon with: unsigned and short ones would wrap around or overflow unseen."""
    return isinstance(values, np.ndarray) and values.dtype in (np.float64, np.float32, np.int64)


def _worst(robot: Robot, excess: Float) -> tuple[str, int]:
    """Return joint name and row of the largest entry of excess [n, dof]."""
    row, joint = np.unravel_index(int(np.argmax(excess)), excess.shape)
    return robot.joint_names[joint], int(row)


def start_outside(robot: Robot, q: Float) -> tuple[Outside, ...]:
    """Return the joints that stand outside their position limits at q [dof]."""
    by = np.maximum(robot.limits[0] - q, q - robot.limits[1])
    outside = robot.joints_outside(q)
    return tuple(
        Outside(joint=name, by=float(much)) for name, much in zip(robot.joint_names, by, strict=True) if name in outside
    )


def _bounds(robot: Robot, q: Float, tolerance: float) -> tuple[Float, Float]:
    """Return the position limits at each sample of q [n, dof], wider where the start stands outside by the tolerance.

    There the limit of a sample is the nearest that any sample before came to the robot's limits, at the first sample
    the start itself. Those of sample i + 1 hold for the step from i to i + 1 too.
    """
    lowest, highest = robot.limits
    before = np.concatenate([q[:1], q[:-1]])
    high, low = np.minimum.accumulate(before), np.maximum.accumulate(before)
    outside = np.maximum(lowest - q[0], q[0] - highest)
    allowed = (outside > _POSITION_TOLERANCE) & robot.outside_within(q[0], tolerance)
    return (
        np.where(allowed, np.minimum(lowest, low), lowest),
        np.where(allowed, np.maximum(highest, high), highest),
    )


def _position_error(robot: Robot, excess: Float) -> str:
    if excess.max() <= _POSITION_TOLERANCE:
        return ""
    joint, row = _worst(robot, excess)
    return f"{joint} leaves its position limits by {excess.max():.3g} at sample {row}"


def _velocity_error(robot: Robot, trajectory: Trajectory) -> str:
    steps = np.diff(trajectory.time)[:, None]
    mean = np.diff(trajectory.position, axis=0) / steps
    fastest = np.concatenate([np.abs(trajectory.velocity), np.abs(mean)])
    excess = fastest / robot.velocity - 1
    if excess.max() > _RELATIVE_TOLERANCE:
        joint, _ = _worst(robot, excess)
        return f"{joint} exceeds its velocity limit by {100 * excess.max():.2g} %"
    field = (trajectory.velocity[:-1] + trajectory.velocity[1:]) / 2
    lie = np.abs(field - mean) - robot.acceleration * steps / 2 - _RELATIVE_TOLERANCE * robot.velocity
    if lie.max() > 0:
        joint, row = _worst(robot, lie)
        return f"the velocity of {joint} does not match its positions at sample {row}"
    return ""


def _acceleration_error(robot: Robot, trajectory: Trajectory) -> str:
    steps = np.diff(trajectory.time)[:, None]
    mean = np.diff(trajectory.velocity, axis=0) / steps
    largest = np.concatenate([np.abs(trajectory.acceleration), np.abs(mean)])
    excess = largest / robot.acceleration - 1
    if excess.max() > _RELATIVE_TOLERANCE:
        joint, _ = _worst(robot, excess)
        return f"{joint} exceeds its acceleration limit by {100 * excess.max():.2g} %"
    low = np.minimum(trajectory.acceleration[:-1], trajectory.acceleration[1:]) - robot.acceleration / 2
    high = np.maximum(trajectory.acceleration[:-1], trajectory.acceleration[1:]) + robot.acceleration / 2
    lie = np.maximum(low - mean, mean - high)
    if lie.max() > 0:
        joint, row = _worst(robot, lie)
        return f"the acceleration of {joint} does not match its velocities at sample {row}"
    return ""
