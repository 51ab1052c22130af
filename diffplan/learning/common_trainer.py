"""Fit the common prior: batches of one arm each, arms in turn, every batch described anew at random."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from torch import Tensor

from diffplan.errors import InputError
from diffplan.learning.common_card import common_card, common_summary
from diffplan.learning.common_data import ArmData, load_arms
from diffplan.learning.config import CommonConfig
from diffplan.learning.dataset import Paths
from diffplan.learning.log import Progress
from diffplan.learning.run import Fit, batch_rows, generator_of
from diffplan.learning.trainer import left_in, losses_by_pass
from diffplan.planners.threads import threads as using
from diffplan.prior.channels import Symmetry
from diffplan.prior.common import FORMAT, CommonPrior, load_common_prior, save_common_prior
from diffplan.prior.familiarity import Familiarity
from diffplan.prior.jointwise import JointwiseUnet
from diffplan.prior.jointwise_loss import jointwise_loss
from diffplan.prior.loss import NoisyBatch, draw
from diffplan.prior.prior import read_tensors
from diffplan.strict.entry import Json
from diffplan.system.computed import computed
from diffplan.system.files import write_text
from diffplan.system.reading import read_text

_STEP, _VALIDATION, _WEIGHTS, _ARM = range(1, 5)  # streams of random numbers
_PROBLEMS = 1024
"""So many problems of an arm tell what it was trained on."""


@dataclass(frozen=True, kw_only=True)
class ArmLosses:
    """Losses of one arm's held-out scenes at a step (see `Progress`); `trained` is 0 for an arm that is left out."""

    step: int
    arm: str
    trained: int
    first: float
    third: float
    free: float


class CommonFit(Fit[JointwiseUnet, Progress]):
    """The state of a run of the common prior.

    Args:
        config: the settings.
        arms: the arms with their paths.
        log: where the losses of each arm are written at every validation, as CSV; None: nowhere.

    `origin` is what the header says about the weights that the run began with, `known_arms` the arms that they were
    trained on (see `Familiarity`).
    """

    checkpoint = "diffplan/common-checkpoint@1"
    line = Progress
    config: CommonConfig

    def __init__(self, config: CommonConfig, arms: Sequence[ArmData], log: Path | None = None) -> None:
        self.arms, self.log, self.schedule = list(arms), log, config.schedule()
        self.taught = [arm for arm in arms if arm.trained]
        super().__init__(config, lambda: JointwiseUnet(config.unet()), _WEIGHTS, fused=True)
        self.net.products(torch.bfloat16 if config.products == "bfloat16" else torch.float32)
        share = np.cumsum([len(arm.dataset.train) ** config.evenness for arm in self.taught])
        drawn = np.random.default_rng([config.seed, _ARM]).random(config.steps)
        self.turns = np.minimum(np.searchsorted(share / share[-1], drawn, side="right"), len(self.taught) - 1)
        self._validation: dict[str, tuple[Paths, NoisyBatch, np.ndarray]] = {}
        self.origin: dict[str, str | int | float] = {}
        self.known_arms: dict[str, tuple[float, ...]] = {}

    @property
    def rows(self) -> int:
        """How many paths it is trained on."""
        return sum(len(arm.dataset.train) for arm in self.taught)

    @property
    def digest(self) -> Json:
        """Sums of the arms' paths."""
        return [[arm.name, arm.dataset.digest] for arm in self.taught]

    def other_data(self, path: Path) -> InputError:
        """Return the error for a checkpoint of other paths."""
        allowed = "the same folders in the same order, or to extend the run"
        return InputError("not the data that this run began with", file=path, key="data", allowed=allowed)

    def loss(self, step: int) -> Tensor:
        """Return the loss of step `step` (from 0)."""
        turn = int(self.turns[step])
        arm, earlier = self.taught[turn], int((self.turns[:step] == turn).sum())
        rows = batch_rows(self.config, len(arm.dataset.train), earlier)
        paths = Paths(x=arm.dataset.train.x[rows], scene_of=arm.dataset.train.scene_of[rows])
        generator = generator_of(self.config.seed, _STEP, step)
        line, y = arm.deviations(paths)
        batch = draw(torch.from_numpy(y).float(), paths.scene_of, self.schedule, self.config.pass_shares, generator)
        symmetry = Symmetry.draw(len(rows), y.shape[2], generator)
        tokens = arm.tokens.of(paths.scene_of) if arm.tokens else None
        return jointwise_loss(self.net, self.schedule, batch, arm.sight(line, paths), tokens, symmetry).mean()

    def judged(self) -> dict[str, float]:
        """Return the averaged weights' losses on held-out scenes (see `Progress`), the mean of the trained arms.

        The same paths, levels and noise every time. Those of each arm go into the log of arms.
        """
        found = [
            ArmLosses(step=self.done, arm=arm.name, trained=int(arm.trained), **self._losses(arm)) for arm in self.arms
        ]
        if self.log is not None:
            before = [line for line in self.told() if line.step < self.done]
            write_arm_log([*before, *found], self.log)
        return {
            key: float(np.mean([getattr(f, key) for f in found if f.trained])) for key in ("first", "third", "free")
        }

    def told(self) -> list[ArmLosses]:
        """Return the log of arms."""
        return [] if self.log is None else read_arm_log(self.log)

    def _losses(self, arm: ArmData) -> dict[str, float]:
        if arm.name not in self._validation:
            first = slice(self.config.validation_paths)  # the same ones however much data is added behind them
            held = arm.dataset.validation
            paths, generator = (
                Paths(x=held.x[first], scene_of=held.scene_of[first]),
                generator_of(self.config.seed, _VALIDATION, 0),
            )
            line, y = arm.deviations(paths)
            shares = self.config.pass_shares
            batch = draw(torch.from_numpy(y).float(), paths.scene_of, self.schedule, shares, generator)
            self._validation[arm.name] = paths, batch, line
        paths, batch, line = self._validation[arm.name]
        tokens = arm.tokens.of(paths.scene_of) if arm.tokens else None

        def loss(batch: NoisyBatch) -> Tensor:
            return jointwise_loss(self.average, self.schedule, batch, arm.sight(line, paths), tokens)

        return losses_by_pass(batch, loss)

    def prior(self, training: dict[str, str | int | float]) -> CommonPrior:
        """Return the averaged network as a prior."""
        return CommonPrior(
            net=self.average,
            schedule=self.schedule,
            horizon=self.config.horizon,
            familiarity=self.familiarity,
            training=training,
        )

    @computed
    def familiarity(self) -> Familiarity:
        """What it is trained on; arms that the weights at the start were trained on are known to it too."""
        trained, held_out = zip(*(arm.problems(_PROBLEMS) for arm in self.taught), strict=True)
        arms = {**self.known_arms, **{arm.name: tuple(arm.arm.features) for arm in self.taught}}
        return Familiarity.of(arms, np.concatenate(trained), np.concatenate(held_out))

    def start_from(self, path: Path) -> None:
        """Take the weights of a trained common prior; what they lose on held-out scenes is told as step 0.

        Raises:
            InputError: if the file is no common prior, or one of another shape.
        """
        tensors, header = read_tensors(path, FORMAT)
        own = self.net.state_dict()
        if {name: t.shape for name, t in tensors.items()} != {name: t.shape for name, t in own.items()}:
            shape = asdict(self.net.config)
            raise InputError("a prior of another shape", file=path, value=header.get("unet"), allowed=str(shape))
        for net in (self.net, self.average):
            net.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
        if self.log is not None:
            self.judged()


