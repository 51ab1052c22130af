"""`diffplan view`: a picture of what there is before planning."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import diffplan as dp
from diffplan.cli import main
from diffplan.pybullet.camera import Camera
from diffplan.pybullet.failure import Arm
from diffplan.pybullet.scene_picture import _pixels, draw_scene

SCENE = """format: diffplan/scene@1
name: two
obstacles:
  - {name: left_box, type: box, size: [0.1, 0.1, 0.3], pose: {xyz: [0.5, 0.3, 0.15]}}
  - {name: ground, type: floor}
queries:
  one: {start: home, goal: left}
  other: {start: home, goal: right}
"""


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    file = tmp_path / "two.yaml"
    file.write_text(SCENE)
    return file


def _view(capsys: pytest.CaptureFixture[str], *argv: object) -> tuple[int, str]:
    code = main(["view", *map(str, argv)])
    return code, capsys.readouterr().err


def _pixels_of(file: Path) -> np.ndarray:
    return np.asarray(Image.open(file).convert("RGB"), dtype=int)


def test_a_scene_is_drawn_with_start_and_goal_of_the_query_asked_for(scene, tmp_path, capsys):
    pictures = {}
    for name in ("one", "other", "two/other"):
        file = tmp_path / f"{name.replace('/', '_')}.png"
        assert _view(capsys, scene, "--only", name, "--out", file)[0] == 0
        pictures[name] = _pixels_of(file)
        red, green, blue = np.moveaxis(pictures[name], 2, 0)
        assert np.count_nonzero((green > red + 60) & (green > blue + 60)) > 2000  # the arm at the start
        assert np.count_nonzero((red > green + 100) & (red > blue + 60)) > 2000  # at the goal
    assert np.array_equal(pictures["other"], pictures["two/other"])
    assert not np.array_equal(pictures["one"], pictures["other"])


def test_a_scene_without_queries_and_a_suite_are_drawn(scene, tmp_path, capsys):
    bare = tmp_path / "bare.yaml"
    bare.write_text(SCENE.split("queries")[0])
    assert _view(capsys, bare, "--out", tmp_path / "bare.png")[0] == 0
    assert _pixels_of(tmp_path / "bare.png").shape == (720, 960, 3)
    assert _view(capsys, "unseen", "--out", tmp_path / "unseen.png")[0] == 0
    assert _pixels_of(tmp_path / "unseen.png").shape == (360, 2 * 480, 3)  # the first of both sets


def test_a_plan_is_drawn_as_by_plan(scene, tmp_path, capsys):
    plan, drawn = tmp_path / "plan.json", tmp_path / "drawn.png"
    assert main(["plan", str(scene), "--query", "one", "--out", str(plan), "--render", str(drawn)]) == 0
    assert _view(capsys, plan, "--out", tmp_path / "plan.png")[0] == 0
    assert (tmp_path / "plan.png").read_bytes() == drawn.read_bytes()


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("--only", "oter", "--out", "x.png"), "--only: no such problem (did you mean 'two/other'?) (found 'oter')"),
        (("--out", "x.gif"), "x.gif: cannot draw this kind of file (found '.gif'); allowed: .png"),
        (("--out", "nowhere/x.png"), "nowhere"),
    ],
)
def test_what_cannot_be_drawn_is_told_in_one_line(scene, tmp_path, capsys, monkeypatch, argv, words):
    monkeypatch.chdir(tmp_path)
    code, told = _view(capsys, scene, *argv)
    assert code == 2
    assert words in told
    assert len(told.splitlines()) == 1


def test_a_point_before_the_camera_is_in_the_middle_of_the_picture():
    view = (1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -2.0, 1.0)  # 2 m behind the origin
    projection = (1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, -1.0, -1.0, 0.0, 0.0, -0.1, 0.0)
    camera = Camera(view=view, projection=projection, light=(0.0, 0.0, 1.0))
    points = np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 0.0]])
    assert _pixels(camera, points, (400, 200)) == pytest.approx(np.array([[200.0, 100.0], [300.0, 50.0]]))


def test_the_name_of_an_obstacle_stands_on_it():
    panda = dp.Robot.load("panda")
    box = dp.Box(name="box", size=(0.2, 0.2, 0.2), pose=dp.Pose(xyz=(0.6, 0.4, 0.1)))
    arms = [Arm(q=panda.configuration("home"))]
    one, other = (
        np.asarray(draw_scene(panda, dp.Scene(obstacles=(each,)), arms, size=(480, 360)), dtype=int)
        for each in (box, replace(box, name="lid"))
    )
    rows, columns = np.nonzero(np.abs(one - other).sum(axis=2))
    assert len(rows)
    assert max(np.ptp(rows), np.ptp(columns)) < 40
    below = one[rows.max() + 4, int(columns.mean())]
    assert below.min() < 200  # not the white behind everything
