"""How near an arm, and a problem of it, are to what a prior was trained on; and what to say where they are not.

An arm is compared with the nearest one of the training by what does not change with the configuration: how its joints
lie to each other. A problem is compared with those of the training by what the network sees of the straight line.
Both distances have a limit of their own, measured on what the training did not hold: arms from which the nearest other
is as far, problems in held-out scenes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from diffplan.collision.obstacles import Obstacles
from diffplan.errors import InputError
from diffplan.geometry.pose import Float
from diffplan.prior.feedback import clearing_steps

if TYPE_CHECKING:
    from diffplan.prior.arm import Arm

_PLACES = 8
"""An arm is described at so many places along its chain."""
OF_ARM = 6 * _PLACES
"""Numbers of `arm_features`."""
OF_PROBLEM = 8
"""Numbers of `problem_features`."""
ARM_SHARE, PROBLEM_SHARE = 0.95, 0.99
_LEAST_ARMS = 4
_LEAST_SPREAD_OF_ARMS, _LEAST_SPREAD = 0.1, 0.02


def arm_features(arm: Arm) -> Float:
    """Return what an arm is like, whatever its configuration, its base's turn and its joints' directions [OF_ARM].

    Along the chain: whether a joint slides, its range over two units, the angle to the next joint's axis (its cosine,
    without sign), how far the next joint's origin is (in lengths of the arm) along the axis and off it, and the share
    of the chain that a joint is. All from the arm at zero.
    """
    model, robot = arm.model, arm.model.robot
    at_zero = model.joints(np.zeros((1, robot.dof)))
    moving = np.array([robot.chain.names.index(name) for name in robot.joint_names])
    axis, origin = at_zero.axis[0, moving], at_zero.origin[0, moving]
    steps = np.diff(np.concatenate([origin, at_zero.end]), axis=0) / arm.length
    along = np.abs((steps * axis).sum(axis=1))
    off = np.linalg.norm(steps - (steps * axis).sum(axis=1, keepdims=True) * axis, axis=1)
    turned = np.abs((axis[:-1] * axis[1:]).sum(axis=1))
    lower, upper = robot.limits
    told = np.stack(
        [
            robot.prismatic.astype(np.float64),
            np.clip((upper - lower) / (2 * arm.unit), 0.0, 1.0),
            np.append(turned, 1.0),
            along,
            off,
            np.full(robot.dof, 1.0 / robot.dof),
        ]
    )
    places = (np.arange(_PLACES) + 0.5) / _PLACES
    return np.concatenate([np.interp(places, arm.share, row) for row in told])


def problem_features(arm: Arm, world: Obstacles, line: Float, scene_of: np.ndarray) -> Float:
    """Return what is seen of straight lines [b, K, dof] in their scenes: [b, OF_PROBLEM].

    Mean and least clearance, the share of points in contact, mean and largest step that would clear a point and the
    whole curve, and how far it is.
    """
    local, whole, room = clearing_steps(arm.model, world, line, scene_of)
    local, whole = (np.abs(step / arm.unit) for step in (local, whole))
    way = np.linalg.norm((line[:, -1] - line[:, 0]) / arm.unit, axis=1)
    room = room[..., 0]
    columns = (
        room.mean(axis=1),
        room.min(axis=1),
        (room <= 0).mean(axis=1),
        local.mean(axis=(1, 2)),
        local.max(axis=(1, 2)),
        whole.mean(axis=(1, 2)),
        whole.max(axis=(1, 2)),
        way,
    )
    return np.stack(columns, axis=1)


@dataclass(frozen=True, kw_only=True)
class Familiarity:
    """What a prior was trained on, as far as distances to it need.

    Attributes:
        arms: `arm_features` of the arms, by name.
        spread: the deviation of each of those numbers among the arms [OF_ARM].
        arm_limit: how far arms are from the nearest other one, the quantile `ARM_SHARE`; 0: too few arms to tell.
        mean: of `problem_features` of the training problems [OF_PROBLEM].
        root: rows [OF_PROBLEM] of the matrix that makes their covariance one.
        problem_limit: how far problems in held-out scenes are from that mean, the quantile `PROBLEM_SHARE`.
    """

    arms: dict[str, tuple[float, ...]]
    spread: tuple[float, ...]
    arm_limit: float
    mean: tuple[float, ...]
    root: tuple[tuple[float, ...], ...]
    problem_limit: float

    def __post_init__(self) -> None:
        sizes = [("spread", self.spread, OF_ARM), ("mean", self.mean, OF_PROBLEM), ("root", self.root, OF_PROBLEM)]
        sizes += [(f"arms.{name}", numbers, OF_ARM) for name, numbers in self.arms.items()]
        sizes += [(f"root[{i}]", row, OF_PROBLEM) for i, row in enumerate(self.root)]
        for key, numbers, size in sizes:
            if len(numbers) != size:
                raise InputError("wrong length", key=f"familiarity.{key}", value=len(numbers), allowed=f"{size}")
        if not self.arms or min(self.spread) <= 0:
            raise InputError("no arms, or no spread of them", key="familiarity.spread", allowed="numbers above 0")

    @staticmethod
    def of(arms: Mapping[str, Sequence[float]], trained: Float, held_out: Float) -> Familiarity:
        """Return that of arms (`arm_features` by name), of problems [n, OF_PROBLEM] trained on, and of others."""
        rows = np.array(list(arms.values()), dtype=np.float64)
        spread = np.maximum(rows.std(axis=0), _LEAST_SPREAD_OF_ARMS)
        apart = np.sqrt(np.square((rows[:, None] - rows[None]) / spread).mean(axis=2))
        np.fill_diagonal(apart, np.inf)
        told = len(rows) >= _LEAST_ARMS
        mean = trained.mean(axis=0)
        covariance = np.cov(trained - mean, rowvar=False) + _LEAST_SPREAD**2 * np.eye(OF_PROBLEM)
        root = np.linalg.inv(np.linalg.cholesky(covariance))
        away = np.linalg.norm((held_out - mean) @ root.T, axis=1)
        return Familiarity(
            arms={name: tuple(map(float, row.round(4))) for name, row in zip(arms, rows, strict=True)},
            spread=tuple(map(float, spread)),
            arm_limit=float(np.quantile(apart.min(axis=1), ARM_SHARE)) if told else 0.0,
            mean=tuple(map(float, mean)),
            root=tuple(tuple(map(float, row)) for row in root),
            problem_limit=float(np.quantile(away, PROBLEM_SHARE)),
        )

    def from_arms(self, features: Float) -> tuple[float, str]:
        """Return how far an arm is from the nearest one of the training, and that one's name."""
        rows = (np.array(list(self.arms.values())) - features) / np.array(self.spread)
        away = np.sqrt(np.square(rows).mean(axis=1))
        return float(away.min()), list(self.arms)[int(away.argmin())]

    def from_problems(self, features: Float) -> Float:
        """Return how far problems [b, OF_PROBLEM] are from those of the training [b]."""
        return np.linalg.norm((features - np.array(self.mean)) @ np.array(self.root).T, axis=1)

    def remarks(self, arm: Arm, world: Obstacles, line: Float) -> tuple[str, ...]:
        """Return what a plan along a straight line [K, dof] in the first scene should be told with: nothing, mostly."""
        told, name = [], arm.model.robot.name
        away, nearest = self.from_arms(arm.features)
        if 0 < self.arm_limit < away:
            told.append(
                f"{name} is unlike the arms that its prior was trained on: {away:.2f} from the nearest ({nearest}), "
                f"while {ARM_SHARE:.0%} of those have one within {self.arm_limit:.2f}. `diffusion` may fail more; "
                f"`diffplan train prior --robot {name}` trains it for this arm"
            )
        (far,) = self.from_problems(problem_features(arm, world, line[None], np.zeros(1, dtype=np.int64)))
        if far > self.problem_limit:
            told.append(
                f"scene, start and goal are unlike those that the prior was trained on: {far:.1f}, while "
                f"{PROBLEM_SHARE:.0%} of held-out ones are within {self.problem_limit:.1f}. `diffusion` may fail more; "
                "`rrtconnect` needs no training"
            )
        return tuple(told)
