"""Motions that begin in light contact: proof that they leave it without going deeper.

The pairs of bodies that touch at the start must come apart within a short way. Up to there their clearance, measured at
every sample, never falls by more than `SLACK`, and nowhere in between is it less than at the start by more than that:
bisection proves it, for the clearance less this bound. Everything else, and everything afterwards, is judged as always.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffplan.certificate.bisection import SIGHT, TOUCH, Measure, bisect
from diffplan.geometry.pose import Float

SLACK = TOUCH
"""By so much [m] a clearance may fall below that of the start, from rounding in PyBullet."""
_LONGEST = 0.1  # [m] of travel until nothing touches any more


@dataclass(frozen=True, kw_only=True, eq=False)
class Leaving:
    """The pairs that touch at the start, their least clearances [pairs] (m), and the `sample` at which none does."""

    pairs: np.ndarray
    least: Float
    sample: int


def leaving(travel: Float, measure: Measure, depth: float) -> Leaving | None:
    """Return how a path leaves the contact that it begins in; None if it does not begin in one, or does not leave it.

    Args:
        travel: the relative travel of each pair since the path's begin [n, pairs] (m), as for `bisect`.
        measure: the clearances at a place of the path.
        depth: how deep the contact may be, anywhere (m).
    """
    at_start = measure(0.0, np.arange(travel.shape[1]), SIGHT)
    pairs = np.flatnonzero(at_start <= TOUCH)
    best = at_start[pairs]
    least = best - SLACK
    if len(pairs) == 0 or least.min() < -depth:
        return None
    for sample in range(1, len(travel) - 1):
        clearance = measure(float(sample), pairs, SIGHT)
        if (clearance < best - SLACK).any() or travel[sample, pairs].max() > _LONGEST:
            return None
        best = np.maximum(best, clearance)
        if clearance.min() > TOUCH:
            break
    else:
        return None

    def above(place: float, which: np.ndarray, sight: float) -> Float:
        return measure(place, pairs[which], sight) - least[which] + TOUCH

    between = bisect(travel[: sample + 1, pairs], above)
    return Leaving(pairs=pairs, least=least, sample=sample) if between.free else None
