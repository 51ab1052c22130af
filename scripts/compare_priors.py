"""Priors and random seeds against each other, arm by arm: one round, no repair, walks or helper, all certified.

    python scripts/compare_priors.py SUITE [SUITE ...] --prior NAME=FILE[,OPTION=VALUE ...] [--prior ...] --out DIR

A suite is of one arm (`diffplan data problems --robot NAME`). `--prior NAME=FILE` is one kind of seeds, random curves
are always among them, and `NAME=` (no file) is what the arm's own planner would take. `{robot}` in FILE stands for the
arm, for priors that differ by it. Options are the planner's: `common+guided=FILE,guidance_steps=2`. Every kind is tried
on every problem, at every batch size, for every seed. The run goes on where it was stopped: each row is on the disk at
once. Suites, kinds, batch sizes and seeds may be added later; rows stay, and how/ tells what they were made of.

results.csv has the rows as `diffplan bench` writes them (planner: kind@batch, set: the arm); table.md and table.json
have certified shares by arm with Wilson's interval, also at equal planning time: success is interpolated between
batch sizes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from diffplan.benchmark.comparison import Curve, at_equal_time
from diffplan.benchmark.results import ResultRow, RowWriter, read_rows
from diffplan.benchmark.suites import Case, load_cases
from diffplan.benchmark.summary import wilson_interval
from diffplan.benchmark.worker import Job, row_of
from diffplan.ends import configuration, goal_configurations
from diffplan.errors import InputError
from diffplan.formats.run_settings import claim_settings
from diffplan.planners.diffusion import DiffusionConfig, DiffusionPlanner
from diffplan.planners.options import configured
from diffplan.planning import solve
from diffplan.prior.choice import kept_prior, prior_file
from diffplan.prior.unet import chosen_products
from diffplan.problem import Problem
from diffplan.robot.model import Robot
from diffplan.system.files import alone_in, make_folder, write_text

RANDOM = "random"
TIMEOUT_S = 30.0  # one round ends long before


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One kind of seeds at one batch size for one arm; times in s are medians of planning."""

    arm: str
    kind: str
    batch: int
    n: int
    certified: int
    share: float
    low: float
    high: float
    plan_time_s: float


