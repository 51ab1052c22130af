"""Random obstacles of every kind for scripts/attack_certificate.py: as diffplan's and as exact solids."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cache
from itertools import count
from pathlib import Path

import numpy as np
import trimesh
from exact_distance import Solid

import diffplan as dp
from diffplan.formats.robot_file import load_robot
from diffplan.geometry.pose import Float
from diffplan.geometry.shapes import Mesh, Shape
from diffplan.robot.model import Robot
from diffplan.scene import Obstacle, Urdf

OBSTACLES = ("box", "sphere", "cylinder", "capsule", "mesh_convex", "mesh_hollow", "urdf", "plane")
_number = count()


@dataclass(frozen=True, kw_only=True, eq=False)
class Thing:
    """An obstacle at its own origin and what it is: convex `solids` with their poses there, or a half-space.

    `surface` [t, 3, 3] are the triangles of a hollow mesh, whose `solids` are these triangles. `margin` is what the
    certificate may add around it [m].
    """

    obstacle: Obstacle
    solids: tuple[tuple[Solid, Float], ...] = ()
    surface: Float | None = None
    margin: float = 0.0

    def at(self, pose: dp.Pose) -> Thing:
        """Return it at another pose."""
        return replace(self, obstacle=replace(self.obstacle, pose=pose))


def turned(rng: np.random.Generator, xyz: Float) -> dp.Pose:
    """Return a pose with any rotation."""
    x, y, z = xyz.tolist()
    a, b, c, d = (lambda q: (q / np.linalg.norm(q)).tolist())(rng.normal(size=4))
    return dp.Pose(xyz=(x, y, z), quat_xyzw=(a, b, c, d))


def cuboid(size: Float | tuple[float, ...]) -> Solid:
    """Return a box of full edge lengths `size`."""
    signs = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1).T
    return Solid(corners=signs * np.asarray(size) / 2)


def rod(radius: float, height: float) -> Solid:
    """Return a cylinder about z."""
    return Solid(corners=np.zeros((1, 3)), rod=(radius, height / 2))


def pill(radius: float, height: float) -> Solid:
    """Return a capsule about z; `height` is that of the straight part."""
    return Solid(corners=np.array([[0.0, 0.0, -height / 2], [0.0, 0.0, height / 2]]), grow=radius)


def ball(radius: float) -> Solid:
    """Return a sphere."""
    return Solid(corners=np.zeros((1, 3)), grow=radius)


def draw(kind: str, rng: np.random.Generator, folder: Path) -> Thing:
    """Draw an obstacle of a kind; sizes from millimetres to ten metres, mostly those of things on a table."""

    def size(low: float = -3.0, high: float = 1.0) -> float:
        return float(10 ** (rng.uniform(-1.7, -0.2) if rng.random() < 0.6 else rng.uniform(low, high)))

    name, unmoved = f"{kind}{next(_number)}", np.eye(4)
    if kind == "box":
        edges = (size(), size(), size())
        return Thing(obstacle=dp.Box(name=name, size=edges), solids=((cuboid(edges), unmoved),))
    if kind == "sphere":
        radius = size()
        return Thing(obstacle=dp.Sphere(name=name, radius=radius), solids=((ball(radius), unmoved),))
    if kind == "cylinder":
        radius, height = size(), size()
        own = dp.Cylinder(name=name, radius=radius, height=height)
        return Thing(obstacle=own, solids=((rod(radius, height), unmoved),))
    if kind == "capsule":
        radius, height = size(), size()
        return Thing(
            obstacle=dp.Capsule(name=name, radius=radius, height=height), solids=((pill(radius, height), unmoved),)
        )
    if kind == "plane":
        return Thing(obstacle=dp.Plane(name=name, pose=dp.Pose()))
    if kind == "urdf":
        return _urdf(name, rng, folder, size)
    scale = float(10 ** rng.uniform(-3, 1))
    if kind == "mesh_convex":
        corners = np.asarray(_blob(rng, (size(-2.5), size(-2.5), size(-2.5))).vertices)
        file = _write(trimesh.convex.convex_hull(corners / scale), folder / f"{name}.obj")
        own = dp.Mesh(name=name, file=file, scale=scale, convex=True)
        return Thing(obstacle=own, solids=((Solid(corners=corners), unmoved),), margin=0.001)
    mesh = _hollow(rng, size(-1.5, 0.5))
    mesh.apply_scale(1 / scale)
    own = dp.Mesh(name=name, file=_write(mesh, folder / f"{name}.obj"), scale=scale)
    surface = np.asarray(mesh.triangles) * scale
    solids = tuple((Solid(corners=triangle), unmoved) for triangle in surface)
    return Thing(obstacle=own, solids=solids, surface=surface, margin=0.001)


def _blob(rng: np.random.Generator, edges: tuple[float, float, float]) -> trimesh.Trimesh:
    points = rng.normal(size=(int(rng.integers(6, 60)), 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return trimesh.convex.convex_hull(points * np.array(edges) / 2)


def _hollow(rng: np.random.Generator, across: float) -> trimesh.Trimesh:
    """Return a ring, or a box with a hollow in it."""
    if rng.random() < 0.5:
        wall = across * rng.uniform(0.05, 0.4)
        return trimesh.creation.annulus(across / 2 - wall, across / 2, across * rng.uniform(0.1, 1.0), sections=10)
    outer, hollow = trimesh.creation.box((across,) * 3), trimesh.creation.box((across * rng.uniform(0.5, 0.9),) * 3)
    hollow.invert()
    faces = np.concatenate([outer.faces, hollow.faces + len(outer.vertices)])
    return trimesh.Trimesh(np.concatenate([outer.vertices, hollow.vertices]), faces, process=False)


def _write(mesh: trimesh.Trimesh, file: Path) -> Path:
    """Write an OBJ file with all digits."""
    lines = [f"v {x!r} {y!r} {z!r}" for x, y, z in mesh.vertices.tolist()]
    lines += [f"f {a + 1} {b + 1} {c + 1}" for a, b, c in mesh.faces.tolist()]
    file.write_text("\n".join(lines) + "\n")
    return file


def _urdf(name: str, rng: np.random.Generator, folder: Path, size) -> Thing:
    """Draw a body of two links, each with a shape or two, and a turned joint between them."""
    scale, text, solids = float(10 ** rng.uniform(-0.5, 0.5)), [f'<robot name="{name}">'], []
    T_link, origin = np.eye(4), ""
    for link in range(2):
        if link:
            pose, origin = _origin(rng)
            T_link = pose
        text.append(f'<link name="l{link}">')
        for _ in range(int(rng.integers(1, 3))):
            element, solid = _geometry(rng, folder, f"{name}_{len(solids)}", size)
            pose, at = _origin(rng)
            text.append(f"<collision>{at}<geometry>{element}</geometry></collision>")
            T = T_link @ pose
            T[:3, 3] *= scale
            grown = Solid(
                corners=solid.corners * scale,
                rod=(solid.rod[0] * scale, solid.rod[1] * scale),
                grow=solid.grow * scale,
            )
            solids.append((grown, T))
        text.append("</link>")
    text.append(f'<joint name="j" type="fixed"><parent link="l0"/><child link="l1"/>{origin}</joint></robot>')
    file = folder / f"{name}.urdf"
    file.write_text("\n".join(text))
    return Thing(obstacle=Urdf(name=name, file=file, scale=scale), solids=tuple(solids), margin=0.001)


def _origin(rng: np.random.Generator) -> tuple[Float, str]:
    xyz, rpy = rng.uniform(-0.2, 0.2, 3), rng.uniform(-1.5, 1.5, 3)
    (x, y, z), (roll, pitch, yaw) = xyz.tolist(), rpy.tolist()
    text = f'<origin xyz="{x!r} {y!r} {z!r}" rpy="{roll!r} {pitch!r} {yaw!r}"/>'
    return dp.Pose.from_rpy((x, y, z), (roll, pitch, yaw)).matrix, text


def _geometry(rng: np.random.Generator, folder: Path, name: str, size) -> tuple[str, Solid]:
    a, b, c = size(), size(), size()
    kind = rng.integers(4)
    if kind == 0:
        return f'<box size="{a!r} {b!r} {c!r}"/>', cuboid((a, b, c))
    if kind == 1:
        return f'<sphere radius="{a!r}"/>', ball(a)
    if kind == 2:
        return f'<cylinder radius="{a!r}" length="{b!r}"/>', rod(a, b)
    mesh = _blob(rng, (a, b, c))
    _write(mesh, folder / f"{name}.obj")
    return f'<mesh filename="{name}.obj"/>', Solid(corners=np.asarray(mesh.vertices))


@cache  # robots are compared by identity
def link_solids(robot: Robot) -> list[tuple[str, int, Solid, Float]]:
    """Return every convex part of every link: the link, its body in the chain, the solid, T_body_solid [4, 4]."""
    found = []
    for link in robot.links:
        body, T_body_link = robot.chain.placement[link]
        for shape in robot.shapes(link):
            found += [(link, body, solid, T_body_link @ shape.pose.matrix) for solid in _parts(shape)]
    return found


_ARM = """format: diffplan/robot@1
name: primitives
urdf: {{file: arm.urdf}}
base_link: l0
end_link: l{last}
joints: {joints}
configurations: {{home: {home}}}
collision: none.yaml
"""


def primitive_arm(folder: Path) -> Robot:
    """Return an arm of boxes, cylinders, spheres and a mesh, each some centimetres from the next; joint 2 slides."""
    blob = _blob(np.random.default_rng(0), (0.08, 0.1, 0.09))
    _write(blob, folder / "link.obj")
    shapes = (
        '<cylinder radius="0.06" length="0.08"/>',
        '<box size="0.1 0.06 0.08"/>',
        '<sphere radius="0.04"/>',
        '<cylinder radius="0.03" length="0.1"/>',
        '<mesh filename="link.obj"/>',
        '<box size="0.04 0.12 0.06"/>',
    )
    axes = ("0 0 1", "0 0.6 0.8", "1 0 0", "0 1 0", "0.6 0.8 0")
    text = ['<robot name="primitives">']
    for i, shape in enumerate(shapes):
        at = '<origin xyz="0 0 0.1" rpy="0.2 -0.1 0.3"/>'
        text.append(f'<link name="l{i}"><collision>{at}<geometry>{shape}</geometry></collision></link>')
    for i, axis in enumerate(axes):
        kind, bound = ("prismatic", 0.15) if i == 2 else ("revolute", 2.6)
        text.append(
            f'<joint name="j{i}" type="{kind}"><parent link="l{i}"/><child link="l{i + 1}"/><origin xyz="0 0 0.18"/>'
            f'<axis xyz="{axis}"/><limit lower="{-bound}" upper="{bound}" velocity="2" effort="1"/></joint>'
        )
    (folder / "arm.urdf").write_text("".join([*text, "</robot>"]))
    joints = {f"j{i}": {"velocity": 2.0, "acceleration": 10.0, "jerk": 5000.0} for i in range(len(axes))}
    words = _ARM.format(last=len(axes), joints=json.dumps(joints), home=[0.0] * len(axes))
    (folder / "robot.yaml").write_text(words)
    return load_robot(folder / "robot.yaml", collision=False)


def _parts(shape: Shape) -> list[Solid]:
    if isinstance(shape, Mesh):
        return [Solid(corners=np.asarray(hull.vertices)) for hull in shape.hulls()]
    makers = {"box": lambda *s: cuboid(s), "sphere": ball, "cylinder": rod, "capsule": pill}
    return [makers[shape.kind](*shape.sizes)]
