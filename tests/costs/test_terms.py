"""Named costs: what they are zero for, how they grow, and that their gradients are theirs."""

import math

import numpy as np
import pytest
import torch

import diffplan as dp
from diffplan.collision.cpu import CollisionModel, Obstacles
from diffplan.costs.cost import Cost
from diffplan.costs.terms import avoid, prefer, tilt, upright
from diffplan.errors import InputError
from diffplan.problem import Problem

BALL = dp.Sphere(name="ball", radius=0.1, pose=dp.Pose(xyz=(0.45, 0.2, 0.5)))
TILTED_BASE = dp.Pose.from_rpy((0.1, -0.2, 0.3), (0.3, -0.2, 1.0))


@pytest.fixture(scope="module")
def robot() -> dp.Robot:
    return dp.Robot.load("panda")


@pytest.fixture(scope="module")
def home(robot: dp.Robot) -> np.ndarray:
    return robot.configuration("home")


def _curves(robot: dp.Robot, count: int = 6) -> torch.Tensor:
    ends = np.random.default_rng(0).uniform(robot.lower, robot.upper, (2, count, robot.dof))
    along = np.linspace(0, 1, 20)[None, :, None]
    return torch.from_numpy(ends[0][:, None] * (1 - along) + ends[1][:, None] * along)


def _still(q: np.ndarray) -> torch.Tensor:
    """A curve [1, 5, dof] that stays."""
    return torch.from_numpy(np.repeat(q[None, None], 5, axis=1))


def _all(robot: dp.Robot) -> dict[str, Cost]:
    return {
        "upright": upright(robot, robot_base=TILTED_BASE),
        "upright about an axis": upright(robot, link="panda_link5", axis=(1.0, 2.0, -0.5), tolerance_deg=0.0),
        "avoid": avoid(robot, BALL, comfort=0.2, robot_base=TILTED_BASE),
        "avoid with a link": avoid(robot, BALL, comfort=0.3, link="panda_hand"),
        "prefer ranges": prefer(robot, {"panda_joint2": (-0.2, 0.1), "panda_joint4": (-2.0, -1.5)}),
        "prefer near": prefer(robot, near="home", within=0.1),
    }


@pytest.mark.parametrize("kind", _all(dp.Robot.load("panda")))
def test_every_gradient_agrees_with_finite_differences(kind: str, robot: dp.Robot) -> None:
    cost, q = _all(robot)[kind], _curves(robot).requires_grad_(True)
    value = cost(q)
    (gradient,) = torch.autograd.grad(value.sum(), q)
    direction = torch.from_numpy(np.random.default_rng(1).normal(size=q.shape))
    direction[:, 0] = 0  # the start is given; `upright` takes its own measure from it
    with torch.no_grad():
        slope = (cost(q + 1e-6 * direction) - cost(q - 1e-6 * direction)).sum() / 2e-6
    assert float(value.detach().min()) >= 0
    assert float(value.detach().max()) > 0
    assert float((gradient * direction).sum()) == pytest.approx(float(slope), rel=1e-4)


def test_tilt_is_the_angle_that_the_hand_is_turned_by(robot: dp.Robot, home: np.ndarray) -> None:
    """At home joint 6 lies level and carries the hand that points down; joint 1 is the vertical."""
    tipped, turned = np.stack([home, home]), np.stack([home, home])
    tipped[1, 5] += math.radians(25)
    turned[1, 0] += 0.7
    assert np.degrees(tilt(robot, tipped)) == pytest.approx([0, 25], abs=1e-3)
    assert tilt(robot, turned) == pytest.approx([0, 0], abs=1e-6)


def test_upright_costs_the_squared_tilt_beyond_the_tolerance(robot: dp.Robot, home: np.ndarray) -> None:
    path = np.repeat(home[None], 4, axis=0)
    path[2:, 5] += math.radians(25)
    value = float(upright(robot, tolerance_deg=10)(torch.from_numpy(path)[None]))
    assert value == pytest.approx(math.radians(15) ** 2 / 2, rel=1e-3)
    assert float(upright(robot, tolerance_deg=26)(torch.from_numpy(path)[None])) == 0


def test_upright_with_an_axis_says_which_way_is_up(robot: dp.Robot, home: np.ndarray) -> None:
    """At home the hand's z axis points down."""
    down, up = (float(upright(robot, axis=axis, tolerance_deg=0)(_still(home))) for axis in ("-z", "z"))
    assert down == pytest.approx(0, abs=1e-6)
    assert up == pytest.approx(math.pi**2, rel=1e-3)


def test_upright_knows_how_the_base_stands(robot: dp.Robot, home: np.ndarray) -> None:
    on_a_wall = dp.Pose.from_rpy((0.0, 0.0, 1.0), (0.0, math.radians(90), 0.0))
    value = float(upright(robot, axis="-z", tolerance_deg=0, robot_base=on_a_wall)(_still(home)))
    assert value == pytest.approx((math.pi / 2) ** 2, rel=1e-3)


