"""Paths made from paths: fitted to new ends, and bent."""

import numpy as np
import pytest
import torch

import diffplan as dp
from diffplan.curves import spline
from diffplan.planners.reuse import adapted, bent
from diffplan.problem import Problem, Trajectory

N = 16


@pytest.fixture(scope="module")
def robot() -> dp.Robot:
    return dp.Robot.load("panda")


def _trajectory(control: np.ndarray) -> Trajectory:
    position = spline.basis(len(control), 300) @ control
    still = np.zeros_like(position)
    return Trajectory(time=np.linspace(0, 2, 300), position=position, velocity=still, acceleration=still)


def _arch(robot: dp.Robot) -> np.ndarray:
    home = robot.configuration("home")
    control = spline.straight(home, home + np.array([1.0, 0, 0, 0, 0, 0, 0]), N)
    control[1:-1, 1] += 0.4 * np.sin(np.pi * spline.greville(N)[1:-1])
    return control


def test_between_the_same_ends_the_motion_keeps_its_form(robot: dp.Robot) -> None:
    old = _arch(robot)
    problem = Problem(robot=robot, scene=dp.Scene(), start=old[0], goals=old[-1:])
    control, goal = adapted(_trajectory(old), problem, N)
    assert goal == 0
    curve, was = spline.basis(N, 400) @ control, spline.basis(N, 4000) @ old
    assert np.linalg.norm(curve[:, None] - was, axis=2).min(axis=1).max() < 0.01


def test_new_ends_are_met_exactly_and_the_shift_fades(robot: dp.Robot) -> None:
    old = _arch(robot)
    shift = np.array([0, 0, 0.2, 0, 0, 0, 0])
    goals = np.stack([old[-1] + 1.0 * shift, old[-1] + 5 * shift])
    problem = Problem(robot=robot, scene=dp.Scene(), start=old[0] + shift, goals=goals[::-1])
    control, goal = adapted(_trajectory(old), problem, N)
    assert goal == 1
    assert np.array_equal(control[[0, -1]], np.stack([problem.start, goals[0]]))
    assert np.allclose(control[:, 2] - old[:, 2], 0.2, atol=0.02)
    problem = Problem(robot=robot, scene=dp.Scene(), start=old[0] + shift, goals=old[-1:])
    control, _ = adapted(_trajectory(old), problem, N)
    assert np.all(np.diff(control[:, 2]) < 1e-9)


def test_a_motion_that_stood_still_becomes_a_path_too(robot: dp.Robot) -> None:
    home = robot.configuration("home")
    problem = Problem(robot=robot, scene=dp.Scene(), start=home, goals=home[None] + 0.1)
    control, _ = adapted(_trajectory(np.repeat(home[None], N, axis=0)), problem, N)
    assert np.allclose(control, spline.straight(home, home + 0.1, N))


def test_bends_grow_over_the_batch_and_leave_ends_and_the_rest_alone(robot: dp.Robot) -> None:
    control = np.repeat(_arch(robot)[None], 40, axis=0)
    where = np.zeros((40, N), dtype=bool)
    where[:, 6:10] = True
    result = bent(control, robot, torch.Generator().manual_seed(0), (0.1, 0.5), where)
    moved = np.abs(result - control)
    assert (moved[~where] == 0).all()
    sizes = np.sqrt((moved[:, 6:10] ** 2).mean(axis=(1, 2)))
    assert 0.05 < sizes[:10].mean() < 0.2 < sizes[-10:].mean() < 0.6
    whole = bent(control, robot, torch.Generator().manual_seed(0), (0.0, 1.0))
    assert np.array_equal(whole[0], control[0])
    assert np.array_equal(whole[:, [0, -1]], control[:, [0, -1]])
    assert np.all((whole >= robot.lower) & (whole <= robot.upper))
