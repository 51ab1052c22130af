"""The tables of an ablation, the same on the terminal and on the page."""

from __future__ import annotations

from math import floor, log10

from diffplan.benchmark.ablation import Ablation, Paired, Point
from diffplan.benchmark.ablation_checks import checks
from diffplan.benchmark.comparison import Change
from diffplan.benchmark.page import TextTable, p_value, seconds
from diffplan.benchmark.variants import ADAPTIVE


def tables(a: Ablation) -> tuple[TextTable, ...]:
    """Return all tables, the most important first."""
    return expectations(a), one_round(a), own_rounds(a), at_equal_time(a), paired(a)


def expectations(a: Ablation) -> TextTable:
    """Return what was expected beside what was measured."""
    verdicts = {True: "met", False: "not met", None: "open"}
    return TextTable(
        title="What was expected, what was measured",
        headings=("expected", "measured", ""),
        rows=tuple((check.expected, check.measured, verdicts[check.met]) for check in checks(a)),
        note="At equal time: single rounds, the mean over all median planning times that lie on both curves. "
        "Everything on: the last of the variants.",
        in_words=True,
    )


def one_round(a: Ablation) -> TextTable:
    """Return certified success and planning time of a single round at each batch size."""
    return TextTable(
        title="One round: certified, 95 % interval, planning time",
        headings=("variant", *(f"batch {batch}" for batch in a.batches)),
        rows=tuple((v.title, *(_round_cell(a.point(v.name, batch)) for batch in a.batches)) for v in a.variants),
        note=f"{a.problems} problems, {_seeds(a)}, no fallback; Wilson's interval; planning time as median and 95th "
        "percentile over all runs, certified or not.",
    )


def own_rounds(a: Ablation) -> TextTable:
    """Return the time to the first certified plan with the planner's own rounds, and what the plans are like."""
    times = {time.variant: time for time in a.time_for_95}
    rows = []
    for v in a.variants:
        point = a.point(v.name, ADAPTIVE)
        by_then = times[v.name].adaptive_s
        rows.append(
            (
                v.title,
                f"{point.certified}/{point.n} ({100 * point.share:.1f} %)",
                f"{100 * point.low:.1f} to {100 * point.high:.1f} %",
                seconds(point.plan_time_median_s),
                seconds(point.plan_time_p95_s),
                "not reached" if by_then is None else seconds(by_then),
                "" if point.path_ratio is None else f"{point.path_ratio:.3f}",
                "" if point.duration_s is None else f"{point.duration_s:.2f} s",
            )
        )
    return TextTable(
        title="To the first certified plan, with the planner's own rounds",
        headings=("variant", "certified", "95 % interval", "median", "p95", "95 % by", "x straight", "motion"),
        rows=tuple(rows),
        note=f"A failure counts with the limit of {a.time_limit_s:g} s. Path over straight line and duration of the "
        "motion: certified plans only, so rows with other successes are over other problems; pairs are below.",
    )


def at_equal_time(a: Ablation) -> TextTable:
    """Return every variant's success interpolated at common planning times, and its time for 95 %."""
    curves = {v.name: a.curve(v.name) for v in a.variants}
    measured = [float(time) for curve in curves.values() for time in curve.time_s]
    ticks = _round_times(min(measured), max(measured)) if measured else []
    times = {time.variant: time for time in a.time_for_95}
    rows = []
    for v in a.variants:
        shares = [curves[v.name].at(tick) for tick in ticks]
        cells = ["-" if share is None else f"{100 * share:.1f} %" for share in shares]
        wanted = times[v.name].round_s
        rows.append((v.title, *cells, "not reached" if wanted is None else seconds(wanted)))
    return TextTable(
        title="Success at equal planning time, one round",
        headings=("variant", *(seconds(tick) for tick in ticks), "95 % in"),
        rows=tuple(rows),
        note="Between the batch sizes, linear in the logarithm of the median planning time; - where none was measured.",
    )


def paired(a: Ablation) -> TextTable:
    """Return the paired comparisons."""
    titles = {v.name: v.title for v in a.variants}
    return TextTable(
        title="Pair by pair",
        headings=("variant, against", "mode", "only it", "only other", "McNemar", "both", "duration", "path"),
        rows=tuple(
            (
                f"{titles[p.after]}\nagainst {titles[p.before]}" if p.mode == str(a.batches[0]) else "",
                "own rounds" if p.mode == ADAPTIVE else f"batch {p.mode}",
                str(p.only_after),
                str(p.only_before),
                p_value(p.p_success),
                str(p.both),
                *(_change_cell(change) for change in _changes(p)),
            )
            for p in a.paired
        ),
        note="Problems certified by only one of two (exact McNemar test); over those certified by both, the change of "
        "the mean duration and path length (Wilcoxon's signed rank test).",
    )


def _changes(p: Paired) -> tuple[Change, Change]:
    return p.duration, p.path


def _change_cell(change: Change) -> str:
    return "" if change.percent is None or change.p is None else f"{change.percent:+.1f} %, {p_value(change.p)}"


def _round_cell(point: Point) -> str:
    times = f"{seconds(point.plan_time_median_s)}\np95 {seconds(point.plan_time_p95_s)}"
    return f"{100 * point.share:.1f} %\n{100 * point.low:.1f} to {100 * point.high:.1f}\n{times}"


def _seeds(a: Ablation) -> str:
    return "one seed" if a.seeds == 1 else f"{a.seeds} seeds"


def _round_times(low: float, high: float) -> list[float]:
    """Return the times 1, 2, 5, 10, ... [s] between two times."""
    powers = range(floor(log10(low)), floor(log10(high)) + 1)
    return [tick for power in powers for step in (1, 2, 5) if low <= (tick := step * 10.0**power) <= high]
