"""`diffplan robots`: list and describe robots, add one from a URDF, remove one, fit spheres."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from diffplan.cli.common import add_hold_argument, held_joints
from diffplan.errors import InputError, did_you_mean
from diffplan.system.progress import working

if TYPE_CHECKING:
    from diffplan.cli.results import Results
    from diffplan.learning.collision_model import FitReport
    from diffplan.strict.entry import Json

EXAMPLES = (
    "diffplan robots",
    "diffplan robots show panda --json",
    "diffplan robots add arm.urdf --package-path my_ws/src",
    "diffplan robots fit my_arm --parts convex",
    "diffplan robots remove my_arm",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    show = actions.add_parser("show", help="limits, named configurations and sphere coverage of a robot")
    show.add_argument("robot", metavar="NAME", help="a robot's name, or the path of a robot file")
    fit = actions.add_parser("fit", help="fit collision spheres and find link pairs; writes the collision file")
    fit.add_argument("robot", metavar="NAME", help="a robot's name, or the path of a robot file")
    _declare_parts(fit, "auto; hull for a shipped robot")
    remove = actions.add_parser("remove", help="remove a robot that was added, with all that lies in its folder")
    remove.add_argument("robot", metavar="NAME", help="its name")
    _declare_add(actions.add_parser("add", help="make a robot of a URDF; what it finds out by itself it says"))


def _declare_parts(parser: argparse.ArgumentParser, default: str) -> None:
    about = (
        "what meshes collide as: `hull`, their convex hulls, as in PyBullet; `auto`, hulls where they bulge less than "
        f"10 mm, convex parts that do elsewhere; `convex`, the same with 5 mm (default: {default})"
    )
    parser.add_argument("--parts", choices=("hull", "auto", "convex"), help=about)


def _declare_add(add: argparse.ArgumentParser) -> None:
    add.description = (
        "Make a robot of a URDF: finds base, tip, tool, joints, gripper, limits and a home by itself, says what it "
        "took and which option changes it, fits collision spheres, and writes a folder into the user's robots folder "
        "(DIFFPLAN_HOME/robots, or diffplan/robots in the XDG data folder). It never asks."
    )
    add.add_argument("urdf", type=Path, metavar="URDF", help="the file, with the meshes that it names")
    add.add_argument("--name", metavar="NAME", help="the robot's name (default: the URDF's)")
    add.add_argument("--base", metavar="LINK", help="link that stands still")
    add.add_argument("--tip", metavar="LINK", help="link where the arm ends; of two arms, the one to plan for")
    add.add_argument("--tool", metavar="LINK", help="frame that poses without a link mean")
    add.add_argument("--tool-offset", type=_point, metavar="X,Y,Z", help="where the tool is in the tip's frame, in m")
    add.add_argument("--joints", type=_names, metavar="A,B,...", help="joints to plan for; others are held")
    add_hold_argument(add, "hold a joint there (rad or m); repeatable")
    about = "folder of a ROS package that the URDF names, or a folder of some; repeatable"
    add.add_argument("--package-path", type=Path, action="append", default=[], metavar="DIR", help=about)
    about = "take named states and exempt pairs from this SRDF; `none`: take no SRDF"
    add.add_argument("--srdf", type=Path, metavar="FILE", help=about)
    _declare_parts(add, "auto")
    add.add_argument("--out", type=Path, metavar="DIR", help="make the robot's folder in DIR")
    add.add_argument("--replace", action="store_true", help="replace a robot of that name")
    add.add_argument("--any-size", action="store_true", help="take an arm or meshes of unusual size as they are")


def _point(text: str) -> tuple[float, float, float]:
    values = [float(word) for word in text.split(",")]
    if len(values) != 3 or any(value - value != 0 for value in values):
        raise argparse.ArgumentTypeError(f"{text!r} is not X,Y,Z in m")
    x, y, z = values
    return x, y, z


def _names(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def run(args: argparse.Namespace, out: Results) -> int:
    """List, show, add, remove or fit."""
    if args.action == "show":
        _show(args.robot, out)
    elif args.action == "add":
        _add(args, out)
    elif args.action == "remove":
        _remove(args.robot, out)
    elif args.action == "fit":
        from diffplan.learning.collision_model import fit_robot

        report = fit_robot(args.robot, parts=args.parts)
        _print_shapes(report, out)
        _print_coverage(args.robot, out)
        _print_pairs(report, out)
    else:
        _list(out)
    return 0


def _add(args: argparse.Namespace, out: Results) -> None:
    from diffplan.learning.add_robot import AddRequest, add_robot
    from diffplan.robot.discovery import Choice, Wishes

    found: list[Json] = []

    def tell(choice: Choice) -> None:
        out.line(f"{choice.what}: {choice.value}  ({choice.why})  [{choice.flag}]")
        found.append({"what": choice.what, "value": choice.value, "why": choice.why, "option": choice.flag})

    wishes = Wishes(
        base=args.base,
        tip=args.tip,
        tool=args.tool,
        tool_offset=args.tool_offset,
        joints=args.joints,
        hold=held_joints(args.hold),
    )
    request = AddRequest(
        urdf=args.urdf,
        name=args.name,
        wishes=wishes,
        package_path=args.package_path,
        srdf=args.srdf,
        out=args.out,
        replace=args.replace,
        any_size=args.any_size,
        parts=args.parts or "auto",
    )
    added = add_robot(request, tell)
    out.document({"robot": added.robot.name, "folder": str(added.folder), "choices": found})
    _print_coverage(str(added.folder), out)
    named = added.robot.name if args.out is None else added.folder / "robot.yaml"
    print(f"report, with a picture: {added.folder / 'report.md'}", file=sys.stderr)
    print(f"added {added.robot.name} in {added.folder}; use it as `--robot {named}`", file=sys.stderr)


def _remove(name: str, out: Results) -> None:
    """Remove a robot of the user's folder; refuse others."""
    from diffplan.system.assets import added_robots, shipped_robots
    from diffplan.system.files import remove_folder

    folders = {file.parent.name: file.parent for file in added_robots().values()}
    if name not in folders:
        shipped = "a shipped robot cannot be removed" if name in shipped_robots() else "no robot of that name was added"
        raise InputError(
            f"{shipped}{did_you_mean(name, folders)}", value=name, allowed=list(folders) or "none was added"
        )
    files = sorted(path.name for path in folders[name].iterdir())
    remove_folder(folders[name])
    print(f"removed {folders[name]}: {', '.join(files)}", file=sys.stderr)
    out.document({"folder": str(folders[name]), "removed": [*files]})


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """How well a link's spheres cover its collision meshes [mm]."""

    link: str
    spheres: int
    uncovered_mm: float
    outside_mm: float


