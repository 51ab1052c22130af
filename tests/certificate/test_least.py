"""Refinement of the least clearance: on made-up clearances whose least is known."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from diffplan.certificate import least
from diffplan.certificate.bisection import bisect
from diffplan.certificate.least import refine

LENGTH = 10
SPEED = 0.1  # m of travel between two samples


def _dips(depths, at):
    """Return clearances of pairs that fall as fast as pairs move towards `depths` at the places `at`."""

    def measure(place, pairs, sight):
        clearance = np.array([min(0.4, d + SPEED * abs(place - a)) for d, a in zip(depths, at, strict=True)])[pairs]
        return np.where(clearance < sight, clearance, np.inf)

    return measure


class Told:
    """Bounds as far below the truth at the samples as `loose` says."""

    def __init__(self, measure, pairs, loose):
        every = np.arange(pairs)
        self.low = np.array([measure(float(i), every, 1.0) for i in range(LENGTH + 1)]) - loose

    def nearest(self, pairs):
        sample, pair = np.unravel_index(int(np.argmin(self.low[:, pairs])), (LENGTH + 1, len(pairs)))
        return int(pairs[pair]), int(sample), float(self.low[sample, pairs[pair]])

    def nearer(self, pairs, demand):
        return pairs[((self.low[:-1, pairs] + self.low[1:, pairs] - SPEED) / 2).min(axis=0) <= demand]

    def along(self, pairs, enough):
        return self.low[:, pairs]


def _run(measure, pairs, group, loose=np.inf):
    travel, way = SPEED * np.arange(LENGTH + 1.0)[:, None] * np.ones(pairs), np.arange(pairs)
    sweep = bisect(travel, measure)
    assert sweep.free
    return sweep, refine(sweep, travel, way, measure, np.asarray(group), Told(measure, pairs, loose))


dips = st.lists(st.tuples(st.floats(0.001, 0.2), st.floats(0, LENGTH)), min_size=2, max_size=5)


@given(dips, st.sampled_from([0.0, 0.004, 0.05, np.inf]))
def test_the_bound_is_never_above_the_truth_and_the_measured_one_never_below(dips, loose):
    depths, at = zip(*dips, strict=True)
    group = [i % 2 for i in range(len(dips))]
    sweep, bounds = _run(_dips(depths, at), len(dips), group, loose)
    for g in (0, 1):
        own = [i for i in range(len(dips)) if group[i] == g]
        true = min(depths[i] for i in own)
        assert 0 <= bounds[g] <= true + 1e-9
        assert sweep.least[own].min() >= true - 1e-9


def test_with_looks_enough_bound_and_measured_least_agree_within_a_millimetre(monkeypatch):
    monkeypatch.setattr(least, "MOST_LOOKS", 200)
    sweep, (near, _) = _run(_dips((0.0347, 0.05), (3.3333, 7.1)), 2, [0, 1])
    assert near <= 0.0347 + 1e-9
    assert sweep.least[0] - near <= 0.001


def test_a_group_without_pairs_has_no_bound():
    _, bounds = _run(_dips((0.1,), (4.0,)), 1, [1])
    assert bounds[0] == np.inf
    assert bounds[1] <= 0.1
