"""The common prior's training loss: that of the other prior, for deviations from the line, each described at random."""

from __future__ import annotations

import torch
from torch import Tensor

from diffplan.prior.channels import Redescribed, Sight, Symmetry
from diffplan.prior.jointwise import JointwiseUnet
from diffplan.prior.loss import NoisyBatch, looked_again, weighted_error
from diffplan.prior.schedule import Schedule
from diffplan.prior.tokens import SceneTokens


def jointwise_loss(
    net: JointwiseUnet,
    schedule: Schedule,
    batch: NoisyBatch,
    sight: Sight,
    tokens: SceneTokens | None = None,
    symmetry: Symmetry | None = None,
) -> Tensor:
    """Return the weighted loss [b] of each sample (`denoising_loss`, x0 being deviations from the line).

    Args:
        net: the network.
        schedule: of the noise.
        batch: clean deviations of one arm [b, K, dof], and everything random about the step.
        sight: what the network sees of the batch.
        tokens: the obstacles of each sample [b, ...] in the arm's units, for a network that looks at them.
        symmetry: the description of each sample that the network is asked through (default: the arm's own).
    """
    y_t, shown = schedule.noisy(batch.x0, batch.t, batch.noise), batch.passes > 0
    context = None
    if tokens is not None and net.attend is not None:
        context = net.attend.encode(symmetry.tokens(tokens) if symmetry else tokens).shown(shown)

    def answer(x: Tensor, level: Tensor, y: Tensor, told: Tensor, rows: Tensor, shown: Tensor) -> Tensor:
        asked = Redescribed(net, symmetry.rows(rows)) if symmetry else net
        seen = sight.input(x, y, told, shown, rows)
        return asked(seen, level, context.rows(rows) if context else None).transpose(1, 2)

    def predict(x: Tensor, level: Tensor, y: Tensor, told: Tensor, rows: Tensor) -> Tensor:
        return answer(x, level, y, told, rows, torch.ones(len(rows), dtype=torch.bool)).contiguous()

    line = torch.zeros_like(y_t)
    y, told = looked_again(schedule, batch, y_t, line, sight.line_told, predict, sight.look)
    everything = torch.arange(len(y_t))
    return weighted_error(schedule, batch, answer(y_t, batch.t, y, told, everything, shown))
