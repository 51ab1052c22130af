"""The parser of the command line: what every command shares, its help, and the completion of shells."""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from diffplan import __version__

if TYPE_CHECKING:
    from argparse import _SubParsersAction

# Each is a module in diffplan/cli with `EXAMPLES`, `add_arguments(parser)` and `run(args, out) -> exit code`.
COMMANDS = {
    "plan": "plan a motion in a scene and certify it",
    "task": "plan a sequence (pick, place, moves, lines) together, certify and film it",
    "check": "check a scene or a problem suite strictly, or certify a plan file again",
    "view": "draw a scene, problems of a suite, or a plan",
    "studio": "open a scene in a browser: drag goal and obstacles, see certified motions appear",
    "bench": "run planners over problems and compare them",
    "suites": "list the problem suites, fetch published ones, or import other projects'",
    "data": "generate training data, or describe it",
    "train": "fit the prior",
    "planners": "list the planners",
    "serve": "keep everything loaded in a process that `plan --served` asks",
    "warmup": "compile and load everything that planning needs, once after installing",
    "robots": "list the robots, describe one, or fit its collision spheres",
}
_SHELLS = ("bash", "zsh", "tcsh")
_FIRST_EXAMPLES = (
    "diffplan warmup",
    "diffplan plan bookshelf --out plan.json --render plan.png",
    "diffplan plan --help",
    'eval "$(diffplan --print-completion bash)"',
)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="diffplan",
        description="Certified robot-arm motion planning with a guided diffusion prior.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"diffplan {__version__}")
    about = "print what completes words of diffplan in this shell: bash, zsh or tcsh"
    parser.add_argument("--print-completion", action=_Completion, choices=_SHELLS, metavar="SHELL", help=about)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    examples: list[str] = []
    for name, purpose in COMMANDS.items():
        about = f"{purpose[0].upper()}{purpose[1:]}."
        command = commands.add_parser(name, help=purpose, allow_abbrev=False, description=about)
        module = import_module(f"diffplan.cli.{name}")
        module.add_arguments(command)
        examples += module.EXAMPLES
    for each in parsers(parser):
        of_each = (example for example in examples if example.split()[: len(each.prog.split())] == each.prog.split())
        _add_shared(each, _FIRST_EXAMPLES if each is parser else list(of_each))
    return parser


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yield a parser, those of its commands, and those of their actions."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            subparsers: _SubParsersAction[argparse.ArgumentParser] = action
            for each in subparsers.choices.values():
                yield from parsers(each)


def _add_shared(parser: argparse.ArgumentParser, examples: Sequence[str]) -> None:
    """Declare what every command has: `--json`, `--quiet`, `--verbose`, and examples below its help."""
    shared = parser.add_argument_group("output")
    _add_flag(shared, "--json", "print the results as one JSON document on stdout")
    _add_flag(shared, "--quiet", "say nothing on stderr but errors")
    _add_flag(shared, "--verbose", "say each step and when it began on stderr")
    parts = [parser.epilog or "", "\n  ".join(["examples:", *examples]) if examples else ""]
    parser.epilog = "\n\n".join(part for part in parts if part) or None
    parser.formatter_class = _Help


def _add_flag(group: argparse._ArgumentGroup, name: str, about: str) -> None:
    group.add_argument(name, action="store_true", default=argparse.SUPPRESS, help=about)


class _Help(argparse.HelpFormatter):
    """Keeps the lines of a text, and wraps those that are too long."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        lines = []
        for line in text.splitlines():
            margin = indent + re.match(" *", line).group()  # pyright: ignore[reportOptionalMemberAccess]
            lines.append(textwrap.fill(line.strip(), width, initial_indent=margin, subsequent_indent=margin + "  "))
        return "\n".join(lines)


class _Completion(argparse.Action):
    """Print the completion of a shell and end."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: object, values: object, option: object = "") -> None:
        """Print it."""
        import shtab

        for each in parsers(parser):
            for action in each._actions:
                if action.type is Path or action.dest in ("scene", "suite", "task"):
                    action.complete = shtab.FILE  # pyright: ignore[reportAttributeAccessIssue]
        print(shtab.complete(parser, str(values)))
        parser.exit()
