"""Compiled inverse kinematics for drawing many starts and goals: one seed, one pose, a few microseconds a step."""

from __future__ import annotations

import numba
import numpy as np

from diffplan.geometry.pose import Float
from diffplan.robot.model import Robot

_TOLERANCE = 1e-3  # m and rad together
_LONGEST_STEP = 0.5  # rad


def solve_poses(robot: Robot, T_base_end: Float, q: Float, *, iterations: int = 40) -> tuple[Float, np.ndarray]:
    """Return joint positions [n, dof] that bring the end link to poses [n, 4, 4] from seeds q [n, dof], and which did.

    Damped least squares with the damping tied to the error, inside the joint limits.
    Source: Sugihara, "Solvability-unconcerned inverse kinematics by the Levenberg-Marquardt method", T-RO 2011.
    """
    body, T_body_end = robot.chain.placement[robot.end_link]
    solved = np.zeros(len(q), dtype=np.bool_)
    q = q.copy()
    _solve_all(
        robot.chain.parent,
        robot.chain.source,
        robot.chain.factor,
        robot.chain.offset,
        np.ascontiguousarray(robot.chain.origin),
        np.ascontiguousarray(robot.chain.axis),
        robot.chain.prismatic.astype(np.bool_),
        body,
        np.ascontiguousarray(T_body_end),
        robot.lower,
        robot.upper,
        np.ascontiguousarray(T_base_end),
        iterations,
        q,
        solved,
    )
    return q, solved


@numba.njit(cache=True)
def _solve_all(
    parent,
    source,
    factor,
    offset,
    origin,
    axis,
    prismatic,
    body,
    T_body_end,
    lower,
    upper,
    target,
    iterations,
    q,
    solved,
):
    dof = len(lower)
    frames = np.empty((len(axis) + 1, 4, 4))
    end = np.empty((4, 4))
    twist, jacobian, normal = np.empty(6), np.empty((6, dof)), np.empty((6, 6))
    for n in range(len(q)):
        for _ in range(iterations):
            _forward(parent, source, factor, offset, origin, axis, prismatic, q[n], frames)
            _multiply(frames[body], T_body_end, end)
            error = _twist(end, target[n], twist)
            if error <= _TOLERANCE:
                solved[n] = True
                break
            _jacobian(frames, parent, source, factor, axis, prismatic, body, end, jacobian)
            damping = 1e-4 + 0.02 * min(1.0, error * error)
            for i in range(6):
                for j in range(6):
                    total = damping if i == j else 0.0
                    for k in range(dof):
                        total += jacobian[i, k] * jacobian[j, k]
                    normal[i, j] = total
            _cholesky_solve(normal, twist)
            _step(jacobian, twist, lower, upper, q[n])


@numba.njit(cache=True)
def _forward(parent, source, factor, offset, origin, axis, prismatic, q, frames):
    motion, joint = np.empty((4, 4)), np.empty((4, 4))
    frames[0] = np.eye(4)
    for k in range(len(axis)):
        motion[:] = np.eye(4)
        x, y, z = axis[k]
        value = factor[k] * q[source[k]] + offset[k]
        if prismatic[k]:
            motion[0, 3], motion[1, 3], motion[2, 3] = value * x, value * y, value * z
        else:
            c, s = np.cos(value), np.sin(value)
            v = 1.0 - c
            motion[0, 0], motion[0, 1], motion[0, 2] = c + x * x * v, x * y * v - z * s, x * z * v + y * s
            motion[1, 0], motion[1, 1], motion[1, 2] = y * x * v + z * s, c + y * y * v, y * z * v - x * s
            motion[2, 0], motion[2, 1], motion[2, 2] = z * x * v - y * s, z * y * v + x * s, c + z * z * v
        _multiply(frames[parent[k]], origin[k], joint)
        _multiply(joint, motion, frames[k + 1])


@numba.njit(cache=True)
def _multiply(a, b, out):
    for i in range(3):
        for j in range(4):
            out[i, j] = a[i, 0] * b[0, j] + a[i, 1] * b[1, j] + a[i, 2] * b[2, j] + (a[i, 3] if j == 3 else 0.0)
    out[3, 0] = out[3, 1] = out[3, 2] = 0.0
    out[3, 3] = 1.0


@numba.njit(cache=True)
def _twist(end, target, twist):
    """Write the twist (m, rad) from the end pose to the target; return its norm."""
    R = np.zeros((3, 3))
    for i in range(3):
        twist[i] = target[i, 3] - end[i, 3]
        for j in range(3):
            for k in range(3):
                R[i, j] += target[i, k] * end[j, k]
    x, y, z = (R[2, 1] - R[1, 2]) / 2, (R[0, 2] - R[2, 0]) / 2, (R[1, 0] - R[0, 1]) / 2
    sine = np.sqrt(x * x + y * y + z * z)
    scale = np.arctan2(sine, (R[0, 0] + R[1, 1] + R[2, 2] - 1) / 2) / max(sine, 1e-9)
    twist[3], twist[4], twist[5] = x * scale, y * scale, z * scale
    return np.sqrt(np.sum(twist * twist))


@numba.njit(cache=True)
def _jacobian(frames, parent, source, factor, axis, prismatic, body, end, jacobian):
    jacobian[:] = 0.0
    a, r = np.empty(3), np.empty(3)
    while body > 0:
        k = body - 1
        body, j = parent[k], source[k]
        for i in range(3):
            a[i] = (
                frames[k + 1, i, 0] * axis[k, 0] + frames[k + 1, i, 1] * axis[k, 1] + frames[k + 1, i, 2] * axis[k, 2]
            )
            a[i] *= factor[k]
            r[i] = end[i, 3] - frames[k + 1, i, 3]
        if prismatic[k]:
            jacobian[:3, j] += a
        else:
            jacobian[0, j] += a[1] * r[2] - a[2] * r[1]
            jacobian[1, j] += a[2] * r[0] - a[0] * r[2]
            jacobian[2, j] += a[0] * r[1] - a[1] * r[0]
            jacobian[3:, j] += a


@numba.njit(cache=True)
def _cholesky_solve(a, b):
    """Solve a x = b in place for a symmetric positive definite a [6, 6]; x replaces b."""
    n = len(b)
    for i in range(n):
        for j in range(i + 1):
            total = a[i, j]
            for k in range(j):
                total -= a[i, k] * a[j, k]
            a[i, j] = np.sqrt(total) if i == j else total / a[j, j]
    for i in range(n):
        for k in range(i):
            b[i] -= a[i, k] * b[k]
        b[i] /= a[i, i]
    for i in range(n - 1, -1, -1):
        for k in range(i + 1, n):
            b[i] -= a[k, i] * b[k]
        b[i] /= a[i, i]


@numba.njit(cache=True)
def _step(jacobian, solved_twist, lower, upper, q):
    dof = len(q)
    step, longest = np.zeros(dof), 1e-9
    for k in range(dof):
        for i in range(6):
            step[k] += jacobian[i, k] * solved_twist[i]
        longest = max(longest, abs(step[k]))
    scale = min(1.0, _LONGEST_STEP / longest)
    for k in range(dof):
        q[k] = min(max(q[k] + scale * step[k], lower[k]), upper[k])
