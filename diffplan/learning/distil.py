"""Distil a prior: what its guidance does in two passes of the network becomes one, and its steps become fewer.

The student has the teacher's shape and begins with its weights. Three things are asked of it, all of them the teacher's
own answers, so that the data need only give scenes and ends:

- where sampling begins (pure noise, the straight line for the estimate), the path at which the teacher's guided,
  deterministic sampling of `teacher_steps` steps arrives from the same noise: progressive distillation (Salimans and
  Ho, ICLR 2022) in one go;
- later, with the student's own estimates fed back, the teacher's guided estimate from the same place (Meng et al., "On
  Distillation of Guided Diffusion Models", CVPR 2023);
- where the scene is hidden, the teacher's estimate without it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from rich.console import Console
from torch import Tensor

from diffplan.collision.cpu import CollisionModel, Obstacles
from diffplan.errors import InputError
from diffplan.learning.card import model_card, summary
from diffplan.learning.config import TrainConfig
from diffplan.learning.dataset import Dataset, load_dataset
from diffplan.learning.trainer import PriorFit, left_in
from diffplan.planners.threads import threads as using
from diffplan.prior.feedback import Feedback, unseen
from diffplan.prior.loss import NoisyBatch, shown, weighted_error
from diffplan.prior.prior import Prior, load_prior, save_prior
from diffplan.prior.samplers import ddim
from diffplan.prior.tokens import Context, SceneTokens
from diffplan.prior.unet import TemporalUnet
from diffplan.prior.wrappers import Features, FeedbackDenoiser, Inpainted, condition_channels
from diffplan.robot.model import Robot
from diffplan.system.files import write_text


@dataclass(frozen=True, kw_only=True)
class DistilConfig(TrainConfig):
    """Settings of a distillation; shape, horizon and schedule are the teacher's, whatever a file says.

    Attributes (and those of `TrainConfig`):
        teacher_steps: reverse steps of the teacher's sampling.
        weight: its guidance (`FeedbackDenoiser`).
    """

    format = "diffplan/distil@1"
    teacher_steps: int = 3
    weight: float = 2.0
    steps: int = 6000
    batch: int = 64
    rate: float = 3e-4
    warm_up: int = 50
    ema: float = 0.998
    decay_share: float = 0.7
    pass_shares: tuple[float, ...] = (0.05, 0.5, 0.3, 0.15)
    validate_every: int = 500
    validation_paths: int = 256

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.teacher_steps <= self.noise_steps:
            allowed = f"1 to {self.noise_steps} (noise_steps)"
            raise InputError("not a number of steps", key="teacher_steps", value=self.teacher_steps, allowed=allowed)
        if self.weight < 0:
            raise InputError("negative", key="weight", value=self.weight, allowed=">= 0")

    def like(self, teacher: Prior) -> DistilConfig:
        """Return the settings with the teacher's shape, horizon and schedule."""
        shape, schedule = teacher.net.config, teacher.schedule
        fed_back = shape.condition > condition_channels(shape.dof, 0)
        return replace(
            self,
            **{key: getattr(shape, key) for key in ("dim", "mults", "blocks", "tokens")},
            feedback=fed_back,
            horizon=teacher.horizon,
            noise_steps=schedule.steps,
            data_std=schedule.data_std,
        )


