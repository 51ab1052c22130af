"""Statistics against values computed by hand."""

import numpy as np
import pytest

from diffplan.benchmark.comparison import Curve, at_equal_time, mcnemar_exact, paired_change, paired_comparisons
from diffplan.benchmark.results import ResultRow


@pytest.mark.parametrize(
    ("only_first", "only_second", "p"), [(0, 0, 1.0), (0, 5, 2 / 32), (1, 5, 14 / 64), (3, 3, 1.0)]
)
def test_mcnemars_p_is_that_of_fair_coins(only_first, only_second, p):
    assert mcnemar_exact(only_first, only_second) == pytest.approx(p)


def test_a_change_that_goes_the_same_way_in_six_pairs_has_p_of_two_in_sixty_four():
    before = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    after = [0.9, 1.8, 2.7, 3.6, 4.5, 5.4]
    change = paired_change(before, after)
    assert (change.n, change.percent, change.p) == (6, pytest.approx(-10.0), pytest.approx(2 / 64))


def test_pairs_without_difference_or_no_pairs_show_nothing():
    same = paired_change([1.0, 2.0], [1.0, 2.0])
    none = paired_change([], [])
    assert (same.percent, same.p) == (0.0, 1.0)
    assert (none.n, none.percent, none.p) == (0, None, None)


def test_success_between_two_points_is_linear_in_the_log_of_time():
    curve = Curve.through([(0.1, 0.6), (0.01, 0.2)])
    assert curve.at(10**-1.5) == pytest.approx(0.4)
    assert (curve.at(0.01), curve.at(0.1)) == (pytest.approx(0.2), pytest.approx(0.6))
    assert curve.at(0.009) is None
    assert curve.at(0.11) is None


def test_the_time_for_a_share_lies_where_the_curve_first_gets_there():
    curve = Curve.through([(0.01, 0.2), (0.1, 0.6), (1.0, 0.5), (10.0, 0.9)])
    assert curve.time_for(0.5) == pytest.approx(10**-1.25)
    assert curve.time_for(0.1) == 0.01
    assert curve.time_for(0.95) is None


def test_nothing_planned_gives_an_empty_curve():
    empty = Curve.through([(0.0, 0.0)])
    assert (empty.at(1.0), empty.time_for(0.5)) == (None, None)


def test_equal_times_are_those_measured_that_lie_on_both_curves():
    before = Curve.through([(0.01, 0.2), (0.1, 0.6), (1.0, 0.8)])
    after = Curve.through([(10**-1.5, 0.5), (10**-0.5, 0.9)])
    times = at_equal_time(before, after)
    assert [time.time_s for time in times] == pytest.approx([10**-1.5, 0.1, 10**-0.5])
    assert [time.points for time in times] == pytest.approx([10.0, 10.0, 20.0])
    assert at_equal_time(before, Curve.through([(2.0, 0.9), (3.0, 1.0)])) == ()


def test_of_equal_times_the_best_share_counts():
    assert np.array_equal(Curve.through([(0.1, 0.4), (0.1, 0.7)]).share, [0.7])


def _row(planner, problem, *, certified=True, time=0.5, path=3.0, duration=2.0, seed=0):
    return ResultRow(
        planner=planner,
        problem=problem,
        set="a",
        seed=seed,
        status="solved" if certified else "no_path_found",
        certified=certified,
        plan_time_s=time,
        path_length_rad=path,
        duration_s=duration,
    )


def test_every_two_planners_are_compared_on_the_runs_that_both_made():
    rows = [_row("p", f"a/{i}", time=0.1 + 0.01 * i) for i in range(8)]
    rows += [_row("q", f"a/{i}", certified=i < 6, time=0.2 + 0.02 * i, path=1.5, duration=2.5) for i in range(8)]
    rows += [_row("r", "a/7"), _row("r", "a/9"), _row("r", "a/7", seed=1)]
    pairs = {(pair.before, pair.after): pair for pair in paired_comparisons(rows, time_limit=1.0)}
    assert list(pairs) == [("p", "q"), ("p", "r"), ("q", "r")]
    first = pairs["p", "q"]
    assert (first.n, first.both, first.only_before, first.only_after, first.p_success) == (8, 6, 2, 0, 0.5)
    assert [change.percent for change in (first.plan_time, first.path, first.duration)] == pytest.approx([100, -50, 25])
    assert (first.plan_time.n, first.plan_time.p) == (6, pytest.approx(2 / 64))
    assert (pairs["p", "r"].n, pairs["q", "r"].n, pairs["q", "r"].only_after) == (1, 1, 1)


def test_a_plan_that_comes_late_is_no_success_in_a_pair():
    (found,) = paired_comparisons([_row("p", "a/1", time=3.0), _row("q", "a/1")], time_limit=2.0)
    assert (found.both, found.only_before, found.only_after, found.path.n) == (0, 0, 1, 0)


def test_planners_without_a_common_run_show_nothing():
    (found,) = paired_comparisons([_row("p", "a/1"), _row("q", "a/2")], time_limit=2.0)
    assert (found.n, found.p_success, found.path.percent) == (0, 1.0, None)
