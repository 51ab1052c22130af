"""Generate training data: scenes, problems and tight collision-free paths, in worker processes.

Shard i depends on the config's seed, i and the versions only: every loop is limited by counts, never by time.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from diffplan.errors import InputError
from diffplan.formats.run_settings import claim_settings
from diffplan.learning.numbered_files import MakeFile, make_files
from diffplan.learning.shards import Shard, shard_bytes, shard_path
from diffplan.system.files import alone_in, remove_unfinished

if TYPE_CHECKING:
    from diffplan.collision.cpu import CollisionModel, Obstacles
    from diffplan.geometry.pose import Float
    from diffplan.learning.layout import DrawnScene
    from diffplan.learning.problems import DrawnProblem

WAYPOINTS = 64


@dataclass(frozen=True, kw_only=True)
class PathConfig:
    """How one path is made: `trees` grown per problem, the longest edge `reach` [rad] and `iterations` of each, and
    `shortcuts` tried on its path.

    A path at most `good_enough` times the straight line ends the search; otherwise the shortest of all trees is kept. A
    share `several` of problems gets twice as many trees, and keeps as a second path the shortest one that goes another
    way (at some part of its length more than `apart` [rad] from the first) and is at most `detour` times as long.
    `margin` [m] is the clearance of spheres to obstacles for the tree and the shortcuts, `final_margin` [m] that of the
    stored waypoints, `self_margin` [m] that of the arm's own links for both.
    """

    trees: int = 2
    reach: float = 1.5
    iterations: int = 1500
    shortcuts: int = 80
    good_enough: float = 1.1
    several: float = 0.25
    apart: float = 0.6
    detour: float = 1.4
    margin: float = 0.008
    final_margin: float = 0.005
    self_margin: float = 0.004


@dataclass(frozen=True, kw_only=True)
class GenerateConfig:
    """What to generate: paths of `robot`, made as `path` says, from `seed`, into the folder `out`.

    `scenes` in all, rounded up to whole shards of `scenes_per_shard`, each with up to `problems_per_scene`
    trajectories; `keep_straight` is the share kept of problems that the straight line solves. `workers` (default: one
    for each CPU) of the `executor` make them, on which the data do not depend (see `diffplan.system.jobs`).
    """

    out: Path
    robot: str = "panda"
    seed: int = 0
    scenes: int = 10_000
    scenes_per_shard: int = 50
    problems_per_scene: int = 5
    keep_straight: float = 0.35
    workers: int | None = None
    executor: str = "local"
    path: PathConfig = field(default_factory=PathConfig)

    def __post_init__(self) -> None:
        for name in ("scenes", "scenes_per_shard", "problems_per_scene", "workers"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise InputError("not a positive number", key=name, value=value, allowed=">= 1")
        if not 0 <= self.keep_straight <= 1:
            raise InputError("not a share", key="keep_straight", value=self.keep_straight, allowed="0 to 1")
        if self.seed < 0:
            raise InputError("negative seed", key="seed", value=self.seed, allowed=">= 0")

    @property
    def shards(self) -> int:
        """Number of shards."""
        return -(-self.scenes // self.scenes_per_shard)


@dataclass(frozen=True, kw_only=True)
class Generated:
    """What a run did: shards in the folder, trajectories made by this run, and its wall time [s]."""

    shards: int
    trajectories: int
    seconds: float


def generate(config: GenerateConfig, *, show: bool = True) -> Generated:
    """Make the missing shards of a data set; shards that are there are kept, so a broken-off run goes on.

    Raises:
        InputError: if the folder holds data of another config or other versions, or another command writes there.
        DiffplanError: if workers die.
    """
    began = time.perf_counter()
    with alone_in(config.out):
        claim_settings(config.out / "dataset.json", how_made(config), "this folder holds data made in another way")
        remove_unfinished(config.out)
        made = make_files(
            partial(_maker, config),
            [shard_path(config.out, i) for i in range(config.shards)],
            workers=config.workers,
            executor=config.executor,
            unit="trajectories",
            show=show,
        )
    return Generated(shards=config.shards, trajectories=made, seconds=time.perf_counter() - began)


def versions(robot: str) -> dict[str, str]:
    """Return what the data depend on: package versions, and a hash of the robot's file and collision model."""
    from diffplan.formats.robot_file import robot_path

    file = robot_path(robot)
    text = b"".join(path.read_bytes() for path in sorted(file.parent.glob("*.yaml")))
    names = ("diffplan", "numpy", "numba", "ompl")
    return {name: version(name) for name in names} | {"generator": "3", "robot": sha256(text).hexdigest()[:16]}


def how_made(config: GenerateConfig) -> dict[str, object]:
    """Return what the bytes of a shard depend on, as `dataset.json` keeps it."""
    wanted = asdict(config) | {"versions": versions(config.robot)}
    return {key: value for key, value in wanted.items() if key not in ("out", "workers", "executor", "scenes")}


def _maker(config: GenerateConfig) -> MakeFile:
    return ShardMaker(config).make


