"""How many threads the compiled kernel uses, and the threads: Python's own, which the kernel lets run side by side.

OpenMP's do not survive a fork, and Numba's other pool ends the process when two threads use it at once. These are made
when they are first wanted, and again in a forked process.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from itertools import pairwise

import numba

_WORTHWHILE = 512
"""Fewer configurations than this for each thread are done sooner by one."""

_LIMIT: int = numba.config.NUMBA_NUM_THREADS  # pyright: ignore[reportPrivateImportUsage, reportAttributeAccessIssue]
_number: ContextVar[int] = ContextVar("kernel_threads", default=_LIMIT)
_crew: dict[int, ThreadPoolExecutor] = {}

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_crew.clear)


def get_kernel_threads() -> int:
    """Return how many threads the kernel may use when it is called from here."""
    return _number.get()


def set_kernel_threads(number: int) -> None:
    """Set it, at most the number of cores or `NUMBA_NUM_THREADS`."""
    _number.set(max(1, min(number, _LIMIT)))


def share_out(work: Callable[[int, int], None], rows: int, points: int) -> None:
    """Call `work(first, end)` for parts of the rows (of so many configurations each), side by side if that pays."""
    parts = min(get_kernel_threads(), rows, rows * points // _WORTHWHILE)
    if parts < 2:
        work(0, rows)
        return
    bounds = [rows * part // parts for part in range(parts + 1)]
    if not _crew:
        _crew[0] = ThreadPoolExecutor(_LIMIT - 1, thread_name_prefix="diffplan-kernel")
    others = [_crew[0].submit(work, *pair) for pair in pairwise(bounds[1:])]
    work(bounds[0], bounds[1])
    for other in others:
        other.result()
