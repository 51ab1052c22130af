"""Fitting control points: within limits where it must be, and then as close as can be."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from diffplan.curves import spline
from diffplan.formats.robot_file import load_robot
from diffplan.planners.waypoints import control_points

PANDA = load_robot("panda", collision=False)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), points=st.sampled_from([40, 100]), bend=st.sampled_from([0.0, 0.5, 2.0]))
def test_control_points_of_waypoints_within_the_limits_are_within_them_and_nearest_of_those(seed, points, bend):
    rng = np.random.default_rng(seed)
    ends = rng.uniform(PANDA.lower, PANDA.upper, (2, PANDA.dof))
    s = np.linspace(0.0, 1.0, points)[:, None]
    path = ends[0] + s * (ends[1] - ends[0]) + bend * np.sin(np.pi * s * rng.integers(1, 6)) * rng.normal(size=7)
    path = np.clip(path, PANDA.lower, PANDA.upper)
    control = control_points(path, PANDA)
    assert np.all(control >= PANDA.lower)
    assert np.all(control <= PANDA.upper)
    np.testing.assert_array_equal(control[[0, -1]], path[[0, -1]])
    free = spline.fit(path, len(control))
    basis = spline.basis(len(control), points)
    inside = np.all((free >= PANDA.lower) & (free <= PANDA.upper), axis=0)
    np.testing.assert_array_equal(control[:, inside], free[:, inside])
    clipped = np.clip(free, PANDA.lower, PANDA.upper)
    off, off_clipped = (np.square(basis @ c - path).sum(axis=0) for c in (control, clipped))
    assert np.all(off <= off_clipped + 1e-9)
