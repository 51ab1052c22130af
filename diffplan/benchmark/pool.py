"""Worker processes that may crash, hang or be killed: whatever happens, every job gives a row."""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from time import perf_counter
from typing import TypeAlias

from diffplan.benchmark.machine import THREAD_VARIABLES
from diffplan.benchmark.results import Row
from diffplan.benchmark.worker import Job, Settings, work
from diffplan.files import NotWritten
from diffplan.stopping import end, held

Work: TypeAlias = Callable[[Connection, Settings], None]


@dataclass(kw_only=True)
class _Worker:
    """A worker process, its pipe, the job it is on, and until when it may take [s, perf_counter]."""

    process: SpawnProcess
    connection: Connection
    job: Job
    deadline: float

    def receive(self) -> Row | float | NotWritten:
        """Return the worker's answer; a worker that died gives an `error` row."""
        try:
            return self.connection.recv()
        except (EOFError, ConnectionResetError):
            self.stop()
            return self.job.row("error", f"the planner's process died (exit code {self.process.exitcode})")

    def stop(self) -> None:
        """Make sure that the process is gone."""
        self.connection.close()
        self.process.join(0.2)
        end([self.process])


@dataclass(kw_only=True)
class Pool:
    """Up to `size` worker processes running `target`, one thread each if there are several or `one_thread` says so.

    A planner is trusted to keep its time limit; the worker of one that does not answer after twice the limit and
    `grace` [s] (certifying and writing come on top) is killed. `warm_up_s` collects each planner's longest warm-up.
    """

    settings: Settings
    size: int
    target: Work = work
    grace: float = 120.0
    one_thread: bool = False
    warm_up_s: dict[str, float] = field(default_factory=dict)

    @property
    def patience(self) -> float:
        """How long a worker may take for an answer [s]."""
        return 2 * self.settings.timeout + self.grace

    def rows(self, jobs: list[Job]) -> Iterator[Row]:
        """Yield a row for each job, in the order of finishing.

        Raises:
            NotWritten: if a worker could not write its plan.
        """
        queue = deque(jobs)
        busy: list[_Worker] = []
        with _threads_pinned(self.one_thread or self.size > 1):
            try:
                while queue and len(busy) < self.size:
                    busy.append(self._start(queue.popleft()))
                while busy:
                    for worker, row in self._answers(busy):
                        busy.remove(worker)
                        if queue:
                            busy.append(self._go_on(worker, queue.popleft()))
                        else:
                            worker.stop()
                        yield row
            finally:
                end([worker.process for worker in busy])

    def _answers(self, busy: list[_Worker]) -> list[tuple[_Worker, Row]]:
        """Wait a moment; return the workers that are done with their jobs, one way or another."""
        ready = wait([worker.connection for worker in busy], timeout=1.0)
        done = []
        for worker in busy:
            if worker.connection in ready:
                answer = worker.receive()
                if isinstance(answer, NotWritten):
                    raise answer
                if isinstance(answer, Row):
                    done.append((worker, answer))
                else:
                    planner = worker.job.planner
                    self.warm_up_s[planner] = max(answer, self.warm_up_s.get(planner, 0.0))
                    worker.deadline = perf_counter() + self.patience
            elif perf_counter() > worker.deadline:
                worker.stop()
                done.append((worker, worker.job.row("killed", f"no answer within {self.patience:.0f} s")))
        return done

    def _go_on(self, worker: _Worker, job: Job) -> _Worker:
        """Give the next job to the worker, or to a new one if it is gone."""
        try:
            worker.connection.send(job)
        except OSError:
            worker.stop()
            return self._start(job)
        worker.job, worker.deadline = job, perf_counter() + self.patience
        return worker

    def _start(self, job: Job) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=self.target, args=(theirs, self.settings), daemon=True)
        with held():
            process.start()
        theirs.close()
        ours.send(job)
        return _Worker(process=process, connection=ours, job=job, deadline=perf_counter() + self.patience)


@contextmanager
def _threads_pinned(pinned: bool) -> Iterator[None]:
    """Let processes started inside use one thread each (libraries read these variables when they load)."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    if pinned:
        os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
