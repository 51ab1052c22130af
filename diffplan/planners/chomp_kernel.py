"""Compiled inner loops of CHOMP: every sphere's distance to the nearest obstacle, and the obstacle cost with gradient.

One configuration at a time, in float64: an optimiser of one trajectory looks at a hundred configurations, and a large
clearance leaves little to cull. Everything is in the robot's base frame; the functions stay in one file because Numba's
cache on disk notices a change of a function's own file only.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from diffplan.fields import SPLIT
from diffplan.geometry import Float
from diffplan.kernels.lanes import BOX, CAPSULE, CYLINDER, SPHERE, SPLIT_FIELD, ObstacleArrays, RobotArrays

_SLOW = 1e-9  # [m/s] a point that stands still has no direction
_TINY = 1e-12


@njit(cache=True)
def _forward(q, robot, pose):
    """Write T_base_body (rotation row-major, position) of one configuration into pose [dof + 1, 12]."""
    for i in range(12):
        pose[0, i] = 1.0 if i == 0 or i == 4 or i == 8 else 0.0
    for k in range(robot.origin.shape[0]):
        o = robot.origin[k]
        slides = robot.prismatic[k]
        cosine = 1.0 if slides else np.cos(q[k])
        sine = 0.0 if slides else np.sin(q[k])
        slide = q[k] if slides else 0.0
        for i in range(3):
            a, b, c = pose[k, 3 * i], pose[k, 3 * i + 1], pose[k, 3 * i + 2]
            x = a * o[0] + b * o[3] + c * o[6]
            y = a * o[1] + b * o[4] + c * o[7]
            z = a * o[2] + b * o[5] + c * o[8]
            pose[k + 1, 3 * i] = x * cosine + y * sine
            pose[k + 1, 3 * i + 1] = y * cosine - x * sine
            pose[k + 1, 3 * i + 2] = z
            pose[k + 1, 9 + i] = pose[k, 9 + i] + a * o[9] + b * o[10] + c * o[11] + z * slide


@njit(cache=True)
def _cell(x, y, z, grid, shape, nodes, first):
    """Return the trilinear value and gradient of a sampled field at a point, extrapolated outside the grid."""
    g = ((x - grid[0]) / grid[3], (y - grid[1]) / grid[3], (z - grid[2]) / grid[3])
    corner, part, outside = np.empty(3, np.int64), np.empty(3), np.empty(3)
    for i in range(3):
        inside = min(max(g[i], 0.0), shape[i] - 1.0)
        corner[i] = min(int(inside), shape[i] - 2)
        part[i] = inside - corner[i]
        outside[i] = (g[i] - inside) * grid[3]
    value, slope = 0.0, np.zeros(3)
    for index in range(8):
        weight, factor = np.empty(3), np.empty(3)
        for i in range(3):
            upper = index >> (2 - i) & 1
            weight[i] = part[i] if upper else 1.0 - part[i]
            factor[i] = 1.0 if upper else -1.0
        ix, iy, iz = corner[0] + (index >> 2 & 1), corner[1] + (index >> 1 & 1), corner[2] + (index & 1)
        node = nodes[first + (ix * shape[1] + iy) * shape[2] + iz]
        value += node * weight[0] * weight[1] * weight[2]
        slope[0] += node * factor[0] * weight[1] * weight[2] / grid[3]
        slope[1] += node * weight[0] * factor[1] * weight[2] / grid[3]
        slope[2] += node * weight[0] * weight[1] * factor[2] / grid[3]
    away = np.sqrt((outside * outside).sum())
    if away > _TINY:
        value += away
        for i in range(3):
            slope[i] = outside[i] / away if outside[i] != 0.0 else slope[i]
    return value, slope[0], slope[1], slope[2]


@njit(cache=True)
def _field(x, y, z, obstacles, f, is_split):
    """Return what `_cell` does for field f, of a cell's own nodes where the point stands in a cell that is split."""
    grid, shape, first = obstacles.field_grid[f], obstacles.field_shape[f], obstacles.field_first[f]
    if is_split:
        ix = min(int(max((x - grid[0]) / grid[3], 0.0)), shape[0] - 2)
        iy = min(int(max((y - grid[1]) / grid[3], 0.0)), shape[1] - 2)
        iz = min(int(max((z - grid[2]) / grid[3], 0.0)), shape[2] - 2)
        own = obstacles.cells[obstacles.cell_first[f] + (ix * (shape[1] - 1) + iy) * (shape[2] - 1) + iz]
        if own >= 0:
            x0, y0, z0 = grid[0] + ix * grid[3], grid[1] + iy * grid[3], grid[2] + iz * grid[3]
            corner = np.array([x0, y0, z0, grid[3] / SPLIT])
            return _cell(x, y, z, corner, np.full(3, SPLIT + 1), obstacles.nodes, own)
    return _cell(x, y, z, grid, shape, obstacles.nodes, first)


