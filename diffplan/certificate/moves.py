"""How links move along a path, compiled: what motion_bound.py and interpolation.py prove, reckoned here.

The certificate's own forward kinematics too, which is compared with PyBullet's (`Stage.check_kinematics`). Nothing here
is shared with the planners' kernels.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numba import njit

from diffplan.curves.steps import Steps
from diffplan.geometry.pose import Float
from diffplan.robot.model import Chain
from diffplan.system.compiled import inner

_STRETCH = 8
_ROUNDED = 1e-12


class Joints(NamedTuple):
    """The moving joints of a robot, as in `robot.Chain`."""

    parent: np.ndarray
    origin: Float
    axis: Float
    prismatic: np.ndarray
    carried: np.ndarray

    @staticmethod
    def of(chain: Chain) -> Joints:
        """Return those of a chain, in the types that the functions are compiled for."""
        return Joints(
            parent=np.ascontiguousarray(chain.parent, dtype=np.int64),
            origin=np.ascontiguousarray(chain.origin, dtype=np.float64),
            axis=np.ascontiguousarray(chain.axis, dtype=np.float64),
            prismatic=np.ascontiguousarray(chain.prismatic, dtype=np.bool_),
            carried=np.ascontiguousarray(chain.carried, dtype=np.bool_),
        )


class Spheres(NamedTuple):
    """Spheres in which the links lie, as in `motion_bound.Cover`."""

    body: np.ndarray
    centre: Float
    radius: Float

    @staticmethod
    def of(body: np.ndarray, centre: Float, radius: Float) -> Spheres:
        """Return them in the types that the functions are compiled for."""
        return Spheres(
            body=np.ascontiguousarray(body, dtype=np.int64),
            centre=np.ascontiguousarray(centre, dtype=np.float64),
            radius=np.ascontiguousarray(radius, dtype=np.float64),
        )


@njit(cache=True)
def poses(joints: Joints, values: Float) -> Float:
    """Return T_base_body [n, bodies, 4, 4] where the moving joints stand at values [n, moving] (rad or m)."""
    n, moving = values.shape
    found = np.zeros((n, moving + 1, 4, 4))
    turn, local = np.empty((3, 3)), np.empty((3, 4))
    for s in range(n):
        for k in range(moving + 1):
            found[s, k, 3, 3] = 1.0
        for r in range(3):
            found[s, 0, r, r] = 1.0
        for k in range(moving):
            x, y, z = joints.axis[k]
            sine, versine, slide = 0.0, 0.0, 0.0
            if joints.prismatic[k]:
                slide = values[s, k]
            else:
                sine, versine = np.sin(values[s, k]), 1 - np.cos(values[s, k])
            turn[0, 0], turn[1, 1], turn[2, 2] = y * y + z * z, x * x + z * z, x * x + y * y
            for r in range(3):
                turn[r, r] = 1 - versine * turn[r, r]
            turn[0, 1], turn[1, 0] = versine * x * y - sine * z, versine * x * y + sine * z
            turn[0, 2], turn[2, 0] = versine * x * z + sine * y, versine * x * z - sine * y
            turn[1, 2], turn[2, 1] = versine * y * z - sine * x, versine * y * z + sine * x
            T = joints.origin[k]
            for r in range(3):
                for c in range(3):
                    local[r, c] = T[r, 0] * turn[0, c] + T[r, 1] * turn[1, c] + T[r, 2] * turn[2, c]
                local[r, 3] = T[r, 3] + slide * (T[r, 0] * x + T[r, 1] * y + T[r, 2] * z)
            before = found[s, joints.parent[k]]
            for r in range(3):
                for c in range(4):
                    found[s, k + 1, r, c] = (
                        before[r, 0] * local[0, c] + before[r, 1] * local[1, c] + before[r, 2] * local[2, c]
                    )
                found[s, k + 1, r, 3] += before[r, 3]
    return found


@inner()
def _put(pose: Float, point: Float, found: Float) -> None:
    """Set `found` [3] to where a point [3] of a body is, with its pose [4, 4]."""
    for r in range(3):
        found[r] = pose[r, 0] * point[0] + pose[r, 1] * point[1] + pose[r, 2] * point[2] + pose[r, 3]


@inner()
def _axis_distances(joints: Joints, spheres: Spheres, bodies: Float, found: Float, room: Float) -> None:
    """Set `found` [links, s, moving] to the largest distance of each sphere's points from the axis of each joint that
    moves it, the bodies being at their poses [bodies, 4, 4] (m); `room` [3, 3] is used by the way.
    """
    place, axis, centre = room[0], room[1], room[2]
    for k in range(len(joints.parent)):
        before, T = bodies[joints.parent[k]], joints.origin[k]
        for r in range(3):
            centre[r] = T[r, 3]
        _put(before, centre, place)
        for r in range(3):
            centre[r] = T[r, 0] * joints.axis[k, 0] + T[r, 1] * joints.axis[k, 1] + T[r, 2] * joints.axis[k, 2]
        for r in range(3):
            axis[r] = before[r, 0] * centre[0] + before[r, 1] * centre[1] + before[r, 2] * centre[2]
        for link in range(len(spheres.body)):
            if not joints.carried[spheres.body[link], k]:
                continue
            for i in range(spheres.radius.shape[1]):
                _put(bodies[spheres.body[link]], spheres.centre[link, i], centre)
                x, y, z = centre[0] - place[0], centre[1] - place[1], centre[2] - place[2]
                u, v, w = y * axis[2] - z * axis[1], z * axis[0] - x * axis[2], x * axis[1] - y * axis[0]
                found[link, i, k] = np.sqrt(u * u + v * v + w * w) + spheres.radius[link, i]


@njit(cache=True)
def reaches(joints: Joints, spheres: Spheres, bodies: Float, values: Float) -> Float:
    """Return what `motion_bound.farthest` does, of a path with these poses of the bodies [n, bodies, 4, 4] where the
    moving joints stand at values [n, moving].
    """
    n, moving = values.shape
    links, count = spheres.radius.shape
    reach = np.zeros((n - 1, links, moving))
    start, end = np.zeros((links, count, moving)), np.zeros((links, count, moving))
    turned, grown, room = np.empty(moving), np.empty(count), np.empty((3, 3))
    _axis_distances(joints, spheres, bodies[0], start, room)
    for first in range(0, n - 1, _STRETCH):
        last = min(first + _STRETCH, n - 1)
        _axis_distances(joints, spheres, bodies[last], end, room)
        turned[:] = 0.0
        for s in range(first, last):
            for k in range(moving):
                turned[k] += abs(values[s + 1, k] - values[s, k])
        for link in range(links):
            grown[:] = 0.0
            for k in range(moving - 1, -1, -1):  # parents come before children
                if not joints.carried[spheres.body[link], k]:
                    continue
                most = 0.0
                for i in range(count):
                    away = 1.0 if joints.prismatic[k] else (start[link, i, k] + end[link, i, k] + grown[i]) / 2
                    most = max(most, away)
                    grown[i] += away * turned[k]
                for s in range(first, last):
                    reach[s, link, k] = most
        start, end = end, start
    return reach


@njit(cache=True)
def lengths(joints: Joints, spheres: Spheres, bodies: Float, values: Float, reach: Float) -> Float:
    """Return what `motion_bound.length` does, with `reach` as of `reaches`."""
    n, moving = values.shape
    links, count = spheres.radius.shape
    found, swing, before, after = np.zeros((n, links)), np.empty(bodies.shape[1]), np.empty(3), np.empty(3)
    for s in range(n - 1):
        for b in range(len(swing)):
            square = 0.0
            for r in range(3):
                for c in range(3):
                    square += (bodies[s + 1, b, r, c] - bodies[s, b, r, c]) ** 2
            swing[b] = np.sqrt(square / 2)
        for link in range(links):
            body = spheres.body[link]
            alone, bend, turned, chord = 0.0, 0.0, 0.0, 0.0
            for k in range(moving):
                if not joints.carried[body, k]:
                    continue
                step = abs(values[s + 1, k] - values[s, k])
                turn = 0.0 if joints.prismatic[k] else step
                alone += reach[s, link, k] * step
                bend += reach[s, link, k] * step * (2 * turned + turn)
                turned += turn
            for i in range(count):
                _put(bodies[s, body], spheres.centre[link, i], before)
                _put(bodies[s + 1, body], spheres.centre[link, i], after)
                square = (after[0] - before[0]) ** 2 + (after[1] - before[1]) ** 2 + (after[2] - before[2]) ** 2
                chord = max(chord, np.sqrt(square) + spheres.radius[link, i] * swing[body])
            found[s + 1, link] = found[s, link] + min(alone, chord + bend / 2 + _ROUNDED)
    return found


@njit(cache=True)
def widened(joints: Joints, spheres: Spheres, reach: Float, aside: Float) -> Float:
    """Return R'_k of `interpolation.beside` [n - 1, links, moving], for deviations `aside` [n - 1, moving]."""
    found = reach.copy()
    for s in range(len(reach)):
        for link in range(reach.shape[1]):
            grown = 0.0
            for k in range(reach.shape[2] - 1, -1, -1):
                if not joints.prismatic[k] and joints.carried[spheres.body[link], k]:
                    found[s, link, k] += grown
                grown += found[s, link, k] * aside[s, k]
    return found


@cache
def load_compiled() -> None:
    """Compile what looks at a path, or load it from the cache, so that no certificate waits for it."""
    joints = Joints(
        parent=np.zeros(1, np.int64),
        origin=np.eye(4)[None],
        axis=np.array([[0.0, 0.0, 1.0]]),
        prismatic=np.zeros(1, np.bool_),
        carried=np.array([[False], [True]]),
    )
    spheres, values = Spheres(np.ones(1, np.int64), np.zeros((1, 1, 3)), np.ones((1, 1))), np.zeros((2, 1))
    bodies = poses(joints, values)
    reach = reaches(joints, spheres, bodies, values)
    lengths(joints, spheres, bodies, values, reach)
    widened(joints, spheres, reach, values[1:])
    Steps.of(values[:, 0], values, values)
