"""What PyBullet refuses or misreads in a URDF stands in the certificate's world as the file says, seen or not."""

from pathlib import Path

import numpy as np
import pybullet as p
import pytest

from diffplan.certificate.bullet import connection
from diffplan.certificate.frames import joint_indices, link_frame, link_indices
from diffplan.certificate.world import load_obstacle
from diffplan.geometry.pose import Pose
from diffplan.robot.urdf import MOST_JOINTS
from diffplan.scene import Urdf

GOOD = """<robot name="arm">
<link name="base"><collision><geometry><box size="0.1 0.2 0.3"/></geometry></collision></link>
<link name="arm"><visual><geometry><box size="0.1 0.1 0.1"/></geometry></visual>
<collision><origin xyz="0 0 0.1"/><geometry><cylinder radius="0.05" length="0.2"/></geometry></collision></link>
<joint name="turn" type="revolute"><parent link="base"/><child link="arm"/><origin xyz="0.1 0 0.2" rpy="0.3 0 0"/>
<axis xyz="1 0 0"/><limit lower="-1" upper="1"/></joint>
</robot>"""
ODD = {
    "inertial without inertia": ('<link name="arm">', '<link name="arm"><inertial><mass value="1"/></inertial>'),
    "inertial without mass": ('<link name="arm">', '<link name="arm"><inertial><inertia ixx="1"/></inertial>'),
    "dynamics without damping": ("</joint>", "<dynamics/></joint>"),
    "dynamics of another program": ("</joint>", '<dynamics D="1" K="7" mu_coulomb="0"/></joint>'),
    "axis without numbers": ('<axis xyz="1 0 0"/>', "<axis/>"),
    "tabs and lines in numbers": ('xyz="0.1 0 0.2"', 'xyz="0.1\t0\n0.2"'),
    "all on one long line": ("\n", " " * 500),
    "material without a name": ("</visual>", '<material><color rgba="1 0 0 1"/></material></visual>'),
    "visual of an unknown kind": ("<visual>", "<visual><geometry><ellipsoid/></geometry></visual><visual>"),
    "visual without geometry": ("<visual>", "<visual/><visual>"),
    "visual without a size": ("<visual>", "<visual><geometry><box/></geometry></visual><visual>"),
    "as many joints as there may be": (
        "</robot>",
        "".join(
            f'<link name="l{i}"/><joint name="j{i}" type="fixed"><parent link="arm"/><child link="l{i}"/></joint>'
            for i in range(MOST_JOINTS - 1)
        )
        + "</robot>",
    ),
}


@pytest.mark.parametrize("coloured", [False, True])
@pytest.mark.parametrize("odd", ODD)
def test_what_pybullet_refuses_or_misreads_stands_as_the_file_says(tmp_path: Path, odd: str, coloured: bool) -> None:
    old, new = ODD[odd]
    assert old in GOOD
    file = tmp_path / "arm.urdf"
    file.write_text(GOOD.replace(old, new))
    arm = Urdf(name="arm", file=file, joints={"turn": 0.5}, pose=Pose(xyz=(1, 2, 3)))
    with connection() as client:
        body = load_obstacle(client, arm, (1.0, 0.0, 0.0, 1.0) if coloured else None)
        turned = link_frame(client, body, link_indices(client, body)["arm"])
        assert p.getJointState(body, joint_indices(client, body)["turn"], physicsClientId=client)[0] == 0.5
        (shape,) = p.getCollisionShapeData(body, link_indices(client, body)["arm"], physicsClientId=client)
    np.testing.assert_allclose(turned.xyz, (1.1, 2, 3.2), atol=1e-6)
    np.testing.assert_allclose(turned.matrix[:3, :3], Pose.from_rpy((0, 0, 0), (0.8, 0, 0)).matrix[:3, :3], atol=1e-6)
    assert shape[3][:2] == pytest.approx((0.2, 0.05))
