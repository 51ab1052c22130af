"""Motions for controllers: what was written is read back as they would, and certified again."""

import csv
from pathlib import Path

import numpy as np
import pytest
import yaml

import diffplan as dp
from diffplan.certificate.certifier import Certifier
from diffplan.errors import InputError
from diffplan.problem import Trajectory


@pytest.fixture(scope="module")
def plan() -> dp.Plan:
    plan = dp.plan("panda", "bookshelf", "home", "left", planner="rrtconnect", jerk="limited", speed=0.7)
    assert plan.solved
    return plan


def _from_csv(file: Path) -> tuple[list[str], Trajectory]:
    with file.open(newline="") as stream:
        heads, *rows = csv.reader(stream)
    values = np.array(rows, dtype=np.float64)
    dof = (len(heads) - 1) // 3
    names = [head.removesuffix(" position") for head in heads[1 : dof + 1]]
    assert heads == ["time_s", *(f"{n} {rate}" for rate in ("position", "velocity", "acceleration") for n in names)]
    time, position, velocity, acceleration = np.split(values, [1, dof + 1, 2 * dof + 1], axis=1)
    return names, Trajectory(time=time[:, 0], position=position, velocity=velocity, acceleration=acceleration)


def _from_ros(file: Path) -> tuple[list[str], Trajectory]:
    message = yaml.safe_load(file.read_text())
    assert set(message) == {"header", "joint_names", "points"}
    points = message["points"]
    times = [point["time_from_start"] for point in points]
    assert all(0 <= time["nanosec"] < 10**9 for time in times)
    rows = {key: np.array([point[key] for point in points]) for key in ("positions", "velocities", "accelerations")}
    return message["joint_names"], Trajectory(
        time=np.array([time["sec"] + 1e-9 * time["nanosec"] for time in times]),
        position=rows["positions"],
        velocity=rows["velocities"],
        acceleration=rows["accelerations"],
    )


READERS = {"csv": _from_csv, "ros": _from_ros}


@pytest.mark.parametrize("hz", [None, 100, 333])
@pytest.mark.parametrize("kind", READERS)
def test_a_written_motion_is_read_back_and_certified_again(plan: dp.Plan, tmp_path: Path, kind: str, hz) -> None:
    assert plan.trajectory
    file = tmp_path / "motion"
    (plan.to_csv if kind == "csv" else plan.to_ros)(file, hz=hz)
    names, motion = READERS[kind](file)
    assert tuple(names) == plan.robot.joint_names
    told = plan.trajectory if hz is None else plan.sampled(hz)
    np.testing.assert_array_equal(motion.position, told.position)
    np.testing.assert_array_equal(motion.velocity, told.velocity)
    np.testing.assert_allclose(motion.time, told.time, rtol=0, atol=0 if kind == "csv" else 0.6e-9)
    with Certifier(plan.robot, plan.scene) as certifier:
        verdict = certifier.certify(motion, start=plan.start, goals=plan.goals, jerk_limited=True)
    assert verdict.valid, verdict.reason
    assert verdict.jerk_share
    assert verdict.velocity_share
    assert verdict.jerk_share <= 0.7
    assert verdict.velocity_share <= 0.7 * 1.001


def test_only_certified_motions_are_written(tmp_path: Path) -> None:
    wall = dp.Box(name="wall", size=(0.1, 0.1, 1.0), pose=dp.Pose(xyz=(0.4, 0.0, 0.5)))
    failed = dp.plan("panda", dp.Scene(obstacles=(wall,)), "right", "left", planner="straight", fallback=False)
    assert not failed.solved
    for write in (failed.to_csv, failed.to_ros):
        with pytest.raises(InputError, match="this plan is not solved"):
            write(tmp_path / "motion")
    assert not list(tmp_path.iterdir())


def test_a_plan_tells_where_it_is_at_a_time_and_at_a_rate(plan: dp.Plan) -> None:
    assert plan.trajectory
    np.testing.assert_array_equal(plan.at(0.0).position, plan.start)
    assert len(plan.sampled(50).time) == int(np.ceil(plan.trajectory.duration * 50)) + 1
    unmoved = dp.plan("panda", dp.Scene(), "home", dp.Pose(xyz=(9.0, 0.0, 0.0)))
    for ask in (lambda: unmoved.at(0.0), lambda: unmoved.sampled(50), unmoved.tool_path):
        with pytest.raises(InputError, match="this plan has no motion"):
            ask()


def test_the_tool_path_is_that_of_the_tool_in_the_world() -> None:
    base = dp.Pose.from_rpy((0.3, -0.2, 0.1), (0.0, 0.0, 0.8))
    goal = base @ dp.Pose.from_rpy((0.4, 0.3, 0.5), (np.pi, 0.0, 0.4))
    plan = dp.plan("panda", dp.Scene(robot_base=base), "home", goal, planner="straight")
    assert plan.solved
    path = plan.tool_path(hz=100)
    np.testing.assert_array_equal(path.time, plan.sampled(100).time)
    np.testing.assert_allclose(path.xyz[-1], goal.xyz, atol=2e-5)
    assert abs(path.quat_xyzw[-1] @ goal.quat_xyzw) == pytest.approx(1, abs=1e-7)
    assert np.linalg.norm(np.diff(path.quat_xyzw, axis=0), axis=1).max() < 0.1
    assert len(plan.tool_path().time) == len(plan.trajectory.time if plan.trajectory else ())
