import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffplan.benchmark.suites import load_cases
from diffplan.errors import InputError
from diffplan.formats.obstacles import read_pose
from diffplan.formats.scene_file import load_scene
from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import Box, Capsule, Cylinder, Mesh, Plane, Sphere
from diffplan.scene import PoseGoal, Query, Scene, Urdf
from diffplan.strict.strict_yaml import parse_yaml

TETRAHEDRON = "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n"
DOOR = Path(__file__).parent.parent / "data" / "bad" / "door.urdf"
SCENE = """
format: diffplan/scene@1
name: on
robot: panda
robot_base: {xyz: [0, 0, 1e-1], rpy_deg: [0, 0, 90]}
obstacles:
  - {name: no, type: box, size: [0.3, 0.8, 2e-2], pose: {xyz: [0.6, 0, 0.4], rpy_deg: [0, 0, 90]}}
  - {name: can, type: cylinder, radius: 0.03, height: 0.12, pose: {xyz: [0.6, 0.1, 0.47]}}
  - {name: ball, type: sphere, radius: 0.05, pose: {xyz: [0.5, -0.2, 0.6]}}
  - {name: pipe, type: capsule, radius: 0.02, height: 0.5, pose: {xyz: [0.4, 0.3, 0.5], quat_xyzw: [0, 0, 0, 1]}}
  - {name: mug, type: mesh, file: parts/mug.obj, scale: 0.1, convex: true, pose: {xyz: [0.5, 0.2, 0.5]}}
  - {name: door, type: urdf, file: parts/door.urdf, joints: {hinge: 0.5}, pose: {xyz: [0.5, 0.0, 0.3]}}
queries:
  default: {start: home, goal: [0.3, 0.5, 0.0, -1.8, 0.0, 2.3, 0.8]}
  reach: {start: home, goal: {link: panda_hand, pose: {xyz: [0.5, 0.1, 0.6], rpy_deg: [180, 0, 0]}}}
"""


@pytest.fixture
def scene_file(tmp_path: Path) -> Path:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "mug.obj").write_text(TETRAHEDRON)
    (tmp_path / "parts" / "door.urdf").write_text(DOOR.read_text())
    (tmp_path / "scene.yaml").write_text(SCENE)
    return tmp_path / "scene.yaml"


def pose(text: str) -> Pose:
    return read_pose(parse_yaml(text, Path("x")))


def test_a_scene_file_is_read_as_it_is_written(scene_file: Path) -> None:
    scene = load_scene(scene_file)
    quarter = Pose.from_rpy((0.6, 0, 0.4), (0, 0, math.pi / 2))
    assert scene.name == "on"
    assert scene.robot == "panda"
    assert scene.robot_base.xyz == (0, 0, 0.1)
    assert scene.obstacles == (
        Box(name="no", size=(0.3, 0.8, 0.02), pose=quarter),
        Cylinder(name="can", radius=0.03, height=0.12, pose=Pose(xyz=(0.6, 0.1, 0.47))),
        Sphere(name="ball", radius=0.05, pose=Pose(xyz=(0.5, -0.2, 0.6))),
        Capsule(name="pipe", radius=0.02, height=0.5, pose=Pose(xyz=(0.4, 0.3, 0.5))),
        Mesh(
            name="mug", file=scene_file.parent / "parts/mug.obj", scale=0.1, convex=True, pose=Pose(xyz=(0.5, 0.2, 0.5))
        ),
        Urdf(
            name="door", file=scene_file.parent / "parts/door.urdf", joints={"hinge": 0.5}, pose=Pose(xyz=(0.5, 0, 0.3))
        ),
    )
    assert scene.query("default") == Query(start="home", goal=(0.3, 0.5, 0, -1.8, 0, 2.3, 0.8))
    goal = scene.query("reach").goal
    assert isinstance(goal, PoseGoal)
    assert goal.pose.matrix[:3, 2] == pytest.approx([0, 0, -1])


def test_without_obstacles_queries_and_robot_a_scene_is_empty(tmp_path: Path) -> None:
    file = tmp_path / "scene.yaml"
    file.write_text("format: diffplan/scene@1\nname: bare\n")
    assert load_scene(file) == Scene(name="bare")


def test_a_robot_may_be_named_by_a_path_relative_to_the_scene(tmp_path: Path) -> None:
    for part in ("robot_no_collision_model.yaml", "arm.urdf"):
        (tmp_path / part).write_text((DOOR.parent / part).read_text())
    file = tmp_path / "scene.yaml"
    head = "format: diffplan/scene@1\nname: arm\nrobot: robot_no_collision_model.yaml\n"
    file.write_text(head + "queries:\n  default: {start: home, goal: [0.1, 0.2]}\n")
    assert load_scene(file).robot == str(tmp_path / "robot_no_collision_model.yaml")


