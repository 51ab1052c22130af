"""Obstacles as the certificate's client gets them: near the robot's base, where single precision is fine enough."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from diffplan.errors import InputError
from diffplan.meshes import load_hulls, load_mesh
from diffplan.robot import Robot
from diffplan.scene import LARGEST, PLANE_REACH, SMALLEST, Mesh, Obstacle, Plane, Scene, Urdf
from diffplan.simulation.motion_bound import Cover
from diffplan.simulation.shapes import convex_parts
from diffplan.urdf import CollisionShape, load_urdf

_COARSE = 1000.0
"""An obstacle with its origin so near the base [m] stands where it is: single precision is fine enough there."""
FAR = 10.0
"""How far the certificate looks from the arm at most [m]."""
TOO_FAR = 6e-4
"""By so much [m] PyBullet may tell a distance too large besides, found by search (0.5 mm at most).

Bullet's GJK stops where two corners of the difference of both bodies are within a centimetre (squared, 1e-4).
"""
_ROUNDED = {"box": 7.6e-4, "cylinder": 4.5e-4, "sphere": 0.0, "capsule": 0.0, "plane": 0.0, "mesh": -9e-4}


def judged(scene: Scene, robot: Robot, shapes: Cover) -> Scene:
    """Return the scene with planes as boxes under the arm, and what is kilometres out of sight nearer, still out of it.

    Raises:
        InputError: if a URDF obstacle is too large or too small for distances to hold, if an obstacle's origin is
            farther off than 1 km but its solid may come into sight, or if there is a plane and the arm reaches beyond
            the part of it that is looked at.
    """
    reach = arm_reach(robot, shapes)
    if any(isinstance(obstacle, Plane) for obstacle in scene.obstacles) and reach > PLANE_REACH:
        raise InputError(
            f"a plane is looked at within {PLANE_REACH:.0f} m of the base, and this arm may reach farther",
            key=robot.name,
            allowed="boxes in place of the plane",
        )
    return replace(scene, obstacles=tuple(_judged(obstacle, scene, reach) for obstacle in scene.obstacles))


def _judged(obstacle: Obstacle, scene: Scene, reach: float) -> Obstacle:
    base = scene.robot_base.xyz
    if isinstance(obstacle, Plane):
        obstacle = obstacle.near(base)
    elif isinstance(obstacle, Urdf):
        _check_sizes(obstacle)
    away = np.array(obstacle.pose.xyz) - base
    distance = float(np.linalg.norm(away))
    if distance <= _COARSE:
        return obstacle
    size = _farthest(obstacle)
    if distance - size <= reach + FAR:
        raise InputError(
            f"its origin is {distance:.5g} m from the robot's base, and its solid lies up to {size:.5g} m from its "
            "origin: too coarse to be judged",
            key=obstacle.name,
            allowed=f"an origin near the solid, or within {_COARSE:.0f} m of the base",
        )
    x, y, z = (base + away * (min(distance, _COARSE + size + reach) / distance)).tolist()
    return replace(obstacle, pose=replace(obstacle.pose, xyz=(x, y, z)))


def _farthest(obstacle: Obstacle) -> float:
    """Return a distance from an obstacle's origin that no point of its solid exceeds [m]."""
    if isinstance(obstacle, Mesh):
        meshes = load_hulls(obstacle.file) if obstacle.convex else [load_mesh(obstacle.file)]
        return obstacle.scale * max(float(np.linalg.norm(mesh.vertices, axis=1).max()) for mesh in meshes)
    if not isinstance(obstacle, Urdf):
        return float(np.sqrt(3)) * LARGEST  # more than that of any kind with sizes up to LARGEST
    model, found = load_urdf(obstacle.file), [0.0]
    values = model.joint_values(obstacle.joints, obstacle.scale, key=f"{obstacle.name}.joints", limited=True)
    poses = model.link_poses(values, obstacle.scale)
    for link, shapes in model.collisions.items():
        for shape in shapes:
            corners = obstacle.scale * np.concatenate(convex_parts(shape))
            corners = corners @ poses[link][:3, :3].T + poses[link][:3, 3]
            more = obstacle.scale * shape.size[0] if shape.kind == "sphere" else 0.0
            found.append(float(np.linalg.norm(corners, axis=1).max()) + more)
    return max(found)


def rounded_edges(body: Obstacle | tuple[CollisionShape, ...]) -> float:
    """Return how much farther off than it is PyBullet may see a body, at its edges [m]; negative if never.

    Boxes and cylinders keep their size and get edges of a radius of 1 mm, so that a corner of a box loses
    (sqrt(3) - 1) mm and the edge of a cylinder (sqrt(2) - 1) mm; hulls grow by 1 mm and lose less of their corners.
    """
    if isinstance(body, Urdf):
        body = tuple(shape for shapes in load_urdf(body.file).collisions.values() for shape in shapes)
    if isinstance(body, tuple):
        return max((_ROUNDED[shape.kind] for shape in body), default=0.0)
    if isinstance(body, Mesh):
        return _ROUNDED["mesh"] if body.convex else 0.0
    return _ROUNDED[type(body).__name__.lower()]


def arm_reach(robot: Robot, shapes: Cover) -> float:
    """Return a distance from the base's origin that no point of the arm leaves [m]."""
    sliding = np.maximum(np.abs(robot.lower), np.abs(robot.upper))[robot.chain.prismatic].sum()
    joints = np.linalg.norm(robot.chain.origin[:, :3, 3], axis=1).sum()
    return float(sliding + joints + (np.linalg.norm(shapes.centre, axis=2) + shapes.radius).max())


def _check_sizes(obstacle: Urdf) -> None:
    """Refuse a body whose parts stand farther from its root than sizes may be; meshes are measured where they load."""
    model = load_urdf(obstacle.file)
    for link, shapes in model.collisions.items():
        steps = [np.linalg.norm(joint.origin.xyz) for joint in model.chain(link)]
        for shape in shapes:
            sizes = shape.size if shape.kind != "mesh" else ()
            largest = obstacle.scale * max([*sizes, float(np.linalg.norm(shape.pose.xyz)) + float(sum(steps))])
            if largest > LARGEST or any(obstacle.scale * size < SMALLEST for size in sizes):
                raise InputError(
                    "a shape too large or too small, or too far from the root, for distances to hold",
                    file=obstacle.file,
                    key=f"{obstacle.name}.{link}",
                    value=[obstacle.scale * float(size) for size in sizes] or largest,
                    allowed=f"{SMALLEST:.5f} to {LARGEST:.0f} [m]",
                )
