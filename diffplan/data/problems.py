"""Starts and goals for procedural scenes: hands inside the places of a scene, and arms anywhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffplan.data.layout import DrawnScene
from diffplan.geometry import Float
from diffplan.kernels.collision import CollisionModel, Obstacles
from diffplan.robot import Robot

KINDS = ("place-place", "place-anywhere", "anywhere-anywhere")
KIND_SHARES = (0.6, 0.3, 0.1)
ANYWHERE = -1


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
    """Least sphere-model clearances [m] to obstacles and between the arm's own links."""

    obstacle: float = 0.008
    self: float = 0.004


def tool_offset(robot: Robot) -> float:
    """Return how far the robot's spheres reach beyond the end link's origin along its z axis [m], less 1 cm.

    That point (between the finger tips for a gripper) is what places are given for.
    """
    body, T_body_end = robot.chain.placement[robot.end_link]
    T_end_body = np.linalg.inv(T_body_end)
    reach = [0.0]
    for i, link in enumerate(robot.spheres.links):
        link_body, T_body_link = robot.chain.placement[link]
        if link_body == body:
            T = T_end_body @ T_body_link
            chosen = robot.spheres.link == i
            z = robot.spheres.centre[chosen] @ T[2, :3] + T[2, 3]
            reach += (z + robot.spheres.radius[chosen]).tolist()
    return max(0.0, max(reach) - 0.01)


def solve_poses(robot: Robot, T_base_end: Float, q: Float, *, iterations: int = 40) -> tuple[Float, np.ndarray]:
    """Return joint positions [n, dof] that bring the end link to poses [n, 4, 4] from seeds q [n, dof], and which did.

    Damped least squares with the damping tied to the error, inside the joint limits (Wampler 1986; Sugihara 2011).
    """
    q = q.copy()
    body, T_body_end = robot.chain.placement[robot.end_link]
    error = np.full(len(q), np.inf)
    live = np.arange(len(q))
    for _ in range(iterations):
        frames = robot.body_poses(q[live])
        twist, jacobian = _twist(robot, frames, frames[:, body] @ T_body_end, T_base_end[live])
        error[live] = np.linalg.norm(twist, axis=1)
        keep = error[live] > 1e-3
        live, twist, jacobian = live[keep], twist[keep], jacobian[keep]
        if len(live) == 0:
            break
        damping = 1e-4 + 0.02 * np.minimum(1.0, (twist**2).sum(axis=1))
        normal = jacobian @ jacobian.transpose(0, 2, 1) + damping[:, None, None] * np.eye(6)
        step = (jacobian.transpose(0, 2, 1) @ np.linalg.solve(normal, twist[:, :, None]))[:, :, 0]
        longest = np.abs(step).max(axis=1, keepdims=True)
        step *= np.minimum(1.0, 0.5 / np.maximum(longest, 1e-9))
        q[live] = np.clip(q[live] + step, robot.lower, robot.upper)
    return q, error <= 1e-3


def _twist(robot: Robot, frames: Float, T_end: Float, target: Float) -> tuple[Float, Float]:
    """Return the twists [n, 6] (m, rad) from end poses to targets, and the Jacobians [n, 6, dof]."""
    position = T_end[:, :3, 3]
    R = target[:, :3, :3] @ T_end[:, :3, :3].transpose(0, 2, 1)
    skew = np.stack([R[:, 2, 1] - R[:, 1, 2], R[:, 0, 2] - R[:, 2, 0], R[:, 1, 0] - R[:, 0, 1]], axis=1) / 2
    sine = np.linalg.norm(skew, axis=1)
    angle = np.arctan2(sine, (np.trace(R, axis1=1, axis2=2) - 1) / 2)
    twist = np.concatenate([target[:, :3, 3] - position, skew * (angle / np.maximum(sine, 1e-9))[:, None]], axis=1)
    axes = np.einsum("nkij,kj->nki", frames[:, 1:, :3, :3], robot.chain.axis)
    lever = np.cross(axes, position[:, None] - frames[:, 1:, :3, 3])
    slide = robot.chain.prismatic[None, :, None]
    linear, angular = np.where(slide, axes, lever), np.where(slide, 0.0, axes)
    return twist, np.concatenate([linear, angular], axis=2).transpose(0, 2, 1)


def draw_endpoints(
    model: CollisionModel,
    world: Obstacles,
    drawn: DrawnScene,
    rng: np.random.Generator,
    *,
    wanted: int,
    clear: Clearances,
    rounds: int = 6,
    batch: int = 32,
) -> Endpoints:
    """Return up to `wanted` configurations that reach into places, and a third as many anywhere, all clear."""
    robot = model.robot
    offset = tool_offset(robot)
    found_q: list[Float] = [np.zeros((0, robot.dof))]
    found_place: list[np.ndarray] = [np.zeros(0, dtype=np.int64)]
    count = 0
    for _ in range(rounds if drawn.places else 0):
        place = rng.integers(len(drawn.places), size=batch)
        target = np.stack([drawn.places[i].sample(rng) for i in place])
        target[:, :3, 3] -= offset * target[:, :3, 2]
        q, solved = solve_poses(robot, target, seeds(robot, rng, batch))
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


def draw_problem(endpoints: Endpoints, rng: np.random.Generator) -> DrawnProblem | None:
    """Return a random pair of the wanted mix of kinds; None where the endpoints do not allow the drawn kind."""
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
    return DrawnProblem(start=endpoints.q[a], goal=endpoints.q[b], kind=kind)


def seeds(robot: Robot, rng: np.random.Generator, number: int) -> Float:
    """Return configurations [number, dof]: a third uniform in the limits, the others around the first named one."""
    span = robot.upper - robot.lower
    q = robot.lower + rng.random((number, robot.dof)) * span
    if robot.configurations:
        home = next(iter(robot.configurations.values()))
        near = rng.random(number) < 2 / 3
        around = home + rng.normal(size=(number, robot.dof)) * 0.12 * span
        q[near, 1:] = np.clip(around, robot.lower, robot.upper)[near, 1:]
    return q


def is_clear(model: CollisionModel, world: Obstacles, q: Float, clear: Clearances) -> np.ndarray:
    """Return for q [n, dof] whether each keeps the clearances [n]."""
    if len(q) == 0:
        return np.zeros(0, dtype=np.bool_)
    obstacle, own = model.clearance(world, q, cap=max(clear.obstacle, clear.self) + 0.01)
    return (obstacle >= clear.obstacle) & (own >= clear.self)
