"""What a PyBullet user needs is a name of the package, and is loaded only when it is used."""

import subprocess
import sys

import pytest

import diffplan as dp
from diffplan import ik
from diffplan.simulation import live

NAMES = {
    "inverse_kinematics": ik.inverse_kinematics,
    "robot_as_held": live.robot_as_held,
    "robot_configuration": live.robot_configuration,
}


@pytest.mark.parametrize("name", NAMES)
def test_a_pybullet_users_function_is_a_public_name(name):
    assert getattr(dp, name) is NAMES[name]
    assert name in dir(dp)


def test_importing_the_package_loads_neither_pybullet_nor_numpy():
    code = "import sys, diffplan; print(sorted({'pybullet', 'numpy', 'torch', 'numba', 'scipy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
