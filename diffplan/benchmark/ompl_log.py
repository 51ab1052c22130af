"""OMPL's benchmark log, so that `ompl_benchmark_statistics.py` and Planner Arena read our runs.

Source: OMPL, "How to benchmark planners", section "The benchmark logfile format".
"""

from __future__ import annotations

from datetime import datetime, timezone
from platform import node

from diffplan.benchmark.machine import Machine
from diffplan.benchmark.results import Row
from diffplan.benchmark.summary import in_time

# OMPL's own property names where it has them, so that its plots work.
_PROPERTIES = (
    "solved BOOLEAN",
    "time REAL",
    "solution length REAL",
    "certify time REAL",
    "problem ENUM",
    "seed INTEGER",
)


def ompl_log(name: str, rows: list[Row], machine: Machine, *, time_limit: float, total_time: float) -> str:
    """Return the log text of one experiment; each problem and seed is a run."""
    planners = list(dict.fromkeys(row.planner for row in rows))
    problems = list(dict.fromkeys(row.problem for row in rows))
    own = {planner: [row for row in rows if row.planner == planner] for planner in planners}
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
        "1 enum type",
        "|".join(["problem", *problems]),
        f"{len(planners)} planners",
    ]
    for planner in planners:
        lines += [planner, "0 common properties", f"{len(_PROPERTIES)} properties for each run", *_PROPERTIES]
        lines += [f"{len(own[planner])} runs", *(_run(row, problems, time_limit) for row in own[planner]), "."]
    return "\n".join(lines) + "\n"


def _run(row: Row, problems: list[str], time_limit: float) -> str:
    values = [
        int(in_time(row, time_limit)),
        row.plan_time_s,
        row.path_length_rad,
        row.certify_time_s,
        problems.index(row.problem),
        row.seed,
    ]
    return "".join(f"{'' if value is None else value}; " for value in values)
