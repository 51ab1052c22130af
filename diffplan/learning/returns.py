"""Measured returns of paths, to train the value on: how long a path takes at best, and how well it can be followed.

Each example is a group: a path of the training data and variations of it between the same ends, all as control points
like the planner's, each with its shortest traversal time (timing.py, TOPP-RA). Of every tenth group PyBullet follows
the timed paths too. A shard of returns belongs to a shard of paths, depends on the seed and its number only, and is
whole or absent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import h5py
import numpy as np

from diffplan.curves import spline
from diffplan.errors import InputError
from diffplan.formats.run_settings import claim_settings
from diffplan.geometry.pose import Float
from diffplan.learning.hdf5 import opened, sealed
from diffplan.learning.numbered_files import MakeFile, make_files
from diffplan.learning.shards import read_shard, shard_files
from diffplan.pybullet.execution import tracker
from diffplan.refinement import metric_inverse
from diffplan.robot.model import Robot
from diffplan.system.files import alone_in, remove_unfinished
from diffplan.timing import retime

FORMAT = "diffplan/returns@1"
_ARRAYS = ("control", "duration", "tracking")


@dataclass(frozen=True, kw_only=True)
class ReturnsConfig:
    """What to measure: `paths` of `robot` in the shards in `data`, each with `variations` between the same ends.

    Paths are splines of `horizon` control points; what is random comes from `seed`, and the files go into `out`.
    Every `track_every`-th path and its variations are followed in PyBullet. `bend` [rad] are the least and the largest
    amplitude of the smooth noise that bends a path, `rough` [rad] the largest of noise from control point to control
    point. `workers` (default: one for each CPU) of the `executor` measure, on which the returns do not depend (see
    `diffplan.system.jobs`).
    """

    data: Path
    out: Path
    robot: str = "panda"
    seed: int = 0
    horizon: int = 16
    paths: int = 12_000
    variations: int = 7
    track_every: int = 10
    bend: tuple[float, float] = (0.01, 1.0)
    rough: float = 0.03
    workers: int | None = None
    executor: str = "local"

    def __post_init__(self) -> None:
        for key in ("paths", "variations", "track_every", "workers"):
            if (value := getattr(self, key)) is not None and value < 1:
                raise InputError("not a positive number", key=key, value=value, allowed=">= 1")
        if self.horizon < spline.DEGREE + 1:
            raise InputError("too few control points", key="horizon", value=self.horizon, allowed=">= 4")
        if self.seed < 0:
            raise InputError("negative seed", key="seed", value=self.seed, allowed=">= 0")


@dataclass(frozen=True, kw_only=True, eq=False)
class Returns:
    """Measured paths in groups of a path and its variations: `control` [n, variations + 1, K, dof] float32 (rad or m).

    `duration` [n, variations + 1] is the shortest traversal time [s], `tracking` the largest error of a joint when
    PyBullet's position control follows the path [rad], NaN where that was not measured; `scene` names each group's
    scene. A group with a path that has no timing is left out.
    """

    control: np.ndarray
    duration: np.ndarray
    tracking: np.ndarray
    scene: tuple[str, ...]


def measure_returns(config: ReturnsConfig, *, show: bool = True) -> int:
    """Measure what is missing in `config.out`, so that a run that was stopped goes on; returns how many paths.

    Raises:
        InputError: if there are no shards of paths, the folder holds returns of other settings, or another command
            writes there.
        DiffplanError: if workers die.
    """
    files = shard_files(config.data)
    with alone_in(config.out):
        claim_settings(
            config.out / "returns.json", how_measured(config, len(files)), "this folder holds returns of other settings"
        )
        remove_unfinished(config.out)
        return make_files(
            partial(_maker, config, files),
            [config.out / f"returns-{i:05d}.h5" for i in range(len(files))],
            workers=config.workers,
            executor=config.executor,
            unit="paths",
            show=show,
        )


def read_returns(folder: Path) -> Returns:
    """Read all returns in a folder.

    Raises:
        InputError: if there are none, a file is unreadable, or they are not of this format.
    """
    parts = [_read(path) for path in sorted(folder.glob("returns-*.h5"))]
    if not parts:
        raise InputError("no returns here", file=folder, allowed="a folder made by `diffplan data returns`")
    if len({part.control.shape[1:] for part in parts}) > 1:
        raise InputError("files of returns that do not fit together", file=folder)
    return Returns(
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in _ARRAYS},
        scene=tuple(name for part in parts for name in part.scene),
    )


def vary(control: Float, robot: Robot, rng: np.random.Generator, config: ReturnsConfig) -> Float:
    """Return a path [K, dof] and variations of it [variations + 1, K, dof] with the same ends, within joint limits.

    Half of them are drawn towards the straight line, by any share; all are bent by smooth noise (the refiner's
    metric) of an amplitude drawn log-uniformly, and every other one is roughened.
    """
    n, dof = control.shape
    count = config.variations
    line = spline.straight(control[0], control[-1], n)
    kept = np.where(rng.random(count) < 0.5, rng.random(count), 1.0)
    least, largest = np.log(config.bend)
    amplitude = np.exp(rng.uniform(least, largest, count))
    rough = np.where(rng.random(count) < 0.5, rng.uniform(0.0, config.rough, count), 0.0)
    root = np.linalg.cholesky(metric_inverse(n) + 1e-9 * np.eye(n - 2))
    smooth, white = rng.standard_normal((2, count, n - 2, dof))
    varied = line + np.concatenate([np.ones(1), kept])[:, None, None] * (control - line)
    varied[1:, 1:-1] += (amplitude[:, None, None] * (root @ smooth) + rough[:, None, None] * white) / robot.metric
    return np.clip(varied, robot.lower, robot.upper)


def _maker(config: ReturnsConfig, files: list[Path]) -> MakeFile:
    robot = Robot.load(config.robot)

    def make(index: int) -> Iterator[int | bytes]:
        """Measure shard `index`; yields the number of paths after each group, in the end its file's content."""
        shard = read_shard(files[index])
        if shard.robot != robot.name or shard.joint_names != robot.joint_names:
            raise InputError("paths of another robot", file=files[index], value=shard.robot, allowed=robot.name)
        first, behind = (config.paths * i // len(files) for i in (index, index + 1))
        rng = np.random.default_rng([config.seed, index])
        rows = rng.permutation(len(shard.waypoints))[: behind - first]
        groups: list[tuple[Float, list[float], list[float], str]] = []
        with tracker(robot) as follow:
            for number, row in enumerate(rows, start=first):
                waypoints = shard.waypoints[row].astype(np.float64)
                control = spline.fit(waypoints if rng.random() < 0.5 else waypoints[::-1], config.horizon)
                paths = vary(np.clip(control, robot.lower, robot.upper), robot, rng, config)
                timed = [trajectory for path in paths if (trajectory := retime(path, robot)) is not None]
                if len(timed) < len(paths):
                    continue
                tracked = number % config.track_every == 0
                tracking = [float(follow(trajectory).max()) if tracked else np.nan for trajectory in timed]
                scene = f"{shard.seed}/{shard.index}/{shard.scene[row]}"
                groups.append((paths, [trajectory.duration for trajectory in timed], tracking, scene))
                yield len(groups) * len(paths)
        shape = (len(groups), config.variations + 1)
        yield returns_bytes(
            Returns(
                control=np.array([group[0] for group in groups], np.float32).reshape(*shape, config.horizon, robot.dof),
                duration=np.array([group[1] for group in groups], np.float32).reshape(shape),
                tracking=np.array([group[2] for group in groups], np.float32).reshape(shape),
                scene=tuple(group[3] for group in groups),
            )
        )

    return make


def how_measured(config: ReturnsConfig, shards: int) -> dict[str, object]:
    """Return what the bytes of a file of returns depend on, as `returns.json` keeps it."""
    wanted = {**asdict(config), "data": config.data.name, "shards": shards}
    return {key: value for key, value in wanted.items() if key not in ("out", "workers", "executor")}


def returns_bytes(returns: Returns) -> bytes:
    """Return the content of a file of returns; equal ones give equal bytes."""

    def fill(file: h5py.File) -> None:
        file.attrs["format"] = FORMAT
        for name in _ARRAYS:
            file.create_dataset(name, data=getattr(returns, name))
        file.create_dataset("scene", data=list(returns.scene), dtype=h5py.string_dtype(), shape=(len(returns.scene),))

    return sealed(fill)


def _read(path: Path) -> Returns:
    with opened(path, FORMAT, "a file of returns") as file:
        control, duration, tracking = (file.numbers(name, "f", 4 if name == "control" else 2) for name in _ARRAYS)
        found = Returns(control=control, duration=duration, tracking=tracking, scene=file.texts("scene"))
    groups = control.shape[:2]
    if duration.shape != groups or tracking.shape != groups or len(found.scene) != len(control):
        raise InputError(
            "arrays that do not fit together", file=path, allowed=f"{groups[0]} groups of {groups[1]} paths"
        )
    if not np.isfinite(control).all() or not np.isfinite(duration).all():
        raise InputError("numbers that are not finite", file=path)
    return found
