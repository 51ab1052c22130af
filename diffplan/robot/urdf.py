"""The part of a URDF file that planning needs: the joint tree and the collision geometry."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import unquote

import numpy as np

from diffplan.errors import Faults, InputError, did_you_mean
from diffplan.geometry.pose import Float, Pose
from diffplan.geometry.shapes import Box, Capsule, Cylinder, Mesh, Primitive, Shape, Sphere
from diffplan.robot.packages import HERE, PACKAGE_SCHEMES, find_in_package, tried
from diffplan.system.reading import LARGEST_XML, is_file, line_of, parse_xml, read_bytes
from diffplan.words import some

FOLLOWS = 1e-3
"""How far a joint that mimics another may stand from where that puts it [rad or m]: measured values differ a little."""
ENDLESS = 1000.0
"""A joint that turns so far either way [rad] turns without limits: the file's numbers stand for none."""
MOST_JOINTS = 127
"""As many joints PyBullet holds of one robot."""
_STILL = ("floating", "planar")
_SUBSTITUTED = re.compile(r"\$[({]")
_HAIR = 1e-9


@dataclass(frozen=True, kw_only=True)
class Mimic:
    """How a joint follows another: value = multiplier * leader's value + offset (rad or m)."""

    leader: str
    multiplier: float
    offset: float


@dataclass(frozen=True, kw_only=True)
class Joint:
    """A joint: `origin` is T_parent_joint at zero, `axis` in the joint frame, limits in rad or m."""

    name: str
    kind: str
    parent: str
    child: str
    origin: Pose
    axis: tuple[float, float, float]
    lower: float
    upper: float
    mimic: Mimic | None = None

    @property
    def limited(self) -> bool:
        """Whether it has position limits: a <limit> with lower < upper, which a continuous joint never has."""
        return bool(np.isfinite([self.lower, self.upper]).all() and self.lower < self.upper)

    def transform(self, value: float, scale: float = 1.0) -> Float:
        """Return T_parent_child [4, 4] at this joint value (rad or m); `scale` stretches the origin, not the value."""
        origin, motion = self.origin.matrix, np.eye(4)
        origin[:3, 3] *= scale
        axis = np.asarray(self.axis)
        if self.kind in ("revolute", "continuous"):
            motion[:3, :3] = axis_angle(axis, value)
        elif self.kind == "prismatic":
            motion[:3, 3] = axis * value
        return origin @ motion


