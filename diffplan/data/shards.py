"""The file format of training data: HDF5 shards of trajectories and the scenes they stand in.

A shard is written under a `.partial` name and renamed when complete, so a file `shard-*.h5` is always whole.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from diffplan.errors import InputError

FORMAT = "diffplan/trajectories@1"


@dataclass(frozen=True, kw_only=True, eq=False)
class Shard:
    """Trajectories and scenes of one file.

    `waypoints` [n, 64, dof] float32 (rad or m, uniform in arc length, first start, last goal), `scene` [n] indexes
    `obstacles` (JSON lists of scene-file obstacles, robot base frame) and `family`; `kind` [n] indexes
    `problems.KINDS`; `clearance` [n] is the least sphere-model
    clearance to obstacles at the waypoints [m], at most 0.1.
    """

    seed: int
    index: int
    robot: str
    joint_names: tuple[str, ...]
    versions: dict[str, str]
    waypoints: np.ndarray
    scene: np.ndarray
    kind: np.ndarray
    clearance: np.ndarray
    family: tuple[str, ...]
    obstacles: tuple[str, ...]


def shard_path(folder: Path, index: int) -> Path:
    """Return the file of shard `index`."""
    return folder / f"shard-{index:05d}.h5"


def shard_files(folder: Path) -> list[Path]:
    """Return the complete shards in a folder, in order.

    Raises:
        InputError: if there are none.
    """
    files = sorted(folder.glob("shard-*.h5"))
    if not files:
        raise InputError("no complete shards here", file=folder, allowed="a folder made by `diffplan data generate`")
    return files


def write_shard(shard: Shard, folder: Path) -> Path:
    """Write a shard whole or not at all; returns its file."""
    path = shard_path(folder, shard.index)
    partial = path.with_suffix(".partial")
    text = h5py.string_dtype(encoding="utf-8")
    with h5py.File(partial, "w") as file:
        file.attrs["format"] = FORMAT
        file.attrs["seed"], file.attrs["shard"] = shard.seed, shard.index
        file.attrs["robot"], file.attrs["joint_names"] = shard.robot, list(shard.joint_names)
        file.attrs["versions"] = json.dumps(shard.versions, sort_keys=True)
        for name in ("waypoints", "scene", "kind", "clearance"):
            file.create_dataset(name, data=getattr(shard, name))
        file.create_dataset("family", data=list(shard.family), dtype=text, shape=(len(shard.family),))
        file.create_dataset(
            "obstacles", data=list(shard.obstacles), dtype=text, shape=(len(shard.obstacles),), compression="gzip"
        )
    with open(partial, "rb+") as file:
        os.fsync(file.fileno())
    os.replace(partial, path)
    return path


def read_shard(path: Path) -> Shard:
    """Read a shard.

    Raises:
        InputError: if the file is not a shard of this format.
    """
    try:
        with h5py.File(path, "r") as file:
            if file.attrs.get("format") != FORMAT:
                raise InputError(
                    "not a shard of trajectories", file=path, value=file.attrs.get("format"), allowed=FORMAT
                )
            return Shard(
                seed=int(str(file.attrs["seed"])),
                index=int(str(file.attrs["shard"])),
                robot=str(file.attrs["robot"]),
                joint_names=tuple(str(name) for name in np.asarray(file.attrs["joint_names"])),
                versions=json.loads(str(file.attrs["versions"])),
                waypoints=np.asarray(file["waypoints"]),
                scene=np.asarray(file["scene"]),
                kind=np.asarray(file["kind"]),
                clearance=np.asarray(file["clearance"]),
                family=_texts(file, "family"),
                obstacles=_texts(file, "obstacles"),
            )
    except OSError as error:
        raise InputError(f"not readable as HDF5: {error}", file=path) from error


def _texts(file: h5py.File, name: str) -> tuple[str, ...]:
    dataset = file[name]
    assert isinstance(dataset, h5py.Dataset)
    return tuple(value.decode() for value in dataset[()])
