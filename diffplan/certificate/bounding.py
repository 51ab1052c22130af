"""Lower bounds on clearances from spheres and boxes alone: the pairs that PyBullet need not be asked about.

Every point of a link lies in one of its spheres, every point of an obstacle in one of its boxes, so that

    clearance >= min over spheres and boxes (distance of the sphere's centre from the box - radius),

and of two links likewise with the distance of two centres less both radii. PyBullet's bodies are larger than the real
ones by no more than its margin, which the radii hold already and which is taken once more for the obstacle; `SPARE`
stands for that and for what it rounds. So a bound above zero, less `SPARE`, is below whatever PyBullet would measure.
Nothing here is shared with the planners' kernels.

The spheres of a link: it is cut across its length into slabs. What a convex part has in a slab is the hull of its
corners in there and of the points at which its edges pass the two planes, and a ball around these holds all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from scipy.spatial import ConvexHull, QhullError

from diffplan.certificate.loaded import MARGIN
from diffplan.certificate.motion_bound import Cover, link_parts, placed_content, sphere_centres
from diffplan.certificate.pair_table import Pairs
from diffplan.geometry.pose import Float, Pose
from diffplan.geometry.shapes import Primitive, Shape
from diffplan.robot.model import Robot
from diffplan.scene import Scene, bodies
from diffplan.system.kept import Kept

SPARE = 0.003
"""What is taken from every bound [m]: PyBullet's margin around hulls (1 mm), and what it rounds with room to spare."""
_APART = 0.5  # [m] beyond which one bound for an obstacle and the whole arm will do
_BLOCK = 2_000_000
_HERE = Pose()
_SLABS, _FEW = 5, 16
_HAIR = 1e-9


