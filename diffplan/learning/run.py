"""The one training run: steps of AdamW with averaged weights, a log, checkpoints, resumption.

A run is a function of its config and data: everything random comes from (seed, stream, number), so a run that was
killed and resumed from its last checkpoint ends in the same weights as one that was not. (On one machine and thread
count; other processors round differently.)
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn
from torch import Tensor, nn

from diffplan.errors import DiffplanError, InputError
from diffplan.learning.checkpoint import compare_settings, pack, unpack
from diffplan.learning.config import RunConfig
from diffplan.learning.log import Line, read_log, write_log
from diffplan.prior.prior import read_tensors, write_tensors
from diffplan.strict.entry import Entry, Json
from diffplan.system.files import make_folder
from diffplan.system.progress import announce

_ORDER = 0  # the stream of random numbers that orders the data; each kind of run has its own for the rest


_Net = TypeVar("_Net", bound=nn.Module)
_Line = TypeVar("_Line", bound=Line)


def generator_of(seed: int, stream: int, number: int) -> torch.Generator:
    """Return the generator of random numbers that belongs to a stream and a number of it."""
    state = np.random.SeedSequence([seed, stream, number]).generate_state(2, np.uint32)
    return torch.Generator().manual_seed(int(state[0]) << 32 | int(state[1]))


def batch_rows(config: RunConfig, count: int, step: int) -> Tensor:
    """Return the rows [batch] of step `step` (from 0): every epoch is a new order of all `count` rows."""
    first = step * config.batch
    rows: list[Tensor] = []
    while (missing := config.batch - sum(map(len, rows))) > 0:
        epoch, offset = divmod(first + config.batch - missing, count)
        order = torch.randperm(count, generator=generator_of(config.seed, _ORDER, epoch))
        rows.append(order[offset : offset + missing])
    return torch.cat(rows)


def learning_rate(config: RunConfig, step: int) -> float:
    """Return the learning rate of step `step` (from 0): linear rise, flat, cosine to zero at the end."""
    rise = min(1.0, (step + 1) / config.warm_up) if config.warm_up else 1.0
    start = (1 - config.decay_share) * config.steps
    fallen = min(1.0, max(0.0, (step - start) / (config.steps - start)))
    return config.rate * rise * 0.5 * (1 + math.cos(math.pi * fallen))


class Fit(ABC, Generic[_Net, _Line]):
    """The state of a run: network, its averaged copy `average`, optimiser, number of steps done.

    `history` holds [step, steps, rows of data] whenever the length of the run or the data changed.
    """

    checkpoint: ClassVar[str]
    """The format of its checkpoints."""
    line: type[_Line]
    """A line of its log."""

    def __init__(self, config: RunConfig, make: Callable[[], _Net], weights_stream: int, *, fused: bool) -> None:
        """Make the network twice, its weights from the seed; `fused` is AdamW's."""
        self.config = config
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(generator_of(config.seed, weights_stream, 0).initial_seed())
            self.net = make()
        self.average = make().requires_grad_(False)
        self.average.load_state_dict(self.net.state_dict())
        self.optimiser = torch.optim.AdamW(
            self.net.parameters(), lr=config.rate, weight_decay=config.weight_decay, fused=fused or None
        )
        self.done = 0
        self.history: list[list[int]] = []

    @abstractmethod
    def loss(self, step: int) -> Tensor:
        """Return the loss of step `step` (from 0)."""

    @abstractmethod
    def judged(self) -> dict[str, float]:
        """Return the columns of the log that are measured on held-out data."""

    @property
    @abstractmethod
    def rows(self) -> int:
        """How many rows of data it is trained on."""

    @property
    @abstractmethod
    def digest(self) -> Json:
        """A sum of the data, which a resumed run compares."""

    @abstractmethod
    def other_data(self, path: Path) -> InputError:
        """Return the error for a checkpoint of other data."""

    def step(self) -> float:
        """Do one step and return its loss.

        Raises:
            FloatingPointError: if the loss is not finite; nothing was changed.
        """
        config = self.config
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(config, self.done)
        loss = self.loss(self.done)
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

    def begin(self) -> None:
        """Note in `history` what is trained from here on, if it is not what was trained before."""
        now = [self.config.steps, self.rows]
        if not self.history or self.history[-1][1:] != now:
            self.history.append([self.done, *now])

    def save(self, path: Path) -> None:
        """Write the whole state (atomically)."""
        header = {"format": self.checkpoint, "done": self.done, "config": self.config.plain()}
        tensors = pack(self.net, self.average, self.optimiser)
        write_tensors(tensors, {**header, "history": self.history, "data": self.digest}, path)

    def load(self, path: Path, *, extend: bool = False) -> None:
        """Take up the state that `save` wrote; with `extend`, `steps` and `shards` may differ from what they were.

        Raises:
            InputError: if the file is no checkpoint, or of a run with another config or other data.
        """
        tensors, header = read_tensors(path, self.checkpoint)
        compare_settings(self.config.plain(), header, path, ("steps", "shards") if extend else ())
        if not extend and header.get("data") != self.digest:
            raise self.other_data(path)
        self.done = unpack(tensors, header, path, self.net, self.average, self.optimiser)
        history = header.get("history")
        rows = Entry(file=path, key="history", raw=history).sequence() if history else []
        self.history = [[entry.whole() for entry in row.sequence()] for row in rows]


