"""What the studio is opened with: a scene, a problem suite, a plan, a task, or the folder of a benchmark or task."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from diffplan.benchmark.suites import DEFAULT_ROBOT, Case, load_cases, load_scenes, scene_cases, suite_file
from diffplan.ends import configuration
from diffplan.formats.constraints import constraint_word
from diffplan.formats.plan_file import is_plan_file
from diffplan.problem import Plan
from diffplan.robot.model import Robot
from diffplan.scene import Query, Scene
from diffplan.sequence.task_file import load_task
from diffplan.studio.results import Results
from diffplan.studio.session import Setting
from diffplan.system.assets import shipped_scenes, shipped_tasks
from diffplan.system.reading import LARGEST_JSON, is_file, read_bytes

DEFAULT_SCENE = "bookshelf"
_IS_TASK = re.compile(rb"^\s*format:\s*['\"]?diffplan/task@", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, eq=False)
class Shown:
    """A question, and a `plan` that answers it where there is one already."""

    setting: Setting
    plan: Plan | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Opening:
    """What is seen at `first`; `items` are what else can be chosen, by name, `results` what a benchmark found."""

    first: Shown
    items: dict[str, Callable[[], Shown]] = field(default_factory=dict)
    results: Results | None = None


def opened(what: str | None = None, robot: str | None = None) -> Opening:
    """Return what a word of the command line names.

    Args:
        what: a scene, suite, folder of scenes, plan file, task, or the folder that `bench` or `task` wrote.
        robot: the robot, if the file names none or another is meant.

    Raises:
        InputError: if it is none of these, or something in it is wrong.
    """
    what = DEFAULT_SCENE if what is None else what
    folder = Path(what)
    if (folder / "results.csv").is_file():
        results = Results.of(folder)
        return Opening(first=of_plan(results.first), results=results)
    if (folder / "task.json").is_file():
        files = sorted(file for file in folder.glob("*.json") if is_plan_file(file))
        return _of_items({file.stem: partial(_stored, file) for file in files})
    if is_plan_file(what):
        return Opening(first=_stored(folder, robot))
    if _is_task(what):
        task = load_task(what)
        named = Robot.load(robot) if robot else task.robot
        start = tuple(configuration(named, task.start, "start").tolist())
        return Opening(first=Shown(setting=Setting.of(named, task.scene, at=start)))
    if suite_file(what) is None and not folder.is_dir():
        scene = Scene.load(what)
        return of_scene(Robot.load(robot or scene.robot or DEFAULT_ROBOT), scene)
    scenes = [] if suite_file(what) else [pair for pair in load_scenes(what, robot)]
    cases = [case for pair in scenes for case in scene_cases(*pair)] if scenes else load_cases(what, robot)
    return _of_items({case.id: partial(_asked, case) for case in cases}) if cases else of_scene(*scenes[0])


def of_scene(robot: Robot, scene: Scene) -> Opening:
    """Return the opening of a scene, with a first query that is for this robot if it has one."""
    return Opening(first=Shown(setting=Setting.of(robot, scene)))


def of_plan(plan: Plan) -> Shown:
    """Return a plan and the question that it answers, its goal as joint positions."""
    start = tuple(plan.start.tolist())
    row = plan.certificate.goal_index if plan.certificate else 0
    setting = Setting(
        robot=plan.robot.empty_handed,
        scene=plan.scene,
        start=start,
        goal=tuple(plan.goals[row].tolist()) if len(plan.goals) else start,
        planner=plan.planner,
        seed=plan.seed,
        constraints=tuple(constraint_word(one) for one in plan.constraints),
    )
    return Shown(setting=setting, plan=plan)


def _of_items(items: dict[str, Callable[[], Shown]]) -> Opening:
    return Opening(first=next(iter(items.values()))(), items=items)


def _stored(file: Path, robot: str | None = None) -> Shown:
    return of_plan(Plan.load(file, robot=Robot.load(robot) if robot else None))


def _asked(case: Case) -> Shown:
    """Return a problem of a suite; of several goals that are joint positions the first."""
    goal = tuple(case.goal[0].tolist()) if isinstance(case.goal, np.ndarray) else case.goal
    start = tuple(configuration(case.robot, case.start, "start").tolist())
    query = Query(start=start, goal=goal, constraints=case.constraints)
    return Shown(setting=Setting.of(case.robot, replace(case.scene, queries={"problem": query})))


def _is_task(what: str) -> bool:
    if is_file(Path(what)):
        return Path(what).suffix in (".yaml", ".yml") and bool(_IS_TASK.search(read_bytes(Path(what), LARGEST_JSON)))
    return what in shipped_tasks() and what not in shipped_scenes()
