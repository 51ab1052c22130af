"""Collision spheres fitted to a robot's collision meshes, and the measures that say how good they are.

Two errors matter, both in metres. *Uncovered*: the largest distance from a point of the link's surface to the union
of its spheres (0 where the surface lies inside a sphere). *Outside*: the farthest that a sphere sticks out of the link.
A link's surface is its collision mesh and the convex hulls that a physics engine collides with instead; where the two
differ, *uncovered* covers both and *outside* is measured from the mesh.

The fit is a greedy set cover over interior points, each with the largest radius that *outside* allows, improved by
moving centres (a minimax Lloyd iteration) and dropping every sphere that the others can make up for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import trimesh
from scipy.interpolate import RegularGridInterpolator
from scipy.spatial import cKDTree

from diffplan.errors import InputError
from diffplan.geometry import Float
from diffplan.urdf import CollisionShape

_CONVEX_VOLUME_RATIO = 0.999


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


@dataclass(frozen=True, kw_only=True, eq=False)
class Body:
    """The solid of one link in its own frame: its `mesh`, and the convex `hulls` that engines collide with."""

    mesh: trimesh.Trimesh
    hulls: tuple[trimesh.Trimesh, ...]

    @staticmethod
    def from_shapes(shapes: tuple[CollisionShape, ...]) -> Body:
        """Join the collision shapes of a link, each moved by its own pose.

        Raises:
            InputError: if a mesh file cannot be read.
        """
        meshes, hulls = [], []
        for shape in shapes:
            parts = _parts(shape)
            for part in parts:
                part.apply_transform(shape.pose.matrix)
            meshes += parts
            hulls += [part.convex_hull for part in parts]
        return Body(mesh=trimesh.util.concatenate(meshes), hulls=tuple(hulls))

    def surface(self, spacing: float) -> Float:
        """Return points [n, 3] on mesh and hulls, no point of which is farther than `spacing` [m] from one of them."""
        hulls = [surface_grid(hull, spacing)[0] for hull in self.hulls]
        return np.concatenate(hulls if self.is_convex else [*hulls, surface_grid(self.mesh, spacing)[0]])

    @property
    def is_convex(self) -> bool:
        """Whether the mesh is one convex solid, up to rounding."""
        return len(self.hulls) == 1 and abs(self.mesh.volume) > _CONVEX_VOLUME_RATIO * self.hulls[0].volume

    def depth(self) -> Callable[[Float], Float]:
        """Return the function: points [n, 3] -> depth [n] below the mesh's surface, negative outside."""
        return _convex_depth(self.hulls[0]) if self.is_convex else _sampled_depth(self.mesh)


def fit_spheres(body: Body, tolerance: Tolerance) -> SphereFit:
    """Fit few spheres to a link within the tolerance, deterministically.

    Raises:
        InputError: if no interior point lets a sphere cover some part of the surface within the tolerance.
    """
    area = sum(hull.area for hull in body.hulls)
    samples = body.surface(float(np.clip(np.sqrt(area / 1500), 0.0015, 0.006)))
    depth = body.depth()
    target = replace(tolerance, outside=tolerance.outside - 0.0002)
    for _ in range(4):
        fit = _fit(body, samples, depth, target)
        excess = fit.uncovered - tolerance.uncovered
        if excess <= 0:
            break
        target = replace(target, uncovered=target.uncovered - excess - 0.0001)  # pays for what lies between samples
    return fit


def _fit(body: Body, samples: Float, depth: Callable[[Float], Float], target: Tolerance) -> SphereFit:
    candidates = _candidates(body, depth, target.outside)
    centres = _greedy_cover(candidates, depth(candidates) + target.outside, samples, target.uncovered)
    centres = np.round(_improve(centres, samples, depth, target), 4)
    radius = np.round(depth(centres) + target.outside, 4)
    fit = SphereFit(centre=centres, radius=radius, uncovered=0.0, outside=0.0)
    return replace(fit, uncovered=uncovered(body, fit), outside=outside(body, fit))


