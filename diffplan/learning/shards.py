"""The file format of training data: HDF5 shards of trajectories and the scenes they stand in.

A file `shard-*.h5` is always whole.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np

from diffplan.errors import InputError
from diffplan.learning.hdf5 import opened, sealed
from diffplan.learning.problems import KINDS
from diffplan.strict.entry import Entry
from diffplan.strict.keys import Key, Keys
from diffplan.strict.strict_json import parse_json
from diffplan.system.files import write_bytes

FORMAT = "diffplan/trajectories@1"
ATTRIBUTES = Keys(
    format=Key(kind="text", about="the format and its version", example=FORMAT),
    seed=Key(kind="whole number", about="the random seed", example="0"),
    shard=Key(kind="whole number", about="the number of this file", example="12"),
    robot=Key(kind="text", about="the robot's name, or the path of its file", example="panda"),
    joint_names=Key(kind="texts", about="the joints, in the order of the waypoints", example="panda_joint1, ..."),
    versions=Key(kind="JSON", about="versions of packages", example='{"numpy": "2.3.0"}'),
)
DATASETS = Keys(
    waypoints=Key(
        kind="float32 [n, 64, dof]", about="paths, uniform in arc length", unit="rad or m", example="[[[0, ...]]]"
    ),
    scene=Key(kind="integers [n]", about="which scene each path is in", example="[0, 0, 1]"),
    kind=Key(kind="integers [n]", about="kind of each problem", example="[0, 1, 0]"),
    clearance=Key(
        kind="numbers [n]", about="least clearance of the sphere model, at most 0.1", unit="m", example="[0.03]"
    ),
    family=Key(kind="texts [scenes]", about="family of each scene", example="bookshelf"),
    obstacles=Key(
        kind="JSON texts [scenes]", about="obstacles as in a scene file, in the robot's base frame", example="[...]"
    ),
)


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
    write_bytes(path, shard_bytes(shard))
    return path


def shard_bytes(shard: Shard) -> bytes:
    """Return the content of a shard's file; equal shards give equal bytes."""
    text = h5py.string_dtype(encoding="utf-8")

    def fill(file: h5py.File) -> None:
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

    return sealed(fill)


def read_shard(path: Path) -> Shard:
    """Read a shard.

    Raises:
        InputError: if the file is not a shard of this format, or what is in it does not fit together.
    """
    with opened(path, FORMAT, "a shard of trajectories") as file:
        versions = parse_json(file.text("versions"), path).mapping()
        shard = Shard(
            seed=file.whole("seed"),
            index=file.whole("shard"),
            robot=file.text("robot"),
            joint_names=file.texts("joint_names"),
            versions={name: version.text() for name, version in versions.items()},
            waypoints=file.numbers("waypoints", "f", 3),
            scene=file.numbers("scene", "i", 1),
            kind=file.numbers("kind", "i", 1),
            clearance=file.numbers("clearance", "f", 1),
            family=file.texts("family"),
            obstacles=file.texts("obstacles"),
        )
    _check(shard, path)
    return shard


def scene_obstacles(shard: Shard, path: Path) -> list[Entry]:
    """Return the list of obstacles of each scene of a shard, which was read from `path`.

    Raises:
        InputError: if one is no JSON.
    """
    entries = []
    for number, text in enumerate(shard.obstacles):
        entries.append(replace(parse_json(text, path), key=f"obstacles[{number}]"))
    return entries


def _check(shard: Shard, path: Path) -> None:
    """Make sure that the arrays of a shard fit together."""
    paths, points, dof = shard.waypoints.shape
    if dof != len(shard.joint_names) or points < 2:
        allowed = f"2 or more points of {len(shard.joint_names)} joints"
        raise InputError("not such paths", file=path, key="waypoints", value=shard.waypoints.shape, allowed=allowed)
    for key in ("scene", "kind", "clearance"):
        if len(getattr(shard, key)) != paths:
            found = len(getattr(shard, key))
            raise InputError("not one for each path", file=path, key=key, value=found, allowed=f"{paths}")
    if len(shard.family) != len(shard.obstacles):
        allowed = f"{len(shard.obstacles)}"
        raise InputError("not one for each scene", file=path, key="family", value=len(shard.family), allowed=allowed)
    for key, count in (("scene", len(shard.obstacles)), ("kind", len(KINDS))):
        values = getattr(shard, key)
        if paths and not (values.min() >= 0 and values.max() < count):
            raise InputError("an index of what is not there", file=path, key=key, allowed=f"0 to {count - 1}")
    for key in ("waypoints", "clearance"):
        if not np.isfinite(getattr(shard, key)).all():
            raise InputError("numbers that are not finite", file=path, key=key)
