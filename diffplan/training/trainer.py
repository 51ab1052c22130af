"""Fit the prior: a denoiser of paths that is fed back what the scene says about its own estimate.

A run is a function of its config and data: everything random comes from (seed, step), so a run that was killed and
resumed from its last checkpoint ends in the same weights as one that was not. (On one machine and thread count;
other processors round differently.)
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn
from rich.progress import Progress as ProgressBar
from torch import Tensor

from diffplan.data.dataset import Dataset
from diffplan.diffusion.loss import NoisyBatch, denoising_loss, draw
from diffplan.diffusion.prior import FORMAT, Prior, read_tensors, save_prior, write_tensors
from diffplan.diffusion.tokens import SceneTokens
from diffplan.diffusion.unet import TemporalUnet
from diffplan.diffusion.wrappers import Features, condition_channels
from diffplan.errors import DiffplanError, InputError
from diffplan.files import make_folder, write_text
from diffplan.formats.entry import Entry, Json
from diffplan.training.card import model_card, summary
from diffplan.training.checkpoint import compare_settings, pack, unpack
from diffplan.training.config import TrainConfig
from diffplan.training.log import Progress, draw_curve, read_log, write_log

if TYPE_CHECKING:
    from diffplan.training.value import ValueConfig

CHECKPOINT = "diffplan/checkpoint@1"
_ORDER, _STEP, _VALIDATION, _WEIGHTS = range(4)  # streams of random numbers


def generator_of(seed: int, stream: int, number: int) -> torch.Generator:
    """Return the generator of random numbers that belongs to a stream and a number of it."""
    state = np.random.SeedSequence([seed, stream, number]).generate_state(2, np.uint32)
    return torch.Generator().manual_seed(int(state[0]) << 32 | int(state[1]))


def batch_rows(config: TrainConfig | ValueConfig, count: int, step: int) -> Tensor:
    """Return the rows [batch] of step `step` (from 0): every epoch is a new order of all `count` paths."""
    first = step * config.batch
    rows: list[Tensor] = []
    while (missing := config.batch - sum(map(len, rows))) > 0:
        epoch, offset = divmod(first + config.batch - missing, count)
        order = torch.randperm(count, generator=generator_of(config.seed, _ORDER, epoch))
        rows.append(order[offset : offset + missing])
    return torch.cat(rows)


def learning_rate(config: TrainConfig | ValueConfig, step: int) -> float:
    """Return the learning rate of step `step` (from 0): linear rise, flat, cosine to zero at the end."""
    rise = min(1.0, (step + 1) / config.warm_up) if config.warm_up else 1.0
    start = (1 - config.decay_share) * config.steps
    fallen = min(1.0, max(0.0, (step - start) / (config.steps - start)))
    return config.rate * rise * 0.5 * (1 + math.cos(math.pi * fallen))


class Trainer:
    """The state of a run: network, its averaged copy `average`, optimiser, number of steps done.

    Args:
        config: the settings.
        dataset: training and held-out paths.
        features: what the scene says about a path, `(x0, scene_of) -> features`; `scene_of` counts `dataset.scenes`.
        channels: how many channels `features` returns.
        tokens: the obstacles of `dataset.scenes`, for `config.tokens`.
    """

    def __init__(
        self,
        config: TrainConfig,
        dataset: Dataset,
        features: Features,
        channels: int,
        tokens: SceneTokens | None = None,
    ) -> None:
        self.config, self.dataset, self.features, self.tokens = config, dataset, features, tokens
        self.schedule = config.schedule()
        shape = config.unet(dataset.robot.dof, condition_channels(dataset.robot.dof, channels))
        products = torch.bfloat16 if config.products == "bfloat16" else torch.float32
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(generator_of(config.seed, _WEIGHTS, 0).initial_seed())
            self.net = TemporalUnet(shape).products(products)
        self.average = TemporalUnet(shape).requires_grad_(False)
        self.average.load_state_dict(self.net.state_dict())
        self.optimiser = torch.optim.AdamW(
            self.net.parameters(), lr=config.rate, weight_decay=config.weight_decay, fused=True
        )
        self.done = 0
        self.history: list[list[int]] = []
        self._validation: NoisyBatch | None = None

    def batch(self, step: int) -> NoisyBatch:
        """Return the batch of step `step` (from 0): half of its paths run backwards, which doubles the data."""
        paths = self.dataset.train
        rows = batch_rows(self.config, len(paths), step)
        generator = generator_of(self.config.seed, _STEP, step)
        x0 = paths.x[rows]
        back = torch.rand(len(rows), generator=generator) < 0.5
        x0 = torch.where(back[:, None, None], x0.flip(1), x0)
        return draw(x0, paths.scene_of[rows], self.schedule, self.config.pass_shares, generator)

    def step(self) -> float:
        """Do one step and return its loss.

        Raises:
            FloatingPointError: if the loss is not finite; nothing was changed.
        """
        config = self.config
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(config, self.done)
        loss = denoising_loss(self.net, self.schedule, self.batch(self.done), self.features, self.tokens).mean()
        self.optimiser.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.net.parameters(), config.clip)
        if not math.isfinite(loss.item() + norm.item()):
            raise FloatingPointError(f"loss {loss.item()}, gradient norm {norm.item()} in step {self.done}")
        self.optimiser.step()
        self.done += 1
        decay = min(config.ema, (1 + self.done) / (10 + self.done))
        with torch.no_grad():
            for average, new in zip(self.average.parameters(), self.net.parameters(), strict=True):
                average.lerp_(new, 1 - decay)
        return loss.item()

    def validate(self) -> dict[str, float]:
        """Return the averaged weights' losses on held-out scenes: `first`, `third` and `free` (see `Progress`).

        The same paths, levels and noise every time.
        """
        if self._validation is None:
            paths, generator = self.dataset.validation, generator_of(self.config.seed, _VALIDATION, 0)
            first = slice(self.config.validation_paths)  # the same ones however much data is added behind them
            shares = self.config.pass_shares
            self._validation = draw(paths.x[first], paths.scene_of[first], self.schedule, shares, generator)
        losses = {}
        with torch.no_grad():
            for name, passes in (("first", 1), ("third", 3), ("free", 0)):
                batch = replace(self._validation, passes=torch.full_like(self._validation.passes, passes))
                loss = denoising_loss(self.average, self.schedule, batch, self.features, self.tokens)
                losses[name] = loss.mean().item()
        return losses

    def prior(self, training: dict[str, str | int | float]) -> Prior:
        """Return the averaged network as a prior."""
        robot = self.dataset.robot
        return Prior(
            net=self.average,
            schedule=self.schedule,
            horizon=self.config.horizon,
            joint_names=robot.joint_names,
            lower=tuple(map(float, robot.lower)),
            upper=tuple(map(float, robot.upper)),
            training=training,
        )

    def save(self, path: Path) -> None:
        """Write the whole state (atomically)."""
        tensors = pack(self.net, self.average, self.optimiser)
        header = {"format": CHECKPOINT, "done": self.done, "config": asdict(self.config), "history": self.history}
        write_tensors(tensors, {**header, "data": self.dataset.digest}, path)

    def load(self, path: Path, *, extend: bool = False) -> None:
        """Take up the state that `save` wrote.

        With `extend`, `steps` and `shards` may differ from what they were; what changed at which step is kept in
        `history` as [step, steps, paths], for the model card.

        Raises:
            InputError: if the file is no checkpoint, or of a run with another config or other data.
        """
        tensors, header = read_tensors(path, CHECKPOINT)
        self._compare(header, path, ("steps", "shards") if extend else ())
        self.done = unpack(tensors, header, path, self.net, self.average, self.optimiser)
        history = header.get("history")
        rows = Entry(file=path, key="history", raw=history).sequence() if history else []
        self.history = [[entry.whole() for entry in row.sequence()] for row in rows]

    def start_from(self, path: Path) -> None:
        """Take the weights of a trained prior; attention to tokens that it lacks begins as if it were not there.

        Raises:
            InputError: if the file is no prior, or one of another shape.
        """
        tensors, header = read_tensors(path, FORMAT)
        weights = {name: tensor.float() for name, tensor in tensors.items()}
        own = self.net.state_dict()
        new = {name: tensor for name, tensor in own.items() if name.startswith("attend.") and name not in weights}
        if {name: t.shape for name, t in {**weights, **new}.items()} != {name: t.shape for name, t in own.items()}:
            shape = asdict(self.net.config)
            raise InputError("a prior of another shape", file=path, value=header.get("unet"), allowed=str(shape))
        for net in (self.net, self.average):
            net.load_state_dict({**weights, **new})

    def begin(self) -> None:
        """Note in `history` what is trained from here on, if it is not what was trained before."""
        now = [self.config.steps, len(self.dataset.train)]
        if not self.history or self.history[-1][1:] != now:
            self.history.append([self.done, *now])

    def _compare(self, header: dict[str, Json], path: Path, free: tuple[str, ...]) -> None:
        """Refuse a checkpoint of other settings (but `free` ones) or other data."""
        compare_settings(self.config, header, path, free)
        if "shards" not in free and header.get("data") != self.dataset.digest:
            raise InputError(
                "not the data that this run began with",
                file=path,
                key="shards",
                value=self.config.shards,
                allowed="the same shards (`shards: N` takes the first N), or to extend the run",
            )


def run(
    trainer: Trainer,
    folder: Path,
    *,
    hours: float | None = None,
    checkpoint_minutes: float = 5.0,
    log_every: int = 100,
    extend: bool = False,
    start: Path | None = None,
) -> Iterator[Progress]:
    """Train to `config.steps`, yielding a line of the log every `log_every` steps; resumes what `folder` holds.

    Writes config.json, log.csv and checkpoint.safetensors, at the end too, or when `hours` have passed; such a run
    goes on when called again. A new run begins with the weights of the prior `start`, if given. Checkpoints stand on
    lines of the log, so a resumed log is that of an unbroken run.

    Raises:
        InputError: if the folder holds a run with another config or other data (see `Trainer.load` for `extend`).
        DiffplanError: if the loss is not finite; the state before that step is left in the folder.
    """
    make_folder(folder)
    checkpoint, log, config = folder / "checkpoint.safetensors", folder / "log.csv", trainer.config
    if checkpoint.exists():
        trainer.load(checkpoint, extend=extend)
    elif start is not None:
        trainer.start_from(start)
    trainer.begin()
    config.save(folder / "config.json")
    lines = read_log(log, up_to=trainer.done)
    before = lines[-1].seconds if lines else 0.0
    began = saved = time.monotonic()
    losses: list[float] = []
    while trainer.done < config.steps:
        try:
            losses.append(trainer.step())
        except FloatingPointError as error:
            trainer.save(folder / "not-finite.safetensors")
            raise DiffplanError(f"training stopped: {error}; the state before it is in {folder}") from error
        final = trainer.done == config.steps
        if trainer.done % log_every and not final:
            continue
        validating = final or trainer.done % config.validate_every == 0
        now = time.monotonic()
        line = Progress(
            step=trainer.done,
            seconds=round(before + now - began, 1),
            rate=learning_rate(config, trainer.done - 1),
            train=sum(losses) / len(losses),
            **(trainer.validate() if validating else {}),
        )
        lines.append(line)
        losses = []
        over = hours is not None and now - began > 3600 * hours
        if final or over or now - saved > 60 * checkpoint_minutes:
            write_log(lines, log)
            trainer.save(checkpoint)
            saved = now
        yield line
        if over:
            return


def train_prior(
    config: TrainConfig,
    dataset: Dataset,
    features: Features,
    channels: int,
    folder: Path,
    *,
    tokens: SceneTokens | None = None,
    hours: float | None = None,
    checkpoint_minutes: float = 5.0,
    extend: bool = False,
    start: Path | None = None,
    console: Console | None = None,
) -> Prior:
    """Train (or resume) with a progress bar; leave prior.safetensors, curve.png and PRIOR.md in the run's folder.

    Raises:
        InputError: if the folder holds a run with another config.
        DiffplanError: if the loss is not finite.
    """
    trainer = Trainer(config, dataset, features, channels, tokens)
    columns = ("[progress.description]{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    shown = console or Console(stderr=True)
    with ProgressBar(*columns, console=shown) as bar:
        task = bar.add_task("training", total=config.steps)
        for line in run(
            trainer, folder, hours=hours, checkpoint_minutes=checkpoint_minutes, extend=extend, start=start
        ):
            bar.update(task, completed=line.step, description=f"loss {line.train:.4f}")
            if not math.isnan(line.first):
                losses = f"first pass {line.first:.4f}, third {line.third:.4f}, scene not shown {line.free:.4f}"
                bar.console.print(f"step {line.step} ({line.seconds / 60:.1f} min) held-out loss: {losses}")
                draw_curve(read_log(folder / "log.csv", up_to=line.step), folder / "curve.png")
    lines = read_log(folder / "log.csv", up_to=trainer.done)
    draw_curve(lines, folder / "curve.png")
    prior = trainer.prior(summary(config, dataset, lines, trainer.history))
    save_prior(prior, folder / "prior.safetensors")
    write_text(folder / "PRIOR.md", model_card(prior, config, lines))
    return prior
