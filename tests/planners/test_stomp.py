"""STOMP: seeded, solves what a single descent cannot, and yields only what it believes in."""

import time

import numpy as np
import pytest

import diffplan as dp
from diffplan.collision.cpu import CollisionModel, Obstacles
from diffplan.curves import spline
from diffplan.planners import make_planner
from diffplan.planners.stomp import StompConfig, StompPlanner
from diffplan.planners.task import Task
from diffplan.problem import Problem


@pytest.fixture(scope="module")
def behind_a_post() -> Problem:
    """A turn of the stretched arm; a tall post that the arm runs through."""
    robot = dp.Robot.load("panda")
    post = dp.Box(name="post", size=(0.06, 0.06, 1.6), pose=dp.Pose(xyz=(0.45, 0.0, 0.6)))
    start, goal = robot.configuration("home"), robot.configuration("home")
    start[[0, 1, 3]], goal[[0, 1, 3]] = (1.0, 0.5, -1.7), (-1.0, 0.5, -1.7)
    return Problem(robot=robot, scene=dp.Scene(obstacles=(post,)), start=start, goals=goal[None])


def _take(
    problem: Problem, seed: int = 0, config: StompConfig | None = None, seconds: float = 60.0
) -> np.ndarray | None:
    planner = StompPlanner(config)
    planner.prepare(Task.of(problem))
    found = next(planner.candidates(Task.of(problem, seed=seed, deadline=time.perf_counter() + seconds)), None)
    return None if found is None else found.control


def test_a_post_is_passed_and_the_path_is_free_in_the_sphere_model(behind_a_post: Problem) -> None:
    control = _take(behind_a_post)
    assert control is not None
    assert np.array_equal(control[[0, -1]], [behind_a_post.start, behind_a_post.goals[0]])
    model = CollisionModel(behind_a_post.robot)
    curve = spline.basis(len(control), 500) @ control
    obstacle, own = model.clearance(Obstacles.pack([behind_a_post.scene]), curve)
    assert min(obstacle.min(), own.min()) > -0.002


def test_one_seed_gives_one_path(behind_a_post: Problem) -> None:
    a, b, c = (_take(behind_a_post, seed=seed) for seed in (3, 3, 4))
    assert a is not None
    assert b is not None
    assert c is not None
    assert a.tobytes() == b.tobytes()
    assert a.tobytes() != c.tobytes()


def test_too_few_iterations_end_in_an_honest_failure(behind_a_post: Problem) -> None:
    assert _take(behind_a_post, config=StompConfig(iterations=1), seconds=1.0) is None


def test_the_deadline_ends_the_search(behind_a_post: Problem) -> None:
    planner = StompPlanner()
    planner.prepare(Task.of(behind_a_post))
    assert list(planner.candidates(Task.of(behind_a_post, seed=0, deadline=time.perf_counter()))) == []


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"rolouts": 5}, "did you mean 'rollouts'"),
        ({"rollouts": 0}, "rollouts"),
        ({"noise": "big"}, "float"),
        ({"points": 4}, ">= 5"),
        ({"kept": -1}, "kept"),
    ],
)
def test_options_are_strict(options: dict[str, object], told: str) -> None:
    with pytest.raises(dp.InputError, match=told):
        make_planner("stomp", options)
