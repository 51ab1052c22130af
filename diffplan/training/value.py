"""Fit the value: a regressor of measured returns from noisy paths. A run is a function of its config and data."""

from __future__ import annotations

import csv
import io
import json
import math
import time
import zlib
from collections.abc import Iterator
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor

from diffplan.data.dataset import held_out_scenes
from diffplan.data.returns import Returns
from diffplan.diffusion.prior import read_tensors, write_tensors
from diffplan.diffusion.schedule import Schedule
from diffplan.diffusion.unet import UnetConfig
from diffplan.diffusion.value import Value, ValueNet, normalised_limits, straight_time
from diffplan.errors import DiffplanError, InputError
from diffplan.files import make_folder, write_text
from diffplan.geometry import Float
from diffplan.robot import Robot
from diffplan.training import log
from diffplan.training.checkpoint import compare_settings, pack, unpack
from diffplan.training.trainer import batch_rows, generator_of, learning_rate

CHECKPOINT = "diffplan/value-checkpoint@1"
LEVELS = (0, 10, 25, 50, 75)
"""The noise levels, in per cent of the steps, at which a value is judged."""
_STEP, _VALIDATION, _WEIGHTS = range(10, 13)  # streams of random numbers; the order of the data is `batch_rows`'


@dataclass(frozen=True, kw_only=True)
class ValueConfig:
    """Settings of a training run of the value.

    Attributes:
        seed: of weights, order of the data, noise.
        dim, mults, blocks: shape of the network (`UnetConfig`).
        noise_steps, data_std: the schedule (`Schedule`), the prior's.
        steps, batch: length of the run, in steps of `batch` groups (a path and its variations).
        rate, warm_up, decay_share: learning rate, as in `TrainConfig`.
        weight_decay, clip: AdamW's decay; largest norm of the gradient.
        ema: decay of the averaged weights.
        clean: share of groups that are shown without noise, the others at uniform levels.
        within: weight of the error left after each group's mean is taken off: to tell the ways to one goal apart is
            what the value is for, and most of the returns' variance is between problems.
        tracking_weight: what a rad of tracking error costs, in s.
        held_out: share of scenes kept for validation.
        validate_every: steps between validations.
    """

    seed: int = 0
    dim: int = 32
    mults: tuple[int, ...] = (1, 2, 4)
    blocks: int = 1
    noise_steps: int = 100
    data_std: float = 0.25
    steps: int = 6000
    batch: int = 32
    rate: float = 2e-3
    warm_up: int = 200
    decay_share: float = 0.7
    weight_decay: float = 0.01
    clip: float = 1.0
    ema: float = 0.998
    clean: float = 0.4
    within: float = 1.0
    tracking_weight: float = 10.0
    held_out: float = 0.1
    validate_every: int = 500

    def __post_init__(self) -> None:
        for key in ("steps", "batch", "rate", "clip", "validate_every"):
            if getattr(self, key) <= 0:
                raise InputError("not a positive number", key=key, value=getattr(self, key))
        for key in ("decay_share", "ema", "clean", "held_out"):
            if not 0 < getattr(self, key) < 1:
                raise InputError("not a share", key=key, value=getattr(self, key), allowed="between 0 and 1")


@dataclass(frozen=True, kw_only=True, eq=False)
class Rated:
    """Groups of normalised paths `x` [n, m, K, dof] float32 and what they cost, `cost` [n, m] in s: minus the return.

    `straight` [n] in s is the time of the straight line between a group's ends.
    """

    x: Tensor
    cost: Tensor
    straight: Tensor

    def __len__(self) -> int:
        return len(self.x)

    @property
    def excess(self) -> Tensor:
        """By how much the paths cost more than the straight line [n, m]."""
        return self.cost - self.straight[:, None]


