"""Costs bend certified plans without training: the same query without and with each wish."""

from collections.abc import Callable

import numpy as np
import pytest

import diffplan as dp
from diffplan.collision.cpu import CollisionModel, Obstacles
from diffplan.costs.cost import Cost
from diffplan.costs.terms import avoid, prefer, tilt, upright
from diffplan.geometry.pose import Float

PERSON = dp.Capsule(name="person", radius=0.18, height=1.2, pose=dp.Pose(xyz=(0.8, 0.0, 0.78)))
COMFORT = 0.3


@pytest.fixture(scope="module")
def robot() -> dp.Robot:
    return dp.Robot.load("panda")


@pytest.fixture(scope="module")
def path(robot: dp.Robot, products: str) -> Callable[..., Float]:
    """Plan from one shelf into the other, and give the certified positions [n, dof]."""
    scene = dp.Scene.load("facing_shelves")
    query = scene.query("hard")

    def plan(*costs: Cost) -> Float:
        found = dp.plan(robot, scene, query.start, query.goal, costs=costs, timeout=120.0, fallback=False)
        assert found.solved, found.message
        assert found.certificate is not None
        assert found.certificate.valid
        assert found.trajectory is not None
        assert set(found.costs) == {cost.name for cost in costs}
        return found.trajectory.position

    return plan


@pytest.fixture(scope="module")
def plain(path: Callable[..., Float]) -> Float:
    return path()


@pytest.fixture(scope="module")
def level(path: Callable[..., Float], robot: dp.Robot) -> Float:
    return path(upright(robot))


def test_upright_keeps_the_hand_within_what_its_ends_ask(plain: Float, level: Float, robot: dp.Robot) -> None:
    """The goal is tilted by 26 degrees itself; without the wish the hand lies on its side on the way."""
    before, after = (np.degrees(tilt(robot, q)) for q in (plain, level))
    assert before.max() > 90
    assert after.max() < after[-1] + 2
    assert np.median(after) < 10


def test_the_same_seed_and_costs_give_the_same_plan(path: Callable[..., Float], level: Float, robot: dp.Robot) -> None:
    assert np.array_equal(path(upright(robot)), level)


def test_avoid_leaves_a_person_room(path: Callable[..., Float], plain: Float, robot: dp.Robot) -> None:
    model, world = CollisionModel(robot), Obstacles.pack([dp.Scene(obstacles=(PERSON,))])
    before, after = (
        float(model.clearance(world, q, cap=1.0)[0].min()) for q in (plain, path(avoid(robot, PERSON, comfort=COMFORT)))
    )
    assert before < 0.1
    assert after > before + 0.1


def test_prefer_bends_the_elbow(path: Callable[..., Float], plain: Float, robot: dp.Robot) -> None:
    before, after = plain[:, 3], path(prefer(robot, {"panda_joint4": (-2.9, -2.6)}, weight=20.0))[:, 3]
    assert before.min() > -2.45
    assert after.min() < -2.55
    assert np.median(after) < np.median(before) - 0.2


def test_costs_compose(path: Callable[..., Float], plain: Float, robot: dp.Robot) -> None:
    """Two wishes at once are both better off than without."""
    wishes = upright(robot), avoid(robot, PERSON, comfort=COMFORT)
    model, world = CollisionModel(robot), Obstacles.pack([dp.Scene(obstacles=(PERSON,))])
    both = path(*wishes)
    assert tilt(robot, both).max() < 0.5 * tilt(robot, plain).max()
    assert model.clearance(world, both, cap=1.0)[0].min() > model.clearance(world, plain, cap=1.0)[0].min() + 0.1
