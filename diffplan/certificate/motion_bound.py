"""How far a robot's links can travel along a piecewise linear joint path: the bound behind the certificate.

Along one linear piece of the path, moving joint k turns by |dq_k| in all (a follower of a planning joint by its factor
times that). A point at distance d from the axis of a revolute
joint k moves by at most (largest d on the way) * |dq_k| because of it; because of a prismatic joint, by |dq_k|. The
path length of any point of a link is therefore at most

    sum over the joints k upstream of the link of  R_k * |dq_k|,

where R_k bounds the distance of every point of the link from axis k during the piece.

R_k from the two ends of the piece: let f(t) be the distance of a point of the link from axis k. Seen from the body
that carries axis k (or, for a revolute joint, from the body behind it: turning about the axis leaves f as it is),
only the joints j > k move the point, by at most P = sum over j > k of R_j * |dq_j| along the whole piece. So
f(t) <= f(start) + p and f(t) <= f(end) + P - p for some 0 <= p <= P, hence f(t) <= (f(start) + f(end) + P) / 2.
Going from the last joint to the first, every R_j that P needs is known already.

The same holds where a stretch of several pieces stands for the piece and |dq_j| for the joint's total variation in
it, so that R_k is computed once for a stretch of samples.

That sum says what each joint can do alone. What they do together is seen at the samples: along a piece, u in [0, 1], a
point p of a link goes from p(0) to p(1). It lies in one of the link's spheres, so that this is at most

    chord = |c(1) - c(0)| + r |R(1) - R(0)|

with the sphere's centre c, radius r, rotation R. That is the mean of its velocity p'(u), from which p' differs by at
most bend / 2, where `bend` bounds |p''| (both as in frame_motion.py). No part of the piece is therefore longer than its
share of chord + bend / 2; of the Panda's hand that is about a third of the sum. The less of both counts (`length`).

f at the ends comes from spheres that cover the link: distance of the centre from the axis plus the radius. The
distance from a line is convex, so its largest value over the link's convex hulls is taken at their vertices, and
covering the vertices is enough. PyBullet's margin is part of the radius.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from diffplan.certificate import moves
from diffplan.certificate.loaded import MARGIN
from diffplan.geometry.pose import Float
from diffplan.robot.model import Robot
from diffplan.system.computed import computed
from diffplan.system.kept import Kept

_SLICES = 4
_ROUNDING = 1e-5


@dataclass(frozen=True, kw_only=True, eq=False)
class Cover:
    """Spheres in which all corners of each link lie.

    `centre` [links, s, 3] in the frame of the link's body, `radius` [links, s] (m). `body` [links] is the moving body
    of each link; `inner` holds for each link a point inside every one of its convex parts [parts, 3] in the frame of
    the body.
    """

    centre: Float
    radius: Float
    body: np.ndarray
    inner: tuple[Float, ...]

    @computed
    def spheres(self) -> moves.Spheres:
        """The spheres as the compiled functions take them."""
        return moves.Spheres.of(self.body, self.centre, self.radius)


_covers: Kept[Cover] = Kept(8 << 20)


def cover(robot: Robot) -> Cover:
    """Cover each of `robot.links` (held bodies too) with spheres around slices of its corners along its length."""
    return _cover(robot, robot.links)


def kept_cover(robot: Robot, content: str) -> Cover:
    """Return the cover of a robot with this `content` (`world.content_of`); that of its own links is made once.

    It depends on their shapes, of which the content tells all (mesh files as they are now), and on where they hang on
    which moving body. What is held is covered anew.
    """
    bare = robot.empty_handed
    key = placed_content(bare, content)
    own = _covers.get(key, lambda: cover(bare), lambda found: found.centre.nbytes + found.radius.nbytes)
    if not robot.attached:
        return own
    held = _cover(robot, robot.links[len(bare.links) :])
    return Cover(
        centre=np.concatenate([own.centre, held.centre]),
        radius=np.concatenate([own.radius, held.radius]),
        body=np.concatenate([own.body, held.body]),
        inner=own.inner + held.inner,
    )


def placed_content(robot: Robot, content: str) -> tuple[str, tuple[tuple[str, int, bytes], ...]]:
    """Return what the links of a robot with this content are, and where they hang on which moving body."""
    placed = ((link, *robot.chain.placement[link]) for link in robot.links)
    return content, tuple((link, body, T_body_link.tobytes()) for link, body, T_body_link in placed)


def _cover(robot: Robot, links: Sequence[str]) -> Cover:
    centres, radii, inner = [], [], []
    for link in links:
        parts = link_parts(robot, link)
        shapes = robot.shapes(link)
        centre, radius = _slices(np.concatenate(parts))
        centres.append(centre)
        radii.append(radius + MARGIN + _ROUNDING + max(shape.rounding for shape in shapes))
        inner.append(np.array([part.mean(axis=0) for part in parts]))
    body = np.array([robot.chain.placement[link][0] for link in links])
    return Cover(centre=np.array(centres), radius=np.array(radii), body=body, inner=tuple(inner))


def link_parts(robot: Robot, link: str) -> list[Float]:
    """Return the corners [n, 3] of a link's convex parts in the frame of its body; they may be rounder than these."""
    rotation, shift = np.split(robot.chain.placement[link][1][:3], [3], axis=1)
    return [part @ rotation.T + shift.T for shape in robot.shapes(link) for part in shape.corners()]