class DistilFit(PriorFit):
    """The state of a distillation (see `PriorFit`); losses are distances from the teacher's answers."""

    checkpoint = "diffplan/distil-checkpoint@1"

    def __init__(
        self,
        config: DistilConfig,
        dataset: Dataset,
        features: Features,
        channels: int,
        teacher: Prior,
        tokens: SceneTokens | None = None,
    ) -> None:
        super().__init__(config, dataset, features, channels, tokens)
        self.teacher, self._teacher_steps, self._weight = teacher, config.teacher_steps, config.weight

    def losses(self, net: TemporalUnet, batch: NoisyBatch) -> Tensor:
        """Return how far [b] a network is from what the teacher answers (`weighted_error`); levels `as_sampled`."""
        batch = as_sampled(batch, self.schedule.steps)
        x_t = self.schedule.noisy(batch.x0, batch.t, batch.noise)
        context = taught = None
        if self.tokens is not None and net.attend is not None and self.teacher.net.attend is not None:
            tokens, there = self.tokens.of(batch.scene_of), batch.passes > 0
            context, taught = net.attend.encode(tokens).shown(there), self.teacher.net.attend.encode(tokens)
        seen = shown(net, self.schedule, batch, x_t, self.features, context)
        with torch.no_grad():
            target = self._guided(x_t, batch.t, seen, taught, batch.passes)
            first = (batch.passes == 1).nonzero()[:, 0]
            if len(first):
                target[first] = self._sampled(x_t[first], batch.scene_of[first])
        return weighted_error(self.schedule, replace(batch, x0=target), net(x_t, batch.t, seen, context))

    def _guided(self, x_t: Tensor, t: Tensor, seen: Tensor, context: Context | None, passes: Tensor) -> Tensor:
        """Return the teacher's estimates [b, K, dof], guided where the scene is shown."""
        net = self.teacher.net
        conditioned = net(x_t, t, seen, context)
        free = net(x_t, t, torch.zeros_like(seen))
        weight = torch.where(passes > 0, self._weight, 0.0)[:, None, None]
        return free + weight * (conditioned - free)

    def _sampled(self, noise: Tensor, scene_of: Tensor) -> Tensor:
        """Return the paths [b, K, dof] at which the teacher's guided sampling arrives from noise with pinned ends."""
        denoiser = FeedbackDenoiser(self.teacher.net, self.features, scene_of, weight=self._weight, tokens=self.tokens)
        inpainted = Inpainted(denoiser, noise[:, 0], noise[:, -1])
        return ddim(inpainted, noise, self.schedule, self.schedule.times(self._teacher_steps))


def as_sampled(batch: NoisyBatch, top: int) -> NoisyBatch:
    """Return a batch whose first passes are at level `top`, as are the passes before all others."""
    t = torch.where(batch.passes == 1, top, batch.t)
    earlier = batch.earlier.clone()
    earlier[:, 0] = top
    earlier[batch.passes == 2, 1] = top
    return replace(batch, t=t, earlier=earlier)


def distil_prior(
    teacher: Path,
    data: Path,
    config: DistilConfig,
    folder: Path,
    *,
    hours: float | None = None,
    checkpoint_minutes: float = 2.0,
    threads: int = 1,
    console: Console | None = None,
) -> Prior:
    """Distil the prior in the file `teacher` on the scenes and ends of the shards in `data`, or go on with a run.

    Leaves prior.safetensors, curve.png and PRIOR.md in the folder.

    Raises:
        InputError: if teacher and data are not one robot's, or the folder holds a run with other settings.
        DiffplanError: if the loss is not finite.
    """
    taught = load_prior(teacher, products=torch.bfloat16 if config.products == "bfloat16" else torch.float32)
    config = config.like(taught)
    with using(threads):
        robot = Robot.load(str(taught.training.get("robot", "")))
        taught.check(robot)
        dataset = load_dataset(data, robot, horizon=config.horizon, held_out=config.held_out, shards=config.shards)
        world = Obstacles.pack(dataset.scenes)
        feedback = Feedback(CollisionModel(robot), world)
        features, channels = (feedback, feedback.channels) if config.feedback else (unseen, 0)
        tokens = SceneTokens.describe(world) if config.tokens else None
        fit = DistilFit(config, dataset, features, channels, taught, tokens)
        lines = left_in(
            folder,
            fit,
            hours=hours,
            checkpoint_minutes=checkpoint_minutes,
            extend=False,
            start=lambda: fit.start_from(teacher),
            console=console,
        )
    prior = fit.prior(summary(config, dataset, lines, fit.history))
    save_prior(prior, folder / "prior.safetensors")
    write_text(folder / "PRIOR.md", model_card(prior, config, lines) + _distilled(config, taught))
    return prior


def _distilled(config: DistilConfig, teacher: Prior) -> str:
    """Return the paragraph of the model card that says what was distilled."""
    made = teacher.training
    return (
        f"\n**Distilled.** Weights and targets are those of a trained prior ({made.get('steps', 'unknown')} steps, "
        f"{made.get('training_paths', 'unknown')} paths), sampled in {config.teacher_steps} steps with guidance of "
        f"weight {config.weight:g}. The losses above are distances from its answers. To be sampled with weight 1.\n"
    )
