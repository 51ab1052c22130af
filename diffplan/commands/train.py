"""`diffplan train prior`: fit the prior to generated paths."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TextIO

from diffplan.commands.common import positive_number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    actions = parser.add_subparsers(dest="action", metavar="WHAT", required=True)
    about = "fit the diffusion prior; a stopped run goes on with the same command"
    prior = actions.add_parser("prior", help=about, description=about, allow_abbrev=False)
    prior.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder that `data generate` filled")
    prior.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the run: weights, log, curve")
    prior.add_argument("--config", type=Path, metavar="FILE", help="settings (YAML or JSON; see docs/design.md)")
    prior.add_argument("--robot", default="panda", metavar="NAME", help="robot (default panda)")
    prior.add_argument("--hours", type=positive_number, metavar="H", help="stop after so long, to go on another time")
    prior.add_argument("--threads", type=int, default=1, metavar="N", help="PyTorch's threads (default 1)")


def run(args: argparse.Namespace, out: TextIO) -> int:
    """Train, and print where the weights are."""
    import torch

    from diffplan.data.dataset import load_dataset
    from diffplan.diffusion.feedback import Feedback
    from diffplan.kernels.collision import CollisionModel, Obstacles
    from diffplan.robot import Robot
    from diffplan.training.config import TrainConfig
    from diffplan.training.trainer import train_prior

    torch.set_num_threads(args.threads)
    config = TrainConfig.load(args.config) if args.config else TrainConfig()
    robot = Robot.load(args.robot)
    dataset = load_dataset(args.data, robot, horizon=config.horizon, held_out=config.held_out)
    features = Feedback(CollisionModel(robot), Obstacles.pack(dataset.scenes))
    train_prior(config, dataset, features, features.channels, args.out, hours=args.hours)
    print(args.out / "prior.safetensors", file=out)
    print(f"curve and model card are in {args.out}", file=sys.stderr)
    return 0
