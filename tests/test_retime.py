"""Timing: limits hold between the samples too, ends are exact and at rest, the fields agree with each other."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffplan.constraints.kinds import SpeedLimit
from diffplan.curves.spline import fit, straight
from diffplan.curves.time_law import SmoothLaw, TimeLaw
from diffplan.formats.robot_file import load_robot
from diffplan.ik import point_jacobian
from diffplan.planners.waypoints import quintic
from diffplan.problem import Trajectory, trajectory_metrics
from diffplan.robot.model import Robot
from diffplan.timing import _optimal_timing, _Path, retime, why_untimed

PANDA = load_robot("panda", collision=False)
GENTLE = replace(PANDA, acceleration=4 * PANDA.velocity, jerk=80 * PANDA.velocity)
"""With the default limits of an arm whose file tells none: jerk counts there."""


def _path(seed: int, n: int, amplitude: float, *, repeated: bool = False) -> np.ndarray:
    rng = np.random.default_rng(seed)
    ends = 0.9 * rng.uniform(-1, 1, (2, PANDA.dof))
    control = straight(PANDA.denormalise(ends[0]), PANDA.denormalise(ends[1]), n)
    control[1:-1] += rng.normal(0, amplitude, (n - 2, PANDA.dof))
    if repeated:
        place = rng.integers(1, n - 2)
        control[place : place + 3] = control[place]
    return np.clip(control, PANDA.lower, PANDA.upper)


def _dense(trajectory: Trajectory) -> tuple[np.ndarray, np.ndarray]:
    """Velocity and acceleration between samples, each a millisecond apart, of the quintic through both ends."""
    from scipy.interpolate import BPoly

    values = np.stack([trajectory.position, trajectory.velocity], axis=1)
    curve = BPoly.from_derivatives(trajectory.time, values)
    times = np.arange(0, trajectory.time[-1], 0.001)
    return curve(times, 1), curve(times, 2)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(4, 28),
    amplitude=st.sampled_from([0.0, 0.01, 0.1, 0.4]),
    repeated=st.booleans(),
)
def test_any_path_is_timed_within_the_limits_from_rest_to_rest(seed, n, amplitude, repeated):
    control = _path(seed, n, amplitude, repeated=repeated)
    trajectory = retime(control, PANDA)
    assert trajectory is not None
    steps = np.diff(trajectory.time)
    assert steps.max() <= 0.01 + 1e-12
    np.testing.assert_array_equal(trajectory.position[[0, -1]], control[[0, -1]])
    np.testing.assert_array_equal(trajectory.velocity[[0, -1]], 0)
    assert np.all(np.abs(trajectory.velocity) <= PANDA.velocity * (1 + 1e-9))
    assert np.all(np.abs(trajectory.acceleration) <= PANDA.acceleration * (1 + 1e-9))
    mean_velocity = np.diff(trajectory.position, axis=0) / steps[:, None]
    mean_acceleration = np.diff(trajectory.velocity, axis=0) / steps[:, None]
    assert np.all(np.abs(mean_velocity) <= PANDA.velocity * (1 + 1e-9))
    assert np.all(np.abs(mean_acceleration) <= PANDA.acceleration * (1 + 1e-9))


@pytest.mark.parametrize("seed", range(5))
def test_the_motion_between_samples_keeps_the_velocity_limit_too(seed):
    trajectory = retime(_path(seed, 16, 0.1), PANDA)
    assert trajectory is not None
    velocity, _ = _dense(trajectory)
    assert np.all(np.abs(velocity) <= PANDA.velocity * 1.002)


@pytest.mark.parametrize("seed", range(5))
def test_samples_lie_on_the_path_in_order(seed):
    control = _path(seed, 12, 0.1)
    trajectory = retime(control, PANDA)
    assert trajectory is not None
    from diffplan.curves.spline import basis

    curve = basis(12, 20001) @ control
    nearest = [np.linalg.norm(curve - q, axis=1) for q in trajectory.position]
    assert max(distance.min() for distance in nearest) < 1e-3
    assert np.all(np.diff([distance.argmin() for distance in nearest]) >= 0)


@pytest.mark.parametrize("seed", range(5))
def test_velocity_and_acceleration_are_the_derivatives_of_the_position(seed):
    trajectory = retime(_path(seed, 16, 0.05), PANDA)
    assert trajectory is not None
    dt = np.diff(trajectory.time)[:, None]
    mean = (trajectory.velocity[1:] + trajectory.velocity[:-1]) / 2
    # Where |a| <= A, velocity strays from its chord by so little that the means differ by at most A dt / 4.
    assert np.all(np.abs(np.diff(trajectory.position, axis=0) / dt - mean) <= PANDA.acceleration * dt / 4)
    mean = np.diff(trajectory.velocity, axis=0) / dt
    low = np.minimum(trajectory.acceleration[1:], trajectory.acceleration[:-1]) - 0.02 * PANDA.acceleration
    high = np.maximum(trajectory.acceleration[1:], trajectory.acceleration[:-1]) + 0.02 * PANDA.acceleration
    assert np.mean((low <= mean) & (mean <= high)) > 0.85  # a sample at a switch has the acceleration after it


def test_the_fastest_straight_motion_is_bang_coast_bang():
    start, goal = PANDA.configuration("home"), PANDA.configuration("home")
    goal[0] += 2.0
    trajectory = retime(straight(start, goal, 16), PANDA)
    assert trajectory is not None
    speed, acceleration = PANDA.velocity[0], PANDA.acceleration[0]
    assert trajectory.duration == pytest.approx(2.0 / speed + speed / acceleration, rel=0.01)


@pytest.mark.parametrize("kind", ["straight", "minimum jerk", "repeated"])
@pytest.mark.parametrize("size", [1e-15, 1e-12, 0.9e-9, 1.1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 0.03, 0.3, 1.0])
@pytest.mark.parametrize("joints", ["all", "one", "mixed"])
def test_a_goal_of_any_nearness_is_reached_by_a_motion_as_small_and_nearly_as_fast_as_can_be(kind, size, joints):
    start = PANDA.configuration("home")
    share = {"all": np.ones(7), "one": np.eye(7)[3], "mixed": 10.0 ** -np.arange(7)}[joints]
    goal = start + size * share
    if kind == "straight":
        control = straight(start, goal, 16)
    elif kind == "minimum jerk":
        control = fit(quintic(start, goal, 40), 16)
    else:
        control = np.concatenate([np.tile(start, (5, 1)), straight(start, goal, 6), np.tile(goal, (7, 1))])
    trajectory = retime(control, PANDA)
    assert trajectory is not None
    np.testing.assert_array_equal(trajectory.position[[0, -1]], [start, goal])
    lengths = np.linalg.norm(np.diff(trajectory.position, axis=0), axis=1)
    assert lengths.sum() <= 1.0001 * np.linalg.norm(goal - start)
    way = np.abs(goal - start)
    coast = np.maximum(way / PANDA.velocity - PANDA.velocity / PANDA.acceleration, 0)
    ramps = 2 * np.sqrt(np.minimum(way, PANDA.velocity**2 / PANDA.acceleration) / PANDA.acceleration)
    fastest = float((coast + ramps).max())
    assert trajectory.duration <= max(
        0.010001, {"straight": 1.002, "minimum jerk": 1.2, "repeated": 1.7}[kind] * fastest
    )
    assert np.all(np.abs(trajectory.velocity) <= PANDA.velocity * (1 + 1e-9))
    assert np.all(np.abs(trajectory.acceleration) <= PANDA.acceleration * (1 + 1e-9))


def test_a_path_that_turns_on_the_spot_is_timed():
    start = PANDA.configuration("home")
    there = start + 0.3 * np.eye(7)[0]
    control = np.concatenate([straight(start, there, 8), np.tile(there, (3, 1)), straight(there, start, 8)])
    trajectory = retime(control, PANDA)
    assert trajectory is not None
    one_way = retime(straight(start, there, 8), PANDA)
    assert one_way is not None
    assert trajectory.duration < 2.5 * one_way.duration


def test_half_the_limits_take_longer():
    control = _path(3, 16, 0.1)
    slow: Robot = replace(PANDA, velocity=PANDA.velocity / 2, acceleration=PANDA.acceleration / 4)
    fast, slower = retime(control, PANDA), retime(control, slow)
    assert fast is not None
    assert slower is not None
    assert slower.duration == pytest.approx(2 * fast.duration, rel=0.02)


def test_a_path_without_length_is_a_short_rest():
    control = np.tile(PANDA.configuration("home"), (8, 1))
    trajectory = retime(control, PANDA)
    assert trajectory is not None
    assert len(trajectory.time) >= 2
    np.testing.assert_array_equal(trajectory.position, np.stack([control[0]] * len(trajectory.time)))
    np.testing.assert_array_equal(trajectory.velocity, 0)


def test_a_path_that_leaves_the_position_limits_is_refused():
    control = _path(0, 12, 0.0)
    control[4:8] = PANDA.upper + 0.2
    assert retime(control, PANDA) is None
    assert "leaves its position limits by 0.2" in why_untimed(control, PANDA)


def test_a_path_that_is_not_finite_is_refused():
    control = _path(0, 12, 0.0)
    control[3, 2] = np.nan
    assert retime(control, PANDA) is None
    assert "not finite" in why_untimed(control, PANDA)


def test_a_path_that_would_take_longer_than_an_hour_has_no_timing():
    control = _path(0, 12, 0.1)
    assert retime(control, PANDA, speed=0.01) is not None
    assert retime(control, PANDA, speed=1e-5) is None
    assert "no timing of at most 3600 s" in why_untimed(control, PANDA)


def test_a_timing_that_all_but_stands_is_not_looked_at_every_millisecond(monkeypatch):
    laws = []

    def standing(*args):
        law = _optimal_timing(*args)
        laws.append(law)
        return law.slowed(1e7)  # months: looking at every millisecond of them took 35 GB

    monkeypatch.setattr("diffplan.timing._optimal_timing", standing)
    assert retime(_path(0, 12, 0.1), PANDA) is None
    assert len(laws) > 1


def test_nothing_is_printed(capfd):
    retime(_path(1, 12, 0.4, repeated=True), PANDA)
    assert capfd.readouterr() == ("", "")


def test_jerk_is_told_over_ten_milliseconds_however_a_motion_is_sampled():
    time = np.linspace(0.0, 1.0, 101)
    acceleration = np.where(time < 0.5, 2.0, -2.0)[:, None]
    coarse = Trajectory(time=time, position=0 * acceleration, velocity=0 * acceleration, acceleration=acceleration)
    finer = np.sort(np.append(time, [0.4999, 0.5001]))
    sampled = np.where(finer < 0.5, 2.0, -2.0)[:, None]
    fine = Trajectory(time=finer, position=0 * sampled, velocity=0 * sampled, acceleration=sampled)
    for trajectory in (coarse, fine):
        metrics = trajectory_metrics(trajectory)
        assert metrics.max_jerk == pytest.approx(400.0)
        assert metrics.mean_jerk == pytest.approx(4.0)


def _jerk_share(trajectory: Trajectory, robot: Robot) -> float:
    change = np.abs(np.diff(trajectory.acceleration, axis=0)) / np.diff(trajectory.time)[:, None]
    return float((change / robot.jerk).max())


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(4, 28),
    amplitude=st.sampled_from([0.0, 0.01, 0.1, 0.4]),
    repeated=st.booleans(),
    gentle=st.booleans(),
)
def test_with_jerk_limited_any_path_keeps_all_limits_and_begins_and_ends_without_acceleration(
    seed, n, amplitude, repeated, gentle
):
    control, robot = _path(seed, n, amplitude, repeated=repeated), GENTLE if gentle else PANDA
    smooth = retime(control, robot, jerk=True)
    assert smooth is not None
    assert np.diff(smooth.time).max() <= 0.01 + 1e-12
    np.testing.assert_array_equal(smooth.position[[0, -1]], control[[0, -1]])
    np.testing.assert_array_equal(smooth.velocity[[0, -1]], 0)
    np.testing.assert_array_equal(smooth.acceleration[[0, -1]], 0)
    assert np.all(np.abs(smooth.velocity) <= robot.velocity * (1 + 1e-9))
    assert np.all(np.abs(smooth.acceleration) <= robot.acceleration * (1 + 1e-9))
    assert _jerk_share(smooth, robot) <= 0.95 + 1e-9
    if not repeated:  # at a cusp the cubic of steps of 10 ms cannot follow
        for hz in (100, 250, 1000):
            assert _jerk_share(smooth.sampled(hz), robot) <= 1.0


def test_jerk_limits_of_the_panda_cost_hardly_any_time():
    ratios = []
    for seed in range(10):
        control = _path(seed, 16, 0.05)
        fast, smooth = retime(control, PANDA), retime(control, PANDA, jerk=True)
        assert fast is not None
        assert smooth is not None
        ratios.append(smooth.duration / fast.duration)
    assert max(ratios) < 1.02


@pytest.mark.parametrize("size", [1e-15, 1e-9, 1e-7, 1e-5, 1e-4, 1e-3, 0.03, 0.3, 1.0])
def test_with_jerk_limited_a_goal_of_any_nearness_is_reached_nearly_as_fast_as_can_be(size):
    start = GENTLE.configuration("home")
    goal = start + size * np.eye(7)[3]
    smooth = retime(straight(start, goal, 16), GENTLE, jerk=True)
    assert smooth is not None
    np.testing.assert_array_equal(smooth.position[[0, -1]], [start, goal])
    speed, acceleration, jerk = GENTLE.velocity[3], GENTLE.acceleration[3], 0.95 * GENTLE.jerk[3]
    jerk_alone, with_acceleration = np.cbrt(32 * size / jerk), 2 * np.sqrt(size / acceleration) + acceleration / jerk
    coasting = size / speed + speed / acceleration + acceleration / jerk
    assert smooth.duration <= 1.25 * max(0.015, jerk_alone, min(with_acceleration, coasting))
    assert _jerk_share(smooth, GENTLE) <= 1.0


def test_a_share_of_the_limits_is_a_share_of_velocity_acceleration_and_jerk():
    control = _path(3, 16, 0.1)
    full, slow = retime(control, GENTLE, jerk=True), retime(control, GENTLE, speed=0.3, jerk=True)
    assert full is not None
    assert slow is not None
    assert np.all(np.abs(slow.velocity) <= 0.3 * GENTLE.velocity * (1 + 1e-9))
    assert np.all(np.abs(slow.acceleration) <= 0.3 * GENTLE.acceleration * (1 + 1e-9))
    assert _jerk_share(slow, GENTLE) <= 0.3
    assert 0.3**-0.5 < slow.duration / full.duration < 1 / 0.3


@pytest.mark.parametrize(("seed", "n"), [(17, 64), (17, 256), (23, 256), (24, 128), (35, 128)])
def test_samples_tell_the_acceleration_where_a_path_turns_a_corner_within_a_step(seed, n):
    rng = np.random.default_rng(seed)
    corners = PANDA.denormalise(0.6 * rng.uniform(-1, 1, (5, PANDA.dof)))
    corners[1:] = corners[0] + np.cumsum(rng.normal(0, 0.3, (4, PANDA.dof)) * rng.uniform(0.01, 1, (4, 1)), axis=0)
    control = [np.interp(np.linspace(0, 1, n), (0, 0.4, 0.41, 0.42, 1), joint) for joint in corners.T]
    motion = retime(np.clip(np.stack(control, axis=1), PANDA.lower, PANDA.upper), PANDA)
    assert motion is not None
    mean = np.diff(motion.velocity, axis=0) / np.diff(motion.time)[:, None]
    low, high = np.sort(np.stack([motion.acceleration[:-1], motion.acceleration[1:]]), axis=0)
    assert (np.maximum(low - mean, mean - high) / PANDA.acceleration).max() < 0.5


@pytest.mark.parametrize("jerk", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_with_the_speed_of_a_point_limited_it_or_a_joint_is_at_a_limit_nearly_always(seed, jerk):
    control, limit = _path(seed, 16, 0.1), 0.3
    slow = retime(control, PANDA, limits=[SpeedLimit(limit=limit)], jerk=jerk)
    fast = retime(control, PANDA, jerk=jerk)
    assert slow is not None
    assert fast is not None

    def shares(motion: Trajectory) -> tuple[np.ndarray, np.ndarray]:
        at = motion.at(np.linspace(motion.time[0], motion.time[-1], 4001))
        velocity = point_jacobian(PANDA, PANDA.tool_frame, at.position) @ at.velocity[..., None]
        joints = np.maximum(np.abs(at.velocity) / PANDA.velocity, np.abs(at.acceleration) / PANDA.acceleration)
        return np.linalg.norm(velocity[..., 0], axis=1) / limit, joints.max(axis=1)

    point, joints = shares(slow)
    assert shares(fast)[0].max() > 4
    assert point.max() <= 1.001
    assert np.mean(point > 0.97) > 0.75
    assert np.mean(np.maximum(point, joints) > 0.9) > 0.85


def test_the_smoothed_law_is_the_mean_over_its_window_and_its_fields_are_derivatives():
    law = TimeLaw(grid=np.array([0, 0.2, 0.7, 1.0]), time=np.array([0, 0.4, 0.9, 1.5]), speed=np.array([0, 1, 1, 0.0]))
    smooth = SmoothLaw.of(law, 0.25)
    times = np.linspace(0.0, smooth.duration, 3001)
    r, speed, acceleration, jerk = smooth.with_jerk(times)
    window = np.linspace(0.0, 0.25, 2001)[1::2]
    seen = times[:, None] - window
    inside = np.where(seen < 0, 0.0, law.at(np.clip(seen, 0, 1.5).ravel())[0].reshape(seen.shape))
    np.testing.assert_allclose(r, inside.mean(axis=1), atol=1e-6)
    for value, rate in ((r, speed), (speed, acceleration), (acceleration, jerk)):
        mean = np.diff(value) / np.diff(times)
        between = (np.minimum(rate[:-1], rate[1:]) - 0.01, np.maximum(rate[:-1], rate[1:]) + 0.01)
        assert np.all((between[0] <= mean) & (mean <= between[1]))
    assert r[0] == speed[0] == acceleration[0] == 0
    assert (r[-1], speed[-1], acceleration[-1]) == pytest.approx((1, 0, 0), abs=1e-9)
    np.testing.assert_allclose(smooth.slowed(2.0).at(2 * times)[0], r, atol=1e-12)


@pytest.mark.parametrize("repeated", [False, True])
def test_the_third_derivative_of_a_path_is_that_of_its_second(repeated):
    path, r = _Path.of(_path(2, 12, 0.1, repeated=repeated), PANDA), np.random.default_rng(0).uniform(0.01, 0.99, 200)
    r = r[np.abs(r[:, None] - path.knots).min(axis=1) > 1e-4]
    numeric = (path.at(r + 1e-6)[2] - path.at(r - 1e-6)[2]) / 2e-6
    np.testing.assert_allclose(path.third(r), numeric, rtol=1e-4, atol=1e-4 * np.abs(numeric).max())


def _toppra(path: _Path, robot: Robot, grid: np.ndarray) -> float:
    """Return the motion time [s] that the package toppra finds for a path on a grid."""
    import toppra
    from toppra.algorithm import TOPPRA
    from toppra.constraint import JointAccelerationConstraint, JointVelocityConstraint

    unit = float(max(np.sqrt(path.way / robot.acceleration).max(), (path.way / robot.velocity).max()))
    scaled = [values / (robot.acceleration * unit**2) for values in path.at(grid)]

    class Scaled(toppra.interpolator.AbstractGeometricPath):
        dof, path_interval = robot.dof, grid[[0, -1]]

        def __call__(self, path_positions: object, order: int = 0) -> np.ndarray:
            return scaled[order]

    fastest, strongest = robot.velocity / (robot.acceleration * unit), np.ones(robot.dof)
    limits = [
        kind(0.9995 * np.stack([-values, values], axis=1))
        for kind, values in ((JointVelocityConstraint, fastest), (JointAccelerationConstraint, strongest))
    ]
    solver = TOPPRA(limits, Scaled(), gridpoints=grid, solver_wrapper="seidel")
    solver.compute_parameterization(0, 0)
    speed = solver.problem_data.sd_vec
    return unit * float((2 * np.diff(grid) / (speed[1:] + speed[:-1])).sum())


@pytest.mark.parametrize("robot", [PANDA, GENTLE])
def test_motions_take_as_long_as_the_package_toppra_says_and_keep_the_limits_at_every_grid_point(robot):
    compared = 0
    for seed in range(100):
        path = _Path.of(_path(seed, 4 + seed % 20, (0.0, 0.02, 0.1, 0.4)[seed % 4]), robot)
        grid = path.grid(100)
        law = _optimal_timing(path, robot, grid)
        assert law is not None
        theirs = _toppra(path, robot, grid)
        if np.isfinite(theirs):  # it fails now and then
            assert law.duration == pytest.approx(theirs, rel=1e-3)
            compared += 1
        _, first, second = path.at(grid)
        assert np.all(np.abs(first) * law.speed[:, None] <= robot.velocity)
        for end in (0, 1):
            here = slice(end, len(grid) - 1 + end)
            bend = second[here] * law.speed[here, None] ** 2 + first[here] * law.rates[:, None]
            assert np.all(np.abs(bend) <= robot.acceleration)
    assert compared > 90
