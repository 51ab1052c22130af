"""`diffplan train prior`: from a folder of shards to a robot's prior."""

from __future__ import annotations

from pathlib import Path

import torch

from diffplan.data.dataset import load_dataset
from diffplan.diffusion.feedback import Feedback
from diffplan.diffusion.prior import Prior
from diffplan.kernels.collision import CollisionModel, Obstacles
from diffplan.robot import Robot
from diffplan.training.config import TrainConfig
from diffplan.training.trainer import train_prior


def fit_prior(
    robot: Robot,
    data: Path,
    config: TrainConfig,
    folder: Path,
    *,
    hours: float | None = None,
    checkpoint_minutes: float = 5.0,
    extend: bool = False,
    threads: int = 1,
) -> Prior:
    """Train the prior on the shards in `data`, or go on with the run in `folder` (`extend`: with more steps or shards).

    One thread by default: PyTorch's threads spin at barriers, so on busy cores two are far slower than one, and the
    result depends on their number.

    Raises:
        InputError: if the data are not this robot's, or the folder holds a run with other settings.
        DiffplanError: if the loss is not finite.
    """
    torch.set_num_threads(threads)
    dataset = load_dataset(data, robot, horizon=config.horizon, held_out=config.held_out, shards=config.shards)
    feedback = Feedback(CollisionModel(robot), Obstacles.pack(dataset.scenes))
    return train_prior(
        config,
        dataset,
        feedback,
        feedback.channels,
        folder,
        hours=hours,
        checkpoint_minutes=checkpoint_minutes,
        extend=extend,
    )
