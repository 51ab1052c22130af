"""Runs planners over problems in worker processes, keeps every finished row, and survives whatever a planner does."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from time import perf_counter

from diffplan.benchmark.machine import THREAD_VARIABLES
from diffplan.benchmark.results import Row, RowWriter, read_rows
from diffplan.benchmark.suites import Case
from diffplan.benchmark.worker import Job, Settings, plan_path, work
from diffplan.errors import InputError

# Certifying, writing and the dense check come on top of the planner's own time limit before a worker is killed.
_GRACE_S = 120.0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """All rows of the folder (earlier runs' among them), how many of the jobs were done before, warm-up times [s]."""

    rows: list[Row]
    kept: int
    warm_up_s: dict[str, float]


def all_jobs(cases: tuple[Case, ...], chosen: list[int], planners: list[str], seeds: int) -> list[Job]:
    """Return the jobs, problem by problem, so that a stopped run holds whole comparisons."""
    return [
        Job(planner=planner, case=index, problem=cases[index].id, seed=seed)
        for seed in range(seeds)
        for index in chosen
        for planner in planners
    ]


def run(jobs: list[Job], settings: Settings, *, workers: int, report: Callable[[Row | None, int], None]) -> Outcome:
    """Run the jobs that the folder has no row for yet; `report` gets each new row (first None) and how many are done.

    Raises:
        InputError: if the folder holds a run with other settings.
    """
    settings.folder.mkdir(parents=True, exist_ok=True)
    _check_same_settings(settings)
    rows = _finished(settings.folder)
    before = {row.key for row in rows}
    todo = [job for job in jobs if job.key not in before]
    kept = len(jobs) - len(todo)
    report(None, kept)
    warm_up: dict[str, float] = {}
    with RowWriter(settings.folder / "results.csv", rows) as writer:
        for done, row in enumerate(_rows(todo, settings, min(workers, len(todo)), warm_up), start=kept + 1):
            writer.append(row)
            rows.append(row)
            report(row, done)
    return Outcome(rows=rows, kept=kept, warm_up_s=warm_up)


def _finished(folder: Path) -> list[Row]:
    """Return the rows of an earlier run whose plan file is there (runs without a plan need none)."""
    results = folder / "results.csv"
    if not results.exists():
        return []
    rows = {row.key: row for row in read_rows(results)}
    return [
        row
        for row in rows.values()
        if row.status in ("error", "killed")
        or plan_path(folder, Job(planner=row.planner, case=-1, problem=row.problem, seed=row.seed)).exists()
    ]


def _check_same_settings(settings: Settings) -> None:
    """Keep what was asked beside the results; a later run into the same folder must ask for the same."""
    suite = Path(settings.suite)
    asked = {key: value for key, value in asdict(settings).items() if key not in ("suite", "folder")}
    asked["suite_sha256"] = hashlib.sha256(suite.read_bytes()).hexdigest() if suite.is_file() else settings.suite
    file = settings.folder / "settings.json"
    if file.exists():
        before = json.loads(file.read_text(encoding="utf-8"))
        for key, value in asked.items():
            if before.get(key) != value:
                raise InputError(
                    f"the folder holds a run with another {key}; choose another --out",
                    file=file,
                    key=key,
                    value=value,
                    allowed=repr(before.get(key)),
                )
    file.write_text(json.dumps(asked, indent=2) + "\n", encoding="utf-8")


@dataclass(kw_only=True)
class _Worker:
    """A worker process, its pipe, and the job it is on."""

    process: SpawnProcess
    connection: Connection
    job: Job
    deadline: float


def _rows(todo: list[Job], settings: Settings, workers: int, warm_up: dict[str, float]) -> Iterator[Row]:
    """Yield a row for each job, in the order of finishing. `warm_up` collects the longest warm-up of each planner."""
    queue = deque(todo)
    busy: list[_Worker] = []
    patience = 2 * settings.timeout + _GRACE_S
    with _threads_pinned(workers > 1):
        try:
            while queue and len(busy) < workers:
                busy.append(_start(queue.popleft(), settings, patience))
            while busy:
                ready = wait([worker.connection for worker in busy], timeout=1.0)
                for worker in list(busy):
                    if worker.connection in ready:
                        answer = _receive(worker)
                        if not isinstance(answer, Row):
                            warm_up[worker.job.planner] = max(answer, warm_up.get(worker.job.planner, 0.0))
                            worker.deadline = perf_counter() + patience
                            continue
                    elif perf_counter() > worker.deadline:
                        _stop(worker)
                        answer = worker.job.failed("killed", f"no answer {patience:.0f} s after it was asked")
                    else:
                        continue
                    yield answer
                    _next(worker, queue, busy, settings, patience)
        finally:
            for worker in busy:
                _stop(worker)


def _next(worker: _Worker, queue: deque[Job], busy: list[_Worker], settings: Settings, patience: float) -> None:
    """Give the worker its next job (in a new process if the old one is gone), or let it go."""
    if not queue:
        busy.remove(worker)
        _stop(worker)
    elif worker.process.is_alive() and not worker.connection.closed:
        worker.job = queue.popleft()
        worker.connection.send(worker.job)
        worker.deadline = perf_counter() + patience
    else:
        busy[busy.index(worker)] = _start(queue.popleft(), settings, patience)


def _receive(worker: _Worker) -> Row | float:
    """Return the worker's answer; a worker that died gives an `error` row."""
    try:
        return worker.connection.recv()
    except (EOFError, ConnectionResetError):
        worker.process.join(10)
        _stop(worker)
        return worker.job.failed("error", f"the planner's process died (exit code {worker.process.exitcode})")


def _start(job: Job, settings: Settings, patience: float) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=work, args=(theirs, settings), daemon=True)
    process.start()
    theirs.close()
    ours.send(job)
    return _Worker(process=process, connection=ours, job=job, deadline=perf_counter() + patience)


def _stop(worker: _Worker) -> None:
    worker.connection.close()
    if worker.process.is_alive():
        worker.process.kill()
    worker.process.join(10)


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
