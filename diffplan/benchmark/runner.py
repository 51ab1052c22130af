"""A benchmark run in a folder: finished rows stay, what is missing is run, other settings are refused."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from time import perf_counter

from diffplan.benchmark.machine import Machine
from diffplan.benchmark.results import ResultRow, RowWriter, read_rows
from diffplan.benchmark.sessions import begin_session, end_session
from diffplan.benchmark.suites import Case, suite_file
from diffplan.benchmark.worker import BenchmarkSettings, Job, Run, plan_path, start
from diffplan.errors import InputError
from diffplan.formats.run_settings import claim_settings
from diffplan.system.executor import Work
from diffplan.system.files import alone_in, make_folder, remove_unfinished, write_text
from diffplan.system.jobs import Lost, run_jobs

_LONGEST_NAME = 230  # bytes; file systems take 255, and a file that is written has a longer name


@dataclass(frozen=True, kw_only=True)
class Workers:
    """How many processes plan, where (`diffplan.system.jobs`), and what they begin with.

    They have one thread each if there are several or `one_thread` says so. A planner is trusted to keep its time limit;
    the worker of one that does not answer after twice the limit and `grace` [s] (certifying comes on top) is killed.
    """

    number: int = 1
    executor: str = "local"
    one_thread: bool = False
    start: Callable[[BenchmarkSettings], Work[Job, float | Run]] = start
    grace: float = 120.0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """All rows of the folder (earlier runs' among them), how many of the jobs were done before, warm-up times [s]."""

    rows: list[ResultRow]
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
    jobs: list[Job],
    settings: BenchmarkSettings,
    workers: Workers,
    *,
    report: Callable[[ResultRow | None, int], None],
    machine: Machine | None = None,
) -> Outcome:
    """Run the jobs that the folder has no row for yet; `report` gets each new row (first None) and how many are done.

    With `machine`, the folder keeps a note on what ran where (see `sessions`), if there is anything left to run.

    Raises:
        InputError: if the folder holds a run with other settings, or another command is running there, or two runs
            would share a plan file.
    """
    if settings.variants_of is None:
        _expect_files_apart(jobs, settings.folder)
    with alone_in(settings.folder):
        return _run_missing(jobs, settings, workers, report, machine)


def _run_missing(
    jobs: list[Job],
    settings: BenchmarkSettings,
    workers: Workers,
    report: Callable[[ResultRow | None, int], None],
    machine: Machine | None,
) -> Outcome:
    folder, warm_up_s = settings.folder, dict[str, float]()
    claim_settings(folder / "settings.json", _asked(settings), "the folder holds a run with other settings")
    for plans in folder.glob("plans/*/"):
        remove_unfinished(plans)
    remove_unfinished(folder)
    rows = _finished(settings)
    before = {row.key for row in rows}
    todo = [job for job in jobs if job.key not in before]
    kept = len(jobs) - len(todo)
    report(None, kept)
    begin, session = perf_counter(), None
    if machine is not None and todo:
        session = begin_session(folder, machine, jobs=workers.number, rows_before=len(rows))
    with (
        RowWriter(folder / "results.csv", rows) as writer,
        closing(_rows(todo, settings, workers, warm_up_s)) as found,
    ):
        for done, row in enumerate(found, start=kept + 1):
            writer.append(row)
            rows.append(row)
            report(row, done)
    if session is not None:
        ended = replace(session, rows_after=len(rows), time_s=perf_counter() - begin, warm_up_s=warm_up_s)
        end_session(folder, ended)
    return Outcome(rows=rows, kept=kept, warm_up_s=warm_up_s)


def _rows(
    jobs: list[Job], settings: BenchmarkSettings, workers: Workers, warm_up_s: dict[str, float]
) -> Generator[ResultRow, None, None]:
    """Yield a row for each job in the order of finishing; its plan is written then. Notes each planner's warm-up."""
    messages = run_jobs(
        partial(workers.start, settings),
        jobs,
        workers=workers.number,
        executor=workers.executor,
        one_thread=workers.one_thread or workers.number > 1,
        patience=2 * settings.timeout + workers.grace,
    )
    with closing(messages):
        for index, message in messages:
            job = jobs[index]
            if isinstance(message, Lost):
                died = f"the planner's process died ({message.problem})"
                yield job.row("killed", message.problem) if message.late else job.row("error", died)
            elif isinstance(message, Run):
                if message.plan is not None:
                    path = plan_path(settings.folder, planner=job.planner, problem=job.problem, seed=job.seed)
                    make_folder(path.parent)
                    write_text(path, message.plan)
                yield message.row
            else:
                warm_up_s[job.planner] = max(message, warm_up_s.get(job.planner, 0.0))


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


def _finished(settings: BenchmarkSettings) -> list[ResultRow]:
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


def _asked(settings: BenchmarkSettings) -> dict[str, object]:
    """Return what the rows of a run depend on, as `settings.json` keeps it."""
    suite = suite_file(settings.suite) or Path(settings.suite)
    asked = {key: value for key, value in asdict(settings).items() if key not in ("suite", "folder")}
    asked["suite_sha256"] = sha256(suite.read_bytes()).hexdigest() if suite.is_file() else settings.suite
    return asked
