"""When two paths are two ways: one cannot be slid onto the other without meeting an obstacle."""

from __future__ import annotations

import numpy as np

from diffplan.collision.cpu import CollisionModel, Obstacles
from diffplan.curves import spline
from diffplan.geometry.pose import Float
from diffplan.planners.polyline import resample

OTHER_GOAL = 0.5
"""Goals farther apart than this [rad, Euclidean] are different ends, and paths to them different ways."""
DEPTH = 1.25
"""How deep a sliding arm may cut into obstacles: more than paths that hug the same edge differ by.

A share of what the spheres leave uncovered of the links: 1 cm for the Panda."""
_PLACES = 24
_BETWEEN = 15


class Ways:
    """Tells the paths of one robot in one scene apart.

    Two paths between the same ends are the same way if a straight leash in joint space, one end running along each path
    without turning back, can be led from start to goal without the arm cutting deeper than `DEPTH` says into an
    obstacle anywhere on the leash. Such a leash sweeps out a deformation of one path into the other, so that different
    ways round an obstacle never pass for the same; paths that only a longer detour could deform into each other count
    as different. Looked at on 24 places of each path and 15 between them. Contact of the arm with itself does not
    count.
    The leash is that of the Fréchet distance (Alt and Godau, "Computing the Fréchet distance", 1995, sec. 3).
    """

    def __init__(self, model: CollisionModel, world: Obstacles) -> None:
        self.model, self.world = model, world

    def same(self, one: Float, other: Float) -> bool:
        """Whether two paths, control points [n, dof] and [m, dof], are the same way."""
        if self.model.robot.distance(other[-1], one[-1]) > OTHER_GOAL:
            return False
        a, b = (resample(spline.basis(len(c), 8 * _PLACES) @ c, _PLACES, self.model.robot.metric) for c in (one, other))
        if self._free(a, b).all():  # the leash between equal shares of the way, which is nearly always enough
            return True
        return _crossable(self._free(np.repeat(a, _PLACES, axis=0), np.tile(b, (_PLACES, 1))).reshape(_PLACES, _PLACES))

    def room(self, q: Float) -> float:
        """Return the least clearance [m] of the sphere model over configurations q [n, dof], at most 0.15 m."""
        return float(min(part.min() for part in self.model.clearance(self.world, q)))

    def _free(self, one: Float, other: Float) -> np.ndarray:
        """Return whether each of n leashes is free that join configurations one [n, dof] and other [n, dof]."""
        share = np.linspace(0.0, 1.0, _BETWEEN + 2)[1:-1, None]
        leash = one[:, None] * (1 - share) + other[:, None] * share
        depth = DEPTH * self.model.robot.spheres.uncovered
        return self.model.evaluate(self.world, leash.astype(np.float32), gradient=False).clearance.min(axis=1) > -depth


def _crossable(free: np.ndarray) -> bool:
    """Whether steps of one row, one column or both lead from the first to the last cell over cells that are free."""
    reached = np.zeros_like(free)
    for i, j in np.ndindex(free.shape):
        before = (i == 0 and j == 0) or reached[max(i - 1, 0) : i + 1, max(j - 1, 0) : j + 1].any()
        reached[i, j] = free[i, j] and before
    return bool(reached[-1, -1])
