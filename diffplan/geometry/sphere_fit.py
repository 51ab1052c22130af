"""Collision spheres fitted to a robot's links, and the measures that say how good they are.

Two errors matter, both in metres. *Uncovered*: the largest distance from a point of the link's surface to the union
of its spheres (0 where the surface lies inside a sphere). *Outside*: the farthest that a sphere sticks out of the link.
Both are measured from the same solid: the convex parts that collide (`ConvexUnion`).

The fit is a greedy set cover over interior points, each with the largest radius that *outside* allows, improved by
moving centres (a minimax Lloyd iteration) and dropping every sphere that its neighbours can make up for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from diffplan.errors import InputError
from diffplan.geometry.convex import ConvexUnion
from diffplan.geometry.pose import Float
from diffplan.geometry.sphere_cover import DepthGrid, cubes, drop, greedy_cover, large_gaps, nearest_gaps, settle

_DENSE, _MOST_DENSE = 0.001, 2_000_000
_ROUNDING = 0.0002
_REFITS, _DROPPING_REFITS, _ADDED = 20, 3, 200
_ROUNDS = 40
_SAMPLES, _FEW_SAMPLES, _CANDIDATES = 1200, 5000, 5000
_CELL, _MOST_CELLS = 0.002, 300_000
MOST_AREA = 20.0


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """The bounds of a fit [m]: `uncovered` surface, and `outside`, how far spheres may stick out."""

    uncovered: float
    outside: float


@dataclass(frozen=True, kw_only=True, eq=False)
class SphereFit:
    """Spheres of one link: `centre` [s, 3] in the link frame, `radius` [s], and their two errors, all in m."""

    centre: Float
    radius: Float
    uncovered: float
    outside: float


def fit_spheres(solid: ConvexUnion, tolerance: Tolerance, kept: SphereFit | None = None) -> SphereFit:
    """Fit few spheres to a link, deterministically, rounded to 0.1 mm.

    Starts from few samples of the surface and adds those that the fit so far leaves uncovered, until dense samples
    (1 mm) find none.

    Args:
        solid: the link.
        tolerance: bounds of the fit.
        kept: spheres that stay as they are; they come first in the answer.

    Raises:
        InputError: if the link is too large, or part of the surface cannot be covered within the tolerance.
    """
    check_size(solid)
    uncovered_most, margin = tolerance.uncovered - _ROUNDING, tolerance.outside - _ROUNDING
    grid = _depth_grid(solid)
    field = grid.origin, grid.spacing, grid.values, margin
    dense = _dense(solid)
    dense_cubes = cubes(dense)
    samples = _thinned(solid.surface(spacing := float(np.sqrt(solid.area / _SAMPLES))), spacing / 2)
    candidates = _candidates(solid, grid)
    still = (np.zeros((0, 3)), np.zeros(0)) if kept is None else (kept.centre, kept.radius)
    centres, radius = np.zeros((0, 3)), np.zeros(0)
    for refit in range(_REFITS):
        others = nearest_gaps(samples, *still)[0]
        gaps = np.minimum(others, nearest_gaps(samples, centres, grid.at(centres) + margin)[0])
        missing = samples[gaps > uncovered_most]
        around = np.concatenate([candidates, missing])  # a sphere of radius `margin` about a sample sticks out no more
        around = around[grid.at(around) + margin > 0]
        added = around[greedy_cover(around, grid.at(around) + margin, missing, uncovered_most)]
        centres = np.concatenate([centres, added])
        if len(centres) == 0 and kept is None:
            break
        if len(centres):
            centres, _ = settle(centres, samples, others, *field, uncovered_most, _ROUNDS)
            if refit < _DROPPING_REFITS:
                centres = drop(centres, samples, others, *field, uncovered_most, _ROUNDS)
            centres = np.round(settle(centres, samples, others, *field, 0.0, _ROUNDS)[0], 4)
        radius = np.round(solid.depth(centres) + margin, 4)
        all_centres, all_radii = np.concatenate([still[0], centres]), np.concatenate([still[1], radius])
        gaps = large_gaps(dense, dense_cubes, all_centres, all_radii, uncovered_most)
        if gaps.max() <= tolerance.uncovered:
            fit = SphereFit(centre=all_centres, radius=all_radii, uncovered=max(0.0, float(gaps.max())), outside=0.0)
            return replace(fit, outside=outside(solid, fit))
        worst = dense[gaps > uncovered_most]
        samples = np.concatenate([samples, worst[:: 1 + len(worst) // _ADDED], dense[[gaps.argmax()]]])
    raise InputError("some surface cannot be covered within the tolerance", value=float(tolerance.uncovered))


def check_size(solid: ConvexUnion) -> None:
    """Refuse a link that is too large for spheres.

    Raises:
        InputError: if its surface is larger than 20 m^2.
    """
    if not solid.area <= MOST_AREA:
        low, high = solid.bounds
        size = " x ".join(f"{edge:.3g}" for edge in high - low)
        allowed = f"a surface of up to {MOST_AREA:.0f} m^2 (is the mesh in millimetres?)"
        raise InputError(f"too large to be fitted: {size} m", value=f"{solid.area:.3g} m^2", allowed=allowed)


def uncovered(solid: ConvexUnion, fit: SphereFit) -> float:
    """Return the largest distance [m] from the link's surface to the union of spheres, over dense samples (1 mm)."""
    dense = _dense(solid)
    return max(0.0, float(large_gaps(dense, cubes(dense), fit.centre, fit.radius, np.inf).max()))


