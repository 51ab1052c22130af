"""A robot and the obstacles of a scene as bodies of a PyBullet client.

Shapes are what PyBullet collides with: the robot's and URDF obstacles' meshes become one convex hull for each OBJ
group, grown by a margin of 1 mm; a `Mesh` obstacle keeps its hollows (a surface of triangles) unless `convex`.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import trimesh

from diffplan.errors import InputError, did_you_mean
from diffplan.geometry import Float, Pose
from diffplan.meshes import load_hulls, load_mesh
from diffplan.robot import Robot
from diffplan.scene import Box, Capsule, Cylinder, Mesh, Obstacle, Scene, Sphere
from diffplan.simulation.bullet import bullet, silence
from diffplan.simulation.shapes import convex_parts
from diffplan.urdf import UrdfModel, load_urdf

MARGIN = 0.001
"""What PyBullet adds around every convex hull of a URDF or mesh file [m]."""

_READABLE_BY_PYBULLET = (".obj", ".stl")
_MOST_USES = 100
_MOST_IDLE = 4


@dataclass(frozen=True, kw_only=True)
class RobotBody:
    """A robot in a client: `joints` are the planning joints' indices, `links` maps link names to theirs (-1: base)."""

    client: int
    body: int
    joints: tuple[int, ...]
    links: dict[str, int]

    def place(self, q: Float) -> None:
        """Put the planning joints at q [dof] without simulating."""
        values = [[value] for value in q.tolist()]
        bullet.resetJointStatesMultiDof(self.body, self.joints, values, physicsClientId=self.client)

    def joint_positions(self) -> Float:
        """Return the planning joints' current positions [dof]."""
        states = bullet.getJointStates(self.body, self.joints, physicsClientId=self.client)
        return np.array([state[0] for state in states])


def load_robot_body(client: int, robot: Robot, base: Pose, *, visuals: bool = False) -> RobotBody:
    """Load the robot's URDF with `base_link` at `base` (world frame), fixed there, its held joints set.

    Raises:
        InputError: if PyBullet cannot read the URDF file.
    """
    T_root_base = np.eye(4)
    for joint in robot.model.chain(robot.base_link):
        T_root_base = T_root_base @ joint.transform(0.0)
    T_world_root = Pose.from_matrix(base.matrix @ np.linalg.inv(T_root_base))
    flags = 0 if visuals else bullet.URDF_IGNORE_VISUAL_SHAPES
    _refuse_concave(robot.model.file, robot.name)
    body = _load_urdf(client, robot.model.file, T_world_root, flags=flags)
    _check_complete(client, body, robot.model)
    return attach_robot(client, body, robot, hold=True)


class Stage:
    """A client of our own with the robot in it, kept for the next scene when it is left: loading the robot is slow."""

    _idle: ClassVar[list[Stage]] = []

    def __init__(self, robot: Robot, base: Pose) -> None:
        """Open a client and load the robot."""
        self.key = (robot.model.file, robot.base_link, base)
        self.uses = 0
        self.client: int = bullet.connect(bullet.DIRECT)
        try:
            self.body = load_robot_body(self.client, robot, base)
        except BaseException:
            bullet.disconnect(physicsClientId=self.client)
            raise

    @staticmethod
    def enter(robot: Robot, base: Pose) -> Stage:
        """Return an empty stage with this robot at this base, its held joints set."""
        key = (robot.model.file, robot.base_link, base)
        stage = next((idle for idle in reversed(Stage._idle) if idle.key == key), None)
        if stage is None:
            return Stage(robot, base)
        Stage._idle.remove(stage)
        stage.body = attach_robot(stage.client, stage.body.body, robot, hold=True)
        return stage

    def leave(self) -> None:
        """Clear the obstacles and keep the stage, few of them; after 100 scenes close it, for PyBullet keeps shapes."""
        self.uses += 1
        if self.uses >= _MOST_USES:
            bullet.disconnect(physicsClientId=self.client)
            return
        for number in reversed(range(bullet.getNumBodies(physicsClientId=self.client))):
            body = bullet.getBodyUniqueId(number, physicsClientId=self.client)
            if body != self.body.body:
                bullet.removeBody(body, physicsClientId=self.client)
        Stage._idle.append(self)
        if len(Stage._idle) > _MOST_IDLE:
            bullet.disconnect(physicsClientId=Stage._idle.pop(0).client)


