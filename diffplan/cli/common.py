"""What several commands share: arguments of planning, and messages."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from diffplan.words import count

if TYPE_CHECKING:
    from diffplan.robot.model import Robot
    from diffplan.scene import Scene
    from diffplan.strict.entry import Entry
    from diffplan.system.jobs import Resources

DEFAULT_TIMEOUT_S = 10.0
_HOLLOW = 0.01  # share of its volume by which a mesh is less than its hulls


def positive_number(text: str) -> float:
    """Read a positive number from the command line."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no positive number")
    return value


def positive(text: str) -> int:
    """Read a whole number from 1 from the command line."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1")
    return value


def add_planner_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments that `plan` and `bench` share."""
    parser.add_argument(
        "--timeout",
        type=positive_number,
        default=DEFAULT_TIMEOUT_S,
        metavar="S",
        help=f"time limit of planning (default {DEFAULT_TIMEOUT_S:g})",
    )
    parser.add_argument("--no-fallback", action="store_true", help="no sampling planner may help `diffusion`")
    about = "planner options (YAML: planner: {option: value})"
    parser.add_argument("--options", type=Path, metavar="FILE", help=about)


PICTURES = (".png", ".gif", ".mp4")
"""The kinds of files that can be drawn to."""


def add_render_argument(parser: argparse.ArgumentParser, about: str) -> None:
    """Declare `--render`, whose files `check_pictures` checks."""
    parser.add_argument("--render", type=Path, action="append", default=[], metavar="FILE", help=about)


def check_pictures(files: Iterable[Path]) -> None:
    """Make sure that these files of `--render` can be drawn, before anything slow happens.

    Raises:
        InputError: naming the first that cannot.
    """
    from diffplan.errors import InputError

    for file in files:
        if file.suffix.lower() not in PICTURES:
            raise InputError("cannot draw this kind of file", key="--render", value=str(file), allowed=PICTURES)


def add_hold_argument(parser: argparse.ArgumentParser, about: str) -> None:
    """Declare `--hold`, which `held_joints` reads."""
    parser.add_argument("--hold", type=_held, action="append", default=[], metavar="JOINT=VALUE", help=about)


def held_joints(pairs: Sequence[tuple[str, float]]) -> dict[str, float]:
    """Return the values [rad or m] of `--hold` by joint.

    Raises:
        InputError: if a joint is named twice.
    """
    from diffplan.errors import InputError

    values = dict(pairs)
    if len(values) < len(pairs):
        raise InputError("a joint is held twice", key="--hold", value=" ".join(f"{name}={v:g}" for name, v in pairs))
    return values


def _held(text: str) -> tuple[str, float]:
    joint, _, value = text.rpartition("=")
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if not joint or number - number != 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not JOINT=VALUE")
    return joint, number


_EXECUTOR_HELP = "processes of this machine (default), or the Ray cluster at RAY_ADDRESS (docs/clusters.md)"


def add_executor_argument(parser: argparse.ArgumentParser, about: str = _EXECUTOR_HELP) -> None:
    """Declare where jobs run."""
    from diffplan.system.jobs import EXECUTORS

    parser.add_argument("--executor", choices=EXECUTORS, default="local", metavar="local|ray", help=about)


@contextmanager
def resources_of(args: argparse.Namespace, workers: int | None) -> Iterator[Resources]:
    """Connect to where jobs run, and say where that is if it is not this machine's processes."""
    from diffplan.system.jobs import connected

    with connected(args.executor, workers) as place:
        if place.nodes:
            print(f"on {place.text}", file=sys.stderr)
        yield place


def check_planner(name: str) -> None:
    """Make sure that there is a planner of this name, before anything slow happens.

    Raises:
        InputError: if there is none; the message lists the names there are.
    """
    from diffplan.errors import InputError, did_you_mean
    from diffplan.planners import PLANNERS

    if name not in PLANNERS:
        raise InputError(f"no planner {name!r}{did_you_mean(name, PLANNERS)}", allowed=list(PLANNERS))


def read_options(file: Path, planners: Sequence[str]) -> dict[str, dict[str, object]]:
    """Read planner options (`planner: {option: value}`), checked by the planners, and return those of `planners`.

    One file serves every command: options of planners that are not run are checked too, and told to be of no use.

    Raises:
        InputError: naming file, line and key, for a planner that is not there, or options that it does not know; all
            that is wrong in the file is told together.
    """
    from diffplan.errors import Faults
    from diffplan.planners import PLANNERS
    from diffplan.strict.strict_yaml import read_yaml

    with Faults() as faults:
        entries = read_yaml(file, faults).fields((), PLANNERS, faults)
        options = {name: faults.of(partial(_planner_options, name, entry)) for name, entry in entries.items()}
    unused = [name for name in options if name not in planners]
    if unused:
        print(f"{file}: not used, since they are not run: options of {', '.join(unused)}", file=sys.stderr)
    return {name: values for name, values in options.items() if name in planners}


