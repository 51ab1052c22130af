"""The training loss: clean paths predicted from noisy ones, with the feedback that sampling will give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from diffplan.prior.schedule import Schedule
from diffplan.prior.tokens import Context, SceneTokens
from diffplan.prior.unet import TemporalUnet, straight_between_ends
from diffplan.prior.wrappers import Features, condition


@dataclass(frozen=True, kw_only=True, eq=False)
class NoisyBatch:
    """Clean paths x0 [b, K, dof] with their scenes, and everything random about one step of training.

    `t` [b] is the noise level, `noise` [b, K, dof] its noise. `passes` [b] says how often the estimate went round
    before: 0 condition dropped, 1 the straight line, 2 and 3 the network's own estimate, made at the noisier level
    `earlier[:, passes - 2]` of the two [b, 2], with `earlier_noise` [2, b, K, dof].
    """

    x0: Tensor
    scene_of: Tensor
    t: Tensor
    noise: Tensor
    passes: Tensor
    earlier: Tensor
    earlier_noise: Tensor


def draw(
    x0: Tensor, scene_of: Tensor, schedule: Schedule, shares: tuple[float, ...], generator: torch.Generator
) -> NoisyBatch:
    """Draw noise levels (uniform), noise, and numbers of passes 0..3 by `shares` for a batch.

    A sample's earlier levels are uniform between its own and pure noise, second passes above third ones.
    """
    batch, top = len(x0), schedule.steps
    t = torch.randint(1, top + 1, (batch,), generator=generator)
    # both at least t; column 1 (the pass just before) below column 0
    spread = torch.rand((batch, 2), generator=generator).sort(dim=1, descending=True).values
    earlier = (t[:, None] + spread * (top + 1 - t)[:, None]).long().clamp_max(top)
    return NoisyBatch(
        x0=x0,
        scene_of=scene_of,
        t=t,
        noise=torch.randn(x0.shape, generator=generator),
        passes=torch.multinomial(torch.tensor(shares), batch, replacement=True, generator=generator),
        earlier=earlier,
        earlier_noise=torch.randn((2, *x0.shape), generator=generator),
    )


def shown(
    net: TemporalUnet,
    schedule: Schedule,
    batch: NoisyBatch,
    x_t: Tensor,
    features: Features,
    context: Context | None = None,
) -> Tensor:
    """Return the condition [b, K, channels] that sampling would show the network at level t.

    For a first pass the estimate is the straight line. Otherwise it is the network's own at a noisier x, which is
    drawn from x_t by the forward chain: then, as in sampling, it tells nothing of x0 that x_t and the scene do not.
    """
    estimate = straight_between_ends(x_t)
    line = features(estimate, batch.scene_of)

    def predict(x: Tensor, level: Tensor, estimate: Tensor, said: Tensor, rows: Tensor) -> Tensor:
        seen = condition(estimate, said, line[rows])
        return net(x, level, seen, context.rows(rows) if context else None)

    def look(estimate: Tensor, rows: Tensor) -> Tensor:
        return features(estimate, batch.scene_of[rows])

    estimate, said = looked_again(schedule, batch, x_t, estimate, line, predict, look)
    return condition(estimate, said, line) * (batch.passes > 0)[:, None, None]


def looked_again(
    schedule: Schedule,
    batch: NoisyBatch,
    x_t: Tensor,
    estimate: Tensor,
    said: Tensor,
    predict: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor],
    look: Callable[[Tensor, Tensor], Tensor],
) -> tuple[Tensor, Tensor]:
    """Return the estimates [b, K, dof] after `passes` - 1 earlier passes, and what the scene says about them.

    `predict(x, level, estimate, said, rows)` answers with the network's estimate of some rows of the batch,
    `look(estimate, rows)` with what the scene says about it; `estimate` and `said` are those of the straight line.
    """
    levels = [batch.earlier[:, 0], batch.earlier[:, 1]]
    x_1 = schedule.noisier(x_t, batch.t, levels[1], batch.earlier_noise[1])
    x_2 = schedule.noisier(x_1, levels[1], levels[0], batch.earlier_noise[0])
    # third passes go through both levels, second passes through the one next to t only
    for x, level, taken in ((x_2, levels[0], batch.passes >= 3), (x_1, levels[1], batch.passes >= 2)):
        rows = taken.nonzero()[:, 0]
        if len(rows) == 0:
            continue
        with torch.no_grad():
            better = predict(x[rows], level[rows], estimate[rows], said[rows], rows)
        better[:, [0, -1]] = x_t[rows][:, [0, -1]]
        estimate = estimate.index_copy(0, rows, better)
        said = said.index_copy(0, rows, look(better, rows))
    return estimate, said


def weighted_error(schedule: Schedule, batch: NoisyBatch, answer: Tensor) -> Tensor:
    """Return the loss [b] of answers [b, K, dof] (see `denoising_loss`)."""
    error = (answer - batch.x0)[:, 1:-1].square().mean((1, 2))
    return schedule.loss_weight[batch.t].to(error) * error / schedule.data_std**2


def denoising_loss(
    net: TemporalUnet,
    schedule: Schedule,
    batch: NoisyBatch,
    features: Features,
    tokens: SceneTokens | None = None,
) -> Tensor:
    """Return the weighted loss [b] of each sample, in units of the data's variance about the straight line.

    L = weight(t) mean |net(x_t, condition, t) - x0|^2 / data_std^2, the pinned ends left out.
    """
    x_t = schedule.noisy(batch.x0, batch.t, batch.noise)
    context = None
    if tokens is not None and net.attend is not None:
        context = net.attend.encode(tokens.of(batch.scene_of)).shown(batch.passes > 0)
    seen = shown(net, schedule, batch, x_t, features, context)
    return weighted_error(schedule, batch, net(x_t, batch.t, seen, context))