def outside(solid: ConvexUnion, fit: SphereFit, points: int = 2000) -> float:
    """Return how far [m] the spheres stick out of the link, over points on each sphere's surface."""
    surface = _sphere_points(points) * fit.radius[:, None, None] + fit.centre[:, None, :]
    return float(solid.distance(surface.reshape(-1, 3)).max(initial=0.0))


def _dense(solid: ConvexUnion) -> Float:
    return solid.surface(max(_DENSE, float(np.sqrt(solid.area / _MOST_DENSE))))


def _thinned(points: Float, size: float) -> Float:
    """Return one of the points [n, 3] in each cube of a size [m], where there are many: of meshes of tiny triangles."""
    if len(points) <= _FEW_SAMPLES:
        return points
    cells = np.floor((points - points.min(axis=0)) / size).astype(np.int64)
    return points[np.unique(cells, axis=0, return_index=True)[1]]


def _depth_grid(solid: ConvexUnion) -> DepthGrid:
    """Sample the depth in a box around a link, about 2 mm apart; coarser where that were too many."""
    low, high = solid.bounds
    spacing = max(_CELL, float(np.cbrt(np.prod(high - low) / _MOST_CELLS)))
    axes = [np.arange(a - spacing, b + 2 * spacing, spacing) for a, b in zip(low, high, strict=True)]
    nodes = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    values = solid.depth(nodes.reshape(-1, 3)).reshape(nodes.shape[:-1])
    return DepthGrid(origin=nodes[0, 0, 0], spacing=spacing, values=values)


def _candidates(solid: ConvexUnion, grid: DepthGrid) -> Float:
    """Return about 5000 grid points [n, 3] within the link."""
    low, high = solid.bounds
    spacing = float(np.cbrt(sum(float(part.volume) for part in solid.parts) / _CANDIDATES))
    axes = [np.arange(a + spacing / 2, b, spacing) for a, b in zip(low, high, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    return points[grid.at(points) > 0]


def _sphere_points(count: int) -> Float:
    """Return points [1, count, 3] on the unit sphere (Fibonacci lattice)."""
    k = np.arange(count) + 0.5
    z = 1 - 2 * k / count
    angle = np.pi * (1 + np.sqrt(5)) * k
    rho = np.sqrt(1 - z * z)
    return np.stack([rho * np.cos(angle), rho * np.sin(angle), z], axis=1)[None]
