"""PyBullet, imported without its banner: the one place from which this package's modules take it."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def silence() -> Iterator[None]:
    """Send what C code prints (file descriptors 1 and 2) to the null device meanwhile: PyBullet chats on both."""
    _flush()
    kept, null = (os.dup(1), os.dup(2)), os.open(os.devnull, os.O_WRONLY)
    try:
        for stream in (1, 2):
            os.dup2(null, stream)
        yield
    finally:
        _flush()
        for stream, old in zip((1, 2), kept, strict=True):
            os.dup2(old, stream)
        for descriptor in (*kept, null):
            os.close(descriptor)


def _flush() -> None:
    """Write out what Python and C hold back for the standard streams."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    if os.name == "posix":
        ctypes.CDLL(None).fflush(None)


with silence():
    import pybullet as bullet

__all__ = ["bullet", "connection", "silence"]


@contextmanager
def connection() -> Iterator[int]:
    """Give a physics client of our own (in this process, no window) and close it afterwards."""
    client = bullet.connect(bullet.DIRECT)
    try:
        yield client
    finally:
        bullet.disconnect(physicsClientId=client)
