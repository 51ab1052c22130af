"""The least clearance along a path that is proven free: looked for, with a proven lower bound beside it.

Between two places a and b at which a pair of bodies was measured, its clearance is nowhere less than

    (clearance(a) + clearance(b) - travel(a, b)) / 2,

for it changes no faster than the pair moves. The interval whose bound lies farthest below what was measured is halved,
for the pairs that can still come a millimetre closer than that, until none can or the looks run out.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from itertools import count

import numpy as np

from diffplan.certificate.bisection import Look, Measure, Sweep, travel_at
from diffplan.geometry.pose import Float

AGREEMENT = 0.001
"""So near the least measured clearance [m] a lower bound needs no further look."""
MOST_LOOKS = 8
"""How many looks a path gets at most, for 2 ms."""


def refine(sweep: Sweep, looks: Sequence[Look], travel: Float, measure: Measure, group: np.ndarray) -> Float:
    """Look closer at where pairs may be nearest, and note in the sweep what is found.

    Args:
        sweep: of the whole path, without a touch.
        looks: the measurements to begin with.
        travel: as for `bisect`: the relative travel since the path's begin [n, pairs] (m).
        measure: the clearances at a place of the path.
        group: the group of each pair [pairs]: 0 with obstacles, 1 between links.

    Returns:
        For both groups a proven lower bound on the least clearance along the path [m]; infinite without pairs.
    """
    run = _Refinement(sweep, travel, measure, group)
    run.begin(looks)
    for _ in range(MOST_LOOKS):
        if not run.heap:
            break
        run.halve()
    for _, _, (_, _, pairs, bound, _, _) in run.heap:
        run.close(pairs, bound)
    return run.bound


class _Refinement:
    """One refinement in progress: `best` and `bound` of both groups, and the intervals that may need a look."""

    def __init__(self, sweep: Sweep, travel: Float, measure: Measure, group: np.ndarray) -> None:
        self.sweep, self.travel, self.measure, self.group = sweep, travel, measure, group
        self.best = np.array([sweep.least[group == g].min(initial=np.inf) for g in (0, 1)])
        self.bound = self.best.copy()
        self.order = count()
        self.heap: list[tuple[float, int, tuple[float, float, np.ndarray, Float, Float, Float]]] = []

    def close(self, pairs: np.ndarray, bound: Float) -> None:
        """Note lower bounds that stay as they are."""
        np.minimum.at(self.bound, self.group[pairs], bound)

    def push(self, start: float, end: float, pairs: np.ndarray, bound: Float, low: Float, high: Float) -> None:
        """Keep an interval for the pairs that can come closer in it; the bounds of the others stay."""
        below = self.best[self.group[pairs]] - bound
        still = below > AGREEMENT
        self.close(pairs[~still], bound[~still])
        if still.any():
            entry = (start, end, pairs[still], bound[still], low[still], high[still])
            heapq.heappush(self.heap, (-float(below[still].max()), next(self.order), entry))

    def begin(self, looks: Sequence[Look]) -> None:
        """Make the intervals between every two successive looks at the same pair."""
        size = self.travel.shape[1]
        last, before, way = np.full(size, -1.0), np.full(size, np.inf), np.zeros(size)
        for place, pairs, clearance in sorted(looks, key=lambda look: look[0]):
            here = travel_at(self.travel, place)[pairs]
            bound = (before[pairs] + clearance - here + way[pairs]) / 2
            own, near = bound < self.best[self.group[pairs]], last[pairs]
            for start in np.unique(near[own]).tolist():
                same = own & (near == start)
                which = pairs[same]
                self.push(start, place, which, bound[same], before[which], clearance[same])
            last[pairs], before[pairs], way[pairs] = place, clearance, here

    def halve(self) -> None:
        """Look at the middle of the interval whose bound lies farthest below the least that was measured."""
        _, _, (start, end, pairs, bound, low, high) = heapq.heappop(self.heap)
        still = self.best[self.group[pairs]] - bound > AGREEMENT
        self.close(pairs[~still], bound[~still])
        pairs, low, high = pairs[still], low[still], high[still]
        if len(pairs) == 0:
            return
        middle = (start + end) / 2
        way = travel_at(self.travel, middle)[pairs]
        first, second = way - travel_at(self.travel, start)[pairs], travel_at(self.travel, end)[pairs] - way
        sight = float(np.maximum(low + first, high + second).max())
        clearance = self.measure(middle, pairs, sight)
        sweep = self.sweep
        sweep.places.append(middle)
        closer = clearance < sweep.least[pairs]
        sweep.least[pairs[closer]], sweep.least_place[pairs[closer]] = clearance[closer], middle
        clearance = np.minimum(clearance, sight)
        np.minimum.at(self.best, self.group[pairs], clearance)
        np.minimum.at(self.bound, self.group[pairs], clearance)
        self.push(start, middle, pairs, (low + clearance - first) / 2, low, clearance)
        self.push(middle, end, pairs, (clearance + high - second) / 2, clearance, high)
