"""Time-optimal timing of a path under velocity, acceleration and jerk limits, with the limits checked afterwards.

A path q(s), s in [0, 1], is a clamped cubic B-spline; TOPP-RA (Pham and Pham, "A New Approach to Time-Optimal Path
Parameterization Based on Reachability Analysis", IEEE T-RO 2018) finds the path speed on a grid, constant in path
acceleration u between grid points (curves/path_speed.py). Position, velocity q' r' and acceleration q'' r'^2 + q' u
then follow exactly. It is given a path parameter r that grows with the way, joints in units of what their acceleration
does in the unit of time, and time in units of about the motion's duration, so that all numbers are about 1. Where the
speed of a point with the Jacobian J is limited to v, the path speed is at most v / |J q'|.

Jerk is limited by smoothing that timing: the path acceleration is averaged over a window as long as its largest jump
needs (`SmoothLaw`), and the motion slowed by what is still missing. On the same path, a window of w makes it w longer.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from diffplan.constraints.kinds import SpeedLimit, frame
from diffplan.curves.path_speed import fastest
from diffplan.curves.pieces import Course, composed, excess
from diffplan.curves.spline import DEGREE, basis, greville, taylor
from diffplan.curves.steps import Steps
from diffplan.curves.time_law import SmoothLaw, TimeLaw
from diffplan.geometry.pose import Float
from diffplan.ik import point_jacobian
from diffplan.problem import Trajectory
from diffplan.robot.model import Robot

MAX_STEP_S = 0.010
"""Longest time between two samples [s], and the shortest motion."""
_POINTS, _REFINEMENTS, _SPLIT = 100, 3, 4
_ACCEPTED_SLOWDOWN = 1.05
_LIMIT_SHARE = 0.9995
_LONGEST = 3600.0  # [s] a path that would take longer has no timing: it all but stops somewhere
_POINT = 1e-9  # [rad or m] a path that nowhere leaves its start by more has no shape: rounding would be part of it
_ROUNDING = 1e-9
_IN_SEGMENT = np.array([0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1 - 1e-6])
_LEAST_STEPS = 20  # between samples, in a motion however short
_JUMP, _SWITCH_APART_S = 0.05, 0.001  # shares of the acceleration limit; samples at switches nearer than that blur them
_PLACES, _DETAIL = 16, 2  # places where the way is measured, and control points of r, for each of the curve's pieces
_ITSELF = np.array([[0.0, 1.0, 0.0, 0.0]])  # the spline s(r) = r
_PACES = 1025  # places where the speed of points is looked at
_UNEVEN, _STILL = 1.5, 1e-9  # ratio of caps next to each other; share of the greatest pace that counts as none
_HALVINGS, _BENT = 4, 0.45  # of steps; share of the acceleration limit, of which the certificate accepts half
_SLOW = 0.1
_STAND = 0.03  # share of r for the parts of s in which the path does not move
_JERK_SHARE = 0.95  # of the limit: whoever samples the cubic at another rate finds a little more than was planned
_NARROWEST_S, _INSTANT = 0.0005, 1e-9  # window of smoothing; how near to a kink its two sides are looked at
_LEAST_CAP = 0.02  # of the path speed, lest it stands
_WINDOWS, _SMOOTH_ENOUGH = ((1.0, 1.6), (1.0,), (1.0,), (1.0,)), 1.01  # shares of the window, in turns; until how near
_FASTEST, _HARDEST = 50.0, 1e4  # of r by the unit of time, where no joint bounds it


def retime(
    control: Float,
    robot: Robot,
    *,
    speed: float = 1.0,
    jerk: bool = False,
    limits: Sequence[SpeedLimit] = (),
) -> Trajectory | None:
    """Return the fastest trajectory along a path, from rest to rest, within the robot's limits.

    The samples are at most 10 ms apart, with one wherever an acceleration switches, so that the cubic through their
    positions and velocities (`Trajectory.at`) keeps the limits too. The first lies exactly on the first control point
    and the last on the last. No motion is shorter than 10 ms; one within 1e-9 of its start has two samples.

    Args:
        control: control points [n, dof] of a clamped uniform cubic B-spline, n >= 4.
        robot: whose position, velocity and acceleration limits hold; checked on a 1 ms grid.
        speed: share of the velocity, acceleration and jerk limits that may be used, in (0, 1].
        jerk: whether the jerk limits hold too; the motion then begins and ends with zero acceleration.
        limits: on speeds of points of the robot; kept on the path, the cubic between the samples may miss them by a
            little (`diffplan.pace` proves that it does not).

    Returns:
        The trajectory, or None where the path leaves the position limits or has no timing of an hour within the others
        (`why_untimed` tells).
    """
    if not np.isfinite(control).all():
        return None
    if np.abs(control - control[0]).max() < _POINT:
        return _within_position_limits(_resting(control[0], control[-1]), robot)
    if speed != 1.0:
        robot = slower(robot, speed)
    path = _Path.of(control, robot, limits)
    timing = _safe_timing(path, robot)
    if timing is not None and jerk:
        robot = replace(robot, jerk=_JERK_SHARE * robot.jerk)
        timing = _smoothed(path, timing, robot)
    for _ in range(5):
        if timing is None:
            return None
        trajectory = _sampled(path, timing, control, robot)
        factor = _sampled_slowdown(trajectory, robot, jerk)
        if factor <= 1.0:
            return _within_position_limits(trajectory, robot)
        timing = timing.slowed(1.0001 * factor)
        if timing.duration > _LONGEST:
            return None
    return None


def load_compiled() -> None:
    """Compile what times paths, or load it from the cache, so that no planning time is spent on it."""
    r, still = np.linspace(0.0, 1.0, 3), np.zeros((3, 1))
    flat, ones = np.zeros((1, DEGREE + 1, 1)), np.ones(1)
    composed(flat, _ITSELF, r)
    excess(Course(flat, _ITSELF, r, r, r, r[1:], ones, ones), _IN_SEGMENT, 1.0)
    fastest(r, still + 1, still, np.ones(1), np.ones(3))
    Steps.of(r, still, still)


def slower(robot: Robot, share: float) -> Robot:
    """Return a robot with this share of the velocity, acceleration and jerk limits."""
    return replace(
        robot, velocity=share * robot.velocity, acceleration=share * robot.acceleration, jerk=share * robot.jerk
    )


def why_untimed(control: Float, robot: Robot) -> str:
    """Return in words why `retime` has no trajectory for control points [n, dof]."""
    if not np.isfinite(control).all():
        return "it has values that are not finite"
    curve = basis(len(control), _PLACES * len(control)) @ control
    beyond = np.maximum(robot.lower - curve, curve - robot.upper).max(axis=0)
    if beyond.max() > _ROUNDING:
        joint = int(np.argmax(beyond))
        return f"{robot.joint_names[joint]} leaves its position limits by {beyond[joint]:.3g}"
    return f"no timing of at most {_LONGEST:g} s keeps the velocity and acceleration limits"


@dataclass(frozen=True, kw_only=True, eq=False)
class _Path:
    """A curve q(s) with s = s(r), r in [0, 1] growing about evenly with the way, and its derivatives by s and by r.

    Where neighbouring control points coincide, or nearly (at the ends of a minimum-jerk path, say), dq/ds vanishes and
    ds/dt is without bound; dr/dt is not. s(r) is a cubic B-spline with rising control points, hence rising and twice
    continuously differentiable; for control points at equal distances on a line it is s = r. `curve` [pieces, 4, dof]
    and `inner` [pieces, 4] are the powers of both in their pieces (`spline.taylor`); the curve is relative to `start`,
    so that a short one is not lost in rounding. `way` [dof] is what each joint travels, `pace` [k] by which share of
    its limit the fastest point that has one moves at unit path speed, at k equal places of r.
    """

    start: Float
    curve: Float
    inner: Float
    way: Float
    pace: Float

    @property
    def intervals(self) -> int:
        """The number of the curve's pieces."""
        return len(self.curve)

    @property
    def knots(self) -> Float:
        """The parameters r in (0, 1) at which the third derivative jumps [k]."""
        r = np.linspace(0.0, 1.0, _PLACES * _DETAIL * self.intervals + 1)
        s = composed(self.inner.reshape(-1, DEGREE + 1, 1), _ITSELF, r)[0][:, 0]
        curve = np.interp(np.linspace(0.0, 1.0, self.intervals + 1), s, r)
        return np.union1d(np.linspace(0.0, 1.0, len(self.inner) + 1), curve)[1:-1]

    def third(self, r: Float) -> Float:
        """Return the curve's third derivative by r [m, dof] at parameters r [m]; it jumps between pieces."""
        return composed(self.curve, self.inner, r)[3]

    @staticmethod
    def of(control: Float, robot: Robot, limits: Sequence[SpeedLimit] = ()) -> _Path:
        intervals = len(control) - DEGREE
        relative = control - control[0]
        s = np.linspace(0.0, 1.0, _PLACES * intervals + 1)
        steps = np.diff(basis(len(control), len(s)) @ relative, axis=0)
        pieces = np.linalg.norm(steps, axis=1)
        share = np.minimum(pieces / (_SLOW * pieces.mean()), 1.0)
        r = np.concatenate([[0.0], np.cumsum(share + _STAND)])
        places = greville(_DETAIL * intervals + DEGREE)
        path = _Path(
            start=control[0],
            curve=taylor(len(control)) @ relative,
            inner=taylor(len(places)) @ np.interp(places, r / r[-1], s),
            way=np.abs(steps).sum(axis=0),
            pace=np.zeros(1),
        )
        return replace(path, pace=path._pace(robot, limits)) if limits else path

    def _pace(self, robot: Robot, limits: Sequence[SpeedLimit]) -> Float:
        position, first, _ = self.at(np.linspace(0.0, 1.0, _PACES))
        pace = np.zeros(_PACES)
        for limit in limits:
            J = point_jacobian(robot, frame(robot, limit.link), position)
            pace = np.maximum(pace, np.linalg.norm((J @ first[..., None])[..., 0], axis=1) / limit.limit)
        return pace

    def pace_at(self, r: Float) -> Float:
        """Return `pace` at parameters r [m]."""
        return np.interp(r, np.linspace(0.0, 1.0, len(self.pace)), self.pace)

    def caps(self, grid: Float) -> Float:
        """Return the path speed [n] at grid points [n] that keeps the limits of points, between them too.

        Its square is linear there, hence nowhere above the line from cap to cap; caps are lowered by what that line,
        times `pace`, is above 1. A point that is slow at a grid point only counts as if it were not much slower there.
        """
        if not self.pace.any():
            return np.full(len(grid), np.inf)
        r = np.linspace(0.0, 1.0, len(self.pace))
        segment = np.clip(np.searchsorted(grid, r, side="right") - 1, 0, len(grid) - 2)
        pace = self.pace_at(grid)
        most = np.maximum(pace[:-1], pace[1:])
        np.maximum.at(most, segment, self.pace)
        around = np.maximum(_either_side(most), _STILL * self.pace.max())
        square = 1 / np.maximum(pace, around / _UNEVEN) ** 2
        excess = np.ones(len(grid) - 1)
        np.maximum.at(excess, segment, self.pace * np.sqrt(np.interp(r, grid, square)))
        return np.sqrt(square) / _either_side(excess)

    def grid(self, points: int) -> Float:
        """Return about so many equal steps of r, at the ends of the curve's pieces too where r is s."""
        return np.linspace(0.0, 1.0, self.intervals * int(np.ceil(points / self.intervals)) + 1)

    def at(self, r: Float) -> tuple[Float, Float, Float]:
        """Return the curve and its first two derivatives by r, each [m, dof], at parameters r [m]."""
        position, first, second, _ = composed(self.curve, self.inner, r)
        return self.start + position, first, second


