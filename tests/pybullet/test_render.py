"""Pictures show the robot, the obstacles and the tool's path."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from diffplan.certificate.bullet import bullet, connection
from diffplan.errors import InputError
from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import Box, Plane, Sphere
from diffplan.problem import Contact, Plan, Status, robot_in
from diffplan.pybullet import render as rendering
from diffplan.pybullet.failure import contact_point, failure, motion_contact
from diffplan.pybullet.stage_set import tool_path, tube
from diffplan.scene import Attached, Scene


@pytest.fixture
def plan(panda, timed, monkeypatch):
    monkeypatch.setattr(rendering, "_STRIP_SIZE", (160, 160))
    monkeypatch.setattr(rendering, "_STRIP_POSES", 2)
    monkeypatch.setattr(rendering, "_FILM_SIZE", (160, 128))
    monkeypatch.setattr(rendering, "_FILM_FRAMES", 3)
    home = panda.configuration("home")
    trajectory = timed(np.array([home, home + 0.8 * np.eye(7)[0] + 0.5 * np.eye(7)[1]]), 1.5)
    plane = Box(name="plane", size=(200.0, 200.0, 10.0), pose=Pose(xyz=(0.0, 0.0, -5.0)))
    wall = Box(name="wall", size=(0.02, 2.0, 1.0), pose=Pose(xyz=(-0.6, 0.0, 0.5)))
    return Plan(
        status=Status.NOT_CERTIFIED,
        message="",
        planner="test",
        solved_by="test",
        robot=panda,
        scene=Scene(obstacles=(plane, wall)),
        seed=0,
        start=trajectory.position[0],
        goals=trajectory.position[-1:],
        trajectory=trajectory,
    )


def _strip(plan, file):
    rendering.render(plan, file)
    with Image.open(file) as picture:
        assert picture.size == (320, 160)
        return np.asarray(picture.convert("RGB")).astype(int)


def _reddish(pixels):
    """How many pixels have the hue of the tool's path."""
    red, green, blue = (pixels[..., i] for i in range(3))
    return int(np.sum((red > 1.5 * green) & (red > 1.3 * blue) & (green < 130) & (red > 80)))


def test_a_strip_shows_every_pose_with_the_tool_path(plan, tmp_path, monkeypatch):
    pixels = _strip(plan, tmp_path / "strip.png")
    first, last = pixels[:, :160], pixels[:, 160:]
    assert np.abs(first - last).max() > 60
    assert min(_reddish(first), _reddish(last)) >= 8
    monkeypatch.setattr(rendering, "add_tool_path", lambda client, points: None)
    assert _reddish(_strip(plan, tmp_path / "bare.png")) == 0


@pytest.mark.parametrize("kind", [".gif", ".mp4"])
def test_a_film_is_written(plan, tmp_path, kind):
    file = tmp_path / f"film{kind}"
    rendering.render(plan, file)
    assert file.stat().st_size > 1000
    if kind == ".gif":
        with Image.open(file) as film:
            assert film.n_frames == 3


def test_other_kinds_of_files_are_refused(plan, tmp_path):
    with pytest.raises(InputError, match=r"\.bmp.*\.png, \.gif, \.mp4"):
        rendering.render(plan, tmp_path / "plan.bmp")


def test_the_tool_path_is_that_of_the_point_between_the_fingers(panda):
    home = panda.configuration("home")
    base = Pose(xyz=(0.1, 0.2, 0.3))
    tip = panda.link_pose(home[None], "panda_grasptarget")[0, :3, 3]
    np.testing.assert_allclose(tool_path(panda, base, home[None])[0], tip + base.xyz)


def test_a_tube_keeps_its_radius_along_the_way():
    angles = np.linspace(0, 4, 30)
    way = np.stack([np.cos(angles), np.sin(angles), 0.1 * angles], axis=1)
    corners, triangles = tube(way)
    rings = corners.reshape(len(way), -1, 3)
    np.testing.assert_allclose(np.linalg.norm(rings - way[:, None], axis=2), 0.006, atol=1e-9)
    assert triangles.min() == 0
    assert triangles.max() == len(corners) - 1


def _red(pixels):
    """How many pixels are of the red that shows what touches: no blue in it."""
    red, green, blue = (np.asarray(pixels)[..., i].astype(int) for i in range(3))
    return int(np.sum((red > 100) & (green < 0.35 * red) & (blue < 0.35 * red)))


def _touching(panda, at, q, obstacle="ball", other=""):
    ball = Sphere(name="ball", radius=0.1, pose=Pose(xyz=(0.31, 0.0, 0.6)))
    check = Contact(at=at, link="panda_link7", obstacle=obstacle, other_link=other, q=tuple(q), clearance_m=-0.02)
    return Plan(
        status=Status.START_IN_COLLISION if at == "start" else Status.GOAL_IN_COLLISION,
        message="",
        planner="test",
        solved_by="",
        robot=panda,
        scene=Scene(obstacles=(ball,)),
        seed=0,
        start=q,
        goals=q[None],
        contact=check,
    )


@pytest.mark.parametrize("at", ["start", "goal"])
def test_an_end_in_contact_is_drawn_from_afar_and_near_by_in_red(panda, at):
    plan = _touching(panda, at, panda.configuration("home"))
    whole, near = rendering.still_pictures(plan, (160, 160))
    assert min(_red(whole), _red(near)) > 50
    free = replace(plan, contact=None, status=Status.NO_PATH_FOUND)
    (shown,) = rendering.still_pictures(free, (160, 160))
    assert _red(shown) == 0


