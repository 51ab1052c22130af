"""How `diffplan plan --served` asks the process that `diffplan serve` keeps warm. It imports next to nothing.

One connection is one command. The client sends a message (its length, then JSON) with its own stdin, stdout and stderr;
the server answers with a line why it does not take it, or forks, and the fork runs the command with these three, in the
client's folder and environment, and answers with the exit code. While it runs, each byte that the client sends is the
number of a signal that it got; where the client is gone, the command ends too.
"""

from __future__ import annotations

import array
import json
import os
import signal
import socket
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

ASKED, WISH = "--served", "DIFFPLAN_SERVE"
"""The flag and the environment variable (1) that ask for the server."""
LOADED_WITH = ("OMP_", "MKL_", "KMP_", "OPENBLAS_", "NUMBA_", "TORCH_", "CUDA_", "PYTHON", "LD_", "MALLOC_")
"""How environment variables begin that count when libraries are loaded, and not later."""
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
_HEAD = 8
_LARGEST = 1 << 24
_DIED = 70


def socket_path() -> str:
    """Return where the server of this user listens: in $XDG_RUNTIME_DIR, or a folder of the user's own."""
    given = os.environ.get("XDG_RUNTIME_DIR")
    folder = given or os.path.join(tempfile.gettempdir(), f"diffplan-{os.getuid()}")
    return os.path.join(folder, "diffplan-serve.sock")


def private(path: str) -> bool:
    """Whether a file and its folder are this user's, and nobody else may use the file or change the folder."""
    try:
        folder, file = os.lstat(os.path.dirname(path)), os.lstat(path)
    except OSError:
        return False
    own = folder.st_uid == file.st_uid == os.getuid()
    return own and not folder.st_mode & 0o022 and not file.st_mode & 0o077 and stat.S_ISSOCK(file.st_mode)


def code_stamp() -> list[object]:
    """Return what tells one installed diffplan from another: where it lies, and the dates and sizes of its modules."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    newest = count = size = 0
    folders = [package]
    for folder in folders:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif entry.name.endswith(".py"):
                    state = entry.stat()
                    newest, count, size = max(newest, state.st_mtime_ns), count + 1, size + state.st_size
    return [package, sys.executable, list(sys.version_info), newest, count, size]


def loaded_with(environment: dict[str, str]) -> dict[str, str]:
    """Return those variables of an environment that count when libraries are loaded."""
    return {key: value for key, value in environment.items() if key.startswith(LOADED_WITH)}


def asks(argv: Sequence[str]) -> bool:
    """Whether a command line asks for the server: a `plan` with the flag, or with the variable set."""
    return argv[:1] == ["plan"] and (ASKED in argv or os.environ.get(WISH) == "1")


def asked(argv: Sequence[str]) -> int | None:
    """Have the server run a command line; return its exit code, None where it does not (stderr says why)."""
    path = socket_path()
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if not private(path):
            return _without("no server is running (`diffplan serve` starts one)")
        connection.connect(path)
    except OSError as error:
        return _without(f"no server answers ({error.strerror}; `diffplan serve` starts one)")
    with connection:
        streams = [stream.fileno() for stream in (sys.stdin, sys.stdout, sys.stderr) if stream is not None]
        if len(streams) < 3:
            return _without("it takes stdin, stdout and stderr to be open")
        mask = os.umask(0o077)
        os.umask(mask)
        request = {
            "argv": [word for word in argv if word != ASKED],
            "folder": os.getcwd(),
            "environment": {key: value for key, value in os.environ.items() if key != WISH},
            "mask": mask,
            "code": code_stamp(),
        }
        with _passed_on(connection):
            send(connection, request, streams)
            answer = receive(connection)[0]
    if answer is None:
        print("diffplan: the server's process died", file=sys.stderr)
        return _DIED
    if "refused" in answer:
        return _without(str(answer["refused"]))
    return int(str(answer["code"]))


def _without(why: str) -> None:
    print(f"{ASKED}: {why}; planning without it", file=sys.stderr)


@contextmanager
def _passed_on(connection: socket.socket) -> Iterator[None]:
    """Send the server the numbers of signals that ask this process to end, in place of ending."""

    def pass_on(number: int, _: object) -> None:
        with suppress(OSError):
            connection.send(bytes([number]))

    numbers = [getattr(signal, name) for name in _SIGNALS]
    before = {
        number: signal.signal(number, pass_on) for number in numbers if signal.getsignal(number) != signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def send(connection: socket.socket, message: dict[str, object], streams: Sequence[int] = ()) -> None:
    """Send a message, with open files if there are any."""
    data = json.dumps(message).encode()
    head = len(data).to_bytes(_HEAD, "little")
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", streams))] if streams else []
    connection.sendmsg([head], ancillary)
    connection.sendall(data)


def receive(connection: socket.socket) -> tuple[dict[str, object] | None, list[int]]:
    """Return a message and the files that came with it; None where the other side is gone or sends none."""
    streams = array.array("i")
    try:
        head, ancillary, _, _ = connection.recvmsg(_HEAD, socket.CMSG_SPACE(3 * streams.itemsize))
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                streams.frombytes(data[: len(data) - len(data) % streams.itemsize])
        length, data = int.from_bytes(head, "little"), b""
        if len(head) == _HEAD and length <= _LARGEST:
            while len(data) < length and (more := connection.recv(length - len(data))):
                data += more
        message = json.loads(data) if data and len(data) == length else None
    except (OSError, ValueError):
        message = None
    return (message if isinstance(message, dict) else None), list(streams)
