"""Obstacles as the certificate's client gets them: near the robot's base, where single precision is fine enough."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from diffplan.certificate.body_shapes import rounded
from diffplan.certificate.motion_bound import Cover
from diffplan.errors import InputError
from diffplan.geometry.shapes import LARGEST, Shape
from diffplan.robot.model import Robot
from diffplan.robot.urdf import load_urdf
from diffplan.scene import Obstacle, Scene, Urdf, bodies

_COARSE = 1000.0
"""An obstacle with its origin so near the base [m] stands where it is: single precision is fine enough there."""
FAR = 10.0
"""How far the certificate looks from the arm at most [m]."""
TOO_FAR = 6e-4
"""By so much [m] PyBullet may tell a distance too large besides, found by search (0.5 mm at most).

Bullet's GJK stops where two corners of the difference of both bodies are within a centimetre (squared, 1e-4).
"""


def judged(scene: Scene, robot: Robot, shapes: Cover) -> Scene:
    """Return the scene with planes as boxes under the arm, and what is kilometres out of sight nearer, still out of it.

    Raises:
        InputError: if a URDF obstacle is too large or too small for distances to hold, if an obstacle's origin is
            farther off than 1 km but its solid may come into sight, or if there is a plane and the arm reaches beyond
            the part of it that is looked at.
    """
    reach = arm_reach(robot, shapes)
    return replace(scene, obstacles=tuple(_judged(obstacle, scene, robot, reach) for obstacle in scene.obstacles))


def _judged(obstacle: Obstacle, scene: Scene, robot: Robot, reach: float) -> Obstacle:
    base = scene.robot_base.xyz
    if isinstance(obstacle, Urdf):
        _check_sizes(obstacle)
    elif reach > obstacle.exact_within:
        raise InputError(
            f"a {obstacle.kind} is looked at within {obstacle.exact_within:.0f} m of the base, and this arm may reach "
            "farther",
            key=robot.name,
            allowed=f"boxes in place of the {obstacle.kind}",
        )
    else:
        obstacle = obstacle.near(base)
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
    T_obstacle_world, found = obstacle.pose.inverse(), [0.0]
    for body in bodies(obstacle):
        matrix = (T_obstacle_world @ body.pose).matrix
        for shape in body.shapes:
            corners = np.concatenate(shape.corners()) @ matrix[:3, :3].T + matrix[:3, 3]
            found.append(float(np.linalg.norm(corners, axis=1).max()) + shape.rounding)
    return max(found)


def rounded_edges(shapes: Iterable[Shape]) -> float:
    """Return how much farther off than they are PyBullet may see shapes, at their edges [m]; negative if never."""
    return max(map(rounded, shapes), default=0.0)


def arm_reach(robot: Robot, shapes: Cover) -> float:
    """Return a distance from the base's origin that no point of the arm leaves [m]."""
    sliding = robot.farthest_values[robot.chain.prismatic].sum()
    joints = np.linalg.norm(robot.chain.origin[:, :3, 3], axis=1).sum()
    return float(sliding + joints + (np.linalg.norm(shapes.centre, axis=2) + shapes.radius).max())


def _check_sizes(obstacle: Urdf) -> None:
    """Refuse a body whose parts stand farther from its root than sizes may be."""
    model = load_urdf(obstacle.file, obstacle.scale)
    for link, shapes in model.collisions.items():
        steps = sum(float(np.linalg.norm(joint.origin.xyz)) for joint in model.chain(link))
        for shape in shapes:
            away = obstacle.scale * steps + float(np.linalg.norm(shape.pose.xyz))
            if away > LARGEST:
                raise InputError(
                    "a shape too far from the root for distances to hold",
                    file=obstacle.file,
                    key=f"{obstacle.name}.{link}",
                    value=away,
                    allowed=f"up to {LARGEST:.0f} [m]",
                )
