"""Inverse kinematics against forward kinematics."""

import numpy as np
import pytest

from diffplan.errors import InputError
from diffplan.formats.robot_file import load_robot
from diffplan.geometry.pose import Pose
from diffplan.ik import inverse_kinematics, solve_poses
from diffplan.robot.model import Robot
from diffplan.scene import PoseGoal

BASE = Pose.from_rpy((0.2, -0.1, 0.4), (0.0, 0.1, 1.2))


@pytest.fixture(scope="module")
def robot() -> Robot:
    return load_robot("panda", collision=False)


def _reachable(robot: Robot, q: np.ndarray, link: str = "panda_hand") -> PoseGoal:
    return PoseGoal(link=link, pose=Pose.from_matrix(BASE.matrix @ robot.link_pose(q, link)[0]))


@pytest.mark.parametrize("seed", range(8))
def test_solutions_meet_the_pose_within_the_limits(robot, seed):
    rng = np.random.default_rng(seed)
    q = rng.uniform(robot.lower, robot.upper)
    goal = _reachable(robot, q)
    found = inverse_kinematics(robot, goal, BASE, seeds=64, rng=rng)
    assert len(found) > 0
    assert np.all((found >= robot.lower) & (found <= robot.upper))
    poses = BASE.matrix @ robot.link_pose(found, goal.link)
    np.testing.assert_allclose(poses[:, :3, 3] - goal.pose.xyz, 0, atol=1e-5)
    np.testing.assert_allclose(poses[:, :3, :3] - goal.pose.matrix[:3, :3], 0, atol=2e-4)


def test_solutions_are_distinct_and_of_several_kinds(robot):
    rng = np.random.default_rng(0)
    found = inverse_kinematics(robot, _reachable(robot, robot.configuration("home")), BASE, seeds=64, rng=rng)
    apart = np.abs(found[:, None] - found[None]).max(axis=2) + np.eye(len(found))
    assert len(found) >= 5
    assert apart.min() > 0.05


def test_near_is_found_again_and_comes_first(robot):
    rng = np.random.default_rng(1)
    q = robot.configuration("home")
    found = inverse_kinematics(robot, _reachable(robot, q), BASE, seeds=32, rng=rng, near=q)
    np.testing.assert_allclose(found[0], q, atol=1e-9)
    assert np.all(np.diff(np.linalg.norm(found - q, axis=1)) >= 0)


def test_any_link_may_be_asked_for(robot):
    goal = _reachable(robot, robot.configuration("home"), "panda_leftfinger")
    found = inverse_kinematics(robot, goal, BASE, seeds=32, rng=np.random.default_rng(2))
    poses = BASE.matrix @ robot.link_pose(found, "panda_leftfinger")
    assert len(found) > 0
    np.testing.assert_allclose(poses[:, :3, 3] - goal.pose.xyz, 0, atol=1e-5)


def test_a_pose_out_of_reach_has_no_solution(robot):
    goal = PoseGoal(link="panda_hand", pose=Pose(xyz=(2.0, 0.0, 0.5)))
    found = inverse_kinematics(robot, goal, Pose(), seeds=16, rng=np.random.default_rng(0))
    assert found.shape == (0, robot.dof)


def test_the_same_seed_gives_the_same_solutions(robot):
    goal = _reachable(robot, robot.configuration("left"))
    one, other = (inverse_kinematics(robot, goal, BASE, seeds=16, rng=np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_an_unknown_link_is_an_error_with_a_suggestion(robot):
    with pytest.raises(InputError, match="did you mean 'panda_hand'"):
        inverse_kinematics(
            robot, PoseGoal(link="panda_hnd", pose=Pose()), Pose(), seeds=4, rng=np.random.default_rng(0)
        )


@pytest.mark.parametrize("seed", range(8))
def test_a_pose_with_joints_at_their_limits_is_reached(robot, seed):
    rng = np.random.default_rng(seed)
    q = np.where(rng.random(robot.dof) < 0.5, robot.lower, robot.upper)
    assert len(inverse_kinematics(robot, _reachable(robot, q), BASE, seeds=96, rng=rng)) > 0


def test_each_row_goes_to_its_own_pose_whatever_the_others_do(robot):
    q, seeds = np.random.default_rng(0).uniform(robot.lower, robot.upper, (2, 12, robot.dof))
    poses = robot.link_pose(q, robot.end_link)
    together, arrived = solve_poses(robot, poses, seeds, tolerance=1e-6)
    assert 3 < arrived.sum() < 12
    np.testing.assert_allclose(robot.link_pose(together, robot.end_link)[arrived], poses[arrived], atol=1e-6)
    for i in range(12):
        alone, _ = solve_poses(robot, poses[i : i + 1], seeds[i : i + 1], tolerance=1e-6)
        np.testing.assert_allclose(alone[0], together[i], atol=1e-9)
