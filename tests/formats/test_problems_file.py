import gzip
import json
from pathlib import Path

import pytest

from diffplan.errors import InputError
from diffplan.formats.problems_file import load_problems
from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import Cylinder

Q = [0.0, 0.1, 0.0, -1.0, 0.0, 1.0, 0.0]
CAN = {"name": "can", "type": "cylinder", "radius": 0.03, "height": 0.14, "pose": {"xyz": [0.5, 0, 0.3]}}
SUITE = {
    "format": "diffplan/problems@1",
    "name": "two",
    "robot": "panda",
    "joint_names": [f"panda_joint{i}" for i in range(1, 8)],
    "fixed_joints": {"panda_finger_joint1": 0.065},
    "problems": [
        {"id": "a/1", "start": Q, "goals": [Q, [0.2, *Q[1:]]], "obstacles": [CAN]},
        {"id": "b/1", "start": Q, "goals": [Q], "obstacles": []},
    ],
}


@pytest.mark.parametrize("zipped", [False, True])
def test_a_suite_is_read_plain_or_gzipped(tmp_path: Path, zipped: bool) -> None:
    data = json.dumps(SUITE).encode()
    (tmp_path / "suite").write_bytes(gzip.compress(data) if zipped else data)
    suite = load_problems(tmp_path / "suite")
    assert suite.name == "two"
    assert [entry.id for entry in suite.entries] == ["a/1", "b/1"]
    first = suite.entries[0]
    assert first.start.tolist() == Q
    assert first.goals.shape == (2, 7)
    assert first.scene.obstacles == (Cylinder(name="can", radius=0.03, height=0.14, pose=Pose(xyz=(0.5, 0, 0.3))),)


def test_the_robot_of_a_suite_holds_the_fixed_joints_even_beyond_their_limits(tmp_path: Path) -> None:
    (tmp_path / "suite.json").write_text(json.dumps(SUITE))
    suite = load_problems(tmp_path / "suite.json")
    assert suite.fixed_joints == {"panda_finger_joint1": 0.065}
    assert suite.robot.held_joints == {"panda_finger_joint1": 0.065, "panda_finger_joint2": 0.065}  # which mimics it


def test_fixed_joints_that_set_a_finger_against_the_one_it_mimics_are_refused(tmp_path: Path) -> None:
    fixed = {"panda_finger_joint1": 0.03, "panda_finger_joint2": 0.0}
    (tmp_path / "suite.json").write_text(json.dumps({**SUITE, "fixed_joints": fixed}))
    with pytest.raises(InputError, match=r"fixed_joints\.panda_finger_joint2: .*follows panda_finger_joint1.*at 0\.03"):
        load_problems(tmp_path / "suite.json")


def test_a_suite_without_problems_is_refused(tmp_path: Path) -> None:
    (tmp_path / "suite.json").write_text(json.dumps({**SUITE, "problems": []}))
    with pytest.raises(InputError, match=r"suite\.json: problems: the suite has no problems"):
        load_problems(tmp_path / "suite.json")
