"""`diffplan bench`: planners on problems, in worker processes; tables, plans and a report in a folder."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, TextIO

from diffplan.commands.common import add_planner_arguments, check_planner, positive, positive_number, read_options

if TYPE_CHECKING:
    from rich.console import Console

    from diffplan.benchmark.results import Row


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("suite", metavar="SUITE", help="problem suite (.json, .json.gz), scene, or folder of scenes")
    parser.add_argument("--planners", type=_names, required=True, metavar="A,B", help="see `diffplan planners`")
    parser.add_argument("--limit", type=positive, metavar="N", help="only the first N problems of each set")
    parser.add_argument("--sets", type=_names, metavar="A,B", help="only these sets")
    parser.add_argument("--seeds", type=positive, default=1, metavar="N", help="seeds 0 to N-1 (default 1)")
    add_planner_arguments(parser)
    parser.add_argument("--robot", metavar="NAME", help="robot, if the scenes name none or another is meant")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder; an unfinished run goes on there"
    )
    parser.add_argument(
        "--jobs",
        type=positive,
        default=1,
        metavar="N",
        help="problems at a time, each with one thread (default 1: each plan has the whole machine to itself)",
    )
    parser.add_argument(
        "--dense-check",
        type=positive_number,
        metavar="RAD",
        help="check each certified plan again at this joint step (0.005, say); times are not affected",
    )


def _names(text: str) -> list[str]:
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        raise argparse.ArgumentTypeError("no names")
    return names


def run(args: argparse.Namespace, out: TextIO) -> int:
    """Run what is not done yet, then write summary, report and log; prints where they are."""
    for planner in args.planners:
        check_planner(planner)
    options = read_options(args.options, args.planners) if args.options else {}
    from rich.console import Console

    from diffplan.benchmark.machine import this_machine
    from diffplan.benchmark.pool import Pool
    from diffplan.benchmark.report import print_table, write_all
    from diffplan.benchmark.runner import all_jobs, run
    from diffplan.benchmark.suites import load_cases, select
    from diffplan.benchmark.worker import Settings

    begin, machine = perf_counter(), this_machine()
    cases = load_cases(args.suite, args.robot)
    chosen = select(cases, sets=args.sets, limit=args.limit)
    settings = Settings(
        suite=args.suite,
        robot=args.robot,
        timeout=args.timeout,
        fallback=not args.no_fallback,
        options=options,
        dense_check=args.dense_check,
        folder=args.out,
    )
    jobs = all_jobs(cases, chosen, args.planners, args.seeds)
    console = Console(stderr=True, width=None if sys.stderr.isatty() else 110)
    try:
        with _reporting(console, len(jobs)) as report:
            outcome = run(jobs, Pool(settings=settings, size=args.jobs), report=report)
    except KeyboardInterrupt:
        print(f"{args.out} keeps what is done; the same command goes on from there", file=sys.stderr)
        raise
    summaries = write_all(outcome, settings, machine, workers=args.jobs, total_time=perf_counter() - begin)
    print_table(summaries, console)
    for name in ("results.csv", "summary.json", "report.html", "ompl.log", "plans"):
        print(args.out / name, file=out)
    return 0


@contextmanager
def _reporting(console: Console, total: int) -> Iterator[Callable[[Row | None, int], None]]:
    """Show a progress bar, and a line for every run that failed by error."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        task = progress.add_task("planning", total=total)

        def report(row: Row | None, done: int) -> None:
            if row is None and done:
                console.print(f"{done} of {total} runs are done already")
            if row is not None and row.status in ("error", "killed"):
                console.print(f"{row.planner} on {row.problem}, seed {row.seed}: {row.message}", markup=False)
            progress.update(task, completed=done, description=row.problem if row else "planning")

        yield report
