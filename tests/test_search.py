"""Ways among candidates: alternatives that differ, best first, and plans that begin with an earlier one."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import diffplan as dp
from diffplan.certificate.certifier import Certifier
from diffplan.curves import spline
from diffplan.formats.plan_file import plan_document
from diffplan.planners.base import Candidate, Planner
from diffplan.planners.polyline import resample
from diffplan.planners.task import Task
from diffplan.problem import Judged, Plan
from diffplan.search import FURTHER_ROUNDS

POLE = dp.Cylinder(name="pole", radius=0.03, height=1.2, pose=dp.Pose(xyz=(0.45, 0.0, 0.6)))


@pytest.fixture(scope="module")
def robot() -> dp.Robot:
    return dp.Robot.load("panda")


@pytest.fixture(scope="module")
def ends(robot: dp.Robot) -> tuple[np.ndarray, np.ndarray]:
    """From one side of the pole to the other."""
    start, goal = robot.configuration("home").copy(), robot.configuration("home").copy()
    start[:2], goal[:2] = (0.9, 0.1), (-0.9, 0.1)
    return start, goal


@pytest.fixture(scope="module")
def plan(robot: dp.Robot, ends: tuple[np.ndarray, np.ndarray]) -> Plan:
    return dp.plan(robot, dp.Scene(obstacles=(POLE,)), *ends, fallback=False, timeout=100, alternatives=2)


def _tips(robot: dp.Robot, position: np.ndarray) -> np.ndarray:
    return robot.link_pose(position, "panda_hand")[:, :3, 3]


def test_both_ways_round_a_pole_are_found_certified_and_sorted(plan: Plan, robot: dp.Robot) -> None:
    assert plan.solved
    assert 1 <= len(plan.alternatives) <= 2
    ways = [plan.trajectory, *(way.trajectory for way in plan.alternatives)]
    assert all(way.certificate.valid for way in plan.alternatives)
    assert plan.trajectory is not None
    assert [way.duration for way in ways if way] == sorted(way.duration for way in ways if way)
    one = resample(plan.trajectory.position, 32)
    with Certifier(robot, plan.scene) as judge:
        for way in plan.alternatives:
            other = resample(way.trajectory.position, 32)
            assert np.linalg.norm(one - other, axis=1).max() > 0.5
            between = (one[:, None] + (other - one)[:, None] * np.linspace(0, 1, 9)[:, None]).reshape(-1, robot.dof)
            assert any("pole" in judge.check(q).contact for q in between)  # PyBullet sees what stands between them


def test_an_empty_scene_has_no_alternatives(robot: dp.Robot, ends: tuple[np.ndarray, np.ndarray]) -> None:
    plan = dp.plan(robot, dp.Scene(), *ends, fallback=False, timeout=100, alternatives=3)
    assert plan.solved
    assert plan.alternatives == ()
    assert plan.message.endswith("; 0 of 3 alternatives found")


def test_another_goal_is_another_way(robot: dp.Robot, ends: tuple[np.ndarray, np.ndarray]) -> None:
    start, goal = ends
    far, near = goal.copy(), goal.copy()
    far[0] -= 0.8
    near[0] -= 0.1
    plan = dp.plan(robot, dp.Scene(), start, [goal, near, far], fallback=False, timeout=100, alternatives=3)
    assert [way.certificate.goal_index for way in plan.alternatives] == [2]


class Endless(Planner):
    """The straight line in every round, and how many rounds were asked for."""

    name = "scripted"
    asked = 0

    def candidates(self, task: Task) -> Iterator[Candidate]:
        control = spline.straight(task.problem.start, task.problem.goals[0], 8)
        for number in range(1, 1000):
            self.asked = number
            yield Candidate(control=control, goal_index=0, source="endless", round=number)


def test_the_search_for_alternatives_ends_a_few_rounds_after_the_first_way(
    robot: dp.Robot, ends: tuple[np.ndarray, np.ndarray]
) -> None:
    endless = Endless()
    plan = dp.plan(robot, dp.Scene(), *ends, planner=endless, timeout=100, alternatives=1)
    assert plan.solved
    assert plan.alternatives == ()
    assert endless.asked == 1 + FURTHER_ROUNDS + 1


class ThroughThenRound(Planner):
    """Twice the straight line, then the path that was found before."""

    name = "scripted"

    def __init__(self, found: np.ndarray) -> None:
        self.found = found

    def candidates(self, task: Task) -> Iterator[Candidate]:
        through = spline.straight(task.problem.start, task.problem.goals[0], 8)
        for control in (through, through, spline.fit(self.found, 32)):
            yield Candidate(control=control, goal_index=0, source="tries")


def test_a_plan_tells_how_many_paths_were_offered_and_refused(
    plan: Plan, robot: dp.Robot, ends: tuple[np.ndarray, np.ndarray]
) -> None:
    assert plan.trajectory is not None
    planner = ThroughThenRound(plan.trajectory.position)
    hindered = dp.plan(robot, plan.scene, *ends, planner=planner, timeout=100)
    assert hindered.solved
    assert hindered.judged == Judged(offered=3, rejected=2, first_rejected=True)
    assert plan_document(hindered)["judged"] == {
        "offered": 3,
        "rejected": 2,
        "first_rejected": True,
        "untimed": 0,
    }
    free = dp.plan(robot, dp.Scene(), *ends, planner=planner, timeout=100)
    assert free.judged == Judged(offered=1, rejected=0, first_rejected=False)


def test_where_the_ends_are_hopeless_nothing_was_offered(robot: dp.Robot, ends: tuple[np.ndarray, np.ndarray]) -> None:
    plan = dp.plan(robot, dp.Scene(), ends[0], ends[1] + 10)
    assert plan.status is dp.Status.GOAL_OUTSIDE_LIMITS
    assert plan.judged == Judged(offered=0, rejected=0, first_rejected=None)


def test_a_motion_that_still_holds_comes_back_as_it_is(plan: Plan, ends: tuple[np.ndarray, np.ndarray]) -> None:
    aside = plan.scene.add(dp.Sphere(name="ball", radius=0.05, pose=dp.Pose(xyz=(-0.6, 0.0, 0.3))))
    again = dp.plan(plan.robot, aside, *ends, warm_start=plan, fallback=False)
    assert (again.solved_by, again.timing_s["plan"] < 0.01) == ("warm-start", True)
    assert again.trajectory is plan.trajectory
    assert (again.judged.offered, again.judged.rejected) == (1, 0)
    assert again.certificate is not None
    assert again.certificate.valid


def test_a_motion_that_now_collides_is_adapted_and_judged_anew(plan: Plan, ends: tuple[np.ndarray, np.ndarray]) -> None:
    assert plan.trajectory is not None
    tips = _tips(plan.robot, plan.trajectory.position)
    x, y, z = tips[len(tips) // 2].tolist()
    inside = plan.scene.add(dp.Sphere(name="ball", radius=0.04, pose=dp.Pose(xyz=(x, y, z))))
    with Certifier(plan.robot, inside) as judge:
        assert not judge.certify(plan.trajectory, start=ends[0], goals=ends[1][None]).valid
    plans = [dp.plan(plan.robot, inside, *ends, warm_start=plan, fallback=False, timeout=100) for _ in range(2)]
    assert plans[0].solved
    assert plans[0].solved_by in ("warm-start", "repair")
    assert plans[0].trajectory is not None
    assert plans[1].trajectory is not None
    assert np.array_equal(plans[0].trajectory.position, plans[1].trajectory.position)


def test_a_plan_file_will_do_and_new_ends_are_met(
    plan: Plan, ends: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    plan.save(tmp_path / "plan.json")
    start, goal = ends[0] + 0.03, ends[1] - 0.03
    moved = dp.plan(plan.robot, plan.scene, start, goal, warm_start=tmp_path / "plan.json", fallback=False, timeout=100)
    assert moved.solved_by in ("warm-start", "repair")
    assert moved.trajectory is not None
    assert np.array_equal(moved.trajectory.position[[0, -1]], np.stack([start, goal]))


def test_a_plan_that_cannot_be_started_from_is_refused(
    plan: Plan, ends: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    other = replace(plan.robot, joint_names=tuple("abcdefg"))
    for wrong, message, planner in (
        (replace(plan, robot=other), "other joints", "diffusion"),
        (replace(plan, status=dp.Status.NO_PATH_FOUND, trajectory=None), "no trajectory", "diffusion"),
        (tmp_path / "missing.json", "missing.json", "diffusion"),
        (plan, "cannot start from a plan", "rrtconnect"),
    ):
        with pytest.raises(dp.InputError, match=message):
            dp.plan(plan.robot, plan.scene, *ends, warm_start=wrong, planner=planner)


def test_less_than_no_alternatives_are_refused(plan: Plan, ends: tuple[np.ndarray, np.ndarray]) -> None:
    with pytest.raises(dp.InputError, match="alternatives"):
        dp.plan(plan.robot, plan.scene, *ends, alternatives=-1)
