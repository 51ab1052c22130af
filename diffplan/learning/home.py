"""A folded configuration of an arm, free of contact: where `home` is if nobody says so."""

from __future__ import annotations

from collections import Counter

import numpy as np

from diffplan.certificate.certifier import Certifier
from diffplan.errors import InputError
from diffplan.geometry.pose import Float
from diffplan.learning.sphere_contacts import Balls
from diffplan.robot.model import Robot
from diffplan.scene import Scene

_TRIES, _LOOKED_AT = 6000, 1500
_STEP = np.pi / 4  # rad: a person reads these values
_ROOM = 0.04  # share of a joint's range that is left to each limit
_CLEAR = 0.01  # m between links


def folded_home(robot: Robot, seed: int = 0) -> Float:
    """Return joint positions [dof] (rad or m) in which the arm is folded and touches nothing of itself.

    Of multiples of 45 degrees, drawn at random, the first that is free in the order of what makes a good start: the
    tool half as far out as it can be, in front of the base, above its plane, pointing down, joints near zero.

    Raises:
        InputError: if none is free; the message names the links that touch most often.
    """
    rng = np.random.default_rng(seed)
    q = _tries(robot, rng)
    q = q[np.argsort(_cost(robot, q), kind="stable")][:_LOOKED_AT]
    spheres = robot.spheres
    balls = Balls.of(
        {
            link: (spheres.centre[spheres.link == i], spheres.radius[spheres.link == i])
            for i, link in enumerate(spheres.links)
        }
    )
    pairs = [pair for pair in robot.checked_pairs if set(pair) <= set(spheres.links)]
    roomy = ~balls.near(robot, q, pairs, _CLEAR).any(axis=1)
    order = [*np.flatnonzero(roomy), *np.flatnonzero(~roomy)]  # free in the planner's eyes too, if there are such
    tight, touching = None, Counter[tuple[str, str]]()
    with Certifier(robot, Scene()) as certifier:
        for i in order:
            check = certifier.check(q[i])
            if check.free and check.self_clearance_m >= _CLEAR:
                return q[i]
            if check.free:
                tight = q[i] if tight is None else tight
            else:
                touching[check.self_links] += 1
    if tight is not None:
        return tight
    (one, other), times = touching.most_common(1)[0]
    raise InputError(
        f"the arm touches itself in all of {len(order)} configurations: {one} and {other} in {times} of them",
        file=robot.model.file,
        allowed="a URDF whose links stand apart; --hold for joints off the arm that stand in its way; --srdf FILE for "
        "pairs of links that may touch",
    )


def _tries(robot: Robot, rng: np.random.Generator) -> Float:
    """Return configurations [n, dof] within the limits: multiples of 45 degrees, or of a quarter of a slide's range."""
    lower, upper = robot.lower.copy(), robot.upper.copy()
    lower[robot.continuous], upper[robot.continuous] = -np.pi, np.pi
    room = _ROOM * (upper - lower)
    columns = []
    for j in range(robot.dof):
        low, high = lower[j] + room[j], upper[j] - room[j]
        step = (high - low) / 4 if robot.prismatic[j] else _STEP
        values = np.arange(np.ceil(max(low, -np.pi) / step), np.floor(min(high, np.pi) / step) + 1) * step
        if robot.prismatic[j] or len(values) < 2:
            values = np.linspace(low, high, 5)
        columns.append(rng.choice(np.round(values, 4), _TRIES))
    return np.unique(np.stack(columns, axis=1), axis=0)


def _cost(robot: Robot, q: Float) -> Float:
    """Return how little each of q [n, dof] is what one expects of a home; small is good."""
    tool = robot.tool_frame
    T_base_tool = robot.link_pose(q, tool.link) @ tool.pose.matrix
    first = robot.body_poses(q[:1])[0, 1, :3, 3]
    way = T_base_tool[:, :3, 3] - first
    out = np.linalg.norm(way, axis=1)
    reach = max(float(out.max()), 1e-6)
    lowest = np.minimum(robot.body_poses(q)[:, 1:, 2, 3].min(axis=1), T_base_tool[:, 2, 3])
    yaw = np.arctan2(way[:, 1], way[:, 0])
    turning = ~robot.prismatic
    return (
        3 * np.abs(out / reach - 0.5)
        + 5 * np.clip(0.05 * reach - lowest, 0, None) / reach
        + 0.5 * (1 - np.cos(yaw))
        + 0.5 * (1 + T_base_tool[:, 2, 2]) / 2
        + np.abs(q[:, turning]).sum(axis=1) / (np.pi * max(1, turning.sum()))
    )
