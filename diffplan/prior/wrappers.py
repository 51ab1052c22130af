"""Denoisers around the network: what it sees of the scene, and start and goal held exactly."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from diffplan.prior.samplers import Denoiser
from diffplan.prior.tokens import Context, SceneTokens
from diffplan.prior.unet import TemporalUnet, straight_between_ends

Features: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""`(x0 [b, K, dof], scene_of [b]) -> features [b, K, channels]`: what the scene says about a path."""


def condition_channels(dof: int, features: int) -> int:
    """Return how many channels `condition` has."""
    return dof + 2 * features + 1


def condition(estimate: Tensor, features: Tensor, line_features: Tensor) -> Tensor:
    """Return the network's condition [b, K, dof + 2 features + 1].

    The estimate [b, K, dof], what the scene says about it [b, K, features], what the scene says about the straight
    line (an estimate that has left the obstacles no longer tells where they are), and a flag: the condition is there.
    """
    return torch.cat((estimate, features, line_features, torch.ones_like(estimate[..., :1])), dim=2)


class FeedbackDenoiser:
    """The network fed back its previous clean estimate and what the scene says about it (self-conditioning).

    One instance serves one sampling run: it remembers `estimate` between calls. The first call, as in training, takes
    the straight line between the ends of x_t for the estimate, so wrap it in `Inpainted`. A wrapper that improves the
    estimate (guidance) may assign `estimate` what the next call is to see.
    Sources: Chen, Zhang, Hinton, "Analog Bits", ICLR 2023 (self-conditioning); Ho and Salimans, 2022 (`weight`).

    Args:
        net: the network.
        features: what the scene says about a path; None for the unconditioned prior.
        scene_of: scene index [b] of every sample, handed to `features`.
        weight: classifier-free guidance: x0 = free + weight (conditioned - free); 1 needs no second pass.
        estimate: the clean estimate [b, K, dof] that the first call sees, if it is not to be the straight line.
        tokens: the obstacles of all scenes, for a network with cross-attention to them.
    """

    def __init__(
        self,
        net: TemporalUnet,
        features: Features | None = None,
        scene_of: Tensor | None = None,
        weight: float = 1.0,
        estimate: Tensor | None = None,
        tokens: SceneTokens | None = None,
    ) -> None:
        self.net, self.features, self.scene_of, self.weight = net, features, scene_of, weight
        self.estimate = estimate
        self._line_features: Tensor | None = None
        self._context = self._encoded(tokens)

    @torch.no_grad()
    def _encoded(self, tokens: SceneTokens | None) -> Context | None:
        if self.net.attend is None or tokens is None:
            return None
        return self.net.attend.encode(tokens if self.scene_of is None else tokens.of(self.scene_of))

    @torch.no_grad()
    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Return the clean estimate [b, K, dof] of x_t [b, K, dof] at step t [b]."""
        absent = x_t.new_zeros((*x_t.shape[:2], self.net.config.condition))
        if self.features is None:
            return self.net(x_t, t, absent)
        scene_of = torch.zeros(len(x_t), dtype=torch.int64) if self.scene_of is None else self.scene_of
        if self._line_features is None:
            self._line_features = self.features(straight_between_ends(x_t), scene_of)
        if self.estimate is None:
            self.estimate, seen = straight_between_ends(x_t), self._line_features
        else:
            seen = self.features(self.estimate, scene_of)
        present = condition(self.estimate, seen, self._line_features)
        if self.weight == 1.0:
            x0 = self.net(x_t, t, present, self._context)
        else:
            twice = self._context.twice(len(x_t)) if self._context else None
            both = self.net(x_t.repeat(2, 1, 1), t.repeat(2), torch.cat((present, absent)), twice)
            conditioned, free = both.chunk(2)
            x0 = free + self.weight * (conditioned - free)
        # the network's ends are right only up to its last layer; the scene must see the true ones
        x0[:, [0, -1]] = x_t[:, [0, -1]]
        self.estimate = x0
        return x0


class Inpainted:
    """Holds the first and last control point: start and goal [dof] or [b, dof] (normalised) go into x_t and out of x0.

    Outermost wrapper, so that nothing inside moves the ends. They are put into x_t without noise, as in training.
    """

    def __init__(self, denoiser: Denoiser, start: Tensor, goal: Tensor) -> None:
        self.denoiser, self.start, self.goal = denoiser, start, goal

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Return the clean estimate [b, K, dof] with exact ends."""
        return self._pinned(self.denoiser(self._pinned(x_t), t))

    def _pinned(self, x: Tensor) -> Tensor:
        x = x.clone()
        x[:, 0], x[:, -1] = self.start.to(x), self.goal.to(x)
        return x
