"""The figures of an ablation: every variant by itself, against the one before, and at equal planning time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil

import numpy as np

from diffplan.benchmark import comparison
from diffplan.benchmark.comparison import AtEqualTime, Curve, at_equal_time
from diffplan.benchmark.results import ResultRow
from diffplan.benchmark.summary import ALL, counted_time, in_time, summarise
from diffplan.benchmark.variants import ADAPTIVE, Variant, label

WANTED_SHARE = 0.95


@dataclass(frozen=True, kw_only=True)
class Point:
    """One variant in one mode, over all `n` runs; `low` and `high` are Wilson's 95 % interval of `share`.

    Plan times [s] of a single round are those it took, certified or not; with the planner's own rounds a failure
    stands in with the time limit. `path_ratio` (mean path over mean straight line) and `duration_s` (mean) are over
    certified plans.
    """

    variant: str
    mode: str
    n: int
    certified: int
    share: float
    low: float
    high: float
    plan_time_median_s: float
    plan_time_p95_s: float
    path_ratio: float | None
    duration_s: float | None


@dataclass(frozen=True, kw_only=True)
class VariantComparison(comparison.PairedComparison):
    """A variant (`after`) against another (`before`) in one mode."""

    mode: str


@dataclass(frozen=True, kw_only=True)
class EqualTime:
    """Two variants' success at equal median planning time of single rounds; empty where their times lie apart."""

    before: str
    after: str
    times: tuple[AtEqualTime, ...]

    @property
    def mean_points(self) -> float | None:
        """The mean difference in percentage points."""
        return float(np.mean([time.points for time in self.times])) if self.times else None


@dataclass(frozen=True, kw_only=True)
class TimeFor95:
    """Time [s] that 95 % success takes a variant; None where it is not reached.

    `round_s` is interpolated between the batch sizes of a single round, `adaptive_s` the time by which 95 % of the
    runs with the planner's own rounds are certified. `round_limit_s` is the median time of the slowest single round.
    """

    variant: str
    round_s: float | None
    adaptive_s: float | None
    round_limit_s: float


@dataclass(frozen=True, kw_only=True)
class Ablation:
    """All figures; `points`, `paired` and so on are in the order of the variants."""

    variants: tuple[Variant, ...]
    batches: tuple[int, ...]
    time_limit_s: float
    problems: int
    seeds: int
    points: tuple[Point, ...]
    paired: tuple[VariantComparison, ...]
    equal_time: tuple[EqualTime, ...]
    time_for_95: tuple[TimeFor95, ...]

    def point(self, variant: str, mode: int | str) -> Point:
        """Return a variant's figures in a mode."""
        return next(p for p in self.points if (p.variant, p.mode) == (variant, str(mode)))

    def curve(self, variant: str) -> Curve:
        """Return a variant's success over the median plan time of its single rounds."""
        return _curve([self.point(variant, batch) for batch in self.batches])


def ablation(
    rows: Sequence[ResultRow], chosen: Sequence[Variant], batches: Sequence[int], time_limit: float
) -> Ablation:
    """Return the figures of these rows, which hold a run of every variant in every mode for each problem and seed.

    Args:
        rows: the runs, labelled by `variants.label`.
        chosen: the variants.
        batches: batch sizes of the single rounds.
        time_limit: of planning [s].
    """
    modes = (*batches, ADAPTIVE)
    pairs = _pairs(chosen)
    own: dict[str, list[ResultRow]] = {label(v.name, mode): [] for v in chosen for mode in modes}
    for row in rows:
        own[row.planner].append(row)
    points = [_point(v.name, mode, own[label(v.name, mode)], time_limit) for v in chosen for mode in modes]
    curves = {v.name: _curve([p for p in points if p.variant == v.name and p.mode != ADAPTIVE]) for v in chosen}
    return Ablation(
        variants=tuple(chosen),
        batches=tuple(batches),
        time_limit_s=time_limit,
        problems=len({row.problem for row in rows}),
        seeds=len({row.seed for row in rows}),
        points=tuple(points),
        paired=tuple(
            _paired(a, b, mode, own[label(a, mode)], own[label(b, mode)], time_limit)
            for a, b in pairs
            for mode in modes
        ),
        equal_time=tuple(EqualTime(before=a, after=b, times=at_equal_time(curves[a], curves[b])) for a, b in pairs),
        time_for_95=tuple(
            TimeFor95(
                variant=v.name,
                round_s=curves[v.name].time_for(WANTED_SHARE),
                adaptive_s=_time_by_which(WANTED_SHARE, own[label(v.name, ADAPTIVE)], time_limit),
                round_limit_s=max(p.plan_time_median_s for p in points if p.variant == v.name and p.mode != ADAPTIVE),
            )
            for v in chosen
        ),
    )


def _pairs(chosen: Sequence[Variant]) -> tuple[tuple[str, str], ...]:
    """Return what is compared: each with the one before; the conditioned prior and the last also with the first."""
    names = [variant.name for variant in chosen]
    pairs = list(pairwise(names))
    pairs += [(names[0], name) for name in ("prior", names[-1]) if name in names[1:]]
    return tuple(dict.fromkeys(pairs))


def _point(variant: str, mode: int | str, rows: list[ResultRow], limit: float) -> Point:
    (summary,) = (s for s in summarise(rows, limit) if s.set == ALL)
    median, p95 = summary.plan_time_median_s, summary.plan_time_p95_s
    if mode != ADAPTIVE:
        times = [limit if row.plan_time_s is None else row.plan_time_s for row in rows]
        median, p95 = (float(np.percentile(times, percent)) for percent in (50, 95))
    return Point(
        variant=variant,
        mode=str(mode),
        n=summary.n,
        certified=summary.certified,
        share=summary.certified_share,
        low=summary.wilson_low,
        high=summary.wilson_high,
        plan_time_median_s=median,
        plan_time_p95_s=p95,
        path_ratio=summary.path_ratio,
        duration_s=summary.duration_mean_s,
    )


def _curve(points: Sequence[Point]) -> Curve:
    return Curve.through([(point.plan_time_median_s, point.share) for point in points])


def _time_by_which(share: float, rows: list[ResultRow], limit: float) -> float | None:
    """Return the time [s] by which this share of the runs is certified; None if fewer are at all."""
    times = sorted(counted_time(row, limit) for row in rows if in_time(row, limit))
    needed = ceil(share * len(rows) - 1e-9)
    return times[needed - 1] if len(times) >= needed > 0 else None


def _paired(
    a: str, b: str, mode: int | str, first: list[ResultRow], second: list[ResultRow], limit: float
) -> VariantComparison:
    found = replace(comparison.pair(first, second, limit), before=a, after=b)
    return VariantComparison(mode=str(mode), **vars(found))
