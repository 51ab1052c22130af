"""All that is wrong in a file is told at once, a line each, and what follows from an error is not told."""

import json
from pathlib import Path

import pytest

from diffplan.cli import main
from diffplan.cli.common import read_options
from diffplan.costs.reader import read_costs
from diffplan.errors import InputError
from diffplan.formats.problems_file import load_problems
from diffplan.formats.robot_file import load_robot
from diffplan.formats.scene_file import load_scene
from diffplan.learning.config import TrainConfig
from diffplan.robot.model import Robot
from diffplan.robot.urdf import load_urdf

DATA = Path(__file__).parent.parent / "data" / "bad"
SCENE = """\
format: diffplan/scene@1
name: x
name: y
robot: panda
robot_base: {xyz: [0, 0]}
obstacles:
  - {name: a, type: box, size: [0.1, 0.1], pose: {xyz: [1, 0], rpy: [180, 0, 0]}}
  - {name: b, type: bux, pose: {xyz: [1, 0, 1]}}
  - {name: c, type: cylinder, radios: 0.1, height: 0, pose: {xyz: [1, 0, 1], quat_xyzw: [0, 0, 0, 2]}}
  - {name: d, type: mesh, file: none.obj, pose: {xyz: [1, 0, 1]}}
  - {type: sphere, radius: 0.1, pose: {xyz: [1, 0, 1]}}
  - {name: e, type: sphere, radius: 0.1, pose: {xyz: [1, 0, 1]}}
  - {name: e, type: floor}
queries:
  default: {start: hime, goal: [1, 2]}
  other: {start: home}
"""
FOUND = [
    "3: name: duplicate key",
    "5: robot_base.xyz: wrong length",
    "7: obstacles[0].pose.xyz: wrong length",
    "7: obstacles[0].pose.rpy: more than a full turn: rpy is in radians (found [180, 0, 0]); allowed: "
    "-6.2832 ... 6.2832, or rpy_deg for degrees",
    "7: obstacles[0].size: wrong length",
    "8: obstacles[1].type: unknown obstacle type (did you mean 'box'?)",
    "9: obstacles[2].radios: unknown key (did you mean 'radius'?)",
    "9: obstacles[2].pose.quat_xyzw: quaternion not normalised",
    "9: obstacles[2].height: number out of range",
    "10: obstacles[3].file: file not found",
    "11: obstacles[4]: key 'name' is missing",
    "13: obstacles[6].name: duplicate obstacle name",
    "15: queries.default.start: unknown configuration (did you mean 'home'?)",
    "15: queries.default.goal: wrong length",
    "16: queries.other: key 'goal' is missing",
]


@pytest.fixture
def write(tmp_path):
    def write(text: str, name: str = "file.yaml") -> Path:
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def told(read, *arguments) -> list[str]:
    """Return the lines of the error, without the file's name."""
    with pytest.raises(InputError) as caught:
        read(*arguments)
    assert len(caught.value.errors) == len(str(caught.value).splitlines())
    return [line.split(str(arguments[0]) + ":", 1)[-1].strip() for line in str(caught.value).splitlines()]


def expect(lines: list[str], found: list[str]) -> None:
    assert len(lines) == len(found), "\n".join(lines)
    for line, begin in zip(lines, found, strict=True):
        assert line.startswith(begin), line


def test_everything_that_is_wrong_in_a_scene_is_told(write):
    expect(told(load_scene, write(SCENE)), FOUND)


def test_the_command_line_prints_a_line_for_each(write, capfd):
    file = write(SCENE)
    assert main(["check", str(file)]) == 2
    lines = capfd.readouterr().err.splitlines()
    expect([line.removeprefix(f"diffplan: {file}:") for line in lines], FOUND)


def test_after_twenty_errors_their_number_is_told(write):
    wrong = "".join(f"  - {{name: a{i}, type: sphere, radius: -1, pose: {{xyz: [0, 0, 0]}}}}\n" for i in range(50))
    with pytest.raises(InputError) as caught:
        load_scene(write(f"format: diffplan/scene@1\nname: x\nobstacles:\n{wrong}"))
    assert len(caught.value.errors) == 50
    lines = str(caught.value).splitlines()
    assert len(lines) == 21
    assert lines[-1].endswith("and 30 more errors")