def fit_common_prior(
    folders: Sequence[Path],
    config: CommonConfig,
    folder: Path,
    *,
    hours: float | None = None,
    checkpoint_minutes: float = 5.0,
    extend: bool = False,
    start: Path | None = None,
    best: Path | None = None,
    threads: int = 1,
    console: Console | None = None,
) -> CommonPrior:
    """Train the common prior on folders of shards, each of one arm, or go on with the run in `folder`.

    Leaves prior.safetensors, PRIOR.md, curve, log, and the losses by arm (arms.csv) there. `start` is a common prior
    whose weights a new run begins with: on the data of one arm, that is training for this arm. `best` is where weights
    and card are put at every validation whose loss (third pass) is less than all before, that of `start` included.

    Raises:
        InputError: if the data are not as they should be, or the folder holds a run with other settings.
        DiffplanError: if the loss is not finite.
    """
    with using(threads):
        fit = CommonFit(config, load_arms(folders, config), folder / "arms.csv")
        if start is not None and start.exists():  # a run that goes on needs it no more
            first = load_common_prior(start)
            made, fit.known_arms = first.training, dict(first.familiarity.arms) if first.familiarity else {}
            fit.origin = {"started_from": f"{made.get('steps')} steps on {made.get('arms')}"}
        lines = left_in(
            folder,
            fit,
            hours=hours,
            checkpoint_minutes=checkpoint_minutes,
            extend=extend,
            start=None if start is None else partial(fit.start_from, start),
            console=console,
            validated=None if best is None else partial(_keep_best, fit, best),
        )
        return _leave(fit, lines, folder / "prior.safetensors")


def _leave(fit: CommonFit, lines: list[Progress], file: Path) -> CommonPrior:
    """Write the averaged weights, and their card beside them."""
    prior = fit.prior({**common_summary(fit.config, fit.arms, lines, fit.history), **fit.origin})
    save_common_prior(prior, file)
    losses = [asdict(line) for line in fit.told() if line.step <= fit.done]
    write_text(file.with_name("PRIOR.md"), common_card(prior, fit.config, losses))
    return prior


def _keep_best(fit: CommonFit, file: Path, line: Progress) -> None:
    """Write weights and card if no validation before, that of the first weights included, had less loss."""
    third: dict[int, list[float]] = {}
    for told in fit.told():
        if told.trained:
            third.setdefault(told.step, []).append(told.third)
    before = [float(np.mean(losses)) for step, losses in third.items() if step < line.step]
    if line.third < min(before, default=np.inf):
        _leave(fit, [line], file)


def write_arm_log(lines: Sequence[ArmLosses], path: Path) -> None:
    """Write losses of arms as CSV."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [field.name for field in fields(ArmLosses)])
    writer.writeheader()
    writer.writerows(asdict(line) for line in lines)
    write_text(path, text.getvalue())


def read_arm_log(path: Path) -> list[ArmLosses]:
    """Read losses of arms; none if there is no file.

    Raises:
        InputError: if the file is no such log.
    """
    if not path.exists():
        return []
    table = csv.DictReader(io.StringIO(read_text(path), newline=""))
    try:
        return [
            ArmLosses(
                step=int(row["step"]),
                arm=row["arm"],
                trained=int(row["trained"]),
                **{key: float(row[key]) for key in ("first", "third", "free")},
            )
            for row in table
        ]
    except (KeyError, TypeError, ValueError, OverflowError, csv.Error) as error:
        raise InputError(f"not a log of arms: {error}", file=path, line=table.line_num or None) from error
