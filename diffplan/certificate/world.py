"""A robot and the obstacles of a scene as bodies of a PyBullet client.

Shapes are what PyBullet collides with: the robot's and URDF obstacles' meshes become one convex hull for each OBJ
group, grown by a margin of 1 mm; a `Mesh` obstacle keeps its hollows (a surface of triangles) unless `convex`. Meshes
are read by us as their files are now; PyBullet gets their corners, and what it made of them is compared (loaded.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, repeat
from pathlib import Path
from typing import ClassVar, TypeAlias

import numpy as np
from scipy.spatial import ConvexHull

from diffplan.certificate.body_shapes import drawing, making
from diffplan.certificate.bullet import bullet, silence
from diffplan.certificate.frames import joint_indices, link_frame, link_indices
from diffplan.certificate.hull_match import rounding
from diffplan.certificate.loaded import MARGIN, check_loaded, check_mesh
from diffplan.certificate.motion_bound import body_poses
from diffplan.certificate.urdf_copy import mesh_file, urdf_copy
from diffplan.errors import InputError, did_you_mean
from diffplan.geometry.mesh_files import content_key
from diffplan.geometry.pose import Float, Pose
from diffplan.geometry.shapes import Primitive, Shape
from diffplan.robot.model import Robot
from diffplan.robot.urdf import UrdfModel, read_source
from diffplan.scene import Obstacle, Scene

Colour: TypeAlias = tuple[float, float, float, float]
"""RGBA, 0...1."""
WHOLE = -2
"""PyBullet's index for all links of a body."""
_SHINE = (0.1, 0.1, 0.1)
_WHITE = (0.9, 0.9, 0.9, 1.0)
_HERE = Pose()
_MOST_GONE, _MOST_STANDING, _MESH_COUNTS = 2000, 20_000, 20
_MOST_IDLE = 4


@dataclass(frozen=True, kw_only=True)
class RobotBody:
    """A robot in a client: `joints` are the planning joints' indices, `moving` those of `robot.chain.names`.

    `links` maps link names to indices (-1: base). `base` is where its base link stands (world), `held` the bodies that
    it holds, by name: one a shape, each with T_held_shape [4, 4].
    """

    robot: Robot
    client: int
    body: int
    joints: tuple[int, ...]
    moving: tuple[int, ...]
    links: dict[str, int]
    base: Pose = _HERE
    held: dict[str, tuple[tuple[int, Float], ...]] = field(default_factory=dict)

    def place(self, q: Float) -> None:
        """Put the planning joints at q [dof], and what moves with them where it belongs, without simulating."""
        values = [[value] for value in self.robot.chain.values(q).tolist()]
        bullet.resetJointStatesMultiDof(self.body, self.moving, values, physicsClientId=self.client)
        if self.held:
            self.carry(q)

    def carry(self, q: Float) -> None:
        """Put what is held where it is when the planning joints are at q [dof]."""
        bodies = self.robot.body_poses(q)[0]
        for name, parts in self.held.items():
            body, T_body_held = self.robot.chain.placement[name]
            T_world_held = self.base.matrix @ bodies[body] @ T_body_held
            for part, T_held_part in parts:
                pose = Pose.from_matrix(T_world_held @ T_held_part)
                bullet.resetBasePositionAndOrientation(part, pose.xyz, pose.quat_xyzw, physicsClientId=self.client)

    def parts(self, name: str) -> list[tuple[int, int]]:
        """Return PyBullet's body and link index of a link, or of each shape of a held body."""
        return [(part, -1) for part, _ in self.held[name]] if name in self.held else [(self.body, self.links[name])]

    def remove(self) -> None:
        """Take it out of the client, with what it holds."""
        for body in (self.body, *(part for parts in self.held.values() for part, _ in parts)):
            bullet.removeBody(body, physicsClientId=self.client)

    def joint_positions(self) -> Float:
        """Return the planning joints' current positions [dof]."""
        states = bullet.getJointStates(self.body, self.joints, physicsClientId=self.client)
        return np.array([state[0] for state in states])


