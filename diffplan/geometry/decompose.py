"""Convex parts of a triangle mesh that hold all of its surface and reach no farther beyond it than a bound.

A mesh is cut by planes, one after the other, where that takes most off the volume of the hulls: approximate convex
decomposition (Lien and Amato, 2007; Mamou and Ghorbel, 2009), greedy. Triangles are clipped at the planes, the section
of the solid is tiled, and each part is the hull of its own triangles and tiles: every triangle is in a part by
construction (to a nanometre), and parts meet in their planes without a gap. There is no randomness. (CoACD
1.0.14 took 1 to 28 s for a link of a UR5; its parts do not hold all of the mesh, and have gaps between them.)
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias

import numpy as np
from scipy.spatial import ConvexHull, QhullError

from diffplan.geometry import convex, field_files
from diffplan.geometry.convex import ConvexUnion, surface_grid
from diffplan.geometry.pose import Float
from diffplan.geometry.triangle_distance import SolidDistance, unsigned_distance
from diffplan.geometry.winding import section_winding
from diffplan.system.computed import computed
from diffplan.system.third_party import trimesh

MOST_PARTS = 24
"""No mesh is cut into more."""
_SPACING, _MOST_POINTS = 0.003, 50_000
_SAFE = 0.95
"""What a limit is multiplied with, for what lies between the samples."""
_POSITIONS, _REFINEMENTS = 12, 3
_LEAST_GAIN = 1e-6
"""Share of the volume that a cut must save at least."""
_THINNEST = 0.003
"""No cut makes a part thinner than this across the cut [m]."""
_DIGITS = 9  # of corners in m: cuts leave some that differ by rounding alone, and slivers between them
_COARSE, _FEW, _STRIDES = 0.001, 500, np.array([1, 2**20, 2**40])
_TILE, _TILES = 0.004, 30
_MERGES = 12
_EVERY = 16
"""One of so many samples is looked at first where two parts are tried as one."""
_AT_ONCE = 256
"""So many samples are looked at before the next, the farthest first."""


Plane: TypeAlias = "tuple[Float, float]"
"""A unit axis [3] and a place along it [m]: the side `axis . x <= place`."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Part:
    """Triangles [t, 3, 3], the planes that cut them off, their hull, samples of it, and the mesh that they are of.

    Of the samples' distances only those of `limit` [m] and more count.
    """

    triangles: Float
    planes: tuple[Plane, ...]
    hull: trimesh.Trimesh
    points: Float
    normals: Float
    mesh: SolidDistance
    limit: float

    @computed
    def distance(self) -> Float:
        """The samples' distances to the mesh [m]."""
        return self.mesh.at(self.points, self.limit)

    @computed
    def farthest(self) -> float:
        """The largest of them [m]."""
        return float(self.distance.max())


