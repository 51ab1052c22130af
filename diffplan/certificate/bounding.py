"""Lower bounds on clearances from hulls and boxes alone: the pairs that PyBullet need not be asked about.

Every point of a link lies in the hull of its corners, grown by how round its shapes are, and every point of an obstacle
in one of its boxes; how far apart hulls and boxes are, separating planes tell (planes.py). PyBullet's bodies are
larger than the real ones by no more than its margin, which the links have already and which is taken once more for the
obstacle; `SPARE` stands for that and for what it rounds. So a bound above zero, less `SPARE`, is below whatever
PyBullet would measure. Nothing here is shared with the planners' kernels.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import ConvexHull, QhullError

from diffplan.certificate import planes
from diffplan.certificate.loaded import MARGIN
from diffplan.certificate.motion_bound import body_poses, link_parts, placed_content
from diffplan.certificate.pair_table import Pairs
from diffplan.geometry.pose import Float, Pose
from diffplan.geometry.shapes import Capsule, Cylinder, Primitive, Shape, Sphere
from diffplan.robot.model import Robot
from diffplan.scene import Scene, bodies
from diffplan.system.computed import computed
from diffplan.system.kept import Kept

_HERE = Pose()
_FEW = 16


@dataclass(frozen=True, kw_only=True, eq=False)
class Boxes:
    """Boxes in which obstacles lie, in the base's frame.

    `centre` [b, 3], `turn` [b, 3, 3] (its columns are their axes), `half` extents [b, 3] (m); cylinders about their z
    where they are `turned` [b], and all that is not farther from one than `grown` [b] (m), as of spheres and capsules.
    Obstacle i has those from `first[i]` to `first[i + 1]`; a URDF may have several.
    """

    centre: Float
    turn: Float
    half: Float
    turned: np.ndarray
    grown: Float
    first: np.ndarray

    @staticmethod
    def of(near: Scene) -> Boxes:
        """Box the obstacles of a scene that is seen from the base."""
        centre, turn, half, grown, turned, first = [], [], [], [], [], []
        for obstacle in near.obstacles:
            first.append(len(half))
            for body in bodies(obstacle):
                for shape in body.shapes:
                    T_base_shape = (shape.pose if body.pose == _HERE else body.pose @ shape.pose).matrix
                    middle, extents, more = _box(shape)
                    turn.append(T_base_shape[:3, :3])
                    centre.append(T_base_shape[:3, :3] @ middle + T_base_shape[:3, 3])
                    half.append(extents)
                    grown.append(more)
                    turned.append(isinstance(shape, Cylinder))
        return Boxes(
            centre=np.array(centre).reshape(-1, 3),
            turn=np.array(turn).reshape(-1, 3, 3),
            half=np.array(half).reshape(-1, 3),
            turned=np.array(turned, dtype=np.bool_),
            grown=np.array(grown, dtype=np.float64),
            first=np.array([*first, len(half)], dtype=np.int64),
        )


def _box(shape: Shape) -> tuple[Float, Float, float]:
    """Return centre and half extents [3] of the box about a shape in its own frame, and by how much it is grown (m)."""
    if isinstance(shape, Primitive):
        grown = shape.radius if isinstance(shape, Sphere | Capsule) else 0.0
        return np.zeros(3), np.array(shape.half_extents) - grown, grown
    corners = np.concatenate(replace(shape, pose=_HERE).corners())
    low, high = corners.min(axis=0), corners.max(axis=0)
    return (low + high) / 2, (high - low) / 2 + shape.rounding, 0.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Hulls:
    """What links lie in: the hulls of their corners, grown by `round_by` [links] (m).

    `corners` [c, 3] are in the frame of the link's body; link i has those from `first[i]` to `first[i + 1]`, and they
    lie in its `ball` [links, 4]: a point of the hull, and how far its corners are from there (m).
    """

    corners: Float
    first: np.ndarray
    ball: Float
    round_by: Float

    @staticmethod
    def of(robot: Robot, content: str) -> Hulls:
        """Return the hulls of `robot.links`; those of its own links are made once, like `motion_bound.kept_cover`."""
        bare = robot.empty_handed
        key = placed_content(bare, content)
        own = _kept.get(key, lambda: Hulls._around(bare, bare.links), lambda found: found.corners.nbytes)
        if not robot.attached:
            return own
        held = Hulls._around(robot, robot.links[len(bare.links) :])
        return Hulls(
            corners=np.concatenate([own.corners, held.corners]),
            first=np.concatenate([own.first, own.first[-1] + held.first[1:]]),
            ball=np.concatenate([own.ball, held.ball]),
            round_by=np.concatenate([own.round_by, held.round_by]),
        )

    @staticmethod
    def _around(robot: Robot, links: Sequence[str]) -> Hulls:
        found = [_outermost(np.concatenate(link_parts(robot, link))) for link in links]
        centres = [corners.mean(axis=0) for corners in found]
        radii = [np.linalg.norm(corners - at, axis=1).max() for corners, at in zip(found, centres, strict=True)]
        return Hulls(
            corners=np.concatenate(found),
            first=np.cumsum([0, *map(len, found)]).astype(np.int64),
            ball=np.column_stack([centres, radii]),
            round_by=np.array([MARGIN + max(shape.rounding for shape in robot.shapes(link)) for link in links]),
        )


_kept: Kept[Hulls] = Kept(8 << 20)


def _outermost(corners: Float) -> Float:
    """Return those of the corners [n, 3] that their hull has; all where they are few, or too flat for one."""
    if len(corners) > _FEW:
        with suppress(QhullError):
            return corners[ConvexHull(corners).vertices]
    return corners


@dataclass(frozen=True, kw_only=True, eq=False)
class Bounds:
    """Lower bounds on the clearances of all pairs of a robot in a scene; `body` [links] is what each link hangs on."""

    robot: Robot
    body: np.ndarray
    hulls: Hulls
    pairs: Pairs
    boxes: Boxes

    def at(self, q: Float, wanted: np.ndarray, enough: float) -> Float:
        """Return lower bounds [n, w] on what PyBullet would measure of pairs [w] at q [n, dof] (m).

        Below 0 they say nothing; above `enough` they may be lower than they could be.
        """
        return self.at_poses(body_poses(self.robot, q), wanted, enough)

    def at_poses(self, poses: Float, wanted: np.ndarray, enough: float) -> Float:
        """Return the same where the bodies stand at `poses` [n, bodies, 4, 4]."""
        return planes.lows(self._solids, poses, wanted, enough + planes.SPARE) - planes.SPARE

    def advance(
        self, poses: Float, travel: Float, more: Float, demand: Float
    ) -> tuple[np.ndarray, Float, Float, np.ndarray]:
        """Return where pairs are not proven to keep their distance along a path, and how near they come.

        Args:
            poses: of the bodies, at each sample [n, bodies, 4, 4].
            travel: by each way that a pair can go (`Pairs.ways`), up to each sample [ways, n] (m).
            more: what is added to the bounds of each pair [pairs] (m); where it is infinite, the pair is left out.
            demand: what each pair is to be proven to keep [pairs] (m).

        Returns:
            Stretches [m, 3]: pair, first and last sample; what each pair keeps outside of them [pairs] (m); the least
            bound of each pair that was met at a sample [pairs] (m), and at which.
        """
        return planes.advance(self._solids, poses, travel, self.pairs.way, more, demand)

    @computed
    def _solids(self) -> planes.Solids:
        """What the compiled functions take of links and obstacles."""
        pairs, hulls, boxes = self.pairs, self.hulls, self.boxes
        return planes.Solids(
            split=pairs.with_obstacles,
            ends=pairs.ends,
            body=self.body,
            corners=hulls.corners,
            first=hulls.first,
            ball=hulls.ball,
            round_by=hulls.round_by,
            turn=boxes.turn,
            centre=boxes.centre,
            half=boxes.half,
            turned=boxes.turned,
            grown=boxes.grown,
            box_first=boxes.first,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class PathBounds:
    """What is known of clearances along a path without measuring (`least.Bounds`); fields as for `Bounds.advance`.

    `stretches` is where pairs are not proven free: a pair, the first and the last sample. What is proven elsewhere is
    `kept` [pairs] (m); `least` and `least_at` [pairs] are the lowest bound that was met (m), and at which sample.
    """

    bounds: Bounds
    poses: Float
    travel: Float
    more: Float
    stretches: list[tuple[int, int, int]]
    kept: Float
    least: Float
    least_at: np.ndarray

    @staticmethod
    def of(bounds: Bounds, poses: Float, travels: Float, more: Float) -> PathBounds:
        """Go along a path with poses of bodies [n, bodies, 4, 4] and travels [n, ways] (m)."""
        travel = np.ascontiguousarray(travels.T)
        found, kept, least, least_at = bounds.advance(poses, travel, more, np.zeros(len(more)))
        kept[found[:, 0]] = 0.0
        stretches = [(pair, first, last) for pair, first, last in found.tolist()]
        return PathBounds(
            bounds=bounds,
            poses=poses,
            travel=travel,
            more=more,
            stretches=stretches,
            kept=kept,
            least=least,
            least_at=least_at,
        )

    def nearest(self, pairs: np.ndarray) -> tuple[int, int, float]:
        """Return which of the pairs comes nearest at a sample by its bound, at which, and that bound (m)."""
        pair = int(pairs[np.argmin(self.least[pairs])])
        return pair, int(self.least_at[pair]), float(self.least[pair])

    def nearer(self, pairs: np.ndarray, demand: float) -> np.ndarray:
        """Return those of the pairs that are not proven to keep farther apart than `demand` (m) all along."""
        pairs = pairs[self.kept[pairs] <= demand]
        more = np.full(len(self.more), np.inf)
        more[pairs] = self.more[pairs]
        found = self.bounds.advance(self.poses, self.travel, more, np.full(len(more), demand))[0]
        return np.unique(found[:, 0])

    def along(self, pairs: np.ndarray, enough: float) -> Float:
        """Return bounds at all samples [n, pairs] (m); those above `enough` may be lower than they could be."""
        low = self.bounds.at_poses(self.poses, pairs, enough - float(self.more[pairs].min(initial=0.0)))
        return np.where(low > 0, low + self.more[pairs], -np.inf)
