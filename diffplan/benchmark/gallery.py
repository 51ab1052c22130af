"""Pictures of failed runs: the refused motion where it touches, or start and goal where there is no motion."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import chain, zip_longest

import numpy as np

from diffplan.benchmark.results import ResultRow
from diffplan.benchmark.suites import Case
from diffplan.benchmark.summary import in_time
from diffplan.benchmark.worker import BenchmarkSettings, plan_path
from diffplan.certificate.bisection import TOUCH
from diffplan.certificate.certifier import Certifier, ConfigurationCheck
from diffplan.ends import configuration, goal_configurations
from diffplan.errors import InputError
from diffplan.formats.plan_file import load_plan
from diffplan.geometry.pose import Float
from diffplan.pybullet.failure import Arm
from diffplan.pybullet.palette import GOAL, START, TOUCHING
from diffplan.pybullet.still import draw_still

_SIZE = (480, 360)
_TELLING = ("not_certified", "no_path_found")
_COLOURS = 96  # of a picture: a third of the size that it had with all


@dataclass(frozen=True, kw_only=True)
class Exhibit:
    """A failed run, what its picture shows in words, the picture (None if there is none), the command to repeat it."""

    row: ResultRow
    shows: str
    png: bytes | None
    command: str


def chosen(rows: Sequence[ResultRow], limit: float, most: int) -> list[ResultRow]:
    """Return up to `most` failed runs: a run of each planner in turn, and of each planner the sets in turn.

    Each planner begins with another set. Within a set refused motions come first, since they have most to show, and
    problems that are shown already come last. The order of the rows decides between equals, so the same rows give the
    same choice.
    """
    failed: dict[str, list[ResultRow]] = {}
    for row in rows:
        if not in_time(row, limit):
            failed.setdefault(row.planner, []).append(row)
    queues = [_sets_in_turn(own, number) for number, own in enumerate(failed.values())]
    found: list[ResultRow] = []
    while len(found) < most and any(queues):
        for queue in filter(None, queues):
            problems = {row.problem for row in found}
            found.append(queue.pop(next((i for i, row in enumerate(queue) if row.problem not in problems), 0)))
    return found[:most]


def _sets_in_turn(rows: Sequence[ResultRow], shift: int) -> list[ResultRow]:
    """Return a planner's failed runs, the first of each set, then the second, beginning `shift` sets later."""
    by_set: dict[str, list[ResultRow]] = {}
    for row in sorted(rows, key=lambda row: _TELLING.index(row.status) if row.status in _TELLING else len(_TELLING)):
        by_set.setdefault(row.set, []).append(row)
    names = sorted(by_set)
    first = shift % len(names)
    columns = zip_longest(*(by_set[name] for name in names[first:] + names[:first]))
    return [row for row in chain.from_iterable(columns) if row is not None]


def exhibits(
    rows: Sequence[ResultRow], cases: Sequence[Case], settings: BenchmarkSettings, most: int = 12
) -> list[Exhibit]:
    """Return the failed runs to show; a run whose problem or plan file is gone has fewer to see, or no picture."""
    known = {case.id: case for case in cases}
    shown = []
    for row in chosen(rows, settings.timeout, most):
        case = known.get(row.problem)
        try:
            png, shows = (
                (None, "none, the problem is not in the suite") if case is None else _picture(row, case, settings)
            )
        except InputError as error:
            png, shows = None, f"none, {error}"
        shown.append(Exhibit(row=row, shows=shows, png=png, command=repeat_command(row, settings)))
    return shown


def repeat_command(row: ResultRow, settings: BenchmarkSettings) -> str:
    """Return the command that plans this run again (and seeds below its own), into another folder."""
    words = ["diffplan", "bench", settings.suite, "--only", row.problem, "--planners", row.planner]
    words += ["--timeout", f"{settings.timeout:g}"]
    words += ["--seeds", str(row.seed + 1)] if row.seed else []
    words += ["--robot", settings.robot] if settings.robot else []
    words += [] if settings.fallback else ["--no-fallback"]
    words += ["--options", str(settings.folder / "options.yaml")] if settings.options else []
    return shlex.join([*words, "--out", "out/again"])


def _picture(row: ResultRow, case: Case, settings: BenchmarkSettings) -> tuple[bytes, str]:
    """Return a PNG of a failed run and what it shows."""
    start = configuration(case.robot, case.start, "start")
    path = _refused_path(row, settings)
    if path is not None:
        q, check = _deepest(case, path)
        if check.free:
            return _png(case, [Arm(q=q)], path), "the motion where it is nearest to contact"
        links = (check.link,) if check.clearance_m <= TOUCH else check.self_links
        arms = [Arm(q=q, links=dict.fromkeys(links, TOUCHING))]
        return _png(case, arms, path), f"the refused motion where it is deepest in contact: {check.contact}"
    goals = goal_configurations(case.robot, case.scene, case.goal, start, seed=row.seed)
    arms = [Arm(q=start, colour=START), *(Arm(q=goal, colour=GOAL) for goal in goals[:1])]
    return _png(case, arms, None), "start and goal" if len(goals) else "the start; no joint values reach the goal"


def _refused_path(row: ResultRow, settings: BenchmarkSettings) -> Float | None:
    """Return the motion [n, dof] that a run ended with, None if it had none or its file is gone."""
    file = plan_path(settings.folder, planner=row.planner, problem=row.problem, seed=row.seed)
    try:
        trajectory = load_plan(file).trajectory
    except InputError:
        return None
    return None if trajectory is None else trajectory.position


def _deepest(case: Case, path: Float) -> tuple[Float, ConfigurationCheck]:
    """Return the sample of a motion with the least clearance, and what PyBullet measures there."""
    with Certifier(case.robot, case.scene) as certifier:
        checks = [certifier.check(q) for q in path]
    worst = int(np.argmin([min(check.clearance_m, check.self_clearance_m) for check in checks]))
    return path[worst], checks[worst]


def _png(case: Case, arms: Sequence[Arm], path: Float | None) -> bytes:
    picture = draw_still(case.robot, case.scene, arms, path=path, size=_SIZE)
    stream = BytesIO()
    picture.quantize(_COLOURS).save(stream, format="png", optimize=True)
    return stream.getvalue()
