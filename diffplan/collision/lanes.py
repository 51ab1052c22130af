"""Compiled inner loops: forward kinematics, exact distances, cost and joint gradient of 16 configurations at a time.

Sixteen neighbouring configurations of one trajectory are the innermost loop (SIMD lanes), so that one culling
decision serves them all. Lanes past the end repeat the last configuration and are not written back.

The functions are generic in the floating type of `q`; the float32 constants below are good in either type. They stay in
one file on purpose: Numba's cache on disk notices a change of a function's own file only.
Frames: everything is in the robot's base frame. Lengths in m.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np
from numba import njit

from diffplan.geometry.fields import SPLIT

LANES = 16
BOX, SPHERE, CYLINDER, CAPSULE, FIELD, SPLIT_FIELD = range(6)
CLEARANCE, GRADED, STOP = range(3)  # what is asked: distances; cost and gradient too; only whether any is below reach

_ZERO, _HALF, _ONE, _TINY = (np.float32(v) for v in (0.0, 0.5, 1.0, 1e-24))
_FAST = {"nnan", "contract", "reassoc", "nsz", "arcp", "afn"}  # inputs are finite: checked at the border
_inner = partial(njit, cache=True, fastmath=_FAST, _nrt=False)  # pyright: ignore[reportCallIssue]
"""For functions that are called from compiled ones only and make no arrays.

