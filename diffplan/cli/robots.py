"""`diffplan robots`: the shipped robots, one robot's limits and sphere coverage, and the fitting of spheres."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from typing import TextIO

from diffplan.cli.common import print_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    show = actions.add_parser("show", help="limits, named configurations and sphere coverage of a robot")
    show.add_argument("robot", metavar="NAME", help="shipped robot, or the path of a robot file")
    fit = actions.add_parser("fit", help="fit collision spheres and find link pairs; writes the collision file")
    fit.add_argument("robot", metavar="NAME", help="shipped robot, or the path of a robot file")


def run(args: argparse.Namespace, out: TextIO) -> int:
    """List, show or fit."""
    if args.action == "show":
        _show(args.robot, out)
    elif args.action == "fit":
        from diffplan.learning.collision_model import fit_robot

        fit_robot(args.robot)
        _print_coverage(args.robot, out)
    else:
        _list(out)
    return 0


@dataclass(frozen=True, kw_only=True)
class _Coverage:
    """How well a link's spheres cover its collision meshes [mm]."""

    link: str
    spheres: int
    uncovered_mm: float
    outside_mm: float


def _coverage(name: str) -> list[_Coverage]:
    """Read what the fitting tool measured and wrote beside the spheres."""
    from diffplan.formats.robot_file import robot_path
    from diffplan.strict.strict_yaml import read_yaml

    path = robot_path(name)
    file = path.parent / read_yaml(path).mapping()["collision"].text()
    return [
        _Coverage(
            link=link,
            spheres=len(fields["spheres"].sequence()),
            uncovered_mm=fields["uncovered_mm"].number(),
            outside_mm=fields["outside_mm"].number(),
        )
        for link, entry in read_yaml(file).mapping()["links"].mapping().items()
        for fields in (entry.fields(("spheres", "uncovered_mm", "outside_mm")),)
    ]


def _list(out: TextIO) -> None:
    from diffplan.robot.model import Robot
    from diffplan.system.assets import shipped_robots

    rows = []
    for name in shipped_robots():
        robot, coverage = Robot.load(name), _coverage(name)
        rows.append(
            [
                name,
                str(robot.dof),
                robot.end_link,
                str(sum(link.spheres for link in coverage)),
                f"{max(link.uncovered_mm for link in coverage):.1f}",
                f"{max(link.outside_mm for link in coverage):.1f}",
                ", ".join(robot.configurations),
            ]
        )
    headings = ("robot", "joints", "end link", "spheres", "uncovered mm", "outside mm", "configurations")
    print_table(out, headings, rows)


def _show(name: str, out: TextIO) -> None:
    from diffplan.robot.model import Robot

    robot = Robot.load(name)
    limits = zip(
        robot.joint_names, robot.lower, robot.upper, robot.velocity, robot.acceleration, robot.jerk, strict=True
    )
    rows = [[joint, *(f"{value:.4g}" for value in values)] for joint, *values in limits]
    print_table(out, ("joint", "lower", "upper", "velocity", "acceleration", "jerk"), rows, title=robot.name)
    configurations = [[key, ", ".join(f"{v:.4g}" for v in q)] for key, q in robot.configurations.items()]
    print_table(out, ("configuration", "joint values"), configurations)
    _print_coverage(name, out)
    pairs = [[a, b] for a, b in robot.checked_pairs]
    print_table(out, ("link", "can touch"), pairs, title="self-collision pairs of the planner's model")


def _print_coverage(name: str, out: TextIO) -> None:
    coverage = _coverage(name)
    rows = [[c.link, str(c.spheres), f"{c.uncovered_mm:.1f}", f"{c.outside_mm:.1f}"] for c in coverage]
    print_table(out, ("link", "spheres", "surface uncovered mm", "spheres outside mm"), rows, title="collision spheres")
    print(f"{sum(c.spheres for c in coverage)} spheres on {len(coverage)} links", file=sys.stderr)
