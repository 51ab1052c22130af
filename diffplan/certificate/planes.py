"""What separating planes prove of a path, compiled: the part of the certificate that does not need PyBullet.

For a direction n of length 1, two solids A and B are apart by at least

    gap(n) = (least n.p of the points p of A) - (greatest n.p of the points p of B),

for no plane across n between the two values meets either. A link lies in the hull of its corners, of which one has the
least n.p; an obstacle lies in boxes. Gilbert's algorithm (E. G. Gilbert, "An Iterative Procedure for Computing the
Minimum of a Quadratic Form on a Convex Set", SIAM J. Control 4(1), 1966) leads n to where the gap is greatest, which is
the distance of the hulls. Whatever n it has reached, its gap is a bound: nothing is proven by its having ended.

A pair whose clearance is at least low(s) at sample s of a path, and low(t) at t, keeps in between

    (low(s) + low(t) - travel(s, t)) / 2

(bisection.py says why). `advance` goes along the path from sample to sample, as far at once as that exceeds what is
asked for; what it cannot prove from one sample to the next is left open. Nothing here is shared with the planners'
kernels.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numba import njit

from diffplan.geometry.pose import Float
from diffplan.system.compiled import inner

_TURNS = 10
_SEARCHES = 3
_CLOSE, _NEARLY, _LEAST = 5e-4, 0.03, 1e-9
"""Gilbert's algorithm ends where the gap is so near to the distance of points of both solids: m, or a share of it."""
_ENOUGH = 0.1
"""No gap above this is looked for where less will do [m]."""
PROVEN = 1e-9
"""By so much [m] clearances must exceed the travel: what sums round."""
SPARE = 0.003
"""What is taken from every bound [m]: PyBullet's margin around hulls (1 mm), and what it rounds with room to spare."""


class Solids(NamedTuple):
    """Links and obstacles as the functions take them (`bounding.Hulls`, `bounding.Boxes`), and which pairs they form.

    Pair k is that of the links `ends[k]`, or, below `split`, that of a link with obstacle k modulo their number. `body`
    [links] is what each link hangs on.
    """

    split: int
    ends: np.ndarray
    body: np.ndarray
    corners: Float
    first: np.ndarray
    ball: Float
    round_by: Float
    turn: Float
    centre: Float
    half: Float
    turned: np.ndarray
    grown: Float
    box_first: np.ndarray


@inner()
def _of_hull(solids: Solids, pose: Float, link: int, n: Float, found: Float) -> float:
    """Return the least n.p of a link's corners at a pose [4, 4]; `found` [3] gets the corner, in the base frame."""
    x = pose[0, 0] * n[0] + pose[1, 0] * n[1] + pose[2, 0] * n[2]
    y = pose[0, 1] * n[0] + pose[1, 1] * n[1] + pose[2, 1] * n[2]
    z = pose[0, 2] * n[0] + pose[1, 2] * n[1] + pose[2, 2] * n[2]
    corners, first = solids.corners, solids.first[link]
    least, at = np.inf, first
    for i in range(first, solids.first[link + 1]):
        value = x * corners[i, 0] + y * corners[i, 1] + z * corners[i, 2]
        if value < least:
            least, at = value, i
    for r in range(3):
        found[r] = pose[r, 3]
        for c in range(3):
            found[r] += pose[r, c] * corners[at, c]
    return least + pose[0, 3] * n[0] + pose[1, 3] * n[1] + pose[2, 3] * n[2]


@inner()
def _of_box(solids: Solids, i: int, n: Float) -> float:
    """Return the greatest n.p of box i; of a cylinder about the box's z where it is `turned`."""
    turn, half = solids.turn, solids.half
    value, across = 0.0, 0.0
    for c in range(3):
        along = n[0] * turn[i, 0, c] + n[1] * turn[i, 1, c] + n[2] * turn[i, 2, c]
        value += n[c] * solids.centre[i, c]
        if solids.turned[i] and c < 2:
            across += along * along
        else:
            value += half[i, c] * abs(along)
    return value + half[i, 0] * np.sqrt(across)


@inner()
def _nearest(solids: Solids, i: int, x: Float, y: Float) -> None:
    """Set y [3] to the point of box or cylinder i that is nearest to x [3]."""
    turn, centre, half = solids.turn, solids.centre, solids.half
    u, v, w = 0.0, 0.0, 0.0
    for r in range(3):
        away = x[r] - centre[i, r]
        u += turn[i, r, 0] * away
        v += turn[i, r, 1] * away
        w += turn[i, r, 2] * away
    if solids.turned[i]:
        away = np.sqrt(u * u + v * v)
        if away > half[i, 0]:
            u, v = u * half[i, 0] / away, v * half[i, 0] / away
    else:
        u, v = min(half[i, 0], max(-half[i, 0], u)), min(half[i, 1], max(-half[i, 1], v))
    w = min(half[i, 2], max(-half[i, 2], w))
    for r in range(3):
        y[r] = centre[i, r] + turn[i, r, 0] * u + turn[i, r, 1] * v + turn[i, r, 2] * w


