"""What the common prior is told about an arm: units of its joints, and where they are along a path.

Joints have no numbers for the network, only what they do: axis, place, how they move the tool, room to their limits.
Lengths are in units of the arm's own length.
"""

from __future__ import annotations

import numpy as np

from diffplan.collision.cpu import CollisionModel
from diffplan.geometry.pose import Float
from diffplan.prior.familiarity import arm_features
from diffplan.system.computed import computed

BODY = 11
"""Channels of `Arm.along`: axis (3), tool's motion (3), origin (3), room to the lower and to the upper limit."""


class Arm:
    """An arm as the common prior knows it.

    Attributes:
        length: the way along the chain from the second joint to the end link's origin, the range of sliding joints
            included [m]. The unit of lengths.
        height: of the second joint above the base at zero [m], which places are told from.
        unit: what is 1 in each joint [dof]: half a turn [rad], `length` [m] where a joint slides.
        share: how far along the chain a joint is [dof], in (0, 1).
    """

    def __init__(self, model: CollisionModel) -> None:
        self.model, robot = model, model.robot
        self._moving = np.array([robot.chain.names.index(name) for name in robot.joint_names])
        at_zero = model.joints(np.zeros((1, robot.dof)))
        places = np.concatenate([at_zero.origin[0, self._moving], at_zero.end])
        ways = np.linalg.norm(np.diff(places, axis=0), axis=1)
        slides = np.where(robot.prismatic, robot.upper - robot.lower, 0.0)
        self.length = float(ways[1:].sum() + slides.sum())
        self.height = float(places[1, 2])
        self.unit: Float = np.where(robot.prismatic, self.length, np.pi)
        self.share: Float = (np.arange(robot.dof) + 0.5) / robot.dof
        body, _ = robot.chain.placement[robot.end_link]
        self._carries = robot.chain.carried[body][self._moving]
        self._slides = robot.prismatic[:, None]

    @computed
    def features(self) -> Float:
        """What the arm is like (see `arm_features`)."""
        return arm_features(self)

    def along(self, q: Float) -> np.ndarray:
        """Return what the joints do at q [b, K, dof]: `BODY` channels [b, dof, K, BODY] float32, in the base frame.

        The tool's motion is that of the end link's origin for one rad, or for one `length`, of the joint. A place is
        told from `height` above the base. Room is in `unit`s, at most 1; a continuous joint has room.
        """
        batch, points, dof = q.shape
        found = self.model.joints(q.reshape(-1, dof).astype(np.float32))
        axis, origin = found.axis[:, self._moving], found.origin[:, self._moving]
        motion = np.where(self._slides, axis, _cross(axis, found.end[:, None] - origin) / self.length)
        motion *= self._carries[:, None]
        place = (origin - np.array([0, 0, self.height], np.float32)) / self.length
        lower, upper = self.model.robot.limits
        room = np.stack([np.clip((q - lower) / self.unit, 0, 1), np.clip((upper - q) / self.unit, 0, 1)], axis=-1)
        out = np.empty((batch, points, dof, BODY), np.float32)
        for first, part in ((0, axis), (3, motion), (6, place)):
            out[..., first : first + 3] = part.reshape(batch, points, dof, 3)
        out[..., 9:] = room
        return np.ascontiguousarray(out.transpose(0, 2, 1, 3))


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the cross products of vectors [..., 3]; `numpy.cross` takes several times as long."""
    x, y, z = a[..., 0], a[..., 1], a[..., 2]
    u, v, w = b[..., 0], b[..., 1], b[..., 2]
    return np.stack([y * w - z * v, z * u - x * w, x * v - y * u], axis=-1)
