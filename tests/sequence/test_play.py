"""Played in physics: nothing is glued, and the objects end where they should."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pybullet as p
import pytest
from PIL import Image

import diffplan as dp
from diffplan.certificate.frames import link_frame
from diffplan.sequence.film import render_sequence
from diffplan.sequence.own_world import execute_sequence, own_world
from diffplan.sequence.result import SequencePlan

ROBOT = dp.Robot.load("panda")
TARGET = dp.Pose.from_rpy((0.45, -0.25, 0.026), (0, 0, 0.5))


@pytest.fixture(scope="module")
def plan() -> SequencePlan:
    table = dp.Box(name="table", size=(0.8, 1.2, 0.04), pose=dp.Pose(xyz=(0.6, 0.0, -0.02)))
    cube = dp.Box(name="cube", size=(0.05, 0.05, 0.05), pose=dp.Pose(xyz=(0.5, 0.2, 0.025)))
    bystander = dp.Cylinder(name="can", radius=0.03, height=0.1, pose=dp.Pose(xyz=(0.6, 0.0, 0.05)))
    scene = dp.Scene(name="table", robot="panda", obstacles=(table, cube, bystander))
    found = dp.Sequence(dp.pick_and_place("cube", TARGET, grasps="top")).plan(ROBOT, scene, timeout=60.0)
    assert found, found.message
    return found


def test_the_cube_ends_at_its_place_by_friction_alone(plan: SequencePlan) -> None:
    with own_world(plan) as world:
        started = link_frame(world.client, world.bodies["cube"], -1)
        np.testing.assert_allclose(started.xyz, (0.5, 0.2, 0.025), atol=2e-3)
        report = plan.play(world.client, world.body, bodies=world.bodies)
        assert p.getNumConstraints(physicsClientId=world.client) == 0
        ended = link_frame(world.client, world.bodies["cube"], -1)
    (cube,) = report.objects
    assert cube.name == "cube"
    assert cube.off_mm == pytest.approx(1000 * np.linalg.norm(np.subtract(ended.xyz, TARGET.xyz)), abs=0.5)
    assert report.within(mm=5.0, deg=3.0), report.words
    assert report.disturbed == ()
    assert report.tracking_rad < 0.01


def test_what_slips_out_of_the_hand_is_told_with_how_far_it_is_from_its_place(plan: SequencePlan) -> None:
    with own_world(plan) as world:
        p.changeDynamics(world.bodies["cube"], -1, lateralFriction=0.0, physicsClientId=world.client)
        report = plan.play(world.client, world.body, bodies=world.bodies)
    assert report.objects[0].off_mm > 50.0
    assert not report.within()


def test_the_world_is_checked_before_anything_moves(plan: SequencePlan) -> None:
    with own_world(plan) as world:
        with pytest.raises(dp.InputError, match=r"bodies: which body this object is has to be said \(found 'cube'\)"):
            plan.play(world.client, world.body)
        with pytest.raises(dp.InputError, match=r"bodies\.cube: this body cannot move"):
            plan.play(world.client, world.body, bodies={"cube": world.bodies["table"]})
        p.resetJointState(world.body, 0, 0.4, physicsClientId=world.client)
        with pytest.raises(dp.InputError, match="not at the start of the sequence: joint panda_joint1"):
            plan.play(world.client, world.body, bodies=world.bodies)


def test_an_unsolved_sequence_is_neither_played_nor_drawn(tmp_path: Path) -> None:
    wide = dp.Box(name="wide", size=(0.2, 0.2, 0.2), pose=dp.Pose(xyz=(0.5, 0.2, 0.1)))
    none = dp.Sequence(dp.pick("wide")).plan(ROBOT, dp.Scene(obstacles=(wide,)))
    assert not none
    with pytest.raises(dp.InputError, match="not solved"):
        execute_sequence(none)
    with pytest.raises(dp.InputError, match="not solved"):
        none.render(tmp_path / "film.gif")


def test_in_a_picture_the_cube_is_where_the_hand_has_it(plan: SequencePlan, tmp_path: Path) -> None:
    render_sequence(plan, tmp_path / "strip.png")
    with Image.open(tmp_path / "strip.png") as strip:
        assert strip.size == (6 * 480, 480)  # the end of every motion
        first, last = (np.asarray(strip.crop((480 * i, 30, 480 * i + 480, 480)), dtype=float) for i in (0, 5))
    assert np.abs(first - last).mean() > 1.0
    with pytest.raises(dp.InputError, match="cannot draw this kind of file"):
        plan.render(tmp_path / "film.bmp")
