"""The least clearance along a path that is proven free: looked for, with a proven lower bound beside it.

Between two places a and b at which a pair of bodies was measured, its clearance is nowhere less than

    (clearance(a) + clearance(b) - travel(a, b)) / 2,

for it changes no faster than the pair moves. The interval whose bound lies farthest below what was measured is halved,
for the pairs that can still come a millimetre closer than that, until none can or the looks run out.

In the first look many clearances are bounded only. Those by which a pair might be nearer than the least of its group,
less a millimetre, are measured before that: the least over all places of the first look is then, to a millimetre, what
it would be had all pairs been measured there.
"""

from __future__ import annotations

import heapq
from itertools import count

import numpy as np

from diffplan.certificate.bisection import SIGHT, FirstLook, Measure, Sweep, travel_at
from diffplan.certificate.reach import FAR
from diffplan.geometry.pose import Float

AGREEMENT = 0.001
"""So near the least measured clearance [m] a lower bound needs no further look."""
MOST_LOOKS = 8
"""How many looks a path gets at most, for 2 ms."""


def refine(sweep: Sweep, travel: Float, measure: Measure, group: np.ndarray) -> Float:
    """Look closer at where pairs may be nearest, and note in the sweep what is found.

    Args:
        sweep: of the whole path, without a touch.
        travel: as for `bisect`: the relative travel since the path's begin [n, pairs] (m).
        measure: the clearances at a place of the path.
        group: the group of each pair [pairs]: 0 with obstacles, 1 between links; others do not count.

    Returns:
        For both groups a proven lower bound on the least clearance along the path [m]; infinite without pairs.
    """
    if sweep.first is None:
        return np.full(2, np.inf)
    _look_nearer(sweep, sweep.first, measure, group)
    run = _Refinement(sweep, travel, measure, group)
    run.begin(sweep.first)
    for _ in range(MOST_LOOKS):
        if not run.heap:
            break
        run.halve()
    for _, _, (_, _, pairs, bound, _, _) in run.heap:
        run.close(pairs, bound)
    return run.bound


def _look_nearer(sweep: Sweep, first: FirstLook, measure: Measure, group: np.ndarray) -> None:
    """Measure at the places of the first look whatever may be the least clearance of its group there.

    The least is looked for up to 10 m from obstacles, and up to the sight of the first look between links.
    """
    between, farthest = first.between, np.array([FAR, SIGHT])
    widest = np.array([0.0, *between.max(axis=1), 0.0])
    bound = (first.low[:-1] + first.low[1:] - between) / 2
    bound[:, group > 1] = np.inf
    bound[first.measured[:-1] & first.measured[1:]] = np.inf
    for g in (0, 1):
        own = np.flatnonzero(group == g)
        own = own[np.argsort(bound[:, own].min(axis=0), kind="stable")]
        while len(own):
            need = min(float(sweep.least[group == g].min()), farthest[g]) - AGREEMENT
            own = own[bound[:, own].min(axis=0) < need]
            if len(own) == 0:
                break
            left, which = np.unravel_index(int(np.argmin(bound[:, own])), (len(bound), len(own)))
            pair = own[which]
            ends = [i for i in (left, left + 1) if not first.measured[i, pair]]
            i = int(min(ends, key=lambda end: first.low[end, pair]))
            near = (bound[max(0, i - 1) : i + 1, own] < need).any(axis=0)
            pairs = np.sort(own[near & ~first.measured[i, own]])
            sight = max(SIGHT, need + float(max(widest[i], widest[i + 1])) + 2 * AGREEMENT)
            clearance = measure(float(first.places[i]), pairs, sight)
            sweep.note(float(first.places[i]), pairs, clearance)
            first.note(i, pairs, np.minimum(clearance, sight))
            both = first.measured[:-1, pairs] & first.measured[1:, pairs]
            new = (first.low[:-1, pairs] + first.low[1:, pairs] - between[:, pairs]) / 2
            bound[:, pairs] = np.where(both, np.inf, new)


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

    def begin(self, first: FirstLook) -> None:
        """Make the intervals between the places of the first look, and of the pieces into which they were halved."""
        need = np.where(np.isfinite(self.best), self.best - AGREEMENT, -np.inf)
        need = np.append(need, -np.inf)[np.minimum(self.group, 2)]
        bound = np.where(first.proven, (first.low[:-1] + first.low[1:] - first.between) / 2, np.inf)
        near = bound < need
        for g in (0, 1):
            rest = np.where(near, np.inf, bound)[:, self.group == g]
            self.bound[g] = min(self.bound[g], float(rest.min(initial=np.inf)))
        for i in np.flatnonzero(near.any(axis=1)).tolist():
            pairs = np.flatnonzero(near[i])
            ends = float(first.places[i]), float(first.places[i + 1])
            self.push(*ends, pairs, bound[i, pairs], first.low[i, pairs], first.low[i + 1, pairs])
        groups, needs = self.group.tolist(), need.tolist()
        pieces: dict[tuple[float, float], list[tuple[int, float, float, float]]] = {}
        for start, end, pair, low, high, least in self.sweep.pieces:
            if least < needs[pair]:
                pieces.setdefault((start, end), []).append((pair, least, low, high))
            elif groups[pair] < 2:
                self.bound[groups[pair]] = min(self.bound[groups[pair]], least)
        for (start, end), found in pieces.items():
            pairs, *values = zip(*found, strict=True)
            self.push(start, end, np.array(pairs), *map(np.array, values))

    def halve(self) -> None:
        """Look at the middle of the interval whose bound lies farthest below the least that was measured."""
        _, _, (start, end, pairs, bound, low, high) = heapq.heappop(self.heap)
        still = self.best[self.group[pairs]] - bound > AGREEMENT
        self.close(pairs[~still], bound[~still])
        pairs, low, high = pairs[still], low[still], high[still]
        if len(pairs) == 0:
            return
        middle = (start + end) / 2
        way = travel_at(self.travel, middle, pairs)
        first, second = way - travel_at(self.travel, start, pairs), travel_at(self.travel, end, pairs) - way
        sight = float(np.maximum(low + first, high + second).max())
        clearance = self.measure(middle, pairs, sight)
        self.sweep.note(middle, pairs, clearance)
        clearance = np.minimum(clearance, sight)
        np.minimum.at(self.best, self.group[pairs], clearance)
        np.minimum.at(self.bound, self.group[pairs], clearance)
        self.push(start, middle, pairs, (low + clearance - first) / 2, low, clearance)
        self.push(middle, end, pairs, (clearance + high - second) / 2, clearance, high)
