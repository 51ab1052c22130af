"""What a PyBullet user needs is a name of the package, and is loaded only when it is used."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import diffplan as dp
from diffplan import ik
from diffplan.certificate import certifier as certificate
from diffplan.pybullet import execution, live, render
from diffplan.viewer import plots

NAMES = {
    "inverse_kinematics": ik.inverse_kinematics,
    "robot_as_held": live.robot_as_held,
    "robot_configuration": live.robot_configuration,
    "render": render.render,
    "plot_joints": plots.plot_joints,
    "execute": execution.execute,
    "Certifier": certificate.Certifier,
}


@pytest.mark.parametrize("name", NAMES)
def test_a_pybullet_users_function_is_a_public_name(name):
    assert getattr(dp, name) is NAMES[name]
    assert name in dir(dp)


def test_importing_the_package_loads_neither_pybullet_nor_numpy():
    code = "import sys, diffplan; print(sorted({'pybullet', 'numpy', 'torch', 'numba', 'scipy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def _imported_for_type_checkers():
    """Return name -> module of the imports under `if TYPE_CHECKING:` in the package's __init__."""
    tree = ast.parse(Path(str(dp.__file__)).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    imports = [(node.module, alias) for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert all(alias.asname == alias.name for _, alias in imports)
    return {alias.name: module for module, alias in imports}


def test_what_type_checkers_see_is_what_the_package_gives():
    imported = _imported_for_type_checkers()
    assert sorted(imported) == dp.__all__
    for name, module in imported.items():
        assert getattr(dp, name) is getattr(importlib.import_module(module), name)


def test_dir_shows_the_public_names_and_no_others_before_and_after_they_are_used():
    code = """
import diffplan as dp
before = dir(dp)
for name in dp.__all__:
    getattr(dp, name)
assert dir(dp) == before == sorted(["__version__", *dp.__all__]), dir(dp)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'diffplan' has no attribute 'Bxo'"):
        _ = dp.Bxo  # pyright: ignore[reportAttributeAccessIssue]


def test_python_dash_m_is_the_command_line():
    done = subprocess.run([sys.executable, "-m", "diffplan", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"diffplan {dp.__version__}\n"
    done = subprocess.run([sys.executable, "-m", "diffplan", "no-command"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: diffplan ")
