"""Motions of a sequence in a row are joined: the arm passes from one to the next at speed, each part certified."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import diffplan as dp
from diffplan.certificate.certifier import Certifier
from diffplan.constraints.on_line import TOLERANCE_M, OnLine
from diffplan.problem import Plan, Trajectory
from diffplan.recheck import recheck
from diffplan.sequence.result import SequencePlan
from diffplan.sequence.steps import Step
from diffplan.sequence.task_file import load_task

ROBOT = dp.Robot.load("panda")
TABLE = dp.Box(name="table", size=(0.8, 1.2, 0.04), pose=dp.Pose(xyz=(0.6, 0.0, -0.02)))
CUBE = dp.Box(name="cube", size=(0.05, 0.05, 0.05), pose=dp.Pose(xyz=(0.5, 0.2, 0.025)))
SCENE = dp.Scene(name="table", robot="panda", obstacles=(TABLE, CUBE))
ABOVE = dp.Pose.from_rpy((0.5, -0.2, 0.35), (np.pi, 0.0, 0.0))


def planned(steps: list[Step], *, join: bool = True, jerk: str | None = None) -> SequencePlan:
    plan = dp.Sequence(steps).plan(ROBOT, SCENE, "home", seed=0, timeout=120.0, join=join, jerk=jerk)
    assert plan, plan.message
    return plan


def carried() -> list[Step]:
    steps = dp.pick_and_place("cube", dp.Pose(xyz=(0.5, -0.2, 0.025)), grasps="top")
    return [*steps, dp.Move("home")]


@pytest.fixture(scope="module")
def plan() -> SequencePlan:
    return planned(carried())


def motion(plan: Plan) -> Trajectory:
    assert plan.trajectory is not None
    return plan.trajectory


def end_speeds(plan: Plan) -> tuple[float, float]:
    first, last = np.abs(motion(plan).velocity[[0, -1]]).max(axis=1)
    return float(first), float(last)


def test_the_arm_stops_where_the_gripper_works_and_nowhere_else(plan: SequencePlan) -> None:
    ends = {step.label: step.goes_on for step in plan.steps if step.plan}
    assert ends == {
        "pick cube: come near": True,
        "pick cube: go in": False,
        "pick cube: lift": True,
        "place cube: carry": True,
        "place cube: lower": False,
        "place cube: go back": True,
        "move": False,
    }
    assert len(plan.motions) == 3


def test_at_a_passed_seam_the_arm_is_fast_and_both_sides_agree(plan: SequencePlan) -> None:
    for one, other in zip(plan.plans, plan.plans[1:], strict=False):
        before, after = motion(one), motion(other)
        assert one.certificate is not None
        assert other.certificate is not None
        assert one.certificate.to_rest == other.certificate.from_rest
        for name in ("position",) if one.certificate.to_rest else ("position", "velocity", "acceleration"):
            np.testing.assert_array_equal(getattr(before, name)[-1], getattr(after, name)[0])
        assert (end_speeds(one)[1] > 0.1) == (not one.certificate.to_rest)


def test_each_joined_motion_is_within_the_limits_as_a_whole_and_takes_less_time(plan: SequencePlan) -> None:
    for whole in plan.motions:
        assert np.abs(whole.velocity[[0, -1]]).max() < 1e-6
        assert np.all(np.diff(whole.time) > 0)
        assert np.all(np.abs(whole.velocity) <= 1.001 * ROBOT.velocity)
        assert np.all(
            np.abs(np.diff(whole.velocity, axis=0)) <= 1.001 * ROBOT.acceleration * np.diff(whole.time)[:, None]
        )
    apart = planned(carried(), join=False)
    assert not any(step.goes_on for step in apart.steps)
    assert plan.duration < 0.95 * apart.duration


def test_a_part_that_is_a_line_keeps_to_it_up_to_the_seam(plan: SequencePlan) -> None:
    lines = [one for one in plan.plans if one.planner == "line"]
    assert len(lines) == 4
    for one in lines:
        assert one.certificate is not None
        kept = next(one for one in one.certificate.constraints if one.name == "line")
        (on_line,) = [one for one in one.constraints if isinstance(one, OnLine)]
        fine = motion(one).at(np.linspace(0.0, motion(one).duration, 2000)).position
        poses = ROBOT.link_pose(fine, on_line.tool.link) @ on_line.tool.pose.matrix
        progress = np.clip(on_line.segment.progress(poses), 0.0, 1.0)
        away = np.linalg.norm(poses[:, :3, 3] - on_line.segment.at(progress)[:, :3, 3], axis=1)
        assert away.max() <= kept.worst <= TOLERANCE_M
        assert np.abs(progress[[0, -1]] - [0, 1]).max() * on_line.segment.length <= TOLERANCE_M


def test_only_the_part_that_lifts_or_lowers_may_touch_the_table(plan: SequencePlan) -> None:
    for step in plan.steps:
        if step.plan and step.plan.certificate:
            allowed = {frozenset(contact.pair) for contact in step.plan.scene.allowed_contacts}
            rests = step.label.endswith(("lift", "lower"))
            assert allowed == ({frozenset(("cube", "table"))} if rests else set()), step.label


def test_a_part_is_refused_by_whoever_does_not_know_that_it_is_one(plan: SequencePlan, tmp_path: Path) -> None:
    part = next(step.plan for step in plan.steps if step.goes_on)
    assert part is not None
    assert "ends at speed: a part of a longer motion" in part.message
    with Certifier(part.robot, part.scene) as certifier:
        alone = certifier.certify(motion(part), start=part.start, goals=motion(part).position[-1:])
    assert alone.reason == "does not begin and end at rest"
    with pytest.raises(dp.InputError, match="a part of a longer motion"):
        part.to_csv(tmp_path / "motion.csv")
    part.save(tmp_path / "part.json")
    assert recheck(tmp_path / "part.json").holds


def test_a_pause_of_no_time_is_a_stop() -> None:
    there = dp.Pose.from_rpy((0.45, 0.0, 0.4), (np.pi, 0.0, 0.0))
    passed = planned([dp.Move(there), dp.Move(ABOVE)])
    stopped = planned([dp.Move(there), dp.Pause(), dp.Move(ABOVE)])
    assert [step.goes_on for step in passed.steps] == [True, False]
    assert [step.kind for step in stopped.steps] == ["move", "pause", "move"]
    assert not any(step.goes_on for step in stopped.steps)
    with pytest.raises(dp.InputError, match="pause: no such time"):
        dp.Pause(-1.0)


def test_where_two_lines_meet_at_a_corner_the_arm_stops_and_where_they_go_on_it_does_not() -> None:
    down = dp.Line(to=(0.0, 0.0, -0.05))
    plan = planned([dp.Move(ABOVE), down, down, dp.Line(to=(0.05, 0.0, 0.0))])
    assert [step.goes_on for step in plan.steps[1:]] == [True, False, False]


def test_joined_motions_keep_jerk_limits_and_limits_on_speeds() -> None:
    slow = dp.Line(to=(0.0, 0.0, -0.1), constraints=[dp.speed("tool", 0.2)])
    plan = planned([dp.Move(ABOVE), slow], jerk="limited")
    for one in plan.plans:
        assert one.certificate is not None
        assert one.certificate.jerk_share is not None
        assert one.certificate.jerk_share <= 1.001
    kept = {one.name: one for one in plan.plans[1].certificate.constraints} if plan.plans[1].certificate else {}
    assert kept["speed"].worst <= 0.2


def test_a_task_file_can_ask_for_a_pause(tmp_path: Path) -> None:
    text = "format: diffplan/task@1\nscene: bookshelf\nsteps:\n  - pause: {}\n"
    file = tmp_path / "task.yaml"
    file.write_text(text.format(0.5))
    (step,) = load_task(file).sequence.steps
    assert step == dp.Pause(0.5)
    file.write_text(text.format(-2))
    with pytest.raises(dp.InputError, match="no such time"):
        load_task(file)
