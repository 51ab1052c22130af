"""Our kinematics against PyBullet, pytorch-kinematics and finite differences."""

import numpy as np
import pytest
import torch

from diffplan.certificate.bullet import bullet, connection
from diffplan.certificate.world import load_robot_body
from diffplan.errors import InputError
from diffplan.geometry.pose import Pose, quat_xyzw_from_rotation
from diffplan.robot.model import Robot

FINGERS = ("panda_finger_joint1", "panda_finger_joint2")


@pytest.fixture(scope="module", params=[0.04, 0.065])
def robot(request) -> Robot:
    return Robot.load("panda").with_held(dict.fromkeys(FINGERS, request.param))


@pytest.fixture(scope="module")
def q(robot: Robot) -> np.ndarray:
    return np.random.default_rng(0).uniform(robot.lower, robot.upper, (20, robot.dof))


def test_link_poses_are_pybullets_also_with_the_base_moved(robot, q):
    base = Pose.from_rpy((0.3, -0.2, 0.1), (0.1, 0.2, -0.7))
    with connection() as client:
        body = load_robot_body(client, robot, base)
        for configuration in q:
            body.place(configuration)
            for link, index in body.links.items():
                if index < 0:
                    continue
                state = bullet.getLinkState(body.body, index, computeForwardKinematics=True, physicsClientId=client)
                ours = base.matrix @ robot.link_pose(configuration, link)[0]
                np.testing.assert_allclose(ours[:3, 3], state[4], atol=2e-6)
                quat = np.array(quat_xyzw_from_rotation(ours[:3, :3]))
                assert abs(quat @ np.array(state[5])) == pytest.approx(1, abs=1e-6)


def test_link_poses_are_those_of_pytorch_kinematics(robot, q):
    reference = robot.forward_kinematics(torch.from_numpy(q))
    assert set(robot.chain.placement) <= set(reference)
    links = list(robot.chain.placement)
    for link, poses in zip(links, robot.link_poses(q, links).swapaxes(0, 1), strict=True):
        np.testing.assert_allclose(poses, reference[link].numpy(), atol=1e-9)
        np.testing.assert_array_equal(robot.link_pose(q, link), poses)


def test_held_fingers_stand_where_they_are_held(robot):
    hand, left, right = (
        robot.link_pose(robot.configuration("home"), f"panda_{link}")[0]
        for link in ("hand", "leftfinger", "rightfinger")
    )
    opening = robot.held_joints[FINGERS[0]]
    np.testing.assert_allclose((np.linalg.inv(hand) @ left)[:3, 3], [0, opening, 0.0584], atol=1e-12)
    np.testing.assert_allclose((np.linalg.inv(hand) @ right)[:3, 3], [0, -opening, 0.0584], atol=1e-12)


@pytest.mark.parametrize("link", ["panda_link4", "panda_hand", "panda_leftfinger"])
def test_the_jacobian_is_the_finite_difference_of_the_pose(robot, q, link):
    jacobian = robot.jacobian(torch.from_numpy(q), link).numpy()
    width, step = jacobian.shape[2], 1e-6
    for k in range(width):
        forward, backward = q.copy(), q.copy()
        forward[:, k] += step
        backward[:, k] -= step
        after, before, here = (robot.link_pose(values, link) for values in (forward, backward, q))
        linear = (after[:, :3, 3] - before[:, :3, 3]) / (2 * step)
        spin = (after[:, :3, :3] - before[:, :3, :3]) / (2 * step) @ here[:, :3, :3].transpose(0, 2, 1)
        angular = np.stack([spin[:, 2, 1], spin[:, 0, 2], spin[:, 1, 0]], axis=1)
        np.testing.assert_allclose(jacobian[:, :, k], np.concatenate([linear, angular], axis=1), atol=1e-7)


def test_forward_kinematics_is_differentiable():
    robot = Robot.load("panda")
    q = torch.from_numpy(robot.configuration("home"))[None].requires_grad_()
    robot.forward_kinematics(q)["panda_hand"][0, 2, 3].backward()
    height = robot.jacobian(q.detach(), "panda_hand")[0, 2]
    assert q.grad is not None
    np.testing.assert_allclose(q.grad[0].numpy(), height.numpy(), atol=1e-9)


def test_normalising_maps_the_limits_to_one_and_back(robot, q):
    np.testing.assert_allclose(robot.normalise(robot.lower), -1)
    np.testing.assert_allclose(robot.normalise(robot.upper), 1)
    np.testing.assert_allclose(robot.denormalise(robot.normalise(q)), q, atol=1e-12)


def test_the_links_with_geometry_are_the_eleven_of_the_panda(robot):
    assert len(robot.links) == 11
    assert "panda_link8" not in robot.links


def test_every_pair_of_links_is_either_ignored_or_certified(robot):
    pairs = {frozenset(pair) for pair in robot.certified_pairs}
    assert pairs.isdisjoint(robot.touching)
    assert len(pairs) + len(robot.touching) == 11 * 10 // 2
    assert {frozenset(pair) for pair in robot.checked_pairs} == pairs - robot.never_touching


def test_unknown_names_are_errors_that_name_the_known_ones(robot):
    with pytest.raises(InputError, match="did you mean 'panda_hand'"):
        robot.link_pose(robot.configuration("home"), "panda_hnd")
    with pytest.raises(InputError, match="did you mean 'home'"):
        robot.configuration("hom")
    with pytest.raises(InputError, match="panda_finger_joint1"):
        robot.with_held({"panda_joint1": 0.0})
