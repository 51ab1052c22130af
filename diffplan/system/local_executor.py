"""Workers that are processes of this machine.

They are started afresh, not forked: neither PyBullet's clients nor the threads of OpenMP, torch and Numba outlive a
fork, and libraries read how many threads they may use when they are loaded.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from typing_extensions import override

from diffplan.system.executor import THREAD_VARIABLES, Event, Executor, Worker, begun, perform
from diffplan.system.stopping import Stopped, end, held, stoppable


@dataclass(kw_only=True, eq=False)
class _LocalWorker(Worker):
    process: SpawnProcess
    connection: Connection


class LocalExecutor(Executor[_LocalWorker]):
    """Spawned processes, each with a pipe."""

    def __init__(self, begin: bytes, one_thread: bool) -> None:
        super().__init__()
        self.begin, self.one_thread = begin, one_thread

    @override
    def add(self) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self.begin), daemon=True)
        with _threads_of_children(self.one_thread), held():
            process.start()
            self.workers.append(_LocalWorker(process=process, connection=ours))
        theirs.close()

    @override
    def send(self, worker: _LocalWorker, job: object) -> None:
        with suppress(OSError):
            worker.connection.send(job)

    @override
    def events(self, timeout: float) -> list[tuple[_LocalWorker, Event]]:
        ready = wait([worker.connection for worker in self.workers], timeout)
        return [(worker, self._event(worker)) for worker in self.workers if worker.connection in ready]

    def _event(self, worker: _LocalWorker) -> Event:
        try:
            return worker.connection.recv()
        except (EOFError, OSError):
            worker.process.join(1.0)
            return "died", f"exit code {worker.process.exitcode}"

    @override
    def stop(self, workers: Sequence[_LocalWorker]) -> None:
        end([worker.process for worker in workers])
        for worker in workers:
            worker.connection.close()
            self.workers.remove(worker)


def _serve(connection: Connection, begin: bytes) -> None:
    """Do jobs until the parent is gone, or asks for the end."""
    with suppress(EOFError, OSError, Stopped), stoppable():
        work, event = begun(begin)
        connection.send(event)
        while work is not None:
            for event in perform(work, connection.recv()):
                connection.send(event)


@contextmanager
def _threads_of_children(one: bool) -> Iterator[None]:
    """Let processes started inside use one thread each."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    if one:
        os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