def _planner_options(planner: str, entry: Entry) -> dict[str, object]:
    """Return the options of a planner, which has checked them; if it refuses them, one by one to tell of each."""
    from diffplan.errors import Faults, InputError
    from diffplan.planners import make_planner

    def check(key: str | None = None) -> None:
        try:
            make_planner(planner, {key: options[key]} if key else options)
        except InputError as error:
            named = key or (error.key or "").rpartition(".")[2]
            raise entries.get(named, entry).error(error.problem, allowed=error.allowed) from error

    entries = entry.mapping()
    with Faults() as faults:
        options = {key: faults.of(partial(_option, value)) for key, value in entries.items()}
    try:
        check()
    except InputError:
        with Faults() as faults:
            for key in options:
                faults.of(partial(check, key))
        raise
    return options


def _option(entry: Entry) -> object:
    """Return a truth value, number or list of them if it reads as one, else the text."""
    from diffplan.errors import InputError

    if entry.is_list:
        return [_option(item) for item in entry.sequence()]
    try:
        return entry.boolean()
    except InputError:
        pass
    try:
        value = entry.number()
    except InputError:
        return entry.text()
    return int(value) if value.is_integer() and not set(entry.text()) & set(".eE") else value


def tell_units(scene: Scene) -> None:
    """Say on stderr which meshes are so large that their files are likely to be in millimetres."""
    from diffplan.geometry.meshes import LARGE
    from diffplan.geometry.shapes import Mesh

    for mesh in (obstacle for obstacle in scene.obstacles if isinstance(obstacle, Mesh)):
        across = max(float(part.extents.max()) for part in mesh.solids())
        if across > LARGE:
            hint = f"if its file is in millimetres, its scale is {0.001 * mesh.scales[0]:g}"
            print(f"{mesh.name}: a mesh {across:.3g} m across; {hint}", file=sys.stderr)


def tell_left_out(scenes: Iterable[tuple[Robot, Scene]]) -> None:
    """Say on stderr once of each scene which of its queries are not for the robot."""
    from diffplan.ends import misfit

    for robot, scene in {id(scene): (robot, scene) for robot, scene in scenes}.values():
        reasons = {name: misfit(robot, scene, query) for name, query in scene.queries.items()}
        words = [f"{name} ({reason})" for name, reason in reasons.items() if reason]
        if words:
            print(f"{scene.name}: left out, not for {robot.name}: {', '.join(words)}", file=sys.stderr)


def tell_assumed(robots: Iterable[Robot]) -> None:
    """Say on stderr which limits are defaults, since neither robot file nor URDF tells them."""
    from diffplan.robot.rates import assumed_words

    for words in assumed_words(robots):
        print(words, file=sys.stderr)


def tell_parts(robots: Sequence[Robot]) -> None:
    """Say on stderr once of each robot which links collide as convex parts: PyBullet would not make them of meshes."""
    for robot in {robot.name: robot for robot in robots}.values():
        links = ", ".join(link for link in robot.links if link in robot.model.published)
        if links:
            print(
                f"{robot.name}: {links} are certified as convex parts of their meshes (PyBullet alone would "
                "collide with the hulls of their meshes, which are larger)",
                file=sys.stderr,
            )


def tell_held(robots: Iterable[Robot]) -> None:
    """Say on stderr once of each held object how well planners' spheres cover it, and how much larger its hulls are."""
    from diffplan.geometry.shapes import Mesh

    for body in {body.name: body for robot in robots for body in robot.attached}.values():
        fit = body.spheres
        words = f"surface uncovered {1000 * fit.uncovered:.1f} mm, spheres outside {1000 * fit.outside:.1f} mm"
        print(f"{body.name} (held): {count(len(fit.radius), 'sphere')}, {words}", file=sys.stderr)
        for mesh in (shape for shape in body.drawn if isinstance(shape, Mesh)):
            more = sum(hull.volume for hull in mesh.hulls()) / sum(part.volume for part in mesh.solids()) - 1
            if more > _HOLLOW:
                about = f"the hull of each of its parts, {100 * more:.0f} % more than the mesh: hollows count as solid"
                print(f"{body.name} (held): it collides as {about}", file=sys.stderr)
