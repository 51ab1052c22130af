"""The one family of shapes: what a robot's links and the obstacles are made of. Lengths in m.

A shape stands at `pose` in the frame of the body that it belongs to: the world for an obstacle, the link's frame for
the geometry of a robot. Each kind says here what it is: its sizes, its corners, its triangles. What depends on the
program that takes a shape stands once beside that program: the compiled kernel (collision/obstacles.py, lanes.py), its
torch twin (collision/torch_backend.py), PyBullet (certificate/body_shapes.py), and the files (formats/obstacles.py,
robot/urdf.py, formats/imports/).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeVar

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
_P = TypeVar("_P", bound="Primitive")
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
    lengths: ClassVar[dict[str, int]] = {}
    """Which of its fields are lengths above 0 [m], and how many numbers each holds."""
    oriented: ClassVar[bool] = True
    """Whether turning it about its own origin changes it."""
    exact_within: ClassVar[float] = math.inf
    """How far from the point what `near` returns has the same surface [m]."""
    name: str
    pose: Pose = field(default_factory=Pose)

    def __post_init__(self) -> None:
        name = arguments.text(self.name, f"{type(self).__name__}.name")
        values = self._checked(name) | {"name": name, "pose": Pose.of(self.pose, f"{name}.pose")}
        for key, value in values.items():
            object.__setattr__(self, key, value)
        names = [f"{key}[{i}]" if many > 1 else key for key, many in self.lengths.items() for i in range(many)]
        for key, value in zip(names, self.sizes, strict=True):
            if not SMALLEST <= value <= LARGEST:
                problem = f"too {'large' if value > LARGEST else 'small'} for distances to hold"
                hint = "; type: plane (dp.Plane) for what has no end" if value > LARGEST else ""
                allowed = f"{SMALLEST:.5f} to {LARGEST:.0f} [m]{hint}"
                raise InputError(problem, key=f"{name}.{key}", value=value, allowed=allowed)
        check_place(name, self.pose)

    def _checked(self, name: str) -> dict[str, object]:
        """Return the fields of this kind, checked and as plain numbers."""
        return {key: arguments.positive(getattr(self, key), f"{name}.{key}") for key in self.lengths}

    @property
    def sizes(self) -> tuple[float, ...]:
        """Its lengths [m], in the order of `lengths`; none for a mesh or a plane."""
        values = (getattr(self, key) for key in self.lengths)
        return tuple(size for value in values for size in (value if isinstance(value, tuple) else (value,)))

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

    def solids(self) -> list[trimesh.Trimesh]:
        """Return the closed meshes [own frame] whose insides are solid.

        Raises:
            InputError: naming the shape, if its file cannot be read or its mesh is not closed.
        """
        return self.hulls()

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
    def scales(self) -> tuple[float, float, float]:
        """The factors of x, y and z by which what its file holds is taken."""
        return 1.0, 1.0, 1.0

    @property
    def hollow(self) -> bool:
        """Whether it keeps its hollows: a physics engine collides with its triangles, not with convex parts."""
        return False

    @property
    def rounding(self) -> float:
        """How far its solid reaches beyond the hulls of `corners` at most [m]."""
        return 0.0

    def near(self, point: Sequence[float] | Float) -> Shape:
        """Return itself, or for a shape without end one with the same surface within `exact_within` of a point [3].

        The point is in the frame of the pose.
        """
        return self


def _placed(points: Float, pose: Pose) -> Float:
    matrix = pose.matrix
    return points @ matrix[:3, :3].T + matrix[:3, 3]


@dataclass(frozen=True, kw_only=True)
class Primitive(Shape):
    """A shape that a few lengths describe, the same on both sides of its origin along each axis."""

    @classmethod
    def of_sizes(cls: type[_P], name: str, sizes: Sequence[float], pose: Pose) -> _P:
        """Return the shape with these `sizes`, for files and programs that list them."""
        rest = iter(sizes)
        fields = {key: next(rest) if many == 1 else tuple(islice(rest, many)) for key, many in cls.lengths.items()}
        return cls(name=name, pose=pose, **fields)

    @property
    @abstractmethod
    def half_extents(self) -> tuple[float, float, float]:
        """Half the edges of the box around it, in its own frame [m]."""

    def _corners(self) -> list[Float]:
        signs = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1).T
        return [signs * np.array(self.half_extents)]


@dataclass(frozen=True, kw_only=True)
class Box(Primitive):
    """A box with full edge lengths `size` [m], centred at its pose."""

    kind = "box"
    lengths: ClassVar[dict[str, int]] = {"size": 3}
    size: tuple[float, float, float]

    def _checked(self, name: str) -> dict[str, object]:
        edges = arguments.items(self.size, f"{name}.size", allowed=_THREE)
        if len(edges) != 3:
            value = arguments.plain(self.size)
            raise InputError(f"{len(edges)} values instead of 3", key=f"{name}.size", value=value, allowed=_THREE)
        return {"size": tuple(arguments.positive(edge, f"{name}.size[{i}]") for i, edge in enumerate(edges))}

    @property
    def half_extents(self) -> tuple[float, float, float]:
        """Half its edges [m]."""
        x, y, z = self.size
        return x / 2, y / 2, z / 2

    def surface(self) -> trimesh.Trimesh:
        """Return its twelve triangles."""
        from diffplan.system.third_party import trimesh

        return trimesh.creation.box(extents=self.size)


@dataclass(frozen=True, kw_only=True)
class Sphere(Primitive):
    """A sphere of `radius` [m], centred at its pose."""

    kind = "sphere"
    lengths: ClassVar[dict[str, int]] = {"radius": 1}
    oriented = False
    radius: float

    @property
    def half_extents(self) -> tuple[float, float, float]:
        """Its radius, three times [m]."""
        return self.radius, self.radius, self.radius

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
class Cylinder(Primitive):
    """A cylinder about local z, centred at its pose; `height` [m] is its full length."""

    kind = "cylinder"
    lengths: ClassVar[dict[str, int]] = {"radius": 1, "height": 1}
    radius: float
    height: float

    @property
    def half_extents(self) -> tuple[float, float, float]:
        """Its radius twice, and half its height [m]."""
        return self.radius, self.radius, self.height / 2

    def surface(self) -> trimesh.Trimesh:
        """Return a prism of 64 sides."""
        from diffplan.system.third_party import trimesh

        return trimesh.creation.cylinder(radius=self.radius, height=self.height, sections=_SIDES)


@dataclass(frozen=True, kw_only=True)
class Capsule(Primitive):
    """A capsule about local z, centred at its pose; `height` [m] is the length of the straight part."""

    kind = "capsule"
    lengths: ClassVar[dict[str, int]] = {"radius": 1, "height": 1}
    radius: float
    height: float

    @property
    def half_extents(self) -> tuple[float, float, float]:
        """Its radius twice, and half its whole length [m]."""
        return self.radius, self.radius, self.height / 2 + self.radius

    def surface(self) -> trimesh.Trimesh:
        """Return a polyhedron inside the capsule."""
        from diffplan.system.third_party import trimesh

        return trimesh.creation.capsule(radius=self.radius, height=self.height)


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
    def files(self) -> tuple[Path, ...]:
        """Its one file."""
        return (self.file,)

    @property
    def hollow(self) -> bool:
        """Whether it is not convex."""
        return not self.convex

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
    exact_within = PLANE_REACH

    def surface(self) -> trimesh.Trimesh:
        """Return the surface of the part near its own origin."""
        return self._part().surface().apply_translation((0.0, 0.0, -PLANE_REACH))

    def _corners(self) -> list[Float]:
        return [corners - (0.0, 0.0, PLANE_REACH) for corners in self._part()._corners()]

    def _part(self) -> Box:
        return Box(name=self.name, size=(2 * PLANE_REACH, 2 * PLANE_REACH, 2 * PLANE_REACH))

    def near(self, point: Sequence[float] | Float) -> Box:
        """Return the box that has the same surface within `PLANE_REACH` of a point [3] (frame of the pose)."""
        matrix = self.pose.matrix
        x, y, _ = ((np.asarray(point) - matrix[:3, 3]) @ matrix[:3, :3]).tolist()
        return replace(self._part(), pose=self.pose @ Pose(xyz=(x, y, -PLANE_REACH)))