@inner()
def _copy(values: Float, found: Float) -> None:
    """Set `found` [3] to values [3]."""
    for r in range(3):
        found[r] = values[r]


@inner()
def _put(pose: Float, x: float, y: float, z: float, found: Float) -> None:
    """Set `found` [3] to where a point of a body is, with its pose [4, 4]."""
    for r in range(3):
        found[r] = pose[r, 0] * x + pose[r, 1] * y + pose[r, 2] * z + pose[r, 3]


@inner()
def _gap(solids: Solids, one: Float, other: Float, a: int, b: int, i: int, enough: float, room: Float) -> float:
    """Bound from below how far link a, its body at pose `one`, is from link b at `other`, or from box i if b < 0 (m).

    Links are not rounded here. `room` [r, 3] holds a point of either solid, from which it begins, and which it leads
    nearer to each other.
    """
    x, y, n, p, o = room[0], room[1], room[2], room[3], room[4]
    best = -np.inf
    for _ in range(_TURNS):
        norm = np.sqrt((x[0] - y[0]) ** 2 + (x[1] - y[1]) ** 2 + (x[2] - y[2]) ** 2)
        if norm < _LEAST:
            break
        for r in range(3):
            n[r] = (x[r] - y[r]) / norm
        gap = _of_hull(solids, one, a, n, p)
        if b < 0:
            gap -= _of_box(solids, i, n)
            _copy(y, o)
        else:
            for r in range(3):
                n[r] = -n[r]
            gap += _of_hull(solids, other, b, n, o)
        best = max(best, gap)
        if best >= enough or norm - gap < max(_CLOSE, _NEARLY * norm):
            break
        for _ in range(1 if b >= 0 else _SEARCHES):  # to where x - y is shortest on the way to p - o
            along, square = 0.0, 0.0
            for r in range(3):
                step = (p[r] - o[r]) - (x[r] - y[r])
                along -= (x[r] - y[r]) * step
                square += step * step
            share = min(1.0, along / square) if along > 0 else 0.0
            for r in range(3):
                x[r] += share * (p[r] - x[r])
                y[r] += share * (o[r] - y[r])
            if b < 0:  # of a box the point nearest to x is known
                _nearest(solids, i, x, y)
                _copy(y, o)
    return best


@inner()
def _low(solids: Solids, poses: Float, k: int, enough: float, room: Float) -> float:
    """Bound the clearance of pair k from below where the bodies stand at `poses` [bodies, 4, 4] (m).

    Balls around links come first, planes where these are not `enough`. `room` may hold points of both solids
    near each other, each in the frame of its body, from when this pair was last asked for.
    """
    ball, round_by, box_first = solids.ball, solids.round_by, solids.box_first
    a, b = solids.ends[k, 0], solids.ends[k, 1]
    one, x, y, z, m = poses[solids.body[a]], room[0], room[1], room[5], room[6]
    _put(one, ball[a, 0], ball[a, 1], ball[a, 2], z)
    if k >= solids.split:
        other = poses[solids.body[b]]
        _put(other, ball[b, 0], ball[b, 1], ball[b, 2], m)
        less = float(round_by[a] + round_by[b])
        away = np.sqrt((z[0] - m[0]) ** 2 + (z[1] - m[1]) ** 2 + (z[2] - m[2]) ** 2) - ball[a, 3] - ball[b, 3] - less
        if away >= enough:
            return away
        if room[7, 0] == k:
            _put(one, room[8, 0], room[8, 1], room[8, 2], x)
            _put(other, room[9, 0], room[9, 1], room[9, 2], y)
        else:
            _copy(z, x)
            _copy(m, y)
        gap = _gap(solids, one, other, a, b, -1, enough + less, room)
        for c in range(3):
            room[8, c], room[9, c] = 0.0, 0.0
            for r in range(3):
                room[8, c] += one[r, c] * (x[r] - one[r, 3])
                room[9, c] += other[r, c] * (y[r] - other[r, 3])
        room[7, 0] = k
        return max(away, gap - less)
    o = k % (len(box_first) - 1)
    low = np.inf
    for i in range(box_first[o], box_first[o + 1]):
        _nearest(solids, i, z, m)
        less = float(round_by[a] + solids.grown[i])
        away = np.sqrt((z[0] - m[0]) ** 2 + (z[1] - m[1]) ** 2 + (z[2] - m[2]) ** 2) - ball[a, 3] - less
        if away < enough:
            _copy(z, x)
            _copy(m, y)
            if room[7, 0] == k and room[7, 1] == i:
                _put(one, room[8, 0], room[8, 1], room[8, 2], x)
                _nearest(solids, i, x, y)
            gap = _gap(solids, one, one, a, -1, i, enough + less, room)
            away = max(away, gap - less)
            for c in range(3):
                room[8, c] = 0.0
                for r in range(3):
                    room[8, c] += one[r, c] * (x[r] - one[r, 3])
            room[7, 0], room[7, 1] = k, i
        low = min(low, away)
    return low


