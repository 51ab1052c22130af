"""Time-optimal timing of a path under velocity and acceleration limits, with the limits checked afterwards.

A path q(s), s in [0, 1], is a clamped cubic B-spline; TOPP-RA (Pham and Pham, "A New Approach to Time-Optimal Path
Parameterization Based on Reachability Analysis", IEEE T-RO 2018) finds the path speed on a grid, constant in path
acceleration u between grid points. Position, velocity q' r' and acceleration q'' r'^2 + q' u then follow exactly. Its
solver compares with fixed numbers such as 1e-8, so it is given a path parameter r that grows with the way, joints in
units of what their acceleration does in the unit of time, and time in units of about the motion's duration.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.interpolate import BSpline

from diffplan.curves import hermite
from diffplan.curves.spline import DEGREE, basis, greville, knots
from diffplan.geometry.pose import Float
from diffplan.problem import Trajectory
from diffplan.robot.model import Robot

MAX_STEP_S = 0.010
"""Longest time between two samples [s], and the shortest motion."""
_POINTS, _REFINEMENTS, _SPLIT = 100, 3, 4
_ACCEPTED_SLOWDOWN = 1.05
_LIMIT_SHARE = 0.9995
_POINT = 1e-9  # [rad or m] a path that nowhere leaves its start by more has no shape: rounding would be part of it
_ROUNDING = 1e-9
_LEAST_STEPS = 20  # between samples, in a motion however short
_JUMP, _SWITCH_APART_S = 0.05, 0.001  # shares of the acceleration limit; samples at switches nearer than that blur them
_PLACES, _DETAIL = 16, 2  # places where the way is measured, and control points of r, for each of the curve's pieces
_SLOW = 0.1
_STAND = 0.03  # share of r for the parts of s in which the path does not move
_FASTEST, _HARDEST = 50.0, 1e4  # of r by the unit of time, where no joint bounds it


def retime(control: Float, robot: Robot) -> Trajectory | None:
    """Return the fastest trajectory along a path, from rest to rest, within the robot's limits.

    The samples are at most 10 ms apart, with one wherever an acceleration switches, so that the cubic through their
    positions and velocities (`Trajectory.at`) keeps the limits too. The first lies exactly on the first control point
    and the last on the last. No motion is shorter than 10 ms; one within 1e-9 of its start has two samples.

    Args:
        control: control points [n, dof] of a clamped uniform cubic B-spline, n >= 4.
        robot: whose position, velocity and acceleration limits hold; checked on a 1 ms grid.

    Returns:
        The trajectory, or None where the path leaves the position limits or has no timing within the others
        (`why_untimed` tells).
    """
    if not np.isfinite(control).all():
        return None
    if np.abs(control - control[0]).max() < _POINT:
        return _within_position_limits(_resting(control[0], control[-1]), robot)
    path = _Path.of(control)
    timing = _safe_timing(path, robot)
    for _ in range(5):
        if timing is None:
            return None
        trajectory = _sampled(path, timing, control, robot)
        factor = _sampled_slowdown(trajectory, robot)
        if factor <= 1.0:
            return _within_position_limits(trajectory, robot)
        timing = timing.slowed(1.0001 * factor)
    return None


def why_untimed(control: Float, robot: Robot) -> str:
    """Return in words why `retime` has no trajectory for control points [n, dof]."""
    if not np.isfinite(control).all():
        return "it has values that are not finite"
    curve = basis(len(control), _PLACES * len(control)) @ control
    beyond = np.maximum(robot.lower - curve, curve - robot.upper).max(axis=0)
    if beyond.max() > _ROUNDING:
        joint = int(np.argmax(beyond))
        return f"{robot.joint_names[joint]} leaves its position limits by {beyond[joint]:.3g}"
    return "no timing keeps the velocity and acceleration limits"


@dataclass(frozen=True, kw_only=True, eq=False)
class _Path:
    """A curve q(s) with s = s(r), r in [0, 1] growing about evenly with the way, and its derivatives by s and by r.

    Where neighbouring control points coincide, or nearly (at the ends of a minimum-jerk path, say), dq/ds vanishes and
    ds/dt is without bound; dr/dt is not. s(r) is a cubic B-spline with rising control points, hence rising and twice
    continuously differentiable; for control points at equal distances on a line it is s = r. `curve` is relative to
    `start`, so that a short one is not lost in rounding; `way` [dof] is what each joint travels.
    """

    start: Float
    curve: tuple[BSpline, BSpline, BSpline]
    inner: tuple[BSpline, BSpline, BSpline]
    way: Float
    intervals: int

    @staticmethod
    def of(control: Float) -> _Path:
        intervals = len(control) - DEGREE
        curve = BSpline(knots(len(control)), control - control[0], DEGREE)
        s = np.linspace(0.0, 1.0, _PLACES * intervals + 1)
        steps = np.diff(curve(s), axis=0)
        pieces = np.linalg.norm(steps, axis=1)
        share = np.minimum(pieces / (_SLOW * pieces.mean()), 1.0)
        r = np.concatenate([[0.0], np.cumsum(share + _STAND)])
        places = greville(_DETAIL * intervals + DEGREE)
        inner = BSpline(knots(len(places)), np.interp(places, r / r[-1], s), DEGREE)
        return _Path(
            start=control[0],
            curve=(curve, curve.derivative(1), curve.derivative(2)),
            inner=(inner, inner.derivative(1), inner.derivative(2)),
            way=np.abs(steps).sum(axis=0),
            intervals=intervals,
        )

    def grid(self, points: int) -> Float:
        """Return about so many equal steps of r, at the ends of the curve's pieces too where r is s."""
        return np.linspace(0.0, 1.0, self.intervals * int(np.ceil(points / self.intervals)) + 1)

    def at(self, r: Float) -> tuple[Float, Float, Float]:
        """Return the curve and its first two derivatives by r, each [m, dof], at parameters r [m]."""
        s, rate, bend = (np.asarray(part(r)) for part in self.inner)
        s = np.clip(s, 0.0, 1.0)
        first, second = self.curve[1](s), self.curve[2](s)
        position = self.start + self.curve[0](s)
        return position, first * rate[:, None], second * (rate**2)[:, None] + first * bend[:, None]


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

    @property
    def rates(self) -> Float:
        """The path acceleration in each segment [n - 1]."""
        return np.diff(self.speed) / np.diff(self.time)

    def segment(self, times: Float) -> np.ndarray:
        """Return the grid segments [m] in which times [m] lie."""
        return np.clip(np.searchsorted(self.time, times, side="right") - 1, 0, len(self.grid) - 2)

    def at(self, times: Float) -> tuple[Float, Float, Float]:
        """Return path parameter, speed and acceleration at times [m]."""
        segment = self.segment(times)
        dt, u, v = times - self.time[segment], self.rates[segment], self.speed[segment]
        r = self.grid[segment] + dt * (v + dt * u / 2)
        return np.clip(r, 0.0, 1.0), np.maximum(v + dt * u, 0.0), u


