"""Adaptive bisection of a path: which intervals are proven free from clearances measured at their ends.

F. Schwarzer, M. Saha, J.-C. Latombe, "Adaptive dynamic collision checking for single and multiple articulated robots
in complex environments", IEEE T-RO 21(3), 2005. Between two places a and b of the path a pair of bodies does not
touch if

    clearance(a) + clearance(b) > travel(a, b),

travel being the longest way that any point of the one moves relative to the other: at a touch in between, that point
would have travelled at least clearance(a) since a and would have at least clearance(b) to go. Other intervals are
halved, for the pairs that are still open. A clearance beyond the sight of a measurement counts as that sight.

The proof asks for lower bounds on both clearances only, so whatever is one will do. Where others (planes.py) have
proven most of a path free already, only the stretches that they left open are halved. Without them the first look is at
places about 0.2 m of travel apart, and clearance(c) - travel(a, c) is a bound at a where the pair was measured at
another place c, since a clearance changes no faster than the pair moves.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import TypeAlias

import numpy as np

from diffplan.certificate.planes import PROVEN
from diffplan.geometry.pose import Float

TOUCH = 1e-4
"""At this clearance [m] or below it a pair counts as in contact, or too close to tell."""
SIGHT = 0.25
"""How far the first look along a path measures, at least [m]."""
_FIRST_TRAVEL = 0.2
_MAX_MEASUREMENTS = 20000

Measure: TypeAlias = Callable[[float, np.ndarray, float], Float]
"""(place, pairs, sight) -> their clearances [m], infinite beyond sight; a place is a fractional sample index."""


@dataclass(frozen=True, kw_only=True)
class Touch:
    """A pair in contact at a place of the path, or, with `clearance_m` above `TOUCH`, one that could not be decided."""

    pair: int
    place: float
    clearance_m: float


@dataclass(kw_only=True)
class Sweep:
    """What was found: the first touch if there is one, and every measurement's place and least clearance by pair.

    `found` are the places of each pair's measurements and the clearances there (m), those beyond sight as the sight.
    """

    touch: Touch | None = None
    places: list[float] = field(default_factory=list)
    found: dict[int, list[tuple[float, float]]] = field(default_factory=dict)
    least: Float
    least_place: Float

    def note(self, place: float, pairs: np.ndarray, clearance: Float, sight: float) -> Float:
        """Note what was measured at a place [pairs] (m); return it, those beyond sight as the sight."""
        self.places.append(place)
        closer = clearance < self.least[pairs]
        self.least[pairs[closer]], self.least_place[pairs[closer]] = clearance[closer], place
        seen = np.minimum(clearance, sight)
        for pair, value in zip(pairs.tolist(), seen.tolist(), strict=True):
            self.found.setdefault(pair, []).append((place, value))
        return seen

    @property
    def free(self) -> bool:
        """Whether the whole path is proven free of contact."""
        return self.touch is None


def _travels_at(travel: Float, places: Float) -> Float:
    """Return the travel of all pairs up to places [m, pairs]."""
    sample = np.minimum(places.astype(int), len(travel) - 2)
    return travel[sample] + (places - sample)[:, None] * (travel[sample + 1] - travel[sample])


def _outermost_first(samples: list[int]) -> list[int]:
    """Return samples in an order in which those far from all before come first."""
    return [samples[i] for i in _spread(len(samples))]


def _spread(number: int) -> list[int]:
    """Return the numbers below `number`, those far from all before first: both ends, the middle, the quarters..."""
    order = [0, number - 1] if number > 1 else list(range(number))
    step = 1 << max(0, (number - 1).bit_length() - 1)
    while step:
        order += [i for i in range(step, number - 1, 2 * step)]
        step //= 2
    return order


def bisect(
    travel: Float,
    measure: Measure,
    way: np.ndarray | None = None,
    stretches: Sequence[tuple[int, int, int]] | None = None,
) -> Sweep:
    """Prove a path free of contact, or find a contact.

    Args:
        travel: for each sample and way that pairs can go, a bound on the relative travel since the path's begin
            [n, ways] (m); between two samples it grows linearly.
        measure: the clearances at a place of the path.
        way: which of these ways is a pair's [pairs]; each its own if not given.
        stretches: what is not proven free yet, if that is known: a pair, the first and the last sample.
    """
    run = _Run(travel, measure, np.arange(travel.shape[1]) if way is None else way)
    order = count()
    heap: list[tuple[float, int, _Interval]] = []

    def push(interval: _Interval) -> None:
        heapq.heappush(heap, (interval.suspicion, next(order), interval))

    for interval in run.first_look() if stretches is None else run.ends(stretches):
        push(interval)
    while heap and run.sweep.touch is None:
        for half in run.halve(heapq.heappop(heap)[2]):
            push(half)
    return run.sweep


@dataclass(kw_only=True, eq=False)
class _FirstLook:
    """What is known of all pairs at some places of a path [n], rising.

    `travel` [n, pairs] is that up to each place (m), `low` [n, pairs] a lower bound on the clearance there (m), which
    is the clearance itself where it was `measured` [n, pairs]. `proven` [n - 1, pairs] tells which pairs are proven
    free from a place to the next by these alone.
    """

    places: Float
    travel: Float
    low: Float
    measured: np.ndarray
    proven: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))

    @property
    def between(self) -> Float:
        """The travel from each place to the next [n - 1, pairs] (m)."""
        return np.diff(self.travel, axis=0)

    def note(self, i: int, pairs: np.ndarray, clearance: Float) -> None:
        """Note clearances at a place, and what they say of the other places.

        A pair's clearance at another place is lower by no more than what it travels in between.
        """
        away = np.abs(self.travel[:, pairs] - self.travel[i, pairs])
        self.low[:, pairs] = np.where(
            self.measured[:, pairs], self.low[:, pairs], np.maximum(self.low[:, pairs], clearance - away)
        )
        self.low[i, pairs], self.measured[i, pairs] = clearance, True


@dataclass(frozen=True, kw_only=True, eq=False)
class _Interval:
    """An undecided piece of the path: its open pairs, at both ends their clearances and their travel up to there (m).

    The smallest slack goes first. Few pairs are open here, for which lists are faster than arrays.
    """

    start: float
    end: float
    pairs: list[int]
    low: list[float]
    high: list[float]
    way_low: list[float]
    way_high: list[float]
    suspicion: float


class _Run:
    """One bisection in progress."""

    def __init__(self, travel: Float, measure: Measure, way: np.ndarray) -> None:
        self.travel, self.measure, self.way = travel, measure, way
        self.sweep = Sweep(least=np.full(len(way), np.inf), least_place=np.zeros(len(way)))
        self._ways: dict[int, list[float]] = {}

    def look(self, place: float, pairs: np.ndarray, sight: float) -> Float:
        """Measure, note the least clearances and a touch; returns clearances, `sight` where nothing was seen."""
        clearance = self.measure(place, pairs, sight)
        sweep = self.sweep
        seen = sweep.note(place, pairs, clearance, sight)
        worst = int(np.argmin(clearance))
        undecided = len(sweep.places) > _MAX_MEASUREMENTS
        if sweep.touch is None and (clearance[worst] <= TOUCH or undecided):
            sweep.touch = Touch(pair=int(pairs[worst]), place=place, clearance_m=float(clearance[worst]))
        return seen

    def ends(self, stretches: Sequence[tuple[int, int, int]]) -> list[_Interval]:
        """Look at both ends of stretches; returns those that are not proven free by that."""
        at: dict[int, dict[int, float]] = {}
        for pair, *ends in stretches:
            for sample in ends:
                at.setdefault(sample, {})[pair] = np.inf
        widest = max((self._way(pair)[end] - self._way(pair)[begin] for pair, begin, end in stretches), default=0.0)
        for sample in _outermost_first(sorted(at)):
            pairs = np.array(sorted(at[sample]))
            clearance = self.look(float(sample), pairs, max(SIGHT, widest + 2 * TOUCH))
            if self.sweep.touch:
                return []
            at[sample] = dict(zip(pairs.tolist(), clearance.tolist(), strict=True))
        found = (
            self._open([k], float(i), float(j), [at[i][k]], [at[j][k]], [self._way(k)[i]], [self._way(k)[j]])
            for k, i, j in stretches
        )
        return [interval for interval in found if interval is not None]

    def first_look(self) -> list[_Interval]:
        """Look at places about 0.2 m of travel apart, at the pairs that are not proven free there without; returns the
        intervals between them that are open.
        """
        travel = self.travel[:, self.way]
        last = len(travel) - 1
        if travel.shape[1] == 0:
            return []
        farthest = travel[:, int(np.argmax(travel[-1]))]
        number = 1 + max(1, int(np.ceil(farthest[-1] / _FIRST_TRAVEL)))
        places = np.interp(np.linspace(0, farthest[-1], number), farthest, np.arange(last + 1.0))
        places[0], places[-1] = 0.0, last
        way = _travels_at(travel, places)
        low = np.full(way.shape, -np.inf)
        first = _FirstLook(places=places, travel=way, low=low, measured=np.zeros(way.shape, bool))
        between = first.between
        widest = np.array([0.0, *between.max(axis=1), 0.0])
        first.proven = np.zeros(between.shape, bool)
        for i in _spread(number):
            pairs = np.flatnonzero(~first.proven[max(0, i - 1) : i + 1].all(axis=0))
            if len(pairs) == 0:
                continue
            sight = max(SIGHT, float(max(widest[i], widest[i + 1])) + 2 * TOUCH)
            first.note(i, pairs, self.look(float(places[i]), pairs, sight))
            if self.sweep.touch:
                return []
            proven = low[:-1, pairs] + low[1:, pairs] - between[:, pairs] > PROVEN
            first.proven[:, pairs] |= proven
        return [self._first_interval(first, i) for i in np.flatnonzero(~first.proven.all(axis=1)).tolist()]

    def _first_interval(self, first: _FirstLook, i: int) -> _Interval:
        """Return the interval behind place i of the first look with the pairs that are open there."""
        pairs = np.flatnonzero(~first.proven[i])
        ends = ((array[i, pairs], array[i + 1, pairs]) for array in (first.low, first.travel))
        (low, high), (way_low, way_high) = ends
        return _Interval(
            start=float(first.places[i]),
            end=float(first.places[i + 1]),
            pairs=pairs.tolist(),
            low=low.tolist(),
            high=high.tolist(),
            way_low=way_low.tolist(),
            way_high=way_high.tolist(),
            suspicion=float((low + high - (way_high - way_low)).min()),
        )

    def halve(self, interval: _Interval) -> list[_Interval]:
        """Measure the open pairs in the middle; returns both halves with what is still open in each."""
        middle, pairs = (interval.start + interval.end) / 2, interval.pairs
        sample = min(int(middle), len(self.travel) - 2)
        share = middle - sample
        ways = [self._way(pair) for pair in pairs]
        way = [along[sample] + share * (along[sample + 1] - along[sample]) for along in ways]
        widest = max(
            max(here - before, behind - here)
            for before, here, behind in zip(interval.way_low, way, interval.way_high, strict=True)
        )
        clearance = self.look(middle, np.array(pairs), widest + 2 * TOUCH).tolist()
        if self.sweep.touch:
            return []
        halves = (
            (interval.start, middle, interval.low, clearance, interval.way_low, way),
            (middle, interval.end, clearance, interval.high, way, interval.way_high),
        )
        return [half for ends in halves if (half := self._open(pairs, *ends))]

    def _way(self, pair: int) -> list[float]:
        """Return the travel of a pair up to each sample (m)."""
        way = int(self.way[pair])
        if way not in self._ways:
            self._ways[way] = self.travel[:, way].tolist()
        return self._ways[way]

    def _open(
        self,
        pairs: list[int],
        start: float,
        end: float,
        low: list[float],
        high: list[float],
        way_low: list[float],
        way_high: list[float],
    ) -> _Interval | None:
        """Return a piece of the path with the pairs that are not proven free in it; None without any."""
        still, least = [], np.inf
        for k in range(len(pairs)):
            way = way_high[k] - way_low[k]
            slack = low[k] + high[k] - way
            if slack > PROVEN:
                continue
            still.append(k)
            least = min(least, slack)
        if not still:
            return None
        return _Interval(
            start=start,
            end=end,
            pairs=[pairs[k] for k in still],
            low=[low[k] for k in still],
            high=[high[k] for k in still],
            way_low=[way_low[k] for k in still],
            way_high=[way_high[k] for k in still],
            suspicion=least,
        )
