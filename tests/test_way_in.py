"""Starts that are not quite right: taken only where that was asked for, and said."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import diffplan as dp
from diffplan.certificate.certifier import Certifier
from diffplan.cli import main
from diffplan.curves.spline import straight
from diffplan.problem import Status, Trajectory
from diffplan.recheck import recheck
from diffplan.robot.model import Robot
from diffplan.scene import Scene
from diffplan.timing import retime
from diffplan.way_in import WayIn, out_of_contact

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


def _ball(panda: Robot, q: np.ndarray, depth: float, seed: int = 0, kind: str = "ball") -> Scene:
    """Return a scene with a small obstacle that is `depth` deep in the hand or a finger at q [dof]."""
    rng = np.random.default_rng(seed)
    hand = panda.link_pose(q, "panda_hand")[0]
    towards = rng.normal(size=3) * [1, 1, 0.3]
    towards = hand[:3, :3] @ (towards / np.linalg.norm(towards) * [1, 1, 0] + [0, 0, 0.4 + rng.uniform(0, 1)])
    near, far = 0.0, 0.5

    def at(way: float) -> Scene:
        pose = dp.Pose(xyz=tuple(hand[:3, 3] + way * towards))
        if kind == "box":
            return Scene(obstacles=(dp.Box(name="thing", size=(0.08, 0.06, 0.1), pose=pose),))
        return Scene(obstacles=(dp.Sphere(name="thing", radius=0.04, pose=pose),))

    for _ in range(22):
        middle = (near + far) / 2
        with Certifier(panda, at(middle)) as certifier:
            near, far = (middle, far) if certifier.clearance(q) < -depth else (near, middle)
    return at(far)


@pytest.mark.parametrize(("depth", "kind"), [(-0.00005, "ball"), (0.001, "box"), (0.003, "ball")])
def test_light_contact_is_left_only_if_asked_for_and_it_is_said(panda: Robot, depth: float, kind: str, tmp_path: Path):
    home = panda.configuration("home")
    scene = _ball(panda, home, depth, kind=kind)
    for allowed in (0.0, max(depth, 0.0)):
        refused = dp.plan(panda, scene, "home", "right", start_contact_m=allowed)
        assert refused.status is Status.START_IN_COLLISION
        assert "start_contact_m" in refused.message
    plan = dp.plan(panda, scene, "home", "right", start_contact_m=depth + 0.001)
    assert plan.solved, plan.message
    assert plan.certificate is not None
    assert plan.certificate.exempt
    for one in plan.certificate.exempt:
        assert one.pair[1] == "thing"
        assert depth <= one.deepest_mm / 1000 <= depth + 0.001
        assert one.allowed_depth_mm == pytest.approx(1000 * depth + 1)
        assert f"{one.pair[0]} and thing, at most {one.deepest_mm:.1f} mm" in plan.message
    assert (plan.certificate.min_clearance_bound_m or 0) > 0
    plan.save(tmp_path / "plan.json")
    assert dp.Plan.load(tmp_path / "plan.json").certificate == plan.certificate
    assert recheck(tmp_path / "plan.json").holds
    with Certifier(panda, scene) as certifier:
        assert plan.trajectory is not None
        assert not certifier.certify(plan.trajectory, start=home, goals=plan.goals).valid


def _dense(certifier: Certifier, motion: Trajectory, pair: tuple[str, str]) -> np.ndarray:
    """Return the clearances [m] of a pair along the cubic and the straight lines, every 0.5 ms."""
    times = np.arange(0.0, motion.duration, 0.0005)
    lines = np.stack([np.interp(times, motion.time, joint) for joint in motion.position.T], axis=1)
    return np.array(
        [[certifier.clearances(q, [pair])[0] for q in way] for way in (motion.at(times).position, lines)]
    ).min(axis=0)


@pytest.mark.parametrize("seed", range(12))
def test_no_motion_out_of_contact_is_taken_that_goes_deeper_or_touches_again(panda: Robot, seed: int):
    """Random short motions from a start in contact, a way out among them: measured densely, what is valid is true."""
    rng = np.random.default_rng(seed)
    home, depth = panda.configuration("home"), 0.004
    scene = _ball(panda, home, rng.uniform(-0.00009, 0.003), seed, rng.choice(["ball", "box"]))
    with Certifier(panda, scene) as certifier:
        out = out_of_contact(certifier, home, depth, retime)
        assert out is not None
        motions = [out.trajectory, *(_timed(panda, [home, home + rng.normal(0, 0.05, panda.dof)]) for _ in range(8))]
        motions += [_timed(panda, [home, home + share * (out.end - home)]) for share in (0.1, 0.3, 0.6)]
        back = out.end + 1.1 * (home - out.end)
        motions += [_timed(panda, [home, out.end, back]), _timed(panda, [home, back, out.end])]
        verdicts = []
        for motion in motions:
            goals = motion.position[-1:]
            verdict = certifier.certify(motion, start=home, goals=goals, start_contact_m=depth)
            verdicts.append(verdict.valid)
            assert not certifier.certify(motion, start=home, goals=goals).valid
            if not verdict.valid:
                assert not verdict.exempt or "touch" in verdict.reason or "limits" in verdict.reason
                continue
            for pair in certifier.touching(home):
                (one,) = (exempt for exempt in verdict.exempt if exempt.pair == pair)
                seen = _dense(certifier, motion, pair)
                assert seen.min() >= -one.deepest_mm / 1000 - 1e-6
                assert np.all(seen[int(np.ceil(one.until_s / 0.0005)) :] > 0)
        assert verdicts[0]
        assert not any(verdicts[-2:])


def test_what_touches_besides_is_not_exempt(panda: Robot):
    """A second obstacle in the way out: pairs that do not touch at the start are judged as always."""
    home = panda.configuration("home")
    scene = _ball(panda, home, 0.002)
    with Certifier(panda, scene) as certifier:
        out = out_of_contact(certifier, home, 0.003, retime)
        assert out is not None
        assert certifier.certify(out.trajectory, start=home, goals=out.end[None], start_contact_m=0.003).valid
    at = panda.link_pose(home, "panda_link4")[0, :3, 3]
    more = scene.add(dp.Sphere(name="other", radius=0.2, pose=dp.Pose(xyz=tuple(at))))
    with Certifier(panda, more) as certifier:
        verdict = certifier.certify(out.trajectory, start=home, goals=out.end[None], start_contact_m=0.003)
        assert not verdict.valid
        assert "other" in verdict.reason


@pytest.mark.parametrize("value", [-1e-9, 0.0051, float("nan"), "much", True, None])
def test_depths_that_make_no_sense_are_refused(panda: Robot, value: object):
    with pytest.raises(dp.InputError, match="start_contact_m"):
        dp.plan(panda, ASIDE, "home", "right", start_contact_m=value)  # pyright: ignore[reportArgumentType]
