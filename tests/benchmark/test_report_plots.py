"""The drawings stand on the right numbers, and their colours are the page's."""

import re
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest

from diffplan.benchmark.drawing import curve_colours, drawing, page_colours, svg
from diffplan.benchmark.page import page
from diffplan.benchmark.plots import QUALITIES, quality_plots, success_plot
from diffplan.benchmark.results import ResultRow
from diffplan.benchmark.summary import frame, wilson_interval


def _row(planner, i, good=True, time=0.01, path=3.0, **more):
    return ResultRow(
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


def _success(rows, limit=1.0):
    return success_plot(frame(rows, limit), limit)


def _part(drawn, name):
    """Return the group with this name, without the drawing's own prefix."""
    (found,) = (part for part in ElementTree.fromstring(drawn).iter("g") if part.get("id", "").endswith(f"-{name}"))
    return found


def _corners(drawn, name):
    """Return the corners [n, 2] of the first path of the group with this name, in pixels."""
    numbers = re.findall(r"-?[\d.]+", _part(drawn, name).find("path").get("d"))
    return np.array(numbers, dtype=float).reshape(-1, 2)


def _ticks(drawn):
    """Return where the texts of one line stand, by text."""
    texts = ElementTree.fromstring(drawn).iter("text")
    return {part.text: (float(part.get("x")), float(part.get("y"))) for part in texts if part.get("x")}


def _noted(drawn):
    return [part.text for part in ElementTree.fromstring(drawn).iter("title")]


def test_a_success_curve_steps_up_by_a_run_at_each_time_and_stops_at_the_share():
    rows = [_row("p", 0, time=0.01), _row("p", 1, time=0.1), _row("p", 2, time=5.0), _row("p", 3, good=False)]
    drawn = _success(rows).wide
    ticks, (x, y) = _ticks(drawn), _corners(drawn, "curve-0").T
    assert [x.min(), x.max()] == pytest.approx([ticks["10 ms"][0], ticks["1 s"][0]], abs=0.2)
    shares = np.interp(y, sorted([y.min(), y.max()]), [0.5, 0.0])
    rises = {round(share, 2): place for share, place in zip(shares, x, strict=True)}
    assert set(rises) == {0.0, 0.25, 0.5}
    first = min(place for share, place in zip(shares, x, strict=True) if share > 0.49)
    assert first == pytest.approx(ticks["100 ms"][0], abs=0.2)
    middle = next(height for share, height in zip(shares, y, strict=True) if share > 0.49)
    assert middle - y.max() == pytest.approx(ticks["50 %"][1] - ticks["0 %"][1], abs=0.2)
    assert "p: 50.0 % within 1 s" in _noted(drawn)


def test_the_bar_at_the_limit_is_wilsons_interval():
    rows = [_row("p", i, good=i < 5) for i in range(10)]
    drawn = _success(rows).wide
    ticks = _ticks(drawn)
    low, high = wilson_interval(5, 10)
    heights = [
        np.ptp(np.array(re.findall(r"-?[\d.]+", part.get("d")), dtype=float).reshape(-1, 2)[:, 1])
        for part in ElementTree.fromstring(drawn).iter("path")
        if part.get("style", "").startswith("fill: none; stroke: var(--c0); stroke-width: 1.3")
    ]
    assert heights == [pytest.approx((high - low) * (ticks["0 %"][1] - ticks["100 %"][1]), abs=0.2)]


def _bands(rows):
    return _success(rows).wide.count('id="success-wide-band-')


def test_bands_are_drawn_for_few_planners_only_and_names_are_escaped():
    few = [_row(f"<p{i}>", run) for i in range(4) for run in range(10)]
    assert _bands(few) == 4
    assert _bands([*few, _row("q", 0)]) == 0
    drawn = _success(few).wide
    assert "&lt;p0&gt;" in drawn
    assert "<p0>" not in drawn


def test_bands_are_left_out_below_ten_runs():
    many = [_row("many", run) for run in range(10)]
    few = [_row("few", run) for run in range(9)]
    assert (_bands(many), _bands([*many, *few]), _bands(few)) == (1, 1, 0)


def test_no_two_planners_share_a_colour():
    for dark in (False, True):
        colours = page_colours(200, dark=dark)
        assert len(set(colours.values())) == len(colours) > 200
        assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in colours.values())
        assert curve_colours(3, dark=dark) == curve_colours(200, dark=dark)[:3]
    planners = [f"p{number}" for number in range(20)]
    rows = [_row(planner, 0) for planner in planners]
    drawn = _success(rows).wide
    styles = [_part(drawn, f"curve-{number}").find("path").get("style") for number in range(20)]
    assert [re.search(r"stroke: var\(--(c\d+)\)", style)[1] for style in styles] == [f"c{n}" for n in range(20)]
    assert len(set(styles)) == 20
    (boxes, *_) = quality_plots(frame(rows, 1.0))
    fills = [_part(boxes.drawn, f"box-{number}").find("path").get("style") for number in range(20)]
    assert [re.search(r"fill: var\(--(c\d+)\)", style)[1] for style in fills] == [f"c{n}" for n in range(20)]


