"""What the certificate says of constraints holds between the samples too: measured densely, nothing is beyond it."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

import diffplan as dp
from diffplan.certificate.certifier import Certifier
from diffplan.certificate.constraint_bounds import kept_bounds, on_line, out_of_box, tilt
from diffplan.certificate.frame_motion import FrameMotion
from diffplan.constraints.kinds import Constraint, SpeedLimit, StayIn, Upright
from diffplan.constraints.on_line import OnLine, Segment
from diffplan.curves.spline import straight
from diffplan.formats.robot_file import load_robot
from diffplan.problem import Trajectory
from diffplan.robot.model import Robot, Tool
from diffplan.timing import retime

PANDA = load_robot("panda", collision=False)
BASE = dp.Pose.from_rpy((0.3, -0.2, 0.5), (0.1, 0.2, 0.3))
TOOL = Tool(link="panda_hand", pose=dp.Pose.from_rpy((0.05, 0.02, 0.15), (0.4, 0.0, 0.2)))


def _any(robot: Robot, seed: int, n: int = 12, size: float = 1.0) -> Trajectory:
    """Samples of no motion in particular: steps of up to 0.1 rad, velocities that do not belong to them."""
    rng = np.random.default_rng(seed)
    time = np.cumsum(rng.uniform(0.002, 0.01, n))
    middle = rng.uniform(0.8 * robot.lower, 0.8 * robot.upper)
    position = middle + np.cumsum(rng.normal(0, 0.05 * size, (n, robot.dof)), axis=0)
    velocity = rng.normal(0, 2.0 * size, (n, robot.dof))
    return Trajectory(time=time, position=position, velocity=velocity, acceleration=np.zeros_like(position))


def _between(robot: Robot, base: dp.Pose, tool: Tool, motion: Trajectory, parts: int = 40) -> tuple[np.ndarray, ...]:
    """Return the tool's poses [steps, parts + 1, 4, 4] on the straight lines and on the cubics, and the shares."""
    u = np.linspace(0.0, 1.0, parts + 1)
    q = motion.position
    lines = q[:-1, None] + u[:, None] * np.diff(q, axis=0)[:, None]
    times = motion.time[:-1, None] + u * np.diff(motion.time)[:, None]
    cubic = motion.at(np.minimum(times, motion.time[-1]).ravel()).position

    def poses(q: np.ndarray) -> np.ndarray:
        found = base.matrix @ robot.link_pose(q.reshape(-1, robot.dof), tool.link) @ tool.pose.matrix
        return found.reshape(len(motion.time) - 1, parts + 1, 4, 4)

    return poses(lines), poses(cubic), u


