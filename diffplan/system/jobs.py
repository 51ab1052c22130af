"""Many jobs: shared out to processes of this machine or to a Ray cluster.

A job is anything that pickle can send; what comes back is told with the job's index. Nothing but the calling process
writes results, so what is written depends neither on the executor nor on the number of workers. A worker that dies
(killed, crashed, its node removed) loses no finished job, and the job that it was on is tried once more.

Workers are started afresh, not forked: neither PyBullet's clients nor the threads of OpenMP, torch and Numba outlive a
fork, and libraries read how many threads they may use when they are loaded.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import platform
import shutil
import signal
import socket
import tempfile
import threading
import traceback
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from math import inf
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from time import monotonic
from types import ModuleType
from typing import Generic, TypeAlias, TypeVar, cast

from diffplan.errors import DiffplanError, InputError
from diffplan.system.progress import working
from diffplan.system.stopping import Stopped, end, held, leave_on_terminate

EXECUTORS = ("local", "ray")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""What libraries read when they are loaded, to know how many threads they may use."""

_J = TypeVar("_J")
_M = TypeVar("_M")
Work: TypeAlias = Callable[[_J], Iterable[_M]]
"""Does a job; yields messages on the way, the last of which is the result."""

_Event: TypeAlias = "tuple[str, object]"
"""What a worker tells: `ready`, `message`, `done`, `error` (an exception), or `died` (how)."""
_PACKAGES = ("diffplan", "numpy", "numba", "scipy", "torch", "ompl", "pybullet", "pybullet-arm64", "toppra", "trimesh")
_FAILED_STARTS = 3
_TICK = 1.0
"""How often workers that do not answer are looked for [s]."""
_RAY_TICK = 0.2
"""How long a signal may wait for Ray [s]."""


@dataclass(frozen=True, kw_only=True)
class Lost:
    """In place of a result: the job's worker died twice, or (`late`) did not answer in time."""

    problem: str
    late: bool = False


@dataclass(frozen=True, kw_only=True)
class Place:
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
            messages = _share_out(_RayTeam(begin), jobs, number, patience)
        else:
            messages = _share_out(_LocalTeam(begin, one_thread), jobs, number, patience)
        yield from cast("Iterator[tuple[int, _M | Lost]]", messages)


@contextmanager
def connected(executor: str, workers: int | None = None) -> Iterator[Place]:
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
        yield Place(text="this machine", cpus=usable_cores())
        return
    with _ray_connection(workers) as ray:
        nodes = sum(node["Alive"] for node in ray.nodes())
        cpus = max(int(ray.cluster_resources().get("CPU", 0)), 1)
        text = f"a Ray cluster of {nodes} {'node' if nodes == 1 else 'nodes'} with {cpus} CPUs"
        yield Place(text=text, cpus=cpus, nodes=nodes)


