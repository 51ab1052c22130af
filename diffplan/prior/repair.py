"""Repair of nearly good paths: the stretch that collides is noised again and denoised, the rest is kept.

The forward chain takes a path to an intermediate noise level; from there it is denoised, with the control points
outside the stretch inpainted. Low levels keep the way and mend it, high ones look for another.
Sources: Meng et al., "SDEdit", ICLR 2022 (start in the middle of the chain); Lugmayr et al., "RePaint", CVPR 2022
(inpainting by an unconditional sampler).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from diffplan.curves import spline
from diffplan.geometry.pose import Float
from diffplan.prior.samplers import Denoiser, ddim
from diffplan.prior.schedule import Schedule
from diffplan.refinement import Refiner

_ACTS = 0.1
"""A control point acts on a place of the curve where its share of it is at least this."""


class Kept:
    """Holds control points: where `keep` [b, K] is true, x0 is `known` [b, K, dof] (normalised).

    The samplers put the noise of x_t back on x0, so that what is kept stays its own noisy self at every level.
    """

    def __init__(self, denoiser: Denoiser, known: Tensor, keep: Tensor) -> None:
        self.denoiser, self.known, self.keep = denoiser, known, keep[..., None]

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Return the clean estimate [b, K, dof] of x_t at steps t [b]."""
        return torch.where(self.keep, self.known, self.denoiser(x_t, t))


def colliding_stretch(refiner: Refiner, control: Float, widen: int) -> np.ndarray:
    """Return for each control point of paths [b, K, dof] whether it lies in the stretch that collides, [b, K].

    The stretch reaches from the first to the last control point that acts on a place without the wanted clearance,
    and `widen` control points farther on either side, but leaves the ends out; a path that is clear has none.
    """
    n = control.shape[1]
    slack = refiner.slack_along(control)
    acts = spline.basis(n, slack.shape[1]) >= _ACTS
    touched = (slack < 0) @ acts
    index = np.arange(n)
    first = np.where(touched, index, n).min(axis=1, keepdims=True) - widen
    last = np.where(touched, index, -1).max(axis=1, keepdims=True) + widen
    inside = (index >= first) & (index <= last) & touched.any(axis=1, keepdims=True)
    inside[:, [0, -1]] = False
    return inside


def renoised(
    denoiser: Denoiser,
    known: Tensor,
    keep: Tensor,
    schedule: Schedule,
    *,
    level: float,
    eta: float,
    generator: torch.Generator,
    steps: int = 2,
) -> Tensor:
    """Return paths [b, K, dof] noised to a level and denoised again, the same as `known` where `keep` [b, K].

    Args:
        denoiser: predicts the clean path, with ends pinned.
        known: the paths, normalised.
        keep: which control points stay.
        schedule: that of the denoiser.
        level: where in the chain to begin, as a share of its steps, in (0, 1].
        eta: share of fresh noise (`samplers.ddim`).
        generator: source of all noise.
        steps: reverse steps from there.
    """
    begin = max(1, round(level * schedule.steps))
    times = sorted({max(1, round(begin * (steps - i) / steps)) for i in range(steps)}, reverse=True)
    noise = torch.randn(known.shape, generator=generator, dtype=known.dtype)
    x = schedule.noisy(known, torch.full((len(known),), begin), noise)
    return ddim(Kept(denoiser, known, keep), x, schedule, times, eta=eta, generator=generator)
