"""What is drawn of robots and obstacles: triangles and colours, in the frame of the link or obstacle."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from diffplan.errors import InputError
from diffplan.geometry.mesh_files import read_mesh
from diffplan.geometry.pose import Float, Pose
from diffplan.geometry.shapes import Mesh, Shape
from diffplan.pybullet.stage_set import cut_near
from diffplan.robot.model import Robot
from diffplan.robot.urdf import read_geometry
from diffplan.scene import Obstacle, bodies
from diffplan.system.reading import parse_xml
from diffplan.system.third_party import trimesh

Colour = tuple[int, int, int]
PLAIN: Colour = (225, 228, 232)
_SAME = 1e-3  # [m] by which two readings of one mesh file may differ
_MOST = 20_000
"""Triangles that an arm or an obstacle is drawn with at most. Without a graphics card, the Panda's 103,000 took more
time than all else of a picture."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Look:
    """Triangles of one colour: `vertices` [v, 3] in m, `faces` [f, 3]."""

    vertices: Float
    faces: np.ndarray
    colour: Colour = PLAIN


def link_looks(robot: Robot) -> dict[str, list[Look]]:
    """Return what the URDF shows of each link, in the link's frame; what collides, where it shows nothing readable.

    What the robot holds is among the links.
    """
    model = robot.model
    root = parse_xml(model.source, model.file)
    named = {one.get("name", ""): one for one in root.findall("material")}
    named |= {one.get("name", ""): one for one in root.iter("material") if one.find("color") is not None}
    found: dict[str, list[Look]] = {}
    for link in root.findall("link"):
        name = link.get("name", "")
        looks = [look for visual in link.findall("visual") for look in _visual(visual, robot, named)]
        found[name] = looks or ([solid_look(model.collisions[name])] if model.collisions[name] else [])
    found |= {body.name: [solid_look(body.drawn)] for body in robot.attached}
    found = {link: looks for link, looks in found.items() if looks and link in robot.chain.placement}
    triangles = sum(len(look.faces) for looks in found.values() for look in looks)
    share = min(1.0, _MOST / max(triangles, 1))
    return {link: [_simplified(look, int(share * len(look.faces))) for look in looks] for link, looks in found.items()}


def solid_look(shapes: Sequence[Shape], *, hulls: bool = False, colour: Colour = PLAIN) -> Look:
    """Return shapes as one look in the frame of their body: their surfaces, or what PyBullet collides with."""
    parts = []
    for shape in shapes:
        for part in shape.hulls() if hulls else [shape.surface()]:
            parts.append((np.asarray(part.vertices), np.asarray(part.faces), shape.pose))
    return _joined(parts, colour)


def sphere_looks(robot: Robot, colour: Colour) -> dict[str, Look]:
    """Return the planner's spheres of each link, in the link's frame."""
    ball = trimesh.creation.icosphere(subdivisions=1)
    spheres, found = robot.spheres, {}
    for number, link in enumerate(spheres.links):
        own = np.flatnonzero(spheres.link == number)
        corners = [np.asarray(ball.vertices) * spheres.radius[i] + spheres.centre[i] for i in own]
        if corners:
            found[link] = _joined([(c, np.asarray(ball.faces), Pose()) for c in corners], colour)
    return found


def obstacle_look(obstacle: Obstacle, base: Pose, colour: Colour) -> Look:
    """Return an obstacle in its own frame, of few triangles; of what has no end, the part near the robot's base.

    Raises:
        InputError: if a file of it cannot be read.
    """
    T_obstacle_world = obstacle.pose.inverse()
    parts = []
    for body in bodies(cut_near(obstacle, base)):
        for shape in body.shapes:
            surface = shape.surface()
            pose = T_obstacle_world @ body.pose @ shape.pose
            parts.append((np.asarray(surface.vertices), np.asarray(surface.faces), pose))
    return _simplified(_joined(parts, colour), _MOST)


def _simplified(look: Look, most: int) -> Look:
    """Return a look with about `most` triangles, if it has more: a quadric decimation of the surface."""
    if len(look.faces) <= most:
        return look
    mesh = trimesh.Trimesh(look.vertices, look.faces, process=False)
    mesh.merge_vertices(merge_norm=True, merge_tex=True)  # files give each triangle, or patch, vertices of its own
    mesh = mesh.simplify_quadric_decimation(face_count=max(most, 4))
    return replace(look, vertices=np.asarray(mesh.vertices), faces=np.asarray(mesh.faces))


def _joined(parts: list[tuple[Float, np.ndarray, Pose]], colour: Colour) -> Look:
    vertices, faces, first = [], [], 0
    for corners, triangles, pose in parts:
        matrix = pose.matrix
        vertices.append(corners @ matrix[:3, :3].T + matrix[:3, 3])
        faces.append(triangles + first)
        first += len(corners)
    return Look(vertices=np.concatenate(vertices), faces=np.concatenate(faces), colour=colour)


def _visual(element: ET.Element, robot: Robot, named: dict[str, ET.Element]) -> list[Look]:
    """Return a <visual> in the link's frame; nothing if it cannot be read."""
    model = robot.model
    material = element.find("material")
    colour = None if material is None else _colour(named.get(material.get("name", ""), material))
    try:
        shape = read_geometry(element, "visual", model.file, model.scale, model.packages)
        if not isinstance(shape, Mesh):
            return [solid_look([shape], colour=colour or PLAIN)]
        content = read_mesh(shape.file)
    except InputError:
        return []
    parts = _coloured(shape.file, content.vertices, colour)
    parts = parts or [(content.vertices, np.concatenate(content.groups), colour or PLAIN)]
    return [_joined([(vertices * shape.scales, faces, shape.pose)], shade) for vertices, faces, shade in parts]


def _coloured(file: Path, vertices: Float, colour: Colour | None) -> list[tuple[Float, np.ndarray, Colour]]:
    """Return the parts of a mesh file with the colours that it gives them; nothing if it gives none."""
    if file.suffix.lower() == ".stl":
        return []
    with suppress(Exception):  # colours only: our own reader has read the triangles
        scene = trimesh.load_scene(file)
        low, high = np.asarray(scene.bounds)
        if np.abs(low - vertices.min(axis=0)).max() > _SAME or np.abs(high - vertices.max(axis=0)).max() > _SAME:
            return []
        parts: dict[Colour, list[trimesh.Trimesh]] = {}
        for part in scene.dump():
            if not isinstance(part, trimesh.Trimesh):
                continue
            shade = getattr(getattr(part.visual, "material", None), "main_color", None)
            r, g, b = (colour or PLAIN) if shade is None else shade[:3]
            parts.setdefault((int(r), int(g), int(b)), []).append(part)
        return [(*_together(own), shade) for shade, own in parts.items()]
    return []


def _together(parts: list[trimesh.Trimesh]) -> tuple[Float, np.ndarray]:
    look = _joined([(np.asarray(part.vertices), np.asarray(part.faces), Pose()) for part in parts], PLAIN)
    return look.vertices, look.faces


def _colour(material: ET.Element) -> Colour | None:
    colour = material.find("color")
    if colour is None:
        return None
    r, g, b = (round(255 * float(word)) for word in colour.get("rgba", "1 1 1 1").split()[:3])
    return r, g, b
