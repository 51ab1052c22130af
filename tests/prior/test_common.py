"""The common prior: a file as strict as the other, any number of joints, and paths that the planner can use."""

import json
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import diffplan as dp
from diffplan.collision.cpu import CollisionModel, Obstacles
from diffplan.curves import spline
from diffplan.errors import InputError
from diffplan.planners.diffusion import DiffusionConfig, DiffusionPlanner
from diffplan.planners.task import Task
from diffplan.prior.arm import Arm
from diffplan.prior.channels import CHANNELS, Sight
from diffplan.prior.choice import kept_prior, load_any_prior, prior_file
from diffplan.prior.common import CommonPrior, JointwiseDenoiser, load_common_prior, save_common_prior
from diffplan.prior.jointwise import JointwiseConfig, JointwiseUnet
from diffplan.prior.prior import load_prior
from diffplan.prior.schedule import Schedule
from diffplan.prior.tokens import SceneTokens
from diffplan.problem import Problem
from diffplan.robot.model import Robot
from diffplan.system.assets import asset_folder

SMALL = JointwiseConfig(channels=CHANNELS, dim=8, mults=(1, 2), mixing=(0, 1), tokens=1)


def make(config: JointwiseConfig = SMALL) -> CommonPrior:
    """An untrained prior whose last layers answer something."""
    torch.manual_seed(0)
    net = JointwiseUnet(config)
    for layer in (net.out, *(m.mix for m in net.mixers.values())):
        nn.init.normal_(layer.weight, std=0.05)  # pyright: ignore
    schedule = Schedule(steps=30, data_std=0.1)
    return CommonPrior(net=net.requires_grad_(False), schedule=schedule, horizon=8, training={"seed": 3})


def problem(robot: Robot) -> Problem:
    home = robot.configuration("home")
    tip = robot.link_pose(home, robot.end_link)[0, :3, 3]
    ball = dp.Sphere(name="ball", radius=0.1, pose=dp.Pose(xyz=(tip[0] + 0.1, tip[1] - 0.1, tip[2])))
    goals = np.clip(home + np.array([[0.3], [-0.4]]) * np.ones(robot.dof), robot.lower, robot.upper)
    return Problem(robot=robot, scene=dp.Scene(obstacles=(ball,)), start=home, goals=goals)


def answer(prior: CommonPrior) -> torch.Tensor:
    x = torch.randn((2, 5, 8, CHANNELS), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return prior.net(x, torch.tensor([3, 20]))


def test_a_saved_prior_comes_back_and_the_other_reader_refuses_it(tmp_path: Path) -> None:
    prior, file = make(), tmp_path / "prior.safetensors"
    save_common_prior(prior, file, dtype=torch.float32)
    again = load_common_prior(file)
    assert torch.equal(answer(prior), answer(again))
    assert (again.schedule, again.horizon, again.training) == (prior.schedule, 8, {"seed": 3})
    assert isinstance(load_any_prior(file), CommonPrior)
    assert kept_prior(file, torch.float32) is kept_prior(file, torch.float32)
    with pytest.raises(InputError, match="allowed: diffplan/prior@1"):
        load_prior(file)
    with pytest.raises(InputError, match="allowed: diffplan/jointwise-prior@1"):
        load_common_prior(prior_file("panda"))


@pytest.mark.parametrize(
    ("key", "text", "wrong"),
    [
        ("unet", "{}", "unet: key 'channels' is missing"),
        ("unet", '{"channels": 23, "dim": 8, "mults": [1, 2], "width": 1}', "unet.width: unknown key"),
        ("unet", '{"channels": 23, "dim": 800000, "mults": [1, 2], "mixing": [0]}', "more than the"),
        ("unet", '{"channels": 23, "dim": 8, "mults": [1, 2], "mixing": [2]}', "unet.mixing: not levels"),
        ("unet", '{"channels": 23, "dim": 8, "mults": [1, 2], "mixing": [0, 1], "heads": 3}', "does not divide into"),
        ("unet", '{"channels": 22, "dim": 8, "mults": [1, 2], "mixing": [0, 1]}', "shown other things"),
        ("unet", '{"channels": 23, "dim": 8, "mults": [1, 2], "mixing": [0]}', "do not fit together"),
        ("horizon", "7", "horizon: does not fit the network"),
        ("schedule", '{"steps": 1}', "schedule.steps: not a number of steps"),
        ("training", "[]", "training: not a mapping"),
        ("joint_names", '["a"]', "joint_names: unknown key"),
    ],
)
def test_a_header_that_makes_no_sense_is_refused(tmp_path: Path, key: str, text: str, wrong: str) -> None:
    file = tmp_path / "prior.safetensors"
    save_common_prior(make(), file)
    raw = file.read_bytes()
    length = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8 : 8 + length])
    header["__metadata__"][key] = text
    new = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(new)) + new + raw[8 + length :])
    with pytest.raises(InputError, match=wrong):
        load_common_prior(file)


