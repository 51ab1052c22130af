"""Refinement: pushes paths out of collision, draws them tight, and leaves ends and limits alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import diffplan as dp
from diffplan.collision.cpu import CollisionModel, Obstacles
from diffplan.curves import spline
from diffplan.refinement import RefineConfig, Refiner, covariant_step, metric_inverse

N = 12
POST = dp.Box(name="post", size=(0.04, 0.04, 0.5), pose=dp.Pose(xyz=(0.26, 0.18, 0.5)))


@pytest.fixture(scope="module")
def model() -> CollisionModel:
    return CollisionModel(dp.Robot.load("panda"))


@pytest.fixture(scope="module")
def blocked(model: CollisionModel) -> np.ndarray:
    """Paths [8, N, dof] around home whose straight line a post stands in, the first one straight."""
    start = model.robot.configuration("home")
    line = spline.straight(start, start + np.array([1.2, 0, 0, 0, 0, 0, 0]), N)
    control = np.repeat(line[None], 8, axis=0)
    noise = np.random.default_rng(0).normal(size=(8, N - 2, 7))
    root = np.linalg.cholesky(metric_inverse(N))
    control[:, 1:-1] += np.linspace(0, 0.5, 8)[:, None, None] * (root @ noise)
    control[:, 1:-1] = np.clip(control[:, 1:-1], model.robot.lower, model.robot.upper)
    return control


def _refiner(model: CollisionModel, *obstacles: dp.Box, config: RefineConfig | None = None) -> Refiner:
    world = Obstacles.pack([dp.Scene(obstacles=obstacles)])
    return Refiner(model, world, config or RefineConfig(stop_share=2.0))


def _lengths(control: np.ndarray) -> np.ndarray:
    curve = spline.basis(control.shape[1], 400) @ control
    return np.linalg.norm(np.diff(curve, axis=1), axis=2).sum(axis=1)


def _least_clearance(refiner: Refiner, control: np.ndarray) -> float:
    curve = spline.basis(len(control), 400) @ control
    return float(np.minimum(*refiner.model.clearance(refiner.world, curve)).min())


def test_the_metric_is_the_inverse_of_squared_second_differences_with_still_ends() -> None:
    inverse = metric_inverse(N)
    second = np.diff(np.pad(np.eye(N - 2), ((2, 2), (0, 0))), 2, axis=0)
    product = inverse @ (second.T @ second)
    assert np.allclose(product, product[0, 0] * np.eye(N - 2), atol=1e-9)
    assert np.linalg.eigvalsh(inverse).min() > 0
    assert np.diag(inverse).max() == pytest.approx(1.0)


@given(st.integers(0, 1000), st.floats(1e-6, 10.0))
def test_a_step_clears_the_linearised_cost_and_never_exceeds_the_cap(seed: int, cost: float) -> None:
    rng = np.random.default_rng(seed)
    slope = rng.normal(size=(3, N - 2, 2))
    slope[2] = 0.0
    costs = np.array([cost, 2 * cost, 0.0])
    alike = np.ones(2)
    free, capped = covariant_step(costs, slope, np.inf, alike), covariant_step(costs, slope, 0.1, alike)
    assert np.allclose((slope * free).sum(axis=(1, 2)), 2 * costs)
    assert np.abs(capped).max() <= 0.1 + 1e-9
    assert np.all(free[2] == 0)
    alone = covariant_step(costs[:1], slope[:1], 0.1, alike)
    assert np.allclose(alone[0], capped[0])


def test_a_step_is_the_same_motion_in_whatever_unit_a_joint_is_measured() -> None:
    """A joint told in units of 1/4 rad has four times the value, and a gradient of a quarter."""
    slope, unit = np.random.default_rng(0).normal(size=(3, N - 2, 2)), np.array([1.0, 0.25])
    for longest in (np.inf, 0.1):
        step = covariant_step(np.ones(3), slope, longest, np.ones(2))
        told = covariant_step(np.ones(3), slope * unit, longest, unit)
        np.testing.assert_allclose(told * unit, step, rtol=1e-12)


def test_the_gradient_agrees_with_finite_differences(model: CollisionModel, blocked: np.ndarray) -> None:
    refiner = _refiner(model, POST)
    cost, slope, _ = refiner.evaluate(blocked)
    direction = np.random.default_rng(1).normal(size=slope.shape)
    change = 1e-3 * direction
    after, before = blocked.copy(), blocked.copy()
    after[:, 1:-1] += change
    before[:, 1:-1] -= change
    difference = (refiner.evaluate(after)[0] - refiner.evaluate(before)[0]) / 2e-3
    assert np.all(cost > 0)
    assert np.allclose(difference, (slope * direction).sum(axis=(1, 2)), rtol=2e-2, atol=2e-4)


def test_pushing_clears_paths_and_moves_neither_ends_nor_beyond_limits(
    model: CollisionModel, blocked: np.ndarray
) -> None:
    refiner = _refiner(model, POST)
    assert _least_clearance(refiner, blocked[0]) < -0.01
    before = blocked.copy()
    pushed = refiner.push(blocked)
    assert np.array_equal(blocked, before)
    assert np.count_nonzero(pushed.clear) >= 4
    assert np.array_equal(pushed.control[:, [0, -1]], blocked[:, [0, -1]])
    assert np.all(pushed.control >= model.robot.lower)
    assert np.all(pushed.control <= model.robot.upper)
    assert np.array_equal(pushed.clear, pushed.slack >= 0)
    assert np.allclose(pushed.length, _lengths(pushed.control), rtol=1e-2)
    for control in pushed.control[pushed.clear]:
        assert _least_clearance(refiner, control) > -0.005  # looked at more finely than it was pushed


def test_a_path_that_is_clear_is_not_pushed(model: CollisionModel, blocked: np.ndarray) -> None:
    pushed = _refiner(model).push(blocked[:1])
    assert pushed.clear.all()
    assert np.array_equal(pushed.control, blocked[:1])


@pytest.mark.parametrize(("fall", "looks"), [(1.0, 6), (0.95, 6), (0.9, 41)])
def test_with_patience_a_path_is_given_up_unless_its_cost_falls(
    model: CollisionModel, blocked: np.ndarray, monkeypatch: pytest.MonkeyPatch, fall: float, looks: int
) -> None:
    refiner, costs = _refiner(model, config=RefineConfig(steps=40, patience=5)), [1.0]

    def never_clear(control: np.ndarray, gradient: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        costs.append(fall * costs[-1])
        return np.array(costs[-1:]), np.zeros_like(control[:, 1:-1]), np.array([-1.0])

    monkeypatch.setattr(refiner, "evaluate", never_clear)
    assert not refiner.push(blocked[:1]).clear.any()
    assert len(costs) - 1 == looks


def test_a_path_is_pushed_the_same_way_whatever_else_is_in_its_batch(
    model: CollisionModel, blocked: np.ndarray
) -> None:
    refiner = _refiner(model, POST, config=RefineConfig(stop_share=2.0, steps=5))
    together = refiner.push(blocked).control
    assert np.allclose(together[3:4], refiner.push(blocked[3:4]).control, atol=1e-4)


def test_more_is_kept_clear_where_more_is_asked(model: CollisionModel, blocked: np.ndarray) -> None:
    refiner = _refiner(model, POST, config=RefineConfig(stop_share=2.0, clearance=0.02))
    asked = refiner.push(blocked)
    assert asked.clear.any()
    for control in asked.control[asked.clear]:
        obstacle, _ = model.clearance(refiner.world, spline.basis(N, 400) @ control)
        assert obstacle.min() > 0.015


def test_tightening_shortens_and_keeps_clear_paths_clear(model: CollisionModel, blocked: np.ndarray) -> None:
    refiner = _refiner(model, POST)
    pushed = refiner.push(blocked)
    clear = pushed.control[pushed.clear]
    tight = refiner.tighten(clear)
    assert tight.clear.all()
    assert np.all(tight.length <= pushed.length[pushed.clear] + 1e-9)
    assert tight.length.sum() < 0.98 * pushed.length[pushed.clear].sum()
    assert np.array_equal(tight.control[:, [0, -1]], clear[:, [0, -1]])


def test_a_path_that_is_to_be_pulled_too_little_counts_as_tight(model: CollisionModel, blocked: np.ndarray) -> None:
    refiner = _refiner(model, POST)
    pushed = refiner.push(blocked)
    clear = pushed.control[pushed.clear]
    once, until_then = (
        refiner.with_config(replace(refiner.config, **options)).tighten(clear).control
        for options in ({"tighten_steps": 1}, {"tighten_steps": 9, "least_pull": 1.0})
    )
    assert np.array_equal(once, until_then)


def test_where_nothing_is_in_the_way_tightening_leaves_the_straight_line(
    model: CollisionModel, blocked: np.ndarray
) -> None:
    tight = _refiner(model).tighten(blocked)
    straight = np.linalg.norm(blocked[:, -1] - blocked[:, 0], axis=1)
    assert np.all(tight.length <= 1.1 * straight)


def test_a_users_cost_bends_a_free_path_its_way(model: CollisionModel, blocked: np.ndarray) -> None:
    low = dp.Cost(name="low", function=lambda q: (q[:, :, 1] + 1.2).square().mean(dim=1), weight=20.0)
    world = Obstacles.pack([dp.Scene()])
    config = RefineConfig(stop_share=2.0)
    plain, wished = (Refiner(model, world, config, costs=costs).tighten(blocked[:1]).control for costs in ((), (low,)))
    curves = [torch.from_numpy(spline.basis(N, 50) @ control) for control in (plain, wished)]
    assert float(low(curves[1])) < 0.9 * float(low(curves[0]))
    assert np.array_equal(wished[:, [0, -1]], blocked[:1, [0, -1]])


def test_no_paths_are_no_paths(model: CollisionModel) -> None:
    none = np.zeros((0, N, 7))
    refiner = _refiner(model, POST)
    assert len(refiner.push(none).control) == 0
    assert len(refiner.tighten(none).control) == 0


def test_tightening_to_the_straight_line_does_not_round_its_ends(model: CollisionModel) -> None:
    rng = np.random.default_rng(2)
    start, goal = rng.uniform(model.robot.lower, model.robot.upper, (2, 200, model.robot.dof))
    control = spline.straight(start, goal, N)
    assert np.array_equal(control[:, [0, -1]], np.stack([start, goal], axis=1))
    control[:, 1:-1] += rng.normal(scale=0.05, size=control[:, 1:-1].shape)
    tight = _refiner(model).tighten(control)
    assert np.count_nonzero(np.any(tight.control != control, axis=(1, 2))) > 20
    assert np.array_equal(tight.control[:, [0, -1]], control[:, [0, -1]])


def test_hastening_lowers_the_duration_it_is_given_and_keeps_paths_clear(
    model: CollisionModel, blocked: np.ndarray
) -> None:
    def duration(control: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The squared distance of the inner points of joint 2 from 0.3 rad, as if it were seconds."""
        off = np.zeros_like(control)
        off[:, 1:-1, 1] = control[:, 1:-1, 1] - 0.3
        return (off**2).sum(axis=(1, 2)), 2 * off

    refiner = _refiner(model, POST)
    pushed = refiner.push(blocked)
    clear = pushed.control[pushed.clear]
    assert len(clear) >= 4
    found = refiner.hasten(clear, duration)
    assert found.clear.all()
    assert np.array_equal(found.control[:, [0, -1]], clear[:, [0, -1]])
    assert np.all(duration(found.control)[0] < duration(clear)[0])


