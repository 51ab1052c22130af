"""The drawings of a comparison: success against time, and boxes of what the certified plans are like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from diffplan.benchmark.page import TextTable, html_table
from diffplan.benchmark.results import Row
from diffplan.benchmark.summary import best_paths, counted_time, in_time, wilson_interval
from diffplan.benchmark.svg import Box, Scale, SuccessAxes, box_plot, hue, label, legend, marker, stroke, tick_text

_MOST_BANDS = 4
_LEAST_RUNS = 10
_BAR_SPACE = 13.0
_PERCENTILES = (5, 25, 50, 75, 95)


def success_plot(rows: Sequence[Row], limit: float) -> str:
    """Return a drawing: share of runs certified within a plan time, against that time (logarithmic), and its legend.

    To the right of the axes stands each planner's share at the time limit [s] with Wilson's 95 % interval; the whole
    curves have bands of that interval if they are at most four, each of ten runs at least: with fewer a band is as wide
    as the drawing.
    """
    good = [counted_time(row, limit) for row in rows if in_time(row, limit)]
    planners = list(dict.fromkeys(row.planner for row in rows))
    right = 705 - _BAR_SPACE * (len(planners) + 1)
    axes = SuccessAxes.around([max(min(good, default=limit / 10), 1e-3), limit], right=right)
    bands, curves = [], []
    for number, planner in enumerate(planners):
        own = [row for row in rows if row.planner == planner]
        times = sorted(counted_time(row, limit) for row in own if in_time(row, limit))
        middle = len(times) // 2
        shares = [count / len(own) for count in range(len(times) + 1)]
        intervals = [wilson_interval(count, len(own)) for count in range(len(times) + 1)]
        if len(planners) <= _MOST_BANDS and len(own) >= _LEAST_RUNS:
            low, high = ([interval[side] for interval in intervals] for side in (0, 1))
            bands.append(f'<path d="{_band(axes, times, low, high)}" class="f{hue(number)}" fill-opacity=".13"/>')
        x = axes.right + _BAR_SPACE * (number + 1)
        low, high = (axes.y(share) for share in intervals[-1])
        curves += [
            f"<g><title>{escape(planner)}: {100 * shares[-1]:.1f} % within {tick_text(limit)}</title>",
            f'<path d="{_steps(axes, times, shares)}" {stroke(number)}/>',
            *([marker(number, axes.x(times[middle]), axes.y(shares[middle + 1]))] if times else []),
            f'<path d="M{x:.1f} {low:.1f}V{high:.1f}m-3 0h6M{x - 3:.1f} {low:.1f}h6" class="s{hue(number)}"/>',
            f"{marker(number, x, axes.y(shares[-1]))}</g>",
        ]
    bars = axes.right + _BAR_SPACE * (len(planners) + 1) / 2
    curves.append(label(bars, axes.bottom + 50, "at the limit", kind="minor"))
    title = f"Share of runs certified within a planning time up to {tick_text(limit)}, a line for each planner"
    return axes.drawing(title, [*bands, *curves], planners)


def _steps(axes: SuccessAxes, times: Sequence[float], shares: Sequence[float]) -> str:
    """Return a line that rises at each time to the next share; steps at one place of the drawing are one."""
    path, before = f"M{axes.left} {axes.y(shares[0]):.1f}", ""
    for i, time in enumerate(times):
        here = f"{axes.x(time):.1f}"
        if i + 1 < len(times) and here == f"{axes.x(times[i + 1]):.1f}":
            continue
        path += (f"H{here}" if here != before else "") + f"V{axes.y(shares[i + 1]):.1f}"
        before = here
    return f"{path}H{axes.right:.1f}"


def _band(axes: SuccessAxes, times: Sequence[float], low: Sequence[float], high: Sequence[float]) -> str:
    """Return the outline of what lies between two stepwise lines."""
    places = [axes.x(time) for time in times]
    back = f"V{axes.y(low[-1]):.1f}"
    for place, share in zip(reversed(places), reversed(low[:-1]), strict=True):
        back += f"H{place:.1f}V{axes.y(share):.1f}"
    return f"{_steps(axes, times, high)}{back}H{axes.left}z"


@dataclass(frozen=True, kw_only=True)
class Quality:
    """A quantity of certified plans: `value` of a run (None if it has none), a plain sentence on what it tells."""

    title: str
    meaning: str
    value: Callable[[Row], float | None]
    digits: int
    log: bool = False
    least: float | None = None


def qualities(rows: Sequence[Row]) -> tuple[Quality, ...]:
    """Return what is drawn; the best known path of a problem is the shortest certified one among these rows."""
    best = best_paths(rows)
    return (
        Quality(
            title="Path length / straight line",
            meaning="How many times as long as the straight line in joint space, which no path can beat.",
            value=lambda row: _ratio(row.path_length_rad, row.straight_line_rad),
            digits=2,
            least=1.0,
        ),
        Quality(
            title="Path length / best known",
            meaning="The same against the shortest certified path that any planner found on that problem.",
            value=lambda row: _ratio(row.path_length_rad, best.get(row.problem)),
            digits=2,
            least=1.0,
        ),
        Quality(
            title="Duration of the motion [s]",
            meaning="How long the robot moves; every path is timed by the same program under the same limits.",
            value=lambda row: row.duration_s,
            digits=2,
            least=0.0,
        ),
        Quality(
            title="Planning time of certified runs [s]",
            meaning="How long planning took where it succeeded; failures are left out here, but not in the tables.",
            value=lambda row: row.plan_time_s,
            digits=3,
            log=True,
        ),
        Quality(
            title="Least clearance from obstacles [mm]",
            meaning="How near the robot comes to an obstacle, at the nearest; starts and goals alone may be this near.",
            value=lambda row: None if row.min_clearance_m is None else 1000 * row.min_clearance_m,
            digits=1,
            least=0.0,
        ),
        Quality(
            title="Largest jerk [rad/s³]",
            meaning="How suddenly the acceleration changes, at the worst moment of a motion; jerk is not limited.",
            value=lambda row: row.max_jerk,
            digits=0,
            log=True,
        ),
    )


def _ratio(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None


def quality_plots(rows: Sequence[Row], limit: float) -> str:
    """Return the drawings of all qualities that the rows have, each with the table of its figures, and one legend."""
    planners = list(dict.fromkeys(row.planner for row in rows))
    good = [row for row in rows if in_time(row, limit)]
    figures = [_quality_plot(quality, planners, good) for quality in qualities(rows)]
    return f'{legend(planners)}<div class="plots">{"".join(figures)}</div>'


def _quality_plot(quality: Quality, planners: Sequence[str], good: Sequence[Row]) -> str:
    boxes, counts = [], []
    for number, planner in enumerate(planners):
        found = [quality.value(row) for row in good if row.planner == planner]
        values = [value for value in found if value is not None and (value > 0 or not quality.log)]
        if values:
            p5, p25, p50, p75, p95 = (float(p) for p in np.percentile(values, _PERCENTILES))
            boxes.append(Box(name=planner, number=number, percentiles=(p5, p25, p50, p75, p95)))
            counts.append(len(values))
    if not boxes:
        return ""
    ends = [box.percentiles[i] for box in boxes for i in (0, -1)]
    scale = Scale.around(ends, log=quality.log, least=quality.least)
    medians = [f"{box.percentiles[2]:.{quality.digits}f}" for box in boxes]
    drawn = box_plot(f"{quality.title} of certified plans, a box for each planner", boxes, scale, medians)
    table = TextTable(
        title=quality.title,
        headings=("planner", "plans", *(f"{p} %" if p != 50 else "median" for p in _PERCENTILES)),
        rows=tuple(
            (box.name, str(count), *(f"{p:.{quality.digits}f}" for p in box.percentiles))
            for box, count in zip(boxes, counts, strict=True)
        ),
    )
    return (
        f"<figure><h3>{escape(quality.title)}</h3>{drawn}<figcaption>{escape(quality.meaning)}</figcaption>"
        f"<details><summary>the figures</summary>{html_table(table)}</details></figure>"
    )
