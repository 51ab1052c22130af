"""The learned value J(tau, t): how good the clean path behind a noisy one will turn out to be, with its gradient.

Diffuser's value function (Janner et al., ICML 2022, sec. 3.3, appendix A): the down half of the denoiser's U-Net and
two linear layers. The return is minus the shortest traversal time under velocity and acceleration limits, minus the
tracking error in PyBullet times a weight; both are measured (data/returns.py), and neither has a handy gradient.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from diffplan.curves import spline
from diffplan.errors import InputError
from diffplan.geometry.pose import Float
from diffplan.prior.prior import (
    by_content,
    check_joints,
    fill,
    network_config,
    read_facts,
    read_names,
    read_tensors,
    write_tensors,
)
from diffplan.prior.schedule import Schedule
from diffplan.prior.unet import Level, UnetConfig
from diffplan.robot.model import Robot
from diffplan.strict.entry import Entry
from diffplan.strict.record import read_record
from diffplan.system.assets import robot_asset
from diffplan.system.kept import Kept

FORMAT = "diffplan/value@1"
POINTS = 32
"""How many points of the curve the network looks at."""
_LIMITS = ("lower", "upper", "velocity", "acceleration")
_ROUND = 0.05
"""Where the network's view of a derivative is rounded off about zero [s], so that the gradient stays finite."""


