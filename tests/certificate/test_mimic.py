"""Joints that follow others (URDF `mimic`) move in the planner, the certificate, the pictures and simulated physics."""

import numpy as np
import pybullet as p
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffplan.certificate.bullet import connection
from diffplan.certificate.certifier import Certifier
from diffplan.certificate.world import load_obstacle, load_robot_body
from diffplan.collision.obstacles import Obstacles
from diffplan.errors import InputError
from diffplan.formats.robot_file import load_robot
from diffplan.formats.scene_file import load_scene
from diffplan.geometry.pose import Pose
from diffplan.problem import robot_in
from diffplan.pybullet.stage_set import load_coloured
from diffplan.robot.urdf import load_urdf
from diffplan.scene import Scene, Urdf

LINK = '<link name="{}"><collision><geometry><box size="0.02 0.02 0.1"/></geometry></collision></link>'
JOINT = (
    '<joint name="{name}" type="{kind}"><parent link="{parent}"/><child link="{child}"/><origin xyz="{xyz}"/>'
    '<axis xyz="{axis}"/><limit lower="-2" upper="2" effort="1" velocity="1"/>{more}</joint>'
)


def _joint(name, parent, child, *, kind="prismatic", xyz="0 0 0.1", axis="0 1 0", more=""):
    return JOINT.format(name=name, kind=kind, parent=parent, child=child, xyz=xyz, axis=axis, more=more)


def _gripper(folder, *, mimic=True, multiplier="-1", offset="0.01"):
    """Two fingers and a nail that turns with the second: right = -left + 0.01, nail = 2 * right."""
    follow = f'<mimic joint="left" multiplier="{multiplier}" offset="{offset}"/>' if mimic else ""
    turn = '<mimic joint="right" multiplier="2"/>' if mimic else ""
    file = folder / ("gripper.urdf" if mimic else "free.urdf")
    file.write_text(
        '<robot name="gripper">'
        + "".join(LINK.format(name) for name in ("palm", "one", "two", "nail"))
        + _joint("nail", "two", "nail", kind="revolute", xyz="0 0 0.1", axis="1 0 0", more=turn)
        + _joint("right", "palm", "two", more=follow)
        + _joint("left", "palm", "one")
        + "</robot>"
    )
    return file


def _urdf(file, joints, scale=1.0):
    return Urdf(name="gripper", file=file, joints=joints, scale=scale, pose=Pose.from_rpy((0.4, 0.1, 0.5), (0.3, 0, 1)))


@pytest.mark.parametrize("scale", [1.0, 1.7])
@settings(max_examples=15, deadline=None)
@given(left=st.floats(-0.5, 0.5))
def test_followers_stand_where_written_out_values_put_them(tmp_path_factory, scale, left):
    folder = tmp_path_factory.mktemp("gripper")
    right = -left + 0.01 * scale  # offsets grow with the model, values are m of the world
    turned = 2 * right / scale
    follows = _urdf(_gripper(folder), {"left": left}, scale)
    written = _urdf(_gripper(folder, mimic=False), {"left": left, "right": right, "nail": turned}, scale)
    one, other = (Obstacles.pack([Scene(obstacles=(urdf,))]).double for urdf in (follows, written))
    np.testing.assert_allclose(one.frame, other.frame, atol=1e-12)
    with connection() as client:
        bodies = [load_obstacle(client, urdf) for urdf in (follows, written)]
        boxes = [[p.getAABB(body, link, physicsClientId=client) for link in range(-1, 3)] for body in bodies]
        np.testing.assert_allclose(boxes[0], boxes[1], atol=1e-9)
        centres = np.mean(boxes[0], axis=1)
    packed = Obstacles.pack([Scene(obstacles=(follows,))])
    ours = np.sort([row.T_base_solid[:3, 3] for row in packed.rows], axis=0)
    np.testing.assert_allclose(ours, np.sort(centres, axis=0), atol=1e-6)  # planner and certificate agree


def test_the_other_finger_blocks_the_way_in_planner_certificate_and_picture(tmp_path, panda):
    home = panda.configuration("home")
    hand = panda.link_pose(home[None], "panda_hand")[0, :3, 3]
    free = Urdf(
        name="g", file=_gripper(tmp_path), joints={"left": 0.0}, pose=Pose(xyz=(hand[0], hand[1] - 0.3, hand[2]))
    )
    blocking = Urdf(
        name="g", file=free.file, joints={"left": -0.29}, pose=free.pose
    )  # the right one: +0.3, into the hand
    with Certifier(panda, Scene(obstacles=(free,))) as certifier:
        assert certifier.check(home).free
    scene = Scene(obstacles=(blocking,))
    with Certifier(panda, scene) as certifier:
        check = certifier.check(home)
    assert not check.free
    assert check.obstacle == "g"
    rows = Obstacles.pack([scene]).rows
    assert min(np.linalg.norm(row.T_base_solid[:3, 3] - hand) for row in rows) < 0.11
    with connection() as client:
        (body,) = load_coloured(client, scene)
        lows, highs = zip(*(p.getAABB(body, link, physicsClientId=client) for link in range(3)), strict=True)
        assert np.max(highs, axis=0)[1] > hand[1]
        assert np.min(lows, axis=0)[1] < hand[1] - 0.55


@pytest.mark.parametrize(
    ("joints", "match"),
    [
        (
            {"left": 0.1, "right": 0.1},
            r"g\.joints\.right: it follows left \(mimic\), which puts it at -0\.09.*left alone",
        ),
        ({"right": 0.1}, r"g\.joints\.right: it follows left"),
        ({"lef": 0.1}, r"no movable joint 'lef' \(did you mean 'left'\?\)"),
        ({"left": 2.5}, r"g\.joints\.left: outside the joint's limits \(found 2\.5\); allowed: -2 \.\.\. 2"),
    ],
)
def test_joints_that_cannot_stand_so_are_refused_by_planner_and_certificate(tmp_path, joints, match):
    scene = Scene(obstacles=(Urdf(name="g", file=_gripper(tmp_path), joints=joints),))
    with pytest.raises(InputError, match=match):
        Obstacles.pack([scene])
    with pytest.raises(InputError, match=match), connection() as client:
        load_obstacle(client, scene.obstacles[0])


