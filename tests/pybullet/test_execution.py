"""Following plans in simulated physics."""

from dataclasses import replace

import numpy as np
import pybullet as p
import pytest

import diffplan as dp
from diffplan.certificate.certifier import Certifier
from diffplan.certificate.world import load_robot_body
from diffplan.errors import InputError
from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import Box
from diffplan.problem import Plan, Status, robot_in
from diffplan.pybullet.execution import execute, play
from diffplan.robot.model import Robot
from diffplan.scene import Attached, Scene


@pytest.fixture
def plan(panda, timed):
    home = panda.configuration("home")
    goal = home + np.array([0.6, 0.2, -0.2, 0.3, 0.1, 0.2, -0.3])
    trajectory = timed(np.array([home, goal]), 1.5)
    with Certifier(panda, Scene()) as certifier:
        certificate = certifier.certify(trajectory, start=home, goals=goal[None])
    return Plan(
        status=Status.SOLVED,
        message="",
        planner="test",
        solved_by="test",
        robot=panda,
        scene=Scene(),
        seed=0,
        start=home,
        goals=goal[None],
        trajectory=trajectory,
        certificate=certificate,
    )


def test_position_control_follows_a_smooth_plan_closely_without_contact(plan):
    floor = Box(name="floor", size=(3.0, 3.0, 0.1), pose=Pose(xyz=(0.0, 0.0, -0.05)))
    report = execute(replace(plan, scene=Scene(obstacles=(floor,))))
    assert report.max_tracking_error_rad < 0.01
    assert report.final_error_rad < 0.002
    assert report.contacts == ()


def test_an_obstacle_in_the_way_is_reported_with_link_time_and_depth(plan):
    tip = plan.robot.link_pose(plan.trajectory.position[75:76], "panda_hand")[0, :3, 3]
    wall = Box(name="wall", size=(0.1, 0.1, 0.1), pose=Pose(xyz=tuple(tip)))
    report = execute(replace(plan, scene=Scene(obstacles=(wall,))))
    assert {contact.obstacle for contact in report.contacts} == {"wall"}
    assert any(contact.link in ("panda_hand", "panda_leftfinger", "panda_rightfinger") for contact in report.contacts)
    assert all(0 < contact.time_s < 2.1 and contact.depth_m > 0 for contact in report.contacts)
    assert report.max_tracking_error_rad > 0.01


def test_held_joints_beyond_their_limits_stay_where_they_are_held(plan):
    wide = plan.robot.with_held({"panda_finger_joint1": 0.065, "panda_finger_joint2": 0.065})
    tip = wide.link_pose(plan.trajectory.position[-1:], "panda_leftfinger")[0]
    touching = tip[:3, 3] + tip[:3, :3] @ [0.0, 0.017, 0.03]
    ball = Scene(obstacles=(Box(name="ball", size=(0.002, 0.002, 0.002), pose=Pose(xyz=tuple(touching))),))
    assert execute(replace(plan, robot=wide, scene=ball)).contacts != ()
    assert execute(replace(plan, scene=ball)).contacts == ()


def test_a_plan_plays_in_a_running_world_and_ends_at_its_goal(plan):
    client = p.connect(p.DIRECT)
    try:
        robot = load_robot_body(client, plan.robot, Pose(xyz=(0.5, 0.2, 0.3)))
        robot.place(plan.start)
        with pytest.raises(InputError, match="not certified"):
            play(replace(plan, status=Status.NOT_CERTIFIED), client, robot.body)
        assert play(plan, client, robot.body) < 0.01
        np.testing.assert_allclose(robot.joint_positions(), plan.goals[0], atol=0.005)
        with pytest.raises(InputError, match="not at the start"):
            play(plan, client, robot.body)
    finally:
        p.disconnect(client)


def test_followers_go_with_their_leader_when_a_plan_is_played(rail_file):
    rail = Robot.load(str(rail_file))
    goal = rail.configuration("home")
    goal[3] -= 0.8
    straight = dp.plan(rail, Scene(), "home", goal, planner="straight")
    assert straight.solved, straight.message
    client = p.connect(p.DIRECT)
    try:
        robot = load_robot_body(client, rail, Pose())
        robot.place(straight.start)
        joints = range(p.getNumJoints(robot.body, physicsClientId=client))
        number = {p.getJointInfo(robot.body, i, physicsClientId=client)[1].decode(): i for i in joints}
        assert play(straight, client, robot.body) < 0.05
        ends = {name: p.getJointState(robot.body, number[name], physicsClientId=client)[0] for name in number}
        assert ends["elbow"] == pytest.approx(goal[3], abs=0.02)
        assert ends["counter"] == pytest.approx(-0.5 * goal[3], abs=0.02)
    finally:
        p.disconnect(client)


def test_a_plan_without_trajectory_cannot_be_followed(plan):
    with pytest.raises(InputError, match="no trajectory"):
        execute(replace(plan, trajectory=None, status=Status.NO_PATH_FOUND))


def test_what_is_held_is_carried_along_and_its_contacts_are_told_unless_they_are_allowed(plan):
    rod = Box(name="rod", size=(0.02, 0.02, 0.3), pose=Pose(xyz=(0.0, 0.0, 0.25)))
    scene = Scene(attached=(Attached(obstacle=rod, link="panda_hand"),))
    robot = robot_in(plan.robot, scene)
    middle = robot.link_pose(plan.trajectory.position[len(plan.trajectory.time) // 2], "rod")[0]
    low = Pose.from_matrix(middle) @ Pose(xyz=(0.0, 0.0, 0.16))
    block = Box(name="block", size=(0.04, 0.04, 0.04), pose=Pose(xyz=low.xyz))
    hit = execute(replace(plan, robot=robot, scene=scene.add(block)))
    assert [(contact.link, contact.obstacle) for contact in hit.contacts] == [("rod", "block")]
    assert hit.max_tracking_error_rad < 0.01
    assert execute(replace(plan, robot=robot, scene=scene.add(block).allow("rod", "block"))).contacts == ()
    assert execute(replace(plan, robot=robot, scene=scene)).contacts == ()
