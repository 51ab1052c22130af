"""The studio from Python: the page is there until it is closed, and what makes no sense is refused."""

from contextlib import closing
from dataclasses import replace
from types import SimpleNamespace
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
import pybullet
import pytest

import diffplan as dp

pytest.importorskip("viser", reason="the extra `studio` is not installed")
from diffplan.problem import Alternative
from diffplan.studio.curves import curves
from diffplan.studio.view import View

PORT = 8341


@pytest.fixture(scope="module")
def plan():
    plan = dp.plan("panda", "bookshelf", "home", "left", planner="rrtconnect")
    assert plan.solved
    return plan


def _page(studio):
    """Return the page of a studio, which only this machine reaches."""
    assert studio.url == f"http://127.0.0.1:{studio.port}"
    with urlopen(studio.url, timeout=30) as answer:
        assert answer.status == 200
        return answer.read()


def test_a_scene_is_shown_until_it_is_closed():
    scene = dp.Scene.load("bookshelf")
    with dp.show(scene, dp.Robot.load("iiwa"), port=PORT) as studio:
        assert b"<html" in _page(studio)
        assert studio.url in studio._repr_html_()
        setting = studio.opening.first.setting
        assert setting.scene is scene
        assert setting.robot.name == "iiwa"
        with dp.show("bookshelf", port=studio.port) as other:  # its port is taken
            assert other.port != studio.port
            assert other.opening.first.setting.robot.name == "panda"
            _page(other)
        _page(studio)
    studio.wait()  # ends at once
    for closed in (studio, other):
        with pytest.raises(URLError):
            urlopen(closed.url, timeout=30)
    studio.close()


def test_a_plan_is_shown(plan):
    with plan.show(port=PORT) as studio:
        _page(studio)
        assert studio.opening.first.plan is plan
        assert studio.opening.first.setting.start == tuple(plan.start.tolist())


def test_a_running_pybullet_world_is_shown():
    client = pybullet.connect(pybullet.DIRECT)
    try:
        box = pybullet.createCollisionShape(pybullet.GEOM_BOX, halfExtents=[0.1, 0.2, 0.3], physicsClientId=client)
        pybullet.createMultiBody(0, box, basePosition=[0.6, 0.0, 0.3], physicsClientId=client)
        scene = dp.Scene.from_pybullet(client)
    finally:
        pybullet.disconnect(client)
    with closing(dp.show(scene, port=PORT)) as studio:
        _page(studio)
        (seen,) = studio.opening.first.setting.scene.obstacles
        assert seen.size == pytest.approx((0.2, 0.4, 0.6))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"scene": "nothing"}, "no such scene file"),
        ({"scene": 3}, "scene: not a path"),
        ({"robot": "nothing"}, "unknown robot"),
        ({"robot": 3}, "robot: not a path"),
        *(({"port": port}, "port: not a port") for port in (-1, 0, 2**16, 8080.5, "8080", True)),
    ],
)
def test_what_makes_no_sense_is_refused(wrong, words):
    with pytest.raises(dp.InputError, match=words):
        dp.show(**{"scene": "bookshelf", **wrong})


def test_the_curves_are_the_motion_and_its_clearance(plan):
    times, clearance = np.array([0.0, 1.0]), np.array([0.02, 0.05])
    least, *joints = curves(plan, (times, clearance)).data
    assert np.array(least.x) == pytest.approx(times)
    assert np.array(least.y) == pytest.approx([20.0, 50.0])  # mm
    assert [one.name for one in joints] == list(plan.robot.joint_names)
    for joint, line in enumerate(joints):
        assert np.array(line.y) == pytest.approx(plan.at(np.array(line.x)).position[:, joint])
    assert joints[0].x[-1] == plan.trajectory.time[-1]
    assert len(curves(plan, None).data) == plan.robot.dof
    assert curves(None, None).data == ()


def test_the_ways_of_motion_and_alternatives_end_where_the_tool_does(plan):
    back = dp.plan("panda", "bookshelf", "left", "home", planner="rrtconnect")
    other = Alternative(trajectory=back.trajectory, certificate=back.certificate, metrics=back.metrics)
    plan = replace(plan, alternatives=(other,))
    drawn = {}
    panel = SimpleNamespace(alternatives_shown=SimpleNamespace(value=True))
    view = SimpleNamespace(panel=panel, _line=lambda name, ways, *_: drawn.__setitem__(name, ways))
    View._show_ways(view, plan, current=True)
    base = plan.scene.robot_base.matrix
    frame = plan.robot.tool_frame
    motions = (plan.trajectory, back.trajectory)
    for way, motion in zip([*drawn["way"], *drawn["alternatives"]], motions, strict=True):
        for point, q in ((way[0], motion.position[0]), (way[-1], motion.position[-1])):
            (pose,) = base @ plan.robot.link_pose(q, frame.link) @ frame.pose.matrix
            assert point == pytest.approx(pose[:3, 3], abs=1e-6)
    panel.alternatives_shown.value = False
    View._show_ways(view, plan, current=True)
    assert drawn["alternatives"] == []