Without Numba's runtime their arguments are borrowed: counting references to the dozen arrays of a packed robot or scene
in every call took more than half of the kernel's time.
"""

# Rows of the scratch array `w` [_ROWS, LANES]: one array, so that the compiler sees that rows do not overlap.
_CX, _CY, _CZ, _X, _Y, _Z, _D, _NX, _NY, _NZ, _ROWS = range(11)


class RobotArrays(NamedTuple):
    """The robot, packed. Joint axes are local z; spheres are in their body's frame, sorted by link.

    Moving joint k carries body k + 1 and stands at factor[k] * q[source[k]] + offset[k]; parents come before children
    (`robot.Chain`). `parent` [moving] the body that it hangs on; `origin` [moving, 12] rotation (row-major) and
    translation of joint k in that body at zero; `prismatic`, `source`, `factor`, `offset` [moving].
    Links of many spheres are several here (`cpu.sphere_groups`): `link_of` [links] is the number of each in
    `Robot.links`. `link_body` [links], `link_first` [links + 1] into the spheres, `bound` [links, 4] bounding sphere in
    the body frame; `sphere` [s, 4]; `pairs` [p, 2] link pairs that can touch; `metric` [dof] as `Robot.metric`.
    """

    parent: np.ndarray
    source: np.ndarray
    factor: np.ndarray
    offset: np.ndarray
    origin: np.ndarray
    prismatic: np.ndarray
    link_of: np.ndarray
    link_body: np.ndarray
    link_first: np.ndarray
    bound: np.ndarray
    sphere: np.ndarray
    pairs: np.ndarray
    metric: np.ndarray


class ObstacleArrays(NamedTuple):
    """Obstacles of all scenes, packed; scene i owns rows `first[i]` to `first[i + 1]`.

    `kind` [m]; `frame` [m, 12] rotation R_base_obstacle (row-major) and position; `size` [m, 3] half edges, or radius
    and half height; `aabb` [m, 6] lower and upper corner; `field` [m] index of a sampled distance field or -1, whose
    nodes are `nodes[field_first[f]:]` with `field_shape` [f, 3] and `field_grid` [f, 4] (origin, spacing). Of a
    SPLIT_FIELD, the cells from `cells[cell_first[f]]` on tell where in `nodes` the cell's own nodes begin, or -1.
    `give` [m, `Robot.links`] is by how much a link may be nearer, where contact is allowed; [0, 0] where none is.
    """

    first: np.ndarray
    kind: np.ndarray
    frame: np.ndarray
    size: np.ndarray
    aabb: np.ndarray
    field: np.ndarray
    nodes: np.ndarray
    field_first: np.ndarray
    field_shape: np.ndarray
    field_grid: np.ndarray
    cells: np.ndarray
    cell_first: np.ndarray
    give: np.ndarray


@_inner()
def _forward(q, lo, count, robot, pose):
    """Write T_base_body of lanes lo... into pose [moving + 1, 12, LANES]; one more row is used by the way."""
    moving = robot.origin.shape[0]
    for i in range(12):
        for n in range(LANES):
            pose[0, i, n] = _ONE if i == 0 or i == 4 or i == 8 else _ZERO
    sine, cosine, slide = pose[moving + 1, 0], pose[moving + 1, 1], pose[moving + 1, 2]
    for k in range(moving):
        j, source, factor, offset = robot.parent[k], robot.source[k], robot.factor[k], robot.offset[k]
        for n in range(LANES):
            value = q[lo + min(n, count - 1), source] * factor + offset
            if robot.prismatic[k]:
                sine[n], cosine[n], slide[n] = _ZERO, _ONE, value
            else:
                sine[n], cosine[n], slide[n] = np.sin(value), np.cos(value), _ZERO
        o = robot.origin[k]
        o0, o1, o2, o3, o4, o5, o6, o7, o8, o9, o10, o11 = (
            o[0],
            o[1],
            o[2],
            o[3],
            o[4],
            o[5],
            o[6],
            o[7],
            o[8],
            o[9],
            o[10],
            o[11],
        )
        for i in range(3):
            ra, rb, rc, rt = pose[j, 3 * i], pose[j, 3 * i + 1], pose[j, 3 * i + 2], pose[j, 9 + i]
            na, nb, nc, nt = pose[k + 1, 3 * i], pose[k + 1, 3 * i + 1], pose[k + 1, 3 * i + 2], pose[k + 1, 9 + i]
            for n in range(LANES):
                mx = ra[n] * o0 + rb[n] * o3 + rc[n] * o6
                my = ra[n] * o1 + rb[n] * o4 + rc[n] * o7
                mz = ra[n] * o2 + rb[n] * o5 + rc[n] * o8
                nt[n] = rt[n] + ra[n] * o9 + rb[n] * o10 + rc[n] * o11 + mz * slide[n]
                na[n] = mx * cosine[n] + my * sine[n]
                nb[n] = my * cosine[n] - mx * sine[n]
                nc[n] = mz


@_inner()
def _place(pose, body, x, y, z, out):
    """Write the base-frame position of a body point into out [3, LANES]."""
    p = pose[body]
    for n in range(LANES):
        px = p[0, n] * x + p[1, n] * y + p[2, n] * z + p[9, n]
        py = p[3, n] * x + p[4, n] * y + p[5, n] * z + p[10, n]
        pz = p[6, n] * x + p[7, n] * y + p[8, n] * z + p[11, n]
        out[0, n], out[1, n], out[2, n] = px, py, pz


@_inner()
def _localise(w, f):
    """Express the points in rows _CX.. in an obstacle's frame, rows _X.. (f: its rotation and position)."""
    # scalars first: the compiler cannot see that writing to w leaves f alone
    f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11 = (
        f[0],
        f[1],
        f[2],
        f[3],
        f[4],
        f[5],
        f[6],
        f[7],
        f[8],
        f[9],
        f[10],
        f[11],
    )
    for n in range(LANES):
        x, y, z = w[_CX, n] - f9, w[_CY, n] - f10, w[_CZ, n] - f11
        w[_X, n] = f0 * x + f3 * y + f6 * z
        w[_Y, n] = f1 * x + f4 * y + f7 * z
        w[_Z, n] = f2 * x + f5 * y + f8 * z


