import pytest

from diffplan.benchmark.results import ResultRow
from diffplan.benchmark.summary import ALL, summarise, wilson_interval


def _row(problem, *, certified=True, time=0.5, path=3.0, straight=2.0, status=None, dense=None, planner="p", **more):
    return ResultRow(
        planner=planner,
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
        **more,
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
    assert (one.plan_time_min_s, one.plan_time_median_s, one.plan_time_max_s) == (1.0, 2.0, 9.0)
    assert (one.plan_time_p25_s, one.plan_time_p75_s) == (1.5, 5.5)
    assert one.plan_time_p95_s == pytest.approx(2.0 + 0.9 * 7.0)
    assert (one.path_mean_rad, one.path_ratio) == (3.0, 1.5)
    assert one.solved_by == {"diffusion": 2}


def test_a_certified_plan_that_came_after_the_limit_is_a_failure():
    (one, _) = summarise([_row("a/1", time=5.0), _row("a/2", time=1.0)], time_limit=4.0)
    assert (one.certified, one.late, one.plan_time_max_s) == (1, 1, 5.0)


def test_errors_are_counted_and_may_lack_every_number():
    error = ResultRow(planner="p", problem="a/1", set="a", seed=0, status="error")
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


def test_the_best_known_path_is_the_shortest_certified_one_of_any_planner_and_seed():
    rows = [
        _row("a/1", path=3.0),
        _row("a/2", path=4.0),
        _row("a/3", path=5.0),
        _row("a/4", certified=False, path=1.0),
        _row("a/1", path=2.0, planner="q", time=99.0),  # late, but a path that is known to be free
        _row("a/2", path=1.0, planner="q", certified=False),
        _row("a/2", path=8.0, planner="q"),
    ]
    found = {s.planner: s.path_to_best for s in summarise(rows, 9.0) if s.set == ALL}
    assert found == {"p": pytest.approx((1.5 + 1 + 1) / 3), "q": 2.0}


def test_jerk_and_mean_clearance_are_means_over_certified_motions():
    rows = [
        _row("a/1", max_jerk=100.0, mean_jerk=10.0, mean_clearance_m=0.1, min_clearance_m=0.01),
        _row("a/2", max_jerk=300.0, mean_jerk=30.0, mean_clearance_m=0.2, min_clearance_m=0.03),
        _row("a/3", certified=False, max_jerk=900.0, mean_jerk=90.0, min_clearance_m=-0.05),
    ]
    (one, _) = summarise(rows, 9.0)
    assert (one.max_jerk, one.mean_jerk) == (200.0, 20.0)
    assert (one.mean_clearance_m, one.min_clearance_m) == (pytest.approx(0.15), 0.01)


def test_offered_and_refused_paths_are_counted_certified_or_not():
    rows = [
        _row("a/1", offered=1, rejected=0, first_rejected=0),
        _row("a/2", offered=5, rejected=4, first_rejected=1),
        _row("a/3", certified=False, offered=2, rejected=2, first_rejected=1),
        _row("a/4", certified=False, offered=0, rejected=0),
        _row("a/5", certified=False, status="error"),
    ]
    (one, _) = summarise(rows, 9.0)
    assert (one.offered, one.rejected, one.rejected_share) == (8, 6, 0.75)
    assert (one.claimed, one.first_rejected_share) == (3, pytest.approx(2 / 3))


def test_a_planner_that_offers_nothing_has_no_shares():
    (one, _) = summarise([_row("a/1", certified=False, offered=0, rejected=0)], 9.0)
    assert (one.offered, one.rejected_share, one.claimed, one.first_rejected_share) == (0, None, 0, None)


def test_executions_are_counted_where_there_were_any():
    (plain, _) = summarise([_row("a/1")], 9.0)
    assert (plain.executed, plain.executed_contacts, plain.tracking_error_rad) == (0, None, None)
    rows = [
        _row("a/1", executed_contact=0, tracking_error_rad=0.01),
        _row("a/2", executed_contact=1, tracking_error_rad=0.03),
        _row("a/3", certified=False),
    ]
    (one, _) = summarise(rows, 9.0)
    assert (one.executed, one.executed_contacts) == (2, 1)
    assert (one.tracking_error_rad, one.tracking_error_max_rad) == (pytest.approx(0.02), 0.03)
