"""CHOMP: its gradient and distances are right, it solves what it should, and it is honest about what it cannot."""

import time
from dataclasses import replace

import numpy as np
import pytest

import diffplan as dp
from diffplan.collision.cpu import CollisionModel, Obstacles
from diffplan.curves import spline
from diffplan.planners import make_planner
from diffplan.planners.chomp import (
    ChompConfig,
    ChompMultiPlanner,
    ChompPlanner,
    ChompTunedPlanner,
)
from diffplan.planners.chomp_functional import obstacle_functional, potential
from diffplan.planners.task import Task
from diffplan.planners.waypoints import metric, quintic
from diffplan.problem import Problem, Status

SOLIDS = (
    dp.Box(name="box", size=(0.1, 0.2, 0.3), pose=dp.Pose.from_rpy((0.45, 0.1, 0.4), (0.3, 0.2, 0.1))),
    dp.Cylinder(name="can", radius=0.06, height=0.2, pose=dp.Pose.from_rpy((0.3, -0.3, 0.5), (1.0, 0.2, 0.0))),
    dp.Capsule(name="pill", radius=0.05, height=0.2, pose=dp.Pose.from_rpy((0.0, 0.4, 0.6), (0.4, 1.2, 0.0))),
    dp.Sphere(name="ball", radius=0.1, pose=dp.Pose(xyz=(-0.3, 0.2, 0.6))),
)


@pytest.fixture(scope="module")
def robot() -> dp.Robot:
    return dp.Robot.load("panda")


@pytest.fixture(scope="module")
def model(robot: dp.Robot) -> CollisionModel:
    return CollisionModel(robot)


def _turn(robot: dp.Robot, angle: float, *obstacles: dp.Box) -> Problem:
    """A turn of the stretched arm about its base, symmetric about the x axis."""
    start, goal = robot.configuration("home"), robot.configuration("home")
    start[[0, 1, 3]], goal[[0, 1, 3]] = (angle, 0.5, -1.7), (-angle, 0.5, -1.7)
    return Problem(robot=robot, scene=dp.Scene(obstacles=obstacles), start=start, goals=goal[None])


@pytest.fixture(scope="module")
def beside_a_block(robot: dp.Robot) -> Problem:
    """A single block stands where the straight line's hand sweeps; a little higher the way is free."""
    return _turn(robot, 0.7, dp.Box(name="block", size=(0.12, 0.12, 0.4), pose=dp.Pose(xyz=(0.65, 0.0, 0.2))))


@pytest.fixture(scope="module")
def trap(robot: dp.Robot) -> Problem:
    """A tall post that the sweeping arm runs through: its links are pushed to both sides, which cancels out."""
    return _turn(robot, 1.0, dp.Box(name="post", size=(0.06, 0.06, 1.6), pose=dp.Pose(xyz=(0.45, 0.0, 0.6))))


def _take(planner: ChompPlanner, problem: Problem, seed: int = 0, seconds: float = 60.0) -> np.ndarray | None:
    planner.prepare(Task.of(problem))
    found = next(planner.candidates(Task.of(problem, seed=seed, deadline=time.perf_counter() + seconds)), None)
    return None if found is None else found.control


def test_the_potential_is_smooth_where_its_pieces_meet() -> None:
    clearance, tiny = 0.2, 1e-7
    for d in (-0.1, 0.0, 0.05, 0.1, 0.2, 0.3):
        value, slope = potential(d, clearance)
        rise = (potential(d + tiny, clearance)[0] - potential(d - tiny, clearance)[0]) / (2 * tiny)
        assert rise == pytest.approx(slope, abs=1e-5)
        assert value >= 0.0
    assert potential(0.0, clearance) == pytest.approx((clearance / 2, -1.0))


@pytest.mark.parametrize("clearance", [0.05, 0.2])
def test_the_functional_gradient_is_the_slope_of_the_cost(
    robot: dp.Robot, model: CollisionModel, clearance: float
) -> None:
    """It is the gradient of the integral, so it meets finite differences of the sum as waypoints come closer."""
    world = Obstacles.pack([dp.Scene(obstacles=SOLIDS)])
    start = robot.configuration("home")
    goal = start + np.array([1.5, 0.3, 0.4, -0.3, 0.5, 0.6, 1.0])
    rng = np.random.default_rng(1)
    directions, errors = rng.normal(size=(6, 4, robot.dof)), []
    for points in (100, 800):
        dt, s = 3.0 / (points - 1), np.linspace(0.0, 1.0, points)
        path = quintic(start, goal, points)
        bumps = np.stack([np.sin(np.pi * s) ** 3 * np.cos(k * np.pi * s) for k in range(4)])
        slopes, exact = [], []
        for direction in directions:
            change = 1e-5 * (bumps.T @ direction)
            up, down = (
                obstacle_functional(model, world, path + sign * change, clearance=clearance, dt=dt)[0]
                for sign in (1, -1)
            )
            exact.append(dt * (up - down) / 2)
            gradient = obstacle_functional(model, world, path, clearance=clearance, dt=dt)[1]
            slopes.append(dt * (gradient * change[1:-1]).sum())
        errors.append(np.linalg.norm(np.subtract(slopes, exact)) / np.linalg.norm(exact))
    assert errors[0] < 0.01
    assert errors[1] < 0.001


