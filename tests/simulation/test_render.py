"""Pictures show the robot, the obstacles and the tool's path."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from diffplan.errors import InputError
from diffplan.geometry import Pose
from diffplan.problem import Plan, Status
from diffplan.scene import Box, Scene
from diffplan.simulation import render as rendering
from diffplan.simulation.stage_set import tool_path, tube


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


def test_other_kinds_of_files_and_plans_without_trajectory_are_refused(plan, tmp_path):
    with pytest.raises(InputError, match=r"\.bmp.*\.png, \.gif, \.mp4"):
        rendering.render(plan, tmp_path / "plan.bmp")
    with pytest.raises(InputError, match="no trajectory"):
        rendering.render(replace(plan, trajectory=None), tmp_path / "plan.png")


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