def usable_cores() -> int:
    """Return the number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(kw_only=True, eq=False)
class _Worker:
    """A worker: whether it has begun, the job it is on, and until when it has to tell something [s, monotonic]."""

    ready: bool = False
    job: int | None = None
    deadline: float = inf


_W = TypeVar("_W", bound=_Worker)


class _Team(ABC, Generic[_W]):
    """Workers of one kind."""

    def __init__(self) -> None:
        self.members: list[_W] = []

    @abstractmethod
    def add(self) -> None:
        """Start a worker; it tells `ready` when it can take jobs."""

    @abstractmethod
    def send(self, worker: _W, job: object) -> None:
        """Give a worker a job; one that is dead says so in `events`."""

    @abstractmethod
    def events(self, timeout: float) -> list[tuple[_W, _Event]]:
        """Return what workers tell, at the latest after `timeout` [s]."""

    @abstractmethod
    def stop(self, workers: Sequence[_W]) -> None:
        """End workers, busy ones too, and forget them."""


def _share_out(team: _Team[_W], jobs: Sequence[object], workers: int, patience: float) -> Iterator[tuple[int, object]]:
    """Give jobs to workers until all are done, and end them; yields `(index, message)`."""
    try:
        yield from _messages(team, jobs, workers, patience)
    finally:
        team.stop(list(team.members))


def _messages(team: _Team[_W], jobs: Sequence[object], workers: int, patience: float) -> Iterator[tuple[int, object]]:
    waiting, deaths, failed_starts = deque(range(len(jobs))), Counter[int](), 0
    while unfinished := len(waiting) + sum(worker.job is not None for worker in team.members):
        while len(team.members) < min(workers, unfinished):
            team.add()
        for worker in team.members:
            if worker.ready and worker.job is None and waiting:
                worker.job, worker.deadline = waiting.popleft(), monotonic() + patience
                team.send(worker, jobs[worker.job])
        for worker, (kind, value) in team.events(_TICK):
            index, worker.deadline = worker.job, monotonic() + patience
            if kind == "ready":
                worker.ready, failed_starts = True, 0
            elif kind == "error" and isinstance(value, BaseException):
                raise value
            elif kind == "died":
                team.stop([worker])
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
        for worker in list(team.members):
            if worker.job is not None and monotonic() > worker.deadline:
                team.stop([worker])
                yield worker.job, Lost(problem=f"no answer within {patience:.0f} s", late=True)


# In a worker


def _begun(begin: bytes) -> tuple[Work[object, object] | None, _Event]:
    """Make a worker ready for jobs; what keeps it from that is told."""
    try:
        return pickle.loads(begin)(), ("ready", None)
    except Exception as error:
        return None, ("error", _sendable(error))


def _do(work: Work[object, object], job: object) -> Iterator[_Event]:
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


# Processes of this machine


@dataclass(kw_only=True, eq=False)
class _LocalWorker(_Worker):
    process: SpawnProcess
    connection: Connection


class _LocalTeam(_Team[_LocalWorker]):
    """Spawned processes, each with a pipe."""

    def __init__(self, begin: bytes, one_thread: bool) -> None:
        super().__init__()
        self.begin, self.one_thread = begin, one_thread

    def add(self) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self.begin), daemon=True)
        with _threads_of_children(self.one_thread), held():
            process.start()
            self.members.append(_LocalWorker(process=process, connection=ours))
        theirs.close()

    def send(self, worker: _LocalWorker, job: object) -> None:
        with suppress(OSError):
            worker.connection.send(job)

    def events(self, timeout: float) -> list[tuple[_LocalWorker, _Event]]:
        ready = wait([worker.connection for worker in self.members], timeout)
        return [(worker, self._event(worker)) for worker in self.members if worker.connection in ready]

    def _event(self, worker: _LocalWorker) -> _Event:
        try:
            return worker.connection.recv()
        except (EOFError, OSError):
            worker.process.join(1.0)
            return "died", f"exit code {worker.process.exitcode}"

    def stop(self, workers: Sequence[_LocalWorker]) -> None:
        end([worker.process for worker in workers])
        for worker in workers:
            worker.connection.close()
            self.members.remove(worker)


def _serve(connection: Connection, begin: bytes) -> None:
    """Do jobs until the parent is gone."""
    leave_on_terminate()
    with suppress(EOFError, OSError):
        work, event = _begun(begin)
        connection.send(event)
        while work is not None:
            for event in _do(work, connection.recv()):
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


# A Ray cluster


class _Actor:
    """A worker on a node of the cluster, which runs the diffplan that is installed there."""

    def begin(self, begin: bytes, folder: str, versions: dict[str, str | None]) -> _Event:
        """Get ready; paths mean what they mean in `folder`, if the node has it, and nothing where it has not."""
        os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
        os.chdir(folder if os.path.isdir(folder) else os.path.sep)
        for name, here in _versions().items():
            if here != versions[name]:
                where, wanted = f"the Ray node {platform.node()} has another version of {name}", versions[name]
                return "error", InputError(where, value=here, allowed=f"{wanted}, as where the command runs")
        self.work, event = _begun(begin)
        return event

    def give(self, job: object) -> _Event:
        """Begin a job and return its first event."""
        assert self.work is not None
        self.events = _do(self.work, job)
        return next(self.events)

    def go_on(self) -> _Event:
        """Return the job's next event."""
        return next(self.events)


@dataclass(kw_only=True, eq=False)
class _RayWorker(_Worker):
    """An actor, and the reference of the answer that it is working on (None: it has nothing to do)."""

    actor: object
    answer: object


