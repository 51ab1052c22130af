"""What a planner is given: a problem, packed once, and from which seed, until when and from which motion to look."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from diffplan.collision.cpu import CollisionModel
from diffplan.collision.obstacles import Obstacles
from diffplan.keeping import Keeper
from diffplan.problem import Problem, Trajectory
from diffplan.robot.model import Robot
from diffplan.system.computed import computed
from diffplan.system.kept import Kept

_models: Kept[CollisionModel] = Kept(64 << 20)


@dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """A problem with its obstacles packed, and how to look for paths; made once a solve.

    `deadline` is in s of `time.perf_counter`. `previous` is a motion that may nearly do (its ends may differ from the
    problem's), for planners that reuse plans. `alternatives` is how many ways are wanted beside the best one.
    """

    problem: Problem
    world: Obstacles
    seed: int = 0
    deadline: float = math.inf
    previous: Trajectory | None = None
    alternatives: int = 0

    @staticmethod
    def of(
        problem: Problem,
        *,
        seed: int = 0,
        deadline: float = math.inf,
        previous: Trajectory | None = None,
        alternatives: int = 0,
    ) -> Task:
        """Return the task with the problem's scene packed as its files are now.

        Raises:
            InputError: if a mesh or URDF file cannot be read.
        """
        world = Obstacles.around(problem.robot, problem.scene)
        return Task(
            problem=problem, world=world, seed=seed, deadline=deadline, previous=previous, alternatives=alternatives
        )

    @computed
    def model(self) -> CollisionModel:
        """The robot's collision model."""
        return packed(self.problem.robot)

    @computed
    def keeper(self) -> Keeper:
        """The problem's constraints on configurations; false if there are none."""
        return Keeper(self.model, self.problem.scene.robot_base, self.problem.constraints)

    def rng(self) -> np.random.Generator:
        """Return a new generator of random numbers; its numbers depend on the seed only."""
        return np.random.default_rng(self.seed)


def packed(robot: Robot) -> CollisionModel:
    """Return a robot's collision model, kept by what the robot is and holds, its windows, and how its fingers stand."""
    holds = tuple(body.key for body in robot.attached), robot.allowed
    key = robot.fingerprint, holds, robot.lower.tobytes(), tuple(sorted(robot.still_joints.items()))
    return _models.get(key, lambda: CollisionModel(robot), _bytes)


def _bytes(model: CollisionModel) -> int:
    return sum(array.nbytes for arrays in (model.arrays, model.double) for array in arrays if hasattr(array, "nbytes"))
