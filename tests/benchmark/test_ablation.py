"""The ablation's figures from made-up rows, its checks and its page; and the command from end to end."""

import json
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from diffplan.benchmark.ablation import ablation
from diffplan.benchmark.ablation_checks import checks
from diffplan.benchmark.ablation_page import Picture, PictureRow, pictured, write_ablation
from diffplan.benchmark.ablation_tables import at_equal_time, own_rounds, tables
from diffplan.benchmark.machine import this_machine
from diffplan.benchmark.plots import round_plot
from diffplan.benchmark.results import ResultRow, read_rows
from diffplan.benchmark.variants import ADAPTIVE, variants
from diffplan.benchmark.worker import BenchmarkSettings
from diffplan.cli import main

BATCHES = (4, 16)
CHOSEN = variants(["seeds", "guidance_steps", "value"])
# of 20 problems: how many each variant certifies in one round of 4 and 16, and how long such rounds take [s]
CERTIFIED = {"random": (8, 16), "unconditioned": (4, 10), "prior": (14, 19), "guidance": (14, 20), "value": (14, 20)}
TIMES = {"random": (0.01, 0.1), "unconditioned": (0.02, 0.2), "prior": (0.01, 0.04)}


def _row(variant, mode, i, good, time, duration):
    return ResultRow(
        planner=f"{variant}@{mode}",
        problem=f"{'ab'[i % 2]}/{i}",
        set="ab"[i % 2],
        seed=0,
        status="solved" if good else "no_path_found",
        certified=good,
        plan_time_s=time,
        path_length_rad=3.0 if good else None,
        straight_line_rad=2.0,
        duration_s=duration if good else None,
    )


@pytest.fixture(scope="module")
def rows():
    made = []
    for name, counts in CERTIFIED.items():
        times = TIMES.get(name, TIMES["prior"])
        for i in range(20):
            made += [_row(name, b, i, i < n, t, 2.0) for b, n, t in zip(BATCHES, counts, times, strict=True)]
            duration = (1.8 if name == "value" else 2.0) + 0.01 * i
            made.append(_row(name, ADAPTIVE, i, name != "random" or i < 19, times[0] * (i + 1), duration))
    return made


@pytest.fixture(scope="module")
def figures(rows):
    return ablation(rows, CHOSEN, BATCHES, 1.0)


def test_a_single_round_counts_with_the_time_it_took_and_a_failure_of_own_rounds_with_the_limit(figures):
    single, own = figures.point("random", 4), figures.point("random", ADAPTIVE)
    assert (single.n, single.certified, single.share) == (20, 8, 0.4)
    assert (single.low, single.high) == (pytest.approx(0.2188, abs=1e-4), pytest.approx(0.6134, abs=1e-4))
    assert (single.plan_time_median_s, single.plan_time_p95_s) == (0.01, 0.01)
    assert own.certified == 19
    assert own.plan_time_p95_s == pytest.approx(0.19 + 0.05 * (1.0 - 0.19))
    assert (own.path_ratio, own.duration_s) == (1.5, pytest.approx(2.09))


def test_95_percent_is_interpolated_between_rounds_and_counted_over_own_rounds(figures):
    times = {time.variant: time for time in figures.time_for_95}
    assert times["random"].round_s is None
    assert times["prior"].round_s == pytest.approx(0.04)
    assert times["guidance"].round_s == pytest.approx(0.01 * 4 ** (5 / 6))
    assert times["random"].adaptive_s == pytest.approx(0.19)


def test_variants_are_paired_by_problem_with_the_one_before_and_the_first(figures):
    pairs = {(p.before, p.after, p.mode): p for p in figures.paired}
    assert {(a, b) for a, b, _ in pairs} == {
        ("random", "unconditioned"),
        ("unconditioned", "prior"),
        ("prior", "guidance"),
        ("guidance", "value"),
        ("random", "prior"),
        ("random", "value"),
    }
    small = pairs["random", "prior", "4"]
    assert (small.n, small.both, small.only_before, small.only_after) == (20, 8, 0, 6)
    assert small.p_success == pytest.approx(2 / 64)
    shorter = pairs["guidance", "value", ADAPTIVE].duration
    assert shorter.n == 20
    assert shorter.percent == pytest.approx(100 * (1.895 / 2.095 - 1))
    assert shorter.p < 1e-4


def test_checks_tell_what_is_met_and_what_is_not(figures):
    found = {check.expected: check for check in checks(figures)}
    verdicts = {expected: check.met for expected, check in found.items() if expected.startswith("conditioned prior")}
    assert list(verdicts.values()) == [True, True, False, True]
    small, one_round, own, equal = (found[expected] for expected in verdicts)
    assert "+30.0 points (40.0 to 70.0 %; McNemar p = 0.031)" in small.measured
    assert one_round.measured == "40 ms; the other not within 100 ms: a ratio below 0.40"
    assert own.measured == "190 ms for 190 ms: a ratio of 1.00"
    middle = 40 + 40 * 0.60206  # random seeds at 40 ms, percent
    assert f"{(30 + 95 - middle) / 2:+.1f} points in the mean from 10 ms to 40 ms" in equal.measured
    (guidance,) = (check for expected, check in found.items() if expected.startswith("guidance inside"))
    assert (guidance.met, guidance.measured[:11]) == (True, "+2.5 points")
    (value,) = (check for expected, check in found.items() if expected.startswith("learned value"))
    assert value.met
    assert "-9.5 %, p < 0.001, 20 pairs" in value.measured