def rate(returns: Returns, robot: Robot, *, tracking_weight: float) -> Rated:
    """Return what paths cost: traversal time and the weighted tracking error, its mean where it was not measured."""
    tracking = np.where(np.isnan(returns.tracking), np.nanmean(returns.tracking), returns.tracking)
    control = returns.control.astype(np.float64)
    straight = straight_time(control[:, 0, -1] - control[:, 0, 0], robot.velocity, robot.acceleration)
    return Rated(
        x=torch.from_numpy(robot.normalise(control).astype(np.float32)),
        cost=torch.from_numpy((returns.duration + tracking_weight * tracking).astype(np.float32)),
        straight=torch.from_numpy(straight.astype(np.float32)),
    )


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How well predictions agree with measured returns, at one noise level `level` [% of the steps].

    Pearson's and Spearman's correlation over all paths, then the same within groups: of the differences from each
    group's mean, and the mean over groups of the rank correlation. `error_s` is the mean absolute error.
    """

    level: int
    pearson: float
    spearman: float
    pearson_within: float
    spearman_within: float
    error_s: float


def agreement(level: int, predicted: Float, measured: Float) -> Agreement:
    """Compare predictions with measurements, both [groups, variations]."""
    return Agreement(
        level=level,
        pearson=_correlation(predicted.ravel(), measured.ravel()),
        spearman=_correlation(rankdata(predicted), rankdata(measured)),
        pearson_within=_correlation(*((v - v.mean(1, keepdims=True)).ravel() for v in (predicted, measured))),
        spearman_within=float(
            np.mean([_correlation(rankdata(p), rankdata(m)) for p, m in zip(predicted, measured, strict=True)])
        ),
        error_s=float(np.abs(predicted - measured).mean()),
    )


def _correlation(a: Float, b: Float) -> float:
    return float(np.corrcoef(a, b)[0, 1])


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the log: `train` is the mean loss since the line before; the rest is measured on held-out scenes.

    `pearson`, `spearman` and `spearman_within` are those of `Agreement` without noise, `pearson_half` that at half the
    steps; NaN where there was no validation. `seconds` counts all parts of the run.
    """

    step: int
    seconds: float
    train: float
    pearson: float = math.nan
    spearman: float = math.nan
    spearman_within: float = math.nan
    pearson_half: float = math.nan


class ValueTrainer:
    """The state of a run: network, its averaged copy `average`, optimiser, number of steps done.

    Raises:
        InputError: if the returns' scenes cannot be split into training and held-out ones.
    """

    def __init__(self, config: ValueConfig, returns: Returns, robot: Robot) -> None:
        self.config, self.robot = config, robot
        self.schedule = Schedule(steps=config.noise_steps, data_std=config.data_std)
        rated = rate(returns, robot, tracking_weight=config.tracking_weight)
        held_out = torch.from_numpy(held_out_scenes(returns.scene, config.held_out))
        if bool(held_out.all()) or not bool(held_out.any()):
            raise InputError("too few scenes to hold some out", value=len(held_out), allowed="about 50 or more")
        self.train, self.validation = (
            Rated(x=rated.x[rows], cost=rated.cost[rows], straight=rated.straight[rows])
            for rows in (~held_out, held_out)
        )
        self.tracking = returns.tracking[~np.isnan(returns.tracking)]
        self.mean, self.std = float(self.train.excess.mean()), float(self.train.excess.std())
        shape = UnetConfig(dof=robot.dof, dim=config.dim, mults=config.mults, blocks=config.blocks)
        limits = normalised_limits(robot)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(generator_of(config.seed, _WEIGHTS, 0).initial_seed())
            self.net = ValueNet(shape, limits)
        self.average = ValueNet(shape, limits).requires_grad_(False)
        self.average.load_state_dict(self.net.state_dict())
        self.optimiser = torch.optim.AdamW(self.net.parameters(), lr=config.rate, weight_decay=config.weight_decay)
        self.done = 0

    def step(self) -> float:
        """Do one step and return its loss.

        Backwards a path takes as long: the direction is drawn for each group.

        Raises:
            FloatingPointError: if the loss is not finite; nothing was changed.
        """
        c = self.config
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(c, self.done)
        rows = batch_rows(c, len(self.train), self.done)
        generator = generator_of(c.seed, _STEP, self.done)
        x = self.train.x[rows]
        back = torch.rand((len(x), 1, 1, 1), generator=generator) < 0.5
        x = torch.where(back, x.flip(2), x)
        t = torch.randint(1, c.noise_steps + 1, (len(x),), generator=generator)
        t = torch.where(torch.rand(len(x), generator=generator) < c.clean, 0, t)
        error = self._predict(self.net, x, t, generator) - (self.train.excess[rows] - self.mean) / self.std
        apart = error - error.mean(dim=1, keepdim=True)
        loss = error.square().mean() + c.within * apart.square().mean()
        self.optimiser.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.net.parameters(), c.clip)
        if not math.isfinite(loss.item() + norm.item()):
            raise FloatingPointError(f"loss {loss.item()}, gradient norm {norm.item()} in step {self.done}")
        self.optimiser.step()
        self.done += 1
        decay = min(c.ema, (1 + self.done) / (10 + self.done))
        with torch.no_grad():
            for average, new in zip(self.average.parameters(), self.net.parameters(), strict=True):
                average.lerp_(new, 1 - decay)
        return loss.item()

    def _predict(self, net: ValueNet, x: Tensor, t: Tensor, generator: torch.Generator) -> Tensor:
        """Return the network's numbers [n, m] for groups x [n, m, K, dof], made noisy to steps t [n]."""
        flat, each = x.flatten(0, 1), t.repeat_interleave(x.shape[1])
        noise = torch.randn(flat.shape, generator=generator)
        return net(self.schedule.noisy(flat, each, noise), each).view(x.shape[:2])

    def validate(self, level: int) -> Agreement:
        """Return how well the averaged weights do on held-out scenes at a noise level [% of the steps]."""
        held, generator = self.validation, generator_of(self.config.seed, _VALIDATION, level)
        t = torch.full((len(held),), round(level / 100 * self.config.noise_steps))
        with torch.no_grad():
            parts = [
                self._predict(self.average, x, part, generator)
                for x, part in zip(held.x.split(128), t.split(128), strict=True)
            ]
        predicted = held.straight[:, None] + self.mean + self.std * torch.cat(parts)
        return agreement(level, predicted.double().numpy(), held.cost.double().numpy())

    def value(self, training: dict[str, str | int | float]) -> Value:
        """Return the averaged network as a value."""
        r = self.robot
        lower, upper, velocity, acceleration = (
            tuple(map(float, limit)) for limit in (r.lower, r.upper, r.velocity, r.acceleration)
        )
        return Value(
            net=self.average,
            schedule=self.schedule,
            joint_names=r.joint_names,
            lower=lower,
            upper=upper,
            velocity=velocity,
            acceleration=acceleration,
            mean=self.mean,
            std=self.std,
            training=training,
        )

    def save(self, path: Path) -> None:
        """Write the whole state (atomically)."""
        header = {"format": CHECKPOINT, "done": self.done, "config": asdict(self.config), "data": self._digest}
        write_tensors(pack(self.net, self.average, self.optimiser), header, path)

    def load(self, path: Path) -> None:
        """Take up the state that `save` wrote.

        Raises:
            InputError: if the file is no checkpoint, or of a run with another config or other data.
        """
        tensors, header = read_tensors(path, CHECKPOINT)
        compare_settings(self.config, header, path)
        if header.get("data") != self._digest:
            raise InputError("not the returns that this run began with", file=path, allowed="another folder")
        self.done = unpack(tensors, header, path, self.net, self.average, self.optimiser)

    @property
    def _digest(self) -> int:
        return zlib.crc32(self.train.cost.numpy().tobytes(), zlib.crc32(self.train.x.numpy().tobytes()))