def coverage(name: str) -> list[Coverage]:
    """Read what the fitting tool measured and wrote beside the spheres."""
    from diffplan.formats.robot_file import robot_path
    from diffplan.strict.strict_yaml import read_yaml

    path = robot_path(name)
    file = path.parent / read_yaml(path).mapping()["collision"].text()
    return [
        Coverage(
            link=link,
            spheres=len(fields["spheres"].sequence()),
            uncovered_mm=fields["uncovered_mm"].number(),
            outside_mm=fields["outside_mm"].number(),
        )
        for link, entry in read_yaml(file).mapping()["links"].mapping().items()
        for fields in (entry.fields(("spheres", "uncovered_mm", "outside_mm"), ("bulge_mm", "parts")),)
    ]


def _print_shapes(report: FitReport, out: Results) -> None:
    rows = [
        [
            link,
            " x ".join(f"{1000 * edge:.0f}" for edge in shape.extents),
            1e6 * shape.volume,
            1000 * shape.hull_bulge,
            "hull" if link not in report.parts else shape.parts,
            1000 * shape.bulge,
        ]
        for link, shape in report.shapes.items()
    ]
    hulls, parts = ("hulls_beyond_mesh_mm", ".1f"), ("parts_beyond_mesh_mm", ".1f")
    columns = ("link", "mesh_mm", ("hulls_cm^3", ".0f"), hulls, "convex_parts", parts)
    out.table("shapes", columns, rows, title="what collides")


