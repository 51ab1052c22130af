"""Distances between convex solids in double precision, without PyBullet: the judge of scripts/attack_certificate.py.

E. G. Gilbert, D. W. Johnson, S. S. Keerthi, "A fast procedure for computing the distance between complex objects in
three-dimensional space", IEEE J. Robotics and Automation 4(2), 1988. A solid is a core (the hull of corners, or a
cylinder) grown by a radius. The distance is given from both sides: the nearest points found are an upper bound, the
separating plane through the last support is a lower one; the iteration ends when they agree within a nanometre.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numba import njit

from diffplan.geometry.pose import Float

EXACT = 1e-9
"""How well upper and lower bound agree [m]."""
_STEPS = 200


@dataclass(frozen=True, kw_only=True, eq=False)
class Solid:
    """A convex solid in its own frame: the hull of `corners` [n, 3], or with `rod` (radius, half height) a cylinder
    about z, grown by `grow` [m]."""

    corners: Float
    rod: tuple[float, float] = (0.0, 0.0)
    grow: float = 0.0

    @cached_property
    def sphere(self) -> tuple[Float, float]:
        """Centre [3] and radius of a sphere around the solid."""
        if self.rod[0] > 0:
            return np.zeros(3), float(np.hypot(*self.rod)) + self.grow
        centre = (self.corners.min(axis=0) + self.corners.max(axis=0)) / 2
        return centre, float(np.linalg.norm(self.corners - centre, axis=1).max()) + self.grow


@njit(cache=True)
def _support(corners, rod, rotation, shift, d, out):
    """Write the point of a core that lies farthest along d (world frame) into out [3]."""
    x = rotation[0, 0] * d[0] + rotation[1, 0] * d[1] + rotation[2, 0] * d[2]
    y = rotation[0, 1] * d[0] + rotation[1, 1] * d[1] + rotation[2, 1] * d[2]
    z = rotation[0, 2] * d[0] + rotation[1, 2] * d[1] + rotation[2, 2] * d[2]
    if rod[0] > 0:
        across = np.sqrt(x * x + y * y)
        a, b = (rod[0] * x / across, rod[0] * y / across) if across > 0 else (rod[0], 0.0)
        c = rod[1] if z >= 0 else -rod[1]
    else:
        best, at = -np.inf, 0
        for i in range(corners.shape[0]):
            value = corners[i, 0] * x + corners[i, 1] * y + corners[i, 2] * z
            if value > best:
                best, at = value, i
        a, b, c = corners[at, 0], corners[at, 1], corners[at, 2]
    for i in range(3):
        out[i] = rotation[i, 0] * a + rotation[i, 1] * b + rotation[i, 2] * c + shift[i]


@njit(cache=True)
def _nearest(simplex, count, weight):
    """Find the point of the simplex's hull nearest the origin by trying every face of it.

    Writes its barycentric weights [4] (0 where a corner does not count) and returns its squared distance.
    """
    best = np.inf
    gram = np.empty((4, 4))
    for i in range(count):
        for j in range(count):
            gram[i, j] = (simplex[i] * simplex[j]).sum()
    own, face, matrix, right = np.empty(4), np.empty(4, np.int64), np.empty((4, 4)), np.empty(4)
    for mask in range(1, 1 << count):
        n = 0
        for i in range(count):
            if mask >> i & 1:
                face[n] = i
                n += 1
        # Weights w with sum 1 whose point is normal to the face: (s_i - s_0) . sum_j w_j s_j = 0.
        for j in range(n):
            matrix[0, j] = 1.0
            right[j] = 0.0
            for i in range(1, n):
                matrix[i, j] = gram[face[i], face[j]] - gram[face[0], face[j]]
        right[0] = 1.0
        if not _solve(matrix, right, n):
            continue
        inside = True
        for j in range(n):
            inside = inside and right[j] >= -1e-14
        if not inside:
            continue
        square = 0.0
        for k in range(3):
            value = 0.0
            for j in range(n):
                value += right[j] * simplex[face[j], k]
            square += value * value
        if square < best:
            best = square
            own[:] = 0.0
            for j in range(n):
                own[face[j]] = max(right[j], 0.0)
    weight[:] = own
    return best


@njit(cache=True)
def _solve(matrix, right, n):
    """Solve in place by elimination with pivots; False if the matrix is singular (a flat face: smaller ones serve)."""
    for i in range(n):
        pivot = i
        for k in range(i + 1, n):
            if abs(matrix[k, i]) > abs(matrix[pivot, i]):
                pivot = k
        if abs(matrix[pivot, i]) < 1e-30:
            return False
        if pivot != i:
            for j in range(n):
                matrix[i, j], matrix[pivot, j] = matrix[pivot, j], matrix[i, j]
            right[i], right[pivot] = right[pivot], right[i]
        for k in range(i + 1, n):
            factor = matrix[k, i] / matrix[i, i]
            for j in range(i, n):
                matrix[k, j] -= factor * matrix[i, j]
            right[k] -= factor * right[i]
    for i in range(n - 1, -1, -1):
        for j in range(i + 1, n):
            right[i] -= matrix[i, j] * right[j]
        right[i] /= matrix[i, i]
    return True


@njit(cache=True)
def cores(corners_a, rod_a, rotation_a, shift_a, corners_b, rod_b, rotation_b, shift_b, towards):
    """Return bounds (low, high) on the distance of two cores; writes the vector from b to a into towards [3]."""
    simplex, weight = np.empty((4, 3)), np.zeros(4)
    a, b = np.empty(3), np.empty(3)
    v = shift_a - shift_b
    if (v * v).sum() == 0.0:
        v = np.array([1.0, 0.0, 0.0])
    count, low, high = 0, 0.0, np.inf
    for _ in range(_STEPS):
        _support(corners_a, rod_a, rotation_a, shift_a, -v, a)
        _support(corners_b, rod_b, rotation_b, shift_b, v, b)
        w = a - b
        length = np.sqrt((v * v).sum())
        low = max(low, (v * w).sum() / length)
        if count > 0 and high - low <= EXACT:
            break
        for i in range(count):
            if (simplex[i] == w).all():
                return low, high
        simplex[count] = w
        count += 1
        square = _nearest(simplex, count, weight)
        kept = 0
        nearest = np.zeros(3)
        for i in range(count):
            if weight[i] > 0:
                nearest += weight[i] * simplex[i]
                simplex[kept] = simplex[i]
                kept += 1
        count = kept
        if np.sqrt(square) >= high:  # no progress beyond rounding
            break
        high = np.sqrt(square)
        v = nearest
        towards[:] = v
        if count == 4 or high <= EXACT:
            return 0.0, 0.0
    return low, high


@dataclass(frozen=True, kw_only=True, eq=False)
class Solids:
    """Solids in one array each: the corners of solid i are rows first[i] to first[i + 1]; spheres hold the solids."""

    corners: Float
    first: np.ndarray
    rod: Float
    grow: Float
    centre: Float
    radius: Float

    @staticmethod
    def of(solids: Sequence[Solid]) -> Solids:
        """Pack solids, each of which keeps its own frame."""
        return Solids(
            corners=np.concatenate([solid.corners for solid in solids]),
            first=np.cumsum([0, *(len(solid.corners) for solid in solids)]),
            rod=np.array([solid.rod for solid in solids]),
            grow=np.array([solid.grow for solid in solids]),
            centre=np.array([solid.sphere[0] for solid in solids]),
            radius=np.array([solid.sphere[1] for solid in solids]),
        )


@njit(cache=True)
def _lower(ones, rotations, shifts, others, other_rotations, other_shifts, pairs, least, gap, way):
    """Lower least [n] to the distances of these pairs; fill gap [n] (upper minus lower bound) and way [n, 3]."""
    corners, first, rod, grow, centre, radius = ones
    other_corners, other_first, other_rod, other_grow, other_centre, other_radius = others
    bound, one_way = np.empty(len(pairs)), np.empty(3)
    for n in range(len(least)):
        m = min(n, len(other_shifts) - 1)
        for p in range(len(pairs)):
            i, j = pairs[p]
            square = 0.0
            for k in range(3):
                apart = shifts[n, i, k] - other_shifts[m, j, k]
                for c in range(3):
                    apart += rotations[n, i, k, c] * centre[i, c] - other_rotations[m, j, k, c] * other_centre[j, c]
                square += apart * apart
            bound[p] = np.sqrt(square) - radius[i] - other_radius[j]
        for p in np.argsort(bound):
            if bound[p] >= least[n]:
                break
            i, j = pairs[p]
            low, high = cores(
                corners[first[i] : first[i + 1]], rod[i], rotations[n, i], shifts[n, i],
                other_corners[other_first[j] : other_first[j + 1]], other_rod[j], other_rotations[m, j],
                other_shifts[m, j], one_way,
            )  # fmt: skip
            gap[n] = max(gap[n], high - low)
            distance = max(0.0, low - grow[i] - other_grow[j])
            if distance < least[n]:
                least[n] = distance
                way[n] = one_way if high > 0.0 else 0.0 * one_way


def distances(
    ones: Solids, T_ones: Float, others: Solids, T_others: Float, pairs: np.ndarray, cap: float
) -> tuple[Float, Float]:
    """Return the least distance [n] over pairs of solids, up to cap, and the vector there from other to one [n, 3].

    The vector joins the cores, and is zero where they touch or nothing is nearer than cap.

    Args:
        ones, others: the solids.
        T_ones: their poses in any frame [n, k, 4, 4].
        T_others: likewise, in the same frame; [1, k, 4, 4] where they stay.
        pairs: a number in ones and a number in others [p, 2].
        cap: in m.

    Raises:
        ArithmeticError: if a distance is not known to 1e-7 m.
    """
    least, gap, way = np.full(len(T_ones), cap), np.zeros(len(T_ones)), np.zeros((len(T_ones), 3))
    _lower(_arrays(ones), *_split(T_ones), _arrays(others), *_split(T_others), pairs, least, gap, way)
    if gap.max(initial=0.0) > 1e-7:
        raise ArithmeticError(f"a distance is known to {gap.max()} m only")
    return least, way


def _arrays(solids: Solids) -> tuple[np.ndarray, ...]:
    return solids.corners, solids.first, solids.rod, solids.grow, solids.centre, solids.radius


def _split(T: Float) -> tuple[Float, Float]:
    return np.ascontiguousarray(T[..., :3, :3]), np.ascontiguousarray(T[..., :3, 3])


def heights(one: Solid, T_plane_one: Float) -> Float:
    """Return the distances [n] of a solid at poses [n, 4, 4] from the half-space below z = 0 (0: they touch)."""
    if one.rod[0] > 0:
        along = np.abs(T_plane_one[:, 2, 2])
        lowest = -one.rod[0] * np.sqrt(np.maximum(0.0, 1 - along * along)) - one.rod[1] * along
    else:
        lowest = (T_plane_one[:, 2, :3] @ one.corners.T).min(axis=1)
    return np.maximum(0.0, T_plane_one[:, 2, 3] + lowest - one.grow)


def inside(triangles: Float, points: Float) -> np.ndarray:
    """Return which points [n, 3] lie in the solid with this closed surface [t, 3, 3]: solid angles add up to 4 pi."""
    a, b, c = np.moveaxis(triangles[None] - points[:, None, None], 2, 0)
    la, lb, lc = (np.linalg.norm(side, axis=-1) for side in (a, b, c))
    volume = (a * np.cross(b, c)).sum(axis=-1)
    rest = la * lb * lc + (a * b).sum(axis=-1) * lc + (b * c).sum(axis=-1) * la + (c * a).sum(axis=-1) * lb
    return np.abs(np.arctan2(volume, rest).sum(axis=1)) > np.pi
