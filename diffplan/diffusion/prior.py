"""The trained prior as a file: weights as safetensors, everything else as JSON in its header. No pickle."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from diffplan.assets import asset_folder
from diffplan.diffusion.schedule import Schedule
from diffplan.diffusion.unet import TemporalUnet, UnetConfig
from diffplan.errors import InputError
from diffplan.robot import Robot

FORMAT = "diffplan/prior@1"


@dataclass(frozen=True, kw_only=True, eq=False)
class Prior:
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

    def check(self, robot: Robot) -> None:
        """Make sure that the prior speaks of this robot.

        Raises:
            InputError: if its joints or their limits are not those of the training.
        """
        if robot.joint_names != self.joint_names:
            raise InputError(
                f"the prior was trained for other joints than those of {robot.name}",
                value=list(robot.joint_names),
                allowed=list(self.joint_names),
            )
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


def prior_file(robot: str) -> Path:
    """Return where the shipped prior of a robot lies, whether or not it exists."""
    return asset_folder("robots") / robot / "prior.safetensors"


def write_tensors(tensors: dict[str, Tensor], header: dict[str, object], path: Path) -> None:
    """Write tensors and a JSON header as one safetensors file; the file is whole or absent (atomic rename)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    metadata = {key: json.dumps(value) for key, value in header.items()}
    save_file({k: v.detach().contiguous() for k, v in tensors.items()}, partial, metadata=metadata)
    os.replace(partial, path)


def read_tensors(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, object]]:
    """Read a file of `write_tensors` whose header says `format: kind`.

    Raises:
        InputError: if there is no such file, or it is no safetensors file, or not of that kind.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = {key: json.loads(text) for key, text in (file.metadata() or {}).items()}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except FileNotFoundError as error:
        raise InputError("no such file", file=path, allowed="a file written by `diffplan train prior`") from error
    except (SafetensorError, json.JSONDecodeError) as error:
        raise InputError(f"not a readable safetensors file: {error}", file=path) from error
    if header.get("format") != kind:
        raise InputError("not a file of this kind", file=path, key="format", value=header.get("format"), allowed=kind)
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
    tensors, header = read_tensors(path, FORMAT)
    try:
        unet, schedule = _dict(header["unet"]), _dict(header["schedule"])
        net = TemporalUnet(UnetConfig(**{**unet, "mults": tuple(unet["mults"])}))
        net.load_state_dict({key: value.float() for key, value in tensors.items()})
        prior = Prior(
            net=net.eval().requires_grad_(False).products(products),
            schedule=Schedule(**schedule),
            horizon=int(str(header["horizon"])),
            joint_names=tuple(_list(header["joint_names"])),
            lower=tuple(_list(header["lower"])),
            upper=tuple(_list(header["upper"])),
            training=_dict(header["training"]),
        )
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"the prior's header and weights do not fit together: {error}", file=path) from error
    return prior


def _dict(value: object) -> dict:
    if not isinstance(value, dict):
        raise TypeError(f"expected a mapping, found {value!r}")
    return value


def _list(value: object) -> list:
    if not isinstance(value, list):
        raise TypeError(f"expected a list, found {value!r}")
    return value
