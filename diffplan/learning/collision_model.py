"""The collision model of a robot: spheres fitted to every link, its link pairs sorted, and the file that holds both."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from diffplan.errors import InputError, did_you_mean
from diffplan.formats.link_parts import FOLDER, PartsFile, made_parts, parts_line, with_parts, write_parts
from diffplan.formats.robot_file import load_robot, robot_path
from diffplan.formats.robot_writer import yaml_word
from diffplan.geometry import convex, field_files, sphere_cover, sphere_fit
from diffplan.geometry.convex import ConvexUnion
from diffplan.geometry.sphere_fit import MOST_AREA, SphereFit, Tolerance, check_size, fit_spheres
from diffplan.learning.link_cuts import LIMITS, cut_link
from diffplan.learning.link_pairs import Contacts, PairContacts, ignored_pairs, sample_contacts
from diffplan.robot.link_solid import LinkSolid
from diffplan.robot.model import Robot
from diffplan.strict.strict_yaml import read_yaml
from diffplan.system.assets import asset_folder
from diffplan.system.files import write_text
from diffplan.system.kernel_threads import get_kernel_threads
from diffplan.system.progress import ProgressTask, working
from diffplan.system.reading import is_file

T = TypeVar("T")
R = TypeVar("R")
_FORMAT = "format: diffplan/collision@1"
TOOL = Tolerance(uncovered=0.0044, outside=0.0044)
ARM = Tolerance(uncovered=0.006, outside=0.011)
COARSE = Tolerance(uncovered=0.0083, outside=0.0133)
_FALSE_SHARE, _FALSE_SHARE_OF_MANY, _FALSE_SPHERE = 0.01, 0.0025, 0.002
_FINER, _LEAST_OUTSIDE = (0.5, 0.3, 0.2), 0.002
_MOST_SPHERES, _MORE_SPHERES = 250, 1.25


@dataclass(frozen=True, kw_only=True)
class LinkReport:
    """What a link is: its mesh as published, and what collides instead. Lengths in m.

    `extents` are the edges of the mesh's box, `volume` [m^3] what its hulls hold; `hull_bulge` is how far PyBullet's
    hulls reach beyond the mesh, `bulge` how far what collides does: `parts` convex parts (or the hulls).
    """

    extents: tuple[float, float, float]
    volume: float
    hull_bulge: float
    parts: int
    bulge: float


@dataclass(frozen=True, kw_only=True)
class FitReport:
    """What was fitted and written: the spheres of every link, and the ignored link pairs with their reasons.

    `pairs` says how often links that are not adjacent touch, truly and in the sphere model only; `parts` are the files
    of links that collide as convex parts, `shapes` tells more of each link, for people.
    """

    file: Path
    links: dict[str, SphereFit]
    ignored: dict[tuple[str, str], str]
    pairs: Sequence[PairContacts] = ()
    parts: dict[str, list[PartsFile]] = field(default_factory=dict)
    shapes: dict[str, LinkReport] = field(default_factory=dict)

    @property
    def spheres(self) -> int:
        """Number of spheres in all."""
        return sum(len(fit.radius) for fit in self.links.values())


def fit_robot(name: str, *, parts: str | None = None, samples: int = 20000) -> FitReport:
    """Fit the spheres of a robot, sort its link pairs by sampling, and write the collision file beside the robot file.

    Convex parts and spheres of a link are kept in the user's cache folder as soon as they are found: what was
    interrupted goes on where it was, and links that did not change are not fitted again.

    Args:
        name: a robot's name, or the path of a robot file.
        parts: what its meshes collide as: `hull`, each group of a mesh as its hull, as in PyBullet; `auto`, hulls where
            they bulge less than 10 mm beyond the mesh, convex parts that do elsewhere; `convex`, the same with 5 mm.
            Parts are written beside the collision file; those of a shipped robot, whose files hold no meshes, are made
            when they are needed. By default `auto`, but what it has for a shipped robot.
        samples: configurations drawn for the link pairs, for each end of the held joints' ranges.

    Raises:
        InputError: if there is no such robot, its file is wrong, parts are asked for that are not known or cannot be
            had, or a link cannot be covered within the bounds.
    """
    path = robot_path(name)
    robot = load_robot(name, collision=False)
    file = path.parent / read_yaml(path).mapping()["collision"].text()
    shipped = asset_folder("robots") in path.resolve().parents
    limit = LIMITS[_choice(file, parts, shipped)]
    published = {link: LinkSolid.from_shapes(robot.model.collisions[link]) for link in robot.links}
    _check_sizes(published)
    with working("fitting spheres", 2 * len(robot.links) + 1) as task:
        shapes = {link: robot.model.collisions[link] for link in robot.links}
        tell = partial(_tell, task, "cutting {} into convex parts", 0)
        uncut = {link: (of, limit, published[link]) for link, of in shapes.items()}
        found = _side_by_side(lambda of: cut_link(*of), uncut, tell)
        files = {
            link: [
                made_parts(link, shape, mesh, limit) if shipped else write_parts(file.parent, link, shape, mesh, of)
                for shape, mesh, of in cut
            ]
            for link, cut in found.items()
            if cut
        }
        robot = replace(robot, model=with_parts(robot.model, files))
        solids = {
            link: LinkSolid.from_shapes(robot.model.collisions[link]).solid if link in files else own.solid
            for link, own in published.items()
        }
        wanted = {link: (solid, tolerance(robot, link)) for link, solid in solids.items()}
        tell = partial(_tell, task, "fitting spheres to {}", len(robot.links))
        links = _side_by_side(lambda of: _fit_link(*of), wanted, tell)
        task.update("looking which links touch", 2 * len(robot.links), 2 * len(robot.links) + 1)
        contacts = sample_contacts(robot, links, samples)
        links, contacts = _finer(links, contacts, wanted, task)
        task.update("measuring how far parts bulge", task.done, task.total)
        reports = _side_by_side(lambda of: link_report(*of), {link: (published[link], solids[link]) for link in solids})
    report = FitReport(
        file=file,
        links=links,
        ignored=ignored_pairs(robot, contacts),
        pairs=contacts.pairs,
        parts=files,
        shapes=reports,
    )
    write_collision_file(report)
    _remove_others(file.parent / FOLDER, {parts.file for of in files.values() for parts in of})
    return report


def _check_sizes(published: Mapping[str, LinkSolid]) -> None:
    """Refuse a robot of which a link, or all links together, are too large for spheres."""
    area = 0.0
    for link, own in published.items():
        with _naming(link):
            check_size(own.solid)
        area += own.solid.area
    if area > MOST_AREA:
        allowed = f"a surface of up to {MOST_AREA:.0f} m^2 of all links (is the robot drawn too large?)"
        raise InputError("the links are too large to be fitted", value=f"{area:.3g} m^2", allowed=allowed)


def _choice(file: Path, parts: str | None, shipped: bool) -> str:
    """Return what meshes shall collide as; by default a shipped robot's as its collision file has it."""
    if parts is None:
        hulls = shipped and is_file(file) and "limit_mm" not in file.read_text()
        return "hull" if hulls else "auto"
    if parts not in LIMITS:
        raise InputError(f"no such parts{did_you_mean(parts, LIMITS)}", key="parts", value=parts, allowed=LIMITS)
    return parts


