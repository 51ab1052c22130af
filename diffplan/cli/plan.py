"""`diffplan plan`: one query of a scene, from reading to certified plan, file and pictures."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, TypeAlias

from diffplan.cli.common import (
    add_hold_argument,
    add_planner_arguments,
    add_render_argument,
    check_pictures,
    check_planner,
    held_joints,
    positive_number,
    read_options,
    tell_assumed,
    tell_held,
    tell_parts,
    tell_units,
)
from diffplan.constraints.named import CONSTRAINTS
from diffplan.constraints.named import PARAMETERS as CONSTRAINT_PARAMETERS
from diffplan.costs.named import COMMON, COSTS, PARAMETERS
from diffplan.errors import InputError, did_you_mean
from diffplan.system.files import check_writable, make_folder
from diffplan.system.progress import working
from diffplan.system.serving import ASKED
from diffplan.words import some

if TYPE_CHECKING:
    from diffplan.cli.results import Results
    from diffplan.constraints.kinds import Constraint
    from diffplan.costs.cost import Cost
    from diffplan.geometry.pose import Float
    from diffplan.problem import Plan
    from diffplan.robot.model import Robot
    from diffplan.scene import Goal, PoseGoal, Query, Scene

    _Start: TypeAlias = Float | tuple[float, ...] | str
    _Goal: TypeAlias = Float | Goal | list[PoseGoal]

_UNDER = 0.02  # m above the base: what begins higher does not hold the robot

EXAMPLES = (
    "diffplan plan bookshelf --out plan.json --render plan.png",
    "diffplan plan deep_shelf --planner rrtconnect --seed 1 --json",
    "diffplan plan bookshelf --start home --goal right --speed 0.5",
    "diffplan plan bookshelf --cost upright --constraint speed:limit=0.25",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    about = "scene file, or the name of a shipped scene; or a problem suite, with --only"
    parser.add_argument("scene", metavar="SCENE", help=about)
    parser.add_argument("--only", metavar="ID", help="which problem of a suite (bookshelf_small/1, say)")
    parser.add_argument("--query", metavar="NAME", help="query of the scene (default: `default`, or the only one)")
    parser.add_argument("--robot", metavar="NAME", help="robot, if the scene names none or another is meant")
    parser.add_argument("--start", metavar="J,J,...|NAME", help="start: joint values or a configuration's name")
    parser.add_argument("--goal", metavar="J,J,...|NAME", help="goal: joint values or a configuration's name")
    parser.add_argument(
        "--goal-pose",
        action="append",
        default=[],
        metavar="X,Y,Z,R,P,Y_DEG",
        help="goal: pose of the tool in the world, in m and degrees; repeatable, any of them will do",
    )
    add_hold_argument(parser, "where a held joint (finger) stands, whatever the scene says (rad or m); repeatable")
    parser.add_argument(
        "--cost",
        action="append",
        default=[],
        metavar="KIND[:KEY=VALUE]...",
        help="a wish that is weighed against the path length, see below; repeatable",
    )
    parser.add_argument("--costs", type=Path, metavar="FILE", help="wishes in a file (YAML, diffplan/costs@1)")
    parser.add_argument(
        "--constraint",
        action="append",
        default=[],
        metavar="KIND[:KEY=VALUE]...",
        help="what the motion must keep, see below; repeatable; those of the query hold too",
    )
    parser.epilog = _costs_help()
    add_planner_arguments(parser)
    parser.add_argument("--planner", metavar="NAME", default="diffusion", help="see `diffplan planners`")
    parser.add_argument(
        "--warm-start", type=Path, metavar="PLAN.json", help="start from an earlier plan; something has moved a little"
    )
    parser.add_argument(
        "--alternatives", type=int, default=0, metavar="K", help="up to K further ways, shortest motion first"
    )
    parser.add_argument(
        "--start-tolerance",
        type=float,
        default=0.0,
        metavar="RAD",
        help="take a start with joints outside their limits by at most so much (rad or m); they first come back inside",
    )
    parser.add_argument(
        "--start-contact",
        type=float,
        default=0.0,
        metavar="M",
        help="take a start in contact at most so deep (m); the motion first leaves it",
    )
    about = "share of the robot's velocity, acceleration and jerk limits to use (0.001 to 1, default 1)"
    parser.add_argument("--speed", type=float, default=1.0, metavar="SHARE", help=about)
    about = "keep the robot's jerk limits too: limited|off (default off)"
    parser.add_argument("--jerk", choices=("limited", "off"), metavar="limited|off", help=about)
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="random seed (default 0)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the plan file (JSON)")
    add_render_argument(parser, "draw to .png, .gif or .mp4; repeatable")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw joint curves with their limits")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the certified motion as a table")
    about = "write the certified motion as a ROS JointTrajectory message (YAML)"
    parser.add_argument("--ros", type=Path, metavar="FILE", help=about)
    about = "rows a second in --csv and --ros (default: the samples of the plan)"
    parser.add_argument("--rate", type=positive_number, metavar="HZ", help=about)
    parser.add_argument("--execute", action="store_true", help="follow the plan in PyBullet's dynamics and report")
    about = "ask the process that `diffplan serve` keeps ready (DIFFPLAN_SERVE=1 does too); without one, plan here"
    parser.add_argument(ASKED, action="store_true", help=about)


def _costs_help() -> str:
    """Return the kinds of costs and constraints and their parameters, for people."""
    lines = ["costs, for example --cost upright --cost avoid:xyz=0.4,0.3,0.5:radius=0.2:weight=50"]
    for kind, purpose in COSTS.items():
        lines.append(f"  {kind}: {purpose}")
        lines += [f"    {key}: {meaning}" for key, meaning in PARAMETERS[kind].items()]
    lines += ["  every kind:", *(f"    {key}: {meaning}" for key, meaning in COMMON.items())]
    lines.append("constraints, for example --constraint upright:degrees=10 --constraint speed:limit=0.25")
    for kind, purpose in CONSTRAINTS.items():
        lines.append(f"  {kind}: {purpose}")
        lines += [f"    {key}: {meaning}" for key, meaning in CONSTRAINT_PARAMETERS[kind].items()]
    return "\n".join(lines)


def run(args: argparse.Namespace, out: Results) -> int:
    """Plan and report; 0 if the plan is certified, 1 if not."""
    begin = perf_counter()
    files: list[Path] = [*args.render, *(file for file in (args.out, args.plot, args.csv, args.ros) if file)]
    if args.rate is not None and not (args.csv or args.ros):
        raise InputError("a rate of what?", key="--rate", value=args.rate, allowed="with --csv or --ros")
    check_pictures(args.render)
    check_planner(args.planner)
    options = read_options(args.options, [args.planner]).get(args.planner) if args.options else None

    with working("reading"):
        from diffplan.formats.constraints import parse_constraint
        from diffplan.planning import plan

        robot, scene, start, goal, kept = _asked(args)
        constraints = (*kept, *(parse_constraint(text) for text in args.constraint))
        costs = _costs(args, robot, scene)
    for file in files:
        make_folder(file.parent)
        check_writable(file)
    load = perf_counter() - begin
    result = plan(
        robot,
        scene,
        start,
        goal,
        planner=args.planner,
        seed=args.seed,
        timeout=args.timeout,
        fallback=not args.no_fallback,
        options=options,
        costs=costs,
        constraints=constraints,
        warm_start=args.warm_start,
        alternatives=args.alternatives,
        start_tolerance=args.start_tolerance,
        start_contact_m=args.start_contact,
        speed=args.speed,
        jerk=args.jerk,
        hold=held_joints(args.hold),
    )
    load += result.timing_s.get("load", 0.0)
    result = replace(result, timing_s={**result.timing_s, "load": load, "total": perf_counter() - begin})
    _report(result, args.alternatives)
    tell_assumed([robot])
    tell_parts([robot])
    tell_held([result.robot])
    _report_waiting(result, args.timeout)
    _report_costs(result, costs)
    _write(result, args, out)
    return 0 if result.solved else 1


def _asked(args: argparse.Namespace) -> tuple[Robot, Scene, _Start, _Goal, tuple[Constraint, ...]]:
    """Return robot, scene, start, goal, constraints: of a scene's query, or of the problem that `--only` names."""
    if args.only is None and not args.scene.endswith((".json", ".json.gz")):
        from diffplan.robot.model import Robot
        from diffplan.scene import Scene

        scene = Scene.load(args.scene)
        tell_units(scene)
        robot = Robot.load(args.robot or scene.robot or "panda")
        return robot, scene, *_ends(args, scene, robot)
    from diffplan.benchmark.suites import load_cases

    cases = {case.id: case for case in load_cases(args.scene, args.robot)}
    if args.query is not None:
        raise InputError("--only names the problem already", key="--query", value=args.query)
    if args.only not in cases:
        hint = did_you_mean(args.only or "", cases)
        raise InputError(f"which problem?{hint}", key="--only", value=args.only, allowed=some(cases))
    case = cases[args.only]
    start, goal = _given(args, case.robot)
    start, goal = case.start if start is None else start, case.goal if goal is None else goal
    return case.robot, case.scene, start, goal, case.constraints


