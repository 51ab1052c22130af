"""From a refined batch to candidates: the best clear paths drawn tight, and the one that is nearly clear."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from diffplan.geometry.pose import Float
from diffplan.planners.base import Candidate
from diffplan.planners.ways import Ways
from diffplan.refinement import Refined, Refiner

if TYPE_CHECKING:  # with torch behind it, which takes a second
    from diffplan.prior.value import Value

_FINE = {"points_per_control": 12, "steps": 20, "stop_share": 2.0}
"""How the best of a round are looked at again: three times as many configurations, until all are clear."""
_ALMOST = 0.5
"""A path that lacks less than this share of what the spheres leave uncovered of the links is nearly clear."""
_HASTENED = 1


def tight(
    refiner: Refiner,
    pushed: Refined,
    goal_of: np.ndarray,
    *,
    most: int,
    source: str,
    different: bool,
    value: Value | None = None,
) -> list[Candidate]:
    """Return the best `most` clear paths of a batch drawn tight; sample i aims at goal `goal_of[i]`.

    `different` has paths that go different ways chosen first. Shortest first; with a learned value those that it takes
    for the fastest, the first of them led down its slope.
    """
    best = _chosen(refiner, pushed, most, different)
    if len(best) == 0:
        return []
    config = replace(refiner.config, **_FINE)
    fine = refiner.with_config(config)
    drawn = _drawn(refiner, fine, pushed.control[best], each=different or value is not None)
    best, control, length = best[drawn.clear], drawn.control[drawn.clear], drawn.length[drawn.clear]
    order = np.argsort(length, kind="stable")
    if value is not None and len(best):
        order = np.argsort(fine.haste(control, value.duration_and_gradient)[0], kind="stable")
        first = order[:_HASTENED]
        control[first] = fine.hasten(control[first], value.duration_and_gradient).control
    return [Candidate(control=control[i], goal_index=int(goal_of[best[i]]), source=source) for i in order]


def _drawn(refiner: Refiner, fine: Refiner, control: Float, *, each: bool) -> Refined:
    """Return paths [batch, n, dof] drawn tight by a look at few configurations, and what a closer look says of them.

    Where none withstands it, all are drawn tight again under the closer look, which takes three times as long.
    """
    found = fine.push(_tightened(refiner, control, each=each))
    return found if found.clear.any() else fine.push(_tightened(fine, fine.push(control).control, each=each))


def _tightened(refiner: Refiner, control: Float, *, each: bool) -> Float:
    """Return paths [batch, n, dof] drawn tight: each to the end, or after some pulls the shortest alone."""
    found, config = refiner.tighten(control), refiner.config
    if not config.tighten_more or refiner.costs:
        return found.control
    shortest_first = np.argsort(np.where(found.clear, found.length, np.inf), kind="stable")
    chosen = shortest_first if each else shortest_first[:1]
    longer = refiner.with_config(replace(config, tighten_steps=config.tighten_more))
    found.control[chosen] = longer.tighten(found.control[chosen]).control
    return found.control


def nearly_clear(pushed: Refined, goal_of: np.ndarray, *, source: str, uncovered: float) -> list[Candidate]:
    """Return the path nearest to clear of those that are not, if it lacks little: the spheres are not the robot.

    They leave so much of it `uncovered` at most [m].
    """
    almost = np.flatnonzero(~pushed.clear & (pushed.slack > -_ALMOST * uncovered))
    best = almost[np.argsort(-pushed.slack[almost], kind="stable")][:1]
    return [Candidate(control=pushed.control[i], goal_index=int(goal_of[i]), source=source) for i in best]


def _chosen(refiner: Refiner, pushed: Refined, most: int, different: bool) -> np.ndarray:
    """Return the indices of the shortest clear paths; if they are to be `different`, of different ways first."""
    clear = np.flatnonzero(pushed.clear)
    clear = clear[np.argsort(pushed.length[clear], kind="stable")]
    if not different:
        return clear[:most]
    ways, apart = Ways(refiner.model, refiner.world), []
    for i in clear:
        if not any(ways.same(pushed.control[i], pushed.control[j]) for j in apart):
            apart.append(i)
    rest = [i for i in clear if i not in apart]
    return np.array([*apart, *rest], dtype=int)[: max(most, len(apart))]