def test_after_the_deadline_refinement_ends_with_what_it_has(
    model: CollisionModel, blocked: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    refiner = _refiner(model, POST)
    evaluate = model.evaluate
    monkeypatch.setattr(model, "evaluate", lambda *args, **given: looks.append(1) or evaluate(*args, **given))
    pushed = refiner.push(blocked)
    assert len(looks) > 3
    refiner.deadline = -np.inf
    looks.clear()
    stopped = refiner.push(blocked)
    assert len(looks) == 1
    assert np.array_equal(stopped.control, blocked)
    assert np.array_equal(stopped.clear, refiner.evaluate(blocked, gradient=False)[2] >= 0)
    clear = pushed.control[pushed.clear]
    looks.clear()
    drawn = refiner.tighten(clear)
    assert len(looks) == 1
    assert drawn.clear.all()
    assert np.array_equal(drawn.control, clear)


def test_own_links_keep_apart_by_as_much_as_is_asked(model: CollisionModel) -> None:
    """Straight lines past which own links come within 8 mm: clear where nothing is asked, pushed apart where it is."""
    robot, rng = model.robot, np.random.default_rng(0)
    near, apart = (_refiner(model, config=RefineConfig(stop_share=2.0, self_clearance=own)) for own in (0.0, 0.008))
    ends = rng.uniform(robot.lower, robot.upper, (2, 4000, robot.dof))
    lines = np.stack([spline.straight(a, b, N) for a, b in ends.swapaxes(0, 1)])
    room = model.clearance(near.world, ends.reshape(-1, robot.dof))[1].reshape(2, -1).min(axis=0)
    least = near.evaluate(lines, gradient=False)[2]
    lines = lines[(room >= 0.01) & (least >= 0.0) & (least < 0.006)][:4]
    assert len(lines) == 4
    assert near.push(lines).clear.all()
    assert (apart.evaluate(lines, gradient=False)[2] < 0).all()
    pushed = apart.push(lines)
    assert pushed.clear.all()
    own = np.array([model.clearance(near.world, spline.basis(N, 4 * N - 3) @ path)[1].min() for path in pushed.control])
    assert (own > 0.0079).all()