def test_avoid_is_the_mean_over_spheres_of_the_squared_share_of_the_comfort_distance(
    robot: dp.Robot, home: np.ndarray
) -> None:
    """Computed anew from the distances of every sphere of the hand."""
    spheres, comfort = robot.spheres, 0.25
    hand = [i for i in range(len(spheres.radius)) if spheres.links[spheres.link[i]] == "panda_hand"]
    T = robot.link_pose(home, "panda_hand")[0]
    centres = spheres.centre[hand] @ T[:3, :3].T + T[:3, 3]
    distance = np.linalg.norm(centres - np.array(BALL.pose.xyz), axis=1) - BALL.radius - spheres.radius[hand]
    expected = np.square(np.clip(1 - distance / comfort, 0, None)).mean()
    assert expected > 0.01
    value = float(avoid(robot, BALL, comfort=comfort, link="panda_hand")(_still(home)))
    assert value == pytest.approx(expected, rel=1e-6)


def test_avoid_is_zero_beyond_the_comfort_distance_and_moves_with_the_base(robot: dp.Robot, home: np.ndarray) -> None:
    model, world = CollisionModel(robot), Obstacles.pack([dp.Scene(obstacles=(BALL,))])
    distance = float(model.clearance(world, home[None], cap=2.0)[0][0])
    assert float(avoid(robot, BALL, comfort=distance - 1e-3)(_still(home))) == 0
    assert float(avoid(robot, BALL, comfort=distance + 1e-3)(_still(home))) > 0
    there = dp.Pose.from_rpy((2.0, 1.0, 0.0), (0.0, 0.0, 0.5))
    moved = dp.Sphere(name="ball", radius=BALL.radius, pose=there @ BALL.pose)
    here = float(avoid(robot, BALL, comfort=0.3)(_still(home)))
    assert float(avoid(robot, moved, comfort=0.3, robot_base=there)(_still(home))) == pytest.approx(here, rel=1e-5)


def test_prefer_is_the_squared_distance_to_the_range(robot: dp.Robot, home: np.ndarray) -> None:
    joint4 = home[3]
    inside = prefer(robot, {"panda_joint4": (joint4 - 0.1, joint4 + 0.1)})
    above = prefer(robot, {"panda_joint4": (joint4 - 0.5, joint4 - 0.2), "panda_joint1": (0.3, 0.4)})
    assert float(inside(_still(home))) == 0
    assert float(above(_still(home))) == pytest.approx(0.2**2 + 0.3**2)
    assert float(prefer(robot, near="home", within=0.1)(_still(home + 0.3))) == pytest.approx(7 * 0.2**2)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda r: upright(r, link="panda_hnad"), "upright.link: unknown (did you mean 'panda_hand'?)"),
        (lambda r: upright(r, link="panda_link0"), "upright.link"),
        (lambda r: upright(r, axis="w"), "upright.axis"),
        (lambda r: upright(r, axis=(0, 0, 0)), "not a direction"),
        (lambda r: upright(r, tolerance_deg=-1), "upright.tolerance_deg: no such tilt (found -1.0)"),
        (lambda r: upright(r, tolerance_deg=math.nan), "upright.tolerance_deg"),
        (lambda r: upright(r, weight=-1), "upright.weight: not a weight (found -1)"),
        (lambda r: upright(r, name=" "), "a cost needs a name"),
        (lambda r: avoid(r, BALL, comfort=0, name="person"), "person.comfort"),
        (lambda r: avoid(r, BALL, link="panda_link0"), "avoid.link"),
        (lambda r: prefer(r), "what is preferred?"),
        (lambda r: prefer(r, {}), "what is preferred?"),
        (lambda r: prefer(r, {"panda_joint4": (-2, -1)}, near="home"), "what is preferred?"),
        (lambda r: prefer(r, {"panda_joint8": (-2, -1)}), "prefer.panda_joint8: unknown"),
        (lambda r: prefer(r, {"panda_joint4": (-1, -2)}), "prefer.panda_joint4: no such range"),
        (lambda r: prefer(r, {"panda_joint4": (0.5, 1)}), "[-3.1416, 0.0000]"),
        (lambda r: prefer(r, near="hom"), "did you mean 'home'?"),
        (lambda r: prefer(r, near=(1.0, 2.0)), "prefer.near: not a configuration"),
        (lambda r: prefer(r, near="home", within=math.inf), "prefer.within"),
    ],
)
def test_a_parameter_that_makes_no_sense_is_refused_by_name(make, words: str, robot: dp.Robot) -> None:
    with pytest.raises(InputError) as refusal:
        make(robot)
    assert words in str(refusal.value)


def test_two_costs_of_one_name_are_refused(robot: dp.Robot, home: np.ndarray) -> None:
    with pytest.raises(InputError, match="different names"):
        Problem(
            robot=robot,
            scene=dp.Scene(),
            start=home,
            goals=home[None],
            costs=(upright(robot), upright(robot, axis="z")),
        )
