"""Candidates become ways: timed, certified, and told apart, until as many as wanted are found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import TypeAlias

import numpy as np

from diffplan.certificate.certifier import Certifier
from diffplan.geometry.pose import Float
from diffplan.planners.base import Candidate, Planner
from diffplan.planners.reuse import WARM_START
from diffplan.planners.task import Task
from diffplan.planners.ways import Ways
from diffplan.problem import Alternative, Certificate, Judged, Plan, Problem, Status, Trajectory, trajectory_metrics
from diffplan.robot.model import Robot
from diffplan.system.computed import computed
from diffplan.system.progress import working
from diffplan.way_in import WayIn
from diffplan.words import count

FURTHER_ROUNDS = 4
"""How many rounds of a planner the search for alternatives goes on after the one that gave the first way."""
_DEEPEST = 10 / 13  # share of how far the spheres stick out of the links

Retime: TypeAlias = Callable[[Float, Robot], "Trajectory | None"]
Find: TypeAlias = Callable[[Task], Iterator[Candidate]]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Way:
    """A timed candidate, its verdict, and who found it; `certificate.goal_index` counts the goals of the task."""

    trajectory: Trajectory
    control: Float
    certificate: Certificate
    source: str
    planner: Planner


@dataclass(kw_only=True)
class Search:
    """The certified ways found so far, the last candidate that was rejected, and where the time went.

    `asked` is the problem as it was asked, of whose goals the task has those with the numbers `open_goals`; `planner`
    is the planner that was asked. `verdicts` tells of each judged candidate, in order, whether it passed, `untimed` why
    others could not be timed. The motion of `way_in` comes before every candidate's. `retime` uses the share `speed` of
    the limits, and keeps those of jerk where `jerk` says so, and those of the problem's constraints.
    """

    asked: Problem
    planner: Planner
    task: Task
    open_goals: np.ndarray
    certifier: Certifier
    retime: Retime
    way_in: WayIn | None = None
    speed: float = 1.0
    jerk: bool = False
    plan_time: float = 0.0
    certify_time: float = 0.0
    first_path: float | None = None
    ways: list[_Way] = field(default_factory=list)
    rejected: _Way | None = None
    verdicts: list[bool] = field(default_factory=list)
    untimed: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether there are as many ways as wanted."""
        return len(self.ways) > self.task.alternatives

    def reuse(self) -> None:
        """Certify the previous motion as it is, if it leads from start to a goal; the user's costs want it anew.

        The sphere model, which is quick, must not see it deep in collision.
        """
        previous, problem = self.task.previous, self.task.problem
        if previous is None or problem.costs or not np.array_equal(previous.position[0], problem.start):
            return
        if self._compared.room(previous.position) < -_DEEPEST * problem.robot.spheres.outside:
            return
        for index in np.flatnonzero((problem.goals == previous.position[-1]).all(axis=1))[:1]:
            motion = Candidate(control=previous.position, goal_index=int(index), source=WARM_START)
            self._judge(previous, motion, self.planner)

    def run(self, planner: Planner, deadline: float, find: Find | None = None) -> bool:
        """Try what a planner finds until there are enough ways or the time is up; return whether there is one.

        `find` is a part of what the planner finds, if not all of its candidates are wanted.
        """
        if self.complete:
            return True
        clock, last_round = perf_counter(), FURTHER_ROUNDS if self.ways else np.inf
        for candidate in (find or planner.candidates)(replace(self.task, deadline=deadline)):
            if candidate.round > last_round:
                break
            if self.first_path is None:
                self.first_path = candidate.first_path_s
            trajectory = None if self._known(candidate) else self._timed(candidate)
            now = perf_counter()
            self.plan_time += now - clock
            if trajectory is not None:
                self._judge(trajectory, candidate, planner)
            if self.ways:
                last_round = min(last_round, candidate.round + FURTHER_ROUNDS)
            clock = perf_counter()
            if self.complete or clock > deadline:
                break
        self.plan_time += perf_counter() - clock
        return bool(self.ways)

    def answer(self) -> Plan:
        """Return the plan for what was found: of several ways the one of shortest duration, the others behind it."""
        problem = self.asked
        ways = sorted(self.ways, key=lambda way: way.trajectory.duration)
        shown = ways[0] if ways else self.rejected
        certificate = self._certificate(shown) if shown else None
        status = Status.SOLVED if ways else Status.NOT_CERTIFIED if self.rejected else Status.NO_PATH_FOUND
        message = status.advice
        first = {} if self.first_path is None else {"first_path": self.first_path}
        if ways and self.task.alternatives:
            message = f"{message}; {len(ways) - 1} of {count(self.task.alternatives, 'alternative')} found"
        if certificate and certificate.start_words:
            message = f"{message}; {certificate.start_words}"
        if ways and certificate and certificate.contact_words:
            message = f"{message}; {certificate.contact_words}"
        if certificate and not ways:
            message = f"last candidate rejected: {certificate.reason}; {message}"
        if problem.constraints and not ways and not self.planner.keeps_constraints:
            message = f"{message}; {self.planner.name} does not know constraints: paths that break one are rejected"
        if self.untimed and not ways:
            message = f"{count(len(self.untimed), 'path')} could not be timed (the last: {self.untimed[-1]}); {message}"
        return Plan(
            status=status,
            message=message,
            planner=self.planner.name,
            solved_by=self._solved_by(ways[0]) if ways else "",
            robot=problem.robot,
            scene=problem.scene,
            seed=self.task.seed,
            speed=self.speed,
            start=problem.start,
            constraints=problem.constraints,
            goals=problem.goals,
            goal_numbers=problem.goal_numbers,
            trajectory=shown.trajectory if shown else None,
            certificate=certificate,
            metrics=trajectory_metrics(shown.trajectory, problem.robot.metric) if shown else None,
            costs=_costs(problem, shown.trajectory) if shown else {},
            costs_weighed=(ways[0].planner if ways else self.planner).weighs_costs if problem.costs else None,
            timing_s={**first, "plan": self.plan_time, "certify": self.certify_time},
            alternatives=tuple(
                Alternative(
                    trajectory=way.trajectory,
                    certificate=self._certificate(way),
                    metrics=trajectory_metrics(way.trajectory, problem.robot.metric),
                )
                for way in ways[1:]
            ),
            judged=Judged(
                offered=len(self.verdicts),
                rejected=self.verdicts.count(False),
                first_rejected=not self.verdicts[0] if self.verdicts else None,
                untimed=len(self.untimed),
            ),
        )

    def _timed(self, candidate: Candidate) -> Trajectory | None:
        trajectory = self.retime(candidate.control, self.asked.robot)
        if trajectory is None:
            from diffplan.timing import why_untimed  # here, because it imports scipy

            self.untimed.append(why_untimed(candidate.control, self.asked.robot))
        return trajectory

    def _judge(self, trajectory: Trajectory, candidate: Candidate, planner: Planner) -> None:
        """Certify a timed candidate and keep it, as a way or as the last that was rejected."""
        begin = perf_counter()
        goals, start = self.task.problem.goals[[candidate.goal_index]], self.task.problem.start
        tolerance = depth = 0.0
        if self.way_in:
            trajectory, start = self.way_in.then(trajectory), self.way_in.trajectory.position[0]
            tolerance, depth = self.way_in.start_tolerance, self.way_in.start_contact_m
        with working("certifying a path"):
            verdict = self.certifier.certify(
                trajectory,
                start=start,
                goals=goals,
                start_tolerance=tolerance,
                start_contact_m=depth,
                jerk_limited=self.jerk,
                constraints=self.asked.constraints,
            )
        self.certify_time += perf_counter() - begin
        self.verdicts.append(verdict.valid)
        way = _Way(
            trajectory=trajectory,
            control=candidate.control,
            certificate=replace(verdict, goal_index=candidate.goal_index),
            source=candidate.source,
            planner=planner,
        )
        if verdict.valid:
            self.ways.append(way)
        else:
            self.rejected = way

    def _known(self, candidate: Candidate) -> bool:
        """Whether a candidate is a way that is there already."""
        return any(self._compared.same(candidate.control, way.control) for way in self.ways)

    @computed
    def _compared(self) -> Ways:
        return Ways(self.task.model, self.task.world)

    def _solved_by(self, way: _Way) -> str:
        """Return who found a way, as plan files tell it."""
        return way.source if way.planner is self.planner else f"fallback:{way.source}"

    def _certificate(self, way: _Way) -> Certificate:
        """Return the certificate with the goal's index among the goals as they were asked."""
        return replace(way.certificate, goal_index=int(self.open_goals[way.certificate.goal_index]))


def _costs(problem: Problem, trajectory: Trajectory) -> dict[str, float]:
    """Return the user's costs along a trajectory, unweighted, by name."""
    if not problem.costs:
        return {}
    import torch

    q = torch.from_numpy(trajectory.position)[None]
    return {cost.name: float(cost(q)) for cost in problem.costs}
