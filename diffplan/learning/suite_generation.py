"""Problem suites drawn from the scene families: hard problems, and problems of families seen or unseen in training.

Problem i of a suite depends on its kind, its seed and i only (and on the versions; only the proof, which RRT-Connect
nearly always gives within seconds, has a limit in time). Whatever the kind, the selection never looks at the prior.
"""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np

from diffplan.collision.cpu import CollisionModel, Obstacles
from diffplan.errors import InputError, did_you_mean
from diffplan.formats.robot_file import word_for_robot
from diffplan.formats.run_settings import claim_settings
from diffplan.learning.families import FAMILIES, HELD_OUT, TIGHT, draw_scene
from diffplan.learning.generate import versions
from diffplan.learning.layout import DrawnScene, obstacle_record
from diffplan.learning.numbered_files import MakeFile, make_files
from diffplan.learning.problems import KINDS, Clearances, DrawnProblem, draw_endpoints, draw_problem
from diffplan.learning.workspace import Workspace
from diffplan.problem import Problem
from diffplan.robot.model import Robot
from diffplan.strict.strict_json import read_object
from diffplan.system.files import alone_in, remove_unfinished, write_bytes

PROOF_TIME = 20.0
"""How long [s] RRT-Connect may take to prove by a certified plan that a problem can be solved."""
_PROOF_TREE = 10_000  # iterations: pairs without any way between them, which are many, are given up in half a second
_ENDS, _PAIRS = 8, 6  # of a scene
_DIGITS = 4  # of joint values: 0.1 mm at an arm's length


@dataclass(frozen=True, kw_only=True)
class SuiteKind:
    """What a kind of suite is made of.

    Problem i belongs to the family `families[i % len(families)]` and joins a pair of ends of one of `pairs` (see
    `learning.problems.KINDS`) that a straight line does not; none of `random_seeds` smooth random curves is clear
    of collision once refined.
    """

    families: tuple[str, ...]
    pairs: tuple[str, ...]
    random_seeds: int


def _mostly_tight() -> tuple[str, ...]:
    """Return families in turn: each tight one three times, each other one once."""
    others = [name for name in FAMILIES if name not in TIGHT]
    return tuple(name for i in range(3) for name in (*TIGHT, *others[i::3]))


SUITE_KINDS: dict[str, SuiteKind] = {
    "hard": SuiteKind(families=_mostly_tight(), pairs=("place-place",), random_seeds=16),
    "seen": SuiteKind(families=tuple(FAMILIES), pairs=("place-place", "place-anywhere"), random_seeds=0),
    "unseen": SuiteKind(families=tuple(HELD_OUT), pairs=("place-place", "place-anywhere"), random_seeds=0),
}


@dataclass(frozen=True, kw_only=True)
class SuiteConfig:
    """What suite to make: `count` problems of a `kind` in `SUITE_KINDS` for `robot`, from `seed`, into the file `out`.

    The file is `.json` or `.json.gz`.
    `families` are some of the kind's, to take turns instead of all of them. `workers` (default: one for each CPU) of
    the `executor` look for problems, on which the suite does not depend (see `diffplan.system.jobs`).
    """

    out: Path
    kind: str
    count: int
    seed: int
    families: tuple[str, ...] = ()
    robot: str = "panda"
    workers: int | None = None
    executor: str = "local"

    def __post_init__(self) -> None:
        if self.kind not in SUITE_KINDS:
            raise InputError("no such kind of suite", key="kind", value=self.kind, allowed=list(SUITE_KINDS))
        for family in self.families:
            if family not in SUITE_KINDS[self.kind].families:
                known = list(dict.fromkeys(SUITE_KINDS[self.kind].families))
                problem = f"no such family of kind {self.kind!r}{did_you_mean(family, known)}"
                raise InputError(problem, key="families", value=family, allowed=known)
        for key in ("count", "workers"):
            if (value := getattr(self, key)) is not None and value < 1:
                raise InputError("not a positive number", key=key, value=value, allowed=">= 1")
        if self.seed < 1:
            allowed = ">= 1 (the training data have seed 0)"
            raise InputError("not a seed for suites", key="seed", value=self.seed, allowed=allowed)
        if not self.out.name.endswith((".json", ".json.gz")):
            raise InputError("not the name of a suite", key="out", value=str(self.out), allowed="*.json, *.json.gz")

    @property
    def turns(self) -> tuple[str, ...]:
        """The families in turn: problem i belongs to `turns[i % len(turns)]`."""
        return self.families or SUITE_KINDS[self.kind].families

    @property
    def parts(self) -> Path:
        """The folder beside the suite that keeps the problems found so far."""
        return self.out.with_name(self.out.name + ".parts")

    def part(self, index: int) -> Path:
        """Return the file of problem `index` in that folder."""
        return self.parts / f"{index:05d}.json"


