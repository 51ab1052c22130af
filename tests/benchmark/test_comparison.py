"""Statistics against values computed by hand."""

import numpy as np
import pytest

from diffplan.benchmark.comparison import Curve, at_equal_time, mcnemar_exact, paired_change


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
