"""PyBullet, imported without its banner: the one place from which this package's modules take it."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_NAMES = (("stdout", "__stdoutp"), ("stderr", "__stderrp"))  # of C's streams: the standard's, and macOS's
_DEAF_SIZE = 4096


class _Silence:
    """Points C's `stdout` and `stderr` at memory for a while: PyBullet, in C, chats on both.

    Python writes to file descriptors 1 and 2 without C's streams, and these descriptors stay what they are (closed,
    if they are closed): nothing that another thread prints meanwhile is lost. Where the C library does not let its
    streams be replaced, PyBullet chats.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._kept: list[int | None] = []
        self._streams: list[ctypes.c_void_p] = []
        self._deaf: int | None = None
        if os.name != "posix":
            return
        library = ctypes.CDLL(None)
        try:
            library.fmemopen.restype = ctypes.c_void_p
            # A buffer without a descriptor: there is nothing in it that a program can close or a child inherit.
            self._deaf = library.fmemopen(None, ctypes.c_size_t(_DEAF_SIZE), b"w")
        except AttributeError:
            return
        for names in _NAMES:
            for name in names:
                try:
                    self._streams.append(ctypes.c_void_p.in_dll(library, name))
                    break
                except ValueError:
                    continue

    def begin(self) -> None:
        """Point the streams away, if nobody has yet."""
        with self._lock:
            self._users += 1
            if self._users == 1 and self._deaf is not None:
                self._kept = [stream.value for stream in self._streams]
                for stream in self._streams:
                    stream.value = self._deaf

    def end(self) -> None:
        """Point them back after the last user."""
        with self._lock:
            self._users -= 1
            if self._users == 0:
                self._restore()

    def _restore(self) -> None:
        for stream, kept in zip(self._streams, self._kept, strict=False):
            stream.value = kept
        self._kept = []

    def after_fork_in_child(self) -> None:
        """Forget the users: they were threads of the parent, none of which forks while PyBullet runs."""
        self._lock = threading.Lock()
        self._users = 0
        self._restore()


_silence = _Silence()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_silence.after_fork_in_child)


@contextmanager
def silence() -> Iterator[None]:
    """Drop what C code prints through its standard streams meanwhile; may be nested and used by several threads."""
    _silence.begin()
    try:
        yield
    finally:
        _silence.end()


with silence():
    import pybullet as bullet

__all__ = ["bullet", "connection", "is_inherited", "silence"]


_MOST_CLIENTS = 1024
_inherited: set[int] = set()


def _note_inherited() -> None:
    """Note which clients of a forked process are one end of something (a window, a socket) that its parent holds."""
    for client in range(_MOST_CLIENTS):
        found = bullet.getConnectionInfo(physicsClientId=client)
        if found["isConnected"] and found["connectionMethod"] != bullet.DIRECT:
            _inherited.add(client)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_inherited)


def is_inherited(client: int) -> bool:
    """Whether a client that is no `DIRECT` one was opened before this process was forked: a call to it may hang."""
    return client in _inherited


@contextmanager
def connection() -> Iterator[int]:
    """Give a physics client of our own (in this process, no window) and close it afterwards."""
    client = bullet.connect(bullet.DIRECT)
    try:
        yield client
    finally:
        bullet.disconnect(physicsClientId=client)
