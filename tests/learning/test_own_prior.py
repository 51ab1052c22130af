"""`train prior --robot`: data, fine-tuning and installation in one command, which goes on and never makes it worse."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from diffplan.cli import main
from diffplan.cli import train as command
from diffplan.curves import spline
from diffplan.errors import InputError
from diffplan.learning import own_prior
from diffplan.learning.config import CommonConfig
from diffplan.learning.generate import GenerateConfig
from diffplan.learning.own_prior import OwnTraining, settings
from diffplan.learning.shards import Shard, shard_path, write_shard
from diffplan.prior.choice import prior_file
from diffplan.prior.common import CommonPrior, load_common_prior, save_common_prior
from diffplan.prior.jointwise import JointwiseUnet
from diffplan.robot.model import Robot
from diffplan.system.files import alone_in

SMALL = CommonConfig(
    dim=16, mults=(1, 2), mixing=(1,), horizon=8, noise_steps=20, batch=8, rate=5e-3, warm_up=2, decay_share=0.4,
    steps=6, ema=0.8, held_out=0.2, validate_every=6, validation_paths=4, products="float32",
)  # fmt: skip
BOX = '[{"name": "box", "type": "box", "size": [0.1, 0.1, 0.3], "pose": {"xyz": [0.4, 0.2, 0.3]}}]'


def made(config: GenerateConfig) -> None:
    """Paths that bulge from a straight line, instead of searched ones."""
    robot = Robot.load(config.robot)
    config.out.mkdir(parents=True, exist_ok=True)
    (config.out / "dataset.json").write_text(f'{{"robot": "{config.robot}", "seed": 0}}')
    count = config.scenes_per_shard
    for index in range(config.shards):
        if shard_path(config.out, index).exists():
            continue
        ends = robot.configuration("home") + np.random.default_rng(index).uniform(-0.3, 0.3, (2, count, robot.dof))
        paths = spline.straight(ends[0], ends[1], 64) + 0.2 * np.sin(np.linspace(0, np.pi, 64))[None, :, None]
        shard = Shard(
            seed=0,
            index=index,
            robot=robot.name,
            joint_names=robot.joint_names,
            versions={"diffplan": "0"},
            waypoints=np.clip(paths, robot.lower, robot.upper).astype(np.float32),
            scene=np.arange(count, dtype=np.int32),
            kind=np.zeros(count, dtype=np.int8),
            clearance=np.full(count, 0.05, dtype=np.float32),
            family=("bins",) * count,
            obstacles=(BOX,) * count,
        )
        write_shard(shard, config.out)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder with a common prior, which learnt nothing yet."""
    monkeypatch.setenv("DIFFPLAN_HOME", str(tmp_path))
    monkeypatch.setattr(own_prior, "generate", made)
    monkeypatch.setattr(own_prior, "_SHORT", SMALL)
    monkeypatch.setattr(own_prior, "_FINE_RATE", SMALL.rate)
    monkeypatch.setattr(own_prior, "_MOST_SCENES", 150)
    monkeypatch.setattr(OwnTraining, "_step_time", lambda *_: 3600.0)  # so that runs are short
    torch.manual_seed(0)
    common = CommonPrior(net=JointwiseUnet(SMALL.unet()), schedule=SMALL.schedule(), horizon=8)
    save_common_prior(common, tmp_path / "robots" / "common.safetensors")
    return tmp_path / "robots"


def test_plans_of_a_shipped_robot_take_what_was_trained_for_it(home: Path, capfd) -> None:
    robot, words = Robot.load("xarm6"), ["train", "prior", "--robot", "xarm6", "--minutes", "1", "--workers", "1"]
    assert prior_file(robot) == home / "common.safetensors"
    assert main(words) == 0
    target = home / "xarm6" / "prior.safetensors"
    assert capfd.readouterr().out.split() == [str(target)]
    assert prior_file(robot) == target
    first = load_common_prior(target)
    assert first.training["arms"] == "xarm6"
    assert "fine-tuned from the common one" in (target.parent / "PRIOR.md").read_text()
    run = target.parent / "training" / "run-1"
    assert (run / "start.safetensors").read_bytes() == (home / "common.safetensors").read_bytes()

    installed = target.read_bytes()
    assert main(words) == 0  # once more: from what is used now, with more data
    run = run.with_name("run-2")
    assert (run / "start.safetensors").read_bytes() == installed
    assert CommonConfig.load(run / "config.json").shards == 3
    assert load_common_prior(run / "prior.safetensors").training["started_from"] == "6 steps on xarm6"


