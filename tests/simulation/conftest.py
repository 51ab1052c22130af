"""What the simulation tests share: the Panda without its fitted model, and smooth timed paths."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from diffplan.formats.robot_file import load_robot
from diffplan.problem import Trajectory
from diffplan.robot.model import Robot

_ALWAYS = ("panda_link7 panda_hand", "panda_hand panda_leftfinger", "panda_hand panda_rightfinger")


@pytest.fixture(scope="session")
def panda() -> Robot:
    """The Panda with only adjacent links (and what hangs on the hand) ignored."""
    bare = load_robot("panda", collision=False)
    adjacent = [frozenset((j.parent, j.child)) for j in bare.model.joints.values()]
    always = [frozenset(pair.split()) for pair in _ALWAYS]
    return replace(bare, touching=frozenset([*adjacent, *always]))


@pytest.fixture(scope="session")
def timed() -> Callable[..., Trajectory]:
    return _timed


def _timed(path: np.ndarray, duration: float, step: float = 0.01) -> Trajectory:
    """Run along the straight pieces of a path [n, dof] with one smooth (quintic) time law; slow enough if long."""
    time = np.linspace(0.0, duration, int(np.ceil(duration / step)) + 1)
    x = time / duration
    along = 10 * x**3 - 15 * x**4 + 6 * x**5
    speed = (30 * x**2 - 60 * x**3 + 30 * x**4) / duration
    knots = np.linspace(0.0, 1.0, len(path))
    position = np.stack([np.interp(along, knots, joint) for joint in path.T], axis=1)
    if len(path) > 2:
        velocity = np.gradient(position, time, axis=0)
        velocity[[0, -1]] = 0.0
        acceleration = np.gradient(velocity, time, axis=0)
    else:
        velocity = speed[:, None] * (path[1] - path[0])
        acceleration = ((60 * x - 180 * x**2 + 120 * x**3) / duration**2)[:, None] * (path[1] - path[0])
    return Trajectory(time=time, position=position, velocity=velocity, acceleration=acceleration)
