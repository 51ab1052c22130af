"""`diffplan train prior --robot NAME`: data of one arm, a prior fine-tuned on them, put where plans of the arm find it.

All of it lies in the folder `training` beside the weights: `data` (shards), and `run-1`, `run-2` and so on. A run that
was stopped goes on; after it has ended, the next one begins with the weights that are used then, and has more data.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import torch
from rich.console import Console

from diffplan.errors import InputError
from diffplan.learning.common_data import load_arms
from diffplan.learning.common_trainer import CommonFit, fit_common_prior
from diffplan.learning.config import CommonConfig
from diffplan.learning.generate import GenerateConfig, generate
from diffplan.learning.log import Progress, read_log
from diffplan.learning.shards import shard_files
from diffplan.planners.threads import threads as using
from diffplan.prior.choice import load_any_prior, prior_file
from diffplan.prior.common import CommonPrior
from diffplan.prior.unet import chosen_products
from diffplan.robot.model import Robot
from diffplan.system.assets import named_robots, weights_folder
from diffplan.system.executor import usable_cores
from diffplan.system.files import NotWritten, alone_in, make_folder, write_bytes

DATA_SHARE = 0.4
"""Part of a run's time that goes into data."""
_LEAST_SCENES, _MOST_SCENES = 100, 10_000
_PROBED = 4
"""So many steps tell how long one takes."""
_LATE = 1.25
"""A run that takes so many times the time it was given stops; the same command goes on."""
_SHORT = CommonConfig(
    dim=32, rate=1e-3, warm_up=200, decay_share=0.4, ema=0.99, held_out=0.1, validate_every=100, validation_paths=128
)
_FINE_RATE, _FINE_WARM_UP = 3e-4, 50