@_inner()
def _field_cell(w, n, grid, shape, nodes, first):
    """Return the trilinear value and gradient of a sampled field at lane n, extrapolated outside the grid."""
    size = grid[3]
    gx, gy, gz = (w[_X, n] - grid[0]) / size, (w[_Y, n] - grid[1]) / size, (w[_Z, n] - grid[2]) / size
    px = min(max(gx, _ZERO), np.float32(shape[0] - 1))
    py = min(max(gy, _ZERO), np.float32(shape[1] - 1))
    pz = min(max(gz, _ZERO), np.float32(shape[2] - 1))
    ix, iy, iz = min(int(px), shape[0] - 2), min(int(py), shape[1] - 2), min(int(pz), shape[2] - 2)
    fx, fy, fz = px - np.float32(ix), py - np.float32(iy), pz - np.float32(iz)
    sx, sy = shape[1] * shape[2], shape[2]
    c = first + ix * sx + iy * sy + iz
    v000, v001, v010, v011 = nodes[c], nodes[c + 1], nodes[c + sy], nodes[c + sy + 1]
    c += sx
    v100, v101, v110, v111 = nodes[c], nodes[c + 1], nodes[c + sy], nodes[c + sy + 1]
    a00, a01 = v000 + fz * (v001 - v000), v010 + fz * (v011 - v010)
    a10, a11 = v100 + fz * (v101 - v100), v110 + fz * (v111 - v110)
    b0, b1 = a00 + fy * (a01 - a00), a10 + fy * (a11 - a10)
    value = b0 + fx * (b1 - b0)
    dx = (b1 - b0) / size
    dy = ((a01 - a00) * (_ONE - fx) + (a11 - a10) * fx) / size
    lower = (v001 - v000) * (_ONE - fy) + (v011 - v010) * fy
    upper = (v101 - v100) * (_ONE - fy) + (v111 - v110) * fy
    dz = (lower * (_ONE - fx) + upper * fx) / size
    ox, oy, oz = (gx - px) * size, (gy - py) * size, (gz - pz) * size
    away = np.sqrt(ox * ox + oy * oy + oz * oz)
    if away > _TINY:
        value += away
        dx = ox / away if ox != _ZERO else dx
        dy = oy / away if oy != _ZERO else dy
        dz = oz / away if oz != _ZERO else dz
    return value, dx, dy, dz


@_inner()
def _split_cell(w, n, grid, shape, nodes, first, cells, cell_first):
    """Return what `_field_cell` does, of the cell's own nodes where lane n stands in a cell that is split."""
    size = grid[3]
    ix = min(int(max((w[_X, n] - grid[0]) / size, _ZERO)), shape[0] - 2)
    iy = min(int(max((w[_Y, n] - grid[1]) / size, _ZERO)), shape[1] - 2)
    iz = min(int(max((w[_Z, n] - grid[2]) / size, _ZERO)), shape[2] - 2)
    own = cells[cell_first + (ix * (shape[1] - 1) + iy) * (shape[2] - 1) + iz]
    if own < 0:
        return _field_cell(w, n, grid, shape, nodes, first)
    x, y, z = grid[0] + size * np.float32(ix), grid[1] + size * np.float32(iy), grid[2] + size * np.float32(iz)
    corner = (x, y, z, size / np.float32(SPLIT))
    return _field_cell(w, n, corner, (SPLIT + 1, SPLIT + 1, SPLIT + 1), nodes, own)


@_inner()
def _distance(w, obstacles, o):
    """Write the signed distance of the points in rows _CX.. to obstacle o into row _D; return the least."""
    kind = obstacles.kind[o]
    size = obstacles.size[o]
    a, b, c = size[0], size[1], size[2]
    _localise(w, obstacles.frame[o])
    if kind == BOX:
        for n in range(LANES):
            x, y, z = abs(w[_X, n]) - a, abs(w[_Y, n]) - b, abs(w[_Z, n]) - c
            ux, uy, uz = max(x, _ZERO), max(y, _ZERO), max(z, _ZERO)
            w[_D, n] = np.sqrt(ux * ux + uy * uy + uz * uz) + min(max(x, max(y, z)), _ZERO)
    elif kind == SPHERE:
        for n in range(LANES):
            w[_D, n] = np.sqrt(w[_X, n] * w[_X, n] + w[_Y, n] * w[_Y, n] + w[_Z, n] * w[_Z, n]) - a
    elif kind == CYLINDER:
        for n in range(LANES):
            radial = np.sqrt(w[_X, n] * w[_X, n] + w[_Y, n] * w[_Y, n]) - a
            axial = abs(w[_Z, n]) - b
            ur, uz = max(radial, _ZERO), max(axial, _ZERO)
            w[_D, n] = np.sqrt(ur * ur + uz * uz) + min(max(radial, axial), _ZERO)
    elif kind == CAPSULE:
        for n in range(LANES):
            z = w[_Z, n] - min(max(w[_Z, n], -b), b)
            w[_D, n] = np.sqrt(w[_X, n] * w[_X, n] + w[_Y, n] * w[_Y, n] + z * z) - a
    elif kind == FIELD:
        f = obstacles.field[o]
        for n in range(LANES):
            value, x, y, z = _field_cell(
                w, n, obstacles.field_grid[f], obstacles.field_shape[f], obstacles.nodes, obstacles.field_first[f]
            )
            w[_D, n], w[_NX, n], w[_NY, n], w[_NZ, n] = value, x, y, z
    else:
        f = obstacles.field[o]
        for n in range(LANES):
            value, x, y, z = _split_cell(
                w,
                n,
                obstacles.field_grid[f],
                obstacles.field_shape[f],
                obstacles.nodes,
                obstacles.field_first[f],
                obstacles.cells,
                obstacles.cell_first[f],
            )
            w[_D, n], w[_NX, n], w[_NY, n], w[_NZ, n] = value, x, y, z
    least = w[_D, 0]
    for n in range(LANES):
        least = min(least, w[_D, n])
    return least


