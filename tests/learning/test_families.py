"""Procedural scenes: sound, varied, reproducible, and none of the shipped ones."""

import ast
import json
from pathlib import Path

import numpy as np
import pytest

import diffplan.learning.families
from diffplan.formats.obstacles import read_obstacles
from diffplan.geometry.shapes import Box
from diffplan.learning.families import FAMILIES, HELD_OUT, MAX_OBSTACLES, MIN_OBSTACLES, TIGHT, draw_scene
from diffplan.learning.layout import DOWN, Layout, obstacle_record
from diffplan.scene import Obstacle, Scene
from diffplan.strict.entry import Entry
from diffplan.system.assets import shipped_scenes


def shape(obstacle: Obstacle) -> tuple[object, ...]:
    """What an obstacle is but for its name, to a tenth of a millimetre."""
    sizes = (
        obstacle.size if isinstance(obstacle, Box) else (getattr(obstacle, "radius", 0), getattr(obstacle, "height", 0))
    )
    return type(obstacle).__name__, *np.round([*sizes, *obstacle.pose.xyz], 4).tolist()


@pytest.mark.parametrize("family", FAMILIES | HELD_OUT)
def test_a_family_draws_scenes_of_the_allowed_size_with_places_to_reach(family: str) -> None:
    for seed in range(5):
        drawn = draw_scene(family, np.random.default_rng(seed))
        assert MIN_OBSTACLES <= len(drawn.obstacles) <= MAX_OBSTACLES
        assert drawn.places
        assert drawn.scene.name == family


@pytest.mark.parametrize("family", FAMILIES | HELD_OUT)
def test_a_scene_is_given_by_its_seed(family: str) -> None:
    first, again, other = (draw_scene(family, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert first.obstacles == again.obstacles
    assert first.obstacles != other.obstacles


@pytest.mark.parametrize("family", FAMILIES | HELD_OUT)
def test_the_record_of_a_scene_reads_back_as_the_same_obstacles(family: str) -> None:
    drawn = draw_scene(family, np.random.default_rng(1))
    text = json.loads(json.dumps([obstacle_record(obstacle) for obstacle in drawn.obstacles]))
    assert read_obstacles(Entry(file=Path("shard"), key="obstacles", raw=text)) == drawn.obstacles


def test_what_is_held_out_is_not_in_the_training_data() -> None:
    assert len(HELD_OUT) == 2
    assert not FAMILIES.keys() & HELD_OUT.keys()
    assert set(TIGHT) <= FAMILIES.keys()


def test_scenes_lie_in_every_direction_around_the_robot() -> None:
    rng = np.random.default_rng(0)
    middles = [np.mean([o.pose.xyz[:2] for o in draw_scene("cubby", rng).obstacles], axis=0) for _ in range(60)]
    quadrants = {(bool(x > 0), bool(y > 0)) for x, y in middles}
    assert len(quadrants) == 4


def test_a_place_yields_tool_poses_in_its_box_and_cone() -> None:
    layout = Layout(rng=np.random.default_rng(0))
    layout.turn(0.7, (0.4, 0.1, 0.2))
    low, high = np.array([0.1, -0.2, 0.3]), np.array([0.3, 0.2, 0.5])
    layout.place("bin", tuple(low), tuple(high), DOWN, 0.4)
    poses = np.array([layout.places[0].sample(layout.rng) for _ in range(300)])
    points = (np.linalg.inv(layout.frame) @ poses)[:, :3, 3]
    assert np.all((points >= low - 1e-9) & (points <= high + 1e-9))
    assert np.all(np.ptp(points, axis=0) > 0.9 * (high - low))
    lean = np.arccos(np.clip(-poses[:, 2, 2], -1, 1))
    assert lean.max() <= 0.4 + 1e-6
    assert lean.max() > 0.35
    assert np.allclose(poses[:, :3, :3] @ poses[:, :3, :3].transpose(0, 2, 1), np.eye(3))


def test_no_generated_scene_equals_a_shipped_one() -> None:
    shipped = [{shape(o) for o in Scene.load(name).obstacles} for name in shipped_scenes()]
    assert shipped
    for index, family in enumerate(FAMILIES | HELD_OUT):
        for number in range(10):
            ours = {shape(o) for o in draw_scene(family, np.random.default_rng([index, number])).obstacles}
            assert all(len(ours & theirs) <= 1 for theirs in shipped)


def test_the_generator_cannot_read_scene_files_or_problem_suites() -> None:
    forbidden = {"diffplan.formats.scene_file", "diffplan.formats.problems_file", "diffplan.benchmark"}
    files = sorted(Path(diffplan.learning.families.__file__).parent.glob("*.py"))
    assert len(files) > 5
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not forbidden & set(names), file
            assert not (isinstance(node, ast.Attribute) and ast.unparse(node) == "Scene.load"), file
