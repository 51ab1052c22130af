"""Measures of a motion, on motions made by hand whose clearances and contacts are known."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import diffplan as dp
from diffplan.benchmark.motion import dense_contact, dense_samples, mean_clearance, measure_motion, time_samples
from diffplan.certificate.certifier import Certifier
from diffplan.problem import Plan, Trajectory

BALL = dp.Sphere(name="ball", radius=0.05, pose=dp.Pose(xyz=(-0.6, 0.0, 1.0)))


@pytest.fixture(scope="module")
def robot() -> dp.Robot:
    return dp.Robot.load("panda")


def _turn(robot: dp.Robot, scene: dp.Scene, *, angle: float = 0.4, duration: float = 1.0) -> Plan:
    """The first joint turns by `angle` [rad], gently; not certified, so it may touch."""
    start = robot.configuration("home").astype(float)
    time = np.linspace(0.0, duration, 101)
    part = (1 - np.cos(np.pi * time / duration)) / 2
    position = start + part[:, None] * np.eye(robot.dof)[0] * angle
    still = np.zeros_like(position)
    return Plan(
        status=dp.Status.NOT_CERTIFIED,
        message="",
        planner="hand",
        solved_by="",
        robot=robot,
        scene=scene,
        seed=0,
        start=start,
        goals=position[-1:],
        trajectory=Trajectory(time=time, position=position, velocity=still, acceleration=still),
    )


def test_the_mean_clearance_is_that_of_pybullets_own_checks_over_time(robot: dp.Robot) -> None:
    plan = _turn(robot, dp.Scene(obstacles=(dp.Sphere(name="ball", radius=0.1, pose=dp.Pose(xyz=(0.5, 0.25, 0.55))),)))
    assert plan.trajectory is not None
    with Certifier(robot, plan.scene) as certifier:
        by_check = [certifier.check(q).clearance_m for q in plan.trajectory.position]
        assert np.isfinite(by_check).all()
        assert [certifier.clearance(q) for q in plan.trajectory.position[::20]] == by_check[::20]
    assert max(by_check) > min(by_check) + 0.01
    assert mean_clearance(plan) == pytest.approx(np.mean(by_check), abs=1e-3)


def test_clearance_reaches_farther_than_the_certificate_looks(robot: dp.Robot) -> None:
    scene = dp.Scene(obstacles=(dp.Sphere(name="far", radius=0.5, pose=dp.Pose(xyz=(0.0, 0.0, 5.0))),))
    home = robot.configuration("home")
    with Certifier(robot, scene) as certifier:
        assert certifier.check(home).clearance_m == np.inf
        assert 3.3 < certifier.clearance(home) < 4.5  # the arm reaches up less than 1.2 m


def test_without_obstacles_there_is_no_clearance(robot: dp.Robot) -> None:
    assert mean_clearance(_turn(robot, dp.Scene())) is None


def test_a_free_motion_is_executed_without_contact_and_closely(robot: dp.Robot) -> None:
    motion = measure_motion(_turn(robot, dp.Scene(obstacles=(BALL,))))
    assert not motion.touched
    assert 0 < motion.tracking_error_rad < 0.1
    assert motion.mean_clearance_m is not None


def test_an_obstacle_in_the_way_is_touched_and_throws_the_execution_off(robot: dp.Robot) -> None:
    free = measure_motion(_turn(robot, dp.Scene(), angle=1.2))
    hand = robot.link_pose(robot.configuration("home"), "panda_hand")[0, :3, 3]
    x, y = np.cos(0.6) * hand[0] - np.sin(0.6) * hand[1], np.sin(0.6) * hand[0] + np.cos(0.6) * hand[1]
    wall = dp.Box(name="wall", size=(0.05, 0.05, 0.4), pose=dp.Pose(xyz=(float(x), float(y), float(hand[2]))))
    stopped = measure_motion(_turn(robot, dp.Scene(obstacles=(wall,)), angle=1.2))
    assert (free.touched, stopped.touched) == (False, True)
    assert stopped.tracking_error_rad > free.tracking_error_rad + 0.1


def test_the_dense_check_sees_a_contact_between_two_samples(robot: dp.Robot) -> None:
    plan = _turn(robot, dp.Scene(), angle=1.2)
    assert plan.trajectory is not None
    hand = robot.link_pose(plan.trajectory.position[50], "panda_hand")[0, :3, 3]
    ball = dp.Sphere(name="ball", radius=0.02, pose=dp.Pose(xyz=(float(hand[0]), float(hand[1]), float(hand[2]))))
    ends = Trajectory(
        time=np.array([0.0, 1.0]),
        position=plan.trajectory.position[[0, -1]],
        velocity=np.zeros((2, robot.dof)),
        acceleration=np.zeros((2, robot.dof)),
    )
    two = replace(plan, trajectory=ends)
    assert not dense_contact(two, 0.05)
    assert dense_contact(replace(two, scene=dp.Scene(obstacles=(ball,))), 0.05)


def test_a_plan_without_a_trajectory_cannot_be_measured(robot: dp.Robot) -> None:
    with pytest.raises(ValueError, match="without a trajectory"):
        mean_clearance(replace(_turn(robot, dp.Scene(obstacles=(BALL,))), trajectory=None))


@given(st.floats(0.005, 3.0), st.floats(0.001, 0.5))
def test_time_samples_are_even_and_close_enough_and_hold_both_ends(duration: float, step: float) -> None:
    time = np.array([0.0, 0.3, 1.0]) * duration
    ramp = Trajectory(time=time, position=time[:, None], velocity=time[:, None], acceleration=time[:, None])
    (samples,) = time_samples(ramp, step).T
    assert (samples[0], samples[-1]) == (0.0, pytest.approx(duration))
    assert np.diff(samples) == pytest.approx(duration / (len(samples) - 1))
    assert duration / (len(samples) - 1) <= step * (1 + 1e-9)


@given(
    st.lists(st.lists(st.floats(-3, 3), min_size=2, max_size=2), min_size=1, max_size=5),
    st.sampled_from([0.01, 0.1, 1.0]),
)
def test_dense_samples_hold_every_given_configuration_and_no_longer_step(path, step):
    position = np.array(path)
    samples = dense_samples(position, step)
    assert np.abs(np.diff(samples, axis=0)).max(initial=0.0) <= step * (1 + 1e-9)
    for q in position:
        assert np.abs(samples - q).max(axis=1).min() < 1e-12
