"""Numbers out of rows: success with its confidence interval, plan times with failures counted, path lengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import pandas as pd

from diffplan.benchmark.results import COLUMNS, ResultRow

ALL = "all"


@dataclass(frozen=True, kw_only=True)
class Summary:
    """One planner on one set (or on `all`); times in s, lengths in rad.

    `certified` counts the runs whose plan passed the independent check and came within the time limit; `late` those
    that passed but took longer to plan: they count as failures. Plan times hold every run: a failure stands in with
    the time limit, or with its own time where that is longer. Path figures are over the certified plans only, and
    `path_ratio` is their mean path over the mean straight line from start to the goal reached. `path_to_best` is the
    mean of path over the best known path, the shortest certified one on that problem of any planner and seed.
    `max_jerk` and `mean_jerk` [rad/s^3] are means over the certified motions, `mean_clearance_m` too, whereas
    `min_clearance_m` is the least of all. `dense_contacts` is empty when no dense check was asked for.

    A planner claims success by offering a path. `offered`, `rejected` and `rejected_share` count those paths and the
    refused ones among them. `claimed` are the runs with an offered path, `first_rejected_share` the share of them
    whose first one was refused: what the planner, without the certificate, would have called solved and was not.
    `executed` motions were followed in simulated physics: mean and largest tracking error, and how many touched.
    """

    planner: str
    set: str
    n: int
    certified: int
    certified_share: float
    wilson_low: float
    wilson_high: float
    late: int
    errors: int
    plan_time_min_s: float
    plan_time_p25_s: float
    plan_time_median_s: float
    plan_time_p75_s: float
    plan_time_p95_s: float
    plan_time_p98_s: float
    plan_time_max_s: float
    certify_time_mean_s: float | None
    path_mean_rad: float | None
    straight_mean_rad: float | None
    path_ratio: float | None
    path_to_best: float | None
    duration_mean_s: float | None
    max_jerk: float | None
    mean_jerk: float | None
    min_clearance_m: float | None
    mean_clearance_m: float | None
    dense_checked: int
    dense_contacts: int | None
    offered: int
    rejected: int
    rejected_share: float | None
    claimed: int
    first_rejected_share: float | None
    executed: int
    executed_contacts: int | None
    tracking_error_rad: float | None
    tracking_error_max_rad: float | None
    solved_by: dict[str, int]


def wilson_interval(successes: int, trials: int, z: float = 1.959964) -> tuple[float, float]:
    """Return Wilson's score interval of a proportion (z = 1.96: 95 %).

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).
    """
    if trials == 0:
        return 0.0, 1.0
    p = successes / trials
    scale = 1 / (1 + z * z / trials)
    centre = scale * (p + z * z / (2 * trials))
    half = scale * z * sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials))
    return max(0.0, centre - half), min(1.0, centre + half)


def in_time(row: ResultRow, time_limit: float) -> bool:
    """Whether the run counts as a success: certified, and planned within the limit [s]."""
    return row.certified and row.plan_time_s is not None and row.plan_time_s <= time_limit


def counted_time(row: ResultRow, time_limit: float) -> float:
    """Return the plan time that statistics use [s]: a failure stands in with the limit, or longer if it took longer."""
    time = row.plan_time_s or 0.0
    return time if in_time(row, time_limit) else max(time, time_limit)


def outcome(row: ResultRow) -> str:
    """Return how a run that is no success ended: its status, or that its certified plan came late."""
    return "late" if row.certified else row.status


def frame(rows: Sequence[ResultRow], time_limit: float) -> pd.DataFrame:
    """Return the rows as a table: a column for each of their fields (numbers as floats, NaN for None), and these.

    `in_time`, `counted_time_s` and `outcome` are what the functions of these names say. `path_ratio` is path over
    straight line, `path_to_best` path over the best known path: the shortest certified one, late or not, on that
    problem of any planner and seed. `min_clearance_mm` is the clearance in millimetres.
    """
    runs = pd.DataFrame([vars(row) for row in rows], columns=pd.Index(COLUMNS))
    optional = [name for name in COLUMNS if ResultRow.__dataclass_fields__[name].type.endswith("| None")]
    runs[optional] = runs[optional].astype(float)
    runs["in_time"] = [in_time(row, time_limit) for row in rows]
    runs["counted_time_s"] = [counted_time(row, time_limit) for row in rows]
    runs["outcome"] = [outcome(row) for row in rows]
    runs["path_ratio"] = runs.path_length_rad / runs.straight_line_rad.where(runs.straight_line_rad > 0)
    best = runs[runs.certified].groupby("problem").path_length_rad.min()
    best = runs.problem.map(best[best > 0])
    runs["path_to_best"] = runs.path_length_rad / best
    runs["min_clearance_mm"] = 1000 * runs.min_clearance_m
    return runs


def summarise(rows: Sequence[ResultRow], time_limit: float) -> list[Summary]:
    """Return a summary for each planner and set, and for each planner over all sets (last of each planner)."""
    runs, summaries = frame(rows, time_limit), []
    for planner, own in runs.groupby("planner", sort=False):
        for name, part in (*own.groupby("set", sort=False), (ALL, own)):
            summaries.append(_one(str(planner), str(name), part))
    return summaries


def _one(planner: str, name: str, runs: pd.DataFrame) -> Summary:
    good = runs[runs.in_time]
    low, high = wilson_interval(len(good), len(runs))
    times, total, mean = runs.counted_time_s, runs.sum(numeric_only=True), good.mean(numeric_only=True)
    p25, median, p75, p95, p98 = (float(p) for p in times.quantile([0.25, 0.5, 0.75, 0.95, 0.98]))
    dense, touched = runs.dense_contact.count(), runs.executed_contact.count()
    return Summary(
        planner=planner,
        set=name,
        n=len(runs),
        certified=len(good),
        certified_share=len(good) / len(runs),
        wilson_low=low,
        wilson_high=high,
        late=int(runs.certified.sum()) - len(good),
        errors=int(runs.status.isin(("error", "killed")).sum()),
        plan_time_min_s=float(times.min()),
        plan_time_p25_s=p25,
        plan_time_median_s=median,
        plan_time_p75_s=p75,
        plan_time_p95_s=p95,
        plan_time_p98_s=p98,
        plan_time_max_s=float(times.max()),
        certify_time_mean_s=_known(runs.certify_time_s.mean()),
        path_mean_rad=_known(mean.path_length_rad),
        straight_mean_rad=_known(mean.straight_line_rad),
        path_ratio=_ratio(mean.path_length_rad, mean.straight_line_rad),
        path_to_best=_known(mean.path_to_best),
        duration_mean_s=_known(mean.duration_s),
        max_jerk=_known(mean.max_jerk),
        mean_jerk=_known(mean.mean_jerk),
        min_clearance_m=_known(good.min_clearance_m.min()),
        mean_clearance_m=_known(mean.mean_clearance_m),
        dense_checked=int(dense),
        dense_contacts=int(total.dense_contact) if dense else None,
        offered=int(total.offered),
        rejected=int(total.rejected),
        rejected_share=_ratio(total.rejected, total.offered),
        claimed=int(runs.first_rejected.count()),
        first_rejected_share=_known(runs.first_rejected.mean()),
        executed=int(touched),
        executed_contacts=int(total.executed_contact) if touched else None,
        tracking_error_rad=_known(runs.tracking_error_rad.mean()),
        tracking_error_max_rad=_known(runs.tracking_error_rad.max()),
        solved_by={str(part): len(own) for part, own in good.groupby("solved_by", sort=False)},
    )


def _ratio(part: float, whole: float) -> float | None:
    return _known(part / whole) if whole else None


def _known(value: float) -> float | None:
    return None if pd.isna(value) else float(value)
