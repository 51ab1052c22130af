"""Statistics of comparisons: paired tests, and success of one planner at the time of another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.stats import binomtest, wilcoxon

from diffplan.benchmark.results import ResultRow
from diffplan.benchmark.summary import in_time
from diffplan.geometry.pose import Float


def mcnemar_exact(only_first: int, only_second: int) -> float:
    """Return the two-sided p-value that two planners succeed alike, from the problems that only one of them solved.

    Under the hypothesis each such problem is a fair coin. Source: Q. McNemar, Psychometrika 12 (1947), exact form.
    """
    disagreeing = only_first + only_second
    return float(binomtest(only_first, disagreeing, 0.5).pvalue) if disagreeing else 1.0


@dataclass(frozen=True, kw_only=True)
class Change:
    """How a quantity changes from one planner to another over `n` pairs.

    `percent` compares the means, `p` is Wilcoxon's; both are None without pairs.
    """

    n: int
    percent: float | None
    p: float | None


def paired_change(before: Sequence[float], after: Sequence[float]) -> Change:
    """Return the change of the mean in percent and the two-sided p of Wilcoxon's signed rank test on the pairs.

    Source: F. Wilcoxon, Biometrics Bulletin 1 (1945); pairs without difference are left out of the test.
    """
    a, b = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    if len(a) == 0:
        return Change(n=0, percent=None, p=None)
    moved = (b - a)[b != a]
    p = float(np.asarray(wilcoxon(moved))[1]) if len(moved) else 1.0  # statistic, p-value
    return Change(n=len(a), percent=float(100 * (b.mean() / a.mean() - 1)), p=p)


@dataclass(frozen=True, kw_only=True)
class PairedComparison:
    """A planner (`after`) against another (`before`): success on the `n` runs (problem and seed) that both made.

    `both`, `only_before` and `only_after` count the runs certified in time, `p_success` is McNemar's exact p. Plan
    time, path and duration change over the runs that both have certified.
    """

    before: str
    after: str
    n: int
    both: int
    only_before: int
    only_after: int
    p_success: float
    plan_time: Change
    path: Change
    duration: Change


def paired_comparisons(rows: Sequence[ResultRow], time_limit: float) -> list[PairedComparison]:
    """Compare every two planners, the earlier in the rows as `before`; `time_limit` [s] decides what is a success."""
    own: dict[str, list[ResultRow]] = {}
    for row in rows:
        own.setdefault(row.planner, []).append(row)
    return [pair(before, after, time_limit) for before, after in combinations(own.values(), 2)]


def pair(first: Sequence[ResultRow], second: Sequence[ResultRow], time_limit: float) -> PairedComparison:
    """Compare the runs of one planner with those of another; both must have some."""
    later = {(row.problem, row.seed): row for row in second}
    matched = [(row, later[key]) for row in first if (key := (row.problem, row.seed)) in later]
    good = [(in_time(x, time_limit), in_time(y, time_limit)) for x, y in matched]
    both = [two for two, each in zip(matched, good, strict=True) if all(each)]
    only_before, only_after = good.count((True, False)), good.count((False, True))
    return PairedComparison(
        before=first[0].planner,
        after=second[0].planner,
        n=len(matched),
        both=len(both),
        only_before=only_before,
        only_after=only_after,
        p_success=mcnemar_exact(only_before, only_after),
        plan_time=_change([(x.plan_time_s, y.plan_time_s) for x, y in both]),
        path=_change([(x.path_length_rad, y.path_length_rad) for x, y in both]),
        duration=_change([(x.duration_s, y.duration_s) for x, y in both]),
    )


def _change(values: Sequence[tuple[float | None, float | None]]) -> Change:
    known = [(x, y) for x, y in values if x is not None and y is not None]
    return paired_change([x for x, _ in known], [y for _, y in known])


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """Success shares [n] at planning times [n] in s, rising; between them success is linear in the log of time."""

    time_s: Float
    share: Float

    @staticmethod
    def through(points: Sequence[tuple[float, float]]) -> Curve:
        """Return the curve through points (time [s], share) in any order; of equal times the best share counts.

        Points at time 0, where nothing was planned, are left out, so a curve may be empty.
        """
        best: dict[float, float] = {}
        for time, share in points:
            if time > 0:
                best[time] = max(share, best.get(time, 0.0))
        times = sorted(best)
        return Curve(time_s=np.array(times), share=np.array([best[time] for time in times]))

    def at(self, time_s: float) -> float | None:
        """Return the success share at a time [s]; None outside of the curve (nothing was measured there)."""
        if len(self.time_s) == 0 or not self.time_s[0] <= time_s <= self.time_s[-1]:
            return None
        return float(np.interp(np.log(time_s), np.log(self.time_s), self.share))

    def time_for(self, share: float) -> float | None:
        """Return the least time [s] at which this share succeeds; None if the curve does not get there.

        Where the first point is above the share already, its time is returned: less may do.
        """
        reached = np.flatnonzero(self.share >= share)
        if len(reached) == 0:
            return None
        i = int(reached[0])
        if i == 0:
            return float(self.time_s[0])
        part = (share - self.share[i - 1]) / (self.share[i] - self.share[i - 1])
        low, high = np.log(self.time_s[i - 1 : i + 1])
        return float(np.exp(low + part * (high - low)))


@dataclass(frozen=True, kw_only=True)
class AtEqualTime:
    """Success of two planners at one time [s]."""

    time_s: float
    before: float
    after: float

    @property
    def points(self) -> float:
        """The difference in percentage points."""
        return 100 * (self.after - self.before)


def at_equal_time(before: Curve, after: Curve) -> tuple[AtEqualTime, ...]:
    """Return both success shares at every measured time of either that lies on both curves; none if they are apart."""
    found = []
    for time in sorted({*before.time_s.tolist(), *after.time_s.tolist()}):
        a, b = before.at(time), after.at(time)
        if a is not None and b is not None:
            found.append(AtEqualTime(time_s=time, before=a, after=b))
    return tuple(found)
