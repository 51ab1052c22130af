"""Guidance moves clean estimates off obstacles: some of them, not far, and less as the noise goes."""

import numpy as np
import pytest
import torch
from torch import Tensor

from diffplan.collision.cpu import CollisionModel, Obstacles
from diffplan.curves import spline
from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import Box
from diffplan.prior.choice import prior_file
from diffplan.prior.coordinates import Normalised
from diffplan.prior.guidance import GuidanceConfig, Guided, ValueGuided
from diffplan.prior.prior import load_prior
from diffplan.prior.schedule import Schedule
from diffplan.prior.value import Value, load_value, value_file
from diffplan.prior.wrappers import FeedbackDenoiser
from diffplan.refinement import RefineConfig, Refiner
from diffplan.robot.model import Robot
from diffplan.scene import Scene

BATCH, SCHEDULE = 8, Schedule()


@pytest.fixture(scope="module")
def robot() -> Robot:
    return Robot.load("panda")


@pytest.fixture(scope="module")
def paths(robot: Robot) -> Tensor:
    control = spline.straight(robot.configuration("left"), robot.configuration("right"), 16)
    return torch.from_numpy(robot.normalise(control)).float()[None].repeat(BATCH, 1, 1)


@pytest.fixture(scope="module")
def value() -> Value:
    return load_value(value_file("panda"))


def coordinates(robot: Robot) -> Normalised:
    return Normalised(robot, robot.configuration("left"), robot.configuration("right")[None].repeat(BATCH, axis=0))


def guided(robot: Robot, paths: Tensor, wall_at: float, config: GuidanceConfig, activation: float = 0.03) -> Guided:
    wall = Box(name="wall", size=(0.4, 0.02, 0.4), pose=Pose(xyz=(0.5, 0.0, wall_at)))
    world = Obstacles.pack([Scene(obstacles=(wall,))])
    refiner = Refiner(CollisionModel(robot), world, RefineConfig(activation=activation))
    return Guided(lambda x_t, t: paths, refiner, SCHEDULE, config, coordinates(robot))


def step_with_std(below: float) -> Tensor:
    """Return the noisiest steps [b] whose std is below a bound."""
    return torch.full((BATCH,), int(torch.nonzero(SCHEDULE.std < below)[-1]))


def test_the_guided_share_collides_less_and_the_rest_stays_as_it_was(robot: Robot, paths: Tensor) -> None:
    wrapper = guided(robot, paths, 0.5, GuidanceConfig(steps=2, share=0.5, from_std=1.0))
    x0 = wrapper(paths, step_with_std(0.8))
    costs = [wrapper.refiner.evaluate(robot.denormalise(x.numpy().astype(np.float64)))[0] for x in (paths, x0)]
    assert (costs[1][:4] < 0.8 * costs[0][:4]).all()
    assert torch.equal(x0[4:], paths[4:])
    assert torch.equal(x0[:, [0, -1]], paths[:, [0, -1]])


@pytest.mark.parametrize("std", [0.9, 0.3])
def test_no_control_point_leaves_the_trust_region(robot: Robot, paths: Tensor, std: float) -> None:
    wrapper = guided(robot, paths, 0.5, GuidanceConfig(steps=6, trust=0.1, share=1.0, from_std=1.0))
    t = step_with_std(std)
    moved = (wrapper(paths, t) - paths).abs().max()
    assert 0 < float(moved) <= 0.1 * float(SCHEDULE.std[t[0]]) + 1e-6


def test_the_noisiest_steps_are_left_alone(robot: Robot, paths: Tensor) -> None:
    wrapper = guided(robot, paths, 0.5, GuidanceConfig(from_std=0.5))
    assert torch.equal(wrapper(paths, step_with_std(0.9)), paths)


def test_obstacles_push_from_farther_away_while_there_is_noise(robot: Robot, paths: Tensor) -> None:
    config = GuidanceConfig(share=1.0, from_std=1.0)
    reach = (
        guided(robot, paths, 0.5, config)
        .refiner.model.clearance(
            Obstacles.pack([Scene(obstacles=(Box(name="w", size=(0.4, 0.02, 0.4), pose=Pose(xyz=(0.5, 0.0, -0.1))),))]),
            spline.basis(16, 61) @ robot.denormalise(paths[0].numpy().astype(np.float64)),
            cap=0.5,
        )[0]
        .min()
    )
    wrapper = guided(robot, paths, -0.1, config, activation=float(reach) / 1.5)
    assert torch.equal(wrapper(paths, step_with_std(0.1)), paths)
    assert not torch.equal(wrapper(paths, step_with_std(0.9)), paths)


def value_guided(paths: Tensor, value: Value, scale: float) -> tuple[ValueGuided, FeedbackDenoiser]:
    prior = load_prior(prior_file("panda"))
    feedback = FeedbackDenoiser(prior.net)
    here = coordinates(Robot.load("panda"))
    return ValueGuided(lambda x_t, t: paths, value, SCHEDULE, here, feedback, scale=scale), feedback


def test_the_value_leads_paths_to_a_better_return_and_the_network_sees_where(paths: Tensor, value: Value) -> None:
    generator = torch.Generator().manual_seed(0)
    bumpy = paths.clone()
    bumpy[:, 1:-1] += 0.1 * torch.randn(bumpy[:, 1:-1].shape, generator=generator)
    wrapper, feedback = value_guided(bumpy, value, scale=2.0)
    t = step_with_std(0.2)
    x0 = wrapper(bumpy, t)
    clean = torch.zeros_like(t)
    assert (value.net(x0, clean) < value.net(bumpy, clean)).all()  # the network's number is a cost
    assert torch.equal(x0[:, [0, -1]], bumpy[:, [0, -1]])
    assert feedback.estimate is x0


def test_the_value_moves_paths_by_its_slope_times_the_variance_within_the_trust_region(
    paths: Tensor, value: Value
) -> None:
    t = step_with_std(0.5)
    var, std, slope = SCHEDULE.var[t[0]].item(), SCHEDULE.std[t[0]].item(), value.gradient_at(paths, 0)
    small = 0.1 * GuidanceConfig.trust * std / (var * float(slope.abs().max()))
    moved = value_guided(paths, value, scale=small)[0](paths, t) - paths
    torch.testing.assert_close(moved, small * var * slope, atol=1e-6, rtol=1e-3)
    far = value_guided(paths, value, scale=1e6)[0](paths, t) - paths
    assert float(far.abs().max()) == pytest.approx(GuidanceConfig.trust * std, rel=1e-4)
