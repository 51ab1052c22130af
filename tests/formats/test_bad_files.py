"""Every bad file in tests/data/bad with the message that it earns; FOLDER stands for the folder's path."""

from collections.abc import Callable
from pathlib import Path

import pytest

from diffplan.errors import InputError
from diffplan.formats.plan_file import load_plan
from diffplan.formats.problems_file import load_problems
from diffplan.formats.robot_file import load_robot
from diffplan.formats.scene_file import load_scene
from diffplan.sequence.task_file import load_task

FOLDER = Path(__file__).parent.parent / "data" / "bad"
LOADERS: dict[str, Callable[[Path], object]] = {
    "scene": load_scene,
    "robot": load_robot,
    "problems": load_problems,
    "plan": load_plan,
    "task": load_task,
}
MESSAGES = {
    "plan_cut_off.json": "plan_cut_off.json:2: not readable as JSON: Unterminated string starting at",
    "plan_other_format.json": (
        "plan_other_format.json: format: another format or version (found 'diffplan/plan@0'); allowed: diffplan/plan@1"
    ),
    "problems_cut_off.json": "problems_cut_off.json:6: not readable as JSON: Expecting ',' delimiter",
    "problems_duplicate_id.json": (
        "problems_duplicate_id.json: problems[1].id: duplicate problem id (found 'a/1'); allowed: an id used once"
    ),
    "problems_duplicate_key.json": "problems_duplicate_key.json: name: duplicate key",
    "problems_goal_wrong_length.json": (
        "problems_goal_wrong_length.json: problems[0].goals[0]: wrong length (found "
        "[0, 0.5]); allowed: a list of 7 numbers"
    ),
    "problems_joint_order.json": (
        "problems_joint_order.json: joint_names: not the robot's joints, in its "
        "order (found ['panda_joint2', 'panda_joint1', 'panda_joint3', "
        "'panda_joint4', 'panda_joint5', 'panda_joint6', 'panda_joint7']); allowed: "
        "panda_joint1, panda_joint2, panda_joint3, panda_joint4, panda_joint5, "
        "panda_joint6, panda_joint7"
    ),
    "problems_misspelt_key.json": (
        "problems_misspelt_key.json: problems[0].obstacles[0].radios: unknown key "
        "(did you mean 'radius'?); allowed: name, type, pose, radius, height"
    ),
    "problems_nan.json": (
        "problems_nan.json: problems[0].obstacles[0].pose.xyz[0]: number out of "
        "range (found nan); allowed: a finite number"
    ),
    "problems_no_goals.json": (
        "problems_no_goals.json: problems[0].goals: no goal (found []); allowed: at least one list of joint values"
    ),
    "problems_number_as_text.json": (
        "problems_number_as_text.json: problems[0].obstacles[0].radius: a text, not "
        "a number (found '0.03'); allowed: a finite number > 0, without quotes"
    ),
    "problems_scene_format.json": (
        "problems_scene_format.json: format: another format or version (found "
        "'diffplan/scene@1'); allowed: diffplan/problems@1"
    ),
    "problems_unknown_fixed_joint.json": (
        "problems_unknown_fixed_joint.json: fixed_joints.panda_finger_joint3: "
        "unknown key (did you mean 'panda_finger_joint2'?); allowed: "
        "panda_finger_joint1, panda_finger_joint2"
    ),
    "problems_unknown_robot.json": (
        "problems_unknown_robot.json: robot: unknown robot (did you mean 'panda'?) (found 'pandora'); allowed: "
        "gen3, iiwa, panda, ur5, xarm6, the path of a robot file, `diffplan robots add URDF --name pandora` adds one"
    ),
    "robot_collision_bad_reason.yaml": (
        "collision_bad_reason.yaml:6: self_collision.ignore[0].reason: unknown "
        "reason (found sometimes); allowed: adjacent, always, never, unclear"
    ),
    "robot_collision_unknown_link.yaml": (
        "collision_unknown_link.yaml:3: links.hnad: unknown key (did you mean 'hand'?); allowed: base, upper, hand, tip"
    ),
    "robot_held_and_planned.yaml": ("robot_held_and_planned.yaml:9: held_joints.elbow: unknown key; allowed: finger"),
    "robot_held_outside_limits.yaml": (
        "robot_held_outside_limits.yaml:9: held_joints.finger: outside the joint's "
        "limits (found 0.2); allowed: 0.0 ... 0.04"
    ),
    "robot_home_outside_limits.yaml": (
        "robot_home_outside_limits.yaml:11: configurations.home[1]: outside the "
        "limits of elbow (found 2.5); allowed: -2 ... 2"
    ),
    "robot_home_wrong_length.yaml": (
        "robot_home_wrong_length.yaml:11: configurations.home: wrong length (found "
        "[0.0, 0.5, 0.1]); allowed: a list of 2 numbers"
    ),
    "robot_joints_out_of_order.yaml": (
        "robot_joints_out_of_order.yaml:7: joints: planning joints must form one "
        "serial chain, in order (found {elbow: {velocity: 1.0, acceleration: 2.0, "
        "jerk: 3.0}, shoulder: {velocity: 1.0, acceleration: 2.0, jerk: 3.0}})"
    ),
    "robot_missing_urdf.yaml": (
        "robot_missing_urdf.yaml:3: urdf.file: file not found (found arms.urdf); allowed: a path relative to FOLDER"
    ),
    "robot_negative_velocity.yaml": (
        "robot_negative_velocity.yaml:8: joints.elbow.velocity: number out of range "
        "(found -1.0); allowed: a finite number > 0"
    ),
    "robot_no_collision_model.yaml": (
        "robot_no_collision_model.yaml:12: collision: collision model not found "
        "(found none.yaml); allowed: the file that `diffplan robots fit bad` writes"
    ),
    "robot_misspelt_jerk.yaml": (
        "robot_misspelt_jerk.yaml:8: joints.elbow.jerks: unknown key (did you mean "
        "'jerk'?); allowed: velocity, acceleration, jerk"
    ),
    "robot_exempt_single_link.yaml": (
        "robot_exempt_single_link.yaml:13: exempt_pairs[0]: not a pair of two links "
        "(found [base]); allowed: [link, link]"
    ),
    "robot_gripper_of_arm.yaml": ("robot_gripper_of_arm.yaml:13: gripper.joints.elbow: unknown key; allowed: finger"),
    "robot_gripper_without_closed.yaml": (
        "robot_gripper_without_closed.yaml:13: gripper.joints.finger: key 'closed' is missing; allowed: open, closed"
    ),
    "robot_tool_elsewhere.yaml": (
        "robot_tool_elsewhere.yaml:13: tool: the tool does not stand still to the end "
        "link (found {link: upper}); allowed: hand, tip"
    ),
    "robot_tool_unknown_link.yaml": (
        "robot_tool_unknown_link.yaml:13: tool.link: unknown link (did you mean "
        "'hand'?) (found hands); allowed: base, upper, hand, tip"
    ),
    "robot_sphere_without_radius.yaml": (
        "collision_zero_radius.yaml:3: links.hand.spheres[0]: a sphere needs a "
        "positive radius (found [0, 0, 0, 0]); allowed: [x, y, z, radius] in m"
    ),
    "robot_unknown_end_link.yaml": (
        "robot_unknown_end_link.yaml:5: end_link: unknown link (did you mean "
        "'hand'?) (found hands); allowed: base, upper, hand, tip"
    ),
    "robot_unknown_joint.yaml": (
        "robot_unknown_joint.yaml:8: joints.ellbow: unknown key (did you mean "
        "'elbow'?); allowed: shoulder, elbow, finger"
    ),
    "robot_unknown_package.yaml": (
        "robot_unknown_package.yaml:3: urdf.package: Python package not installed "
        "(found no_such_package_here); allowed: the name of an installed package"
    ),
    "scene_allowed_depth_in_metres.yaml": (
        "scene_allowed_depth_in_metres.yaml:6: allowed_contacts[0].depth_m: unknown key (did you "
        "mean 'depth_mm'?); allowed: pair, depth_mm"
    ),
    "scene_allowed_depth_not_positive.yaml": (
        "scene_allowed_depth_not_positive.yaml:6: allowed_contacts[0].depth_mm: not a depth (found "
        "0); allowed: 0 < mm <= 50; without the key any depth is allowed"
    ),
    "scene_allowed_not_a_pair.yaml": (
        "scene_allowed_not_a_pair.yaml:6: allowed_contacts[0].pair: not a pair (found [table]); "
        "allowed: two different names of obstacles, held objects or links"
    ),
    "scene_allowed_twice.yaml": (
        "scene_allowed_twice.yaml:7: allowed_contacts[1].pair: a pair that is allowed twice (found "
        "[panda_hand, table]); allowed: each pair once"
    ),
    "scene_allowed_unknown_name.yaml": (
        "scene_allowed_unknown_name.yaml:6: allowed_contacts[0].pair[0]: unknown obstacle, held "
        "object or link (did you mean 'table'?) (found tabel); allowed: table, panda_link0, "
        "panda_link1, panda_link2, panda_link3, panda_link4, panda_link5, panda_link6, panda_link7,"
        " panda_hand, panda_leftfinger, panda_rightfinger"
    ),
    "scene_boolean_as_number.yaml": (
        "scene_boolean_as_number.yaml:4: obstacles[0].radius: not a number (found true); allowed: a finite number > 0"
    ),
    "scene_broken_mesh.yaml": (
        "scene_broken_mesh.yaml:4: obstacles[0].file: not readable as OBJ: too few "
        "values, on its line 2 (found broken.obj)"
    ),
    "scene_broken_urdf.yaml": (
        "scene_broken_urdf.yaml:4: obstacles[0].file: URDF not usable: broken.urdf: "
        "not readable as XML: mismatched tag: line 1, column 33 (found broken.urdf)"
    ),
    "scene_comma_decimal.yaml": (
        "scene_comma_decimal.yaml:4: obstacles[0].size: wrong length (found [0, 3, "
        "0, 8, 0, 02]); allowed: a list of 3 numbers"
    ),
    "scene_convex_not_boolean.yaml": (
        "scene_convex_not_boolean.yaml:4: obstacles[0].convex: not true or false (found yes); allowed: true, false"
    ),
    "scene_duplicate_key.yaml": "scene_duplicate_key.yaml:4: name: duplicate key (first on line 2)",
    "scene_duplicate_key_in_flow.yaml": "scene_duplicate_key_in_flow.yaml:4: radius: duplicate key (first on line 4)",
    "scene_duplicate_name.yaml": (
        "scene_duplicate_name.yaml:5: obstacles[1].name: duplicate obstacle name (found can); allowed: a name used once"
    ),
    "scene_empty.yaml": "scene_empty.yaml: the file is empty",
    "scene_empty_name.yaml": (
        "scene_empty_name.yaml:4: obstacles[0].name: not a text (found ''); allowed: a text that is not empty"
    ),
    "scene_held_name_of_link.yaml": (
        "scene_held_name_of_link.yaml:6: attached[0].name: a link of panda has this name (found "
        "panda_hand); allowed: a name that no obstacle, link or held object has"
    ),
    "scene_held_name_of_obstacle.yaml": (
        "scene_held_name_of_obstacle.yaml:6: attached[0].name: an obstacle has this name (found "
        "table); allowed: a name that no obstacle, link or held object has"
    ),
    "scene_held_no_link.yaml": (
        "scene_held_no_link.yaml:6: attached[0]: key 'link' is missing (found {name: mug, type: "
        "sphere, radius: 0.03, pose: {xyz: [0, 0, 0.1]}}); allowed: the link that holds it"
    ),
    "scene_held_plane.yaml": (
        "scene_held_plane.yaml:6: attached[0].type: what has no end cannot be held (found plane); "
        "allowed: box, sphere, cylinder, capsule, mesh, urdf"
    ),
    "scene_held_unknown_link.yaml": (
        "scene_held_unknown_link.yaml:6: attached[0].link: unknown link (did you mean "
        "'panda_hand'?) (found panda_hnd); allowed: panda_link0, panda_link1, panda_link2, "
        "panda_link3, panda_link4, panda_link5, panda_link6, panda_link7, panda_link8, panda_hand, "
        "panda_leftfinger, panda_rightfinger, panda_grasptarget"
    ),
    "scene_held_unknown_may_touch.yaml": (
        "scene_held_unknown_may_touch.yaml:6: attached[0].may_touch[0]: unknown link (did you mean "
        "'panda_leftfinger'?) (found left_finger); allowed: panda_link0, panda_link1, panda_link2, "
        "panda_link3, panda_link4, panda_link5, panda_link6, panda_link7, panda_link8, panda_hand, "
        "panda_leftfinger, panda_rightfinger, panda_grasptarget"
    ),
    "scene_infinite.yaml": (
        "scene_infinite.yaml:4: obstacles[0].pose.xyz[0]: number out of range (found inf); allowed: a finite number"
    ),
    "scene_merge_key.yaml": (
        "scene_merge_key.yaml:5: obstacles[1]: key 'type' is missing (found {<<: "
        "{name: a, type: sphere, radius: 0.1, pose: {xyz: ...}}, name: b}); allowed:"
        " box, sphere, cylinder, capsule, plane, floor, mesh, urdf"
    ),
    "scene_missing_mesh.yaml": (
        "scene_missing_mesh.yaml:4: obstacles[0].file: file not found (found "
        "meshes/mugg.obj); allowed: a path relative to FOLDER"
    ),
    "scene_missing_urdf.yaml": (
        "scene_missing_urdf.yaml:4: obstacles[0].file: file not found (found "
        "tray.urdf); allowed: a path relative to FOLDER"
    ),
    "scene_misspelt_key.yaml": (
        "scene_misspelt_key.yaml:4: obstacles[0].sise: unknown key (did you mean "
        "'size'?); allowed: name, type, pose, size"
    ),
    "scene_nan.yaml": (
        "scene_nan.yaml:4: obstacles[0].radius: not a number (found .nan); allowed: a finite number > 0"
    ),
    "scene_negative_size.yaml": (
        "scene_negative_size.yaml:4: obstacles[0].size[1]: number out of range "
        "(found -0.8); allowed: a finite number > 0"
    ),
    "scene_no_format.yaml": (
        "scene_no_format.yaml:1: key 'format' is missing; "
        "allowed: format, name, robot, robot_base, obstacles, queries, hold, attached, allowed_contacts"
    ),
    "scene_no_pose.yaml": (
        "scene_no_pose.yaml:4: obstacles[0]: key 'pose' is missing; allowed: name, type, pose, size"
    ),
    "scene_no_type.yaml": (
        "scene_no_type.yaml:4: obstacles[0]: key 'type' is missing (found {name: a, "
        "size: [1, 1, 1], pose: {xyz: [0.5, 0, 0.5]}}); allowed: box, sphere, "
        "cylinder, capsule, plane, floor, mesh, urdf"
    ),
    "scene_no_xyz.yaml": (
        "scene_no_xyz.yaml:4: obstacles[0].pose: key 'xyz' is missing; allowed: xyz, rpy, rpy_deg, quat_xyzw, quat_wxyz"
    ),
    "scene_not_a_mapping.yaml": (
        "scene_not_a_mapping.yaml:1: not a mapping (found [a, b]); allowed: a mapping of keys to values"
    ),
    "scene_number_as_text.yaml": (
        "scene_number_as_text.yaml:4: obstacles[0].radius: a text, not a number "
        "(found '0.1'); allowed: a finite number > 0, without quotes"
    ),
    "scene_open_mesh.yaml": (
        "scene_open_mesh.yaml:4: obstacles[0].file: the mesh is not closed "
        "(watertight) (found open.obj); allowed: a mesh whose every edge joins two "
        "triangles, or `convex: true` for its convex hull"
    ),
    "scene_other_format.yaml": (
        "scene_other_format.yaml:1: format: another format or version (found "
        "diffplan/scene@2); allowed: diffplan/scene@1"
    ),
    "scene_overflow.yaml": (
        "scene_overflow.yaml:4: obstacles[0].height: number out of range (found 1e999); allowed: a finite number > 0"
    ),
    "scene_own_anchor.yaml": "scene_own_anchor.yaml:3: an alias without an anchor before it (found 'all')",
    "scene_python_tag.yaml": (
        "scene_python_tag.yaml:3: tags are not allowed (found "
        "'tag:yaml.org,2002:python/object/apply:os.getcwd'); allowed: plain values"
    ),
    "scene_quaternion_not_normalised.yaml": (
        "scene_quaternion_not_normalised.yaml:4: obstacles[0].pose.quat_xyzw: "
        "quaternion not normalised: its norm is 1.00499 (found [0, 0, 0.1, 1]); "
        "allowed: a norm of 1, within 0.001"
    ),
    "scene_query_without_goal.yaml": (
        "scene_query_without_goal.yaml:5: queries.default: key 'goal' is missing; allowed: start, goal, constraints"
    ),
    "scene_size_not_a_list.yaml": (
        "scene_size_not_a_list.yaml:4: obstacles[0].size: not a list (found 0.3); allowed: a list of 3 numbers"
    ),
    "scene_tab.yaml": (
        "scene_tab.yaml:4: not readable as YAML: while scanning for the next token: "
        "found character that cannot start any token"
    ),
    "scene_two_documents.yaml": (
        "scene_two_documents.yaml:3: not readable as YAML: expected a single "
        "document in the stream: but found another document"
    ),
    "scene_two_rotations.yaml": (
        "scene_two_rotations.yaml:4: obstacles[0].pose: more than one rotation: rpy,"
        " quat_wxyz (found {xyz: [0, 0, 0], rpy: [0, 0, 0], quat_wxyz: [1, 0, 0, "
        "0]}); allowed: one of them"
    ),
    "scene_unclosed.yaml": (
        "scene_unclosed.yaml:4: not readable as YAML: while parsing a flow mapping: did not find expected ',' or '}'"
    ),
    "scene_unknown_configuration.yaml": (
        "scene_unknown_configuration.yaml:5: queries.default.start: unknown "
        "configuration (did you mean 'home'?) (found hom); allowed: home, upright, "
        "left, right"
    ),
    "scene_unknown_held_finger.yaml": (
        "scene_unknown_held_finger.yaml:5: hold.panda_finger_joint3: unknown key (did you mean "
        "'panda_finger_joint2'?); allowed: panda_finger_joint1, panda_finger_joint2"
    ),
    "scene_unknown_link.yaml": (
        "scene_unknown_link.yaml:5: queries.reach.goal.link: unknown link (did you "
        "mean 'panda_hand'?) (found panda_hnd); allowed: panda_link0, panda_link1, "
        "panda_link2, panda_link3, panda_link4, panda_link5, panda_link6, "
        "panda_link7, panda_link8, panda_hand, panda_leftfinger, panda_rightfinger, "
        "panda_grasptarget"
    ),
    "scene_unknown_robot.yaml": (
        "scene_unknown_robot.yaml:3: robot: unknown robot (did you mean 'panda'?) "
        "(found pandas); allowed: gen3, iiwa, panda, ur5, xarm6, the path of a robot file, "
        "`diffplan robots add URDF --name pandas` adds one"
    ),
    "scene_unknown_top_key.yaml": (
        "scene_unknown_top_key.yaml:3: obstacle: unknown key (did you mean "
        "'obstacles'?); allowed: format, name, robot, robot_base, obstacles, queries, hold, attached, allowed_contacts"
    ),
    "scene_unknown_type.yaml": (
        "scene_unknown_type.yaml:4: obstacles[0].type: unknown obstacle type (did "
        "you mean 'box'?) (found boxx); allowed: box, sphere, cylinder, capsule, "
        "plane, floor, mesh, urdf"
    ),
    "scene_unspelt_quaternion.yaml": (
        "scene_unspelt_quaternion.yaml:4: obstacles[0].pose.quat: the order of "
        "'quat' is not said (found [0, 0, 0, 1]); allowed: quat_xyzw, quat_wxyz"
    ),
    "scene_urdf_unknown_joint.yaml": (
        "scene_urdf_unknown_joint.yaml:4: obstacles[0].joints.hing: unknown key (did you mean 'hinge'?); allowed: hinge"
    ),
    "scene_wrong_joint_count.yaml": (
        "scene_wrong_joint_count.yaml:7: queries.default.goal: wrong length (found "
        "[0.1, 0.2, 0.3]); allowed: a list of 7 numbers"
    ),
    "scene_wrong_length.yaml": (
        "scene_wrong_length.yaml:4: obstacles[0].size: wrong length (found [0.3, 0.8]); allowed: a list of 3 numbers"
    ),
    "scene_zero_radius.yaml": (
        "scene_zero_radius.yaml:4: obstacles[0].radius: number out of range (found 0); allowed: a finite number > 0"
    ),
    "task_bad_frame.yaml": (
        "task_bad_frame.yaml:4: steps[0].line.frame: unknown frame (found hand); allowed: world, tool"
    ),
    "task_bad_free.yaml": ("task_bad_free.yaml:5: steps[1].place.free: unknown axis (found yaw); allowed: x, y, z"),
    "task_bad_goal.yaml": (
        "task_bad_goal.yaml:4: steps[0].move.goal: unknown configuration (did you mean 'home'?) (found "
        "hom); allowed: home, upright, left, right"
    ),
    "task_bad_grasps.yaml": (
        "task_bad_grasps.yaml:4: steps[0].pick.grasps: unknown grasps (found below); allowed: top, side, any"
    ),
    "task_bad_gripper.yaml": (
        "task_bad_gripper.yaml:4: steps[0].gripper: not what a gripper does (found ajar); allowed: open,"
        " close, or the distance of its pads [m]"
    ),
    "task_bad_length.yaml": (
        "task_bad_length.yaml:4: steps[0].pick.lift: number out of range (found -0.1); allowed: a finite number > 0"
    ),
    "task_hand_not_empty.yaml": (
        "task_hand_not_empty.yaml:5: steps[1]: the hand is not empty (found 'pick'); allowed: a place before it"
    ),
    "task_misspelt_key.yaml": (
        "task_misspelt_key.yaml:4: steps[0].pick.grasp: unknown key (did you mean 'grasps'?); allowed: "
        "object, grasps, approach, lift"
    ),
    "task_no_scene.yaml": (
        "task_no_scene.yaml:2: scene: no such scene file (found nowhere.yaml); allowed: a path relative "
        "to FOLDER, or a shipped scene"
    ),
    "task_no_steps.yaml": (
        "task_no_steps.yaml:4: steps: no steps (found []); allowed: a list of pick, place, move, line, "
        "gripper, attach, detach, pause"
    ),
    "task_not_in_hand.yaml": (
        "task_not_in_hand.yaml:4: steps[0].place.object: nothing is in hand here (found carton); "
        "allowed: a pick or attach before it"
    ),
    "task_other_format.yaml": (
        "task_other_format.yaml:1: format: another format or version (found diffplan/scene@1); allowed: diffplan/task@1"
    ),
    "task_two_kinds.yaml": (
        "task_two_kinds.yaml:4: steps[0]: a step is one kind (found {pick: {object: carton}, place: "
        "{pose: {xyz: ...}}}); allowed: pick: ..., place: ..., move: ..., line: ..., gripper: ..., "
        "attach: ..., detach: ..., pause: ..."
    ),
    "task_unknown_object.yaml": (
        "task_unknown_object.yaml:4: steps[0].pick.object: unknown object (did you mean 'carton'?) "
        "(found cartn); allowed: table, cereal, can_left, can_right, bottle, tower, ball, carton, crate,"
        " lamp_pole, lamp_shade"
    ),
    "task_unknown_step.yaml": (
        "task_unknown_step.yaml:4: steps[0].pik: unknown key (did you mean 'pick'?); allowed: pick, "
        "place, move, line, gripper, attach, detach, pause"
    ),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_a_bad_file_earns_its_message(name: str) -> None:
    with pytest.raises(InputError) as caught:
        LOADERS[name.split("_")[0]](FOLDER / name)
    assert str(caught.value).replace(f"{FOLDER}/", "").replace(str(FOLDER), "FOLDER") == MESSAGES[name]


def test_every_bad_file_has_its_message() -> None:
    files = {file.name for file in FOLDER.iterdir() if file.name.split("_")[0] in LOADERS}
    assert files == set(MESSAGES)
    assert len(files) >= 25