def attach_robot(client: int, body: int, robot: Robot, *, hold: bool = False) -> RobotBody:
    """Return the handle of a robot that is already in the client; with `hold`, put its held joints at their values
    and all others at zero.

    Raises:
        InputError: if a joint of the robot is not one of the body's.
    """
    joints, links = joint_indices(client, body), link_indices(client, body)
    for name in (*robot.joint_names, *robot.held_joints):
        if name not in joints:
            raise InputError(
                f"body {body} is not the robot {robot.name}: no joint {name!r}{did_you_mean(name, joints)}",
                allowed=sorted(joints),
            )
    if hold:
        for name, joint in joints.items():
            bullet.resetJointState(body, joint, robot.held_joints.get(name, 0.0), physicsClientId=client)
    return RobotBody(client=client, body=body, joints=tuple(joints[name] for name in robot.joint_names), links=links)


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


def load_scene_bodies(
    client: int, scene: Scene, *, colours: Iterable[tuple[float, float, float, float]] | None = None
) -> dict[str, int]:
    """Load every obstacle of a scene; returns the body of each by name.

    Raises:
        InputError: naming the obstacle whose file PyBullet cannot read.
    """
    paint = iter(colours) if colours is not None else None
    return {o.name: load_obstacle(client, o, next(paint) if paint else None) for o in scene.obstacles}


def load_obstacle(client: int, obstacle: Obstacle, colour: tuple[float, float, float, float] | None = None) -> int:
    """Load one obstacle as an immovable body; with a colour (RGBA, 0...1) it can be seen in pictures too.

    Raises:
        InputError: naming the obstacle whose file PyBullet cannot read.
    """
    if isinstance(obstacle, (Box, Sphere, Cylinder, Capsule, Mesh)):
        shape = _collision_shape(client, obstacle)
        visual = -1 if colour is None else _visual_shape(client, obstacle, colour)
        pose = obstacle.pose
        body = bullet.createMultiBody(0, shape, visual, pose.xyz, pose.quat_xyzw, physicsClientId=client)
        if isinstance(obstacle, Mesh):
            modified = obstacle.file.stat().st_mtime_ns
            corners = obstacle.scale * _mesh_corners(obstacle.file, modified, obstacle.convex)
            _check_extent(client, body, -1, pose, corners, file=obstacle.file, name=obstacle.name)
        return body
    _refuse_concave(obstacle.file, obstacle.name)
    model = load_urdf(obstacle.file)
    flags = bullet.URDF_IGNORE_VISUAL_SHAPES if colour is None else 0
    body = _load_urdf(client, obstacle.file, obstacle.pose, flags=flags, scale=obstacle.scale)
    _check_complete(client, body, model, scale=obstacle.scale)
    joints = joint_indices(client, body)
    for name, value in obstacle.joints.items():
        if name not in joints:
            raise InputError(
                f"{obstacle.file.name} has no joint {name!r}{did_you_mean(name, joints)}",
                key=obstacle.name,
                allowed=sorted(joints),
            )
        bullet.resetJointState(body, joints[name], value, physicsClientId=client)
    return body


def load_hull(client: int, points: Float) -> int:
    """Load the convex hull of points [n, 3] (world frame, m) as an immovable body."""
    corners = trimesh.convex.convex_hull(points).vertices
    shape = bullet.createCollisionShape(bullet.GEOM_MESH, vertices=corners.tolist(), physicsClientId=client)
    return bullet.createMultiBody(0, shape, physicsClientId=client)


def _load_urdf(client: int, file: Path, pose: Pose, *, flags: int, scale: float = 1.0) -> int:
    try:
        with silence():
            return bullet.loadURDF(
                str(file.resolve()),
                pose.xyz,
                pose.quat_xyzw,
                useFixedBase=True,
                flags=flags,
                globalScaling=scale,
                physicsClientId=client,
            )
    except bullet.error as error:
        raise InputError(f"PyBullet cannot load this URDF file: {error}", file=file) from error


def _check_complete(client: int, body: int, model: UrdfModel, *, scale: float = 1.0) -> None:
    """Make sure that PyBullet made all of a URDF's collision geometry: it leaves out, with a warning, what it cannot.

    Raises:
        InputError: naming the link that is not whole.
    """
    for link, index in link_indices(client, body).items():
        shapes = model.collisions.get(link, ())
        if not shapes:
            continue
        corners = scale * np.concatenate([part for shape in shapes for part in convex_parts(shape)])
        _check_extent(client, body, index, link_frame(client, body, index), corners, file=model.file, name=link)