def load_robot_body(
    client: int, robot: Robot, base: Pose, *, visuals: bool = False, colours: Iterable[Colour] = ()
) -> RobotBody:
    """Load the robot's URDF with `base_link` at `base` (world frame), fixed there, its held joints set.

    What it holds is loaded too, and stands right after the first `place`; with `visuals` in these colours, then white.

    Raises:
        InputError: if PyBullet cannot read the URDF file.
    """
    if read_source(robot.model.file) != robot.model.source:
        raise InputError(
            f"the URDF file changed after the robot {robot.name} was loaded from it",
            file=robot.model.file,
            allowed="the file as it was, or the robot loaded again (Robot.load)",
        )
    T_root_base = robot.model.link_poses(robot.still_joints)[robot.base_link]
    body = _load_urdf(client, robot.model, Pose.from_matrix(base.matrix @ np.linalg.inv(T_root_base)), visuals=visuals)
    handle = attach_robot(client, body, robot, hold=True)
    check_loaded(client, body, robot.model)
    paint = chain(colours, repeat(_WHITE)) if visuals else repeat(None)
    return replace(handle, base=base, held=load_held(client, robot, paint))


def load_held(client: int, robot: Robot, colours: Iterator[Colour | None]) -> dict[str, tuple[tuple[int, Float], ...]]:
    """Load what the robot holds as immovable bodies, one a shape; returns each with T_held_shape [4, 4], by name.

    In a colour it is what it looks like, without what the certificate looks at: the hulls of meshes.

    Raises:
        InputError: if PyBullet does not hold what we read.
    """
    found = {}
    for body, colour in zip(robot.attached, colours, strict=False):
        shapes = body.shapes if colour is None else body.drawn
        found[body.name] = tuple(
            (load_obstacle(client, replace(shape, pose=_HERE), colour), shape.pose.matrix) for shape in shapes
        )
    return found


def in_base_frame(scene: Scene) -> Scene:
    """Return the scene as seen from the robot's base, which stands at the origin: near it, float32 is fine enough."""
    return _seen_from(scene, scene.robot_base, Pose())


def at_origin(scene: Scene) -> Scene:
    """Return the scene moved, not turned, so that the robot's base stands at the origin: for gravity and pictures."""
    base = scene.robot_base
    return _seen_from(scene, Pose(xyz=base.xyz), Pose(quat_xyzw=base.quat_xyzw))


def _seen_from(scene: Scene, T_world_frame: Pose, base: Pose) -> Scene:
    if T_world_frame == Pose():
        return scene
    T_frame_world = T_world_frame.inverse()
    obstacles = tuple(replace(obstacle, pose=T_frame_world @ obstacle.pose) for obstacle in scene.obstacles)
    return replace(scene, robot_base=base, obstacles=obstacles)


