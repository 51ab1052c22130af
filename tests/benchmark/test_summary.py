import pytest

from diffplan.benchmark.results import Row
from diffplan.benchmark.summary import ALL, summarise, wilson_interval


def _row(problem, *, certified=True, time=0.5, path=3.0, straight=2.0, status=None, dense=None):
    return Row(
        planner="p",
        problem=problem,
        set=problem.split("/")[0],
        seed=0,
        status=status or ("solved" if certified else "no_path_found"),
        solved_by="diffusion" if certified else "",
        certified=certified,
        plan_time_s=time,
        certify_time_s=0.25,
        path_length_rad=path,
        straight_line_rad=straight,
        dense_contact=dense,
    )


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(10, 10, 0.7225, 1.0), (0, 10, 0.0, 0.2775), (50, 100, 0.4038, 0.5962), (98, 100, 0.9300, 0.9945)],
)
def test_wilson_intervals_are_the_tabled_ones(successes, trials, low, high):
    assert wilson_interval(successes, trials) == pytest.approx((low, high), abs=5e-5)


def test_nothing_tried_says_nothing():
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_failures_count_with_the_time_limit_and_stay_out_of_path_figures():
    rows = [_row("a/1", time=1.0, path=4.0), _row("a/2", time=2.0, path=2.0), _row("a/3", certified=False, time=0.1)]
    (one, whole) = summarise(rows, time_limit=9.0)
    assert (one.set, whole.set) == ("a", ALL)
    assert (one.n, one.certified) == (3, 2)
    assert (one.plan_time_median_s, one.plan_time_max_s) == (2.0, 9.0)
    assert one.plan_time_p95_s == pytest.approx(2.0 + 0.9 * 7.0)
    assert (one.path_mean_rad, one.path_ratio) == (3.0, 1.5)
    assert one.solved_by == {"diffusion": 2}


def test_a_certified_plan_that_came_after_the_limit_is_a_failure():
    (one, _) = summarise([_row("a/1", time=5.0), _row("a/2", time=1.0)], time_limit=4.0)
    assert (one.certified, one.late, one.plan_time_max_s) == (1, 1, 5.0)


def test_errors_are_counted_and_may_lack_every_number():
    error = Row(planner="p", problem="a/1", set="a", seed=0, status="error")
    (one, _) = summarise([error], time_limit=4.0)
    assert (one.errors, one.certified, one.plan_time_median_s, one.path_ratio) == (1, 0, 4.0, None)


def test_sets_are_kept_apart_and_added_up():
    rows = [_row("a/1"), _row("b/1", certified=False), _row("b/2")]
    assert [(s.set, s.certified, s.n) for s in summarise(rows, 9.0)] == [("a", 1, 1), ("b", 1, 2), (ALL, 2, 3)]


def test_dense_contacts_are_counted_only_when_looked_for():
    (plain, _) = summarise([_row("a/1")], 9.0)
    (checked, _) = summarise([_row("a/1", dense=0), _row("a/2", dense=1), _row("a/3", certified=False)], 9.0)
    assert plain.dense_contacts is None
    assert (checked.dense_checked, checked.dense_contacts) == (2, 1)
