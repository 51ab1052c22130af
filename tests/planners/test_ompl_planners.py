"""OMPL's planners on our checks: certified, seeded, strict, in time, any goal will do."""

import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

import diffplan as dp
from diffplan.collision.cpu import CollisionModel, Obstacles
from diffplan.planners import make_planner
from diffplan.planners.base import Candidate, Options
from diffplan.planners.optimal import AORRTCConfig, aorrtc
from diffplan.planners.task import Task
from diffplan.planners.trees import Checker, Edges, OmplQuery
from diffplan.problem import Problem, Status

NAMES = ("rrtconnect", "rrtstar", "bitstar", "aorrtc", "prmstar")
IMPROVING = NAMES[1:]
LONG = 60.0


@pytest.fixture(scope="module")
def problem() -> Problem:
    """From one side of a wall to the other."""
    robot = dp.Robot.load("panda")
    wall = dp.Box(name="wall", size=(0.6, 0.04, 0.6), pose=dp.Pose(xyz=(0.65, 0.0, 0.3)))
    start, goal = robot.configuration("home"), robot.configuration("home")
    start[:2], goal[:2] = (0.9, 0.1), (-0.9, 0.1)
    return Problem(robot=robot, scene=dp.Scene(obstacles=(wall,)), start=start, goals=goal[None])


@pytest.fixture(scope="module")
def walled_in(problem: Problem) -> Problem:
    """A wall all round the shoulder, between an arm bent to the left and one bent to the right: no elbow can pass."""
    parts = {
        "above": ((2.6, 0.04, 1.2), (0.0, 0.0, 1.13)),
        "front": ((1.1, 0.04, 1.0), (0.75, 0.0, 0.03)),
        "back": ((1.1, 0.04, 1.0), (-0.75, 0.0, 0.03)),
    }
    boxes = [dp.Box(name=name, size=size, pose=dp.Pose(xyz=xyz)) for name, (size, xyz) in parts.items()]
    start, goals = problem.start.copy(), problem.goals.copy()
    start[1], goals[0, 1] = 0.9, 0.9
    return replace(problem, scene=dp.Scene(obstacles=tuple(boxes)), start=start, goals=goals)


@pytest.mark.parametrize("simplify", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_the_way_round_a_wall_is_certified_simplified_or_not(name: str, simplify: bool, problem: Problem) -> None:
    plan = dp.solve(problem, planner=name, timeout=LONG, options={"simplify": simplify})
    assert (plan.status, plan.solved_by) == (Status.SOLVED, name)
    assert plan.certificate is not None
    assert plan.certificate.valid


def test_simplification_shortens_a_first_path(problem: Problem) -> None:
    lengths = [_length(_first("rrtconnect", problem, {"simplify": simplify})) for simplify in (True, False)]
    assert lengths[0] < 0.9 * lengths[1]


@pytest.mark.parametrize("name", IMPROVING)
def test_one_seed_gives_one_path_whatever_ran_before(name: str, problem: Problem) -> None:
    options: Options = {"optimise_iterations": 100}
    first, other, again = (_first(name, problem, options, seed=seed) for seed in (3, 4, 3))
    assert first.control.tobytes() == again.control.tobytes()
    assert first.control.tobytes() != other.control.tobytes()


@pytest.mark.parametrize("name", ["bitstar", "aorrtc", "prmstar"])
def test_more_turns_improve_the_path(name: str, problem: Problem) -> None:
    at_once, later = (
        np.mean([_length(_first(name, problem, _raw(turns), seed=seed)) for seed in range(3)]) for turns in (0, 300)
    )
    assert later < 0.95 * at_once


def test_the_seconds_of_improving_end_it_too(problem: Problem) -> None:
    options: Options = {"optimise_iterations": 10**9, "optimise_s": 0.05, "simplify": False}
    begin = time.perf_counter()
    _first("aorrtc", problem, options)
    assert time.perf_counter() - begin < LONG / 4


@pytest.mark.parametrize("name", NAMES)
def test_no_way_is_no_candidate_and_ends_in_time(name: str, walled_in: Problem) -> None:
    planner = make_planner(name)
    planner.prepare(Task.of(walled_in))
    begin = time.perf_counter()
    assert list(planner.candidates(Task.of(walled_in, seed=0, deadline=begin + 1.0))) == []
    assert 0.9 < time.perf_counter() - begin < 5.0


@pytest.mark.parametrize("name", NAMES)
def test_of_several_goals_any_will_do_and_is_named(name: str, problem: Problem) -> None:
    buried, far = problem.goals[0].copy(), problem.goals[0].copy()
    buried[0], far[0] = 0.0, -1.4
    choice = replace(problem, goals=np.stack([buried, far, problem.goals[0]]))
    candidate = _first(name, choice, {})
    assert candidate.goal_index in (1, 2)
    assert np.array_equal(candidate.control[-1], choice.goals[candidate.goal_index])


@pytest.mark.parametrize("name", IMPROVING)
def test_a_goal_in_plain_sight_is_reached_straight(name: str, problem: Problem) -> None:
    near = problem.start + np.array([0.3, 0.2, 0.0, 0.1, 0.0, 0.0, 0.2])
    candidate = _first(name, replace(problem, goals=np.stack([problem.goals[0], near])), {})
    assert candidate.goal_index == 1
    assert _length(candidate) == pytest.approx(float(np.linalg.norm(near - problem.start)), rel=1e-6)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("rrtconnect", {"simplfy": True}, r"no option 'simplfy' \(did you mean 'simplify'\?\)"),
        ("rrtconnect", {"optimise_s": 1.0}, "no option 'optimise_s'"),
        ("rrtstar", {"range": 0.0}, "range: must be positive"),
        ("rrtstar", {"goal_bias": "often"}, "wrong type"),
        ("bitstar", {"batch": 0}, "batch: must be positive"),
        ("aorrtc", {"optimise_s": -1.0}, "optimise_s: must not be negative"),
        ("aorrtc", {"simplify": 1}, "wrong type"),
        ("prmstar", {"iterations": 0}, "iterations: must be positive"),
        ("prmstar", {"range": 1.0}, "no option 'range'"),
    ],
)
def test_options_are_strict(name: str, options: Options, message: str) -> None:
    with pytest.raises(dp.InputError, match=message):
        make_planner(name, options)


