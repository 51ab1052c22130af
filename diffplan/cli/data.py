"""`diffplan data`: training data, returns of its paths, problem suites, varied arms, or a description of data."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from diffplan.cli.common import add_executor_argument, positive, resources_of

if TYPE_CHECKING:
    from diffplan.cli.results import Results
    from diffplan.strict.entry import Json

EXAMPLES = (
    "diffplan data generate --out data --scenes 500",
    "diffplan data returns data --out returns --paths 2000",
    "diffplan data info data --picture data.png",
    "diffplan data problems --kind hard --count 30 --seed 1 --out hard.json.gz",
    "diffplan data arms --out arms --count 20",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    about = "draw scenes and problems and solve them with RRT-Connect; a stopped run goes on with the same command"
    generate = actions.add_parser("generate", help=about, description=about, allow_abbrev=False)
    generate.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the shards")
    generate.add_argument("--robot", default="panda", metavar="NAME", help="robot (default panda)")
    generate.add_argument("--seed", type=int, default=0, metavar="N", help="random seed (default 0)")
    generate.add_argument("--scenes", type=positive, default=10_000, metavar="N", help="scenes in all (default 10000)")
    about = "measure how long the paths of a data set take at best, and variations of them, to train the value on"
    returns = actions.add_parser("returns", help=about, description=about, allow_abbrev=False)
    returns.add_argument("folder", type=Path, metavar="DIR", help="folder of the shards")
    returns.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the returns")
    returns.add_argument("--robot", default="panda", metavar="NAME", help="robot (default panda)")
    returns.add_argument("--seed", type=int, default=0, metavar="N", help="random seed (default 0)")
    returns.add_argument("--paths", type=positive, default=12_000, metavar="N", help="paths to vary (default 12000)")
    about = "draw a suite of problems that the training data do not hold; a stopped run goes on with the same command"
    problems = actions.add_parser("problems", help=about, description=about, allow_abbrev=False)
    problems.add_argument("--kind", required=True, metavar="KIND", help="hard, seen or unseen (docs/suites.md)")
    problems.add_argument("--count", type=positive, required=True, metavar="N", help="number of problems")
    problems.add_argument("--seed", type=int, required=True, metavar="N", help="random seed, from 1")
    about = "scene families to take turns (default: all of the kind's)"
    problems.add_argument("--families", type=_names, default=(), metavar="A,B,...", help=about)
    problems.add_argument("--out", type=Path, required=True, metavar="FILE.json.gz", help="the suite")
    problems.add_argument("--robot", default="panda", metavar="NAME", help="robot (default panda)")
    for action in (generate, returns, problems):
        action.add_argument("--workers", type=positive, metavar="N", help="processes (default: one for each CPU)")
        add_executor_argument(action)
    about = "draw arms to train a common prior on, as robot folders; a stopped run goes on with the same command"
    arms = actions.add_parser("arms", help=about, description=about, allow_abbrev=False)
    arms.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the robot folders")
    arms.add_argument("--count", type=positive, required=True, metavar="N", help="number of arms")
    arms.add_argument("--seed", type=int, default=0, metavar="N", help="random seed (default 0)")
    arms.add_argument("--layouts", type=_names, default=(), metavar="A,B,...", help="to take turns (default: all)")
    info = actions.add_parser("info", help="counts, quartiles and a picture", allow_abbrev=False)
    info.add_argument("folder", type=Path, metavar="DIR", help="folder of the shards")
    info.add_argument("--picture", type=Path, metavar="FILE.png", help="draw histograms and some scenes")


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def run(args: argparse.Namespace, out: Results) -> int:
    """Generate, measure, draw or describe."""
    if args.action == "info":
        return _info(args, out)
    if args.action == "arms":
        return _arms(args, out)
    with resources_of(args, args.workers):
        made = {"generate": _generate, "returns": _returns, "problems": _problems}[args.action](args)
    out.document(made)
    return 0


def _generate(args: argparse.Namespace) -> dict[str, Json]:
    from diffplan.learning.generate import GenerateConfig, generate

    config = GenerateConfig(
        out=args.out, robot=args.robot, seed=args.seed, scenes=args.scenes, workers=args.workers, executor=args.executor
    )
    done = generate(config)
    print(
        f"{args.out}: {done.shards} shards; {done.trajectories} new trajectories in {done.seconds / 60:.1f} min",
        file=sys.stderr,
    )
    return {"folder": str(args.out), "shards": done.shards, "trajectories": done.trajectories, "seconds": done.seconds}


def _returns(args: argparse.Namespace) -> dict[str, Json]:
    from diffplan.learning.returns import ReturnsConfig, measure_returns

    config = ReturnsConfig(
        data=args.folder,
        out=args.out,
        robot=args.robot,
        seed=args.seed,
        paths=args.paths,
        workers=args.workers,
        executor=args.executor,
    )
    new = measure_returns(config)
    print(f"{args.out}: {new} new returns", file=sys.stderr)
    return {"folder": str(args.out), "returns": new}


def _problems(args: argparse.Namespace) -> dict[str, Json]:
    from diffplan.learning.suite_generation import SuiteConfig, make_suite

    config = SuiteConfig(
        out=args.out,
        kind=args.kind,
        count=args.count,
        seed=args.seed,
        families=args.families,
        robot=args.robot,
        workers=args.workers,
        executor=args.executor,
    )
    make_suite(config)
    print(f"wrote {args.out}", file=sys.stderr)
    return {"files": [str(args.out)]}


def _arms(args: argparse.Namespace, out: Results) -> int:
    from diffplan.learning.varied_arms import ArmsConfig, make_arms

    files: list[Json] = []
    for file in make_arms(ArmsConfig(out=args.out, count=args.count, seed=args.seed, layouts=args.layouts)):
        files.append(str(file))
        out.line(str(file))
    out.document({"robots": files})
    return 0


def _info(args: argparse.Namespace, out: Results) -> int:
    from diffplan.learning.info import data_info, save_picture
    from diffplan.robot.model import Robot
    from diffplan.system.progress import working

    with working("reading the shards"):
        info = data_info(args.folder)
    out.line(info.text())
    out.document(info.document())
    if args.picture:
        save_picture(info, Robot.load(info.robot), args.picture)
        print(f"wrote {args.picture}", file=sys.stderr)
    return 0
