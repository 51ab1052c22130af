"""PyBullet rounds the edges of boxes and cylinders; the certificate never tells more than the true distance."""

import numpy as np
import pytest

from diffplan.certificate.certifier import Certifier
from diffplan.formats.robot_file import load_robot
from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import Box, Cylinder, Plane, Sphere
from diffplan.scene import Scene

GAP = 0.02
FILE = """format: diffplan/robot@1
name: stick
urdf: {file: stick.urdf}
base_link: base
end_link: arm
joints: {turn: {velocity: 1.0, acceleration: 1.0, jerk: 1.0}}
configurations: {home: [0.0]}
collision: none.yaml
"""
SHAPES = {
    "box": '<box size="0.2 0.2 0.2"/>',
    "cylinder": '<cylinder radius="0.1" length="0.2"/>',
    "sphere": '<sphere radius="0.1"/>',
}


@pytest.fixture(params=SHAPES)
def stick(request, tmp_path):
    """A robot of one joint whose only link is a primitive at the origin."""
    (tmp_path / "robot.yaml").write_text(FILE)
    (tmp_path / "stick.urdf").write_text(
        f"""<robot name="stick"><link name="base"/><link name="arm"><collision><geometry>{SHAPES[request.param]}
        </geometry></collision></link><joint name="turn" type="revolute"><parent link="base"/><child link="arm"/>
        <axis xyz="0 0 1"/><limit lower="-1" upper="1" velocity="1" effort="1"/></joint></robot>"""
    )
    return request.param, load_robot(tmp_path / "robot.yaml", collision=False)


def _corner(kind, way):
    """Return the farthest point along `way` of a shape that is 0.2 m across."""
    if kind == "box":
        return 0.1 * np.sign(way)
    if kind == "sphere":
        return 0.1 * way
    return np.array([*(0.1 * way[:2] / np.linalg.norm(way[:2])), 0.1 * np.sign(way[2])])


@pytest.mark.parametrize("other", ["box", "cylinder", "sphere", "plane"])
def test_corner_to_corner_the_clearance_is_at_most_the_true_one(stick, other):
    kind, robot = stick
    way = np.ones(3) / np.sqrt(3)
    surface = _corner(kind, way) + GAP * way
    if other == "plane":
        turn = Pose.from_rpy((0, 0, 0), (0, np.pi - np.arccos(1 / np.sqrt(3)), np.pi + np.pi / 4)).quat_xyzw
        obstacle = Plane(name="o", pose=Pose(xyz=tuple(surface), quat_xyzw=turn))
        np.testing.assert_allclose(obstacle.pose.matrix[:3, 2], -way, atol=1e-9)
    else:
        place = Pose(xyz=tuple(surface + _corner(other, way)))
        make = {
            "box": lambda: Box(name="o", size=(0.2, 0.2, 0.2), pose=place),
            "cylinder": lambda: Cylinder(name="o", radius=0.1, height=0.2, pose=place),
            "sphere": lambda: Sphere(name="o", radius=0.1, pose=place),
        }
        obstacle = make[other]()
    with Certifier(robot, Scene(obstacles=(obstacle,))) as certifier:
        measured = certifier.check(np.zeros(1)).clearance_m
    assert GAP - 0.0022 < measured <= GAP + 1e-6
