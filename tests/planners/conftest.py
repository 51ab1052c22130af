"""Robots that planners are tested on. A further one is a function here, a line in `ARMS`, and a fixture NAME_file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest

import diffplan as dp
from diffplan.planners import make_planner
from diffplan.planners.base import Options, Planner


@dataclass(frozen=True, kw_only=True, eq=False)
class Arm:
    """A robot, two configurations [dof] joined by a free way past an obstacle of no use (`easy`), and two between which
    a straight line hits the `wall`. `options` are those that planners need for this robot, by the planner's name. Those
    in `slow` take most of the time limit for the wall, and what a time limit ends is not repeatable.
    """

    robot: dp.Robot
    home: np.ndarray
    other: np.ndarray
    aside: dp.Box
    before: np.ndarray
    behind: np.ndarray
    wall: dp.Box
    options: dict[str, Options] = field(default_factory=dict)
    slow: tuple[str, ...] = ()

    def planner(self, name: str, **options: object) -> Planner:
        """Return a planner that can plan for this robot."""
        return make_planner(name, {**self.options.get(name, {}), **options})

    @cached_property
    def easy(self) -> dp.Problem:
        scene = dp.Scene(name="easy", obstacles=(self.aside,))
        return dp.Problem(robot=self.robot, scene=scene, start=self.home, goals=self.other[None])

    @cached_property
    def around_a_wall(self) -> dp.Problem:
        scene = dp.Scene(name="wall", obstacles=(self.wall,))
        return dp.Problem(robot=self.robot, scene=scene, start=self.before, goals=self.behind[None])

    @property
    def beyond(self) -> tuple[np.ndarray, str]:
        """A configuration [dof] outside of the limits, and the joint that is."""
        joint, q = int(np.argmin(self.robot.upper)), self.home.copy()
        q[joint] = self.robot.upper[joint] + 0.2
        return q, self.robot.joint_names[joint]

    def tool(self, q: np.ndarray) -> dp.Pose:
        """Where the end link is at q [dof], in the base's frame."""
        return dp.Pose.from_matrix(self.robot.link_pose(q, self.robot.end_link)[0])


def panda() -> Arm:
    robot = dp.Robot.load("panda")
    home, other = robot.configuration("home"), robot.configuration("right")
    before, behind = home.copy(), home.copy()
    before[:2], behind[:2] = (0.9, 0.1), (-0.9, 0.1)
    return Arm(
        robot=robot,
        home=home,
        other=other,
        aside=dp.Box(name="post", size=(0.05, 0.3, 0.6), pose=dp.Pose(xyz=(0.1, 0.75, 0.4))),
        before=before,
        behind=behind,
        wall=dp.Box(name="wall", size=(0.6, 0.04, 0.6), pose=dp.Pose(xyz=(0.65, 0.0, 0.3))),
    )


def _quick() -> dict[str, Options]:
    """Return options without a prior, and with which planners that improve end before the time limit."""
    turns = {"rrtstar": 300, "bitstar": 1000, "aorrtc": 2000, "prmstar": 60}
    return {"diffusion": {"seeds": "random"}, **{name: {"optimise_iterations": n} for name, n in turns.items()}}


def ur5(file: Path) -> Arm:
    robot = dp.Robot.load(str(file))
    home = robot.configuration("home")
    other, before, behind = home.copy(), home.copy(), home.copy()
    other[:2] += (0.6, 0.3)
    before[0], behind[0] = 0.8, -0.8
    tip = robot.link_pose(home, "tool0")[0, :3, 3]
    return Arm(
        robot=robot,
        home=home,
        other=other,
        aside=dp.Box(name="post", size=(0.05, 0.3, 0.6), pose=dp.Pose(xyz=(-0.7, -0.5, 0.3))),
        before=before,
        behind=behind,
        wall=dp.Box(name="wall", size=(0.3, 0.04, 0.3), pose=dp.Pose(xyz=(tip[0], tip[1], tip[2]))),
        options=_quick(),
        slow=("rrtstar",),
    )


def rail(file: Path) -> Arm:
    robot = dp.Robot.load(str(file))
    home = robot.configuration("home")
    other, before, behind = home.copy(), home.copy(), home.copy()
    other += (0.1, -0.4, 0.3, 0.3, 0.3)
    before[1], behind[1] = 0.6, -0.6
    x, y, z = robot.link_pose(home, "palm")[0, :3, 3].tolist()
    return Arm(
        robot=robot,
        home=home,
        other=other,
        aside=dp.Box(name="post", size=(0.05, 0.3, 0.6), pose=dp.Pose(xyz=(-0.7, -0.5, 0.3))),
        before=before,
        behind=behind,
        wall=dp.Box(name="wall", size=(0.25, 0.03, 0.25), pose=dp.Pose(xyz=(x, y, z))),
        options=_quick(),
    )


ARMS: dict[str, Callable[..., Arm]] = {"panda": panda, "ur5": ur5, "rail": rail}
"""The robots of the contract tests, by name; those that are not shipped are made from the fixture NAME_file."""


@pytest.fixture(scope="session", params=ARMS)
def arm(request: pytest.FixtureRequest) -> Arm:
    name = request.param
    return ARMS[name]() if name == "panda" else ARMS[name](request.getfixturevalue(f"{name}_file"))