def test_a_planner_says_when_it_had_its_first_path(problem: Problem) -> None:
    model = CollisionModel(problem.robot)
    checker = Checker(model=model, world=Obstacles.pack([problem.scene]), margin=0.002)
    begin = time.perf_counter()
    query = OmplQuery(checker, problem.start, problem.goals, seed=1)
    path = aorrtc(query, AORRTCConfig(optimise_iterations=2000), 20_000)
    assert path is not None
    assert query.found_at is not None
    assert begin < query.found_at < time.perf_counter()
    assert checker.path_free(query.polyline(path))


def test_the_plan_tells_when_there_was_a_first_path(problem: Problem) -> None:
    plan = dp.solve(problem, planner="aorrtc", timeout=LONG)
    assert 0 < plan.timing_s["first_path"] < plan.timing_s["plan"]


@pytest.mark.parametrize("name", ["rrtstar", "bitstar", "aorrtc"])
def test_from_the_end_of_the_search_on_no_edge_is_free_for_it(
    name: str, problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AORRTC asks whether to stop only between whole searches."""
    seen: list[float] = []
    check = Edges.checkMotion

    def watched(self: Edges, *states: object) -> bool:
        seen.append(self.deadline)
        return check(self, *states)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(Edges, "checkMotion", watched)
    deadline = time.perf_counter() + LONG
    planner = make_planner(name, {"optimise_iterations": 50})
    next(iter(planner.candidates(Task.of(problem, seed=0, deadline=deadline))))
    assert min(seen) < deadline - 0.1 * LONG
    assert max(seen) == deadline  # for simplification


def _raw(turns: int) -> Options:
    return {"optimise_iterations": turns, "simplify": False}


def _first(name: str, problem: Problem, options: Options, *, seed: int = 0) -> Candidate:
    planner = make_planner(name, options)
    planner.prepare(Task.of(problem))
    return next(iter(planner.candidates(Task.of(problem, seed=seed, deadline=time.perf_counter() + LONG))))


def _length(candidate: Candidate) -> float:
    return float(np.linalg.norm(np.diff(candidate.control, axis=0), axis=1).sum())


@pytest.mark.parametrize("planner", NAMES)
def test_a_script_that_plans_says_nothing_at_its_exit(planner: str) -> None:
    script = f"""
import diffplan as dp
robot, scene = dp.Robot.load("panda"), dp.Scene.load("bookshelf")
query = scene.query("default")
plan = dp.plan(robot, scene, query.start, query.goal, planner={planner!r}, seed=0, timeout=20.0)
print(plan.status.value)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300)
    assert (done.stdout, done.stderr) == ("solved\n", "")
