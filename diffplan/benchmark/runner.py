"""A benchmark run in a folder: finished rows stay, what is missing is run, other settings are refused."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter

from diffplan.benchmark.machine import Machine
from diffplan.benchmark.pool import Pool
from diffplan.benchmark.results import Row, RowWriter, read_rows
from diffplan.benchmark.sessions import begin_session, end_session
from diffplan.benchmark.suites import Case, suite_file
from diffplan.benchmark.worker import Job, Settings, plan_path
from diffplan.errors import InputError
from diffplan.files import make_folder, remove_unfinished, write_text
from diffplan.formats.strict_json import read_object

_LONGEST_NAME = 230  # bytes; file systems take 255, and a file that is written has a longer name


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


def run(
    jobs: list[Job], pool: Pool, *, report: Callable[[Row | None, int], None], machine: Machine | None = None
) -> Outcome:
    """Run the jobs that the folder has no row for yet; `report` gets each new row (first None) and how many are done.

    With `machine`, the folder keeps a note on what ran where (see `sessions`), if there is anything left to run.

    Raises:
        InputError: if the folder holds a run with other settings, or another command is running there, or two runs
            would share a plan file.
    """
    folder = pool.settings.folder
    if pool.settings.variants_of is None:
        _expect_files_apart(jobs, folder)
    make_folder(folder)
    with _alone_in(folder):
        return _run_missing(jobs, pool, report, machine)


def _run_missing(
    jobs: list[Job], pool: Pool, report: Callable[[Row | None, int], None], machine: Machine | None
) -> Outcome:
    folder = pool.settings.folder
    _claim(pool.settings)
    for plans in folder.glob("plans/*/"):
        remove_unfinished(plans)
    remove_unfinished(folder)
    rows = _finished(pool.settings)
    before = {row.key for row in rows}
    todo = [job for job in jobs if job.key not in before]
    kept = len(jobs) - len(todo)
    report(None, kept)
    begin, session = perf_counter(), None
    if machine is not None and todo:
        session = begin_session(folder, machine, jobs=pool.size, rows_before=len(rows))
    with RowWriter(folder / "results.csv", rows) as writer:
        for done, row in enumerate(pool.rows(todo), start=kept + 1):
            writer.append(row)
            rows.append(row)
            report(row, done)
    if session is not None:
        ended = replace(session, rows_after=len(rows), time_s=perf_counter() - begin, warm_up_s=pool.warm_up_s)
        end_session(folder, ended)
    return Outcome(rows=rows, kept=kept, warm_up_s=pool.warm_up_s)


def _expect_files_apart(jobs: list[Job], folder: Path) -> None:
    """Make sure that every run has a plan file of its own, whose name is not too long."""
    files: dict[Path, str] = {}
    for job in jobs:
        path = plan_path(folder, planner=job.planner, problem=job.problem, seed=job.seed)
        if len(os.fsencode(path.name)) > _LONGEST_NAME:
            allowed = f"up to {_LONGEST_NAME} bytes, with the seed"
            raise InputError(
                "an id too long for the name of its plan file", key="id", value=job.problem, allowed=allowed
            )
        other = files.setdefault(path, job.problem)
        if other != job.problem:
            problem = f"the problems {other!r} and {job.problem!r} would share the plan file {path.name}"
            raise InputError(problem, key="id", allowed="ids that differ by more than / and __")


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Lock the folder until this is over or the process dies: each of two commands would lose the other's rows."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            problem = "another command is writing into this folder; wait for its end or choose another --out"
            raise InputError(problem, file=folder) from error
        yield
    finally:
        os.close(handle)


def _finished(settings: Settings) -> list[Row]:
    """Return the rows of an earlier run whose plan file is there (runs that keep no plan need none)."""
    folder = settings.folder
    results = folder / "results.csv"
    if not results.exists():
        return []
    rows = {row.key: row for row in read_rows(results)}
    return [
        row
        for row in rows.values()
        if settings.variants_of is not None
        or row.status in ("error", "killed")
        or plan_path(folder, planner=row.planner, problem=row.problem, seed=row.seed).exists()
    ]


def _claim(settings: Settings) -> None:
    """Write what is asked beside the results, or check that the folder was begun with the same."""
    suite = suite_file(settings.suite) or Path(settings.suite)
    asked = {key: value for key, value in asdict(settings).items() if key not in ("suite", "folder")}
    asked["suite_sha256"] = hashlib.sha256(suite.read_bytes()).hexdigest() if suite.is_file() else settings.suite
    file = settings.folder / "settings.json"
    if not file.exists():
        write_text(file, json.dumps(asked, indent=2) + "\n")
        return
    before = read_object(file)
    for key, value in asked.items():
        if before.get(key) != value:
            problem = f"the folder holds a run with another {key}; choose another --out"
            raise InputError(problem, file=file, key=key, value=value, allowed=repr(before.get(key)))