def _given(args: argparse.Namespace, robot: Robot) -> tuple[_Start | None, _Goal | None]:
    """Return the start and the goal of the command line; None where there is none."""
    start = _joints(args.start, "--start", robot) if args.start is not None else None
    if args.goal is not None and args.goal_pose:
        raise InputError("two kinds of goals", key="--goal-pose", value=args.goal_pose[0], allowed="it, or --goal")
    if args.goal_pose:
        return start, [_pose_goal(text) for text in args.goal_pose]
    return start, _joints(args.goal, "--goal", robot) if args.goal is not None else None


def _pose_goal(text: str) -> PoseGoal:
    from math import radians

    from diffplan.geometry.pose import Pose
    from diffplan.scene import PoseGoal

    try:
        x, y, z, *turns = (float(value) for value in text.split(","))
        roll, pitch, yaw = map(radians, turns)
        return PoseGoal(pose=Pose.turned((x, y, z), (roll, pitch, yaw)))
    except (ValueError, InputError):
        allowed = "x, y, z [m], roll, pitch, yaw [degrees], with commas between"
        raise InputError("not a pose", key="--goal-pose", value=text, allowed=allowed) from None


def _ends(args: argparse.Namespace, scene: Scene, robot: Robot) -> tuple[_Start, _Goal, tuple[Constraint, ...]]:
    """Return start and goal, those given, else the query's; and the query's constraints, if one is asked."""
    from diffplan.ends import misfit

    start, goal = _given(args, robot)
    if start is not None and goal is not None:
        if args.query:
            raise InputError("--start and --goal leave nothing of the query", key="--query", value=args.query)
        return start, goal, ()
    named = robot if args.robot is None else None
    fits = partial(misfit, robot, scene, start=start is None, goal=goal is None, named=named)
    query = _query(args.query, scene, fits)
    start, goal = start if start is not None else query.start, goal if goal is not None else query.goal
    return start, goal, query.constraints


