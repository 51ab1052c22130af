"""How far links of a robot are from each other, in configurations, with the real shapes in PyBullet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from diffplan.certificate.bullet import bullet, connection
from diffplan.certificate.world import load_robot_body
from diffplan.geometry.pose import Float, Pose
from diffplan.robot.model import Robot
from diffplan.system.exclusive import exclusive

SIGHT_M = 0.003
"""Distances are measured up to here [m]."""


@exclusive
def pair_distances(robot: Robot, q: Float, pairs: Sequence[tuple[str, str]], wanted: np.ndarray) -> Float:
    """Return the distances [n, p] of pairs of links in configurations q [n, dof]; 0 or less where they touch.

    Where `wanted` [n, p] is false nothing is measured; there, and beyond, it is `SIGHT_M`.
    """
    found = np.full(wanted.shape, SIGHT_M)
    with connection() as client:
        body = load_robot_body(client, robot, Pose())
        for n in np.flatnonzero(wanted.any(axis=1)):
            body.place(q[n])
            for p, (a, b) in enumerate(pairs):
                if not wanted[n, p]:
                    continue
                one, other = body.links[a], body.links[b]
                points = bullet.getClosestPoints(body.body, body.body, SIGHT_M, one, other, physicsClientId=client)
                found[n, p] = min((point[8] for point in points), default=SIGHT_M)
    return found
