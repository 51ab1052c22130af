"""The one family of shapes: what a robot's links and the obstacles are made of. Lengths in m.

A shape stands at `pose` in the frame of the body that it belongs to: the world for an obstacle, the link's frame for
the geometry of a robot. Each kind says here what it is: its sizes, its corners, its triangles. What depends on the
program that takes a shape stands once beside that program: the compiled kernel (collision/obstacles.py, lanes.py), its
torch twin (collision/torch_backend.py), PyBullet (certificate/body_shapes.py), and the files (formats/obstacles.py,
formats/scene_writer.py, robot/urdf.py).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from diffplan import arguments
from diffplan.errors import InputError
from diffplan.geometry.pose import Float, Pose

if TYPE_CHECKING:
    from diffplan.system.third_party import trimesh

SMALLEST, LARGEST = 1e-5, 300.0
"""Sizes of shapes for which distances hold [m], by measurement over this range; meshes have a bound of their own."""
FARTHEST = 1e6
"""How far from the world's origin an obstacle or a robot may stand [m]."""
PLANE_REACH = 10.0
"""How far from the robot's base a plane is exact for planner and certificate [m]."""
_SIDES = 64
_THREE = "three full edge lengths [m]"
_SCALE = "a number > 0, or three numbers that are not 0"


def check_place(name: str, pose: Pose) -> None:
    """Refuse a place so far off that float64 is too coarse for it.

    Raises:
        InputError: naming the pose.
    """
    if np.abs(pose.xyz).max() > FARTHEST:
        allowed = f"within {FARTHEST:.0f} m of the world's origin"
        raise InputError("too far away for distances to hold", key=f"{name}.pose", value=pose.xyz, allowed=allowed)