@_inner()
def _give(w, give):
    """After `_distance`: count the points as so much farther away, and return by how much."""
    for n in range(LANES):
        w[_D, n] += give
    return give


@_inner()
def _normal(w, obstacles, o):
    """After `_distance`: write the distance's gradient in the base frame into rows _NX.. (unit, or a subgradient)."""
    kind = obstacles.kind[o]
    size, f = obstacles.size[o], obstacles.frame[o]
    a, b, c = size[0], size[1], size[2]
    if kind == BOX:
        for n in range(LANES):
            x, y, z = abs(w[_X, n]) - a, abs(w[_Y, n]) - b, abs(w[_Z, n]) - c
            ux, uy, uz = max(x, _ZERO), max(y, _ZERO), max(z, _ZERO)
            if max(x, max(y, z)) <= _ZERO:
                ux = _ONE if x >= y and x >= z else _ZERO
                uy = _ONE if y > x and y >= z else _ZERO
                uz = _ONE if z > x and z > y else _ZERO
            inverse = _ONE / np.sqrt(ux * ux + uy * uy + uz * uz + _TINY)
            w[_NX, n] = np.copysign(ux * inverse, w[_X, n])
            w[_NY, n] = np.copysign(uy * inverse, w[_Y, n])
            w[_NZ, n] = np.copysign(uz * inverse, w[_Z, n])
    elif kind == CYLINDER:
        for n in range(LANES):
            rho = np.sqrt(w[_X, n] * w[_X, n] + w[_Y, n] * w[_Y, n] + _TINY)
            radial, axial = rho - a, abs(w[_Z, n]) - b
            ur, uz = max(radial, _ZERO), max(axial, _ZERO)
            if max(radial, axial) <= _ZERO:
                ur = _ONE if radial >= axial else _ZERO
                uz = _ONE - ur
            inverse = _ONE / np.sqrt(ur * ur + uz * uz + _TINY)
            w[_NX, n] = ur * inverse * w[_X, n] / rho
            w[_NY, n] = ur * inverse * w[_Y, n] / rho
            w[_NZ, n] = np.copysign(uz * inverse, w[_Z, n])
    elif kind in (SPHERE, CAPSULE):
        for n in range(LANES):
            z = w[_Z, n] - min(max(w[_Z, n], -b), b)
            inverse = _ONE / np.sqrt(w[_X, n] * w[_X, n] + w[_Y, n] * w[_Y, n] + z * z + _TINY)
            w[_NX, n], w[_NY, n], w[_NZ, n] = w[_X, n] * inverse, w[_Y, n] * inverse, z * inverse
    f0, f1, f2, f3, f4, f5, f6, f7, f8 = f[0], f[1], f[2], f[3], f[4], f[5], f[6], f[7], f[8]
    for n in range(LANES):
        x, y, z = w[_NX, n], w[_NY, n], w[_NZ, n]
        w[_NX, n] = f0 * x + f1 * y + f2 * z
        w[_NY, n] = f3 * x + f4 * y + f5 * z
        w[_NZ, n] = f6 * x + f7 * y + f8 * z


@_inner()
def _push(w, reach, wrench, cost):
    """Add 0.5 max(0, reach - distance)^2 to cost, and its gradient as force and torque to wrench [6, LANES]."""
    force_x, force_y, force_z = wrench[0], wrench[1], wrench[2]
    torque_x, torque_y, torque_z = wrench[3], wrench[4], wrench[5]
    for n in range(LANES):
        h = max(reach - w[_D, n], _ZERO)
        cost[n] += _HALF * h * h
        x, y, z = -h * w[_NX, n], -h * w[_NY, n], -h * w[_NZ, n]
        force_x[n] += x
        force_y[n] += y
        force_z[n] += z
        torque_x[n] += w[_CY, n] * z - w[_CZ, n] * y
        torque_y[n] += w[_CZ, n] * x - w[_CX, n] * z
        torque_z[n] += w[_CX, n] * y - w[_CY, n] * x


