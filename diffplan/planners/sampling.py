"""The sampling planners: OMPL's search on our compiled checks, shortcuts, a B-spline that stays where it is free."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np
from typing_extensions import Self

from diffplan.collision.cpu import CollisionModel, Obstacles
from diffplan.curves import spline
from diffplan.geometry.pose import Float
from diffplan.planners.base import Candidate, Options, Planner
from diffplan.planners.constrained import ConstrainedTrees
from diffplan.planners.ompl import geometric as og
from diffplan.planners.optimal import (
    AORRTCConfig,
    BITStarConfig,
    OptimisingConfig,
    RRTStarConfig,
    aorrtc,
    bit_star,
    rrt_star,
)
from diffplan.planners.options import configured, require_positive
from diffplan.planners.picking import tight
from diffplan.planners.polyline import length, resample, rounded, shortcut
from diffplan.planners.roadmap import PRMStarConfig, prm_star
from diffplan.planners.task import Task
from diffplan.planners.trees import Checker, OmplQuery, connect
from diffplan.problem import Problem
from diffplan.refinement import RefineConfig, Refiner

_MARGINS = (0.0, 0.625, 1.25, 1.875)
"""Margins beyond the ends' own, as shares of what the spheres leave uncovered of the links: the certificate wants some
distance, narrow places allow none."""
_SELF_MARGIN = 0.625  # likewise, at most
_SHORTCUTS = 60  # attempts after OMPL's simplification
_SIMPLIFY = 2_000  # turns of OMPL's simplification at most
_SPACINGS = (0.6, 0.3, 0.15, 0.08, 0.04)  # [rad] between control points, the smoothest curve first
_SLACK = 0.001  # [m] the ends may touch the margin
_DEEPEST = 1.5  # shares of how far the spheres stick out: an end deeper than this is in collision
_LEAST_CONTROLS, _MOST_CONTROLS = 16, 64  # of paths within constraints
_SAMPLING = 0.02  # [rad] between checks on the curve


@dataclass(frozen=True, kw_only=True)
class RRTConnectConfig:
    """Options of RRT-Connect: longest tree edge `range` [rad].

    An attempt gives up after `iterations` turns of OMPL's loop (later attempts take more). `simplify`: OMPL's path
    simplification, and a few shortcuts.
    """

    iterations: int = 2_000
    range: float = 1.0
    simplify: bool = True

    def __post_init__(self) -> None:
        require_positive(self, "iterations", "range")


Config = TypeVar("Config", bound="RRTConnectConfig | OptimisingConfig")


@dataclass(frozen=True, kw_only=True, eq=False)
class _Ends:
    """Start and goals [k, dof] that are clear enough, the goals' indices, and the margins [m] they allow."""

    start: Float
    goals: Float
    index: np.ndarray
    margin: float
    self_margin: float


