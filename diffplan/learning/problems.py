"""Starts and goals for procedural scenes: hands inside the places of a scene, and arms anywhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffplan.collision.cpu import CollisionModel, Obstacles
from diffplan.geometry.pose import Float
from diffplan.ik import solve_poses
from diffplan.learning.layout import DrawnScene
from diffplan.robot.model import FULL_TURN, Robot

KINDS = ("place-place", "place-anywhere", "anywhere-anywhere")
KIND_SHARES = (0.6, 0.3, 0.1)
ANYWHERE = -1
_REACHED = 1e-3
"""How near a hand comes to the place that was drawn for it, m and rad together: places are not that exact."""
_STEPS = 20
"""After so many steps a fresh seed is worth more than another step."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Endpoints:
    """Configurations [n, dof] clear of a scene, with the index of the place each reaches into (-1: anywhere)."""

    q: Float
    place: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class DrawnProblem:
    """A start and a goal [dof] and the kind of pair (index into `KINDS`)."""

    start: Float
    goal: Float
    kind: int


@dataclass(frozen=True, kw_only=True)
class Clearances:
    """Least sphere-model clearances [m]: `obstacle` to obstacles, `self` between the arm's own links."""

    obstacle: float = 0.008
    self: float = 0.004


def tool_in_end(robot: Robot) -> Float:
    """Return T_end_tool [4, 4]: where the tool's frame (`Robot.tool_frame`) is on the end link; it points along z."""
    tool, (body, T_body_end) = robot.tool_frame, robot.chain.placement[robot.end_link]
    tool_body, T_body_link = robot.chain.placement[tool.link]
    if tool_body != body:  # on a finger, say: no fixed place on the end link
        return np.eye(4)
    return np.linalg.inv(T_body_end) @ T_body_link @ tool.pose.matrix if robot.tool else np.eye(4)


def tool_offset(robot: Robot) -> float:
    """Return how far the robot's spheres reach beyond the tool's origin along its z axis [m], less 1 cm.

    That point (between the finger tips for a gripper) is what places are given for.
    """
    body, T_body_end = robot.chain.placement[robot.end_link]
    T_tool_body = np.linalg.inv(T_body_end @ tool_in_end(robot))
    reach = [0.0]
    for i, link in enumerate(robot.spheres.links):
        link_body, T_body_link = robot.chain.placement[link]
        if link_body == body:
            T = T_tool_body @ T_body_link
            chosen = robot.spheres.link == i
            z = robot.spheres.centre[chosen] @ T[2, :3] + T[2, 3]
            reach += (z + robot.spheres.radius[chosen]).tolist()
    return max(0.0, max(reach) - 0.01)


def draw_endpoints(
    model: CollisionModel,
    world: Obstacles,
    drawn: DrawnScene,
    rng: np.random.Generator,
    *,
    wanted: int,
    clear: Clearances,
    rounds: int = 3,
    batch: int = 64,
) -> Endpoints:
    """Return up to `wanted` configurations that reach into places, and a third as many anywhere, all clear."""
    robot = model.robot
    offset, T_tool_end = tool_offset(robot), np.linalg.inv(tool_in_end(robot))
    found_q: list[Float] = [np.zeros((0, robot.dof))]
    found_place: list[np.ndarray] = [np.zeros(0, dtype=np.int64)]
    count = 0
    for _ in range(rounds if drawn.places else 0):
        place = rng.integers(len(drawn.places), size=batch)
        target = np.stack([drawn.places[i].sample(rng) for i in place])
        target[:, :3, 3] -= offset * target[:, :3, 2]
        target = (target @ T_tool_end).astype(np.float64)
        q, solved = solve_poses(robot, target, seeds(robot, rng, batch), tolerance=_REACHED, steps=_STEPS)
        good = np.flatnonzero(solved)
        good = good[is_clear(model, world, q[good], clear)][: wanted - count]
        found_q.append(q[good])
        found_place.append(place[good])
        count += len(good)
        if count >= wanted:
            break
    loose = seeds(robot, rng, 4 * wanted)
    loose = loose[is_clear(model, world, loose, clear)][: max(2, wanted // 3)]
    return Endpoints(
        q=np.concatenate([*found_q, loose]),
        place=np.concatenate([*found_place, np.full(len(loose), ANYWHERE)]),
    )


def draw_problem(robot: Robot, endpoints: Endpoints, rng: np.random.Generator) -> DrawnProblem | None:
    """Return a random pair of the wanted mix of kinds; None where the endpoints do not allow the drawn kind.

    The goal is taken at the turn of each joint that is nearest to the start.
    """
    kind = int(rng.choice(len(KINDS), p=KIND_SHARES))
    inside, outside = np.flatnonzero(endpoints.place >= 0), np.flatnonzero(endpoints.place == ANYWHERE)
    first = outside if kind == 2 else inside
    second = inside if kind == 0 else outside
    if len(first) == 0 or len(second) == 0:
        return None
    a, b = int(rng.choice(first)), int(rng.choice(second))
    if a == b:
        return None
    if rng.random() < 0.5:
        a, b = b, a
    start, goal = endpoints.q[a], endpoints.q[b]
    return DrawnProblem(start=start, goal=short_way(robot, start, goal), kind=kind)


def seeds(robot: Robot, rng: np.random.Generator, number: int) -> Float:
    """Return configurations [number, dof]: a third uniform in the limits, the others around the first named one.

    Joints up to the first that turns, which say where the arm stands and looks, are uniform in all. Of a joint that can
    turn farther than once around, the middle turn is taken.
    """
    turns = ~robot.prismatic & (robot.upper - robot.lower > FULL_TURN)
    middle = (robot.lower + robot.upper) / 2
    lower, upper = np.where(turns, middle - np.pi, robot.lower), np.where(turns, middle + np.pi, robot.upper)
    span = upper - lower
    q = lower + rng.random((number, robot.dof)) * span
    if robot.configurations:
        home, first = next(iter(robot.configurations.values())), int(np.argmin(robot.prismatic)) + 1
        near = rng.random(number) < 2 / 3
        around = home + rng.normal(size=(number, robot.dof)) * 0.12 * span
        q[near, first:] = np.clip(around, robot.lower, robot.upper)[near, first:]
    return q


def short_way(robot: Robot, start: Float, goal: Float) -> Float:
    """Return a goal [dof] with joints moved by whole turns to the nearest to `start` [dof] within the limits."""
    turns = np.where(robot.prismatic, 0.0, FULL_TURN * np.round((goal - start) / FULL_TURN))
    nearest = goal - turns
    return np.where((nearest >= robot.lower) & (nearest <= robot.upper), nearest, goal)


def is_clear(model: CollisionModel, world: Obstacles, q: Float, clear: Clearances) -> np.ndarray:
    """Return for q [n, dof] whether each keeps the clearances [n]."""
    if len(q) == 0:
        return np.zeros(0, dtype=np.bool_)
    obstacle, own = model.clearance(world, q, cap=max(clear.obstacle, clear.self) + 0.01)
    return (obstacle >= clear.obstacle) & (own >= clear.self)
