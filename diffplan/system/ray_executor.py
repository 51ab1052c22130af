"""Workers that are actors of a Ray cluster, and the connection to one."""

from __future__ import annotations

import os
import platform
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType

from typing_extensions import override

from diffplan.errors import InputError
from diffplan.system.executor import THREAD_VARIABLES, Event, Executor, Worker, begun, perform, usable_cores
from diffplan.system.progress import working
from diffplan.system.stopping import Stopped, held

_PACKAGES = ("diffplan", "numpy", "numba", "scipy", "torch", "ompl", "pybullet", "pybullet-arm64", "trimesh")
_TICK = 0.2
"""How long a signal may wait for Ray [s]."""


class _Actor:
    """A worker on a node of the cluster, which runs the diffplan that is installed there."""

    def begin(self, begin: bytes, folder: str, versions: dict[str, str | None]) -> Event:
        """Get ready; paths mean what they mean in `folder`, if the node has it, and nothing where it has not."""
        os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
        os.chdir(folder if os.path.isdir(folder) else os.path.sep)
        for name, here in versions_here().items():
            if here != versions[name]:
                where, wanted = f"the Ray node {platform.node()} has another version of {name}", versions[name]
                return "error", InputError(where, value=here, allowed=f"{wanted}, as where the command runs")
        self.work, event = begun(begin)
        return event

    def give(self, job: object) -> Event:
        """Begin a job and return its first event."""
        assert self.work is not None
        self.events = perform(self.work, job)
        return next(self.events)

    def go_on(self) -> Event:
        """Return the job's next event."""
        return next(self.events)


@dataclass(kw_only=True, eq=False)
class _RayWorker(Worker):
    """An actor, and the reference of the answer that it is working on (None: it has nothing to do)."""

    actor: object
    answer: object


class RayExecutor(Executor[_RayWorker]):
    """Actors of one CPU each. They begin as CPUs become free, and may wait for one for ever."""

    def __init__(self, begin: bytes) -> None:
        super().__init__()
        self.begin, self.ray = begin, import_module("ray")
        self.make = self.ray.remote(num_cpus=1, max_restarts=0, max_task_retries=0)(_Actor)

    @override
    def add(self) -> None:
        actor = self.make.remote()
        answer = actor.begin.remote(self.begin, os.getcwd(), versions_here())
        self.workers.append(_RayWorker(actor=actor, answer=answer))

    @override
    def send(self, worker: _RayWorker, job: object) -> None:
        worker.answer = worker.actor.give.remote(job)  # pyright: ignore[reportAttributeAccessIssue]

    @override
    def events(self, timeout: float) -> list[tuple[_RayWorker, Event]]:
        workers = {worker.answer: worker for worker in self.workers if worker.answer is not None}
        answers = list(workers)
        with held():  # Ray takes every signal for Ctrl-C
            if not self.ray.wait(answers, num_returns=1, timeout=min(timeout, _TICK))[0]:
                return []
            ready = self.ray.wait(answers, num_returns=len(answers), timeout=0)[0]
            return [(workers[answer], self._event(workers[answer])) for answer in ready]

    def _event(self, worker: _RayWorker) -> Event:
        try:
            event = self.ray.get(worker.answer)
        except self.ray.exceptions.RayError as error:
            return "died", type(error).__name__
        more = event[0] == "message"
        worker.answer = worker.actor.go_on.remote() if more else None  # pyright: ignore[reportAttributeAccessIssue]
        return event

    @override
    def stop(self, workers: Sequence[_RayWorker]) -> None:
        idle = [worker for worker in workers if worker.ready and worker.job is None]
        leaving = [worker.actor.__ray_terminate__.remote() for worker in idle]  # pyright: ignore[reportAttributeAccessIssue]
        if leaving:  # time to tidy up (temporary files)
            self.ray.wait(leaving, num_returns=len(leaving), timeout=0.5)
        for worker in workers:
            self.ray.kill(worker.actor)
            self.workers.remove(worker)


def versions_here() -> dict[str, str | None]:
    """Return the versions that results may depend on."""
    found: dict[str, str | None] = {"python": ".".join(platform.python_version_tuple()[:2])}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


@contextmanager
def ray_connection(workers: int | None) -> Iterator[ModuleType]:
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
