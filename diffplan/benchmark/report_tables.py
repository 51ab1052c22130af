"""The tables of a comparison: success and time, time and quality at large, sets, pairs, refused claims, failures."""

from __future__ import annotations

from collections.abc import Sequence

from diffplan.benchmark.comparison import Change, Paired
from diffplan.benchmark.page import TextTable, number, p_value, seconds
from diffplan.benchmark.results import Row
from diffplan.benchmark.summary import ALL, Summary, in_time

_OVERVIEW = (
    *("planner", "certified", "share", "95 % interval", "median time", "95 % of times", "path / straight line"),
    *("motion [s]", "refused claims"),
)
LATE = "late"


def overview(title: str, summaries: Sequence[Summary], limit: float) -> TextTable:
    """Return the most important figures, a row for each planner, of summaries of one set (or of all)."""
    return TextTable(
        title=title,
        headings=_OVERVIEW,
        rows=tuple(
            (
                s.planner,
                f"{s.certified} of {s.n}",
                _percent(s.certified_share),
                f"{100 * s.wilson_low:.1f} to {_percent(s.wilson_high)}",
                time_or_limit(s.plan_time_median_s, limit),
                time_or_limit(s.plan_time_p95_s, limit),
                number(s.path_ratio, 2),
                number(s.duration_mean_s, 2),
                _percent(s.first_rejected_share),
            )
            for s in summaries
        ),
        note=f"A failure counts with the limit of {limit:g} s in the times. Paths and motions: means over certified "
        "plans, so a planner that fails where it is hard looks better there than it is.",
    )


def time_or_limit(time: float, limit: float) -> str:
    """Return a counted time [s] for people; at the limit there is only a bound of it."""
    return f"≥ {limit:g} s" if time >= limit else seconds(time)


def times(summaries: Sequence[Summary], limit: float, warm_up_s: dict[str, float]) -> TextTable:
    """Return all percentiles of the planning time, and the times apart from it."""
    return TextTable(
        title="Planning time in full",
        headings=(
            *("planner", "least", "25 %", "median", "75 %", "95 %", "98 %", "most"),
            *("certificate, mean", "warm-up, most"),
        ),
        rows=tuple(
            (
                s.planner,
                *(
                    time_or_limit(time, limit)
                    for time in (
                        *(s.plan_time_min_s, s.plan_time_p25_s, s.plan_time_median_s, s.plan_time_p75_s),
                        *(s.plan_time_p95_s, s.plan_time_p98_s, s.plan_time_max_s),
                    )
                ),
                "" if s.certify_time_mean_s is None else seconds(s.certify_time_mean_s),
                seconds(warm_up_s[s.planner]) if s.planner in warm_up_s else "",
            )
            for s in summaries
        ),
        note="Every run counts, a failure with the time limit. The certificate's time and each process's first plan "
        "(loading, compiling) are not part of the planning time.",
    )


def quality(summaries: Sequence[Summary]) -> TextTable:
    """Return what the certified plans are like."""
    dense = any(s.dense_contacts is not None for s in summaries)
    executed = any(s.executed for s in summaries)
    return TextTable(
        title="Certified plans in figures",
        headings=(
            *("planner", "path [rad]", "path / straight", "path / best known", "motion [s]"),
            *("max jerk\n[rad/s³]", "mean jerk\n[rad/s³]", "least\nclearance\n[mm]", "mean\nclearance\n[mm]"),
            *(("tracking, mean and\nmost [mrad]", "touched when\nexecuted") if executed else ()),
            *(("in contact,\ndense check",) if dense else ()),
        ),
        rows=tuple(
            (
                s.planner,
                number(s.path_mean_rad, 2),
                number(s.path_ratio, 2),
                number(s.path_to_best, 2),
                number(s.duration_mean_s, 2),
                number(s.max_jerk, 0),
                number(s.mean_jerk, 1),
                _millimetres(s.min_clearance_m),
                _millimetres(s.mean_clearance_m),
                *(_executed(s) if executed else ()),
                *(("" if s.dense_contacts is None else f"{s.dense_contacts} of {s.dense_checked}",) if dense else ()),
            )
            for s in summaries
        ),
        note="Means over each planner's certified plans; the least clearance is the least of all. Path / straight is "
        "the mean path over the mean straight line, path / best known the mean of the quotients."
        + (" Executed: PyBullet's position control follows the motion." if executed else "")
        + (" Dense check: PyBullet asked again, without the certificate's bisection." if dense else ""),
    )


def _executed(s: Summary) -> tuple[str, str]:
    if s.tracking_error_rad is None or s.tracking_error_max_rad is None:
        return "", ""
    error = f"{1000 * s.tracking_error_rad:.1f}, {1000 * s.tracking_error_max_rad:.1f}"
    return error, f"{s.executed_contacts} of {s.executed}"


