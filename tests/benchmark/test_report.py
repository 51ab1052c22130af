import gc
import json
import re
import sqlite3
import warnings
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from markupsafe import escape
from ompl import _benchmark_statistics as statistics

from diffplan.benchmark import report
from diffplan.benchmark.machine import this_machine
from diffplan.benchmark.report import in_order, write_all
from diffplan.benchmark.results import ResultRow
from diffplan.benchmark.runner import Outcome
from diffplan.benchmark.sessions import begin_session, end_session
from diffplan.benchmark.worker import BenchmarkSettings

ROWS = [
    ResultRow(
        planner=planner,
        problem=f"{name}/{i}",
        set=name,
        seed=0,
        status="solved" if good else "no_path_found",
        solved_by=planner if good else "",
        certified=good,
        plan_time_s=0.01 * (i + 1),
        certify_time_s=0.1,
        path_length_rad=3.0 if good else None,
        straight_line_rad=2.5,
        message="" if good else "<nothing> found",
    )
    for planner, rate in (("diffusion", 1), ("straight", 2))
    for name in ("box", "cage")
    for i in range(4)
    for good in (i % rate == 0,)
]


@pytest.fixture
def folder(tmp_path):
    settings = BenchmarkSettings(
        suite="suites/small.json.gz",
        robot=None,
        timeout=2.0,
        fallback=True,
        options={},
        dense_check=None,
        folder=tmp_path,
    )
    outcome = Outcome(rows=ROWS, kept=0, warm_up_s={"diffusion": 1.5})
    write_all(
        outcome, settings, this_machine(), cases=(), planners=["straight", "diffusion"], workers=1, total_time=12.0
    )
    return tmp_path


def test_the_summary_says_what_was_measured_where_and_how(folder):
    document = json.loads((folder / "summary.json").read_text())
    overall = {entry["planner"]: entry for entry in document["results"] if entry["set"] == "all"}
    assert (overall["diffusion"]["certified"], overall["straight"]["certified"]) == (8, 4)
    assert document["machine"]["cpu"]
    assert document["machine"]["command"].startswith("diffplan")
    assert document["warm_up_s"] == {"diffusion": 1.5}


class _Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.outside, self.open = [], []

    def handle_starttag(self, tag, attrs):
        self.outside += [value for key, value in attrs if key in ("src", "href") and not value.startswith("#")]
        if tag == "script":
            self.outside.append("script")
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_report_is_one_well_formed_file_that_needs_nothing_else(folder):
    text = (folder / "report.html").read_text()
    parser = _Links()
    parser.feed(text)
    assert parser.outside == []
    assert parser.open == []
    assert "<svg" in text
    assert "<td>8 of 8</td><td>100.0 %</td>" in text
    assert "&lt;nothing&gt; found" in text


def test_a_finished_folder_keeps_what_it_was_measured_with_when_the_report_is_written_again(folder):
    machine = replace(this_machine(), command="diffplan bench first", commit="abc", load_at_start=0.5)
    session = begin_session(folder, machine, jobs=2, rows_before=0)
    end_session(folder, replace(session, rows_after=16, time_s=99.0, warm_up_s={"diffusion": 3.25}))
    settings = BenchmarkSettings(
        suite="small.json",
        robot=None,
        timeout=2.0,
        fallback=False,
        options={"diffusion": {"batch": 8}},
        dense_check=None,
        folder=folder,
    )
    again = Outcome(rows=ROWS, kept=16, warm_up_s={})
    write_all(again, settings, this_machine(), cases=(), planners=["diffusion"], workers=1, total_time=0.1)
    text = (folder / "report.html").read_text()
    assert "<code>diffplan bench first</code>" in text
    assert "commit abc" in text
    assert "16 runs in 99 s" in text
    assert "load 0.5 at the start" in text
    assert "3.25 s" in text
    assert "--options" in text
    assert (folder / "options.yaml").read_text() == "diffusion:\n  batch: 8\n"
    document = json.loads((folder / "summary.json").read_text())
    assert (document["total_time_s"], document["warm_up_s"]) == (99.0, {"diffusion": 3.25})
    assert document["machine"]["command"] == "diffplan bench first"


def test_tables_are_in_the_order_asked_for_whatever_was_finished_first():
    rows = [ROWS[i] for i in (9, 8, 1, 0)]
    ordered = in_order(rows, ["box/0", "box/1"], ["diffusion"])
    assert [(row.planner, row.problem) for row in ordered] == [
        ("diffusion", "box/0"),
        ("diffusion", "box/1"),
        ("straight", "box/0"),
        ("straight", "box/1"),
    ]


def test_the_report_tells_pairs_refusals_and_failures_and_marks_what_was_not_measured_here(folder):
    text = (folder / "report.html").read_text()
    assert '<th scope="row">straight, diffusion</th><td>0</td><td>4</td><td>p = 0.125</td><td>4</td>' in text
    assert '<th scope="row">straight</th><td>4</td><td>4</td>' in text  # failed: 4, no path found: 4
    assert "problem is not in the suite" in text
    assert "VAMP" not in text  # the robot is not known, so no published figures of another


def test_published_figures_are_shown_for_their_robot_only(folder):
    settings = BenchmarkSettings(
        suite="small.json", robot="panda", timeout=2.0, fallback=True, options={}, dense_check=None, folder=folder
    )
    outcome = Outcome(rows=ROWS, kept=0, warm_up_s={})
    write_all(outcome, settings, this_machine(), cases=(), planners=["straight"], workers=1, total_time=1.0)
    text = " ".join((folder / "report.html").read_text().split())
    assert "699 of 700" in text
    assert "nothing in this table was measured here" in text
    figures = pd.read_csv(Path(report.__file__).with_name("published.csv"), keep_default_na=False)
    assert len(figures) >= 3
    for row in figures.itertuples():
        assert re.search(r"\b20\d\d\b", row.source)  # who published it, and in which year
        assert escape(row.source) in text


def test_ompls_own_reader_understands_the_log(folder):
    database = folder / "ompl.db"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # it leaves its database open, which Python 3.13 tells
        statistics.readBenchmarkLog(str(database), [str(folder / "ompl.log")], False)
        gc.collect()
    connection = sqlite3.connect(database)
    try:
        query = "SELECT c.name, COUNT(*), SUM(solved), MIN(time) FROM runs r JOIN plannerConfigs c ON plannerid = c.id"
        assert connection.execute(query + " GROUP BY c.name ORDER BY c.name").fetchall() == [
            ("diffusion", 8, 8, 0.01),
            ("straight", 8, 4, 0.01),
        ]
        assert connection.execute("SELECT description FROM enums WHERE name='problem'").fetchall()[0] == ("box/0",)
    finally:
        connection.close()