class _RayTeam(_Team[_RayWorker]):
    """Actors of one CPU each. They begin as CPUs become free, and may wait for one for ever."""

    def __init__(self, begin: bytes) -> None:
        super().__init__()
        self.begin, self.ray = begin, import_module("ray")
        self.make = self.ray.remote(num_cpus=1, max_restarts=0, max_task_retries=0)(_Actor)

    def add(self) -> None:
        actor = self.make.remote()
        answer = actor.begin.remote(self.begin, os.getcwd(), _versions())
        self.members.append(_RayWorker(actor=actor, answer=answer))

    def send(self, worker: _RayWorker, job: object) -> None:
        worker.answer = worker.actor.give.remote(job)  # pyright: ignore[reportAttributeAccessIssue]

    def events(self, timeout: float) -> list[tuple[_RayWorker, _Event]]:
        workers = {worker.answer: worker for worker in self.members if worker.answer is not None}
        answers = list(workers)
        with held():  # Ray takes every signal for Ctrl-C
            if not self.ray.wait(answers, num_returns=1, timeout=min(timeout, _RAY_TICK))[0]:
                return []
            ready = self.ray.wait(answers, num_returns=len(answers), timeout=0)[0]
            return [(workers[answer], self._event(workers[answer])) for answer in ready]

    def _event(self, worker: _RayWorker) -> _Event:
        try:
            event = self.ray.get(worker.answer)
        except self.ray.exceptions.RayError as error:
            return "died", type(error).__name__
        more = event[0] == "message"
        worker.answer = worker.actor.go_on.remote() if more else None  # pyright: ignore[reportAttributeAccessIssue]
        return event

    def stop(self, workers: Sequence[_RayWorker]) -> None:
        idle = [worker for worker in workers if worker.ready and worker.job is None]
        leaving = [worker.actor.__ray_terminate__.remote() for worker in idle]  # pyright: ignore[reportAttributeAccessIssue]
        if leaving:  # time to tidy up (temporary files)
            self.ray.wait(leaving, num_returns=len(leaving), timeout=0.5)
        for worker in workers:
            self.ray.kill(worker.actor)
            self.members.remove(worker)


def _versions() -> dict[str, str | None]:
    """Return the versions that results may depend on."""
    found: dict[str, str | None] = {"python": ".".join(platform.python_version_tuple()[:2])}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


@contextmanager
def _ray_connection(workers: int | None) -> Iterator[ModuleType]:
    """Connect this process to Ray, if it is not yet; see `connected`."""
    address = os.environ.get("RAY_ADDRESS", "")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else a warning of what will change
    if not address:  # a cluster of our own listens to 127.0.0.1 only
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    try:
        ray = import_module("ray")
    except ImportError as error:
        allowed = 'local; or Ray installed: pip install "diffplan[ray]"'
        raise InputError("Ray is not installed", key="executor", value="ray", allowed=allowed) from error
    if ray.is_initialized():
        yield ray
        return
    _expect_answer(address)
    folder = tempfile.mkdtemp(prefix="ray-") if not address else None
    settings = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": True}
    if folder:
        settings |= {"num_cpus": workers or usable_cores(), "include_dashboard": False, "_temp_dir": folder}
    try:
        with working("connecting to Ray" if address else "starting Ray"), _signals_kept():
            try:
                ray.init(address or "local", **settings)
            except ConnectionError as error:
                raise _no_cluster(address) from error
            except SystemExit:  # what Ray's own handler makes of SIGTERM
                raise Stopped(signal.SIGTERM) from None
        yield ray
    finally:
        with _signals_kept():
            ray.shutdown()
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


def _expect_answer(address: str) -> None:
    """Make sure that somebody answers at `host:port`, since Ray would try for minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not host:
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5.0).close()
    except (OSError, ValueError) as error:
        raise _no_cluster(address) from error


def _no_cluster(address: str) -> InputError:
    allowed = "the address of a running cluster, or unset to start Ray on this machine"
    return InputError("no Ray cluster answers there", key="RAY_ADDRESS", value=address, allowed=allowed)


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Keep the handlers of signals, which Ray sets too."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
