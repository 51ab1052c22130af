"""The drawings stand on the right numbers, and their places on the axes are right."""

import re

import pytest

from diffplan.benchmark.page import curve_colours, page
from diffplan.benchmark.report_plots import qualities, quality_plots, success_plot
from diffplan.benchmark.results import Row
from diffplan.benchmark.svg import COLOURS, Scale, SuccessAxes, stroke, time_ticks


def _row(planner, i, good=True, time=0.01, path=3.0, **more):
    return Row(
        planner=planner,
        problem=f"a/{i}",
        set="a",
        seed=0,
        status="solved" if good else "no_path_found",
        certified=good,
        plan_time_s=time,
        path_length_rad=path if good else None,
        straight_line_rad=2.0,
        **more,
    )


def test_a_success_curve_steps_up_by_a_run_at_each_time_and_stops_at_the_share():
    rows = [_row("p", 0, time=0.01), _row("p", 1, time=0.1), _row("p", 2, time=5.0), _row("p", 3, good=False)]
    drawn = success_plot(rows, 1.0)
    axes = SuccessAxes.around([0.01, 1.0], right=705 - 2 * 13)
    (line,) = re.findall(r'<path d="([^"]+)" class="s0" stroke-width="2"', drawn.split("<ul")[0])
    assert line == (
        f"M{axes.left} {axes.y(0):.1f}H{axes.x(0.01):.1f}V{axes.y(0.25):.1f}H{axes.x(0.1):.1f}V{axes.y(0.5):.1f}"
        f"H{axes.right:.1f}"
    )
    assert "p: 50.0 % within 1 s" in drawn


def test_bands_are_drawn_for_few_planners_only_and_names_are_escaped():
    few = [_row(f"<p{i}>", run) for i in range(4) for run in range(10)]
    assert success_plot(few, 1.0).count("fill-opacity") == 4
    assert success_plot([*few, _row("q", 0)], 1.0).count("fill-opacity") == 0
    assert "&lt;p0&gt;" in success_plot(few, 1.0)
    assert "<p0>" not in success_plot(few, 1.0)


def test_bands_are_left_out_below_ten_runs():
    many = [_row("many", run) for run in range(10)]
    few = [_row("few", run) for run in range(9)]
    assert success_plot(many, 1.0).count("fill-opacity") == 1
    assert success_plot([*many, *few], 1.0).count("fill-opacity") == 1
    assert success_plot(few, 1.0).count("fill-opacity") == 0


def test_no_two_planners_share_a_colour():
    planners = [f"p{number}" for number in range(20)]
    drawn = success_plot([_row(planner, 0) for planner in planners], 1.0)
    assert set(re.findall(r'class="s(\d+)" stroke-width', drawn)) == {str(number) for number in range(20)}
    for dark in (False, True):
        colours = curve_colours(dark=dark)
        assert len(set(colours)) == len(colours) == COLOURS
        assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in colours)
    for number in range(COLOURS):
        assert page("", []).count(f"--c{number}: ") == 2


def test_a_plot_without_any_success_is_still_drawn():
    rows = [_row("p", 0, good=False)]
    assert "p: 0.0 % within" in success_plot(rows, 1.0)
    assert "<figure>" not in quality_plots(rows, 1.0)


def test_qualities_are_those_of_certified_runs_against_the_best_known_path():
    rows = [_row("p", 0, path=3.0), _row("q", 0, path=2.5), _row("q", 1, path=4.0), _row("p", 1, good=False)]
    best = next(quality for quality in qualities(rows) if "best known" in quality.title)
    assert [best.value(row) for row in rows] == [pytest.approx(1.2), 1.0, 1.0, None]
    drawn = quality_plots(rows, 1.0)
    assert drawn.count("<figure>") == 3  # two path ratios and the planning time; the rest has no values
    assert '<th scope="row">p</th><td>1</td><td>1.20</td>' in drawn


def test_axes_hold_what_they_are_made_around():
    axes = SuccessAxes.around([0.013, 2.0])
    assert (axes.low, axes.high) == (0.01, 2.0)
    assert axes.x(0.01) == axes.left
    assert axes.x(2.0) == axes.right
    assert axes.x(0.1) == pytest.approx(axes.left + (axes.right - axes.left) * 0.434588, abs=0.01)
    linear = Scale.around([1.0, 4.7], log=False)
    assert (linear.low, linear.high, linear.place(3.0)) == (1.0, 5.0, 0.5)
    assert [text for _, text in linear.ticks] == ["1", "2", "3", "4", "5"]
    for same in (Scale.around([1.0, 1.0 + 1e-9], log=False), Scale.around([0.0, 0.0], log=False)):
        texts = [text for _, text in same.ticks]
        assert len({*texts}) == len(texts) >= 3
    log = Scale.around([0.02, 0.3], log=True)
    assert log.place(0.01) == 0.0
    assert log.high > 0.3
    assert [tick for tick, _ in time_ticks(0.1, 1.0)] == pytest.approx([0.1, 0.2, 0.5, 1.0])


def test_many_curves_differ_in_colour_or_dashes():
    assert len({stroke(number) for number in range(35)}) == 35
