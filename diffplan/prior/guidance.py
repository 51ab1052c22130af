"""Guidance: the clean estimate is moved off collisions, or towards a greater value, inside every reverse step.

The costs' gradient moves the clean estimate through the smoothing metric, a few covariant steps at a time, each
sample for itself, and never farther than a trust region that closes with the noise. Noise that is still to be removed
blurs obstacles, so the distance at which they push is wider early on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from diffplan.prior.coordinates import Coordinates
from diffplan.prior.path_prior import SelfConditioned
from diffplan.prior.samplers import Denoiser
from diffplan.prior.schedule import Schedule
from diffplan.prior.value import Value
from diffplan.refinement import Refiner, covariant_step


@dataclass(frozen=True, kw_only=True)
class GuidanceConfig:
    """How far guidance may go inside the reverse process.

    Attributes:
        steps: covariant steps in each reverse step.
        trust: how far x may be moved in a reverse step, times the deviation of the noise there (0.15: MPD-splines).
        from_std: reverse steps whose noise has a larger deviation are left alone: there the estimate is hardly a path.
        share: part of the batch that is guided; the rest stays as the prior made it, since guidance can mislead.
        max_step: longest displacement of a joint in one covariant step [rad or m].
    """

    steps: int = 2
    trust: float = 0.15
    from_std: float = 0.95
    share: float = 0.75
    max_step: float = 0.15


class Guided:
    """Wraps a denoiser: its clean estimates come out moved off collisions. The first `share` of the batch is guided."""

    def __init__(
        self,
        denoiser: Denoiser,
        refiner: Refiner,
        schedule: Schedule,
        config: GuidanceConfig,
        coordinates: Coordinates,
        feedback: SelfConditioned | None = None,
    ) -> None:
        self.denoiser, self.refiner, self.schedule, self.config = denoiser, refiner, schedule, config
        self.coordinates, self.feedback = coordinates, feedback

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Return the guided clean estimate [b, K, dof] of x_t at steps t [b] (all the same)."""
        x0 = self.denoiser(x_t, t)
        std = float(self.schedule.std[int(t[0])])
        if std > self.config.from_std or self.config.steps == 0:
            return x0
        guided = round(self.config.share * len(x0))
        moved = x0.clone()
        moved[:guided, 1:-1] = self._move(x0[:guided], x_t[:guided], std)
        if self.feedback is not None and self.feedback.estimate is not None:
            self.feedback.estimate = moved
        return moved

    def _move(self, x0: Tensor, x_t: Tensor, std: float) -> Tensor:
        """Return the inner control points [b, K - 2, dof] of x0 moved; obstacles push from up to twice as far."""
        r, trust = self.refiner, self.config.trust * std
        annealed = replace(r.config, activation=(1 + std) * r.config.activation)
        refiner = r.with_config(annealed)
        x = x0.numpy().astype(np.float64)
        x[:, [0, -1]] = x_t[:, [0, -1]].numpy()
        control = self.coordinates.decode(x)
        for _ in range(self.config.steps):
            cost, slope, _ = refiner.evaluate(control)
            step = covariant_step(cost, slope, self.config.max_step, r.model.robot.metric)
            control[:, 1:-1] -= step + refiner.wishes(control)[1]
        shift = np.clip(self.coordinates.encode(control) - x, -trust, trust)
        return torch.from_numpy(self.coordinates.within(x + shift)[:, 1:-1].astype(np.float32))


class ValueGuided:
    """Wraps a denoiser: its clean estimates come out moved up the slope of the learned value J there.

    Diffuser's guidance (Janner et al., 2022, algorithm 1), at the mean of the clean path: it moves by `scale` times the
    variance of the noise times dJ/dx. Nothing moves farther than `trust` (in x) times the noise's deviation.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        value: Value,
        schedule: Schedule,
        coordinates: Coordinates,
        feedback: SelfConditioned,
        *,
        scale: float,
    ) -> None:
        self.denoiser, self.value, self.schedule, self.feedback = denoiser, value, schedule, feedback
        self.coordinates, self.scale, self.trust = coordinates, scale, GuidanceConfig.trust

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Return the guided clean estimate [b, K, dof] of x_t at steps t [b] (all the same)."""
        x0, step = self.denoiser(x_t, t), int(t[0])
        farthest = self.trust * float(self.schedule.std[step])
        slope = self.coordinates.slope(self.value.gradient_at(self.coordinates.normalised(x0), 0))
        shift = self.scale * float(self.schedule.var[step]) * slope
        self.feedback.estimate = x0 + shift.clamp(-farthest, farthest)
        return self.feedback.estimate