@dataclass(frozen=True, kw_only=True, eq=False)
class Boxes:
    """Boxes in which obstacles lie, in the base's frame.

    `centre` [b, 3], `turn` [b, 3, 3] (its columns are their axes), `half` extents [b, 3] (m). `first` [obstacles] is
    the first box of each obstacle; a URDF may have several.
    """

    centre: Float
    turn: Float
    half: Float
    first: np.ndarray

    @staticmethod
    def of(near: Scene) -> Boxes:
        """Box the obstacles of a scene that is seen from the base."""
        centre, turn, half, first = [], [], [], []
        for obstacle in near.obstacles:
            first.append(len(half))
            for body in bodies(obstacle):
                for shape in body.shapes:
                    T_base_shape = (shape.pose if body.pose == _HERE else body.pose @ shape.pose).matrix
                    middle, extents = _box(shape)
                    turn.append(T_base_shape[:3, :3])
                    centre.append(T_base_shape[:3, :3] @ middle + T_base_shape[:3, 3])
                    half.append(extents)
        return Boxes(
            centre=np.array(centre).reshape(-1, 3),
            turn=np.array(turn).reshape(-1, 3, 3),
            half=np.array(half).reshape(-1, 3),
            first=np.array(first, dtype=int),
        )

    def distances(self, points: Float) -> Float:
        """Return the distances of points [n, 3] from the boxes [n, b] (m), 0 inside."""
        found = np.empty((len(points), len(self.half)))
        step = max(1, _BLOCK // max(1, 3 * len(points)))
        for begin in range(0, len(self.half), step):
            own = slice(begin, begin + step)
            squares = 0.0
            for i in range(3):
                axis = self.turn[own, :, i]
                along = points @ axis.T - (self.centre[own] * axis).sum(axis=1)
                squares = squares + np.maximum(np.abs(along) - self.half[own, i], 0.0) ** 2
            found[:, own] = np.sqrt(squares)
        return found


def _box(shape: Shape) -> tuple[Float, Float]:
    """Return centre and half extents [3] of the box around a shape in its own frame (m)."""
    if isinstance(shape, Primitive):
        return np.zeros(3), np.array(shape.half_extents)
    corners = np.concatenate(replace(shape, pose=_HERE).corners())
    low, high = corners.min(axis=0), corners.max(axis=0)
    return (low + high) / 2, (high - low) / 2 + shape.rounding


@dataclass(frozen=True, kw_only=True, eq=False)
class Spheres:
    """Spheres in which links lie wholly: `centre` [links, s, 3] in the frame of the link's body, `radius` [links, s]
    (m).
    """

    centre: Float
    radius: Float

    @staticmethod
    def of(robot: Robot, content: str) -> Spheres:
        """Return the spheres of `robot.links`; those of its own links are made once, like `motion_bound.kept_cover`."""
        bare = robot.empty_handed
        key = placed_content(bare, content)
        own = _kept.get(key, lambda: Spheres._around(bare, bare.links), lambda found: found.centre.nbytes)
        if not robot.attached:
            return own
        held = Spheres._around(robot, robot.links[len(bare.links) :])
        return Spheres(
            centre=np.concatenate([own.centre, held.centre]), radius=np.concatenate([own.radius, held.radius])
        )

    @staticmethod
    def _around(robot: Robot, links: Sequence[str]) -> Spheres:
        centres, radii = [], []
        for link in links:
            centre, radius = _slabs(link_parts(robot, link))
            centres.append(centre)
            radii.append(radius + MARGIN + max(shape.rounding for shape in robot.shapes(link)))
        return Spheres(centre=np.array(centres), radius=np.array(radii))


_kept: Kept[Spheres] = Kept(8 << 20)


def _slabs(parts: list[Float]) -> tuple[Float, Float]:
    """Return `_SLABS` spheres (centres, radii) that hold convex parts, given by their corners [n, 3]."""
    points = np.concatenate(parts)
    offsets = points - points.mean(axis=0)
    axis = np.linalg.svd(offsets, full_matrices=False)[2][0]
    along = points @ axis
    edges = np.linspace(along.min(), along.max(), _SLABS + 1)
    pieces: list[list[Float]] = [[] for _ in range(_SLABS)]
    for part in parts:
        at = part @ axis
        one, other = _edges(part).T
        passed = [_passing(part, at, one, other, edge) for edge in edges[1:-1]]
        for i in range(_SLABS):
            pieces[i].append(part[(at >= edges[i] - _HAIR) & (at <= edges[i + 1] + _HAIR)])
            pieces[i] += passed[max(0, i - 1) : i + 1]
    found = [np.concatenate(piece) for piece in pieces]
    found = [piece if len(piece) else points[:1] for piece in found]
    centres = np.array([(piece.min(axis=0) + piece.max(axis=0)) / 2 for piece in found])
    radii = [np.linalg.norm(piece - centre, axis=1).max() for piece, centre in zip(found, centres, strict=True)]
    return centres, np.array(radii) + _HAIR


def _edges(corners: Float) -> np.ndarray:
    """Return pairs of corners [n, 3] among which are all edges of their convex hull [m, 2].

    Of few corners, and of those too flat for a hull of their own in this frame, these are all pairs.
    """
    if len(corners) > _FEW:
        with suppress(QhullError):
            faces = ConvexHull(corners).simplices
            return np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    return np.array(list(combinations(range(len(corners)), 2)), dtype=int).reshape(-1, 2)


def _passing(part: Float, at: Float, one: np.ndarray, other: np.ndarray, edge: float) -> Float:
    """Return where the edges between corners `one` and `other` pass a plane [k, 3]; `at` [n] is how far corners are."""
    cut = (at[one] < edge) != (at[other] < edge)
    a, b = one[cut], other[cut]
    share = (edge - at[a]) / (at[b] - at[a])
    return part[a] + share[:, None] * (part[b] - part[a])


@dataclass(frozen=True, kw_only=True, eq=False)
class Bounds:
    """Lower bounds on the clearances of all pairs of a robot in a scene."""

    robot: Robot
    cover: Cover
    spheres: Spheres
    pairs: Pairs
    boxes: Boxes

    def at(self, q: Float) -> Float:
        """Return lower bounds [n, pairs] on what PyBullet would measure at q [n, dof] (m); below 0 they say nothing."""
        centres = sphere_centres(self.robot.body_poses(q), self.cover.body, self.spheres.centre)
        split, ends = self.pairs.with_obstacles, self.pairs.ends
        low = np.empty((len(centres), len(ends)))
        if split:
            moving = ends[: split : len(self.boxes.first), 0]
            low[:, :split] = self._from_obstacles(centres[:, moving], self.spheres.radius[moving])
        low[:, split:] = self._between_links(centres)
        return low - SPARE

    def _from_obstacles(self, centres: Float, radius: Float) -> Float:
        """Return the bounds [n, links * obstacles] for spheres with these centres [n, links, s, 3], radius [links, s].

        Of an obstacle whose box is far from the box around all of these spheres, that distance will do.
        """
        boxes, (n, links) = self.boxes, centres.shape[:2]
        low, high = (centres - radius[..., None]).min(axis=(0, 1, 2)), (centres + radius[..., None]).max(axis=(0, 1, 2))
        ball = np.linalg.norm(boxes.half, axis=1)
        apart = np.linalg.norm(np.maximum(np.maximum(low - boxes.centre, boxes.centre - high), 0.0), axis=1) - ball
        near = np.flatnonzero(apart < _APART)
        each = np.broadcast_to(apart, (n, links, len(apart))).copy()
        if len(near):
            own = Boxes(centre=boxes.centre[near], turn=boxes.turn[near], half=boxes.half[near], first=near)
            away = own.distances(centres.reshape(-1, 3)).reshape(*centres.shape[:3], len(near))
            each[:, :, near] = (away - radius[..., None]).min(axis=2)
        if len(boxes.first) < len(apart):
            each = np.minimum.reduceat(each, boxes.first, axis=2)
        return each.reshape(n, -1)

    def _between_links(self, centres: Float) -> Float:
        """Return the bounds [n, pairs of links] for spheres with these centres [n, links, s, 3]."""
        one, other = self.pairs.ends[self.pairs.with_obstacles :].T
        n, links, s, _ = centres.shape
        flat = centres.reshape(n, -1, 3)
        squares = (flat * flat).sum(axis=2)
        squares = squares[:, :, None] + squares[:, None] - 2 * flat @ flat.transpose(0, 2, 1)
        squares = squares.reshape(n, links, s, links, s).transpose(1, 3, 0, 2, 4)[one, other]
        radii = self.spheres.radius[one][:, None, :, None] + self.spheres.radius[other][:, None, None]
        return (np.sqrt(np.maximum(squares, 0.0)) - radii).min(axis=(2, 3), initial=np.inf).T
