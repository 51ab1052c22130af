"""`diffplan check`: strict reading of a scene or suite, and where each query starts and ends; no planning.

A plan file is certified again.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from diffplan.cli.common import tell_assumed, tell_held, tell_left_out, tell_parts, tell_units
from diffplan.system.progress import working
from diffplan.words import count

if TYPE_CHECKING:
    from diffplan.cli.results import Results
    from diffplan.problem import Certificate
    from diffplan.recheck import Recheck

EXAMPLES = (
    "diffplan check bookshelf",
    "diffplan check my_scene.yaml --robot ur5 --render my_scene.png",
    "diffplan check plan.json",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    about = "scene file or name, folder of scenes, problem suite, or plan file"
    parser.add_argument("scene", metavar="SCENE|SUITE|PLAN", help=about)
    parser.add_argument("--robot", metavar="NAME", help="robot, if the file names none or another is meant")
    about = "draw what is checked, as `diffplan view` does"
    parser.add_argument("--render", type=Path, metavar="FILE.png", help=about)
    parser.description = (
        "Check a scene or a problem suite strictly, and whether each problem can start and end where it says. "
        "A plan file is certified again, with the robot and the meshes that are there now."
    )


def run(args: argparse.Namespace, out: Results) -> int:
    """Print a table of all queries, or of the motions of a plan.

    Returns:
        0 if each query can start and end where it says, or each motion is certified; 1 if one is not; 2 if a file of a
        folder is refused.
    """
    from diffplan.formats.plan_file import is_plan_file

    code = _check_plan(Path(args.scene), args.robot, out) if is_plan_file(args.scene) else _check_problems(args, out)
    if args.render is not None:
        from diffplan.cli.view import draw

        draw(args.scene, args.render, robot=args.robot)
    return code


def _check_problems(args: argparse.Namespace, out: Results) -> int:
    from diffplan.errors import InputError

    rows, bad, broken = [], 0, list[InputError]()
    with working("reading"):
        from diffplan.benchmark.preflight import preflight, stand
        from diffplan.benchmark.suites import load_cases, load_scenes, scene_cases, suite_file
        from diffplan.problem import robot_in

        scenes = load_scenes(args.scene, args.robot, broken=broken) if suite_file(args.scene) is None else ()
        cases = [case for pair in scenes for case in scene_cases(*pair)]
        cases += load_cases(args.scene, args.robot) if suite_file(args.scene) else ()
    bare = [(robot, scene) for robot, scene in scenes if not scene_cases(robot, scene)]
    for _, scene in scenes:
        tell_units(scene)
    tell_left_out(scenes)
    tell_assumed([*(robot for robot, _ in scenes), *(case.robot for case in cases)])
    tell_parts([*(robot for robot, _ in scenes), *(case.robot for case in cases)])
    tell_held(robot_in(robot, scene) for robot, scene in scenes)
    with working("checking", len(bare) + len(cases)) as task:
        for robot, scene in bare:
            stand(robot, scene)
            rows.append([scene.name, robot.name, len(scene.obstacles), "no queries", "no queries"])
            task.advance()
        for case in cases:
            start, goal = preflight(case)
            bad += not (start.free and goal.free)
            rows.append([case.id, case.robot.name, len(case.scene.obstacles), start.text, goal.text])
            task.advance()
    out.table("problems", ("problem", "robot", "obstacles", "start", "goal"), rows)
    for _, scene in bare:
        sound = f"{count(len(scene.obstacles), 'obstacle')} can be loaded"
        print(
            f"{scene.name} has no queries{' for this robot' if scene.queries else ''}: its file is sound, {sound}",
            file=sys.stderr,
        )
    for error in broken:
        print(f"refused: {error}", file=sys.stderr)
    out.document({"refused": [str(error) for error in broken]})
    if cases:
        print(f"{len(cases) - bad} of {len(cases)} problems can start and end where they say", file=sys.stderr)
    return 2 if broken else 1 if bad else 0


def _check_plan(file: Path, robot: str | None, out: Results) -> int:
    with working("certifying again"):
        from diffplan.recheck import recheck
        from diffplan.robot.model import Robot

        found = recheck(file, robot=Robot.load(robot) if robot else None)
    rows = [[m.name, _verdict(m.recorded), _verdict(m.now), _least(m.recorded), _least(m.now)] for m in found.motions]
    columns = ("motion", "the_file_says", "now", ("its_clearance_mm", ".1f"), ("clearance_now_mm", ".1f"))
    out.table("motions", columns, rows)
    for what in found.changed:
        print(f"not as it was when the plan was made: {what}", file=sys.stderr)
    tell_held([found.plan.robot])
    told = {words for motion in found.motions for words in (motion.now.start_words, motion.now.speed_words)}
    for words in sorted(told - {""}):
        print(words, file=sys.stderr)
    print(_conclusion(found), file=sys.stderr)
    return 0 if found.holds else 1


def _conclusion(found: Recheck) -> str:
    refused = [motion for motion in found.motions if not motion.now.valid]
    if not found.motions:
        return f"nothing to certify: the plan has no motion ({found.plan.status.value}: {found.plan.message})"
    if refused:
        return "; ".join(f"{motion.name} is refused: {motion.now.reason}" for motion in refused)
    if not found.intact:
        return (
            "the plan file was changed after it was written (its content_sum differs), so its verdict is void; "
            "as it stands now it is certified. Remove the key content_sum to have an edited file judged for itself"
        )
    if any(motion.recorded is None or not motion.recorded.valid for motion in found.motions):
        return "certified now, which the plan was not when it was made"
    return "the verdict still holds: certified again" + (" with what is there now" if found.changed else "")


def _verdict(certificate: Certificate | None) -> str:
    return "nothing" if certificate is None else "certified" if certificate.valid else "refused"


def _least(certificate: Certificate | None) -> float | None:
    """Return the least clearance [mm]."""
    if certificate is None or certificate.min_clearance_m is None:
        return None
    return 1000 * certificate.min_clearance_m
