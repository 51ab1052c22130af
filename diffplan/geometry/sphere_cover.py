"""Compiled pieces of the sphere fit: covering surface samples, and moving and dropping spheres. All lengths in m.

A sphere's radius follows from where its centre is: depth below the solid's surface, read off a grid, plus a margin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from diffplan.geometry.pose import Float

_FIRST_STEP, _SHRINK = 0.012, 0.9
_HOPE_ROUND, _HOPE = 15, 0.002
_CUBE, _CORNER = 0.01, 3**0.5
_SLACK = 1e-9
"""What rounding may do to a gap [m], and more."""


@dataclass(frozen=True, kw_only=True, eq=False)
class DepthGrid:
    """Depth `values` [nx, ny, nz] below a surface, negative outside; node (i, j, k) is at `origin + spacing * ijk`."""

    origin: Float
    spacing: float
    values: Float

    def at(self, points: Float) -> Float:
        """Return the depth [n] of points [n, 3], interpolated trilinearly; -1 off the grid."""
        found = np.empty(len(points))
        _depths(points, self.origin, self.spacing, self.values, found)
        return found


@njit(cache=True, nogil=True)
def _depth(x, y, z, origin, spacing, values):
    u, v, w = (x - origin[0]) / spacing, (y - origin[1]) / spacing, (z - origin[2]) / spacing
    nx, ny, nz = values.shape
    if not (0.0 <= u <= nx - 1 and 0.0 <= v <= ny - 1 and 0.0 <= w <= nz - 1):
        return -1.0
    i, j, k = min(int(u), nx - 2), min(int(v), ny - 2), min(int(w), nz - 2)
    u, v, w = u - i, v - j, w - k
    low = (values[i, j, k] * (1 - u) + values[i + 1, j, k] * u) * (1 - v) + (
        values[i, j + 1, k] * (1 - u) + values[i + 1, j + 1, k] * u
    ) * v
    high = (values[i, j, k + 1] * (1 - u) + values[i + 1, j, k + 1] * u) * (1 - v) + (
        values[i, j + 1, k + 1] * (1 - u) + values[i + 1, j + 1, k + 1] * u
    ) * v
    return low * (1 - w) + high * w


@njit(cache=True, nogil=True)
def _depths(points, origin, spacing, values, found):
    for i in range(len(points)):
        found[i] = _depth(points[i, 0], points[i, 1], points[i, 2], origin, spacing, values)


@njit(cache=True, nogil=True)
def nearest_gaps(points, centre, radius):
    """Return for points [n, 3] the signed distance [n] to the nearest sphere, and its number [n]; of none inf, -1."""
    gap, owner = np.full(len(points), np.inf), np.full(len(points), -1)
    for i in range(len(points)):
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        for s in range(len(centre)):
            dx, dy, dz = x - centre[s, 0], y - centre[s, 1], z - centre[s, 2]
            reach = gap[i] + radius[s]
            square = dx * dx + dy * dy + dz * dz
            if reach > 0 and square < reach * reach:
                gap[i], owner[i] = np.sqrt(square) - radius[s], s
    return gap, owner


@njit(cache=True, nogil=True)
def cubes(points):
    """Sort points [n, 3] into cubes of 10 mm, or larger where there were more cubes than points.

    Returns:
        The middles [c, 3] of the cubes that hold points, the numbers [n] of the points cube by cube, where those of
        each cube begin [c + 1], and the cubes' size.
    """
    low, high = points[0].copy(), points[0].copy()
    for i in range(len(points)):
        for k in range(3):
            low[k], high[k] = min(low[k], points[i, k]), max(high[k], points[i, k])
    size = max(_CUBE, (np.prod(high - low) / len(points)) ** (1 / 3))
    shape = ((high - low) / size).astype(np.int64) + 1
    cube, starts = np.empty(len(points), np.int64), np.zeros(np.prod(shape) + 1, np.int64)
    for i in range(len(points)):
        a, b, c = ((points[i] - low) / size).astype(np.int64)
        cube[i] = (a * shape[1] + b) * shape[2] + c
        starts[cube[i] + 1] += 1
    held = np.flatnonzero(starts[1:])
    starts = np.cumsum(starts)
    order, filled = np.empty(len(points), np.int64), starts[:-1].copy()
    for i in range(len(points)):
        order[filled[cube[i]]] = i
        filled[cube[i]] += 1
    middles = np.empty((len(held), 3))
    for n, cell in enumerate(held):
        middles[n, 0] = low[0] + (cell // (shape[1] * shape[2]) + 0.5) * size
        middles[n, 1] = low[1] + (cell // shape[2] % shape[1] + 0.5) * size
        middles[n, 2] = low[2] + (cell % shape[2] + 0.5) * size
    return middles, order, np.append(starts[held], len(points)), size


@njit(cache=True, nogil=True)
def large_gaps(points, sorted_in, centre, radius, enough):
    """Return the gaps [n] that `nearest_gaps` does, to the bit, where they are `enough` or the largest.

    Elsewhere they are no smaller than they would be, and below `enough` and the largest. Of the points in a cube
    (`sorted_in` is what `cubes` returns) only the spheres are looked at that may be the nearest to one of them.
    """
    middles, order, starts, size = sorted_in
    gap = np.full(len(points), np.inf)
    if len(centre) == 0:
        return gap
    apart, near = np.empty(len(centre)), np.empty(len(centre), np.int64)
    largest = bound = -np.inf
    for cell in range(len(middles)):
        for s in range(len(centre)):
            apart[s] = _apart(middles, cell, centre, s) - radius[s]
        nearest = np.argmin(apart)
        most = apart[nearest] + _CORNER * size + _SLACK
        count = 0
        for s in range(len(centre)):
            if apart[s] <= most:
                near[count] = s
                count += 1
        for i in order[starts[cell] : starts[cell + 1]]:
            gap[i] = _apart(points, i, centre, nearest) - radius[nearest]
            if gap[i] < bound:
                continue
            gap[i] = np.inf
            for s in near[:count]:
                dx, dy, dz = points[i, 0] - centre[s, 0], points[i, 1] - centre[s, 1], points[i, 2] - centre[s, 2]
                reach = gap[i] + radius[s]
                square = dx * dx + dy * dy + dz * dz
                if reach > 0 and square < reach * reach:
                    gap[i] = np.sqrt(square) - radius[s]
            largest = max(largest, gap[i])
            bound = min(largest, enough) - _SLACK
    return gap


@njit(cache=True, nogil=True)
def greedy_cover(candidates, radius, samples, tolerance):
    """Return the numbers of candidates that bring all samples within `tolerance` of a sphere, the most useful first.

    Samples that no candidate reaches are left; of equal candidates the first is taken.
    """
    covers = np.zeros((len(samples), len(candidates)), dtype=np.bool_)
    counts = np.zeros(len(candidates), dtype=np.int64)
    for i in range(len(samples)):
        x, y, z = samples[i, 0], samples[i, 1], samples[i, 2]
        for c in range(len(candidates)):
            dx, dy, dz = x - candidates[c, 0], y - candidates[c, 1], z - candidates[c, 2]
            reach = radius[c] + tolerance
            if dx * dx + dy * dy + dz * dz <= reach * reach:
                covers[i, c] = True
                counts[c] += 1
    left = np.ones(len(samples), dtype=np.bool_)
    chosen = []
    while len(counts) > 0:
        best = int(np.argmax(counts))
        if counts[best] == 0:
            break
        chosen.append(best)
        for i in range(len(samples)):
            if left[i] and covers[i, best]:
                left[i] = False
                for c in range(len(candidates)):
                    counts[c] -= covers[i, c]
    return np.array(chosen, dtype=np.int64)


@njit(cache=True, nogil=True)
def settle(centres, samples, base, origin, spacing, values, margin, goal, rounds):
    """Move each centre to lower the largest gap among the samples nearest to its sphere (a minimax Lloyd iteration).

    Args:
        centres: where the spheres are [s, 3]; they stay within the solid.
        samples: the points to cover [n, 3].
        base: gaps [n] that other spheres, which stay where they are, leave at the samples (inf: there are none).
        origin: of the depth grid, with `spacing` and `values`.
        spacing: see `origin`.
        values: see `origin`.
        margin: what is added to the depth of a centre for the radius of its sphere.
        goal: ends once the largest gap is below; early, too, if there is no hope of a goal above 0.
        rounds: how often centres move at most.

    Returns:
        The best centres [s, 3], and their largest gap.
    """
    count, current = len(centres), centres.copy()
    best, best_gap = centres.copy(), np.inf
    radius = np.empty(count)
    owned, starts = np.empty(len(samples), np.int64), np.empty(count + 1, np.int64)
    for round_ in range(rounds):
        for s in range(count):
            radius[s] = _depth(current[s, 0], current[s, 1], current[s, 2], origin, spacing, values) + margin
        gaps, owner = nearest_gaps(samples, current, radius)
        largest = -np.inf
        starts[:] = 0
        for i in range(len(samples)):
            if base[i] <= gaps[i]:
                owner[i] = -1
            else:
                starts[owner[i] + 1] += 1
            largest = max(largest, min(gaps[i], base[i]))
        if largest < best_gap:
            best, best_gap = current.copy(), largest
        if best_gap <= goal or (goal > 0 and round_ == _HOPE_ROUND and best_gap > goal + _HOPE):
            break
        for s in range(count):
            starts[s + 1] += starts[s]
        filled = starts.copy()
        for i in range(len(samples)):
            if owner[i] >= 0:
                owned[filled[owner[i]]] = i
                filled[owner[i]] += 1
        size = _FIRST_STEP * _SHRINK**round_
        for s in range(count):
            if starts[s] < starts[s + 1]:
                own = owned[starts[s] : starts[s + 1]]
                _move(current, s, own, samples, size, origin, spacing, values, margin)
    return best, best_gap


@njit(cache=True, nogil=True)
def _move(centres, s, own, samples, size, origin, spacing, values, margin):
    """Move centre s to the best of 54 places around it within the solid, by the largest gap at its own samples."""
    x, y, z = centres[s, 0], centres[s, 1], centres[s, 2]
    least = np.inf
    for scale in (1.0, 0.25):
        step = size * scale
        for i in range(-1, 2):
            for j in range(-1, 2):
                for k in range(-1, 2):
                    a, b, c = x + i * step, y + j * step, z + k * step
                    depth = _depth(a, b, c, origin, spacing, values)
                    if depth < 0 and not (i == 0 and j == 0 and k == 0):
                        continue
                    far, farthest = 0.0, 0
                    bound = least + depth + margin  # a sample farther off makes this place no better
                    for n in range(len(own)):
                        dx, dy, dz = samples[own[n], 0] - a, samples[own[n], 1] - b, samples[own[n], 2] - c
                        square = dx * dx + dy * dy + dz * dz
                        if square > far:
                            far, farthest = square, n
                        if bound < 0 or far >= bound * bound:
                            break
                    own[0], own[farthest] = own[farthest], own[0]  # first at the next place: mostly too far there, too
                    worst = np.sqrt(far) - depth - margin
                    if worst < least:
                        least = worst
                        centres[s, 0], centres[s, 1], centres[s, 2] = a, b, c


@njit(cache=True, nogil=True)
def drop(centres, samples, base, origin, spacing, values, margin, goal, rounds):
    """Drop spheres one by one as long as moving the spheres that overlap with one closes the gap that it leaves.

    The one that is needed least comes first; one that cannot be dropped is tried again once a neighbour has moved.
    Arguments and units as for `settle`; returns the centres [s, 3] that are left.
    """
    centres, others = centres.copy(), base
    failed = np.zeros(len(centres), dtype=np.bool_)
    while len(centres) > 1:
        count = len(centres)
        radius = np.empty(count)
        for s in range(count):
            radius[s] = _depth(centres[s, 0], centres[s, 1], centres[s, 2], origin, spacing, values) + margin
        best, second, owner = _two_nearest(samples, centres, radius)
        needed = np.zeros(count)
        for i in range(len(samples)):
            needed[owner[i]] += max(min(second[i], others[i]) - min(best[i], others[i]), 0.0)
        dropped = False
        for s in np.argsort(needed, kind="mergesort"):
            if failed[s]:
                continue
            near = np.zeros(count, dtype=np.bool_)
            for t in range(count):
                near[t] = t != s and _apart(centres, t, centres, s) < radius[t] + radius[s]
            local = np.zeros(len(samples), dtype=np.bool_)
            for i in range(len(samples)):
                local[i] = owner[i] == s or near[owner[i]]
            movable, still = np.flatnonzero(near), np.flatnonzero(~near)
            still = still[still != s]
            some = samples[local]
            base, _ = nearest_gaps(some, centres[still], radius[still])
            base = np.minimum(base, others[local])
            moved, gap = settle(centres[movable], some, base, origin, spacing, values, margin, goal, rounds)
            if gap > goal:
                failed[s] = True
                continue
            for n, t in enumerate(movable):
                if _apart(moved, n, centres, t) > 0:
                    for u in range(count):
                        failed[u] &= _apart(centres, u, moved, n) >= radius[u] + radius[t]
                for i in range(3):
                    centres[t, i] = moved[n, i]
            kept = np.flatnonzero(np.arange(count) != s)
            centres, failed, dropped = centres[kept], failed[kept], True
            break
        if not dropped:
            break
    return centres


@njit(cache=True, nogil=True)
def _apart(points, i, others, j):
    dx, dy, dz = points[i, 0] - others[j, 0], points[i, 1] - others[j, 1], points[i, 2] - others[j, 2]
    return np.sqrt(dx * dx + dy * dy + dz * dz)


@njit(cache=True, nogil=True)
def _two_nearest(points, centre, radius):
    """Return the gaps [n] of points [n, 3] to the nearest and second nearest sphere, and the number of the nearest."""
    best, second = np.full(len(points), np.inf), np.full(len(points), np.inf)
    owner = np.zeros(len(points), dtype=np.int64)
    for i in range(len(points)):
        for s in range(len(centre)):
            dx, dy = points[i, 0] - centre[s, 0], points[i, 1] - centre[s, 1]
            dz = points[i, 2] - centre[s, 2]
            gap = np.sqrt(dx * dx + dy * dy + dz * dz) - radius[s]
            if gap < best[i]:
                best[i], second[i], owner[i] = gap, best[i], s
            elif gap < second[i]:
                second[i] = gap
    return best, second, owner
