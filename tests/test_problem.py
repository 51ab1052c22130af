"""What a plan promises by construction."""

import numpy as np
import pytest

from diffplan.problem import Plan, Status
from diffplan.robot.model import Robot
from diffplan.scene import Scene


def test_no_plan_is_solved_without_a_valid_certificate() -> None:
    robot = Robot.load("panda")
    home = robot.configuration("home")
    with pytest.raises(ValueError, match="valid certificate"):
        Plan(
            status=Status.SOLVED,
            message="",
            planner="straight",
            solved_by="straight",
            robot=robot,
            scene=Scene(),
            seed=0,
            start=home,
            goals=np.array([home]),
        )