class SamplingPlanner(Planner, Generic[Config]):
    """A planner of OMPL with new seeds and margins until the deadline, simplification, shortcuts and rounding.

    The sphere model is a little larger than the robot, so an end may seem to touch; the allowed depth is what the ends
    need. Attempts with a larger margin first leave such ends along the collision gradient.
    """

    keeps_constraints = True
    defaults: Config

    def __init__(self, config: Config | None = None) -> None:
        self.config: Config = self.defaults if config is None else config

    @classmethod
    def from_options(cls, options: Options) -> Self:
        """Return the planner with some of its options changed.

        Raises:
            InputError: for an unknown option, or a value that makes no sense.
        """
        return cls(configured(cls.defaults, options, cls.name))

    @abstractmethod
    def search(self, query: OmplQuery, iterations: int) -> og.PathGeometric | None:
        """Return OMPL's best path, None if none is found in so many iterations."""

    def prepare(self, task: Task) -> None:
        """Pack the robot and compile the kernel."""
        q = task.problem.start
        task.model.free(task.world, q)
        task.model.clearance(task.world, q[None])

    def candidates(self, task: Task) -> Iterator[Candidate]:
        """Yield paths as they are found; the deadline ends the search."""
        model, world, deadline = task.model, task.world, task.deadline
        ends = _ends(model, world, task.problem)
        if ends is None:
            return
        rng = task.rng()
        uncovered = task.problem.robot.spheres.uncovered
        begin, first_path = time.perf_counter(), None
        attempt = failures = 0
        level = 1
        while time.perf_counter() < deadline:
            attempt += 1
            extra, most = _MARGINS[level] * uncovered, _SELF_MARGIN * uncovered
            checker = Checker(
                model=model,
                world=world,
                margin=ends.margin + extra,
                self_margin=min(ends.self_margin + extra, most),
                keeper=task.keeper or None,
            )
            iterations = self.config.iterations * (failures + 1) ** 2
            path, found_at = self._path(checker, ends, rng, iterations=iterations, deadline=deadline)
            if found_at is not None and first_path is None:
                first_path = found_at - begin
            control = None if path is None else _curve(checker, ends, path)
            if control is None:
                failures += 1
                level = max(level - 1, 0)
                continue
            goal = int(np.argmin(model.robot.distance(control[-1], ends.goals)))
            control[-1] = ends.goals[goal]
            yield Candidate(
                control=control,
                goal_index=int(ends.index[goal]),
                source=self.name,
                round=attempt,
                first_path_s=first_path,
            )
            level = min(level + 1, len(_MARGINS) - 1)  # one more is wanted, most likely for want of clearance

    def _path(
        self, checker: Checker, ends: _Ends, rng: np.random.Generator, *, iterations: int, deadline: float
    ) -> tuple[Float | None, float | None]:
        """Return a polyline [m, dof], and when there was a first one [s, perf_counter]; None if there is none.

        It keeps the checker's margins but for the ways out of the ends.
        """
        robot = checker.model.robot
        loose = replace(checker, margin=ends.margin, self_margin=ends.self_margin)
        start = retreat(checker, loose, ends.start)
        goals = [retreat(checker, loose, goal) for goal in ends.goals]
        kept = [i for i, goal in enumerate(goals) if goal is not None]
        if start is None or not kept:
            return None, None
        targets = np.array([goals[i] for i in kept])
        query = OmplQuery(checker, start, targets, seed=int(rng.integers(2**31 - 2)), deadline=deadline)
        found = self.search(query, iterations)
        if found is None:
            return None, None
        path = query.polyline(found, simplify=_SIMPLIFY if self.config.simplify else 0)
        if self.config.simplify:
            path = shortcut(path, checker.edge_free, rng, attempts=_SHORTCUTS, metric=query.metric)
        goal = ends.goals[kept[int(np.argmin(robot.distance(path[-1], targets)))]]
        head = [] if np.array_equal(start, ends.start) else [ends.start]
        tail = [] if np.allclose(path[-1], goal, rtol=0.0, atol=1e-9) else [goal]
        return np.vstack([*head, path, *tail]), query.found_at


class RRTConnectPlanner(SamplingPlanner[RRTConnectConfig]):
    """RRT-Connect (Kuffner and LaValle, ICRA 2000); it stops at its first path."""

    name = "rrtconnect"
    defaults = RRTConnectConfig()

    def candidates(self, task: Task) -> Iterator[Candidate]:
        """Yield paths as they are found; in constraints those of trees that are projected into them, drawn tight."""
        return in_constraints(task, self.config.iterations, self.name) if task.keeper else super().candidates(task)

    def search(self, query: OmplQuery, iterations: int) -> og.PathGeometric | None:
        """Return the first path."""
        return connect(query, range=self.config.range, iterations=iterations)


class RRTStarPlanner(SamplingPlanner[RRTStarConfig]):
    """RRT* (Karaman and Frazzoli, IJRR 2011)."""

    name = "rrtstar"
    defaults = RRTStarConfig()

    def search(self, query: OmplQuery, iterations: int) -> og.PathGeometric | None:
        """Return the path when improving it ends."""
        return rrt_star(query, self.config, iterations)


class BITStarPlanner(SamplingPlanner[BITStarConfig]):
    """BIT* (Gammell, Srinivasa and Barfoot, ICRA 2015)."""

    name = "bitstar"
    defaults = BITStarConfig()

    def search(self, query: OmplQuery, iterations: int) -> og.PathGeometric | None:
        """Return the path when improving it ends."""
        return bit_star(query, self.config, iterations)


class AORRTCPlanner(SamplingPlanner[AORRTCConfig]):
    """AORRTC (Wilson et al., RA-L 2025)."""

    name = "aorrtc"
    defaults = AORRTCConfig()

    def search(self, query: OmplQuery, iterations: int) -> og.PathGeometric | None:
        """Return the path when improving it ends."""
        return aorrtc(query, self.config, iterations)


class PRMStarPlanner(SamplingPlanner[PRMStarConfig]):
    """PRM* (Karaman and Frazzoli, IJRR 2011)."""

    name = "prmstar"
    defaults = PRMStarConfig()

    def search(self, query: OmplQuery, iterations: int) -> og.PathGeometric | None:
        """Return the path when improving it ends."""
        return prm_star(query, self.config, iterations)


