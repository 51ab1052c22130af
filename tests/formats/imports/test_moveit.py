import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from diffplan.errors import InputError
from diffplan.formats.imports.draft import Unsupported
from diffplan.formats.imports.moveit import drafts
from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import Box, Cylinder
from diffplan.robot.model import Robot

Pairs = Callable[..., Path]


def test_boxes_have_full_edges_cylinders_height_first_and_quaternions_w_last(pairs: Pairs, panda: Robot) -> None:
    (draft,) = drafts(pairs(), panda)
    assert draft.id == "shelf/1"
    can, board = draft.read().obstacles
    assert can == Cylinder(
        name="can", radius=0.03, height=0.14, pose=Pose(xyz=(0.7, 0.5, 0.2), quat_xyzw=(0, 0, 0.6, 0.8))
    )
    assert isinstance(board, Box)
    assert board.size == (0.2, 0.4, 0.6)
    # Turned about x by 2 atan(3/4) = 73.7 degrees: the far end of the long edge leans towards -y.
    far_end = board.pose.matrix @ [0, 0, 0.3, 1]
    angle = 2 * math.atan2(0.6, 0.8)
    np.testing.assert_allclose(
        far_end[:3], [0.9, -0.1 - 0.3 * math.sin(angle), 0.3 + 0.3 * math.cos(angle)], atol=1e-12
    )


def test_joints_are_taken_by_name_whatever_their_order(pairs: Pairs, panda: Robot) -> None:
    imported = next(drafts(pairs(), panda)).read()
    assert imported.start == (0, -0.785, 0, -2.356, 0, 1.571, 0.785)
    assert imported.goals == ((0.5, -0.785, 0, -2.356, 0, 1.571, 0.785),)
    assert imported.held == {"panda_finger_joint1": 0.065}


def test_messages_as_ros_prints_them_are_read_too_and_the_pose_of_an_object_moves_its_shapes(
    pairs: Pairs, panda: Robot
) -> None:
    old = "- id: can\n      primitives:\n        - type: cylinder"
    new = """- id: can
      header: {stamp: {sec: 0, nanosec: 0}, frame_id: panda_link0}
      operation: 0
      pose:
        position: {x: 1.0, y: 0.0, z: 0.0}
        orientation: {x: 0.0, y: 0.0, z: 0.70710678118, w: 0.70710678118}
      meshes: []
      planes: []
      primitives:
        - type: 3"""
    can = next(drafts(pairs(scene=(old, new)), panda)).read().obstacles[0]
    assert isinstance(can, Cylinder)
    assert (can.radius, can.height) == (0.03, 0.14)
    # A quarter turn about z takes (0.7, 0.5) to (-0.5, 0.7).
    np.testing.assert_allclose(can.pose.xyz, (0.5, 0.7, 0.2), atol=1e-9)


def test_an_object_pose_that_was_never_set_moves_nothing_but_a_zero_rotation_elsewhere_is_refused(
    pairs: Pairs, panda: Robot
) -> None:
    zero = "{position: {x: 0, y: 0, z: 0}, orientation: {x: 0, y: 0, z: 0, w: 0}}"
    can = next(drafts(pairs(scene=("- id: can", f"- id: can\n      pose: {zero}")), panda)).read().obstacles[0]
    assert can.pose.xyz == (0.7, 0.5, 0.2)
    folder = pairs(scene=("orientation: [0, 0, 0.6, 0.8]", "orientation: [0, 0, 0, 0]"))
    with pytest.raises(InputError, match=r"scene0001.yaml:24: .*orientation: quaternion not normalised: its norm is 0"):
        next(drafts(folder, panda)).read()


def test_an_object_of_several_shapes_becomes_several_obstacles(pairs: Pairs, panda: Robot) -> None:
    old = "        - type: box\n          dimensions: [0.2, 0.4, 0.6]\n      primitive_poses:\n"
    new = (
        "        - {type: sphere, dimensions: [0.1]}\n        - {type: 1, dimensions: [0.2, 0.4, 0.6]}\n"
        "      primitive_poses:\n        - {position: [0, 0, 2], orientation: [0, 0, 0, 1]}\n"
    )
    obstacles = next(drafts(pairs(scene=(old, new)), panda)).read().obstacles
    assert [obstacle.name for obstacle in obstacles] == ["can", "board[0]", "board[1]"]