def _slices(points: Float) -> tuple[Float, Float]:
    """Return `_SLICES` spheres (centres, radii) that cover the points; empty slices repeat the first sphere."""
    offsets = points - points.mean(axis=0)
    along = offsets @ np.linalg.svd(offsets, full_matrices=False)[2][0]
    edges = np.linspace(along.min(), along.max(), _SLICES + 1)[1:-1]
    label = np.searchsorted(edges, along)
    centres, radii = [], []
    for i in range(_SLICES):
        part = points[label == i] if np.any(label == i) else points[label == label.min()]
        centre = (part.min(axis=0) + part.max(axis=0)) / 2
        centres.append(centre)
        radii.append(np.linalg.norm(part - centre, axis=1).max())
    return np.array(centres), np.array(radii)


def travel(robot: Robot, shapes: Cover, path: Float, reach: Float | None = None) -> Float:
    """Bound the length that any point of a link travels because of each moving joint, up to each sample of a path.

    Args:
        robot: the arm.
        shapes: the cover of its links.
        path: configurations [n, dof], joined by straight lines in joint space.
        reach: what `farthest` says of this path, if it is known.

    Returns:
        [n, links, moving] in m, not falling along the first axis; the difference of two rows bounds the travel between
        them, and inside a piece it grows linearly.
    """
    reach = farthest(robot, shapes, path) if reach is None else reach
    pieces = reach * np.abs(np.diff(robot.chain.values(path), axis=0))[:, None]
    return np.concatenate([np.zeros((1, *pieces.shape[1:])), np.cumsum(pieces, axis=0)])


def length(robot: Robot, shapes: Cover, path: Float, reach: Float, bodies: Float | None = None) -> Float:
    """Bound the length of the way of any point of a link, seen from the base, up to each sample of a path.

    Args:
        robot: the arm.
        shapes: the cover of its links.
        path: configurations [n, dof], joined by straight lines in joint space.
        reach: what `farthest` says of it.
        bodies: the poses of the bodies along it [n, bodies, 4, 4], if they are known.

    Returns:
        [n, links] in m, like the sum of `travel` over the joints and never more.
    """
    bodies = body_poses(robot, path) if bodies is None else bodies
    return moves.lengths(moves.Joints.of(robot.chain), shapes.spheres, bodies, _values(robot, path), reach)


def farthest(robot: Robot, shapes: Cover, path: Float, bodies: Float | None = None) -> Float:
    """Bound the distance [n - 1, links, moving] of a link's points from each moving joint's axis along each piece of a
    path (m).

    Of joints that do not move the link it is 0; of a prismatic one that does, 1: so far do points go by 1 m of it.
    `bodies` are the poses of the bodies along the path [n, bodies, 4, 4], if they are known.
    """
    bodies = body_poses(robot, path) if bodies is None else bodies
    return moves.reaches(moves.Joints.of(robot.chain), shapes.spheres, bodies, _values(robot, path))


def body_poses(robot: Robot, path: Float) -> Float:
    """Return T_base_body [n, bodies, 4, 4] at configurations [n, dof] by the certificate's own kinematics."""
    return moves.poses(moves.Joints.of(robot.chain), _values(robot, path))


def _values(robot: Robot, path: Float) -> Float:
    return np.ascontiguousarray(robot.chain.values(path))
