"""Polylines: lengths, resampling, shortcuts and rounding."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffplan.curves import spline
from diffplan.planners.polyline import at, dense, length, resample, rounded, shortcut

CORNER = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])


@st.composite
def polylines(draw: st.DrawFn) -> np.ndarray:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return rng.normal(size=(draw(st.integers(2, 9)), draw(st.integers(1, 7))))


@settings(deadline=None, max_examples=40)
@given(polylines(), st.integers(2, 80))
def test_resampling_keeps_the_ends_and_never_lengthens(path: np.ndarray, points: int) -> None:
    waypoints = resample(path, points)
    assert waypoints.shape == (points, path.shape[1])
    assert np.array_equal(waypoints[[0, -1]], path[[0, -1]])
    assert length(waypoints) <= length(path) * (1 + 1e-9)


def test_points_lie_at_fractions_of_the_arc_length() -> None:
    assert np.allclose(at(CORNER, np.array([0.0, 0.25, 0.5, 0.75, 1.0])), [[0, 0], [0.5, 0], [1, 0], [1, 0.5], [1, 1]])


def test_a_path_that_stays_put_resamples_to_its_point() -> None:
    assert np.array_equal(resample(np.ones((3, 2)), 4), np.ones((4, 2)))


@settings(deadline=None, max_examples=40)
@given(polylines(), st.floats(0.01, 1.0))
def test_a_dense_path_has_all_vertices_and_no_long_step(path: np.ndarray, step: float) -> None:
    points = dense(path, step)
    assert np.abs(np.diff(points, axis=0)).max() <= step + 1e-9
    assert all(np.abs(points - vertex).sum(axis=1).min() < 1e-9 for vertex in path)
    assert length(points) == pytest.approx(length(path))


def test_shortcuts_find_the_straight_line_where_all_is_free() -> None:
    path = np.random.default_rng(0).normal(size=(12, 3))
    short = shortcut(path, lambda a, b: True, np.random.default_rng(1), attempts=400)
    assert length(short) < 1.02 * float(np.linalg.norm(path[-1] - path[0]))
    assert np.array_equal(short[[0, -1]], path[[0, -1]])


def test_shortcuts_use_only_free_edges() -> None:
    accepted: list[tuple[np.ndarray, np.ndarray]] = []

    def misses_the_disc(a: np.ndarray, b: np.ndarray) -> bool:
        free = bool(np.all(np.linalg.norm(dense(np.stack([a, b]), 0.01) - [0.6, 0.4], axis=1) > 0.3))
        accepted.extend([(a, b)] if free else [])
        return free

    short = shortcut(CORNER, misses_the_disc, np.random.default_rng(0), attempts=300)
    assert accepted
    assert length(short) < length(CORNER)
    assert np.all(np.linalg.norm(dense(short, 0.01) - [0.6, 0.4], axis=1) > 0.29)


def test_the_rounded_curve_nears_the_polyline_as_the_spacing_shrinks() -> None:
    gaps = []
    for spacing in (0.4, 0.1, 0.02):
        control = rounded(CORNER, spacing)
        assert np.array_equal(control[[0, -1]], CORNER[[0, -1]])
        curve = spline.basis(len(control), 400) @ control
        gap = np.minimum(np.abs(curve[:, 1]), np.abs(curve[:, 0] - 1)).max()
        assert gap < spacing
        gaps.append(gap)
    assert gaps[0] > gaps[1] > gaps[2]