def test_two_goals_are_two_ways_to_end(pairs: Pairs, panda: Robot) -> None:
    folder = pairs()
    request = folder / "request0001.yaml"
    text = request.read_text()
    goal = text[text.index("  - joint_constraints") : text.index("workspace_parameters")]
    request.write_text(text.replace(goal, goal + goal.replace("position: 0.5", "position: 0.7")))
    assert [goal[0] for goal in next(drafts(folder, panda)).read().goals] == [0.5, 0.7]


CANNOT_BE_KEPT = {
    "cone": (
        ("type: cylinder", "type: 4"),
        r"scene0001.yaml:20: world.collision_objects\[0\].primitives\[0\].type: 'can' is a cone \(found 4\); "
        r"allowed: box, sphere, cylinder",
    ),
    "mesh": (
        ("- id: can", "- id: can\n      meshes: [{triangles: [], vertices: []}]"),
        r"scene0001.yaml:19: world.collision_objects\[0\].meshes: 'can' has a mesh",
    ),
    "plane": (
        ("- id: can", "- id: can\n      planes: [{coef: [0, 0, 1, 0]}]"),
        r"scene0001.yaml:19: .*planes: 'can' has a plane",
    ),
    "frame": (
        ("- id: can", "- id: can\n      header: {frame_id: base_link}"),
        r"scene0001.yaml:19: .*frame_id: a frame other than the robot's base \(found base_link\); "
        r"allowed: world, panda_link0, ''",
    ),
    "operation": (
        ("- id: can", "- id: can\n      operation: 1"),
        r"scene0001.yaml:19: .*operation: 'can' changes an earlier scene \(found 1\); allowed: 0, add",
    ),
    "octomap": (
        ("world:", "world:\n  octomap: {octomap: {id: OcTree, data: [1, 2]}}"),
        r"scene0001.yaml:17: world.octomap.octomap.data: the scene has an octomap",
    ),
    "attached": (
        ("robot_state:", "robot_state:\n  attached_collision_objects: [{link_name: panda_hand}]"),
        r"scene0001.yaml:3: robot_state.attached_collision_objects\[0\]: an object is attached to the robot",
    ),
    "base moved": (
        ("translation: [0, 0, 0], rotation: [0, 0, 0, 1]}]", "translation: [0, 0, 0.4], rotation: [0, 0, 0, 1]}]"),
        r"scene0001.yaml:5: robot_state.multi_dof_joint_state.transforms\[0\]: the robot's base is moved",
    ),
    "world elsewhere": (
        ("{translation: [0, 0, 0], rotation: [0, 0, 0, 1]}\n", "{translation: [0, 0, 0], rotation: [0, 0, 1, 0]}\n"),
        r"scene0001.yaml:13: .*transform: the robot's base is not where the world frame is",
    ),
    "permitted contact": (
        ("entry_names: [panda_hand, ", "entry_names: [board, "),
        r"scene0001.yaml:8: .*entry_names\[0\]: contact with this object is permitted \(found board\)",
    ),
    "padding": (
        ('name: ""', 'name: ""\nlink_padding: [{link_name: panda_hand, padding: 0.01}]'),
        r"scene0001.yaml:16: link_padding\[0\].padding: the robot's links are made larger or smaller \(found 0.01\); "
        r"allowed: 0",
    ),
}


@pytest.mark.parametrize("case", CANNOT_BE_KEPT)
def test_what_a_suite_cannot_hold_is_refused_with_file_object_and_what_is_allowed(
    case: str, pairs: Pairs, panda: Robot
) -> None:
    change, message = CANNOT_BE_KEPT[case]
    with pytest.raises(Unsupported, match=message):
        next(drafts(pairs(scene=change), panda)).read()


REQUESTS_NOT_KEPT = {
    "pose goal": (
        ("  - joint_constraints:", "  - position_constraints: [{link_name: panda_hand}]\n    joint_constraints:"),
        r"request0001.yaml:7: goal_constraints\[0\].position_constraints: a goal that is no configuration .*"
        r"allowed: joint_constraints only",
    ),
    "path constraint": (
        ("planner_id", "path_constraints: {orientation_constraints: [{weight: 1}]}\nplanner_id"),
        r"request0001.yaml:\d+: path_constraints.orientation_constraints: the motion is constrained on its way",
    ),
    "constraint of a time": (
        ("planner_id", "trajectory_constraints: {constraints: [{joint_constraints: [{weight: 1}]}]}\nplanner_id"),
        r"trajectory_constraints.constraints\[0\].joint_constraints: the motion is constrained on its way",
    ),
    "finger goal": (
        ("  - joint_constraints:", "  - joint_constraints:\n      - {joint_name: panda_finger_joint1, position: 0}"),
        r"goal_constraints\[0\]: a goal for panda_finger_joint1, which are held still",
    ),
}