def run(trainer: ValueTrainer, folder: Path, *, checkpoint_minutes: float = 1.0, log_every: int = 50) -> Iterator[Line]:
    """Train to `config.steps`, yielding a line of the log every `log_every` steps; resumes what `folder` holds.

    Writes config.json, log.csv and checkpoint.safetensors. Checkpoints stand on lines of the log.

    Raises:
        InputError: if the folder holds a run with another config or other data.
        DiffplanError: if the loss is not finite; the state before that step is left in the folder.
    """
    make_folder(folder)
    checkpoint, config = folder / "checkpoint.safetensors", trainer.config
    if checkpoint.exists():
        trainer.load(checkpoint)
    write_text(folder / "config.json", json.dumps(asdict(config), indent=1) + "\n")
    lines = read_lines(folder / "log.csv", up_to=trainer.done)
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
        found: dict[str, float] = {}
        if final or trainer.done % config.validate_every == 0:
            clean, half = trainer.validate(0), trainer.validate(50)
            found = {name: getattr(clean, name) for name in ("pearson", "spearman", "spearman_within")}
            found["pearson_half"] = half.pearson
        now = time.monotonic()
        seconds = round(before + now - began, 1)
        lines.append(Line(step=trainer.done, seconds=seconds, train=sum(losses) / len(losses), **found))
        losses = []
        if final or now - saved > 60 * checkpoint_minutes:
            _write_lines(lines, folder / "log.csv")
            trainer.save(checkpoint)
            saved = now
        yield lines[-1]


def read_lines(path: Path, *, up_to: int) -> list[Line]:
    """Read the log's lines up to a step (a checkpoint may be older than the log); none if there is no log.

    Raises:
        InputError: if the file is no such log.
    """
    return [line for line in log.read_lines(path, Line) if line.step <= up_to]


def _write_lines(lines: list[Line], path: Path) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(field.name for field in fields(Line))
    writer.writerows(astuple(line) for line in lines)
    write_text(path, text.getvalue())
