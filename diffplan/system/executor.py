"""Workers of one kind and what they have in common: how they are given jobs, and what they tell.

A worker runs `begun` once and `perform` for each job; what it tells reaches the calling process as events.
"""

from __future__ import annotations

import os
import pickle
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import Generic, TypeAlias, TypeVar

from diffplan.errors import DiffplanError, InputError

THREAD_VARIABLES = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""What libraries read when they are loaded, to know how many threads they may use."""

_J = TypeVar("_J")
_M = TypeVar("_M")
Work: TypeAlias = Callable[[_J], Iterable[_M]]
"""Does a job; yields messages on the way, the last of which is the result."""

Event: TypeAlias = "tuple[str, object]"
"""What a worker tells: `ready`, `message`, `done`, `error` (an exception), or `died` (how)."""


def usable_cores() -> int:
    """Return the number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(kw_only=True, eq=False)
class Worker:
    """A worker: whether it has begun, the job it is on, and until when it has to tell something [s, monotonic]."""

    ready: bool = False
    job: int | None = None
    deadline: float = inf


_W = TypeVar("_W", bound=Worker)


class Executor(ABC, Generic[_W]):
    """Workers of one kind."""

    def __init__(self) -> None:
        self.workers: list[_W] = []

    @abstractmethod
    def add(self) -> None:
        """Start a worker; it tells `ready` when it can take jobs."""

    @abstractmethod
    def send(self, worker: _W, job: object) -> None:
        """Give a worker a job; one that is dead says so in `events`."""

    @abstractmethod
    def events(self, timeout: float) -> list[tuple[_W, Event]]:
        """Return what workers tell, at the latest after `timeout` [s]."""

    @abstractmethod
    def stop(self, workers: Sequence[_W]) -> None:
        """End workers, busy ones too, and forget them."""


def begun(begin: bytes) -> tuple[Work[object, object] | None, Event]:
    """Make a worker ready for jobs; what keeps it from that is told."""
    try:
        return pickle.loads(begin)(), ("ready", None)
    except Exception as error:
        return None, ("error", _sendable(error))


def perform(work: Work[object, object], job: object) -> Iterator[Event]:
    """Do a job; what is raised is told."""
    try:
        for message in work(job):
            yield "message", message
        yield "done", None
    except Exception as error:
        yield "error", _sendable(error)


def _sendable(error: Exception) -> Exception:
    """Return the error that the parent is to raise: a fault, which is no `DiffplanError`, with its traceback."""
    if not isinstance(error, DiffplanError):
        return RuntimeError(f"in a worker process: {error!r}\n{traceback.format_exc()}")
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # a value that cannot be sent
        return (InputError if isinstance(error, InputError) else DiffplanError)(str(error))
    return error
