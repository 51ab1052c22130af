"""What is going on, for people who wait: after two seconds a line and a bar on a terminal (stderr).

Where stderr is no terminal nothing is said, but for one plain line in a command of the command line; with its
`--verbose` each step is a line, as it begins. Processes that others started (workers) are silent: their parent has a
bar of its own. Work with a bar of another kind says by `announce` that it begins.
"""

from __future__ import annotations

import multiprocessing
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PATIENCE = 2.0
"""How long work may go on in silence [s]."""

_plain = False
_every_since: float | None = None  # when the command began whose every step is told
_running: ProgressTask | None = None


class ProgressTask:
    """Work that may take long: what it is, and how much of it is done (`total` 0: nobody knows)."""

    def __init__(self, text: str, total: int) -> None:
        self.text, self.total, self.done = text, total, 0
        self._lock, self._over = threading.Lock(), False
        self._bar: tuple[Progress, TaskID] | None = None
        self._timer = threading.Timer(PATIENCE, self._show)
        self._timer.daemon = True

    def advance(self, steps: int = 1) -> None:
        """Count steps as done."""
        self.update(self.text, self.done + steps, self.total)

    def update(self, text: str, done: int, total: int) -> None:
        """Say what is going on now, and how much of it is done."""
        if text != self.text:
            _tell_step(text)
        with self._lock:
            self.text, self.done, self.total = text, done, total
            if self._bar is not None:
                progress, number = self._bar
                progress.update(number, description=text, completed=done, total=total or None)

    def start(self) -> None:
        """Begin to wait for what is worth showing."""
        _tell_step(self.text)
        if _every_since is None:
            self._timer.start()

    def stop(self) -> None:
        """Take the bar away."""
        self._timer.cancel()
        with self._lock:
            self._over = True
            if self._bar is not None:
                self._bar[0].stop()

    def _show(self) -> None:
        """Show the bar, or the plain line."""
        with self._lock:
            if self._over or sys.stderr is None:
                return
            if not sys.stderr.isatty():
                _tell_plainly(self.text)
                return
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
            progress = Progress(*columns, console=Console(stderr=True), transient=True)
            number = progress.add_task(self.text, completed=self.done, total=self.total or None)
            progress.start()
            self._bar = progress, number


@contextmanager
def working(text: str, total: int = 0) -> Iterator[ProgressTask]:
    """Give the work of a block a name that is shown if it takes long; a block within another goes on with its bar.

    Within another, a block without a name keeps the other's.
    """
    global _running
    if threading.current_thread() is not threading.main_thread() or multiprocessing.parent_process() is not None:
        yield ProgressTask(text, total)
        return
    outer = _running
    if outer is not None:
        before = outer.text, outer.done, outer.total
        outer.update(text or outer.text, 0, total)
        try:
            yield outer
        finally:
            outer.update(*before)
        return
    _running = task = ProgressTask(text, total)
    task.start()
    try:
        yield task
    finally:
        _running = None
        task.stop()


@contextmanager
def plain_line(*, every: bool = False) -> Iterator[None]:
    """Let work of this block say one plain line where stderr is no terminal, as a command does; `every`: each step."""
    global _plain, _every_since
    before, _plain, _every_since = (_plain, _every_since), True, perf_counter() if every else None
    try:
        yield
    finally:
        _plain, _every_since = before


def announce(text: str) -> None:
    """Say that work begins whose own bar is seen on a terminal only: the plain line, or the step of `--verbose`."""
    if _every_since is not None:
        _tell_step(text)
    elif sys.stderr is not None and not sys.stderr.isatty():
        _tell_plainly(text)


def _tell_plainly(text: str) -> None:
    if _plain:
        print(f"{text} ...", file=sys.stderr, flush=True)


def _tell_step(text: str) -> None:
    if _every_since is not None and text:
        print(f"{perf_counter() - _every_since:8.2f} s  {text}", file=sys.stderr, flush=True)
