"""What a data set holds: counts, histograms, and a picture of some scenes with their paths."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from diffplan.errors import InputError
from diffplan.formats.obstacles import read_obstacles
from diffplan.geometry.pose import Float
from diffplan.geometry.shapes import Capsule, Cylinder, Shape, Sphere
from diffplan.learning.problems import KINDS
from diffplan.learning.shards import read_shard, scene_obstacles, shard_files
from diffplan.scene import Obstacle, bodies
from diffplan.strict.entry import Json
from diffplan.system.files import make_folder, write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from mpl_toolkits.mplot3d import Axes3D

    from diffplan.robot.model import Robot

STRAIGHT = 1.001  # a path this many times the straight line or less counts as straight


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """One trajectory [points, dof] and the obstacles of its scene (robot base frame)."""

    family: str
    waypoints: Float
    obstacles: tuple[Obstacle, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class DataInfo:
    """Counts and per-trajectory measures of a data set: `length` and `straight` [rad], `clearance` [m], `obstacles`."""

    folder: Path
    robot: str
    shards: int
    scenes: int
    trajectories: dict[str, int]
    scenes_of: dict[str, int]
    kinds: dict[str, int]
    length: Float
    straight: Float
    clearance: Float
    obstacles: Float
    samples: tuple[Sample, ...]

    @property
    def total(self) -> int:
        """Number of trajectories."""
        return len(self.length)

    @property
    def ratio(self) -> Float:
        """Path length by straight line, for each trajectory."""
        return self.length / np.maximum(self.straight, 1e-9)

    def text(self) -> str:
        """Return the counts and quartiles as a table for people."""
        lines = [
            f"{self.folder}: {self.total} trajectories in {self.scenes} scenes, {self.shards} shards, {self.robot}",
            f"{'family':<16}{'scenes':>8}{'paths':>8}",
        ]
        lines += [f"{f:<16}{self.scenes_of[f]:>8}{self.trajectories[f]:>8}" for f in sorted(self.trajectories)]
        lines += [f"{kind:<24}{count:>8}" for kind, count in self.kinds.items()]
        for name, values in self._measures().items():
            low, middle, high = np.quantile(values, (0.05, 0.5, 0.95))
            lines.append(f"{name:<24} 5% {low:8.3f}   median {middle:8.3f}   95% {high:8.3f}")
        lines.append(f"{'straight-line paths':<24} {(self.ratio < STRAIGHT).mean():.1%}")
        return "\n".join(lines)

    def document(self) -> dict[str, Json]:
        """Return the same for programs."""
        measures: dict[str, Json] = {}
        for name, values in self._measures().items():
            low, middle, high = map(float, np.quantile(values, (0.05, 0.5, 0.95)))
            measures[name] = {"5%": low, "median": middle, "95%": high}
        return {
            "folder": str(self.folder),
            "robot": self.robot,
            "shards": self.shards,
            "scenes": self.scenes,
            "trajectories": dict(self.trajectories),
            "scenes_of": dict(self.scenes_of),
            "kinds": dict(self.kinds),
            "straight_share": float((self.ratio < STRAIGHT).mean()),
            "measures": measures,
        }

    def _measures(self) -> dict[str, Float]:
        return {
            "path length [rad]": self.length,
            "length / straight line": self.ratio,
            "clearance [mm]": self.clearance * 1000,
            "obstacles": self.obstacles,
        }


def data_info(folder: Path, *, samples: int = 12) -> DataInfo:
    """Read all complete shards of a folder; `samples` trajectories are kept for the picture, spread over the families.

    Raises:
        InputError: if there is none, or one cannot be read.
    """
    files = shard_files(folder)
    paths: list[Float] = []
    clearance: list[Float] = []
    obstacles: list[int] = []
    families: list[str] = []
    scene_families: list[str] = []
    kinds: list[int] = []
    shown: dict[str, list[Sample]] = {}
    robot = ""
    for file in files:
        shard = read_shard(file)
        robot = shard.robot
        scenes = scene_obstacles(shard, file)
        counts = [len(scene.sequence()) for scene in scenes]
        scene_families += shard.family
        families += [shard.family[i] for i in shard.scene]
        obstacles += [counts[i] for i in shard.scene]
        kinds += shard.kind.tolist()
        paths.append(shard.waypoints.astype(np.float64))
        clearance.append(shard.clearance.astype(np.float64))
        for i, path in zip(shard.scene, shard.waypoints, strict=True):
            chosen = shown.setdefault(shard.family[i], [])
            if len(chosen) < samples and np.linalg.norm(path[-1] - path[0]) > 2.0:
                found = read_obstacles(scenes[i])
                chosen.append(Sample(family=shard.family[i], waypoints=path, obstacles=found))
    if not any(map(len, paths)):
        raise InputError("no paths in these shards", file=folder)
    steps = [np.linalg.norm(np.diff(path, axis=1), axis=2).sum(axis=1) for path in paths]
    order = [shown[f][k] for k in range(samples) for f in sorted(shown) if k < len(shown[f])]
    return DataInfo(
        folder=folder,
        robot=robot,
        shards=len(files),
        scenes=len(scene_families),
        trajectories={f: families.count(f) for f in sorted(set(families))},
        scenes_of={f: scene_families.count(f) for f in sorted(set(scene_families))},
        kinds={name: kinds.count(i) for i, name in enumerate(KINDS)},
        length=np.concatenate(steps),
        straight=np.concatenate([np.linalg.norm(path[:, -1] - path[:, 0], axis=1) for path in paths]),
        clearance=np.concatenate(clearance),
        obstacles=np.array(obstacles, dtype=np.float64),
        samples=tuple(order[:samples]),
    )


def save_picture(info: DataInfo, robot: Robot, path: Path) -> None:
    """Write a PNG: histograms on top, then scenes with the tool's way and the arm at both ends."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = 4
    rows = -(-len(info.samples) // columns)
    figure = Figure(figsize=(16, 3.2 + 4 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    for i, (name, values) in enumerate(info._measures().items()):
        axes = figure.add_subplot(rows + 1, columns, i + 1)
        _histogram(axes, name, values)
    for i, sample in enumerate(info.samples):
        axes = figure.add_subplot(rows + 1, columns, columns + i + 1, projection="3d")
        draw_sample(axes, sample, robot)  # pyright: ignore[reportArgumentType]  (a 3-D axes by its projection)
    figure.suptitle(f"{info.total} trajectories in {info.scenes} scenes")
    picture = io.BytesIO()
    figure.savefig(picture, dpi=80, format="png")
    make_folder(path.parent)
    write_bytes(path, picture.getvalue())


def draw_sample(axes: Axes3D, sample: Sample, robot: Robot) -> None:
    """Draw the obstacles as wires, the tool's way as a line, and the arm as a chain at start, middle and goal."""
    for body in (body for obstacle in sample.obstacles for body in bodies(obstacle)):
        for shape in body.shapes:
            matrix = (body.pose @ shape.pose).matrix
            outline, colour = _OUTLINES.get(type(shape), (_box, "0.6"))
            for line in outline(shape):
                axes.plot(*(matrix[:3, :3] @ line.T + matrix[:3, 3:]), color=colour, linewidth=0.6)
    tool = robot.link_pose(sample.waypoints, robot.end_link)[:, :3, 3]
    axes.plot(*tool.T, color="tab:red", linewidth=2)
    for q, colour in zip(sample.waypoints[[0, 32, -1]], ("tab:green", "0.3", "tab:blue"), strict=True):
        joints = robot.body_poses(q)[0, :, :3, 3]
        end = robot.link_pose(q, robot.end_link)[0]
        joints = np.vstack([np.zeros(3), joints, end[:3, 3], end[:3, 3] + 0.1 * end[:3, 2]])
        axes.plot(*joints.T, color=colour, linewidth=2.5, marker="o", markersize=2.5)
    axes.set_title(sample.family, fontsize=9)
    axes.set_xlim(-0.9, 0.9)
    axes.set_ylim(-0.9, 0.9)
    axes.set_zlim(-0.4, 1.2)
    axes.set_box_aspect((1.8, 1.8, 1.6))
    axes.tick_params(labelsize=5)


def _histogram(axes: Axes, name: str, values: Float) -> None:
    low, high = np.quantile(values, (0.0, 0.995))
    axes.hist(np.clip(values, low, high), bins=50, color="tab:blue")
    axes.set_title(name, fontsize=9)


def _box(shape: Shape) -> list[Float]:
    """Return polylines [k, 3] that outline the box around a shape, in its own frame; so do the next two for theirs."""
    (a, b, c), (x, y, z) = shape.surface().bounds
    rings = [np.array([[a, b, h], [x, b, h], [x, y, h], [a, y, h], [a, b, h]]) for h in (c, z)]
    return rings + [np.array([[u, v, c], [u, v, z]]) for u in (a, x) for v in (b, y)]


def _sphere(shape: Shape) -> list[Float]:
    circle = _circle(*shape.sizes)
    return [circle, circle[:, [0, 2, 1]], circle[:, [2, 0, 1]]]


def _round(shape: Shape) -> list[Float]:
    radius, height = shape.sizes
    circle, up = _circle(radius), np.array([0.0, 0.0, height / 2])
    return [circle + up, circle - up] + [np.stack([circle[i] - up, circle[i] + up]) for i in (0, 4, 8, 12)]


def _circle(radius: float) -> Float:
    angle = np.linspace(0, 2 * np.pi, 17)
    return radius * np.column_stack([np.cos(angle), np.sin(angle), 0 * angle])


_ROUND = "tab:orange"
_OUTLINES = {Sphere: (_sphere, _ROUND), Cylinder: (_round, _ROUND), Capsule: (_round, _ROUND)}
