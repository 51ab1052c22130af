"""CHOMP's obstacle cost of a trajectory and its functional gradient, on the collision model's distances."""

from __future__ import annotations

import numpy as np
from numba import njit

from diffplan.collision.cpu import CollisionModel, Obstacles
from diffplan.geometry.pose import Float

_SLOW = 1e-9  # [m/s] a point that stands still has no direction


@njit(cache=True)
def potential(distance, clearance):
    """Return the obstacle potential [m] and its slope by the distance (Zucker et al., eq. 21)."""
    if distance < 0.0:
        return clearance / 2 - distance, -1.0
    if distance < clearance:
        return (distance - clearance) ** 2 / (2 * clearance), (distance - clearance) / clearance
    return 0.0, 0.0


@njit(cache=True)
def _push(centre, distance, normal, clearance, dt, force):
    """Write the forces [points - 2, s, 3] on the spheres of inner points; return the cost of `obstacle_functional`."""
    cost = 0.0
    velocity, bend = np.empty(3), np.empty(3)
    for t in range(1, len(centre) - 1):
        for s in range(centre.shape[1]):
            c, slope = potential(distance[t, s], clearance)
            if c == 0.0:
                continue
            speed, along, bent = 0.0, 0.0, 0.0
            for i in range(3):
                velocity[i] = (centre[t + 1, s, i] - centre[t - 1, s, i]) / (2 * dt)
                bend[i] = (centre[t + 1, s, i] - 2 * centre[t, s, i] + centre[t - 1, s, i]) / (dt * dt)
                speed += velocity[i] * velocity[i]
            speed = np.sqrt(speed)
            cost += c * speed
            if speed < _SLOW:
                continue
            for i in range(3):
                along += velocity[i] / speed * normal[t, s, i] * slope
                bent += velocity[i] / speed * bend[i]
            for i in range(3):
                unit = velocity[i] / speed
                across = slope * normal[t, s, i] - along * unit
                force[t - 1, s, i] = speed * across - c * (bend[i] - bent * unit) / speed
    return cost


def obstacle_functional(
    model: CollisionModel, world: Obstacles, q: Float, *, clearance: float, dt: float
) -> tuple[float, Float]:
    """Return CHOMP's obstacle cost of a trajectory q [points, dof] and its functional gradient [points - 2, dof].

    The cost is the sum over inner points and spheres of c(x) |x'|; times `dt` [s] it approximates the integral. The
    gradient is sum of J^T |x'| ((I - x' x'^T) grad c - c kappa) with unit x' and the curvature vector kappa =
    (I - x' x'^T) x'' / |x'|^2; velocity and acceleration of the spheres by central differences.
    Source: Zucker et al., "CHOMP", IJRR 2013, eqs. 19 to 22.

    Args:
        model: the robot.
        world: the obstacles, of which the first scene counts.
        q: waypoints, `dt` apart; the ends do not move.
        clearance: the distance [m] at which the potential begins.
        dt: time between waypoints [s].
    """
    found = model.nearest(world, q, reach=clearance)
    force, gradient = np.zeros_like(found.centre[1:-1]), np.zeros((len(q) - 2, q.shape[1]))
    cost = _push(found.centre, found.distance, found.normal, clearance, dt, force)
    near = np.flatnonzero((found.distance[1:-1] < clearance).any(axis=1))
    if len(near):
        gradient[near] = model.pull_back(q[near + 1], force[near])
    return cost, gradient