class ValueNet(nn.Module):
    """One number for each x_t [b, K, dof] at t [b]: the down half of the U-Net over points of the curve, flattened.

    It sees the first two derivatives of the curve by its parameter at `POINTS` even parameters, in units of the joints'
    velocity and acceleration limits: the traversal time depends on nothing else, and any number of control points gives
    as many inputs. So the last layers may tell the curve's parts apart (flattened, as in Diffuser) and yet the horizon
    can change after training.

    Args:
        config: the shape; `condition` must be 0.
        limits: the joints' velocity and acceleration limits [2, dof] in normalised units per s and s^2.
    """

    def __init__(self, config: UnetConfig, limits: Tensor) -> None:
        super().__init__()
        self.config = config
        self.limits: Tensor
        self.register_buffer("limits", limits.float())
        widths = [config.dim * m for m in config.mults]
        channels = 4 * config.dof + 2
        inputs = [channels, *widths[1:]]
        self.levels = nn.ModuleList(Level(a, b, config.blocks, config) for a, b in zip(inputs, widths, strict=True))
        self.shrink = nn.ModuleList(nn.Linear(2 * a, b) for a, b in pairwise(widths))
        self.widths = [width for level in self.levels for width in level.widths]  # pyright: ignore
        half = config.dim // 2
        self.frequency: Tensor
        self.register_buffer("frequency", torch.exp(-math.log(1e4) * torch.arange(half) / half), persistent=False)
        self.time = nn.Sequential(
            nn.Linear(config.dim, 4 * config.dim), nn.SiLU(), nn.Linear(4 * config.dim, config.dim), nn.SiLU()
        )
        self.shifts = nn.Linear(config.dim, sum(self.widths))
        flat = widths[-1] * (POINTS // config.multiple)
        hidden = 4 * config.dim
        self.out = nn.Sequential(nn.Linear(flat + channels + config.dim, hidden), nn.SiLU(), nn.Linear(hidden, 1))

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Return one number [b] for x_t [b, K, dof] (normalised, ends without noise) at steps t [b]."""
        x = torch.cat(self._seen(x_t), dim=2)
        mean = x.mean(dim=1)  # past the group norms, which take the size of things away
        angle = t.to(x.dtype)[:, None] * self.frequency
        time = self.time(torch.cat((angle.sin(), angle.cos()), dim=1))
        shifts = iter(self.shifts(time).split(self.widths, dim=1))
        batch = len(x)
        for number, level in enumerate(self.levels):
            if number:
                x = self.shrink[number - 1](x.reshape(batch, x.shape[1] // 2, -1))
            x = level(x, shifts)
        return self.out(torch.cat((x.reshape(batch, -1), mean, time), dim=1))[:, 0]

    def _seen(self, x_t: Tensor) -> tuple[Tensor, ...]:
        """Return what the first level sees of paths: everything in s, each [b, POINTS, channels].

        The times that the joints' velocity and acceleration limits ask for at each point, the largest of each, whether
        a joint speeds up or slows down along the curve, and its direction (noise averages out only with its sign).
        """
        first, second = (matrix.to(x_t) for matrix in _derivatives(x_t.shape[1]))
        velocity, acceleration = (first @ x_t) / self.limits[0], (second @ x_t) / self.limits[1]
        at_speed = (velocity.square() + _ROUND**2).sqrt()
        at_force = (acceleration.square() + _ROUND**4).sqrt().sqrt()
        sense = velocity / at_speed * acceleration / at_force
        return velocity, at_speed, at_force, sense, at_speed.amax(2, keepdim=True), at_force.amax(2, keepdim=True)


@lru_cache(maxsize=16)
def _derivatives(horizon: int) -> tuple[Tensor, Tensor]:
    """Return the matrices [POINTS, horizon] from control points to the curve's first and second derivative."""
    first, second = (torch.from_numpy(spline.basis(horizon, POINTS, order).copy()) for order in (1, 2))
    return first, second


def normalised_limits(robot: Robot) -> Tensor:
    """Return a robot's velocity and acceleration limits [2, dof] for normalised joint positions."""
    half_range = (robot.upper - robot.lower) / 2
    return torch.from_numpy(np.stack([robot.velocity, robot.acceleration]) / half_range)


def straight_time(way: Float, velocity: Float, acceleration: Float) -> Float:
    """Return the shortest times [b] in s, rest to rest, along straight lines whose ends are `way` [b, dof] apart.

    All joints move in proportion, so the joint that is slowest in velocity or acceleration sets the pace.
    """
    way = np.abs(way) + 1e-9
    v, a = (velocity / way).min(axis=1), (acceleration / way).min(axis=1)
    return np.where(v * v < a, 1 / v + v / a, 2 / np.sqrt(a))


@dataclass(frozen=True, kw_only=True, eq=False)
class Value:
    """The value network with what is needed to use it rightly.

    The network's output times `std` plus `mean` [s] is what the path takes longer than the straight line between its
    ends would, the weighted tracking error included. Limits [rad, rad/s, rad/s^2, m for prismatic joints] are those of
    the robot in training. `training` says how it was made (numbers and text), for the model card.
    """

    net: ValueNet
    schedule: Schedule
    joint_names: tuple[str, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    velocity: tuple[float, ...]
    acceleration: tuple[float, ...]
    mean: float
    std: float
    training: dict[str, str | int | float] = field(default_factory=dict)

    def check(self, robot: Robot) -> None:
        """Make sure that the value speaks of this robot.

        Raises:
            InputError: if its joints or their limits are not those of the training.
        """
        check_joints("value", self.joint_names, robot)
        for kind in _LIMITS:
            found, trained = getattr(robot, kind), getattr(self, kind)
            if np.abs(found - np.array(trained)).max() > 1e-6:
                raise InputError(
                    f"the value was trained with other {kind} limits than those of {robot.name}",
                    key=kind,
                    value=[float(v) for v in found],
                    allowed=str(list(trained)),
                )

    def duration(self, control: Float) -> Float:
        """Return the predicted traversal times [b] in s of paths [b, K, dof] (rad or m), any K from 4."""
        x = self._normalised(control)
        with torch.no_grad():
            excess = self.net(x, torch.zeros(len(x)))
        return self._duration(control, excess)

    def duration_and_gradient(self, control: Float) -> tuple[Float, Float]:
        """Return predicted traversal times [b] in s and gradients [b, K, dof] in s/rad (s/m), zero at the ends."""
        excess, gradient = self._differentiated(self._normalised(control), 0)
        half_range = (np.array(self.upper) - np.array(self.lower)) / 2
        return self._duration(control, excess), self.std * gradient.numpy().astype(np.float64) / half_range

    def gradient_at(self, x_t: Tensor, t: int) -> Tensor:
        """Return dJ/dx [b, K, dof] at x_t [b, K, dof] (normalised) and step t; zero at the ends, which are pinned.

        J is the predicted return of the clean path in units of `std`.
        """
        return -self._differentiated(x_t, t)[1]

    def _normalised(self, control: Float) -> Tensor:
        lower, upper = np.array(self.lower), np.array(self.upper)
        return torch.from_numpy((2 * (control - lower) / (upper - lower) - 1).astype(np.float32))

    def _differentiated(self, x_t: Tensor, t: int) -> tuple[Tensor, Tensor]:
        """Return the network's output [b] and its gradient [b, K, dof]."""
        x = x_t.detach().float().requires_grad_(True)
        with torch.enable_grad():
            excess = self.net(x, torch.full((len(x),), t))
            (gradient,) = torch.autograd.grad(excess.sum(), x)
        gradient[:, [0, -1]] = 0.0
        return excess.detach(), gradient.to(x_t)

    def _duration(self, control: Float, excess: Tensor) -> Float:
        straight = straight_time(control[:, -1] - control[:, 0], np.array(self.velocity), np.array(self.acceleration))
        return straight + self.mean + self.std * excess.numpy().astype(np.float64)


def value_file(robot: Robot | str) -> Path:
    """Return where a robot's value lies, whether or not there is one: beside its file, or by its name."""
    name, beside = (robot, None) if isinstance(robot, str) else (robot.name, robot.file)
    return robot_asset(name, beside, "value.safetensors")


def save_value(value: Value, path: Path, *, dtype: torch.dtype = torch.float16) -> None:
    """Write the value, weights rounded to `dtype`."""
    limits = {key: getattr(value, key) for key in ("joint_names", *_LIMITS)}
    header = {
        "format": FORMAT,
        "unet": asdict(value.net.config),
        "schedule": asdict(value.schedule),
        **limits,
        "mean": value.mean,
        "std": value.std,
        "training": value.training,
    }
    write_tensors({key: tensor.to(dtype) for key, tensor in value.net.state_dict().items()}, header, path)


def load_value(path: Path) -> Value:
    """Read a value for inference: weights that ask for no gradient.

    Raises:
        InputError: if the file is missing, unreadable, of another format, or its weights do not fit its own header.
    """
    tensors, header = read_tensors(path, FORMAT)
    keys = ("unet", "schedule", "joint_names", *_LIMITS, "mean", "std", "training")
    entries = Entry(file=path, key="", raw=header).fields(("format", *keys))
    config = network_config(UnetConfig, entries["unet"], tensors)
    if POINTS % config.multiple:
        raise entries["unet"].error("too many levels", allowed=f"levels that halve {POINTS} points evenly")
    net = ValueNet(config, torch.ones(2, config.dof))
    fill(net, tensors, path)
    return Value(
        net=net.eval().requires_grad_(False),
        schedule=read_record(Schedule, entries["schedule"], strict=True),
        joint_names=read_names(entries["joint_names"], config.dof),
        **{key: entries[key].numbers(config.dof) for key in _LIMITS},
        mean=entries["mean"].number(),
        std=entries["std"].number(positive=True),
        training=read_facts(entries["training"]),
    )


_values: Kept[Value] = Kept(64 << 20)


def kept_value(path: Path) -> Value:
    """Return the value of a file, loaded once a process as long as the file holds the same (see `load_value`).

    Raises:
        InputError: as `load_value`.
    """
    return by_content(_values, path, lambda: load_value(path))