@_inner()
def _far(box, reach, aabb):
    """Whether a box [6] grown by reach misses an obstacle's box [6]."""
    for i in range(3):  # noqa: SIM110 (Numba compiles no generators)
        if box[i] - reach > aabb[3 + i] or box[3 + i] + reach < aabb[i]:
            return True
    return False


@_inner()
def _bounds(pose, robot, centre, box):
    """Write each link's bounding-sphere centre into centre [links, 3, LANES] and the box of the lanes into box."""
    for link in range(robot.link_body.shape[0]):
        b = robot.bound[link]
        _place(pose, robot.link_body[link], b[0], b[1], b[2], centre[link])
        for i in range(3):
            least = most = centre[link, i, 0]
            for n in range(LANES):
                least, most = min(least, centre[link, i, n]), max(most, centre[link, i, n])
            box[link, i], box[link, 3 + i] = least - b[3], most + b[3]


@_inner()
def _load(w, point):
    for n in range(LANES):
        w[_CX, n], w[_CY, n], w[_CZ, n] = point[0, n], point[1, n], point[2, n]


@_inner()
def _least_square(w, point):
    """Write squared distances from the points in rows _CX.. to point [3, LANES] into row _D; return the least."""
    px, py, pz = point[0], point[1], point[2]
    for n in range(LANES):
        x, y, z = w[_CX, n] - px[n], w[_CY, n] - py[n], w[_CZ, n] - pz[n]
        w[_D, n] = x * x + y * y + z * z
    least = w[_D, 0]
    for n in range(LANES):
        least = min(least, w[_D, n])
    return least


@_inner()
def _spheres(pose, robot, link, centre, ready):
    """Place the spheres of a link into centre [s, 3, LANES], once."""
    if ready[link]:
        return
    ready[link] = True
    for s in range(robot.link_first[link], robot.link_first[link + 1]):
        p = robot.sphere[s]
        _place(pose, robot.link_body[link], p[0], p[1], p[2], centre[s])


@_inner()
def _world_cost(pose, robot, obstacles, scene, reach, s, mode, cost, clear, wrench):
    """Lower clear [LANES] to the least obstacle distance; GRADED: add cost and wrenches; STOP: leave at the first."""
    gives = obstacles.give.shape[0] > 0
    for link in range(robot.link_body.shape[0]):
        body = robot.link_body[link]
        if body == 0:
            continue
        for o in range(obstacles.first[scene], obstacles.first[scene + 1]):
            if _far(s.box[link], reach, obstacles.aabb[o]):
                continue
            _load(s.w, s.bound[link])
            if _distance(s.w, obstacles, o) > reach + robot.bound[link, 3]:
                continue
            _spheres(pose, robot, link, s.centre, s.ready)
            for i in range(robot.link_first[link], robot.link_first[link + 1]):
                radius = robot.sphere[i, 3]
                _load(s.w, s.centre[i])
                least = _distance(s.w, obstacles, o)
                if gives:
                    least += _give(s.w, obstacles.give[o, robot.link_of[link]])
                if least >= reach + radius:
                    continue
                for n in range(LANES):
                    clear[n] = min(clear[n], s.w[_D, n] - radius)
                if mode == GRADED:
                    _normal(s.w, obstacles, o)
                    _push(s.w, reach + radius, wrench[body], cost)
                elif mode == STOP:
                    return


