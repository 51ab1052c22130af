"""Costs are differentiable, agree with the kernel, and bend plans without training."""

import numpy as np
import pytest
import torch

from diffplan.collision.cpu import CollisionModel, Obstacles
from diffplan.costs import cost as costs
from diffplan.costs.cost import Cost
from diffplan.curves import spline
from diffplan.errors import InputError
from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import Box
from diffplan.refinement import RefineConfig, Refiner
from diffplan.robot.model import Robot
from diffplan.scene import Scene


@pytest.fixture(scope="module")
def robot() -> Robot:
    return Robot.load("panda")


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene(obstacles=(Box(name="wall", size=(0.4, 0.02, 0.9), pose=Pose(xyz=(0.55, 0.0, 0.45))),))


def curves(robot: Robot, count: int) -> torch.Tensor:
    rng = np.random.default_rng(0)
    ends = rng.uniform(robot.lower, robot.upper, (2, count, robot.dof))
    along = np.linspace(0, 1, 20)[None, :, None]
    return torch.from_numpy(ends[0][:, None] * (1 - along) + ends[1][:, None] * along)


@pytest.mark.parametrize("name", ["smoothness", "joint_limits", "collision"])
def test_gradient_of_every_cost_agrees_with_finite_differences(name: str, robot: Robot, scene: Scene) -> None:
    functions = {
        "smoothness": costs.smoothness,
        "joint_limits": costs.joint_limits(robot, margin=0.5),
        "collision": costs.collision(CollisionModel(robot), Obstacles.pack([scene]), activation=0.1),
    }
    function, q = functions[name], curves(robot, 8).requires_grad_(True)
    (gradient,) = torch.autograd.grad(function(q).sum(), q)
    direction = torch.from_numpy(np.random.default_rng(1).normal(size=q.shape))
    with torch.no_grad():
        slope = (function(q + 1e-6 * direction) - function(q - 1e-6 * direction)).sum() / 2e-6
    assert float(gradient.abs().max()) > 0
    assert float((gradient * direction).sum()) == pytest.approx(float(slope), rel=1e-4)


def test_a_users_cost_draws_paths_its_way_and_keeps_them_clear(robot: Robot, scene: Scene) -> None:
    start, goal = robot.configuration("left"), robot.configuration("right")
    model, world = CollisionModel(robot), Obstacles.pack([scene])
    bent = spline.straight(start, goal, 16)[None].repeat(8, axis=0)
    bent[:, 1:-1] += np.random.default_rng(0).normal(size=(8, 1, robot.dof)) * 0.4
    wish = Cost(name="elbow", function=lambda q: (q[:, :, 3] + 1.2).square().mean(dim=1), weight=20.0)
    values = []
    for wishes in ((), (wish,)):
        refiner = Refiner(model, world, RefineConfig(stop_share=2.0), costs=wishes)
        pushed = refiner.push(np.clip(bent, robot.lower, robot.upper))
        tight = refiner.tighten(pushed.control[pushed.clear])
        assert tight.clear.all()
        values.append(float(wish(torch.from_numpy(spline.basis(16, 64) @ tight.control)).min()))
    assert values[1] < 0.7 * values[0]


def test_a_cost_of_the_wrong_shape_is_named(robot: Robot) -> None:
    with pytest.raises(InputError, match="lopsided"):
        Cost(name="lopsided", function=lambda q: q.sum())(curves(robot, 2))


def test_a_cost_without_gradient_is_named(robot: Robot) -> None:
    blind = Cost(name="blind", function=lambda q: q.detach().sum(dim=(1, 2)))
    with pytest.raises(InputError, match="blind"):
        costs.weighted_sum([blind], curves(robot, 2).numpy())
