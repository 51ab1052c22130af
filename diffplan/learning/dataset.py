"""Training paths in memory: shards read, control points fitted once, scenes split into training and held-out."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from diffplan.curves.spline import fit, straight
from diffplan.errors import InputError
from diffplan.formats.obstacles import read_obstacles
from diffplan.learning.shards import read_shard, scene_obstacles, shard_files
from diffplan.robot.model import Robot
from diffplan.scene import Scene


@dataclass(frozen=True, kw_only=True, eq=False)
class Paths:
    """Paths as normalised control points `x` [n, K, dof] float32 with the index `scene_of` [n] of their scene."""

    x: Tensor
    scene_of: Tensor

    def __post_init__(self) -> None:
        if len(self.x) != len(self.scene_of):
            raise ValueError(f"{len(self.x)} paths but {len(self.scene_of)} scene indices")

    def __len__(self) -> int:
        return len(self.x)

    @property
    def std(self) -> float:
        """Root mean square by which the paths leave the straight line (normalised units), the ends left out."""
        line = straight(self.x[:, 0].numpy(), self.x[:, -1].numpy(), self.x.shape[1])
        return float(np.sqrt(np.mean((self.x.numpy() - line)[:, 1:-1] ** 2)))


def paths_from_waypoints(robot: Robot, waypoints: np.ndarray, scene_of: np.ndarray, horizon: int) -> Paths:
    """Fit `horizon` control points to waypoints [n, points, dof] (rad or m), ends exact, and normalise them.

    Raises:
        InputError: if a path leaves the joint limits or is not finite: then robot and data do not belong together.
    """
    low, high = waypoints.min((0, 1)), waypoints.max((0, 1))
    if not np.isfinite(waypoints).all() or (low < robot.lower - 1e-4).any() or (high > robot.upper + 1e-4).any():
        raise InputError(
            f"paths leave the joint limits of {robot.name}",
            value=[[round(float(a), 3), round(float(b), 3)] for a, b in zip(low, high, strict=True)],
            allowed=str(
                [[round(float(a), 3), round(float(b), 3)] for a, b in zip(robot.lower, robot.upper, strict=True)]
            ),
        )
    control = np.concatenate([fit(part, horizon) for part in np.array_split(waypoints, max(1, len(waypoints) // 4096))])
    x = robot.normalise(control).astype(np.float32)
    return Paths(x=torch.from_numpy(x), scene_of=torch.from_numpy(scene_of.astype(np.int64)))


def held_out_scenes(names: Sequence[str], share: float) -> np.ndarray:
    """Return which scenes [n] are kept for validation, by their names alone: more data never moves a scene."""
    return np.array([zlib.crc32(name.encode()) / 2**32 < share for name in names])


def split(paths: Paths, held_out: np.ndarray) -> tuple[Paths, Paths]:
    """Return the paths of training scenes and those of held-out ones.

    Raises:
        InputError: if either is empty.
    """
    kept_back = torch.from_numpy(held_out)[paths.scene_of]
    parts = [Paths(x=paths.x[rows], scene_of=paths.scene_of[rows]) for rows in (~kept_back, kept_back)]
    if not all(len(part) for part in parts):
        raise InputError("too few scenes to hold some out", value=len(held_out), allowed="about 50 scenes or more")
    return parts[0], parts[1]


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """Everything a training run reads: paths of training and held-out scenes, all scenes, and where it came from."""

    train: Paths
    validation: Paths
    scenes: tuple[Scene, ...]
    robot: Robot
    origin: dict[str, str | int | float]

    @property
    def digest(self) -> int:
        """A checksum of the training paths and their scene indices."""
        return zlib.crc32(self.train.scene_of.numpy().tobytes(), zlib.crc32(self.train.x.numpy().tobytes()))


def load_dataset(folder: Path, robot: Robot, *, horizon: int, held_out: float, shards: int = 0) -> Dataset:
    """Read the first `shards` shards of a folder (0: all); a share of the scenes is held out for validation.

    Raises:
        InputError: if there are not as many shards, one is unreadable, or they are not of this robot.
    """
    x, scene_of, scenes, names = [], [], [], []
    files = shard_files(folder)
    if shards > len(files):
        raise InputError(
            "not as many shards there", file=folder, key="shards", value=shards, allowed=f"<= {len(files)}"
        )
    files = files[: shards or None]
    seeds, versions = set(), set()
    for file in files:
        shard = read_shard(file)
        if shard.robot != robot.name or shard.joint_names != robot.joint_names:
            raise InputError("paths of another robot", file=file, key="robot", value=shard.robot, allowed=robot.name)
        if len(shard.waypoints):
            paths = paths_from_waypoints(robot, shard.waypoints, shard.scene + len(scenes), horizon)
            x.append(paths.x)
            scene_of.append(paths.scene_of)
        for number, entry in enumerate(scene_obstacles(shard, file)):
            name = f"{shard.seed}/{shard.index}/{number}"
            scenes.append(Scene(name=name, robot=robot.name, obstacles=read_obstacles(entry)))
            names.append(name)
        seeds.add(shard.seed)
        versions.add(str(shard.versions.get("diffplan", "unknown")))
    if not x:
        raise InputError("no paths in these shards", file=folder)
    paths = Paths(x=torch.cat(x), scene_of=torch.cat(scene_of))
    train, validation = split(paths, held_out_scenes(names, held_out))
    origin: dict[str, str | int | float] = {
        "shards": len(files),
        "data_seeds": ", ".join(map(str, sorted(seeds))),
        "data_versions": ", ".join(sorted(versions)),
        "data_std": round(paths.std, 4),
    }
    return Dataset(train=train, validation=validation, scenes=tuple(scenes), robot=robot, origin=origin)
