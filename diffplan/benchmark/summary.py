"""Numbers out of rows: success with its confidence interval, plan times with failures counted, path lengths."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean

import numpy as np

from diffplan.benchmark.results import Row

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


def in_time(row: Row, time_limit: float) -> bool:
    """Whether the run counts as a success: certified, and planned within the limit [s]."""
    return row.certified and row.plan_time_s is not None and row.plan_time_s <= time_limit


def counted_time(row: Row, time_limit: float) -> float:
    """Return the plan time that statistics use [s]: a failure stands in with the limit, or longer if it took longer."""
    time = row.plan_time_s or 0.0
    return time if in_time(row, time_limit) else max(time, time_limit)


def summarise(rows: list[Row], time_limit: float) -> list[Summary]:
    """Return a summary for each planner and set, and for each planner over all sets (last of each planner)."""
    summaries, best = [], best_paths(rows)
    for planner in dict.fromkeys(row.planner for row in rows):
        own = [row for row in rows if row.planner == planner]
        for name in dict.fromkeys(row.set for row in own):
            summaries.append(_one(planner, name, [row for row in own if row.set == name], time_limit, best))
        summaries.append(_one(planner, ALL, own, time_limit, best))
    return summaries


def best_paths(rows: Iterable[Row]) -> dict[str, float]:
    """Return for each problem the length [rad] of the shortest certified path, late or not, of any planner and seed."""
    best: dict[str, float] = {}
    for row in rows:
        if row.certified and row.path_length_rad is not None:
            best[row.problem] = min(row.path_length_rad, best.get(row.problem, row.path_length_rad))
    return best


def _one(planner: str, name: str, rows: list[Row], time_limit: float, best: dict[str, float]) -> Summary:
    good = [row for row in rows if in_time(row, time_limit)]
    low, high = wilson_interval(len(good), len(rows))
    times = np.array([counted_time(row, time_limit) for row in rows])
    p25, median, p75, p95, p98 = (float(np.percentile(times, p)) for p in (25, 50, 75, 95, 98))
    path, straight = _mean([row.path_length_rad for row in good]), _mean([row.straight_line_rad for row in good])
    clearances = [row.min_clearance_m for row in good if row.min_clearance_m is not None]
    dense = [row.dense_contact for row in rows if row.dense_contact is not None]
    claims = [row.first_rejected for row in rows if row.first_rejected is not None]
    offered, rejected = sum(row.offered or 0 for row in rows), sum(row.rejected or 0 for row in rows)
    touched = [row.executed_contact for row in rows if row.executed_contact is not None]
    errors = [row.tracking_error_rad for row in rows if row.tracking_error_rad is not None]
    solved_by = [row.solved_by for row in good]
    return Summary(
        planner=planner,
        set=name,
        n=len(rows),
        certified=len(good),
        certified_share=len(good) / len(rows),
        wilson_low=low,
        wilson_high=high,
        late=sum(row.certified for row in rows) - len(good),
        errors=sum(row.status in ("error", "killed") for row in rows),
        plan_time_min_s=float(times.min()),
        plan_time_p25_s=p25,
        plan_time_median_s=median,
        plan_time_p75_s=p75,
        plan_time_p95_s=p95,
        plan_time_p98_s=p98,
        plan_time_max_s=float(times.max()),
        certify_time_mean_s=_mean([row.certify_time_s for row in rows]),
        path_mean_rad=path,
        straight_mean_rad=straight,
        path_ratio=_ratio(path, straight),
        path_to_best=_mean([_ratio(row.path_length_rad, best.get(row.problem)) for row in good]),
        duration_mean_s=_mean([row.duration_s for row in good]),
        max_jerk=_mean([row.max_jerk for row in good]),
        mean_jerk=_mean([row.mean_jerk for row in good]),
        min_clearance_m=min(clearances, default=None),
        mean_clearance_m=_mean([row.mean_clearance_m for row in good]),
        dense_checked=len(dense),
        dense_contacts=sum(dense) if dense else None,
        offered=offered,
        rejected=rejected,
        rejected_share=_ratio(rejected, offered),
        claimed=len(claims),
        first_rejected_share=_ratio(sum(claims), len(claims)),
        executed=len(touched),
        executed_contacts=sum(touched) if touched else None,
        tracking_error_rad=_mean(errors),
        tracking_error_max_rad=max(errors, default=None),
        solved_by={part: solved_by.count(part) for part in dict.fromkeys(solved_by)},
    )


def _ratio(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None


def _mean(values: Sequence[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return fmean(present) if present else None
