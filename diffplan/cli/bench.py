"""`diffplan bench`: planners on problems, in worker processes; tables, plans and a report in a folder.

With `--ablation`, variants of the diffusion planner instead, each one thing added to the one before. With `--profile`,
where the time of the planners' calls goes.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from diffplan.cli.common import (
    add_executor_argument,
    add_planner_arguments,
    check_planner,
    positive,
    positive_number,
    read_options,
    resources_of,
    tell_assumed,
    tell_left_out,
)
from diffplan.errors import InputError
from diffplan.system.progress import announce, working
from diffplan.words import count

if TYPE_CHECKING:
    from rich.console import Console

    from diffplan.benchmark.ablation_page import PictureRow
    from diffplan.benchmark.results import ResultRow
    from diffplan.benchmark.suites import Case
    from diffplan.cli.results import Results
    from diffplan.strict.entry import Json

_PICTURED = 3
_BATCHES = (1, 4, 16, 64)

EXAMPLES = (
    "diffplan bench deep_shelf --planners diffusion,rrtconnect --out results",
    "diffplan bench hard --planners straight,diffusion --limit 5 --jobs 2 --out results",
    "diffplan bench hard --ablation --limit 5 --out ablation",
    "diffplan bench hard --planners diffusion --profile --limit 2 --out profile",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("suite", metavar="SUITE", help="problem suite (.json, .json.gz), scene, or folder of scenes")
    compared = parser.add_mutually_exclusive_group(required=True)
    compared.add_argument("--planners", type=_names, metavar="A,B", help="see `diffplan planners`")
    about = "what each part of `diffusion` buys: variants that add one thing at a time, without fallback, one thread"
    compared.add_argument("--ablation", action="store_true", help=about)
    about = f"batch sizes of --ablation (default {','.join(map(str, _BATCHES))})"
    parser.add_argument("--batches", type=_batches, default=_BATCHES, metavar="A,B", help=about)
    parser.add_argument("--limit", type=positive, metavar="N", help="only the first N problems of each set")
    parser.add_argument("--sets", type=_names, metavar="A,B", help="only these sets")
    parser.add_argument("--only", type=_names, metavar="ID,ID", help="only these problems (bookshelf_small/1, say)")
    parser.add_argument("--seeds", type=positive, default=1, metavar="N", help="seeds 0 to N-1 (default 1)")
    add_planner_arguments(parser)
    parser.add_argument("--robot", metavar="NAME", help="robot, if the scenes name none or another is meant")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder; an unfinished run goes on there"
    )
    parser.add_argument(
        "--jobs",
        type=positive,
        metavar="N",
        help="problems at a time, each with one thread (default 1, which has the whole machine to itself; "
        "with --executor ray one for each CPU)",
    )
    add_executor_argument(parser)
    about = "instead of comparing: where the milliseconds of a call go, by part and as a flame picture; one thread"
    parser.add_argument("--profile", action="store_true", help=about)
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


def _batches(text: str) -> tuple[int, ...]:
    return tuple(sorted({positive(name) for name in _names(text)}))


def run(args: argparse.Namespace, out: Results) -> int:
    """Run what is not done yet, then write tables and pages; prints where they are."""
    if args.profile:
        return _profile(args, out)
    return _ablate(args, out) if args.ablation else _compare(args, out)


def _profile(args: argparse.Namespace, out: Results) -> int:
    if args.ablation or args.executor != "local" or args.jobs not in (None, 1):
        allowed = "--planners; neither --executor nor --jobs"
        raise InputError("--profile makes one call after the other, in this process", allowed=allowed)
    from diffplan.system.executor import THREAD_VARIABLES

    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))  # read when the compiled libraries are loaded
    for planner in args.planners:
        check_planner(planner)
    options = read_options(args.options, args.planners) if args.options else {}
    from diffplan.benchmark.profile import part_table, profile, write_profiles
    from diffplan.benchmark.suites import load_cases, select
    from diffplan.system.files import make_folder

    broken: list[InputError] = []
    with working("reading"):
        cases = load_cases(args.suite, args.robot, broken=broken)
    _tell(broken)
    chosen = [cases[i] for i in select(cases, sets=args.sets, limit=args.limit, only=args.only)]
    make_folder(args.out)
    found = []
    for planner in args.planners:
        with working(f"profiling {planner} on {len(chosen)} problems"):
            kept = options.get(planner)
            found.append(profile(chosen, planner, timeout=args.timeout, fallback=not args.no_fallback, options=kept))
    files = write_profiles(found, args.out)
    out.table("parts", ["part [ms]", *args.planners], part_table(found))
    return _done(files, broken, out)


def _compare(args: argparse.Namespace, out: Results) -> int:
    for planner in args.planners:
        check_planner(planner)
    options = read_options(args.options, args.planners) if args.options else {}
    from rich.console import Console

    from diffplan.benchmark.machine import this_machine
    from diffplan.benchmark.report import print_summaries, write_all
    from diffplan.benchmark.runner import Workers, all_jobs, run
    from diffplan.benchmark.suites import load_cases, select
    from diffplan.benchmark.worker import BenchmarkSettings

    begin = perf_counter()
    broken: list[InputError] = []
    with working("reading"):
        cases = load_cases(args.suite, args.robot, broken=broken)
    _tell(broken)
    tell_left_out((case.robot, case.scene) for case in cases)
    tell_assumed(case.robot for case in cases)
    chosen = select(cases, sets=args.sets, limit=args.limit, only=args.only)
    settings = BenchmarkSettings(
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
    with resources_of(args, args.jobs) as place, _reporting(console, len(jobs), args.out) as report:
        machine, at_a_time = this_machine(place), args.jobs or (place.cpus if place.nodes else 1)
        workers = Workers(number=at_a_time, executor=args.executor)
        outcome = run(jobs, settings, workers, report=report, machine=machine)
    with working("writing the report"):
        summaries = write_all(
            outcome,
            settings,
            machine,
            cases=cases,
            planners=args.planners,
            workers=workers.number,
            total_time=perf_counter() - begin,
        )
    print_summaries(summaries, settings.timeout, console)
    if out.as_json:
        from diffplan.strict.strict_json import read_object

        out.value("results", read_object(args.out / "summary.json")["results"])
    names = ("results.csv", "summary.json", "report.html", "ompl.log", "plans")
    return _done([args.out / name for name in names], broken, out)


def _ablate(args: argparse.Namespace, out: Results) -> int:
    from rich.console import Console

    from diffplan.benchmark.ablation import ablation
    from diffplan.benchmark.ablation_page import pictured, write_ablation
    from diffplan.benchmark.ablation_tables import tables
    from diffplan.benchmark.machine import this_machine
    from diffplan.benchmark.runner import Workers, all_jobs, run
    from diffplan.benchmark.suites import load_cases, select
    from diffplan.benchmark.variants import PLANNER, labelled_options, variants
    from diffplan.benchmark.worker import BenchmarkSettings

    chosen = variants()
    shared = read_options(args.options, [PLANNER]).get(PLANNER, {}) if args.options else {}
    options = labelled_options(chosen, args.batches, shared)
    broken: list[InputError] = []
    with working("reading"):
        cases = load_cases(args.suite, args.robot, broken=broken)
    _tell(broken)
    tell_left_out((case.robot, case.scene) for case in cases)
    tell_assumed(case.robot for case in cases)
    settings = BenchmarkSettings(
        suite=args.suite,
        robot=args.robot,
        timeout=args.timeout,
        fallback=False,
        options=options,
        dense_check=args.dense_check,
        folder=args.out,
        variants_of=PLANNER,
    )
    jobs = all_jobs(cases, select(cases, sets=args.sets, limit=args.limit, only=args.only), list(options), args.seeds)
    console = Console(stderr=True, width=None if sys.stderr.isatty() else 110)
    with resources_of(args, args.jobs) as place, _reporting(console, len(jobs), args.out) as report:
        machine, at_a_time = this_machine(place), args.jobs or (place.cpus if place.nodes else 1)
        workers = Workers(number=at_a_time, executor=args.executor, one_thread=True)
        outcome = run(jobs, settings, workers, report=report)
    asked = {job.key for job in jobs}
    rows = [row for row in outcome.rows if row.key in asked]
    figures = ablation(rows, chosen, args.batches, args.timeout)
    drawn = [case for name in pictured(rows, _PICTURED) for case in cases if case.id == name]
    pictures = []
    with working("drawing samples", len(drawn)) as task:
        for case in drawn:
            pictures.append(_pictures(case))
            task.advance()
    with working("writing the report"):
        write_ablation(
            figures,
            rows,
            settings,
            machine,
            pictures,
            robots=[case.robot for case in cases],
            workers=workers.number,
            warm_up_s=outcome.warm_up_s,
        )
    for table in tables(figures).values():
        columns = [str(name) for name in table.cells]
        out.table(table.title, columns, table.cells.to_numpy().tolist(), title=table.title)
        out.line(f"{table.note}\n")
    return _done([args.out / name for name in ("results.csv", "ablation.json", "ablation.html")], broken, out)


def _done(files: Sequence[Path], broken: Sequence[InputError], out: Results) -> int:
    """Print where the results are; return the exit code."""
    names: list[Json] = [str(file) for file in files]
    out.document({"files": names})
    for name in names:
        out.line(str(name))
    return _tell(broken)


def _tell(broken: Sequence[InputError]) -> int:
    """Say which files of a folder are left out, and why; return the exit code that follows."""
    for error in broken:
        print(f"left out: {error}", file=sys.stderr)
    return 2 if broken else 0


def _pictures(case: Case) -> PictureRow:
    """Draw a problem's samples step by step."""
    from diffplan.benchmark.ablation_page import Picture, PictureRow
    from diffplan.ends import configuration, goal_configurations
    from diffplan.problem import Problem
    from diffplan.viewer.samples import draw_samples

    start = configuration(case.robot, case.start, "start")
    goals = goal_configurations(case.robot, case.scene, case.goal, start, seed=0)
    problem = Problem(robot=case.robot, scene=case.scene, start=start, goals=goals, name=case.id)
    pictures = [Picture(png=png, caption=name) for name, png in draw_samples(problem)]
    return PictureRow(title=case.id, pictures=tuple(pictures))


@contextmanager
def _reporting(console: Console, total: int, folder: Path) -> Iterator[Callable[[ResultRow | None, int], None]]:
    """Show a progress bar, a line for every run that failed by error, and on Ctrl-C how to go on."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    announce(f"planning: {count(total, 'run')}")
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        task = progress.add_task("planning", total=total)

        def report(row: ResultRow | None, done: int) -> None:
            if row is None and done:
                console.print(f"{done} of {total} runs are done already")
            if row is not None and row.status in ("error", "killed"):
                console.print(f"{row.planner} on {row.problem}, seed {row.seed}: {row.message}", markup=False)
            progress.update(task, completed=done, description=row.problem if row else "planning")

        try:
            yield report
        except KeyboardInterrupt:
            print(f"{folder} keeps what is done; the same command goes on from there", file=sys.stderr)
            raise
