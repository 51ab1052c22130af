"""The page of an ablation: one file, no scripts, readable on a phone and in print; and the same figures as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from html import escape
from pathlib import Path
from statistics import fmean

from diffplan.benchmark.ablation import Ablation
from diffplan.benchmark.ablation_checks import checks
from diffplan.benchmark.ablation_tables import at_equal_time, expectations, one_round, own_rounds, paired
from diffplan.benchmark.machine import Machine
from diffplan.benchmark.page import heading, image, measured_how, page, section
from diffplan.benchmark.report_plots import success_plot
from diffplan.benchmark.results import Row
from diffplan.benchmark.svg import SuccessAxes, hue, marker, stroke
from diffplan.benchmark.variants import ADAPTIVE, label
from diffplan.benchmark.worker import Settings
from diffplan.files import write_text

_PICTURES = (
    "The hand's paths in a batch, from above and from the side: the prior's clean estimate after each reverse step, "
    "then pushed out of collision, then the shortest drawn tight. Green: the whole arm is clear all along, in the "
    "planner's sphere model; red: some part collides. Grey: obstacles; blue: the arm at the start (dashed) and at the "
    "goal. The noise is the same with and without guidance, and a part of the batch is never guided. Refinement ends "
    "when a quarter of the batch is clear."
)
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


def pictured(rows: Sequence[Row], count: int) -> list[str]:
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
    rows: Sequence[Row],
    settings: Settings,
    machine: Machine,
    pictures: Sequence[PictureRow],
    *,
    workers: int,
    warm_up_s: dict[str, float],
) -> None:
    """Write `ablation.json` and `ablation.html` into the run's folder."""
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
        "notes": _NOTES,
        "machine": asdict(machine),
    }
    write_text(settings.folder / "ablation.json", json.dumps(document, indent=2) + "\n")
    write_text(settings.folder / "ablation.html", _html(a, rows, settings, machine, pictures))


def _html(
    a: Ablation, rows: Sequence[Row], settings: Settings, machine: Machine, pictures: Sequence[PictureRow]
) -> str:
    name = Path(settings.suite).name.split(".")[0]
    title = f"What each part of the planner buys: {name}"
    first_plans = [
        replace(row, planner=v.title) for v in a.variants for row in rows if row.planner == label(v.name, ADAPTIVE)
    ]
    body = [
        f"<h1>{escape(title)}</h1>",
        "<p>Each row of the tables adds one thing to the row above; everything else is the same: refinement, timing, "
        "certificate, problems, seeds.</p>",
        *section(expectations(a)),
        *section(one_round(a)),
        heading("Success against time, one round"),
        round_plot(a),
        f"<p>Points from left to right: batch {', '.join(map(str, a.batches))}; bars: 95 % intervals.</p>",
        *section(at_equal_time(a)),
        *section(own_rounds(a)),
        heading("First certified plan within a time, the planner's own rounds"),
        success_plot(first_plans, a.time_limit_s),
        *section(paired(a)),
        *_gallery(pictures),
        heading("How it was measured"),
        measured_how(_NOTES, machine),
    ]
    return page(title, body)


def round_plot(a: Ablation) -> str:
    """Return an SVG: success of single rounds with its interval over the median planning time, batch by batch."""
    points = {v.name: [a.point(v.name, batch) for batch in a.batches] for v in a.variants}
    times = [max(p.plan_time_median_s, 1e-3) for own in points.values() for p in own]
    axes = SuccessAxes.around(times)
    curves = []
    for number, own in enumerate(points.values()):
        places = [(axes.x(p.plan_time_median_s), axes.y(p.share)) for p in own]
        line = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        curves.append(f'<path d="M{line}" {stroke(number)}/>')
        for p, (x, y) in zip(own, places, strict=True):
            bar = f"M{x:.1f} {axes.y(p.low):.1f}V{axes.y(p.high):.1f}"
            curves += [f'<path d="{bar}" class="s{hue(number)}" stroke-opacity=".5"/>', marker(number, x, y)]
    title = "Share of problems certified in one round over the median planning time, a line for each variant"
    return axes.drawing(title, curves, [v.title for v in a.variants])


def _gallery(rows: Sequence[PictureRow]) -> list[str]:
    parts = [heading("What the samples look like, step by step"), f"<p>{escape(_PICTURES)}</p>"] if rows else []
    for row in rows:
        parts.append(f'<h3>{escape(row.title)}</h3><div class="steps">')
        for picture in row.pictures:
            caption, drawn = escape(picture.caption), image(picture.png, picture.caption)
            parts.append(f"<figure><figcaption>{caption}</figcaption>{drawn}</figure>")
        parts.append("</div>")
    return parts