def _angle(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (Rotation.from_matrix(a.reshape(-1, 3, 3)).inv() * Rotation.from_matrix(b.reshape(-1, 3, 3))).magnitude()


@pytest.mark.parametrize("seed", range(12))
def test_a_frame_strays_no_farther_from_its_chords_than_bounded(any_robot: Robot, seed: int) -> None:
    motion = _any(any_robot, seed)
    tool = Tool(link=any_robot.end_link, pose=TOOL.pose)
    found = FrameMotion.of(any_robot, BASE, tool, motion)
    lines, cubic, u = _between(any_robot, BASE, tool, motion)
    ends = found.poses
    chord = ends[:-1, None, :3, 3] + u[:, None] * (ends[1:, :3, 3] - ends[:-1, :3, 3])[:, None]
    sag = np.linalg.norm(lines[..., :3, 3] - chord, axis=2).max(axis=1)
    assert np.all(sag <= found.sag_m)
    assert sag.max() > 0.05 * found.sag_m.max()  # the bound is of the right size
    aside = np.linalg.norm(cubic[..., :3, 3] - lines[..., :3, 3], axis=2).max(axis=1)
    assert np.all(aside <= found.aside_m + 1e-12)
    turned = _angle(lines[..., :3, :3], cubic[..., :3, :3]).reshape(len(sag), -1).max(axis=1)
    assert np.all(turned <= found.aside_rad + 1e-9)


def _worst(line: Segment, poses: np.ndarray) -> tuple[float, float]:
    """Measure how far poses [..., 4, 4] are from a line, and how their orientations differ from its own there."""
    poses = poses.reshape(-1, 4, 4)
    begin, end = np.array(line.begin.xyz), np.array(line.end.xyz)
    way = end - begin
    s = np.clip((poses[:, :3, 3] - begin) @ way / (way @ way), 0.0, 1.0)
    away = np.linalg.norm(poses[:, :3, 3] - begin - s[:, None] * way, axis=1)
    first = Rotation.from_quat(line.begin.quat_xyzw)
    turn = (first.inv() * Rotation.from_quat(line.end.quat_xyzw)).as_rotvec()
    turned = (first * Rotation.from_rotvec(s[:, None] * turn)).inv() * Rotation.from_matrix(poses[:, :3, :3])
    return float(away.max()), float(turned.magnitude().max())


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), size=st.sampled_from([0.05, 0.3, 1.0]), far=st.sampled_from([0.02, 0.1, 0.5]))
def test_no_motion_strays_farther_from_a_line_than_the_certificate_says(seed: int, size: float, far: float) -> None:
    motion = _any(PANDA, seed, size=size)
    rng = np.random.default_rng(seed)
    begin = dp.Pose.from_matrix(BASE.matrix @ PANDA.link_pose(motion.position[0], TOOL.link)[0] @ TOOL.pose.matrix)
    to = Rotation.from_rotvec(rng.normal(0, 0.5, 3)).as_quat().tolist()
    way = rng.normal(size=3)
    line = Segment(begin=begin, end=begin @ dp.Pose(xyz=tuple(far * way / np.linalg.norm(way)), quat_xyzw=tuple(to)))
    position, orientation = on_line(OnLine(tool=TOOL, segment=line), FrameMotion.of(PANDA, BASE, TOOL, motion))
    for poses in _between(PANDA, BASE, TOOL, motion)[:2]:
        away, turned = _worst(line, poses)
        assert away <= position
        assert turned <= orientation + 1e-9


def test_what_stays_near_a_line_is_bounded_closely(timed: Callable[..., Trajectory]) -> None:
    home = PANDA.configuration("home")
    motion = timed(np.stack([home, home + 0.01]), 0.2)
    tool = Tool(link="panda_hand")
    poses = PANDA.link_pose(motion.position[[0, -1]], "panda_hand")
    line = Segment(begin=dp.Pose.from_matrix(poses[0]), end=dp.Pose.from_matrix(poses[1]))
    position, orientation = kept_bounds(PANDA, dp.Pose(), motion, [OnLine(tool=tool, segment=line)])
    measured = _worst(line, PANDA.link_pose(motion.position, "panda_hand"))
    assert measured[0] <= position.worst <= measured[0] + 2e-5
    assert measured[1] <= orientation.worst <= measured[1] + 2e-4


@pytest.mark.parametrize(("offset", "turn_deg", "kept"), [(0.0005, 0.2, True), (0.0011, 0.0, False), (0.0, 0.6, False)])
def test_a_motion_is_certified_only_if_it_stays_on_its_line(
    panda: Robot, timed: Callable[..., Trajectory], offset: float, turn_deg: float, kept: bool
) -> None:
    home = panda.configuration("home")
    motion = timed(np.stack([home, home + 0.01]), 0.2)
    aside = dp.Pose.from_rpy((0.0, 0.0, offset), (0.0, 0.0, np.radians(turn_deg)))
    begin, end = (dp.Pose.from_matrix(pose) @ aside for pose in panda.link_pose(motion.position[[0, -1]], "panda_hand"))
    line = OnLine(tool=Tool(link="panda_hand"), segment=Segment(begin=begin, end=end))
    with Certifier(panda, dp.Scene()) as certifier:
        verdict = certifier.certify(motion, start=home, goals=motion.position[-1:], constraints=[line])
    assert verdict.valid == kept
    assert ("is not kept" in verdict.reason) != kept
    assert [one.name for one in verdict.constraints] == ["line", "line orientation"]