@_inner()
def _self_cost(pose, robot, reach, s, mode, cost, clear, wrench):
    """The same for the robot's own link pairs."""
    for p in range(robot.pairs.shape[0]):
        one, two = robot.pairs[p, 0], robot.pairs[p, 1]
        body_one, body_two = robot.link_body[one], robot.link_body[two]
        if _far(s.box[one], reach, s.box[two]):
            continue
        limit = robot.bound[one, 3] + robot.bound[two, 3] + reach
        _load(s.w, s.bound[one])
        if limit <= _ZERO or _least_square(s.w, s.bound[two]) > limit * limit:
            continue
        _spheres(pose, robot, one, s.centre, s.ready)
        _spheres(pose, robot, two, s.centre, s.ready)
        for i in range(robot.link_first[one], robot.link_first[one + 1]):
            _load(s.w, s.centre[i])
            limit = robot.sphere[i, 3] + robot.bound[two, 3] + reach
            if _least_square(s.w, s.bound[two]) > limit * limit:
                continue
            for j in range(robot.link_first[two], robot.link_first[two + 1]):
                radii = robot.sphere[i, 3] + robot.sphere[j, 3]
                touch = radii + reach
                if touch <= _ZERO or _least_square(s.w, s.centre[j]) >= touch * touch:
                    continue
                for n in range(LANES):
                    s.w[_D, n] = np.sqrt(s.w[_D, n])
                    clear[n] = min(clear[n], s.w[_D, n] - radii)
                if mode == STOP:
                    return
                if mode == CLEARANCE:
                    continue
                for n in range(LANES):
                    inverse = _ONE / (s.w[_D, n] + _TINY)
                    s.w[_NX, n] = (s.w[_CX, n] - s.centre[j, 0, n]) * inverse
                    s.w[_NY, n] = (s.w[_CY, n] - s.centre[j, 1, n]) * inverse
                    s.w[_NZ, n] = (s.w[_CZ, n] - s.centre[j, 2, n]) * inverse
                if body_one > 0 or body_two == 0:
                    _push(s.w, touch, wrench[body_one], cost)
                if body_two > 0:  # no motion helps the base: its wrench is asked of nobody
                    for n in range(LANES):
                        s.w[_NX, n], s.w[_NY, n], s.w[_NZ, n] = -s.w[_NX, n], -s.w[_NY, n], -s.w[_NZ, n]
                    _push(s.w, touch, wrench[body_two], s.spare if body_one > 0 else cost)


class _Scratch(NamedTuple):
    w: np.ndarray
    pose: np.ndarray
    bound: np.ndarray
    box: np.ndarray
    centre: np.ndarray
    ready: np.ndarray
    wrench: np.ndarray
    cost: np.ndarray
    spare: np.ndarray
    clear: np.ndarray
    clear_self: np.ndarray


@njit(cache=True)
def _scratch(q, robot):
    moving, links, spheres = robot.origin.shape[0], robot.link_body.shape[0], robot.sphere.shape[0]
    kind = q.dtype
    return _Scratch(
        np.empty((_ROWS, LANES), kind),
        np.empty((moving + 2, 12, LANES), kind),
        np.empty((links, 3, LANES), kind),
        np.empty((links, 6), kind),
        np.empty((spheres, 3, LANES), kind),
        np.zeros(links, np.bool_),
        np.zeros((moving + 1, 6, LANES), kind),
        np.zeros(LANES, kind),
        np.zeros(LANES, kind),
        np.empty(LANES, kind),
        np.empty(LANES, kind),
    )


@_inner()
def _project(pose, wrench, robot, lo, count, gradient):
    """Turn the bodies' wrenches into joint gradients: axis . (torque - p x force), summed over the bodies behind."""
    for n in range(count):
        for i in range(gradient.shape[1]):
            gradient[lo + n, i] = _ZERO
    for k in range(robot.origin.shape[0], 0, -1):
        parent, source, factor = robot.parent[k - 1], robot.source[k - 1], robot.factor[k - 1]
        for n in range(count):
            x, y, z = pose[k, 2, n], pose[k, 5, n], pose[k, 8, n]
            fx, fy, fz = wrench[k, 0, n], wrench[k, 1, n], wrench[k, 2, n]
            if robot.prismatic[k - 1]:
                gradient[lo + n, source] += factor * (x * fx + y * fy + z * fz)
            else:
                px, py, pz = pose[k, 9, n], pose[k, 10, n], pose[k, 11, n]
                tx = wrench[k, 3, n] - (py * fz - pz * fy)
                ty = wrench[k, 4, n] - (pz * fx - px * fz)
                tz = wrench[k, 5, n] - (px * fy - py * fx)
                gradient[lo + n, source] += factor * (x * tx + y * ty + z * tz)
        if parent > 0:
            for i in range(6):
                for n in range(LANES):
                    wrench[parent, i, n] += wrench[k, i, n]


@_inner()
def _block(q, lo, count, robot, obstacles, scene, reach, self_reach, mode, s):
    """Evaluate configurations q[lo : lo + count] into the scratch arrays."""
    s.ready[:] = False
    s.wrench[:] = _ZERO
    s.cost[:] = _ZERO
    s.clear[:] = reach
    s.clear_self[:] = self_reach
    _forward(q, lo, count, robot, s.pose)
    _bounds(s.pose, robot, s.bound, s.box)
    _world_cost(s.pose, robot, obstacles, scene, reach, s, mode, s.cost, s.clear, s.wrench)
    _self_cost(s.pose, robot, self_reach, s, mode, s.cost, s.clear_self, s.wrench)


