"""Time-optimal timing of a path under velocity and acceleration limits, with the limits checked afterwards.

A path q(s), s in [0, 1], is a clamped cubic B-spline; TOPP-RA (Pham and Pham, "A New Approach to Time-Optimal Path
Parameterization Based on Reachability Analysis", IEEE T-RO 2018) finds the path speed on a grid, constant in path
acceleration u between grid points. Position, velocity q' s' and acceleration q'' s'^2 + q' u then follow exactly.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import BSpline

from diffplan.geometry import Float
from diffplan.problem import Trajectory
from diffplan.robot import Robot
from diffplan.spline import DEGREE, knots

MAX_STEP_S = 0.010
"""Longest time between two samples [s]."""
_GRIDS = (100, 250)
_ACCEPTED_SLOWDOWN = 1.05
_LIMIT_SHARE = 0.9995
_STATIONARY = 1e-9
_SLOWEST = 1e-9
_ROUNDING = 1e-9


def retime(control: Float, robot: Robot) -> Trajectory | None:
    """Return the fastest trajectory along a path, from rest to rest, within the robot's limits.

    The samples are equally spaced, at most 10 ms apart; the first lies exactly on the first control point and the last
    on the last. A path without length becomes a stationary trajectory of two samples.

    Args:
        control: control points [n, dof] of a clamped uniform cubic B-spline, n >= 4.
        robot: whose position, velocity and acceleration limits hold; checked on a 1 ms grid.

    Returns:
        The trajectory, or None where the path leaves the position limits or has no timing within the others.
    """
    if not np.isfinite(control).all():
        return None
    if np.abs(control - control[0]).max() < _STATIONARY:
        return _within_position_limits(_stationary(control[0]), robot)
    path = _Path.of(control)
    timing = _safe_timing(path, robot)
    for _ in range(5):
        if timing is None:
            return None
        trajectory = _sampled(path, timing, control)
        factor = _sampled_slowdown(trajectory, robot)
        if factor <= 1.0:
            return _within_position_limits(trajectory, robot)
        timing = timing.slowed(1.0001 * factor)
    return None


@dataclass(frozen=True, kw_only=True, eq=False)
class _Path:
    """The curve and its first two derivatives by the path parameter."""

    curve: BSpline
    first: BSpline
    second: BSpline
    intervals: int

    @staticmethod
    def of(control: Float) -> _Path:
        curve = BSpline(knots(len(control)), control, DEGREE)
        return _Path(
            curve=curve, first=curve.derivative(1), second=curve.derivative(2), intervals=len(control) - DEGREE
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Timing:
    """Path speed at grid points, reached at `time` [n]; the path acceleration between two of them is constant."""

    grid: Float
    time: Float
    speed: Float
    slowdown: float = 1.0

    def slowed(self, factor: float) -> _Timing:
        return _Timing(
            grid=self.grid, time=self.time * factor, speed=self.speed / factor, slowdown=self.slowdown * factor
        )

    def at(self, times: Float) -> tuple[Float, Float, Float]:
        """Return path parameter, speed and acceleration at times [m]."""
        segment = np.clip(np.searchsorted(self.time, times, side="right") - 1, 0, len(self.grid) - 2)
        acceleration = np.diff(self.speed) / np.diff(self.time)
        dt, u, v = times - self.time[segment], acceleration[segment], self.speed[segment]
        s = self.grid[segment] + dt * (v + dt * u / 2)
        return np.clip(s, 0.0, 1.0), np.maximum(v + dt * u, 0.0), u


def _safe_timing(path: _Path, robot: Robot) -> _Timing | None:
    """Return a timing whose limits hold between the grid points too: slowed a little, or found on a finer grid."""
    best = None
    for points in _GRIDS:
        timing = _optimal_timing(path, robot, points)
        timing = None if timing is None else _slowed_to_limits(path, timing, robot)
        if timing is not None and (best is None or timing.time[-1] < best.time[-1]):
            best = timing
        if best is not None and best.slowdown < _ACCEPTED_SLOWDOWN:
            break
    return best


def _slowed_to_limits(path: _Path, timing: _Timing, robot: Robot) -> _Timing | None:
    for _ in range(5):
        factor = _slowdown(path, timing, robot)
        if factor <= 1.0:
            return timing
        timing = timing.slowed(1.0001 * factor)
    return None


def _optimal_timing(path: _Path, robot: Robot, points: int) -> _Timing | None:
    """Return TOPP-RA's timing, or None where it finds none."""
    import toppra  # here, because it imports matplotlib
    from toppra.algorithm import TOPPRA
    from toppra.constraint import JointAccelerationConstraint, JointVelocityConstraint

    class GeometricPath(toppra.interpolator.AbstractGeometricPath):
        """The path as TOPP-RA wants to see it."""

        @property
        def dof(self) -> int:
            return robot.dof

        @property
        def path_interval(self) -> Float:
            return np.array([0.0, 1.0])

        def __call__(self, path_positions: float | np.ndarray, order: int = 0) -> np.ndarray:
            return (path.curve, path.first, path.second)[order](path_positions)

    logging.getLogger("toppra").setLevel(logging.CRITICAL)  # failure is our return value, not a message
    limits = [
        constraint(_LIMIT_SHARE * np.stack([-values, values], axis=1))
        for constraint, values in (
            (JointVelocityConstraint, robot.velocity),
            (JointAccelerationConstraint, robot.acceleration),
        )
    ]
    steps = path.intervals * int(np.ceil(points / path.intervals))
    grid = np.linspace(0.0, 1.0, steps + 1)
    solver = TOPPRA(limits, GeometricPath(), gridpoints=grid, solver_wrapper="seidel")
    solver.compute_parameterization(0, 0)
    speed = solver.problem_data.sd_vec
    if speed is None or not np.isfinite(speed).all():
        return None
    mean_speed = (speed[1:] + speed[:-1]) / 2
    if mean_speed.min() < _SLOWEST:
        return None
    return _Timing(grid=grid, time=np.concatenate([[0.0], np.cumsum(np.diff(grid) / mean_speed)]), speed=speed)


