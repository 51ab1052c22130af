"""What a folder remembers of the commands that filled it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from diffplan.benchmark.machine import this_machine
from diffplan.benchmark.report import write_all
from diffplan.benchmark.runner import Workers, run
from diffplan.benchmark.sessions import read_sessions
from diffplan.benchmark.worker import BenchmarkSettings, Job
from diffplan.errors import InputError


@pytest.fixture
def asked(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    from stand_in_worker import start

    settings = BenchmarkSettings(
        suite="none", robot=None, timeout=0.2, fallback=True, options={}, dense_check=None, folder=tmp_path / "run"
    )
    return settings, Workers(start=start, grace=60.0)


def _jobs(*problems):
    return [Job(planner=p, case=i, problem=name, seed=0) for i, name in enumerate(problems) for p in ("p", "q")]


def _run(asked, commit, *problems):
    machine = replace(this_machine(), commit=commit)
    return run(_jobs(*problems), *asked, report=lambda row, done: None, machine=machine), machine


def test_a_run_that_goes_on_from_another_commit_tells_both(asked):
    _run(asked, "abc", "a/1")
    _run(asked, "abc", "a/1", "a/2")
    outcome, machine = _run(asked, "def+changes", "a/1", "a/2", "a/3")
    sessions = read_sessions(asked[0].folder)
    assert [session.machine.commit for session in sessions] == ["abc", "abc", "def+changes"]
    assert [(session.rows_before, session.rows_after) for session in sessions] == [(0, 2), (2, 4), (4, 6)]
    write_all(outcome, asked[0], machine, cases=(), planners=("p", "q"), workers=1, total_time=1.0)
    summary = json.loads((asked[0].folder / "summary.json").read_text())
    assert summary["commits"] == ["abc", "def+changes"]
    assert summary["machine"]["commit"] == "def+changes"
    (pair,) = summary["paired"]
    assert (pair["before"], pair["after"], pair["n"], pair["both"]) == ("p", "q", 3, 0)
    assert set(pair["path"]) == {"n", "percent", "p"}


def test_a_command_that_finds_everything_done_leaves_no_note(asked):
    _run(asked, "abc", "a/1")
    _run(asked, "def", "a/1")
    assert [session.machine.commit for session in read_sessions(asked[0].folder)] == ["abc"]


def test_a_command_that_was_stopped_has_no_end(asked):
    with pytest.raises(KeyboardInterrupt):
        run(_jobs("a/1", "a/2"), *asked, report=_interrupt, machine=this_machine())
    _run(asked, "abc", "a/1", "a/2")
    first, second = read_sessions(asked[0].folder)
    assert (first.rows_after, first.time_s) == (None, None)
    assert (second.rows_before, second.rows_after) == (2, 4)


def _interrupt(row, done):
    if done == 2:
        raise KeyboardInterrupt


def test_a_file_that_is_no_list_of_sessions_is_refused(tmp_path):
    assert read_sessions(tmp_path) == ()
    texts = {
        "{": "sessions.json:1: not readable as JSON",
        "1": "sessions.json: not a list",
        '[{"jobs": 1}]': r"sessions.json: \[0\]: key 'machine' is missing",
        '[{"jobs": 1, "machine": 3, "begun": "", "rows_before": 0, "warm_up_s": {}}]': "machine: not a mapping",
        "[" * 5000 + "]" * 5000: "nested too deeply",
    }
    for text, problem in texts.items():
        (tmp_path / "sessions.json").write_text(text)
        with pytest.raises(InputError, match=problem):
            read_sessions(tmp_path)
