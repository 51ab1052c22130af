"""Repair: which stretch collides, and that bending it leaves the rest alone."""

import numpy as np
import pytest
import torch

import diffplan as dp
from diffplan.collision.cpu import CollisionModel, Obstacles
from diffplan.curves import spline
from diffplan.planners.reuse import bent, colliding_stretch
from diffplan.refinement import RefineConfig, Refiner

N = 16


@pytest.fixture(scope="module")
def robot() -> dp.Robot:
    return dp.Robot.load("panda")


def _swing(robot: dp.Robot) -> np.ndarray:
    """A quarter turn about the first joint, control points [1, N, dof]."""
    start = robot.configuration("home")
    return spline.straight(start, start + np.array([np.pi / 2, 0, 0, 0, 0, 0, 0]), N)[None]


def _refiner(robot: dp.Robot, share: float) -> Refiner:
    """A small ball where the hand is after this share of the swing."""
    hand = robot.link_pose(_swing(robot)[0, 0], "panda_hand")[0, :3, 3]
    angle = share * np.pi / 2
    x, y = float(np.cos(angle) * hand[0]), float(np.sin(angle) * hand[0])
    ball = dp.Sphere(name="ball", radius=0.02, pose=dp.Pose(xyz=(x, y, float(hand[2]))))
    return Refiner(CollisionModel(robot), Obstacles.pack([dp.Scene(obstacles=(ball,))]), RefineConfig())


@pytest.mark.parametrize("share", [0.35, 0.5, 0.65])
def test_the_stretch_lies_where_the_path_collides_and_widens(robot: dp.Robot, share: float) -> None:
    refiner = _refiner(robot, share)
    (stretch,) = colliding_stretch(refiner, _swing(robot), widen=0)
    (wider,) = colliding_stretch(refiner, _swing(robot), widen=1)
    places = np.flatnonzero(stretch)
    assert np.array_equal(places, np.arange(places[0], places[-1] + 1))
    assert spline.greville(N)[places].mean() == pytest.approx(share, abs=0.08)
    assert wider.sum() == stretch.sum() + 2
    assert not wider[[0, -1]].any()


def test_a_path_that_is_clear_has_no_stretch(robot: dp.Robot) -> None:
    bare = Refiner(CollisionModel(robot), Obstacles.pack([dp.Scene()]), RefineConfig())
    assert not colliding_stretch(bare, _swing(robot), widen=3).any()


def test_the_rest_of_a_path_stays_when_the_stretch_is_bent(robot: dp.Robot) -> None:
    (stretch,) = colliding_stretch(_refiner(robot, 0.5), _swing(robot), widen=1)
    before = _swing(robot)
    after = bent(before, robot, torch.Generator().manual_seed(0), (0.5, 0.5), stretch[None])
    assert np.array_equal(after[0, ~stretch], before[0, ~stretch])
    assert (np.abs(after[0, stretch] - before[0, stretch]).max(axis=1) > 0).all()