def uncovered(body: Body, fit: SphereFit, spacing: float = 0.001) -> float:
    """Return the largest distance [m] from the link's surface to the union of spheres, over dense samples."""
    points = body.surface(spacing)
    blocks = np.array_split(points, 1 + len(points) // 5000)
    return max(0.0, *(float(_gaps(block, fit.centre, fit.radius).min(axis=1).max()) for block in blocks))


def outside(body: Body, fit: SphereFit, points: int = 2000) -> float:
    """Return how far [m] the spheres stick out of the link's mesh, over points on each sphere's surface."""
    surface = _sphere_points(points) * fit.radius[:, None, None] + fit.centre[:, None, :]
    mesh_points, _ = surface_grid(body.mesh, 0.0007)
    flat = surface.reshape(-1, 3)
    sticking_out = flat[~_inside(body, flat)]
    return float(cKDTree(mesh_points).query(sticking_out)[0].max(initial=0.0))


def surface_grid(mesh: trimesh.Trimesh, spacing: float) -> tuple[Float, Float]:
    """Return points [n, 3] on every triangle, neighbours at most about `spacing` [m] apart, and their normals."""
    triangles = mesh.triangles
    edges = np.linalg.norm(np.roll(triangles, -1, axis=1) - triangles, axis=2)
    base = edges.argmax(axis=1)
    rows = np.arange(len(triangles))
    a, b, c = (triangles[rows, (base + k) % 3] for k in range(3))
    longest = edges[rows, base]
    height = 2 * mesh.area_faces / longest
    steps = np.maximum(1, np.ceil(np.stack([longest, height], axis=1) / spacing).astype(int))
    points, normals = [], []
    for along, across in np.unique(steps, axis=0):
        u, v = np.meshgrid(np.linspace(0, 1, along + 1), np.linspace(0, 1, across + 1), indexing="ij")
        u, v = u.reshape(-1, 1, 1), v.reshape(-1, 1, 1)
        chosen = np.flatnonzero((steps == (along, across)).all(axis=1))
        points.append(((1 - v) * ((1 - u) * a[chosen] + u * b[chosen]) + v * c[chosen]).reshape(-1, 3))
        normals.append(np.tile(mesh.face_normals[chosen], (u.size, 1)))
    return np.concatenate(points), np.concatenate(normals)


def winding_number(mesh: trimesh.Trimesh, points: Float) -> Float:
    """Return the generalised winding number [n] of points [n, 3]: about 1 inside, 0 outside, also with small holes.

    The sum of the triangles' solid angles over 4 pi (Jacobson, Kavan, Sorkine-Hornung 2013; van Oosterom 1983).
    """
    total = np.empty(len(points))
    for start in range(0, len(points), 512):
        a, b, c = (mesh.triangles[None, :, k] - points[start : start + 512, None] for k in range(3))
        la, lb, lc = (np.linalg.norm(v, axis=2) for v in (a, b, c))
        dot = lambda u, v: np.einsum("ntd,ntd->nt", u, v)  # noqa: E731
        denominator = la * lb * lc + dot(a, b) * lc + dot(b, c) * la + dot(c, a) * lb
        total[start : start + 512] = np.arctan2(dot(a, np.cross(b, c)), denominator).sum(axis=1) / (2 * np.pi)
    return total


def _parts(shape: CollisionShape) -> list[trimesh.Trimesh]:
    if shape.kind == "box":
        return [trimesh.creation.box(extents=shape.size)]
    if shape.kind == "sphere":
        return [trimesh.creation.icosphere(subdivisions=4, radius=shape.size[0])]
    if shape.kind == "cylinder":
        return [trimesh.creation.cylinder(radius=shape.size[0], height=shape.size[1], sections=64)]
    if shape.kind == "capsule":
        return [trimesh.creation.capsule(radius=shape.size[0], height=shape.size[1])]
    try:
        mesh = trimesh.load(shape.file, force="mesh", process=False)
    except (ValueError, IndexError, OSError) as error:
        raise InputError(f"mesh not readable: {error}", file=shape.file) from error
    if not isinstance(mesh, trimesh.Trimesh) or len(mesh.faces) == 0:
        raise InputError("mesh has no triangles", file=shape.file)
    mesh.apply_scale(shape.scale)
    mesh.update_faces(mesh.nondegenerate_faces())
    return [mesh]


def _convex_depth(hull: trimesh.Trimesh) -> Callable[[Float], Float]:
    normals, origins = hull.face_normals, hull.triangles[:, 0]
    offsets = np.einsum("fd,fd->f", normals, origins)
    return lambda points: (offsets - points @ normals.T).min(axis=1)


def _sampled_depth(mesh: trimesh.Trimesh, spacing: float = 0.003, padding: float = 0.021) -> Callable[[Float], Float]:
    """Depth below the outer surface by a trilinear grid, -1 beyond it; faces buried inside the solid do not count."""
    points, normals = surface_grid(mesh, 0.0015)
    outer = (winding_number(mesh, points + 0.0005 * normals) > 0.5) != (
        winding_number(mesh, points - 0.0005 * normals) > 0.5
    )
    low, high = mesh.bounds
    axes = [np.arange(a - padding, b + padding, spacing) for a, b in zip(low, high, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    distance = cKDTree(points[outer]).query(grid)[0]
    signed = np.where(_winding_inside(mesh, grid), distance, -distance).reshape([len(axis) for axis in axes])
    return RegularGridInterpolator(axes, signed, bounds_error=False, fill_value=-1.0)


def _inside(body: Body, points: Float) -> np.ndarray:
    return _convex_depth(body.hulls[0])(points) >= 0 if body.is_convex else _winding_inside(body.mesh, points)


def _winding_inside(mesh: trimesh.Trimesh, points: Float) -> np.ndarray:
    inside = np.zeros(len(points), dtype=bool)
    hull = np.flatnonzero(_convex_depth(mesh.convex_hull)(points) > 0)
    inside[hull] = winding_number(mesh, points[hull]) > 0.5
    return inside


def _candidates(body: Body, depth: Callable[[Float], Float], margin: float) -> Float:
    """Return about 5000 grid points [n, 3] of the link where a sphere may stand."""
    low, high = body.mesh.bounds
    spacing = float(np.cbrt(np.prod(high - low) / 8000))
    axes = [np.arange(a + spacing / 2, b, spacing) for a, b in zip(low, high, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    return grid[depth(grid) + margin > 0.002]


def _gaps(points: Float, centre: Float, radius: Float) -> Float:
    """Return signed distances [n, s] from points [n, 3] to spheres."""
    squares = (points**2).sum(1)[:, None] + (centre**2).sum(1) - 2 * points @ centre.T
    return np.sqrt(np.maximum(squares, 0.0)) - radius


def _greedy_cover(candidates: Float, radius: Float, samples: Float, tolerance: float) -> Float:
    blocks = np.array_split(np.arange(len(samples)), 20)
    covers = np.concatenate([_gaps(samples[block], candidates, radius) <= tolerance for block in blocks])
    if not covers.any(axis=1).all():
        raise InputError("some surface cannot be covered within the tolerance", value=float(tolerance))
    chosen = []
    while len(covers):
        best = int(covers.sum(axis=0).argmax())
        chosen.append(best)
        covers = covers[~covers[:, best]]
    return candidates[chosen]


def _improve(centres: Float, samples: Float, depth: Callable[[Float], Float], target: Tolerance) -> Float:
    """Drop spheres one by one as long as moving the others closes the gap; then lower the gap that is left."""
    centres, _ = _settle(centres, samples, depth, target.outside, goal=-np.inf)
    dropping = True
    while dropping and len(centres) > 1:
        dropping = False
        gaps = _gaps(samples, centres, depth(centres) + target.outside)
        best, second = np.partition(gaps, 1, axis=1)[:, :2].T
        needed = np.bincount(gaps.argmin(axis=1), weights=np.maximum(second - best, 0), minlength=len(centres))
        for sphere in np.argsort(needed)[:6]:
            fewer, gap = _settle(
                np.delete(centres, sphere, axis=0), samples, depth, target.outside, goal=target.uncovered
            )
            if gap <= target.uncovered:
                centres, dropping = fewer, True
                break
    return _settle(centres, samples, depth, target.outside, goal=-np.inf)[0]


def _settle(
    centres: Float, samples: Float, depth: Callable[[Float], Float], margin: float, goal: float, rounds: int = 25
) -> tuple[Float, float]:
    """Move each centre to lower the largest gap among the samples nearest to its sphere; stop once below the goal."""
    steps = np.stack(np.meshgrid(*[[-1.0, 0.0, 1.0]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    best, best_gap = centres, np.inf
    for round_ in range(rounds):
        gaps = _gaps(samples, centres, depth(centres) + margin)
        gap = float(gaps.min(axis=1).max())
        if gap < best_gap:
            best, best_gap = centres, gap
        if best_gap <= goal:
            break
        owner = gaps.argmin(axis=1)
        size = 0.012 * 0.85**round_
        tries = centres[:, None] + size * steps * np.array([1.0, 0.25])[:, None, None, None]
        tries = np.concatenate(list(tries), axis=1)
        radius = (depth(tries.reshape(-1, 3)) + margin).reshape(tries.shape[:2])
        moved = centres.copy()
        for sphere in range(len(centres)):
            own = samples[owner == sphere]
            if len(own):
                moved[sphere] = tries[sphere, _gaps(own, tries[sphere], radius[sphere]).max(axis=0).argmin()]
        centres = moved
    return best, best_gap


def _sphere_points(count: int) -> Float:
    """Return points [1, count, 3] on the unit sphere (Fibonacci lattice)."""
    k = np.arange(count) + 0.5
    z = 1 - 2 * k / count
    angle = np.pi * (1 + np.sqrt(5)) * k
    rho = np.sqrt(1 - z * z)
    return np.stack([rho * np.cos(angle), rho * np.sin(angle), z], axis=1)[None]