class Stage:
    """A client of our own with the robot in it, kept for the next scene when it is left: loading the robot is slow.

    The obstacles of the last scene stay in it too. Of the next one, whatever has the shape of one that stands there is
    that body, moved: shapes are told apart by their sizes or the content of their mesh files as they are now.
    """

    _idle: ClassVar[list[Stage]] = []

    def __init__(self, robot: Robot, key: str) -> None:
        """Open a client and load the robot; its base stands at the origin."""
        self.key = key
        self.gone = 0
        self.client: int = bullet.connect(bullet.DIRECT)
        self._standing: list[tuple[str, int, int]] = []  # what it is, the body, as how many bodies it counts
        self._hulls: dict[bytes, int] = {}
        self._checked: set[bytes] = set()
        try:
            self.body = load_robot_body(self.client, robot, Pose())
        except BaseException:
            bullet.disconnect(physicsClientId=self.client)
            raise

    @staticmethod
    def enter(robot: Robot, content: str) -> Stage:
        """Return a stage with this robot and what it holds, its base at the origin; `content` is its `content_of`.

        Obstacles may stand in it until `put` has put others there.
        """
        stage = next((idle for idle in reversed(Stage._idle) if idle.key == content), None)
        if stage is None:
            return Stage(robot, content)
        Stage._idle.remove(stage)
        try:
            handle = attach_robot(stage.client, stage.body.body, robot, hold=True)
            stage.body = replace(handle, held=load_held(stage.client, robot, repeat(None)))
        except BaseException:
            stage.leave()
            raise
        return stage

    def put(self, obstacles: Iterable[Obstacle], sums: dict[Path, str]) -> list[int]:
        """Have these obstacles, and no others, stand in the client; returns their bodies.

        `sums` takes the digest of each mesh file's content.

        Raises:
            InputError: naming the obstacle whose file PyBullet cannot read, or whose joints cannot stand so.
        """
        wanted = [(obstacle, _shape_key(obstacle, sums)) for obstacle in obstacles]
        old, self._standing = self._standing, []
        spare: dict[str, list[tuple[int, int]]] = {}
        for key, body, counts in old:
            spare.setdefault(key, []).append((body, counts))
        try:
            for obstacle, key in wanted:
                if key and spare.get(key):
                    body, counts = spare[key].pop()
                else:
                    body = load_obstacle(self.client, obstacle)
                    counts = 1 if isinstance(obstacle, Primitive) else _MESH_COUNTS
                    if key != _shape_key(obstacle, sums):  # its file has changed meanwhile
                        key = ""
                pose = obstacle.pose  # to the bit the same for a body that was moved and for one that was made
                bullet.resetBasePositionAndOrientation(body, pose.xyz, pose.quat_xyzw, physicsClientId=self.client)
                self._standing.append((key, body, counts))
        finally:
            for body, counts in chain.from_iterable(spare.values()):
                bullet.removeBody(body, physicsClientId=self.client)
                self.gone += counts
        return [body for _, body, _ in self._standing]

    def put_hulls(self, clouds: Iterable[Float]) -> list[int]:
        """Have the convex hulls of these points [n, 3] (m), and no others, stand in the client; returns their bodies.

        To find a hull takes long among many points, so one that stands already is kept.
        """
        wanted = [(hashlib.sha256(points.tobytes()).digest(), points) for points in clouds]
        spare, self._hulls = self._hulls, {}
        try:
            for key, points in wanted:
                if key not in self._hulls:
                    self._hulls[key] = spare.pop(key) if key in spare else load_hull(self.client, points)
        finally:
            for body in spare.values():
                bullet.removeBody(body, physicsClientId=self.client)
                self.gone += 1
        return [self._hulls[key] for key, _ in wanted]

    def check_kinematics(self) -> None:
        """Compare our forward kinematics, on which the motion bounds stand, with PyBullet's in a bent configuration.

        Once for each way in which links hang on the moving bodies: it depends on nothing else.
        """
        robot, body = self.body.robot, self.body
        arrays = (robot.lower, robot.upper, *(T for _, T in robot.chain.placement.values()))
        key = repr((robot.joint_names, list(robot.chain.placement))).encode() + b"".join(map(bytes, arrays))
        if key in self._checked and not body.held:
            return
        low, high = np.maximum(robot.lower, -3.0), np.minimum(robot.upper, 3.0)
        q = low + (high - low) * np.linspace(0.3, 0.8, robot.dof)
        body.place(q)
        poses = body_poses(robot, q[None])[0]
        for link in robot.links:
            part, index = body.parts(link)[0]
            theirs = link_frame(self.client, part, index).matrix
            carrier, T_carrier_link = robot.chain.placement[link]
            ours = poses[carrier] @ T_carrier_link
            if link in body.held:
                ours = ours @ body.held[link][0][1]
            if np.abs(ours - theirs).max() > 1e-5:
                raise RuntimeError(f"{robot.name}: PyBullet puts {link} at {theirs}, our kinematics at {ours}")
        self._checked.add(key)

    def leave(self) -> None:
        """Keep the stage, few of them, with its obstacles; close it where many are gone, for PyBullet keeps shapes."""
        if self.gone >= _MOST_GONE or self.standing > _MOST_STANDING:
            bullet.disconnect(physicsClientId=self.client)
            return
        stay = {self.body.body, *self._hulls.values(), *(body for _, body, _ in self._standing)}
        for number in reversed(range(bullet.getNumBodies(physicsClientId=self.client))):
            body = bullet.getBodyUniqueId(number, physicsClientId=self.client)
            if body not in stay:
                self.gone += 1
                bullet.removeBody(body, physicsClientId=self.client)
        Stage._idle.append(self)
        while len(Stage._idle) > _MOST_IDLE or sum(idle.standing for idle in Stage._idle) > _MOST_STANDING:
            bullet.disconnect(physicsClientId=Stage._idle.pop(0).client)

    @property
    def standing(self) -> int:
        """How many bodies its obstacles count as."""
        return sum(counts for _, _, counts in self._standing)