@njit(cache=True, fastmath=_FAST, nogil=True)
def evaluate(q, robot, obstacles, scene_of, reach, self_reach, mode, cost, gradient, clear, clear_self):
    """Evaluate q [batch, points, dof], each trajectory in its own scene; outputs [batch, points(, dof)].

    `clear` and `clear_self` are exact below `reach` and `self_reach` and equal to them above. `cost` and `gradient`
    are written only if mode is GRADED.
    """
    for i in range(q.shape[0]):
        s = _scratch(q, robot)
        for lo in range(0, q.shape[1], LANES):
            count = min(LANES, q.shape[1] - lo)
            _block(q[i], lo, count, robot, obstacles, scene_of[i], reach, self_reach, mode, s)
            for n in range(count):
                clear[i, lo + n], clear_self[i, lo + n] = s.clear[n], s.clear_self[n]
            if mode == GRADED:
                for n in range(count):
                    cost[i, lo + n] = s.cost[n]
                _project(s.pose, s.wrench, robot, lo, count, gradient[i])


@njit(cache=True, fastmath=_FAST, nogil=True)
def nearest(q, robot, obstacles, scene, reach, centre, distance, normal):
    """Write, for q [n, dof], the centres [n, s, 3] of the spheres and their distances [n, s] from the nearest obstacle.

    Distances are between surfaces and at most `reach`; `normal` [n, s, 3] is a distance's gradient by the centre, zero
    at `reach`. Spheres of the base link, which no motion can help, count as far.
    """
    distance[:] = reach
    normal[:] = _ZERO
    gives = obstacles.give.shape[0] > 0
    s = _scratch(q, robot)
    for lo in range(0, q.shape[0], LANES):
        count = min(LANES, q.shape[0] - lo)
        s.ready[:] = False
        _forward(q, lo, count, robot, s.pose)
        _bounds(s.pose, robot, s.bound, s.box)
        for link in range(robot.link_body.shape[0]):
            _spheres(s.pose, robot, link, s.centre, s.ready)
            for i in range(robot.link_first[link], robot.link_first[link + 1]):
                for n in range(count):
                    for axis in range(3):
                        centre[lo + n, i, axis] = s.centre[i, axis, n]
            if robot.link_body[link] == 0:
                continue
            for o in range(obstacles.first[scene], obstacles.first[scene + 1]):
                if _far(s.box[link], reach, obstacles.aabb[o]):
                    continue
                _load(s.w, s.bound[link])
                if _distance(s.w, obstacles, o) > reach + robot.bound[link, 3]:
                    continue
                for i in range(robot.link_first[link], robot.link_first[link + 1]):
                    radius = robot.sphere[i, 3]
                    _load(s.w, s.centre[i])
                    if _distance(s.w, obstacles, o) >= reach + radius:
                        continue
                    if gives:
                        _give(s.w, obstacles.give[o, robot.link_of[link]])
                    _normal(s.w, obstacles, o)
                    for n in range(count):
                        if s.w[_D, n] - radius < distance[lo + n, i]:
                            distance[lo + n, i] = s.w[_D, n] - radius
                            normal[lo + n, i, 0] = s.w[_NX, n]
                            normal[lo + n, i, 1] = s.w[_NY, n]
                            normal[lo + n, i, 2] = s.w[_NZ, n]


@njit(cache=True, fastmath=_FAST, nogil=True)
def pull_back(q, robot, force, gradient):
    """Write J^T force: the joint gradient [n, dof] of forces [n, s, 3] on the spheres' centres at q [n, dof]."""
    s = _scratch(q, robot)
    for lo in range(0, q.shape[0], LANES):
        count = min(LANES, q.shape[0] - lo)
        s.ready[:] = False
        s.wrench[:] = _ZERO
        _forward(q, lo, count, robot, s.pose)
        for link in range(robot.link_body.shape[0]):
            _spheres(s.pose, robot, link, s.centre, s.ready)
            wrench = s.wrench[robot.link_body[link]]
            for i in range(robot.link_first[link], robot.link_first[link + 1]):
                for n in range(count):
                    x, y, z = force[lo + n, i, 0], force[lo + n, i, 1], force[lo + n, i, 2]
                    px, py, pz = s.centre[i, 0, n], s.centre[i, 1, n], s.centre[i, 2, n]
                    wrench[0, n] += x
                    wrench[1, n] += y
                    wrench[2, n] += z
                    wrench[3, n] += py * z - pz * y
                    wrench[4, n] += pz * x - px * z
                    wrench[5, n] += px * y - py * x
        _project(s.pose, s.wrench, robot, lo, count, gradient)


