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

    def gaps(self, robot: Robot, q: Float, pairs: Sequence[tuple[str, str]], sight: float) -> Float:
        """Return the least gap [n, p] between spheres of pairs of links in configurations q [n, dof].

        It is negative where they overlap, and at most `sight`.
        """
        bounds = [self._around(i) for i in range(len(self.links))]
        poses, numbers = self._scene(robot, q, pairs)
        bounds = np.array(bounds).reshape(-1, 4)
        return _gaps(poses, self.centre, self.radius, self.first, numbers, bounds, sight)

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
def _gaps(poses, centre, radius, first, pairs, bounds, sight):
    """Return the gaps [n, p]; `bounds` [links, 4] are balls around the spheres of a link."""
    found = np.full((len(poses), len(pairs)), sight)
    placed, middles = np.empty_like(centre), np.empty((len(bounds), 3))
    for n in range(len(poses)):
        for link in range(len(bounds)):
            placed[first[link] : first[link + 1]] = _placed(poses[n, link], centre[first[link] : first[link + 1]])
            middles[link] = _placed(poses[n, link], bounds[link : link + 1, :3])[0]
        for p in range(len(pairs)):
            a, b = pairs[p]
            apart = np.sqrt(((middles[a] - middles[b]) ** 2).sum())
            if apart - bounds[a, 3] - bounds[b, 3] >= sight:
                continue
            least = sight
            for i in range(first[a], first[a + 1]):
                to_bound = 0.0
                for k in range(3):
                    to_bound += (placed[i, k] - middles[b, k]) ** 2
                if np.sqrt(to_bound) - radius[i] - bounds[b, 3] >= least:
                    continue
                for j in range(first[b], first[b + 1]):
                    reach, square = least + radius[i] + radius[j], 0.0
                    for k in range(3):
                        square += (placed[i, k] - placed[j, k]) ** 2
                    if reach > 0 and square < reach * reach:
                        least = np.sqrt(square) - radius[i] - radius[j]
            found[n, p] = least
    return found


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
