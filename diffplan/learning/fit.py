"""`diffplan train prior`: from a folder of shards to a robot's prior."""

from __future__ import annotations

from pathlib import Path

from diffplan.collision.cpu import CollisionModel, Obstacles
from diffplan.learning.config import TrainConfig
from diffplan.learning.dataset import load_dataset
from diffplan.learning.trainer import train_prior
from diffplan.planners.threads import threads as using
from diffplan.prior.feedback import Feedback, unseen
from diffplan.prior.prior import Prior
from diffplan.prior.tokens import SceneTokens
from diffplan.robot.model import Robot


def fit_prior(
    robot: Robot,
    data: Path,
    config: TrainConfig,
    folder: Path,
    *,
    hours: float | None = None,
    checkpoint_minutes: float = 5.0,
    extend: bool = False,
    start: Path | None = None,
    threads: int = 1,
) -> Prior:
    """Train the prior on the shards in `data`, or go on with the run in `folder` (`extend`: with more steps or shards).

    A new run begins with the weights of the prior `start`, if given.

    One thread by default: PyTorch's threads spin at barriers, so on busy cores two are far slower than one, and the
    result depends on their number.

    Raises:
        InputError: if the data are not this robot's, or the folder holds a run with other settings.
        DiffplanError: if the loss is not finite.
    """
    with using(threads):
        dataset = load_dataset(data, robot, horizon=config.horizon, held_out=config.held_out, shards=config.shards)
        world = Obstacles.pack(dataset.scenes)
        feedback = Feedback(CollisionModel(robot), world)
        return train_prior(
            config,
            dataset,
            feedback if config.feedback else unseen,
            feedback.channels if config.feedback else 0,
            folder,
            tokens=SceneTokens.describe(world) if config.tokens else None,
            hours=hours,
            checkpoint_minutes=checkpoint_minutes,
            extend=extend,
            start=start,
        )