@dataclass(frozen=True, kw_only=True)
class EqualTime:
    """A kind against random seeds for one arm: the mean difference in points at equal planning times, if they meet."""

    arm: str
    kind: str
    points: float | None
    times: int


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of seeds: a prior's file ("" for the arm's own), and options of the planner."""

    name: str
    file: str
    options: dict[str, object]

    @staticmethod
    def read(word: str) -> Kind:
        """Return the kind of a word `NAME=FILE[,OPTION=VALUE ...]`.

        Raises:
            InputError: if the word is none, or the planner has no such option.
        """
        name, equals, rest = word.partition("=")
        file, *words = rest.split(",")
        if not name or not equals or any(letter in name for letter in "@/\\") or name == RANDOM:
            raise InputError("not a prior with a name of its own", key="--prior", value=word, allowed="NAME=FILE")
        options = {key: value_of(text) for key, _, text in (word.partition("=") for word in words)}
        kind = Kind(name=name, file=file, options=options)
        kind.config(1)
        return kind

    def config(self, batch: int) -> DiffusionConfig:
        """Return the options of one round of so many samples."""
        seeds = "random" if self.name == RANDOM else "prior"
        config = DiffusionConfig(
            seeds=seeds, batch=batch, largest_batch=batch, rounds=1, repair=False, first_look=0, walkers=0
        )
        return configured(config, self.options, self.name)

    def weights(self, robot: Robot) -> Path | None:
        """Return the file of the prior for an arm; None for random curves."""
        if self.name == RANDOM:
            return None
        return Path(self.file.replace("{robot}", robot.name)) if self.file else prior_file(robot)

    def planner(self, robot: Robot, batch: int) -> DiffusionPlanner:
        """Return the planner of one round of so many samples for an arm."""
        file = self.weights(robot)
        return DiffusionPlanner(self.config(batch), prior=file and kept_prior(file, chosen_products()))

    def claim(self, out: Path, suite: str, robot: Robot) -> None:
        """Note for an arm what its rows are made of, or make sure that those there are made of the same.

        Raises:
            InputError: if they are not, or the prior's file is not there.
        """
        file = self.weights(robot)
        how: dict[str, object] = {"suite": suite, "options": self.options}
        if file is not None:
            kept_prior(file, chosen_products()).check(robot)
            how["weights"] = hashlib.sha256(file.read_bytes()).hexdigest()
        note = out / "how" / f"{robot.name}@{self.name}.json"
        claim_settings(note, how, "this folder holds rows of this kind made otherwise")


def value_of(text: str) -> object:
    """Return a number, a flag or a word."""
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def runs(
    cases: Sequence[Case], kinds: Sequence[Kind], batches: Sequence[int], seeds: int, done: set[object]
) -> Iterator[ResultRow]:
    """Yield the rows that are missing."""
    for number, case in enumerate(cases):
        arm, problem = case.robot.name, None
        for batch in batches:
            for kind in kinds:
                for seed in range(seeds):
                    job = Job(planner=f"{kind.name}@{batch}", case=number, problem=f"{arm}/{case.id}", seed=seed)
                    if job.key in done:
                        continue
                    problem = problem or as_problem(case)
                    planner = kind.planner(case.robot, batch)
                    plan = solve(problem, planner=planner, seed=seed, timeout=TIMEOUT_S, fallback=False)
                    yield row_of(plan, job)


def as_problem(case: Case) -> Problem:
    """Return a case as a problem."""
    start = configuration(case.robot, case.start, "start")
    goals = goal_configurations(case.robot, case.scene, case.goal, start, seed=0)
    return Problem(robot=case.robot, scene=case.scene, start=start, goals=goals, name=case.id)


def cells_of(rows: Sequence[ResultRow]) -> list[Cell]:
    """Return the figures of every arm, kind and batch size, in the order of the rows."""
    own: dict[tuple[str, str], list[ResultRow]] = {}
    for row in rows:
        own.setdefault((row.set, row.planner), []).append(row)
    found = []
    for (arm, planner), some in own.items():
        kind, _, batch = planner.rpartition("@")
        certified = sum(row.certified for row in some)
        low, high = wilson_interval(certified, len(some))
        times = [row.plan_time_s for row in some if row.plan_time_s is not None]
        found.append(
            Cell(
                arm=arm,
                kind=kind,
                batch=int(batch),
                n=len(some),
                certified=certified,
                share=certified / len(some),
                low=low,
                high=high,
                plan_time_s=float(np.median(times)) if times else 0.0,
            )
        )
    return found


def equal_times(cells: Sequence[Cell]) -> list[EqualTime]:
    """Return every kind against random seeds at equal planning time, arm by arm."""
    found = []
    for arm in dict.fromkeys(cell.arm for cell in cells):
        curves = {
            kind: Curve.through([(c.plan_time_s, c.share) for c in cells if (c.arm, c.kind) == (arm, kind)])
            for kind in dict.fromkeys(cell.kind for cell in cells if cell.arm == arm)
        }
        for kind, curve in curves.items():
            if kind != RANDOM and RANDOM in curves:
                times = at_equal_time(curves[RANDOM], curve)
                points = float(np.mean([time.points for time in times])) if times else None
                found.append(EqualTime(arm=arm, kind=kind, points=points, times=len(times)))
    return found


def table(cells: Sequence[Cell], equal: Sequence[EqualTime]) -> str:
    """Return the tables in Markdown."""
    batches = sorted({cell.batch for cell in cells})
    lines = ["| arm | seeds | runs | " + " | ".join(f"batch {b}" for b in batches) + " | at equal time |"]
    lines.append("|" + "---|" * (4 + len(batches)))
    points = {(e.arm, e.kind): e for e in equal}
    for arm, kind in dict.fromkeys((cell.arm, cell.kind) for cell in cells):
        own = {cell.batch: cell for cell in cells if (cell.arm, cell.kind) == (arm, kind)}
        shown = [_shown(own.get(batch)) for batch in batches]
        against = points.get((arm, kind))
        difference = "" if against is None or against.points is None else f"{against.points:+.1f} points"
        runs = "/".join(str(n) for n in dict.fromkeys(cell.n for cell in own.values()))
        lines.append(f"| {arm} | {kind} | {runs} | " + " | ".join(shown) + f" | {difference} |")
    return "\n".join(lines) + "\n"


def _shown(cell: Cell | None) -> str:
    if cell is None:
        return ""
    return f"{cell.share:.1%} ({cell.low:.0%}-{cell.high:.0%}), {1000 * cell.plan_time_s:.0f} ms"


def read_kinds(words: Sequence[str]) -> list[Kind]:
    """Return random curves and the kinds of `--prior` words.

    Raises:
        InputError: if a word is none, or a name is taken.
    """
    kinds = [Kind(name=RANDOM, file="", options={})]
    for word in words:
        kind = Kind.read(word)
        if kind.name in [other.name for other in kinds]:
            raise InputError("the name of another one", key="--prior", value=word, allowed="a name of its own")
        kinds.append(kind)
    return kinds


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suites", nargs="+", metavar="SUITE")
    parser.add_argument("--prior", action="append", default=[], metavar="NAME=FILE[,OPTION=VALUE ...]")
    parser.add_argument("--batches", default="1,4,16")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--limit", type=int, help="problems of each suite (default: all)")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(argv)
    try:
        kinds, batches = read_kinds(args.prior), [int(batch) for batch in args.batches.split(",")]
        make_folder(args.out / "how")
        with alone_in(args.out):
            _compare(args, kinds, batches)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _compare(args: argparse.Namespace, kinds: Sequence[Kind], batches: Sequence[int]) -> None:
    suites = {suite: load_cases(suite)[: args.limit] for suite in args.suites}
    for suite, cases in suites.items():
        for robot in {case.robot.name: case.robot for case in cases}.values():
            for kind in kinds:
                kind.claim(args.out, suite, robot)
    file = args.out / "results.csv"
    rows = read_rows(file) if file.exists() else []
    with RowWriter(file, rows) as writer:
        for cases in suites.values():
            for row in runs(cases, kinds, batches, args.seeds, {row.key for row in rows}):
                writer.append(row)
                rows.append(row)
    cells = cells_of(rows)
    equal = equal_times(cells)
    told = {"cells": [asdict(cell) for cell in cells], "equal_time": [asdict(e) for e in equal]}
    write_text(args.out / "table.json", json.dumps(told, indent=1) + "\n")
    write_text(args.out / "table.md", table(cells, equal))
    print(table(cells, equal), end="")


if __name__ == "__main__":
    sys.exit(main())
