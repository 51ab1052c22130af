"""Trees that stay in constraints: CBiRRT, and shortcuts that stay in them too.

Berenson, Srinivasa, Kuffner, "Task Space Regions: a framework for pose-constrained manipulation planning", IJRR 2011,
algorithms 1 and 2: two trees grow towards random configurations and towards each other in short steps, each projected
back into the constraints.
"""

from __future__ import annotations

import time

import numpy as np

from diffplan.geometry.pose import Float
from diffplan.keeping import Keeper
from diffplan.planners.trees import Checker

_STEP = 0.25  # [rad] of a tree before it is projected
_LEAST = 0.05  # share of a step by which each has to come nearer
_LONGEST = 2.0  # steps that a projection may make of one
_BETWEEN = 4  # places of an edge at which constraints are looked at


class ConstrainedTrees:
    """Joins a start to goals by polylines of short edges that are free and in the constraints.

    Args:
        checker: whether edges are free.
        keeper: the constraints.
        rng: source of random configurations.
        deadline: when the search ends, in s of `time.perf_counter`.
    """

    def __init__(self, checker: Checker, keeper: Keeper, rng: np.random.Generator, deadline: float = np.inf) -> None:
        self.checker, self.keeper, self.rng, self.deadline = checker, keeper, rng, deadline
        self.robot = checker.model.robot

    def path(self, start: Float, goals: Float, iterations: int) -> Float | None:
        """Return a polyline [m, dof] from start [dof] to one of goals [k, dof]; None within so many iterations."""
        one, other = _Tree(start[None]), _Tree(goals)
        begins = one
        for _ in range(iterations):
            if time.perf_counter() > self.deadline:
                return None
            target = self.rng.uniform(self.robot.lower, self.robot.upper)
            reached = self._grow(one, one.nearest(target, self.robot.metric), target)
            at = one.q[reached]
            met = self._grow(other, other.nearest(at, self.robot.metric), at)
            if np.array_equal(other.q[met], at):
                first, second = one.back(reached), other.back(met)
                if one is not begins:
                    first, second = second, first
                return np.concatenate([first[::-1], second[1:]])
            one, other = other, one
        return None

    def shortened(self, path: Float, attempts: int) -> Float:
        """Return a polyline no longer than `path`: places of it joined by shorter ways within the constraints."""
        for _ in range(attempts):
            if len(path) < 3 or time.perf_counter() > self.deadline:
                break
            i, j = np.sort(self.rng.integers(0, len(path), 2))
            if j - i < 2:
                continue
            tree = _Tree(path[i : i + 1])
            reached = self._grow(tree, 0, path[j])
            if not np.array_equal(tree.q[reached], path[j]):
                continue
            way = tree.back(reached)[::-1]
            if self._length(way) < self._length(path[i : j + 1]) - 1e-3:
                path = np.concatenate([path[:i], way, path[j + 1 :]])
        return path

    def _length(self, path: Float) -> float:
        return float(np.linalg.norm(np.diff(path, axis=0) * self.robot.metric, axis=1).sum())

    def _grow(self, tree: _Tree, node: int, target: Float) -> int:
        """Grow the tree from a node towards a target [dof] as far as steps come nearer; returns the last node."""
        metric, here = self.robot.metric, tree.q[node]
        away = float(np.linalg.norm((target - here) * metric))
        while away > 0:
            if away <= _STEP:
                there = target
            else:
                moved = np.clip(here + (target - here) * (_STEP / away), self.robot.lower, self.robot.upper)
                projected, inside = self.keeper.projected(moved[None])
                if not inside[0]:
                    break
                there = projected[0]
            left = float(np.linalg.norm((target - there) * metric))
            far = float(np.linalg.norm((there - here) * metric))
            if left > away - _LEAST * _STEP or far > _LONGEST * _STEP or not self._edge(here, there):
                break
            node, here, away = tree.add(there, node), there, left
        return node

    def _edge(self, a: Float, b: Float) -> bool:
        share = np.linspace(0.0, 1.0, _BETWEEN + 2)[1:-1, None]
        if self.keeper.worst(a + share * (b - a), margin=False).max() > 0:
            return False
        return self.checker.edge_free(a, b)


class _Tree:
    """Nodes [n, dof] and their parents; the roots, which are there from the beginning, have none (-1)."""

    def __init__(self, roots: Float) -> None:
        self._q = np.concatenate([roots, np.zeros((max(64, len(roots)), roots.shape[1]))])
        self.count = len(roots)
        self.parent = [-1] * len(roots)

    @property
    def q(self) -> Float:
        return self._q[: self.count]

    def add(self, q: Float, parent: int) -> int:
        if self.count == len(self._q):
            self._q = np.concatenate([self._q, np.zeros_like(self._q)])
        self._q[self.count] = q
        self.parent.append(parent)
        self.count += 1
        return self.count - 1

    def nearest(self, q: Float, metric: Float) -> int:
        return int(np.argmin((((self.q - q) * metric) ** 2).sum(axis=1)))

    def back(self, node: int) -> Float:
        """Return the nodes [m, dof] from this one to its root."""
        way = [node]
        while self.parent[way[-1]] >= 0:
            way.append(self.parent[way[-1]])
        return self.q[way].copy()
