"""RRT-Connect and the straight line: seeded, free where the model says so, honest about what they cannot do."""

import time

import numpy as np
import pytest

from diffplan.collision.cpu import CollisionModel, Obstacles
from diffplan.curves import spline
from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import Box
from diffplan.planners.sampling import RRTConnectPlanner, retreat
from diffplan.planners.straight import StraightPlanner
from diffplan.planners.task import Task
from diffplan.planners.trees import Checker, TreeConfig, rrt_connect
from diffplan.problem import Problem
from diffplan.robot.model import Robot
from diffplan.scene import Scene

WALL = Scene(obstacles=(Box(name="wall", size=(0.6, 0.04, 0.6), pose=Pose(xyz=(0.65, 0.0, 0.3))),))


@pytest.fixture(scope="module")
def problem() -> Problem:
    """From one side of a wall to the other."""
    robot = Robot.load("panda")
    start, goal = robot.configuration("home"), robot.configuration("home")
    start[:2], goal[:2] = (0.9, 0.1), (-0.9, 0.1)
    return Problem(robot=robot, scene=WALL, start=start, goals=goal[None])


@pytest.fixture(scope="module")
def checker(problem: Problem) -> Checker:
    return Checker(model=CollisionModel(problem.robot), world=Obstacles.pack([problem.scene]), margin=0.005)


def soon(seconds: float = 20.0) -> float:
    return time.perf_counter() + seconds


def test_one_seed_gives_one_path_whatever_ran_before(problem: Problem, checker: Checker) -> None:
    paths = [
        rrt_connect(checker, problem.start, problem.goals, seed=seed, config=TreeConfig(simplify=seed == 1))
        for seed in (1, 2, 3, 1, 2)
    ]
    assert all(path is not None for path in paths)
    assert np.array_equal(paths[0], paths[3])
    assert np.array_equal(paths[1], paths[4])
    assert not np.array_equal(paths[1], paths[2])


def test_a_tree_path_is_free_between_its_vertices(problem: Problem, checker: Checker) -> None:
    assert not checker.edge_free(problem.start, problem.goals[0])
    path = rrt_connect(checker, problem.start, problem.goals, seed=0)
    assert path is not None
    assert np.allclose(path[[0, -1]], [problem.start, problem.goals[0]])
    assert checker.path_free(path)


def test_a_whole_path_check_agrees_with_the_check_edge_by_edge(problem: Problem, checker: Checker) -> None:
    rng = np.random.default_rng(0)
    paths = rng.uniform(problem.robot.lower, problem.robot.upper, (40, 3, problem.robot.dof))
    paths = paths[:, :1] + 0.3 * (paths - paths[:, :1])
    each = [checker.edge_free(p[0], p[1]) and checker.edge_free(p[1], p[2]) for p in paths]
    assert [checker.path_free(p) for p in paths] == each
    assert 0 < sum(each) < 40


def test_no_path_is_an_answer_and_comes_within_the_iterations(problem: Problem, checker: Checker) -> None:
    buried = problem.goals.copy()
    buried[0, 0] = 0.0
    assert not checker.free(buried[0])
    assert rrt_connect(checker, problem.start, buried, seed=0, config=TreeConfig(iterations=100)) is None


def test_the_planner_yields_free_curves_from_start_to_goal(problem: Problem, checker: Checker) -> None:
    first, second, *_ = _take(RRTConnectPlanner(), problem, 2)
    for candidate in (first, second):
        assert candidate.source == "rrtconnect"
        assert np.array_equal(candidate.control[0], problem.start)
        assert np.array_equal(candidate.control[-1], problem.goals[0])
        curve = spline.basis(len(candidate.control), 2000) @ candidate.control
        obstacle, own = checker.model.clearance(checker.world, curve)
        assert min(obstacle.min(), own.min()) > -0.002
    assert not np.array_equal(first.control, second.control)


def test_the_planner_is_seeded(problem: Problem) -> None:
    a, b, c = (_take(RRTConnectPlanner(), problem, 1, seed=seed)[0].control for seed in (4, 4, 5))
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


def test_the_planner_ends_in_a_goal_that_is_clear_and_names_it(problem: Problem) -> None:
    buried = problem.goals[0].copy()
    buried[0] = 0.0
    choice = Problem(robot=problem.robot, scene=WALL, start=problem.start, goals=np.stack([buried, problem.goals[0]]))
    (candidate,) = _take(RRTConnectPlanner(), choice, 1)
    assert candidate.goal_index == 1
    assert np.array_equal(candidate.control[-1], choice.goals[1])


def test_the_planner_gives_up_at_once_when_the_start_is_deep_in_collision(problem: Problem) -> None:
    start = problem.start.copy()
    start[0] = 0.0
    stuck = Problem(robot=problem.robot, scene=WALL, start=start, goals=problem.goals)
    assert list(RRTConnectPlanner().candidates(Task.of(stuck, seed=0, deadline=soon()))) == []


def test_a_start_closer_than_the_margin_is_left_by_a_short_free_edge(problem: Problem, checker: Checker) -> None:
    q = problem.start.copy()
    while checker.free(q):
        q[0] -= 0.002
    loose = Checker(model=checker.model, world=checker.world, margin=0.0)
    assert loose.free(q)
    out = retreat(checker, loose, q)
    assert out is not None
    assert checker.free(out)
    assert np.abs(out - q).max() < 0.3
    assert retreat(checker, loose, problem.start) is not None


def test_the_straight_planner_offers_the_line_to_each_goal_nearest_first(problem: Problem) -> None:
    near = problem.start + 0.1
    choice = Problem(robot=problem.robot, scene=WALL, start=problem.start, goals=np.stack([problem.goals[0], near]))
    candidates = list(StraightPlanner().candidates(Task.of(choice, seed=0, deadline=soon())))
    assert [candidate.goal_index for candidate in candidates] == [1, 0]
    for candidate in candidates:
        curve = spline.basis(len(candidate.control), 20) @ candidate.control
        goal = choice.goals[candidate.goal_index]
        assert np.allclose(curve, problem.start + np.linspace(0, 1, 20)[:, None] * (goal - problem.start))


def _take(planner: RRTConnectPlanner, problem: Problem, count: int, *, seed: int = 0) -> list:
    candidates = planner.candidates(Task.of(problem, seed=seed, deadline=soon()))
    return [next(candidates) for _ in range(count)]
