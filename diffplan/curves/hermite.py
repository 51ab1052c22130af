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
How far a cubic goes in each step, steps.py reckons.
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
    way = position[step + 1] - position[step]
    d0, d1 = h * velocity[step] - way, h * velocity[step + 1] - way
    q = position[step] + u * way + u * (1 - u) * ((1 - u) * d0 - u * d1)
    q = np.where(u >= 1, position[step + 1], q)  # the samples themselves, to the bit
    rate = way + d0 * (1 - u) * (1 - 3 * u) - d1 * u * (2 - 3 * u)
    bend = d0 * (6 * u - 4) - d1 * (2 - 6 * u)
    return q, rate / h, bend / h**2
