"""Which pairs of links planning need not check, and why: found by sampling configurations with the real shapes."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from diffplan.certificate.pairs import sample_pairs
from diffplan.robot.model import Robot

ALWAYS_SHARE, NEVER_DISTANCE = 0.98, 0.002


def ignored_pairs(robot: Robot, samples: int, seed: int = 0) -> dict[tuple[str, str], str]:
    """Return the link pairs that planning need not check, with the reason: adjacent, always or never.

    *adjacent*: neighbours in the kinematic tree, or carried by the same body, so that no planning joint moves them
    against each other. *always*: touching in nearly all sampled configurations. *never*: farther than 2 mm apart in all
    of them, the held joints at either of their limits (at 0 and half a turn where they have none). The certificate
    still checks the pairs that never touch.
    """
    joints = [joint for name in robot.held_joints if (joint := robot.model.joints[name]).mimic is None]
    ends = {joint.name: (joint.lower, joint.upper) if joint.limited else (0.0, np.pi) for joint in joints}
    held = [{name: values[i] for name, values in ends.items()} for i in (0, 1)] if joints else [{}]
    ignored = {pair: "adjacent" for pair in combinations(robot.links, 2) if adjacent(robot, *pair)}
    sampled = sample_pairs(robot, held, samples=samples, rng=np.random.default_rng(seed))
    for pair in sampled:
        if pair.touching_share > ALWAYS_SHARE:
            ignored.setdefault(pair.links, "always")
        elif pair.least_distance > NEVER_DISTANCE:
            ignored.setdefault(pair.links, "never")
    return ignored


def adjacent(robot: Robot, one: str, other: str) -> bool:
    """Return whether two links are neighbours in the kinematic tree, or carried by the same body."""
    placement = robot.chain.placement
    same_body = placement[one][0] == placement[other][0]
    return same_body or _carrier(robot, one) == other or _carrier(robot, other) == one


def _carrier(robot: Robot, link: str) -> str | None:
    """Return the nearest link with geometry on the way to the base."""
    parents = [joint.parent for joint in reversed(robot.model.chain(link))]
    return next((parent for parent in parents if robot.model.collisions[parent]), None)