def test_everything_that_is_wrong_in_a_suite_is_told(write):
    robot = Robot.load("panda")
    ball = {"name": "ball", "type": "sphere", "radius": -1, "pose": {"xyz": [0, 0, 0]}}
    problem = {"id": "a", "start": [0], "goals": [], "obstacles": [ball]}
    suite = {
        "format": "diffplan/problems@1",
        "name": "s",
        "robot": "panda",
        "joint_names": list(robot.joint_names),
        "problems": [problem, {**problem, "id": 3}],
    }
    lines = told(load_problems, write(json.dumps(suite), "suite.json"))
    one = [".start: wrong length", ".goals: no goal", ".obstacles[0].radius: number out of range"]
    other = [".id: not a text", *one]
    expect(lines, [f"problems[0]{text}" for text in one] + [f"problems[1]{text}" for text in other])


def test_everything_that_is_wrong_in_a_robot_is_told(write):
    for name in ("arm.urdf", "collision.yaml"):
        write((DATA / name).read_text(), name)
    file = write("""\
format: diffplan/robot@1
name: arm
urdf: {file: arm.urdf}
base_link: bass
end_link: tip
joints:
  shoulder: {velocity: -2.0, acceleration: 10.0, jrk: 1.0}
  elbow: {velocity: 2.0, acceleration: 10.0, jerk: x}
held_joints: {finger: 1}
configurations: {home: [0.0, 0.5]}
collision: none.yaml
""")
    found = [
        "4: base_link: unknown link (did you mean 'base'?)",
        "7: joints.shoulder.jrk: unknown key (did you mean 'jerk'?)",
    ]
    found += ["7: joints.shoulder.velocity: number out of range", "8: joints.elbow.jerk: not a number"]
    found += ["9: held_joints.finger: outside the joint's limits", "11: collision: collision model not found"]
    expect(told(load_robot, file), found)


def test_everything_that_is_wrong_in_a_urdf_is_told(write):
    file = write('<robot><link name="a"><collision/></link><link/><joint name="j" type="ball"/></robot>', "a.urdf")
    expect(told(load_urdf, file), ["1: a.0: a <collision> without", "1: a <link> without", "1: j: joint type not"])


def test_everything_that_is_wrong_in_costs_and_settings_of_a_training_is_told(write):
    costs = write(
        "format: diffplan/costs@1\ncosts:\n  - {cost: uprigt}\n  - {cost: avoid, xyz: 1}\n  - {cost: prefer}\n"
    )
    scene = load_scene("bookshelf")
    lines = told(read_costs, costs, Robot.load("panda"), scene)
    expect(lines, ["3: costs[0].cost: unknown cost", "4: costs[1]: which region?", "5: "])
    settings = write("format: diffplan/train@1\nseed: x\nstep: 3\nrate: fast\nmults: [1, 2.5]\n")
    found = [
        "2: seed: not a number",
        "3: step: unknown key",
        "4: rate: not a number",
        "5: mults[1]: not a whole number",
    ]
    expect(told(TrainConfig.load, settings), found)


def test_options_are_checked_alike_whichever_planners_run(write, capfd):
    file = write("diffusion: {batch: -1, bach: 3, threads: 2000}\nchomp: {iterations: x}\nstrait: {}\n")
    found = ["1: diffusion.batch: must be positive", "1: diffusion.bach: no option 'bach' (did you mean 'batch'?)"]
    found += ["1: diffusion.threads: too many", "2: chomp.iterations: wrong type", "3: strait: unknown key"]
    for planners in (["diffusion"], ["rrtconnect", "chomp"]):
        expect(told(read_options, file, planners), found)
    for command in (["plan", "bookshelf"], ["bench", "bookshelf", "--planners", "stomp", "--out", "none"]):
        capfd.readouterr()
        assert main([*command, "--options", str(file)]) == 2
        lines = capfd.readouterr().err.splitlines()
        expect([line.removeprefix(f"diffplan: {file}:") for line in lines], found)
    assert not Path("none").exists()


def test_options_of_planners_that_are_not_run_are_told(write, capfd):
    file = write("diffusion: {batch: 128, largest_batch: 256}\nchomp: {}\nstraight: {}\n")
    assert read_options(file, ["diffusion"]) == {"diffusion": {"batch": 128, "largest_batch": 256}}
    assert "not used, since they are not run: options of chomp, straight" in capfd.readouterr().err