def run(
    fit: Fit[_Net, _Line],
    folder: Path,
    *,
    hours: float | None = None,
    checkpoint_minutes: float = 5.0,
    log_every: int = 100,
    extend: bool = False,
    start: Callable[[], None] | None = None,
) -> Iterator[_Line]:
    """Train to `config.steps`, yielding a line of the log every `log_every` steps; resumes what `folder` holds.

    Writes config.json, log.csv and checkpoint.safetensors, at the end too, or when `hours` have passed; such a run
    goes on when called again. `start` is called before a new run. Checkpoints stand on lines of the log, so a resumed
    log is that of an unbroken run.

    Raises:
        InputError: if the folder holds a run with another config or other data (see `Fit.load` for `extend`).
        DiffplanError: if the loss is not finite; the state before that step is left in the folder.
    """
    make_folder(folder)
    checkpoint, log, config = folder / "checkpoint.safetensors", folder / "log.csv", fit.config
    if checkpoint.exists():
        fit.load(checkpoint, extend=extend)
    elif start is not None:
        start()
    fit.begin()
    config.save(folder / "config.json")
    lines = read_log(log, fit.line, up_to=fit.done)
    before = lines[-1].seconds if lines else 0.0
    began = saved = time.monotonic()
    losses: list[float] = []
    while fit.done < config.steps:
        try:
            losses.append(fit.step())
        except FloatingPointError as error:
            fit.save(folder / "not-finite.safetensors")
            raise DiffplanError(f"training stopped: {error}; the state before it is in {folder}") from error
        final = fit.done == config.steps
        if fit.done % log_every and not final:
            continue
        found = fit.judged() if final or fit.done % config.validate_every == 0 else {}
        now = time.monotonic()
        lines.append(
            fit.line(
                step=fit.done,
                seconds=round(before + now - began, 1),
                rate=learning_rate(config, fit.done - 1),
                train=sum(losses) / len(losses),
                **found,
            )
        )
        losses = []
        over = hours is not None and now - began > 3600 * hours
        if final or over or now - saved > 60 * checkpoint_minutes:
            write_log(lines, log)
            fit.save(checkpoint)
            saved = now
        yield lines[-1]
        if over:
            return


def watched(
    lines: Iterator[_Line], steps: int, told: Callable[[_Line], str], console: Console | None = None
) -> Iterator[_Line]:
    """Pass on the lines of a run while a bar shows its progress; `told` says what validation found, if anything."""
    columns = ("[progress.description]{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    announce(f"training: {steps} steps")
    with Progress(*columns, console=console or Console(stderr=True)) as bar:
        task = bar.add_task("training", total=steps)
        for line in lines:
            bar.update(task, completed=line.step, description=f"loss {line.train:.4f}")
            if words := told(line):
                bar.console.print(f"step {line.step} ({line.seconds / 60:.1f} min) {words}")
            yield line