def by_set(summaries: Sequence[Summary], limit: float) -> TextTable:
    """Return share certified and median time of each planner on each set: planners down, sets across."""
    sets = list(dict.fromkeys(s.set for s in summaries if s.set != ALL))
    found = {(s.planner, s.set): s for s in summaries}
    sizes = {name: max(s.n for s in summaries if s.set == name) for name in sets}

    def cell(planner: str, name: str) -> str:
        s = found.get((planner, name))
        return "" if s is None else f"{_percent(s.certified_share)}\n{time_or_limit(s.plan_time_median_s, limit)}"

    return TextTable(
        title="Every planner on every set",
        headings=("planner", *(f"{name.replace('_', ' ')}\n{sizes[name]} runs" for name in sets)),
        rows=tuple(
            (planner, *(cell(planner, name) for name in sets))
            for planner in dict.fromkeys(s.planner for s in summaries)
        ),
        note="Share certified within the limit, and the median planning time.",
    )


def refused(summaries: Sequence[Summary]) -> TextTable:
    """Return how many of a planner's own successes the certificate refuses."""
    return TextTable(
        title="What the certificate refuses",
        headings=(
            "planner",
            "runs with a\nclaimed success",
            "first claim\nrefused",
            "share",
            "paths offered",
            "refused",
        ),
        rows=tuple(
            (
                s.planner,
                str(s.claimed),
                "" if s.first_rejected_share is None else str(round(s.first_rejected_share * s.claimed)),
                _percent(s.first_rejected_share),
                str(s.offered),
                f"{s.rejected} ({_percent(s.rejected_share)})" if s.offered else "0",
            )
            for s in summaries
        ),
        note="A planner claims success when it offers a path that its own model of robot and scene finds free. Where "
        "the first claim of a run is refused, the planner alone would have reported a collision as a solution. Here it "
        "may offer another path in the time that is left, so a run can count as refused here and certified above.",
    )


def pairs(title: str, compared: Sequence[Paired]) -> TextTable:
    """Return two planners at a time compared on the same problems."""
    return TextTable(
        title=title,
        headings=(
            *("planners", "only the\nfirst", "only the\nsecond", "McNemar", "both"),
            *("planning time, second\nagainst first", "path", "motion"),
        ),
        rows=tuple(
            (
                f"{p.before}, {p.after}",
                str(p.only_before),
                str(p.only_after),
                p_value(p.p_success),
                str(p.both),
                *(_change(change) for change in (p.plan_time, p.path, p.duration)),
            )
            for p in compared
        ),
        note="How many runs only one of the two has certified, and how likely so uneven a split is by chance (exact "
        "McNemar test). On the runs that both have certified: the change of the mean from first to second, and how "
        "likely such a change is by chance (Wilcoxon's signed rank test; it looks at typical runs, so a few slow ones "
        "can carry the mean the other way). The tests are many: of twenty pairs that do not differ, one is expected "
        "below p = 0.05.",
    )


def _change(change: Change) -> str:
    if change.percent is None or change.p is None:
        return ""
    shown = (
        f"{1 + change.percent / 100:.1f} times" if change.percent > 200 else f"{round(change.percent, 1) + 0.0:+.1f} %"
    )
    return f"{shown}\n{p_value(change.p)}"


def outcome(row: Row) -> str:
    """Return how a run that is no success ended: its status, or that its certified plan came late."""
    return LATE if row.certified else row.status


def failures(rows: Sequence[Row], limit: float) -> TextTable:
    """Return how many runs of each planner failed in which way."""
    failed = [row for row in rows if not in_time(row, limit)]
    ways = sorted({outcome(row) for row in failed})
    planners = list(dict.fromkeys(row.planner for row in rows))
    counts = {(p, w): sum(row.planner == p and outcome(row) == w for row in failed) for p in planners for w in ways}
    return TextTable(
        title="How many runs failed, and how",
        headings=("planner", "failed", *(way.replace("_", " ") for way in ways)),
        rows=tuple(
            (p, str(sum(counts[p, way] for way in ways)), *(str(counts[p, way] or "") for way in ways))
            for p in planners
        ),
        note="no path found: the planner had nothing to offer within the limit; not certified: it had, and the "
        "certificate refused it; late: certified, but planned over the limit; error, killed: it broke.",
    )


def failed_runs(rows: Sequence[Row], limit: float, most: int) -> TextTable:
    """Return the first `most` failed runs of each planner."""
    failed = [row for row in rows if not in_time(row, limit)]
    shown = [
        row
        for planner in dict.fromkeys(row.planner for row in rows)
        for row in [row for row in failed if row.planner == planner][:most]
    ]
    rest = len(failed) - len(shown)
    return TextTable(
        title="Failed runs",
        headings=("problem", "planner", "seed", "ended", "message"),
        rows=tuple((row.problem, row.planner, str(row.seed), outcome(row), row.message) for row in shown),
        note=f"{rest} more are in results.csv." if rest else "",
        in_words=True,
    )


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"


def _millimetres(metres: float | None) -> str:
    return "" if metres is None else f"{1000 * metres:.1f}"