def test_a_scene_file_says_on_which_line_a_follower_is_set_against_its_leader(tmp_path):
    _gripper(tmp_path)
    file = tmp_path / "scene.yaml"
    text = "format: diffplan/scene@1\nname: a\nobstacles:\n  - name: g\n    type: urdf\n    file: gripper.urdf\n"
    file.write_text(text + "    pose: {xyz: [1, 0, 0]}\n    joints:\n      left: 0.1\n      right: 0.1\n")
    with pytest.raises(InputError, match=r"scene\.yaml:10: .*right: it follows left"):
        load_scene(file)
    file.write_text(text + "    pose: {xyz: [1, 0, 0]}\n    joints:\n      left: 0.1\n      right: -0.09\n")
    (gripper,) = load_scene(file).obstacles
    assert isinstance(gripper, Urdf)
    assert gripper.joints == {"left": 0.1, "right": -0.09}  # what it would have been anyway


@pytest.mark.parametrize(
    ("left", "match"),
    [
        ('<mimic joint="nobody"/>', r"left: it mimics a joint that is not there"),
        ('<mimic joint="nail"/>', r"mimic each other in a circle"),
        ('<mimic joint="left"/>', r"mimic each other in a circle"),
        ('<mimic joint="right" multiplier="two"/>', r"multiplier: not numbers \(found 'two'\)"),
    ],
)
def test_a_mimic_that_leads_nowhere_is_refused(tmp_path, left, match):
    file = _gripper(tmp_path)
    file.write_text(file.read_text().replace("</joint></robot>", f"{left}</joint></robot>"))
    with pytest.raises(InputError, match=match):
        load_urdf(file)


ROBOT = """format: diffplan/robot@1
name: two
urdf: {{file: robot.urdf}}
base_link: base
end_link: hand
joints:
  {planned}: {{velocity: 1, acceleration: 1, jerk: 1}}
held_joints: {{{held}}}
configurations: {{home: [0.0]}}
collision: collision.yaml
"""


def _robot(folder, *, planned="turn", held="left: 0.02", leader="left"):
    (folder / "robot.urdf").write_text(
        '<robot name="two">'
        + "".join(LINK.format(name) for name in ("base", "hand", "one", "two"))
        + _joint("turn", "base", "hand", kind="revolute", axis="0 0 1")
        + _joint("left", "hand", "one")
        + _joint("right", "hand", "two", more=f'<mimic joint="{leader}" multiplier="-0.5" offset="0.001"/>')
        + "</robot>"
    )
    (folder / "robot.yaml").write_text(ROBOT.format(planned=planned, held=held))
    return load_robot(folder, collision=False)


def test_a_gripper_of_a_robot_file_is_held_by_its_leader_alone(tmp_path):
    robot = _robot(tmp_path)
    assert robot.held_joints == pytest.approx({"left": 0.02, "right": -0.009})
    opened = robot.with_held({"left": 0.1})
    assert opened.held_joints == pytest.approx({"left": 0.1, "right": -0.049})
    q = np.array([[0.7]])
    with connection() as client:
        body = load_robot_body(client, opened, Pose())
        body.place(q[0])
        for link in ("one", "two"):
            seen = p.getLinkState(body.body, body.links[link], computeForwardKinematics=True, physicsClientId=client)
            np.testing.assert_allclose(opened.link_pose(q, link)[0, :3, 3], seen[4], atol=1e-9)
    torch = pytest.importorskip("torch")
    poses = opened.forward_kinematics(torch.tensor(q))
    np.testing.assert_allclose(poses["two"][0].numpy(), opened.link_pose(q, "two")[0], atol=1e-9)


def test_a_follower_cannot_be_held_against_its_leader(tmp_path):
    robot = _robot(tmp_path)
    with pytest.raises(InputError, match="right: it follows left"):
        robot.with_held({"right": 0.02})
    assert robot.with_held({"left": 0.1, "right": -0.0491}).held_joints == {"left": 0.1, "right": -0.0491}  # measured
    with pytest.raises(InputError, match=r"robot\.yaml:8: held_joints\.right: it follows left"):
        _robot(tmp_path, held="left: 0.02, right: 0.02")


def test_a_joint_that_follows_another_cannot_be_planned_for(tmp_path):
    with pytest.raises(InputError, match=r"robot\.yaml:7: joints: right mimics left: joints that follow"):
        _robot(tmp_path, planned="right", held="")


def test_the_shipped_pandas_second_finger_follows_the_first(panda):
    assert panda.with_held({"panda_finger_joint1": 0.013}).held_joints == {
        "panda_finger_joint1": 0.013,
        "panda_finger_joint2": 0.013,
    }
    with pytest.raises(InputError, match="panda_finger_joint2: it follows panda_finger_joint1"):
        panda.with_held({"panda_finger_joint1": 0.0, "panda_finger_joint2": 0.04})


def test_a_scene_that_holds_the_first_finger_moves_the_second_and_measured_ones_stay(panda):
    one = {"panda_finger_joint1": 0.013}
    assert robot_in(panda, Scene(hold=one)).held_joints == dict.fromkeys(panda.held_joints, 0.013)
    measured = {"panda_finger_joint1": 0.013, "panda_finger_joint2": 0.027}
    assert robot_in(panda, Scene(hold=measured)).held_joints == measured