@dataclass(frozen=True, kw_only=True)
class Shape(ABC):
    """A solid with a name, at `pose` in the frame of its body."""

    kind: ClassVar[str]
    name: str
    pose: Pose = field(default_factory=Pose)

    def __post_init__(self) -> None:
        name = arguments.text(self.name, f"{type(self).__name__}.name")
        values = self._checked(name) | {"name": name, "pose": Pose.of(self.pose, f"{name}.pose")}
        for key, value in values.items():
            object.__setattr__(self, key, value)
        for key, value in zip(self._size_names(), self.sizes, strict=True):
            if not SMALLEST <= value <= LARGEST:
                problem = f"too {'large' if value > LARGEST else 'small'} for distances to hold"
                hint = "; type: plane (dp.Plane) for what has no end" if value > LARGEST else ""
                allowed = f"{SMALLEST:.5f} to {LARGEST:.0f} [m]{hint}"
                raise InputError(problem, key=f"{name}.{key}", value=value, allowed=allowed)
        check_place(name, self.pose)

    @abstractmethod
    def _checked(self, name: str) -> dict[str, object]:
        """Return the fields of this kind, checked and as plain numbers."""

    @property
    @abstractmethod
    def sizes(self) -> tuple[float, ...]:
        """Its lengths [m] in a fixed order: edges, or radius and height; none for a mesh or a plane."""

    def _size_names(self) -> tuple[str, ...]:
        """Return what `sizes` are called."""
        return ()

    @abstractmethod
    def surface(self) -> trimesh.Trimesh:
        """Return its surface as triangles in its own frame: round ones in 64 sides, a mesh as its file holds it.

        Raises:
            InputError: if a mesh file cannot be read.
        """

    def hulls(self) -> list[trimesh.Trimesh]:
        """Return the convex parts that a physics engine collides with, in the shape's own frame; copy to change them.

        Raises:
            InputError: if a mesh file cannot be read.
        """
        return [self.surface().convex_hull]

    def corners(self) -> list[Float]:
        """Return corners [n, 3] (frame of the body) of hulls that, grown by `rounding`, hold its convex parts.

        A mesh is read as its file is now.

        Raises:
            InputError: if a mesh file cannot be read.
        """
        return [_placed(part, self.pose) for part in self._corners()]

    @abstractmethod
    def _corners(self) -> list[Float]:
        """Return the corners of `corners` in the shape's own frame."""

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that decide its shape."""
        return ()

    @property
    def rounding(self) -> float:
        """How far its solid reaches beyond the hulls of `corners` at most [m]."""
        return 0.0


def _placed(points: Float, pose: Pose) -> Float:
    matrix = pose.matrix
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def _box_corners(half: Sequence[float]) -> Float:
    signs = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1).T
    return signs * np.array(half)


@dataclass(frozen=True, kw_only=True)
class Box(Shape):
    """A box with full edge lengths `size` [m], centred at its pose."""

    kind = "box"
    size: tuple[float, float, float]

    def _checked(self, name: str) -> dict[str, object]:
        edges = arguments.items(self.size, f"{name}.size", allowed=_THREE)
        if len(edges) != 3:
            value = arguments.plain(self.size)
            raise InputError(f"{len(edges)} values instead of 3", key=f"{name}.size", value=value, allowed=_THREE)
        return {"size": tuple(arguments.positive(edge, f"{name}.size[{i}]") for i, edge in enumerate(edges))}

    @property
    def sizes(self) -> tuple[float, ...]:
        """Its full edge lengths [m]."""
        return self.size

    def _size_names(self) -> tuple[str, ...]:
        return "size[0]", "size[1]", "size[2]"

    def surface(self) -> trimesh.Trimesh:
        """Return its twelve triangles."""
        from diffplan.system.third_party import trimesh

        return trimesh.creation.box(extents=self.size)

    def _corners(self) -> list[Float]:
        return [_box_corners([edge / 2 for edge in self.size])]


@dataclass(frozen=True, kw_only=True)
class Sphere(Shape):
    """A sphere of `radius` [m], centred at its pose."""

    kind = "sphere"
    radius: float

    def _checked(self, name: str) -> dict[str, object]:
        return {"radius": arguments.positive(self.radius, f"{name}.radius")}

    @property
    def sizes(self) -> tuple[float, ...]:
        """Its radius [m]."""
        return (self.radius,)

    def _size_names(self) -> tuple[str, ...]:
        return ("radius",)

    def surface(self) -> trimesh.Trimesh:
        """Return an icosphere of 1,280 triangles."""
        from diffplan.system.third_party import trimesh

        return trimesh.creation.icosphere(subdivisions=3, radius=self.radius)

    def _corners(self) -> list[Float]:
        return [np.zeros((1, 3))]

    @property
    def rounding(self) -> float:
        """Its radius: its only corner is its centre."""
        return self.radius


@dataclass(frozen=True, kw_only=True)
class _Round(Shape):
    """What cylinder and capsule share: `radius` and `height` [m] about local z, centred at the pose."""

    radius: float
    height: float

    def _checked(self, name: str) -> dict[str, object]:
        return {key: arguments.positive(getattr(self, key), f"{name}.{key}") for key in ("radius", "height")}

    @property
    def sizes(self) -> tuple[float, ...]:
        """Its radius and height [m]."""
        return self.radius, self.height

    def _size_names(self) -> tuple[str, ...]:
        return "radius", "height"


@dataclass(frozen=True, kw_only=True)
class Cylinder(_Round):
    """A cylinder about local z, centred at its pose; `height` [m] is its full length."""

    kind = "cylinder"

    def surface(self) -> trimesh.Trimesh:
        """Return a prism of 64 sides."""
        from diffplan.system.third_party import trimesh

        return trimesh.creation.cylinder(radius=self.radius, height=self.height, sections=_SIDES)

    def _corners(self) -> list[Float]:
        return [_box_corners((self.radius, self.radius, self.height / 2))]


@dataclass(frozen=True, kw_only=True)
class Capsule(_Round):
    """A capsule about local z, centred at its pose; `height` [m] is the length of the straight part."""

    kind = "capsule"

    def surface(self) -> trimesh.Trimesh:
        """Return a polyhedron inside the capsule."""
        from diffplan.system.third_party import trimesh

        return trimesh.creation.capsule(radius=self.radius, height=self.height)

    def _corners(self) -> list[Float]:
        return [_box_corners((self.radius, self.radius, self.height / 2 + self.radius))]


@dataclass(frozen=True, kw_only=True)
class Mesh(Shape):
    """A closed triangle mesh from `file`, scaled (one factor, or one each for x, y, z); solid, with its hollows kept.

    With `convex=True` it stands for its convex hull (what PyBullet makes of a mesh unless told otherwise), one for each
    group of an OBJ file. The meshes of a robot's links are always taken so.
    """

    kind = "mesh"
    file: Path
    scale: float | tuple[float, float, float] = 1.0
    convex: bool = False

    def _checked(self, name: str) -> dict[str, object]:
        return {
            "file": arguments.path(self.file, f"{name}.file"),
            "scale": _scale(self.scale, f"{name}.scale"),
            "convex": arguments.flag(self.convex, f"{name}.convex"),
        }

    @property
    def sizes(self) -> tuple[float, ...]:
        """None: its file holds them."""
        return ()

    @property
    def files(self) -> tuple[Path, ...]:
        """Its one file."""
        return (self.file,)

    @property
    def scales(self) -> tuple[float, float, float]:
        """The factors of x, y and z."""
        return self.scale if isinstance(self.scale, tuple) else (self.scale, self.scale, self.scale)

    def hulls(self) -> list[trimesh.Trimesh]:
        """Return the convex hull of each part of the file, whether the mesh is convex or not."""
        from diffplan.geometry.meshes import load_hulls

        return load_hulls(self.file, self.scales)

    def surface(self) -> trimesh.Trimesh:
        """Return the triangles of the file, which need not be closed."""
        from diffplan.geometry.meshes import load_triangles

        return load_triangles(self.file, self.scales)

    def solids(self) -> list[trimesh.Trimesh]:
        """Return the closed meshes [own frame] whose insides are solid: its hulls, or the one mesh with its hollows.

        Raises:
            InputError: naming the mesh, if its file cannot be read or its mesh is not closed.
        """
        from diffplan.geometry.meshes import load_mesh

        try:
            return self.hulls() if self.convex else [load_mesh(self.file, self.scales)]
        except InputError as error:
            told = {"file": error.file, "line": error.line, "allowed": error.allowed}
            raise InputError(error.problem, key=self.name, **told) from error

    def _corners(self) -> list[Float]:
        return [np.asarray(mesh.vertices) for mesh in self.solids()]


def _scale(value: object, key: str) -> float | tuple[float, float, float]:
    """Return a factor above 0, or three (a negative one mirrors)."""
    plain = arguments.plain(value)
    if not isinstance(plain, Sequence) or isinstance(plain, str):
        return arguments.positive(value, key, what="number", allowed=_SCALE)
    x, y, z = arguments.vector(plain, 3, key)
    if x == 0 or y == 0 or z == 0:
        raise InputError("a mesh without thickness", key=key, value=plain, allowed=_SCALE)
    return x, y, z


@dataclass(frozen=True, kw_only=True)
class Plane(Shape):
    """A floor or a wall without end: everything below local z = 0 of its pose is solid.

    By default the floor z = 0 of the world. Planner and certificate see a box of it that is exact within
    `PLANE_REACH` of the robot's base.
    """

    kind = "plane"

    def _checked(self, name: str) -> dict[str, object]:
        return {}

    @property
    def sizes(self) -> tuple[float, ...]:
        """None: it has no end."""
        return ()

    def surface(self) -> trimesh.Trimesh:
        """Return the surface of the part near its own origin."""
        return self._part().surface().apply_translation((0.0, 0.0, -PLANE_REACH))

    def _corners(self) -> list[Float]:
        return [corners - (0.0, 0.0, PLANE_REACH) for corners in self._part()._corners()]

    def _part(self) -> Box:
        return Box(name=self.name, size=(2 * PLANE_REACH, 2 * PLANE_REACH, 2 * PLANE_REACH))

    def near(self, point: Sequence[float]) -> Box:
        """Return the box that has the same surface within `PLANE_REACH` of a point [3] (frame of the pose)."""
        matrix = self.pose.matrix
        x, y, _ = ((np.asarray(point) - matrix[:3, 3]) @ matrix[:3, :3]).tolist()
        return replace(self._part(), pose=self.pose @ Pose(xyz=(x, y, -PLANE_REACH)))