def make_suite(config: SuiteConfig, *, show: bool = True) -> None:
    """Write a suite; problems found by a run that broke off are kept, so the same command goes on.

    Raises:
        InputError: if the suite is there already, the problems kept beside it were made in another way, or another
            command makes them.
        DiffplanError: if workers die.
    """
    if config.out.exists():
        raise InputError("this suite is there already", file=config.out, allowed="a new file")
    with alone_in(config.parts):
        first = {"families": list(SUITE_KINDS[config.kind].families), "proof": {"iterations": 40_000, "seconds": 60.0}}
        claim_settings(config.parts / "made.json", how_made(config), "made in another way", earlier=first)
        remove_unfinished(config.parts)
        make_files(
            partial(_maker, config),
            [config.part(i) for i in range(config.count)],
            workers=config.workers,
            executor=config.executor,
            name="problems",
            unit="scenes drawn",
            show=show,
        )
        _assemble(config)
        shutil.rmtree(config.parts)


class SuiteMaker:
    """Makes problems of a suite."""

    def __init__(self, config: SuiteConfig) -> None:
        """Load and pack the robot, once for all problems."""
        self.config = config
        self.recipe = SUITE_KINDS[config.kind]
        self.model = CollisionModel(Robot.load(config.robot))
        self.workspace = Workspace.of(self.model.robot)

    def attempts(self, index: int) -> Iterator[dict[str, object] | None]:
        """Yield None for each scene that holds no such problem, and in the end problem `index` as suites spell it."""
        family = self.config.turns[index % len(self.config.turns)]
        for attempt in count():
            rng = np.random.default_rng([self.config.seed, index, attempt, list(SUITE_KINDS).index(self.config.kind)])
            drawn = draw_scene(family, rng, self.workspace)
            pair = self._pair(drawn, rng)
            if pair is not None:
                yield {
                    "id": f"{family}/{index}",
                    "start": pair.start.tolist(),
                    "goals": pair.goals.tolist(),
                    "obstacles": [obstacle_record(obstacle) for obstacle in drawn.obstacles],
                }
                return
            yield None

    def _pair(self, drawn: DrawnScene, rng: np.random.Generator) -> Problem | None:
        """Return the first of a few random pairs of ends in a scene that passes every test, cheapest test first."""
        world = Obstacles.pack([drawn.scene])
        ends = draw_endpoints(self.model, world, drawn, rng, wanted=_ENDS, clear=Clearances())
        for _ in range(_PAIRS):
            pair = draw_problem(self.model.robot, ends, rng)
            seed = int(rng.integers(2**31))
            if pair is None or KINDS[pair.kind] not in self.recipe.pairs:
                continue
            problem = self._problem(drawn, pair)
            if (
                not self.model.edge_free(world, problem.start, problem.goals[0])
                and beyond_random_seeds(self.model, world, problem, number=self.recipe.random_seeds, seed=seed)
                and solvable(self.model, world, problem, seed=seed)
                and beyond_random_plans(problem, number=self.recipe.random_seeds, seed=seed)
            ):
                return problem
        return None

    def _problem(self, drawn: DrawnScene, pair: DrawnProblem) -> Problem:
        """Return a pair as a problem between rounded joint values, which are shorter to write."""
        robot = self.model.robot
        start, goal = (np.clip(np.round(q, _DIGITS), robot.lower, robot.upper) for q in (pair.start, pair.goal))
        return Problem(robot=robot, scene=drawn.scene, start=start, goals=goal[None], name=drawn.family)