def test_a_stopped_run_goes_on_from_where_it_began(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training, fit = OwnTraining.of("xarm6"), own_prior.fit_common_prior

    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(own_prior, "fit_common_prior", stopped)
    with pytest.raises(KeyboardInterrupt):
        training.run(0.1, workers=1)
    common = (home / "common.safetensors").read_bytes()
    (home / "common.safetensors").unlink()  # whatever becomes of it
    monkeypatch.setattr(own_prior, "fit_common_prior", fit)
    training.run(0.1, workers=1)
    folders = [path.name for path in training.folder.iterdir() if path.name.startswith("run")]
    assert folders == ["run-1"]
    assert (training.folder / "run-1" / "start.safetensors").read_bytes() == common


def test_weights_that_are_no_better_are_not_used(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_prior, "_FINE_RATE", 1e-30)  # which changes nothing
    training = OwnTraining.of("xarm6")
    training.run(0.1, workers=1)
    assert (training.folder / "run-1" / "prior.safetensors").exists()
    assert not training.target.exists()
    assert training.used == home / "common.safetensors"


def test_a_run_takes_the_shape_and_noise_of_its_start(home: Path) -> None:
    config = settings(home / "common.safetensors")
    assert (config.dim, config.mults, config.mixing, config.horizon) == (16, (1, 2), (1,), 8)
    assert config.schedule() == SMALL.schedule()
    assert settings(None).dim == SMALL.dim


def test_what_would_not_be_used_is_not_trained(home: Path, rail_file: Path, tmp_path: Path, capsys) -> None:
    with pytest.raises(InputError, match=r"prior\.safetensors: panda has a prior of its own kind"):
        OwnTraining.of("panda")
    assert OwnTraining.of(str(rail_file)).target == rail_file.parent / "prior.safetensors"
    for name in ("rail.urdf", "collision.yaml"):
        (tmp_path / name).write_text((rail_file.parent / name).read_text())
    (tmp_path / "other.safetensors").write_bytes(b"")
    named = tmp_path / "robot.yaml"
    named.write_text(rail_file.read_text() + "\nprior: other.safetensors\n")
    with pytest.raises(InputError, match=r"robot\.yaml: prior: other weights .*other\.safetensors"):
        OwnTraining.of(str(named))
    training = OwnTraining.of("xarm6")
    with alone_in(training.folder):
        assert main(["train", "prior", "--robot", "xarm6"]) == 2
    assert "another command trains for xarm6" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([], "train prior: not told what to train on"),
        (["--data", "d"], "--out: missing"),
        (["--data", "d", "--out", "o", "--minutes", "3"], "--minutes: only without --data"),
        (["--robot", "xarm6", "--hours", "1"], "--hours: only with --data"),
        (["--robot", "xarm6", "--common"], "--common: only with --data"),
    ],
)
def test_words_of_the_other_way_to_train_are_refused(words: list[str], problem: str, capsys) -> None:
    assert main(["train", "prior", *words]) == 2
    assert problem in capsys.readouterr().err


def test_in_the_background_the_same_command_runs_as_a_process_of_its_own(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    started: list[tuple[list[str], Path]] = []

    def start(words: list[str], log: Path) -> SimpleNamespace:
        started.append((words, log))
        return SimpleNamespace(pid=17)

    monkeypatch.setattr(command, "_in_background", start)
    assert main(["train", "prior", "--robot", "xarm6", "--minutes", "5", "--background"]) == 0
    ((words, log),) = started
    assert words[:5] == [sys.executable, "-m", "diffplan", "train", "prior"]
    assert words[5:9] == ["--robot", "xarm6", "--minutes", "5.0"]
    assert "--background" not in words
    assert log == home / "xarm6" / "training" / "log.txt"
    assert "process 17" in capsys.readouterr().err


def test_a_process_in_the_background_writes_its_output_into_a_file(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    process = command._in_background([sys.executable, "-c", "print('here')"], log)
    assert process.wait() == 0
    assert log.read_text() == "here\n"
