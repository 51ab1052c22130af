"""Sampled distance fields: exact at their nodes, fine where it matters, and the same from memory, disk and anew."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh

import diffplan as dp
from diffplan.collision import torch_backend as sdf
from diffplan.collision.cpu import CollisionModel, Obstacles
from diffplan.collision.obstacles import reach_of
from diffplan.geometry import field_files, fields
from diffplan.geometry.fields import Reach, distance_field, file_field, split_field
from diffplan.geometry.triangle_distance import SolidDistance, Surface
from diffplan.system import progress
from diffplan.system.kernel_threads import get_kernel_threads, set_kernel_threads

SIZE = 10.0
BOXES: tuple[tuple[tuple[float, float, float], tuple[float, float, float]], ...] = (
    ((SIZE, SIZE, 0.1), (0.0, 0.0, -0.051)),
    ((SIZE, SIZE, 0.1), (0.0, 0.0, 3.05)),
    ((0.1, SIZE, 3.0), (SIZE / 2, 0.0, 1.5)),
    ((0.1, SIZE, 3.0), (-SIZE / 2, 0.0, 1.5)),
    ((0.5, 1.2, 0.03), (0.6, 0.0, 0.25)),
    ((0.3, 0.012, 0.4), (0.6, 0.0, 0.48)),
    ((0.3, 0.5, 0.02), (0.75, 0.35, 0.75)),
    ((0.06, 0.06, 1.2), (0.1, 0.6, 0.6)),
)
"""A room with a table, a thin screen and a board on it, and a pole: edge lengths and centres."""


def room() -> trimesh.Trimesh:
    parts = [trimesh.creation.box(size) for size, _ in BOXES]
    for part, (_, centre) in zip(parts, BOXES, strict=True):
        part.apply_translation(centre)
    return trimesh.util.concatenate(parts)


def to_boxes(points: np.ndarray) -> np.ndarray:
    """The exact distance to the union of `BOXES`, outside; inside, to the nearest face of the deepest."""
    found = np.full(len(points), np.inf)
    for size, centre in BOXES:
        q = np.abs(points - centre) - np.array(size) / 2
        found = np.minimum(found, np.linalg.norm(np.maximum(q, 0), axis=-1) + np.minimum(q.max(-1), 0))
    return found


@pytest.fixture(scope="module")
def robot() -> dp.Robot:
    return dp.Robot.load("panda")


@pytest.fixture(scope="module")
def room_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("room") / "room.stl"
    room().export(file)
    return file


@pytest.fixture(scope="module")
def scene(room_file: Path) -> dp.Scene:
    return dp.Scene(obstacles=(dp.Mesh(name="room", file=room_file),))


def nodes(field) -> np.ndarray:
    index = np.stack(np.meshgrid(*(np.arange(n) for n in field.values.shape), indexing="ij"), axis=-1)
    return field.origin + field.spacing * index


def winding_number(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    a, b, c = (triangles[None, :, i] - points[:, None] for i in range(3))
    la, lb, lc = (np.linalg.norm(x, axis=-1) for x in (a, b, c))
    above = (a * np.cross(b, c)).sum(-1)
    below = la * lb * lc + (a * b).sum(-1) * lc + (b * c).sum(-1) * la + (c * a).sum(-1) * lb
    return (2 * np.arctan2(above, below)).sum(1) / (4 * np.pi)


def test_the_field_of_a_box_is_exact_at_the_nodes() -> None:
    half = np.array([0.05, 0.03, 0.02])
    field = distance_field([trimesh.creation.box(2 * half)], spacing=0.01)
    q = np.abs(nodes(field)) - half
    exact = np.linalg.norm(np.maximum(q, 0), axis=-1) + np.minimum(q.max(-1), 0)
    assert np.abs(field.values - exact).max() < 1e-6


def test_the_field_reaches_beyond_the_mesh_by_the_padding() -> None:
    field = distance_field([trimesh.creation.box((0.1, 0.1, 0.1))], padding=0.12)
    last = nodes(field)[-1, -1, -1]
    assert (field.origin <= -0.17 + 1e-9).all()
    assert (last >= 0.17 - 1e-9).all()


def test_the_sign_agrees_with_the_winding_number_on_a_knotted_mesh() -> None:
    rng = np.random.default_rng(0)
    mesh = trimesh.creation.torus(0.1, 0.03, major_sections=12, minor_sections=7)
    mesh.vertices += rng.normal(0, 0.004, mesh.vertices.shape)
    field = distance_field([mesh], spacing=0.01, padding=0.03)
    points = nodes(field).reshape(-1, 3)
    inside = winding_number(points, np.asarray(mesh.triangles)) > 0.5
    assert inside.sum() > 50
    assert np.array_equal(field.values.ravel() < 0, inside)


def test_distances_agree_with_a_search_over_all_triangles() -> None:
    mesh = trimesh.creation.icosphere(subdivisions=2, radius=0.1)
    points = np.random.default_rng(1).uniform(-0.2, 0.2, (20, 3))
    dense = mesh.triangles @ np.eye(3)  # [t, 3, 3]
    weights = np.array([(i, j, 30 - i - j) for i in range(31) for j in range(31 - i)]) / 30
    surface = np.einsum("wc,tcx->twx", weights, dense).reshape(-1, 3)
    ball = SolidDistance([Surface(triangles=np.asarray(mesh.triangles), normals=np.ones((len(dense), 7, 3)))])
    for point in points:
        value = ball.at(point[None])[0]
        searched = np.linalg.norm(surface - point, axis=1).min()
        assert searched - 1e-3 < abs(value) <= searched + 1e-9


def test_a_union_is_the_nearest_of_its_parts() -> None:
    parts = [trimesh.creation.box((0.1, 0.1, 0.1)), trimesh.creation.box((0.1, 0.1, 0.1))]
    parts[1].apply_translation((0.2, 0, 0))
    field = distance_field(parts, spacing=0.05, padding=0.05)
    at = np.round((np.array([0.1, 0, 0]) - field.origin) / field.spacing).astype(int)
    assert field.values[tuple(at)] == pytest.approx(0.05)


def test_overlapping_parts_of_one_mesh_are_solid_throughout_and_cavities_are_empty() -> None:
    body, spout, cavity = (
        trimesh.creation.box(size) for size in ((0.2, 0.2, 0.2), (0.2, 0.05, 0.05), (0.08, 0.1, 0.1))
    )
    spout.apply_translation((0.15, 0, 0))  # from x = 0.05 inside the body to 0.25
    cavity.apply_translation((-0.05, 0, 0))
    cavity.invert()
    field = distance_field([trimesh.util.concatenate([body, spout, cavity])], spacing=0.01, padding=0.05)

    def at(x: float) -> float:
        return float(field.values[tuple(np.round((np.array([x, 0, 0]) - field.origin) / 0.01).astype(int))])

    assert [at(x) < 0 for x in (-0.14, -0.05, 0.04, 0.06, 0.2, 0.26)] == [False, False, True, True, True, False]
    assert at(-0.05) == pytest.approx(0.04, abs=1e-6)


def test_the_field_of_a_file_is_kept_until_the_file_changes(tmp_path: Path) -> None:
    file = tmp_path / "a.stl"
    trimesh.creation.annulus(0.1, 0.2, 0.1).export(file)
    first = file_field(file, convex=True)
    assert file_field(file, convex=True) is first
    assert file_field(file) is not first
    trimesh.creation.box((1, 1, 1)).export(file)
    assert file_field(file, convex=True) is not first


def test_of_a_large_mesh_only_what_is_in_reach_is_sampled(robot: dp.Robot, room_file: Path, scene: dp.Scene) -> None:
    (row,) = Obstacles.around(robot, scene).rows
    assert row.field is not None
    whole = file_field(room_file)
    assert whole is not None
    reach = reach_of(robot)
    last = row.field.origin + row.field.spacing * (np.array(row.field.values.shape) - 1)
    assert (last - row.field.origin).max() < 2 * reach.radius + 1
    assert row.field.spacing < whole.spacing / 3
    assert 100 < len(row.field.split) <= 16_000
    assert (row.field.cells >= 0).sum() == len(row.field.split)
    assert row.field.values.size <= 66**3


def test_a_field_that_is_split_is_right_near_the_surface_where_the_whole_one_is_blind(robot: dp.Robot) -> None:
    reach = reach_of(robot)
    rng = np.random.default_rng(0)
    points = rng.uniform((-0.5, -0.8, 0.0), (1.0, 0.8, 1.2), (200_000, 3))
    exact = to_boxes(points)
    near = (np.abs(exact) < 0.03) & (np.linalg.norm(points - reach.centre, axis=1) < reach.radius)
    assert near.sum() > 5_000
    centre = np.array(reach.centre)
    split = split_field([room()], centre - reach.radius, centre + reach.radius)
    whole = distance_field([room()])

    def off(field: fields.DistanceField) -> np.ndarray:
        return np.abs(sdf.field(torch.from_numpy(points[near]), field).numpy() - exact[near])

    assert np.quantile(off(split), 0.99) < 0.005
    assert off(split).max() < 0.012
    assert off(whole).max() > 0.04


def test_a_plate_thinner_than_a_cell_is_not_missed() -> None:
    plate = trimesh.creation.box((1.0, 0.01, 1.0))
    room = trimesh.creation.box((5.0, 5.0, 0.1))
    room.apply_translation((0.0, 0.0, -1.0))
    field = split_field([plate, room], np.full(3, -1.5), np.full(3, 1.5))
    assert field.spacing > 0.04
    rng = np.random.default_rng(1)
    inside = rng.uniform((-0.45, -0.002, -0.45), (0.45, 0.002, 0.45), (2000, 3))
    assert sdf.field(torch.from_numpy(inside), field).max() < 0.003


def test_both_backends_see_the_same_split_field(robot: dp.Robot, scene: dp.Scene) -> None:
    model, twin, world = CollisionModel(robot), sdf.TorchCollision(robot), Obstacles.around(robot, scene)
    q = np.random.default_rng(2).uniform(robot.lower, robot.upper, (200, robot.dof))
    compiled, reference = (
        backend.evaluate(world, q[None], activation=0.1, self_activation=0.01) for backend in (model, twin)
    )
    assert (reference.clearance < 0.1).sum() > 50
    assert np.allclose(compiled.clearance, reference.clearance, atol=1e-9)
    assert np.allclose(compiled.cost, reference.cost, atol=1e-9)
    single = model.evaluate(world, q[None].astype(np.float32), activation=0.1, gradient=False)
    assert np.allclose(single.clearance, compiled.clearance, atol=1e-4)
    ours, theirs = (backend.nearest(world, q, reach=0.2) for backend in (model, twin))
    assert (theirs.distance < 0.2).sum() > 500
    assert np.allclose(ours.distance, theirs.distance, atol=1e-9)
    assert np.allclose(ours.normal, theirs.normal, atol=1e-6)


@pytest.mark.parametrize("planner", ["diffusion", "rrtconnect", "stomp"])
def test_in_a_room_in_one_file_hardly_a_path_is_refused(robot: dp.Robot, scene: dp.Scene, planner: str) -> None:
    down = (1.0, 0.0, 0.0, 0.0)
    left, right = (dp.Pose(xyz=(0.55, y, 0.45), quat_xyzw=down) for y in (0.3, -0.3))
    there = dp.plan(robot, scene, "home", left, planner=planner, timeout=100, fallback=False)
    assert there.trajectory is not None
    back = dp.plan(robot, scene, there.trajectory.position[-1], right, planner=planner, timeout=100, fallback=False)
    assert there.solved
    assert back.solved
    assert there.judged.rejected + back.judged.rejected <= 2


def test_the_arm_stays_within_reach(robot: dp.Robot) -> None:
    reach = reach_of(robot)
    q = np.random.default_rng(3).uniform(robot.lower, robot.upper, (2000, robot.dof))
    centres = CollisionModel(robot).nearest(Obstacles.pack([dp.Scene()]), q, reach=0.1).centre
    arrays = CollisionModel(robot).double
    moving = np.repeat(arrays.link_body, np.diff(arrays.link_first)) > 0
    out = np.linalg.norm(centres[:, moving] - reach.centre, axis=2) + arrays.sphere[moving, 3]
    assert reach.radius - 0.6 < out.max() <= reach.radius - 0.25


def test_a_mesh_out_of_reach_is_left_out_and_seen_by_the_certificate(robot: dp.Robot, tmp_path: Path) -> None:
    file = tmp_path / "ball.stl"
    trimesh.creation.icosphere(subdivisions=1, radius=0.2).export(file)
    places = {(2.0, 0.0, 1.0): 0, (1.5, 0.0, 0.333): 1, (0.0, 0.0, 1.85): 1, (0.0, 0.0, -5.0): 0}
    for xyz, seen in places.items():
        scene = dp.Scene(obstacles=(dp.Mesh(name="ball", file=file, pose=dp.Pose(xyz=xyz)),))
        assert len(Obstacles.around(robot, scene).rows) == seen
        assert len(Obstacles.pack([scene]).rows) == 1
    turned = dp.Pose.from_rpy((2.0, 0.0, 1.0), (0.3, 0.4, 2.0))
    near = turned @ dp.Pose(xyz=(0.5, 0.0, 0.4))
    scene = dp.Scene(robot_base=turned, obstacles=(dp.Mesh(name="ball", file=file, pose=near),))
    assert len(Obstacles.around(robot, scene).rows) == 1
    (tmp_path / "ball.stl").write_bytes(b"")
    with pytest.raises(dp.InputError, match=r"ball\.stl"):
        Obstacles.around(robot, scene)


def test_a_small_mesh_has_the_same_field_wherever_it_stands(tmp_path: Path) -> None:
    file = tmp_path / "ball.stl"
    trimesh.creation.icosphere(subdivisions=1, radius=0.2).export(file)
    near = file_field(file, reach=Reach(centre=(0.1, 0.2, 0.3), radius=0.5))
    assert near is file_field(file)
    assert near is not None
    assert near.cells.size == 0


def many_parts() -> list[Surface]:
    rng = np.random.default_rng(4)
    parts = [trimesh.creation.icosphere(subdivisions=1, radius=r) for r in rng.uniform(0.02, 0.1, 40)]
    for part in parts:
        part.apply_translation(rng.uniform(-0.5, 0.5, 3))
    hollow = trimesh.creation.box((0.3, 0.3, 0.3))
    inner = trimesh.creation.box((0.2, 0.2, 0.2))
    inner.invert()
    return fields._surfaces(trimesh.util.concatenate([*parts, hollow, inner]))


def test_surfaces_passed_over_change_no_distance() -> None:
    """What is looked up in a tree of surfaces is the same as when each surface is measured."""
    surfaces = many_parts()
    assert sum(surface.cavity for surface in surfaces) == 1
    points = np.random.default_rng(5).uniform(-0.7, 0.7, (5000, 3))
    (cavity,) = [s for s in surfaces if s.cavity]
    turned = Surface(triangles=cavity.triangles, normals=cavity.normals)
    assert {surface.level for surface in surfaces} == {0, 1}

    def union(level: int) -> np.ndarray:
        own = [replace(s, level=0) for s in surfaces if s.level == level and not s.cavity]
        return np.min([SolidDistance([s]).at(points) for s in own], axis=0)

    expected = np.minimum(np.maximum(union(0), SolidDistance([turned]).at(points)), union(1))
    assert (expected < 0).sum() > 50
    assert np.array_equal(SolidDistance(surfaces).at(points), expected)


def test_what_stands_in_a_hollow_is_solid() -> None:
    """A table in a room that is hollowed out of a block, and a pillar from its floor into its ceiling."""
    block, hollow = trimesh.creation.box((2.0, 2.0, 2.0)), trimesh.creation.box((1.6, 1.6, 1.6))
    hollow.invert()
    table, pillar = trimesh.creation.box((0.4, 0.4, 0.1)), trimesh.creation.box((0.1, 0.1, 1.7))
    chest, drawer = trimesh.creation.box((0.3, 0.3, 0.3)), trimesh.creation.box((0.2, 0.2, 0.2))
    drawer.invert()
    pillar.apply_translation((0.5, 0.5, 0.0))
    for part in (chest, drawer):
        part.apply_translation((-0.5, -0.5, 0.0))
    solid = SolidDistance(fields._surfaces(trimesh.util.concatenate([drawer, pillar, table, hollow, chest, block])))
    points = {
        (0.0, 0.0, 0.0): -0.05,
        (0.5, 0.5, 0.0): -0.05,
        (0.3, 0.0, 0.0): 0.1,
        (0.0, 0.0, 0.9): -0.1,
        (0.0, 0.0, 0.7): 0.1,
        (-0.5, -0.5, 0.0): 0.1,
        (-0.375, -0.5, 0.0): -0.025,
        (0.0, 0.0, 1.05): 0.05,
    }
    assert np.allclose(solid.at(np.array(list(points))), list(points.values()))


def test_surfaces_that_touch_in_a_vertex_are_told_apart() -> None:
    one, two = trimesh.creation.box((0.2, 0.2, 0.2)), trimesh.creation.box((0.2, 0.2, 0.2))
    two.apply_translation((0.2, 0.2, 0.2))
    both = trimesh.util.concatenate([one, two])
    both.merge_vertices()
    assert len(both.vertices) == 15
    points = np.random.default_rng(6).uniform(-0.3, 0.5, (4000, 3))
    apart = [SolidDistance(fields._surfaces(mesh)).at(points) for mesh in (one, two)]
    assert np.allclose(SolidDistance(fields._surfaces(both)).at(points), np.minimum(*apart), atol=1e-12)


def test_the_number_of_threads_changes_no_distance() -> None:
    solid, points = SolidDistance(many_parts()), np.random.default_rng(7).uniform(-0.7, 0.7, (40_000, 3))
    before = get_kernel_threads()
    found = []
    for threads in (1, 2):
        set_kernel_threads(threads)
        found.append(solid.at(points))
    set_kernel_threads(before)
    assert np.array_equal(*found)


def test_measuring_advances_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[tuple[int, int]] = []
    update = progress.ProgressTask.update

    def told(self: progress.ProgressTask, text: str, done: int, total: int) -> None:
        steps.append((done, total))
        update(self, text, done, total)

    monkeypatch.setattr(progress.ProgressTask, "update", told)
    SolidDistance(many_parts()).at(np.zeros((200_000, 3)))
    assert len(steps) >= 5
    assert steps[-1][0] == steps[-1][1]


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Every field counts as slow, none is in memory; returns the folder of the cache on the disk."""
    monkeypatch.setattr(fields, "_SLOW", 0.0)
    monkeypatch.setattr(field_files, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(fields, "_fields", fields.Kept(0))
    return tmp_path / "cache" / "fields"


def same(one: fields.DistanceField | None, other: fields.DistanceField | None) -> bool:
    assert one is not None
    assert other is not None
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in vars(one))


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fields, "_fields", fields.Kept(0))


