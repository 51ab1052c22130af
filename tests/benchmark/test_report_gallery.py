"""Which failures are shown, what their pictures and commands are; the gallery survives files that are gone."""

import shlex
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from diffplan.benchmark import gallery
from diffplan.benchmark.gallery import chosen, exhibits, repeat_command
from diffplan.benchmark.results import ResultRow
from diffplan.benchmark.suites import load_cases, select
from diffplan.benchmark.worker import BenchmarkSettings, plan_path
from diffplan.cli import main

WALL = """\
format: diffplan/scene@1
name: small
robot: panda
obstacles:
  - {name: wall, type: box, size: [0.5, 0.04, 0.9], pose: {xyz: [0.55, 0.25, 0.45]}}
queries:
  behind: {start: home, goal: [0.9, 0.5, 0.0, -1.8, 0.0, 2.3, 0.8]}
"""


def _row(planner, problem, status="no_path_found", **more):
    return ResultRow(planner=planner, problem=problem, set=problem.split("/")[0], seed=0, status=status, **more)


def test_planners_and_their_sets_take_turns_and_problems_shown_come_last():
    rows = [_row("a", f"{name}/{i}") for name in ("x", "y") for i in range(3)]
    rows += [_row("b", f"{name}/{i}") for name in ("x", "y") for i in range(3)]
    rows += [_row("c", "x/1", "solved", certified=True, plan_time_s=0.1)]
    found = [(row.planner, row.problem) for row in chosen(rows, 1.0, 5)]
    assert found == [("a", "x/0"), ("b", "y/0"), ("a", "x/1"), ("b", "y/1"), ("a", "x/2")]
    assert chosen(rows, 1.0, 5) == chosen(rows, 1.0, 5)
    assert len(chosen(rows, 1.0, 100)) == 12


def test_refused_motions_are_shown_before_late_ones():
    late = _row("a", "x/1", "solved", certified=True, plan_time_s=3.0)
    refused = _row("a", "x/2", "not_certified")
    assert chosen([late, refused], 1.0, 2) == [refused, late]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of `straight` through a wall: its settings, cases and the failed row."""
    folder = tmp_path_factory.mktemp("gallery")
    (folder / "small.yaml").write_text(WALL)
    suite, out = str(folder / "small.yaml"), folder / "out"
    (case,) = load_cases(suite)
    plan = case.plan(planner="straight", seed=0, timeout=5.0, fallback=False, options=None)
    file = plan_path(out, planner="straight", problem=case.id, seed=0)
    file.parent.mkdir(parents=True)
    plan.save(file)
    settings = BenchmarkSettings(
        suite=suite, robot=None, timeout=5.0, fallback=False, options={}, dense_check=None, folder=out
    )
    return settings, [case], _row("straight", case.id, plan.status.value, message=plan.message)


def _red(png):
    red, green, blue = np.asarray(Image.open(BytesIO(png)).convert("RGB")).astype(int).transpose(2, 0, 1)
    return int(np.sum((red > 120) & (red > 2.2 * green) & (red > 2.2 * blue)))


def test_a_refused_motion_is_drawn_where_it_touches_and_without_its_file_start_and_goal_are(run):
    settings, cases, row = run
    assert row.status == "not_certified"
    (shown,) = exhibits([row], cases, settings)
    assert shown.shows.startswith("the refused motion where it is deepest in contact: panda_")
    assert "touches wall" in shown.shows
    assert Image.open(BytesIO(shown.png)).size == (480, 360)
    assert _red(shown.png) > 200
    plan_path(settings.folder, planner="straight", problem=row.problem, seed=0).unlink()
    (bare,) = exhibits([row], cases, settings)
    assert bare.shows == "start and goal"
    assert bare.png != shown.png
    (gone,) = exhibits([row], [], settings)
    assert (gone.png, gone.shows) == (None, "none, the problem is not in the suite")


def test_the_command_of_an_exhibit_plans_that_problem_alone(run, tmp_path, capfd):
    settings, cases, row = run
    words = shlex.split(repeat_command(row, settings))
    assert words[:2] == ["diffplan", "bench"]
    words[words.index("--out") + 1] = str(tmp_path / "again")
    assert main(words[1:]) == 0
    assert "small" in capfd.readouterr().err
    assert len((tmp_path / "again" / "results.csv").read_text().splitlines()) == 2
    assert select(cases, sets=None, limit=None, only=[row.problem]) == [0]


def test_a_picture_that_cannot_be_drawn_leaves_the_reason(run, monkeypatch):
    settings, cases, row = run

    def broken(*_, **__):
        raise gallery.InputError("cannot be read", file="mesh.obj")

    monkeypatch.setattr(gallery, "draw_still", broken)
    (shown,) = exhibits([row], cases, settings)
    assert shown.png is None
    assert "mesh.obj" in shown.shows
