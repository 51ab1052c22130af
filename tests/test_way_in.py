"""Starts that are not quite right: taken only where that was asked for, and said."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import diffplan as dp
from diffplan.cli import main
from diffplan.problem import Status, Trajectory
from diffplan.recheck import recheck
from diffplan.retime import retime
from diffplan.robot import Robot
from diffplan.scene import Scene
from diffplan.simulation.certificate import Certifier
from diffplan.spline import straight

ASIDE = dp.Scene(obstacles=(dp.Sphere(name="ball", radius=0.1, pose=dp.Pose(xyz=(0.5, 0.4, 0.9))),))


@pytest.fixture(scope="module", name="panda")
def _panda() -> Robot:
    return Robot.load("panda")


def _beyond(panda: Robot, by: float = 0.01) -> np.ndarray:
    """Return a free start with its first joint below, its last above the limits."""
    start = panda.configuration("home")
    start[0], start[6] = panda.lower[0] - by, panda.upper[6] + by / 2
    return start


def _timed(panda: Robot, way: list[np.ndarray]) -> Trajectory:
    """Return the motion that rests at each of these joint positions."""
    wide = replace(panda, lower=panda.lower - 1, upper=panda.upper + 1)
    motion = retime(straight(way[0], way[1], 8), wide)
    assert motion is not None
    if len(way) == 2:
        return motion
    from diffplan.way_in import WayIn

    return WayIn(trajectory=motion).then(_timed(panda, way[1:]))


@pytest.mark.parametrize("planner", ["diffusion", "rrtconnect", "chomp-tuned", "stomp", "straight"])
def test_a_start_a_hair_outside_is_taken_only_if_asked_for_and_it_is_said(panda: Robot, planner: str):
    start = _beyond(panda)
    for tolerance in (0.0, 0.0099):
        refused = dp.plan(panda, ASIDE, start, "home", planner=planner, fallback=False, start_tolerance=tolerance)
        assert refused.status is Status.START_OUTSIDE_LIMITS
        assert "start_tolerance=0.0100 (--start-tolerance)" in refused.message
        assert refused.trajectory is None
    plan = dp.plan(panda, ASIDE, start, "home", planner=planner, fallback=False, start_tolerance=0.01)
    assert plan.solved, plan.message
    assert plan.certificate is not None
    assert plan.trajectory is not None
    assert {(o.joint, round(o.by, 9)) for o in plan.certificate.start_outside} == {
        ("panda_joint1", 0.01),
        ("panda_joint7", 0.005),
    }
    assert "outside the joint limits (panda_joint1 by 0.01, panda_joint7 by 0.005)" in plan.message
    np.testing.assert_array_equal(plan.start, start)
    np.testing.assert_array_equal(plan.trajectory.position[0], start)
    fine = plan.trajectory.sampled(1000).position
    outside = np.maximum(panda.lower - fine, fine - panda.upper).max(axis=1)
    back = int(np.argmax(outside <= 1e-6))
    assert np.all(np.diff(outside[: back + 1]) <= 1e-9)
    assert np.all(outside[back:] <= 1e-6)


def test_the_file_says_it_and_the_plan_is_certified_again_as_it_was(panda: Robot, tmp_path: Path, capsys):
    plan = dp.plan(panda, ASIDE, _beyond(panda), "home", start_tolerance=0.02)
    plan.save(tmp_path / "plan.json")
    assert dp.Plan.load(tmp_path / "plan.json").certificate == plan.certificate
    assert recheck(tmp_path / "plan.json").holds
    assert main(["check", str(tmp_path / "plan.json")]) == 0
    assert "panda_joint1 by 0.01" in capsys.readouterr().err


def test_the_command_takes_the_option_and_says_what_was_allowed(panda: Robot, capsys):
    start = ",".join(str(value) for value in _beyond(panda))
    assert main(["plan", "bookshelf", f"--start={start}", "--goal=home"]) == 1
    assert "--start-tolerance" in capsys.readouterr().err
    assert main(["plan", "bookshelf", f"--start={start}", "--goal=home", "--start-tolerance=0.01"]) == 0
    assert "as start_tolerance 0.01 allows" in capsys.readouterr().err


def test_a_start_inside_the_limits_gets_the_same_plan_whatever_the_tolerance(panda: Robot):
    one, other = (dp.plan(panda, ASIDE, "home", "right", start_tolerance=t) for t in (0.0, 0.05))
    assert one.trajectory is not None
    assert other.trajectory is not None
    np.testing.assert_array_equal(one.trajectory.position, other.trajectory.position)
    assert one.certificate == other.certificate
    assert one.message == other.message


def test_goals_are_not_widened(panda: Robot):
    plan = dp.plan(panda, ASIDE, _beyond(panda), _beyond(panda, 0.005), start_tolerance=0.05)
    assert plan.status is Status.GOAL_OUTSIDE_LIMITS


@pytest.mark.parametrize("value", [-1e-9, 0.051, 1.0, float("nan"), float("inf"), "much", True, None])
def test_tolerances_that_make_no_sense_are_refused(panda: Robot, value: object):
    with pytest.raises(dp.InputError, match="start_tolerance"):
        dp.plan(panda, ASIDE, "home", "right", start_tolerance=value)  # pyright: ignore[reportArgumentType]
    with Certifier(panda, Scene()) as certifier, pytest.raises(dp.InputError, match="start_tolerance"):
        certifier.certify(
            _timed(panda, [panda.configuration("home"), panda.configuration("right")]),
            start=panda.configuration("home"),
            goals=panda.configuration("right")[None],
            start_tolerance=value,  # pyright: ignore[reportArgumentType]
        )


def test_the_certificate_lets_no_joint_farther_out_nor_out_again(panda: Robot):
    home = panda.configuration("home")
    at = {by: np.concatenate([[panda.lower[0] - by], home[1:]]) for by in (-0.1, 0.0, 0.001, 0.009, 0.01, 0.011)}
    other = at[0.01] + np.array([0, 0, 0, 0, 0, 0, 0.3])
    over = at[-0.1] + np.array([0, 0, 0, 0, 0, 0, panda.upper[6] + 0.005 - home[6]])
    cases = {
        "straight in": ([at[0.01], home], True),
        "in steps": ([at[0.01], at[0.009], at[0.0], home], True),
        "along the limit's outside": ([at[0.01], other, home], True),  # no farther out; allowed, though of no use
        "farther out first": ([at[0.01], at[0.011], home], False),
        "back out": ([at[0.01], at[0.001], at[0.009], home], False),
        "in and out again": ([at[0.01], at[-0.1], at[0.001], home], False),
        "another joint out": ([at[0.01], over, home], False),
        "too far out": ([at[0.011], home], False),
    }
    with Certifier(panda, Scene()) as certifier:
        for name, (way, fine) in cases.items():
            motion = _timed(panda, way)
            verdict = certifier.certify(motion, start=way[0], goals=home[None], start_tolerance=0.01)
            assert verdict.valid == fine, (name, verdict.reason)
            assert fine or "leaves its position limits" in verdict.reason
            assert bool(verdict.start_outside) == (fine and len(way) > 1), name
            assert not certifier.certify(motion, start=way[0], goals=home[None]).valid
