"""The tables of a comparison as texts: success and time, time and quality at large, sets, pairs, refusals, failures.

Each is a row of texts for a planner, a pair or a run; its first column names the row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from diffplan.benchmark.comparison import Change, PairedComparison
from diffplan.benchmark.page import number, p_value, percent, seconds
from diffplan.benchmark.summary import ALL, Summary


def overview(summaries: Sequence[Summary], limit: float) -> pd.DataFrame:
    """Return the most important figures, a row for each planner, of summaries of one set (or of all)."""
    return pd.DataFrame(
        {
            "planner": s.planner,
            "certified": f"{s.certified} of {s.n}",
            "share": percent(s.certified_share),
            "95 % interval": f"{100 * s.wilson_low:.1f} to {percent(s.wilson_high)}",
            "median time": time_or_limit(s.plan_time_median_s, limit),
            "95 % of times": time_or_limit(s.plan_time_p95_s, limit),
            "path / straight line": number(s.path_ratio, 2),
            "motion [s]": number(s.duration_mean_s, 2),
            "refused claims": percent(s.first_rejected_share),
        }
        for s in summaries
    )


def time_or_limit(time: float, limit: float) -> str:
    """Return a counted time [s] for people; at the limit there is only a bound of it."""
    return f"≥ {limit:g} s" if time >= limit else seconds(time)


def times(summaries: Sequence[Summary], limit: float, warm_up_s: Mapping[str, float]) -> pd.DataFrame:
    """Return all percentiles of the planning time, and the times apart from it."""
    return pd.DataFrame(
        {
            "planner": s.planner,
            "least": time_or_limit(s.plan_time_min_s, limit),
            "25 %": time_or_limit(s.plan_time_p25_s, limit),
            "median": time_or_limit(s.plan_time_median_s, limit),
            "75 %": time_or_limit(s.plan_time_p75_s, limit),
            "95 %": time_or_limit(s.plan_time_p95_s, limit),
            "98 %": time_or_limit(s.plan_time_p98_s, limit),
            "most": time_or_limit(s.plan_time_max_s, limit),
            "certificate, mean": "" if s.certify_time_mean_s is None else seconds(s.certify_time_mean_s),
            "warm-up, most": seconds(warm_up_s[s.planner]) if s.planner in warm_up_s else "",
        }
        for s in summaries
    )


def quality(summaries: Sequence[Summary]) -> pd.DataFrame:
    """Return what the certified plans are like; columns of checks that were not made are left out."""
    cells = pd.DataFrame(
        {
            "planner": s.planner,
            "path [rad]": number(s.path_mean_rad, 2),
            "path / straight": number(s.path_ratio, 2),
            "path / best known": number(s.path_to_best, 2),
            "motion [s]": number(s.duration_mean_s, 2),
            "max jerk\n[rad/s³]": number(s.max_jerk, 0),
            "mean jerk\n[rad/s³]": number(s.mean_jerk, 1),
            "least\nclearance\n[mm]": number(s.min_clearance_m, 1, 1000),
            "mean\nclearance\n[mm]": number(s.mean_clearance_m, 1, 1000),
            "tracking, mean and\nmost [mrad]": _tracking(s),
            "touched when\nexecuted": f"{s.executed_contacts} of {s.executed}" if s.executed else "",
            "in contact,\ndense check": f"{s.dense_contacts} of {s.dense_checked}" if s.dense_checked else "",
        }
        for s in summaries
    )
    asked = [column for column in cells.columns[-3:] if (cells[column] != "").any()]
    return cells[[*cells.columns[:-3], *asked]]


def _tracking(s: Summary) -> str:
    both = number(s.tracking_error_rad, 1, 1000), number(s.tracking_error_max_rad, 1, 1000)
    return ", ".join(both) if all(both) else ""


def by_set(summaries: Sequence[Summary], limit: float) -> pd.DataFrame:
    """Return share certified and median time of each planner on each set: planners down, sets across."""
    sets = [s for s in summaries if s.set != ALL]
    sizes = {s.set: s.n for s in sorted(sets, key=lambda s: s.n)}
    cells = pd.DataFrame(
        {
            "planner": s.planner,
            "set": f"{s.set}\n{sizes[s.set]} runs",
            "cell": f"{percent(s.certified_share)}\n{time_or_limit(s.plan_time_median_s, limit)}",
        }
        for s in sets
    )
    planners, names = cells["planner"].unique(), cells["set"].unique()
    table = cells.pivot(index="planner", columns="set", values="cell").reindex(index=planners, columns=names)
    return table.fillna("").rename(columns=lambda name: name.replace("_", " ")).reset_index()


def refused(summaries: Sequence[Summary]) -> pd.DataFrame:
    """Return how many of a planner's own successes the certificate refuses."""
    return pd.DataFrame(
        {
            "planner": s.planner,
            "runs with a\nclaimed success": str(s.claimed),
            "first claim\nrefused": number(s.first_rejected_share, 0, s.claimed),
            "share": percent(s.first_rejected_share),
            "paths offered": str(s.offered),
            "refused": f"{s.rejected} ({percent(s.rejected_share)})" if s.offered else "0",
        }
        for s in summaries
    )


def pairs(compared: Sequence[PairedComparison]) -> pd.DataFrame:
    """Return two planners at a time compared on the same problems."""
    return pd.DataFrame(
        {
            "planners": f"{p.before}, {p.after}",
            "only the\nfirst": str(p.only_before),
            "only the\nsecond": str(p.only_after),
            "McNemar": p_value(p.p_success),
            "both": str(p.both),
            "planning time, second\nagainst first": _change(p.plan_time),
            "path": _change(p.path),
            "motion": _change(p.duration),
        }
        for p in compared
    )


def _change(change: Change) -> str:
    if change.percent is None or change.p is None:
        return ""
    shown = (
        f"{1 + change.percent / 100:.1f} times" if change.percent > 200 else f"{round(change.percent, 1) + 0.0:+.1f} %"
    )
    return f"{shown}\n{p_value(change.p)}"


def failures(runs: pd.DataFrame) -> pd.DataFrame:
    """Return how many runs (`summary.frame`) of each planner failed in which way."""
    failed = runs[~runs.in_time]
    counts = pd.crosstab(failed.planner, failed.outcome).reindex(runs.planner.unique(), fill_value=0)
    table = counts.astype(str).where(counts > 0, "")
    table.insert(0, "failed", counts.sum(axis=1).astype(str))
    return table.rename(columns=lambda way: way.replace("_", " ")).rename_axis("planner").reset_index()


def failed_runs(runs: pd.DataFrame, most: int) -> pd.DataFrame:
    """Return the first `most` failed runs of each planner."""
    failed = runs[~runs.in_time].groupby("planner", sort=False).head(most)
    return failed[["problem", "planner", "seed", "outcome", "message"]].rename(columns={"outcome": "ended"})
