"""What is drawn around the robot: obstacles in colour, planes as far as the arm reaches, the tool's path as a tube."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from diffplan.certificate.bullet import bullet
from diffplan.certificate.world import load_obstacle
from diffplan.geometry.pose import Float, Pose
from diffplan.geometry.shapes import Box, Plane
from diffplan.pybullet.palette import FLOOR, FURNITURE, GOAL, PATH, START, TOUCHING, Rgba, obstacle_colours
from diffplan.robot.model import Robot
from diffplan.scene import Obstacle, Scene

REACH = 1.1
"""Half the edge of the cube around the robot's base that matters in a picture [m]."""
_LARGE = 0.45
_VAST = 4.0
_PLATE = 0.01  # m, thickness of what is seen of a plane
_TUBE_RADIUS = 0.006
_TUBE_SIDES = 8


def load_coloured(client: int, scene: Scene, red: Collection[str] = ()) -> list[int]:
    """Load the obstacles, furniture in one tone, smaller things in distinct colours; returns the bodies to frame.

    Those named in `red` touch the robot, and are red.

    Planes and vast boxes (rooms) are cut to what lies near the robot, and are no reason to step back.
    """
    colours = obstacle_colours()
    bodies = []
    for obstacle in scene.obstacles:
        if _is_vast(obstacle):
            near = cut_near(obstacle, scene.robot_base)
            load_obstacle(client, near, TOUCHING if obstacle.name in red else FLOOR)
            continue
        large = isinstance(obstacle, Box) and max(obstacle.size) > _LARGE
        colour = TOUCHING if obstacle.name in red else FURNITURE if large else next(colours)
        body = load_obstacle(client, obstacle, colour)
        if obstacle.name in red:  # a URDF has colours of its own
            for link in range(-1, bullet.getNumJoints(body, physicsClientId=client)):
                bullet.changeVisualShape(body, link, rgbaColor=TOUCHING, physicsClientId=client)
        bodies.append(body)
    return bodies


def cut_near(obstacle: Obstacle, base: Pose) -> Obstacle:
    """Return an obstacle, or of a plane and of a vast box what lies near the robot's base (world)."""
    if isinstance(obstacle, Plane):
        return _plate(obstacle, base)
    return _cut(obstacle, base) if isinstance(obstacle, Box) and _is_vast(obstacle) else obstacle


def _is_vast(obstacle: Obstacle) -> bool:
    return isinstance(obstacle, Plane) or (isinstance(obstacle, Box) and max(obstacle.size) > _VAST)


def _plate(plane: Plane, base: Pose) -> Box:
    """Return a thin plate in place of a plane near the robot, its upper face on the plane."""
    x, y, _ = (plane.pose.inverse() @ base).xyz
    pose = plane.pose @ Pose(xyz=(x, y, -_PLATE / 2))
    return Box(name=plane.name, size=(3 * REACH, 3 * REACH, _PLATE), pose=pose)


def _cut(box: Box, base: Pose) -> Box:
    """Return of a vast box what lies near the robot, of a level one only the top: its sides would fill the picture."""
    middle, half = np.array((box.pose.inverse() @ base).xyz), np.array(box.size) / 2
    low, high = np.maximum(-half, middle - 1.5 * REACH), np.minimum(half, middle + 1.5 * REACH)
    if np.any(high - low < 1e-3):
        return box
    if box.pose.matrix[2, 2] > 0.999:
        low[2] = max(low[2], high[2] - 0.01)
    x, y, z = ((low + high) / 2).tolist()
    a, b, c = (high - low).tolist()
    return replace(box, size=(a, b, c), pose=box.pose @ Pose(xyz=(x, y, z)))


def tool_path(robot: Robot, base: Pose, path: Float) -> Float:
    """Return where the tool goes [n, 3] (world): if none is named, the farthest empty link fixed to the end link."""
    if robot.tool is not None:
        return (base.matrix @ robot.link_pose(path, robot.tool.link) @ robot.tool.pose.matrix)[:, :3, 3]
    fixed = [robot.end_link]
    for joint in robot.model.joints.values():
        if joint.kind == "fixed" and joint.parent in fixed and not robot.model.collisions[joint.child]:
            fixed.append(joint.child)
    tips = (base.matrix @ robot.link_pose(path, fixed[-1]))[:, :3, 3]
    return np.asarray(tips)


def add_tool_path(client: int, points: Float, colour: Rgba = PATH) -> None:
    """Draw the way [n, 3] as a tube, with a ball at either end."""
    steps = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    if steps[-1] > 1e-3:
        even = np.linspace(0.0, steps[-1], max(3, min(200, int(steps[-1] / 0.01))))
        corners, triangles = tube(np.stack([np.interp(even, steps, axis) for axis in points.T], axis=1))
        _show(
            client,
            (0.0, 0.0, 0.0),
            colour,
            shapeType=bullet.GEOM_MESH,
            vertices=corners.tolist(),
            indices=triangles.ravel().tolist(),
        )
    for point, end in ((points[0], START), (points[-1], GOAL)):
        _show(client, point.tolist(), end, shapeType=bullet.GEOM_SPHERE, radius=2.2 * _TUBE_RADIUS)


def tube(points: Float) -> tuple[Float, np.ndarray]:
    """Return corners [n * sides, 3] and triangles [m, 3] of a tube around a way [n, 3], its frame carried along."""
    along = np.gradient(points, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-12)
    side = np.cross(along[0], np.eye(3)[np.argmin(np.abs(along[0]))])
    angles = np.linspace(0, 2 * np.pi, _TUBE_SIDES, endpoint=False)[:, None]
    rings = []
    for point, axis in zip(points, along, strict=True):
        side = side - (side @ axis) * axis
        side /= max(float(np.linalg.norm(side)), 1e-12)
        rings.append(point + _TUBE_RADIUS * (np.cos(angles) * side + np.sin(angles) * np.cross(axis, side)))
    i = np.arange(_TUBE_SIDES)
    near, far = np.stack([i, np.roll(i, -1)], axis=1), np.stack([i, np.roll(i, -1)], axis=1) + _TUBE_SIDES
    quads = np.concatenate(
        [np.stack([near[:, 0], near[:, 1], far[:, 0]], 1), np.stack([near[:, 1], far[:, 1], far[:, 0]], 1)]
    )
    triangles = np.concatenate([quads + _TUBE_SIDES * k for k in range(len(points) - 1)])
    return np.concatenate(rings), triangles


def _show(client: int, xyz: tuple[float, float, float] | list[float], colour: Rgba, **shape: object) -> None:
    visual = bullet.createVisualShape(rgbaColor=colour, specularColor=(0.1, 0.1, 0.1), physicsClientId=client, **shape)
    bullet.createMultiBody(0, -1, visual, xyz, physicsClientId=client)
