"""Numbered pieces of work shared out to processes, with a progress bar; a run that was stopped goes on."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

from diffplan.errors import DiffplanError
from diffplan.stopping import end, held, leave_on_terminate

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess
    from multiprocessing.queues import SimpleQueue
    from multiprocessing.sharedctypes import Synchronized

Make: TypeAlias = Callable[[int], Iterator[int]]
"""Makes piece number i; yields how much it has made since it last yielded."""

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def make_all(
    maker: Callable[[], Make],
    missing: Sequence[int],
    *,
    pieces: int,
    workers: int,
    unit: str,
    show: bool,
    name: str = "shards",
) -> int:
    """Make the pieces `missing` of `pieces`, in `workers` processes of one thread each; returns how much was made.

    `maker` is called once in every process (it must be picklable) and returns what makes one piece. A worker whose
    parent is gone ends by itself. The progress bar counts pieces by `name` and what they hold by `unit`.

    Raises:
        DiffplanError: if a worker ends badly; the first one's own error, if it had one.
    """
    context = multiprocessing.get_context("spawn")
    position, pieces_made, done = context.Value("l", 0), context.Value("l", 0), context.Value("l", 0)
    counters, failures = (position, pieces_made, done), context.SimpleQueue()
    processes = [
        context.Process(target=_work, args=(maker, list(missing), counters, failures, os.getpid()), daemon=True)
        for _ in range(min(workers, len(missing)))
    ]
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn(name), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"))
    began = time.perf_counter()
    started: list[BaseProcess] = []
    try:
        with _single_threaded():
            for process in processes:
                with held():
                    process.start()
                    started.append(process)
        with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), disable=not show) as progress:
            task = progress.add_task("", total=pieces, rate="")
            alive = True
            while alive:
                alive = any(process.is_alive() for process in processes)
                rate = f"{done.value} {unit}, {done.value / (time.perf_counter() - began):.1f}/s"
                progress.update(task, completed=pieces - len(missing) + pieces_made.value, rate=rate)
                bad = [process.exitcode for process in processes if process.exitcode not in (None, 0)]
                if bad and not failures.empty():
                    raise DiffplanError(failures.get())
                if bad:
                    raise DiffplanError(f"a worker ended with exit code {bad[0]}; run the same command again to go on")
                if alive:
                    time.sleep(0.1)
    finally:
        end(started)
    return done.value


@contextmanager
def _single_threaded() -> Iterator[None]:
    """Give the processes started meanwhile one thread each: they are as many as cores already."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _work(
    maker: Callable[[], Make],
    missing: list[int],
    counters: Sequence[Synchronized[int]],
    failures: SimpleQueue[str],
    parent: int,
) -> None:
    """Make pieces until none is left or the parent is gone (killed); the parent says what is wrong."""
    leave_on_terminate()
    try:
        _make(maker(), missing, counters, parent)
    except DiffplanError as error:
        failures.put(str(error))
        sys.exit(1)


def _make(make: Make, missing: list[int], counters: Sequence[Synchronized[int]], parent: int) -> None:
    position, pieces_made, done = counters
    while True:
        with position.get_lock():
            turn = position.value
            position.value += 1
        if turn >= len(missing):
            return
        for made in make(missing[turn]):
            with done.get_lock():
                done.value += made
            if os.getppid() != parent:
                return
        with pieces_made.get_lock():
            pieces_made.value += 1