@njit(cache=True, fastmath=_FAST, nogil=True)
def frames(q, robot, out):
    """Write T_base_body (rotation row-major, translation) into out [n, moving + 1, 12] at q [n, dof]."""
    pose = np.empty((robot.origin.shape[0] + 2, 12, LANES), q.dtype)
    for lo in range(0, q.shape[0], LANES):
        count = min(LANES, q.shape[0] - lo)
        _forward(q, lo, count, robot, pose)
        for n in range(count):
            for body in range(out.shape[1]):
                for i in range(12):
                    out[lo + n, body, i] = pose[body, i, n]


@njit(cache=True, fastmath=_FAST)
def edge_free(start, end, robot, obstacles, scene, step, margin, self_margin):
    """Whether all configurations on the straight edge (both ends, spacing <= step [rad] in any joint) keep the margins.

    Coarse to fine: each pass of 16 spans the whole edge, so that a blocked edge is left early.
    """
    dof = start.shape[0]
    longest = _ZERO
    for k in range(dof):
        longest = max(longest, abs(end[k] - start[k]) * robot.metric[k])
    blocks = max(int(np.ceil((longest / step + _ONE) / np.float32(LANES))), 1)
    total = blocks * LANES
    q = np.empty((LANES, dof), start.dtype)
    s = _scratch(q, robot)
    for block in range(blocks):
        for n in range(LANES):
            fraction = np.float32(n * blocks + block) / np.float32(max(total - 1, 1))
            for k in range(dof):
                q[n, k] = start[k] + fraction * (end[k] - start[k])
        _block(q, 0, LANES, robot, obstacles, scene, margin, self_margin, STOP, s)
        for n in range(LANES):
            if s.clear[n] < margin or s.clear_self[n] < self_margin:
                return False
    return True


@njit(cache=True, fastmath=_FAST, nogil=True)
def step(q, to, robot, obstacles, scene, reach, self_reach, pushes, longest, lower, upper, floor, self_floor, keeps):
    """Push configurations `to` [n, dof] out of collision, in place, and write into `keeps` [n] whether each may stay.

    A push takes the length at which the linearised cost is halved, no joint further than `longest` [rad]. A
    configuration may stay if it and the middle of its way from q [n, dof] are no nearer to obstacles and between own
    links than `floor` and `self_floor` [n], which are not positive.
    """
    dof = q.shape[1]
    s = _scratch(q, robot)
    slope, middle = np.empty((LANES, dof), q.dtype), np.empty((LANES, dof), q.dtype)
    for lo in range(0, q.shape[0], LANES):
        count = min(LANES, q.shape[0] - lo)
        part = to[lo : lo + count]
        for _ in range(pushes):
            _block(part, 0, count, robot, obstacles, scene, reach, self_reach, GRADED, s)
            most = _ZERO
            for n in range(count):
                most = max(most, s.cost[n])
            if most == _ZERO:
                break
            _project(s.pose, s.wrench, robot, 0, count, slope)
            for n in range(count):
                square = _TINY
                for k in range(dof):
                    slope[n, k] /= robot.metric[k]
                    square += slope[n, k] * slope[n, k]
                far = _ZERO
                for k in range(dof):
                    slope[n, k] *= s.cost[n] / square
                    far = max(far, abs(slope[n, k]))
                scale = longest / max(far, longest)
                for k in range(dof):
                    part[n, k] = min(max(part[n, k] - scale * slope[n, k] / robot.metric[k], lower[k]), upper[k])
        for n in range(count):
            keeps[lo + n] = True
            for k in range(dof):
                middle[n, k] = _HALF * (part[n, k] + q[lo + n, k])
        for looked in (part, middle):
            _block(looked, 0, count, robot, obstacles, scene, _ZERO, _ZERO, CLEARANCE, s)
            for n in range(count):
                if s.clear[n] < floor[lo + n] or s.clear_self[n] < self_floor[lo + n]:
                    keeps[lo + n] = False
