"""Where `package://` leads: given folders, ROS's search paths, folders above, share folders; never the current one."""

from dataclasses import replace
from pathlib import Path

import pytest

from diffplan.errors import InputError
from diffplan.formats.robot_file import load_robot
from diffplan.prior.choice import prior_file
from diffplan.robot.model import Robot
from diffplan.robot.urdf import load_urdf
from diffplan.system.assets import asset_folder, robot_asset, user_robots

URDF = (
    '<robot name="part"><link name="l"><collision><geometry><mesh filename="package://arm_description/m/part.obj"/>'
    "</geometry></collision></link></robot>"
)
TETRAHEDRON = "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n"
PACKAGE = "<package><!-- ours --><name>arm_description</name></package>"


@pytest.fixture(autouse=True)
def no_search_paths(monkeypatch):
    for key in ("ROS_PACKAGE_PATH", "AMENT_PREFIX_PATH", "DIFFPLAN_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(key, raising=False)


@pytest.fixture
def urdf(tmp_path: Path) -> Path:
    file = tmp_path / "work" / "urdf" / "part.urdf"
    file.parent.mkdir(parents=True)
    file.write_text(URDF)
    return file


def package(folder: Path, *, declared: bool = False) -> Path:
    (folder / "m").mkdir(parents=True)
    (folder / "m" / "part.obj").write_text(TETRAHEDRON)
    if declared:
        (folder / "package.xml").write_text(PACKAGE)
    return folder


def found(urdf: Path, **how) -> Path:
    return load_urdf(urdf, **how).collisions["l"][0].file.parent.parent.resolve()


def test_a_given_folder_comes_first(urdf, tmp_path):
    package(tmp_path / "work" / "arm_description")
    given = package(tmp_path / "elsewhere" / "any_name")
    assert found(urdf, packages={"arm_description": given}) == given


@pytest.mark.parametrize("entry", ["ws", "ws/src", "ws/src/folder"])
def test_ros_package_path_names_packages_or_folders_with_packages(urdf, tmp_path, monkeypatch, entry):
    there = package(tmp_path / "ws" / "src" / "folder", declared=True)
    monkeypatch.setenv("ROS_PACKAGE_PATH", f"/nowhere:{tmp_path / entry}")
    assert found(urdf) == there


def test_the_share_folder_of_a_ros_2_prefix_is_looked_in(urdf, tmp_path, monkeypatch):
    there = package(tmp_path / "install" / "share" / "arm_description")
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path / "install"))
    assert found(urdf) == there


def test_folders_above_count_by_their_name_or_by_what_their_package_file_says(urdf, tmp_path):
    there = package(tmp_path / "work", declared=True)
    assert found(urdf) == there
    (there / "package.xml").unlink()
    with pytest.raises(InputError):
        load_urdf(urdf)
    beside = package(tmp_path / "arm_description")
    assert found(urdf) == beside


def test_share_folders_of_python_packages_are_looked_in(urdf, tmp_path, monkeypatch):
    there = package(tmp_path / "site" / "cmeel.prefix" / "share" / "arm_description")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert found(urdf) == there


def test_the_current_folder_is_never_looked_in_and_the_error_names_what_was_tried(urdf, tmp_path, monkeypatch):
    package(tmp_path / "here" / "arm_description")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.syspath_prepend("")
    monkeypatch.setenv("ROS_PACKAGE_PATH", ".")
    with pytest.raises(InputError, match="mesh file not found") as refusal:
        load_urdf(urdf)
    for word in ("no folder given for 'arm_description'", "ROS_PACKAGE_PATH='.'", "AMENT_PREFIX_PATH not set", "above"):
        assert word in str(refusal.value)


def test_xacro_leftovers_and_comments_are_no_matter_but_an_unexpanded_file_is_refused(urdf, tmp_path):
    package(tmp_path / "work" / "arm_description")
    left = (
        '<robot name="part" xmlns:xacro="http://www.ros.org/wiki/xacro"><!-- a --><xacro:property name="x" value="1"/>'
    )
    urdf.write_text(URDF.replace('<robot name="part">', left))
    assert load_urdf(urdf).collisions["l"]
    urdf.write_text(URDF.replace('<robot name="part">', left + '<xacro:arm prefix="left"/>'))
    with pytest.raises(InputError, match=r"a xacro file, not expanded yet .found '<xacro:arm>'"):
        load_urdf(urdf)


def test_a_robot_file_names_folders_of_packages(urdf, tmp_path, rail_file):
    package(tmp_path / "work" / "parts")
    text = rail_file.read_text().replace("rail.urdf", str(rail_file.parent / "rail.urdf"))
    text = text.replace("collision.yaml", str(rail_file.parent / "collision.yaml"))
    robot_file = tmp_path / "work" / "robot.yaml"
    robot_file.write_text(text + "packages: {arm_description: parts}\n")
    assert load_robot(robot_file).model.packages == {"arm_description": tmp_path / "work" / "parts"}
    robot_file.write_text(text + "packages: {arm_description: part}\n")
    with pytest.raises(InputError, match=r"robot\.yaml:\d+: packages\.arm_description: no such folder"):
        load_robot(robot_file)


def test_weights_are_found_by_the_robot_file_beside_it_in_the_users_folder_and_shipped(
    rail_file, tmp_path, monkeypatch
):
    monkeypatch.setenv("DIFFPLAN_HOME", str(tmp_path))
    assert user_robots() == tmp_path / "robots"
    robot, beside = Robot.load(str(rail_file)), rail_file.parent / "prior.safetensors"
    assert prior_file(robot) == asset_folder("robots") / "common.safetensors"  # that of all arms
    users = user_robots() / "rail" / "prior.safetensors"
    users.parent.mkdir(parents=True)
    users.write_bytes(b"")
    assert prior_file(robot) == users
    beside.write_bytes(b"")
    try:
        assert prior_file(robot) == beside
    finally:
        beside.unlink()
    given = tmp_path / "given.safetensors"
    assert prior_file(replace(robot, prior=given)) == given
    assert prior_file(Robot.load("panda")).parent.name == "panda"
    copy = replace(Robot.load("panda"), file=rail_file)
    assert prior_file(copy).parent.name == "panda"  # the same joints and limits
    assert prior_file(replace(copy, upper=copy.upper - 0.01)) == asset_folder("robots") / "common.safetensors"
    assert prior_file("../rail") != users
    assert robot_asset("panda", None, "value.safetensors").exists()
