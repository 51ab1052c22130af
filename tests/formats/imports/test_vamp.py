import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest

from diffplan.errors import InputError
from diffplan.formats.imports.vamp import drafts
from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import Box, Cylinder, Sphere
from diffplan.robot.model import Robot

JOINTS = [f"panda_joint{i}" for i in range(1, 8)]
Q = [0.0, -0.785, 0.0, -2.356, 0.0, 1.571, 0.785]
TURNED = {"orientation_quat_xyzw": [0, 0, 0.6, 0.8], "orientation_euler_xyz": [0, 0, 1.2870022175866]}
PROBLEM = {
    "sphere": [{"name": "ball", "radius": 0.1, "position": [0.9, 0, 1.2]}],
    "cylinder": [{"name": "can", "length": 0.14, "radius": 0.03, "position": [0.7, 0.5, 0.2], **TURNED}],
    "box": [{"name": "board", "half_extents": [0.1, 0.2, 0.3], "position": [0.9, -0.1, 0.3], **TURNED}],
    "index": 7,
    "problem": "shelf",
    "start": Q,
    "goals": [[0.5, *Q[1:]]],
    "valid": True,
}
FILE = {"robot": "panda", "joints": JOINTS, "problems": {"shelf": [PROBLEM]}}


@pytest.fixture
def vamp(tmp_path: Path) -> Callable[..., Path]:
    """Write a file of one problem after a change to it."""

    def write(change: Callable[[dict, dict], object] = lambda file, problem: None) -> Path:
        file = deepcopy(FILE)
        change(file, file["problems"]["shelf"][0])
        (tmp_path / "problems.json").write_text(json.dumps(file))
        return tmp_path / "problems.json"

    return write


def test_half_extents_become_full_edges_and_length_the_height(vamp: Callable[..., Path], panda: Robot) -> None:
    (draft,) = drafts(vamp(), panda)
    assert draft.id == "shelf/7"
    imported = draft.read()
    assert imported.obstacles == (
        Box(name="board", size=(0.2, 0.4, 0.6), pose=Pose(xyz=(0.9, -0.1, 0.3), quat_xyzw=(0, 0, 0.6, 0.8))),
        Cylinder(name="can", radius=0.03, height=0.14, pose=Pose(xyz=(0.7, 0.5, 0.2), quat_xyzw=(0, 0, 0.6, 0.8))),
        Sphere(name="ball", radius=0.1, pose=Pose(xyz=(0.9, 0, 1.2))),
    )
    assert imported.start == tuple(Q)
    assert imported.goals == ((0.5, *Q[1:]),)
    assert imported.held == {}


def test_angles_alone_do(vamp: Callable[..., Path], panda: Robot) -> None:
    file = vamp(lambda file, problem: problem["box"][0].pop("orientation_quat_xyzw"))
    board = next(drafts(file, panda)).read().obstacles[0]
    assert board.pose.quat_xyzw == pytest.approx((0, 0, 0.6, 0.8))


def test_joint_values_follow_the_names_in_the_file(vamp: Callable[..., Path], panda: Robot) -> None:
    file = vamp(lambda file, problem: file.update(joints=[*JOINTS[1:], JOINTS[0]]))
    assert next(drafts(file, panda)).read().start == (Q[6], *Q[:6])


WRONG: dict[str, tuple[Callable[[dict, dict], object], str]] = {
    "w first": (
        lambda file, problem: problem["box"][0].update(orientation_quat_xyzw=[0.8, 0, 0, 0.6]),
        r"problems.json: problems.shelf\[0\].box\[0\].orientation_quat_xyzw: not the rotation that "
        r"orientation_euler_xyz says \(found \[0.8, 0, 0, 0.6\]\); allowed: the same rotation, x, y, z, w",
    ),
    "no rotation": (
        lambda file, problem: [problem["cylinder"][0].pop(key) for key in TURNED],
        r"problems.shelf\[0\].cylinder\[0\]: no rotation; allowed: orientation_quat_xyzw, orientation_euler_xyz",
    ),
    "full edges": (
        lambda file, problem: problem["box"][0].update(size=problem["box"][0].pop("half_extents")),
        r"box\[0\].size: unknown key.*allowed: name, position, half_extents",
    ),
    "other robot": (
        lambda file, problem: file.update(robot="fetch"),
        r"robot: unknown robot \(found 'fetch'\); allowed: panda",
    ),
    "other joints": (
        lambda file, problem: file.update(joints=["a", "b"]),
        r"joints: not the robot's joints \(found \['a', 'b'\]\); allowed: panda_joint1, panda_joint2",
    ),
    "no goals": (
        lambda file, problem: problem.update(goals=[]),
        r"goals: no goal \(found \[\]\); allowed: at least one list of joint values",
    ),
    "short goal": (
        lambda file, problem: problem.update(goals=[Q[:6]]),
        r"goals\[0\]: wrong length .*allowed: a list of 7 numbers",
    ),
    "index": (
        lambda file, problem: problem.update(index=1.5),
        r"index: not a whole number \(found 1.5\)",
    ),
    "capsules": (
        lambda file, problem: problem.update(capsule=[]),
        r"problems.shelf\[0\].capsule: unknown key.*allowed: index, start, goals, box, cylinder, sphere",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_errors_tell_key_value_and_what_is_allowed(case: str, vamp: Callable[..., Path], panda: Robot) -> None:
    change, message = WRONG[case]
    with pytest.raises(InputError, match=message):
        next(drafts(vamp(change), panda)).read()