@dataclass(frozen=True, kw_only=True, eq=False)
class UrdfModel:
    """Links with their collision shapes, and the joints that tie them into a tree; `source` is the file as read.

    `scale` is how much larger the body is than the file says: the shapes are so already, and the values of prismatic
    joints are in m of the larger body; `joints` are as in the file, and so is `velocity`, the velocity limits of the
    joints that have one [rad/s or m/s]. `packages` are folders by ROS package names. `published` are the shapes
    that the file has for those links whose `collisions` are convex parts instead. `spelt` are the words of the file for
    joints that are read as others: one that floats or slides in a plane stands still, one whose limits are hundreds of
    turns apart has none.
    """

    file: Path
    source: bytes
    name: str
    collisions: dict[str, tuple[Shape, ...]]
    joints: dict[str, Joint]
    scale: float = 1.0
    packages: Mapping[str, Path] = field(default_factory=dict)
    velocity: Mapping[str, float] = field(default_factory=dict)
    published: Mapping[str, tuple[Shape, ...]] = field(default_factory=dict)
    spelt: Mapping[str, str] = field(default_factory=dict)

    @property
    def root(self) -> str:
        """The link that is nobody's child."""
        children = {joint.child for joint in self.joints.values()}
        return next(link for link in self.collisions if link not in children)

    def chain(self, link: str) -> list[Joint]:
        """Return the joints from the root to `link`, in order."""
        parents = {joint.child: joint for joint in self.joints.values()}
        path: list[Joint] = []
        while link in parents:
            path.insert(0, parents[link])
            link = parents[link].parent
        return path

    def link_poses(self, values: dict[str, float]) -> dict[str, Float]:
        """Return T_root_link [4, 4] of every link, joints at these values (rad or m; zero if not named)."""
        poses = {self.root: np.eye(4)}
        while len(poses) < len(self.collisions):
            for joint in self.joints.values():
                if joint.parent in poses and joint.child not in poses:
                    poses[joint.child] = poses[joint.parent] @ joint.transform(values.get(joint.name, 0.0), self.scale)
        return poses

    def leaders(self, joint: str) -> list[str]:
        """Return the joints that a joint follows (URDF `mimic`), nearest first; none if it moves by itself."""
        found: list[str] = []
        mimic = self.joints[joint].mimic
        while mimic is not None:
            found.append(mimic.leader)
            mimic = self.joints[mimic.leader].mimic
        return found

    def filled(self, given: Mapping[str, float]) -> dict[str, float]:
        """Return the value of every movable joint: the given ones, followers by their leaders, the others at zero.

        Values are in rad or m. A follower that is given stays as given.
        """
        values: dict[str, float] = {}
        movable = [name for name, joint in self.joints.items() if joint.kind != "fixed"]
        for name in sorted(movable, key=lambda name: len(self.leaders(name))):
            mimic = self.joints[name].mimic
            if name in given:
                values[name] = given[name]
            elif mimic is None:
                values[name] = 0.0
            else:
                leads, follows = self._unit(mimic.leader), self._unit(name)
                values[name] = follows * (mimic.multiplier * values[mimic.leader] / leads + mimic.offset)
        return values

    def joint_values(self, given: Mapping[str, float], *, key: str, limited: bool) -> dict[str, float]:
        """Return the value of every movable joint, as `filled`, of values that make sense.

        Args:
            given: values by joint name, in rad or m.
            key: where the values were given, for errors.
            limited: whether the given values must keep the joints' limits.

        Raises:
            InputError: for a joint that is not there or cannot move, a value that is not finite or (if `limited`)
                outside of the limits, and a follower that is more than 0.001 (rad or m) off what its leader asks for.
        """
        movable = [name for name, joint in self.joints.items() if joint.kind != "fixed"]
        for name, value in given.items():
            where = f"{key}.{name}" if key else name
            if name not in movable:
                problem = f"{self.file.name} has no movable joint {name!r}{did_you_mean(name, movable)}"
                raise InputError(problem, key=where, allowed=movable or "none: all of its joints are fixed")
            joint, unit = self.joints[name], self._unit(name)
            low, high = joint.lower * unit, joint.upper * unit
            kept = not (limited and joint.limited) or low - _HAIR <= value <= high + _HAIR
            if not (np.isfinite(value) and kept):
                allowed = f"{low:.6g} ... {high:.6g}"
                raise InputError("outside the joint's limits", file=self.file, key=where, value=value, allowed=allowed)
            asked = self.filled({other: given[other] for other in given if other != name})[name]
            if joint.mimic is not None and abs(value - asked) > FOLLOWS:
                problem = f"it follows {joint.mimic.leader} (mimic), which puts it at {asked:.6g}"
                allowed = f"a value for {joint.mimic.leader} alone"
                raise InputError(problem, file=self.file, key=where, value=value, allowed=allowed)
        return self.filled(given)

    def _unit(self, joint: str) -> float:
        return self.scale if self.joints[joint].kind == "prismatic" else 1.0


def axis_angle(axis: Float, angle: float) -> Float:
    """Return the rotation [3, 3] about a unit axis by an angle [rad] (Rodrigues' formula)."""
    x, y, z = axis
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * (k @ k)


def load_urdf(path: str | Path, scale: float = 1.0, packages: Mapping[str, Path] | None = None) -> UrdfModel:
    """Read a URDF file; meshes are looked for from its folder (`package://` as `diffplan.robot.packages` says).

    Args:
        path: the file.
        scale: how much larger the body is than the file says.
        packages: folders of ROS packages by name.

    Raises:
        InputError: if the file is missing, is not XML or not yet expanded by xacro, names a mesh that is not there, or
            has no collision geometry.
    """
    path = Path(path)
    root = parse_xml(source := read_source(path), path)
    if root.tag != "robot":
        raise InputError("not a URDF file", file=path, value=root.tag, allowed="a <robot> element")
    _check_expanded(root, path)
    packages = dict(packages or {})
    collisions: dict[str, tuple[Shape, ...]] = {}
    with Faults() as faults:
        for link in root.findall("link"):
            name = faults.of(partial(_name, link, path))
            collisions[name] = faults.of(partial(_shapes, link, name, path, scale, packages))
        elements = root.findall("joint")
        found = [faults.of(partial(_joint, element, path)) for element in elements]
        speeds = [faults.of(partial(_speed, element, path)) for element in elements]
    joints = {joint.name: joint for joint in found}
    if len(found) > MOST_JOINTS:
        allowed = f"up to {MOST_JOINTS}, fixed ones among them (what PyBullet holds)"
        raise InputError(f"{len(found)} joints", file=path, key="joint", allowed=allowed)
    if not any(collisions.values()):
        raise InputError(
            "the URDF has no collision geometry: nothing would keep clear of it",
            file=path,
            allowed="at least one <collision> (visual shapes do not collide)",
        )
    _check_tree(root, collisions, joints, path)
    _check_mimics(joints, path)
    return UrdfModel(
        file=path,
        source=source,
        name=root.get("name", path.stem),
        collisions=collisions,
        joints=joints,
        scale=scale,
        packages=packages,
        velocity={name: speed for name, speed in zip(joints, speeds, strict=True) if speed is not None},
        spelt={
            name: words
            for (name, joint), element in zip(joints.items(), elements, strict=True)
            if (words := _spelt(element, joint))
        },
    )


