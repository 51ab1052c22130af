"""Goals that leave something free, and several goals: inverse kinematics, preflight, plans and their files."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import diffplan as dp
from diffplan.ends import numbered_goals
from diffplan.errors import InputError
from diffplan.ik import inverse_kinematics, solve_goals
from diffplan.preflight import _in_turns
from diffplan.problem import Problem
from diffplan.robot.model import Tool

PANDA = replace(dp.Robot.load("panda"), tool=Tool(link="panda_hand"))
HOME = PANDA.configuration("home")
BASE = dp.Pose.from_rpy((0.2, -0.1, 0.4), (0.0, 0.1, 1.2))
IN_HAND = dp.Pose.from_rpy((0.02, 0.0, 0.1), (0.0, 0.3, 0.0))
HELD = replace(PANDA, tool=Tool(link="panda_hand", pose=IN_HAND))
DOWN = dp.Pose.from_rpy((0.45, 0.2, 0.3), (np.pi, 0.0, 0.3))


def _seen_from(pose: dp.Pose, q: np.ndarray) -> np.ndarray:
    """The tool's frame in the goal's [k, 4, 4]."""
    return pose.inverse().matrix @ HELD.link_pose(q, "panda_hand") @ IN_HAND.matrix


@pytest.mark.parametrize("axis", range(3))
def test_about_a_free_axis_the_tool_may_be_turned_and_about_no_other(axis):
    goal = dp.PoseGoal(pose=DOWN, free="xyz"[axis])
    found = inverse_kinematics(HELD, goal, dp.Pose(), rng=np.random.default_rng(0), near=HOME)
    seen, other = _seen_from(DOWN, found), (axis + 1) % 3
    np.testing.assert_allclose(seen[:, :3, 3], 0, atol=1e-5)
    np.testing.assert_allclose(seen[:, :3, axis], np.tile(np.eye(3)[axis], (len(found), 1)), atol=1e-4)
    assert np.ptp(seen[:, other, other]) > 1.0
    assert np.all((found >= PANDA.lower) & (found <= PANDA.upper))


def test_in_a_box_the_tool_may_be_anywhere_and_is_turned_as_asked():
    box = (0.2, 0.0, 0.1)
    goal = dp.PoseGoal(pose=BASE @ DOWN, box=box)
    found = inverse_kinematics(HELD, goal, BASE, rng=np.random.default_rng(0), near=HOME)
    seen = _seen_from(DOWN, found)
    np.testing.assert_allclose(seen[:, :3, :3], np.tile(np.eye(3), (len(found), 1, 1)), atol=1e-4)
    assert np.all(np.abs(seen[:, :3, 3]) <= np.array(box) / 2 + 1e-5)
    assert np.ptp(seen[:, 0, 3]) > 0.15
    assert np.any(np.abs(seen[:, [0, 2], 3]) < np.array([0.09, 0.045]), axis=0).all()  # not on the sides alone


def test_what_is_left_free_brings_solutions_nearer():
    nearest = [
        PANDA.distance(HOME, inverse_kinematics(PANDA, goal, dp.Pose(), rng=np.random.default_rng(0), near=HOME))[0]
        for goal in (dp.PoseGoal(pose=DOWN), dp.PoseGoal(pose=DOWN, free="z", box=(0.1, 0.1, 0.1)))
    ]
    assert nearest[1] < 0.9 * nearest[0]


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("free", [None, "x", "y", "z"])
def test_half_a_turn_on_the_spot_is_a_turn(axis, free):
    turn = np.pi * np.eye(3)[axis]
    here = dp.Pose.from_matrix(PANDA.link_pose(HOME, "panda_hand")[0])
    goal = dp.PoseGoal(pose=here @ dp.Pose.from_rpy((0.0, 0.0, 0.0), tuple(turn)), free=free)
    found = inverse_kinematics(PANDA, goal, dp.Pose(), rng=np.random.default_rng(0), near=HOME)
    rotation = (goal.pose.inverse().matrix @ PANDA.link_pose(found, "panda_hand"))[:, :3, :3]
    fixed = [i for i in range(3) if free in (None, "xyz"[i])]
    np.testing.assert_allclose(rotation[:, fixed, fixed], 1, atol=1e-6)
    assert (np.linalg.norm(found[0] - HOME) < 1e-6) == (free == "xyz"[axis])


def test_of_several_goals_all_are_reached_each_by_its_own_configurations():
    goals = [dp.PoseGoal(pose=dp.Pose.from_rpy((0.4, y, 0.4), (np.pi, 0, 0)), free="z") for y in np.arange(-3, 4) / 10]
    goals.insert(2, dp.PoseGoal(pose=dp.Pose(xyz=(3.0, 0.0, 0.0)), free="z"))
    goals.append(dp.PoseGoal(link="panda_link6", pose=dp.Pose.from_matrix(PANDA.link_pose(HOME, "panda_link6")[0])))
    found, of = solve_goals(PANDA, goals, dp.Pose(), seeds=32, rng=np.random.default_rng(0), near=HOME)
    assert set(of) == set(range(len(goals))) - {2}
    assert np.all(np.diff(PANDA.distance(HOME, found)) >= 0)
    for number, goal in enumerate(goals):
        poses = PANDA.link_pose(found[of == number], goal.link or "panda_hand")
        np.testing.assert_allclose(poses[:, :3, 3] - goal.pose.xyz, 0, atol=1e-5)


def test_at_the_deadline_inverse_kinematics_gives_what_it_has(monkeypatch):
    monkeypatch.setattr("diffplan.ik._ROWS", 16)
    goals = [dp.PoseGoal(pose=DOWN), dp.PoseGoal(pose=DOWN @ dp.Pose(xyz=(0.0, 0.0, 0.05)))]
    found, of = solve_goals(PANDA, goals, dp.Pose(), seeds=96, rng=np.random.default_rng(0), near=HOME, deadline=0.0)
    everything, _ = solve_goals(PANDA, goals, dp.Pose(), seeds=96, rng=np.random.default_rng(0), near=HOME)
    assert set(of) == {0, 1}
    assert 0 < len(found) < len(everything)


def test_preflight_takes_the_goals_in_turns_the_nearest_configuration_of_each_first():
    goals = HOME + np.array([1.0, 0.1, 0.2, 0.3, 2.0])[:, None] * np.eye(7)[0]
    problem = Problem(robot=PANDA, scene=dp.Scene(), start=HOME, goals=goals, goal_numbers=(0, 1, 1, 1, 0))
    assert _in_turns(problem).tolist() == [1, 0, 2, 4, 3]
    assert _in_turns(replace(problem, goal_numbers=())).tolist() == [1, 2, 3, 0, 4]
    with pytest.raises(InputError, match="goal_numbers"):
        replace(problem, goal_numbers=(0, 1))


def test_where_the_near_poses_are_in_collision_a_far_one_is_taken_and_the_plan_says_which(tmp_path: Path):
    near = dp.Pose.from_matrix(PANDA.link_pose(HOME, "panda_hand")[0])
    near = dp.Pose(xyz=(near.xyz[0] + 0.1, 0.0, near.xyz[2]), quat_xyzw=near.quat_xyzw)
    scene = dp.Scene(obstacles=(dp.Sphere(name="ball", radius=0.04, pose=dp.Pose(xyz=(near.xyz[0], 0.0, 0.5))),))
    far = dp.Pose.from_rpy((0.1, 0.5, 0.5), (np.pi, 0.0, 0.0))
    goal = [dp.PoseGoal(pose=near, free="z"), "home", dp.PoseGoal(pose=far, free="z", box=(0.05, 0.05, 0.05))]
    q, numbers = numbered_goals(PANDA, scene, goal, HOME, 0)
    assert numbers == tuple(sorted(numbers))
    assert set(numbers) == {0, 1, 2}
    np.testing.assert_array_equal(q[numbers.index(1)], HOME)
    plan = dp.plan(PANDA, scene, HOME, [goal[0], goal[2]], planner="rrtconnect", seed=0)
    assert plan.solved
    assert plan.trajectory
    assert plan.goal_number == 1
    tool = PANDA.link_pose(plan.trajectory.position[-1], "panda_hand")[0]
    assert np.all(np.abs((far.inverse().matrix @ tool)[:3, 3]) <= 0.025 + 1e-5)
    plan.save(tmp_path / "plan.json")
    assert dp.Plan.load(tmp_path / "plan.json").goal_number == 1


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ({"free": "w"}, "no axis 'w'"),
        ({"box": (0.1, 0.1)}, "2 values instead of 3"),
        ({"box": (0.1, -0.1, 0.1)}, "no box"),
        ({"box": (0, 0, 0)}, "no box"),
    ],
)
def test_no_goal_has_such_an_axis_or_box(keys, what):
    with pytest.raises(InputError, match=what):
        dp.PoseGoal(pose=DOWN, **keys)


def test_a_plan_holds_the_fingers_where_it_is_told(tmp_path: Path):
    scene = dp.Scene(hold={"panda_finger_joint1": 0.01})
    hold = {"panda_finger_joint1": 0.03}
    plan = dp.plan("panda", scene, "home", "left", planner="rrtconnect", hold=hold)
    assert plan.robot.held_joints["panda_finger_joint1"] == plan.scene.hold["panda_finger_joint1"] == 0.03
    for wrong in ({"panda_finger": 0.03}, {"panda_finger_joint1": 0.3}, {"panda_finger_joint1": "open"}):
        with pytest.raises(InputError, match="panda_finger"):
            dp.plan("panda", scene, "home", "left", hold=wrong)
