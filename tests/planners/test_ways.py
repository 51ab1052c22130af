"""When two paths are two ways round an obstacle, and when they are one."""

from dataclasses import replace

import numpy as np
import pytest

import diffplan as dp
from diffplan.collision.cpu import CollisionModel, Obstacles
from diffplan.curves import spline
from diffplan.planners.ways import OTHER_GOAL, Ways, _crossable

N = 16
FRONT, BEHIND = 1.1, -1.1


@pytest.fixture(scope="module")
def robot() -> dp.Robot:
    return dp.Robot.load("panda")


def _path(robot: dp.Robot, lean: float, share: float = 0.5) -> np.ndarray:
    """A swing of the arm from one side to the other that leans out (or back) by `lean` [rad] about `share` of it."""
    start, goal = robot.configuration("home").copy(), robot.configuration("home").copy()
    start[0], goal[0] = 0.8, -0.8
    control = spline.straight(start, goal, N)
    control[:, 1] += lean * np.exp(-(((spline.greville(N) - share) / 0.18) ** 2)) * (np.arange(N) % (N - 1) > 0)
    return control


@pytest.fixture(scope="module")
def ball() -> dp.Scene:
    """A ball in mid-air where the hand passes; the arm can keep behind it or dive below it."""
    return dp.Scene(obstacles=(dp.Sphere(name="ball", radius=0.04, pose=dp.Pose(xyz=(0.5, 0.0, 0.6))),))


def test_without_obstacles_there_is_one_way(robot: dp.Robot) -> None:
    assert Ways(CollisionModel(robot), Obstacles.pack([dp.Scene()])).same(_path(robot, FRONT), _path(robot, BEHIND))


def test_how_deep_the_leash_may_cut_follows_from_what_the_spheres_leave_out(robot: dp.Robot, ball: dp.Scene) -> None:
    world, here, there = Obstacles.pack([ball]), _path(robot, -0.6), _path(robot, 0.9)
    coarse = replace(robot, spheres=replace(robot.spheres, uncovered=0.25))
    assert not Ways(CollisionModel(robot), world).same(here, there)
    assert Ways(CollisionModel(coarse), world).same(here, there)


def test_a_ball_between_two_paths_makes_them_two_ways_and_noise_does_not(robot: dp.Robot, ball: dp.Scene) -> None:
    ways, here, there = Ways(CollisionModel(robot), Obstacles.pack([ball])), _path(robot, -0.6), _path(robot, 0.9)
    assert not ways.same(here, there)
    assert not ways.same(there, here)
    for path in (here, there):
        assert ways.room(spline.basis(N, 60) @ path) > 0.01
        noisy = path + np.random.default_rng(0).normal(0, 0.02, path.shape)
        noisy[[0, -1]] = path[[0, -1]]
        assert ways.same(path, noisy)


def test_other_goals_are_other_ways_only_if_they_are_far_apart(robot: dp.Robot) -> None:
    ways, one = Ways(CollisionModel(robot), Obstacles.pack([dp.Scene()])), _path(robot, 0.3)
    for apart, same in ((0.9 * OTHER_GOAL, True), (1.1 * OTHER_GOAL, False)):
        other = one.copy()
        other[-1, 6] += apart
        assert ways.same(one, other) == same


def test_the_leash_must_not_turn_back() -> None:
    assert _crossable(np.eye(5, dtype=bool))
    detour = np.ones((3, 3), dtype=bool)
    detour[1, 1] = False
    assert _crossable(detour)
    detour[0, 1] = detour[1, 0] = False
    assert not _crossable(detour)
    back = np.array([[1, 1, 1], [0, 0, 1], [1, 1, 1]], dtype=bool)
    assert _crossable(back)
    back[2, 2] = False
    assert not _crossable(back)