def content_of(robot: Robot) -> tuple[str, dict[Path, str]]:
    """Return a digest of all that a client with this robot depends on: its URDF, and its meshes as they are now.

    Beside it the digest of each mesh file's content.
    """
    model = robot.model
    digest = hashlib.sha256(repr(robot.base_link).encode() + b"\0")
    for source in (model.source, read_source(model.file)):
        digest.update(len(source).to_bytes(8, "little") + source)
    files = {file for shapes in model.collisions.values() for shape in shapes for file in shape.files}
    sums = {file: content_key(file) for file in files}
    digest.update(repr(sorted((str(file), content) for file, content in sums.items())).encode())
    return digest.hexdigest(), sums


def _shape_key(obstacle: Obstacle, sums: dict[Path, str]) -> str:
    """Return what tells an obstacle's shape from all others, its files as they are now; empty for a URDF.

    `sums` takes the digest of each file's content.
    """
    if not isinstance(obstacle, Shape):
        return ""
    contents = [content_key(file) for file in obstacle.files]
    sums.update(zip(obstacle.files, contents, strict=True))
    return repr((type(obstacle).__name__, obstacle.sizes, obstacle.scales, obstacle.hollow, contents))


def attach_robot(client: int, body: int, robot: Robot, *, hold: bool = False) -> RobotBody:
    """Return the handle of a robot that is already in the client; with `hold`, put its held joints at their values,
    joints that mimic them where they belong, and all others at zero.

    Raises:
        InputError: if a joint of the robot is not one of the body's.
    """
    joints, links = joint_indices(client, body), link_indices(client, body)
    for name in (*robot.moving_joints, *robot.held_joints):
        if name not in joints:
            raise InputError(
                f"body {body} is not the robot {robot.name}: no joint {name!r}{did_you_mean(name, joints)}",
                allowed=sorted(joints),
            )
    if hold:
        at_zero = dict(zip(robot.chain.names, robot.chain.offset.tolist(), strict=True))
        stand = {**robot.still_joints, **at_zero}
        for name, joint in joints.items():
            bullet.resetJointState(body, joint, stand.get(name, 0.0), physicsClientId=client)
    planned, moving = (tuple(joints[name] for name in names) for names in (robot.joint_names, robot.chain.names))
    return RobotBody(robot=robot, client=client, body=body, joints=planned, moving=moving, links=links)


def load_scene_bodies(client: int, scene: Scene, *, colours: Iterable[Colour] | None = None) -> dict[str, int]:
    """Load every obstacle of a scene; returns the body of each by name.

    Raises:
        InputError: naming the obstacle whose file PyBullet cannot read.
    """
    paint = iter(colours) if colours is not None else None
    return {o.name: load_obstacle(client, o, next(paint) if paint else None) for o in scene.obstacles}


