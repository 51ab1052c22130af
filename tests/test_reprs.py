"""What a notebook or a debugger shows of a plan, a robot, a trajectory and a scene: two short lines at most."""

import base64
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import Box, Mesh, Sphere
from diffplan.problem import Alternative, Certificate, Closest, Metrics, Plan, Problem, Status, Trajectory
from diffplan.robot.model import Robot
from diffplan.scene import Query, Scene
from diffplan.words import one_line, some

METRICS = Metrics(path_length_rad=1.5, straight_line_rad=1.0, duration_s=0.87, max_jerk=1.0, mean_jerk=1.0)
CERTIFICATE = Certificate(
    valid=True,
    reason="",
    checked_by="pybullet",
    method="bisection",
    resolution_rad=0.01,
    min_clearance_m=0.0123,
    min_self_clearance_m=None,
    closest=Closest(link="panda_hand", obstacle="shelf", time_s=0.02),
    joint_limits_ok=True,
    velocity_limits_ok=True,
    acceleration_limits_ok=True,
    start_error_rad=0.0,
    goal_error_rad=0.0,
    goal_index=0,
    configurations_checked=3,
)
SCENE = Scene(
    name="shelf",
    robot="panda",
    robot_base=Pose(xyz=(0.1, 0, 0)),
    obstacles=(Box(name="a", size=(1, 1, 1)), Box(name="b", size=(1, 1, 1)), Sphere(name="c", radius=1)),
    queries={"default": Query(start="home", goal="left")},
)


@pytest.fixture(scope="module")
def robot():
    return Robot.load("panda")


@pytest.fixture(scope="module")
def plan(robot):
    q = np.zeros((5, 7))
    trajectory = Trajectory(time=np.arange(5) * 0.01, position=q, velocity=q, acceleration=q)
    return Plan(
        status=Status.SOLVED,
        message=Status.SOLVED.advice,
        planner="diffusion",
        solved_by="diffusion",
        robot=robot,
        scene=SCENE,
        seed=3,
        start=q[0],
        goals=q[:1],
        trajectory=trajectory,
        certificate=CERTIFICATE,
        metrics=METRICS,
        alternatives=(Alternative(trajectory=trajectory, certificate=CERTIFICATE, metrics=METRICS),),
    )


def test_a_solved_plan_shows_who_solved_what_and_how_well(plan):
    assert repr(plan) == (
        "Plan(solved by diffusion: panda in shelf, seed 3\n"
        "     path 1.50 rad in 0.87 s, least clearance measured 12.3 mm (panda_hand to shelf), 1 alternative)"
    )
    assert repr(plan.alternatives[0]) == (
        "Alternative(path 1.50 rad in 0.87 s, least clearance measured 12.3 mm (panda_hand to shelf), to goal 0)"
    )
    assert repr(plan.trajectory) == "Trajectory(5 samples of 7 joints, 0.040 s)"


def test_a_plan_that_is_not_solved_shows_its_status_and_message(plan):
    failed = replace(plan, status=Status.START_IN_COLLISION, message="at the start, hand touches shelf")
    assert repr(failed) == (
        "Plan(not solved: start_in_collision: panda in shelf, seed 3\n     at the start, hand touches shelf)"
    )


def test_a_plan_is_true_only_if_it_is_solved(plan):
    assert bool(plan) is True
    for status in Status:
        if status is not Status.SOLVED:
            assert bool(replace(plan, status=status)) is False


def test_a_robot_and_a_scene_show_what_they_are(robot):
    first, second = repr(robot).split("\n")
    assert first.startswith("Robot('panda', 7 joints: panda_joint1, ")
    assert "from panda_link0 to panda_hand, holds panda_finger_joint1 at 0.04, " in second
    assert repr(SCENE) == (
        "Scene('shelf', 3 obstacles: 2 boxes, 1 sphere\n      panda at (0.1, 0, 0); queries default)"
    )
    assert repr(Scene()) == "Scene('scene', no obstacles\n      robot at (0, 0, 0))"


def test_names_of_any_length_and_kind_keep_every_repr_in_two_short_lines(plan, robot):
    wild = "a\nb\x1b[31m\u2028" + 500 * "x"
    long = "a b\u2028" + 500 * "x"  # a scene takes no control characters
    scene = replace(SCENE, name=long, robot=long, queries={f"{long}{i}": SCENE.queries["default"] for i in range(50)})
    arm = replace(robot, name=wild, configurations={f"{wild}{i}": np.zeros(7) for i in range(50)})
    closest = Closest(link=wild, obstacle=wild, time_s=0.0)
    certificate = replace(CERTIFICATE, closest=closest)
    shown = [
        replace(plan, robot=arm, scene=scene, solved_by=wild, certificate=certificate),
        replace(plan, robot=arm, scene=scene, status=Status.NOT_CERTIFIED, message=wild),
        replace(plan.alternatives[0], certificate=certificate),
        Problem(robot=arm, scene=scene, start=np.zeros(7), goals=np.zeros((2, 7)), name=wild),
        arm,
        scene,
        Trajectory(time=np.zeros(0), position=np.zeros(0), velocity=np.zeros(0), acceleration=np.zeros(0)),
    ]
    for text in map(repr, shown):
        lines = text.split("\n")
        assert len(lines) <= 2
        assert all(line.isprintable() and len(line) < 700 for line in lines)


def test_lists_and_texts_are_cut_and_say_so():
    assert some("abcdefgh") == "a, b, c, d, e, f, g, h"
    assert some("abcdefghi") == "a, b, c, d, e, f, g, 2 more"
    assert one_line("a\n  b\tc") == "a b c"
    assert one_line("x" * 10, 8) == "xxxxx..."


def test_a_notebook_shows_the_words_and_a_picture(robot):
    home = robot.configuration("home")
    failed = Plan(
        status=Status.NO_PATH_FOUND,
        message="",
        planner="test",
        solved_by="",
        robot=robot,
        scene=Scene(name="<b>"),
        seed=0,
        start=home,
        goals=home[None],
    )
    for shown in (failed, SCENE, replace(SCENE, robot=None), replace(SCENE, robot="no such robot"), Scene()):
        text = shown._repr_html_()
        assert text.startswith(f"<pre>{type(shown).__name__}(")
        assert "<b>" not in text
        picture = base64.b64decode(text.split("base64,")[1].split('"')[0])
        assert picture.startswith(b"\x89PNG")


def test_a_notebook_shows_the_words_where_nothing_can_be_drawn(monkeypatch):
    monkeypatch.setitem(sys.modules, "diffplan.pybullet.notebook", None)
    assert "no picture: " in SCENE._repr_html_()
    monkeypatch.undo()
    gone = Scene(obstacles=(Mesh(name="a", file=Path("<gone>.obj")),))
    assert "<p>no picture: &lt;gone&gt;.obj: " in gone._repr_html_()
