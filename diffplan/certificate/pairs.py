"""How far links of a robot are from each other, in configurations, with the real shapes in PyBullet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from diffplan.certificate.bullet import bullet, connection
from diffplan.certificate.world import RobotBody, load_robot_body
from diffplan.geometry.pose import Float, Pose
from diffplan.robot.model import Robot
from diffplan.system.exclusive import turn

SIGHT_M = 0.003
"""Distances are measured up to here [m]."""


class PairDistances:
    """Measures how far links of one robot are from each other."""

    def __init__(self, body: RobotBody) -> None:
        self._body = body

    def at(self, q: Float, pairs: Sequence[tuple[str, str]], wanted: np.ndarray) -> Float:
        """Return the distances [n, p] of pairs of links in configurations q [n, dof]; 0 or less where they touch.

        Where `wanted` [n, p] is false nothing is measured; there, and beyond, it is `SIGHT_M`.
        """
        found = np.full(wanted.shape, SIGHT_M)
        body, client = self._body.body, self._body.client
        numbers = [(self._body.links[a], self._body.links[b]) for a, b in pairs]
        for n in np.flatnonzero(wanted.any(axis=1)):
            self._body.place(q[n])
            for p in np.flatnonzero(wanted[n]):
                points = bullet.getClosestPoints(body, body, SIGHT_M, *numbers[p], physicsClientId=client)
                found[n, p] = min((point[8] for point in points), default=SIGHT_M)
        return found


@contextmanager
def pair_distances(robot: Robot) -> Iterator[PairDistances]:
    """Load a robot's real shapes to measure them; others wait for their turn with PyBullet."""
    with turn, connection() as client:
        yield PairDistances(load_robot_body(client, robot, Pose()))