def test_the_smoothness_gradient_matches_finite_differences(robot: dp.Robot) -> None:
    smooth = metric(30, 0.1, 0.01)
    path = np.random.default_rng(0).normal(size=(30, robot.dof))
    _, gradient = smooth.cost(path)
    for i, j in ((1, 0), (14, 3), (28, 6)):
        change = np.zeros_like(path)
        change[i, j] = 1e-5
        slope = (smooth.cost(path + change)[0] - smooth.cost(path - change)[0]) / 2e-5
        assert gradient[i - 1, j] == pytest.approx(slope, rel=1e-6)


@pytest.mark.parametrize("ridge", [0.0, 0.01])
def test_the_metric_is_scaled_and_a_step_along_it_lowers_the_smoothness_cost(robot: dp.Robot, ridge: float) -> None:
    smooth = metric(40, 0.03, ridge)
    assert smooth.inverse.max() == pytest.approx(1.0)
    path = np.random.default_rng(0).normal(size=(40, robot.dof))
    cost, gradient = smooth.cost(path)
    path[1:-1] -= 0.1 * smooth.inverse @ gradient
    assert smooth.cost(path)[0] < cost


def test_the_first_path_is_the_quintic_from_rest_to_rest() -> None:
    start, goal = np.array([0.0, 1.0]), np.array([2.0, -1.0])
    path = quintic(start, goal, 1001)
    assert np.array_equal(path[[0, -1]], [start, goal])
    assert np.allclose(path[500], (start + goal) / 2)
    speed = np.gradient(path, 0.001, axis=0)
    bend = np.gradient(speed, 0.001, axis=0)
    assert np.abs(speed[[0, -1]]).max() < 1e-3
    assert np.abs(bend[[1, -2]]).max() < 0.3
    assert np.allclose(speed[500], 1.875 * (goal - start), atol=1e-3)  # the minimum-jerk profile's peak


def test_a_single_block_is_passed(beside_a_block: Problem) -> None:
    assert dp.solve(beside_a_block, planner="straight", timeout=60.0).status is Status.NOT_CERTIFIED
    assert dp.solve(beside_a_block, planner="chomp", timeout=60.0).solved
    tuned = dp.solve(beside_a_block, planner="chomp-tuned", timeout=60.0)
    assert tuned.solved
    assert tuned.metrics is not None
    assert tuned.metrics.path_length_rad < 2 * tuned.metrics.straight_line_rad


def test_a_trap_ends_in_an_honest_failure(trap: Problem) -> None:
    for config in (ChompConfig(), ChompConfig(clearance=0.05, ridge=0.0)):
        config = replace(config, recovery=1, iterations=100)
        assert _take(ChompPlanner(config), trap) is None


def test_restarts_solve_more_than_one_descent(trap: Problem) -> None:
    assert _take(ChompTunedPlanner(), trap, seconds=120.0) is not None


def test_what_is_yielded_is_free_in_the_sphere_model(beside_a_block: Problem, model: CollisionModel) -> None:
    control = _take(ChompTunedPlanner(), beside_a_block)
    assert control is not None
    curve = spline.basis(len(control), 500) @ control
    obstacle, own = model.clearance(Obstacles.pack([beside_a_block.scene]), curve)
    assert min(obstacle.min(), own.min()) > -0.002
    assert np.array_equal(control[[0, -1]], [beside_a_block.start, beside_a_block.goals[0]])
    assert np.all((control >= model.robot.lower - 1e-3) & (control <= model.robot.upper + 1e-3))


def test_one_seed_gives_one_path(trap: Problem) -> None:
    a, b, c = (_take(ChompTunedPlanner(), trap, seed=seed, seconds=120.0) for seed in (3, 3, 4))
    assert a is not None
    assert b is not None
    assert c is not None
    assert a.tobytes() == b.tobytes()
    assert a.tobytes() != c.tobytes()


def test_the_deadline_ends_the_search(trap: Problem) -> None:
    planner = ChompMultiPlanner()
    planner.prepare(Task.of(trap))
    begin = time.perf_counter()
    assert list(planner.candidates(Task.of(trap, seed=0, deadline=begin))) == []
    assert time.perf_counter() - begin < 1.0


def test_recovery_changes_what_moveit_changes() -> None:
    after = ChompConfig().recovered
    changed = {key for key in vars(after) if getattr(after, key) != getattr(ChompConfig(), key)}
    assert changed == {"learning_rate", "ridge", "iterations"}
    assert (after.learning_rate, after.ridge, after.iterations) == (pytest.approx(0.03), pytest.approx(0.012), 250)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"clearence": 0.1}, "did you mean 'clearance'"),
        ({"clearance": "0.1"}, "float"),
        ({"clearance": 0.0}, "clearance"),
        ({"points": 3}, ">= 5"),
        ({"restarts": 1}, "bool"),
        ({"ridge": -0.1}, "ridge"),
    ],
)
def test_options_are_strict(options: dict[str, object], told: str) -> None:
    for name in ("chomp", "chomp-multi", "chomp-tuned"):
        with pytest.raises(dp.InputError, match=told):
            make_planner(name, options)


def test_options_change_the_planners_own_defaults() -> None:
    planner = ChompTunedPlanner.from_options({"iterations": 7, "clearance": 1})
    assert planner.config.iterations == 7
    assert planner.config.clearance == 1
    assert planner.config.restarts
