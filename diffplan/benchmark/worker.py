"""The worker of a benchmark: loads the suite once, warms each planner up, then plans what it is sent."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

from diffplan.benchmark.motion import dense_contact, measure_motion
from diffplan.benchmark.results import ResultRow
from diffplan.benchmark.suites import Case, load_cases
from diffplan.formats.plan_file import plan_text
from diffplan.planners.base import Options
from diffplan.problem import Plan
from diffplan.system.executor import Work
from diffplan.system.files import NotWritten

_WARM_UP_SEED = 2**31 - 1


@dataclass(frozen=True, kw_only=True)
class BenchmarkSettings:
    """What all runs of a benchmark share.

    `suite` is what `load_cases` takes, `robot` the robot where it names none. Planners with their `options` have
    `timeout` [s] each, with or without the `fallback` of a helper; plans go into `folder`. `dense_check` is a joint
    step [rad], None for no dense check.

    With `variants_of`, what jobs and rows call planners are variants of this planner, which differ in their options;
    their plans, thousands of them, are neither kept nor executed.
    """

    suite: str
    robot: str | None
    timeout: float
    fallback: bool
    options: dict[str, Options]
    dense_check: float | None
    folder: Path
    variants_of: str | None = None


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run: a planner on the case with this index (and its id, for rows of workers that died), with this seed."""

    planner: str
    case: int
    problem: str
    seed: int

    @property
    def key(self) -> tuple[str, str, int]:
        """What makes the run unique, as in `ResultRow.key`."""
        return self.planner, self.problem, self.seed

    def row(self, status: str, message: str) -> ResultRow:
        """Return the row of this run, with nothing but how it ended."""
        name = self.problem.split("/", 1)[0]
        return ResultRow(
            planner=self.planner, problem=self.problem, set=name, seed=self.seed, status=status, message=message
        )


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a job gave: its row, and the content of its plan file, if there is one."""

    row: ResultRow
    plan: str | None = None


def plan_path(folder: Path, *, planner: str, problem: str, seed: int) -> Path:
    """Return where the plan of a run lies."""
    return folder / "plans" / planner / f"{problem.replace('/', '__')}.{seed}.json"


def start(settings: BenchmarkSettings) -> Work[Job, float | Run]:
    """Return what tells of each `Job` the seconds of its planner's warm-up (of the first job only), then the `Run`.

    A file that cannot be written is no planner's fault: it is raised.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # libraries in C print there
    cases = load_cases(settings.suite, settings.robot, broken=[])
    warm: set[str] = set()

    def work(job: Job) -> Iterator[float | Run]:
        if job.planner not in warm:
            warm.add(job.planner)
            yield _warm_up(cases[job.case], job.planner, settings)
        yield _run(cases[job.case], job, settings)

    return work


def _plan(case: Case, planner: str, seed: int, settings: BenchmarkSettings) -> Plan:
    return case.plan(
        planner=settings.variants_of or planner,
        seed=seed,
        timeout=settings.timeout,
        fallback=settings.fallback,
        options=settings.options.get(planner),
    )


def _warm_up(case: Case, planner: str, settings: BenchmarkSettings) -> float:
    """Plan once unrecorded, so that compilation and loading stay out of the times; return how long it took [s]."""
    begin = perf_counter()
    try:
        _plan(case, planner, _WARM_UP_SEED, settings)
    except NotWritten:
        raise
    except Exception:  # the recorded run meets the same failure and reports it
        traceback.print_exc(limit=1)
    return perf_counter() - begin


def _run(case: Case, job: Job, settings: BenchmarkSettings) -> Run:
    """Plan one job; a planner that raises gives an `error` row."""
    begin, text = perf_counter(), None
    try:
        plan = _plan(case, job.planner, job.seed, settings)
        elapsed = perf_counter() - begin
        if settings.variants_of is None:
            path = plan_path(settings.folder, planner=job.planner, problem=job.problem, seed=job.seed)
            text = plan_text(plan, path.parent)
        row = replace(row_of(plan, job), total_time_s=elapsed)
        if settings.variants_of is None and row.certified:
            motion = measure_motion(plan)
            row = replace(
                row,
                mean_clearance_m=motion.mean_clearance_m,
                tracking_error_rad=motion.tracking_error_rad,
                executed_contact=int(motion.touched),
            )
        if settings.dense_check is not None and row.certified:
            row = replace(row, dense_contact=int(dense_contact(plan, settings.dense_check)))
    except NotWritten:
        raise
    except Exception as error:  # the boundary to any planner: the benchmark goes on and says what happened
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(frame.filename).name}:{frame.lineno}"
        return Run(row=job.row("error", f"{type(error).__name__}: {error} ({where})"))
    return Run(row=row, plan=text)


def row_of(plan: Plan, job: Job) -> ResultRow:
    """Return the row of a plan; its verdict is the certificate's, never the planner's own belief."""
    row = replace(
        job.row(plan.status.value, "" if plan.solved else plan.message),
        solved_by=plan.solved_by,
        plan_time_s=plan.timing_s.get("plan"),
        certify_time_s=plan.timing_s.get("certify"),
        straight_line_rad=float(plan.robot.distance(plan.start, plan.goals).min()) if len(plan.goals) else None,
        offered=plan.judged.offered,
        rejected=plan.judged.rejected,
        first_rejected=None if plan.judged.first_rejected is None else int(plan.judged.first_rejected),
    )
    if plan.trajectory is None or plan.certificate is None or plan.metrics is None:
        return row
    return replace(
        row,
        certified=plan.solved and plan.certificate.valid,
        path_length_rad=plan.metrics.path_length_rad,
        straight_line_rad=plan.metrics.straight_line_rad,
        duration_s=plan.metrics.duration_s,
        max_jerk=plan.metrics.max_jerk,
        mean_jerk=plan.metrics.mean_jerk,
        min_clearance_m=plan.certificate.min_clearance_m,
        min_self_clearance_m=plan.certificate.min_self_clearance_m,
        joint_steps=len(plan.trajectory.time),
        goal_index=plan.certificate.goal_index,
    )
