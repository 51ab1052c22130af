"""`diffplan check`: strict reading of a scene or suite, and where each query starts and ends; no planning."""

from __future__ import annotations

import argparse
import sys
from typing import TextIO

from diffplan.commands.common import print_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("scene", metavar="SCENE|SUITE", help="scene file or name, folder of scenes, or problem suite")
    parser.add_argument("--robot", metavar="NAME", help="robot, if the file names none or another is meant")


def run(args: argparse.Namespace, out: TextIO) -> int:
    """Print a table of all queries; 0 if each can start and end where it says, 1 if one cannot."""
    from diffplan.benchmark.preflight import preflight
    from diffplan.benchmark.suites import load_cases

    rows, bad = [], 0
    for case in load_cases(args.scene, args.robot):
        start, goal = preflight(case)
        bad += not (start.free and goal.free)
        rows.append([case.id, case.robot.name, str(len(case.scene.obstacles)), start.text, goal.text])
    print_table(out, ("problem", "robot", "obstacles", "start", "goal"), rows)
    print(f"{len(rows) - bad} of {len(rows)} problems can start and end where they say", file=sys.stderr)
    return 1 if bad else 0
