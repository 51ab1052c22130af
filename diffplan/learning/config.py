"""The settings of a training run: a strict YAML or JSON file, dumped beside what it made."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path

from diffplan.errors import Faults, InputError
from diffplan.prior.schedule import Schedule
from diffplan.prior.unet import UnetConfig
from diffplan.strict.entry import Entry, Json
from diffplan.strict.strict_yaml import read_yaml
from diffplan.system.files import write_text

FORMAT = "diffplan/train@1"


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """What the settings of all training runs have.

    Attributes:
        seed: of weights, order of the data, noise.
        dim, mults, blocks: shape of the network (`UnetConfig`).
        noise_steps, data_std: the schedule (`Schedule`).
        steps, batch: length of the run, in steps of `batch` rows of data.
        rate, warm_up, decay_share: the learning rate rises for `warm_up` steps, stays, and falls along a cosine to
            zero over the last `decay_share` of the run. A flat middle lets a run be extended before it starts falling.
        weight_decay, clip: AdamW's decay; largest norm of the gradient.
        ema: decay of the averaged weights (reached gradually, so that the start is forgotten).
        held_out: share of scenes kept for validation.
        validate_every: steps between validations.
    """

    seed: int = 0
    dim: int
    mults: tuple[int, ...] = (1, 2, 4)
    blocks: int = 1
    noise_steps: int = 100
    data_std: float = 0.25
    steps: int
    batch: int
    rate: float
    warm_up: int
    decay_share: float
    weight_decay: float = 0.01
    clip: float = 1.0
    ema: float
    held_out: float
    validate_every: int

    def __post_init__(self) -> None:
        for key in ("steps", "batch", "rate", "clip", "validate_every"):
            if getattr(self, key) <= 0:
                raise InputError("not a positive number", key=key, value=getattr(self, key))
        for key in ("decay_share", "ema", "held_out"):
            if not 0 < getattr(self, key) < 1:
                raise InputError("not a share", key=key, value=getattr(self, key), allowed="between 0 and 1")

    def schedule(self) -> Schedule:
        """Return the noise schedule."""
        return Schedule(steps=self.noise_steps, data_std=self.data_std)

    def plain(self) -> dict[str, Json]:
        """Return the settings as JSON holds them."""
        return json.loads(json.dumps(asdict(self)))

    def save(self, path: Path) -> None:
        """Write the settings as JSON."""
        write_text(path, json.dumps(self.plain(), indent=1) + "\n")


@dataclass(frozen=True, kw_only=True)
class TrainConfig(RunConfig):
    """Settings of a training run of the prior.

    Attributes (and those of `RunConfig`, with defaults for the Panda's prior):
        horizon: control points of a path.
        feedback, tokens: how the network sees the scene: fed back what it does to the estimate, and this many blocks of
            cross-attention to obstacle tokens.
        pass_shares: shares of samples whose condition is dropped, whose fed-back estimate is the straight line, the
            network's first, and the network's second estimate.
        shards: how many shards of the data folder to take, in order; 0 takes all.
        products: type of the matrix products, float32 or bfloat16 (twice as fast where the CPU has units for it).
        validation_paths: paths in each validation (always the first ones).
    """

    horizon: int = 16
    dim: int = 64
    feedback: bool = True
    tokens: int = 0
    steps: int = 26_000
    batch: int = 128
    rate: float = 1e-3
    warm_up: int = 500
    decay_share: float = 0.4
    ema: float = 0.999
    pass_shares: tuple[float, ...] = (0.15, 0.35, 0.25, 0.25)
    shards: int = 0
    held_out: float = 0.04
    products: str = "bfloat16"
    validate_every: int = 1000
    validation_paths: int = 768

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("horizon", "validation_paths"):
            if getattr(self, key) <= 0:
                raise InputError("not a positive number", key=key, value=getattr(self, key))
        if self.shards < 0:
            raise InputError("not a number of shards", key="shards", value=self.shards, allowed="0 (all) or more")
        if len(self.pass_shares) != 4 or min(self.pass_shares) < 0 or abs(sum(self.pass_shares) - 1) > 1e-9:
            raise InputError("not four shares", key="pass_shares", value=self.pass_shares, allowed="four that sum to 1")
        if self.products not in ("float32", "bfloat16"):
            raise InputError("no such type", key="products", value=self.products, allowed=("float32", "bfloat16"))
        if self.horizon % self.unet(1, 0).multiple or self.horizon < 4:
            allowed = f"a multiple of {self.unet(1, 0).multiple}, at least 4"
            raise InputError("does not fit the network", key="horizon", value=self.horizon, allowed=allowed)

    def unet(self, dof: int, condition: int) -> UnetConfig:
        """Return the network's shape for a robot and a number of condition channels."""
        return UnetConfig(
            dof=dof, condition=condition, dim=self.dim, mults=self.mults, blocks=self.blocks, tokens=self.tokens
        )

    def save(self, path: Path) -> None:
        """Write the settings as a file that `load` reads."""
        write_text(path, json.dumps({"format": FORMAT, **asdict(self)}, indent=1) + "\n")

    @staticmethod
    def load(path: Path) -> TrainConfig:
        """Read settings from YAML or JSON; what is not given keeps its default.

        Raises:
            InputError: on unknown keys, wrong types or values that make no sense, with file, line and key.
        """
        known = {field.name: field.default for field in fields(TrainConfig)}
        with Faults() as faults:
            entries = read_yaml(path, faults).fields(("format",), tuple(known), faults)
            faults.of(lambda: entries["format"].expect_format(FORMAT))
            given = {name: entry for name, entry in entries.items() if name != "format"}
            values = {name: faults.of(partial(_like, known[name], entry)) for name, entry in given.items()}
        try:
            return replace(TrainConfig(), **values)  # pyright: ignore[reportArgumentType]
        except InputError as error:
            where = entries.get(error.key or "")
            raise InputError(
                error.problem,
                file=path,
                line=where.line if where else None,
                key=error.key,
                value=error.value,
                allowed=error.allowed,
            ) from None


def _like(default: object, entry: Entry) -> int | float | str | tuple[int, ...] | tuple[float, ...]:
    """Return the entry's value, of the type that the default has."""
    if isinstance(default, str):
        return entry.text()
    if isinstance(default, bool):
        return entry.boolean()
    if isinstance(default, int):
        return entry.whole()
    if isinstance(default, tuple) and isinstance(default[0], int):
        return tuple(item.whole() for item in entry.sequence())
    if isinstance(default, tuple):
        return tuple(item.number() for item in entry.sequence())
    return entry.number()
