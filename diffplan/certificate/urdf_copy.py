"""A copy of a URDF for PyBullet: the links and joints as they are, each mesh a private file that we wrote.

PyBullet reads the kinematics and the sizes of shapes by itself, so that they can be compared with our reading. It
resolves no file name by itself.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np

from diffplan.certificate.private_files import private_file
from diffplan.errors import InputError
from diffplan.geometry.mesh_files import read_mesh
from diffplan.geometry.meshes import load_hulls
from diffplan.geometry.pose import Float
from diffplan.geometry.shapes import Shape
from diffplan.robot.urdf import UrdfModel, find_mesh, read_geometry
from diffplan.system.reading import parse_xml
from diffplan.system.third_party import trimesh

_TEXTURE = re.compile(rb"^[ \t]*(map_\w+|bump|disp|decal|refl|norm)\b.*$", re.MULTILINE)
_UNIT = 1e-9
_LIBRARY = re.compile(rb"^[ \t]*mtllib[ \t]+(.*?)[ \t]*\r?$", re.MULTILINE)


def urdf_copy(model: UrdfModel, *, visuals: bool) -> Path:
    """Write the copy and return it; without `visuals` only what collides is in it.

    Raises:
        InputError: if a collision mesh asks to stay hollow (planning takes its hull), or cannot be read.
    """
    root = parse_xml(model.source, model.file)
    copy = ET.Element("robot", {"name": root.get("name", model.name)})
    copy.extend(root.findall("material") if visuals else [])
    for link in root.findall("link"):
        collisions = link.findall("collision")
        for element, shape in zip(collisions, model.collisions[link.get("name", "")], strict=True):
            _copy_collision(element, shape, model)
        for element in link.findall("visual"):
            if not visuals or not _copy_visual(element, model):
                link.remove(element)
                if visuals:  # shown as what collides, rather than not at all
                    link.extend(_as_visual(other) for other in collisions)
        _drop_unreadable_inertia(link)
        copy.append(link)
    copy.extend(_readable_joint(element, model) for element in root.findall("joint"))
    ET.indent(copy)  # PyBullet breaks lines of more than 8191 letters, wherever that is
    return private_file(ET.tostring(copy), ".urdf")


def _drop_unreadable_inertia(link: ET.Element) -> None:
    """Leave out an <inertial> that lacks a part, for which PyBullet refuses a file; no link stands elsewhere by it."""
    for inertial in link.findall("inertial"):
        if inertial.find("mass") is None or inertial.find("inertia") is None:
            link.remove(inertial)


def _readable_joint(joint: ET.Element, model: UrdfModel) -> ET.Element:
    """Return a joint as PyBullet needs it: an axis of length 1, along which it slides no farther than the joint's
    value, and a <limit>, without which it refuses a file (lower > upper: none). It stands still where we read it so.
    """
    if model.joints[joint.get("name", "")].kind == "fixed":
        joint.set("type", "fixed")
    for dynamics in joint.findall("dynamics"):
        if dynamics.get("damping") is None and dynamics.get("friction") is None:  # PyBullet refuses that
            joint.remove(dynamics)
    kind, axis = joint.get("type"), joint.find("axis")
    if axis is not None and kind != "fixed":
        axis.attrib.setdefault("xyz", "1 0 0")
        values = np.array([float(word) for word in axis.attrib["xyz"].split()])
        norm = float(np.linalg.norm(values))
        if abs(norm - 1) > _UNIT:
            axis.set("xyz", " ".join(repr(value) for value in (values / norm).tolist()))
    if kind in ("revolute", "prismatic") and joint.find("limit") is None:
        joint.append(ET.Element("limit", {"lower": "0", "upper": "-1", "effort": "1000", "velocity": "1000"}))
    return joint


def obj_file(parts: list[tuple[Float, np.ndarray]]) -> Path:
    """Write vertices [v, 3] and triangles [f, 3] of each part as a group of an OBJ file, and return it."""
    lines, first = [], 1
    for number, (vertices, faces) in enumerate(parts):
        lines.append(f"o part{number}")
        lines += [f"v {x!r} {y!r} {z!r}" for x, y, z in vertices.tolist()]
        lines += [f"f {a} {b} {c}" for a, b, c in (faces + first).tolist()]
        first += len(vertices)
    return private_file(("\n".join(lines) + "\n").encode(), ".obj")


def mesh_file(meshes: list[trimesh.Trimesh]) -> Path:
    """Write meshes as the groups of an OBJ file, and return it."""
    return obj_file([(np.asarray(mesh.vertices), np.asarray(mesh.faces)) for mesh in meshes])


def _copy_collision(element: ET.Element, shape: Shape, model: UrdfModel) -> None:
    """Put a private file of a collision mesh's hulls, scaled as the element says, in its place."""
    if element.get("concave", "no") not in ("no", "0", "false"):
        raise InputError(
            "a URDF collision mesh with concave=... is not supported",
            file=model.file,
            allowed="convex parts, or a mesh obstacle",
        )
    x, y, z = (factor / model.scale for factor in shape.scales)
    for file in shape.files:
        for mesh in element.iter("mesh"):
            mesh.set("filename", str(mesh_file(load_hulls(file, (x, y, z)))))
            mesh.attrib.pop("scale", None)


def _copy_visual(element: ET.Element, model: UrdfModel) -> bool:
    """Put a private copy of a visual mesh, its colours and textures, in its place; returns whether it can be read."""
    for texture in element.iter("texture"):
        file = find_mesh(texture.get("filename", ""), model.file.parent, model.packages)
        texture.set("filename", str(private_file(file.read_bytes(), file.suffix)) if file else "")
    for material in element.iter("material"):
        material.set("name", material.get("name", ""))
    try:
        read_geometry(element, "visual", model.file, model.scale, model.packages)
    except InputError:
        return False
    for mesh in element.iter("mesh"):
        file = find_mesh(mesh.get("filename", ""), model.file.parent, model.packages)
        try:
            if file is None:
                return False
            content = read_mesh(file)
            parts = [(content.vertices, faces) for faces in content.groups]
            mesh.set("filename", str(_coloured_obj(file) if file.suffix.lower() == ".obj" else obj_file(parts)))
        except (InputError, OSError):
            return False
    return True


def _as_visual(collision: ET.Element) -> ET.Element:
    visual = ET.Element("visual")
    visual.extend(child for child in collision if child.tag in ("origin", "geometry"))
    return visual


def _coloured_obj(file: Path) -> Path:
    """Copy an OBJ file with its material libraries and their textures; what is not there is left out."""

    def library(found: re.Match[bytes]) -> bytes:
        beside = _beside(file, found[1])
        if beside is None:
            return b""
        text = _TEXTURE.sub(lambda line: texture(beside, line[0]), beside.read_bytes())
        return b"mtllib " + private_file(text, ".mtl").name.encode()

    def texture(library: Path, line: bytes) -> bytes:
        words = line.split()
        picture = _beside(library, words[-1])
        name = private_file(picture.read_bytes(), picture.suffix).name.encode() if picture else b""
        return words[0] + b" " + name if name else b""

    return private_file(_LIBRARY.sub(library, file.read_bytes()), ".obj")


def _beside(file: Path, name: bytes) -> Path | None:
    found = file.parent / name.decode(errors="replace").replace("\\", "/")
    return found if found.is_file() else None