def test_two_links_that_touch_are_both_red(panda):
    plan = replace(
        _touching(panda, "start", panda.configuration("home"), obstacle="", other="panda_link5"), scene=Scene()
    )
    whole, near = rendering.still_pictures(plan, (160, 160))
    assert min(_red(whole), _red(near)) > 50


def test_a_joint_outside_its_limits_is_named_and_its_link_is_red(panda):
    q = panda.configuration("home")
    q[3] = 0.5
    plan = replace(_touching(panda, "start", q), contact=None, status=Status.START_OUTSIDE_LIMITS, scene=Scene())
    assert failure(plan).text == "start outside limits: panda_joint4"
    (shown,) = rendering.still_pictures(plan, (160, 160))
    assert _red(shown) > 50


@pytest.mark.parametrize("kind", [".png", ".gif", ".mp4"])
def test_a_plan_without_a_motion_or_a_goal_is_still_drawn_to_every_kind_of_file(panda, plan, tmp_path, kind):
    status = Status.GOAL_UNREACHABLE
    nothing = replace(plan, trajectory=None, status=status, goals=np.zeros((0, 7)), scene=Scene())
    file = tmp_path / f"plan{kind}"
    rendering.render(nothing, file)
    assert file.stat().st_size > 500


def test_a_refused_motion_is_red_where_it_touches(panda, timed, plan):
    home = panda.configuration("home")
    trajectory = timed(np.array([home, home + 0.8 * np.eye(7)[0]]), 1.5)
    wall = Box(name="wall", size=(0.3, 0.02, 0.6), pose=Pose(xyz=(0.35, 0.15, 0.5)))
    refused = replace(plan, trajectory=trajectory, scene=Scene(obstacles=(wall,)))
    contact = motion_contact(refused, trajectory)
    assert contact is not None
    assert (contact.obstacle, contact.at) == ("wall", "motion")
    assert contact.time_s is not None
    assert 0 < contact.time_s < 1.5
    pictures = rendering.strip_pictures(refused, size=(160, 160), poses=3, finer=1.0)
    assert len(pictures) == 3
    assert all(_red(picture) > 20 for picture in pictures)  # the wall
    free = replace(refused, scene=Scene())
    assert motion_contact(free, trajectory) is None


def test_the_place_of_a_contact_lies_between_what_touches(panda):
    home = panda.configuration("home")
    plan = _touching(panda, "start", home)
    assert plan.contact is not None
    place = contact_point(panda, plan.scene, plan.contact)
    assert np.linalg.norm(place - (0.31, 0.0, 0.6)) < 0.11


def test_the_camera_stands_where_a_screen_does_not_hide_the_goal(panda, timed, plan):
    home = panda.configuration("home")
    path = np.array([home, home + 0.3 * np.eye(7)[0]])
    tip = tool_path(panda, Pose(), path)[-1]
    for side in (-0.15, 0.15):
        screen = Box(name="screen", size=(0.8, 0.01, 1.2), pose=Pose(xyz=(tip[0], tip[1] + side, 0.6)))
        with connection() as client:
            camera = rendering.set_up(client, panda, Scene(obstacles=(screen,)), path, ways=(), tube=False, aspect=1.0)
            eye = np.linalg.inv(np.reshape(camera.view, (4, 4)).T)[:3, 3]
            hit = bullet.rayTest(eye.tolist(), tip.tolist(), physicsClientId=client)[0]
        assert hit[0] < 0


def test_a_floor_is_seen_only_where_there_is_one(plan, tmp_path):
    def grey(scene):
        """How many pixels have the colour of a floor in the light or in a shadow."""
        pixels = _strip(replace(plan, scene=scene), tmp_path / "strip.png")
        low, high = pixels.min(axis=2), pixels.max(axis=2)
        return int(((high - low < 12) & (low > 120) & (high < 250)).sum())

    wall = plan.scene.obstacles[1]
    without = grey(Scene(obstacles=(wall,)))
    assert grey(Scene(obstacles=(wall, Plane(name="floor")))) > without + 5000


def test_what_is_held_moves_along_in_pictures_and_is_red_where_it_touches(plan, tmp_path):
    ball = Sphere(name="ball", radius=0.12, pose=Pose(xyz=(0.0, 0.0, 0.25)))
    scene = replace(plan.scene, attached=(Attached(obstacle=ball, link="panda_hand"),))
    holding = replace(plan, scene=scene, robot=robot_in(plan.robot, scene))
    bare, held = _strip(plan, tmp_path / "bare.png"), _strip(holding, tmp_path / "held.png")
    for half in (slice(0, 160), slice(160, 320)):
        assert np.abs(bare[:, half] - held[:, half]).max() > 60
    touched = replace(scene, obstacles=(*scene.obstacles, _ball_at(holding, 0.25)))
    contact = motion_contact(replace(holding, scene=touched), plan.trajectory)
    assert contact is not None
    assert (contact.link, contact.obstacle) == ("ball", "touched")
    point = contact_point(holding.robot, touched, contact)
    centre = (holding.robot.link_pose(np.array(contact.q), "ball")[0])[:3, 3]
    assert np.linalg.norm(point - centre) < 0.15
    _strip(replace(holding, scene=touched), tmp_path / "touch.png")


def _ball_at(plan, ahead):
    hand = plan.robot.link_pose(plan.trajectory.position[-1], "panda_hand")[0]
    place = (hand @ np.array([0.0, 0.0, ahead, 1.0]))[:3]
    return Sphere(name="touched", radius=0.02, pose=Pose(xyz=tuple(place.tolist())))
