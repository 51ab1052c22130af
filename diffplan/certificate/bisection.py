"""Adaptive bisection of a path: which intervals are proven free from clearances measured at their ends.

F. Schwarzer, M. Saha, J.-C. Latombe, "Adaptive dynamic collision checking for single and multiple articulated robots
in complex environments", IEEE T-RO 21(3), 2005. Between two places a and b of the path a pair of bodies does not
touch if

    clearance(a) + clearance(b) > travel(a, b),

travel being the longest way that any point of the one moves relative to the other: at a touch in between, that point
would have travelled at least clearance(a) since a and would have at least clearance(b) to go. Other intervals are
halved, for the pairs that are still open. A clearance beyond the sight of a measurement counts as that sight.

The proof asks for lower bounds on both clearances only, so whatever is one will do in the first look (`FirstLook`): a
bound that needs no measurement, and clearance(c) - travel(a, c) where the pair was measured at another place c, since a
clearance changes no faster than the pair moves. What these prove is not measured; where a
pair is open in spite of them it is measured at both ends.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import TypeAlias

import numpy as np

from diffplan.geometry.pose import Float

TOUCH = 1e-4
"""At this clearance [m] or below it a pair counts as in contact, or too close to tell."""
SIGHT = 0.25
"""How far the first look along a path measures, at least [m]."""
PROVEN = 1e-9
"""By so much [m] clearances must exceed the travel: what sums round."""
_FIRST_TRAVEL = 0.2
_MAX_MEASUREMENTS = 20000

Measure: TypeAlias = Callable[[float, np.ndarray, float], Float]
"""(place, pairs, sight) -> their clearances [m], infinite beyond sight; a place is a fractional sample index."""


Bound: TypeAlias = Callable[[Float], Float]
"""Places [n] -> lower bounds on what would be measured there [n, pairs] (m)."""

Piece: TypeAlias = tuple[float, float, int, float, float, float]
"""A piece of the path in which a pair is proven free: begin, end, pair, its clearances at both [m], those beyond sight
as the sight, and what it is proven to keep in between [m]."""


@dataclass(frozen=True, kw_only=True)
class Touch:
    """A pair in contact at a place of the path, or, with `clearance_m` above `TOUCH`, one that could not be decided."""

    pair: int
    place: float
    clearance_m: float


@dataclass(kw_only=True)
class Sweep:
    """What was found: the first touch if there is one, and every measurement's place and least clearance by pair.

    `first` is the first look; of the pairs that it left open in an interval, `pieces` of that are the proof.
    """

    touch: Touch | None = None
    places: list[float] = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)
    first: FirstLook | None = None
    least: Float
    least_place: Float

    def note(self, place: float, pairs: np.ndarray, clearance: Float) -> None:
        """Note what was measured at a place [pairs] (m)."""
        self.places.append(place)
        closer = clearance < self.least[pairs]
        self.least[pairs[closer]], self.least_place[pairs[closer]] = clearance[closer], place

    @property
    def free(self) -> bool:
        """Whether the whole path is proven free of contact."""
        return self.touch is None


def travel_at(travel: Float, place: float, pairs: np.ndarray) -> Float:
    """Return the travel of these pairs up to a place, of that up to the samples [n, pairs]."""
    sample = min(int(place), len(travel) - 2)
    before = travel[sample, pairs]
    return before + (place - sample) * (travel[sample + 1, pairs] - before)


def _travels_at(travel: Float, places: Float) -> Float:
    """Return the travel of all pairs up to places [m, pairs]."""
    sample = np.minimum(places.astype(int), len(travel) - 2)
    return travel[sample] + (places - sample)[:, None] * (travel[sample + 1] - travel[sample])


def _spread(number: int) -> list[int]:
    """Return the numbers below `number`, those far from all before first: both ends, the middle, the quarters..."""
    order = [0, number - 1]
    step = 1 << max(0, (number - 1).bit_length() - 1)
    while step:
        order += [i for i in range(step, number - 1, 2 * step)]
        step //= 2
    return order


def bisect(travel: Float, measure: Measure, bound: Bound | None = None) -> Sweep:
    """Prove a path free of contact, or find a contact.

    Args:
        travel: for each sample and pair, a bound on the relative travel since the path's begin [n, pairs] (m); between
            two samples it grows linearly.
        measure: the clearances at a place of the path.
        bound: lower bounds on them, if there are any; what they prove is not measured.
    """
    run = _Run(travel, measure)
    order = count()
    heap: list[tuple[float, int, _Interval]] = []

    def push(interval: _Interval) -> None:
        heapq.heappush(heap, (interval.suspicion, next(order), interval))

    for interval in run.first_look(bound):
        push(interval)
    while heap and run.sweep.touch is None:
        for half in run.halve(heapq.heappop(heap)[2]):
            push(half)
    return run.sweep


@dataclass(kw_only=True, eq=False)
class FirstLook:
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

    def __init__(self, travel: Float, measure: Measure) -> None:
        self.travel, self.measure = travel, measure
        pairs = travel.shape[1]
        self.sweep = Sweep(least=np.full(pairs, np.inf), least_place=np.zeros(pairs))
        self._ways: dict[int, list[float]] = {}

    def look(self, place: float, pairs: np.ndarray, sight: float) -> Float:
        """Measure, note the least clearances and a touch; returns clearances, `sight` where nothing was seen."""
        clearance = self.measure(place, pairs, sight)
        sweep = self.sweep
        sweep.note(place, pairs, clearance)
        worst = int(np.argmin(clearance))
        undecided = len(sweep.places) > _MAX_MEASUREMENTS
        if sweep.touch is None and (clearance[worst] <= TOUCH or undecided):
            sweep.touch = Touch(pair=int(pairs[worst]), place=place, clearance_m=float(clearance[worst]))
        return np.minimum(clearance, sight)

    def first_look(self, bound: Bound | None) -> list[_Interval]:
        """Look at places about 0.2 m of travel apart, at the pairs that are not proven free there without; returns the
        intervals between them that are open.
        """
        last = len(self.travel) - 1
        if self.travel.shape[1] == 0:
            return []
        farthest = self.travel[:, int(np.argmax(self.travel[-1]))]
        number = 1 + max(1, int(np.ceil(farthest[-1] / _FIRST_TRAVEL)))
        places = np.interp(np.linspace(0, farthest[-1], number), farthest, np.arange(last + 1.0))
        places[0], places[-1] = 0.0, last
        way = _travels_at(self.travel, places)
        low = np.full(way.shape, -np.inf) if bound is None else bound(places)
        first = FirstLook(places=places, travel=way, low=low, measured=np.zeros(way.shape, bool))
        self.sweep.first = first
        between = first.between
        widest = np.array([0.0, *between.max(axis=1), 0.0])
        first.proven = low[:-1] + low[1:] - between > PROVEN
        for i in _spread(number):
            pairs = np.flatnonzero(~first.proven[max(0, i - 1) : i + 1].all(axis=0))
            if len(pairs) == 0:
                continue
            sight = max(SIGHT, float(max(widest[i], widest[i + 1])) + 2 * TOUCH)
            first.note(i, pairs, self.look(float(places[i]), pairs, sight))
            if self.sweep.touch:
                return []
            first.proven[:, pairs] |= low[:-1, pairs] + low[1:, pairs] - between[:, pairs] > PROVEN
        return [self._first_interval(first, i) for i in np.flatnonzero(~first.proven.all(axis=1)).tolist()]

    def _first_interval(self, first: FirstLook, i: int) -> _Interval:
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
        if pair not in self._ways:
            self._ways[pair] = self.travel[:, pair].tolist()
        return self._ways[pair]

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
        """Note the pairs that are proven free in a piece of the path; return it with the others, None without any."""
        still, least = [], np.inf
        for k, pair in enumerate(pairs):
            way = way_high[k] - way_low[k]
            slack = low[k] + high[k] - way
            if slack > PROVEN:
                self.sweep.pieces.append((start, end, pair, low[k], high[k], slack / 2))
            else:
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
