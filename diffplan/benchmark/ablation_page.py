"""The page of an ablation: one file, no scripts, readable on a phone and in print; and the same figures as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean

from diffplan.benchmark.ablation import Ablation
from diffplan.benchmark.ablation_checks import checks
from diffplan.benchmark.ablation_tables import tables
from diffplan.benchmark.machine import Machine
from diffplan.benchmark.page import page
from diffplan.benchmark.plots import round_plot, success_plot
from diffplan.benchmark.results import ResultRow
from diffplan.benchmark.summary import frame
from diffplan.benchmark.variants import ADAPTIVE, label
from diffplan.benchmark.worker import BenchmarkSettings
from diffplan.robot.model import Robot
from diffplan.robot.rates import assumed_words
from diffplan.system.files import write_text

_NOTES = (
    "certified: the motion passed the independent PyBullet check on the real meshes and came within the time limit; "
    "nobody helps (no fallback)",
    "planning time: search, refinement, timing of the motion; loading, compiling, one warm-up plan of each variant and "
    "the certificate are outside",
    "all variants of a problem run one after the other in one process with one thread (unless --jobs says otherwise)",
    "several seeds of a problem count as runs of their own in intervals and tests",
)


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A PNG picture and the words above it."""

    png: bytes
    caption: str


@dataclass(frozen=True, kw_only=True)
class PictureRow:
    """The pictures of one problem, in their order."""

    title: str
    pictures: tuple[Picture, ...]


def pictured(rows: Sequence[ResultRow], count: int) -> list[str]:
    """Return the problems to draw: one of each set in turn, of those that any run certified, the telling first.

    The nearer to half of the runs failed, the more a problem tells; the order of the rows decides between equals.
    """
    verdicts: dict[str, list[bool]] = {}
    for row in rows:
        verdicts.setdefault(row.problem, []).append(row.certified)
    solvable = {row.problem: row.set for row in rows if row.certified}
    turn: dict[str, int] = {}
    order = []
    for problem in sorted(solvable, key=lambda problem: abs(fmean(verdicts[problem]) - 0.5)):
        name = solvable[problem]
        turn[name] = turn.get(name, 0) + 1
        order.append((turn[name], problem))
    return [problem for _, problem in sorted(order, key=lambda entry: entry[0])][:count]


def write_ablation(
    a: Ablation,
    rows: Sequence[ResultRow],
    settings: BenchmarkSettings,
    machine: Machine,
    pictures: Sequence[PictureRow],
    *,
    robots: Iterable[Robot] = (),
    workers: int,
    warm_up_s: dict[str, float],
) -> None:
    """Write `ablation.json` and `ablation.html` into the run's folder; `robots` are those of the problems."""
    notes = (*_NOTES, *assumed_words(robots))
    document = {
        "format": "diffplan/ablation@1",
        "suite": settings.suite,
        "jobs": workers,
        **asdict(a),
        "mean_points_at_equal_time": [
            {"before": e.before, "after": e.after, "points": e.mean_points} for e in a.equal_time
        ],
        "checks": [asdict(check) for check in checks(a)],
        "warm_up_s": warm_up_s,
        "notes": notes,
        "machine": asdict(machine),
    }
    write_text(settings.folder / "ablation.json", json.dumps(document, indent=2) + "\n")
    own = {v.title: label(v.name, ADAPTIVE) for v in a.variants}
    first = [replace(row, planner=title) for title, name in own.items() for row in rows if row.planner == name]
    text = page(
        "ablation.html.jinja",
        curves=len(a.variants),
        name=Path(settings.suite).name.split(".")[0],
        batches=a.batches,
        tables=tables(a),
        rounds=round_plot(a),
        success=success_plot(frame(first, a.time_limit_s), a.time_limit_s),
        pictures=pictures,
        notes=notes,
        machine=machine,
    )
    write_text(settings.folder / "ablation.html", text)