class _Cutter:
    """Parts of one mesh, cut further until none bulges more than a limit [m]."""

    def __init__(self, triangles: Float, limit: float) -> None:
        self._mesh, self._limit = triangles, limit
        self._pairs: dict[tuple[_Part, _Part], float] = {}
        self._distance = unsigned_distance(triangles)
        self.parts = [self._part(triangles, ())]

    def _part(self, triangles: Float, planes: tuple[Plane, ...]) -> _Part:
        hull = trimesh.convex.convex_hull(_distinct(np.round(triangles.reshape(-1, 3), _DIGITS)))
        spacing = max(_SPACING, float(np.sqrt(hull.area / _MOST_POINTS)))
        points, normals = surface_grid(hull, spacing)
        return _Part(
            triangles=triangles,
            planes=planes,
            hull=hull,
            points=points,
            normals=normals,
            mesh=self._distance,
            limit=self._limit,
        )

    def bulge(self, part: _Part, others: list[_Part]) -> float:
        """Return how far a part bulges where no other covers it [m], or 0 below the limit."""
        return self._bulge(part.points, part.normals, part.distance, others)

    def bulges(self, part: _Part, others: list[_Part]) -> bool:
        """Return whether a part bulges beyond the limit: most that do show it at a few of their points."""
        points, normals = (np.ascontiguousarray(of[::_EVERY]) for of in (part.points, part.normals))
        few = self._bulge(points, normals, part.mesh.at(points, self._limit), others)
        return few > 0 or self.bulge(part, others) > 0

    def _bulge(self, points: Float, normals: Float, distance: Float, others: list[_Part]) -> float:
        far = np.flatnonzero(distance >= self._limit)
        far = far[np.argsort(-distance[far], kind="stable")]
        union = ConvexUnion(parts=tuple(other.hull for other in others))
        for begin in range(0, len(far), _AT_ONCE):
            some = far[begin : begin + _AT_ONCE]
            outer = union.outer(points[some], normals[some]) if others else np.ones(len(some), dtype=bool)
            if outer.any():
                return float(distance[some[outer.argmax()]])
        return 0.0

    def _worst(self, done: list[_Part]) -> int | None:
        """Return the part that bulges most, None if none does beyond the limit; those that are done do not count."""
        most, worst = self._limit, None
        for k in sorted(range(len(self.parts)), key=lambda k: -self.parts[k].farthest):
            part = self.parts[k]
            if part.farthest < most:
                break
            if part in done:
                continue
            bulge = self.bulge(part, [other for other in self.parts if other is not part])
            if bulge > most or (bulge == most and (worst is None or k < worst)):
                most, worst = bulge, k
        return worst

    def cut(self) -> None:
        """Cut the part that bulges most, as long as one bulges beyond the limit and can be cut."""
        done: list[_Part] = []
        while len(self.parts) < MOST_PARTS:
            worst = self._worst(done)
            if worst is None:
                return
            plane = _best_cut(self.parts[worst].triangles)
            if plane is None:
                done.append(self.parts[worst])
            else:
                self.parts[worst : worst + 1] = self._halves(self.parts[worst], plane)

    def _halves(self, part: _Part, plane: Plane) -> list[_Part]:
        """Return both sides of a part; of the section between them each gets all."""
        axis, place = plane
        section = _section(part.triangles, self._mesh, plane)
        for side in part.planes:
            section = _clipped(section, side)
        sides = [(axis, place), (-axis, -place)]
        return [
            self._part(np.concatenate([_clipped(part.triangles, side), section]), (*part.planes, side))
            for side in sides
        ]

    def merge(self) -> None:
        """Join two parts into one as long as a pair does not bulge beyond the limit, the tightest first."""
        while len(self.parts) > 1:
            pairs = sorted(combinations(range(len(self.parts)), 2), key=self._excess)
            for i, j in pairs[:_MERGES]:
                joint = self._part(np.concatenate([self.parts[i].triangles, self.parts[j].triangles]), ())
                others = [part for k, part in enumerate(self.parts) if k not in (i, j)]
                if not self.bulges(joint, others):
                    self.parts = [*others, joint]
                    break
            else:
                return

    def _excess(self, pair: tuple[int, int]) -> float:
        """Return how much larger the hull of two parts is than both [m^3]."""
        one, other = (self.parts[k] for k in pair)
        if (one, other) not in self._pairs:
            joint = _volume(np.concatenate([one.hull.vertices, other.hull.vertices]))
            self._pairs[one, other] = joint - float(one.hull.volume) - float(other.hull.volume)
        return self._pairs[one, other]


def decompose(triangles: Float, limit: float) -> list[trimesh.Trimesh]:
    """Return convex meshes that hold all triangles [t, 3, 3] of a mesh, the same for the same mesh.

    Args:
        triangles: of the mesh [m], which should be closed: of an open one the inside may be left out.
        limit: how far the parts' common surface may lie from the mesh [m]; where 24 parts do not reach it, or a part is
            too thin to be cut further, it lies farther.
    """
    cutter = _Cutter(np.asarray(triangles, dtype=np.float64), _SAFE * limit)
    cutter.cut()
    cutter.merge()
    return [part.hull for part in cutter.parts]


def kept_parts(triangles: Float, limit: float) -> list[trimesh.Trimesh]:
    """Return what `decompose` does; parts that were made before come from the user's cache folder."""
    digest = hashlib.sha256(np.ascontiguousarray(triangles).tobytes()).hexdigest()
    key = ("convex parts", field_files.code_digest(convex.__file__, __file__), digest, limit)
    kept = field_files.load(key)
    if kept is None:
        found = decompose(triangles, limit)
        kept = {
            f"{kind}{n}": np.asarray(getattr(p, kind)) for n, p in enumerate(found) for kind in ("vertices", "faces")
        }
        field_files.save(key, kept)
    return [trimesh.Trimesh(kept[f"vertices{n}"], kept[f"faces{n}"], process=False) for n in range(len(kept) // 2)]


def _best_cut(triangles: Float) -> Plane | None:
    """Return the plane `axis . x = place` that leaves the least volume in hulls of both halves; None if none helps.

    Half a ring fills its hull no better than the whole one, a quarter does: where no cut helps by itself,
    one through the middle is taken after which another will.
    """
    whole = _volume(_thinned(triangles.reshape(-1, 3))) * (1 - _LEAST_GAIN)
    volume, found = _least_cut(triangles)
    if volume < whole:
        return found
    middle = None
    for axis in _axes(triangles):
        along = triangles @ axis
        place = float(along.min() + along.max()) / 2
        if along.max() - along.min() < 2 * _THINNEST:
            continue
        halves = (_clipped(triangles, side) for side in ((axis, place), (-axis, -place)))
        volume = sum(min(_least_cut(half)[0], _volume(_thinned(half.reshape(-1, 3)))) for half in halves)
        if volume < whole:
            whole, middle = volume, (axis, place)
    return middle


def _least_cut(triangles: Float) -> tuple[float, Plane | None]:
    """Return the least volume that hulls of both halves of a cut have, and its plane; infinite if none can be made."""
    corners = _thinned(triangles.reshape(-1, 3))
    best, found = np.inf, None
    for axis in _axes(triangles):
        along, ahead = triangles @ axis, corners @ axis
        ends = along.min(axis=1), along.max(axis=1)
        low, high = ends[0].min(), ends[1].max()
        if high - low < 2 * _THINNEST:
            continue
        step = (high - low) / (_POSITIONS + 1)
        places = low + step * np.arange(1, _POSITIONS + 1)
        least, volume = float(places[0]), np.inf
        for _ in range(_REFINEMENTS + 1):
            for place in places.tolist():
                halves = _halves_volume(triangles, along, ends, corners, ahead, place, volume)
                if halves < volume:
                    least, volume = place, halves
            step /= 2
            places = np.array([least - step, least + step])
        if volume < best:
            best, found = volume, (axis, least)
    return best, found


def _axes(triangles: Float) -> Iterator[Float]:
    """Give the directions to cut across: the frame's axes, and the principal axes of the surface if they differ."""
    yield from np.eye(3)
    points = triangles.mean(axis=1)
    weights = np.linalg.norm(np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]), axis=1)
    centred = points - np.average(points, axis=0, weights=weights)
    for axis in np.linalg.eigh((centred * weights[:, None]).T @ centred)[1].T:
        if np.abs(axis).max() < 0.99:
            yield axis * np.sign(axis[np.abs(axis).argmax()])


