"""Which problems a benchmark runs: a problem suite, a scene file, or a folder of scene files (each query a problem)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from diffplan.benchmark.suite_fetch import PUBLISHED
from diffplan.constraints.kinds import Constraint
from diffplan.ends import misfit
from diffplan.errors import Faults, InputError, did_you_mean
from diffplan.geometry.pose import Float
from diffplan.planners.base import Options
from diffplan.problem import Plan, robot_in
from diffplan.robot.model import Robot
from diffplan.scene import Goal, Scene
from diffplan.system.assets import named_suites, shipped_scenes

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_ROBOT = "panda"


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """One problem of a benchmark; `goal` is an array [k, dof] of configurations, any of which will do, or a goal."""

    id: str
    robot: Robot
    scene: Scene
    start: Float | tuple[float, ...] | str
    goal: Float | Goal
    constraints: tuple[Constraint, ...] = ()

    @property
    def set(self) -> str:
        """The part of the id before the first slash."""
        return self.id.split("/", 1)[0]

    def plan(self, *, planner: str, seed: int, timeout: float, fallback: bool, options: Options | None) -> Plan:
        """Plan this problem (see `diffplan.planning.plan`)."""
        from diffplan.planning import plan

        return plan(
            self.robot,
            self.scene,
            self.start,
            self.goal,
            planner=planner,
            seed=seed,
            timeout=timeout,
            fallback=fallback,
            options=options,
            constraints=self.constraints,
        )


def suite_file(name_or_path: str) -> Path | None:
    """Return the file of a problem suite: a path that ends in .json or .json.gz, or a suite's name.

    The name of a shipped or fetched suite means the suite even where a folder is called the same (`./NAME` is the
    folder); None if it is neither.
    """
    if name_or_path.endswith((".json", ".json.gz")):
        return Path(name_or_path)
    return named_suites().get(name_or_path)


def load_cases(path: str, robot: str | None = None, *, broken: list[InputError] | None = None) -> tuple[Case, ...]:
    """Read a suite or a scene (a file or a shipped name), or every scene file of a folder.

    Args:
        path: what to read.
        robot: the robot, if the files name none or another is meant; queries of scenes that are not for it are left
            out.
        broken: takes the errors of files of a folder, as long as one of them is sound; without it they are raised.

    Raises:
        InputError: for anything wrong in those files, or a folder without scene files.
    """
    suite = suite_file(path)
    if suite is not None:
        return _suite_cases(suite, robot)
    return tuple(case for pair in load_scenes(path, robot, broken=broken) for case in scene_cases(*pair))


def load_scenes(
    path: str, robot: str | None = None, *, broken: list[InputError] | None = None
) -> tuple[tuple[Robot, Scene], ...]:
    """Read a scene (a file or a shipped name), or every scene file of a folder, with the robot of each.

    The arguments and errors are those of `load_cases`.
    """
    if Path(path).is_dir():
        files = sorted(Path(path).glob("*.yaml"))
        if not files:
            raise InputError("no scene files (*.yaml) in this folder", file=path)
        faults = Faults()
        found = [faults.of(partial(_scene, str(file), robot)) for file in files]
        sound = tuple(pair for pair in found if pair is not None)
        if faults.found and (broken is None or not sound):
            raise InputError.together(faults.found)
        if broken is not None:
            broken += faults.found
        return sound
    names = sorted({*named_suites(), *shipped_scenes()})
    if not Path(path).is_file() and path not in names:
        if path in PUBLISHED:
            raise InputError(
                "this suite is not fetched yet", value=path, allowed=f"`diffplan suites fetch {path}` first"
            )
        allowed = f"a file, a folder of scenes, or what is shipped or fetched: {', '.join(names)}"
        raise InputError(f"no such suite or scene{did_you_mean(path, names)}", value=path, allowed=allowed)
    return (_scene(path, robot),)


def _suite_cases(path: Path, robot_name: str | None) -> tuple[Case, ...]:
    from diffplan.formats.problems_file import load_problems
    from diffplan.formats.robot_file import robot_path

    suite = load_problems(path)
    if robot_name is not None and robot_path(robot_name).resolve() != Path(suite.robot.file or "").resolve():
        raise InputError("this suite is for another robot", file=path, value=robot_name, allowed=suite.robot.name)
    return tuple(
        Case(id=entry.id, robot=suite.robot, scene=entry.scene, start=entry.start, goal=entry.goals)
        for entry in suite.entries
    )


def _scene(path: str, robot_name: str | None) -> tuple[Robot, Scene]:
    scene = Scene.load(path)
    return robot_in(Robot.load(robot_name or scene.robot or DEFAULT_ROBOT), scene), scene


def scene_cases(robot: Robot, scene: Scene) -> tuple[Case, ...]:
    """Return the queries of a scene that are for this robot as problems."""
    return tuple(
        Case(
            id=f"{scene.name}/{name}",
            robot=robot,
            scene=scene,
            start=query.start,
            goal=query.goal,
            constraints=query.constraints,
        )
        for name, query in scene.queries.items()
        if not misfit(robot, scene, query)
    )


def select(
    cases: Sequence[Case], *, sets: Sequence[str] | None, limit: int | None, only: Sequence[str] | None = None
) -> list[int]:
    """Return the indices of the cases in these sets (all if None), the first `limit` of each; of `only` these ids.

    Raises:
        InputError: if there are no cases, or a set or an id is not there; the message lists the sets that are.
    """
    ids = [case.id for case in cases]
    for name in only or ():
        if name not in ids:
            raise InputError(f"no problem {name!r}{did_you_mean(name, ids)}", key="--only", value=name)
    known = list(dict.fromkeys(case.set for case in cases))
    for name in sets or ():
        if name not in known:
            raise InputError(f"no set {name!r}{did_you_mean(name, known)}", key="--sets", allowed=known)
    if not cases:
        raise InputError("no queries to plan")
    chosen, counts = [], dict.fromkeys(known, 0)
    for index, case in enumerate(cases):
        wanted = (sets is None or case.set in sets) and (only is None or case.id in only)
        if wanted and (limit is None or counts[case.set] < limit):
            chosen.append(index)
            counts[case.set] += 1
    return chosen
