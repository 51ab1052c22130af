from collections.abc import Callable
from pathlib import Path

import pytest

from diffplan.errors import InputError
from diffplan.formats.imports.draft import Unsupported
from diffplan.formats.imports.robometrics import drafts
from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import Box, Cylinder, Sphere
from diffplan.robot.model import Robot

TEXT = """\
shelf_panda:
- collision_buffer_ik: 0
  goal_ik:
  - [0.5, -0.785, 0.0, -2.356, 0.0, 1.571, 0.785]
  - [0.7, -0.785, 0.0, -2.356, 0.0, 1.571, 0.785]
  goal_pose:
    frame: panda_hand
    position_xyz: [0.5, 0.3, 0.5]
    quaternion_wxyz: [0, 1, 0, 0]
  obstacles:
    cuboid:
      board:
        dims: [0.2, 0.4, 0.6]
        pose: [0.9, -0.1, 0.3, 0.8, 0, 0, 0.6]
    cylinder:
      can:
        height: 0.14
        radius: 0.03
        pose: [0.7, 0.5, 0.2, 0.8, 0.6, 0, 0]
    sphere:
      ball: {radius: 0.1, position: [0.9, 0, 1.2]}
  start: [0.0, -0.785, 0.0, -2.356, 0.0, 1.571, 0.785]
  world_frame: panda_link0
"""


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    def write(old: str = "", new: str = "") -> Path:
        assert old in TEXT
        (tmp_path / "set.yaml").write_text(TEXT.replace(old, new, 1))
        return tmp_path / "set.yaml"

    return write


def test_dims_are_full_edges_and_quaternions_w_first(file: Callable[..., Path], panda: Robot) -> None:
    (draft,) = drafts(file(), panda)
    assert draft.id == "shelf/1"
    imported = draft.read()
    assert imported.obstacles == (
        Box(name="board", size=(0.2, 0.4, 0.6), pose=Pose(xyz=(0.9, -0.1, 0.3), quat_xyzw=(0, 0, 0.6, 0.8))),
        Cylinder(name="can", radius=0.03, height=0.14, pose=Pose(xyz=(0.7, 0.5, 0.2), quat_xyzw=(0.6, 0, 0, 0.8))),
        Sphere(name="ball", radius=0.1, pose=Pose(xyz=(0.9, 0, 1.2))),
    )
    assert imported.start == (0, -0.785, 0, -2.356, 0, 1.571, 0.785)
    assert [goal[0] for goal in imported.goals] == [0.5, 0.7]


CANNOT_BE_KEPT = {
    r"set.yaml:3: shelf_panda\[0\].goal_ik: no goal in joint values \(found \[\]\); allowed: goal_ik with at least": (
        TEXT[TEXT.index("  goal_ik") : TEXT.index("  goal_pose")],
        "  goal_ik: []\n",
    ),
    r"set.yaml:4: shelf_panda\[0\].goal_pose: no goal in joint values": (
        TEXT[TEXT.index("  goal_ik") : TEXT.index("  goal_pose")],
        "",
    ),
    r"set.yaml:2: shelf_panda\[0\].collision_buffer_ik: marked by its makers .* \(found -0.01\); allowed: >= 0": (
        "collision_buffer_ik: 0",
        "collision_buffer_ik: -0.01",
    ),
    r"set.yaml:\d+: shelf_panda\[0\].obstacles.mesh.mug: 'mug' is a mesh .*allowed: cuboid, cylinder, sphere": (
        "    sphere:\n      ball",
        "    mesh:\n      mug",
    ),
    r"set.yaml:23: shelf_panda\[0\].world_frame: a frame other than the robot's base \(found table\)": (
        "world_frame: panda_link0",
        "world_frame: table",
    ),
}


@pytest.mark.parametrize("message", CANNOT_BE_KEPT)
def test_what_a_suite_cannot_hold_is_refused(message: str, file: Callable[..., Path], panda: Robot) -> None:
    with pytest.raises(Unsupported, match=message):
        next(drafts(file(*CANNOT_BE_KEPT[message]), panda)).read()


WRONG = {
    r"set.yaml:14: .*board.pose: quaternion not normalised: its norm is 0.6 ": ("0.8, 0, 0, 0.6", "0, 0, 0, 0.6"),
    r"set.yaml:14: .*board.pose: wrong length .*allowed: a list of 7 numbers": ("0.8, 0, 0, 0.6]", "0.8, 0, 0]"),
    r"set.yaml:17: .*can.length: unknown key.*allowed: radius, height, pose": ("height: 0.14", "length: 0.14"),
    r"set.yaml:13: .*board.half_extents: unknown key": ("dims", "half_extents"),
    r"set.yaml:18: .*can.radius: number out of range \(found -0.03\)": ("radius: 0.03", "radius: -0.03"),
    r"set.yaml:22: .*start: wrong length": ("start: [0.0, ", "start: ["),
    r"set.yaml:11: .*obstacles.cuboids: unknown key \(did you mean 'cuboid'\?\)": ("cuboid:", "cuboids:"),
    r"set.yaml:3: .*goal_k: unknown key \(did you mean 'goal_ik'\?\)": ("goal_ik", "goal_k"),
}


@pytest.mark.parametrize("message", WRONG)
def test_errors_tell_line_key_and_what_is_allowed(message: str, file: Callable[..., Path], panda: Robot) -> None:
    with pytest.raises(InputError, match=message) as caught:
        next(drafts(file(*WRONG[message]), panda)).read()
    assert not isinstance(caught.value, Unsupported)
