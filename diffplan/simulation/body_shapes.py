"""The collision shapes of a body in a running world, as PyBullet tells them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffplan.errors import InputError
from diffplan.geometry import Float, Pose
from diffplan.simulation.bullet import bullet, silence

_EMPTY = 0.01


@dataclass(frozen=True, kw_only=True)
class BodyShape:
    """One collision shape: `kind` and `sizes` are PyBullet's geometry type and dimensions, `pose` in the link frame."""

    kind: int
    sizes: tuple[float, float, float]
    file: str
    pose: Pose


def inertia_in_link(client: int, body: int, link: int) -> Pose:
    """Return T_link_inertia (-1: base), by which PyBullet gives shapes, corners and joints."""
    info = bullet.getDynamicsInfo(body, link, physicsClientId=client)
    return Pose(xyz=info[3], quat_xyzw=info[4])


def shapes_in_link(client: int, body: int, link: int, name: str) -> list[BodyShape]:
    """Return the collision shapes of a link (-1: base); `name` says in errors which one it is.

    Raises:
        InputError: if PyBullet does not tell a shape that is there.
    """
    try:
        with silence():
            entries = bullet.getCollisionShapeData(body, link, physicsClientId=client)
    except bullet.error as error:
        raise InputError(f"PyBullet does not tell its collision shapes: {error}", key=name) from error
    if not entries:
        low, high = bullet.getAABB(body, link, physicsClientId=client)
        if np.ptp([low, high], axis=0).max() > _EMPTY:
            raise InputError(
                "PyBullet does not tell this collision shape (a height field?)",
                key=name,
                allowed=f"box, sphere, cylinder, capsule, plane, mesh; or ignore=[{body}]",
            )
    T_link_inertia = inertia_in_link(client, body, link)
    return [
        BodyShape(kind=kind, sizes=sizes, file=file.decode(), pose=T_link_inertia @ Pose(xyz=xyz, quat_xyzw=quat_xyzw))
        for _, _, kind, sizes, file, xyz, quat_xyzw in entries
    ]


def corners_in_link(client: int, body: int, link: int) -> Float:
    """Return the corners [n, 3] of all hulls of a link in its frame; none if it has no mesh, or a hollow one."""
    with silence():
        count, corners = bullet.getMeshData(body, link, physicsClientId=client)
    if not count:
        return np.zeros((0, 3))
    matrix = inertia_in_link(client, body, link).matrix
    return np.array(corners).reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3]