def test_every_colour_of_a_drawing_is_one_that_the_page_has_in_light_in_dark_and_on_paper():
    rows = [_row(planner, i, duration_s=2.0 + i) for planner in "pq" for i in range(12)]
    plot = _success(rows)
    drawings = [plot.wide, plot.phone, *(quality.drawn for quality in quality_plots(frame(rows, 1.0)))]
    used = {name for drawn in drawings for name in re.findall(r"var\(--(\w+)\)", drawn)}
    assert used == {"c0", "c1", "ink", "line", "faint"}
    assert not any(
        re.search(r"#[0-9a-f]{6}\b|black|white", "".join(re.findall('style="([^"]*)"', d))) for d in drawings
    )
    assert all(part.get("style") for d in drawings for part in ElementTree.fromstring(d).iter("text"))
    text = page("page.html.jinja", curves=2)
    assert [text.count(f"--{name}: ") for name in sorted(used)] == [3] * len(used)


def test_drawings_are_the_same_each_time_whatever_the_users_settings_and_leave_those_alone():
    rows = [_row(planner, i) for planner in "pq" for i in range(12)]
    first = _success(rows), quality_plots(frame(rows, 1.0))[0].drawn
    with matplotlib.rc_context({"font.size": 20, "svg.hashsalt": None, "axes.grid": True}):
        assert (_success(rows), quality_plots(frame(rows, 1.0))[0].drawn) == first
        assert (matplotlib.rcParams["font.size"], matplotlib.rcParams["axes.grid"]) == (20, True)
    assert "date" not in first[0].wide.lower()


def test_identifiers_are_unlike_between_drawings_and_those_that_are_used_exist():
    rows = [_row("p", i, duration_s=2.0) for i in range(12)]
    plot = _success(rows)
    drawings = [plot.wide, plot.phone, *(quality.drawn for quality in quality_plots(frame(rows, 1.0)))]
    names = [name for drawn in drawings for name in re.findall(r' id="([^"]+)"', drawn)]
    used = {name for drawn in drawings for name in re.findall(r'#([^")]+)["\)]', drawn)}
    assert len(names) == len(set(names))
    assert used
    assert used <= set(names)


def test_texts_of_a_drawing_are_what_they_are():
    with drawing(200, 200) as figure:
        figure.text(0, 0, "$a$ #0067a8 id=\"x\" <b> & 'DejaVu Sans' 1.2345")
        drawn = svg(figure, name="n", title="t", curves=1, notes={})
    assert "$a$ #0067a8 id=\"x\" <b> & 'DejaVu Sans' 1.2345" in _ticks(drawn)


def test_a_plot_without_any_success_is_still_drawn():
    rows = [_row("p", 0, good=False)]
    assert "p: 0.0 % within 1 s" in _noted(_success(rows).wide)
    assert quality_plots(frame(rows, 1.0)) == []


def test_times_below_a_millisecond_and_at_zero_are_drawn_too():
    for time in (0.0, 1e-6, 1e-3):
        drawn = _success([_row("p", 0, time=time), _row("p", 1, time=0.5)]).wide
        assert "1 ms" in _ticks(drawn)
        assert "p: 100.0 % within 1 s" in _noted(drawn)
    assert len(quality_plots(frame([_row("p", 0, time=0.0)], 1.0))) == 2  # a planning time of 0 has no logarithm


def test_qualities_are_those_of_certified_runs_against_the_best_known_path():
    rows = [_row("p", 0, path=3.0), _row("q", 0, path=2.5), _row("q", 1, path=4.0), _row("p", 1, good=False)]
    runs = frame(rows, 1.0)
    assert list(runs.path_to_best[:3]) == [pytest.approx(1.2), 1.0, 1.0]
    assert np.isnan(runs.path_to_best[3])
    plots = quality_plots(runs)
    assert [plot.quality.column for plot in plots] == ["path_ratio", "path_to_best", "plan_time_s"]  # the rest has none
    cells = plots[1].cells
    assert list(cells) == ["planner", "plans", "5 %", "25 %", "median", "75 %", "95 %"]
    assert cells.to_numpy().tolist() == [["p", "1", *["1.20"] * 5], ["q", "2", *["1.00"] * 5]]
    assert "q: median 1.00" in _noted(plots[1].drawn)


def test_a_box_stands_at_the_percentiles():
    rows = [_row("p", i, path=2.0 * (1 + i / 10)) for i in range(11)]  # ratios 1 to 2
    drawn = quality_plots(frame(rows, 1.0))[0].drawn
    ticks, (x, _) = _ticks(drawn), _corners(drawn, "box-0").T
    unit = ticks["2"][0] - ticks["1"][0]
    assert [(edge - ticks["1"][0]) / unit for edge in (x.min(), x.max())] == pytest.approx([0.25, 0.75], abs=0.01)
    assert ticks["1.50"]


@pytest.mark.parametrize("quality", QUALITIES, ids=lambda quality: quality.column)
def test_axes_of_equal_values_have_ticks_that_differ(quality):
    rows = [_row("p", i, time=0.02, duration_s=2.0, max_jerk=70.0, min_clearance_m=0.01) for i in range(2)]
    (plot,) = (plot for plot in quality_plots(frame(rows, 1.0)) if plot.quality == quality)
    texts = [text for text in _ticks(plot.drawn) if re.fullmatch(r"[\d.]+", text)]
    assert len(texts) >= 3
