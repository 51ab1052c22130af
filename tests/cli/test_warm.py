"""After `warmup` nothing is left to compile, and long work is not silent."""

import io
import sys
import time
from collections.abc import Iterator

import pytest
import trimesh
from numba.core.dispatcher import Dispatcher

import diffplan as dp
from diffplan.cli import main
from diffplan.cli.warm import steps
from diffplan.planners import PLANNERS
from diffplan.planners.base import Candidate, Planner
from diffplan.planners.straight import StraightPlanner
from diffplan.planners.task import Task
from diffplan.system import progress

COMPILED = (
    "collision.lanes.evaluate",
    "collision.lanes.edge_free",
    "collision.lanes.frames",
    "geometry.triangle_distance._measure",
    "geometry.winding._wind",
    "collision.lanes.nearest",
    "collision.lanes.pull_back",
    "planners.chomp_functional._push",
)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def robot() -> dp.Robot:
    return dp.Robot.load("panda")


def _signatures() -> dict[str, set[object]]:
    """The types that every compiled function of the package has been compiled for in this process."""
    found: dict[str, set[object]] = {}
    for home, module in list(sys.modules.items()):
        if home.startswith("diffplan."):
            for name, value in vars(module).items():
                if isinstance(value, Dispatcher):
                    found[f"{home}.{name}"] = set(value.signatures)
    return found


def test_after_the_warm_up_no_planner_compiles_anything(robot: dp.Robot, tmp_path: object) -> None:
    for _, do in steps(robot):
        do()
    before = _signatures()
    assert all(before[f"diffplan.{name}"] for name in COMPILED)
    file = f"{tmp_path}/ball.stl"
    trimesh.creation.icosphere(subdivisions=1, radius=0.1).export(file)
    scene = dp.Scene(
        obstacles=(
            dp.Mesh(name="ball", file=file, pose=dp.Pose(xyz=(0.5, 0.5, 0.7))),  # pyright: ignore[reportArgumentType]
            dp.Box(name="box", size=(0.1, 0.1, 0.1), pose=dp.Pose(xyz=(0.6, 0.0, 0.9))),
        )
    )
    wish = dp.Cost(name="wish", function=lambda q: q.square().sum(dim=(1, 2)))
    for planner in PLANNERS:
        for costs in ((), (wish,)):
            dp.plan(robot, scene, "home", "left", planner=planner, timeout=0.5, fallback=False, costs=costs)
    after = _signatures()
    assert after == before


def test_warmup_says_how_long_it_took(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["warmup"]) == 0
    assert "steps in" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("terminal", "command", "shown"),
    [(True, False, True), (True, True, True), (False, True, True), (False, False, False)],
)
def test_long_work_is_shown_on_a_terminal_and_in_a_command(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, command: bool, shown: bool
) -> None:
    stream = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with monkeypatch.context() as patch:
        patch.setattr(progress, "_plain", command)
        with progress.working("weighing the moon", 3) as task:
            task.advance()
            task._show()  # what the timer does after two seconds
            task.advance()
    assert ("weighing the moon" in stream.getvalue()) == shown


def test_short_work_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with progress.working("a blink"), progress.working("within a blink"):
        pass
    assert stream.getvalue() == ""


def test_work_within_work_goes_on_with_its_bar_and_gives_it_back() -> None:
    with progress.working("outer", 2) as outer:
        with progress.working("inner", 5) as inner:
            inner.advance()
            assert (inner is outer, outer.text, outer.done, outer.total) == (True, "inner", 1, 5)
        assert (outer.text, outer.done, outer.total) == ("outer", 0, 2)


def test_a_users_cost_is_first_evaluated_before_the_search(robot: dp.Robot) -> None:
    """So that what it compiles does not count as planning."""
    seen: list[str] = []

    def function(q: object) -> object:
        seen.append("cost")
        return q.square().sum(dim=(1, 2))  # pyright: ignore[reportAttributeAccessIssue]

    class Watched(Planner):
        name = "watched"

        def candidates(self, task: Task) -> Iterator[Candidate]:
            seen.append("search")
            return iter(())

    wish = dp.Cost(name="wish", function=function)  # pyright: ignore[reportArgumentType]
    plan = dp.plan(robot, dp.Scene(), "home", "left", planner=Watched(), costs=[wish])
    assert seen[:2] == ["cost", "search"]
    assert plan.status is dp.Status.NO_PATH_FOUND


def test_what_takes_longer_than_the_limit_is_told_by_the_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["plan", "bookshelf", "--start", "home", "--goal", "left", "--planner", "straight"]
    main([*words, "--timeout", "1e-9"])
    said = capsys.readouterr().err
    assert "getting ready took" in said
    assert "of a limit of 1e-09 s" in said
    main([*words, "--timeout", "1e6"])
    said = capsys.readouterr().err
    assert "which does not count as planning" not in said
    assert "of a limit of" not in said


class Slow(StraightPlanner):
    """Takes its time to get ready."""

    def prepare(self, task: Task) -> None:
        time.sleep(0.2)


def test_how_long_getting_ready_took_changes_nothing_of_a_plan_but_its_times(robot: dp.Robot) -> None:
    quick = dp.plan(robot, dp.Scene(), "home", "left", planner=StraightPlanner())
    slow = dp.plan(robot, dp.Scene(), "home", "left", planner=Slow())
    assert slow.timing_s["warmup"] >= 0.2
    assert slow.message == quick.message
    assert {"prepare", "warmup", "load", "plan", "certify", "total"} <= set(slow.timing_s)
