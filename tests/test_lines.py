"""Straight lines of the tool: found, certified, the other way round too, and what stops one is named."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import diffplan as dp
from diffplan.collision.obstacles import Obstacles
from diffplan.curves import spline
from diffplan.lines import LineFinder, LinePath, LineStop
from diffplan.planners.task import packed
from diffplan.recheck import recheck
from diffplan.robot.model import Robot

PANDA = dp.Robot.load("panda")
HOME = PANDA.configuration("home")
EMPTY = dp.Scene()


def _tool(robot: Robot, q: np.ndarray) -> np.ndarray:
    tool = robot.tool_frame
    return robot.link_pose(q, tool.link) @ tool.pose.matrix


def _finder(scene: dp.Scene, robot: Robot = PANDA) -> LineFinder:
    return LineFinder(packed(robot), Obstacles.around(robot, scene), scene.robot_base)


LINES = [
    dp.Line(to=(0.0, 0.0, -0.2)),
    dp.Line(to=(0.0, 0.0, 0.1), frame="tool"),
    dp.Line(to=dp.Pose.from_rpy((0.05, -0.1, 0.05), (0.3, 0.2, -0.4)), frame="tool"),
    dp.Line(to=dp.Pose.from_rpy((0.5, 0.2, 0.4), (3.0, 0.1, 0.3))),
    dp.Line(to=dp.Pose.from_rpy((0.0, 0.0, 0.0), (0.0, 0.0, 1.0)), frame="tool"),
]


@pytest.mark.parametrize("line", LINES)
def test_the_tool_goes_straight_between_the_samples_too(line: dp.Line) -> None:
    plan = dp.plan_line(PANDA, EMPTY, "home", line)
    assert plan.solved, plan.message
    assert plan.planner == "line"
    assert plan.certificate
    assert plan.trajectory
    motion = plan.trajectory
    begin = dp.Pose.from_matrix(_tool(PANDA, HOME)[0])
    segment = line.from_begin(begin)
    dense = motion.at(np.linspace(motion.time[0], motion.time[-1], 3000)).position
    joints = np.stack([np.interp(np.linspace(0, 1, 3000), np.linspace(0, 1, len(q)), q) for q in motion.position.T])
    position, orientation = plan.certificate.constraints
    for poses in (_tool(PANDA, dense), _tool(PANDA, joints.T)):
        s = segment.progress(poses)
        on = segment.at(np.clip(s, 0, 1))
        away = np.linalg.norm(poses[:, :3, 3] - on[:, :3, 3], axis=1)
        turned = (Rotation.from_matrix(on[:, :3, :3]).inv() * Rotation.from_matrix(poses[:, :3, :3])).magnitude()
        assert away.max() <= position.worst <= position.limit == 0.001
        assert turned.max() <= orientation.worst <= orientation.limit
        assert np.abs(s[[0, -1]] - (0, 1)).max() < 1e-4


def test_the_end_of_a_line_is_where_it_was_asked_to_be() -> None:
    begin = _tool(PANDA, HOME)[0]
    (x, y, z), turn = (0.1, -0.05, 0.02), Rotation.from_euler("xyz", (0.2, 0.1, -0.3))
    world = dp.Pose(xyz=(x, y, z), quat_xyzw=tuple(turn.as_quat().tolist()))
    ends = {
        dp.Line(to=(x, y, z)): begin[:3, 3] + (x, y, z),
        dp.Line(to=(x, y, z), frame="tool"): begin[:3, 3] + begin[:3, :3] @ (x, y, z),
        dp.Line(to=world): np.array((x, y, z)),
        dp.Line(to=world, frame="tool"): begin[:3, 3] + begin[:3, :3] @ (x, y, z),
    }
    for line, end in ends.items():
        segment = line.from_begin(dp.Pose.from_matrix(begin))
        np.testing.assert_allclose(segment.end.xyz, end, atol=1e-12)
        if not isinstance(line.to, dp.Pose):
            np.testing.assert_allclose(segment.end.matrix[:3, :3], begin[:3, :3], atol=1e-9)
            back = line.to_end(segment.end)
            np.testing.assert_allclose(back.begin.matrix, begin, atol=1e-9)
    turned = dp.Line(to=world, frame="tool").from_begin(dp.Pose.from_matrix(begin))
    np.testing.assert_allclose(turned.end.matrix[:3, :3], begin[:3, :3] @ turn.as_matrix(), atol=1e-9)
    np.testing.assert_allclose(dp.Line(to=world, frame="tool").to_end(turned.end).begin.matrix, begin, atol=1e-9)


def test_several_starts_are_followed_at_once_and_the_other_way_round() -> None:
    finder = _finder(EMPTY)
    rng = np.random.default_rng(1)
    starts = HOME + rng.normal(0, 0.1, (4, 7))
    up = dp.Line(to=(0.0, 0.0, 0.1))
    for path, start in zip(finder.paths(starts, up), starts, strict=True):
        assert isinstance(path, LinePath)
        np.testing.assert_array_equal(path.control[0], start)
    for path, end in zip(finder.paths(starts, up, ends=True), starts, strict=True):
        assert isinstance(path, LinePath)
        np.testing.assert_array_equal(path.control[-1], end)
        poses = _tool(PANDA, spline.basis(len(path.control), 200) @ path.control)
        np.testing.assert_allclose(poses[-1, :3, 3] - poses[0, :3, 3], (0, 0, 0.1), atol=1e-5)
        np.testing.assert_allclose(path.segment.begin.matrix, poses[0], atol=1e-4)


def test_a_line_to_a_pose_in_the_world_cannot_be_followed_backwards() -> None:
    with pytest.raises(dp.InputError, match="does not tell where it begins"):
        _finder(EMPTY).paths(HOME[None], dp.Line(to=dp.Pose(xyz=(0.4, 0.0, 0.5))), ends=True)


def test_one_start_gives_the_same_path_alone_and_among_others() -> None:
    finder = _finder(EMPTY)
    starts = HOME + np.random.default_rng(2).normal(0, 0.1, (3, 7))
    line = dp.Line(to=(0.0, 0.1, 0.0))
    (alone,) = finder.paths(starts[1:2], line)
    among = finder.paths(starts, line)[1]
    assert isinstance(alone, LinePath)
    assert isinstance(among, LinePath)
    np.testing.assert_allclose(alone.control, among.control, atol=1e-9)


def test_a_wall_in_the_way_is_named_with_where_it_is_met() -> None:
    x, y, z = _tool(PANDA, HOME)[0, :3, 3].tolist()
    wall = dp.Box(name="wall", size=(0.6, 0.02, 1.0), pose=dp.Pose(xyz=(x, y + 0.25, z)))
    plan = dp.plan_line(PANDA, dp.Scene(obstacles=(wall,)), HOME, dp.Line(to=(0.0, 0.4, 0.0)))
    assert not plan.solved
    assert plan.status is dp.Status.NO_PATH_FOUND
    assert "wall" in plan.message
    share = int(plan.message.split(" % of the line")[0].rsplit(" ", 1)[1])
    assert 25 < share < 60
    assert "of 400 mm" in plan.message
    assert plan.trajectory is None


def test_a_line_out_of_reach_says_how_far_the_arm_comes() -> None:
    plan = dp.plan_line(PANDA, EMPTY, HOME, dp.Line(to=(1.5, 0.0, 0.0)))
    assert plan.status is dp.Status.GOAL_UNREACHABLE
    assert "of 1500 mm" in plan.message


def test_the_joints_that_stop_a_line_stand_at_their_limits() -> None:
    finder, line = _finder(EMPTY), dp.Line(to=dp.Pose.from_rpy((0, 0, 0), (0, 0, 3.0)), frame="tool")
    starts = np.random.default_rng(0).uniform(PANDA.lower, PANDA.upper, (40, 7))
    starts = np.array([q for q in starts if finder.room(q) > 0])
    found = zip(starts, finder.paths(starts, line, thorough=False), strict=True)
    stops = [(q, one) for q, one in found if isinstance(one, LineStop) and one.cause == "limit"]
    assert len(stops) > 3
    for _, stop in stops:
        at = [PANDA.joint_names.index(name) for name in stop.joints]
        assert np.all(np.minimum(stop.q - PANDA.lower, PANDA.upper - stop.q)[at] < 0.02)
        assert stop.progress < 1
    plans = [dp.plan_line(PANDA, EMPTY, q, line) for q, _ in stops[:6]]
    assert any("limit" in plan.message and "% of the turn" in plan.message for plan in plans)


NEARLY_SINGULAR = (-1.61984, -0.16807, 0.18473, -0.81413, 1.6894, 3.34406, -1.51033)


def test_a_line_past_a_singular_configuration_is_found_in_finer_layers() -> None:
    line, start = dp.Line(to=(0.0, 0.0, -0.32957), frame="tool"), np.array(NEARLY_SINGULAR)
    assert isinstance(_finder(EMPTY).paths(start[None], line)[0], LineStop)
    plan = dp.plan_line(PANDA, EMPTY, start, line)
    assert plan.solved, plan.message


def test_what_stops_a_line_is_no_collision_where_nothing_is_near() -> None:
    line, start = dp.Line(to=(0.0, 0.0, -0.32957), frame="tool"), np.array(NEARLY_SINGULAR)
    (stop,) = _finder(EMPTY).paths(start[None], line, thorough=False)
    assert isinstance(stop, LineStop)
    assert stop.cause == "singular"


def test_a_line_that_is_not_found_ends_at_its_time_limit() -> None:
    line = dp.Line(to=(1.5, 0.0, 0.0))
    finder, seen = _finder(EMPTY), []
    for one in finder.candidates(HOME, finder.segment(HOME, line), deadline=-np.inf):
        seen.append(one)
    assert isinstance(seen[-1], LineStop)
    assert 0 < seen[-1].progress < 1


@pytest.mark.parametrize(("start", "status"), [("outside", "start_outside_limits"), ("touching", "start_in_collision")])
def test_a_start_that_cannot_be_is_refused_before_anything_is_searched(start: str, status: str) -> None:
    q, scene = HOME.copy(), EMPTY
    if start == "outside":
        q[0] = PANDA.upper[0] + 0.1
    else:
        x, y, z = _tool(PANDA, HOME)[0, :3, 3].tolist()
        scene = dp.Scene(obstacles=(dp.Sphere(name="ball", radius=0.05, pose=dp.Pose(xyz=(x, y, z))),))
    plan = dp.plan_line(PANDA, scene, q, dp.Line(to=(0.0, 0.0, 0.1)))
    assert plan.status.value == status
    assert plan.trajectory is None


def test_every_arm_goes_straight(any_robot: Robot) -> None:
    home = any_robot.configuration("home")
    lines = [dp.Line(to=way) for way in [(0.0, 0.0, -0.05), (0.05, 0.0, 0.0)]]
    plans = [dp.plan_line(any_robot, EMPTY, home, line) for line in lines]
    assert any(plan.solved for plan in plans), [plan.message for plan in plans]


def test_a_plan_along_a_line_is_stored_with_its_line_and_certified_again(tmp_path: Path) -> None:
    kept = [dp.speed("tool", 0.2), dp.stay_in(_box(0.0, 0.5)), dp.upright("tool")]
    plan = dp.plan_line(PANDA, EMPTY, "home", dp.Line(to=(0.0, 0.0, 0.1)), constraints=kept)
    assert plan.solved
    plan.save(tmp_path / "plan.json")
    assert dp.Plan.load(tmp_path / "plan.json").constraints == plan.constraints
    found = recheck(tmp_path / "plan.json")
    assert found.holds
    assert plan.certificate
    for then, now in zip(plan.certificate.constraints, found.motions[0].now.constraints, strict=True):
        assert now.worst == pytest.approx(then.worst, rel=1e-6, abs=1e-9)


ROLL = dp.Line(to=dp.Pose.from_rpy((0.0, 0.0, 0.0), (0.4, 0.0, 0.0)), frame="tool")
TOOL = dp.Pose.from_matrix(_tool(PANDA, HOME)[0])


def _box(dy: float, size: float) -> dp.Box:
    """Return a cube around the tool at home, shifted sideways."""
    x, y, z = TOOL.xyz
    return dp.Box(name="cube", size=(size,) * 3, pose=dp.Pose(xyz=(x, y + dy, z)))


def test_a_line_keeps_a_speed_a_box_and_an_upright_tool_all_proven() -> None:
    kept = [dp.speed("tool", 0.1), dp.stay_in(_box(0.1, 0.3)), dp.stay_in(_box(0.0, 2.0), "panda_link4", name="elbow")]
    line = dp.Line(to=(0.0, 0.2, 0.0), constraints=dp.upright("tool", degrees=1))
    plan = dp.plan_line(PANDA, EMPTY, HOME, line, constraints=kept)
    assert plan.solved, plan.message
    assert plan.certificate
    found = {one.name: one for one in plan.certificate.constraints}
    assert list(found) == ["line", "line orientation", "upright", "speed", "stay_in", "elbow"]
    assert all(one.worst <= one.limit for one in found.values())
    assert found["speed"].worst > 0.098
    free = dp.plan_line(PANDA, EMPTY, HOME, dp.Line(to=(0.0, 0.2, 0.0)))
    assert plan.trajectory
    assert free.trajectory
    assert plan.trajectory.duration > 1.5 * free.trajectory.duration


@pytest.mark.parametrize(
    ("line", "constraint", "said"),
    [
        (ROLL, dp.upright("tool", degrees=10), "tool is tilted by 9."),
        (dp.Line(to=(0.0, 0.2, 0.0)), dp.stay_in(_box(0.0, 0.2)), "tool comes within"),
        (dp.Line(to=(0.0, 0.2, 0.0)), dp.stay_in(_box(0.099, 0.2)), "tool is 0.1 mm out of the box of stay_in"),
    ],
)
def test_where_a_line_would_break_a_constraint_it_says_which_and_how_far_it_comes(line, constraint, said) -> None:
    plan = dp.plan_line(PANDA, EMPTY, HOME, line, constraints=constraint)
    assert plan.status is dp.Status.NO_PATH_FOUND
    assert said in plan.message
    assert constraint.name in plan.message
    assert "% of the" in plan.message


def test_the_free_joint_keeps_a_constraint_on_another_link() -> None:
    line, link = dp.Line(to=(0.0, -0.3, 0.0)), "panda_link3"
    free = dp.plan_line(PANDA, EMPTY, HOME, line)
    half = dp.Box(name="half", size=(2.0, 2.0, 2.0), pose=dp.Pose(xyz=(0.0, -0.99, 1.0)))
    kept = dp.plan_line(PANDA, EMPTY, HOME, line, constraints=dp.stay_in(half, link))
    assert kept.solved, kept.message
    beyond = [PANDA.link_pose(plan.sampled(1000).position, link)[:, 1, 3].max() > 0.01 for plan in (free, kept)]
    assert beyond == [True, False]


def test_a_line_starts_in_its_constraints() -> None:
    plan = dp.plan_line(PANDA, EMPTY, HOME, dp.Line(to=(0.0, 0.0, 0.1)), constraints=dp.stay_in(_box(0.3, 0.2)))
    assert plan.status is dp.Status.START_BREAKS_CONSTRAINT
    assert plan.trajectory is None


def test_a_line_keeps_jerk_limits_and_a_share_of_the_others() -> None:
    line = dp.Line(to=(0.0, 0.0, -0.2))
    quick = dp.plan_line(PANDA, EMPTY, HOME, line)
    plan = dp.plan_line(PANDA, EMPTY, HOME, line, speed=0.3, jerk="limited")
    assert plan.solved, plan.message
    assert plan.certificate
    assert plan.certificate.jerk_share is not None
    assert plan.certificate.jerk_share <= 1
    assert plan.trajectory
    assert quick.trajectory
    assert plan.trajectory.duration > 1.5 * quick.trajectory.duration
    assert plan.speed == 0.3


def test_a_line_that_is_none_is_refused() -> None:
    with pytest.raises(dp.InputError, match=r"Line\.frame"):
        dp.Line(to=(0.0, 0.0, 0.1), frame="base")
    with pytest.raises(dp.InputError, match=r"Line\.to"):
        dp.Line(to=(0.0, 0.1))  # pyright: ignore[reportArgumentType]
    with pytest.raises(dp.InputError, match="line"):
        dp.plan_line(PANDA, EMPTY, "home", (0.0, 0.0, 0.1))  # pyright: ignore[reportArgumentType]
