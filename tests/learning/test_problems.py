"""Starts, goals and the paths between them."""

from dataclasses import replace

import numpy as np
import pytest

from diffplan.collision.cpu import CollisionModel, Obstacles
from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import Box
from diffplan.ik import solve_poses
from diffplan.learning.families import draw_scene
from diffplan.learning.generate import WAYPOINTS, PathConfig, solve
from diffplan.learning.layout import FORWARD, DrawnScene, Place
from diffplan.learning.problems import (
    ANYWHERE,
    Clearances,
    DrawnProblem,
    draw_endpoints,
    seeds,
    tool_in_end,
    tool_offset,
)
from diffplan.learning.tighten import tighten
from diffplan.planners.polyline import dense, length, resample
from diffplan.robot.model import Robot, Tool
from diffplan.scene import Scene

CLEAR = Clearances()


@pytest.fixture(scope="module")
def model() -> CollisionModel:
    return CollisionModel(Robot.load("panda"))


@pytest.fixture(scope="module")
def wall() -> Obstacles:
    """A wall ahead of the robot, to be passed on its near side or above."""
    box = Box(name="wall", size=(0.6, 0.04, 0.6), pose=Pose(xyz=(0.65, 0.0, 0.3)))
    return Obstacles.pack([Scene(obstacles=(box,))])


def across(model: CollisionModel) -> DrawnProblem:
    home = model.robot.configuration("home")
    start, goal = home.copy(), home.copy()
    start[0], goal[0] = 0.9, -0.9
    start[1] = goal[1] = 0.1
    return DrawnProblem(start=start, goal=goal, kind=0)


def test_solved_poses_are_reached_inside_the_limits(model: CollisionModel) -> None:
    robot, rng = model.robot, np.random.default_rng(0)
    target = robot.link_pose(rng.uniform(robot.lower, robot.upper, (100, robot.dof)), robot.end_link)
    q, solved = solve_poses(robot, target, seeds(robot, rng, 100), tolerance=1e-3)
    assert solved.mean() > 0.3
    assert np.abs(robot.link_pose(q[solved], robot.end_link) - target[solved]).max() < 3e-3
    assert np.all((q >= robot.lower) & (q <= robot.upper))


@pytest.mark.parametrize("family", ["bookshelf", "under_table"])
def test_endpoints_are_clear_and_reach_into_their_places(model: CollisionModel, family: str) -> None:
    robot, rng = model.robot, np.random.default_rng(2)
    drawn = draw_scene(family, rng)
    world = Obstacles.pack([drawn.scene])
    endpoints = draw_endpoints(model, world, drawn, rng, wanted=6, clear=CLEAR)
    inside = endpoints.place != ANYWHERE
    assert inside.sum() >= 2
    assert (~inside).sum() >= 1
    obstacle, own = model.clearance(world, endpoints.q)
    assert obstacle.min() >= CLEAR.obstacle
    assert own.min() >= CLEAR.self
    hand = robot.link_pose(endpoints.q[inside], robot.tool_frame.link)
    tool = hand[:, :3, 3] + tool_offset(robot) * hand[:, :3, 2]
    for point, index in zip(tool, endpoints.place[inside], strict=True):
        place = drawn.places[index]
        local = np.linalg.inv(place.frame) @ [*point, 1.0]
        assert np.all(np.abs(local[:3]) <= np.array(place.size) / 2 + 3e-3)


