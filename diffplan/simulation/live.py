"""Reading a PyBullet world that somebody else made, and putting a scene into one."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trimesh

from diffplan.errors import DiffplanError, InputError
from diffplan.geometry import Float, Pose
from diffplan.meshes import load_hulls, load_mesh
from diffplan.robot import Robot
from diffplan.scene import Box, Capsule, Cylinder, Mesh, Obstacle, Scene, Sphere
from diffplan.simulation.bullet import bullet, silence
from diffplan.simulation.palette import obstacle_colours
from diffplan.simulation.world import (
    attach_robot,
    inertial_frame,
    joint_indices,
    link_frame,
    link_indices,
    load_scene_bodies,
)

PLANE_SIZE = 100.0
"""Edge of the box that stands for an infinite plane [m]; it is 1 m thick, below the plane."""
_SOFT_BODY = 3
_EMPTY = 0.01
_ROUND_SIDES = 32


def scene_from_pybullet(
    client: int, *, robot_body: int | None = None, robot: Robot | None = None, ignore: Collection[int] = ()
) -> Scene:
    """Read the obstacles of a running world, at their current poses.

    Every collision shape becomes one obstacle `<body>#<id>`, with the link's and the shape's number behind it where
    there are several. A plane becomes a box 100 m wide. A mesh is what PyBullet collides with: convex hulls, or a
    closed hollow mesh where it was loaded concave. Meshes that PyBullet knows only by their corners (made by
    `createCollisionShape`, or scaled unevenly) become one hull a link, in an OBJ file in the temporary folder.

    Args:
        client: the physics client.
        robot_body: the robot, which is no obstacle; `robot_base` is read from it.
        robot: what it is; needed only if its `base_link` is not the root of its URDF.
        ignore: other bodies to leave out.

    Raises:
        InputError: naming the body that cannot be read: soft, a height field, an open or unreadable hollow mesh.
    """
    known = [bullet.getBodyUniqueId(i, physicsClientId=client) for i in range(_body_count(client))]
    for body in (*ignore, *(() if robot_body is None else (robot_body,))):
        if body not in known:
            raise InputError("no such body in this world", key="ignore", value=body, allowed=[str(b) for b in known])
    obstacles = [
        obstacle
        for body in known
        if body != robot_body and body not in ignore
        for obstacle in _body_obstacles(client, body)
    ]
    base = Pose()
    if robot_body is not None:
        link = robot.base_link if robot else bullet.getBodyInfo(robot_body, physicsClientId=client)[0].decode()
        links = link_indices(client, robot_body)
        if link not in links:
            raise InputError(f"body {robot_body} is another robot: no link {link!r}", allowed=sorted(links))
        base = link_frame(client, robot_body, links[link])
    return Scene(name="pybullet", robot=robot.name if robot else None, robot_base=base, obstacles=tuple(obstacles))


def scene_to_pybullet(scene: Scene, client: int) -> dict[str, int]:
    """Put a scene's obstacles into a running world as immovable, coloured bodies; returns the body of each by name.

    Raises:
        InputError: naming the obstacle whose file PyBullet cannot read.
    """
    return load_scene_bodies(client, scene, colours=obstacle_colours())


def robot_configuration(client: int, body: int, robot: Robot) -> Float:
    """Return the current position of the planning joints [dof] of a robot in a running world.

    Raises:
        InputError: if the body is another robot.
    """
    return attach_robot(client, body, robot).joint_positions()


def robot_as_held(client: int, body: int, robot: Robot) -> Robot:
    """Return the robot with its held joints (fingers) where those of the body in a running world are now.

    Raises:
        InputError: if the body is another robot.
    """
    attach_robot(client, body, robot)
    joints = joint_indices(client, body)
    return robot.with_held(
        {name: float(bullet.getJointState(body, joints[name], physicsClientId=client)[0]) for name in robot.held_joints}
    )


def _body_count(client: int) -> int:
    return int(bullet.getNumBodies(physicsClientId=client))


@dataclass(frozen=True, kw_only=True)
class _Shape:
    """One collision shape as PyBullet reports it: `kind` and `sizes` are its geometry type and dimensions."""

    kind: int
    sizes: tuple[float, float, float]
    file: str
    pose: Pose


def _body_obstacles(client: int, body: int) -> Iterator[Obstacle]:
    """Read all links of a body."""
    base, title = (word.decode() for word in bullet.getBodyInfo(body, physicsClientId=client))
    name = f"{title.removesuffix('.urdf') or base or 'body'}#{body}"
    if bullet.getDynamicsInfo(body, -1, physicsClientId=client)[10] == _SOFT_BODY:
        raise InputError("a soft body cannot be an obstacle", key=name, allowed=f"rigid bodies; ignore=[{body}]")
    links = {link: number for link, number in link_indices(client, body).items()}
    shapes = {link: _shapes(client, body, number, f"{name}/{link}") for link, number in links.items()}
    several = sum(bool(found) for found in shapes.values()) > 1
    for link, found in shapes.items():
        prefix = f"{name}/{link}" if several else name
        merged = any(shape.kind == bullet.GEOM_MESH and _needs_corners(shape) for shape in found)
        if merged:
            yield _from_corners(client, body, links[link], prefix)
        rest = [s for s in found if not (merged and s.kind == bullet.GEOM_MESH)]
        for i, shape in enumerate(rest):
            yield _obstacle(shape, f"{prefix}.{i}" if len(rest) + merged > 1 else prefix, client, body, links[link])


def _shapes(client: int, body: int, link: int, name: str) -> list[_Shape]:
    """Return the collision shapes of a link, in the world frame.

    PyBullet reports their poses relative to the frame of the link's inertia, whose own pose it gives as that of the
    base or link.
    """
    with silence():
        entries = bullet.getCollisionShapeData(body, link, physicsClientId=client)
    if not entries:
        low, high = bullet.getAABB(body, link, physicsClientId=client)
        if np.ptp([low, high], axis=0).max() > _EMPTY:
            raise InputError(
                "PyBullet does not tell this collision shape (a height field?)",
                key=name,
                allowed=f"box, sphere, cylinder, capsule, plane, mesh; or ignore=[{body}]",
            )
    T_world_inertia = inertial_frame(client, body, link)
    return [
        _Shape(kind=kind, sizes=sizes, file=file.decode(), pose=T_world_inertia @ Pose(xyz=xyz, quat_xyzw=quat_xyzw))
        for _, _, kind, sizes, file, xyz, quat_xyzw in entries
    ]


def _obstacle(shape: _Shape, name: str, client: int, body: int, link: int) -> Obstacle:
    """Return the obstacle of a shape whose sizes PyBullet tells: box edges, sphere radius, (length, radius)."""
    first, second, _ = shape.sizes
    if shape.kind == bullet.GEOM_BOX:
        return Box(name=name, size=shape.sizes, pose=shape.pose)
    if shape.kind == bullet.GEOM_SPHERE:
        return Sphere(name=name, radius=first, pose=shape.pose)
    if shape.kind == bullet.GEOM_CYLINDER:
        return Cylinder(name=name, radius=second, height=first, pose=shape.pose)
    if shape.kind == bullet.GEOM_CAPSULE:
        return Capsule(name=name, radius=second, height=first, pose=shape.pose)
    if shape.kind == bullet.GEOM_PLANE:
        return _plane(shape, name)
    if shape.kind == bullet.GEOM_MESH:
        hollow = len(_corners(client, body, link)) == 0
        mesh = Mesh(name=name, file=Path(shape.file), scale=first, pose=shape.pose, convex=not hollow)
        _check_readable(mesh, body)
        return mesh
    raise InputError(
        "a collision shape of a kind that cannot be an obstacle",
        key=name,
        value=shape.kind,
        allowed=f"box, sphere, cylinder, capsule, plane, mesh; or ignore=[{body}]",
    )


def _plane(shape: _Shape, name: str) -> Box:
    """Return a thick plate whose upper face is the plane, its local z along the normal."""
    normal = np.array(shape.sizes) / np.linalg.norm(shape.sizes)
    rotation = np.array(trimesh.geometry.align_vectors([0, 0, 1], normal))
    rotation[:3, 3] = -0.5 * normal
    return Box(name=name, size=(PLANE_SIZE, PLANE_SIZE, 1.0), pose=shape.pose @ Pose.from_matrix(rotation))


def _needs_corners(shape: _Shape) -> bool:
    """Whether a mesh has to be read by its corners: no file that is there, or a scale that `Mesh` cannot say."""
    even = min(shape.sizes) > 0 and np.ptp(shape.sizes) < 1e-9
    return not even or not Path(shape.file).is_file()


def _corners(client: int, body: int, link: int) -> Float:
    """Return the corners [n, 3] of all hulls of a link in its inertial frame; none if its mesh is hollow."""
    with silence():
        count, corners = bullet.getMeshData(body, link, physicsClientId=client)
    return np.array(corners).reshape(-1, 3) if count else np.zeros((0, 3))


def _from_corners(client: int, body: int, link: int, name: str) -> Obstacle:
    """Return one convex obstacle around all hulls of a link: a cylinder if it is one, else a mesh written to a file."""
    corners = _corners(client, body, link)
    if len(corners) == 0:
        raise InputError(
            "a hollow (concave) mesh of which PyBullet does not tell the triangles",
            key=name,
            allowed=f"a mesh loaded by loadURDF with an even scale; or ignore=[{body}] and add a Mesh by hand",
        )
    pose = inertial_frame(client, body, link)
    entries = bullet.getCollisionShapeData(body, link, physicsClientId=client)
    local = Pose(xyz=entries[0][5], quat_xyzw=entries[0][6])
    cylinder = _as_cylinder(corners, local, pose, name) if len(entries) == 1 else None
    return cylinder or Mesh(name=name, file=_write_hull(corners), pose=pose, convex=True)


def _as_cylinder(corners: Float, local: Pose, pose: Pose, name: str) -> Cylinder | None:
    """Recognise what PyBullet makes of a URDF's cylinder: a prism of 32 sides about local z."""
    inverse = np.linalg.inv(local.matrix)
    points = corners @ inverse[:3, :3].T + inverse[:3, 3]
    radii, heights = np.linalg.norm(points[:, :2], axis=1), np.abs(points[:, 2])
    round_ = len(points) == 2 * _ROUND_SIDES and np.ptp(radii) < 1e-3 * radii.max() and np.ptp(heights) < 1e-6
    if not round_:
        return None
    return Cylinder(name=name, radius=float(radii.max()), height=2 * float(heights.max()), pose=pose @ local)


def _write_hull(corners: Float) -> Path:
    """Write the convex hull of corners [n, 3] to an OBJ file named by its content; returns its path."""
    text = str(trimesh.convex.convex_hull(corners).export(file_type="obj", digits=9))
    folder = Path(tempfile.gettempdir()) / f"diffplan-meshes-{os.getuid() if hasattr(os, 'getuid') else 0}"
    folder.mkdir(mode=0o700, exist_ok=True)
    file = folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.obj"
    if not file.is_file():
        unfinished = file.with_suffix(f".{os.getpid()}.tmp")
        unfinished.write_text(text)
        unfinished.replace(file)
    return file


def _check_readable(mesh: Mesh, body: int) -> None:
    scale = (mesh.scale, mesh.scale, mesh.scale)
    try:
        _ = load_hulls(mesh.file, scale) if mesh.convex else load_mesh(mesh.file, scale)
    except DiffplanError as error:
        raise InputError(
            f"its mesh cannot be an obstacle: {error}", key=mesh.name, allowed=f"ignore=[{body}]"
        ) from error