def test_joints_are_told_apart_by_their_channels_only() -> None:
    """Joints in another order give the same answers in that order."""
    net, order = make().net, torch.tensor([3, 0, 4, 1, 2])
    x, t = torch.randn((2, 5, 8, CHANNELS), generator=torch.Generator().manual_seed(1)), torch.tensor([3, 20])
    with torch.no_grad():
        torch.testing.assert_close(net(x, t)[:, order], net(x[:, order], t))
        other = x.clone()
        other[:, 4] += 1.0
        assert not torch.allclose(net(x, t)[:, 0], net(other, t)[:, 0])  # they look at each other


def test_an_untrained_network_answers_with_the_straight_line_and_ends_never_leave_it() -> None:
    net, x = JointwiseUnet(SMALL), torch.randn(2, 5, 8, CHANNELS)
    assert (net(x, torch.tensor([3, 20])) == 0).all()
    assert (answer(make())[:, :, [0, -1]] == 0).all()
    assert (answer(make())[:, :, 1:-1] != 0).all()


def test_an_arm_s_channels_are_its_kinematics(any_robot: Robot) -> None:
    """Axes and origins as the robot's own kinematics have them, the tool's motion as finite differences of it."""
    robot, arm = any_robot, Arm(CollisionModel(any_robot))
    q = np.random.default_rng(0).uniform(np.maximum(robot.lower, -3), np.minimum(robot.upper, 3), (3, 2, robot.dof))
    told = arm.along(q).transpose(0, 2, 1, 3)  # [b, K, dof, channels]
    flat = q.reshape(-1, robot.dof)
    poses = robot.body_poses(flat)
    step = 1e-6
    for j in range(robot.dof):
        m = robot.chain.names.index(robot.joint_names[j])
        own = told[:, :, j].reshape(len(flat), -1)
        np.testing.assert_allclose(own[:, :3], poses[:, m + 1, :3, :3] @ robot.chain.axis[m], atol=2e-5)
        place = poses[:, m + 1, :3, 3] - [0, 0, arm.height]
        np.testing.assert_allclose(own[:, 6:9], place / arm.length, atol=2e-5)
        ahead, back = (flat + s * step * np.eye(robot.dof)[j] for s in (1, -1))
        tips = [robot.link_pose(p, robot.end_link)[:, :3, 3] for p in (ahead, back)]
        per_unit = (tips[0] - tips[1]) / (2 * step) * (arm.length if robot.prismatic[j] else 1.0)
        np.testing.assert_allclose(own[:, 3:6], per_unit / arm.length, atol=5e-5)
        if robot.continuous[j]:
            assert (own[:, 9:] == 1).all()
        else:
            np.testing.assert_allclose(own[:, 9], np.minimum((flat[:, j] - robot.lower[j]) / arm.unit[j], 1), atol=1e-5)
    assert 0.3 < arm.length < 3.0
    assert (arm.unit == np.where(robot.prismatic, arm.length, np.pi)).all()


def test_what_is_not_shown_changes_nothing(any_robot: Robot) -> None:
    """A sample whose condition is dropped is shown the arm along the straight line, and neither scene nor estimate."""
    arm, task = Arm(CollisionModel(any_robot)), problem(any_robot)
    line = spline.straight(task.start, task.goals, 8)
    worlds = [Obstacles.pack([scene]) for scene in (task.scene, dp.Scene())]
    y_t, y = 0.1 * torch.randn((2, 2, 8, any_robot.dof), generator=torch.Generator().manual_seed(0))
    inputs = []
    for world, estimate in zip(worlds, (y, 2 * y), strict=True):
        sight = Sight(arm, world, line, np.zeros(2, dtype=np.int64))
        for shown in (True, False):
            inputs.append(sight.input(y_t, estimate, sight.look(estimate), torch.tensor([shown, shown])))
    assert not torch.equal(inputs[0], inputs[2])
    assert torch.equal(inputs[1], inputs[3])


