"""The common prior's network: one temporal U-Net for every joint of any arm; joints look at each other on the way.

All joints have the same weights: they are folded into the batch for the convolutions over time. What a joint is, the
network learns from its channels (channels.py), never from a number of it, so that any number of joints in any order of
kinds will do. At equal control points the joints attend to each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffplan.errors import InputError
from diffplan.prior.tokens import Context
from diffplan.prior.unet import Convolution, Trunk, UnetShape


@dataclass(frozen=True, kw_only=True)
class JointwiseConfig(UnetShape):
    """Shape of the network: `channels` a joint and control point.

    After the levels in `mixing` (0 is the finest) joints attend to each other with `heads` heads, on the way down and
    up. `tokens` blocks of cross-attention let every joint and control point look at the obstacles.
    """

    channels: int
    mixing: tuple[int, ...] = (0, 1, 2)
    heads: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("channels", "heads"):
            if getattr(self, key) < 1:
                raise InputError("not a positive number", key=f"unet.{key}", value=getattr(self, key))
        if any(not 0 <= level < len(self.mults) for level in self.mixing):
            allowed = f"numbers from 0 to {len(self.mults) - 1}"
            raise InputError("not levels of this network", key="unet.mixing", value=self.mixing, allowed=allowed)
        if self.dim % self.heads:
            raise InputError("does not divide into heads", key="unet.dim", value=self.dim, allowed=f"{self.heads} n")


class JointAttention(nn.Module):
    """Joints attend to each other at the same point: x + attention(norm(x)); starts at zero."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.norm = heads, nn.LayerNorm(width)
        self.ask, self.mix = Convolution(width, 3 * width, 1), Convolution(width, width, 1)
        nn.init.zeros_(self.mix.weight)
        nn.init.zeros_(self.mix.bias)

    def forward(self, x: Tensor, joints: int) -> Tensor:
        """Return x [b * joints, n, width] with what the other joints say added."""
        rows, n, width = x.shape
        batch, size = rows // joints, width // self.heads
        asked = self.ask(self.norm(x)).view(batch, joints, n, 3, self.heads, size)
        query, key, value = asked.permute(3, 0, 2, 4, 1, 5)  # each [b, n, heads, joints, size]
        weight = (query @ key.transpose(3, 4) / size**0.5).softmax(dim=4)
        mixed = (weight @ value).permute(0, 3, 1, 2, 4).reshape(rows, n, width)
        return x + self.mix(mixed)


class JointwiseUnet(Trunk):
    """Deviations from the straight line, y0 = U-Net(input, t). An untrained network answers with the line."""

    def __init__(self, config: JointwiseConfig) -> None:
        super().__init__(config, config.channels, 1)
        self.config = config
        # levels as `through` counts them: down, in the middle, up
        levels = [*range(len(config.mults)), *range(len(config.mults) - 2, -1, -1)]
        self.mixers = nn.ModuleDict(
            {
                str(number): JointAttention(config.widths[level], config.heads)
                for number, level in enumerate(levels)
                if level in config.mixing
            }
        )

    def forward(self, x: Tensor, t: Tensor, context: Context | None = None) -> Tensor:
        """Return the deviations [b, dof, K] of x [b, dof, K, channels] at steps t [b]; the ends do not leave the line.

        `context` is what `attend.encode` made of the obstacles of every sample; without it they are not shown.

        Raises:
            ValueError: if K is no multiple of `config.multiple` or the channels are not the network's.
        """
        batch, joints, points, channels = x.shape
        if points % self.config.multiple:
            raise ValueError(f"horizon {points} is no multiple of {self.config.multiple}")
        if channels != self.config.channels:
            raise ValueError(f"{channels} channels, the network has {self.config.channels}")

        def mixed(x: Tensor, number: int) -> Tensor:
            name = str(number)
            return self.mixers[name](x, joints) if name in self.mixers else x

        def attended(x: Tensor) -> Tensor:
            if self.attend is None:
                return x
            return self.attend(x.reshape(batch, -1, x.shape[2]), context).view(x.shape)

        embedded = self.embedded(t).repeat_interleave(joints, dim=0)
        y = self.through(x.reshape(batch * joints, points, channels), embedded, mixed, attended)
        return F.pad(y.view(batch, joints, points)[:, :, 1:-1], (1, 1))

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.out.weight.device
