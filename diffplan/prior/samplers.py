"""The few-step sampler. A denoiser is any callable `(x_t [b, K, dof], t [b]) -> x0 [b, K, dof]`.

It knows nothing of goals, scenes or guidance: those are wrappers around the denoiser (wrappers.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from diffplan.prior.schedule import Schedule

Denoiser: TypeAlias = Callable[[Tensor, Tensor], Tensor]


def ddim(
    denoiser: Denoiser,
    x: Tensor,
    schedule: Schedule,
    times: Sequence[int],
    *,
    eta: float = 0.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Sample by DDIM (Song, Meng, Ermon, ICLR 2021, eq. 12 and 16); eta = 0 is deterministic, eta = 1 is DDPM.

    Args:
        denoiser: predicts the clean path.
        x: noise at times[0], standard normal, [b, K, dof].
        schedule: the schedule that the denoiser was trained with.
        times: falling steps, `schedule.times(n)`; the last estimate is the answer.
        eta: share of fresh noise in each step, none in the last.
        generator: source of that noise; needed if eta > 0.

    Returns:
        The clean estimate [b, K, dof] of the last step, untouched: what a wrapper pinned is pinned exactly.

    Raises:
        ValueError: if eta > 0 without a generator.
    """
    if eta > 0 and generator is None:
        raise ValueError("eta > 0 draws noise: give a generator")
    alpha_bar = schedule.alpha_bar.tolist()
    x0 = x
    for t, s in zip(times, [*times[1:], 0], strict=True):
        x0 = denoiser(x, torch.full((len(x),), t, device=x.device))
        if s == 0:
            break
        a_t, a_s = alpha_bar[t], alpha_bar[s]
        noise = (x - a_t**0.5 * x0) / (1 - a_t) ** 0.5
        sigma = eta * ((1 - a_s) / (1 - a_t) * (1 - a_t / a_s)) ** 0.5
        x = a_s**0.5 * x0 + (1 - a_s - sigma**2) ** 0.5 * noise
        if sigma > 0:
            x = x + sigma * torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)
    return x0
