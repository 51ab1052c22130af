"""The prior's network: a temporal U-Net over control points that predicts the clean path.

Diffuser's network (Janner et al., ICML 2022, appendix A): convolutions over time with kernel 5, GroupNorm, residual
blocks, the embedded time added in every block. Four things differ, each measured on one CPU thread:

- channels are the innermost axis and a convolution is one matrix product over windows: half the time of `nn.Conv1d`;
- SiLU instead of Mish, which takes nine times as long in PyTorch's CPU build and is the same curve within 0.1;
- the products run in bfloat16 where `products` says so (matrix units of recent CPUs); everything else is float32;
- the network's output is a correction to the straight line between the ends of `x_t`, which are never noisy.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import Self

from diffplan.curves.spline import greville
from diffplan.errors import InputError
from diffplan.prior.tokens import Context, TokenAttention


@dataclass(frozen=True, kw_only=True)
class UnetShape:
    """What the shapes of all U-Nets here have.

    Level i has `dim * mults[i]` channels and `blocks` residual blocks; convolutions see `kernel` points, `groups` is
    GroupNorm's. `tokens` blocks of cross-attention to obstacle tokens stand before the middle (0: none). Any horizon
    that is a multiple of `multiple` fits.
    """

    dim: int = 48
    mults: tuple[int, ...] = (1, 2, 4)
    blocks: int = 1
    kernel: int = 5
    groups: int = 8
    tokens: int = 0

    def __post_init__(self) -> None:
        for key in ("dim", "blocks", "kernel", "groups"):
            if getattr(self, key) < 1:
                raise InputError("not a positive number", key=f"unet.{key}", value=getattr(self, key))
        if not self.mults or min(self.mults) < 1:
            raise InputError("needs at least one level", key="unet.mults", value=self.mults, allowed="numbers >= 1")
        if self.kernel % 2 == 0:
            raise InputError("a kernel needs a middle", key="unet.kernel", value=self.kernel, allowed="odd numbers")
        if self.dim % self.groups or self.dim % 2:
            raise InputError("does not divide into groups", key="unet.dim", value=self.dim, allowed=f"{self.groups} n")
        if self.tokens < 0:
            raise InputError("negative", key="unet.tokens", value=self.tokens, allowed="0 or more")

    @property
    def least_parameters(self) -> int:
        """A lower bound of how many numbers a network of this shape has, known without making it."""
        *outer, inner = [self.dim * factor for factor in self.mults]
        convolutions = inner**2 + self.blocks * sum(width**2 for width in outer)
        return self.kernel * convolutions + self.tokens * inner**2

    @property
    def widths(self) -> list[int]:
        """The number of channels of every level, the finest first."""
        return [self.dim * factor for factor in self.mults]

    @property
    def multiple(self) -> int:
        """The horizon must be a multiple of this."""
        return 2 ** (len(self.mults) - 1)


@dataclass(frozen=True, kw_only=True)
class UnetConfig(UnetShape):
    """Shape of the network of one robot: `dof` joints, and `condition` channels beside `x_t` (0: unconditioned)."""

    dof: int
    condition: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dof < 1:
            raise InputError("not a positive number", key="unet.dof", value=self.dof)
        if self.condition < 0:
            raise InputError("negative", key="unet.condition", value=self.condition, allowed="0 or more")

    @property
    def least_parameters(self) -> int:
        """A lower bound of how many numbers a network of this shape has, known without making it."""
        return super().least_parameters + self.condition + self.dof


PRODUCTS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def chosen_products() -> torch.dtype:
    """Return the type in which the shipped networks multiply matrices.

    The environment variable `DIFFPLAN_PRODUCTS` decides (`float32` or `bfloat16`), so that machines can be made to
    agree; without it bfloat16 where the processor has matrix units for it (AMX), else float32. With AVX-512 alone it
    made the Panda's plans of the suite `hard` no faster (median), longer by 0.6 %, and two fewer of 315.

    Raises:
        InputError: if the variable says something else.
    """
    if (wanted := os.environ.get("DIFFPLAN_PRODUCTS")) is not None:
        if wanted not in PRODUCTS:
            raise InputError("not a type of products", key="DIFFPLAN_PRODUCTS", value=wanted, allowed=PRODUCTS)
        return PRODUCTS[wanted]
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return torch.bfloat16 if capabilities.get("amx_bf16") else torch.float32


def straight_between_ends(x: Tensor) -> Tensor:
    """Return the control points [b, K, dof] of the straight line from the first to the last control point of x."""
    weight = torch.as_tensor(greville(x.shape[1]), dtype=x.dtype, device=x.device)[:, None]
    return x[:, :1] + weight * (x[:, -1:] - x[:, :1])


def _windows(x: Tensor, kernel: int) -> Tensor:
    """Return [b * n, kernel * channels]: the zero-padded neighbourhood of every point of x [b, n, channels]."""
    batch, n, channels = x.shape
    padded = F.pad(x, (0, 0, kernel // 2, kernel // 2))
    shape, strides = (batch, n, kernel * channels), ((n + kernel - 1) * channels, channels, 1)
    return padded.as_strided(shape, strides).reshape(batch * n, kernel * channels)


class _Convolution(torch.autograd.Function):
    """y = windows(x) @ weight + bias for x [b, n, in], weight [kernel * in, out]; products in `dtype`.

    Written out because the backward pass of `as_strided` is slow and autocast converts the windows, not x.
    """

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor, kernel: int, dtype: torch.dtype) -> Tensor:
        windows, weight = _windows(x.to(dtype), kernel), weight.to(dtype)
        ctx.save_for_backward(windows, weight)
        ctx.kernel, ctx.shape = kernel, x.shape
        return torch.addmm(bias.to(dtype), windows, weight).float().view(*x.shape[:2], -1)

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor):
        (gradient,) = grad_outputs
        windows, weight = ctx.saved_tensors
        batch, n, channels = ctx.shape
        gradient = gradient.contiguous()
        g = gradient.to(weight.dtype)
        # the transposed convolution: windows of the gradient with the taps in reverse order
        flipped = weight.view(ctx.kernel, channels, -1).flip(0).transpose(1, 2).reshape(-1, channels)
        back = (_windows(g, ctx.kernel) @ flipped).float().view(batch, n, channels)
        flat = g.view(batch * n, -1)
        return back, (windows.t() @ flat).float(), gradient.sum((0, 1)), None, None


class Convolution(nn.Module):
    """A convolution over time with zero padding, [b, n, inputs] -> [b, n, outputs]."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.kernel, self.dtype = kernel, torch.float32
        bound = 1 / math.sqrt(kernel * inputs)  # as in nn.Conv1d
        self.weight = nn.Parameter(torch.empty(kernel * inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(outputs).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolved x."""
        if torch.is_grad_enabled():
            return _Convolution.apply(x, self.weight, self.bias, self.kernel, self.dtype)
        windows = _windows(x.to(self.dtype), self.kernel)
        y = torch.addmm(self.bias.to(self.dtype), windows, self.weight.to(self.dtype))
        return y.float().view(x.shape[0], x.shape[1], -1)


class Norm(nn.Module):
    """GroupNorm over time and the channels of a group, for x [b, n, channels]; then a shift [b, channels], SiLU."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, shift: Tensor | None = None) -> Tensor:
        """Return the activated, shifted x."""
        # as an image [b, channels, 1, n] stored channels last, for which PyTorch has a kernel: no copy, and twice as
        # fast (three times with its gradient) as moments by hand; `torch.var_mean` over two axes is far slower
        image = x.transpose(1, 2).unsqueeze(2)
        y = F.silu(F.group_norm(image, self.groups, self.weight, self.bias).squeeze(2).transpose(1, 2))
        return y if shift is None else y + shift[:, None]


class ResidualBlock(nn.Module):
    """Diffuser's residual block: two convolutions, the embedded time added after the first, and a skip."""

    def __init__(self, inputs: int, outputs: int, config: UnetShape) -> None:
        super().__init__()
        self.width = outputs
        self.first, self.first_norm = Convolution(inputs, outputs, config.kernel), Norm(outputs, config.groups)
        self.second, self.second_norm = Convolution(outputs, outputs, config.kernel), Norm(outputs, config.groups)
        self.skip = nn.Identity() if inputs == outputs else Convolution(inputs, outputs, 1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Return the block's output [b, n, outputs] for x [b, n, inputs] and the time shift [b, outputs]."""
        h = self.first_norm(self.first(x), time)
        return self.second_norm(self.second(h)) + self.skip(x)


class Level(nn.Module):
    """`count` residual blocks at one resolution, each with its own time shift."""

    def __init__(self, inputs: int, outputs: int, count: int, config: UnetShape) -> None:
        super().__init__()
        self.widths = [outputs] * count
        self.blocks = nn.ModuleList(ResidualBlock(inputs if i == 0 else outputs, outputs, config) for i in range(count))

    def forward(self, x: Tensor, shifts: Iterator[Tensor]) -> Tensor:
        """Return the blocks' output [b, n, outputs] for x [b, n, inputs]; takes one shift for each block."""
        for block in self.blocks:
            x = block(x, next(shifts))
        return x


Mixed: TypeAlias = Callable[[Tensor, int], Tensor]
"""`(x [b, n, width], number of the level) -> x`: what happens to the output of a level."""


class Trunk(nn.Module):
    """The U-Net over time without its input and output: residual levels down, in the middle, and up again.

    Down: `blocks` residual blocks a level, then pairs of neighbours become one point (a strided convolution of
    kernel 2). Up: the transposed step, the level's skip appended, `blocks` residual blocks. `out` starts at zero, so an
    untrained network corrects nothing.

    Args:
        config: the shape.
        channels: number of input channels.
        outputs: number of output channels.
    """

    def __init__(self, config: UnetShape, channels: int, outputs: int) -> None:
        super().__init__()
        widths = config.widths
        embedding = 4 * config.dim
        half = config.dim // 2
        self.frequency: Tensor
        self.register_buffer("frequency", torch.exp(-math.log(1e4) * torch.arange(half) / half), persistent=False)

        count, inputs = config.blocks, [channels, *widths[1:-1]][: len(widths) - 1]
        down = [Level(a, b, count, config) for a, b in zip(inputs, widths[:-1], strict=True)]
        middle = Level(widths[-1] if down else channels, widths[-1], 2, config)
        up = [Level(2 * a, a, count, config) for a in widths[-2::-1]]
        self.down, self.middle, self.up = nn.ModuleList(down), middle, nn.ModuleList(up)
        self.shrink = nn.ModuleList(nn.Linear(2 * a, b) for a, b in pairwise(widths))
        self.grow = nn.ModuleList(nn.Linear(a, 2 * b) for a, b in pairwise(widths[::-1]))
        self.out = nn.Linear(widths[0], outputs)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.widths = [width for level in (*down, middle, *up) for width in level.widths]
        self.time = nn.Sequential(
            nn.Linear(config.dim, embedding), nn.SiLU(), nn.Linear(embedding, config.dim), nn.SiLU()
        )
        self.shifts = nn.Linear(config.dim, sum(self.widths))  # every block's time layer, one product
        self.attend = TokenAttention(widths[-1], config.tokens) if config.tokens else None

    def products(self, dtype: torch.dtype) -> Self:
        """Run the convolutions' products in float32 or bfloat16 from now on; returns itself.

        Weights that ask for no gradient are converted for good, which saves doing it in every call.
        """
        for module in self.modules():
            if isinstance(module, Convolution):
                module.dtype = dtype
                if not module.weight.requires_grad:
                    module.weight.data, module.bias.data = module.weight.to(dtype), module.bias.to(dtype)
        return self

    def embedded(self, t: Tensor) -> Tensor:
        """Return the time shifts [b, all blocks' widths] at steps t [b]."""
        angle = t.to(self.frequency.dtype)[:, None] * self.frequency
        return self.shifts(self.time(torch.cat((angle.sin(), angle.cos()), dim=1)))

    def through(self, x: Tensor, embedded: Tensor, mixed: Mixed, attended: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the output [b, n, outputs] for x [b, n, channels] and time shifts [b, all blocks' widths].

        `mixed` is called with the output of every level and its number in the order of calls, `attended` with the input
        of the middle; what they return goes on.
        """
        shifts = iter(embedded.split(self.widths, dim=1))
        batch, skips, number = len(x), [], 0
        for level, shrink in zip(self.down, self.shrink, strict=True):
            x, number = mixed(level(x, shifts), number), number + 1
            skips.append(x)
            x = shrink(x.reshape(batch, x.shape[1] // 2, -1))
        x, number = mixed(self.middle(attended(x), shifts), number), number + 1
        for level, grow in zip(self.up, self.grow, strict=True):
            skip = skips.pop()
            x = level(torch.cat((grow(x).view(skip.shape), skip), dim=2), shifts)
            x, number = mixed(x, number), number + 1
        return self.out(x)


class TemporalUnet(Trunk):
    """x0 = line(x_t) + U-Net(x_t, condition, t), where line(x_t) is the straight line between the ends of x_t.

    An untrained network answers with the straight line.
    """

    def __init__(self, config: UnetConfig) -> None:
        super().__init__(config, config.dof + config.condition, config.dof)
        self.config = config

    def forward(
        self, x_t: Tensor, t: Tensor, condition: Tensor | None = None, context: Context | None = None
    ) -> Tensor:
        """Return the clean estimate x0 [b, K, dof] of x_t [b, K, dof] at step t [b], with condition [b, K, channels].

        `context` is what `attend.encode` made of the obstacles; without it they are not shown.

        Raises:
            ValueError: if the horizon K is no multiple of `config.multiple` or the channels are not the network's.
        """
        if x_t.shape[1] % self.config.multiple:
            raise ValueError(f"horizon {x_t.shape[1]} is no multiple of {self.config.multiple}")
        x = x_t if condition is None else torch.cat((x_t, condition), dim=2)
        if x.shape[2] != self.config.dof + self.config.condition:
            raise ValueError(f"{x.shape[2]} channels, the network has {self.config.dof + self.config.condition}")
        attend = self.attend
        attended = (lambda x: x) if attend is None else (lambda x: attend(x, context))
        return straight_between_ends(x_t) + self.through(x, self.embedded(t), lambda x, _: x, attended)
