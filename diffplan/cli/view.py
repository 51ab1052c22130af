"""`diffplan view`: a picture of a scene before planning, of problems of a suite, or of a plan."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from diffplan.system.progress import working
from diffplan.words import count, some

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL import Image

    from diffplan.benchmark.suites import Case
    from diffplan.cli.results import Results
    from diffplan.robot.model import Robot
    from diffplan.scene import Scene

_SIZE, _TILE = (960, 720), (480, 360)
_MOST, _COLUMNS = 12, 4

EXAMPLES = (
    "diffplan view bookshelf --out bookshelf.png",
    "diffplan view hard --only SET/NUMBER --out problem.png",
    "diffplan view plan.json --out plan.gif",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    about = "scene file or name, folder of scenes, problem suite, or plan file"
    parser.add_argument("scene", metavar="SCENE|SUITE|PLAN", help=about)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE.png", help="the picture (of a plan also .gif, .mp4)"
    )
    parser.add_argument("--only", metavar="ID", help="this query of a scene, or problem of a suite")
    parser.add_argument("--robot", metavar="NAME", help="robot, if the file names none or another is meant")
    parser.description = (
        "Draw a scene: the arm at start (green) and goal (red) of its first query, the obstacles with their names, the "
        f"axes of base and tool (x red, y green, z blue). Of several problems the first of each set, at most {_MOST}. "
        "A plan file is drawn as `plan --render` does."
    )


def run(args: argparse.Namespace, out: Results) -> int:
    """Write the picture.

    Returns:
        0: it is written.
    """
    draw(args.scene, args.out, robot=args.robot, only=args.only)
    out.document({"files": [str(args.out)]})
    return 0


def draw(scene: str, file: Path, *, robot: str | None, only: str | None = None) -> None:
    """Draw a scene, problems of a suite or a plan into a file.

    Raises:
        InputError: if the file cannot be written or is of another kind, or there is no problem `only`.
    """
    from diffplan.errors import InputError
    from diffplan.formats.plan_file import is_plan_file
    from diffplan.system.files import check_writable, write_bytes

    if is_plan_file(scene):
        _draw_plan(scene, file, robot, only)
    else:
        if file.suffix.lower() != ".png":
            raise InputError("cannot draw this kind of file", value=file.suffix, file=file, allowed=".png")
        check_writable(file)
        from diffplan.pybullet.render import strip_bytes

        write_bytes(file, strip_bytes([_picture(scene, robot, only)]))
    print(f"wrote {file}", file=sys.stderr)


def _draw_plan(plan: str, file: Path, robot: str | None, only: str | None) -> None:
    from diffplan.errors import InputError
    from diffplan.problem import Plan
    from diffplan.pybullet.render import render
    from diffplan.robot.model import Robot

    if only is not None:
        raise InputError("a plan file is one problem", key="--only", value=only, allowed="a scene or a suite")
    with working("reading"):
        loaded = Plan.load(plan, robot=Robot.load(robot) if robot else None)
    render(loaded, file)


def _picture(scene: str, robot: str | None, only: str | None) -> Image.Image:
    """Return the picture of a scene, or a sheet of those of several problems."""
    from diffplan.benchmark.suites import load_cases, load_scenes, scene_cases, suite_file
    from diffplan.errors import InputError, did_you_mean

    with working("reading"):
        scenes = list(load_scenes(scene, robot)) if suite_file(scene) is None else []
        cases = [case for pair in scenes for case in scene_cases(*pair)]
        cases += load_cases(scene, robot) if not scenes else ()
    if only is not None:
        chosen = [case for case in cases if only in (case.id, case.id.partition("/")[2])]
        if not chosen:
            names = [case.id for case in cases]
            raise InputError(
                f"no such problem{did_you_mean(only, names)}", key="--only", value=only, allowed=some(names)
            )
        cases = chosen[:1]
    if not cases:
        with working("drawing"):
            return _bare(*scenes[0], _SIZE)
    first = list({case.set: case for case in reversed(cases)}.values())[::-1]
    if len(first) > _MOST:
        print(f"drew the first {_MOST} of {count(len(first), 'set')}; --only ID draws one problem", file=sys.stderr)
    with working("drawing", len(first[:_MOST])) as task:
        tiles = []
        for case in first[:_MOST]:
            tiles.append(_drawn(case, _TILE if len(first) > 1 else _SIZE))
            task.advance()
    return _sheet(tiles)


def _drawn(case: Case, size: tuple[int, int]) -> Image.Image:
    """Return the picture of a problem: start and the goal nearest to it, if one can be reached."""
    from diffplan.ends import configuration, goal_configurations
    from diffplan.pybullet.failure import Arm
    from diffplan.pybullet.palette import GOAL, START
    from diffplan.pybullet.render import label
    from diffplan.pybullet.scene_picture import draw_scene

    start = configuration(case.robot, case.start, "start")
    goals = goal_configurations(case.robot, case.scene, case.goal, start, seed=0)
    arms = [Arm(q=start, colour=START)]
    if len(goals):
        arms.append(Arm(q=goals[case.robot.distance(start, goals).argmin()], colour=GOAL))
    words = "start green, goal red" if len(goals) else "start green; the goal cannot be reached"
    return label(draw_scene(case.robot, case.scene, arms, size=size), f"{case.id}: {words}")


def _bare(robot: Robot, scene: Scene, size: tuple[int, int]) -> Image.Image:
    """Return the picture of a scene without queries: the arm at home, or in the middle of its limits."""
    from diffplan.pybullet.failure import Arm
    from diffplan.pybullet.render import label
    from diffplan.pybullet.scene_picture import draw_scene

    home = "home" in robot.configurations
    q = robot.configuration("home") if home else (robot.lower + robot.upper) / 2
    where = "home" if home else "the middle of its limits"
    return label(draw_scene(robot, scene, [Arm(q=q)], size=size), f"{scene.name}: {robot.name} at {where}")


def _sheet(tiles: Sequence[Image.Image]) -> Image.Image:
    """Return pictures of one size in rows."""
    from PIL import Image

    width, height = tiles[0].size
    columns = min(_COLUMNS, len(tiles))
    sheet = Image.new("RGB", (columns * width, -(-len(tiles) // columns) * height), "white")
    for i, tile in enumerate(tiles):
        sheet.paste(tile, (i % columns * width, i // columns * height))
    return sheet