def load_obstacle(client: int, obstacle: Obstacle, colour: Colour | None = None) -> int:
    """Load one obstacle as an immovable body; with a colour (RGBA, 0...1) it can be seen in pictures too.

    Raises:
        InputError: naming the obstacle whose file PyBullet cannot read, or whose joints cannot stand so.
    """
    if isinstance(obstacle, Shape):
        made = making(obstacle)
        return _load_shape(client, obstacle, made, colour) if made else _load_mesh_body(client, obstacle, colour)
    model, values = obstacle.standing()
    body = _load_urdf(client, model, obstacle.pose, visuals=colour is not None)
    for name, joint in joint_indices(client, body).items():
        bullet.resetJointState(body, joint, values.get(name, 0.0), physicsClientId=client)
    check_loaded(client, body, model)
    return body


def load_hull(client: int, points: Float) -> int:
    """Load a body that holds the convex hull of points [n, 3] (m): its margin is larger by what PyBullet rounds off."""
    corners = points[ConvexHull(points).vertices]
    shape = bullet.createCollisionShape(bullet.GEOM_MESH, vertices=corners.tolist(), physicsClientId=client)
    body = bullet.createMultiBody(0, shape, physicsClientId=client)
    bullet.changeDynamics(body, -1, collisionMargin=MARGIN + rounding(corners), physicsClientId=client)
    return body


def _load_shape(client: int, obstacle: Shape, made: dict[str, object], colour: Colour | None) -> int:
    """Load a shape that PyBullet makes of these arguments."""
    shape = bullet.createCollisionShape(physicsClientId=client, **made)
    looks = {"rgbaColor": colour, "specularColor": _SHINE, "physicsClientId": client, **drawing(obstacle)}
    visual = -1 if colour is None else bullet.createVisualShape(**looks)
    pose = obstacle.pose
    return bullet.createMultiBody(0, shape, visual, pose.xyz, pose.quat_xyzw, physicsClientId=client)


def _load_mesh_body(client: int, obstacle: Shape, colour: Colour | None) -> int:
    """Load a mesh: convex hulls from a file that we wrote, or the triangles themselves."""
    meshes = obstacle.solids()
    visual = -1
    if colour is None and obstacle.hollow:  # nothing for PyBullet to read, but the shape cannot be read back either
        vertices, indices = meshes[0].vertices.tolist(), meshes[0].faces.ravel().tolist()
        with silence():
            shape = bullet.createCollisionShape(
                bullet.GEOM_MESH, vertices=vertices, indices=indices, physicsClientId=client
            )
    else:
        flags = bullet.GEOM_FORCE_CONCAVE_TRIMESH if obstacle.hollow else 0
        file = str(mesh_file(meshes))
        with silence():
            shape = bullet.createCollisionShape(bullet.GEOM_MESH, fileName=file, flags=flags, physicsClientId=client)
        if colour is not None:
            looks = {"rgbaColor": colour, "specularColor": _SHINE}
            visual = bullet.createVisualShape(bullet.GEOM_MESH, fileName=file, physicsClientId=client, **looks)
    pose = obstacle.pose
    body = bullet.createMultiBody(0, shape, visual, pose.xyz, pose.quat_xyzw, physicsClientId=client)
    if obstacle.hollow:
        bullet.changeDynamics(body, -1, collisionMargin=0.0, physicsClientId=client)
    source = next(iter(obstacle.files), None)
    check_mesh(client, body, meshes, convex=not obstacle.hollow, file=source, name=obstacle.name)
    return body


def _load_urdf(client: int, model: UrdfModel, pose: Pose, *, visuals: bool) -> int:
    file = urdf_copy(model, visuals=visuals)
    flags = bullet.URDF_USE_IMPLICIT_CYLINDER  # else a cylinder is a prism inside of it
    try:
        with silence():
            return bullet.loadURDF(
                str(file),
                pose.xyz,
                pose.quat_xyzw,
                useFixedBase=True,
                flags=flags if visuals else flags | bullet.URDF_IGNORE_VISUAL_SHAPES,
                globalScaling=model.scale,
                physicsClientId=client,
            )
    except bullet.error as error:
        raise InputError(f"PyBullet cannot load this URDF file: {error}", file=model.file) from error
