"""Kinematics, kernel, certificate, motion bound and planners over three robots, two of which are not ours."""

import numpy as np
import pytest
import torch

import diffplan as dp
from diffplan.certificate.bullet import connection
from diffplan.certificate.certifier import Certifier
from diffplan.certificate.frames import link_frame
from diffplan.certificate.motion_bound import cover, travel
from diffplan.certificate.pair_table import Pairs
from diffplan.certificate.world import load_robot_body
from diffplan.collision.cpu import CollisionModel, Obstacles
from diffplan.collision.torch_backend import TorchCollision
from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import Box, Sphere
from diffplan.ik import inverse_kinematics
from diffplan.robot.model import Robot
from diffplan.scene import PoseGoal, Scene

SCENE = Scene(
    name="ball",
    obstacles=(
        Sphere(name="ball", radius=0.08, pose=Pose(xyz=(0.1, -0.75, 0.9))),
        Box(name="post", size=(0.1, 0.1, 0.3), pose=Pose(xyz=(-0.9, 0.4, 0.2))),
    ),
)


def configurations(robot: Robot, count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(robot.lower, robot.upper, (count, robot.dof))


def test_the_certificate_s_links_stand_where_our_kinematics_and_the_reference_put_them(any_robot):
    q = configurations(any_robot, 10)
    reference = any_robot.forward_kinematics(torch.from_numpy(q))
    with connection() as client:
        body = load_robot_body(client, any_robot, Pose())
        for i, configuration in enumerate(q):
            body.place(configuration)
            for link in any_robot.links:
                ours = any_robot.link_pose(configuration, link)[0]
                np.testing.assert_allclose(ours, reference[link][i], atol=1e-9)
                seen = link_frame(client, body.body, body.links[link]).matrix
                np.testing.assert_allclose(ours, seen, atol=5e-6)


def test_kernel_and_torch_agree(any_robot):
    world, q = Obstacles.pack([SCENE]), configurations(any_robot, 48, seed=1)[None]
    reach = {"activation": 0.2, "self_activation": 0.05}
    one, other = (
        backend.evaluate(world, q, **reach) for backend in (CollisionModel(any_robot), TorchCollision(any_robot))
    )
    assert one.cost.max() > 0
    for name in ("cost", "gradient", "clearance", "self_clearance"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-9)


def test_spheres_never_tell_more_room_than_the_certificate_measures(any_robot):
    """Beyond what they leave uncovered, and the edges that PyBullet rounds."""
    scene = Scene(obstacles=(Sphere(name="ball", radius=0.15, pose=Pose(xyz=(0.3, -0.35, 0.6))),))
    model, world = CollisionModel(any_robot), Obstacles.pack([scene])
    q = configurations(any_robot, 60, seed=2)
    told = model.clearance(world, q)[0]
    with Certifier(any_robot, scene) as certifier:
        measured = np.array([certifier.clearance(one) for one in q])
    near = told < 0.14
    assert near.any()
    assert (told[near] <= measured[near] + 0.012).all()


def test_no_point_of_a_link_travels_farther_than_the_bound(any_robot):
    rng, shapes = np.random.default_rng(3), cover(any_robot)
    path = np.cumsum(rng.normal(scale=0.3, size=(8, any_robot.dof)), axis=0) + any_robot.configuration("home")
    bound = travel(any_robot, shapes, path).sum(axis=2)[-1]
    dense = np.stack([np.interp(np.linspace(0, 7, 281), np.arange(8), joint) for joint in path.T], axis=1)
    for link, most in zip(any_robot.links, bound, strict=True):
        poses = any_robot.link_pose(dense, link)
        corners = np.concatenate([part for shape in any_robot.model.collisions[link] for part in shape.corners()])[::3]
        points = np.einsum("nij,pj->npi", poses[:, :3, :3], corners) + poses[:, None, :3, 3]
        assert np.linalg.norm(np.diff(points, axis=0), axis=2).sum(axis=0).max() <= most + 1e-9


def _corners(robot: Robot, link: str, q: np.ndarray) -> np.ndarray:
    """Corners of a link [n, m, 3] at configurations q [n, dof], in the base frame."""
    corners = np.concatenate([part for shape in robot.model.collisions[link] for part in shape.corners()])[::7]
    poses = robot.link_pose(q, link)
    return np.einsum("nij,pj->npi", poses[:, :3, :3], corners) + poses[:, None, :3, 3]


def test_links_on_two_branches_come_no_nearer_to_each_other_than_the_bound_of_their_pair_says(any_robot):
    """Of the arm on a rail, a counterweight that follows the elbow hangs beside the arm; others have one branch."""
    shapes = cover(any_robot)
    pairs, rng = Pairs.of(any_robot, Scene(), shapes), np.random.default_rng(5)
    moved = pairs.ways.reshape(len(pairs.ways), len(any_robot.links), -1).any(axis=2).sum(axis=1)
    forked = np.flatnonzero(moved == 2)
    assert (len(forked) > 0) == (any_robot.name == "rail")
    for step in (0.05, 0.5):
        path = np.cumsum(rng.normal(scale=step, size=(8, any_robot.dof)), axis=0) + any_robot.configuration("home")
        dense = np.stack([np.interp(np.linspace(0, 7, 141), np.arange(8), joint) for joint in path.T], axis=1)
        bound = pairs.travel(travel(any_robot, shapes, path))
        for k in range(len(pairs.names)):
            one, other = (_corners(any_robot, any_robot.links[i], dense) for i in pairs.ends[k])
            apart = np.linalg.norm(one[:, :, None] - other[:, None], axis=3)
            change = np.abs(np.diff(apart, axis=0)).sum(axis=0).max()
            assert change <= bound[-1, k] + 1e-9, pairs.names[k]
            nearer = (apart[::20][:1] - apart[::20]).max(axis=(1, 2))
            assert (nearer <= bound[:, k] - bound[0, k] + 1e-9).all(), pairs.names[k]


def test_inverse_kinematics_brings_the_end_link_home(any_robot):
    home = any_robot.configuration("home")
    end = any_robot.end_link
    goal = PoseGoal(link=end, pose=Pose.from_matrix(any_robot.link_pose(home, end)[0]))
    found = inverse_kinematics(any_robot, goal, Pose(), rng=np.random.default_rng(0), near=home)
    np.testing.assert_allclose(found[0], home, atol=2e-3)


@pytest.mark.parametrize(
    ("planner", "options"),
    [("straight", None), ("rrtconnect", None), ("chomp", None), ("stomp", None), ("diffusion", {"seeds": "random"})],
)
def test_planners_that_need_no_learning_plan_for_any_robot(any_robot, planner, options):
    start = any_robot.configuration("home")
    goal = start + np.where(any_robot.prismatic, 0.1, 0.3)
    plan = dp.plan(any_robot, SCENE, start, goal, planner=planner, options=options, fallback=False, timeout=60.0)
    assert plan.solved, plan.message
    assert plan.certificate.valid
    np.testing.assert_allclose(plan.trajectory.position[-1], goal, atol=1e-6)


@pytest.mark.parametrize(
    ("planner", "options"), [("rrtconnect", None), ("stomp", None), ("diffusion", {"seeds": "random"})]
)
def test_continuous_joints_go_the_short_way_from_any_turn(rail_file, planner, options):
    robot = Robot.load(str(rail_file))
    start, goal = robot.configuration("home"), robot.configuration("home")
    start[1], start[4], goal[1], goal[4] = 3.0, 21.0, -3.0, -1.0
    plan = dp.plan(robot, SCENE, start, goal, planner=planner, options=options, fallback=False, timeout=60.0)
    assert plan.solved, plan.message
    position = plan.trajectory.position
    np.testing.assert_allclose(position[0], start, atol=1e-9)
    assert np.abs(np.diff(position, axis=0)).max() < 0.1  # no jump
    assert position[-1, 1] == pytest.approx(2 * np.pi - 3.0, abs=1e-6)
    assert np.cos(position[-1, 4] + 1.0) == pytest.approx(1.0)
    assert abs(position[-1, 4] - 21.0) <= np.pi
    assert plan.certificate.goal_error_rad < 1e-6