def test_a_slow_field_comes_from_the_disk_bit_for_bit(
    slow: Path, robot: dp.Robot, room_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for reach in (None, reach_of(robot)):
        fresh = file_field(room_file, reach=reach)
        forget(monkeypatch)
        with monkeypatch.context() as patch:
            patch.setattr(fields, "_sample", None)  # what would make it anew
            kept = file_field(room_file, reach=reach)
        assert same(fresh, kept)
    assert len(list(slow.glob("*"))) == 2


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "folder"])
def test_a_damaged_file_of_the_cache_is_made_again(
    slow: Path, room_file: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    fresh = file_field(room_file)
    (file,) = slow.glob("*.field")
    data = bytearray(file.read_bytes())
    if damage == "folder":
        file.unlink()
        file.mkdir()
    else:
        data[len(data) // 2] ^= 1
        file.write_bytes({"cut": data[: len(data) // 2], "flipped": data, "empty": b""}[damage])
    forget(monkeypatch)
    assert same(fresh, file_field(room_file))
    if damage != "folder":
        assert field_files.load(("no such key",)) is None
        forget(monkeypatch)
        monkeypatch.setattr(fields, "_sample", None)
        assert same(fresh, file_field(room_file))
    assert not list(slow.glob("*.part"))


def test_a_field_made_by_other_code_is_made_again(slow: Path, room_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = file_field(room_file)
    forget(monkeypatch)
    monkeypatch.setattr(field_files, "_code", lambda: "another")
    assert same(fresh, file_field(room_file))
    assert len(list(slow.glob("*.field"))) == 2


def test_where_nothing_can_be_kept_the_field_is_there_all_the_same(
    slow: Path, room_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow.parent.write_text("a file where the folder should be")
    fresh = file_field(room_file)
    forget(monkeypatch)
    assert same(fresh, file_field(room_file))


def test_the_oldest_fields_leave_the_disk_first(slow: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(4):
        field_files.save(("key", i), {"values": np.zeros(1000)})
        os.utime(field_files._file(("key", i)), (i, i))
    monkeypatch.setattr(field_files, "MOST_BYTES", 3 * 9000)
    field_files.save(("key", 4), {"values": np.zeros(1000)})
    assert [field_files.load(("key", i)) is not None for i in range(5)] == [False, False, True, True, True]


def test_quick_fields_are_not_written(slow: Path, room_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fields, "_SLOW", 1e9)
    file_field(room_file)
    assert not slow.exists()