def read_source(path: Path) -> bytes:
    """Return the bytes of a URDF file as it is now.

    Raises:
        InputError: if it is missing, too large, or cannot be read.
    """
    return read_bytes(path, LARGEST_XML)


def find_mesh(name: str, folder: Path, packages: Mapping[str, Path]) -> Path | None:
    """Return the file that a URDF in `folder` means by a mesh's name, or None; never one of the current folder.

    A relative name starts from `folder`, then from the folder that `packages` has as `HERE`. It may be spelt as a URL,
    or with backslashes.
    """
    if name.startswith(PACKAGE_SCHEMES):
        return find_in_package(name, folder, packages)
    plain = name.removeprefix("file:").removeprefix("//") if name.startswith("file:") else name
    files = (
        place / spelt
        for place in dict.fromkeys((folder, packages.get(HERE, folder)))
        for spelt in dict.fromkeys((plain, unquote(plain), plain.replace("\\", "/")))
    )
    return next(filter(is_file, files), None)


def _check_expanded(root: ET.Element, path: Path) -> None:
    """Refuse a xacro file: half of the robot may be missing. Declarations that its expansion leaves are no matter."""
    parts = {element for tag in ("link", "joint") for part in root.findall(tag) for element in part.iter()}
    for element in root.iter():
        prefix, _, word = element.tag.rpartition(":")
        found = f"<{element.tag}>" if prefix == "xacro" and word not in ("property", "arg") else None
        if element in parts:
            found = next((text for text in element.attrib.values() if _SUBSTITUTED.search(text)), found)
        if found is not None:
            raise InputError(
                "a xacro file, not expanded yet",
                file=path,
                line=line_of(element),
                value=found,
                allowed=f"what xacro makes of it: xacro {path.name} -o ROBOT.urdf (pip install xacro)",
            )


def _check_tree(root: ET.Element, links: dict[str, tuple[Shape, ...]], joints: dict[str, Joint], path: Path) -> None:
    """Make sure that names are unique and that the joints tie all links into one tree."""
    for kind, found in (("link", links), ("joint", joints)):
        names = [element.get("name", "") for element in root.findall(kind)]
        if len(names) != len(found):
            doubled = next(name for name in names if names.count(name) > 1)
            again = [element for element in root.findall(kind) if element.get("name") == doubled][1]
            raise InputError(f"two {kind}s of one name", file=path, line=line_of(again), key=kind, value=doubled)
    lines = {element.get("name"): line_of(element) for element in root.findall("joint")}
    for name, joint in joints.items():
        for link in (joint.parent, joint.child):
            if link not in links:
                raise InputError("no such link", file=path, line=lines[name], key=name, value=link, allowed=links)
    children = {joint.child for joint in joints.values()}
    reached = [link for link in links if link not in children]
    if len(reached) == 1 and len(children) == len(joints):
        for link in reached:  # grows meanwhile
            reached += [joint.child for joint in joints.values() if joint.parent == link]
    if len(reached) != len(links) or len(children) != len(joints):
        problem, value = "the joints do not tie the links into one tree", None
        roots, ends = [link for link in links if link not in children], [joint.child for joint in joints.values()]
        if len(roots) != 1:
            value = f"roots: {some(roots)}" if roots else "no link that is nobody's child"
        elif doubled := [link for link in children if ends.count(link) > 1]:
            value = f"children of two joints: {some(doubled)}"
        raise InputError(
            problem, file=path, key="joint", value=value, allowed="one root, one joint above each other link"
        )


