"""Shapes in PyBullet's words: what makes one, and the shapes of a body in a running world as PyBullet tells them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from diffplan.certificate.bullet import bullet, silence
from diffplan.certificate.hull_match import prism
from diffplan.errors import InputError
from diffplan.geometry.pose import Float, Pose
from diffplan.geometry.shapes import Box, Capsule, Cylinder, Mesh, Plane, Primitive, Shape, Sphere
from diffplan.system.third_party import trimesh

_EMPTY = 0.01
_PLATE = {"shapeType": bullet.GEOM_BOX, "halfExtents": [5, 5, 0.005], "visualFramePosition": (0, 0, -0.005)}
"""What is seen of a plane: 10 m square, 1 cm thick."""


@dataclass(frozen=True, kw_only=True)
class BodyShape:
    """One collision shape: `kind` and `sizes` are PyBullet's geometry type and dimensions, `pose` in the link frame."""

    kind: int
    sizes: tuple[float, float, float]
    file: str
    pose: Pose

    @property
    def is_mesh(self) -> bool:
        """Whether it was made of a mesh, so that PyBullet tells no sizes."""
        return self.kind == bullet.GEOM_MESH


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """A kind of shape in PyBullet's words: its `number`, and how it is made and read back.

    `order` says where our `sizes` stand among its dimensions; `read` makes a shape that these alone do not describe,
    hollow or not; `made` gives the arguments that make one, `seen` those that draw it if they are others; `facets`
    gives corners that it may hold in place of the shape when it was loaded from a URDF; `rounded` is how much farther
    off than it is PyBullet may see the shape, at its edges [m].
    """

    number: int
    order: tuple[int, ...] = ()
    read: Callable[[BodyShape, str, bool], Shape] | None = None
    made: Callable[[Shape], dict[str, object]] | None = None
    seen: dict[str, object] | None = None
    facets: Callable[[Shape], list[Float]] | None = None
    rounded: float = 0.0


def _plane(told: BodyShape, name: str, hollow: bool) -> Shape:
    """Return the plane of a normal: solid below, local z along it."""
    normal = np.array(told.sizes) / np.linalg.norm(told.sizes)
    rotation = np.array(trimesh.geometry.align_vectors([0, 0, 1], normal))
    return Plane(name=name, pose=told.pose @ Pose.from_matrix(rotation))


def _mesh(told: BodyShape, name: str, hollow: bool) -> Shape:
    file, scale = Path(told.file).resolve(), told.sizes[0]
    return Mesh(name=name, file=file, scale=scale, pose=told.pose, convex=not hollow)


def _box(shape: Shape) -> dict[str, object]:
    return {"halfExtents": [edge / 2 for edge in shape.sizes]}


def _round(shape: Shape) -> dict[str, object]:
    return dict(zip(("radius", "height"), shape.sizes, strict=False))


def _half_space(shape: Shape) -> dict[str, object]:
    return {"planeNormal": (0.0, 0.0, 1.0)}


# Boxes and cylinders keep their size and get edges of a radius of 1 mm, so that a corner of a box loses
# (sqrt(3) - 1) mm and the edge of a cylinder (sqrt(2) - 1) mm; hulls grow by 1 mm and lose less of their corners.
_KINDS: dict[type[Shape], _Kind] = {
    Box: _Kind(number=bullet.GEOM_BOX, order=(0, 1, 2), made=_box, rounded=7.6e-4),
    Sphere: _Kind(number=bullet.GEOM_SPHERE, order=(0,), made=_round),
    Cylinder: _Kind(number=bullet.GEOM_CYLINDER, order=(1, 0), made=_round, facets=prism, rounded=4.5e-4),
    Capsule: _Kind(number=bullet.GEOM_CAPSULE, order=(1, 0), made=_round),
    Plane: _Kind(number=bullet.GEOM_PLANE, read=_plane, made=_half_space, seen=_PLATE),
    Mesh: _Kind(number=bullet.GEOM_MESH, read=_mesh, facets=Shape.corners, rounded=-9e-4),
}
_OF_NUMBER = {kind.number: (shape, kind) for shape, kind in _KINDS.items()}


def alike(told: BodyShape, shape: Shape, *, within: float, share: float = 0.0) -> bool:
    """Return whether PyBullet tells this kind of shape with its sizes, each within so much [m] and this share of it."""
    kind = _KINDS[type(shape)]
    pairs = zip(kind.order, shape.sizes, strict=True)
    return told.kind == kind.number and all(abs(told.sizes[i] - size) <= within + share * size for i, size in pairs)


def kind_word(told: BodyShape) -> str:
    """Return what we call the kind of a shape that PyBullet tells, or its number."""
    return _OF_NUMBER[told.kind][0].kind if told.kind in _OF_NUMBER else str(told.kind)


def facets(shape: Shape) -> list[Float]:
    """Return corners [n, 3] (link frame) of what PyBullet may hold in place of a shape of a URDF; none if it holds it.

    Raises:
        InputError: if a mesh file cannot be read.
    """
    of = _KINDS[type(shape)].facets
    return of(shape) if of else []


def rounded(shape: Shape) -> float:
    """Return how much farther off than it is PyBullet may see a shape, at its edges [m]; negative if never."""
    return 0.0 if shape.hollow else _KINDS[type(shape)].rounded


def making(shape: Shape) -> dict[str, object]:
    """Return the arguments of `createCollisionShape` that make a shape; none if it has to be made as a mesh."""
    kind = _KINDS[type(shape)]
    return {"shapeType": kind.number, **kind.made(shape)} if kind.made else {}


def drawing(shape: Shape) -> dict[str, object]:
    """Return the arguments of `createVisualShape` that draw a shape which `making` makes; of a plane a plate."""
    made = _KINDS[type(shape)].seen or making(shape)
    return {{"height": "length"}.get(key, key): value for key, value in made.items()}


def as_shape(told: BodyShape, name: str, *, hollow: bool = False) -> Shape:
    """Return the shape of our own that PyBullet tells; a mesh is that of its file, `hollow` or its convex hulls.

    Raises:
        InputError: for a kind that we have not.
    """
    if told.kind not in _OF_NUMBER:
        raise InputError("a collision shape of a kind that cannot be an obstacle", key=name, value=told.kind)
    shape, kind = _OF_NUMBER[told.kind]
    if kind.read is not None:
        return kind.read(told, name, hollow)
    assert issubclass(shape, Primitive)
    return shape.of_sizes(name, [told.sizes[i] for i in kind.order], told.pose)


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
