"""Collision spheres fitted to a robot's collision meshes, and the measures that say how good they are.

Two errors matter, both in metres. *Uncovered*: the largest distance from a point of the link's surface to the union
of its spheres (0 where the surface lies inside a sphere). *Outside*: the farthest that a sphere sticks out of the link.
A link's surface is its collision mesh and the convex hulls that a physics engine collides with instead; where the two
differ, *uncovered* covers both and *outside* is measured from the mesh, or, where hulls bulge too far for that, from
the hulls.

The fit is a greedy set cover over interior points, each with the largest radius that *outside* allows, improved by
moving centres (a minimax Lloyd iteration) and dropping every sphere that the others can make up for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
from scipy.spatial import KDTree

from diffplan.errors import InputError
from diffplan.formats.robot_file import load_robot, robot_path
from diffplan.geometry.pose import Float
from diffplan.robot.link_solid import LinkSolid, surface_grid
from diffplan.robot.model import Robot
from diffplan.strict.strict_yaml import read_yaml
from diffplan.system.files import write_text
from diffplan.system.progress import working

_FORMAT = "format: diffplan/collision@1"
_DENSE = 0.001
_ROUNDING = 0.0002
_REFITS, _DROPPING_REFITS, _DROPS = 20, 3, 10
_HOPE_ROUND, _HOPE = 15, 0.002


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """The bounds of a fit [m]: `uncovered` surface, and `outside`, how far spheres may stick out."""

    uncovered: float
    outside: float


TOOL = Tolerance(uncovered=0.0044, outside=0.0044)
ARM = Tolerance(uncovered=0.006, outside=0.011)
COARSE = Tolerance(uncovered=0.0083, outside=0.0133)
ALWAYS_SHARE, NEVER_DISTANCE = 0.98, 0.002


@dataclass(frozen=True, kw_only=True, eq=False)
class SphereFit:
    """Spheres of one link: `centre` [s, 3] in the link frame, `radius` [s], and their two errors, all in m."""

    centre: Float
    radius: Float
    uncovered: float
    outside: float


def fit_spheres(solid: LinkSolid, tolerance: Tolerance) -> SphereFit:
    """Fit few spheres to a link, deterministically, rounded to 0.1 mm.

    Starts from few samples of the surface and adds those that the fit so far leaves uncovered, until dense samples
    (1 mm) find none.

    Raises:
        InputError: if no interior point lets a sphere cover some part of the surface within the tolerance.
    """
    target = Tolerance(uncovered=tolerance.uncovered - _ROUNDING, outside=tolerance.outside - _ROUNDING)
    depth, dense = solid.depth, solid.surface(_DENSE)
    candidates = _candidates(solid, depth, target.outside)
    samples = solid.surface(float(np.sqrt(sum(hull.area for hull in solid.hulls) / 1200)))
    centres, radius = np.zeros((0, 3)), np.zeros(0)
    for refit in range(_REFITS):
        missing = samples[_gap(samples, centres, depth(centres) + target.outside) > target.uncovered]
        added = _greedy_cover(candidates, depth(candidates) + target.outside, missing, target.uncovered)
        centres = np.round(
            _improve(np.concatenate([centres, added]), samples, depth, target, dropping=refit < _DROPPING_REFITS), 4
        )
        radius = np.round(depth(centres) + target.outside, 4)
        gaps = _gap(dense, centres, radius)
        if gaps.max() <= tolerance.uncovered:
            break
        worst = dense[gaps > target.uncovered]
        samples = np.concatenate([samples, worst[:: 1 + len(worst) // 200], dense[[gaps.argmax()]]])
    fit = SphereFit(centre=centres, radius=radius, uncovered=0.0, outside=0.0)
    return replace(fit, uncovered=uncovered(solid, fit), outside=outside(solid, fit))


def uncovered(solid: LinkSolid, fit: SphereFit, spacing: float = _DENSE) -> float:
    """Return the largest distance [m] from the link's surface to the union of spheres, over dense samples."""
    return max(0.0, float(_gap(solid.surface(spacing), fit.centre, fit.radius).max()))


def outside(solid: LinkSolid, fit: SphereFit, points: int = 2000) -> float:
    """Return how far [m] the spheres stick out of the link's mesh, over points on each sphere's surface."""
    surface = _sphere_points(points) * fit.radius[:, None, None] + fit.centre[:, None, :]
    mesh_points, _ = surface_grid(solid.mesh, 0.0007)
    flat = surface.reshape(-1, 3)
    sticking_out = flat[~solid.inside(flat)]
    return float(KDTree(mesh_points).query(sticking_out)[0].max(initial=0.0))


