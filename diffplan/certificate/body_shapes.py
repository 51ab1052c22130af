"""Shapes in PyBullet's words: what makes one, and the shapes of a body in a running world as PyBullet tells them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from diffplan.certificate.bullet import bullet, silence
from diffplan.errors import InputError
from diffplan.geometry.pose import Float, Pose
from diffplan.geometry.shapes import Box, Capsule, Cylinder, Mesh, Plane, Shape, Sphere
from diffplan.system.third_party import trimesh

_EMPTY = 0.01
KINDS: dict[type[Shape], int] = {
    Box: bullet.GEOM_BOX,
    Sphere: bullet.GEOM_SPHERE,
    Cylinder: bullet.GEOM_CYLINDER,
    Capsule: bullet.GEOM_CAPSULE,
    Mesh: bullet.GEOM_MESH,
    Plane: bullet.GEOM_PLANE,
}
"""PyBullet's number of each kind of shape."""


def told_sizes(shape: Shape) -> tuple[float, ...]:
    """Return the sizes of a primitive as PyBullet tells them: box edges, the radius, or height and radius."""
    return shape.sizes if isinstance(shape, Box) else shape.sizes[::-1]


def making(shape: Shape, *, visual: bool = False) -> dict[str, object]:
    """Return the arguments of `createCollisionShape` or `createVisualShape` that make a primitive or a plane."""
    kind: dict[str, object] = {"shapeType": KINDS[type(shape)]}
    if isinstance(shape, Box):
        return kind | {"halfExtents": [edge / 2 for edge in shape.size]}
    if isinstance(shape, Plane):
        return kind | {"planeNormal": (0.0, 0.0, 1.0)}
    return kind | dict(zip(("radius", "length" if visual else "height"), shape.sizes, strict=False))


@dataclass(frozen=True, kw_only=True)
class BodyShape:
    """One collision shape: `kind` and `sizes` are PyBullet's geometry type and dimensions, `pose` in the link frame."""

    kind: int
    sizes: tuple[float, float, float]
    file: str
    pose: Pose


def as_shape(told: BodyShape, name: str, *, hollow: bool = False) -> Shape:
    """Return the shape of our own that PyBullet tells; a mesh is that of its file, `hollow` or its convex hulls.

    Raises:
        InputError: for a kind that we have not.
    """
    first, second, third = told.sizes
    if told.kind == bullet.GEOM_BOX:
        return Box(name=name, size=(first, second, third), pose=told.pose)
    if told.kind == bullet.GEOM_SPHERE:
        return Sphere(name=name, radius=first, pose=told.pose)
    if told.kind in (bullet.GEOM_CYLINDER, bullet.GEOM_CAPSULE):
        kind = Cylinder if told.kind == bullet.GEOM_CYLINDER else Capsule
        return kind(name=name, radius=second, height=first, pose=told.pose)
    if told.kind == bullet.GEOM_PLANE:  # solid below, local z along the normal
        normal = np.array(told.sizes) / np.linalg.norm(told.sizes)
        rotation = np.array(trimesh.geometry.align_vectors([0, 0, 1], normal))
        return Plane(name=name, pose=told.pose @ Pose.from_matrix(rotation))
    if told.kind == bullet.GEOM_MESH:
        return Mesh(name=name, file=Path(told.file).resolve(), scale=first, pose=told.pose, convex=not hollow)
    raise InputError("a collision shape of a kind that cannot be an obstacle", key=name, value=told.kind)


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
