"""Reading a PyBullet world that somebody else made, and putting a scene into one."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from diffplan import arguments
from diffplan.certificate.body_shapes import BodyShape, as_shape, corners_in_link, shapes_in_link
from diffplan.certificate.bullet import bullet
from diffplan.certificate.frames import joint_indices, link_frame, link_indices
from diffplan.certificate.hull_match import differing_part
from diffplan.certificate.world import attach_robot, load_scene_bodies
from diffplan.errors import DiffplanError, InputError
from diffplan.geometry.meshes import load_hulls
from diffplan.geometry.pose import Float, Pose
from diffplan.geometry.shapes import Cylinder, Mesh
from diffplan.pybullet.palette import obstacle_colours
from diffplan.pybullet.running import as_bodies, bodies_of, check_body, check_client, is_soft
from diffplan.pybullet.same_robot import check_same_robot
from diffplan.robot.model import Robot
from diffplan.robot.urdf import FOLLOWS
from diffplan.scene import Attached, Obstacle, Scene
from diffplan.system.assets import shipped_robots
from diffplan.system.exclusive import exclusive
from diffplan.system.files import write_text
from diffplan.system.third_party import trimesh

_LOG = logging.getLogger("diffplan")
_ROUND_SIDES = 32


@exclusive
def scene_from_pybullet(
    client: int,
    *,
    robot_body: int | None = None,
    robot: Robot | str | None = None,
    ignore: Collection[int] = (),
    attached: Collection[int] | Mapping[int, str] = (),
) -> Scene:
    """Read the obstacles of a running world, at their current poses, and what the robot holds.

    Every collision shape becomes one obstacle `<body>#<id>`, with the link's and the shape's number behind it where
    there are several. A plane is a `Plane`. A mesh is what PyBullet collides with: convex hulls, or a
    closed hollow mesh where it was loaded concave. Meshes that PyBullet knows only by their corners (made by
    `createCollisionShape`, scaled unevenly, or of a file that has changed since) become one hull a link, in an OBJ
    file in the temporary folder.

    Args:
        client: the physics client.
        robot_body: the robot, which is no obstacle; `robot_base` and `hold`, where its fingers stand, are read from it.
        robot: what it is; without it, the shipped robot that the body is.
        ignore: other bodies to leave out, those tied to the robot by a constraint among them.
        attached: the bodies that the robot holds, by its tool's link, or each with the link that holds it; every shape
            of them becomes an `Attached` object where it is now.

    Raises:
        InputError: if the client is not connected, a body is not there, or the robot's body is not the robot (see
            `same_robot`); naming the body that cannot be read: soft, a height field, an unreadable hollow mesh.
    """
    client = check_client(client)
    left_out = [check_body(client, body, "ignore") for body in as_bodies(ignore, "ignore")]
    arm = None if robot_body is None else check_body(client, robot_body, "robot_body")
    robot = None if robot is None else _as_robot(robot)
    base, hold = Pose(), {}
    in_hand = [check_body(client, body, "attached") for body in as_bodies(attached, "attached")]
    held: list[Attached] = []
    if in_hand and arm is None:
        raise InputError("which body holds them?", key="attached", value=in_hand, allowed="with robot_body=...")
    if arm is not None:
        for key, bodies in (("ignore", left_out), ("attached", in_hand)):
            if arm in bodies:
                raise InputError("the robot is no other body", key=key, value=arm)
        robot = robot or _shipped_robot(client, arm)
        check_same_robot(client, arm, robot, key="robot_body", ignore=[*left_out, *in_hand])
        base, hold = _base(client, arm, robot), _held(client, arm, robot)
        links = attached if isinstance(attached, Mapping) else dict.fromkeys(in_hand, robot.tool_frame.link)
        held = [one for body in in_hand for one in _in_hand(client, arm, body, robot, links[body])]
    obstacles = [
        obstacle
        for body in bodies_of(client)
        if body != arm and body not in (*left_out, *in_hand)
        for obstacle in _body_obstacles(client, body)
    ]
    name = robot.name if robot else None
    return Scene(
        name="pybullet",
        robot=name,
        robot_base=base,
        obstacles=tuple(obstacles),
        hold=hold,
        attached=tuple(held),
    )


@exclusive
def scene_to_pybullet(scene: Scene, client: int) -> dict[str, int]:
    """Put a scene's obstacles into a running world as immovable, coloured bodies; returns the body of each by name.

    Raises:
        InputError: if the client is not connected, or naming the obstacle whose file PyBullet cannot read.
    """
    return load_scene_bodies(check_client(client), scene, colours=obstacle_colours())


@exclusive
def robot_configuration(client: int, body: int, robot: Robot | str) -> Float:
    """Return the current position of the planning joints [dof] of a robot in a running world.

    Raises:
        InputError: if the client is not connected, or the body is not there or not this robot (`check_same_robot`).
    """
    client = check_client(client)
    body, robot = check_body(client, body, "body"), _as_robot(robot)
    check_same_robot(client, body, robot, key="body")
    return attach_robot(client, body, robot).joint_positions()


@exclusive
def robot_as_held(client: int, body: int, robot: Robot | str) -> Robot:
    """Return the robot with its held joints (fingers) where those of the body in a running world are now.

    They are taken as they are there, followers of other joints (URDF `mimic`) too: PyBullet does not couple them, and
    a follower that stands elsewhere than its leader puts it is told as a warning (logger `diffplan`).

    Raises:
        InputError: if the client is not connected, or the body is not there or not this robot (`check_same_robot`).
    """
    client = check_client(client)
    body, robot = check_body(client, body, "body"), _as_robot(robot)
    check_same_robot(client, body, robot, key="body")
    return robot.standing(_held(client, body, robot))


def _as_robot(robot: Robot | str) -> Robot:
    """Return a robot that may be given by its name or file.

    Raises:
        InputError: if it is neither.
    """
    if isinstance(robot, Robot):
        return robot
    if isinstance(robot, str | Path):
        return Robot.load(str(robot))
    raise InputError("not a robot", key="robot", value=robot, allowed="a diffplan.Robot, or the name of one")


def _held(client: int, body: int, robot: Robot) -> dict[str, float]:
    """Return where the joints stand now that neither are planned for nor follow one that is."""
    joints, model = joint_indices(client, body), robot.model
    held = {
        name: float(bullet.getJointState(body, joints[name], physicsClientId=client)[0]) for name in robot.still_joints
    }
    leads = model.filled({name: value for name, value in held.items() if model.joints[name].mimic is None})
    for name, value in held.items():
        mimic = model.joints[name].mimic
        if mimic is not None and abs(value - leads[name]) > FOLLOWS:
            _LOG.warning(
                "%s stands at %.4g in this world, where %s would put it at %.4g (mimic); planned for as it stands",
                name,
                value,
                mimic.leader,
                leads[name],
            )
    return held


def _base(client: int, body: int, robot: Robot) -> Pose:
    return link_frame(client, body, link_indices(client, body)[robot.base_link])


def _in_hand(client: int, arm: int, body: int, robot: Robot, link: str) -> Iterator[Attached]:
    """Read a body that a link of the robot holds, where both are now."""
    indices = link_indices(client, arm)
    link = arguments.one_of(link, "attached", list(indices), "link")
    T_link_world = link_frame(client, arm, indices[link]).inverse()
    for obstacle in _body_obstacles(client, body):
        yield Attached(obstacle=replace(obstacle, pose=T_link_world @ obstacle.pose), link=link)


def _shipped_robot(client: int, body: int) -> Robot:
    """Return the shipped robot whose joints a body has.

    Raises:
        InputError: if there is none.
    """
    joints = joint_indices(client, body)
    for name in shipped_robots():
        try:
            robot = Robot.load(name)
        except InputError:
            continue  # its URDF comes with a package that is not installed
        if joints.keys() >= set(robot.joint_names):
            return robot
    raise InputError(
        "which robot this body is has to be said: it is none of the shipped ones",
        key="robot",
        value=sorted(joints),
        allowed="robot=diffplan.Robot.load(NAME or robot file)",
    )


def _body_obstacles(client: int, body: int) -> Iterator[Obstacle]:
    """Read all links of a body."""
    base, title = (word.decode() for word in bullet.getBodyInfo(body, physicsClientId=client))
    name = f"{title.removesuffix('.urdf') or base or 'body'}#{body}"
    if is_soft(client, body):
        raise InputError("a soft body cannot be an obstacle", key=name, allowed=f"rigid bodies; ignore=[{body}]")
    links = link_indices(client, body)
    shapes = {link: _shapes(client, body, number, f"{name}/{link}") for link, number in links.items()}
    several = sum(bool(found) for found in shapes.values()) > 1
    for link, found in shapes.items():
        prefix = f"{name}/{link}" if several else name
        meshes = [shape for shape in found if shape.is_mesh]
        merged = any(map(_needs_corners, meshes)) or _outdated(client, body, links[link], meshes)
        if merged:
            yield _from_corners(client, body, links[link], prefix)
        rest = [s for s in found if not (merged and s.is_mesh)]
        for i, shape in enumerate(rest):
            yield _obstacle(shape, f"{prefix}.{i}" if len(rest) + merged > 1 else prefix, client, body, links[link])


def _shapes(client: int, body: int, link: int, name: str) -> list[BodyShape]:
    """Return the collision shapes of a link, their poses in the world frame."""
    T_world_link = link_frame(client, body, link)
    return [replace(s, pose=T_world_link @ s.pose) for s in shapes_in_link(client, body, link, name)]


def _obstacle(told: BodyShape, name: str, client: int, body: int, link: int) -> Obstacle:
    """Return the obstacle of a shape whose sizes PyBullet tells."""
    hollow = told.is_mesh and len(corners_in_link(client, body, link)) == 0
    try:
        shape = as_shape(told, name, hollow=hollow)
        shape.corners()  # a file of it is read
    except InputError as error:
        problem = f"its mesh cannot be an obstacle: {error}" if told.is_mesh else error.problem
        allowed = error.allowed or "box, sphere, cylinder, capsule, plane, mesh"
        raise InputError(problem, key=name, value=error.value, allowed=f"{allowed}; or ignore=[{body}]") from error
    return shape


def _needs_corners(shape: BodyShape) -> bool:
    """Whether a mesh has to be read by its corners: no file that is there, or a scale that `Mesh` cannot say."""
    even = min(shape.sizes) > 0 and np.ptp(shape.sizes) < 1e-9
    return not even or not Path(shape.file).is_file()


def _outdated(client: int, body: int, link: int, meshes: list[BodyShape]) -> bool:
    """Whether the files of a link's convex meshes no longer hold what PyBullet collides with."""
    corners = corners_in_link(client, body, link) if meshes else np.zeros((0, 3))
    if len(corners) == 0:
        return False
    parts = []
    for shape in meshes:
        try:
            hulls = load_hulls(shape.file, shape.sizes)
        except DiffplanError:
            return True
        pose = (link_frame(client, body, link).inverse() @ shape.pose).matrix
        parts += [np.asarray(hull.vertices) @ pose[:3, :3].T + pose[:3, 3] for hull in hulls]
    return bool(differing_part(parts, corners))


def _from_corners(client: int, body: int, link: int, name: str) -> Obstacle:
    """Return one convex obstacle around all hulls of a link: a cylinder if it is one, else a mesh written to a file."""
    corners = corners_in_link(client, body, link)
    if len(corners) == 0:
        raise InputError(
            "a hollow (concave) mesh of which PyBullet does not tell the triangles",
            key=name,
            allowed=f"a mesh loaded by loadURDF with an even scale; or ignore=[{body}] and add a Mesh by hand",
        )
    pose = link_frame(client, body, link)
    shapes = shapes_in_link(client, body, link, name)
    cylinder = _as_cylinder(corners, shapes[0].pose, pose, name) if len(shapes) == 1 else None
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
        write_text(file, text, sync=False)
    return file
