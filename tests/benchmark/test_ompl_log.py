"""The log is read by OMPL's own programs, which the ompl wheel ships."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from diffplan.benchmark.machine import this_machine
from diffplan.benchmark.ompl_log import STATUSES, ompl_log
from diffplan.benchmark.results import ResultRow
from diffplan.planners.ompl import base
from diffplan.problem import Status


def _row(planner: str, problem: str, status: str = "solved", *, time: float | None = 0.5) -> ResultRow:
    certified = status == "solved"
    return ResultRow(
        planner=planner,
        problem=problem,
        set=problem.split("/")[0],
        seed=0,
        status=status,
        certified=certified,
        plan_time_s=time,
        path_length_rad=4.5,  # a refused path has a length too
        mean_clearance_m=0.125 if certified else None,
        min_clearance_m=0.02,
        offered=3,
        rejected=2 if certified else 3,
    )


ROWS = [
    _row("diffusion", "box/1", time=0.25),
    _row("diffusion", "box/2", "not_certified"),
    _row("diffusion", "cage/1", time=7.0),
    _row("diffusion", "cage/2", "killed", time=None),
    _row("rrtconnect+simplify", "box/1", time=0.75),
    _row("rrtconnect+simplify", "box/2", "goal_in_collision", time=1.0),
    _row("rrtconnect+simplify", "cage/1", "no_path_found", time=2.0),
    _row("rrtconnect+simplify", "cage/2", "error", time=None),
]


def _log(rows: list[ResultRow]) -> str:
    machine = replace(this_machine(), command="diffplan bench boxes --out run")
    return ompl_log("my boxes", rows, machine, time_limit=2.0, total_time=12.5)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    """What OMPL's benchmark statistics program makes of the log."""
    folder = tmp_path_factory.mktemp("log")
    (folder / "ompl.log").write_text(_log(ROWS))
    script = Path(sys.executable).with_name("ompl_benchmark_statistics")
    done = subprocess.run(
        [script, "-d", "ompl.db", "ompl.log"], cwd=folder, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    connection = sqlite3.connect(folder / "ompl.db")
    yield connection
    connection.close()


def test_the_experiment_tells_what_was_measured(database: sqlite3.Connection) -> None:
    query = "SELECT name, timelimit, totaltime, runcount, setup FROM experiments"
    assert database.execute(query).fetchall() == [("my_boxes", 2.0, 12.5, 4, "diffplan bench boxes --out run\n")]


def test_success_is_the_certificates_and_in_time(database: sqlite3.Connection) -> None:
    query = (
        "SELECT c.name, COUNT(*), SUM(solved), SUM(correct_solution), MIN(time), SUM(offered_paths),"
        " SUM(rejected_paths)"
        " FROM runs r JOIN plannerConfigs c ON plannerid = c.id GROUP BY c.name ORDER BY c.name"
    )
    assert database.execute(query).fetchall() == [
        ("diffusion", 4, 1, 2, 0.25, 12, 10),
        ("rrtconnect+simplify", 4, 1, 1, 0.75, 12, 11),
    ]


def test_statuses_are_ompls_and_ours_are_beside_them(database: sqlite3.Connection) -> None:
    query = (
        "SELECT p.description, s.description, o.description FROM runs r"
        " JOIN enums p ON p.name = 'problem' AND p.value = r.problem"
        " JOIN enums s ON s.name = 'status' AND s.value = r.status"
        " JOIN enums o ON o.name = 'outcome' AND o.value = r.outcome ORDER BY r.id"
    )
    assert database.execute(query).fetchall() == [
        ("box/1", "Exact solution", "solved"),
        ("box/2", "Timeout", "not_certified"),
        ("cage/1", "Timeout", "solved"),
        ("cage/2", "Abort", "killed"),
        ("box/1", "Exact solution", "solved"),
        ("box/2", "Invalid goal", "goal_in_collision"),
        ("cage/1", "Timeout", "no_path_found"),
        ("cage/2", "Crash", "error"),
    ]


def test_only_certified_paths_have_a_length_and_a_clearance(database: sqlite3.Connection) -> None:
    query = "SELECT solution_length, solution_clearance, minimum_clearance FROM runs ORDER BY id"
    found = database.execute(query).fetchall()
    assert [found[i] for i in (0, 2, 4)] == [(4.5, 0.125, 0.02)] * 3
    assert [found[i] for i in (1, 3, 5, 6, 7)] == [(None, None, None)] * 5


def test_ompls_views_of_the_best_planners_are_there(database: sqlite3.Connection) -> None:
    query = "SELECT avg_solved FROM bestPlannerConfigsPerExperiment"
    assert database.execute(query).fetchall() == [(0.25,), (0.25,)]


def test_status_names_are_ompls() -> None:
    for value, name in enumerate(STATUSES[:8]):  # OMPL's own table of names ends there
        assert base.PlannerStatus(base.PlannerStatus.PlannerStatusType(value)).asString() == name


@pytest.mark.parametrize("status", [*(status.value for status in Status), "error", "killed"])
def test_every_outcome_can_be_logged(status: str) -> None:
    assert "1 runs\n" in _log([_row("p", "box/1", status)])


def test_a_bar_in_a_name_does_not_part_it() -> None:
    assert "problem|box/a/b\n" in _log([_row("p", "box/a|b")])


def test_a_log_of_nothing_has_no_planners() -> None:
    assert _log([]).endswith("0 planners\n")