def _candidates(solid: LinkSolid, depth: Callable[[Float], Float], margin: float) -> Float:
    """Return about 5000 grid points [n, 3] of the link where a sphere may stand."""
    low, high = solid.mesh.bounds
    spacing = float(np.cbrt(np.prod(high - low) / 8000))
    axes = [np.arange(a + spacing / 2, b, spacing) for a, b in zip(low, high, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    return grid[depth(grid) + margin > 0.002]


def _gaps(points: Float, centre: Float, radius: Float) -> Float:
    """Return signed distances [n, s] from points [n, 3] to spheres."""
    squares = (points**2).sum(1)[:, None] + (centre**2).sum(1) - 2 * points @ centre.T
    return np.sqrt(np.maximum(squares, 0.0)) - radius


def _gap(points: Float, centre: Float, radius: Float) -> Float:
    """Return signed distances [n] from points [n, 3] to the nearest sphere; infinite if there is none."""
    if len(centre) == 0:
        return np.full(len(points), np.inf)
    return np.concatenate([_gaps(block, centre, radius).min(axis=1) for block in _blocks(points)])


def _blocks(points: Float, size: int = 4000) -> list[Float]:
    return np.array_split(points, 1 + len(points) // size)


def _greedy_cover(candidates: Float, radius: Float, samples: Float, tolerance: float) -> Float:
    covers = np.concatenate([_gaps(block, candidates, radius) <= tolerance for block in _blocks(samples, 200)])
    if not covers.any(axis=1).all():
        raise InputError("some surface cannot be covered within the tolerance", value=float(tolerance))
    chosen = []
    while len(covers):
        best = int(covers.sum(axis=0).argmax())
        chosen.append(best)
        covers = covers[~covers[:, best]]
    return candidates[chosen]


def _improve(
    centres: Float, samples: Float, depth: Callable[[Float], Float], target: Tolerance, *, dropping: bool
) -> Float:
    """Drop spheres one by one as long as moving the others closes the gap; then lower the gap that is left."""
    centres, _ = _settle(centres, samples, depth, target.outside, goal=target.uncovered)
    while dropping and len(centres) > 1:
        dropping = False
        gaps = _gaps(samples, centres, depth(centres) + target.outside)
        best, second = np.partition(gaps, 1, axis=1)[:, :2].T
        needed = np.bincount(gaps.argmin(axis=1), weights=np.maximum(second - best, 0), minlength=len(centres))
        for sphere in np.argsort(needed)[:_DROPS]:
            fewer, gap = _settle(
                np.delete(centres, sphere, axis=0), samples, depth, target.outside, goal=target.uncovered
            )
            if gap <= target.uncovered:
                centres, dropping = fewer, True
                break
    return _settle(centres, samples, depth, target.outside, goal=0.0)[0]


def _settle(
    centres: Float, samples: Float, depth: Callable[[Float], Float], margin: float, goal: float, rounds: int = 40
) -> tuple[Float, float]:
    """Move each centre to lower the largest gap among the samples nearest to its sphere; stop once below the goal."""
    steps = np.stack(np.meshgrid(*[[-1.0, 0.0, 1.0]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    best, best_gap = centres, np.inf
    for round_ in range(rounds):
        gaps = _gaps(samples, centres, depth(centres) + margin)
        gap = float(gaps.min(axis=1).max())
        if gap < best_gap:
            best, best_gap = centres, gap
        if best_gap <= goal or (goal > 0 and round_ == _HOPE_ROUND and best_gap > goal + _HOPE):
            break
        owner = gaps.argmin(axis=1)
        size = 0.012 * 0.9**round_
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


@dataclass(frozen=True, kw_only=True)
class FitReport:
    """What was fitted and written: the spheres of every link, and the ignored link pairs with their reasons."""

    file: Path
    links: dict[str, SphereFit]
    ignored: dict[tuple[str, str], str]

    @property
    def spheres(self) -> int:
        """Number of spheres in all."""
        return sum(len(fit.radius) for fit in self.links.values())


def fit_robot(name: str, *, samples: int = 20000) -> FitReport:
    """Fit the spheres of a robot, sort its link pairs by sampling, and write the collision file beside the robot file.

    Args:
        name: a shipped robot, or the path of a robot file.
        samples: configurations drawn for the link pairs, for each end of the held joints' ranges.

    Raises:
        InputError: if there is no such robot, its file is wrong, or a link cannot be covered within the bounds.
    """
    path = robot_path(name)
    robot = load_robot(name, collision=False)
    links = {}
    with working("fitting spheres", len(robot.links) + 1) as task:
        for number, link in enumerate(robot.links):
            task.update(f"fitting spheres to {link}", number, len(robot.links) + 1)
            links[link] = _fit_link(robot, link)
        task.update("looking which links touch", len(robot.links), len(robot.links) + 1)
        ignored = ignored_pairs(robot, samples)
    report = FitReport(file=path.parent / read_yaml(path).mapping()["collision"].text(), links=links, ignored=ignored)
    write_collision_file(report)
    return report


def _fit_link(robot: Robot, link: str) -> SphereFit:
    """Fit within the first tolerance that can be met: finer at the tool, coarser at the base, which stands still.

    Hulls that bulge farther from the mesh than spheres within it may reach stand for the mesh.
    """
    solid = LinkSolid.from_shapes(robot.model.collisions[link])
    still = robot.chain.placement[link][0] == 0
    tolerances = (TOOL,) if _at_tool(robot, link) else (COARSE,) if still else (ARM, COARSE)
    if solid.bulge > tolerances[-1].outside + tolerances[-1].uncovered:
        solid = solid.of_hulls()
    problem = ""
    for tolerance in tolerances:
        try:
            return fit_spheres(solid, tolerance)
        except InputError as error:
            problem = error.problem
    raise InputError(f"{link}: {problem}", value=tolerances[-1].uncovered)


def _at_tool(robot: Robot, link: str) -> bool:
    return robot.end_link == link or robot.end_link in {joint.parent for joint in robot.model.chain(link)}


def ignored_pairs(robot: Robot, samples: int, seed: int = 0) -> dict[tuple[str, str], str]:
    """Return the link pairs that planning need not check, with the reason: adjacent, always or never.

    *adjacent*: neighbours in the kinematic tree, or carried by the same body, so that no planning joint moves them
    against each other. *always*: touching in nearly all sampled configurations. *never*: farther than 2 mm apart in all
    of them, the held joints at either of their limits. The certificate still checks the pairs that never touch.
    """
    from diffplan.certificate.pairs import sample_pairs

    joints = [joint for name in robot.held_joints if (joint := robot.model.joints[name]).mimic is None]
    held = [{j.name: j.lower for j in joints}, {j.name: j.upper for j in joints}] if joints else [{}]
    ignored = {pair: "adjacent" for pair in combinations(robot.links, 2) if _adjacent(robot, *pair)}
    sampled = sample_pairs(robot, held, samples=samples, rng=np.random.default_rng(seed))
    for pair in sampled:
        if pair.touching_share > ALWAYS_SHARE:
            ignored.setdefault(pair.links, "always")
        elif pair.least_distance > NEVER_DISTANCE:
            ignored.setdefault(pair.links, "never")
    return ignored


def _adjacent(robot: Robot, one: str, other: str) -> bool:
    placement = robot.chain.placement
    same_body = placement[one][0] == placement[other][0]
    return same_body or _carrier(robot, one) == other or _carrier(robot, other) == one


def _carrier(robot: Robot, link: str) -> str | None:
    """Return the nearest link with geometry on the way to the base."""
    parents = [joint.parent for joint in reversed(robot.model.chain(link))]
    return next((parent for parent in parents if robot.model.collisions[parent]), None)


def write_collision_file(report: FitReport) -> None:
    """Write the collision model (format `diffplan/collision@1`), whole or not at all."""
    lines = [
        "# Written by `diffplan robots fit`. Spheres are [x, y, z, radius] in the link frame, in m.",
        _FORMAT,
        "links:",
    ]
    for link, fit in report.links.items():
        lines += [
            f"  {link}:",
            f"    uncovered_mm: {1000 * fit.uncovered:.2f}",
            f"    outside_mm: {1000 * fit.outside:.2f}",
            "    spheres:",
        ]
        for (x, y, z), radius in zip(fit.centre, fit.radius, strict=True):
            lines.append(f"      - [{x:.4f}, {y:.4f}, {z:.4f}, {radius:.4f}]")
    lines += ["self_collision:", "  ignore:"]
    lines += [f"    - {{links: [{a}, {b}], reason: {reason}}}" for (a, b), reason in report.ignored.items()]
    write_text(report.file, "\n".join(lines) + "\n")
