"""The tests of this folder use the Panda without its fitted model."""

import pytest

from diffplan.robot.model import Robot


@pytest.fixture(scope="session")
def panda(bare_panda: Robot) -> Robot:
    return bare_panda
