"""The least clearance along a path that is proven free: looked for, with a proven lower bound beside it.

Between two places a and b a pair whose clearance there is at least low(a) and low(b) is nowhere nearer than

    (low(a) + low(b) - travel(a, b)) / 2,

for it changes no faster than the pair moves. A low(a) is a measurement, one elsewhere less the travel, or a bound that
needs none (`Bounds`). Pairs that keep farther off than the least that was measured, less a millimetre, are proven to do
so and left alone. For the others there are bounds at every sample, and whichever step's bound lies lowest below what
was measured has an end of it measured, until none lies a millimetre below or the looks run out.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from diffplan.certificate.bisection import SIGHT, Measure, Sweep
from diffplan.certificate.reach import FAR
from diffplan.geometry.pose import Float

AGREEMENT = 0.001
"""So near the least measured clearance [m], or within half of it where that is less, a bound needs no further look."""
MOST_LOOKS = 8
"""How many looks a path gets at most."""


class Bounds(Protocol):
    """Lower bounds on the clearances of pairs along a path that need no measurement."""

    def nearest(self, pairs: np.ndarray) -> tuple[int, int, float]:
        """Return which of these pairs comes nearest at a sample by its bound, at which, and that bound (m)."""
        ...

    def nearer(self, pairs: np.ndarray, demand: float) -> np.ndarray:
        """Return those of the pairs that are not proven to keep farther apart than `demand` (m) all along."""
        ...

    def along(self, pairs: np.ndarray, enough: float) -> Float:
        """Return bounds at all samples [n, pairs] (m); those above `enough` may be lower than they could be."""
        ...


def refine(sweep: Sweep, travel: Float, way: np.ndarray, measure: Measure, group: np.ndarray, bounds: Bounds) -> Float:
    """Look closer at where pairs may be nearest, and note in the sweep what is found.

    Args:
        sweep: of the whole path, without a touch.
        travel: the relative travel since the path's begin by each way that pairs can go [n, ways] (m).
        way: which of these is a pair's [pairs].
        measure: the clearances at a place of the path.
        group: the group of each pair [pairs]: 0 with obstacles, 1 between links; others do not count.
        bounds: what is known without measuring.

    Returns:
        For both groups a proven lower bound on the least clearance along the path [m]; infinite without pairs.
    """
    runs = [
        _Refinement(sweep, travel, way, measure, np.flatnonzero(group == g), bounds, (FAR, SIGHT)[g]) for g in (0, 1)
    ]
    for _ in range(MOST_LOOKS):
        run = max(runs, key=lambda one: one.missing)
        if run.missing <= 0:
            break
        run.look()
    return np.array([run.bound for run in runs])


class _Refinement:
    """One refinement in progress, of a `group` of pairs: `pairs` are those that may be nearer than what was measured.

    `places` [m], rising, are the samples and where else a pair was measured; `along` [m, pairs] is the travel up to
    them, `low` [m, pairs] bounds there, measured ones where `measured` [m, pairs] says so, and `least` [m - 1, pairs]
    bounds on the steps between them (m).
    """

    def __init__(
        self,
        sweep: Sweep,
        travel: Float,
        way: np.ndarray,
        measure: Measure,
        group: np.ndarray,
        bounds: Bounds,
        sight: float,
    ) -> None:
        self.sweep, self.measure, self.group, self.sight = sweep, measure, group, sight
        self.best = float(sweep.least[group].min(initial=np.inf))
        if len(group) and not np.isfinite(self.best):
            pair, sample, low = bounds.nearest(group)
            if low < sight:
                self._measured(float(sample), np.array([pair]), sight)
        self.agreement = min(AGREEMENT, max(self.best, 0.0) / 2)
        self.demand = min(self.best, sight) - self.agreement
        self.pairs = bounds.nearer(group, self.demand) if len(group) else group
        self.places, self.along = np.arange(float(len(travel))), travel[:, way[self.pairs]]
        self.longest = float(np.diff(self.along, axis=0).max(initial=0.0))
        self.low = bounds.along(self.pairs, self.demand + self.longest + AGREEMENT)
        self.measured = np.zeros(self.along.shape, bool)
        found = [(j, *one) for j, pair in enumerate(self.pairs.tolist()) for one in sweep.found.get(pair, [])]
        self._put_in(np.unique([place for _, place, _ in found if place % 1]))
        for j, place, clearance in found:
            self._know(int(np.searchsorted(self.places, place)), j, clearance)
        self._reckon()

    @property
    def bound(self) -> float:
        """A lower bound for the whole group (m)."""
        if len(self.group) == 0:
            return np.inf
        proven = self.demand if len(self.pairs) < len(self.group) else np.inf
        return max(0.0, min(self.best, proven, float(self.least.min(initial=np.inf))))  # it is proven to be free

    @property
    def missing(self) -> float:
        """By how much the lowest bound lies too far below what was measured (m)."""
        return min(self.best, self.sight) - self.agreement - float(self.least.min(initial=np.inf))

    def look(self) -> None:
        """Measure at an end of the step whose bound is lowest, or in its middle if both ends are measured."""
        step, j = divmod(int(np.argmin(self.least)), len(self.pairs))
        ends = [end for end in (step, step + 1) if not self.measured[end, j]]
        if ends:
            row = min(ends, key=lambda end: self.low[end, j])
        else:
            row = step + 1
            self._put_in(self.places[step : step + 2].mean(keepdims=True))
            self._reckon()
        need = min(self.best, self.sight)
        near = (self.least[max(0, row - 1) : row + 1] < need - self.agreement).any(axis=0)
        some = np.flatnonzero(near & ~self.measured[row])
        sight = max(SIGHT, need + self.longest + 2 * AGREEMENT)
        seen = self._measured(float(self.places[row]), self.pairs[some], sight)
        for column, value in zip(some.tolist(), seen.tolist(), strict=True):
            self._know(row, column, value)
        self._reckon()

    def _measured(self, place: float, pairs: np.ndarray, sight: float) -> Float:
        clearance = self.measure(place, pairs, sight)
        self.best = min(self.best, float(clearance.min()))
        return self.sweep.note(place, pairs, clearance, sight)

    def _put_in(self, places: Float) -> None:
        """Put in places [k] that are not there yet, rising: what is known at both of its neighbours tells of each."""
        if len(places) == 0:
            return
        behind = np.searchsorted(self.places, places)
        before = behind - 1
        share = (places - self.places[before]) / (self.places[behind] - self.places[before])
        along = self.along[before] + share[:, None] * (self.along[behind] - self.along[before])
        low = np.maximum(
            self.low[before] - (along - self.along[before]), self.low[behind] - (self.along[behind] - along)
        )
        self.places = np.insert(self.places, behind, places)
        self.along, self.low = np.insert(self.along, behind, along, axis=0), np.insert(self.low, behind, low, axis=0)
        self.measured = np.insert(self.measured, behind, False, axis=0)

    def _know(self, row: int, j: int, clearance: float) -> None:
        """Take a pair's clearance at a place: elsewhere it is lower by no more than what the pair travels."""
        away = np.abs(self.along[:, j] - self.along[row, j])
        self.low[:, j] = np.where(self.measured[:, j], self.low[:, j], np.maximum(self.low[:, j], clearance - away))
        self.low[row, j], self.measured[row, j] = clearance, True

    def _reckon(self) -> None:
        self.least = (self.low[:-1] + self.low[1:] - np.diff(self.along, axis=0)) / 2
