"""`diffplan serve`: a process that keeps everything loaded and runs the commands of `diffplan plan --served`.

Each command runs in a fork of it, by the same function as without a server: with the client's streams, folder, umask
and environment, so that it prints, writes and ends as it would there.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import threading
from contextlib import suppress
from time import monotonic

from diffplan.cli.common import positive_number
from diffplan.cli.results import Results
from diffplan.errors import InputError
from diffplan.system import serving
from diffplan.system.stopping import exit_code, stoppable

EXAMPLES = ("diffplan serve --robot panda --robot ur5", "diffplan plan bookshelf --served", "diffplan serve --stop")
_TICK = 0.5  # [s]
_PATIENCE = 2.0  # [s] for a client's message


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    about = "a robot to have ready (default: panda); repeatable"
    parser.add_argument("--robot", action="append", default=[], metavar="NAME", help=about)
    about = "end when so many minutes have passed without a command (default 60)"
    parser.add_argument("--idle", type=positive_number, default=60.0, metavar="MIN", help=about)
    parser.add_argument("--stop", action="store_true", help="end the server that is running")


def run(args: argparse.Namespace, out: Results) -> int:
    """Serve until Ctrl-C, `--stop` or idleness; 1 where there is nothing to stop."""
    path = serving.socket_path()
    if args.stop:
        stopped = _stop(path)
        out.document({"stopped": stopped})
        return 0 if stopped else 1
    out.document({"socket": path})
    listening = _listening(path)
    try:
        from diffplan.system.progress import working

        with working("compiling and loading"):
            for name in args.robot or ["panda"]:
                _warm(name)
        listening.listen()
        print(
            f"ready: {path}; `diffplan plan ... {serving.ASKED}` asks it, `diffplan serve --stop` ends it",
            file=sys.stderr,
        )
        return _serve(listening, 60 * args.idle)
    finally:
        listening.close()
        if os.getpid() == _owner:
            with suppress(OSError):
                os.unlink(path)


_owner = os.getpid()


def _listening(path: str) -> socket.socket:
    """Return a socket at a path that only this user can reach.

    Raises:
        InputError: if a server listens there already, or others could change the folder.
    """
    global _owner
    _owner = os.getpid()
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    if serving.private(path):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
            try:
                other.connect(path)
            except OSError:
                os.unlink(path)  # of a server that was killed
            else:
                raise InputError("a server is running already", value=path, allowed="`diffplan serve --stop` ends it")
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listening.bind(path)
    except OSError as error:
        raise InputError(f"cannot listen: {error.strerror}", file=path) from error
    finally:
        os.umask(before)
    if not serving.private(path):
        os.unlink(path)
        allowed = "a folder that only you can change (XDG_RUNTIME_DIR)"
        raise InputError("others could reach the server", file=os.path.dirname(path), allowed=allowed)
    return listening


def _stop(path: str) -> bool:
    """Return whether there was a server to stop."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            if not serving.private(path):
                raise FileNotFoundError
            connection.connect(path)
        except OSError:
            print("no server is running", file=sys.stderr)
            return False
        serving.send(connection, {"stop": True})
        serving.receive(connection)
    return True


def _warm(name: str) -> None:
    """Load all that planning for a robot takes, by planning for it."""
    import numpy as np

    import diffplan.formats.plan_file
    import diffplan.formats.scene_file  # noqa: F401
    from diffplan.cli.parser import build_parser
    from diffplan.geometry.pose import Pose
    from diffplan.geometry.shapes import Sphere
    from diffplan.planners import DEFAULT, make_planner
    from diffplan.planners.task import Task
    from diffplan.planning import solve
    from diffplan.problem import Problem
    from diffplan.robot.model import Robot
    from diffplan.scene import Scene

    build_parser()
    robot = Robot.load(name)
    far = Scene(obstacles=(Sphere(name="far", radius=0.1, pose=Pose(xyz=(0.0, 0.0, 5.0))),))
    middle = np.clip(0.5 * (robot.lower + robot.upper), robot.lower, robot.upper)
    problem = Problem(robot=robot, scene=far, start=middle, goals=middle[None] + 0.1)
    solve(problem)
    make_planner(DEFAULT).prepare(Task.of(problem))


def _serve(listening: socket.socket, idle: float) -> int:
    """Take commands until nobody has asked for `idle` s; in a fork that ran one, end with its exit code."""
    code, running, last = serving.code_stamp(), set[int](), monotonic()
    listening.settimeout(_TICK)
    while running or monotonic() - last < idle:
        running -= _ended(running)
        try:
            connection = listening.accept()[0]
        except TimeoutError:
            continue
        with connection:
            connection.settimeout(_PATIENCE)
            request, streams = serving.receive(connection)
            try:
                if request and request.get("stop"):
                    serving.send(connection, {})
                    break
                why = _refusal(request, streams, code)
                if why or request is None:
                    serving.send(connection, {"refused": why})
                    continue
                last = monotonic()
                child = os.fork()
                if child == 0:
                    listening.close()
                    _run(connection, request, streams)
                running.add(child)
            except OSError:  # the client is gone
                continue
            finally:
                for stream in streams:
                    os.close(stream)
    return 0


def _ended(running: set[int]) -> set[int]:
    """Return the forks that have ended."""
    return {child for child in running if os.waitpid(child, os.WNOHANG)[0]}


def _refusal(request: dict[str, object] | None, streams: list[int], code: list[object]) -> str:
    """Return why a request is not taken; empty if it is."""
    if request is None or len(streams) != 3 or not isinstance(request.get("environment"), dict):
        return "the server did not understand the request"
    if request.get("code") != code or serving.code_stamp() != code:
        return "the server runs another version of diffplan or Python, or its files have changed (start it again)"
    theirs, ours = serving.loaded_with(dict(request["environment"])), serving.loaded_with(dict(os.environ))  # pyright: ignore[reportArgumentType, reportCallIssue]
    for key in sorted(theirs.keys() | ours.keys()):
        if theirs.get(key) != ours.get(key):
            told = [f"{key}={values[key]}" if key in values else f"no {key}" for values in (ours, theirs)]
            return f"the server was started with {told[0]}, here it is {told[1]}"
    return ""


def _run(connection: socket.socket, request: dict[str, object], streams: list[int]) -> None:
    """Run a command in this fork as its client would, tell the exit code and end."""
    from diffplan.cli import main

    connection.settimeout(None)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__  # whatever this server's own flags made of them
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    code = 70
    try:
        with stoppable():
            os.environ.clear()
            os.environ.update(request["environment"])  # pyright: ignore[reportArgumentType, reportCallIssue]
            os.umask(int(str(request["mask"])))
            os.chdir(str(request["folder"]))
            threading.Thread(target=_listen, args=(connection,), daemon=True).start()
            code = main([str(word) for word in request["argv"]])  # pyright: ignore[reportGeneralTypeIssues]
    except KeyboardInterrupt as error:  # before `main` could take it
        print("diffplan: stopped", file=sys.stderr)
        code = exit_code(error)
    except SystemExit as end:  # of argparse
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        print(end="", flush=True)
        print(end="", file=sys.stderr, flush=True)
        with suppress(OSError):
            serving.send(connection, {"code": code})
        raise SystemExit(code)


def _listen(connection: socket.socket) -> None:
    """Take up the signals that the client got; SIGTERM where it is gone."""
    with suppress(OSError):
        while number := connection.recv(1):
            os.kill(os.getpid(), number[0])
        os.kill(os.getpid(), signal.SIGTERM)