def _either_side(values: Float) -> Float:
    """Return the greater of the values [n - 1] of the segments before and after each grid point [n]."""
    return np.maximum(np.append(values, values[-1]), np.insert(values, 0, values[0]))


def _safe_timing(path: _Path, robot: Robot) -> TimeLaw | None:
    """Return a timing whose limits hold between the grid points too: on a grid refined where they did not, or slowed.

    A segment of the grid in which they are exceeded is split; a shorter motion wins.
    """
    grid, best = path.grid(_POINTS), None
    for turn in range(_REFINEMENTS + 1):
        timing = _optimal_timing(path, robot, grid)
        # where a path stops its linear programs fail now and then, or all but stand: seldom on the next grid too
        if timing is None or timing.duration > _LONGEST:
            grid = path.grid(_POINTS * (turn + 3) // 2)
            continue
        found = _excess(path, timing, robot)
        slowed = _slowed_to_limits(path, timing, robot, float(found.max()))
        if slowed is not None and (best is None or slowed.time[-1] < best.time[-1]):
            best = slowed
        if found.max() < _ACCEPTED_SLOWDOWN:
            break
        wide = np.flatnonzero(found > 1 + (_ACCEPTED_SLOWDOWN - 1) / 2)
        parts = np.linspace(0.0, 1.0, _SPLIT + 1)[1:-1]
        between = grid[wide, None] + (grid[wide + 1] - grid[wide])[:, None] * parts
        grid = np.sort(np.concatenate([grid, between.ravel()]))
    return best


def _slowed_to_limits(path: _Path, timing: TimeLaw, robot: Robot, factor: float) -> TimeLaw | None:
    for _ in range(5):
        if factor <= 1.0:
            return timing
        timing = timing.slowed(1.0001 * factor)
        if timing.duration > _LONGEST:
            return None
        factor = float(_excess(path, timing, robot).max())
    return None


def _optimal_timing(path: _Path, robot: Robot, grid: Float, caps: Float | float = np.inf) -> TimeLaw | None:
    """Return TOPP-RA's timing on a grid [n] of r with a path speed of at most `caps` [n]; None where it finds none."""
    unit = float(max(np.sqrt(path.way / robot.acceleration).max(), (path.way / robot.velocity).max()))
    size = robot.acceleration * unit**2
    caps = np.minimum(unit * np.minimum(path.caps(grid), caps), _FASTEST)
    _, first, second = (values / size for values in path.at(grid))
    with np.errstate(divide="ignore"):
        caps = np.minimum(caps, (robot.velocity * unit / size / np.abs(first)).min(axis=1))
    first, second = np.column_stack([first, np.ones_like(grid)]), np.column_stack([second, np.zeros_like(grid)])
    most = _LIMIT_SHARE * np.append(np.ones(robot.dof), _HARDEST)  # the last one is r itself
    speed = fastest(grid, first, second, most, _LIMIT_SHARE * caps)
    mean_speed = (speed[1:] + speed[:-1]) / 2
    if not mean_speed.min() > 0:
        return None
    time = unit * np.concatenate([[0.0], np.cumsum(np.diff(grid) / mean_speed)])
    timing = TimeLaw(grid=grid, time=time, speed=speed / unit)
    return timing.slowed(max(1.0, MAX_STEP_S / time[-1]))


def _smoothed(path: _Path, timing: TimeLaw, robot: Robot) -> SmoothLaw:
    """Return the shortest of some smoothed timings that keep the velocity, acceleration and jerk limits.

    A window that turns the largest jump of acceleration into a ramp of the greatest jerk is tried first. Other terms
    (curvature, jumps within one window) may need more: then wider windows, and a path speed that is lower where limits
    are exceeded. What is still missing, the whole motion is slowed by.
    """
    tried: list[_Smoothing] = []
    caps = np.full(len(timing.grid), np.inf)
    for shares in _WINDOWS:
        law, width = _window(path, timing, robot)
        for share in shares:
            tried.append(_Smoothing.of(path, SmoothLaw.of(law, share * width), robot))
            if tried[-1].factor < _SMOOTH_ENOUGH:
                break
        if tried[-1].factor < _SMOOTH_ENOUGH:
            break
        caps = np.minimum(caps, tried[-1].caps())
        capped = _optimal_timing(path, robot, timing.grid, caps)
        if capped is None:
            break
        timing = capped
    return min((smoothing.slowed for smoothing in tried), key=lambda law: law.duration)


def _window(path: _Path, timing: TimeLaw, robot: Robot) -> tuple[TimeLaw, float]:
    """Return a window [s] in which every jump of the acceleration keeps the jerk limits, and the timing for it.

    A short motion is slowed before: that takes g times as long, and the window 1 / g^2 of its length.
    """
    _, r, jump = timing.jumps
    change = np.abs(np.concatenate([jump, timing.rates[[0, -1]]]))
    reach = np.abs(path.at(np.concatenate([r, [0.0, 1.0]]))[1])
    width = max(float((reach * change[:, None] / robot.jerk).max()), _NARROWEST_S)
    longer = max(1.0, float(np.cbrt(2 * width / timing.duration)))
    return timing.slowed(longer), width / longer**2


@dataclass(frozen=True, kw_only=True, eq=False)
class _Smoothing:
    """A smoothed timing, and by which factor [m] it is too fast at `times` [m]: every 2 ms, and where ramps end."""

    law: SmoothLaw
    times: Float
    speed: Float
    excess: Float

    @staticmethod
    def of(path: _Path, law: SmoothLaw, robot: Robot) -> _Smoothing:
        kinks = law.jumps[0]
        times = np.concatenate([np.arange(0.0, law.duration, 0.002), kinks - _INSTANT, kinks + _INSTANT])
        times = np.sort(times[(times >= 0) & (times <= law.duration)])
        r, speed, acceleration, jerk = (values[:, None] for values in law.with_jerk(times))
        _, first, second = path.at(r[:, 0])
        third = path.third(r[:, 0])
        fastest = np.abs(first * speed) / robot.velocity
        strongest = np.abs(second * speed**2 + first * acceleration) / robot.acceleration
        hardest = np.abs(third * speed**3 + 3 * second * speed * acceleration + first * jerk) / robot.jerk
        excess = np.maximum(np.maximum(fastest, np.sqrt(strongest)), np.cbrt(hardest)).max(axis=1)
        excess = np.maximum(excess, speed[:, 0] * path.pace_at(r[:, 0]))
        return _Smoothing(law=law, times=times, speed=speed[:, 0], excess=excess)

    @property
    def factor(self) -> float:
        return float(self.excess.max())

    @property
    def slowed(self) -> SmoothLaw:
        """The timing slowed so that all limits hold."""
        return self.law.slowed(1.0001 * self.factor) if self.factor > 1.0 else self.law

    def caps(self) -> Float:
        """Return the path speed [grid] that the unsmoothed timing shall keep: lower in windows that are too fast."""
        law = self.law.law
        caps = np.full(len(law.grid), np.inf)
        late = np.flatnonzero(self.excess > 1.0)
        first, last = law.segment(self.times[late] - self.law.width), law.segment(self.times[late]) + 1
        for i, begin, end in zip(late, first, last, strict=True):
            window = caps[begin : end + 1]
            np.minimum(window, self.speed[i] / self.excess[i], out=window)
        return np.where(law.speed > 0, np.maximum(caps, _LEAST_CAP * law.speed), np.inf)


def _motion(path: _Path, timing: TimeLaw | SmoothLaw, times: Float) -> tuple[Float, Float, Float]:
    """Return position, velocity and acceleration [m, dof] at times [m], by the chain rule."""
    r, speed, acceleration = timing.at(times)
    position, first, second = path.at(r)
    velocity = first * speed[:, None]
    return position, velocity, second * (speed**2)[:, None] + first * acceleration[:, None]


def _excess(path: _Path, timing: TimeLaw, robot: Robot) -> Float:
    """Return by which factor time must be stretched to meet the limits [segments]; at most 1 where they hold.

    Looks every millisecond, and at seven places of every grid segment, at both of whose ends the path acceleration
    jumps.
    """
    course = Course(
        outer=path.curve,
        inner=path.inner,
        grid=timing.grid,
        time=timing.time,
        speed=timing.speed,
        rates=timing.rates,
        velocity=robot.velocity,
        acceleration=robot.acceleration,
    )
    return excess(course, _IN_SEGMENT, 0.001)


def _sampled_slowdown(trajectory: Trajectory, robot: Robot, jerk: bool) -> float:
    """Return by which factor time must be stretched for the samples and the cubics between them to meet the limits."""
    found = Steps.of(trajectory.time, trajectory.position, trajectory.velocity)
    fastest = (found.speed / robot.velocity).max()
    strongest = (np.abs(found.at_ends) / robot.acceleration).max()
    strongest = max(strongest, (np.abs(trajectory.acceleration) / robot.acceleration).max())
    if not jerk:
        return float(max(fastest, np.sqrt(strongest)))
    hardest = np.abs(np.diff(trajectory.acceleration, axis=0)) / np.diff(trajectory.time)[:, None] / robot.jerk
    return float(max(fastest, np.sqrt(strongest), np.cbrt(hardest.max()) - _ROUNDING))


def _sampled(path: _Path, timing: TimeLaw | SmoothLaw, control: Float, robot: Robot) -> Trajectory:
    switches = _switches(path, timing, robot)
    longest = min(MAX_STEP_S, timing.duration / _LEAST_STEPS)
    ends = np.array([0.0, *switches, timing.duration])
    counts = np.ceil(np.diff(ends) / longest - 1e-9).astype(int)
    pieces = np.repeat(np.arange(len(counts)), counts)
    steps = np.arange(1, len(pieces) + 1) - np.repeat(np.cumsum(counts) - counts, counts)
    time = np.concatenate([[0.0], ends[pieces] + steps * (np.diff(ends) / counts)[pieces]])
    time[np.cumsum(counts)] = ends[1:]
    position, velocity, acceleration = _motion(path, timing, time)
    for _ in range(_HALVINGS):
        bent = np.flatnonzero(_bent(time, velocity, acceleration, robot))
        if len(bent) == 0:
            break
        time = np.insert(time, bent + 1, (time[bent] + time[bent + 1]) / 2)
        position, velocity, acceleration = _motion(path, timing, time)
    position[0], position[-1] = control[0], control[-1]
    velocity[0], velocity[-1] = 0.0, 0.0
    if isinstance(timing, SmoothLaw):
        acceleration[0], acceleration[-1] = 0.0, 0.0
    return Trajectory(time=time, position=position, velocity=velocity, acceleration=acceleration)


def _bent(time: Float, velocity: Float, acceleration: Float, robot: Robot) -> np.ndarray:
    """Return in which steps [n - 1] an acceleration leaves what it is at both ends so far, on average, that the samples
    would not tell it.
    """
    mean = np.diff(velocity, axis=0) / np.diff(time)[:, None]
    least, most = np.minimum(acceleration[:-1], acceleration[1:]), np.maximum(acceleration[:-1], acceleration[1:])
    return np.any(np.maximum(least - mean, mean - most) > _BENT * robot.acceleration, axis=1)


def _switches(path: _Path, timing: TimeLaw | SmoothLaw, robot: Robot) -> list[float]:
    """Return the times [s], rising, at which an acceleration jumps by a good part of its limit; none close to another.

    A cubic across such a jump would leave the limit by up to two thirds of it. A ramp instead of the jump counts at
    both of its ends.
    """
    inside, r, change = timing.jumps
    size = (np.abs(change)[:, None] * np.abs(path.at(r)[1]) / robot.acceleration).max(axis=1)
    if isinstance(timing, SmoothLaw):
        times, jump = _knots_passed(path, timing, robot)
        inside, size = np.append(inside, times), np.append(size, jump)
    apart = min(_SWITCH_APART_S, timing.duration / (4 * _LEAST_STEPS))
    taken = [0.0, timing.duration]
    for moment in inside[np.argsort(-size, kind="stable")[: np.count_nonzero(size > _JUMP)]].tolist():
        later = bisect(taken, moment)
        if min(abs(moment - other) for other in taken[max(later - 1, 0) : later + 1]) > apart:
            taken.insert(later, moment)
    return taken[1:-1]


def _knots_passed(path: _Path, timing: SmoothLaw, robot: Robot) -> tuple[Float, Float]:
    """Return when the curve passes from one piece to the next [m], and by which share of its limit jerk jumps there."""
    times = np.linspace(0.0, timing.duration, _PLACES * path.intervals)
    r = timing.at(times)[0]
    passed = np.interp(path.knots, r, times)
    jump = np.abs(path.third(path.knots + _ROUNDING) - path.third(path.knots - _ROUNDING))
    return passed, (jump * timing.at(passed)[1][:, None] ** 3 / robot.jerk).max(axis=1)


def _resting(start: Float, goal: Float) -> Trajectory:
    still = np.zeros((2, len(start)))
    return Trajectory(
        time=np.array([0.0, MAX_STEP_S]), position=np.stack([start, goal]), velocity=still, acceleration=still.copy()
    )


def _within_position_limits(trajectory: Trajectory, robot: Robot) -> Trajectory | None:
    q = trajectory.position
    inside = np.all((q >= robot.lower - _ROUNDING) & (q <= robot.upper + _ROUNDING))
    return trajectory if inside else None
