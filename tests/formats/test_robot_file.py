from pathlib import Path

import numpy as np
import pytest

from diffplan.certificate.certifier import Certifier
from diffplan.errors import InputError
from diffplan.formats.robot_file import load_robot
from diffplan.robot.model import Robot
from diffplan.scene import Scene
from diffplan.system.assets import shipped_robots

BAD = Path(__file__).parent.parent / "data" / "bad"


@pytest.fixture
def arm_folder(tmp_path: Path) -> Path:
    for part in ("arm.urdf", "collision.yaml"):
        (tmp_path / part).write_text((BAD / part).read_text())
    text = (BAD / "robot_no_collision_model.yaml").read_text().replace("none.yaml", "collision.yaml")
    (tmp_path / "robot.yaml").write_text(text)
    return tmp_path


def test_a_robot_is_loaded_by_its_folder_or_its_file(arm_folder: Path) -> None:
    for path in (arm_folder, arm_folder / "robot.yaml", str(arm_folder)):
        robot = load_robot(path)
        assert robot.joint_names == ("shoulder", "elbow")
        assert robot.held_joints == {"finger": 0.02}
        assert (robot.lower.tolist(), robot.upper.tolist()) == ([-2, -2], [2, 2])
        assert (robot.velocity.tolist(), robot.acceleration.tolist(), robot.jerk.tolist()) == ([1, 1], [2, 2], [3, 3])
        assert robot.configuration("home").tolist() == [0, 0.5]


def test_the_collision_model_lies_beside_the_robot(arm_folder: Path) -> None:
    robot = load_robot(arm_folder)
    assert robot.spheres.links == ("hand",)
    assert robot.spheres.link.tolist() == [0]
    assert (robot.spheres.centre.tolist(), robot.spheres.radius.tolist()) == ([[0, 0, 0]], [0.05])
    assert robot.touching == {frozenset(("base", "upper"))}
    assert robot.never_touching == frozenset()


def test_pairs_that_never_touch_are_kept_apart_from_those_that_always_do(arm_folder: Path) -> None:
    file = arm_folder / "collision.yaml"
    file.write_text(file.read_text() + "    - {links: [base, hand], reason: never}\n")
    robot = load_robot(arm_folder)
    assert robot.never_touching == {frozenset(("base", "hand"))}
    assert ("base", "hand") in robot.certified_pairs
    assert ("base", "hand") not in robot.checked_pairs


def test_without_its_collision_model_a_robot_has_no_spheres(arm_folder: Path) -> None:
    (arm_folder / "collision.yaml").unlink()
    robot = load_robot(arm_folder, collision=False)
    assert len(robot.spheres.link) == 0
    assert robot.touching == frozenset()


def test_an_unknown_robot_is_answered_with_the_shipped_ones() -> None:
    with pytest.raises(InputError, match=r"unknown robot \(did you mean 'panda'\?\) \(found 'pandaa'\).*panda"):
        Robot.load("pandaa")


@pytest.mark.parametrize("name", shipped_robots())
def test_every_shipped_robot_holds_its_configurations_free_and_within_its_limits(name: str) -> None:
    try:
        robot = load_robot(name)
    except InputError as error:
        if "pip install" not in str(error):
            raise
        pytest.skip(str(error))
    assert "home" in robot.configurations
    with Certifier(robot, Scene()) as certifier:
        for q in robot.configurations.values():
            assert np.all((q >= robot.lower) & (q <= robot.upper))
            assert certifier.check(q).free


@pytest.mark.parametrize("place", ["package: no_such_arms, file: arm.urdf", "file: package://no-such-arms/arm.urdf"])
def test_a_robot_whose_package_is_missing_names_the_command_that_installs_it(arm_folder: Path, place: str) -> None:
    file = arm_folder / "robot.yaml"
    file.write_text(file.read_text().replace("{file: arm.urdf}", f"{{{place}, pip: no-such-arms}}"))
    with pytest.raises(InputError, match=r"the package no-such-arms, which is not .*pip install no-such-arms"):
        load_robot(file)


def test_what_pip_installs_is_named_only_with_a_package(arm_folder: Path) -> None:
    file = arm_folder / "robot.yaml"
    file.write_text(file.read_text().replace("{file: arm.urdf}", "{file: arm.urdf, pip: arms}"))
    with pytest.raises(InputError, match=r"robot.yaml:3: urdf.pip: of no use where the file is named by its path"):
        load_robot(file)
