"""What the studio can be opened with, without a browser."""

import sys
import threading

import numpy as np
import pytest
import trimesh

import diffplan as dp
from diffplan.cli import main
from diffplan.studio.actor import Actor
from diffplan.studio.looks import link_looks, obstacle_look, sphere_looks
from diffplan.studio.nodes import first_hit
from diffplan.studio.opening import opened
from diffplan.studio.session import Setting
from diffplan.studio.words import status_words


def test_without_viser_one_sentence_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "viser", None)
    assert main(["studio", "bookshelf"]) == 2
    assert (
        capsys.readouterr().err.strip() == "diffplan: the studio needs viser and plotly: pip install 'diffplan[studio]'"
    )


def test_a_scene_a_suite_a_task_and_a_plan_are_opened(tmp_path):
    scene = opened("bookshelf").first
    assert scene.plan is None
    assert scene.setting.goal == dp.Scene.load("bookshelf").query("default").goal
    assert opened("bookshelf", "iiwa").first.setting.robot.name == "iiwa"  # its first query for this arm
    suite = opened("hard")
    assert len(suite.items) > 10
    second = list(suite.items)[1]
    assert suite.items[second]().setting.scene.obstacles != suite.first.setting.scene.obstacles
    assert opened("bin_picking").first.setting.scene.obstacles
    plan = dp.plan("panda", "bookshelf", "home", "left", planner="straight", fallback=False)
    plan.save(tmp_path / "plan.json")
    shown = opened(str(tmp_path / "plan.json")).first
    assert shown.plan.status is plan.status
    assert shown.setting.planner == "straight"
    with pytest.raises(dp.InputError, match="nothing"):
        opened("nothing")


def test_what_is_drawn_of_an_arm_is_about_as_large_as_what_collides():
    robot = dp.Robot.load("iiwa")
    looks, spheres = link_looks(robot), sphere_looks(robot, (0, 0, 0))
    for link in robot.links:
        seen = np.concatenate([look.vertices for look in looks[link]])
        solid = np.concatenate([corners for shape in robot.shapes(link) for corners in shape.corners()])
        assert np.abs(np.ptp(seen, axis=0) - np.ptp(solid, axis=0)).max() < 0.02
        assert np.abs(spheres[link].vertices.mean(axis=0) - solid.mean(axis=0)).max() < 0.1


def test_what_has_very_many_triangles_is_drawn_with_few(tmp_path):
    ball = trimesh.creation.icosphere(subdivisions=6, radius=0.1)
    ball.export(tmp_path / "ball.stl")
    mesh = dp.Mesh(name="ball", file=tmp_path / "ball.stl", pose=dp.Pose(xyz=(0.5, 0.0, 0.0)))
    look = obstacle_look(mesh, dp.Pose(), (0, 0, 0))
    assert len(ball.faces) > 80_000
    assert 10_000 < len(look.faces) <= 20_000
    assert np.linalg.norm(look.vertices, axis=1) == pytest.approx(0.1, abs=5e-4)
    arm = link_looks(dp.Robot.load("panda"))
    assert 10_000 < sum(len(look.faces) for looks in arm.values() for look in looks) <= 20_000


def test_a_ray_meets_the_first_side_of_a_box_and_nothing_beside_it():
    box = dp.Box(name="box", size=(1.0, 1.0, 1.0), pose=dp.Pose(xyz=(5.0, 0.0, 0.0)))
    look = obstacle_look(box, dp.Pose(), (0, 0, 0))
    triangles = look.vertices[look.faces]
    assert first_hit(triangles, np.array([-3.0, 0.1, 0.2]), np.array([1.0, 0.0, 0.0])) == pytest.approx(2.5)
    assert first_hit(triangles, np.array([-3.0, 0.6, 0.2]), np.array([1.0, 0.0, 0.0])) == np.inf
    assert first_hit(triangles, np.array([-3.0, 0.1, 0.2]), np.array([-1.0, 0.0, 0.0])) == np.inf


def test_of_what_is_posted_under_one_key_the_newest_is_done():
    go, done, seen = threading.Event(), threading.Event(), []
    actor = Actor(lambda: None, seen.append)
    actor.post(go.wait)
    for number in range(5):
        actor.post(lambda number=number: seen.append(number), "drag")
    actor.post(lambda: seen.append("end"))
    actor.post(done.set)
    go.set()
    assert done.wait(10)
    actor.close()
    assert seen == [4, "end"]


def test_the_words_for_an_answer_tell_reason_or_motion():
    setting = Setting.of(dp.Robot.load("panda"), dp.Scene.load("bookshelf"))
    plan = dp.plan(setting.robot, setting.scene, setting.start, setting.start, planner="straight")
    assert "certified**: motion 3" in status_words(plan, "", 3, 0.1, 2, old=False)
    far = dp.plan(setting.robot, setting.scene, setting.start, dp.Pose(xyz=(3.0, 0.0, 0.0)))
    words = status_words(far, "", 3, 0.1, 2, old=True)
    assert "goal_unreachable" in words
    assert "last certified motion (3)" in words
    assert r"\[x\]" in status_words(None, "not [x]", 0, 0.0, 0, old=True)
