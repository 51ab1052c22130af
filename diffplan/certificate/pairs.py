"""Which links of a robot can touch each other, found by sampling configurations with the real meshes in PyBullet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from diffplan.certificate.bullet import bullet, connection
from diffplan.certificate.world import load_robot_body
from diffplan.geometry.pose import Pose
from diffplan.robot.model import Robot
from diffplan.system.exclusive import exclusive

SIGHT_M = 0.010
"""Distances are measured up to here [m]."""


@dataclass(frozen=True, kw_only=True)
class PairSample:
    """How often two links touch, and their least distance [m]; `SIGHT_M` stands for that or more."""

    links: tuple[str, str]
    touching_share: float
    least_distance: float


@exclusive
def sample_pairs(
    robot: Robot, held: Sequence[dict[str, float]], *, samples: int, rng: np.random.Generator
) -> list[PairSample]:
    """Measure all link pairs that a planning joint moves against each other, in configurations within the limits.

    Args:
        robot: whose links with collision geometry are paired; its list of touching pairs is not looked at.
        held: values of the held joints [rad or m] to try, one set after the other.
        samples: configurations for each set.
        rng: source of the configurations, uniform within the joint limits.
    """
    pairs = [pair for pair in combinations(robot.links, 2) if not rigid(robot, *pair)]
    touching, least = np.zeros(len(pairs)), np.full(len(pairs), SIGHT_M)
    for values in held:
        with connection() as client:
            body = load_robot_body(client, robot.with_held(values), Pose())
            for q in rng.uniform(robot.lower, robot.upper, (samples, robot.dof)):
                body.place(q)
                distances = np.array([_distance(client, body.body, body.links[a], body.links[b]) for a, b in pairs])
                touching += distances <= 0
                least = np.minimum(least, distances)
    share = touching / (samples * len(held))
    return [
        PairSample(links=pair, touching_share=float(s), least_distance=float(d))
        for pair, s, d in zip(pairs, share, least, strict=True)
    ]


def rigid(robot: Robot, one: str, other: str) -> bool:
    """Return whether no planning joint moves the two links against each other."""
    return robot.chain.placement[one][0] == robot.chain.placement[other][0]


def _distance(client: int, body: int, one: int, other: int) -> float:
    points = bullet.getClosestPoints(body, body, SIGHT_M, one, other, physicsClientId=client)
    return min((point[8] for point in points), default=SIGHT_M)
