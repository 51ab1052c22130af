"""Between the samples: where a motion is at any time, at any rate, and what the certificate says about it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import CubicHermiteSpline

import diffplan as dp
from diffplan.certificate.certifier import Certifier
from diffplan.certificate.interpolation import swerve
from diffplan.certificate.motion_bound import cover
from diffplan.curves import hermite
from diffplan.curves.spline import straight
from diffplan.curves.steps import Steps
from diffplan.formats.plan_file import load_plan
from diffplan.formats.robot_file import load_robot
from diffplan.problem import Trajectory
from diffplan.timing import retime

PANDA = load_robot("panda", collision=False)
HOME = PANDA.configuration("home")


def _motion(seed: int, bend: float = 0.05) -> Trajectory:
    rng = np.random.default_rng(seed)
    ends = PANDA.denormalise(0.8 * rng.uniform(-1, 1, (2, PANDA.dof)))
    control = straight(ends[0], ends[1], 16)
    control[1:-1] += rng.normal(0, bend, (14, PANDA.dof))
    trajectory = retime(np.clip(control, PANDA.lower, PANDA.upper), PANDA)
    assert trajectory is not None
    return trajectory


def _any(seed: int, n: int) -> Trajectory:
    """Samples of no motion in particular."""
    rng = np.random.default_rng(seed)
    time = 3.0 + np.cumsum(rng.uniform(0.001, 0.01, n))
    position, velocity, acceleration = rng.normal(size=(3, n, PANDA.dof)) * [[[0.01]], [[1.0]], [[1.0]]]
    return Trajectory(time=time, position=position, velocity=velocity, acceleration=acceleration)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), n=st.integers(2, 20))
def test_extremes_speeds_accelerations_and_deviations_are_those_of_the_cubic(seed, n):
    t = _any(seed, n)
    motion = t.time, t.position, t.velocity
    reference = CubicHermiteSpline(*motion)
    u = np.linspace(0.0, 1.0, 401)[:, None]
    dense = t.time[:-1] + u * np.diff(t.time)
    for order, found in enumerate(hermite.at(*motion, dense[:-1].ravel())):
        np.testing.assert_allclose(found, reference(dense[:-1].ravel(), order), rtol=1e-9, atol=1e-7)
    q = reference(dense)
    steps = Steps.of(*motion)
    low, high = steps.low, steps.high
    np.testing.assert_allclose(low, q.min(axis=0), atol=1e-5)
    np.testing.assert_allclose(high, q.max(axis=0), atol=1e-5)
    assert np.all(low <= q.min(axis=0) + 1e-12)
    assert np.all(high >= q.max(axis=0) - 1e-12)
    speed = np.abs(reference(dense, 1)).max(axis=0)
    fastest = steps.speed
    assert np.all(fastest >= speed - 1e-9)
    np.testing.assert_allclose(fastest, speed, rtol=1e-3, atol=1e-3)
    lines = t.position[:-1] + u[:, :, None] * np.diff(t.position, axis=0)
    off = np.abs(q - lines).max(axis=0)
    deviation = steps.off
    assert np.all(deviation >= off - 1e-12)
    np.testing.assert_allclose(deviation, off, rtol=1e-3, atol=1e-9)
    ends = np.stack([reference(t.time[:-1], 2), hermite.at(*motion, t.time[1:] - 1e-12)[2]], axis=1)
    np.testing.assert_allclose(steps.at_ends, ends, rtol=1e-4, atol=1e-2)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), step=st.floats(0.001, 0.01))
def test_the_cubic_of_a_motion_within_limits_exceeds_them_by_no_more_than_is_said(seed, step):
    rng = np.random.default_rng(seed)
    fine, limit = 200, 10.0
    acceleration = rng.choice([-limit, limit], fine)  # anything within the limit, switching where it likes
    h = step / fine
    speed = np.concatenate([[0.0], np.cumsum(acceleration) * h])
    way = np.concatenate([[0.0], np.cumsum(speed[:-1] * h + acceleration * h**2 / 2)])
    motion = np.array([0.0, step]), way[[0, -1], None], speed[[0, -1], None]
    assert np.abs(Steps.of(*motion).at_ends).max() <= hermite.OVERSHOOT * limit * (1 + 1e-9)
    position, velocity, _ = hermite.at(*motion, np.linspace(0.0, step, fine + 1))
    assert np.abs(position[:, 0] - way).max() <= hermite.OFF * limit * step**2 * (1 + 1e-9)
    assert np.abs(velocity[:, 0] - speed).max() <= hermite.OFF_SPEED * limit * step * (1 + 1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_a_timed_motion_keeps_its_limits_at_every_rate_where_straight_lines_would_not(seed):
    trajectory = _motion(seed)
    for hz in (100, 250, 1000, 4000.5):
        fine = trajectory.sampled(hz)
        assert np.all(np.abs(fine.velocity) <= PANDA.velocity * (1 + 1e-6))
        assert np.all(np.abs(fine.acceleration) <= PANDA.acceleration * (1 + 1e-6))
        np.testing.assert_array_equal(fine.position[[0, -1]], trajectory.position[[0, -1]])
        assert (fine.time[0], fine.time[-1]) == (trajectory.time[0], trajectory.time[-1])
        steps = np.diff(fine.time)
        np.testing.assert_allclose(steps[:-2], 1 / hz, rtol=1e-9)
        assert 0.05 / hz < steps.min()
        assert steps.max() <= 1 / hz + 1e-9
    times = np.arange(0.0, trajectory.duration, 0.001)
    setpoints = np.diff(trajectory.at(times).position, 2, axis=0) / 1e-6
    assert np.all(np.abs(setpoints) <= PANDA.acceleration * 1.001)
    lines = np.stack([np.interp(times, trajectory.time, joint) for joint in trajectory.position.T], axis=1)
    assert np.max(np.abs(np.diff(lines, 2, axis=0) / 1e-6) / PANDA.acceleration) > 2


def test_at_takes_one_time_or_several_and_gives_the_samples_themselves():
    trajectory = _motion(0)
    moment = trajectory.at(0.1)
    assert moment.position.shape == moment.velocity.shape == moment.acceleration.shape == (7,)
    several = trajectory.at([0.1, 0.2])
    np.testing.assert_array_equal(several.position[0], moment.position)
    at_samples = trajectory.at(trajectory.time)
    np.testing.assert_array_equal(at_samples.position, trajectory.position)
    np.testing.assert_allclose(at_samples.velocity, trajectory.velocity, atol=1e-9)
    position, velocity, acceleration = trajectory.at(trajectory.duration)
    np.testing.assert_array_equal(position, trajectory.position[-1])
    np.testing.assert_allclose(velocity, 0, atol=1e-9)
    assert acceleration.shape == (7,)
    assert trajectory.at(np.zeros(0)).position.shape == (0, 7)


@pytest.mark.parametrize("t", [-0.001, 1e9, float("nan"), "soon", None, [[0.1]], [0.1, -1.0]])
def test_a_time_outside_of_the_motion_is_refused_with_what_is_allowed(t):
    with pytest.raises(dp.InputError, match=r"not a time within the motion.*0 to .* s"):
        _motion(0).at(t)


@pytest.mark.parametrize("hz", [0, -1, float("nan"), float("inf"), "fast", None, True, 1e12])
def test_a_rate_that_makes_no_sense_is_refused(hz):
    with pytest.raises(dp.InputError, match="hz"):
        _motion(0).sampled(hz)


def test_a_rest_and_a_motion_from_a_plan_file_are_interpolated_and_certified_too(tmp_path: Path):
    robot = dp.Robot.load("panda")
    near = HOME + 1e-6
    scene = dp.Scene(obstacles=(dp.Sphere(name="far", radius=0.1, pose=dp.Pose(xyz=(0.8, 0.0, 0.9))),))
    for goal in (HOME, near, robot.configuration("right")):
        plan = dp.plan(robot, scene, HOME, goal, planner="straight")
        assert plan.solved
        assert plan.certificate is not None
        assert plan.certificate.interpolation == "cubic Hermite"
        assert (plan.certificate.acceleration_share or 0) <= 1.001
        assert (plan.certificate.velocity_share or 0) <= 1.001
        plan.save(tmp_path / "plan.json")
        read = load_plan(tmp_path / "plan.json")
        assert read.certificate == plan.certificate
        assert read.trajectory is not None
        fine = read.trajectory.sampled(1000)
        with Certifier(robot, scene) as certifier:
            again = certifier.certify(fine, start=HOME, goals=goal[None])
        assert again.valid, again.reason


def test_the_room_for_the_cubic_is_no_less_than_links_are_off_the_straight_lines():
    trajectory, shapes = _motion(1, 0.1), cover(PANDA)
    bound = swerve(PANDA, shapes, trajectory).sum(axis=2)
    u = np.linspace(0.0, 1.0, 9)[1:-1]
    for step in range(0, len(trajectory.time) - 1, 7):
        times = trajectory.time[step] + u * (trajectory.time[step + 1] - trajectory.time[step])
        cubic = trajectory.at(times).position
        line = trajectory.position[step] + u[:, None] * (trajectory.position[step + 1] - trajectory.position[step])
        for number, link in enumerate(PANDA.links):
            points = np.concatenate([shapes.centre[number], np.ones((len(shapes.centre[number]), 1))], axis=1)
            ways = [PANDA.body_poses(q)[:, shapes.body[number]] @ points.T for q in (cubic, line)]
            off = np.linalg.norm(ways[0] - ways[1], axis=1).max()
            assert off <= bound[step, number] + 1e-12, link


def test_the_clearance_proven_is_less_where_line_and_cubic_are_apart(panda: dp.Robot, timed: Callable[..., Trajectory]):
    """The proven clearance holds for both motions, so that it shrinks as much as they are apart; the measured stays."""
    way = np.array([HOME - 0.3 * np.eye(7)[0], HOME + 0.3 * np.eye(7)[0]])
    honest = timed(way, 1.0)
    ball = dp.Sphere(name="ball", radius=0.02, pose=dp.Pose(xyz=(0.3, 0.0, 0.2)))
    with Certifier(panda, dp.Scene(obstacles=(ball,))) as certifier:
        plain = certifier.certify(honest, start=way[0], goals=way[1:])
        weave = np.where(np.arange(len(honest.time)) % 2 == 0, 1.0, -1.0)[:, None] * 0.02 * np.eye(7)[0]
        weave[[0, -1]] = 0.0
        woven = certifier.certify(replace(honest, velocity=honest.velocity + weave), start=way[0], goals=way[1:])
    assert plain.valid
    assert woven.valid, woven.reason
    assert plain.interpolation_rad is not None
    assert woven.interpolation_rad is not None
    assert woven.interpolation_rad > plain.interpolation_rad
    assert plain.min_clearance_bound_m is not None
    assert woven.min_clearance_bound_m is not None
    assert plain.min_clearance_bound_m - 1e-4 < woven.min_clearance_bound_m < plain.min_clearance_bound_m
    assert woven.min_clearance_m == pytest.approx(plain.min_clearance_m, abs=1e-12)


def test_samples_that_no_motion_within_the_limits_has_are_refused(panda: dp.Robot, timed: Callable[..., Trajectory]):
    way = np.array([HOME, HOME + 0.3 * np.eye(7)[0]])
    honest = timed(way, 1.0)
    wild = np.where(np.arange(len(honest.time)) % 2 == 0, 1.0, -1.0)[:, None] * 0.05 * np.eye(7)[0]
    wild[[0, -1]] = 0.0
    with Certifier(panda, dp.Scene()) as certifier:
        verdict = certifier.certify(replace(honest, velocity=honest.velocity + wild), start=way[0], goals=way[1:])
    assert not verdict.valid
    assert not verdict.acceleration_limits_ok
