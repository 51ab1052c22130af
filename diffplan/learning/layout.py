"""Pieces of a procedural scene: obstacles and the places in it that a hand may reach into.

A layout is drawn in a local frame (robot base at the origin, z up, the work straight ahead along +x) and turned about
the base at the end, so that the work ends up anywhere around the robot.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from diffplan.formats.scene_writer import obstacle_keys
from diffplan.geometry.pose import Float, Pose, rotation_from_rpy
from diffplan.geometry.shapes import Box, Cylinder, Primitive, Sphere
from diffplan.scene import Scene

Vector: TypeAlias = tuple[float, float, float]

FORWARD: Vector = (1.0, 0.0, 0.0)
DOWN: Vector = (0.0, 0.0, -1.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Place:
    """A region of tool poses in the robot's base frame.

    The tool point lies in a box of edge lengths `size` [m] centred in `frame` (T_base_place [4, 4]); the tool's z axis
    points within the cone of half angle `tilt` [rad] about `approach` (unit, in `frame`); any roll about it.
    """

    name: str
    frame: Float
    size: Vector
    approach: Vector
    tilt: float

    def sample(self, rng: np.random.Generator) -> Float:
        """Return T_base_tool [4, 4], drawn uniformly from the region."""
        point = (rng.random(3) - 0.5) * self.size
        cosine = rng.uniform(np.cos(self.tilt), 1.0)
        around = rng.uniform(-np.pi, np.pi)
        sine = np.sqrt(1 - cosine * cosine)
        z = _frame_of(np.asarray(self.approach)) @ np.array([sine * np.cos(around), sine * np.sin(around), cosine])
        roll = rng.uniform(-np.pi, np.pi)
        local = np.eye(4)
        local[:3, :3] = _frame_of(z) @ rotation_from_rpy(0.0, 0.0, roll)
        local[:3, 3] = point
        return self.frame @ local


@dataclass(frozen=True, kw_only=True, eq=False)
class DrawnScene:
    """A procedural scene (robot base at the origin) with its family and the places to reach into."""

    family: str
    obstacles: tuple[Primitive, ...]
    places: tuple[Place, ...]

    @property
    def scene(self) -> Scene:
        """The obstacles as a scene."""
        return Scene(name=self.family, obstacles=self.obstacles)


@dataclass(kw_only=True, eq=False)
class Layout:
    """Collects obstacles and places, each put in the current `frame` (T_base_local [4, 4])."""

    rng: np.random.Generator
    frame: Float = field(default_factory=lambda: np.eye(4))
    obstacles: list[Primitive] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)

    def draw(self, low: float, high: float) -> float:
        """Return a number uniform in [low, high]."""
        return float(self.rng.uniform(low, high))

    def chance(self, probability: float) -> bool:
        """Return True with this probability."""
        return bool(self.rng.random() < probability)

    def count(self, low: int, high: int) -> int:
        """Return a whole number uniform in low..high, both included."""
        return int(self.rng.integers(low, high + 1))

    def turn(self, yaw: float, xyz: Vector = (0.0, 0.0, 0.0)) -> Float:
        """Move the frame: a translation `xyz` [m], then a turn `yaw` [rad] about z. Returns the frame before."""
        before = self.frame
        step = np.eye(4)
        step[:3, :3], step[:3, 3] = rotation_from_rpy(0.0, 0.0, yaw), xyz
        self.frame = before @ step
        return before

    def box(self, name: str, size: Vector, xyz: Vector, rpy: Vector = (0.0, 0.0, 0.0)) -> None:
        """Add a box of edge lengths `size` [m] centred at `xyz` in the current frame."""
        x, y, z = (round(max(edge, 0.004), 4) for edge in size)
        self.obstacles.append(Box(name=self._unique(name), size=(x, y, z), pose=self._pose(xyz, rpy)))

    def cylinder(self, name: str, radius: float, height: float, xyz: Vector, rpy: Vector = (0.0, 0.0, 0.0)) -> None:
        """Add a cylinder about local z."""
        pose = self._pose(xyz, rpy)
        self.obstacles.append(
            Cylinder(name=self._unique(name), radius=round(radius, 4), height=round(height, 4), pose=pose)
        )

    def sphere(self, name: str, radius: float, xyz: Vector) -> None:
        """Add a sphere."""
        self.obstacles.append(Sphere(name=self._unique(name), radius=round(radius, 4), pose=self._pose(xyz, (0, 0, 0))))

    def place(self, name: str, low: Vector, high: Vector, approach: Vector = FORWARD, tilt: float = 0.5) -> None:
        """Add a place whose tool points fill the box from `low` to `high` [m] in the current frame."""
        a, b = np.asarray(low), np.asarray(high)
        local = np.eye(4)
        local[:3, 3] = (a + b) / 2
        sx, sy, sz = (float(edge) for edge in np.maximum(b - a, 0.0))
        self.places.append(Place(name=name, frame=self.frame @ local, size=(sx, sy, sz), approach=approach, tilt=tilt))

    def thing(self, x: float, y: float, surface: float, tallest: float) -> None:
        """Stand a random object (box, can or ball) on a surface at height `surface` [m], at most `tallest` high."""
        if tallest < 0.03:
            return
        kind = self.rng.choice(3, p=(0.5, 0.35, 0.15))
        if kind == 0:
            height = self.draw(0.03, min(0.32, tallest))
            size = (self.draw(0.03, 0.16), self.draw(0.03, 0.16), height)
            self.box("block", size, (x, y, surface + height / 2), (0.0, 0.0, self.draw(-np.pi, np.pi)))
        elif kind == 1:
            height = self.draw(0.04, min(0.34, tallest))
            self.cylinder("can", self.draw(0.015, 0.06), height, (x, y, surface + height / 2))
        else:
            radius = min(self.draw(0.02, 0.08), tallest / 2)
            self.sphere("ball", radius, (x, y, surface + radius))

    def finish(self, family: str) -> DrawnScene:
        """Return the scene drawn so far."""
        return DrawnScene(family=family, obstacles=tuple(self.obstacles), places=tuple(self.places))

    def _unique(self, name: str) -> str:
        return f"{name}_{len(self.obstacles)}"

    def _pose(self, xyz: Vector, rpy: Vector) -> Pose:
        """Return the pose in the base frame, rounded so that its text form is short and exact."""
        local = np.eye(4)
        local[:3, :3], local[:3, 3] = rotation_from_rpy(*rpy), xyz
        pose = Pose.from_matrix(self.frame @ local)
        x, y, z = (round(value, 4) for value in pose.xyz)
        qx, qy, qz, qw = (round(value, 6) for value in pose.quat_xyzw)
        return Pose(xyz=(x, y, z), quat_xyzw=(qx, qy, qz, qw))


def _frame_of(z: Float) -> Float:
    """Return a rotation [3, 3] whose third column is the unit vector z."""
    a, b, c = (float(value) for value in z)
    if abs(a) < 0.9:  # x = (1, 0, 0) cross z, normalised
        n = np.hypot(b, c)
        x = (0.0, -c / n, b / n)
    else:  # x = (0, 1, 0) cross z
        n = np.hypot(a, c)
        x = (c / n, 0.0, -a / n)
    y = (b * x[2] - c * x[1], c * x[0] - a * x[2], a * x[1] - b * x[0])
    return np.array([x, y, (a, b, c)]).T


def obstacle_record(obstacle: Primitive) -> dict[str, object]:
    """Return the obstacle as a scene file spells it (format `diffplan/scene@1`)."""
    pose = {"xyz": list(obstacle.pose.xyz), "quat_xyzw": list(obstacle.pose.quat_xyzw)}
    return {**obstacle_keys(obstacle, None), "pose": pose}
