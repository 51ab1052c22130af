"""`diffplan train`: fit the prior to generated paths, or the value to their measured returns."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TextIO

from diffplan.cli.common import positive, positive_number


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
    prior.add_argument("--start", type=Path, metavar="FILE", help="a trained prior whose weights a new run begins with")
    prior.add_argument("--threads", type=positive, default=1, metavar="N", help="PyTorch's threads (default 1)")
    about = "fit the learned value; a stopped run goes on with the same command"
    value = actions.add_parser("value", help=about, description=about, allow_abbrev=False)
    value.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder that `data returns` filled")
    value.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the run: weights, log, curve")
    value.add_argument("--robot", default="panda", metavar="NAME", help="robot (default panda)")
    value.add_argument("--seed", type=int, default=0, metavar="N", help="random seed (default 0)")
    value.add_argument("--steps", type=positive, metavar="N", help="length of the run (default: the settings' own)")
    value.add_argument("--threads", type=positive, default=1, metavar="N", help="PyTorch's threads (default 1)")


def run(args: argparse.Namespace, out: TextIO) -> int:
    """Train, and print where the weights are."""
    if args.action == "prior":
        _prior(args)
    else:
        _value(args)
    print(args.out / f"{args.action}.safetensors", file=out)
    print(f"curve and model card are in {args.out}", file=sys.stderr)
    return 0


def _value(args: argparse.Namespace) -> None:
    from diffplan.learning.value import ValueConfig
    from diffplan.learning.value_fit import fit_value
    from diffplan.robot.model import Robot

    config = ValueConfig(seed=args.seed, **({"steps": args.steps} if args.steps else {}))
    fit_value(Robot.load(args.robot), args.data, config, args.out, threads=args.threads)


def _prior(args: argparse.Namespace) -> None:
    from diffplan.learning.config import TrainConfig
    from diffplan.learning.fit import fit_prior
    from diffplan.robot.model import Robot

    config = TrainConfig.load(args.config) if args.config else TrainConfig()
    fit_prior(
        Robot.load(args.robot),
        args.data,
        config,
        args.out,
        hours=args.hours,
        extend=args.extend,
        start=args.start,
        threads=args.threads,
    )
