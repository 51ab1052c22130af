"""By how much configurations break constraints: slopes are those of differences, and projections end inside."""

import numpy as np
import pytest

import diffplan as dp
from diffplan.constraints.kinds import StayIn, Upright
from diffplan.keeping import Keeper
from diffplan.planners.task import packed
from diffplan.robot.model import Robot

BASE = dp.Pose.from_rpy((0.1, 0.2, 0.3), (0.2, 0.1, 0.5))


def _random(robot: Robot, n: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(np.maximum(robot.lower, -3), np.minimum(robot.upper, 3), (n, robot.dof))


def _keeper(robot: Robot) -> Keeper:
    box = dp.Box(name="box", size=(0.4, 0.6, 0.8), pose=dp.Pose.from_rpy((0.5, 0.0, 0.8), (0.1, 0.2, 0.3)))
    tilted = Upright(axis=(0.3, 0.1, 1.0), degrees=10)
    return Keeper(packed(robot), BASE, [tilted, StayIn(box=box, link=robot.end_link)])


def test_the_slopes_are_those_of_finite_differences(any_robot: Robot) -> None:
    keeper, q, h = _keeper(any_robot), _random(any_robot, 20), 1e-6
    _, slope = keeper.look(q)
    sides = [[keeper.look(q + sign * h * row)[0] for sign in (1, -1)] for row in np.eye(any_robot.dof)]
    np.testing.assert_allclose(slope, np.stack([(up - down) / (2 * h) for up, down in sides], axis=2), atol=1e-7)


def test_tilt_and_box_are_measured_where_the_tool_is(any_robot: Robot) -> None:
    keeper, q = _keeper(any_robot), _random(any_robot, 20)
    excess, _ = keeper.look(q, margin=False)
    tool = any_robot.tool_frame
    poses = BASE.matrix @ any_robot.link_pose(q, tool.link) @ tool.pose.matrix
    upright, stay = keeper.constraints
    assert isinstance(upright, Upright)
    assert isinstance(stay, StayIn)
    tilt = np.arccos(poses[:, 2, :3] @ np.asarray(upright.axis))
    np.testing.assert_allclose(excess[:, 0], 0.2 * (tilt - np.radians(10)), atol=1e-7)
    ends = BASE.matrix @ any_robot.link_pose(q, any_robot.end_link)
    inside = (ends[:, :3, 3] - stay.box.pose.xyz) @ stay.box.pose.matrix[:3, :3]
    np.testing.assert_allclose(excess[:, 1:].max(axis=1), (np.abs(inside) - stay.box.half_extents).max(axis=1))
    assert all(bool(keeper.broken(row)) == bool(out) for row, out in zip(q, excess.max(axis=1) > 0, strict=True))


def test_projections_end_within_constraints_and_limits(any_robot: Robot) -> None:
    keeper = Keeper(packed(any_robot), BASE, [Upright(axis=(0.0, 0.0, 1.0), degrees=10)])
    q, inside = keeper.projected(_random(any_robot, 60))
    assert inside.mean() > 0.6
    assert keeper.worst(q[inside]).max() <= 0
    assert np.all((q >= any_robot.lower) & (q <= any_robot.upper))


@pytest.mark.parametrize("kept", [(), (dp.speed("tool", 0.2),)])
def test_what_single_configurations_cannot_break_is_none_of_its_business(kept: tuple[object, ...]) -> None:
    assert not Keeper(packed(dp.Robot.load("panda")), BASE, kept)  # pyright: ignore[reportArgumentType]