@pytest.mark.parametrize("case", REQUESTS_NOT_KEPT)
def test_requests_that_a_suite_cannot_hold_are_refused(case: str, pairs: Pairs, panda: Robot) -> None:
    change, message = REQUESTS_NOT_KEPT[case]
    with pytest.raises(Unsupported, match=message):
        next(drafts(pairs(request=change), panda)).read()


WRONG = {
    "other robot": (
        {"request": ("panda_joint1, panda_joint2", "fer_joint1, panda_joint2")},
        r"request0001.yaml:5: start_state.joint_state.position\[1\]: panda has no such joint .*\(found 'fer_joint1'\)",
    ),
    "joint missing": (
        {"request": ("      - {joint_name: panda_joint3, position: 0.0}\n", "")},
        r"request0001.yaml:7: goal_constraints\[0\]: no value for panda_joint3 .*one for each joint of panda",
    ),
    "joint twice": (
        {"request": ("joint_name: panda_joint3", "joint_name: panda_joint2")},
        r"request0001.yaml:10: .*position: joint 'panda_joint2' is named twice",
    ),
    "lengths": (
        {"request": ("position: [0.065, ", "position: [")},
        r"request0001.yaml:5: .*position: not as many values as names .*allowed: 8 values",
    ),
    "no goal": (
        {"scene": ("", ""), "request": ("planner_id", "planer_id")},
        r"request0001.yaml:\d+: planer_id: unknown key \(did you mean 'planner_id'\?\)",
    ),
    "misspelt": (
        {"scene": ("primitive_poses:", "primitives_poses:")},
        r"scene0001.yaml:22: .*primitives_poses: unknown key \(did you mean 'primitive_poses'\?\)",
    ),
    "poses": (
        {"scene": ("        - position: [0.7, 0.5, 0.2]\n          orientation: [0, 0, 0.6, 0.8]\n", "        []\n")},
        r"scene0001.yaml:18: world.collision_objects\[0\]: 'can' has 1 primitives and 0 primitive_poses",
    ),
    "dimensions": (
        {"scene": ("dimensions: [0.14, 0.03]", "dimensions: [0.14]")},
        r"scene0001.yaml:21: .*dimensions: wrong length \(found \[0.14\]\); allowed: a list of 2 numbers",
    ),
    "flat": (
        {"scene": ("dimensions: [0.2, 0.4, 0.6]", "dimensions: [0.2, 0, 0.6]")},
        r"scene0001.yaml:28: .*dimensions\[1\]: number out of range \(found 0\); allowed: a finite number > 0",
    ),
    "primitive": (
        {"scene": ("type: box", "type: bx")},
        r"scene0001.yaml:27: .*type: 'board' is no known primitive \(found bx\); allowed: 1 \(box\), 2 \(sphere\)",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_files_that_are_wrong_are_refused_and_cannot_be_left_out(case: str, pairs: Pairs, panda: Robot) -> None:
    changes, message = WRONG[case]
    with pytest.raises(InputError, match=message) as caught:
        next(drafts(pairs(**changes), panda)).read()
    assert not isinstance(caught.value, Unsupported)


def test_a_scene_without_its_request_and_a_folder_without_either_are_refused(
    pairs: Pairs, panda: Robot, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty: no problems in this folder; allowed: scene0001.yaml, request0001"):
        next(drafts(tmp_path / "empty", panda))
    folder = pairs()
    (folder / "request0001.yaml").unlink()
    with pytest.raises(InputError, match=r"scene0001.yaml: this scene has no request; allowed: a request0001.yaml"):
        next(drafts(folder, panda))
    (folder / "scene1.scene").write_text("")
    with pytest.raises(InputError, match=r"scene1.scene: a second scene 1; allowed: scene0001.yaml only"):
        next(drafts(folder, panda))


@pytest.mark.parametrize(
    ("row", "problem"), [("{enabled: [true, false]}", None), ("{enable: []}", "key 'enabled'|unknown")]
)
def test_rows_of_a_contact_matrix_may_be_messages(pairs: Pairs, panda: Robot, row: str, problem: str | None) -> None:
    (draft,) = drafts(pairs(scene=("- [true, false]", f"- {row}")), panda)
    if problem is None:
        assert len(draft.read().obstacles) == 2
    else:
        with pytest.raises(InputError, match=problem):
            draft.read()