def _check_mimics(joints: dict[str, Joint], path: Path) -> None:
    """Make sure that every joint that follows another follows one that moves by itself in the end."""
    for name, joint in joints.items():
        seen, mimic = [name], joint.mimic
        while mimic is not None:
            leader = joints.get(mimic.leader)
            if leader is None or leader.kind == "fixed":
                movable = [other for other, found in joints.items() if found.kind != "fixed" and other != name]
                problem = f"it mimics a joint that is not there or fixed{did_you_mean(mimic.leader, movable)}"
                raise InputError(problem, file=path, key=seen[-1], value=mimic.leader, allowed=movable)
            if mimic.leader in seen:
                raise InputError(
                    "joints mimic each other in a circle", file=path, key=name, value=[*seen, mimic.leader]
                )
            seen.append(mimic.leader)
            mimic = leader.mimic


def _mimic(element: ET.Element, path: Path) -> Mimic | None:
    """Return how a joint follows another, if it does."""
    mimic = element.find("mimic")
    if mimic is None:
        return None
    (multiplier,), (offset,) = _numbers(mimic, "multiplier", "1", path), _numbers(mimic, "offset", "0", path)
    return Mimic(leader=mimic.get("joint", ""), multiplier=multiplier, offset=offset)


def _name(element: ET.Element, path: Path) -> str:
    name = element.get("name")
    if not name:
        raise InputError(f"a <{element.tag}> without a name", file=path, line=line_of(element))
    return name


def _numbers(
    element: ET.Element | None, key: str, default: str, path: Path, *, endless: bool = False
) -> tuple[float, ...]:
    """Return as many finite numbers as the default has; with `endless` infinite ones too."""
    text = default if element is None else element.get(key, default)
    count = len(default.split())
    try:
        values = tuple(float(word) for word in text.split())
    except ValueError:
        values = ()
    if len(values) != count or not (np.isfinite(values).all() or (endless and not np.isnan(values).any())):
        allowed = f"{count} finite numbers" if count > 1 else "a finite number"
        raise InputError("not numbers", file=path, line=line_of(element), key=key, value=text, allowed=allowed)
    return values


def _sizes(element: ET.Element, key: str, count: int, path: Path) -> tuple[float, ...]:
    """Return `count` positive numbers of an attribute that must be there."""
    values = _numbers(element, key, "0 " * count, path)
    if min(values) <= 0:
        problem = f"a {element.tag} needs a positive {key}"
        allowed = f"{count} positive numbers" if count > 1 else "a positive number"
        value = element.get(key)
        raise InputError(problem, file=path, line=line_of(element), key=key, value=value, allowed=allowed)
    return values


def _origin(element: ET.Element, path: Path) -> Pose:
    origin = element.find("origin")
    x, y, z = _numbers(origin, "xyz", "0 0 0", path)
    roll, pitch, yaw = _numbers(origin, "rpy", "0 0 0", path)
    return Pose.turned((x, y, z), (roll, pitch, yaw))


def _joint(element: ET.Element, path: Path) -> Joint:
    name, kind = _name(element, path), element.get("type", "")
    kinds, line = ("revolute", "continuous", "prismatic", "fixed", *_STILL), line_of(element)
    if kind not in kinds:
        raise InputError("joint type not supported", file=path, line=line, key=name, value=kind, allowed=kinds)
    parent, child = element.find("parent"), element.find("child")
    if parent is None or child is None:
        raise InputError("a joint needs a parent and a child", file=path, line=line, key=name)
    kind = "fixed" if kind in _STILL else kind
    try:
        axis = np.array(_numbers(element.find("axis"), "xyz", "1 0 0", path))
        limit = element.find("limit")
        lower, upper = (_numbers(limit, key, "0", path, endless=True)[0] for key in ("lower", "upper"))
    except InputError:
        if kind != "fixed":
            raise
        axis, lower, upper = np.array([1.0, 0.0, 0.0]), 0.0, 0.0
    norm = float(np.linalg.norm(axis))
    if kind != "fixed":
        if norm < 1e-9:
            value = axis.tolist()
            raise InputError("joint axis has no length", file=path, line=line, key=name, value=value)
        axis = axis / norm
    if kind == "revolute" and lower <= -ENDLESS and upper >= ENDLESS:
        kind = "continuous"
    if kind == "continuous":
        lower, upper = -np.inf, np.inf
    return Joint(
        name=name,
        kind=kind,
        parent=parent.get("link", ""),
        child=child.get("link", ""),
        origin=_origin(element, path),
        axis=(float(axis[0]), float(axis[1]), float(axis[2])),
        lower=lower,
        upper=upper,
        mimic=_mimic(element, path) if kind != "fixed" else None,
    )


