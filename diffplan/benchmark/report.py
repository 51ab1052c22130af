"""What a benchmark leaves: `summary.json`, `report.html` (one file, no scripts), the table on the terminal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from diffplan.benchmark.machine import Machine
from diffplan.benchmark.ompl_log import ompl_log
from diffplan.benchmark.results import Row
from diffplan.benchmark.runner import Outcome
from diffplan.benchmark.summary import ALL, Summary, counted_time, in_time, summarise
from diffplan.benchmark.svg import SuccessAxes, colour
from diffplan.benchmark.worker import Settings

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


def print_summaries(summaries: Sequence[Summary], console: Console) -> None:
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
        html_table(_HEADINGS, [_cells(summary) for summary in summaries if summary.set == ALL]),
        "<h2>Certified within a time</h2>",
        success_plot(rows, limit),
        "<h2>By set</h2>",
        html_table(_HEADINGS, [_cells(summary) for summary in summaries if summary.set != ALL]),
        f"<h2>Not certified ({len(failures)})</h2>",
        html_table(
            ("planner", "problem", "seed", "status", "message"),
            [[row.planner, row.problem, str(row.seed), row.status, row.message] for row in failures[:200]],
        ),
        "<h2>How it was measured</h2>",
        measured_how(_NOTES, machine),
    ]
    path.write_text(page(title, parts), encoding="utf-8")


def measured_how(notes: Sequence[str], machine: Machine) -> str:
    """Return a list: notes, machine, threads, versions, commit, command."""
    versions = ", ".join(f"{k} {v}" for k, v in machine.versions.items())
    items = (
        *map(escape, notes),
        escape(f"{machine.cpu}, {machine.cores} cores, load {machine.load_at_start} at start"),
        escape(f"threads: {machine.threads or 'not limited'}; Python {machine.python}; {versions}"),
        escape(f"commit {machine.commit or 'unknown'}"),
        f"<code>{escape(machine.command)}</code>",
    )
    return "<ul>" + "".join(f"<li>{item}</li>" for item in items) + "</ul>"


def page(title: str, body: Sequence[str]) -> str:
    """Return a whole HTML page of these parts."""
    return _PAGE.format(title=escape(title), body="\n".join(body))


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>
body {{ font: 15px/1.45 system-ui, sans-serif; max-width: 70rem; margin: 0 auto; padding: 1rem; }}
html {{ color: #111; background: #fff; }}
h1 {{ font-size: 1.4rem; }} h2 {{ font-size: 1.1rem; margin-top: 2rem; }}
.wide {{ overflow-x: auto; }} table {{ border-collapse: collapse; font-size: 13px; }}
th, td {{ padding: .25rem .6rem; text-align: right; white-space: nowrap; border-bottom: 1px solid #ddd; }}
th:first-child, td:first-child, th:nth-child(2), td:nth-child(2), td:last-child {{ text-align: left; }}
svg {{ width: 100%; min-width: 32rem; max-width: 44rem; height: auto; }} code {{ overflow-wrap: anywhere; }}
table.numbers :is(th, td):nth-child(n+2) {{ text-align: right; }}
table.text td {{ text-align: left; white-space: normal; vertical-align: top; }}
.steps {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(16rem, 1fr)); gap: .5rem; }}
.steps figure {{ margin: 0; break-inside: avoid; }} .steps img {{ width: 100%; height: auto; }}
@media print {{ body {{ max-width: none; }} .wide {{ overflow: visible; }} tr, svg {{ break-inside: avoid; }} }}
</style></head><body>
{body}
</body></html>
"""


def html_table(headings: Sequence[str], rows: Sequence[Sequence[str]], kind: str = "") -> str:
    """Return a table that scrolls sideways where it is too wide; lines of a cell stay apart; `kind` is a CSS class."""
    head = "".join(f"<th>{_lines(text)}</th>" for text in headings)
    body = "".join("<tr>" + "".join(f"<td>{_lines(text)}</td>" for text in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table class="{kind}"><tr>{head}</tr>{body}</table></div>'


def _lines(text: str) -> str:
    return escape(text).replace("\n", "<br/>")


def success_plot(rows: list[Row], limit: float) -> str:
    """Return an SVG: share of runs certified within a plan time, against that time (logarithmic)."""
    good = [counted_time(row, limit) for row in rows if in_time(row, limit)]
    axes = SuccessAxes.around([max(min(good, default=0.1), 1e-3), limit])
    curves = []
    planners = list(dict.fromkeys(row.planner for row in rows))
    for number, planner in enumerate(planners):
        own = [row for row in rows if row.planner == planner]
        path = f"M{axes.left} {axes.bottom}"
        for count, time in enumerate(sorted(counted_time(row, limit) for row in own if in_time(row, limit)), start=1):
            path += f"H{axes.x(time):.1f}V{axes.y(count / len(own)):.1f}"
        curves.append(f'<path d="{path}H{axes.right}" stroke="{colour(number)}" stroke-width="2"/>')
    return axes.drawing(curves, planners)
