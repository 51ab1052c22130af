"""`diffplan warmup`: compile and load all that planning needs, so that the first plan does not wait for it."""

from __future__ import annotations

import argparse
import sys
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diffplan.cli.results import Results

EXAMPLES = (
    "diffplan warmup",
    "diffplan warmup --robot ur5",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--robot", default="panda", metavar="NAME", help="robot to get ready for (default panda)")


def run(args: argparse.Namespace, out: Results) -> int:
    """Compile and load, and say how long it took."""
    from diffplan.robot.model import Robot
    from diffplan.system.progress import working

    begin = perf_counter()
    with working("compiling and loading") as task:
        from diffplan.cli.warm import steps

        todo = steps(Robot.load(args.robot))
        for number, (text, do) in enumerate(todo):
            task.update(text, number, len(todo))
            do()
    seconds = perf_counter() - begin
    print(f"ready: {len(todo)} steps in {seconds:.1f} s", file=sys.stderr)
    out.document({"robot": args.robot, "steps": len(todo), "seconds": seconds})
    return 0
