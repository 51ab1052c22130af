"""What a benchmark leaves: `summary.json`, `report.html` (one file, no scripts), the table on the terminal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from html import escape
from math import floor, log10
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from diffplan.benchmark.machine import Machine
from diffplan.benchmark.ompl_log import ompl_log
from diffplan.benchmark.results import Row
from diffplan.benchmark.runner import Outcome
from diffplan.benchmark.summary import ALL, Summary, counted_time, in_time, summarise
from diffplan.benchmark.worker import Settings

_COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#7f7f7f")

_HEADINGS = (
    "planner",
    "set",
    "certified",
    "95 % interval",
    "median s",
    "p95 s",
    "p98 s",
    "max s",
    "certify s",
    "path rad",
    "x straight",
    "motion s",
    "contacts",
)


def write_all(
    outcome: Outcome, settings: Settings, machine: Machine, *, workers: int, total_time: float
) -> list[Summary]:
    """Write `summary.json`, `report.html` and `ompl.log` into the run's folder; return the summaries."""
    rows, limit, folder = outcome.rows, settings.timeout, settings.folder
    summaries = summarise(rows, limit)
    document = {
        "format": "diffplan/summary@1",
        "suite": settings.suite,
        "time_limit_s": limit,
        "fallback": settings.fallback,
        "options": settings.options,
        "dense_check_rad": settings.dense_check,
        "jobs": workers,
        "runs_kept_from_before": outcome.kept,
        "total_time_s": total_time,
        "warm_up_s": outcome.warm_up_s,
        "machine": asdict(machine),
        "notes": _NOTES,
        "results": [asdict(summary) for summary in summaries],
    }
    (folder / "summary.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    name = Path(settings.suite).name.split(".")[0]
    write_report(folder / "report.html", f"diffplan bench {name}", rows, summaries, machine, limit)
    log = ompl_log(name, rows, machine, time_limit=limit, total_time=total_time)
    (folder / "ompl.log").write_text(log, encoding="utf-8")
    return summaries


_NOTES = [
    "certified: passed the independent PyBullet check, planned within the time limit; Wilson 95 % interval",
    "plan times (search, refinement, retiming) hold every run, failures at the time limit; certifying is apart",
    "loading, compiling and one warm-up plan of each planner and process are outside the times (warm_up_s)",
    "path and motion figures: means over certified plans; x straight: mean path over mean straight line",
]


def _cells(summary: Summary) -> list[str]:
    dense = "" if summary.dense_contacts is None else f"{summary.dense_contacts} of {summary.dense_checked}"
    return [
        summary.planner,
        summary.set,
        f"{summary.certified}/{summary.n} ({100 * summary.certified_share:.1f} %)",
        f"{100 * summary.wilson_low:.1f} to {100 * summary.wilson_high:.1f} %",
        f"{summary.plan_time_median_s:.3f}",
        f"{summary.plan_time_p95_s:.3f}",
        f"{summary.plan_time_p98_s:.3f}",
        f"{summary.plan_time_max_s:.3f}",
        _number(summary.certify_time_mean_s, 3),
        _number(summary.path_mean_rad, 2),
        _number(summary.path_ratio, 2),
        _number(summary.duration_mean_s, 2),
        dense,
    ]


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


_SHORT = (0, 1, 2, 4, 5, 7, 9, 10, 12)  # the columns that fit a terminal


def print_table(summaries: Sequence[Summary], console: Console) -> None:
    """Print the most important columns."""
    table = Table(title="certified plans, plan times, paths", box=box.SIMPLE_HEAD, collapse_padding=True)
    for column in _SHORT:
        table.add_column(_HEADINGS[column], justify="left" if column < 2 else "right", no_wrap=True)
    for summary in summaries:
        cells, overall = _cells(summary), summary.set == ALL
        table.add_row(*(cells[i] for i in _SHORT), style="bold" if overall else None, end_section=overall)
    console.print(table)


def write_report(
    path: Path, title: str, rows: list[Row], summaries: list[Summary], machine: Machine, limit: float
) -> None:
    """Write `report.html`: overall table, success against time, table by set, failures, machine and command."""
    failures = [row for row in rows if not in_time(row, limit)]
    parts = [
        f"<h1>{escape(title)}</h1>",
        _html_table(_HEADINGS, [_cells(summary) for summary in summaries if summary.set == ALL]),
        "<h2>Certified within a time</h2>",
        success_plot(rows, limit),
        "<h2>By set</h2>",
        _html_table(_HEADINGS, [_cells(summary) for summary in summaries if summary.set != ALL]),
        f"<h2>Not certified ({len(failures)})</h2>",
        _html_table(
            ("planner", "problem", "seed", "status", "message"),
            [[row.planner, row.problem, str(row.seed), row.status, row.message] for row in failures[:200]],
        ),
        "<h2>How it was measured</h2><ul>",
        *(f"<li>{escape(note)}</li>" for note in _NOTES),
        f"<li>{escape(machine.cpu)}, {machine.cores} cores, load {machine.load_at_start} at start</li>",
        f"<li>threads: {escape(str(machine.threads or 'not limited'))}; Python {machine.python}; "
        f"{escape(', '.join(f'{k} {v}' for k, v in machine.versions.items()))}</li>",
        f"<li>commit {escape(machine.commit or 'unknown')}</li><li><code>{escape(machine.command)}</code></li></ul>",
    ]
    path.write_text(_PAGE.format(title=escape(title), body="\n".join(parts)), encoding="utf-8")


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>
body {{ font: 15px/1.45 system-ui, sans-serif; max-width: 70rem; margin: 0 auto; padding: 1rem; }}
h1 {{ font-size: 1.4rem; }} h2 {{ font-size: 1.1rem; margin-top: 2rem; }}
.wide {{ overflow-x: auto; }} table {{ border-collapse: collapse; font-size: 13px; }}
th, td {{ padding: .25rem .6rem; text-align: right; white-space: nowrap; border-bottom: 1px solid #ddd; }}
th:first-child, td:first-child, th:nth-child(2), td:nth-child(2), td:last-child {{ text-align: left; }}
svg {{ width: 100%; max-width: 44rem; height: auto; }} code {{ overflow-wrap: anywhere; }}
</style></head><body>
{body}
</body></html>
"""


def _html_table(headings: Sequence[str], rows: list[list[str]]) -> str:
    head = "".join(f"<th>{escape(text)}</th>" for text in headings)
    body = "".join("<tr>" + "".join(f"<td>{escape(text)}</td>" for text in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def success_plot(rows: list[Row], limit: float) -> str:
    """Return an SVG: share of runs certified within a plan time, against that time (logarithmic)."""
    good = [counted_time(row, limit) for row in rows if in_time(row, limit)]
    low = 10 ** floor(log10(max(min(good, default=0.1), 1e-3)))
    left, right, top, bottom = 45.0, 690.0, 10.0, 280.0

    def x(time: float) -> float:
        return left + (right - left) * log10(max(time, low) / low) / log10(limit / low)

    def y(share: float) -> float:
        return bottom - (bottom - top) * share

    lines = ['<svg viewBox="0 0 720 340" font-size="12" fill="none" role="img" aria-label="success against time">']
    for percent in (0, 25, 50, 75, 100):
        lines.append(f'<path d="M{left} {y(percent / 100):.1f}H{right}" stroke="#ddd"/>')
        lines.append(
            f'<text x="{left - 6}" y="{y(percent / 100) + 4:.1f}" text-anchor="end" fill="#555">{percent} %</text>'
        )
    tick = low
    while tick <= limit:
        lines.append(f'<path d="M{x(tick):.1f} {top}V{bottom}" stroke="#eee"/>')
        lines.append(f'<text x="{x(tick):.1f}" y="{bottom + 16}" text-anchor="middle" fill="#555">{tick:g} s</text>')
        tick *= 10
    for number, planner in enumerate(dict.fromkeys(row.planner for row in rows)):
        own = [row for row in rows if row.planner == planner]
        colour = _COLOURS[number % len(_COLOURS)]
        path = f"M{left} {bottom}"
        for count, time in enumerate(sorted(counted_time(row, limit) for row in own if in_time(row, limit)), start=1):
            path += f"H{x(time):.1f}V{y(count / len(own)):.1f}"
        lines.append(f'<path d="{path}H{right}" stroke="{colour}" stroke-width="2"/>')
        lines.append(f'<text x="{left + 10 + 130 * number}" y="{bottom + 44}" fill="{colour}">{escape(planner)}</text>')
    return "".join([*lines, "</svg>"])
