from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from diffplan.errors import InputError
from diffplan.formats.imports.draft import Unsupported
from diffplan.formats.imports.moveit import drafts
from diffplan.formats.imports.scene_text import read_scene_text
from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import Box, Cylinder, Sphere
from diffplan.robot.model import Robot

OLD = """\
kitchen
* tin can
1
cylinder
0.03 0.14
0.7 0.5 0.2
0 0 0.6 0.8
0 0 0 0
* board
2
box
0.2 0.4 0.6
0.9 -0.1 0.3
0.6 0 0 0.8
1 0.5 0 1
sphere
0.05
0.4 0 1
0 0 0 1
0 0 0 0
.
"""
NEW = """\
kitchen
* tin can
1 0 0
0 0 0.70710678118 0.70710678118
1
cylinder
0.03 0.14
0.7 0.5 0.2
0 0 0 1
0 0 0 0
1
top
0 0 0.07
0 0 0 1
.
"""


@pytest.fixture
def scene(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "kitchen.scene"
        path.write_text(text)
        return path

    return write


def test_a_cylinder_is_radius_then_length_and_a_box_has_full_edges(scene: Callable[[str], Path]) -> None:
    assert read_scene_text(scene(OLD)) == (
        Cylinder(name="tin can", radius=0.03, height=0.14, pose=Pose(xyz=(0.7, 0.5, 0.2), quat_xyzw=(0, 0, 0.6, 0.8))),
        Box(name="board[0]", size=(0.2, 0.4, 0.6), pose=Pose(xyz=(0.9, -0.1, 0.3), quat_xyzw=(0.6, 0, 0, 0.8))),
        Sphere(name="board[1]", radius=0.05, pose=Pose(xyz=(0.4, 0, 1))),
    )


def test_files_with_object_poses_and_subframes_are_told_by_the_line_after_the_name(
    scene: Callable[[str], Path],
) -> None:
    (can,) = read_scene_text(scene(NEW))
    assert isinstance(can, Cylinder)
    assert (can.radius, can.height) == (0.03, 0.14)
    np.testing.assert_allclose(can.pose.xyz, (0.5, 0.7, 0.2), atol=1e-9)


def test_a_folder_may_keep_its_scenes_as_text(pairs: Callable[..., Path], panda: Robot) -> None:
    folder = pairs()
    (folder / "scene0001.yaml").unlink()
    (folder / "scene0001.scene").write_text(OLD)
    imported = next(drafts(folder, panda)).read()
    assert [obstacle.name for obstacle in imported.obstacles] == ["tin can", "board[0]", "board[1]"]


@pytest.mark.parametrize("kind", ["cone", "mesh", "plane", "octree"])
def test_other_shapes_are_refused_by_name(kind: str, scene: Callable[[str], Path]) -> None:
    message = rf"kitchen.scene:4: tin can: 'tin can' is a {kind} \(found '{kind}'\); allowed: box, cylinder, sphere"
    with pytest.raises(Unsupported, match=message):
        read_scene_text(scene(OLD.replace("cylinder", kind, 1)))


WRONG = {
    r"kitchen.scene:4: tin can: not a shape \(found 'tube'\); allowed: box, cylinder, sphere, cone": (
        "cylinder",
        "tube",
    ),
    r"kitchen.scene:5: tin can: not such numbers \(found '0.03'\); allowed: radius length: 2 finite numbers > 0": (
        "0.03 0.14",
        "0.03",
    ),
    r"kitchen.scene:12: board\[0\]: not such numbers \(found '0.2 -0.4 0.6'\)": ("0.2 0.4", "0.2 -0.4"),
    r"kitchen.scene:6: tin can: not numbers \(found '0.7 0.5 zero'\); allowed: position x y z": ("0.5 0.2", "0.5 zero"),
    r"kitchen.scene:7: tin can: quaternion not normalised: its norm is 0.6 ": ("0 0 0.6 0.8", "0 0 0.6 0"),
    r"kitchen.scene:3: tin can: not a count \(found 'one'\); allowed: the number of shapes": ("1\n", "one\n"),
    r"kitchen.scene:3: tin can: not a count \(found '1{300}": ("1\n", "1" * 5000 + "\n"),
    r"kitchen.scene:9: not the start of an object \(found 'board'\); allowed: `\* name`, or `.`": ("* board", "board"),
    r"kitchen.scene: the file ends too early; allowed: `\* name` or `.`, and a line `.` at the end": ("\n.\n", "\n"),
    r"kitchen.scene:22: text after the end \(found 'more'\); allowed: nothing": ("\n.\n", "\n.\nmore\n"),
}


@pytest.mark.parametrize("message", WRONG)
def test_errors_tell_line_object_and_what_is_allowed(message: str, scene: Callable[[str], Path]) -> None:
    old, new = WRONG[message]
    with pytest.raises(InputError, match=message):
        read_scene_text(scene(OLD.replace(old, new, 1)))
