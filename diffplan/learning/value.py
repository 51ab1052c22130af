"""Fit the value: a regressor of measured returns from noisy paths. A run is a function of its config and data."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor

from diffplan.errors import InputError
from diffplan.geometry.pose import Float
from diffplan.learning.config import RunConfig
from diffplan.learning.dataset import held_out_scenes
from diffplan.learning.log import Line
from diffplan.learning.returns import Returns
from diffplan.learning.run import Fit, batch_rows, generator_of
from diffplan.prior.unet import UnetConfig
from diffplan.prior.value import Value, ValueNet, normalised_limits, straight_time
from diffplan.robot.model import Robot
from diffplan.strict.entry import Json

LEVELS = (0, 10, 25, 50, 75)
"""The noise levels, in per cent of the steps, at which a value is judged."""
_STEP, _VALIDATION, _WEIGHTS = range(10, 13)  # streams of random numbers; the order of the data is `batch_rows`'


@dataclass(frozen=True, kw_only=True)
class ValueConfig(RunConfig):
    """Settings of a training run of the value.

    Attributes (and those of `RunConfig`; the data are groups, each a path and its variations):
        clean: share of groups that are shown without noise, the others at uniform levels.
        within: weight of the error left after each group's mean is taken off: to tell the ways to one goal apart is
            what the value is for, and most of the returns' variance is between problems.
        tracking_weight: what a rad of tracking error costs, in s.
    """

    dim: int = 32
    steps: int = 6000
    batch: int = 32
    rate: float = 2e-3
    warm_up: int = 200
    decay_share: float = 0.7
    ema: float = 0.998
    clean: float = 0.4
    within: float = 1.0
    tracking_weight: float = 10.0
    held_out: float = 0.1
    validate_every: int = 500

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.clean < 1:
            raise InputError("not a share", key="clean", value=self.clean, allowed="between 0 and 1")


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
class ValueLine(Line):
    """A line of the value's log.

    `pearson`, `spearman` and `spearman_within` are those of `Agreement` without noise, `pearson_half` that at half the
    steps.
    """

    pearson: float = math.nan
    spearman: float = math.nan
    spearman_within: float = math.nan
    pearson_half: float = math.nan


class ValueFit(Fit[ValueNet, ValueLine]):
    """The state of a run of the value.

    Raises:
        InputError: if the returns' scenes cannot be split into training and held-out ones.
    """

    checkpoint = "diffplan/value-checkpoint@1"
    line = ValueLine
    config: ValueConfig

    def __init__(self, config: ValueConfig, returns: Returns, robot: Robot) -> None:
        self.robot = robot
        self.schedule = config.schedule()
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
        super().__init__(config, lambda: ValueNet(shape, limits), _WEIGHTS, fused=False)

    @property
    def rows(self) -> int:
        """How many groups it is trained on."""
        return len(self.train)

    def loss(self, step: int) -> Tensor:
        """Return the loss of step `step` (from 0).

        Backwards a path takes as long: the direction is drawn for each group.
        """
        c = self.config
        rows = batch_rows(c, len(self.train), step)
        generator = generator_of(c.seed, _STEP, step)
        x = self.train.x[rows]
        back = torch.rand((len(x), 1, 1, 1), generator=generator) < 0.5
        x = torch.where(back, x.flip(2), x)
        t = torch.randint(1, c.noise_steps + 1, (len(x),), generator=generator)
        t = torch.where(torch.rand(len(x), generator=generator) < c.clean, 0, t)
        error = self._predict(self.net, x, t, generator) - (self.train.excess[rows] - self.mean) / self.std
        apart = error - error.mean(dim=1, keepdim=True)
        return error.square().mean() + c.within * apart.square().mean()

    def _predict(self, net: ValueNet, x: Tensor, t: Tensor, generator: torch.Generator) -> Tensor:
        """Return the network's numbers [n, m] for groups x [n, m, K, dof], made noisy to steps t [n]."""
        flat, each = x.flatten(0, 1), t.repeat_interleave(x.shape[1])
        noise = torch.randn(flat.shape, generator=generator)
        return net(self.schedule.noisy(flat, each, noise), each).view(x.shape[:2])

    def judged(self) -> dict[str, float]:
        """Return the agreement on held-out scenes (see `ValueLine`)."""
        clean, half = self.validate(0), self.validate(50)
        found = {name: getattr(clean, name) for name in ("pearson", "spearman", "spearman_within")}
        return found | {"pearson_half": half.pearson}

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

    @property
    def digest(self) -> Json:
        """A sum of the paths and what they cost."""
        return zlib.crc32(self.train.cost.numpy().tobytes(), zlib.crc32(self.train.x.numpy().tobytes()))

    def other_data(self, path: Path) -> InputError:
        """Return the error for a checkpoint of other returns."""
        return InputError("not the returns that this run began with", file=path, allowed="another folder")
