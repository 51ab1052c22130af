"""Training paths of many arms, for the common prior: each arm with its own scenes, some arms left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from diffplan.collision.cpu import CollisionModel, Obstacles
from diffplan.curves.spline import straight
from diffplan.errors import InputError
from diffplan.geometry.pose import Float
from diffplan.learning.config import CommonConfig
from diffplan.learning.dataset import Dataset, Paths, load_dataset
from diffplan.prior.arm import Arm
from diffplan.prior.channels import Sight
from diffplan.prior.familiarity import problem_features
from diffplan.prior.tokens import SceneTokens
from diffplan.robot.model import Robot
from diffplan.strict.strict_json import read_object


@dataclass(frozen=True, kw_only=True, eq=False)
class ArmData:
    """The paths of one arm with their scenes, packed; `trained` is false for an arm that is left out of training.

    `dataset` holds the paths normalised by the arm's limits; `tokens` are those of its scenes, in its units.
    """

    arm: Arm
    world: Obstacles
    tokens: SceneTokens | None
    dataset: Dataset
    trained: bool

    @staticmethod
    def of(dataset: Dataset, *, tokens: bool, trained: bool) -> ArmData:
        """Pack the scenes of an arm's paths."""
        arm, world = Arm(CollisionModel(dataset.robot)), Obstacles.pack(dataset.scenes)
        own = SceneTokens.describe(world).in_units(arm.length, arm.height) if tokens else None
        return ArmData(arm=arm, world=world, tokens=own, dataset=dataset, trained=trained)

    @property
    def name(self) -> str:
        """The robot's name."""
        return self.dataset.robot.name

    def deviations(self, paths: Paths) -> tuple[Float, Float]:
        """Return paths as straight lines [b, K, dof] (rad or m) and deviations from them [b, K, dof] (in units)."""
        control = self.dataset.robot.denormalise(paths.x.numpy().astype(np.float64))
        line = straight(control[:, 0], control[:, -1], control.shape[1])
        return line, (control - line) / self.arm.unit

    def problems(self, most: int) -> tuple[Float, Float]:
        """Return `problem_features` [n, OF_PROBLEM] of as many problems: trained on, and in held-out scenes."""

        def of(paths: Paths) -> Float:
            first = Paths(x=paths.x[:most], scene_of=paths.scene_of[:most])
            return problem_features(self.arm, self.world, self.deviations(first)[0], first.scene_of.numpy())

        return of(self.dataset.train), of(self.dataset.validation)

    def sight(self, line: Float, paths: Paths) -> Sight:
        """Return what the network sees of paths about straight lines [b, K, dof]."""
        return Sight(self.arm, self.world, line, paths.scene_of.numpy())


def load_arms(folders: Sequence[Path], config: CommonConfig) -> list[ArmData]:
    """Read folders that `data generate` filled, each for one arm.

    Raises:
        InputError: if one is unreadable or of a robot that is not there, two are of one robot, `held_out_arms` names
            none of them, or all.
    """
    found: dict[str, tuple[Path, Dataset]] = {}
    for folder in folders:
        robot = robot_of(folder)
        if robot.name in found:
            other = found[robot.name][0]
            raise InputError("data of the same robot twice", file=folder, value=robot.name, allowed=f"those in {other}")
        dataset = load_dataset(folder, robot, horizon=config.horizon, held_out=config.held_out, shards=config.shards)
        found[robot.name] = folder, dataset
    for pattern in config.held_out_arms:
        if not any(fnmatchcase(name, pattern) for name in found):
            raise InputError("no data of such an arm", key="held_out_arms", value=pattern, allowed=list(found))
    left_out = {name for name in found if any(fnmatchcase(name, pattern) for pattern in config.held_out_arms)}
    if len(left_out) == len(found):
        raise InputError("leaves no arm to train on", key="held_out_arms", value=config.held_out_arms)
    return [
        ArmData.of(dataset, tokens=config.tokens > 0, trained=name not in left_out)
        for name, (_, dataset) in found.items()
    ]


def robot_of(folder: Path) -> Robot:
    """Return the robot that a folder of shards was made for.

    Raises:
        InputError: if the folder does not tell, or there is no such robot.
    """
    note = folder / "dataset.json"
    if not note.exists():
        raise InputError("no such file", file=note, allowed="a folder made by `diffplan data generate`")
    robot = read_object(note).get("robot")
    if not isinstance(robot, str):
        raise InputError("does not tell its robot", file=note, key="robot", value=robot, allowed="a robot")
    try:
        return Robot.load(robot)
    except InputError as error:
        if error.file is not None:
            raise
        raise InputError(error.problem, file=note, key="robot", value=robot, allowed=error.allowed) from error