def link_report(published: LinkSolid, solid: ConvexUnion) -> LinkReport:
    """Return the facts of a link, as published, that collides as a solid."""
    x, y, z = np.ptp(published.mesh.bounds, axis=0).tolist()
    return LinkReport(
        extents=(x, y, z),
        volume=sum(float(part.volume) for part in published.solid.parts),
        hull_bulge=published.bulge,
        parts=len(solid.parts),
        bulge=published.bulge if solid is published.solid else published.bulge_of(solid),
    )


def _remove_others(folder: Path, kept: set[Path]) -> None:
    """Remove the files of parts that were made before, and the folder if it is empty then."""
    for file in folder.glob("*.obj"):
        if file not in kept:
            file.unlink()
    with suppress(OSError):
        folder.rmdir()


def tolerance(robot: Robot, link: str) -> Tolerance:
    """Return the bounds that a link is fitted to: finer at the tool, coarser at the base, which stands still."""
    if robot.end_link == link or robot.end_link in {joint.parent for joint in robot.model.chain(link)}:
        return TOOL
    return COARSE if robot.chain.placement[link][0] == 0 else ARM


def _tell(task: ProgressTask, text: str, before: int, link: str, done: int) -> None:
    """Say which link is worked on; `before` steps were done before the links, and `done` of these."""
    task.update(text.format(link), before + done, task.total)


def _side_by_side(
    work: Callable[[T], R], wanted: Mapping[str, T], tell: Callable[[str, int], None] | None = None
) -> dict[str, R]:
    """Work on several links at once; `tell` hears which link is waited for, and how many are done."""
    pool, found = ThreadPoolExecutor(get_kernel_threads(), thread_name_prefix="diffplan-fit"), {}
    try:
        futures = {link: pool.submit(work, of) for link, of in wanted.items()}
        for link, future in futures.items():
            if tell is not None:
                tell(link, len(found))
            with _naming(link):
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


