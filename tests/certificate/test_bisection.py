"""The bisection against problems whose answer is known exactly: a point among discs."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from diffplan.certificate.bisection import TOUCH, bisect


def _point_among_discs(path, centres, radii, sight_seen):
    """Return travel [n, discs] and the measure of a point on a polyline [n, 2]."""
    way = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    travel = np.repeat(way[:, None], len(radii), axis=1)

    def measure(place, pairs, sight):
        sight_seen.append(sight)
        i = min(int(place), len(path) - 2)
        point = path[i] + (place - i) * (path[i + 1] - path[i])
        clearance = np.linalg.norm(point - centres[pairs], axis=1) - radii[pairs]
        return np.where(clearance > sight, np.inf, clearance)

    return travel, measure


def _exact_clearance(path, centres, radii):
    """The least distance of the polyline from each disc [discs]."""
    a, d = path[:-1, None], np.diff(path, axis=0)[:, None]
    squares = np.maximum((d * d).sum(-1), 1e-18)
    t = np.clip(((centres - a) * d).sum(-1) / squares, 0, 1)
    return (np.linalg.norm(a + t[..., None] * d - centres, axis=2) - radii).min(axis=0)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 12), st.integers(1, 6))
def test_a_path_is_called_free_exactly_when_it_is(seed, samples, discs):
    rng = np.random.default_rng(seed)
    path = np.cumsum(rng.normal(scale=0.1, size=(samples, 2)), axis=0)
    centres, radii = rng.uniform(-0.5, 0.5, (discs, 2)), rng.uniform(0.001, 0.1, discs)
    exact = _exact_clearance(path, centres, radii)
    sweep = bisect(*_point_among_discs(path, centres, radii, []))
    if exact.min() > 1.01 * TOUCH:
        assert sweep.free
        assert np.all(sweep.least >= exact - 1e-12)
    if exact.min() <= 0:
        assert not sweep.free
    if sweep.touch:
        assert exact[sweep.touch.pair] <= TOUCH


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 12), st.integers(1, 6))
def test_bounds_change_no_verdict_and_what_they_prove_is_not_measured(seed, samples, discs):
    rng = np.random.default_rng(seed)
    path = np.cumsum(rng.normal(scale=0.1, size=(samples, 2)), axis=0)
    centres, radii = rng.uniform(-0.5, 0.5, (discs, 2)), rng.uniform(0.001, 0.1, discs)
    exact, loose = _exact_clearance(path, centres, radii), rng.uniform(0, 0.3, discs)
    travel, measure = _point_among_discs(path, centres, radii, [])

    steps = [(pair, i, i + 1) for i in range(samples - 1) for pair in range(discs)]

    def proven(pair, i, j):
        ends = [float(measure(float(at), np.array([pair]), np.inf)[0]) - loose[pair] for at in (i, j)]
        return sum(ends) > travel[j, pair] - travel[i, pair]

    left = [step for step in steps if not proven(*step)]
    sweep = bisect(travel, measure, np.arange(discs), left)
    if exact.min() > 1.01 * TOUCH:
        assert sweep.free
        assert np.all(sweep.least >= exact - 1e-12)
        assert set(np.flatnonzero(np.isfinite(sweep.least))) <= {pair for pair, *_ in left}
    if exact.min() <= 0:
        assert not sweep.free


def test_pairs_go_the_same_way_where_that_is_said():
    path = np.array([[0.0, 0.0], [0.5, 0.0], [1.0, 0.0]])
    travel, measure = _point_among_discs(path, np.array([[0.5, 0.3], [0.5, -0.2]]), np.array([0.1, 0.1]), [])
    both = bisect(travel[:, :1], measure, np.zeros(2, int))
    each = bisect(travel, measure)
    assert both.free
    assert both.least.tolist() == each.least.tolist()


def test_a_disc_far_smaller_than_the_step_between_two_samples_is_found():
    path = np.array([[0.0, 0.0], [1.0, 0.0]])
    travel, measure = _point_among_discs(path, np.array([[0.37123, 0.0]]), np.array([1e-4]), [])
    sweep = bisect(travel, measure)
    assert sweep.touch is not None
    assert abs(sweep.touch.place - 0.37123) < 3e-4


def test_the_sight_shrinks_with_the_intervals():
    sights = []
    path = np.array([[0.0, 0.0], [1.0, 0.0]])
    bisect(*_point_among_discs(path, np.array([[0.47, 0.02]]), np.array([0.01]), sights))
    assert sights[0] >= 0.25
    assert min(sights) < 0.05


def test_pairs_that_do_not_move_are_measured_once():
    def measure(place, pairs, sight):
        return np.full(len(pairs), 0.001)

    sweep = bisect(np.zeros((5, 3)), measure)
    assert sweep.free
    assert sweep.places == [0.0]


def test_a_pair_forever_too_close_to_tell_is_not_free():
    def measure(place, pairs, sight):
        return np.full(len(pairs), 0.5 * TOUCH)

    assert not bisect(np.linspace(0, 1, 4)[:, None], measure).free


def test_without_pairs_every_path_is_free():
    assert bisect(np.zeros((3, 0)), lambda place, pairs, sight: np.zeros(0)).free
