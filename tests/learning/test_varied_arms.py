"""Arms for training: deterministic, sound, covered by their spheres, and with scenes of their own size around them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from diffplan.cli import main
from diffplan.collision.cpu import CollisionModel, Obstacles
from diffplan.errors import InputError
from diffplan.learning.arm_layouts import LAYOUTS
from diffplan.learning.families import draw_scene
from diffplan.learning.generate import GenerateConfig, PathConfig, ShardMaker
from diffplan.learning.problems import short_way, tool_offset
from diffplan.learning.shards import read_shard, shard_path
from diffplan.learning.varied_arms import (
    OUTSIDE,
    UNCOVERED,
    ArmsConfig,
    draw_arm,
    make_arms,
    robot_text,
    spheres_of,
    urdf_text,
)
from diffplan.learning.workspace import Workspace
from diffplan.robot.model import Robot
from diffplan.scene import Scene

QUICK = PathConfig(trees=1, iterations=200, shortcuts=20)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("arms")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("diffplan.learning.varied_arms._PAIR_SAMPLES", 100)
        make_arms(ArmsConfig(out=folder, count=2, seed=5, layouts=("rail_offset_wrist", "turning")))
    return folder


@pytest.fixture(scope="module")
def robots(folder: Path) -> list[Robot]:
    return [Robot.load(str(folder / name)) for name in ("rail_offset_wrist_000", "turning_001")]


def test_an_arm_is_given_by_its_layout_number_and_seed_and_what_is_there_is_kept(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diffplan.learning.varied_arms._PAIR_SAMPLES", 100)
    layouts = "rail_offset_wrist,turning"
    assert main(["data", "arms", "--out", str(tmp_path), "--count", "1", "--seed", "5", "--layouts", layouts]) == 0
    name = "rail_offset_wrist_000"
    for file in ("arm.urdf", "collision.yaml", "robot.yaml"):
        assert (tmp_path / name / file).read_bytes() == (folder / name / file).read_bytes()
    assert sorted(path.name for path in (folder / name).iterdir()) == ["arm.urdf", "collision.yaml", "robot.yaml"]
    before = (tmp_path / name / "robot.yaml").stat().st_mtime_ns
    make_arms(ArmsConfig(out=tmp_path, count=1, seed=5, layouts=("rail_offset_wrist", "turning")))
    assert (tmp_path / name / "robot.yaml").stat().st_mtime_ns == before
    with pytest.raises(InputError, match=r"arms\.json: seed: .*another way"):
        make_arms(ArmsConfig(out=tmp_path, count=1, seed=6, layouts=("rail_offset_wrist", "turning")))


def test_what_cannot_be_made_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such layout .did you mean 'turning'"):
        ArmsConfig(out=tmp_path, count=1, layouts=("turing",))
    with pytest.raises(InputError, match="count: not a positive number"):
        ArmsConfig(out=tmp_path, count=0)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_varies_in_lengths_limits_and_base(layout: str) -> None:
    one, other = (draw_arm(LAYOUTS[layout], np.random.default_rng(seed)) for seed in (1, 2))
    assert len(one.joints) == len(LAYOUTS[layout].joints) in (6, 7, 8)
    assert one.base_yaw != other.base_yaw
    for a, b, model in zip(one.joints, other.joints, LAYOUTS[layout].joints, strict=True):
        assert (a.kind, a.axis) == (b.kind, b.axis) == (model.kind, model.axis)
        if np.linalg.norm(model.xyz) > 0:
            assert a.xyz != b.xyz
        if model.kind == "revolute":
            assert a.lower != b.lower
            assert a.lower < a.upper
    assert urdf_text("arm", one) != urdf_text("arm", other)
    assert f"end_link: tool\njoints:\n  joint1: {{velocity: {one.velocity[0]}" in robot_text("arm", one, {})


def test_spheres_cover_their_capsules_as_exactly_as_they_say() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b = rng.uniform(-0.3, 0.3, (2, 3))
        radius = rng.uniform(0.01, 0.09)
        fit = spheres_of([(np.array([a, b]), radius)])
        along = (b - a) / np.linalg.norm(b - a)
        across = np.cross(along, rng.normal(size=(200, 3)))
        points = a + rng.uniform(0, 1, (200, 1)) * (b - a) + radius * across / np.linalg.norm(across, axis=1)[:, None]
        gaps = (np.linalg.norm(points[:, None] - fit.centre, axis=2) - fit.radius).min(axis=1)
        assert gaps.max() <= UNCOVERED + 1e-9
        np.testing.assert_allclose(fit.radius, radius + OUTSIDE)
        reach = (fit.centre - a) @ along
        assert reach.min() >= -1e-9
        assert reach.max() <= np.linalg.norm(b - a) + 1e-9


def test_arms_stand_free_at_home_and_slide_or_turn_as_their_layout_says(robots: list[Robot]) -> None:
    rail, turning = robots
    assert rail.prismatic.tolist() == [True] + [False] * 6
    assert turning.continuous.tolist() == [True, False] * 3 + [True]
    for robot in robots:
        room = CollisionModel(robot).clearance(Obstacles.pack([Scene()]), robot.configuration("home")[None])[1]
        assert room > 0.01
        assert (robot.spheres.uncovered, robot.spheres.outside) == (UNCOVERED, OUTSIDE)
        assert robot.end_link == "tool"
        assert tool_offset(robot) >= 0


def test_data_are_generated_for_them_in_scenes_around_them(folder: Path, tmp_path: Path, robots: list[Robot]) -> None:
    for number, robot in enumerate(robots):
        assert robot.file is not None
        config = GenerateConfig(out=tmp_path, robot=str(robot.file), scenes=2, scenes_per_shard=2, path=QUICK)
        *_, content = ShardMaker(config).make(0)
        shard_path(tmp_path, number).write_bytes(content)
        shard = read_shard(shard_path(tmp_path, number))
        assert shard.robot == robot.name
        assert len(shard.waypoints) >= 3
        ways = shard.waypoints[:, -1] - shard.waypoints[:, 0]
        assert np.abs(ways[:, robot.continuous]).max(initial=0) <= np.pi + 1e-5


def test_scenes_are_the_panda_s_times_a_scale_about_the_arm(robots: list[Robot]) -> None:
    panda = Workspace.of(Robot.load("panda"))
    assert (panda.scale, panda.origin.tolist(), len(panda.lower)) == (1.0, [0, 0, 0], 0)
    rail = Workspace.of(robots[0])
    for family in ("bookshelf", "poles"):
        plain, same = draw_scene(family, np.random.default_rng(3)), draw_scene(family, np.random.default_rng(3), panda)
        assert plain.obstacles == same.obstacles
        fitted = draw_scene(family, np.random.default_rng(3), rail)
        assert [o.name for o in fitted.obstacles] == [o.name for o in plain.obstacles]
        offsets = []
        for one, other in zip(plain.obstacles, fitted.obstacles, strict=True):
            np.testing.assert_allclose(other.sizes, np.maximum(rail.scale * np.array(one.sizes), 0.004), atol=1e-4)
            offsets.append(np.array(other.pose.xyz) - rail.scale * np.array(one.pose.xyz))
        np.testing.assert_allclose(offsets, np.broadcast_to(offsets[0], (len(offsets), 3)), atol=3e-4)
        way = offsets[0] - rail.origin
        along = way @ rail.slide[:, 0]
        np.testing.assert_allclose(way, along * rail.slide[:, 0], atol=1e-3)
        assert rail.lower[0] - 1e-3 <= along <= rail.upper[0] + 1e-3
        for one, other in zip(plain.places, fitted.places, strict=True):
            np.testing.assert_allclose(other.frame[:3, 3] - rail.scale * one.frame[:3, 3], offsets[0], atol=3e-4)
            np.testing.assert_allclose(other.size, rail.scale * np.array(one.size))


def test_goals_are_taken_at_the_nearest_turn_that_the_limits_allow() -> None:
    robot = Robot.load("panda")
    wide = replace(robot, lower=np.full(7, -6.28), upper=np.full(7, 6.28))
    start = np.array([3.0, -3.0, 0.0, 5.0, 0.0, 0.0, 0.0])
    goal = np.array([-3.0, 3.0, 6.2, 1.0, 3.0, 0.0, 0.0])
    expected = goal + 2 * np.pi * np.array([1, -1, -1, 1, 0, 0, 0])
    expected[3] = 1.0  # 7.28 would be beyond the limit
    np.testing.assert_allclose(short_way(wide, start, goal), expected)
    np.testing.assert_array_equal(short_way(robot, robot.lower, robot.upper), robot.upper)  # less than a turn
