"""The command line: `diffplan COMMAND ...`. Parses, calls, prints; no algorithm.

Exit codes: 0 solved or done, 1 not solved, 2 bad input or usage, 130 stopped by Ctrl-C,
143 by SIGTERM, 70 a fault of diffplan's own.
Messages for people go to stderr (`--quiet`: errors only), results to stdout (`--json`: one document) or to the file
named.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, suppress
from importlib import import_module

from diffplan.cli.parser import build_parser
from diffplan.cli.results import Results
from diffplan.errors import DiffplanError, InputError
from diffplan.system.progress import plain_line
from diffplan.system.stopping import exit_code, stoppable

_ERROR, _FAULT = 2, 70
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
# Joint values may begin with a minus, which argparse would take for an option.
_JOINT_OPTIONS = ("--start", "--goal", "--goal-pose", "--tool-offset")


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
    as_json, quiet, verbose = (getattr(args, name, False) for name in ("json", "quiet", "verbose"))
    try:
        with _messages(quiet), _results(as_json) as out, plain_line(every=verbose):
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
def _results(as_json: bool) -> Iterator[Results]:
    """Give the true stdout to results only: libraries (PyBullet, in C) that print there are sent to stderr."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with os.fdopen(os.dup(kept), "w", encoding="utf-8") as stream:
            yield (results := Results(stream, as_json=as_json))
            results.close()
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


@contextmanager
def _messages(quiet: bool) -> Iterator[None]:
    """Let nothing of a block come to stderr if it shall be quiet; errors that leave the block are told outside."""
    if not quiet:
        yield
        return
    with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):
        yield


if __name__ == "__main__":
    sys.exit(main())
