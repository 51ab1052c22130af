"""PyBullet, imported without its banner: the one place from which this package's modules take it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def _stderr_silenced() -> Iterator[None]:
    """Send file descriptor 2 to the null device: PyBullet prints its build time there from C."""
    kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)


with _stderr_silenced():
    import pybullet as bullet

__all__ = ["bullet", "connection"]


@contextmanager
def connection() -> Iterator[int]:
    """Give a physics client of our own (in this process, no window) and close it afterwards."""
    client = bullet.connect(bullet.DIRECT)
    try:
        yield client
    finally:
        bullet.disconnect(physicsClientId=client)
