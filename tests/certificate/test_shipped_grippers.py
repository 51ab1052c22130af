"""Grippers of shipped robots whose second finger follows the first (URDF `mimic`): both move, whoever looks."""

import numpy as np
import pytest

from diffplan.certificate.certifier import Certifier
from diffplan.collision.cpu import CollisionModel
from diffplan.collision.obstacles import Obstacles
from diffplan.errors import InputError
from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import Sphere
from diffplan.pybullet.robot_picture import robot_picture
from diffplan.robot.model import Robot
from diffplan.scene import Scene

LEAD, FOLLOWER = 0, 1
TIPS = {
    "panda": ("panda_leftfinger", "panda_rightfinger"),
    "gen3": ("robotiq_85_left_finger_tip_link", "robotiq_85_right_finger_tip_link"),
}


@pytest.fixture(params=TIPS)
def hands(request):
    """The robot with an open and with a closed gripper, of which only the first finger's joint is set."""
    try:
        robot = Robot.load(request.param)
    except InputError as error:  # the Gen3's package is not one that diffplan needs
        if "pip install" not in str(error):
            raise
        pytest.skip(str(error))
    assert robot.gripper is not None
    (lead,) = (name for name in robot.gripper.joints if robot.model.joints[name].mimic is None)
    opened, closed = robot.gripper.joints[lead]
    return robot.with_held({lead: opened}), robot.with_held({lead: closed}), TIPS[request.param]


def _middle(robot, link):
    corners = np.concatenate([part for shape in robot.model.collisions[link] for part in shape.corners()])
    pose = robot.link_pose(robot.configuration("home"), link)[0]
    return pose[:3, :3] @ corners.mean(axis=0) + pose[:3, 3]


@pytest.mark.parametrize("finger", [LEAD, FOLLOWER])
def test_what_stands_where_a_finger_is_when_open_touches_it_only_then(hands, finger):
    opened, closed, tips = hands
    ball = Sphere(name="ball", radius=0.004, pose=Pose(xyz=tuple(_middle(opened, tips[finger]))))
    scene, q = Scene(obstacles=(ball,)), opened.configuration("home")
    assert np.linalg.norm(_middle(opened, tips[finger]) - _middle(closed, tips[finger])) > 0.03
    with Certifier(opened, scene) as certifier:
        assert (tips[finger], "ball") in certifier.touching(q)
    with Certifier(closed, scene) as certifier:
        assert (tips[finger], "ball") not in certifier.touching(q)
    world = Obstacles.around(opened, scene)
    clear = [float(CollisionModel(robot).clearance(world, q[None])[0][0]) for robot in (opened, closed)]
    assert clear[0] < 0
    assert clear[1] > clear[0] + 0.003


def test_the_picture_shows_both_fingers_moved(hands):
    opened, closed, tips = hands
    q = opened.configuration("home")
    moved = [_middle(closed, tip) - _middle(opened, tip) for tip in tips]
    assert np.dot(*moved) < 0  # towards each other
    assert robot_picture(opened, q) != robot_picture(closed, q)
