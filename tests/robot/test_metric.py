"""Norms over joints: metres of a joint that slides are not added to radians as they are."""

import numpy as np
import pytest

import diffplan as dp
from diffplan.collision.cpu import CollisionModel, Obstacles
from diffplan.planners.polyline import at, dense, length, resample
from diffplan.planners.trees import Checker, OmplQuery, configuration_of
from diffplan.problem import Trajectory, trajectory_metrics
from diffplan.refinement import RefineConfig, Refiner
from diffplan.robot.model import Robot
from diffplan.scene import Scene

ARM = 0.12 + 0.24 + 0.36 + 0.2  # of the arm on a rail: between its joints, in m
PARTS = np.array([0.3, 0.7])


@pytest.fixture(scope="module")
def rail(rail_file) -> Robot:
    return Robot.load(str(rail_file))


@pytest.fixture
def path(rail: Robot) -> np.ndarray:
    return np.random.default_rng(0).uniform(rail.lower, rail.upper, (5, rail.dof))


def test_a_radian_counts_for_one_and_a_metre_for_the_turn_that_moves_the_stretched_arm_s_end_by_one(any_robot):
    expected = np.where(any_robot.prismatic, 1 / ARM, 1.0)
    np.testing.assert_allclose(any_robot.metric, expected, rtol=1e-12)
    assert (any_robot.metric[~any_robot.prismatic] == 1.0).all()


def test_lengths_are_the_same_in_whatever_unit_a_joint_is_measured(path):
    unit = np.array([0.5, 1.0, 4.0, 1.0, 1.0])
    assert length(path / unit, unit) == pytest.approx(length(path))
    np.testing.assert_allclose(resample(path / unit, 20, unit) * unit, resample(path, 20))
    np.testing.assert_allclose(at(path / unit, PARTS, unit) * unit, at(path, PARTS))
    np.testing.assert_allclose(dense(path / unit, 0.1, unit) * unit, dense(path, 0.1))


def test_search_and_refinement_measure_a_path_alike_and_its_ends_stay_exact(rail, path):
    world = Obstacles.pack([Scene()])
    query = OmplQuery(Checker(model=CollisionModel(rail), world=world), path[0], path[1:], seed=0)
    told = query.path(path)
    assert told.length() == pytest.approx(length(path, rail.metric))
    assert told.length() != pytest.approx(length(path), rel=1e-6)
    np.testing.assert_allclose(query.polyline(told), path, rtol=1e-14)
    assert (query.polyline(told)[0] == path[0]).all()
    np.testing.assert_allclose(configuration_of(query.state(path[2]), rail.metric), path[2], rtol=1e-14)
    np.testing.assert_allclose(query.goal_distances(), rail.distance(path[0], path[1:]))
    straight = np.linspace(path[0], path[1], 16)[None]
    drawn = Refiner(CollisionModel(rail), world, RefineConfig()).tighten(straight)
    assert drawn.length[0] == pytest.approx(rail.distance(path[0], path[1]), rel=1e-9)


def test_the_metrics_of_a_motion_count_metres_by_the_arm_s_length(rail):
    slide = np.zeros((3, rail.dof))
    slide[:, 0] = [0.0, 0.1, 0.2]
    motion = Trajectory(time=np.array([0.0, 1.0, 2.0]), position=slide, velocity=0 * slide, acceleration=0 * slide)
    assert trajectory_metrics(motion, rail.metric).path_length_rad == pytest.approx(0.2 / ARM)
    plan = dp.plan(rail, dp.Scene(), "home", rail.configuration("home") + slide[2], planner="straight")
    assert plan.metrics is not None
    assert plan.metrics.path_length_rad == pytest.approx(0.2 / ARM, rel=1e-6)
