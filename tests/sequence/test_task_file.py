"""Task files say the same as Python, and the shipped ones can be read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import diffplan as dp
from diffplan.cli import main
from diffplan.constraints.line import Line
from diffplan.sequence.steps import Attach, Detach, Gripper, Move, Pick, Place
from diffplan.sequence.task_file import load_task
from diffplan.system.assets import shipped_tasks

TASK = """format: diffplan/task@1
name: by hand
scene: tabletop_clutter
robot: panda
start: left
steps:
  - pick:
      object: [carton, can_left]
      grasps: [{pose: {xyz: [0, 0, 0.05], rpy_deg: [180, 0, 0]}, opening: 0.075}]
      lift: 0.2
  - move: {goal: {pose: {xyz: [0.4, 0.2, 0.5], rpy_deg: [180, 0, 0]}, free: z}, constraints: ["upright:degrees=15"]}
  - place: {poses: [{xyz: [0.4, 0.2, 0.11]}, {xyz: [0.4, 0.1, 0.11]}], free: z, approach: 0.05, retreat: 0.12}
  - line: {offset: [0, 0, 0.05], frame: world, constraints: ["speed:limit=0.1"]}
  - gripper: 0.03
  - gripper: close
  - attach: {object: carton}
  - detach: {object: carton}
"""


def test_a_task_file_says_the_same_as_python(tmp_path: Path) -> None:
    file = tmp_path / "task.yaml"
    file.write_text(TASK)
    task = load_task(file)
    assert (task.name, task.robot.name, task.start) == ("by hand", "panda", "left")
    pick, move, place, line, width, close, attach, detach = task.sequence.steps
    assert isinstance(pick, Pick)
    assert pick.objects == ("carton", "can_left")
    assert pick.grasps == [(dp.Pose.turned((0, 0, 0.05), (3.141592653589793, 0, 0)), 0.075)]
    assert (pick.approach, pick.lift) == (0.10, 0.2)
    assert isinstance(move, Move)
    assert isinstance(move.goal, dp.PoseGoal)
    assert move.goal.free == "z"
    assert move.constraints == (dp.upright("tool", degrees=15),)
    assert isinstance(place, Place)
    assert [pose.xyz for pose in place.poses] == [(0.4, 0.2, 0.11), (0.4, 0.1, 0.11)]
    assert (place.object, place.free, place.approach, place.retreat) == (None, "z", 0.05, 0.12)
    assert line == Line(to=(0, 0, 0.05), frame="world", constraints=dp.speed("tool", 0.1))
    assert (width, close) == (Gripper(0.03), Gripper("close"))
    assert (attach, detach) == (Attach("carton"), Detach("carton"))


def test_at_least_four_tasks_are_shipped_and_all_can_be_read() -> None:
    assert {"cube_to_tray", "mug_from_shelf", "bin_picking", "rod_through_gap"} <= set(shipped_tasks())
    for name in shipped_tasks():
        assert load_task(name).sequence.steps


def test_the_command_writes_the_result_and_a_plan_file_for_each_motion(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["task", "cube_to_tray", "--timeout", "60", "--out", str(tmp_path)]) == 0
    assert "cube_to_tray: solved" in capfd.readouterr().out
    result = json.loads((tmp_path / "task.json").read_text())
    assert result["format"] == "diffplan/task-result@1"
    assert result["status"] == "solved"
    assert {"plan", "total"} <= result["timing_s"].keys()
    kinds = [step["kind"] for step in result["steps"]]
    assert kinds.count("line") == 4
    for step in result["steps"]:
        if step["plan"] is None:
            assert step["kind"] in ("gripper", "attach", "detach")
            continue
        plan = dp.Plan.load(tmp_path / step["plan"])
        assert plan.solved
        assert [body.name for body in plan.scene.attached] == step["held"]


def test_what_cannot_be_done_has_exit_code_1_and_a_result_that_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = tmp_path / "task.yaml"
    task.write_text(
        "format: diffplan/task@1\nscene: tabletop_clutter\nsteps:\n  - pick: {object: tower, grasps: top}\n"
    )
    assert main(["task", str(task), "--out", str(tmp_path / "out")]) == 1
    result = json.loads((tmp_path / "out" / "task.json").read_text())
    assert result["steps"] == []
    assert "the gripper opens to 80 mm" in result["message"]
    assert "step 1, pick tower" in capsys.readouterr().err


def test_a_task_that_is_not_there_is_told_with_the_shipped_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["task", "cube_to_tra"]) == 2
    assert "did you mean 'cube_to_tray'?" in capsys.readouterr().err
