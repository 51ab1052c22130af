"""Which links' spheres touch each other in configurations of an arm. All lengths in m."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit

from diffplan.geometry.pose import Float
from diffplan.robot.model import Robot


@dataclass(frozen=True, kw_only=True, eq=False)
class Balls:
    """Spheres of many links: `centre` [s, 3] in the links' frames, `radius` [s]; link i has `first[i]:first[i + 1]`."""

    links: tuple[str, ...]
    centre: Float
    radius: Float
    first: np.ndarray

    @staticmethod
    def of(spheres: Mapping[str, tuple[Float, Float]]) -> Balls:
        """Put centres [n, 3] and radii [n] of each link together."""
        return Balls(
            links=tuple(spheres),
            centre=np.concatenate([centre for centre, _ in spheres.values()]),
            radius=np.concatenate([radius for _, radius in spheres.values()]),
            first=np.cumsum([0, *(len(radius) for _, radius in spheres.values())]),
        )

    def near(self, robot: Robot, q: Float, pairs: Sequence[tuple[str, str]], reach: Float | float) -> np.ndarray:
        """Return whether spheres of pairs of links are within reach of each other [n, p] in configurations q [n, dof].

        The reach is that of each pair [p], or of all [m]: at 0 they touch, below they overlap by so much.
        """
        bounds = np.array([self._around(i) for i in range(len(self.links))]).reshape(-1, 4)
        poses, numbers = self._scene(robot, q, pairs)
        reach = np.broadcast_to(np.asarray(reach, dtype=np.float64), len(pairs)).copy()
        return _near(poses, self.centre, self.radius, self.first, numbers, bounds, reach)

    def touching(self, robot: Robot, q: Float, pairs: Sequence[tuple[str, str]], of: np.ndarray) -> np.ndarray:
        """Return for each sphere in how many configurations q [n, dof] it touches the other link of a pair.

        Pairs count where `of` [n, p] is true.
        """
        poses, numbers = self._scene(robot, q, pairs)
        return _touching(poses, self.centre, self.radius, self.first, numbers, of)

    def _scene(self, robot: Robot, q: Float, pairs: Sequence[tuple[str, str]]) -> tuple[Float, np.ndarray]:
        """Return the links' poses [n, links, 3, 4], and the numbers of the links of each pair [p, 2]."""
        poses = np.ascontiguousarray(robot.link_poses(q, self.links)[:, :, :3])
        numbers = np.array([self.links.index(link) for pair in pairs for link in pair], dtype=np.int64).reshape(-1, 2)
        return poses, numbers

    def _around(self, link: int) -> Float:
        """Return a ball [4] around the spheres of a link."""
        own = slice(self.first[link], self.first[link + 1])
        middle = (self.centre[own].min(axis=0) + self.centre[own].max(axis=0)) / 2
        return np.array([*middle, (np.linalg.norm(self.centre[own] - middle, axis=1) + self.radius[own]).max()])


@njit(cache=True, nogil=True)
def _placed(pose, centre):
    found = np.empty_like(centre)
    for s in range(len(centre)):
        for k in range(3):
            found[s, k] = pose[k, 0] * centre[s, 0] + pose[k, 1] * centre[s, 1] + pose[k, 2] * centre[s, 2] + pose[k, 3]
    return found


@njit(cache=True, nogil=True)
def _near(poses, centre, radius, first, pairs, bounds, reach):
    """Return which pairs are near [n, p]; `bounds` [links, 4] are balls around the spheres of a link."""
    found = np.zeros((len(poses), len(pairs)), np.bool_)
    placed, middles = np.empty_like(centre), np.empty((len(bounds), 3))
    for n in range(len(poses)):
        for link in range(len(bounds)):
            placed[first[link] : first[link + 1]] = _placed(poses[n, link], centre[first[link] : first[link + 1]])
            middles[link] = _placed(poses[n, link], bounds[link : link + 1, :3])[0]
        for p in range(len(pairs)):
            a, b = pairs[p]
            if _within(middles[a], middles[b], reach[p] + bounds[a, 3] + bounds[b, 3]):
                one, other = slice(first[a], first[a + 1]), slice(first[b], first[b + 1])
                ball = middles[b], bounds[b, 3]
                found[n, p] = _meet(placed[one], radius[one], placed[other], radius[other], ball, reach[p])
    return found


@njit(cache=True, nogil=True)
def _meet(centre, radius, others, radii, ball, reach):
    """Return whether one of the spheres is within reach of one of the others, which are in a ball."""
    for i in range(len(radius)):
        if _within(centre[i], ball[0], reach + radius[i] + ball[1]):
            for j in range(len(radii)):
                if _within(centre[i], others[j], reach + radius[i] + radii[j]):
                    return True
    return False


@njit(cache=True, nogil=True)
def _within(one, other, reach):
    square = 0.0
    for k in range(3):
        square += (one[k] - other[k]) ** 2
    return reach >= 0 and square <= reach * reach


@njit(cache=True, nogil=True)
def _touching(poses, centre, radius, first, pairs, of):
    counts = np.zeros(len(radius), np.int64)
    for n in range(len(poses)):
        touches = np.zeros(len(radius), np.bool_)
        for p in range(len(pairs)):
            if not of[n, p]:
                continue
            a, b = pairs[p]
            one = _placed(poses[n, a], centre[first[a] : first[a + 1]])
            other = _placed(poses[n, b], centre[first[b] : first[b + 1]])
            for i in range(len(one)):
                for j in range(len(other)):
                    reach, square = radius[first[a] + i] + radius[first[b] + j], 0.0
                    for k in range(3):
                        square += (one[i, k] - other[j, k]) ** 2
                    if square <= reach * reach:
                        touches[first[a] + i] = touches[first[b] + j] = True
        counts += touches
    return counts
