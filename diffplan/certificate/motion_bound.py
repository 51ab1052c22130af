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

f at the ends comes from spheres that cover the link: distance of the centre from the axis plus the radius. The
distance from a line is convex, so its largest value over the link's convex hulls is taken at their vertices, and
covering the vertices is enough. PyBullet's margin is part of the radius.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffplan.certificate.loaded import MARGIN
from diffplan.geometry.pose import Float
from diffplan.robot.model import Robot

_SLICES = 4
_STRETCH = 8
_ROUNDING = 1e-5


@dataclass(frozen=True, kw_only=True, eq=False)
class Cover:
    """Spheres in which each link lies: `centre` [links, s, 3] in the frame of the link's body, `radius` [links, s] (m).

    `body` [links] is the moving body of each link; `inner` holds for each link a point inside every one of its convex
    parts [parts, 3] in the frame of the body.
    """

    centre: Float
    radius: Float
    body: np.ndarray
    inner: tuple[Float, ...]


def cover(robot: Robot) -> Cover:
    """Cover each of `robot.links` (held bodies too) with spheres around slices of its vertices along its length."""
    centres, radii, inner = [], [], []
    for link in robot.links:
        rotation, shift = np.split(robot.chain.placement[link][1][:3], [3], axis=1)
        shapes = robot.shapes(link)
        parts = [part @ rotation.T + shift.T for shape in shapes for part in shape.corners()]
        centre, radius = _slices(np.concatenate(parts))
        centres.append(centre)
        radii.append(radius + MARGIN + _ROUNDING + max(shape.rounding for shape in shapes))
        inner.append(np.array([part.mean(axis=0) for part in parts]))
    body = np.array([robot.chain.placement[link][0] for link in robot.links])
    return Cover(centre=np.array(centres), radius=np.array(radii), body=body, inner=tuple(inner))


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


def travel(robot: Robot, shapes: Cover, path: Float) -> Float:
    """Bound the length that any point of a link travels because of each moving joint, up to each sample of a path.

    Args:
        robot: the arm.
        shapes: the cover of its links.
        path: configurations [n, dof], joined by straight lines in joint space.

    Returns:
        [n, links, moving] in m, not falling along the first axis; the difference of two rows bounds the travel between
        them, and inside a piece it grows linearly.
    """
    pieces = farthest(robot, shapes, path) * np.abs(np.diff(robot.chain.values(path), axis=0))[:, None]
    return np.concatenate([np.zeros((1, *pieces.shape[1:])), np.cumsum(pieces, axis=0)])


def farthest(robot: Robot, shapes: Cover, path: Float) -> Float:
    """Bound the distance [n - 1, links, moving] of a link's points from each moving joint's axis along each piece of a
    path (m).

    Of joints that do not move the link it is 0; of a prismatic one that does, 1: so far do points go by 1 m of it.
    """
    chain = robot.chain
    steps = np.abs(np.diff(chain.values(path), axis=0))
    first = np.arange(0, len(steps), _STRETCH)
    turned = np.add.reduceat(steps, first, axis=0)
    distances = _axis_distances(robot, shapes, path[[*first, len(path) - 1]])
    grown = np.zeros((len(first), *shapes.radius.shape))
    reach = np.zeros((len(first), len(shapes.body), chain.moving))
    for k in reversed(range(chain.moving)):  # parents come before children
        if chain.prismatic[k]:
            away = np.ones_like(grown)
        else:
            away = (distances[:-1, :, :, k] + distances[1:, :, :, k] + grown) / 2
        away = away * chain.carried[shapes.body, k][:, None]
        reach[:, :, k] = away.max(axis=2)
        grown += away * turned[:, k, None, None]
    return reach[np.arange(len(steps)) // _STRETCH]


def _axis_distances(robot: Robot, shapes: Cover, path: Float) -> Float:
    """Return the largest distance of each cover sphere's points from each joint axis, [n, links, s, moving] (m)."""
    bodies = robot.body_poses(path)
    frames = bodies[:, robot.chain.parent] @ robot.chain.origin
    axes = np.einsum("nkij,kj->nki", frames[..., :3, :3], robot.chain.axis)
    poses = bodies[:, shapes.body]
    centres = np.einsum("nlij,lsj->nlsi", poses[..., :3, :3], shapes.centre) + poses[:, :, None, :3, 3]
    offsets = centres[:, :, :, None] - frames[:, None, None, :, :3, 3]
    along = np.einsum("nlski,nki->nlsk", offsets, axes)
    squares = np.einsum("nlski,nlski->nlsk", offsets, offsets) - along * along
    return np.sqrt(np.maximum(squares, 0.0)) + shapes.radius[:, :, None]