def _print_pairs(report: FitReport, out: Results) -> None:
    pairs = [pair for pair in report.pairs if pair.touching.any() or pair.spheres_touching.any()]
    rows = [[*pair.links, 100 * pair.touching_share, 100 * pair.false_share] for pair in pairs]
    columns = ("link", "other_link", ("touch_%", ".1f"), ("only_their_spheres_do_%", ".1f"))
    out.table("pairs", columns, rows, title="links in configurations at random")


def _list(out: Results) -> None:
    from diffplan.robot.model import Robot
    from diffplan.system.assets import named_robots

    rows, names = [], sorted(named_robots())
    with working("reading", len(names)) as task:
        for name in names:
            task.advance()
            try:
                robot, fitted = Robot.load(name), coverage(name)
            except InputError as error:  # such as a shipped one whose URDF comes with a package that is not installed
                print(f"{name} cannot be loaded: {error}", file=sys.stderr)
                continue
            rows.append(
                [
                    name,
                    robot.dof,
                    robot.end_link,
                    sum(link.spheres for link in fitted),
                    max(link.uncovered_mm for link in fitted),
                    max(link.outside_mm for link in fitted),
                    list(robot.configurations),
                ]
            )
    millimetres = (("uncovered_mm", ".1f"), ("outside_mm", ".1f"))
    out.table("robots", ("robot", "joints", "end_link", "spheres", *millimetres, "configurations"), rows)


def _show(name: str, out: Results) -> None:
    from diffplan.robot.model import Robot
    from diffplan.robot.rates import RATES

    with working("reading"):
        robot = Robot.load(name)
    rows = []
    for i, joint in enumerate(robot.joint_names):
        values = [*(limits[i] for limits in robot.limits), *(getattr(robot, rate)[i] for rate in RATES)]
        defaults = [rate for rate in RATES if joint in robot.assumed.get(rate, ())]
        rows.append([joint, *map(float, values), defaults])
    limits = ("lower", "upper", *RATES)
    out.table("joints", ("joint", *((name, ".4g") for name in limits), "defaults"), rows, title=robot.name)
    configurations = [[name, q.tolist()] for name, q in robot.configurations.items()]
    out.table("configurations", ("configuration", ("joint_values", ".4g")), configurations)
    x, y, z = robot.tool_frame.pose.xyz
    tool = robot.tool_frame.link
    out.line(f"base {robot.base_link}, tip {robot.end_link}, tool {tool} at ({x:g}, {y:g}, {z:g}) m")
    fingers = robot.gripper.joints if robot.gripper else {}
    moves = ", ".join(f"{joint} {opened:g} open, {closed:g} closed" for joint, (opened, closed) in fingers.items())
    held = ", ".join(f"{joint}={value:g}" for joint, value in robot.held_joints.items())
    out.line(f"gripper: {moves or 'none'}; held: {held or 'none'}")
    out.document({"robot": robot.name, "base": robot.base_link, "tip": robot.end_link, "tool": tool})
    out.document({"tool_xyz_m": [x, y, z], "held": dict(robot.held_joints)})
    out.document({"gripper": {joint: {"open": a, "closed": b} for joint, (a, b) in fingers.items()}})
    _print_coverage(name, out)
    pairs = [[a, b] for a, b in robot.checked_pairs]
    out.table("checked_pairs", ("link", "can_touch"), pairs, title="self-collision pairs of the planner's model")


def _print_coverage(name: str, out: Results) -> None:
    fitted = coverage(name)
    rows = [[c.link, c.spheres, c.uncovered_mm, c.outside_mm] for c in fitted]
    columns = ("link", "spheres", ("surface_uncovered_mm", ".1f"), ("spheres_outside_mm", ".1f"))
    out.table("coverage", columns, rows, title="collision spheres")
    print(f"{sum(c.spheres for c in fitted)} spheres on {len(fitted)} links", file=sys.stderr)
