"""Motions between samples: the piecewise cubic through positions and velocities (cubic Hermite interpolation).

On a step of length h from (q0, v0) to (q1, v1), with u = (t - t0) / h in [0, 1] and d0 = h v0 - (q1 - q0),
d1 = h v1 - (q1 - q0):

    q(t) = q0 + u (q1 - q0) + u (1 - u) ((1 - u) d0 - u d1).

Velocity is continuous, acceleration linear in each step. The last term is how far the motion is from the straight line
between the samples. A motion whose acceleration never exceeds a, sampled at any times, has a cubic whose acceleration
does not exceed `OVERSHOOT` a: at a step's begin it is the integral of the true one times 4 - 6u, and the integral of
|4 - 6u| is 5/3. By the same reasoning positions are off by at most `OFF` a h^2, velocities by `OFF_SPEED` a h. And
where the motion's jerk never exceeds j, the cubic's acceleration at both ends of a step is off by at most
`OFF_ACCELERATION` j h: by the integral of the true jerk times (1 - u)(1 - 3u) h, of whose size the integral is 8/27.
"""

from __future__ import annotations

import numpy as np

from diffplan.geometry.pose import Float

NAME = "cubic Hermite"
OVERSHOOT = 5 / 3
OFF, OFF_SPEED = 1 / 16, 0.252
OFF_ACCELERATION = 8 / 27


def at(time: Float, position: Float, velocity: Float, moments: Float) -> tuple[Float, Float, Float]:
    """Return position, velocity and acceleration [m, dof] at moments [m] from the first to the last time [n].

    At a sample the acceleration is that of the step which begins there (at the last, which ends there).
    """
    step = np.clip(np.searchsorted(time, moments, side="right") - 1, 0, len(time) - 2)
    h = (time[step + 1] - time[step])[:, None]
    u = (moments - time[step])[:, None] / h
    way, d0, d1 = (part[step] for part in _parts(time, position, velocity))
    q = position[step] + u * way + u * (1 - u) * ((1 - u) * d0 - u * d1)
    q = np.where(u >= 1, position[step + 1], q)  # the samples themselves, to the bit
    rate = way + d0 * (1 - u) * (1 - 3 * u) - d1 * u * (2 - 3 * u)
    bend = d0 * (6 * u - 4) - d1 * (2 - 6 * u)
    return q, rate / h, bend / h**2


def accelerations(time: Float, position: Float, velocity: Float) -> Float:
    """Return the acceleration [n - 1, 2, dof] at both ends of each step, where it is extreme."""
    _, d0, d1 = _parts(time, position, velocity)
    h = np.diff(time)[:, None, None]
    return np.stack([-4 * d0 - 2 * d1, 2 * d0 + 4 * d1], axis=1) / h**2


def fastest(time: Float, position: Float, velocity: Float) -> Float:
    """Return the greatest speed [n - 1, dof] in each step: at an end, or where the acceleration vanishes."""
    way, d0, d1 = _parts(time, position, velocity)
    start, end = -4 * d0 - 2 * d1, 2 * d0 + 4 * d1
    h = np.diff(time)[:, None]
    u = np.clip(_ratio(start, start - end), 0.0, 1.0)
    between = way + d0 * (1 - u) * (1 - 3 * u) - d1 * u * (2 - 3 * u)
    return np.maximum(np.maximum(np.abs(velocity[:-1]), np.abs(velocity[1:])), np.abs(between) / h)


def extremes(time: Float, position: Float, velocity: Float) -> tuple[Float, Float]:
    """Return the least and the greatest position [n - 1, dof] in each step."""
    way, d0, d1 = _parts(time, position, velocity)
    roots = _roots(way + d0, -2 * (2 * d0 + d1), 3 * (d0 + d1))
    inside = position[:-1] + roots * way + roots * (1 - roots) * ((1 - roots) * d0 - roots * d1)
    every = np.concatenate([inside, position[None, :-1], position[None, 1:]])
    return every.min(axis=0), every.max(axis=0)


def deviations(time: Float, position: Float, velocity: Float) -> Float:
    """Return how far the motion is at most from the straight line between the samples [n - 1, dof]."""
    _, d0, d1 = _parts(time, position, velocity)
    roots = _roots(d0, -2 * (2 * d0 + d1), 3 * (d0 + d1))
    return np.abs(roots * (1 - roots) * ((1 - roots) * d0 - roots * d1)).max(axis=0)


def _parts(time: Float, position: Float, velocity: Float) -> tuple[Float, Float, Float]:
    h, way = np.diff(time)[:, None], np.diff(position, axis=0)
    return way, h * velocity[:-1] - way, h * velocity[1:] - way


def _ratio(above: Float, below: Float) -> Float:
    """Return the quotient, 0 where there is none."""
    return np.divide(above, below, out=np.zeros_like(above), where=below != 0)


def _roots(c: Float, b: Float, a: Float) -> Float:
    """Return the roots [2, ...] of a u^2 + b u + c in [0, 1], or some other places of [0, 1] instead."""
    root = np.sqrt(np.maximum(b * b - 4 * a * c, 0.0))
    q = -(b + np.copysign(root, b)) / 2
    return np.clip(np.stack([_ratio(q, a), _ratio(c, q)]), 0.0, 1.0)