def test_a_scene_that_is_not_there_is_named_with_the_shipped_ones() -> None:
    with pytest.raises(InputError, match=r"no such scene file \(did you mean 'bookshelf'\?\).*tabletop_clutter"):
        load_scene("bookshlf")


angles = st.floats(-math.pi, math.pi)


@given(angles, angles, angles)
def test_all_four_spellings_of_a_rotation_agree(roll: float, pitch: float, yaw: float) -> None:
    rpy = [roll, pitch, yaw]
    expected = Pose.from_rpy((1, 2, 3), (roll, pitch, yaw))
    x, y, z, w = expected.quat_xyzw
    spellings = {
        "rpy": rpy,
        "rpy_deg": np.degrees(rpy).tolist(),
        "quat_xyzw": [x, y, z, w],
        "quat_wxyz": [w, x, y, z],
    }
    for key, values in spellings.items():
        assert pose(f"{{xyz: [1, 2, 3], {key}: {values}}}").matrix == pytest.approx(expected.matrix, abs=1e-9)


@pytest.mark.parametrize(("norm", "allowed"), [(0.9992, True), (1.0008, True), (0.998, False), (1.002, False)])
def test_a_quaternion_may_be_off_by_a_thousandth(norm: float, allowed: bool) -> None:
    text = f"{{xyz: [0, 0, 0], quat_wxyz: [{norm}, 0, 0, 0]}}"
    if allowed:
        assert pose(text).matrix == pytest.approx(np.eye(4))
    else:
        with pytest.raises(InputError, match="quaternion not normalised"):
            pose(text)


def test_a_scene_says_where_the_fingers_stand_and_its_plans_and_checks_have_them_there(tmp_path: Path) -> None:
    file = tmp_path / "scene.yaml"
    text = "format: diffplan/scene@1\nname: a\nrobot: panda\nhold: {panda_finger_joint1: 0.01}\nqueries:\n"
    file.write_text(text + "  default: {start: home, goal: left}\n")
    assert Scene.load(file).hold == {"panda_finger_joint1": 0.01}
    (case,) = load_cases(str(file))
    assert case.robot.held_joints == {"panda_finger_joint1": 0.01, "panda_finger_joint2": 0.01}
    file.write_text(text.replace("finger_joint1", "finger_jiont1") + "  default: {start: home, goal: left}\n")
    with pytest.raises(InputError, match=r"scene.yaml:4: hold.panda_finger_jiont1: unknown key \(did you mean"):
        Scene.load(file)


PLANES = """format: diffplan/scene@1
name: floors
obstacles:
  - {name: floor, type: floor}
  - {name: raised, type: floor, pose: {xyz: [0, 0, -0.2]}}
  - {name: wall, type: plane, pose: {xyz: [0, 1, 0], rpy_deg: [90, 0, 0]}}
"""


def test_floors_and_planes_are_read_and_written(tmp_path: Path) -> None:
    (tmp_path / "floors.yaml").write_text(PLANES)
    scene = Scene.load(tmp_path / "floors.yaml")
    floor, raised, wall = scene.obstacles
    assert floor == Plane(name="floor", pose=Pose())
    assert raised == Plane(name="raised", pose=Pose(xyz=(0.0, 0.0, -0.2)))
    assert isinstance(wall, Plane)
    np.testing.assert_allclose(wall.pose.matrix[:3, 2], (0, -1, 0), atol=1e-12)
    scene.save(tmp_path / "again.yaml")
    for one, other in zip(scene.obstacles, Scene.load(tmp_path / "again.yaml").obstacles, strict=True):
        assert (type(one), one.name) == (type(other), other.name)
        np.testing.assert_allclose(one.pose.matrix, other.pose.matrix, atol=1e-12)