@pytest.mark.parametrize("weight", [1.0, 2.0])
def test_the_denoiser_takes_a_wrapper_s_estimate_and_weighs_the_scene(any_robot: Robot, weight: float) -> None:
    prior, task = make(), problem(any_robot)
    model, world = CollisionModel(any_robot), Obstacles.pack([task.scene])
    here = prior.coordinates(model, task.start, task.goals, 8)
    y = 0.1 * torch.randn((2, 8, any_robot.dof), generator=torch.Generator().manual_seed(0))
    y[:, [0, -1]] = 0
    t = torch.tensor([20, 20])

    def answered(sees: bool, weight: float, estimate: torch.Tensor | None = None) -> torch.Tensor:
        one = prior.denoiser(model, world, here, sees=sees, weight=weight, estimate=estimate)
        assert isinstance(one, JointwiseDenoiser)
        x0 = one(y, t)
        assert one.estimate is x0
        return x0

    free, seen = answered(False, 1.0), answered(True, 1.0)
    assert not torch.equal(free, seen)
    torch.testing.assert_close(answered(True, weight), free + weight * (seen - free), atol=1e-5, rtol=1e-4)
    assert not torch.equal(answered(True, weight, 0.2 * y), answered(True, weight))
    control = here.paths(seen)
    np.testing.assert_array_equal(control[:, 0], np.repeat(task.start[None], 2, axis=0))
    np.testing.assert_array_equal(control[:, -1], task.goals)
    np.testing.assert_allclose(here.decode(here.encode(control)), control, atol=1e-12)


OPTIONS = [{}, {"guidance_steps": 1}, {"seeds": "unconditioned"}]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_planner_plans_for_any_arm_with_the_common_prior(any_robot: Robot, options: dict[str, object]) -> None:
    task, config = Task.of(problem(any_robot), seed=1), replace(DiffusionConfig(rounds=1, batch=4), **options)
    planner = DiffusionPlanner(config, prior=make())
    planner.prepare(task)
    one, again = (list(planner.candidates(task)) for _ in range(2))
    assert one
    assert [c.control.tobytes() for c in one] == [c.control.tobytes() for c in again]


def test_samples_but_the_first_are_bent_and_keep_their_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    robot = Robot.load("panda")
    asked = problem(robot)
    planner = DiffusionPlanner(DiffusionConfig(batch=8, horizon=8), prior=make())
    refiner = planner._refiner(Task.of(asked), 0)
    goals = asked.goals[np.arange(8) % 2]

    def sampled() -> np.ndarray:
        return planner.sample(asked, refiner, goals, torch.Generator().manual_seed(0))

    bent = sampled()
    monkeypatch.setattr(CommonPrior, "variety", 0.0)
    moved = np.abs(bent - sampled()).max(axis=(1, 2))
    assert (moved[1:] > 0.05).all()
    assert np.argmax(moved) > np.argmin(moved[1:]) + 1  # the later the more
    np.testing.assert_array_equal(bent[0], np.clip(sampled()[0], robot.lower, robot.upper))
    np.testing.assert_array_equal(bent[:, 0], np.broadcast_to(asked.start, (8, robot.dof)))
    np.testing.assert_array_equal(bent[:, -1], goals)
    assert (bent >= robot.lower).all()
    assert (bent <= robot.upper).all()


def test_the_value_guides_the_common_prior_along_its_own_slope() -> None:
    """The slope by deviations is that by normalised positions times what one is in the other."""
    robot = Robot.load("panda")
    here = make().coordinates(CollisionModel(robot), problem(robot).start, problem(robot).goals, 8)
    x = torch.zeros(2, 8, 7)
    step = torch.full_like(x, 1e-3)
    moved = here.normalised(x + step) - here.normalised(x)
    torch.testing.assert_close(here.slope(torch.ones_like(x)) * step, moved, atol=1e-6, rtol=1e-3)
    config = DiffusionConfig(rounds=1, batch=4, value_guidance=1.0)
    assert list(DiffusionPlanner(config, prior=make()).candidates(Task.of(problem(robot))))


def test_a_robot_without_a_prior_gets_the_common_one_the_users_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIFFPLAN_HOME", str(tmp_path))
    panda = Robot.load("panda")
    other = replace(panda, name="other", file=tmp_path / "other" / "robot.yaml")
    assert prior_file(other) == asset_folder("robots") / "common.safetensors"  # the shipped one
    save_common_prior(make(), tmp_path / "robots" / "common.safetensors")
    assert prior_file(other) == tmp_path / "robots" / "common.safetensors"
    assert prior_file(panda).parent.name == "panda"  # its own
    assert prior_file(replace(other, prior=tmp_path / "mine")) == tmp_path / "mine"
    assert isinstance(DiffusionPlanner().prior(other), CommonPrior)


def test_tokens_in_the_arm_s_units_are_lengths_over_its_length() -> None:
    world = Obstacles.pack([problem(Robot.load("panda")).scene])
    tokens = SceneTokens.describe(world)
    scaled = tokens.in_units(2.0, 0.5)
    centre = world.rows[0].T_base_solid[:3, 3]
    np.testing.assert_allclose(scaled.features[0, 0, -12:-9], (centre - [0, 0, 0.5]) / 2, atol=1e-6)
    np.testing.assert_allclose(scaled.features[0, 0, -3:], 0.05, atol=1e-6)
    assert torch.equal(scaled.features[..., -9:-3], tokens.features[..., -9:-3])