class ShardMaker:
    """Makes shards of a config."""

    def __init__(self, config: GenerateConfig) -> None:
        """Load and pack the robot, once for all shards."""
        from diffplan.collision.cpu import CollisionModel
        from diffplan.learning.workspace import Workspace
        from diffplan.robot.model import Robot

        self.config = config
        self.model = CollisionModel(Robot.load(config.robot))
        self.workspace = Workspace.of(self.model.robot)
        self.versions = versions(config.robot)

    def make(self, index: int) -> Iterator[int | bytes]:
        """Make shard `index`; yields how many trajectories it has after each scene, in the end its file's content."""
        from diffplan.learning.families import FAMILIES, draw_scene
        from diffplan.learning.layout import obstacle_record

        families = list(FAMILIES)
        waypoints: list[Float] = []
        scene_of: list[int] = []
        kinds: list[int] = []
        clearances: list[float] = []
        names: list[str] = []
        records: list[str] = []
        first = index * self.config.scenes_per_shard
        for number in range(first, first + self.config.scenes_per_shard):
            rng = np.random.default_rng([self.config.seed, number])
            drawn = draw_scene(families[number % len(families)], rng, self.workspace)
            solved = self._scene_paths(drawn, rng)
            if not solved:
                continue
            for problem, path, clearance in solved:
                waypoints.append(path)
                scene_of.append(len(names))
                kinds.append(problem.kind)
                clearances.append(clearance)
            names.append(drawn.family)
            records.append(json.dumps([obstacle_record(o) for o in drawn.obstacles]))
            yield len(waypoints)
        robot = self.model.robot
        yield shard_bytes(
            Shard(
                seed=self.config.seed,
                index=index,
                robot=robot.name,
                joint_names=robot.joint_names,
                versions=self.versions,
                waypoints=np.array(waypoints, dtype=np.float32).reshape(-1, WAYPOINTS, robot.dof),
                scene=np.array(scene_of, dtype=np.int32),
                kind=np.array(kinds, dtype=np.int8),
                clearance=np.array(clearances, dtype=np.float32),
                family=tuple(names),
                obstacles=tuple(records),
            )
        )

    def _scene_paths(self, drawn: DrawnScene, rng: np.random.Generator) -> list[tuple[DrawnProblem, Float, float]]:
        """Return up to `problems_per_scene` problems with their paths [64, dof] and clearances [m]."""
        from diffplan.collision.cpu import Obstacles
        from diffplan.learning.problems import Clearances, draw_endpoints, draw_problem

        wanted, margins = self.config.problems_per_scene, self.config.path
        world = Obstacles.pack([drawn.scene])
        clear = Clearances(obstacle=margins.margin, self=margins.self_margin)
        endpoints = draw_endpoints(self.model, world, drawn, rng, wanted=wanted + 3, clear=clear)
        solved: list[tuple[DrawnProblem, Float, float]] = []
        for _ in range(2 * wanted):
            problem = draw_problem(self.model.robot, endpoints, rng)
            if problem is None:
                continue
            for path in solve(self.model, world, problem, rng, config=margins, keep_straight=self.config.keep_straight):
                obstacle, _ = self.model.clearance(world, path, cap=0.1)
                solved.append((problem, path, float(obstacle.min())))
            if len(solved) >= wanted:
                break
        return solved


def solve(
    model: CollisionModel,
    world: Obstacles,
    problem: DrawnProblem,
    rng: np.random.Generator,
    *,
    config: PathConfig,
    keep_straight: float = 1.0,
) -> list[Float]:
    """Return one or two short paths [64, dof], shortest first, that solve a problem in one scene.

    Empty if no tree finds one, or if the problem is left out because the straight line solves it.
    """
    from diffplan.learning.tighten import tighten
    from diffplan.planners.polyline import length, resample, shortcut
    from diffplan.planners.trees import Checker, TreeConfig, rrt_connect

    metric = model.robot.metric
    checker = Checker(model=model, world=world, margin=config.margin, self_margin=config.self_margin)
    stored = Checker(model=model, world=world, margin=config.final_margin, self_margin=config.self_margin)
    seed = int(rng.integers(2**31 - 2))
    if checker.edge_free(problem.start, problem.goal):
        keep = rng.random() < keep_straight
        return [resample(np.stack([problem.start, problem.goal]), WAYPOINTS, metric)] if keep else []
    several = rng.random() < config.several
    tree = TreeConfig(range=config.reach, iterations=config.iterations, simplify=False)
    line = float(model.robot.distance(problem.start, problem.goal))
    paths: list[Float] = []
    for i in range(2 * config.trees if several else config.trees):
        polyline = rrt_connect(checker, problem.start, problem.goal[None], seed=seed + i, config=tree)
        if polyline is None:
            break
        polyline = shortcut(polyline, checker.edge_free, rng, attempts=config.shortcuts, metric=metric)
        path = tighten(model, world, resample(polyline, WAYPOINTS, metric), stored.path_free)
        if stored.path_free(path):
            paths.append(path)
        if not several and paths and length(paths[-1], metric) <= config.good_enough * line:
            break
    paths.sort(key=partial(length, metric=metric))
    others = [path for path in paths[1:] if _another_way(paths[0], path, config, metric)] if several else []
    return paths[:1] + others[:1]


def _another_way(shortest: Float, path: Float, config: PathConfig, metric: Float) -> bool:
    from diffplan.planners.polyline import length, resample

    a, b = resample(shortest, WAYPOINTS, metric), resample(path, WAYPOINTS, metric)
    apart = np.linalg.norm((a - b) * metric, axis=1).max()
    return bool(apart > config.apart and length(path, metric) <= config.detour * length(shortest, metric))
