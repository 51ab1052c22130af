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
    about = "folder that `data generate` filled; with --common one for each arm"
    prior.add_argument("--data", type=Path, nargs="+", required=True, metavar="DIR", help=about)
    prior.add_argument("--common", action="store_true", help="one prior for all arms, on data of many")
    prior.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the run: weights, log, curve")
    prior.add_argument("--config", type=Path, metavar="FILE", help="settings (YAML or JSON; see docs/design.md)")
    prior.add_argument("--robot", metavar="NAME", help="robot (default panda; --common: those of the data)")
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
    from diffplan.errors import InputError
    from diffplan.learning.config import TrainConfig
    from diffplan.learning.fit import fit_prior
    from diffplan.robot.model import Robot

    if args.common:
        _common(args)
        return
    if len(args.data) > 1:
        allowed = "one folder, or --common for one prior of many arms"
        raise InputError("several folders", key="--data", value=[str(folder) for folder in args.data], allowed=allowed)
    config = TrainConfig.load(args.config) if args.config else TrainConfig()
    fit_prior(
        Robot.load(args.robot or "panda"),
        args.data[0],
        config,
        args.out,
        hours=args.hours,
        extend=args.extend,
        start=args.start,
        threads=args.threads,
    )


def _common(args: argparse.Namespace) -> None:
    from diffplan.errors import InputError
    from diffplan.learning.common_trainer import fit_common_prior
    from diffplan.learning.config import CommonConfig

    if args.robot is not None:
        raise InputError("not with --common", key="--robot", value=args.robot, allowed="the robots of the data")
    config = CommonConfig.load(args.config) if args.config else CommonConfig()
    fit_common_prior(
        args.data,
        config,
        args.out,
        hours=args.hours,
        extend=args.extend,
        start=args.start,
        threads=args.threads,
    )
