"""When two paths are two ways: one cannot be slid onto the other without meeting an obstacle."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from diffplan import spline
from diffplan.geometry import Float
from diffplan.kernels.collision import CollisionModel, Obstacles
from diffplan.robot import Robot
from diffplan.scene import Scene

OTHER_GOAL = 0.5
"""Goals farther apart than this [rad, Euclidean] are different ends, and paths to them different ways."""
DEPTH = 0.01
"""How deep [m] a sliding arm may cut into obstacles: more than paths that hug the same edge differ by."""
_PLACES = 24
_BETWEEN = 15

_model = lru_cache(maxsize=4)(CollisionModel)


class Ways:
    """Compares paths of one robot in one scene.

    Two paths between the same ends are the same way if a straight leash in joint space, one end running along each
    path without turning back, can be led from start to goal without the arm cutting deeper than 1 cm into an obstacle
    anywhere on the leash. Such a leash sweeps out a deformation of one path into the other, so that different ways
    round an obstacle never pass for the same; paths that only a longer detour could deform into each other count as
    different. Looked at on 24 places of each path and 15 between them. Contact of the arm with itself does not count.
    The leash is that of the Fréchet distance (Alt and Godau, "Computing the Fréchet distance", 1995, sec. 3).
    """

    def __init__(self, robot: Robot, scene: Scene) -> None:
        self.model, self.world = _model(robot), Obstacles.pack([scene])

    def same(self, one: Float, other: Float) -> bool:
        """Whether two paths, control points [n, dof] and [m, dof], are the same way."""
        if np.linalg.norm(one[-1] - other[-1]) > OTHER_GOAL:
            return False
        return _crossable(self._free(_places(one), _places(other)))

    def _free(self, one: Float, other: Float) -> np.ndarray:
        """Return whether the leash from each place of one [n, dof] to each of other [m, dof] is free, [n, m]."""
        share = np.linspace(0.0, 1.0, _BETWEEN + 2)[1:-1, None]
        leash = one[:, None, None] * (1 - share) + other[None, :, None] * share
        shape = leash.shape[:2]
        clearance = self.model.evaluate(
            self.world, leash.reshape(-1, *leash.shape[2:]).astype(np.float32), gradient=False
        ).clearance
        return (clearance.min(axis=1) > -DEPTH).reshape(shape)


def _places(control: Float) -> Float:
    """Return configurations [_PLACES, dof] along a path, equally far apart."""
    curve = spline.basis(len(control), 8 * _PLACES) @ control
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))])
    return np.array([np.interp(np.linspace(0.0, along[-1], _PLACES), along, joint) for joint in curve.T]).T


def _crossable(free: np.ndarray) -> bool:
    """Whether steps of one row, one column or both lead from the first to the last cell over cells that are free."""
    reached = np.zeros_like(free)
    for i, j in np.ndindex(free.shape):
        before = (i == 0 and j == 0) or reached[max(i - 1, 0) : i + 1, max(j - 1, 0) : j + 1].any()
        reached[i, j] = free[i, j] and before
    return bool(reached[-1, -1])
