"""Constraints on configurations, for planners: by how much they are broken, down which slope, and a projection.

Tilt is measured as the axis' angle from the vertical, times 0.2 m, so that it can be added to lengths. A planner keeps
a margin, since it looks at places only, and the certificate at all that is between them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from diffplan.collision.cpu import CollisionModel
from diffplan.constraints.kinds import Constraint, StayIn, Upright, frame
from diffplan.geometry.pose import Float, Pose

_ARM = 0.2  # [m] what a rad of tilt counts for
_MARGIN_DEG, _MARGIN_M = 0.3, 0.002  # kept from the limits
_SHARE = 0.2  # of a limit that a margin is at most
_STEPS, _LONGEST, _DAMPING = 12, 0.3, 1e-6


class Keeper:
    """Looks at those of the constraints that single configurations keep or break: `Upright` and `StayIn`.

    Args:
        model: the robot's.
        robot_base: where the robot stands.
        constraints: those of a problem, the axes of `Upright` given.
    """

    def __init__(self, model: CollisionModel, robot_base: Pose, constraints: Sequence[Constraint]) -> None:
        self.model, self.base = model, robot_base.matrix
        self.constraints = tuple(one for one in constraints if isinstance(one, Upright | StayIn))
        chain = model.robot.chain
        self._onto = np.zeros((chain.moving, model.robot.dof))  # from moving joints to planning joints
        self._onto[np.arange(chain.moving), chain.source] = chain.factor
        self._give = 1 / model.robot.metric**2

    def __bool__(self) -> bool:
        return bool(self.constraints)

    def look(self, q: Float, *, margin: bool = True) -> tuple[Float, Float]:
        """Return by how much q [n, dof] break the constraints [n, c] (m, negative where kept), and the slopes
        [n, c, dof]: a line for each `Upright`, six for each `StayIn`, one a face.

        With `margin`, what is nearer to a limit than the margin counts as broken.
        """
        found = [self._tilt(q, one) if isinstance(one, Upright) else self._box(q, one) for one in self.constraints]
        excess = np.concatenate([part[0] + (part[2] if margin else 0.0) for part in found], axis=1)
        return excess, np.concatenate([part[1] for part in found], axis=1)

    def worst(self, q: Float, *, margin: bool = True) -> Float:
        """Return by how much q [n, dof] break the constraint that each breaks most [n] (m, negative where kept)."""
        return self.look(q, margin=margin)[0].max(axis=1)

    def projected(self, q: Float) -> tuple[Float, np.ndarray]:
        """Return q [n, dof] led into the constraints, within the joint limits, by Gauss-Newton steps on what is broken,
        and which came there [n].
        """
        q, robot = q.copy(), self.model.robot
        excess, slope = self.look(q)
        for _ in range(_STEPS):
            bad = np.flatnonzero(excess.max(axis=1) > 0)
            if len(bad) == 0:
                break
            # aim a little inside, so that the last step does not creep
            hinge = np.where(excess[bad] > 0, excess[bad] + 0.2 * _ARM * math.radians(_MARGIN_DEG), 0.0)
            J = np.where(excess[bad, :, None] > 0, slope[bad], 0.0)
            weighed = (J * self._give).transpose(0, 2, 1)
            inverse = np.linalg.inv(J @ weighed + _DAMPING * np.eye(J.shape[1]))
            step = -(weighed @ (inverse @ hinge[..., None]))[..., 0]
            size = np.abs(step * robot.metric).max(axis=1, keepdims=True)
            step *= np.minimum(1.0, _LONGEST / np.maximum(size, 1e-12))
            q[bad] = np.clip(q[bad] + step, robot.lower, robot.upper)
            excess, slope = self.look(q)
        return q, excess.max(axis=1) <= 0

    def broken(self, q: Float, *, margin: bool = False) -> str:
        """Return in words the first constraint that one configuration q [dof] breaks, or with `margin` is too near to;
        empty if it keeps all.
        """
        for one in self.constraints:
            excess, _, kept = self._tilt(q[None], one) if isinstance(one, Upright) else self._box(q[None], one)
            worst = float(excess.max())
            if worst + (kept if margin else 0.0) <= 0:
                continue
            if isinstance(one, Upright):
                return (
                    f"{one.link} is tilted by {one.degrees + math.degrees(worst / _ARM):.2f} deg ({one.name}: "
                    f"at most {one.degrees:g})"
                )
            if worst > 0:
                return f"{one.link} is {1000 * worst:.1f} mm out of the box of {one.name}"
            return f"{one.link} comes within {-1000 * worst:.1f} mm of a side of the box of {one.name}"
        return ""

    def _tilt(self, q: Float, one: Upright) -> tuple[Float, Float, float]:
        tool = frame(self.model.robot, one.link)
        rotation, _, joints = self.model.frame(q, tool.link, tool.pose.matrix)
        assert one.axis is not None  # a problem gives it
        w, up = rotation @ np.asarray(one.axis), self.base[2, :3]
        height = np.clip(w @ up, -1.0, 1.0)
        level = np.linalg.norm(np.cross(w, up), axis=1)
        turns = self._carried(tool.link) & ~self.model.robot.chain.prismatic
        rise = np.where(turns, np.cross(joints.axis, w[:, None]) @ up, 0.0)
        slope = -(rise @ self._onto) / np.maximum(level, 1e-3)[:, None]
        margin = min(math.radians(_MARGIN_DEG), _SHARE * math.radians(one.degrees))
        tilt = np.arctan2(level, height) - math.radians(one.degrees)
        return _ARM * tilt[:, None], _ARM * slope[:, None], _ARM * margin

    def _box(self, q: Float, one: StayIn) -> tuple[Float, Float, float]:
        tool, box = frame(self.model.robot, one.link), one.box
        _, place, joints = self.model.frame(q, tool.link, tool.pose.matrix)
        T_box_base = np.linalg.inv(box.pose.matrix) @ self.base
        at = place @ T_box_base[:3, :3].T + T_box_base[:3, 3]
        away = np.where(
            self.model.robot.chain.prismatic[:, None],
            joints.axis,
            np.cross(joints.axis, place[:, None] - joints.origin),
        )
        moved = np.where(self._carried(tool.link)[:, None], away, 0.0) @ T_box_base[:3, :3].T
        slope = (moved.transpose(0, 2, 1)) @ self._onto
        half = np.asarray(box.half_extents)
        margin = min(_MARGIN_M, _SHARE * float(half.min()))
        return np.concatenate([at - half, -at - half], axis=1), np.concatenate([slope, -slope], axis=1), margin

    def _carried(self, link: str) -> np.ndarray:
        """Return which moving joints carry a link [moving]."""
        chain = self.model.robot.chain
        return chain.carried[chain.placement[link][0]]
