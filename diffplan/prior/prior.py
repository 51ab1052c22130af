"""The trained prior as a file: weights as safetensors, everything else as JSON in its header. No pickle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Hashable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
import yaml
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from diffplan.collision.cpu import CollisionModel
from diffplan.collision.obstacles import Obstacles
from diffplan.errors import InputError
from diffplan.geometry.pose import Float
from diffplan.prior.coordinates import Coordinates, Normalised
from diffplan.prior.feedback import Feedback, unseen
from diffplan.prior.path_prior import PathPrior
from diffplan.prior.schedule import Schedule
from diffplan.prior.tokens import SceneTokens
from diffplan.prior.unet import TemporalUnet, UnetConfig, UnetShape
from diffplan.prior.wrappers import FeedbackDenoiser, condition_channels
from diffplan.robot.model import Robot
from diffplan.strict.entry import Entry, Json
from diffplan.strict.record import read_record
from diffplan.strict.strict_json import parse_json
from diffplan.system.files import make_folder, write_bytes
from diffplan.system.kept import Kept
from diffplan.system.reading import LARGEST_TENSORS, check_regular

FORMAT = "diffplan/prior@1"
_LONGEST = 4096  # control points
_digests: dict[Path, tuple[bytes, bytes]] = {}  # what was last read from a file, and its sum; of a few files
_FEW = 8
_T = TypeVar("_T")
_Shape = TypeVar("_Shape", bound=UnetShape)


@dataclass(frozen=True, kw_only=True, eq=False)
class Prior(PathPrior):
    """A denoising network with what is needed to use it rightly.

    `joint_names`, `lower` and `upper` [rad or m] are those of the robot it was trained for: its paths are normalised
    by them. `horizon` is the number of control points in training; others that the network takes work too.
    `training` says how it was made (numbers and text), for the model card.
    """

    net: TemporalUnet
    schedule: Schedule
    horizon: int
    joint_names: tuple[str, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    training: dict[str, str | int | float] = field(default_factory=dict)

    @property
    def multiple(self) -> int:
        """The number of control points must be a multiple of this."""
        return self.net.config.multiple

    def coordinates(self, model: CollisionModel, start: Float, goals: Float, horizon: int) -> Normalised:
        """Return the coordinates of paths of `horizon` control points from start [dof] to goals [b, dof]."""
        return Normalised(model.robot, start, goals)

    def denoiser(
        self,
        model: CollisionModel,
        world: Obstacles,
        coordinates: Coordinates,
        *,
        sees: bool,
        weight: float,
        estimate: Tensor | None = None,
    ) -> FeedbackDenoiser:
        """Return the denoiser of a batch (see `PathPrior`)."""
        features = tokens = None
        if sees:
            fed_back = self.net.config.condition > condition_channels(model.robot.dof, 0)
            features = Feedback(model, world) if fed_back else unseen
            tokens = SceneTokens.describe(world) if self.net.attend is not None else None
        return FeedbackDenoiser(self.net, features, weight=weight, estimate=estimate, tokens=tokens)

    def check(self, robot: Robot) -> None:
        """Make sure that the prior speaks of this robot.

        Raises:
            InputError: if its joints or their limits are not those of the training.
        """
        check_joints("prior", self.joint_names, robot)
        middle = (np.array(self.lower) + np.array(self.upper)) / 2
        robot = robot.turned(middle)  # a continuous joint's window is the same some turns on
        for name, *found, lower, upper in zip(
            self.joint_names, robot.lower, robot.upper, self.lower, self.upper, strict=True
        ):
            if max(abs(found[0] - lower), abs(found[1] - upper)) > 1e-6:
                raise InputError(
                    "the prior was trained with other joint limits (its paths are normalised by them)",
                    key=name,
                    value=[float(v) for v in found],
                    allowed=f"[{lower}, {upper}]",
                )


def check_joints(what: str, trained: tuple[str, ...], robot: Robot) -> None:
    """Make sure that what was trained for joints of these names is for this robot.

    Raises:
        InputError: if the robot has other joints.
    """
    if robot.joint_names != trained:
        problem = f"the {what} was trained for other joints than those of {robot.name}"
        raise InputError(problem, value=list(robot.joint_names), allowed=list(trained))


def write_tensors(tensors: dict[str, Tensor], header: dict[str, object], path: Path) -> None:
    """Write tensors and a JSON header as one safetensors file; the file is whole or absent."""
    make_folder(path.parent)
    metadata = {key: json.dumps(value) for key, value in header.items()}
    write_bytes(path, save({k: v.detach().contiguous() for k, v in tensors.items()}, metadata))


def read_tensors(path: Path, *kinds: str) -> tuple[dict[str, Tensor], dict[str, Json]]:
    """Read a file of `write_tensors` whose header says `format:` one of `kinds`.

    Raises:
        InputError: if there is no such file, or it is no safetensors file, or of another kind.
    """
    if not path.exists():
        raise InputError("no such file", file=path, allowed="a file written by `diffplan train prior`")
    check_regular(path, LARGEST_TENSORS)
    try:
        with safe_open(path, framework="pt") as file:
            texts = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, TypeError, RuntimeError) as error:
        raise InputError(f"not a readable safetensors file: {error}", file=path) from error
    header: dict[str, Json] = {}
    for key, text in texts.items():
        raw = parse_json(text, path).raw
        assert not isinstance(raw, yaml.Node)
        header[key] = raw
    if (found := header.get("format")) not in kinds:
        raise InputError("not a file of this kind", file=path, key="format", value=found, allowed=", ".join(kinds))
    return tensors, header


def save_prior(prior: Prior, path: Path, *, dtype: torch.dtype = torch.float16) -> None:
    """Write the prior, weights rounded to `dtype` (half precision: relative error 5e-4, half the size)."""
    header = {
        "format": FORMAT,
        "unet": asdict(prior.net.config),
        "schedule": asdict(prior.schedule),
        "horizon": prior.horizon,
        "joint_names": prior.joint_names,
        "lower": prior.lower,
        "upper": prior.upper,
        "training": prior.training,
    }
    write_tensors({key: value.to(dtype) for key, value in prior.net.state_dict().items()}, header, path)


def load_prior(path: Path, *, products: torch.dtype = torch.float32) -> Prior:
    """Read a prior for inference: weights that ask for no gradient, matrix products in `products`.

    `unet.chosen_products()` suits the processor; bfloat16 moves estimates by about 1e-3 (normalised).

    Raises:
        InputError: if the file is missing, unreadable, of another format, or its weights do not fit its own header.
    """
    return prior_from(*read_tensors(path, FORMAT), path, products)


def prior_from(tensors: dict[str, Tensor], header: dict[str, Json], path: Path, products: torch.dtype) -> Prior:
    """Return the prior that a file's tensors and header are (see `load_prior`)."""
    keys = ("unet", "schedule", "horizon", "joint_names", "lower", "upper", "training")
    entries = Entry(file=path, key="", raw=header).fields(("format", *keys))
    config = network_config(UnetConfig, entries["unet"], tensors)
    net = TemporalUnet(config)
    fill(net, tensors, path)
    return Prior(
        net=net.eval().requires_grad_(False).products(products),
        schedule=read_record(Schedule, entries["schedule"], strict=True),
        horizon=read_horizon(entries["horizon"], config),
        joint_names=read_names(entries["joint_names"], config.dof),
        lower=entries["lower"].numbers(config.dof),
        upper=entries["upper"].numbers(config.dof),
        training=read_facts(entries["training"]),
    )


