from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from diffplan.benchmark.worker import BenchmarkSettings, Job, _run, row_of
from diffplan.problem import Certificate, Judged, Plan, Status, Trajectory, trajectory_metrics

ROBOT = SimpleNamespace(name="r", distance=lambda a, b: np.linalg.norm(np.asarray(b) - a, axis=-1))
JOB = Job(planner="p", case=0, problem="box/1", seed=3)


def _plan(*, status=Status.SOLVED, valid=True):
    time = np.linspace(0, 1, 5)
    ramp = time[:, None] * np.ones(7)
    trajectory = Trajectory(time=time, position=ramp, velocity=ramp * 0 + 1, acceleration=ramp * 0)
    certificate = Certificate(
        valid=valid,
        reason="" if valid else "touches",
        checked_by="PyBullet",
        method="m",
        resolution_rad=0.01,
        min_clearance_m=0.02,
        min_self_clearance_m=0.03,
        closest=None,
        joint_limits_ok=True,
        velocity_limits_ok=True,
        acceleration_limits_ok=True,
        start_error_rad=0.0,
        goal_error_rad=0.0,
        goal_index=1,
        configurations_checked=9,
    )
    return Plan(
        status=status,
        message="advice",
        planner="p",
        solved_by="p",
        robot=ROBOT,
        scene=SimpleNamespace(name="s"),
        seed=3,
        start=np.zeros(7),
        goals=np.ones((2, 7)),
        trajectory=trajectory,
        certificate=certificate,
        metrics=trajectory_metrics(trajectory),
        timing_s={"plan": 0.2, "certify": 0.3},
        judged=Judged(offered=3, rejected=2, first_rejected=True),
    )


def test_a_row_tells_the_plans_numbers():
    row = row_of(_plan(), JOB)
    assert (row.planner, row.problem, row.set, row.seed, row.status) == ("p", "box/1", "box", 3, "solved")
    assert (row.plan_time_s, row.certify_time_s, row.joint_steps, row.goal_index) == (0.2, 0.3, 5, 1)
    assert row.path_length_rad == pytest.approx(np.sqrt(7))
    assert row.certified
    assert (row.offered, row.rejected, row.first_rejected) == (3, 2, 1)


def test_a_planners_belief_without_a_valid_certificate_is_no_success():
    assert not row_of(_plan(status=Status.NOT_CERTIFIED, valid=False), JOB).certified


def test_a_failure_still_tells_the_straight_line_to_the_nearest_goal():
    plan = Plan(
        status=Status.NO_PATH_FOUND,
        message="advice",
        planner="p",
        solved_by="",
        robot=ROBOT,
        scene=SimpleNamespace(name="s"),
        seed=0,
        start=np.zeros(2),
        goals=np.array([[3.0, 4.0], [0.0, 2.0]]),
    )
    row = row_of(plan, JOB)
    assert (row.certified, row.straight_line_rad, row.message, row.status) == (False, 2.0, "advice", "no_path_found")
    assert (row.offered, row.rejected, row.first_rejected) == (0, 0, None)


@dataclass
class _Raising:
    def plan(self, **_):
        raise RuntimeError("the planner's own fault")


def test_a_planner_that_raises_gives_a_row_that_says_where(tmp_path):
    settings = BenchmarkSettings(
        suite="none", robot=None, timeout=1.0, fallback=True, options={}, dense_check=None, folder=tmp_path
    )
    row = _run(_Raising(), JOB, settings).row
    assert row.status == "error"
    assert row.message.startswith("RuntimeError: the planner's own fault (test_worker.py:")
