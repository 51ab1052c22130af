"""The common prior: one network for all serial arms, as a file and as a denoiser."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from diffplan.collision.cpu import CollisionModel
from diffplan.collision.obstacles import Obstacles
from diffplan.curves.spline import straight
from diffplan.geometry.pose import Float
from diffplan.prior.arm import Arm
from diffplan.prior.channels import CHANNELS, Sight
from diffplan.prior.coordinates import Coordinates, Deviations
from diffplan.prior.familiarity import Familiarity
from diffplan.prior.jointwise import JointwiseConfig, JointwiseUnet
from diffplan.prior.path_prior import PathPrior
from diffplan.prior.prior import fill, network_config, read_facts, read_horizon, read_tensors, write_tensors
from diffplan.prior.schedule import Schedule
from diffplan.prior.tokens import Context, SceneTokens
from diffplan.robot.model import Robot
from diffplan.strict.entry import Entry, Json
from diffplan.strict.record import read_record

FORMAT = "diffplan/jointwise-prior@1"


class JointwiseDenoiser:
    """The common prior fed back its previous clean estimate, for one batch of paths (self-conditioning).

    One instance serves one sampling run; the first call takes the straight line for the estimate, as in training.

    Args:
        net: the network.
        sight: what it sees of the batch.
        sees: whether the scene is shown.
        weight: classifier-free guidance: y0 = free + weight (conditioned - free); 1 needs no second pass.
        estimate: the clean estimate [b, K, dof] that the first call sees, if it is not to be the straight line.
        tokens: the obstacles of each scene, for a network with cross-attention to them.
    """

    def __init__(
        self,
        net: JointwiseUnet,
        sight: Sight,
        *,
        sees: bool = True,
        weight: float = 1.0,
        estimate: Tensor | None = None,
        tokens: SceneTokens | None = None,
    ) -> None:
        self.net, self.sight, self.sees, self.weight, self.estimate = net, sight, sees, weight, estimate
        self._context = self._encoded(tokens)

    @torch.no_grad()
    def _encoded(self, tokens: SceneTokens | None) -> Context | None:
        if self.net.attend is None or tokens is None or not self.sees:
            return None
        arm = self.sight.arm
        own = tokens.of(torch.from_numpy(self.sight.scene_of)).in_units(arm.length, arm.height)
        return self.net.attend.encode(own)

    @torch.no_grad()
    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Return the clean estimate [b, K, dof] of deviations x_t [b, K, dof] at steps t [b]."""
        first, batch = self.estimate is None, len(x_t)
        estimate = torch.zeros_like(x_t) if self.estimate is None else self.estimate
        told = self.sight.line_told if first or not self.sees else self.sight.look(estimate)
        hidden = self.sight.input(x_t, estimate, told, torch.zeros(batch, dtype=torch.bool))
        if not self.sees:
            y0 = self.net(hidden, t)
        else:
            seen = self.sight.input(x_t, estimate, told, torch.ones(batch, dtype=torch.bool))
            if self.weight == 1.0:
                y0 = self.net(seen, t, self._context)
            else:
                twice = self._context.twice(batch) if self._context else None
                conditioned, free = self.net(torch.cat((seen, hidden)), t.repeat(2), twice).chunk(2)
                y0 = free + self.weight * (conditioned - free)
        self.estimate = y0.transpose(1, 2).contiguous()
        return self.estimate


@dataclass(frozen=True, kw_only=True, eq=False)
class CommonPrior(PathPrior):
    """The network of all arms with what is needed to use it rightly.

    `horizon` is the number of control points in training; others that the network takes work too. `training` says how
    it was made (numbers and text), for the model card. `familiarity` says what it was trained on; files of earlier
    versions do not have it.
    """

    variety = 1.2
    net: JointwiseUnet
    schedule: Schedule
    horizon: int
    familiarity: Familiarity | None = None
    training: dict[str, str | int | float] = field(default_factory=dict)

    @property
    def multiple(self) -> int:
        """The number of control points must be a multiple of this."""
        return self.net.config.multiple

    def check(self, robot: Robot) -> None:
        """Any arm will do."""

    def remarks(self, model: CollisionModel, world: Obstacles, start: Float, goal: Float) -> tuple[str, ...]:
        """Return where robot, scene, start and goal are far from what the prior was trained on, if it tells."""
        if self.familiarity is None:
            return ()
        return self.familiarity.remarks(arm_of(model), world, straight(start, goal[None], self.horizon)[0])

    def coordinates(self, model: CollisionModel, start: Float, goals: Float, horizon: int) -> Deviations:
        """Return the coordinates of paths of `horizon` control points from start [dof] to goals [b, dof]."""
        return Deviations(model.robot, start, goals, unit=arm_of(model).unit, horizon=horizon)

    def denoiser(
        self,
        model: CollisionModel,
        world: Obstacles,
        coordinates: Coordinates,
        *,
        sees: bool,
        weight: float,
        estimate: Tensor | None = None,
    ) -> JointwiseDenoiser:
        """Return the denoiser of a batch (see `PathPrior`)."""
        assert isinstance(coordinates, Deviations)  # those of `coordinates`
        line = coordinates.line
        sight = Sight(arm_of(model), world, line, np.zeros(len(line), dtype=np.int64))
        tokens = SceneTokens.describe(world) if self.net.attend is not None else None
        return JointwiseDenoiser(self.net, sight, sees=sees, weight=weight, estimate=estimate, tokens=tokens)


@lru_cache(maxsize=32)
def arm_of(model: CollisionModel) -> Arm:
    """Return the arm of a model, described once."""
    return Arm(model)


def save_common_prior(prior: CommonPrior, path: Path, *, dtype: torch.dtype = torch.float16) -> None:
    """Write the prior, weights rounded to `dtype` (half precision: relative error 5e-4, half the size)."""
    header: dict[str, object] = {
        "format": FORMAT,
        "unet": asdict(prior.net.config),
        "schedule": asdict(prior.schedule),
        "horizon": prior.horizon,
        "training": prior.training,
    }
    if prior.familiarity is not None:
        header["familiarity"] = asdict(prior.familiarity)
    write_tensors({key: value.to(dtype) for key, value in prior.net.state_dict().items()}, header, path)


def load_common_prior(path: Path, *, products: torch.dtype = torch.float32) -> CommonPrior:
    """Read a common prior for inference: weights that ask for no gradient, matrix products in `products`.

    Raises:
        InputError: if the file is missing, unreadable, of another format, or its weights do not fit its own header.
    """
    return common_prior_from(*read_tensors(path, FORMAT), path, products)


def common_prior_from(
    tensors: dict[str, Tensor], header: dict[str, Json], path: Path, products: torch.dtype
) -> CommonPrior:
    """Return the common prior that a file's tensors and header are (see `load_common_prior`)."""
    keys = ("unet", "schedule", "horizon", "training")
    entries = Entry(file=path, key="", raw=header).fields(("format", *keys), ("familiarity",))
    config = network_config(JointwiseConfig, entries["unet"], tensors)
    if config.channels != CHANNELS:
        raise entries["unet"].error("a network that is shown other things", allowed=f"channels: {CHANNELS}")
    net = JointwiseUnet(config)
    fill(net, tensors, path)
    return CommonPrior(
        net=net.eval().requires_grad_(False).products(products),
        schedule=read_record(Schedule, entries["schedule"], strict=True),
        horizon=read_horizon(entries["horizon"], config),
        training=read_facts(entries["training"]),
        familiarity=read_record(Familiarity, entries["familiarity"], strict=True) if "familiarity" in entries else None,
    )
