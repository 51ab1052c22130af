"""Grippers whose second finger follows the first (URDF `mimic`): both move, whoever looks."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pybullet_data
import pytest

from diffplan.certificate.bullet import connection
from diffplan.certificate.certifier import Certifier
from diffplan.certificate.frames import link_frame
from diffplan.certificate.world import load_robot_body
from diffplan.collision.cpu import CollisionModel
from diffplan.collision.obstacles import Obstacles
from diffplan.errors import InputError
from diffplan.formats.robot_file import load_robot
from diffplan.formats.robot_writer import robot_text
from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import Sphere
from diffplan.pybullet.failure import Arm
from diffplan.pybullet.render import place_arm
from diffplan.pybullet.robot_picture import robot_picture
from diffplan.robot.discovery import Wishes, anatomy
from diffplan.robot.model import CollisionSpheres, Robot
from diffplan.robot.urdf import load_urdf
from diffplan.scene import Scene
from diffplan.studio.nodes import ArmNodes

LEAD, FOLLOWER = 0, 1
TIPS = {
    "panda": ("panda_leftfinger", "panda_rightfinger"),
    "gen3": ("robotiq_85_left_finger_tip_link", "robotiq_85_right_finger_tip_link"),
}


@pytest.fixture(params=TIPS)
def hands(request):
    """The robot with an open and with a closed gripper, and the links of its fingertips."""
    return *_open_and_closed(_shipped(request.param)), TIPS[request.param]


def _shipped(name):
    try:
        return Robot.load(name)
    except InputError as error:  # the Gen3's package is not one that diffplan needs
        if "pip install" not in str(error):
            raise
        pytest.skip(str(error))


def _xarm(folder):
    """The arm of a package that diffplan needs, five joints of whose gripper follow one; a sphere in each link."""
    model = load_urdf(Path(pybullet_data.getDataPath()) / "xarm" / "xarm6_with_gripper.urdf")
    parts, urdf = anatomy(model, Wishes()), {"file": str(model.file)}
    home = {"home": np.zeros(len(parts.joint_names))}
    (folder / "robot.yaml").write_text(robot_text("xarm", urdf, model, parts, packages={}, configurations=home))
    robot, links = load_robot(folder, collision=False), [link for link, shapes in model.collisions.items() if shapes]
    centres = [
        np.concatenate([c for shape in model.collisions[link] for c in shape.corners()]).mean(0) for link in links
    ]
    number, radius = np.arange(len(links)), np.full(len(links), 0.01)
    spheres = CollisionSpheres(links=tuple(links), link=number, centre=np.array(centres), radius=radius)
    return replace(robot, spheres=spheres)


def _open_and_closed(robot):
    """The robot with an open and with a closed gripper, of which only the first finger's joint is set."""
    assert robot.gripper is not None
    (lead,) = (name for name in robot.gripper.joints if robot.model.joints[name].mimic is None)
    opened, closed = robot.gripper.joints[lead]
    return robot.with_held({lead: opened}), robot.with_held({lead: closed})


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


class _Frames:
    """Stands for the studio's page: keeps the frames that are added, by name."""

    def __init__(self):
        self.frames = {}

    def add_frame(self, name, **_):
        self.frames[name] = SimpleNamespace(position=None, wxyz=None)
        return self.frames[name]


def _kernel_spheres(robot, finger):
    """The compiled kernel's sphere centres [n, 3] of a link, in the frame of the body that carries it."""
    counts = [int((robot.spheres.link == robot.spheres.links.index(link)).sum()) for link in robot.links]
    first = sum(counts[: robot.links.index(finger)])
    return CollisionModel(robot).double.sphere[first : first + counts[robot.links.index(finger)], :3]


@pytest.mark.parametrize("gripper", [*TIPS, "xarm6"])
def test_all_fingers_move_as_the_urdf_says_in_kernel_certificate_picture_and_studio(gripper, tmp_path):
    robot = _shipped(gripper) if gripper in TIPS else _xarm(tmp_path)
    opened, closed = _open_and_closed(robot)
    model, q, fingers = opened.model, opened.configuration("home"), opened.gripper.may_touch
    expected = {}
    for robot in (opened, closed):
        values = dict(zip(robot.joint_names, q, strict=True))
        for name, joint in model.joints.items():
            if joint.mimic is not None:  # of these grippers all follow one joint
                lead = robot.held_joints[joint.mimic.leader]
                values[name] = joint.mimic.multiplier * lead + joint.mimic.offset
            elif name in robot.held_joints:
                values[name] = robot.held_joints[name]
        expected[robot] = model.link_poses(values)
        page = _Frames()
        arm = ArmNodes(page, "arm", dict.fromkeys(fingers, ()))
        arm.place(robot, Pose(), q)
        with connection() as client:
            certified = load_robot_body(client, robot, Pose())
            certified.place(q)
            drawn = place_arm(client, robot, Scene(), Arm(q=q))
            for finger in fingers:
                frame = expected[robot][finger]
                for body in (certified, drawn):
                    seen = link_frame(client, body.body, body.links[finger]).matrix
                    np.testing.assert_allclose(seen, frame, atol=1e-5)
                np.testing.assert_allclose(page.frames[f"arm/{finger}"].position, frame[:3, 3], atol=1e-6)
    assert len(fingers) >= 2
    for finger in fingers:
        centres = opened.spheres.centre[opened.spheres.link == opened.spheres.links.index(finger)]
        places = [centres @ T[finger][:3, :3].T + T[finger][:3, 3] for T in expected.values()]
        way = np.linalg.norm(places[1] - places[0], axis=1)
        assert way.max() > 0.01
        ours = np.linalg.norm(_kernel_spheres(closed, finger) - _kernel_spheres(opened, finger), axis=1)
        np.testing.assert_allclose(np.sort(ours), np.sort(way), atol=1e-5)
