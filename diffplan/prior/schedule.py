"""The noise schedule: how much of a clean path is left at step t."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from diffplan.errors import InputError
from diffplan.system.computed import computed

_MOST_STEPS = 100_000


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Cosine schedule (Nichol and Dhariwal, ICML 2021, eq. 17) with `steps` steps; t = 0 is clean, t = steps is noise.

    x_t = sqrt(alpha_bar[t]) x0 + sqrt(var[t]) noise, var = 1 - alpha_bar.

    The cosine schedule is made for data of unit variance. Paths leave the straight line by `data_std` (normalised
    units, root mean square), so noise of the same meaning is smaller by that factor: the signal-to-noise ratio is the
    cosine schedule's divided by data_std^2 (the shift of Hoogeboom et al., "Simple diffusion", ICML 2023, sec. 3.1).
    Without it most steps would look at nothing but noise. All tensors are float64 of length steps + 1.
    """

    steps: int = 100
    data_std: float = 0.25
    offset: float = 0.008

    def __post_init__(self) -> None:
        if not 2 <= self.steps <= _MOST_STEPS:
            raise InputError(
                "not a number of steps", key="schedule.steps", value=self.steps, allowed=f"2 to {_MOST_STEPS}"
            )
        if not 0 < self.data_std <= 1:
            raise InputError("not a standard deviation", key="schedule.data_std", value=self.data_std, allowed="(0, 1]")
        if not 0 < self.offset < 1:
            raise InputError("not a small offset", key="schedule.offset", value=self.offset, allowed="(0, 1)")

    @computed
    def alpha_bar(self) -> Tensor:
        """Share of the variance that is signal, falling from 1 to nearly 0."""
        t = torch.arange(self.steps + 1, dtype=torch.float64) / self.steps
        cosine = torch.cos((t + self.offset) / (1 + self.offset) * math.pi / 2).square()
        beta = (1 - cosine[1:] / cosine[:-1]).clamp_max(0.999)
        alpha_bar = torch.cat((torch.ones(1, dtype=torch.float64), torch.cumprod(1 - beta, 0)))
        return alpha_bar / (alpha_bar + self.data_std**2 * (1 - alpha_bar))

    @computed
    def var(self) -> Tensor:
        """Variance of x_t given x0."""
        return 1 - self.alpha_bar

    @computed
    def std(self) -> Tensor:
        """Standard deviation of x_t given x0."""
        return self.var.sqrt()

    @computed
    def loss_weight(self) -> Tensor:
        """Weight of the squared error of x0 at step t, by the signal-to-noise ratio of unit-variance data.

        min-SNR-5 (Hang et al., ICCV 2023) for x0-prediction is min(SNR, 5). It gives the noisiest steps no weight, but
        a sampler of few steps stands or falls with them, so the weight stops falling at 1 (the truncated SNR of
        Salimans and Ho, ICLR 2022, sec. 4).
        """
        return (self.alpha_bar * self.data_std**2 / self.var).clamp(1.0, 5.0)

    def noisy(self, x0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """Return x_t [b, K, dof] for x0, noise of that shape and t [b]; the first and last point stay as in x0.

        The ends carry no noise because sampling pins them (a loss on noise that is overwritten teaches nothing).
        """
        signal = self.alpha_bar[t].sqrt().to(x0)[:, None, None]
        x_t = signal * x0 + self.std[t].to(x0)[:, None, None] * noise
        x_t[:, [0, -1]] = x0[:, [0, -1]]
        return x_t

    def noisier(self, x_t: Tensor, t: Tensor, later: Tensor, noise: Tensor) -> Tensor:
        """Return x_later given x_t for later >= t [b]: the forward chain continued; the ends stay as they are."""
        ratio = (self.alpha_bar[later] / self.alpha_bar[t]).to(x_t)[:, None, None]
        x = ratio.sqrt() * x_t + (1 - ratio).sqrt() * noise
        x[:, [0, -1]] = x_t[:, [0, -1]]
        return x

    def times(self, count: int) -> list[int]:
        """Return `count` sampling steps from t = steps down to t > 0, evenly spaced.

        Raises:
            InputError: if count is not within 1..steps.
        """
        if not 1 <= count <= self.steps:
            raise InputError("not a number of sampling steps", key="steps", value=count, allowed=f"1..{self.steps}")
        return [round(self.steps * (count - i) / count) for i in range(count)]