def _halves_volume(
    triangles: Float,
    along: Float,
    ends: tuple[Float, Float],
    corners: Float,
    corners_along: Float,
    place: float,
    most: float,
) -> float:
    """Return the volume of the hulls of both sides of a cut; infinite if it cannot be made, or one has `most` or more.

    `along` [t, 3] and `corners_along` [n] are where the triangles' corners and enough of them (`corners` [n, 3]) are,
    `ends` where each triangle begins and ends [t].
    """
    low, high = ends
    if min(high.max() - place, place - low.min()) < _THINNEST:
        return np.inf
    crossed = np.flatnonzero((low < place) & (high > place))
    cut, away = triangles[crossed], along[crossed] - place
    ahead = np.roll(away, -1, axis=1)
    crossing = away * ahead < 0
    share = (away[crossing] / (away[crossing] - ahead[crossing]))[:, None]
    on_plane = _thinned(cut[crossing] * (1 - share) + np.roll(cut, -1, axis=1)[crossing] * share)
    sides = (corners_along <= place, corners_along >= place)
    larger = int(high.max() - place > place - low.min())
    volume = _volume(np.concatenate([corners[sides[larger]], on_plane]))
    return volume + _volume(np.concatenate([corners[sides[1 - larger]], on_plane])) if volume < most else np.inf


def _clipped(triangles: Float, plane: Plane) -> Float:
    """Return the part of triangles [t, 3, 3] on the side `axis . x <= place`, as triangles."""
    axis, place = plane
    if len(triangles) == 0:
        return triangles
    vertices, faces = trimesh.intersections.slice_faces_plane(
        triangles.reshape(-1, 3), np.arange(3 * len(triangles)).reshape(-1, 3), -axis, axis * place
    )[:2]
    return vertices[faces]


def _section(triangles: Float, mesh: Float, plane: Plane) -> Float:
    """Tile the part of a plane that is inside the mesh, within the box of a part's triangles; returns triangles.

    Without tiles the corners where three cuts meet deep in the solid would be in no part.
    """
    axis, place = plane
    u = np.linalg.svd(axis[None])[2][1]
    v = np.cross(axis, u)
    low, high = (np.array([limit(triangles @ u), limit(triangles @ v)]) for limit in (np.min, np.max))
    size = max(_TILE, float((high - low).max()) / _TILES)
    steps = [np.arange(a, b + size, size) for a, b in zip(low, high, strict=True)]
    nodes = place * axis + steps[0][:, None, None] * u + steps[1][None, :, None] * v
    inside = (section_winding(mesh, plane, nodes.reshape(-1, 3)) > 0.5).reshape(nodes.shape[:2])
    full = np.argwhere(inside[:-1, :-1] & inside[1:, :-1] & inside[:-1, 1:] & inside[1:, 1:])
    a, b, c, d = (nodes[full[:, 0] + i, full[:, 1] + j] for i, j in ((0, 0), (1, 0), (1, 1), (0, 1)))
    return np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)])


def _distinct(points: Float) -> Float:
    """Return points [n, 3] in ascending order, each once: `np.unique` in a third of the time."""
    ordered = points[np.lexsort(points.T[::-1])]
    return ordered[np.append(True, (ordered[1:] != ordered[:-1]).any(axis=1))]


def _thinned(points: Float) -> Float:
    """Return one point of each millimetre of many [n, 3]: enough to compare volumes."""
    if len(points) < _FEW:
        return points
    cells = np.round((points - points.min(axis=0)) / _COARSE).astype(np.int64)
    return points[np.unique((cells * _STRIDES).sum(axis=1), return_index=True)[1]]


def _volume(points: Float) -> float:
    """Return the volume of the hull of points [n, 3]; infinite if it has none."""
    try:
        return float(ConvexHull(points).volume)
    except (QhullError, ValueError):
        return np.inf
