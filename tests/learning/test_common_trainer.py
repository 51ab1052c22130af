"""Training the common prior: on many arms, resumed to the same weights, with arms left out and losses told by arm."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from diffplan.cli import main
from diffplan.curves import spline
from diffplan.errors import InputError
from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import Box
from diffplan.learning.common_data import ArmData, load_arms
from diffplan.learning.common_trainer import CommonFit, fit_common_prior, read_arm_log
from diffplan.learning.config import CommonConfig, TrainConfig
from diffplan.learning.dataset import Dataset, paths_from_waypoints
from diffplan.learning.log import Progress, read_log
from diffplan.learning.run import run
from diffplan.learning.shards import Shard, write_shard
from diffplan.prior.channels import CHANNELS, Symmetry
from diffplan.prior.common import CommonPrior, load_common_prior
from diffplan.prior.jointwise import JointwiseUnet
from diffplan.prior.jointwise_loss import jointwise_loss
from diffplan.prior.loss import draw
from diffplan.robot.model import Robot
from diffplan.scene import Scene
from diffplan.system.kernel_threads import get_kernel_threads

SMALL = {"horizon": 8, "dim": 16, "mults": (1, 2), "mixing": (1,), "steps": 12, "batch": 8, "warm_up": 2}
SCENES = 40


def config(**changes: object) -> CommonConfig:
    small = {**SMALL, "noise_steps": 20, "validate_every": 6, "validation_paths": 4, "products": "float32"}
    return CommonConfig(**{**small, "held_out": 0.2, **changes})  # pyright: ignore


def waypoints(robot: Robot, count: int, seed: int) -> np.ndarray:
    """Paths [count, 64, dof] that bulge from a straight line."""
    rng = np.random.default_rng(seed)
    home, span = robot.configuration("home"), np.minimum(robot.upper - robot.lower, 3.0)
    ends = home + rng.uniform(-0.15, 0.15, (2, count, robot.dof)) * span
    bump = np.sin(np.linspace(0, np.pi, 64))[None, :, None] * 0.1 * span
    return np.clip(spline.straight(ends[0], ends[1], 64) + bump, robot.lower, robot.upper).astype(np.float32)


def scene(number: int) -> Scene:
    pose = Pose(xyz=(0.3 + 0.01 * number, 0.2, 0.4))
    return Scene(name=f"{number}", obstacles=(Box(name="box", size=(0.1, 0.1, 0.3), pose=pose),))


@pytest.fixture(scope="module")
def robots(rail_file: Path) -> list[Robot]:
    return [Robot.load("panda"), Robot.load(str(rail_file))]


@pytest.fixture(scope="module")
def arms(robots: list[Robot]) -> list[ArmData]:
    def made(robot: Robot, tokens: bool) -> ArmData:
        rows = np.arange(60) % SCENES
        parts = [paths_from_waypoints(robot, waypoints(robot, 60, seed), rows, 8) for seed in (0, 1)]
        scenes = tuple(scene(i) for i in range(SCENES))
        origin: dict[str, str | int | float] = {"data_seeds": "0"}
        data = Dataset(train=parts[0], validation=parts[1], scenes=scenes, robot=robot, origin=origin)
        return ArmData.of(data, tokens=tokens, trained=True)

    return [made(robot, tokens=True) for robot in robots]


def weights(fit: CommonFit) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for net in (fit.net, fit.average) for p in net.parameters()])


def test_it_learns_what_all_arms_have_in_common(arms: list[ArmData], tmp_path: Path) -> None:
    """Every path bulges the way in which its joints count: the loss falls on both arms."""
    fit = CommonFit(config(steps=40, batch=16, rate=5e-3, ema=0.8, validate_every=40), arms, tmp_path / "arms.csv")
    before = fit.judged()
    list(run(fit, tmp_path, log_every=20))
    after = read_arm_log(tmp_path / "arms.csv")
    assert [(line.step, line.arm) for line in after] == [(0, "panda"), (0, "rail"), (40, "panda"), (40, "rail")]
    for old, new in zip(after[:2], after[2:], strict=True):
        assert new.first < 0.7 * old.first
    assert fit.judged()["first"] < 0.7 * before["first"]


def test_a_killed_run_that_is_resumed_ends_in_the_same_weights_and_logs(arms: list[ArmData], tmp_path: Path) -> None:
    settings, whole = config(tokens=1), tmp_path / "whole"
    one = CommonFit(settings, arms, whole / "arms.csv")
    list(run(one, whole, log_every=3))
    broken = tmp_path / "broken"
    killed = run(CommonFit(settings, arms, broken / "arms.csv"), broken, log_every=3, checkpoint_minutes=0.0)
    next(killed)
    kept = (broken / "checkpoint.safetensors").read_bytes()
    next(killed)
    killed.close()
    (broken / "checkpoint.safetensors").write_bytes(kept)  # killed before its second checkpoint, after its logs
    again = CommonFit(settings, arms, broken / "arms.csv")
    list(run(again, broken, log_every=3))
    assert torch.equal(weights(one), weights(again))
    assert (whole / "arms.csv").read_bytes() == (broken / "arms.csv").read_bytes()
    logs = [read_log(folder / "log.csv", Progress, up_to=12) for folder in (whole, broken)]
    assert [replace(a, seconds=0) == replace(b, seconds=0) for a, b in zip(*logs, strict=True)]


def test_arms_take_turns_by_their_paths_and_a_longer_run_begins_alike(arms: list[ArmData]) -> None:
    few = replace(arms[1], dataset=replace(arms[1].dataset, train=paths_of(arms[1], 15)))
    for evenness, share in ((0.0, 0.5), (0.5, 1 / 3), (1.0, 0.2)):
        fit = CommonFit(config(steps=3000, evenness=evenness), [arms[0], few])
        assert abs((fit.turns == 1).mean() - share) < 0.03
    longer = CommonFit(config(steps=4000, evenness=1.0), [arms[0], few])
    assert np.array_equal(longer.turns[:3000], fit.turns)


def paths_of(arm: ArmData, count: int):
    train = arm.dataset.train
    return replace(train, x=train.x[:count], scene_of=train.scene_of[:count])


def test_an_arm_left_out_teaches_nothing_but_its_loss_is_told(arms: list[ArmData], tmp_path: Path) -> None:
    left = [arms[0], replace(arms[1], trained=False)]
    fit = CommonFit(config(), left, tmp_path / "arms.csv")
    assert fit.rows == 60
    assert fit.digest == [["panda", arms[0].dataset.digest]]
    assert set(fit.turns) == {0}
    means = fit.judged()
    told = read_arm_log(tmp_path / "arms.csv")
    assert [(line.arm, line.trained) for line in told] == [("panda", 1), ("rail", 0)]
    assert means["first"] == told[0].first


def test_the_loss_leaves_the_ends_out_and_is_the_same_through_any_description(arms: list[ArmData]) -> None:
    """For a network that answers alike however it is asked: the line."""
    arm, schedule = arms[1], config().schedule()
    line, y = arm.deviations(arm.dataset.train)
    assert np.abs(y[:, [0, -1]]).max() < 1e-7
    shares = config().pass_shares
    x0 = torch.from_numpy(y).float()
    batch = draw(x0, arm.dataset.train.scene_of, schedule, shares, torch.Generator().manual_seed(0))
    net, sight = JointwiseUnet(config().unet()), arm.sight(line, arm.dataset.train)
    plain = jointwise_loss(net, schedule, batch, sight)
    expected = schedule.loss_weight[batch.t] * x0[:, 1:-1].square().mean((1, 2)) / schedule.data_std**2
    torch.testing.assert_close(plain, expected.float())
    symmetry = Symmetry.draw(len(x0), x0.shape[2], torch.Generator().manual_seed(1))
    torch.testing.assert_close(jointwise_loss(net, schedule, batch, sight, None, symmetry), plain)


def test_later_passes_see_the_networks_own_estimate_and_dropped_ones_nothing(arms: list[ArmData]) -> None:
    arm, schedule = arms[0], config().schedule()
    line, y = arm.deviations(arm.dataset.train)
    x0, scene_of = torch.from_numpy(y).float(), arm.dataset.train.scene_of
    batch = draw(x0, scene_of, schedule, (0.25, 0.25, 0.25, 0.25), torch.Generator().manual_seed(0))
    asked = []

    class Half(JointwiseUnet):
        def forward(self, x, t, context=None):
            asked.append((x, t))
            return torch.nn.functional.pad(torch.full_like(x[:, :, 1:-1, 0], 0.05), (1, 1))

    jointwise_loss(Half(config().unet()), schedule, batch, arm.sight(line, arm.dataset.train))
    (_, third), (_, second), (last, t) = asked
    assert torch.equal(third, batch.earlier[batch.passes == 3, 0])
    assert torch.equal(second, batch.earlier[batch.passes >= 2, 1])
    assert torch.equal(t, batch.t)
    estimate, flag = last[..., 1], last[..., CHANNELS - 1]
    assert (flag[batch.passes == 0] == 0).all()
    assert (flag[batch.passes > 0] == 1).all()
    assert (estimate[batch.passes < 2] == 0).all()
    assert (estimate[batch.passes >= 2][:, :, 1:-1] > 0.1).all()
    assert (last[batch.passes == 0][..., [3, 4, 5, 6, 18, 19]] == 0).all()  # what the scene says


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, robots: list[Robot]) -> list[Path]:
    """Data of two arms as `data generate` leaves them."""
    made, top = [], tmp_path_factory.mktemp("data")
    for robot in robots:
        folder = top / robot.name
        folder.mkdir()
        name = "panda" if robot.name == "panda" else str(robot.file)
        (folder / "dataset.json").write_text(f'{{"robot": "{name}", "seed": 0}}')
        box = '[{"name": "box", "type": "box", "size": [0.1, 0.1, 0.3], "pose": {"xyz": [0.4, 0.2, 0.3]}}]'
        write_shard(
            Shard(
                seed=0,
                index=0,
                robot=robot.name,
                joint_names=robot.joint_names,
                versions={"diffplan": "0"},
                waypoints=waypoints(robot, 60, 2),
                scene=np.arange(60, dtype=np.int32) % SCENES,
                kind=np.zeros(60, dtype=np.int8),
                clearance=np.full(60, 0.05, dtype=np.float32),
                family=("bins",) * SCENES,
                obstacles=(box,) * SCENES,
            ),
            folder,
        )
        made.append(folder)
    return made


def test_the_command_leaves_a_prior_card_curve_and_logs(folders: list[Path], tmp_path: Path) -> None:
    config(held_out_arms=("ra*",), steps=6).save(tmp_path / "settings.json")
    assert CommonConfig.load(tmp_path / "settings.json") == config(held_out_arms=("ra*",), steps=6)
    words = ["train", "prior", "--common", "--data", *map(str, folders), "--config", str(tmp_path / "settings.json")]
    out = tmp_path / "run"
    assert main([*words, "--out", str(out)]) == 0
    names = {file.name for file in out.iterdir()}
    expected = {"arms.csv", "checkpoint.safetensors", "config.json", "curve.png", "log.csv", "PRIOR.md"}
    assert names == {*expected, "prior.safetensors"}
    prior = load_common_prior(out / "prior.safetensors")
    assert (prior.training["arms"], prior.training["arms_left_out"]) == ("panda", "rail")
    card = (out / "PRIOR.md").read_text()
    assert "| rail | no |" in card
    assert "| panda | yes |" in card
    before = torch.get_num_threads(), get_kernel_threads()
    short = config(steps=2, validate_every=2)
    started = fit_common_prior(folders[1:], short, tmp_path / "own", start=out / "prior.safetensors", threads=3)
    assert isinstance(started, CommonPrior)
    assert "3 thread" in str(started.training["machine"])
    assert (torch.get_num_threads(), get_kernel_threads()) == before
    with pytest.raises(InputError, match="a prior of another shape"):
        fit_common_prior(folders[1:], config(dim=32), tmp_path / "new", start=out / "prior.safetensors")


def test_data_that_do_not_serve_are_refused_by_name(
    folders: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(
        InputError, match=r"held_out_arms: no data of such an arm \(found 'ur5\*'\); allowed: panda, rail"
    ):
        load_arms(folders, config(held_out_arms=("ur5*",)))
    with pytest.raises(InputError, match="leaves no arm to train on"):
        load_arms(folders, config(held_out_arms=("*",)))
    with pytest.raises(InputError, match="data of the same robot twice"):
        load_arms([folders[0], folders[0]], config())
    with pytest.raises(InputError, match=r"dataset\.json: no such file"):
        load_arms([tmp_path], config())
    (tmp_path / "dataset.json").write_text('{"robot": "nobody"}')
    with pytest.raises(InputError, match=r"dataset\.json: robot: unknown robot"):
        load_arms([tmp_path], config())
    words = ["train", "prior", "--out", str(tmp_path / "out"), "--data", *map(str, folders)]
    assert main(words) == 2
    assert "--data: several folders" in capsys.readouterr().err
    assert main([*words, "--common", "--robot", "panda"]) == 2
    assert "--robot: not with --common" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("format: diffplan/train-common@1\nheads: 5\n", "dim: does not divide into heads"),
        ("format: diffplan/train-common@1\nmixing: [3]\n", "2: mixing: not levels of this network"),
        ("format: diffplan/train-common@1\nevenness: 2\n", "2: evenness: not a share"),
        ("format: diffplan/train-common@1\nfeedback: true\n", "feedback: unknown key"),
        ("format: diffplan/train@1\n", "allowed: diffplan/train-common@1"),
        ("format: diffplan/train-common@1\nheld_out_arms: panda\n", "held_out_arms: not a list"),
    ],
)
def test_settings_are_read_strictly(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "settings.yaml").write_text(text)
    with pytest.raises(InputError, match=problem):
        CommonConfig.load(tmp_path / "settings.yaml")
    with pytest.raises(InputError):
        TrainConfig.load(tmp_path / "none.yaml")