@dataclass(frozen=True, kw_only=True, eq=False)
class OwnTraining:
    """Training for one arm.

    Attributes:
        robot: the arm.
        word: its name, or the path of its file: how it is named to worker processes and in notes.
        target: the file of its weights.
    """

    robot: Robot
    word: str
    target: Path

    @staticmethod
    def of(word: str) -> OwnTraining:
        """Find the robot, and where its weights go: beside its file, in the user's folder for a shipped robot.

        Raises:
            InputError: if there is no such robot, its file names other weights, or it has a prior of another kind.
        """
        robot = Robot.load(word)
        if word not in named_robots() and robot.file is not None:
            word = str(robot.file.resolve())
        folder = weights_folder(robot.name, robot.file)
        if folder is None:
            raise InputError(
                "a robot without a file or a name of its own", value=robot.name, allowed="a robot with one"
            )
        target = folder / "prior.safetensors"
        if robot.prior is not None and robot.prior.resolve() != target.resolve():
            allowed = f"no such line, so that plans take {target}"
            raise InputError("other weights", file=robot.file, key="prior", value=str(robot.prior), allowed=allowed)
        training = OwnTraining(robot=robot, word=word, target=target)
        if (used := training.used) is not None and not isinstance(load_any_prior(used), CommonPrior):
            allowed = "a robot without one; `diffplan train prior --data DIR --out DIR` trains that kind"
            raise InputError(f"{robot.name} has a prior of its own kind", file=used, allowed=allowed)
        return training

    @property
    def folder(self) -> Path:
        """Where data and runs are kept."""
        return self.target.parent / "training"

    @property
    def used(self) -> Path | None:
        """The weights that plans of this arm take now, if there are any."""
        file = prior_file(self.robot)
        return file if file.exists() else None

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other commands from training for this arm.

        Raises:
            InputError: if one does.
        """
        with ExitStack() as locked:
            try:
                locked.enter_context(alone_in(self.folder))
            except NotWritten:
                raise
            except InputError as error:
                problem = f"another command trains for {self.robot.name}; wait for its end, or stop it"
                raise InputError(problem, file=self.folder) from error
            yield

    def run(
        self, hours: float, *, workers: int | None = None, threads: int = 1, console: Console | None = None
    ) -> None:
        """Make data, train, and put the best weights so far in place at every validation.

        The best are those with the least loss on held-out scenes of this arm, seen through the network's own second
        estimate; those that are no better than what the run began with are not put there. Weights are replaced at once.

        Args:
            hours: how long data and training take together, about; a run that goes on takes no less for its training.
            workers: processes that make data; None: one for each CPU.
            threads: PyTorch's threads.
            console: where progress is shown.

        Raises:
            DiffplanError: if workers die, or the loss is not finite.
        """
        console, began = console or Console(stderr=True), time.monotonic()
        folder = next(path for i in count(1) if not _ended(path := self.folder / f"run-{i}"))
        begun = (folder / "config.json").exists()
        if not begun:
            self._prepare(folder, hours, workers, threads)
        config = CommonConfig.load(folder / "config.json")
        start = folder / "start.safetensors"
        console.print(f"{folder}: {config.steps} steps; weights go to {self.target}")
        left = hours if begun else hours - (time.monotonic() - began) / 3600
        fit_common_prior(
            [self.folder / "data"],
            config,
            folder,
            hours=_LATE * max(left, hours * (1 - DATA_SHARE)),
            checkpoint_minutes=1.0,
            start=start if start.exists() else None,
            best=self.target,
            threads=threads,
            console=console,
        )

    def _prepare(self, folder: Path, hours: float, workers: int | None, threads: int) -> None:
        """Make data and fix the settings of a new run, as long as the time allows."""
        began = time.monotonic()
        self._make_data(3600 * hours * DATA_SHARE, workers)
        make_folder(folder)
        if (used := self.used) is not None:
            write_bytes(folder / "start.safetensors", used.read_bytes())
        config = replace(settings(used), shards=len(shard_files(self.folder / "data")))
        left = 3600 * hours - (time.monotonic() - began)
        seconds = self._step_time(config, threads)
        steps = max(config.validate_every, round(left / seconds / config.validate_every) * config.validate_every)
        replace(config, steps=steps).save(folder / "config.json")

    def _make_data(self, seconds: float, workers: int | None) -> None:
        """Make shards for about so long: a few, to see how long they take, and as many more as fit."""
        config = GenerateConfig(out=self.folder / "data", robot=self.word, workers=workers)
        each, began = config.scenes_per_shard, time.monotonic()
        there = each * len(list(config.out.glob("shard-*.h5")))
        scenes = min(there + max(_LEAST_SCENES, each * (workers or usable_cores())), max(there, _MOST_SCENES))
        try:
            generate(replace(config, scenes=scenes))
            spent = time.monotonic() - began
            more = int(max(0.0, seconds / spent - 1) * (scenes - there) / each) * each
            generate(replace(config, scenes=min(scenes + more, max(there, _MOST_SCENES))))
        except InputError as error:
            if error.file != config.out / "dataset.json":
                raise
            allowed = f"the same; remove {self.folder} to begin anew"
            raise InputError(
                "data of another version of robot or packages", file=error.file, allowed=allowed
            ) from error

    def _step_time(self, config: CommonConfig, threads: int) -> float:
        """Return how long a training step takes [s]."""
        with using(threads):
            fit = CommonFit(config, load_arms([self.folder / "data"], config))
            fit.step()
            began = time.monotonic()
            for _ in range(_PROBED):
                fit.step()
        return (time.monotonic() - began) / _PROBED


def settings(start: Path | None) -> CommonConfig:
    """Return the settings of a run, but for its length: those of a short one, or of going on from these weights."""
    products = "bfloat16" if chosen_products() is torch.bfloat16 else "float32"
    config = replace(_SHORT, products=products)
    if start is None:
        return config
    prior = load_any_prior(start)
    assert isinstance(prior, CommonPrior)
    shape, schedule = prior.net.config, prior.schedule
    return replace(
        config,
        **{key: getattr(shape, key) for key in ("dim", "mults", "blocks", "tokens", "heads", "mixing")},
        horizon=prior.horizon,
        noise_steps=schedule.steps,
        data_std=schedule.data_std,
        rate=_FINE_RATE,
        warm_up=_FINE_WARM_UP,
    )


def _ended(run: Path) -> bool:
    """Return whether a run has done all its steps."""
    if not (run / "config.json").exists():
        return False
    steps = CommonConfig.load(run / "config.json").steps
    lines = read_log(run / "log.csv", Progress, up_to=steps)
    return bool(lines) and lines[-1].step == steps and (run / "prior.safetensors").exists()
