"""What is slow the first time in a process (compiling, loading weights and PyBullet), done before time is counted."""

from __future__ import annotations

from diffplan.constraints.line import Line
from diffplan.geometry.pose import Float, Pose
from diffplan.geometry.shapes import Box, Sphere
from diffplan.planners import DEFAULT, make_planner
from diffplan.planners.task import Task
from diffplan.problem import Problem
from diffplan.robot.model import Robot
from diffplan.scene import Attached, Scene
from diffplan.sequence.setting import Judges, Setting
from diffplan.timing import load_compiled

_ready: set[str] = set()


def make_ready(robot: Robot, q: Float) -> None:
    """Follow a short line with a small box in hand, far from everything, and let planner and judge load.

    Once a process and robot; q [dof] is any configuration.
    """
    if robot.fingerprint in _ready:
        return
    held = Attached(obstacle=Box(name="warm-up box", size=(0.02, 0.02, 0.02)), link=robot.tool_frame.link)
    far = Sphere(name="warm-up ball", radius=0.1, pose=Pose(xyz=(0.0, 0.0, 5.0)))
    load_compiled()
    with Judges() as judges:
        setting = Setting(robot, Scene(obstacles=(far,), attached=(held,)), judges)
        setting.clear(q[None])
        setting.finder.finished(setting.finder.follow(q[None], Line(to=(0.0, 0.0, 0.01)))[0])
        problem = Problem(robot=setting.robot, scene=setting.scene, start=q, goals=q[None])
        make_planner(DEFAULT).prepare(Task.of(problem))
        setting.certifier.check(q)
    _ready.add(robot.fingerprint)
