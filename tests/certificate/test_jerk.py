"""Jerk limits: kept motions pass, others are refused, and so is an acceleration that the velocities do not have."""

from dataclasses import replace

import numpy as np
import pytest

import diffplan as dp
from diffplan.certificate.certifier import Certifier
from diffplan.curves import hermite
from diffplan.curves.spline import straight
from diffplan.curves.steps import Steps
from diffplan.problem import Trajectory
from diffplan.timing import retime

PANDA = dp.Robot.load("panda")
GENTLE = replace(PANDA, acceleration=4 * PANDA.velocity, jerk=80 * PANDA.velocity)
HOME = GENTLE.configuration("home")
THERE = HOME + 0.8 * np.array([1.0, 0.3, 0.0, 0.2, 0.0, 0.0, -1.0])


@pytest.fixture(scope="module")
def certifier():
    with Certifier(GENTLE, dp.Scene()) as judge:
        yield judge


def _timed(**options) -> Trajectory:
    trajectory = retime(straight(HOME, THERE, 16), GENTLE, **options)
    assert trajectory is not None
    return trajectory


def _reason(certifier: Certifier, trajectory: Trajectory, *, limited: bool = True) -> str:
    verdict = certifier.certify(trajectory, start=HOME, goals=THERE[None], jerk_limited=limited)
    assert verdict.valid == (not verdict.reason)
    assert (verdict.jerk_share is not None) == limited
    return verdict.reason


def test_a_motion_with_jerk_limited_passes_and_a_faster_one_is_refused_where_jerk_is_to_be_limited(certifier):
    assert _reason(certifier, _timed(jerk=True)) == ""
    assert _reason(certifier, _timed(), limited=False) == ""
    assert "exceeds its jerk limit by" in _reason(certifier, _timed())


def test_an_acceleration_that_is_smoother_than_the_velocities_is_refused(certifier):
    smooth = _timed(jerk=True)
    velocity = smooth.velocity.copy()
    velocity[1:-1, 2] += 0.003 * (-1.0) ** np.arange(len(velocity) - 2)
    woven = replace(smooth, velocity=velocity)
    assert _reason(certifier, woven, limited=False) == ""
    assert "no motion within the jerk limit of panda_joint3 has these samples" in _reason(certifier, woven)


def test_a_motion_that_begins_with_an_acceleration_is_refused(certifier):
    smooth = _timed(jerk=True)
    acceleration = smooth.acceleration.copy()
    acceleration[0, 0] += 0.01 * GENTLE.acceleration[0]
    assert "begin and end with zero acceleration" in _reason(certifier, replace(smooth, acceleration=acceleration))


def test_the_acceleration_of_a_cubic_is_off_by_no_more_than_told_and_may_be_so_much():
    n = 3000
    u = (np.arange(n) + 0.5) / n
    h, limit = 0.01, 70.0
    worst = np.sign((1 - u) * (1 - 3 * u))
    drawn = np.random.default_rng(0).choice([-1.0, 1.0], (200, 6)).repeat(n // 6, axis=1)
    shares = []
    for jerk in limit * np.concatenate([worst[None], -worst[None], drawn]):
        dt, fine = h / n, jerk
        a = 0.3 + np.concatenate([[0.0], np.cumsum(fine * dt)])
        v = 0.1 + np.concatenate([[0.0], np.cumsum(a[:-1] * dt + fine * dt**2 / 2)])
        q = np.concatenate([[0.0], np.cumsum(v[:-1] * dt + a[:-1] * dt**2 / 2 + fine * dt**3 / 6)])
        ends = Steps.of(np.array([0.0, h]), q[[0, -1], None], v[[0, -1], None]).at_ends[0, :, 0]
        shares.append(np.abs(ends - a[[0, -1]]).max() / (limit * h))
    assert max(shares) <= hermite.OFF_ACCELERATION + 1e-6
    assert max(shares) > 0.99 * hermite.OFF_ACCELERATION


@pytest.mark.parametrize("speed", [1.0, 0.4])
def test_a_plan_with_jerk_limited_says_so_and_is_certified_again_from_its_file(tmp_path, speed, capsys):
    from diffplan.cli import main

    out = tmp_path / "plan.json"
    words = ["plan", "bookshelf", "--query", "default", "--planner", "rrtconnect", "--jerk", "limited"]
    assert main([*words, "--speed", str(speed), "--out", str(out)]) == 0
    assert "jerk at most" in capsys.readouterr().err
    plan = dp.Plan.load(out)
    assert plan.certificate
    assert plan.certificate.jerk_share
    assert plan.certificate.velocity_share
    assert plan.speed == speed
    assert plan.certificate.jerk_share <= speed
    assert plan.certificate.velocity_share <= speed * 1.001
    assert main(["check", str(out)]) == 0
    words[-1] = "off"
    assert main([*words, "--out", str(out)]) == 0
    assert dp.Plan.load(out).certificate.jerk_share is None  # pyright: ignore[reportOptionalMemberAccess]


@pytest.mark.parametrize(
    "keys", [{"speed": 0}, {"speed": 1e-6}, {"speed": 1.5}, {"speed": "fast"}, {"jerk": "low"}, {"jerk": True}]
)
def test_a_speed_or_jerk_that_makes_no_sense_is_refused(keys):
    with pytest.raises(dp.InputError, match=next(iter(keys))):
        dp.plan("panda", dp.Scene(), "home", "left", **keys)


def test_the_short_motion_back_inside_the_limits_keeps_jerk_limits_and_speed_too():
    start = HOME.copy()
    start[3] = PANDA.lower[3] - 0.005
    options = {"planner": "rrtconnect", "start_tolerance": 0.01, "jerk": "limited", "speed": 0.5}
    plan = dp.plan(PANDA, dp.Scene(), start, "left", **options)
    assert plan.solved
    assert plan.certificate
    assert plan.certificate.start_outside
    assert plan.certificate.jerk_share
    assert plan.certificate.jerk_share <= 0.5
