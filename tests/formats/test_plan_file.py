import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from diffplan.errors import InputError
from diffplan.formats.plan_file import load_plan, plan_document, save_plan
from diffplan.formats.robot_file import load_robot
from diffplan.problem import Alternative, Certificate, Closest, Plan, Status, Trajectory, trajectory_metrics
from diffplan.scene import Scene


def trajectory(seed: int) -> Trajectory:
    rng = np.random.default_rng(seed)
    position, velocity, acceleration = rng.normal(size=(3, 5, 7))
    return Trajectory(time=np.arange(5) * 0.01, position=position, velocity=velocity, acceleration=acceleration)


CERTIFICATE = Certificate(
    valid=True,
    reason="",
    checked_by="pybullet",
    method="bisection",
    resolution_rad=0.01,
    min_clearance_m=0.0123,
    min_self_clearance_m=None,
    closest=Closest(link="panda_hand", obstacle="shelf", time_s=0.02),
    joint_limits_ok=True,
    velocity_limits_ok=True,
    acceleration_limits_ok=True,
    start_error_rad=0.0,
    goal_error_rad=1e-9,
    goal_index=1,
    configurations_checked=321,
)
METRICS = trajectory_metrics(trajectory(0))


@pytest.fixture(scope="module")
def plan() -> Plan:
    robot = load_robot("panda", collision=False)
    return Plan(
        status=Status.SOLVED,
        message=Status.SOLVED.advice,
        planner="diffusion",
        solved_by="diffusion",
        robot=robot,
        scene=Scene(name="shelf"),
        seed=3,
        start=robot.configuration("home"),
        goals=np.zeros((2, 7)),
        trajectory=trajectory(0),
        certificate=CERTIFICATE,
        metrics=METRICS,
        timing_s={"load": 0.1, "total": 0.5},
        alternatives=(Alternative(trajectory=trajectory(1), certificate=CERTIFICATE, metrics=METRICS),),
    )


def equal(a: Trajectory | None, b: Trajectory | None) -> bool:
    assert a is not None
    assert b is not None
    return all(np.array_equal(getattr(a, k), getattr(b, k)) for k in ("time", "position", "velocity", "acceleration"))


def test_a_plan_comes_back_as_it_was_saved(plan: Plan, tmp_path: Path) -> None:
    plan.save(tmp_path / "plan.json")
    loaded = load_plan(tmp_path / "plan.json")
    assert loaded.status is Status.SOLVED
    assert (loaded.robot, loaded.scene, loaded.seed, loaded.goal_index) == ("panda", "shelf", 3, 1)
    assert loaded.joint_names == plan.robot.joint_names
    assert loaded.held_joints == plan.robot.held_joints
    assert equal(loaded.trajectory, plan.trajectory)
    assert (loaded.certificate, loaded.metrics, loaded.timing_s) == (CERTIFICATE, METRICS, plan.timing_s)
    assert equal(loaded.alternatives[0].trajectory, plan.alternatives[0].trajectory)
    assert loaded.versions["diffplan"]


def test_a_plan_file_has_the_promised_keys(plan: Plan) -> None:
    document = plan_document(plan)
    promised = (
        "status message planner solved_by robot scene seed joint_names time_s position velocity acceleration "
        "goal_index certificate metrics timing_s alternatives versions"
    )
    assert set(promised.split()) <= set(document)
    certificate = document["certificate"]
    assert isinstance(certificate, dict)
    assert certificate["closest"] == {"link": "panda_hand", "obstacle": "shelf", "time_s": 0.02}


def test_a_plan_that_failed_is_saved_with_its_reason(plan: Plan, tmp_path: Path) -> None:
    failed = replace(
        plan,
        status=Status.GOAL_UNREACHABLE,
        solved_by="",
        trajectory=None,
        certificate=None,
        metrics=None,
        goals=np.zeros((0, 7)),
        alternatives=(),
    )
    save_plan(failed, tmp_path / "plan.json")
    loaded = load_plan(tmp_path / "plan.json")
    assert loaded.status is Status.GOAL_UNREACHABLE
    assert (loaded.trajectory, loaded.certificate, loaded.metrics, loaded.goal_index) == (None, None, None, None)


def test_a_failed_write_leaves_the_old_file_and_no_scrap(plan: Plan, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    save_plan(plan, file)
    before = file.read_bytes()
    assert plan.trajectory is not None
    broken = replace(plan, trajectory=replace(plan.trajectory, time=np.full(5, np.nan)))
    with pytest.raises(ValueError, match="not JSON compliant"):
        save_plan(broken, file)
    assert file.read_bytes() == before
    with pytest.raises(InputError, match="cannot be written"):
        save_plan(plan, tmp_path / "no" / "plan.json")
    assert list(tmp_path.iterdir()) == [file]


def test_keys_added_later_do_not_stop_a_reader(plan: Plan, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text(json.dumps({**plan_document(plan), "colour": "red"}))
    assert load_plan(file).seed == 3


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("seed", None, "seed: not a number"),
        ("velocity", [[0] * 7], r"velocity: not as many rows as time_s .*5 rows"),
        ("position", [[0] * 6] * 5, r"position\[0\]: wrong length"),
        ("status", "solvd", r"status: unknown status \(did you mean 'solved'\?\)"),
        ("certificate", {}, "certificate: key 'valid' is missing"),
    ],
)
def test_a_wrong_plan_file_is_refused(plan: Plan, tmp_path: Path, key: str, value: object, message: str) -> None:
    file = tmp_path / "plan.json"
    file.write_text(json.dumps({**plan_document(plan), key: value}))
    with pytest.raises(InputError, match=message):
        load_plan(file)
