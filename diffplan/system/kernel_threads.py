"""How many threads the compiled kernels use, and the threads: Python's own, which the kernels let run side by side.

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


class KernelThreads:
    """A pool of threads for the kernels; how many of them a call uses is a setting of its context."""

    def __init__(self, most: int) -> None:
        """Have up to `most` threads, the caller's own among them."""
        self.most = most
        self._number = ContextVar("kernel_threads", default=most)
        self._pool: ThreadPoolExecutor | None = None
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        self._pool = None

    def get(self) -> int:
        """Return how many threads the kernels may use when they are called from here."""
        return self._number.get()

    def set(self, number: int) -> None:
        """Set it, within 1 and `most`."""
        self._number.set(max(1, min(number, self.most)))

    def run(self, work: Callable[[int, int], None], rows: int, points: int) -> None:
        """Call `work(first, end)` for parts of the rows (of so many configurations each), in parallel if that pays."""
        parts = min(self.get(), rows, rows * points // _WORTHWHILE)
        if parts < 2:
            work(0, rows)
            return
        bounds = [rows * part // parts for part in range(parts + 1)]
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.most - 1, thread_name_prefix="diffplan-kernel")
        others = [self._pool.submit(work, *pair) for pair in pairwise(bounds[1:])]
        work(bounds[0], bounds[1])
        for other in others:
            other.result()


_threads = KernelThreads(numba.config.NUMBA_NUM_THREADS)  # pyright: ignore[reportPrivateImportUsage, reportAttributeAccessIssue]
get_kernel_threads, set_kernel_threads, run_parallel = _threads.get, _threads.set, _threads.run
