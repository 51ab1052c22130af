"""Fit the prior: a denoiser of paths that is fed back what the scene says about its own estimate."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch
from rich.console import Console
from torch import Tensor, nn

from diffplan.errors import InputError
from diffplan.learning.card import model_card, summary
from diffplan.learning.config import TrainConfig
from diffplan.learning.dataset import Dataset
from diffplan.learning.log import Progress, draw_curve, read_log
from diffplan.learning.run import Fit, batch_rows, generator_of, run, watched
from diffplan.prior.loss import NoisyBatch, denoising_loss, draw
from diffplan.prior.prior import FORMAT, Prior, read_tensors, save_prior
from diffplan.prior.tokens import SceneTokens
from diffplan.prior.unet import TemporalUnet
from diffplan.prior.wrappers import Features, condition_channels
from diffplan.strict.entry import Json
from diffplan.system.computed import computed
from diffplan.system.files import write_text

_STEP, _VALIDATION, _WEIGHTS = range(1, 4)  # streams of random numbers
_Net = TypeVar("_Net", bound=nn.Module)


class PriorFit(Fit[TemporalUnet, Progress]):
    """The state of a run of the prior.

    Args:
        config: the settings.
        dataset: training and held-out paths.
        features: what the scene says about a path, `(x0, scene_of) -> features`; `scene_of` counts `dataset.scenes`.
        channels: how many channels `features` returns.
        tokens: the obstacles of `dataset.scenes`, for `config.tokens`.
    """

    checkpoint = "diffplan/checkpoint@1"
    line = Progress
    config: TrainConfig

    def __init__(
        self,
        config: TrainConfig,
        dataset: Dataset,
        features: Features,
        channels: int,
        tokens: SceneTokens | None = None,
    ) -> None:
        self.dataset, self.features, self.tokens = dataset, features, tokens
        self.schedule = config.schedule()
        shape = config.unet(dataset.robot.dof, condition_channels(dataset.robot.dof, channels))
        super().__init__(config, lambda: TemporalUnet(shape), _WEIGHTS, fused=True)
        self.net.products(torch.bfloat16 if config.products == "bfloat16" else torch.float32)

    @property
    def rows(self) -> int:
        """How many paths it is trained on."""
        return len(self.dataset.train)

    @property
    def digest(self) -> Json:
        """A sum of the paths."""
        return self.dataset.digest

    def other_data(self, path: Path) -> InputError:
        """Return the error for a checkpoint of other paths."""
        return InputError(
            "not the data that this run began with",
            file=path,
            key="shards",
            value=self.config.shards,
            allowed="the same shards (`shards: N` takes the first N), or to extend the run",
        )

    def batch(self, step: int) -> NoisyBatch:
        """Return the batch of step `step` (from 0): half of its paths run backwards, which doubles the data."""
        paths = self.dataset.train
        rows = batch_rows(self.config, len(paths), step)
        generator = generator_of(self.config.seed, _STEP, step)
        x0 = paths.x[rows]
        back = torch.rand(len(rows), generator=generator) < 0.5
        x0 = torch.where(back[:, None, None], x0.flip(1), x0)
        return draw(x0, paths.scene_of[rows], self.schedule, self.config.pass_shares, generator)

    def loss(self, step: int) -> Tensor:
        """Return the mean loss of step `step` (from 0)."""
        return self.losses(self.net, self.batch(step)).mean()

    def judged(self) -> dict[str, float]:
        """Return the averaged weights' losses on held-out scenes: `first`, `third` and `free` (see `Progress`).

        The same paths, levels and noise every time.
        """
        return losses_by_pass(self.validation, partial(self.losses, self.average))

    @computed
    def validation(self) -> NoisyBatch:
        """What is asked at validations: the first held-out paths, however much data is added behind them."""
        paths, generator = self.dataset.validation, generator_of(self.config.seed, _VALIDATION, 0)
        first, shares = slice(self.config.validation_paths), self.config.pass_shares
        return draw(paths.x[first], paths.scene_of[first], self.schedule, shares, generator)

    def losses(self, net: TemporalUnet, batch: NoisyBatch) -> Tensor:
        """Return the denoising loss [b] of a network for each sample of a batch."""
        return denoising_loss(net, self.schedule, batch, self.features, self.tokens)

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


def losses_by_pass(batch: NoisyBatch, loss: Callable[[NoisyBatch], Tensor]) -> dict[str, float]:
    """Return the mean losses `first`, `third` and `free` of a batch (see `Progress`), given the loss of each sample."""
    losses = {}
    with torch.no_grad():
        for name, passes in (("first", 1), ("third", 3), ("free", 0)):
            losses[name] = loss(replace(batch, passes=torch.full_like(batch.passes, passes))).mean().item()
    return losses


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
    fit = PriorFit(config, dataset, features, channels, tokens)
    lines = left_in(
        folder,
        fit,
        hours=hours,
        checkpoint_minutes=checkpoint_minutes,
        extend=extend,
        start=None if start is None else partial(fit.start_from, start),
        console=console,
    )
    prior = fit.prior(summary(config, dataset, lines, fit.history))
    save_prior(prior, folder / "prior.safetensors")
    write_text(folder / "PRIOR.md", model_card(prior, config, lines))
    return prior


def left_in(
    folder: Path,
    fit: Fit[_Net, Progress],
    *,
    hours: float | None,
    checkpoint_minutes: float,
    extend: bool,
    start: Callable[[], None] | None,
    console: Console | None,
    validated: Callable[[Progress], None] | None = None,
) -> list[Progress]:
    """Run to the end, or for `hours`, with a progress bar; leave the curve in the folder and return the log.

    `validated` is shown the lines of the log with a validation.

    Raises:
        InputError: if the folder holds a run with another config.
        DiffplanError: if the loss is not finite.
    """
    log, curve = folder / "log.csv", folder / "curve.png"
    lines = run(fit, folder, hours=hours, checkpoint_minutes=checkpoint_minutes, extend=extend, start=start)
    for line in watched(lines, fit.config.steps, _told, console):
        if not math.isnan(line.first):
            draw_curve(read_log(log, Progress, up_to=line.step), curve)
            if validated is not None:
                validated(line)
    told = read_log(log, Progress, up_to=fit.done)
    draw_curve(told, curve)
    return told


def _told(line: Progress) -> str:
    if math.isnan(line.first):
        return ""
    losses = f"first pass {line.first:.4f}, third {line.third:.4f}, scene not shown {line.free:.4f}"
    return f"held-out loss: {losses}"