@njit(cache=True)
def _solid(kind, size, x, y, z):
    """Return the signed distance of a point to a primitive, both in its frame, and the distance's gradient."""
    a, b, c = size[0], size[1], size[2]
    if kind == BOX:
        dx, dy, dz = abs(x) - a, abs(y) - b, abs(z) - c
        most = max(dx, max(dy, dz))
        if most <= 0.0:
            if dx == most:
                return most, np.copysign(1.0, x), 0.0, 0.0
            if dy == most:
                return most, 0.0, np.copysign(1.0, y), 0.0
            return most, 0.0, 0.0, np.copysign(1.0, z)
        ux, uy, uz = max(dx, 0.0), max(dy, 0.0), max(dz, 0.0)
        d = np.sqrt(ux * ux + uy * uy + uz * uz)
        return d, np.copysign(ux / d, x), np.copysign(uy / d, y), np.copysign(uz / d, z)
    if kind == CYLINDER:
        rho = np.sqrt(x * x + y * y)
        radial, axial = rho - a, abs(z) - b
        out = 1.0 / max(rho, _TINY)
        if max(radial, axial) <= 0.0:
            if radial >= axial:
                return radial, x * out, y * out, 0.0
            return axial, 0.0, 0.0, np.copysign(1.0, z)
        ur, uz = max(radial, 0.0), max(axial, 0.0)
        d = np.sqrt(ur * ur + uz * uz)
        return d, ur / d * x * out, ur / d * y * out, np.copysign(uz / d, z)
    z = z - min(max(z, -b), b) if kind == CAPSULE else z
    rho = max(np.sqrt(x * x + y * y + z * z), _TINY)
    return rho - a, x / rho, y / rho, z / rho


@njit(cache=True)
def _distance(px, py, pz, obstacles, o):
    """Return the signed distance of a base-frame point to obstacle o, and its gradient in the base frame."""
    f = obstacles.frame[o]
    x, y, z = px - f[9], py - f[10], pz - f[11]
    lx, ly, lz = f[0] * x + f[3] * y + f[6] * z, f[1] * x + f[4] * y + f[7] * z, f[2] * x + f[5] * y + f[8] * z
    kind = obstacles.kind[o]
    if kind in (BOX, SPHERE, CYLINDER, CAPSULE):
        d, nx, ny, nz = _solid(kind, obstacles.size[o], lx, ly, lz)
    else:
        d, nx, ny, nz = _field(lx, ly, lz, obstacles, obstacles.field[o], kind == SPLIT_FIELD)
    return (
        d,
        f[0] * nx + f[1] * ny + f[2] * nz,
        f[3] * nx + f[4] * ny + f[5] * nz,
        f[6] * nx + f[7] * ny + f[8] * nz,
    )


@njit(cache=True)
def _apart(x, y, z, aabb):
    """Return how far a point is from an obstacle's box [6]: never more than from the obstacle."""
    dx = max(max(aabb[0] - x, x - aabb[3]), 0.0)
    dy = max(max(aabb[1] - y, y - aabb[4]), 0.0)
    dz = max(max(aabb[2] - z, z - aabb[5]), 0.0)
    return np.sqrt(dx * dx + dy * dy + dz * dz)


@njit(cache=True)
def _place(pose, p):
    """Return the base-frame position of a point of a body with this pose [12]."""
    x = pose[0] * p[0] + pose[1] * p[1] + pose[2] * p[2] + pose[9]
    y = pose[3] * p[0] + pose[4] * p[1] + pose[5] * p[2] + pose[10]
    z = pose[6] * p[0] + pose[7] * p[1] + pose[8] * p[2] + pose[11]
    return x, y, z


@njit(cache=True)
def _nearest(q, robot, obstacles, reach, pose, centre, distance, normal):
    """Fill the outputs of `nearest`."""
    close = np.empty(obstacles.first[1], np.int64)
    for t in range(q.shape[0]):
        _forward(q[t], robot, pose[t])
        for link in range(robot.link_body.shape[0]):
            body = robot.link_body[link]
            x, y, z = _place(pose[t, body], robot.bound[link])
            count = 0
            for o in range(obstacles.first[1] if body > 0 else 0):
                if _apart(x, y, z, obstacles.aabb[o]) < reach + robot.bound[link, 3]:
                    close[count] = o
                    count += 1
            for s in range(robot.link_first[link], robot.link_first[link + 1]):
                x, y, z = _place(pose[t, body], robot.sphere[s])
                centre[t, s, 0], centre[t, s, 1], centre[t, s, 2] = x, y, z
                least, found = reach + robot.sphere[s, 3], False
                for i in range(count):
                    if _apart(x, y, z, obstacles.aabb[close[i]]) >= least:
                        continue
                    d, nx, ny, nz = _distance(x, y, z, obstacles, close[i])
                    if d < least:
                        least, found = d, True
                        normal[t, s, 0], normal[t, s, 1], normal[t, s, 2] = nx, ny, nz
                distance[t, s] = least - robot.sphere[s, 3] if found else reach