def _costs(args: argparse.Namespace, robot: Robot, scene: Scene) -> tuple[Cost, ...]:
    """Return the costs of the command line after those of the file."""
    if not args.cost and args.costs is None:
        return ()
    from diffplan.costs.reader import parse_cost, read_costs

    in_file = read_costs(args.costs, robot, scene) if args.costs is not None else ()
    return (*in_file, *(parse_cost(text, robot, scene) for text in args.cost))


def _query(name: str | None, scene: Scene, misfit: Callable[[Query], str]) -> Query:
    """Return the query of this name; without one `default`, or the only one, or where `default` is not for this robot,
    the first that is.
    """
    reasons = {key: misfit(query) for key, query in scene.queries.items()}
    fitting = [key for key, reason in reasons.items() if not reason]
    if name is not None:
        query = scene.query(name)
        if reasons[name]:
            allowed = fitting or "none of this scene: give --start and --goal"
            raise InputError(
                f"this query is not for this robot: {reasons[name]}", key="--query", value=name, allowed=allowed
            )
        return query
    chosen = next((key for key in fitting if key == "default" or reasons.get("default") or len(fitting) == 1), None)
    if chosen is None:
        allowed = fitting or "none in this scene for this robot: give --start and --goal"
        raise InputError("which query?", key="--query", allowed=allowed)
    if reasons.get("default"):
        print(f"query {chosen}, the first for this robot; default is not: {reasons['default']}", file=sys.stderr)
    return scene.queries[chosen]


def _joints(text: str, option: str, robot: Robot) -> tuple[float, ...] | str:
    """Return joint values, or the name of a configuration after checking that there is one."""
    if "," not in text:
        robot.configuration(text)
        return text
    try:
        values = tuple(float(value) for value in text.split(","))
    except ValueError:
        raise InputError("not joint values", key=option, value=text, allowed="numbers with commas between") from None
    if len(values) != robot.dof or any(value - value != 0 for value in values):
        allowed = f"{robot.dof} finite values: {', '.join(robot.joint_names)}"
        raise InputError("wrong joint values", key=option, value=text, allowed=allowed)
    return values


