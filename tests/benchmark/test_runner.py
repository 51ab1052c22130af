from dataclasses import replace
from pathlib import Path

import pytest

from diffplan.benchmark.results import read_rows
from diffplan.benchmark.runner import Workers, run
from diffplan.benchmark.worker import BenchmarkSettings, Job
from diffplan.errors import InputError


@pytest.fixture
def settings(tmp_path):
    return BenchmarkSettings(
        suite="none", robot=None, timeout=0.2, fallback=True, options={}, dense_check=None, folder=tmp_path / "run"
    )


@pytest.fixture
def workers(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    from stand_in_worker import start

    return Workers(start=start, grace=60.0)


def _jobs(*problems):
    return [Job(planner="p", case=i, problem=problem, seed=0) for i, problem in enumerate(problems)]


def _quiet(row, done):
    pass


def test_a_planner_that_kills_its_process_gives_an_error_row_and_the_run_goes_on(workers, settings):
    outcome = run(_jobs("a/1", "a/dies", "a/2"), settings, workers, report=_quiet)
    assert [(row.problem, row.status) for row in outcome.rows] == [
        ("a/1", "solved"),
        ("a/dies", "error"),
        ("a/2", "solved"),
    ]
    assert "exit code 3" in outcome.rows[1].message
    assert read_rows(settings.folder / "results.csv") == outcome.rows


def test_a_planner_that_does_not_return_is_killed_and_the_run_goes_on(workers, settings):
    outcome = run(_jobs("a/hangs", "a/1"), settings, replace(workers, grace=10.0), report=_quiet)
    assert [row.status for row in outcome.rows] == ["killed", "solved"]


def test_several_workers_give_each_job_one_row(workers, settings):
    outcome = run(_jobs("a/1", "a/2", "a/dies", "b/1", "b/2"), settings, replace(workers, number=2), report=_quiet)
    assert sorted(row.problem for row in outcome.rows) == ["a/1", "a/2", "a/dies", "b/1", "b/2"]
    assert len({row.message for row in outcome.rows if row.status == "solved"}) >= 2


def test_a_stopped_run_goes_on_where_it_was_even_after_half_a_line(workers, settings):
    first = run(_jobs("a/1", "a/2"), settings, workers, report=_quiet)
    results = settings.folder / "results.csv"
    results.write_text(results.read_text()[:-5])  # as if killed while it wrote the last row
    seen = []
    second = run(
        _jobs("a/1", "a/2", "a/3"), settings, workers, report=lambda row, done: seen.append((row and row.problem, done))
    )
    assert seen == [(None, 1), ("a/2", 2), ("a/3", 3)]
    assert second.kept == 1
    assert second.rows[0] == first.rows[0]
    assert [row.problem for row in read_rows(results)] == ["a/1", "a/2", "a/3"]


def test_a_row_without_its_plan_file_is_run_again(workers, settings):
    run(_jobs("a/1", "a/2"), settings, workers, report=_quiet)
    (settings.folder / "plans" / "p" / "a__1.0.json").unlink()
    assert run(_jobs("a/1", "a/2"), settings, workers, report=_quiet).kept == 1


def test_rows_of_planners_not_asked_for_this_time_stay(workers, settings):
    run(_jobs("a/1"), settings, workers, report=_quiet)
    other = [replace(job, planner="q") for job in _jobs("a/1")]
    run(other, settings, workers, report=_quiet)
    assert [row.planner for row in read_rows(settings.folder / "results.csv")] == ["p", "q"]


def test_a_folder_of_a_run_with_other_settings_is_refused(workers, settings):
    run(_jobs("a/1"), settings, workers, report=_quiet)
    with pytest.raises(InputError, match=r"settings.json: timeout: .* other settings.*found 0.2.*allowed: 7.0"):
        run(_jobs("a/1"), replace(settings, timeout=7.0), workers, report=_quiet)


def test_a_second_command_in_the_same_folder_is_refused_and_does_no_harm(workers, settings):
    refused = []

    def try_again(row, done):
        with pytest.raises(InputError, match="another command is writing"):
            run(_jobs("a/1", "a/2"), settings, workers, report=_quiet)
        refused.append(done)

    first = run(_jobs("a/1", "a/2"), settings, workers, report=try_again)
    assert refused == [0, 1, 2]
    assert read_rows(settings.folder / "results.csv") == first.rows
    assert run(_jobs("a/1", "a/2"), settings, workers, report=_quiet).kept == 2


@pytest.mark.parametrize(
    ("ids", "problem"),
    [
        (("a/b", "c", "a__b"), "'a/b' and 'a__b' would share the plan file a__b.0.json"),
        (("a", "x" * 300), "an id too long for the name of its plan file"),
        (("\u00e9" * 120,), "too long"),
    ],
)
def test_ids_that_would_lose_a_plan_are_refused_before_anything_runs(workers, settings, ids, problem):
    with pytest.raises(InputError, match=problem):
        run(_jobs(*ids), settings, workers, report=_quiet)
    assert not settings.folder.exists()