def nearest(q: Float, robot: RobotArrays, obstacles: ObstacleArrays, reach: float) -> tuple[Float, Float, Float, Float]:
    """Return, for q [n, dof] in the first packed scene, where the spheres are and how far from the nearest obstacle.

    Returns:
        T_base_body [n, dof + 1, 12]; centres [n, s, 3]; distances between surfaces [n, s], at most `reach` [m]; and the
        distances' gradients [n, s, 3] with respect to the centres, zero at `reach`. Spheres of the base link, which
        no motion can help, count as far.
    """
    points, spheres = len(q), len(robot.sphere)
    pose = np.empty((points, len(robot.origin) + 1, 12))
    centre, normal = np.empty((points, spheres, 3)), np.zeros((points, spheres, 3))
    distance = np.empty((points, spheres))
    _nearest(q, robot, obstacles, reach, pose, centre, distance, normal)
    return pose, centre, distance, normal


@njit(cache=True)
def potential(distance, clearance):
    """Return the obstacle potential [m] and its slope by the distance (Zucker et al., eq. 21)."""
    if distance < 0.0:
        return clearance / 2 - distance, -1.0
    if distance < clearance:
        return (distance - clearance) ** 2 / (2 * clearance), (distance - clearance) / clearance
    return 0.0, 0.0


@njit(cache=True)
def _pull_back(pose, body, robot, point, force, gradient):
    """Add J^T force of a point of a body to gradient [dof]."""
    for k in range(1, body + 1):
        p = pose[k]
        fx, fy, fz = force
        if not robot.prismatic[k - 1]:
            x, y, z = point[0] - p[9], point[1] - p[10], point[2] - p[11]
            fx, fy, fz = y * fz - z * fy, z * fx - x * fz, x * fy - y * fx
        gradient[k - 1] += p[2] * fx + p[5] * fy + p[8] * fz


@njit(cache=True)
def _descend(pose, centre, distance, normal, robot, clearance, dt, only, gradient):
    """Return the cost of `obstacle_functional` and add its gradient [points - 2, dof]."""
    cost = 0.0
    for t in range(1, len(centre) - 1):
        for link in range(robot.link_body.shape[0]):
            for s in range(robot.link_first[link], robot.link_first[link + 1]):
                c, slope = potential(distance[t, s], clearance)
                if c == 0.0:
                    continue
                speed, along, bend = 0.0, 0.0, np.empty(3)
                velocity = (centre[t + 1, s] - centre[t - 1, s]) / (2 * dt)
                for i in range(3):
                    speed += velocity[i] * velocity[i]
                speed = np.sqrt(speed)
                cost += c * speed
                if speed < _SLOW or (only >= 0 and t != only):
                    continue
                velocity /= speed
                bent = 0.0
                for i in range(3):
                    along += velocity[i] * normal[t, s, i] * slope
                    bend[i] = (centre[t + 1, s, i] - 2 * centre[t, s, i] + centre[t - 1, s, i]) / (dt * dt)
                    bent += velocity[i] * bend[i]
                force = (
                    speed * (slope * normal[t, s, 0] - along * velocity[0])
                    - c * (bend[0] - bent * velocity[0]) / speed,
                    speed * (slope * normal[t, s, 1] - along * velocity[1])
                    - c * (bend[1] - bent * velocity[1]) / speed,
                    speed * (slope * normal[t, s, 2] - along * velocity[2])
                    - c * (bend[2] - bent * velocity[2]) / speed,
                )
                _pull_back(pose[t], robot.link_body[link], robot, centre[t, s], force, gradient[t - 1])
    return cost


def obstacle_functional(
    q: Float, robot: RobotArrays, obstacles: ObstacleArrays, *, clearance: float, dt: float, only: int = -1
) -> tuple[float, Float]:
    """Return CHOMP's obstacle cost of a trajectory q [points, dof] and its functional gradient [points - 2, dof].

    The cost is the sum over inner points and spheres of c(x) |x'|; times `dt` [s] it approximates the integral. The
    gradient is sum of J^T |x'| ((I - x' x'^T) grad c - c kappa) with unit x' and the curvature vector kappa =
    (I - x' x'^T) x'' / |x'|^2; velocity and acceleration of the spheres by central differences.
    Source: Zucker et al., "CHOMP", IJRR 2013, eqs. 19 to 22.

    Args:
        q: waypoints, `dt` apart; the ends do not move.
        robot: packed robot, float64.
        obstacles: packed obstacles, float64; the first scene counts.
        clearance: the distance [m] at which the potential begins.
        dt: time between waypoints [s].
        only: index of the one waypoint whose gradient is wanted (stochastic descent), or -1 for all.
    """
    pose, centre, distance, normal = nearest(q, robot, obstacles, clearance)
    gradient = np.zeros((len(q) - 2, q.shape[1]))
    cost = _descend(pose, centre, distance, normal, robot, clearance, dt, only, gradient)
    return cost, gradient