def beyond_random_seeds(model: CollisionModel, world: Obstacles, problem: Problem, *, number: int, seed: int) -> bool:
    """Whether none of `number` smooth random curves is clear by 2 mm once refined; a quarter of them is tried first."""
    if number == 0:
        return True
    import torch

    from diffplan.planners.diffusion import DiffusionConfig, DiffusionPlanner
    from diffplan.refinement import RefineConfig, Refiner

    refiner = Refiner(model, world, RefineConfig(clearance=0.002, stop_share=1 / number))
    planner, goals = DiffusionPlanner(DiffusionConfig(seeds="random")), np.repeat(problem.goals, number, axis=0)
    curves = planner.sample(problem, refiner, goals, torch.Generator().manual_seed(seed))
    first = np.arange(number) % 4 == 0
    return not any(refiner.push(some).clear.any() for some in (curves[first], curves[~first]) if len(some))


def beyond_random_plans(problem: Problem, *, number: int, seed: int) -> bool:
    """Whether one round of `number` refined random curves gives no certified plan.

    Where spheres touch that the links do not, curves that are not clear by the spheres may be certified.
    """
    if number == 0:
        return True
    from diffplan.planners.diffusion import DiffusionConfig, DiffusionPlanner
    from diffplan.planning import solve

    config = DiffusionConfig(seeds="random", batch=number, largest_batch=number, rounds=1, repair=False)
    planner = DiffusionPlanner(config)
    return not solve(problem, planner=planner, seed=seed, timeout=PROOF_TIME, fallback=False).solved


def solvable(model: CollisionModel, world: Obstacles, problem: Problem, *, seed: int) -> bool:
    """Whether a tree of many iterations joins start and goal, and RRT-Connect then finds a plan that is certified."""
    from diffplan.planners.trees import Checker, TreeConfig, rrt_connect
    from diffplan.planning import solve

    checker = Checker(model=model, world=world, margin=0.005, self_margin=0.002)
    tree = TreeConfig(iterations=_PROOF_TREE, simplify=False)
    if rrt_connect(checker, problem.start, problem.goals, seed=seed, config=tree) is None:
        return False
    return solve(problem, planner="rrtconnect", timeout=PROOF_TIME).solved


def _maker(config: SuiteConfig) -> MakeFile:
    """Return what makes problem i: counts the scenes drawn for it, and then tells it as JSON."""
    maker = SuiteMaker(config)

    def make(index: int) -> Iterator[int | bytes]:
        for drawn, problem in enumerate(maker.attempts(index), start=1):
            yield drawn
            if problem is not None:
                yield json.dumps(problem).encode()

    return make


def how_made(config: SuiteConfig) -> dict[str, object]:
    """Return what a problem of the suite depends on, as `made.json` keeps it."""
    return {
        "kind": config.kind,
        "families": list(config.turns),
        "seed": config.seed,
        "robot": config.robot,
        "proof": {"iterations": _PROOF_TREE, "seconds": PROOF_TIME, "random_plans": 1},
        "versions": versions(config.robot),
    }


def _assemble(config: SuiteConfig) -> None:
    """Write the suite from its parts; equal problems make equal bytes."""
    robot, recipe = Robot.load(config.robot), SUITE_KINDS[config.kind]
    beyond = f", none of {recipe.random_seeds} refined smooth random seeds clear" if recipe.random_seeds else ""
    command = f"diffplan data problems --kind {config.kind} --count {config.count} --seed {config.seed}"
    command += f" --families {','.join(config.families)}" if config.families else ""
    command += f" --robot {config.robot}" if config.robot != SuiteConfig.robot else ""
    document = {
        "format": "diffplan/problems@1",
        "name": config.kind,
        "description": f"{' or '.join(recipe.pairs)}, straight line blocked{beyond}, solved by RRT-Connect: {command}",
        "robot": word_for_robot(robot.name, robot.file, config.out.parent),
        "joint_names": list(robot.joint_names),
        "fixed_joints": robot.held_joints,
        "problems": [read_object(config.part(i)) for i in range(config.count)],
    }
    text = json.dumps(document, separators=(",", ":")).encode()
    write_bytes(config.out, gzip.compress(text, 9, mtime=0) if config.out.suffix == ".gz" else text)
