"""Fingers are measured from the links' geometry, and simple grasps fit between them."""

from __future__ import annotations

import numpy as np
import pytest

import diffplan as dp
from diffplan.errors import InputError
from diffplan.robot.model import Robot
from diffplan.sequence.fingers import Fingers, joint_values
from diffplan.sequence.grasps import Grasp, grasps_of
from diffplan.sequence.section import Part, extent
from diffplan.system.assets import asset_folder

OBJECTS = [
    dp.Box(name="cube", size=(0.05, 0.05, 0.05), pose=dp.Pose.from_rpy((0.5, 0.1, 0.025), (0, 0, 0.4))),
    dp.Box(name="tall", size=(0.05, 0.12, 0.2), pose=dp.Pose(xyz=(0.5, 0, 0.1))),
    dp.Box(name="rod", size=(0.6, 0.025, 0.025), pose=dp.Pose.from_rpy((0.5, 0, 0.0125), (0, 0, 1.0))),
    dp.Cylinder(name="can", radius=0.03, height=0.12, pose=dp.Pose(xyz=(0.5, 0, 0.06))),
    dp.Cylinder(name="lying", radius=0.02, height=0.2, pose=dp.Pose.from_rpy((0.5, 0, 0.02), (np.pi / 2, 0, 0.3))),
    dp.Sphere(name="ball", radius=0.03, pose=dp.Pose(xyz=(0.5, 0, 0.03))),
    dp.Mesh(name="mug", file=asset_folder("scenes") / "meshes" / "mug.obj", scale=0.8, pose=dp.Pose(xyz=(0.5, 0, 0))),
]


@pytest.fixture(scope="module")
def fingers() -> Fingers:
    return Fingers.of(Robot.load("panda"))


def test_the_fingers_of_the_panda_are_8_cm_apart_and_close_across_its_hand(fingers: Fingers) -> None:
    np.testing.assert_allclose(fingers.axis, (0, 1, 0), atol=1e-9)
    assert fingers.widest == pytest.approx(0.08, abs=5e-4)
    assert fingers.least == pytest.approx(0.0, abs=5e-4)
    assert fingers.tip == pytest.approx(0.0072, abs=5e-4)  # beyond panda_grasptarget
    assert fingers.values(0.05)["panda_finger_joint1"] == pytest.approx(0.025, abs=5e-4)
    assert fingers.values(0.05)["panda_finger_joint2"] == fingers.values(0.05)["panda_finger_joint1"]


def test_a_gripper_whose_fingers_turn_is_measured_too() -> None:
    try:
        robot = Robot.load("gen3")
    except InputError as error:  # its package is not one that diffplan needs
        if "pip install" not in str(error):
            raise
        pytest.skip(str(error))
    fingers = Fingers.of(robot)
    assert fingers.widest == pytest.approx(0.085, abs=2e-3)  # as the Robotiq 2F-85 is called
    assert (np.diff(fingers.width) <= 0).all()
    assert set(joint_values(robot, 0.0)) == set(fingers.values(0.04))


@pytest.mark.parametrize("kind", ["top", "side"])
@pytest.mark.parametrize("thing", OBJECTS, ids=[one.name for one in OBJECTS])
def test_grasps_come_the_way_they_say_and_have_the_object_between_the_pads(
    fingers: Fingers, thing: dp.Box, kind: str
) -> None:
    kept, _ = grasps_of(fingers, thing, kind)
    assert kept
    for grasp in kept:
        tool = (thing.pose @ grasp.pose).matrix
        if kind == "top":
            assert tool[2, 2] == pytest.approx(-1.0, abs=1e-6)
        else:
            assert -0.51 < tool[2, 2] < 0.1  # level, or 30 degrees from above
        assert grasp.width < grasp.opening <= fingers.widest
        pads = tool.copy()
        pads[:3, :3] = pads[:3, :3] @ fingers.frame
        parts = [Part.of(np.asarray(hull.vertices)) for hull in thing.hulls()]
        local = [part.moved(np.linalg.inv(pads) @ thing.pose.matrix) for part in parts]
        between = extent(local, (-fingers.half, fingers.half), (-0.004, 0.004))
        assert between is not None
        np.testing.assert_allclose(between, (-grasp.width / 2, grasp.width / 2), atol=1e-6)
        # The palm stays off the object, and from above the fingers' ends off what it stands on.
        whole = np.concatenate([part.corners for part in local])
        assert whole[:, 2].min() > fingers.palm + 0.004
        if kind == "top":
            assert whole[:, 2].max() > fingers.tip + 0.002


def test_an_object_that_is_too_wide_has_no_grasp_and_the_reason_says_so(fingers: Fingers) -> None:
    kept, left_out = grasps_of(fingers, dp.Box(name="big", size=(0.1, 0.1, 0.1)), "any")
    assert kept == []
    assert set(left_out) == {"100 mm wide, the gripper opens to 80 mm"}


def test_round_sides_are_not_taken_where_they_would_slip_out(fingers: Fingers) -> None:
    _, left_out = grasps_of(fingers, OBJECTS[-1], "side")
    assert left_out["its sides there are not along the pads"] > 0


def test_grasps_of_the_users_own_are_taken_as_they_are(fingers: Fingers) -> None:
    pose = dp.Pose.from_rpy((0.0, 0.0, 0.01), (np.pi, 0, 0))
    own = [pose, (pose, 0.07), Grasp(pose=pose, opening=0.06, width=0.05)]
    kept, left_out = grasps_of(fingers, OBJECTS[0], own)
    assert [grasp.pose for grasp in kept] == [pose] * 3
    assert [grasp.opening for grasp in kept] == pytest.approx([0.074, 0.07, 0.06])
    assert not left_out
    with pytest.raises(dp.InputError, match=r"grasps\[1\]: not a grasp"):
        grasps_of(fingers, OBJECTS[0], [pose, (pose,)])  # pyright: ignore[reportArgumentType]
    with pytest.raises(dp.InputError, match="no such grasps"):
        grasps_of(fingers, OBJECTS[0], "below")  # pyright: ignore[reportArgumentType]


def test_a_section_of_a_turned_box_is_as_wide_as_it_is() -> None:
    corners = np.array(np.meshgrid([-1, 1], [-2, 2], [-3, 3])).reshape(3, -1).T.astype(float)
    box = Part.of(corners)
    assert extent([box], (-0.5, 0.5), (-0.1, 0.1)) == pytest.approx((-2.0, 2.0))
    turned = box.moved(dp.Pose.from_rpy((0, 0, 0), (0, 0, np.pi / 4)).matrix)
    # The line y = x + c: at x = 0 the corner between both sides of half width 1 and 2 is cut at sqrt(2).
    assert extent([turned], (-1e-6, 1e-6), (-0.1, 0.1)) == pytest.approx((-np.sqrt(2), np.sqrt(2)), abs=1e-5)
    assert extent([box], (1.5, 2.0), (-0.1, 0.1)) is None