def _report(plan: Plan, alternatives: int) -> None:
    """Say on stderr what came out; so many alternatives were asked for."""
    if not plan.solved:
        print(f"not solved: {plan.status.value}: {plan.message}", file=sys.stderr)
    elif plan.metrics and plan.certificate:
        closest = plan.certificate.closest
        words = plan.certificate.clearance_words
        where = f", {words}" if words else ""
        where += f" ({closest.link} to {closest.obstacle})" if closest else ""
        path = f"path {plan.metrics.path_length_rad:.2f} rad (straight line {plan.metrics.straight_line_rad:.2f})"
        print(
            f"solved by {plan.solved_by}, certified by {plan.certificate.checked_by}: "
            f"{path}, motion {plan.metrics.duration_s:.2f} s{where}",
            file=sys.stderr,
        )
        if plan.certificate.start_words:
            print(plan.certificate.start_words, file=sys.stderr)
        if plan.speed < 1.0:
            print(f"timed for {100 * plan.speed:g} % of the robot's limits", file=sys.stderr)
        if plan.certificate.jerk_share is not None:
            print(f"jerk at most {100 * plan.certificate.jerk_share:.0f} % of the robot's limits", file=sys.stderr)
        if plan.certificate.constraints:
            print("kept: " + ", ".join(one.words for one in plan.certificate.constraints), file=sys.stderr)
        if len(set(plan.goal_numbers)) > 1:
            print(f"the motion ends in goal {plan.goal_number} of those asked for", file=sys.stderr)
        for number, way in enumerate(plan.alternatives, start=1):
            size = f"path {way.metrics.path_length_rad:.2f} rad, motion {way.metrics.duration_s:.2f} s"
            print(f"alternative {number}: {size}, to goal {way.certificate.goal_index}", file=sys.stderr)
        if len(plan.alternatives) < alternatives:
            print(f"{len(plan.alternatives)} of {alternatives} alternatives found", file=sys.stderr)
    for remark in plan.remarks:
        print(remark, file=sys.stderr)
    if plan.trajectory is not None and _nothing_below(plan):
        print(
            "nothing is below the robot in this scene: the arm may pass below its base, unless a floor is added "
            "({name: floor, type: floor}, or dp.Plane)",
            file=sys.stderr,
        )
    print("times: " + ", ".join(f"{name} {value:.2f} s" for name, value in plan.timing_s.items()), file=sys.stderr)


def _report_waiting(plan: Plan, timeout: float) -> None:
    """Say on stderr what took longer than the time limit [s] of planning, if anything did."""
    ready = sum(plan.timing_s.get(part, 0.0) for part in ("prepare", "warmup", "load"))
    if ready > timeout:
        print(f"getting ready took {ready:.1f} s, which does not count as planning", file=sys.stderr)
    if plan.timing_s.get("certify", 0.0) > timeout:
        print(f"certifying took {plan.timing_s['certify']:.1f} s, which does not count as planning", file=sys.stderr)
    if plan.timing_s["plan"] > timeout:
        print(f"planning took {plan.timing_s['plan']:.2f} s of a limit of {timeout:g} s", file=sys.stderr)


def _nothing_below(plan: Plan) -> bool:
    """Return whether nothing in reach lies under the base's origin, by the obstacles' boxes in the base frame."""
    from diffplan.collision.obstacles import Obstacles

    boxes = Obstacles.around(plan.robot, plan.scene).double.aabb
    below = (boxes[:, :2] <= 0).all(axis=1) & (boxes[:, 3:5] >= 0).all(axis=1) & (boxes[:, 2] <= _UNDER)
    return not below.any()


def _report_costs(plan: Plan, costs: Sequence[Cost]) -> None:
    """Say on stderr what the wishes came to, and whether the planner that answered weighed them."""
    if not costs or not plan.costs:
        return
    values = (f"{c.name} {plan.costs[c.name]:.4g} (worth {c.weight * plan.costs[c.name]:.2f} rad)" for c in costs)
    print("costs: " + ", ".join(values), file=sys.stderr)
    if not plan.costs_weighed:
        print(f"costs were not weighed: {plan.solved_by or plan.planner} does not know them", file=sys.stderr)


def _write(plan: Plan, args: argparse.Namespace, out: Results) -> None:
    """Write the plan file and pictures that were asked for."""
    if args.out:
        plan.save(args.out)
        print(f"wrote {args.out}", file=sys.stderr)
    if out.as_json:
        from diffplan.formats.plan_file import plan_document

        out.document(plan_document(plan, args.out.parent if args.out else None))
    for file, write in ((args.csv, plan.to_csv), (args.ros, plan.to_ros)):
        if file and plan.solved:
            write(file, hz=args.rate)
            print(f"wrote {file}", file=sys.stderr)
        elif file:
            print(f"{file} is not written: only certified motions are for controllers", file=sys.stderr)
    moves = plan.trajectory is not None
    if not moves and (args.plot or args.execute):
        print("no curves to plot and no motion to follow: no candidate was found", file=sys.stderr)
    if args.execute and moves:
        _execute(plan)
    for file in args.render:
        from diffplan.pybullet.render import render

        render(plan, file)
        print(f"wrote {file}", file=sys.stderr)
    if args.plot and moves:
        from diffplan.viewer.plots import plot_joints

        plot_joints(plan, args.plot)
        print(f"wrote {args.plot}", file=sys.stderr)


def _execute(plan: Plan) -> None:
    """Say on stderr how PyBullet's position control follows the plan."""
    from diffplan.pybullet.execution import execute

    report = execute(plan)
    touched = ", ".join(f"{contact.link} with {contact.obstacle}" for contact in report.contacts) or "none"
    print(
        f"executed: tracking error max {report.max_tracking_error_rad:.4f} rad, "
        f"final {report.final_error_rad:.4f} rad, contacts: {touched}",
        file=sys.stderr,
    )
