"""A scene that is saved and loaded is the scene that it was, whatever its numbers and names."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from diffplan.errors import InputError
from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import Box, Capsule, Cylinder, Mesh, Plane, Sphere
from diffplan.scene import AllowedContact, Attached, PoseGoal, Query, Scene, Urdf
from diffplan.system.assets import asset_folder, shipped_scenes

TETRAHEDRON = "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n"
BODY = """<robot name="arm"><link name="a"><collision><geometry><box size="0.1 0.1 0.1"/></geometry></collision></link>
<link name="b"/><joint name="turn" type="revolute"><parent link="a"/><child link="b"/><axis xyz="0 0 1"/>
<limit lower="-1" upper="1" effort="1" velocity="1"/></joint></robot>"""
TRAPS = [
    "on",
    "no",
    "null",
    "~",
    "1e-3",
    "0123",
    "1:30",
    "2024-01-01",
    "a: b",
    "- a",
    "#x",
    "é",
    "机",
    "a\tb",
    "😀",
    "x" * 300,
]

length = st.floats(1e-3, 50.0)
place = st.tuples(*[st.floats(-5.0, 5.0)] * 3)
name = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1).filter(str.strip)


@st.composite
def poses(draw):
    rpy = draw(st.tuples(*[st.floats(-3.1, 3.1)] * 3))
    return Pose.from_rpy(draw(place), rpy) if draw(st.booleans()) else Pose(xyz=draw(place))


@st.composite
def obstacles(draw, folder: Path):
    kind, pose, title = draw(st.integers(0, 5)), draw(poses()), draw(name | st.sampled_from(TRAPS))
    if kind == 0:
        return Box(name=title, size=draw(st.tuples(length, length, length)), pose=pose)
    if kind == 1:
        return Sphere(name=title, radius=draw(length), pose=pose)
    if kind == 2:
        return Cylinder(name=title, radius=draw(length), height=draw(length), pose=pose)
    if kind == 3:
        return Capsule(name=title, radius=draw(length), height=draw(length), pose=pose)
    scale = draw(st.floats(0.01, 2.0) | st.just(1.0))
    if kind == 4:
        factor = st.floats(0.01, 2.0) | st.floats(-2.0, -0.01)
        scale = draw(st.just(scale) | st.tuples(factor, factor, factor))
        return Mesh(name=title, file=folder / "meshes" / "a.obj", scale=scale, pose=pose, convex=draw(st.booleans()))
    joints = draw(st.dictionaries(st.just("turn"), st.floats(-0.9, 0.9)))
    return Urdf(name=title, file=folder / "arm.urdf", scale=scale, pose=pose, joints=joints)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "meshes").mkdir()
    (tmp_path / "meshes" / "a.obj").write_text(TETRAHEDRON)
    (tmp_path / "arm.urdf").write_text(BODY)
    return tmp_path


def _pose_goals() -> st.SearchStrategy[PoseGoal | tuple[PoseGoal, ...]]:
    edge = st.floats(0, 1)
    one = st.builds(
        PoseGoal,
        link=st.none() | name,
        pose=poses(),
        free=st.none() | st.sampled_from("xyz"),
        box=st.none() | st.tuples(edge, edge, st.floats(1e-3, 1)),
    )
    return one | st.tuples(one, one)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_saved_scene_comes_back_equal(folder: Path, data: st.DataObject) -> None:
    found = data.draw(st.lists(obstacles(folder), max_size=6, unique_by=lambda obstacle: obstacle.name))
    goal = st.tuples(*[st.floats(-2, 2)] * 7) | st.sampled_from(TRAPS) | _pose_goals()
    queries = data.draw(st.dictionaries(name, st.builds(Query, start=st.sampled_from(TRAPS), goal=goal), max_size=3))
    free = [o for o in found if not isinstance(o, Plane)]
    held = free[: data.draw(st.integers(0, len(free)))]
    links = st.none() | st.lists(name, max_size=2).map(tuple)
    attached = tuple(Attached(obstacle=o, link=data.draw(name), may_touch=data.draw(links)) for o in held)
    pairs = data.draw(st.lists(st.lists(name, min_size=2, max_size=2, unique=True), max_size=2, unique_by=frozenset))
    depths = st.none() | st.integers(1, 500).map(lambda tenth: round(tenth / 10_000, 4))
    scene = Scene(
        attached=attached,
        allowed_contacts=tuple(AllowedContact(pair=tuple(pair), depth_m=data.draw(depths)) for pair in pairs),
        name=data.draw(name),
        robot_base=data.draw(poses()),
        hold=data.draw(st.dictionaries(name, st.floats(-1, 1), max_size=2)),
        obstacles=tuple(o for o in found if o not in held),
        queries=queries,
    )
    scene.save(folder / "scene.yaml")
    assert Scene.load(folder / "scene.yaml") == scene


@pytest.mark.parametrize("shipped", shipped_scenes())
def test_every_shipped_scene_comes_back_equal_from_another_folder(tmp_path: Path, shipped: str) -> None:
    scene = Scene.load(shipped)
    scene.save(tmp_path / "copy.yml")
    again = Scene.load(tmp_path / "copy.yml")
    at = [(a.file, b.file) for a, b in zip(scene.obstacles, again.obstacles, strict=True) if isinstance(a, Mesh | Urdf)]  # pyright: ignore[reportAttributeAccessIssue]
    assert all(os.path.samefile(one, other) for one, other in at)
    normal = [
        replace(o, file=Path(os.path.abspath(o.file))) if isinstance(o, Mesh | Urdf) else o for o in scene.obstacles
    ]
    assert again == replace(scene, obstacles=tuple(normal))


def test_meshes_below_the_folder_are_named_relative_to_it_and_others_absolutely(folder: Path, monkeypatch) -> None:
    monkeypatch.chdir(folder)
    near = Mesh(name="near", file=Path("meshes/a.obj"))
    far = Mesh(name="far", file=asset_folder("scenes") / "meshes" / "mug.obj", scale=0.5)
    Scene(obstacles=(near, far)).save("scene.yaml")
    text = (folder / "scene.yaml").read_text()
    assert "file: meshes/a.obj\n" in text
    assert f"file: {os.path.abspath(far.file)}\n" in text
    monkeypatch.chdir("/")
    loaded = Scene.load(folder / "scene.yaml")
    assert loaded.obstacles == (replace(near, file=folder / "meshes" / "a.obj"), replace(far, file=far.file))


def test_the_robot_of_a_scene_is_a_name_or_a_path(folder: Path) -> None:
    Scene(robot="panda").save(folder / "named.yaml")
    assert Scene.load(folder / "named.yaml").robot == "panda"
    robot = asset_folder("robots") / "panda" / "robot.yaml"
    Scene(robot=str(robot)).save(folder / "path.yaml")
    assert os.path.samefile(str(Scene.load(folder / "path.yaml").robot), robot)


def test_numbers_of_numpy_are_written_as_numbers(folder: Path) -> None:
    size = np.array([0.1, 0.2, np.float32(0.5)])
    Scene(obstacles=(Box(name="a", size=tuple(size), pose=Pose(xyz=tuple(size))),)).save(folder / "scene.yaml")  # pyright: ignore[reportArgumentType]
    (box,) = Scene.load(folder / "scene.yaml").obstacles
    assert box == Box(name="a", size=(0.1, 0.2, 0.5), pose=Pose(xyz=(0.1, 0.2, 0.5)))


@pytest.mark.parametrize("bad", ["", "  ", "a\0b", "\ud800"])
def test_names_that_no_file_can_hold_are_refused_and_leave_no_file(tmp_path: Path, bad: str) -> None:
    with pytest.raises(InputError, match=r"name: (an empty text|a text with)"):
        Scene(name=bad).save(tmp_path / "scene.yaml")
    with pytest.raises(InputError, match=r"Sphere\.name: (an empty text|a text with)"):
        Scene(obstacles=(Sphere(name=bad, radius=1.0),)).save(tmp_path / "scene.yaml")
    assert list(tmp_path.iterdir()) == []


def test_other_kinds_of_files_and_missing_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a scene file is YAML \(found '\.json'\); allowed: \.yaml, \.yml"):
        Scene().save(tmp_path / "scene.json")
    with pytest.raises(InputError, match="cannot be written"):
        Scene().save(tmp_path / "no" / "scene.yaml")
