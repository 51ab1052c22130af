"""`diffplan train prior`: fit the prior to generated paths."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TextIO

from diffplan.commands.common import positive, positive_number


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
    prior.add_argument("--extend", action="store_true", help="go on although the settings ask for more steps or shards")
    prior.add_argument("--threads", type=positive, default=1, metavar="N", help="PyTorch's threads (default 1)")


def run(args: argparse.Namespace, out: TextIO) -> int:
    """Train, and print where the weights are."""
    from diffplan.robot import Robot
    from diffplan.training.config import TrainConfig
    from diffplan.training.fit import fit_prior

    config = TrainConfig.load(args.config) if args.config else TrainConfig()
    fit_prior(
        Robot.load(args.robot),
        args.data,
        config,
        args.out,
        hours=args.hours,
        extend=args.extend,
        threads=args.threads,
    )
    print(args.out / "prior.safetensors", file=out)
    print(f"curve and model card are in {args.out}", file=sys.stderr)
    return 0