def _spelt(element: ET.Element, joint: Joint) -> str:
    """Return the file's words for a joint that is read as another kind."""
    kind, limit = element.get("type", ""), element.find("limit")
    if kind == joint.kind:
        return ""
    return (
        kind if limit is None or joint.kind == "fixed" else f"{kind}, {limit.get('lower')} ... {limit.get('upper')} rad"
    )


def _speed(element: ET.Element, path: Path) -> float | None:
    """Return a joint's velocity limit, if it moves and has one."""
    limit = element.find("limit")
    if element.get("type") == "fixed" or limit is None or limit.get("velocity") is None:
        return None
    speed = _numbers(limit, "velocity", "0", path, endless=True)[0]
    return speed if np.isfinite(speed) else None


def _shapes(link: ET.Element, name: str, path: Path, scale: float, packages: Mapping[str, Path]) -> tuple[Shape, ...]:
    """Return the collision shapes of a link, in its frame."""
    with Faults() as faults:
        elements = link.findall("collision")
        found = [
            faults.of(partial(read_geometry, element, f"{name}.{i}", path, scale, packages))
            for i, element in enumerate(elements)
        ]
    return tuple(found)


_PRIMITIVES: dict[str, tuple[type[Primitive], dict[str, int]]] = {
    "box": (Box, {"size": 3}),
    "sphere": (Sphere, {"radius": 1}),
    "cylinder": (Cylinder, {"radius": 1, "length": 1}),
    "capsule": (Capsule, {"radius": 1, "length": 1}),
}
"""The shape of each element, and the attributes of its `sizes` with how many numbers each holds."""


def read_geometry(element: ET.Element, name: str, path: Path, scale: float, packages: Mapping[str, Path]) -> Shape:
    """Return the shape of a <collision> or <visual> element, in the link's frame.

    Args:
        element: the element.
        name: the shape's name.
        path: the URDF file.
        scale: how much larger than in the file the body is.
        packages: folders by ROS package names.

    Raises:
        InputError: if it is of a kind that is not known, or its mesh file is not there.
    """
    geometry = element.find("geometry")
    shape = None if geometry is None or len(geometry) == 0 else geometry[0]
    if shape is None:
        raise InputError(f"a <{element.tag}> without geometry", file=path, line=line_of(element), key=name)
    read = {**dict.fromkeys(_PRIMITIVES, _primitive), "mesh": partial(_mesh, packages=packages)}
    if shape.tag not in read:
        problem, line = f"{element.tag} geometry not supported", line_of(shape)
        raise InputError(problem, file=path, line=line, key=name, value=shape.tag, allowed=", ".join(read))
    pose = _origin(element, path)
    x, y, z = (scale * value for value in pose.xyz)
    try:
        return read[shape.tag](shape, name, Pose(xyz=(x, y, z), quat_xyzw=pose.quat_xyzw), path, scale)
    except InputError as error:
        if error.file is not None:
            raise
        told = {"line": line_of(shape), "key": error.key, "value": error.value, "allowed": error.allowed}
        raise InputError(error.problem, file=path, **told) from error


def _primitive(element: ET.Element, name: str, pose: Pose, path: Path, scale: float) -> Shape:
    kind, keys = _PRIMITIVES[element.tag]
    sizes = [scale * size for key, many in keys.items() for size in _sizes(element, key, many, path)]
    return kind.of_sizes(name, sizes, pose)


def _mesh(
    element: ET.Element, name: str, pose: Pose, path: Path, scale: float, *, packages: Mapping[str, Path]
) -> Shape:
    spelt = element.get("filename", "")
    file = find_mesh(spelt, path.parent, packages)
    if file is None:
        in_package = spelt.startswith(PACKAGE_SCHEMES)
        allowed = (
            f"a file, tried: {tried(spelt, path.parent, packages)}" if in_package else f"a file under {path.parent}"
        )
        line = line_of(element)
        raise InputError("mesh file not found", file=path, line=line, key="mesh filename", value=spelt, allowed=allowed)
    x, y, z = (scale * factor for factor in _numbers(element, "scale", "1 1 1", path))
    return Mesh(name=name, file=file, scale=(x, y, z), pose=pose, convex=True)
