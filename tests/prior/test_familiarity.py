"""What a prior was trained on: arms and problems far from it are told, others are not, old files tell nothing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import diffplan as dp
from diffplan.collision.cpu import CollisionModel
from diffplan.collision.obstacles import Obstacles
from diffplan.curves.spline import straight
from diffplan.errors import InputError
from diffplan.planners.diffusion import DiffusionConfig, DiffusionPlanner
from diffplan.prior.arm import Arm
from diffplan.prior.channels import CHANNELS
from diffplan.prior.common import CommonPrior, load_common_prior, save_common_prior
from diffplan.prior.familiarity import OF_ARM, OF_PROBLEM, Familiarity, problem_features
from diffplan.prior.jointwise import JointwiseConfig, JointwiseUnet
from diffplan.prior.schedule import Schedule
from diffplan.robot.model import Robot

HOME = np.array([0.0, -0.5, 0.0, -2.0, 0.0, 1.6, 0.8])


def familiarity(centre: np.ndarray, *, arms: int = 6, seed: int = 0) -> Familiarity:
    """Arms about an arm, and problems as those in an empty scene."""
    rng = np.random.default_rng(seed)
    rows = centre + rng.normal(0.0, 0.05, (arms, OF_ARM))
    problems = np.tile([1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.3], (400, 1)) + rng.normal(0, 0.02, (400, OF_PROBLEM))
    return Familiarity.of({f"arm_{i}": tuple(row) for i, row in enumerate(rows)}, problems[:200], problems[200:])


@pytest.fixture(scope="module")
def panda() -> Arm:
    return Arm(CollisionModel(Robot.load("panda")))


@pytest.fixture(scope="module")
def prior() -> CommonPrior:
    torch.manual_seed(0)
    net = JointwiseUnet(JointwiseConfig(channels=CHANNELS, dim=8, mults=(1, 2), mixing=(1,)))
    return CommonPrior(net=net, schedule=Schedule(steps=10, data_std=0.1), horizon=16)


def test_an_arm_that_lies_among_those_of_the_training_is_near_and_another_is_far(panda: Arm, rail_file: Path) -> None:
    near, rail = familiarity(panda.features), Arm(CollisionModel(Robot.load(str(rail_file))))
    away, name = near.from_arms(panda.features)
    assert away < near.arm_limit
    assert name in near.arms
    assert near.from_arms(rail.features)[0] > 2 * near.arm_limit
    assert near.from_arms(np.array(near.arms["arm_3"])) == (pytest.approx(0.0, abs=1e-3), "arm_3")


def test_the_limits_are_those_of_what_was_held_out(panda: Arm) -> None:
    """So a share of them, and no more, is called unlike."""
    rng = np.random.default_rng(1)
    problems, others = rng.normal(size=(4000, OF_PROBLEM)), rng.normal(size=(4000, OF_PROBLEM))
    known = Familiarity.of({"one": tuple(panda.features)}, problems[:2000], problems[2000:])
    assert (known.from_problems(others) > known.problem_limit).mean() == pytest.approx(0.01, abs=0.006)
    assert (known.from_problems(others + 6.0) > known.problem_limit).all()
    assert known.arm_limit == 0  # one arm cannot tell how far arms are from each other
    for number, shares in ((6, (0.0, 0.5)), (40, (0.0, 0.2))):
        arms = familiarity(panda.features, arms=number)
        new = panda.features + np.random.default_rng(2).normal(0.0, 0.05, (50, OF_ARM))
        beyond = np.mean([arms.from_arms(row)[0] > arms.arm_limit for row in new])
        assert shares[0] <= beyond <= shares[1]


def test_what_is_seen_of_a_line_says_how_it_lies_in_the_scene(panda: Arm) -> None:
    line = straight(HOME, (HOME + 0.5)[None], 16)
    empty = Obstacles.pack([dp.Scene()])
    wall = dp.Box(name="wall", size=(0.4, 0.4, 0.8), pose=dp.Pose(xyz=(0.5, 0.0, 0.4)))
    free, struck = (
        problem_features(panda, world, line, np.zeros(1, dtype=np.int64))[0]
        for world in (empty, Obstacles.pack([dp.Scene(obstacles=(wall,))]))
    )
    assert struck[0] < free[0]
    assert struck[2] > free[2]
    assert (struck[3:7] >= free[3:7]).all()
    assert struck[7] == free[7] == pytest.approx(0.5 * np.sqrt(7) / np.pi)


def test_a_plan_tells_what_is_unlike_the_training(
    panda: Arm, prior: CommonPrior, rail_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def planned(known: Familiarity | None) -> dp.Plan:
        planner = DiffusionPlanner(
            DiffusionConfig(batch=2, rounds=1, first_look=0.0), prior=replace(prior, familiarity=known)
        )
        return dp.plan("panda", dp.Scene(), HOME, HOME + 0.3, planner=planner, fallback=False)

    near = replace(familiarity(panda.features), problem_limit=1e9)
    rail = familiarity(Arm(CollisionModel(Robot.load(str(rail_file)))).features)
    assert planned(None).remarks == ()
    assert planned(near).remarks == ()
    arm, problem = planned(replace(rail, problem_limit=0.0)).remarks
    assert "panda is unlike the arms that its prior was trained on" in arm
    assert "`diffplan train prior --robot panda`" in arm
    assert "scene, start and goal are unlike" in problem
    plan = planned(replace(rail, problem_limit=1e9))
    plan.save(tmp_path / "plan.json")
    assert dp.Plan.load(tmp_path / "plan.json").remarks == plan.remarks == (arm,)


def test_a_file_keeps_it_and_an_old_one_has_none(prior: CommonPrior, panda: Arm, tmp_path: Path) -> None:
    file, known = tmp_path / "prior.safetensors", familiarity(panda.features)
    save_common_prior(replace(prior, familiarity=known), file)
    assert load_common_prior(file).familiarity == known
    save_common_prior(prior, file)
    assert load_common_prior(file).familiarity is None


def test_one_of_another_size_is_refused(prior: CommonPrior, panda: Arm, tmp_path: Path) -> None:
    known, file = familiarity(panda.features), tmp_path / "prior.safetensors"
    for changed, key in (({"mean": (0.0,)}, "mean"), ({"root": ((0.0,),) * OF_PROBLEM}, r"root\[0\]")):
        with pytest.raises(InputError, match=f"familiarity.{key}"):
            replace(known, **changed)
    wrong = replace(known)
    object.__setattr__(wrong, "spread", (1.0,))
    save_common_prior(replace(prior, familiarity=wrong), file)
    with pytest.raises(InputError, match=r"prior\.safetensors: familiarity\.spread: wrong length"):
        load_common_prior(file)
