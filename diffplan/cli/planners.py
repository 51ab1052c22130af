"""`diffplan planners`: the names that `--planner` and `--planners` take."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diffplan.cli.results import Results

EXAMPLES = (
    "diffplan planners",
    "diffplan planners --json",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments: none."""


def run(args: argparse.Namespace, out: Results) -> int:
    """Print the table of planners."""
    from diffplan.planners import PLANNERS

    out.table("planners", ("planner", "what_it_does"), [[name, about] for name, about in PLANNERS.items()])
    return 0
