"""Joint curves."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from diffplan.errors import InputError
from diffplan.formats.robot_file import load_robot
from diffplan.problem import Alternative, Certificate, Plan, Status, Trajectory, trajectory_metrics
from diffplan.scene import Scene
from diffplan.viewer.plots import plot_joints


@pytest.fixture
def plan():
    robot = load_robot("panda", collision=False)
    time = np.linspace(0, 1, 50)
    wave = np.sin(time)[:, None] * np.ones(robot.dof)
    return Plan(
        status=Status.NOT_CERTIFIED,
        message="",
        planner="test",
        solved_by="test",
        robot=robot,
        scene=Scene(),
        seed=0,
        start=wave[0],
        goals=wave[-1:],
        trajectory=Trajectory(time=time, position=wave, velocity=wave, acceleration=wave),
    )


def test_curves_and_limits_are_drawn(plan, tmp_path):
    plot_joints(plan, tmp_path / "joints.png")
    with Image.open(tmp_path / "joints.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3).astype(int)
    for colour in ((0x2F, 0x6F, 0x9F), (0xC0, 0x39, 0x2B)):
        assert np.sum(np.abs(pixels - colour).max(axis=1) < 12) > 500


def test_a_plan_without_trajectory_and_other_files_are_refused(plan, tmp_path):
    with pytest.raises(InputError, match="no trajectory"):
        plot_joints(replace(plan, trajectory=None), tmp_path / "joints.png")
    with pytest.raises(InputError, match=r"\.xlsx"):
        plot_joints(plan, tmp_path / "joints.xlsx")


def test_alternatives_are_drawn_behind_in_grey(plan, tmp_path):
    shown = []
    for name, alternatives in (("one", ()), ("two", (_other_way(plan),))):
        plot_joints(replace(plan, alternatives=alternatives), tmp_path / f"{name}.png")
        with Image.open(tmp_path / f"{name}.png") as picture:
            pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3).astype(int)
        shown.append(np.sum(np.abs(pixels - (0xB8, 0xBE, 0xC6)).max(axis=1) < 6))
    assert shown[1] > shown[0] + 500


def _other_way(plan):
    """The same motion the other way."""
    trajectory = replace(plan.trajectory, position=-plan.trajectory.position)
    certificate = Certificate(
        valid=True,
        reason="",
        checked_by="test",
        method="test",
        resolution_rad=0.1,
        min_clearance_m=None,
        min_self_clearance_m=None,
        closest=None,
        joint_limits_ok=True,
        velocity_limits_ok=True,
        acceleration_limits_ok=True,
        start_error_rad=0.0,
        goal_error_rad=0.0,
        goal_index=0,
        configurations_checked=1,
    )
    return Alternative(trajectory=trajectory, certificate=certificate, metrics=trajectory_metrics(trajectory))
