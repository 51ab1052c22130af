"""The shipped prior keeps Diffuser's property: the horizon can change after training."""

import numpy as np
import pytest
import torch

from diffplan.collision.cpu import CollisionModel, Obstacles
from diffplan.curves import spline
from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import Box
from diffplan.prior.choice import prior_file
from diffplan.prior.feedback import Feedback
from diffplan.prior.prior import load_prior
from diffplan.prior.samplers import ddim
from diffplan.prior.wrappers import FeedbackDenoiser, Inpainted
from diffplan.refinement import RefineConfig, Refiner
from diffplan.robot.model import Robot
from diffplan.scene import Scene

BATCH = 16


@pytest.mark.parametrize("horizon", [8, 16, 24, 32])
def test_most_refined_samples_pass_a_wall_at_horizons_other_than_that_of_training(horizon):
    robot = Robot.load("panda")
    prior = load_prior(prior_file("panda"))
    wall = Box(name="wall", size=(0.4, 0.02, 0.4), pose=Pose(xyz=(0.5, 0.0, 0.3)))
    refiner = Refiner(CollisionModel(robot), Obstacles.pack([Scene(obstacles=(wall,))]), RefineConfig(stop_share=2.0))
    straight = spline.straight(robot.configuration("left"), robot.configuration("right"), horizon)[None]
    assert refiner.evaluate(straight, gradient=False)[2][0] < 0
    generator = torch.Generator().manual_seed(0)
    ends = [torch.from_numpy(robot.normalise(robot.configuration(name))).float() for name in ("left", "right")]
    denoiser = Inpainted(FeedbackDenoiser(prior.net, Feedback(refiner.model, refiner.world), weight=2.0), *ends)
    noise = torch.randn((BATCH, horizon, robot.dof), generator=generator)
    times = prior.schedule.times(3)
    x0 = ddim(denoiser, noise, prior.schedule, times, eta=0.7, generator=generator)
    control = robot.denormalise(x0.numpy().astype(np.float64).clip(-1, 1))
    assert refiner.push(control).clear.mean() >= 0.75
