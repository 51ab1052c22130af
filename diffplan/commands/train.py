"""`diffplan train`: fit the prior."""

from __future__ import annotations

import argparse
from typing import TextIO


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""


def run(args: argparse.Namespace, out: TextIO) -> int:
    """Not there yet."""
    raise NotImplementedError
