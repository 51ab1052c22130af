"""The command line: `diffplan COMMAND ...`. Parses, calls, prints; no algorithm.

Exit codes: 0 solved or done, 1 not solved, 2 bad input or usage, 130 stopped by Ctrl-C,
143 by SIGTERM, 70 a fault of diffplan's own.
Messages for people go to stderr, results to stdout or to the file named.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import TextIO

from diffplan import __version__
from diffplan.errors import DiffplanError, InputError
from diffplan.system.progress import plain_line
from diffplan.system.stopping import exit_code, stoppable

# Each is a module in diffplan/commands with `add_arguments(parser)` and `run(args, out) -> exit code`.
_COMMANDS = {
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
    "warmup": "compile and load everything that planning needs, once after installing",
    "robots": "list the robots, describe one, or fit its collision spheres",
}
_ERROR, _FAULT = 2, 70
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
# Joint values may begin with a minus, which argparse would take for an option.
_JOINT_OPTIONS = ("--start", "--goal", "--goal-pose", "--tool-offset")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="diffplan",
        description="Certified robot-arm motion planning with a guided diffusion prior.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"diffplan {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, purpose in _COMMANDS.items():
        command = commands.add_parser(
            name, help=purpose, allow_abbrev=False, description=f"{purpose[0].upper()}{purpose[1:]}."
        )
        import_module(f"diffplan.cli.{name}").add_arguments(command)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    try:
        with stoppable():
            return _run(sys.argv[1:] if argv is None else argv)
    except KeyboardInterrupt as error:
        _say("diffplan: stopped")
        return exit_code(error)


def _run(argv: Sequence[str]) -> int:
    args = build_parser().parse_args(_joined(argv))
    try:
        with _results() as out, plain_line():
            return import_module(f"diffplan.cli.{args.command}").run(args, out)
    except DiffplanError as error:
        several = isinstance(error, InputError) and len(error.errors) > 1
        return _refuse(*(str(error).splitlines() if several else [str(error)]))
    except BrokenPipeError:
        return _refuse("the reader of the output is gone")
    except OSError as error:
        if error.filename is not None:
            return _refuse(f"{error.filename}: {error.strerror}")
        if error.errno in _FULL:
            return _refuse(f"the output cannot be written: {error.strerror}")
        return _fault()
    except Exception:  # Python's own exit code for this would be 1, which means `not solved` here
        return _fault()


def _refuse(*messages: str) -> int:
    for message in messages:
        _say(f"diffplan: {' '.join(message.split())}")
    return _ERROR


def _fault() -> int:
    _say(traceback.format_exc() + "diffplan: this is a fault of diffplan; please report it with the lines above")
    return _FAULT


def _say(text: str) -> None:
    with suppress(OSError):  # stderr may be on a full disk; the exit code still tells
        print(text, file=sys.stderr, flush=True)


def _joined(argv: Sequence[str]) -> list[str]:
    """Write `--start -0.1,0.2` as `--start=-0.1,0.2`."""
    joined: list[str] = []
    for word in argv:
        if joined and joined[-1] in _JOINT_OPTIONS and word[:1] == "-" and word[1:2] in "0123456789.":
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


@contextmanager
def _results() -> Iterator[TextIO]:
    """Give the true stdout to results only: libraries (PyBullet, in C) that print there are sent to stderr."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with os.fdopen(os.dup(kept), "w", encoding="utf-8") as out:
            yield out
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


if __name__ == "__main__":
    sys.exit(main())
