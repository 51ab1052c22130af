"""MoveIt's `.scene` text (what RViz exports): full edge lengths, cylinder `radius length`, quaternions x y z w.

    name
    * object
    0 0 0              pose of the object, in files since 2020 only:
    0 0 0 1            then the line after `*` holds more than one number
    1                  number of shapes
    box                then its sizes, position, rotation and colour, each on a line of its own
    0.1 0.2 0.3
    0.5 0 0.2
    0 0 0 1
    0 0 0 0
    0                  number of subframes (since 2020), each a name, a position and a rotation
    .

Source: PlanningScene::loadGeometryFromStream (moveit_core), constructShapeFromText (geometric_shapes).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from diffplan.errors import InputError
from diffplan.formats.imports.draft import Unsupported, is_identity
from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import Box, Cylinder, Primitive, Sphere
from diffplan.system.reading import read_text

_SHAPES: dict[str, tuple[type[Primitive], int, str]] = {
    "box": (Box, 3, "full edge lengths x y z"),
    "cylinder": (Cylinder, 2, "radius length"),
    "sphere": (Sphere, 1, "radius"),
}
"""The shape of each kind, how many `sizes` it has, and what they are."""
_LONGEST_COUNT = 9  # digits
_OTHER_SHAPES = ("cone", "mesh", "plane", "octree")


@dataclass
class _Lines:
    """The lines that hold something, and where the reader stands among them."""

    file: Path
    lines: list[tuple[int, str]]
    at: int = 0

    def error(self, problem: str, *, allowed: str, key: str | None = None, back: int = 1) -> InputError:
        """Return the error about the line read last (`back` 0: about the next one)."""
        line, text = self.lines[min(self.at - back, len(self.lines) - 1)]
        return InputError(problem, file=self.file, line=line, key=key, value=text, allowed=allowed)

    def text(self, what: str) -> str:
        """Return the next line."""
        if self.at == len(self.lines):
            raise InputError("the file ends too early", file=self.file, allowed=f"{what}, and a line `.` at the end")
        self.at += 1
        return self.lines[self.at - 1][1]

    def peek(self) -> str:
        """Return the next line without reading it; empty at the end."""
        return self.lines[self.at][1] if self.at < len(self.lines) else ""

    def numbers(self, count: int, what: str, *, key: str, positive: bool = False) -> list[float]:
        """Return the `count` numbers of the next line."""
        allowed = f"{what}: {count} finite numbers{' > 0' if positive else ''}"
        words = self.text(what).split()
        try:
            values = [float(word) for word in words]
        except ValueError as error:
            raise self.error("not numbers", key=key, allowed=allowed) from error
        if len(values) != count or not all(math.isfinite(v) and (v > 0 or not positive) for v in values):
            raise self.error("not such numbers", key=key, allowed=allowed)
        return values

    def count(self, what: str, *, key: str) -> int:
        """Return the whole number on the next line."""
        text = self.text(what)
        if not text.isascii() or not text.isdigit() or len(text) > _LONGEST_COUNT:
            raise self.error("not a count", key=key, allowed=what)
        return int(text)

    def pose(self, *, key: str) -> Pose:
        """Return the pose of the next two lines."""
        x, y, z = self.numbers(3, "position x y z", key=key)
        qx, qy, qz, qw = self.numbers(4, "rotation x y z w", key=key)
        norm = math.hypot(qx, qy, qz, qw)
        if abs(norm - 1) > 1e-3:
            allowed = "x y z w with a norm of 1, within 0.001"
            raise self.error(f"quaternion not normalised: its norm is {norm:.6g}", key=key, allowed=allowed)
        return Pose(xyz=(x, y, z), quat_xyzw=(qx, qy, qz, qw))


def read_scene_text(path: Path) -> tuple[Primitive, ...]:
    """Return the obstacles of a `.scene` file, in the frame that it was saved in (the robot's).

    Raises:
        Unsupported: for a shape that a suite cannot hold.
        InputError: if the file cannot be read or is laid out in another way.
    """
    numbered = [(i, line.strip()) for i, line in enumerate(read_text(path).splitlines(), 1)]
    lines = _Lines(file=path, lines=[pair for pair in numbered[1:] if pair[1]])  # the first line is the scene's name
    obstacles: list[Primitive] = []
    posed: bool | None = None
    while (marker := lines.text("`* name` or `.`")) != ".":
        if not marker.startswith("*") or not marker[1:].strip():
            raise lines.error("not the start of an object", allowed="`* name`, or `.` at the end")
        if posed is None:
            posed = " " in lines.peek()
        obstacles.extend(_object(lines, marker[1:].strip(), posed=posed))
    if lines.at != len(lines.lines):
        raise lines.error("text after the end", allowed="nothing after the line `.`", back=0)
    return tuple(obstacles)


def _object(lines: _Lines, name: str, *, posed: bool) -> list[Primitive]:
    pose = lines.pose(key=name) if posed else Pose()
    count = lines.count("the number of shapes", key=name)
    shapes = [_shape(lines, name if count == 1 else f"{name}[{i}]", pose) for i in range(count)]
    if posed:
        for _ in range(lines.count("the number of subframes", key=name)):
            lines.text("the name of a subframe")
            lines.pose(key=name)
    return shapes


def _shape(lines: _Lines, name: str, parent: Pose) -> Primitive:
    kind = lines.text("a shape")
    if kind in _OTHER_SHAPES:
        error = lines.error(f"{name!r} is a {kind}", key=name, allowed=", ".join(_SHAPES))
        raise Unsupported(
            error.problem, file=error.file, line=error.line, key=name, value=error.value, allowed=error.allowed
        )
    if kind not in _SHAPES:
        raise lines.error("not a shape", key=name, allowed=", ".join((*_SHAPES, *_OTHER_SHAPES)))
    shape, count, what = _SHAPES[kind]
    sizes = lines.numbers(count, what, key=name, positive=True)
    return shape.of_sizes(name, sizes, _placed(lines, name, parent))


def _placed(lines: _Lines, name: str, parent: Pose) -> Pose:
    """Return the pose of a shape that belongs to an object at `parent`, and step over its colour."""
    pose = lines.pose(key=name)
    lines.numbers(4, "colour r g b a", key=name)
    return pose if is_identity(parent) else parent @ pose
