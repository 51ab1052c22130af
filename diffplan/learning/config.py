"""The settings of a training run: a strict YAML or JSON file, dumped beside what it made."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import ClassVar, get_args, get_origin, get_type_hints

from typing_extensions import Self

from diffplan.errors import Faults, InputError
from diffplan.prior.channels import CHANNELS
from diffplan.prior.jointwise import JointwiseConfig
from diffplan.prior.schedule import Schedule
from diffplan.prior.unet import PRODUCTS, UnetConfig, UnetShape
from diffplan.strict.entry import Entry, Json
from diffplan.strict.strict_yaml import read_yaml
from diffplan.system.files import write_text


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
class DenoiserConfig(RunConfig):
    """What the settings of runs of priors have, and how they are read from a file.

    Attributes (and those of `RunConfig`):
        horizon: control points of a path.
        tokens: so many blocks of cross-attention to obstacle tokens.
        pass_shares: shares of samples whose condition is dropped, whose fed-back estimate is the straight line, the
            network's first, and the network's second estimate.
        shards: how many shards of a data folder to take, in order; 0 takes all.
        products: type of the matrix products, float32 or bfloat16 (twice as fast where the CPU has units for it).
        validation_paths: paths in each validation (always the first ones).
    """

    format: ClassVar[str]
    horizon: int = 16
    tokens: int = 0
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
        if self.products not in PRODUCTS:
            raise InputError("no such type", key="products", value=self.products, allowed=tuple(PRODUCTS))
        multiple = UnetShape(dim=self.dim, mults=self.mults, blocks=self.blocks, tokens=self.tokens).multiple
        if self.horizon % multiple or self.horizon < 4:
            allowed = f"a multiple of {multiple}, at least 4"
            raise InputError("does not fit the network", key="horizon", value=self.horizon, allowed=allowed)

    def save(self, path: Path) -> None:
        """Write the settings as a file that `load` reads."""
        write_text(path, json.dumps({"format": self.format, **asdict(self)}, indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read settings from YAML or JSON; what is not given keeps its default.

        Raises:
            InputError: on unknown keys, wrong types or values that make no sense, with file, line and key.
        """
        known = get_type_hints(cls)
        known = {field.name: known[field.name] for field in fields(cls)}
        with Faults() as faults:
            entries = read_yaml(path, faults).fields(("format",), tuple(known), faults)
            faults.of(lambda: entries["format"].expect_format(cls.format))
            given = {name: entry for name, entry in entries.items() if name != "format"}
            values = {name: faults.of(partial(_of_type, known[name], entry)) for name, entry in given.items()}
        try:
            return cls(**values)  # pyright: ignore[reportArgumentType]
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


@dataclass(frozen=True, kw_only=True)
class TrainConfig(DenoiserConfig):
    """Settings of a training run of one robot's prior.

    Attributes (and those of `DenoiserConfig`, with defaults for the Panda's prior):
        feedback: whether the network is fed back what the scene does to its estimate.
    """

    format = "diffplan/train@1"
    dim: int = 64
    feedback: bool = True
    steps: int = 26_000

    def unet(self, dof: int, condition: int) -> UnetConfig:
        """Return the network's shape for a robot and a number of condition channels."""
        return UnetConfig(
            dof=dof, condition=condition, dim=self.dim, mults=self.mults, blocks=self.blocks, tokens=self.tokens
        )


@dataclass(frozen=True, kw_only=True)
class CommonConfig(DenoiserConfig):
    """Settings of a training run of the common prior.

    Attributes (and those of `DenoiserConfig`):
        heads, mixing: of the joints' attention to each other (`JointwiseConfig`).
        held_out_arms: names of robots that are not trained on, with `*` for any letters; their losses are told.
        evenness: how often arms take turns: with their number of paths to the power of this. 0: all alike, 1: by paths.
        validation_paths: of each arm.
    """

    format = "diffplan/train-common@1"
    dim: int = 48
    heads: int = 2
    mixing: tuple[int, ...] = (0, 1, 2)
    data_std: float = 0.1
    steps: int = 40_000
    held_out_arms: tuple[str, ...] = ()
    evenness: float = 0.5
    validation_paths: int = 128

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.evenness <= 1:
            raise InputError("not a share", key="evenness", value=self.evenness, allowed="0 to 1")
        try:
            self.unet()
        except InputError as error:
            key = (error.key or "").removeprefix("unet.")
            raise InputError(error.problem, key=key, value=error.value, allowed=error.allowed) from error

    def unet(self) -> JointwiseConfig:
        """Return the network's shape."""
        return JointwiseConfig(
            channels=CHANNELS,
            dim=self.dim,
            mults=self.mults,
            blocks=self.blocks,
            tokens=self.tokens,
            heads=self.heads,
            mixing=self.mixing,
        )


def _of_type(hint: object, entry: Entry) -> object:
    """Return the entry's value, of a setting's type."""
    if get_origin(hint) is tuple:
        return tuple(_of_type(get_args(hint)[0], item) for item in entry.sequence())
    if hint is str:
        return entry.text()
    if hint is bool:
        return entry.boolean()
    return entry.whole() if hint is int else entry.number()
