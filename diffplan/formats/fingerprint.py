"""What the files behind a robot and a scene hold, as SHA-256 sums: a certificate speaks of these and of no others."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
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
from diffplan.system.kept import Kept

_sums: Kept[dict[str, str]] = Kept(64)


def fingerprint(robot: Robot, scene: Scene, known: Mapping[Path, str] | None = None) -> Fingerprint:
    """Return the sums of a robot's parts and of the files of a scene's obstacles.

    Args:
        robot: whose parts count.
        scene: whose obstacles' files count.
        known: the sums of mesh files that were read just now (`Certifier.sums`), by the name that the shapes give them.

    Raises:
        InputError: if a file cannot be read.
    """
    known = known or {}
    by_name = {os.path.abspath(file): found for file, found in known.items()}
    files = {file: by_name.get(file) or file_sum(Path(file)) for file in scene_files(scene)}
    return Fingerprint(robot=robot_sums(robot, known), files=files)


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


def robot_sums(robot: Robot, known: Mapping[Path, str] | None = None) -> dict[str, str]:
    """Return a sum for each part of a robot that a certificate depends on (joints held still are told elsewhere).

    `known` are sums of files, as for `fingerprint`.
    """
    limits = [*robot.limits, robot.velocity, robot.acceleration]
    files = [file for shapes in robot.model.collisions.values() for shape in shapes for file in shape.files]
    contents = {file: (known or {}).get(file) or file_sum(file) for file in dict.fromkeys(files)}
    model, names = robot.model, (robot.joint_names, robot.base_link, robot.end_link)
    parts = *model.joints.values(), *model.collisions.items(), *contents.items()
    lasting = _sums.get((names, parts, robot.touching), lambda: _lasting_sums(robot, contents), lambda sums: 1)
    return {
        "joints": lasting["joints"],
        "limits": json_sum([np.asarray(values, dtype=np.float64).tolist() for values in limits]),
        "shapes": lasting["shapes"],
    }


def _lasting_sums(robot: Robot, contents: Mapping[Path, str]) -> dict[str, str]:
    """Return the sums of the URDF's joints and shapes, whose files have these contents."""
    shapes = {link: [_shape(shape, contents) for shape in shapes] for link, shapes in robot.model.collisions.items()}
    pairs = sorted(" ".join(sorted(pair)) for pair in robot.touching)
    joints = [asdict(joint) for joint in robot.model.joints.values()]
    return {
        "joints": json_sum([list(robot.joint_names), robot.base_link, robot.end_link, joints]),
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


def _shape(shape: Shape, contents: Mapping[Path, str]) -> dict[str, object]:
    content = [contents[file] for file in shape.files]
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