def _safe_timing(path: _Path, robot: Robot) -> _Timing | None:
    """Return a timing whose limits hold between the grid points too: on a grid refined where they did not, or slowed.

    A segment of the grid in which they are exceeded is split; a shorter motion wins.
    """
    grid, best = path.grid(_POINTS), None
    for turn in range(_REFINEMENTS + 1):
        timing = _optimal_timing(path, robot, grid)
        if timing is None:  # its linear programs fail now and then where a path stops: seldom on the next grid too
            grid = path.grid(_POINTS * (turn + 3) // 2)
            continue
        excess = _excess(path, timing, robot)
        slowed = _slowed_to_limits(path, timing, robot, float(excess.max()))
        if slowed is not None and (best is None or slowed.time[-1] < best.time[-1]):
            best = slowed
        if excess.max() < _ACCEPTED_SLOWDOWN:
            break
        wide = np.flatnonzero(excess > 1 + (_ACCEPTED_SLOWDOWN - 1) / 2)
        parts = np.linspace(0.0, 1.0, _SPLIT + 1)[1:-1]
        between = grid[wide, None] + (grid[wide + 1] - grid[wide])[:, None] * parts
        grid = np.sort(np.concatenate([grid, between.ravel()]))
    return best


def _slowed_to_limits(path: _Path, timing: _Timing, robot: Robot, factor: float) -> _Timing | None:
    for _ in range(5):
        if factor <= 1.0:
            return timing
        timing = timing.slowed(1.0001 * factor)
        factor = float(_excess(path, timing, robot).max())
    return None


def _optimal_timing(path: _Path, robot: Robot, grid: Float) -> _Timing | None:
    """Return TOPP-RA's timing on a grid [n] of r, or None where it finds none."""
    import toppra  # here, because it imports matplotlib
    from toppra.algorithm import TOPPRA
    from toppra.constraint import JointAccelerationConstraint, JointVelocityConstraint

    unit = float(max(np.sqrt(path.way / robot.acceleration).max(), (path.way / robot.velocity).max()))
    size = robot.acceleration * unit**2
    own = grid, np.ones_like(grid), np.zeros_like(grid)
    scaled = [np.column_stack([values / size, column]) for values, column in zip(path.at(grid), own, strict=True)]

    class GeometricPath(toppra.interpolator.AbstractGeometricPath):
        """The path as TOPP-RA wants to see it: scaled, and with r as one more joint."""

        @property
        def dof(self) -> int:
            return robot.dof + 1

        @property
        def path_interval(self) -> Float:
            return grid[[0, -1]]

        def __call__(self, path_positions: float | np.ndarray, order: int = 0) -> np.ndarray:
            assert np.array_equal(path_positions, grid)  # TOPP-RA asks for nothing else
            return scaled[order]

    logging.getLogger("toppra").setLevel(logging.CRITICAL)  # failure is our return value, not a message
    limits = [
        constraint(_LIMIT_SHARE * np.stack([-values, values], axis=1))
        for constraint, values in (
            (JointVelocityConstraint, np.append(robot.velocity * unit / size, _FASTEST)),
            (JointAccelerationConstraint, np.append(np.ones(robot.dof), _HARDEST)),
        )
    ]
    solver = TOPPRA(limits, GeometricPath(), gridpoints=grid, solver_wrapper="seidel")
    solver.compute_parameterization(0, 0)
    speed = solver.problem_data.sd_vec
    if speed is None or not np.isfinite(speed).all():
        return None
    mean_speed = (speed[1:] + speed[:-1]) / 2
    if mean_speed.min() <= 0:
        return None
    time = unit * np.concatenate([[0.0], np.cumsum(np.diff(grid) / mean_speed)])
    timing = _Timing(grid=grid, time=time, speed=speed / unit)
    return timing.slowed(max(1.0, MAX_STEP_S / time[-1]))


def _motion(path: _Path, timing: _Timing, times: Float) -> tuple[Float, Float, Float]:
    """Return position, velocity and acceleration [m, dof] at times [m], by the chain rule."""
    r, speed, acceleration = timing.at(times)
    position, first, second = path.at(r)
    velocity = first * speed[:, None]
    return position, velocity, second * (speed**2)[:, None] + first * acceleration[:, None]


def _excess(path: _Path, timing: _Timing, robot: Robot) -> Float:
    """Return by which factor time must be stretched to meet the limits [segments]; at most 1 where they hold.

    Looks every millisecond, and at eight places of every grid segment, at both of whose ends the path acceleration
    jumps.
    """
    places = np.array([0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1 - 1e-6])
    inside = timing.time[:-1, None] + np.diff(timing.time)[:, None] * places
    dense = np.concatenate([np.arange(0.0, timing.time[-1], 0.001), inside.ravel()])
    _, velocity, acceleration = _motion(path, timing, dense)
    fastest = (np.abs(velocity) / robot.velocity).max(axis=1)
    strongest = (np.abs(acceleration) / robot.acceleration).max(axis=1)
    result = np.zeros(len(timing.time) - 1)
    np.maximum.at(result, timing.segment(dense), np.maximum(fastest, np.sqrt(strongest)))
    return result


def _sampled_slowdown(trajectory: Trajectory, robot: Robot) -> float:
    """Return by which factor time must be stretched for the samples and the cubics between them to meet the limits."""
    motion = trajectory.time, trajectory.position, trajectory.velocity
    fastest = (hermite.fastest(*motion) / robot.velocity).max()
    strongest = (np.abs(hermite.accelerations(*motion)) / robot.acceleration).max()
    strongest = max(strongest, (np.abs(trajectory.acceleration) / robot.acceleration).max())
    return float(max(fastest, np.sqrt(strongest)))


def _sampled(path: _Path, timing: _Timing, control: Float, robot: Robot) -> Trajectory:
    switches = _switches(path, timing, robot)
    longest = min(MAX_STEP_S, timing.time[-1] / _LEAST_STEPS)
    parts = [
        np.linspace(begin, end, int(np.ceil((end - begin) / longest - 1e-9)) + 1)[1:]
        for begin, end in pairwise([0.0, *switches, float(timing.time[-1])])
    ]
    time = np.concatenate([[0.0], *parts])
    position, velocity, acceleration = _motion(path, timing, time)
    position[0], position[-1] = control[0], control[-1]
    velocity[0], velocity[-1] = 0.0, 0.0
    return Trajectory(time=time, position=position, velocity=velocity, acceleration=acceleration)


def _switches(path: _Path, timing: _Timing, robot: Robot) -> list[float]:
    """Return the times [s], rising, at which an acceleration jumps by a good part of its limit; none close to another.

    A cubic across such a jump would leave the limit by up to two thirds of it.
    """
    inside = timing.time[1:-1]
    jump = np.abs(np.diff(timing.rates))[:, None] * np.abs(path.at(timing.grid[1:-1])[1]) / robot.acceleration
    size = jump.max(axis=1)
    apart = min(_SWITCH_APART_S, timing.time[-1] / (4 * _LEAST_STEPS))
    taken = np.array([0.0, timing.time[-1]])
    for i in np.argsort(-size, kind="stable")[: np.count_nonzero(size > _JUMP)]:
        if np.abs(taken - inside[i]).min() > apart:
            taken = np.append(taken, inside[i])
    return sorted(taken[2:].tolist())


def _resting(start: Float, goal: Float) -> Trajectory:
    still = np.zeros((2, len(start)))
    return Trajectory(
        time=np.array([0.0, MAX_STEP_S]), position=np.stack([start, goal]), velocity=still, acceleration=still.copy()
    )


def _within_position_limits(trajectory: Trajectory, robot: Robot) -> Trajectory | None:
    q = trajectory.position
    inside = np.all((q >= robot.lower - _ROUNDING) & (q <= robot.upper + _ROUNDING))
    return trajectory if inside else None