def by_content(kept: Kept[_T], path: Path, load: Callable[[], _T], *further: Hashable) -> _T:
    """Return what `load` makes of a file of tensors, made once for what the file holds (and for `further`).

    Raises:
        InputError: if the file cannot be read, and those of `load`.
    """
    if not path.exists():
        return load()  # which says so
    check_regular(path, LARGEST_TENSORS)
    try:
        content = path.read_bytes()
    except OSError:
        return load()
    before, digest = _digests.get(path, (b"", b""))
    if content != before:  # comparing takes a tenth of the time that the sum takes
        digest = hashlib.sha256(content).digest()
        if len(_digests) >= _FEW:
            _digests.clear()
        _digests[path] = content, digest
    return kept.get((digest, *further), load, lambda _: len(content))


def network_config(kind: type[_Shape], entry: Entry, tensors: dict[str, Tensor]) -> _Shape:
    """Return the shape (of class `kind`) of the network in a file with these tensors.

    Raises:
        InputError: for a shape that makes no sense, or whose network has far more numbers than the file.
    """
    config = read_record(kind, entry, strict=True)
    numbers = sum(tensor.numel() for tensor in tensors.values())
    if config.least_parameters > numbers:
        raise entry.error(f"a network of more than the {numbers} numbers in this file", allowed="its own shape")
    return config


def fill(net: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    """Put the weights of a file into a network.

    Raises:
        InputError: if they are not the network's, or not all finite.
    """
    for name, tensor in tensors.items():
        if tensor.is_complex() or not bool(torch.isfinite(tensor).all()):
            raise InputError("weights that are not finite numbers", file=path, key=name)
    try:
        net.load_state_dict({key: value.float() for key, value in tensors.items()})
    except RuntimeError as error:
        raise InputError(f"header and weights do not fit together: {error}", file=path) from error


def read_horizon(entry: Entry, config: UnetShape) -> int:
    """Return a number of control points that fits a network.

    Raises:
        InputError: if it does not.
    """
    horizon = entry.whole()
    if horizon < 4 or horizon % config.multiple or horizon > _LONGEST:
        allowed = f"a multiple of {config.multiple}, 4 to {_LONGEST}"
        raise entry.error("does not fit the network", allowed=allowed)
    return horizon


def read_names(entry: Entry, dof: int) -> tuple[str, ...]:
    """Return the names of `dof` joints.

    Raises:
        InputError: if these are others.
    """
    names = tuple(name.text() for name in entry.sequence())
    if len(names) != dof or len(set(names)) != dof:
        raise entry.error("not a name for each joint", allowed=f"{dof} different names")
    return names


def read_facts(entry: Entry) -> dict[str, str | int | float]:
    """Return numbers and texts by name.

    Raises:
        InputError: if there is anything else.
    """
    facts: dict[str, str | int | float] = {}
    for name, value in entry.mapping().items():
        facts[name] = value.raw if isinstance(value.raw, str | int) else value.number()
    return facts
