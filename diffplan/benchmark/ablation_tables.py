"""The tables of an ablation, the same on the terminal and on the page."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, log10

import pandas as pd

from diffplan.benchmark.ablation import Ablation, Point
from diffplan.benchmark.ablation_checks import checks
from diffplan.benchmark.comparison import Change
from diffplan.benchmark.page import number, p_value, percent, seconds
from diffplan.benchmark.variants import ADAPTIVE


@dataclass(frozen=True, kw_only=True)
class TextTable:
    """A table of texts, whose first column names the rows, with a sentence on how to read it.

    `in_words`: the cells are sentences rather than numbers.
    """

    title: str
    cells: pd.DataFrame
    note: str
    in_words: bool = False


def tables(a: Ablation) -> dict[str, TextTable]:
    """Return all tables by name, the most important first."""
    made = (expectations, one_round, own_rounds, at_equal_time, paired)
    return {make.__name__: make(a) for make in made}


def expectations(a: Ablation) -> TextTable:
    """Return what was expected beside what was measured."""
    verdicts = {True: "met", False: "not met", None: "open"}
    return TextTable(
        title="What was expected, what was measured",
        cells=pd.DataFrame(
            {"expected": check.expected, "measured": check.measured, "": verdicts[check.met]} for check in checks(a)
        ),
        note="At equal time: single rounds, the mean over all median planning times that lie on both curves. "
        "Everything on: the last of the variants.",
        in_words=True,
    )


def one_round(a: Ablation) -> TextTable:
    """Return certified success and planning time of a single round at each batch size."""
    seeds = "one seed" if a.seeds == 1 else f"{a.seeds} seeds"
    return TextTable(
        title="One round: certified, 95 % interval, planning time",
        cells=pd.DataFrame(
            {"variant": v.title} | {f"batch {batch}": _round(a.point(v.name, batch)) for batch in a.batches}
            for v in a.variants
        ),
        note=f"{a.problems} problems, {seeds}, no fallback; Wilson's interval; planning time as median and 95th "
        "percentile over all runs, certified or not.",
    )


def _round(point: Point) -> str:
    times = f"{seconds(point.plan_time_median_s)}\np95 {seconds(point.plan_time_p95_s)}"
    return f"{percent(point.share)}\n{100 * point.low:.1f} to {100 * point.high:.1f}\n{times}"


def own_rounds(a: Ablation) -> TextTable:
    """Return the time to the first certified plan with the planner's own rounds, and what the plans are like."""
    by_then = {time.variant: time.adaptive_s for time in a.time_for_95}
    return TextTable(
        title="To the first certified plan, with the planner's own rounds",
        cells=pd.DataFrame(
            {
                "variant": v.title,
                "certified": f"{point.certified}/{point.n} ({percent(point.share)})",
                "95 % interval": f"{100 * point.low:.1f} to {percent(point.high)}",
                "median": seconds(point.plan_time_median_s),
                "p95": seconds(point.plan_time_p95_s),
                "95 % by": _reached(by_then[v.name]),
                "x straight": number(point.path_ratio, 3),
                "motion": number(point.duration_s, 2, unit=" s"),
            }
            for v in a.variants
            for point in (a.point(v.name, ADAPTIVE),)
        ),
        note=f"A failure counts with the limit of {a.time_limit_s:g} s. Path over straight line and duration of the "
        "motion: certified plans only, so rows with other successes are over other problems; pairs are below.",
    )


def at_equal_time(a: Ablation) -> TextTable:
    """Return every variant's success interpolated at common planning times, and its time for 95 %."""
    curves = {v.name: a.curve(v.name) for v in a.variants}
    measured = [float(time) for curve in curves.values() for time in curve.time_s]
    ticks = _round_times(min(measured), max(measured)) if measured else []
    wanted = {time.variant: time.round_s for time in a.time_for_95}
    return TextTable(
        title="Success at equal planning time, one round",
        cells=pd.DataFrame(
            {"variant": v.title}
            | {seconds(tick): percent(curves[v.name].at(tick)) or "-" for tick in ticks}
            | {"95 % in": _reached(wanted[v.name])}
            for v in a.variants
        ),
        note="Between the batch sizes, linear in the logarithm of the median planning time; - where none was measured.",
    )


def _reached(time: float | None) -> str:
    return "not reached" if time is None else seconds(time)


def _round_times(low: float, high: float) -> list[float]:
    """Return the times 1, 2, 5, 10, ... [s] between two times."""
    powers = range(floor(log10(low)), floor(log10(high)) + 1)
    return [tick for power in powers for step in (1, 2, 5) if low <= (tick := step * 10.0**power) <= high]


def paired(a: Ablation) -> TextTable:
    """Return the paired comparisons."""
    titles = {v.name: v.title for v in a.variants}
    return TextTable(
        title="Pair by pair",
        cells=pd.DataFrame(
            {
                "variant, against": f"{titles[p.after]}\nagainst {titles[p.before]}"
                if p.mode == str(a.batches[0])
                else "",
                "mode": "own rounds" if p.mode == ADAPTIVE else f"batch {p.mode}",
                "only it": str(p.only_after),
                "only other": str(p.only_before),
                "McNemar": p_value(p.p_success),
                "both": str(p.both),
                "duration": _change(p.duration),
                "path": _change(p.path),
            }
            for p in a.paired
        ),
        note="Problems certified by only one of two (exact McNemar test); over those certified by both, the change of "
        "the mean duration and path length (Wilcoxon's signed rank test).",
    )


def _change(change: Change) -> str:
    return "" if change.percent is None or change.p is None else f"{change.percent:+.1f} %, {p_value(change.p)}"