def _motion(path: _Path, timing: _Timing, times: Float) -> tuple[Float, Float, Float]:
    """Return position, velocity and acceleration [m, dof] at times [m], by the chain rule."""
    s, speed, acceleration = timing.at(times)
    first = path.first(s)
    return (
        path.curve(s),
        first * speed[:, None],
        path.second(s) * (speed**2)[:, None] + first * acceleration[:, None],
    )


def _slowdown(path: _Path, timing: _Timing, robot: Robot) -> float:
    """Return by which factor time must be stretched to meet the limits; at most 1 where they hold.

    Looks every millisecond, and in every grid segment, at both of whose ends the path acceleration jumps.
    """
    inside = timing.time[:-1, None] + np.diff(timing.time)[:, None] * np.array(
        [0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1 - 1e-6]
    )
    dense = np.concatenate([np.arange(0.0, timing.time[-1], 0.001), inside.ravel()])
    _, velocity, acceleration = _motion(path, timing, dense)
    fastest = (np.abs(velocity) / robot.velocity).max()
    strongest = (np.abs(acceleration) / robot.acceleration).max()
    return float(max(fastest, np.sqrt(strongest)))


def _sampled_slowdown(trajectory: Trajectory, robot: Robot) -> float:
    """Return by which factor time must be stretched for the samples and their differences to meet the limits."""
    steps = np.diff(trajectory.time)[:, None]
    velocity = np.concatenate([trajectory.velocity, np.diff(trajectory.position, axis=0) / steps])
    acceleration = np.concatenate([trajectory.acceleration, np.diff(trajectory.velocity, axis=0) / steps])
    fastest = (np.abs(velocity) / robot.velocity).max()
    strongest = (np.abs(acceleration) / robot.acceleration).max()
    return float(max(fastest, np.sqrt(strongest)))


def _sampled(path: _Path, timing: _Timing, control: Float) -> Trajectory:
    duration = float(timing.time[-1])
    time = np.linspace(0.0, duration, max(1, int(np.ceil(duration / MAX_STEP_S - 1e-9))) + 1)
    position, velocity, acceleration = _motion(path, timing, time)
    position[0], position[-1] = control[0], control[-1]
    velocity[0], velocity[-1] = 0.0, 0.0
    return Trajectory(time=time, position=position, velocity=velocity, acceleration=acceleration)


def _stationary(q: Float) -> Trajectory:
    still = np.zeros((2, len(q)))
    return Trajectory(
        time=np.array([0.0, MAX_STEP_S]), position=np.stack([q, q]), velocity=still, acceleration=still.copy()
    )


def _within_position_limits(trajectory: Trajectory, robot: Robot) -> Trajectory | None:
    q = trajectory.position
    inside = np.all((q >= robot.lower - _ROUNDING) & (q <= robot.upper + _ROUNDING))
    return trajectory if inside else None
