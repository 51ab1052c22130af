"""`diffplan planners`: the names that `--planner` and `--planners` take."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import TextIO

from diffplan.commands.common import print_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments: none."""


def run(args: argparse.Namespace, out: TextIO) -> int:
    """Print the table of planners."""
    from diffplan.planning import PLANNERS

    rows = []
    for name, where in PLANNERS.items():
        module, kind = where.split(":")
        about = getattr(import_module(module), kind).__doc__ or ""
        rows.append([name, about.split("\n")[0]])
    print_table(out, ("planner", "what it does"), rows)
    return 0