def _finer(
    links: dict[str, SphereFit],
    contacts: Contacts,
    wanted: Mapping[str, tuple[ConvexUnion, Tolerance]],
    task: ProgressTask,
) -> tuple[dict[str, SphereFit], Contacts]:
    """Fit smaller spheres where those of two links touch falsely, until they do in less than 1 % of configurations.

    Where many pairs add up to more than that, those count that do in 0.25 %. Spheres that touch falsely are taken away,
    and what only they covered is covered by spheres that stick out half as far, then 0.3 and 0.2 of it, unless all
    links had more than 250 spheres then, and more than 1.25 times as many as before.
    """
    most = max(_MOST_SPHERES, _MORE_SPHERES * sum(len(fit.radius) for fit in links.values()))
    for factor in _FINER:
        bad = _falsely_touching(contacts)
        if not bad:
            break
        task.update("fitting finer where spheres touch falsely", task.done, task.total)
        falsely, jobs = contacts.falsely(links, bad), {}
        for link in dict.fromkeys(link for pair in bad for link in pair):
            guilty = falsely[link] > _FALSE_SPHERE
            solid, bounds = wanted[link]
            if not guilty.any():
                continue
            fit = links[link]
            kept = replace(fit, centre=fit.centre[~guilty], radius=fit.radius[~guilty])
            finer = Tolerance(uncovered=bounds.uncovered, outside=max(factor * bounds.outside, _LEAST_OUTSIDE))
            jobs[link] = (solid, finer, kept)
        refitted = {link: fit for link, fit in _side_by_side(_fit_if_possible, jobs).items() if fit is not None}
        found = links | refitted
        if sum(len(fit.radius) for fit in found.values()) > most:
            break
        links, contacts = found, contacts.with_spheres(found, refitted)
    return links, contacts


def _falsely_touching(contacts: Contacts) -> list[tuple[str, str]]:
    """Return the pairs whose spheres touch falsely too often, by themselves or together with others."""
    bad = [pair.links for pair in contacts.pairs if pair.false_share > _FALSE_SHARE]
    if bad or contacts.false_share <= _FALSE_SHARE:
        return bad
    return [pair.links for pair in contacts.pairs if pair.false_share > _FALSE_SHARE_OF_MANY]


def _fit_if_possible(of: tuple[ConvexUnion, Tolerance, SphereFit]) -> SphereFit | None:
    """Return the spheres of a link, None if there is a corner that such spheres do not reach."""
    with suppress(InputError):
        return _fit_link(*of)
    return None


def _fit_link(solid: ConvexUnion, bounds: Tolerance, kept: SphereFit | None = None) -> SphereFit:
    """Return the spheres of a link, from the user's cache folder if they were fitted before."""
    digest = hashlib.sha256(b"" if kept is None else kept.centre.tobytes() + kept.radius.tobytes())
    for part in solid.parts:
        digest.update(np.ascontiguousarray(part.vertices).tobytes() + np.ascontiguousarray(part.faces).tobytes())
    key = (
        "spheres",
        field_files.code_digest(convex.__file__, sphere_cover.__file__, sphere_fit.__file__),
        digest.hexdigest(),
        bounds,
    )
    cached = field_files.load(key)
    if cached is None:
        fit = fit_spheres(solid, bounds, kept)
        field_files.save(key, {name: np.asarray(value) for name, value in vars(fit).items()})
        return fit
    return SphereFit(
        centre=cached["centre"],
        radius=cached["radius"],
        uncovered=float(cached["uncovered"]),
        outside=float(cached["outside"]),
    )


def write_collision_file(report: FitReport) -> None:
    """Write the collision model (format `diffplan/collision@1`), whole or not at all."""
    lines = [
        "# Written by `diffplan robots fit`. Spheres are [x, y, z, radius] in the link frame, in m.",
        _FORMAT,
        "links:",
    ]
    for link, fit in report.links.items():
        lines += [
            f"  {yaml_word(link)}:",
            f"    uncovered_mm: {1000 * fit.uncovered:.2f}",
            f"    outside_mm: {1000 * fit.outside:.2f}",
        ]
        if link in report.shapes:
            lines.append(f"    bulge_mm: {1000 * report.shapes[link].bulge:.1f}")
        if link in report.parts:
            lines += ["    parts:", *(f"      - {parts_line(parts)}" for parts in report.parts[link])]
        lines.append("    spheres:")
        for (x, y, z), radius in zip(fit.centre, fit.radius, strict=True):
            lines.append(f"      - [{x:.4f}, {y:.4f}, {z:.4f}, {radius:.4f}]")
    lines += ["self_collision:", "  ignore:"]
    for pair, reason in report.ignored.items():
        lines.append(f"    - {{links: [{', '.join(map(yaml_word, pair))}], reason: {reason}}}")
    write_text(report.file, "\n".join(lines) + "\n")
