"""`diffplan planners`: the names that `--planner` and `--planners` take."""

from __future__ import annotations

import argparse
from typing import TextIO

from diffplan.cli.common import print_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments: none."""


def run(args: argparse.Namespace, out: TextIO) -> int:
    """Print the table of planners."""
    from diffplan.planners import PLANNERS

    print_table(out, ("planner", "what it does"), [[name, about] for name, about in PLANNERS.items()])
    return 0
