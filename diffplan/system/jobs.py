"""Many jobs: shared out to processes of this machine or to a Ray cluster.

A job is anything that pickle can send; what comes back is told with the job's index. Nothing but the calling process
writes results, so what is written depends neither on the executor nor on the number of workers. A worker that dies
(killed, crashed, its node removed) loses no finished job, and the job that it was on is tried once more.
"""

from __future__ import annotations

import pickle
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from time import monotonic
from typing import TypeVar, cast

from diffplan.errors import DiffplanError, InputError
from diffplan.system.executor import Executor, Work, Worker, usable_cores
from diffplan.system.local_executor import LocalExecutor
from diffplan.system.ray_executor import RayExecutor, ray_connection

EXECUTORS = ("local", "ray")
_J = TypeVar("_J")
_M = TypeVar("_M")
_W = TypeVar("_W", bound=Worker)
_FAILED_STARTS = 3
_TICK = 1.0
"""How often workers that do not answer are looked for [s]."""


@dataclass(frozen=True, kw_only=True)
class Lost:
    """In place of a result: the job's worker died twice, or (`late`) did not answer in time."""

    problem: str
    late: bool = False


@dataclass(frozen=True, kw_only=True)
class Resources:
    """Where jobs run: in words, how many CPUs are there, and of how many nodes of a cluster (0: this machine's)."""

    text: str
    cpus: int
    nodes: int = 0


def run_jobs(
    start: Callable[[], Work[_J, _M]],
    jobs: Sequence[_J],
    *,
    workers: int | None = None,
    executor: str = "local",
    one_thread: bool = True,
    patience: float = inf,
) -> Generator[tuple[int, _M | Lost], None, None]:
    """Do jobs in worker processes; yields `(index, message)` as messages come, each job's own in their order.

    A job that is tried again tells its messages again. Whoever may leave the loop early closes the generator
    (`contextlib.closing`), which ends the workers.

    Args:
        start: called once in every worker, returns what does a job; a function of a module, or a `partial` of one.
        jobs: what is to be done.
        workers: how many processes (default: one for each CPU).
        executor: `local`, or `ray` (see `connected`), whose workers always have one thread each.
        one_thread: whether local workers get one thread each.
        patience: how long a worker may be silent while it is on a job, before it is killed [s].

    Raises:
        InputError: if there is no such executor, or Ray cannot be reached.
        DiffplanError: that a worker raised; or if workers do not start.
        RuntimeError: for any other exception in a worker, with its traceback.
    """
    with connected(executor, workers) as place:
        begin = pickle.dumps(start)
        number = workers or place.cpus
        if executor == "ray":
            messages = _results(RayExecutor(begin), jobs, number, patience)
        else:
            messages = _results(LocalExecutor(begin, one_thread), jobs, number, patience)
        yield from cast("Iterator[tuple[int, _M | Lost]]", messages)


@contextmanager
def connected(executor: str, workers: int | None = None) -> Iterator[Resources]:
    """Keep the connection to a Ray cluster for a while; there is nothing to connect to for `local`.

    The cluster is that of the environment variable RAY_ADDRESS (`host:port` or `auto`). Without it, Ray is started on
    this machine, reachable from this machine only, and stopped at the end. Where this process is connected already,
    that cluster is used and stays connected.

    Raises:
        InputError: if there is no such executor, Ray is not installed, or there is no cluster at RAY_ADDRESS.
    """
    if executor not in EXECUTORS:
        raise InputError("no such executor", key="executor", value=executor, allowed=EXECUTORS)
    if executor == "local":
        yield Resources(text="this machine", cpus=usable_cores())
        return
    with ray_connection(workers) as ray:
        nodes = sum(node["Alive"] for node in ray.nodes())
        cpus = max(int(ray.cluster_resources().get("CPU", 0)), 1)
        text = f"a Ray cluster of {nodes} {'node' if nodes == 1 else 'nodes'} with {cpus} CPUs"
        yield Resources(text=text, cpus=cpus, nodes=nodes)


def _results(
    executor: Executor[_W], jobs: Sequence[object], workers: int, patience: float
) -> Iterator[tuple[int, object]]:
    """Give jobs to workers until all are done, and end them; yields `(index, message)`."""
    try:
        yield from _messages(executor, jobs, workers, patience)
    finally:
        executor.stop(list(executor.workers))


def _messages(
    executor: Executor[_W], jobs: Sequence[object], workers: int, patience: float
) -> Iterator[tuple[int, object]]:
    waiting, deaths, failed_starts = deque(range(len(jobs))), Counter[int](), 0
    while unfinished := len(waiting) + sum(worker.job is not None for worker in executor.workers):
        while len(executor.workers) < min(workers, unfinished):
            executor.add()
        for worker in executor.workers:
            if worker.ready and worker.job is None and waiting:
                worker.job, worker.deadline = waiting.popleft(), monotonic() + patience
                executor.send(worker, jobs[worker.job])
        for worker, (kind, value) in executor.events(_TICK):
            index, worker.deadline = worker.job, monotonic() + patience
            if kind == "ready":
                worker.ready, failed_starts = True, 0
            elif kind == "error" and isinstance(value, BaseException):
                raise value
            elif kind == "died":
                executor.stop([worker])
                failed_starts += not worker.ready
                if failed_starts > _FAILED_STARTS:
                    raise DiffplanError(f"worker processes die while they start ({value})")
                if index is not None:
                    deaths[index] += 1
                    if deaths[index] == 1:
                        waiting.appendleft(index)
                    else:
                        yield index, Lost(problem=str(value))
            elif kind == "done":
                worker.job = None
            elif index is not None:
                yield index, value
        for worker in list(executor.workers):
            if worker.job is not None and monotonic() > worker.deadline:
                executor.stop([worker])
                yield worker.job, Lost(problem=f"no answer within {patience:.0f} s", late=True)
