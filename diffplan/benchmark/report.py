"""What a benchmark leaves: `summary.json`, `report.html`, OMPL's log, the table on the terminal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import yaml
from rich import box
from rich.console import Console
from rich.table import Table

from diffplan.benchmark import report_tables as tables
from diffplan.benchmark.comparison import PairedComparison, paired_comparisons
from diffplan.benchmark.gallery import exhibits
from diffplan.benchmark.machine import Machine
from diffplan.benchmark.ompl_log import ompl_log
from diffplan.benchmark.page import page
from diffplan.benchmark.plots import quality_plots, success_plot
from diffplan.benchmark.results import ResultRow
from diffplan.benchmark.runner import Outcome
from diffplan.benchmark.sessions import Session, longest_warm_up, read_sessions
from diffplan.benchmark.suites import Case
from diffplan.benchmark.summary import ALL, Summary, frame, summarise
from diffplan.benchmark.worker import BenchmarkSettings
from diffplan.robot.rates import assumed_words
from diffplan.system.files import write_text

NOTES = (
    "certified: the motion passed the independent PyBullet check on the real meshes, between samples too, and was "
    "planned within the time limit; a planner's own belief never counts",
    "planning time: search, refinement and timing of the motion, until the first certified plan; the certificate, "
    "loading, compiling and one warm-up plan of each planner and process are outside",
    "a failure counts with the time limit in all times, because whoever waited for it waited that long",
    "95 % interval: Wilson's; other problems of this kind would give a share in there, 19 times of 20",
    "same robot, limits, timing of the motion, time limit, problems, seeds and certificate for every planner",
)
_FAILED_RUNS = 25


def write_all(
    outcome: Outcome,
    settings: BenchmarkSettings,
    machine: Machine,
    *,
    cases: Sequence[Case],
    planners: Sequence[str],
    workers: int,
    total_time: float,
) -> list[Summary]:
    """Write `summary.json`, `report.html` and `ompl.log` into the run's folder; return the summaries.

    Args:
        outcome: the folder's rows, those of earlier commands among them.
        settings: what all runs share.
        machine: this one, in the place of notes on sessions if the folder has none.
        cases: the suite's problems, in their order and for pictures of failures.
        planners: in the order of the tables; others that the folder has come after them.
        workers: problems at a time.
        total_time: of this command [s].
    """
    folder, limit = settings.folder, settings.timeout
    rows = in_order(outcome.rows, [case.id for case in cases], planners)
    summaries = summarise(rows, limit)
    sessions = read_sessions(folder) or (_only_session(outcome, machine, workers, total_time),)
    name, compared = Path(settings.suite).name.split(".")[0], paired_comparisons(rows, limit)
    notes = (*NOTES, *assumed_words(case.robot for case in cases))
    whole_time = sum(session.time_s or 0.0 for session in sessions)
    document = {
        "format": "diffplan/summary@1",
        "suite": settings.suite,
        "time_limit_s": limit,
        "fallback": settings.fallback,
        "options": settings.options,
        "dense_check_rad": settings.dense_check,
        "jobs": sessions[-1].jobs,
        "runs_kept_from_before": outcome.kept,
        "total_time_s": whole_time,
        "warm_up_s": longest_warm_up(sessions),
        "machine": asdict(sessions[-1].machine),
        "sessions": [asdict(session) for session in sessions],
        "commits": list(dict.fromkeys(session.machine.commit for session in sessions)),
        "notes": notes,
        "results": [asdict(summary) for summary in summaries],
        "paired": [asdict(pair) for pair in compared],
    }
    write_text(folder / "summary.json", json.dumps(document, indent=2) + "\n")
    if settings.options:
        write_text(folder / "options.yaml", yaml.safe_dump(settings.options))
    robot = settings.robot or next((case.robot.name for case in cases), "")
    text = page(
        "comparison.html.jinja",
        curves=len({row.planner for row in rows}),
        name=name,
        settings=settings,
        sessions=sessions,
        notes=notes,
        exhibits=exhibits(rows, cases, settings),
        published=_published(robot),
        pairs=_pairs(compared),
        **_figures(frame(rows, limit), summaries, limit),
        times=tables.times([s for s in summaries if s.set == ALL], limit, longest_warm_up(sessions)),
    )
    write_text(folder / "report.html", text)
    log = ompl_log(name, rows, sessions[-1].machine, time_limit=limit, total_time=whole_time)
    write_text(folder / "ompl.log", log)
    return summaries


def _figures(runs: pd.DataFrame, summaries: Sequence[Summary], limit: float) -> dict[str, object]:
    """Return the tables and drawings of the page that rows and summaries give, under their names in the template."""
    overall = [s for s in summaries if s.set == ALL]
    sets = dict.fromkeys(s.set for s in summaries if s.set != ALL)
    failed = tables.failed_runs(runs, _FAILED_RUNS)
    return {
        "runs": runs,
        "overview": tables.overview(overall, limit),
        "success": success_plot(runs, limit),
        "by_set": tables.by_set(summaries, limit),
        "sets": {name: tables.overview([s for s in summaries if s.set == name], limit) for name in sets},
        "qualities": quality_plots(runs),
        "quality": tables.quality(overall),
        "refused": tables.refused(overall),
        "failures": tables.failures(runs),
        "failed_runs": failed,
        "more_failed": int((~runs.in_time).sum()) - len(failed),
    }


def _published(robot: str) -> pd.DataFrame:
    """Return what others publish of this robot, each with its source."""
    figures = pd.read_csv(Path(__file__).with_name("published.csv"), keep_default_na=False)
    return figures[figures.robot == robot].drop(columns="robot")


def _pairs(compared: Sequence[PairedComparison]) -> list[pd.DataFrame]:
    """Return the tables of the pairs with the first planner, and of the others; none if there are no pairs."""
    first = [pair for pair in compared if pair.before == compared[0].before]
    return [tables.pairs(first), tables.pairs(compared[len(first) :])] if first else []


def in_order(rows: Sequence[ResultRow], problems: Sequence[str], planners: Sequence[str]) -> list[ResultRow]:
    """Return the rows by planner, problem and seed in the orders given, whichever were finished first.

    Planners and problems that are not given come last, as they first appear.
    """
    places = [
        {name: place for place, name in enumerate(dict.fromkeys((*given, *found)))}
        for given, found in ((planners, (row.planner for row in rows)), (problems, (row.problem for row in rows)))
    ]
    return sorted(rows, key=lambda row: (places[0][row.planner], places[1][row.problem], row.seed))


def _only_session(outcome: Outcome, machine: Machine, workers: int, total_time: float) -> Session:
    """Return what is known of the one command of a folder without notes on sessions."""
    return Session(
        machine=machine,
        jobs=workers,
        begun="at an unknown time",
        rows_before=outcome.kept,
        rows_after=len(outcome.rows),
        time_s=total_time,
        warm_up_s=outcome.warm_up_s,
    )


def print_summaries(summaries: Sequence[Summary], limit: float, console: Console) -> None:
    """Print the most important figures, of each planner over all problems and set by set."""
    parts = {name: [s for s in summaries if s.set == name] for name in dict.fromkeys(s.set for s in summaries)}
    chosen = {name: own for name, own in parts.items() if name != ALL} if len(parts) > 2 else {}
    table = Table(title="certified plans, planning times, paths", box=box.SIMPLE_HEAD, collapse_padding=True)
    for number, text in enumerate(("set", *tables.overview(parts[ALL], limit).columns)):
        table.add_column(text, justify="left" if number < 2 else "right")
    for name, own in {**chosen, ALL: parts[ALL]}.items():
        for i, cells in enumerate(tables.overview(own, limit).to_numpy()):
            last = i == len(own) - 1
            table.add_row(name if i == 0 else "", *cells, style="bold" if name == ALL else None, end_section=last)
    console.print(table)