@pytest.mark.parametrize(
    ("obstacle", "message"),
    [
        ("{name: wall, type: plane}", r":4: obstacles\[0\]: key 'pose' is missing"),
        ("{name: floor, type: floor, size: [1, 1, 1]}", r":4: obstacles\[0\].size: unknown key"),
        (
            "{name: b, type: box, size: [1, 1.0e+154, 1], pose: {xyz: [0, 0, 0]}}",
            r":4: obstacles\[0\].size: too large for distances to hold .*allowed: 0.00001 to 300 \[m\]",
        ),
        (
            "{name: b, type: cylinder, radius: 1.0e+77, height: 1, pose: {xyz: [0, 0, 0]}}",
            r":4: obstacles\[0\].radius: too large",
        ),
        (
            "{name: b, type: sphere, radius: 1.0e-9, pose: {xyz: [0, 0, 0]}}",
            r":4: obstacles\[0\].radius: too small",
        ),
        (
            "{name: b, type: sphere, radius: 1, pose: {xyz: [0, 2000000, 0]}}",
            r":4: obstacles\[0\].pose: too far away",
        ),
    ],
)
def test_what_is_wrong_with_a_size_or_a_plane_is_said_with_its_line(
    tmp_path: Path, obstacle: str, message: str
) -> None:
    (tmp_path / "a.yaml").write_text(f"format: diffplan/scene@1\nname: a\nobstacles:\n  - {obstacle}\n")
    with pytest.raises(InputError, match=message):
        Scene.load(tmp_path / "a.yaml")


def test_a_base_beyond_a_thousand_kilometres_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("format: diffplan/scene@1\nname: a\nrobot_base: {xyz: [0, 0, 3.0e+6]}\n")
    with pytest.raises(InputError, match=r":3: robot_base: too far away for distances to hold"):
        Scene.load(tmp_path / "a.yaml")


GOALS = """format: diffplan/scene@1
name: a
robot: panda
queries:
  set: {start: home, goal: {tool: true, poses: [{xyz: [0.4, 0, 0.5], rpy_deg: [180, 0, 0]}, {xyz: [0, 0.4, 0.5]}],
                           free: z}}
  box: {start: home, goal: {link: panda_hand, pose: {xyz: [0.4, 0, 0.5]}, box: [0.1, 0, 0.2]}}
  mixed: {start: home, goal: [{pose: {xyz: [0.4, 0, 0.5]}}, {poses: [{xyz: [0.3, 0, 0.5]}], free: x}]}
"""


def test_a_goal_may_be_several_poses_with_a_free_axis_or_a_box(tmp_path: Path) -> None:
    file = tmp_path / "scene.yaml"
    file.write_text(GOALS)
    queries = Scene.load(file).queries
    down, aside = Pose.from_rpy((0.4, 0, 0.5), (math.pi, 0, 0)), Pose(xyz=(0, 0.4, 0.5))
    assert queries["set"].goal == (PoseGoal(pose=down, free="z"), PoseGoal(pose=aside, free="z"))
    here = Pose(xyz=(0.4, 0, 0.5))
    assert queries["box"].goal == PoseGoal(link="panda_hand", pose=here, box=(0.1, 0, 0.2))
    assert queries["mixed"].goal == (PoseGoal(pose=here), PoseGoal(pose=Pose(xyz=(0.3, 0, 0.5)), free="x"))


@pytest.mark.parametrize(
    ("goal", "message"),
    [
        ("{tool: true, link: panda_hand, pose: {xyz: [0, 0, 0]}}", r"goal.tool: the tool or a link \(found true\)"),
        ("{tool: false, pose: {xyz: [0, 0, 0]}}", r"goal.tool: the tool or a link \(found false\)"),
        ("{pose: {xyz: [0, 0, 0]}, free: w}", r"goal.free: unknown axis \(found w\); allowed: x, y, z"),
        ("{pose: {xyz: [0, 0, 0]}, box: [0, 0, 0]}", r"goal.box: no box .*; allowed: its edge lengths >= 0"),
        ("{pose: {xyz: [0, 0, 0]}, box: [0.1, 0.1]}", r"goal.box: wrong length"),
        ("{poses: []}", r"goal.poses: no pose"),
        ("{poses: [{xyz: [0, 0]}]}", r"goal.poses\[0\].xyz: wrong length"),
        ("{pose: {xyz: [0, 0, 0]}, poses: [{xyz: [0, 0, 0]}]}", r"goal.pose: unknown key"),
        ("{free: z}", r"key 'pose' is missing"),
        ("[{pose: {xyz: [0, 0, 0]}}, 0.5]", r"goal\[1\]: not a mapping"),
    ],
)
def test_what_is_wrong_with_a_goal_is_told_with_its_line(tmp_path: Path, goal: str, message: str) -> None:
    file = tmp_path / "scene.yaml"
    file.write_text(f"{GOALS}  bad: {{start: home, goal: {goal}}}\n")
    with pytest.raises(
        InputError, match=f"scene.yaml:9: queries.bad.{message}" if "missing" not in message else message
    ):
        Scene.load(file)
