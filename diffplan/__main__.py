"""The command line, as the script `diffplan` and as `python -m diffplan COMMAND ...`.

What a running server is asked to do (`diffplan plan --served`) imports nothing else.
"""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line and return its exit code."""
    argv = sys.argv[1:]
    if argv[:1] == ["plan"]:
        from diffplan.system import serving

        if serving.asks(argv):
            try:
                code = serving.asked(argv)
            except KeyboardInterrupt:  # before there was a command to pass it on to
                print("diffplan: stopped", file=sys.stderr)
                return 130
            if code is not None:
                return code
    from diffplan.cli import main as run

    return run(argv)


if __name__ == "__main__":
    sys.exit(main())
