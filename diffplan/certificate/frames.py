"""Names and frames of a body's joints and links in a PyBullet client."""

from __future__ import annotations

from diffplan.certificate.body_shapes import inertia_in_link
from diffplan.certificate.bullet import bullet
from diffplan.geometry.pose import Pose


def joint_indices(client: int, body: int) -> dict[str, int]:
    """Return the joint indices of a body by name."""
    count = bullet.getNumJoints(body, physicsClientId=client)
    return {bullet.getJointInfo(body, j, physicsClientId=client)[1].decode(): j for j in range(count)}


def link_indices(client: int, body: int) -> dict[str, int]:
    """Return the link indices of a body by name; the base has -1."""
    base = bullet.getBodyInfo(body, physicsClientId=client)[0].decode()
    count = bullet.getNumJoints(body, physicsClientId=client)
    others = {bullet.getJointInfo(body, j, physicsClientId=client)[12].decode(): j for j in range(count)}
    return {base: -1, **others}


def inertial_frame(client: int, body: int, link: int) -> Pose:
    """Return the pose of the frame of a link's inertia in the world (-1: base), by which PyBullet gives shapes."""
    if link < 0:
        xyz, quat_xyzw = bullet.getBasePositionAndOrientation(body, physicsClientId=client)
    else:
        state = bullet.getLinkState(body, link, computeForwardKinematics=True, physicsClientId=client)
        xyz, quat_xyzw = state[0], state[1]
    return Pose(xyz=xyz, quat_xyzw=quat_xyzw)


def link_frame(client: int, body: int, link: int) -> Pose:
    """Return the pose of a link's URDF frame in the world (-1: base)."""
    if link >= 0:
        state = bullet.getLinkState(body, link, computeForwardKinematics=True, physicsClientId=client)
        return Pose(xyz=state[4], quat_xyzw=state[5])
    return inertial_frame(client, body, -1) @ inertia_in_link(client, body, -1).inverse()