@pytest.mark.parametrize("which", ["begin", "end"])
def test_a_motion_that_does_only_a_part_of_its_line_is_refused(
    panda: Robot, timed: Callable[..., Trajectory], which: str
) -> None:
    home = panda.configuration("home")
    motion = timed(np.stack([home, home + 0.01]), 0.2)
    poses = dict(zip(("begin", "end"), panda.link_pose(motion.position[[0, -1]], "panda_hand"), strict=True))
    way = poses["end"][:3, 3] - poses["begin"][:3, 3]
    poses[which] = poses[which].copy()
    poses[which][:3, 3] += way if which == "end" else -way
    line = Segment(**{name: dp.Pose.from_matrix(pose) for name, pose in poses.items()})
    with Certifier(panda, dp.Scene()) as certifier:
        verdict = certifier.certify(
            motion,
            start=home,
            goals=motion.position[-1:],
            constraints=[OnLine(tool=Tool(link="panda_hand"), segment=line)],
        )
    assert not verdict.valid
    assert verdict.constraints[0].worst == pytest.approx(np.linalg.norm(way), rel=1e-6)


def _axis(rng: np.random.Generator) -> tuple[float, float, float]:
    x, y, z = rng.normal(size=3).tolist()
    return x, y, z


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), size=st.sampled_from([0.05, 0.3, 1.0]), near=st.booleans())
def test_no_motion_tilts_more_than_the_certificate_says(seed: int, size: float, near: bool) -> None:
    motion, rng = _any(PANDA, seed, size=size), np.random.default_rng(seed)
    asked = Upright(axis=None if near else _axis(rng), degrees=30)
    kept = asked.at(PANDA, BASE, motion.position[0])
    found = tilt(kept, FrameMotion.of(PANDA, BASE, PANDA.tool_frame, motion))
    for poses in _between(PANDA, BASE, PANDA.tool_frame, motion)[:2]:
        up = poses[..., 2, :3] @ np.asarray(kept.axis)
        assert np.arccos(np.clip(up, -1, 1)).max() <= found + 1e-7


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), size=st.sampled_from([0.05, 1.0]))
def test_no_motion_leaves_a_box_by_more_than_the_certificate_says(seed: int, size: float) -> None:
    motion, rng = _any(PANDA, seed, size=size), np.random.default_rng(seed)
    poses = _between(PANDA, BASE, TOOL, motion)
    x, y, z = poses[0][0, 0, :3, 3] + rng.normal(0, 0.1, 3)
    box = dp.Box(name="box", size=(0.3, 0.2, 0.4), pose=dp.Pose.turned((x, y, z), tuple(rng.uniform(-3, 3, 3))))
    found = out_of_box(box, FrameMotion.of(PANDA, BASE, TOOL, motion))
    for part in poses[:2]:
        inside = (part[..., :3, 3] - (x, y, z)) @ box.pose.matrix[:3, :3]
        assert (np.abs(inside) - box.half_extents).max() <= found


@pytest.mark.parametrize("seed", range(12))
def test_no_frame_is_faster_than_the_certificate_says(any_robot: Robot, seed: int) -> None:
    motion = _any(any_robot, seed)
    tool = Tool(link=any_robot.end_link, pose=TOOL.pose)
    lines, cubic, u = _between(any_robot, BASE, tool, motion, parts=400)
    found = FrameMotion.of(any_robot, BASE, tool, motion).speed
    step = np.diff(motion.time)[:, None] * np.diff(u)
    for poses in (lines, cubic):
        fast = np.linalg.norm(np.diff(poses[..., :3, 3], axis=1), axis=2) / step
        assert np.all(fast.max(axis=1) <= found)


