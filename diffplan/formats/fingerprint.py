"""What the files behind a robot and a scene hold, as SHA-256 sums: a certificate speaks of these and of no others."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path

import numpy as np

from diffplan.errors import InputError
from diffplan.geometry.mesh_files import content_key
from diffplan.geometry.mesh_formats import READERS
from diffplan.geometry.shapes import Shape
from diffplan.problem import Fingerprint
from diffplan.robot.model import Robot
from diffplan.scene import Scene


def fingerprint(robot: Robot, scene: Scene) -> Fingerprint:
    """Return the sums of a robot's parts and of the files of a scene's obstacles.

    Raises:
        InputError: if a file cannot be read.
    """
    return Fingerprint(robot=robot_sums(robot), files={file: file_sum(Path(file)) for file in scene_files(scene)})


def scene_files(scene: Scene) -> list[str]:
    """Return the absolute paths of all files that decide the shapes of a scene's obstacles and of what is held in it.

    Raises:
        InputError: if the URDF file of an obstacle cannot be read.
    """
    solids = (*scene.obstacles, *(body.obstacle for body in scene.attached))
    found = (os.path.abspath(file) for obstacle in solids for file in obstacle.files)
    return list(dict.fromkeys(found))


def file_sum(file: Path) -> str:
    """Return the sum of what a mesh or URDF file holds now.

    Raises:
        InputError: if it cannot be read.
    """
    if file.suffix.lower().lstrip(".") in READERS:
        return content_key(file)
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=file) from error


def robot_sums(robot: Robot) -> dict[str, str]:
    """Return a sum for each part of a robot that a certificate depends on (joints held still are told elsewhere)."""
    limits = [*robot.limits, robot.velocity, robot.acceleration]
    shapes = {link: [_shape(shape) for shape in shapes] for link, shapes in robot.model.collisions.items()}
    pairs = sorted(" ".join(sorted(pair)) for pair in robot.touching)
    joints = [asdict(joint) for joint in robot.model.joints.values()]
    return {
        "joints": json_sum([list(robot.joint_names), robot.base_link, robot.end_link, joints]),
        "limits": json_sum([np.asarray(values, dtype=np.float64).tolist() for values in limits]),
        "shapes": json_sum([shapes, pairs]),
    }


def robot_content(robot: Robot) -> str:
    """Return one sum for all that decides what a robot can do (see `Robot.fingerprint`); the order of links counts.

    Raises:
        InputError: if a mesh file cannot be read.
    """
    spheres = robot.spheres
    rows = zip(spheres.link.tolist(), spheres.centre.tolist(), spheres.radius.tolist(), strict=True)
    by_link = [(spheres.links[link], *centre, radius) for link, centre, radius in rows]
    margins = [spheres.uncovered, spheres.outside]
    never = sorted(" ".join(sorted(pair)) for pair in robot.never_touching)
    return json_sum([robot_sums(robot), robot.links, robot.model.scale, robot.jerk.tolist(), by_link, margins, never])


def _shape(shape: Shape) -> dict[str, object]:
    content = [file_sum(file) for file in shape.files]
    record = {"kind": shape.kind, "size": shape.sizes, "file": content[0] if content else None, "scale": shape.scales}
    return {**record, "pose": asdict(shape.pose)}


def json_sum(value: object) -> str:
    """Return the sum of a JSON value; how its numbers are spelt (1, 1.0, 1e0) and its keys are ordered is no matter."""
    return hashlib.sha256(json.dumps(_spelt(value), sort_keys=True, default=str).encode()).hexdigest()


def _spelt(value: object) -> object:
    if isinstance(value, dict):
        return {key: _spelt(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_spelt(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value) if abs(value) < 2**1000 else str(value)
    return value