@njit(cache=True)
def lows(solids: Solids, poses: Float, wanted: np.ndarray, enough: float) -> Float:
    """Return lower bounds [n, w] on the clearances of the pairs `wanted` [w] where bodies stand at `poses` (m).

    Those above `enough` may be lower than they could be.
    """
    found, room = np.empty((len(poses), len(wanted))), np.full((10, 3), -1.0)
    for j in range(len(wanted)):
        for s in range(len(poses)):
            found[s, j] = _low(solids, poses[s], wanted[j], enough, room)
    return found


@njit(cache=True)
def advance(
    solids: Solids, poses: Float, travel: Float, way: np.ndarray, more: Float, demand: Float
) -> tuple[np.ndarray, Float, Float, np.ndarray]:
    """Return the stretches [m, 3] of a path in which pairs are not proven to keep their distance: pair, first, last
    sample; what each pair is proven to keep outside of these [pairs] (m); and the least bound [pairs] that was met at a
    sample (m), and at which.

    Args:
        solids: the links and obstacles.
        poses: of the bodies, at each sample [n, bodies, 4, 4].
        travel: up to each sample [ways, n] (m), never falling.
        way: which of these is a pair's [pairs].
        more: what is added to a bound, less `SPARE`, above 0 to get that on the clearance [pairs] (m); where it is
            infinite, the pair is left out.
        demand: what pairs are to be proven to keep [pairs] (m).
    """
    n, room = travel.shape[1], np.full((10, 3), -1.0)
    found, count = np.empty((64, 3), np.int64), 0
    kept, least, least_at, known = (
        np.full(len(way), np.inf),
        np.full(len(way), np.inf),
        np.zeros(len(way), np.int64),
        np.empty(n),
    )
    for k in range(len(way)):
        if more[k] == np.inf:
            continue
        along, known[:] = travel[way[k]], np.nan
        less, s, t, low, begun, blind = SPARE + demand[k] - more[k], 0, 0, 0.0, -1, 1
        while True:  # at sample t, coming from s
            if np.isnan(known[t]):
                enough = max(along[t] - along[s] - low, _ENOUGH) + less + 2 * PROVEN
                bound = _low(solids, poses[t], k, enough, room)
                known[t] = bound - less if bound > SPARE else -np.inf  # else how deep they touch is not known
                if known[t] + demand[k] < least[k]:
                    least[k], least_at[k] = known[t] + demand[k], t
            free = low + known[t] - (along[t] - along[s]) > PROVEN
            if not free and t > s + blind:
                t = s + max(blind, (t - s) // 2)
                continue
            if free and t > s:
                kept[k] = min(kept[k], demand[k] + (low + known[t] - (along[t] - along[s])) / 2)
            elif t > s and begun < 0:
                begun = s
            if begun >= 0 and (free or t == n - 1):
                if count == len(found):
                    found = np.concatenate((found, np.empty((count, 3), np.int64)))
                found[count, 0], found[count, 1], found[count, 2] = k, begun, s if free else t
                count, begun = count + 1, -1
            if t == n - 1:
                break
            s, low = t, known[t]
            blind = 2 * blind if low == -np.inf else 1  # where bodies may touch, PyBullet looks anyway
            t = min(n - 1, max(s + blind, np.searchsorted(along, along[s] + max(low, 0.0), side="right") - 1))
    return found[:count], kept, least, least_at


@cache
def load_compiled() -> None:
    """Compile `lows` and `advance`, or load them from the cache, so that no certificate waits for it."""
    poses, nothing = np.tile(np.eye(4), (2, 1, 1, 1)), np.zeros(0, np.int64)
    solids = Solids(
        split=0,
        ends=np.zeros((0, 2), np.int64),
        body=np.zeros(1, np.int64),
        corners=np.zeros((1, 3)),
        first=np.zeros(2, np.int64),
        ball=np.zeros((1, 4)),
        round_by=np.zeros(1),
        turn=np.zeros((0, 3, 3)),
        centre=np.zeros((0, 3)),
        half=np.zeros((0, 3)),
        turned=np.zeros(0, np.bool_),
        grown=np.zeros(0),
        box_first=np.zeros(1, np.int64),
    )
    lows(solids, poses, nothing, 0.0)
    advance(solids, poses, np.zeros((1, 2)), nothing, np.zeros(0), np.zeros(0))
