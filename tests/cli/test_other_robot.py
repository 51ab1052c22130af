"""Queries of a scene that names one robot, asked of another."""

from pathlib import Path

import pytest

from diffplan.cli import main
from diffplan.ends import misfit
from diffplan.geometry.pose import Pose
from diffplan.robot.model import Robot
from diffplan.scene import PoseGoal, Query, Scene

SCENE = """format: diffplan/scene@1
name: wall
robot: panda
obstacles:
  - {name: wall, type: box, size: [0.02, 0.6, 0.3], pose: {xyz: [0.8, 0, 0.2]}}
queries:
  default: {start: home, goal: [0.5, -0.6, 0, -2.2, 0, 1.6, 0.8]}
  hand: {start: home, goal: {link: panda_hand, pose: {xyz: [0.5, 0, 0.5], rpy_deg: [180, 0, 0]}}}
  side: {start: left, goal: {pose: {xyz: [0.5, -0.1, 0.5], rpy_deg: [180, 0, 0]}}}
"""


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    file = tmp_path / "wall.yaml"
    file.write_text(SCENE)
    return file


def test_joint_values_are_for_robots_with_the_joints_of_the_scenes_robot(scene: Path) -> None:
    queries, iiwa, panda = Scene.load(scene).queries, Robot.load("iiwa"), Robot.load("panda")
    reasons = {name: misfit(iiwa, Scene.load(scene), query) for name, query in queries.items()}
    assert reasons == {
        "default": "its goal is joint values of panda",
        "hand": "iiwa has no link panda_hand",
        "side": "",
    }
    assert [misfit(panda, Scene.load(scene), query) for query in queries.values()] == ["", "", ""]
    assert misfit(iiwa, Scene.load(scene), queries["default"], goal=False) == ""


def test_without_a_robot_in_the_scene_their_number_counts() -> None:
    xarm6, bare = Robot.load("xarm6"), Scene(name="bare")
    goal = PoseGoal(pose=Pose(xyz=(0.3, 0.0, 0.4)))
    assert misfit(xarm6, bare, Query(start=(0.0,) * 6, goal=goal)) == ""
    assert misfit(xarm6, bare, Query(start=(0.0,) * 7, goal=goal)) == "its start is 7 joint values, xarm6 has 6 joints"
    assert misfit(xarm6, bare, Query(start="folded", goal=goal)) == "xarm6 has no configuration folded"


def test_plan_takes_the_first_query_for_the_robot_and_says_so(scene: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(scene), "--robot", "iiwa", "--planner", "rrtconnect"]) == 0
    said = "query side, the first for this robot; default is not: its goal is joint values of panda"
    assert said in capfd.readouterr().err


def test_a_query_for_another_robot_is_refused_by_name(scene: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(scene), "--robot", "iiwa", "--query", "default"]) == 2
    said = (
        "--query: this query is not for this robot: its goal is joint values of panda (found 'default'); allowed: side"
    )
    assert said in capfd.readouterr().err
    assert (
        main(["plan", str(scene), "--robot", "iiwa", "--query", "hand", "--goal", "left", "--planner", "straight"]) < 2
    )


def test_check_and_bench_leave_such_queries_out_and_say_so(
    scene: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    said = (
        "wall: left out, not for iiwa: default (its goal is joint values of panda), hand (iiwa has no link panda_hand)"
    )
    assert main(["check", str(scene), "--robot", "iiwa"]) == 0
    out, err = capfd.readouterr()
    assert said in err
    assert "wall/side" in out
    assert "wall/default" not in out
    command = ["bench", str(scene), "--robot", "iiwa", "--planners", "straight", "--out", str(tmp_path / "out")]
    assert main(command) == 0
    assert said in capfd.readouterr().err
