"""OMPL's benchmark log, so that `ompl_benchmark_statistics.py` and Planner Arena read our runs.

Source: OMPL, "How to benchmark planners", section "The benchmark logfile format".
"""

from __future__ import annotations

from datetime import datetime, timezone
from platform import node

from diffplan.benchmark.machine import Machine
from diffplan.benchmark.results import ResultRow
from diffplan.benchmark.summary import in_time

STATUSES = (
    "Unknown status",
    "Invalid start",
    "Invalid goal",
    "Unrecognized goal type",
    "Timeout",
    "Approximate solution",
    "Exact solution",
    "Crash",
    "Abort",
    "Infeasible",
)
"""The names of `ompl::base::PlannerStatus`, in its order."""

_STATUS_OF = {
    "start_outside_limits": "Invalid start",
    "start_in_collision": "Invalid start",
    "goal_outside_limits": "Invalid goal",
    "goal_in_collision": "Invalid goal",
    "goal_unreachable": "Invalid goal",
    "error": "Crash",
    "killed": "Abort",
}


def ompl_log(name: str, rows: list[ResultRow], machine: Machine, *, time_limit: float, total_time: float) -> str:
    """Return the log text of one experiment; each problem and seed is a run.

    `solved` is what the certificate passed in time, `correct solution` what it passed at all: never what a planner
    believed. `status` is the OMPL status nearest to ours, which is the `outcome`; a path that was refused or came
    late counts as a timeout. Lengths are in rad; `solution clearance` is the mean along the motion [m].
    """
    planners = list(dict.fromkeys(row.planner for row in rows))
    enums = {
        "status": list(STATUSES),
        "outcome": list(dict.fromkeys(row.status for row in rows)),
        "problem_set": list(dict.fromkeys(row.set for row in rows)),
        "problem": list(dict.fromkeys(row.problem for row in rows)),
    }
    own = {
        planner: [_properties(row, enums, time_limit) for row in rows if row.planner == planner] for planner in planners
    }
    lines = [
        f"OMPL version {machine.versions.get('ompl', '0.0.0')}",
        f"Experiment {name.replace(' ', '_')}",
        f"Running on {node() or 'unknown'}",
        f"Starting at {datetime.now(timezone.utc):%Y-%m-%d %H:%M:%S}",
        *("<<<|", f"{machine.command}", "|>>>"),
        *("<<<|", f"{machine.cpu}, {machine.cores} cores", "|>>>"),
        "0 is the random seed",
        f"{time_limit} seconds per run",
        "0 MB per run",
        f"{max(map(len, own.values()), default=0)} runs per planner",
        f"{total_time:.3f} seconds spent to collect the data",
        f"{len(enums)} enum types",
        *("|".join([enum, *(value.replace("|", "/") for value in values)]) for enum, values in enums.items()),
        f"{len(planners)} planners",
    ]
    for planner, runs in own.items():
        lines += [planner, "0 common properties", f"{len(runs[0])} properties for each run", *runs[0]]
        lines += [f"{len(runs)} runs", *(_line(run) for run in runs), "."]
    return "\n".join(lines) + "\n"


def _properties(row: ResultRow, enums: dict[str, list[str]], time_limit: float) -> dict[str, int | float | None]:
    """Return a run's values under OMPL's own property names where it has them, so that Planner Arena's plots work."""
    solved, found = in_time(row, time_limit), row.certified
    status = "Exact solution" if solved else _STATUS_OF.get(row.status, "Timeout")
    return {
        "solved BOOLEAN": int(solved),
        "correct solution BOOLEAN": int(found),
        "approximate solution BOOLEAN": 0,
        "status ENUM": enums["status"].index(status),
        "time REAL": row.plan_time_s,
        "solution length REAL": row.path_length_rad if found else None,
        "solution clearance REAL": row.mean_clearance_m if found else None,
        "minimum clearance REAL": row.min_clearance_m if found else None,
        "motion duration REAL": row.duration_s if found else None,
        "maximum jerk REAL": row.max_jerk if found else None,
        "certify time REAL": row.certify_time_s,
        "offered paths INTEGER": row.offered,
        "rejected paths INTEGER": row.rejected,
        "outcome ENUM": enums["outcome"].index(row.status),
        "problem_set ENUM": enums["problem_set"].index(row.set),
        "problem ENUM": enums["problem"].index(row.problem),
        "seed INTEGER": row.seed,
    }


def _line(run: dict[str, int | float | None]) -> str:
    return "".join(f"{'' if value is None else value}; " for value in run.values())
