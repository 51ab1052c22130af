"""`diffplan train`: fit the prior to generated paths, or the value to their measured returns."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from diffplan.cli.common import positive, positive_number

DEFAULT_MINUTES = 15.0

if TYPE_CHECKING:
    from diffplan.cli.results import Results

EXAMPLES = (
    "diffplan train prior --robot ur5 --minutes 15 --background",
    "diffplan train prior --data data --out run --hours 2",
    "diffplan train value --data returns --out run",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    actions = parser.add_subparsers(dest="action", metavar="WHAT", required=True)
    about = (
        "fit the diffusion prior; a stopped run goes on with the same command. With --robot and no --data: make data "
        "of this arm, go on from the prior that it has (the common one at first), and have plans use the result at once"
    )
    prior = actions.add_parser("prior", help="fit the diffusion prior", description=about, allow_abbrev=False)
    prior.add_argument(
        "--robot", metavar="NAME", help="robot (with --data: default panda; --common: those of the data)"
    )
    about = "how long data and training of --robot take, about (default 15); usable at any time"
    prior.add_argument("--minutes", type=positive_number, metavar="M", help=about)
    prior.add_argument("--background", action="store_true", help="train --robot in a process of its own, and return")
    prior.add_argument("--workers", type=positive, metavar="N", help="processes that make data (default: one a CPU)")
    about = "folder that `data generate` filled; with --common one for each arm"
    prior.add_argument("--data", type=Path, nargs="+", metavar="DIR", help=about)
    prior.add_argument("--common", action="store_true", help="one prior for all arms, on data of many")
    prior.add_argument("--out", type=Path, metavar="DIR", help="folder of the run on --data: weights, log, curve")
    prior.add_argument("--config", type=Path, metavar="FILE", help="settings (YAML or JSON; see docs/design.md)")
    prior.add_argument("--hours", type=positive_number, metavar="H", help="stop after so long, to go on another time")
    prior.add_argument("--extend", action="store_true", help="go on although the settings ask for more steps or shards")
    prior.add_argument("--start", type=Path, metavar="FILE", help="a trained prior whose weights a new run begins with")
    about = "a trained prior of one arm to distil on --data: its guidance into the weights, its steps into fewer"
    prior.add_argument("--distil", type=Path, metavar="FILE", help=about)
    prior.add_argument("--threads", type=positive, default=1, metavar="N", help="PyTorch's threads (default 1)")
    about = "fit the learned value; a stopped run goes on with the same command"
    value = actions.add_parser("value", help=about, description=about, allow_abbrev=False)
    value.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder that `data returns` filled")
    value.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the run: weights, log, curve")
    value.add_argument("--robot", default="panda", metavar="NAME", help="robot (default panda)")
    value.add_argument("--seed", type=int, default=0, metavar="N", help="random seed (default 0)")
    value.add_argument("--steps", type=positive, metavar="N", help="length of the run (default: the settings' own)")
    value.add_argument("--threads", type=positive, default=1, metavar="N", help="PyTorch's threads (default 1)")


def run(args: argparse.Namespace, out: Results) -> int:
    """Train, and print where the weights are."""
    if args.action == "prior":
        _check(args)
        if args.data is None:
            return _own(args, out)
        _prior(args)
    else:
        _value(args)
    out.value("weights", str(args.out / f"{args.action}.safetensors"))
    print(f"curve and model card are in {args.out}", file=sys.stderr)
    return 0


def _check(args: argparse.Namespace) -> None:
    """Refuse words of the one way to train a prior in the other.

    Raises:
        InputError: naming the first.
    """
    from diffplan.errors import InputError

    on_data = ("out", "config", "hours", "extend", "start", "common", "distil")
    own = ("minutes", "background", "workers")
    if args.data is None and args.robot is None:
        allowed = "--robot NAME (data and training of one arm), or --data DIR ... --out DIR"
        raise InputError("not told what to train on", key="train prior", allowed=allowed)
    if args.data is not None and args.out is None:
        raise InputError("missing", key="--out", allowed="a folder for the run on --data")
    words, there = (on_data, "with --data") if args.data is None else (own, "without --data")
    for word in words:
        if getattr(args, word):
            raise InputError(f"only {there}", key=f"--{word}", value=getattr(args, word))
    for word in ("common", "extend", "start", "robot"):
        if args.distil is not None and getattr(args, word):
            allowed = "the prior that --distil names, its robot, and the settings that the run began with"
            raise InputError("not with --distil", key=f"--{word}", value=getattr(args, word), allowed=allowed)


def _own(args: argparse.Namespace, out: Results) -> int:
    """Train for one arm, here or in a process of its own."""
    from diffplan.learning.own_prior import OwnTraining

    training = OwnTraining.of(args.robot)
    minutes = args.minutes or DEFAULT_MINUTES
    with training.alone():
        if not args.background:
            training.run(minutes / 60, workers=args.workers, threads=args.threads)
    if args.background:
        words = ["--robot", training.word, "--minutes", str(minutes), "--threads", str(args.threads)]
        words += ["--workers", str(args.workers)] if args.workers else []
        log = training.folder / "log.txt"
        number = _in_background([sys.executable, "-m", "diffplan", "train", "prior", *words], log).pid
        print(f"training for about {minutes:g} minutes as process {number} (kill {number} stops it,", file=sys.stderr)
        print(f"the same command goes on); progress: {log}", file=sys.stderr)
    out.value("weights", str(training.target))
    return 0


def _in_background(words: list[str], log: Path) -> subprocess.Popen[bytes]:
    """Start a command that outlives this one, its output in a file."""
    with open(log, "ab") as file:
        return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True)


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
    if args.distil is not None:
        _distil(args)
        return
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


def _distil(args: argparse.Namespace) -> None:
    from diffplan.learning.distil import DistilConfig, distil_prior

    config = DistilConfig.load(args.config) if args.config else DistilConfig()
    distil_prior(args.distil, args.data[0], config, args.out, hours=args.hours, threads=args.threads)


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
