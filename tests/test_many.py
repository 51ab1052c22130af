"""Many questions at once: the same plans as one by one, in their order, and errors that name the question."""

import multiprocessing
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import diffplan as dp
from diffplan.errors import DiffplanError

ROBOT = dp.Robot.load("panda")
SCENE = dp.Scene.load("bookshelf")
COMMON = {"robot": ROBOT, "scene": SCENE, "start": "home", "planner": "straight"}
HOME = ROBOT.configuration("home")


def _goals(number: int) -> list[np.ndarray]:
    rng = np.random.default_rng(2)
    return [HOME + rng.uniform(-0.4, 0.4, ROBOT.dof) for _ in range(number)]


def _motion(plan: dp.Plan) -> tuple[object, ...]:
    motion = plan.trajectory
    return plan.status, plan.message, plan.seed, motion and (motion.time.tobytes(), motion.position.tobytes())


def test_processes_give_the_plans_that_plan_gives_in_the_order_of_the_queries() -> None:
    goals = _goals(9)
    empty = dp.Scene()
    problem = dp.Problem(robot=ROBOT, scene=empty, start=HOME, goals=goals[0][None])
    queries = [{"goal": goal} for goal in goals] + [{"goal": "left", "scene": empty, "seed": 5}]
    plans = dp.plan_many(queries, jobs=2, **COMMON)
    alone = [dp.plan(**{**COMMON, **query}) for query in queries]
    assert [_motion(plan) for plan in plans] == [_motion(plan) for plan in alone]
    assert [plan.solved for plan in plans].count(True) > 1
    assert _motion(dp.plan_many([problem], planner="straight")[0]) == _motion(dp.solve(problem, "straight"))


def test_the_default_planner_gives_the_same_plans_in_processes() -> None:
    queries = [{"goal": "left"}, {"goal": "right"}]
    plans = dp.plan_many(queries, jobs=2, robot="panda", scene="bookshelf", start="home")
    assert [_motion(plan) for plan in plans] == [
        _motion(dp.plan("panda", "bookshelf", "home", q["goal"])) for q in queries
    ]


def test_nothing_asked_nothing_planned() -> None:
    assert dp.plan_many([], **COMMON) == []


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_wrong_query_is_named(jobs: int) -> None:
    queries = [{"goal": "left"}, {"goal": "right"}, {"goal": "nowhere"}]
    with pytest.raises(dp.InputError, match=r"queries\[2\].*panda has no configuration 'nowhere'"):
        dp.plan_many(queries, jobs=jobs, **COMMON)


@pytest.mark.parametrize(
    ("queries", "words"),
    [
        (3, r"queries: not a list \(found 3\)"),
        ([{"goal": "left"}, 4], r"queries\[1\]: not a mapping from names \(found 4\)"),
        ([{"goal": "left", "sed": 1}], r"queries\[0\]\.sed: unknown argument \(did you mean 'seed'\?\)"),
        ([{"goal": "left"}, {}], r"queries\[1\]: missing: goal"),
    ],
)
def test_wrong_queries_are_refused_before_any_planning(queries: object, words: str) -> None:
    with pytest.raises(dp.InputError, match=words):
        dp.plan_many(queries, **COMMON)  # pyright: ignore[reportArgumentType]


def test_a_wrong_common_argument_is_named_as_it_was_given() -> None:
    with pytest.raises(dp.InputError, match=r"^planer: unknown argument \(did you mean 'planner'\?\)"):
        dp.plan_many([{"goal": "left"}], planer="straight", **COMMON)


def test_a_cost_that_cannot_be_sent_is_named_and_can_be_planned_here() -> None:
    here = dp.Cost(name="here", function=lambda q: (q**2).mean(dim=(1, 2)), weight=1e-3)
    queries = [{"goal": "left"}, {"goal": "left", "costs": [here]}]
    with pytest.raises(dp.InputError, match=r"queries\[1\]: cannot be sent to another process .*or jobs=1"):
        dp.plan_many(queries, jobs=2, **COMMON)
    assert dp.plan_many(queries, jobs=1, **COMMON)[1].solved


def test_a_script_without_its_guard_is_told_how_to_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multiprocessing.current_process(), "_inheriting", True, raising=False)
    with pytest.raises(DiffplanError, match="if __name__ == '__main__'"):
        dp.plan_many([{"goal": "left"}], jobs=2, **COMMON)


def test_the_example_of_the_docs_runs_as_a_script(tmp_path: Path) -> None:
    text = (Path(__file__).parents[1] / "docs" / "many.md").read_text()
    (tmp_path / "script.py").write_text(re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)[0])
    run = subprocess.run([sys.executable, tmp_path / "script.py"], check=True, capture_output=True, text=True)
    assert " of 4 Plan(solved by diffusion" in run.stdout
