"""How commands and their worker processes end on Ctrl-C (SIGINT), SIGTERM and SIGHUP: soon, in one line, tidily."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.process import BaseProcess
from types import FrameType

_ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
_PATIENCE = 0.5
"""How long worker processes may take to tidy up before they are killed [s]."""
_AGAIN = 0.01
"""After what time a signal is sent again that Python could only ignore [s]."""


class Stopped(KeyboardInterrupt):
    """A signal other than Ctrl-C's asks this process to end; what handles Ctrl-C handles this too."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def _lost_ones_sent_again() -> Iterator[None]:
    before, main = sys.unraisablehook, threading.get_ident()

    def hook(lost: sys.UnraisableHookArgs) -> None:
        error = lost.exc_value
        if isinstance(error, KeyboardInterrupt):
            number = error.number if isinstance(error, Stopped) else signal.SIGINT
            threading.Timer(_AGAIN, signal.pthread_kill, (main, number)).start()  # wakes it where it waits
        else:
            before(lost)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


@contextmanager
def stoppable() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise `Stopped` in the block; what was set to be ignored (nohup) stays ignored.

    Python only reports what a signal raises within a finalizer or the callback of a weak reference, and goes on: such a
    signal, Ctrl-C's too, is sent again until it is heard.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _: FrameType | None) -> None:
        raise Stopped(number)

    before = {number: signal.getsignal(number) for number in _ENDING}
    for number, handler in before.items():
        if handler is signal.SIG_DFL:
            signal.signal(number, stop)
    try:
        with _lost_ones_sent_again():
            yield
    finally:
        for number, handler in before.items():
            if handler is signal.SIG_DFL:
                signal.signal(number, handler)


def exit_code(error: KeyboardInterrupt) -> int:
    """Return a shell's exit code for a process that a signal ended."""
    return 128 + (error.number if isinstance(error, Stopped) else signal.SIGINT)


@contextmanager
def waiting() -> Iterator[None]:
    """Let signals wait for the end of the block."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    numbers = [n for n in (signal.SIGINT, *_ENDING) if callable(signal.getsignal(n))]
    handlers = {n: signal.signal(n, lambda number, _: came.append(number)) for n in numbers}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if came:
        raise KeyboardInterrupt if came[0] == signal.SIGINT else Stopped(came[0])


@contextmanager
def held() -> Iterator[None]:
    """Let signals wait for the end of the block; Ctrl-C never reaches a process started in it (its parent ends it)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    resource_tracker.ensure_running()  # which would lift the mask below when it starts with the first process
    with waiting():
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def end(processes: Sequence[BaseProcess]) -> None:
    """End worker processes: all are asked, and those that do not end soon are killed."""
    for process in processes:
        process.terminate()
    until = time.monotonic() + _PATIENCE
    for process in processes:
        process.join(max(until - time.monotonic(), 0.0))
        if process.is_alive():
            process.kill()
            process.join(10)
