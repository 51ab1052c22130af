"""Adaptive bisection of a path: which intervals are proven free from clearances measured at their ends.

F. Schwarzer, M. Saha, J.-C. Latombe, "Adaptive dynamic collision checking for single and multiple articulated robots
in complex environments", IEEE T-RO 21(3), 2005. Between two places a and b of the path a pair of bodies does not
touch if

    clearance(a) + clearance(b) > travel(a, b),

travel being the longest way that any point of the one moves relative to the other: at a touch in between, that point
would have travelled at least clearance(a) since a and would have at least clearance(b) to go. Other intervals are
halved, for the pairs that are still open. A clearance beyond the sight of a measurement counts as that sight.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count, pairwise
from typing import TypeAlias

import numpy as np

from diffplan.geometry.pose import Float

TOUCH = 1e-4
"""At this clearance [m] or below it a pair counts as in contact, or too close to tell."""
SIGHT = 0.25
"""How far the first look along a path measures, at least [m]."""
_FIRST_TRAVEL = 0.2
_MAX_MEASUREMENTS = 20000

Measure: TypeAlias = Callable[[float, np.ndarray, float], Float]
"""(place, pairs, sight) -> their clearances [m], infinite beyond sight; a place is a fractional sample index."""


Look: TypeAlias = tuple[float, np.ndarray, Float]
"""A place, pairs, and their clearances there [m], those beyond sight as the sight."""


@dataclass(frozen=True, kw_only=True)
class Touch:
    """A pair in contact at a place of the path, or, with `clearance_m` above `TOUCH`, one that could not be decided."""

    pair: int
    place: float
    clearance_m: float


@dataclass(kw_only=True)
class Sweep:
    """What was found: the first touch if there is one, and every measurement's place and least clearance by pair.

    `looks` are the measurements one by one.
    """

    touch: Touch | None = None
    places: list[float] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    least: Float
    least_place: Float

    @property
    def free(self) -> bool:
        """Whether the whole path is proven free of contact."""
        return self.touch is None


def travel_at(travel: Float, place: float) -> Float:
    """Return the travel [pairs] up to a place, of that up to the samples [n, pairs]."""
    sample = min(int(place), len(travel) - 2)
    return travel[sample] + (place - sample) * (travel[sample + 1] - travel[sample])


def bisect(travel: Float, measure: Measure) -> Sweep:
    """Prove a path free of contact, or find a contact.

    Args:
        travel: for each sample and pair, a bound on the relative travel since the path's begin [n, pairs] (m); between
            two samples it grows linearly.
        measure: the clearances at a place of the path.
    """
    run = _Run(travel, measure)
    order = count()
    heap: list[tuple[float, int, _Interval]] = []

    def push(interval: _Interval) -> None:
        if len(interval.pairs):
            heapq.heappush(heap, (interval.suspicion, next(order), interval))

    for interval in run.first_look():
        push(interval)
    while heap and run.sweep.touch is None:
        for half in run.halve(heapq.heappop(heap)[2]):
            push(half)
    return run.sweep


@dataclass(frozen=True, kw_only=True, eq=False)
class _Interval:
    """An undecided piece of the path: its open pairs, their clearances at both ends; the smallest slack goes first."""

    start: float
    end: float
    pairs: np.ndarray
    low: Float
    high: Float
    suspicion: float


class _Run:
    """One bisection in progress."""

    def __init__(self, travel: Float, measure: Measure) -> None:
        self.travel, self.measure = travel, measure
        pairs = travel.shape[1]
        self.sweep = Sweep(least=np.full(pairs, np.inf), least_place=np.zeros(pairs))

    def look(self, place: float, pairs: np.ndarray, sight: float) -> Float:
        """Measure, note the least clearances and a touch; returns clearances, `sight` where nothing was seen."""
        clearance = self.measure(place, pairs, sight)
        sweep = self.sweep
        sweep.places.append(place)
        closer = clearance < sweep.least[pairs]
        sweep.least[pairs[closer]] = clearance[closer]
        sweep.least_place[pairs[closer]] = place
        worst = int(np.argmin(clearance))
        undecided = len(sweep.places) > _MAX_MEASUREMENTS
        if sweep.touch is None and (clearance[worst] <= TOUCH or undecided):
            sweep.touch = Touch(pair=int(pairs[worst]), place=place, clearance_m=float(clearance[worst]))
        seen = np.minimum(clearance, sight)
        sweep.looks.append((place, pairs, seen))
        return seen

    def first_look(self) -> list[_Interval]:
        """Measure all pairs at places about 0.2 m of travel apart; returns the intervals between them."""
        last = len(self.travel) - 1
        pairs = np.arange(self.travel.shape[1])
        if len(pairs) == 0:
            return []
        farthest = self.travel[:, int(np.argmax(self.travel[-1]))]
        number = 1 + max(1, int(np.ceil(farthest[-1] / _FIRST_TRAVEL)))
        places = np.interp(np.linspace(0, farthest[-1], number), farthest, np.arange(last + 1.0))
        places[0], places[-1] = 0.0, last
        between = [travel_at(self.travel, b) - travel_at(self.travel, a) for a, b in pairwise(places)]
        widest = [0.0, *(float(way.max()) for way in between), 0.0]
        clearances = []
        for i, place in enumerate(places):
            sight = max(SIGHT, max(widest[i], widest[i + 1]) + 2 * TOUCH)
            clearances.append(self.look(float(place), pairs, sight))
            if self.sweep.touch:
                return []
        return [
            _open(float(places[i]), float(places[i + 1]), pairs, clearances[i], clearances[i + 1], between[i])
            for i in range(len(places) - 1)
        ]

    def halve(self, interval: _Interval) -> tuple[_Interval, ...]:
        """Measure the open pairs in the middle; returns both halves with what is still open in each."""
        middle, pairs = (interval.start + interval.end) / 2, interval.pairs
        travelled = travel_at(self.travel, middle)[pairs]
        first, second = (
            travelled - travel_at(self.travel, interval.start)[pairs],
            travel_at(self.travel, interval.end)[pairs] - travelled,
        )
        sight = float(np.maximum(first, second).max()) + 2 * TOUCH
        clearance = self.look(middle, pairs, sight)
        if self.sweep.touch:
            return ()
        return (
            _open(interval.start, middle, pairs, interval.low, clearance, first),
            _open(middle, interval.end, pairs, clearance, interval.high, second),
        )


def _open(start: float, end: float, pairs: np.ndarray, low: Float, high: Float, way: Float) -> _Interval:
    """Return the interval with those pairs that are not proven free in it."""
    slack = low + high - way
    still = slack <= 1e-9
    return _Interval(
        start=start,
        end=end,
        pairs=pairs[still],
        low=low[still],
        high=high[still],
        suspicion=float(slack.min()),
    )