def _check_extent(client: int, body: int, link: int, frame: Pose, corners: Float, *, file: Path, name: str) -> None:
    """Refuse a link whose box (AABB) in PyBullet does not hold the corners [n, 3] that it should have in its frame."""
    matrix = frame.matrix
    corners = corners @ matrix[:3, :3].T + matrix[:3, 3]
    low, high = bullet.getAABB(body, link, physicsClientId=client)
    if np.any(corners.min(axis=0) < np.array(low) - MARGIN) or np.any(corners.max(axis=0) > np.array(high) + MARGIN):
        raise InputError(
            "PyBullet does not load all of this collision geometry",
            file=file,
            key=name,
            allowed="meshes that PyBullet reads (.obj, .stl)",
        )


@lru_cache(maxsize=64)
def _mesh_corners(file: Path, modified_ns: int, convex: bool) -> Float:
    """Return the corners [n, 3] of a mesh file; groups of a hollow mesh may be flat, and have no hulls."""
    meshes = load_hulls(file) if convex else [load_mesh(file)]
    return np.concatenate([mesh.vertices for mesh in meshes])


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
    inertia = bullet.getDynamicsInfo(body, -1, physicsClientId=client)
    return inertial_frame(client, body, -1) @ Pose(xyz=inertia[3], quat_xyzw=inertia[4]).inverse()


def _refuse_concave(file: Path, name: str) -> None:
    """Refuse collision meshes that ask to stay hollow: planning takes their hull, and the two must not differ."""
    for collision in ET.parse(file).getroot().iter("collision"):
        if collision.get("concave", "no") not in ("no", "0", "false"):
            raise InputError(
                "a URDF collision mesh with concave=... is not supported",
                file=file,
                key=name,
                allowed="convex parts, or a mesh obstacle",
            )


def _collision_shape(client: int, obstacle: Box | Sphere | Cylinder | Capsule | Mesh) -> int:
    kind, sizes = _dimensions(obstacle)
    if not isinstance(obstacle, Mesh):
        return bullet.createCollisionShape(kind, physicsClientId=client, **sizes)
    flags = 0 if obstacle.convex else bullet.GEOM_FORCE_CONCAVE_TRIMESH
    try:
        with silence():
            return bullet.createCollisionShape(kind, flags=flags, physicsClientId=client, **_mesh_arguments(obstacle))
    except bullet.error as error:
        raise InputError(f"PyBullet cannot load this mesh: {error}", file=obstacle.file, key=obstacle.name) from error


def _visual_shape(
    client: int, obstacle: Box | Sphere | Cylinder | Capsule | Mesh, colour: tuple[float, float, float, float]
) -> int:
    kind, sizes = _dimensions(obstacle)
    looks = {"rgbaColor": colour, "specularColor": (0.1, 0.1, 0.1), "physicsClientId": client}
    if isinstance(obstacle, Mesh):
        return bullet.createVisualShape(kind, **_mesh_arguments(obstacle), **looks)
    if isinstance(obstacle, (Cylinder, Capsule)):
        sizes = {"radius": obstacle.radius, "length": obstacle.height}
    return bullet.createVisualShape(kind, **sizes, **looks)


def _dimensions(obstacle: Box | Sphere | Cylinder | Capsule | Mesh) -> tuple[int, dict[str, object]]:
    """Return PyBullet's kind of shape and its sizes by keyword."""
    if isinstance(obstacle, Box):
        return bullet.GEOM_BOX, {"halfExtents": [edge / 2 for edge in obstacle.size]}
    if isinstance(obstacle, Sphere):
        return bullet.GEOM_SPHERE, {"radius": obstacle.radius}
    if isinstance(obstacle, Cylinder):
        return bullet.GEOM_CYLINDER, {"radius": obstacle.radius, "height": obstacle.height}
    if isinstance(obstacle, Capsule):
        return bullet.GEOM_CAPSULE, {"radius": obstacle.radius, "height": obstacle.height}
    return bullet.GEOM_MESH, {}


def _mesh_arguments(mesh: Mesh) -> dict[str, object]:
    """Return the file for PyBullet to read, or the triangles of a format that it does not read."""
    if not mesh.file.is_file():
        raise InputError("no such mesh file", file=mesh.file, key=mesh.name)
    if mesh.file.suffix.lower() in _READABLE_BY_PYBULLET:
        return {"fileName": str(mesh.file.resolve()), "meshScale": [mesh.scale] * 3}
    scale = (mesh.scale, mesh.scale, mesh.scale)
    if mesh.convex:
        return {"vertices": load_hulls(mesh.file, scale)[0].vertices.tolist()}
    triangles = load_mesh(mesh.file, scale)
    return {"vertices": triangles.vertices.tolist(), "indices": triangles.faces.ravel().tolist()}
