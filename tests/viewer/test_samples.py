"""Pictures of samples step by step."""

from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

import diffplan as dp
from diffplan.collision.cpu import CollisionModel, Obstacles
from diffplan.planners.diffusion import DiffusionConfig, DiffusionPlanner
from diffplan.problem import Problem
from diffplan.refinement import RefineConfig, Refiner
from diffplan.viewer.samples import _solids, draw_samples, stages


@pytest.fixture(scope="module")
def problem():
    """Around a wall, beside one obstacle of each kind."""
    robot = dp.Robot.load("panda")
    wall = dp.Box(name="wall", size=(0.6, 0.04, 0.8), pose=dp.Pose(xyz=(0.65, 0.0, 0.4)))
    ball = dp.Sphere(name="ball", radius=0.05, pose=dp.Pose(xyz=(-0.6, 0.0, 0.2)))
    can = dp.Cylinder(name="can", radius=0.05, height=0.1, pose=dp.Pose(xyz=(-0.6, 0.3, 0.2)))
    pill = dp.Capsule(name="pill", radius=0.05, height=0.1, pose=dp.Pose(xyz=(-0.6, -0.3, 0.2)))
    start, goal = robot.configuration("home"), robot.configuration("home")
    start[:2], goal[:2] = (0.9, 0.1), (-0.9, 0.1)
    return Problem(robot=robot, scene=dp.Scene(obstacles=(wall, ball, can, pill)), start=start, goals=goal[None])


def test_the_last_estimate_is_what_the_planner_samples_and_the_steps_lead_to_clear_paths(problem):
    config = DiffusionConfig()
    found = stages(problem, config, batch=8, seed=3)
    steps = [f"estimate {i} of {config.steps}" for i in range(1, config.steps + 1)]
    assert [stage.name for stage in found] == [*steps, "refined", "the shortest, drawn tight"]
    refiner = Refiner(CollisionModel(problem.robot), Obstacles.pack([problem.scene]), RefineConfig())
    goals = problem.goals[np.zeros(8, dtype=int)]
    sampled = DiffusionPlanner(config).sample(problem, refiner, goals, torch.Generator().manual_seed(3))
    assert np.array_equal(found[config.steps - 1].control, sampled)
    assert not np.array_equal(found[0].control, sampled)
    refined, tight = found[-2:]
    assert refined.clear.sum() >= 2
    assert tight.clear.all()
    assert len(tight.control) == min(config.tighten_best, refined.clear.sum())


def test_colliding_paths_are_red_and_clear_ones_green(problem):
    pictures = dict(draw_samples(problem, batch=8))
    assert len(pictures) == DiffusionConfig().steps + 2

    def pixels(name, colour):
        with Image.open(BytesIO(pictures[name])) as picture:
            seen = np.asarray(picture.convert("RGB")).reshape(-1, 3).astype(int)
        return int(np.sum(np.abs(seen - colour).max(axis=1) < 40))

    red, green = (0xC0, 0x39, 0x2B), (0x1A, 0x7F, 0x37)
    assert pixels(f"estimate 1 of {DiffusionConfig().steps}", red) > 200
    assert pixels("the shortest, drawn tight", green) > 200
    assert pixels("the shortest, drawn tight", red) == 0


def test_a_plane_is_drawn_where_the_robot_stands_however_far_its_origin_is():
    floor = dp.Plane(name="floor", pose=dp.Pose(xyz=(500.0, 300.0, -0.1)))
    (points,) = _solids(dp.Scene(robot_base=dp.Pose(xyz=(510.0, 300.0, 0.0)), obstacles=(floor,)))
    assert np.allclose(points.max(axis=0), (10.0, 10.0, -0.1))
    assert np.allclose(points.min(axis=0)[:2], -10.0)
