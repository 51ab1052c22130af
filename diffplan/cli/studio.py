"""`diffplan studio`: a browser page in which start, goal and obstacles are dragged and certified motions appear."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diffplan.cli.results import Results

EXAMPLES = (
    "diffplan studio bookshelf",
    "diffplan studio my_scene.yaml --robot ur5 --port 8081",
    "diffplan studio results",
)
_PORT = 8080


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    about = (
        "scene file or name, folder of scenes, problem suite, plan file, task, or a folder that `bench` or `task` "
        "wrote (default: bookshelf)"
    )
    parser.add_argument("scene", metavar="SCENE|SUITE|PLAN|TASK|FOLDER", nargs="?", help=about)
    parser.add_argument("--robot", metavar="NAME", help="robot, if the file names none or another is meant")
    about = f"port of this machine to serve at (default {_PORT}; if it is taken, the next free one)"
    parser.add_argument("--port", type=int, default=_PORT, metavar="P", help=about)
    parser.description = (
        "Open a scene in a browser: drag the goal, the start or an obstacle and see certified motions appear. Only "
        "browsers of this machine can reach it, and it loads nothing from elsewhere. Ctrl-C ends it."
    )


def run(args: argparse.Namespace, out: Results) -> int:
    """Serve until Ctrl-C.

    Returns:
        0: it was closed.
    """
    from diffplan.studio.server import Studio, studio_packages

    studio_packages()
    from diffplan.studio.opening import opened

    with Studio(opened(args.scene, args.robot), port=args.port) as studio:
        print(f"the studio is at {studio.url} (Ctrl-C ends it)", file=sys.stderr, flush=True)
        studio.wait()
    return 0