def in_constraints(task: Task, iterations: int, source: str) -> Iterator[Candidate]:
    """Yield paths within a task's constraints until its deadline: by CBiRRT, shortened, fitted and drawn tight."""
    model, world, rng, problem = task.model, task.world, task.rng(), task.problem
    ends = _ends(model, world, problem)
    if ends is None:
        return
    begin, first_path, attempt = time.perf_counter(), None, 0
    refiner = Refiner(model, world, RefineConfig(stop_share=1.0), keeper=task.keeper, deadline=task.deadline)
    while time.perf_counter() < task.deadline:
        attempt += 1
        extra = _MARGINS[attempt % len(_MARGINS)] * problem.robot.spheres.uncovered
        checker = Checker(model=model, world=world, margin=ends.margin, self_margin=ends.self_margin)
        trees = ConstrainedTrees(checker, task.keeper, rng, task.deadline)
        path = trees.path(ends.start, ends.goals, iterations * attempt)
        if path is None:
            continue
        if first_path is None:
            first_path = time.perf_counter() - begin
        path = trees.shortened(path, _SHORTCUTS)
        metric = problem.robot.metric
        number = min(max(_LEAST_CONTROLS, int(np.ceil(length(path, metric) / _SPACINGS[1]))), _MOST_CONTROLS)
        control = spline.fit_within(
            resample(path, 8 * number, metric), number, problem.robot.lower, problem.robot.upper
        )
        goal = int(np.argmin(problem.robot.distance(path[-1], ends.goals)))
        kept = refiner.with_config(replace(refiner.config, clearance=extra))
        found = tight(kept, kept.push(control[None]), ends.index[[goal]], most=1, source=source, different=False)
        yield from (replace(one, round=attempt, first_path_s=first_path) for one in found)


def _ends(model: CollisionModel, world: Obstacles, problem: Problem) -> _Ends | None:
    """Return the usable ends; None if the start or every goal is outside the limits or deep in collision."""
    q = np.vstack([problem.start, problem.goals])
    inside = np.all((q >= problem.robot.lower - 1e-9) & (q <= problem.robot.upper + 1e-9), axis=1)
    obstacle, own = (np.minimum(clearance, 0.0) for clearance in model.clearance(world, q))
    deepest = -np.ceil(1000 * _DEEPEST * problem.robot.spheres.outside) / 1000
    usable = inside & (np.minimum(obstacle, own) > deepest)
    index = np.flatnonzero(usable[1:])
    if not usable[0] or len(index) == 0:
        return None
    chosen = np.concatenate([[0], index + 1])
    return _Ends(
        start=problem.start,
        goals=problem.goals[index],
        index=index,
        margin=float(obstacle[chosen].min()) - _SLACK,
        self_margin=float(own[chosen].min()) - _SLACK,
    )


def retreat(checker: Checker, loose: Checker, q: Float, *, steps: int = 40) -> Float | None:
    """Return a configuration near q [dof] that keeps `checker`'s margins, joined to q by an edge free for `loose`.

    Small steps along the collision gradient; q itself if it keeps the margins, None if no way out is found.
    """
    robot = checker.model.robot
    here = q.copy()
    for _ in range(steps):
        if checker.free(here):
            return here if loose.edge_free(q, here) else None
        found = checker.model.evaluate(
            checker.world,
            here[None, None].astype(np.float32),
            np.array([checker.scene]),
            activation=max(checker.margin, 0.0) + 0.01,
            self_activation=max(checker.self_margin, 0.0) + 0.01,
        )
        gradient = found.gradient[0, 0].astype(np.float64)
        gradient /= robot.metric  # rad
        norm = float(np.abs(gradient).max())
        if norm < 1e-12:
            return None
        here = np.clip(here - 0.02 * gradient / norm / robot.metric, robot.lower, robot.upper)
    return None


def _curve(checker: Checker, ends: _Ends, path: Float) -> Float | None:
    """Return the smoothest B-spline along a polyline that keeps the margins (the ends' own ones near the ends)."""
    metric = checker.model.robot.metric
    total = length(path, metric)
    if total < 1e-6:
        return spline.straight(path[0], path[-1], 8)
    points = int(np.ceil(total / _SAMPLING)) + 2
    cap = max(checker.margin, checker.self_margin, 0.0) + 0.01  # more need not be known
    for spacing in _SPACINGS:
        control = rounded(path, spacing, metric)
        curve = spline.basis(len(control), points) @ control
        obstacle, own = checker.model.clearance(checker.world, curve, checker.scene, cap=cap)
        away = np.minimum(*(np.abs((curve - end) * metric).max(axis=1) for end in (path[0], path[-1])))
        near = away < 0.4
        if checker.keeper and checker.keeper.worst(curve[~near]).max(initial=0.0) > 0:
            continue
        if np.all(obstacle >= np.where(near, ends.margin, checker.margin - _SLACK)) and np.all(
            own >= np.where(near, ends.self_margin, checker.self_margin - _SLACK)
        ):
            return control
    return None