@pytest.mark.parametrize("seed", range(8))
def test_no_timed_motion_of_any_link_is_beyond_what_is_proven(any_robot: Robot, seed: int) -> None:
    rng = np.random.default_rng(seed)
    ends = rng.uniform(0.8 * any_robot.lower, 0.8 * any_robot.upper, (2, any_robot.dof))
    control = straight(ends[0], ends[1], 12)
    control[1:-1] += rng.normal(0, 0.1, (10, any_robot.dof)) / any_robot.metric
    control = np.clip(control, any_robot.lower, any_robot.upper)
    link = str(rng.choice([name for name, (body, _) in any_robot.chain.placement.items() if body > 0]))
    asked = SpeedLimit(limit=0.3, link=link)
    motion = retime(control, any_robot, jerk=seed % 2 == 1, limits=[asked] * (seed % 3 == 0))
    assert motion
    x, y, z = rng.uniform(-0.5, 0.5, 3).tolist()
    box = dp.Box(name="b", size=(0.3, 0.2, 0.4), pose=dp.Pose.turned((x, y, z), tuple(rng.uniform(-3, 3, 3))))
    kept = [Upright(axis=_axis(rng), link=link), StayIn(box=box, link=link), asked]
    tilted, outside, fast = kept_bounds(any_robot, BASE, motion, kept)
    lines, cubic, u = _between(any_robot, BASE, Tool(link=link), motion)
    step = np.diff(motion.time)[:, None] * np.diff(u)
    for poses in (lines, cubic):
        inside = (poses[..., :3, 3] - (x, y, z)) @ box.pose.matrix[:3, :3]
        speed = np.linalg.norm(np.diff(poses[..., :3, 3], axis=1), axis=2) / step
        assert np.arccos(np.clip(poses[..., 2, :3] @ np.asarray(kept[0].axis), -1, 1)).max() <= tilted.worst + 1e-7
        assert (np.abs(inside) - box.half_extents).max() <= outside.worst
        assert speed.max() <= fast.worst


def test_the_bound_on_the_speed_of_a_planned_motion_is_close() -> None:
    home = PANDA.configuration("home")
    motion = retime(straight(home, home + np.array((0.6, 0.3, -0.4, 0.3, 0.5, -0.2, 0.4)), 8), PANDA)
    assert motion
    tool = PANDA.tool_frame
    dense = motion.at(np.linspace(motion.time[0], motion.time[-1], 20_001)).position
    places = (PANDA.link_pose(dense, tool.link) @ tool.pose.matrix)[:, :3, 3]
    fastest = np.linalg.norm(np.diff(places, axis=0), axis=1).max() / (motion.duration / 20_000)
    bound = FrameMotion.of(PANDA, dp.Pose(), tool, motion).speed.max()
    assert fastest <= bound <= 1.05 * fastest


@pytest.mark.parametrize(
    ("constraint", "kept"),
    [
        (Upright(axis=(0, 0, -1), degrees=1.2), True),
        (Upright(axis=(0, 0, -1), degrees=0.5), False),
        (Upright(degrees=1.2), True),
        (StayIn(box=dp.Box(name="b", size=(0.1, 0.1, 0.1), pose=dp.Pose(xyz=(0.307, 0.0, 0.487)))), True),
        (StayIn(box=dp.Box(name="b", size=(0.1, 0.1, 0.1), pose=dp.Pose(xyz=(0.307, 0.0, 0.55)))), False),
        (SpeedLimit(limit=0.2), True),
        (SpeedLimit(limit=0.05), False),
    ],
)
def test_a_motion_is_certified_only_if_it_keeps_its_constraints(
    panda: Robot, timed: Callable[..., Trajectory], constraint: Constraint, kept: bool
) -> None:
    home = panda.configuration("home")
    motion = timed(np.stack([home, home + 0.01]), 0.2)
    with Certifier(panda, dp.Scene()) as certifier:
        verdict = certifier.certify(motion, start=home, goals=motion.position[-1:], constraints=[constraint])
    assert verdict.valid == kept
    assert ("is not kept" in verdict.reason) != kept
    (told,) = verdict.constraints
    assert told.name == constraint.name
    assert (told.worst <= told.limit) == kept
