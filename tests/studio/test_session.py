"""What is set up in the studio, as values: edits, undo and redo, files and the command for them."""

import shlex

import numpy as np
import pytest

import diffplan as dp
from diffplan.cli import main
from diffplan.studio.session import KINDS, History, Setting
from diffplan.studio.worker import plan_setting


@pytest.fixture(scope="module")
def setting():
    return Setting.of(dp.Robot.load("panda"), dp.Scene.load("bookshelf"))


def test_edits_leave_the_setting_before_as_it_was(setting):
    pose = dp.Pose(xyz=(0.4, 0.0, 0.5))
    for kind, sizes in KINDS.items():
        more, name = setting.added(kind, pose)
        assert name not in {one.name for one in setting.scene.obstacles}
        assert type(more.scene.obstacle(name)).__name__.lower() == kind
        copy, other = more.copied(name)
        assert copy.scene.obstacle(other).pose.xyz == pytest.approx((0.4, 0.1, 0.5))
        larger = copy.resized(name, [2 * size for size in more.scene.obstacle(name).sizes])
        for key in sizes:
            assert np.array(getattr(larger.scene.obstacle(name), key)) == pytest.approx(2 * np.array(sizes[key]))
        assert copy.removed(name).removed(other).scene.obstacles == setting.scene.obstacles
    assert setting.moved("vase", pose).scene.obstacle("vase").pose == pose
    with pytest.raises(dp.InputError, match="no sizes"):
        Setting.of(setting.robot, dp.Scene(obstacles=(dp.Plane(name="floor"),))).resized("floor", [1.0])


def test_the_goal_is_where_its_handle_was_dragged(setting):
    pose = dp.Pose(xyz=(0.5, 0.1, 0.6), quat_xyzw=setting.goal_pose().quat_xyzw)
    dragged = setting.to_pose(pose)
    assert dragged.goal_pose() == pose
    assert dragged.ending_at(setting.start).goal == setting.start
    reached = setting.starting_near(pose)
    assert reached.tool_pose(reached.start).xyz == pytest.approx(pose.xyz, abs=1e-4)
    with pytest.raises(dp.InputError, match="no joint values"):
        setting.starting_near(dp.Pose(xyz=(3.0, 0.0, 0.0)))


def test_undo_takes_back_a_whole_drag_and_redo_brings_it_again(setting):
    history = History(setting)
    steps = [setting.moved("vase", dp.Pose(xyz=(0.5, 0.0, 0.1 * i))) for i in range(4)]
    history.edit(steps[0])
    history.edit(steps[1], joined="drag")
    history.edit(steps[2], joined="drag")
    history.settle()
    history.edit(steps[3], joined="drag")
    seen = []
    while history.can_undo:
        history.undo()
        seen.append(history.now)
    assert seen == [steps[2], steps[0], setting]
    history.undo()
    assert history.now is setting
    history.redo()
    history.redo()
    assert history.now is steps[2]
    history.edit(steps[1])
    assert not history.can_redo


def test_what_makes_no_sense_is_refused_and_named(setting):
    ask = {"planner": "diffusion", "seed": 0, "timeout": 1.0, "alternatives": 0, "costs": [], "kept": []}
    for wrong in ({"planner": "x"}, {"timeout": 0.0}, {"costs": ["x"]}, {"kept": ["upright:degree=1"]}):
        with pytest.raises(dp.InputError):
            setting.asking(**{**ask, **wrong})
    asked = setting.asking(**{**ask, "costs": ["upright", ""], "kept": ["speed:limit=0.5"]})
    assert asked.costs == ("upright",)
    assert asked.query.constraints == (dp.speed("tool", 0.5),)


def test_the_command_plans_what_was_saved_bit_for_bit(setting, tmp_path):
    pose = setting.goal_pose()
    x, y, z = pose.xyz
    setting = setting.to_pose(dp.Pose(xyz=(x - 0.0123456789, y, z), quat_xyzw=pose.quat_xyzw))
    setting, _ = setting.added("sphere", dp.Pose(xyz=(0.1, 0.6, 0.30000000000000004)))
    plan = plan_setting(setting.asking(planner="rrtconnect", seed=3, timeout=5.0, alternatives=0, costs=[], kept=[]))
    setting = setting.asking(planner="rrtconnect", seed=3, timeout=5.0, alternatives=0, costs=[], kept=[])
    assert plan.solved
    setting.saved(tmp_path, plan)
    words = shlex.split(setting.command(tmp_path))
    assert main(words[1:]) == 0
    saved, again = dp.Plan.load(tmp_path / "plan.json"), dp.Plan.load(tmp_path / "again.json")
    for key in ("time", "position", "velocity", "acceleration"):
        assert (getattr(saved.trajectory, key) == getattr(again.trajectory, key)).all()
