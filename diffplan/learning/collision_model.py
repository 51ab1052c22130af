"""The collision model of a robot: spheres fitted to every link, its link pairs sorted, and the file that holds both."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from diffplan.errors import InputError
from diffplan.formats.robot_file import load_robot, robot_path
from diffplan.geometry import convex, field_files
from diffplan.geometry.convex import ConvexUnion
from diffplan.learning import sphere_cover, spheres
from diffplan.learning.link_pairs import ignored_pairs
from diffplan.learning.spheres import SphereFit, Tolerance, check_size, fit_spheres
from diffplan.robot.link_solid import LinkSolid
from diffplan.robot.model import Robot
from diffplan.strict.strict_yaml import read_yaml
from diffplan.system.crew import get_kernel_threads
from diffplan.system.files import write_text
from diffplan.system.progress import Task, working

_FORMAT = "format: diffplan/collision@1"
TOOL = Tolerance(uncovered=0.0044, outside=0.0044)
ARM = Tolerance(uncovered=0.006, outside=0.011)
COARSE = Tolerance(uncovered=0.0083, outside=0.0133)


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

    The spheres of a link are kept in the user's cache folder as soon as they are found: what was interrupted goes on
    where it was, and links that did not change are not fitted again.

    Args:
        name: a shipped robot, or the path of a robot file.
        samples: configurations drawn for the link pairs, for each end of the held joints' ranges.

    Raises:
        InputError: if there is no such robot, its file is wrong, or a link cannot be covered within the bounds.
    """
    path = robot_path(name)
    robot = load_robot(name, collision=False)
    solids = {link: LinkSolid.from_shapes(robot.model.collisions[link]).solid for link in robot.links}
    for link, solid in solids.items():
        with _naming(link):
            check_size(solid)
    with working("fitting spheres", len(robot.links) + 1) as task:
        links = _fit_links({link: (solid, tolerance(robot, link)) for link, solid in solids.items()}, task)
        task.update("looking which links touch", len(robot.links), len(robot.links) + 1)
        ignored = ignored_pairs(robot, samples)
    report = FitReport(
        file=path.parent / read_yaml(path).mapping()["collision"].text(),
        links=links,
        ignored=ignored,
    )
    write_collision_file(report)
    return report


def tolerance(robot: Robot, link: str) -> Tolerance:
    """Return the bounds that a link is fitted to: finer at the tool, coarser at the base, which stands still."""
    if robot.end_link == link or robot.end_link in {joint.parent for joint in robot.model.chain(link)}:
        return TOOL
    return COARSE if robot.chain.placement[link][0] == 0 else ARM


def _fit_links(wanted: dict[str, tuple[ConvexUnion, Tolerance]], task: Task) -> dict[str, SphereFit]:
    """Fit several links side by side."""
    pool, found = ThreadPoolExecutor(get_kernel_threads(), thread_name_prefix="diffplan-fit"), {}
    try:
        futures = {link: pool.submit(_fit_link, link, *of) for link, of in wanted.items()}
        for link, future in futures.items():
            task.update(f"fitting spheres to {link}", len(found), len(wanted) + 1)
            found[link] = future.result()
    finally:
        pool.shutdown(cancel_futures=True)
    return found


@contextmanager
def _naming(link: str) -> Iterator[None]:
    """Name the link in errors."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{link}: {error.problem}", value=error.value, allowed=error.allowed) from error


def _fit_link(link: str, solid: ConvexUnion, bounds: Tolerance) -> SphereFit:
    """Return the spheres of a link, from the user's cache folder if they were fitted before."""
    digest = hashlib.sha256()
    for part in solid.parts:
        digest.update(np.ascontiguousarray(part.vertices).tobytes() + np.ascontiguousarray(part.faces).tobytes())
    key = ("spheres", _code(), digest.hexdigest(), bounds)
    kept = field_files.load(key)
    if kept is None:
        with _naming(link):
            fit = fit_spheres(solid, bounds)
        field_files.save(key, {name: np.asarray(value) for name, value in vars(fit).items()})
        return fit
    return SphereFit(
        centre=kept["centre"],
        radius=kept["radius"],
        uncovered=float(kept["uncovered"]),
        outside=float(kept["outside"]),
    )


@cache
def _code() -> str:
    """Return a digest of the code that fits spheres."""
    files = [Path(str(module.__file__)) for module in (convex, sphere_cover, spheres)]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


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