def test_tables_hold_a_row_for_every_variant(figures):
    for table in (own_rounds(figures), at_equal_time(figures)):
        assert list(table.cells["variant"]) == [variant.title for variant in CHOSEN]
    cells = at_equal_time(figures).cells
    assert list(cells) == ["variant", "10 ms", "20 ms", "50 ms", "100 ms", "200 ms", "95 % in"]
    assert list(cells.iloc[0])[1:] == ["40.0 %", "52.0 %", "68.0 %", "80.0 %", "-", "not reached"]
    for table in tables(figures).values():
        assert all(isinstance(cell, str) for cell in table.cells.to_numpy().flat)


def test_telling_problems_of_different_sets_are_drawn(rows):
    drawn = pictured(rows, 3)
    assert {name[0] for name in drawn[:2]} == {"a", "b"}
    assert len(drawn) == 3
    assert pictured([row for row in rows if not row.certified], 3) == []


def test_every_round_has_its_marker_even_one_that_took_no_time(figures):
    points = [replace(p, plan_time_median_s=0.0) if p.mode == "4" else p for p in figures.points]
    for a in (figures, replace(figures, points=tuple(points))):
        plot = round_plot(a)
        for drawn in map(ElementTree.fromstring, (plot.wide, plot.phone)):
            groups = [part for part in drawn.iter("g") if "-curve-" in part.get("id", "")]
            assert [part.get("id").rpartition("-")[2] for part in groups] == [str(n) for n in range(len(CHOSEN))]
            places = [[float(part.get("x")) for part in group.iter("use")] for group in groups]
            assert {len(own) for own in places} == {len(BATCHES)}
            width = float(drawn.get("viewBox").split()[2])
            assert all(3.5 < x < width - 3.5 for own in places for x in own)


class _Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.outside, self.open, self.tables = [], [], 0

    def handle_starttag(self, tag, attrs):
        self.outside += [value for key, value in attrs if key in ("src", "href") and not value.startswith("data:")]
        self.outside += [tag] if tag in ("script", "link") else []
        self.tables += tag == "table"
        if tag not in ("meta", "path"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.outside += [value for key, value in attrs if key == "src" and not value.startswith("data:image/png")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_needs_nothing_else_and_the_json_has_the_same_figures(figures, rows, tmp_path):
    settings = BenchmarkSettings(
        suite="s.json", robot=None, timeout=1.0, fallback=False, options={}, dense_check=None, folder=tmp_path
    )
    pictures = [PictureRow(title="<a/1>", pictures=(Picture(png=b"png", caption="estimate"),))]
    write_ablation(figures, rows, settings, this_machine(), pictures, workers=1, warm_up_s={"random@4": 1.0})
    text = (tmp_path / "ablation.html").read_text()
    page = _Page()
    page.feed(text)
    assert (page.outside, page.open, page.tables) == ([], [], 5)
    assert all(words in text for words in ("&lt;a/1&gt;", "40.0 %\n21.9 to 61.3\n10 ms", "not met"))
    document = json.loads((tmp_path / "ablation.json").read_text())
    assert document["points"][0]["share"] == 0.4
    assert [check["met"] for check in document["checks"]] == [check.met for check in checks(figures)]
    assert document["machine"]["cpu"]


SUITE = """\
format: diffplan/scene@1
name: small
robot: panda
obstacles:
  - {name: wall, type: box, size: [0.05, 0.6, 0.6], pose: {xyz: [0.1, 0.75, 0.4]}}
queries:
  there: {start: home, goal: right}
  back: {start: right, goal: home}
"""


def test_the_command_runs_every_variant_once_and_goes_on_after_a_kill(tmp_path, capfd):
    (tmp_path / "small.yaml").write_text(SUITE)
    folder = tmp_path / "out"
    argv = ["bench", str(tmp_path / "small.yaml"), "--ablation", "--batches", "1,2", "--timeout", "5"]
    argv += ["--out", str(folder)]
    assert main(argv) == 0
    results = folder / "results.csv"
    rows = read_rows(results)
    keys = [row.key for row in rows]
    assert len(set(keys)) == len(keys) == len(variants()) * 3 * 2
    assert {row.status for row in rows} <= {"solved", "no_path_found", "not_certified"}
    assert not any(row.solved_by.startswith("fallback") for row in rows)
    assert "To the first certified plan" in capfd.readouterr().out
    assert (folder / "ablation.html").read_text().count("data:image/png;base64,") >= 5

    results.write_text(results.read_text()[:-5])  # as if killed while it wrote the last row
    assert main([*argv, "--limit", "2"]) == 0
    assert f"{len(keys) - 1} of {len(keys)} runs are done already" in capfd.readouterr().err
    again = read_rows(results)
    assert [row.key for row in again] == keys
    assert again[:-1] == rows[:-1]
    assert json.loads((folder / "ablation.json").read_text())["problems"] == 2


def test_an_ablation_of_named_planners_is_refused(capfd):
    with pytest.raises(SystemExit) as stopped:
        main(["bench", "x", "--ablation", "--planners", "straight", "--out", "y"])
    assert stopped.value.code == 2
    assert "not allowed with argument" in capfd.readouterr().err