def test_a_named_tool_reaches_into_places_the_way_it_points(model: CollisionModel) -> None:
    """Whatever the end link's own axes are: here the tool points along its x."""
    pose = Pose.from_rpy((0.05, 0.0, 0.02), (0.0, np.pi / 2, 0.0))
    robot = replace(model.robot, tool=Tool(link="panda_hand", pose=pose))
    np.testing.assert_allclose(tool_in_end(robot), pose.matrix, atol=1e-12)
    bare = replace(model.robot, tool=None)
    np.testing.assert_array_equal(tool_in_end(bare), np.eye(4))
    assert tool_offset(robot) < tool_offset(bare)  # the fingers are along z
    place = Place(name="place", frame=np.eye(4), size=(0.2, 0.2, 0.2), approach=FORWARD, tilt=0.2)
    place.frame[:3, 3] = (0.45, 0.0, 0.5)
    drawn, world = DrawnScene(family="none", obstacles=(), places=(place,)), Obstacles.pack([Scene()])
    found = draw_endpoints(CollisionModel(robot), world, drawn, np.random.default_rng(0), wanted=4, clear=CLEAR)
    tool = robot.link_pose(found.q[found.place == 0], robot.end_link) @ pose.matrix
    assert len(tool) == 4
    assert (tool[:, 0, 2] > np.cos(0.2) - 2e-3).all()  # its z points forward
    tips = tool[:, :3, 3] + tool_offset(robot) * tool[:, :3, 2]
    assert np.abs(tips - place.frame[:3, 3]).max() <= 0.1 + 3e-3


def test_a_solved_path_keeps_its_margin_between_waypoints_and_its_ends(model: CollisionModel, wall: Obstacles) -> None:
    problem, config = across(model), PathConfig()
    path = solve(model, wall, problem, np.random.default_rng(0), config=config)[0]
    assert path.shape == (WAYPOINTS, model.robot.dof)
    assert np.array_equal(path[[0, -1]], [problem.start, problem.goal])
    obstacle, own = model.clearance(wall, dense(path, 0.005))
    assert obstacle.min() > config.final_margin - 1e-3
    assert own.min() > config.self_margin - 1e-3
    steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
    assert steps.max() < 1.1 * steps.min()


def test_one_generator_state_gives_one_path(model: CollisionModel, wall: Obstacles) -> None:
    problem = across(model)
    paths = [solve(model, wall, problem, np.random.default_rng(s), config=PathConfig(trees=1))[0] for s in (5, 6, 5)]
    assert np.array_equal(paths[0], paths[2])
    assert not np.array_equal(paths[0], paths[1])


def test_straight_problems_are_left_out_when_none_is_wanted(model: CollisionModel) -> None:
    problem, nothing = across(model), Obstacles.pack([Scene()])
    rng, config = np.random.default_rng(0), PathConfig()
    (straight,) = solve(model, nothing, problem, rng, config=config, keep_straight=1.0)
    assert length(straight) == pytest.approx(np.linalg.norm(problem.goal - problem.start))
    assert solve(model, nothing, problem, rng, config=config, keep_straight=0.0) == []


def test_some_problems_keep_a_second_way_round_that_is_another_and_not_much_longer(
    model: CollisionModel, wall: Obstacles
) -> None:
    config = PathConfig(several=1.0)
    both = [solve(model, wall, across(model), np.random.default_rng(seed), config=config) for seed in range(6)]
    pairs = [paths for paths in both if len(paths) == 2]
    assert pairs
    for first, second in pairs:
        assert length(first) <= length(second) <= config.detour * length(first)
        assert np.linalg.norm(first - second, axis=1).max() > config.apart


def test_tightening_shortens_a_detour_and_keeps_its_ends(model: CollisionModel) -> None:
    problem, nothing = across(model), Obstacles.pack([Scene()])
    detour = problem.start.copy()
    detour[[1, 3]] -= (1.0, 0.4)
    path = resample(np.stack([problem.start, detour, problem.goal]), WAYPOINTS)
    tight = tighten(model, nothing, path, lambda band: True)
    assert length(tight) < 0.9 * length(path)
    assert np.array_equal(tight[[0, -1]], path[[0, -1]])


def test_tightening_returns_the_path_itself_when_no_band_is_free(model: CollisionModel, wall: Obstacles) -> None:
    problem = across(model)
    path = resample(np.stack([problem.start, problem.goal]), WAYPOINTS)
    assert tighten(model, wall, path, lambda band: False) is path
