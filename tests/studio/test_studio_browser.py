"""The studio in a real browser: what is dragged with the mouse is planned, certified and shown.

Without a browser these tests are skipped; DIFFPLAN_TEST_BROWSER=required makes that a failure.
"""

import gc
import re
import shlex
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import diffplan as dp
from diffplan.cli import main

pytest.importorskip("viser", reason="the extra `studio` is not installed")
from playwright.sync_api import sync_playwright

from diffplan.studio.nodes import RED
from diffplan.studio.opening import of_scene
from diffplan.studio.opening import opened as opened_with
from diffplan.studio.server import Studio

sys.path.insert(0, str(Path(__file__).parent))
from driving import ARGUMENTS, best_axis, drag, on_screen, open_studio, wait_until

DOWN = (0.0, 1.0, 0.0, 0.0)
TRIES, ASKED_S = 4, 20.0
SCENE = dp.Scene(
    name="small",
    robot="iiwa",
    obstacles=(
        dp.Box(name="table", size=(0.7, 1.2, 0.04), pose=dp.Pose(xyz=(0.65, 0.0, 0.1))),
        dp.Box(name="post", size=(0.08, 0.08, 0.5), pose=dp.Pose(xyz=(0.8, 0.0, 0.37))),
    ),
    queries={
        "default": dp.Query(
            start=(-0.537, 0.571, -0.006, -1.473, 0.003, 1.098, -0.543),
            goal=dp.PoseGoal(pose=dp.Pose(xyz=(0.5, 0.3, 0.45), quat_xyzw=DOWN)),
        )
    },
)
# What Chromium and three.js say where there is no graphics card, and viser of itself.
USUAL = re.compile(
    r"THREE\.Clock|KHR_parallel|GPU stall|WebGL support|chrome version|Connect|GL Driver Message|ViewerCameraMessage"
)


@pytest.fixture(scope="module")
def browser(chromium):
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def studio(browser):
    with Studio(of_scene(dp.Robot.load("iiwa"), SCENE), port=8321) as studio:
        yield studio


def _page(browser, studio, found):
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    own = (studio.url, studio.url.replace("http", "ws"), "data:", "blob:")
    page.on("console", lambda message: None if USUAL.search(message.text) else found.append(message.text))
    page.on("pageerror", lambda error: found.append(f"error: {error}"))
    page.on("request", lambda request: None if request.url.startswith(own) else found.append(request.url))
    return page


@pytest.fixture(scope="module")
def opened(browser, studio):
    """A page, its view, and what it complained about or asked elsewhere for."""
    found = []
    page = _page(browser, studio, found)
    return page, open_studio(page, studio), found


@pytest.fixture
def driven(opened, studio):
    """The page and its view, back at the scene it was opened with."""
    page, view, found = opened
    before = view.number
    view.actor.post(lambda: view.show(studio.opening.first))
    wait_until(page, lambda: view.number > before and view.settled, "the first motion again")
    yield page, view
    assert found == []


def _moved(page, view, do):
    """Do something and wait for the answer to it; returns the number of certified motions that it brought.

    Where the page is drawn slowly, the mouse may find no handle yet: nothing is asked then, and it is done again.
    """
    before, asked = view.shown_number, view.number
    for _ in range(TRIES):
        do()
        end = time.monotonic() + ASKED_S
        while view.number == asked and time.monotonic() < end:
            page.wait_for_timeout(20)
        if view.number > asked:
            break
    wait_until(page, lambda: view.number > asked and view.settled, "an answer")
    return view.shown_number - before


def test_a_goal_dragged_by_its_handle_brings_a_certified_motion(driven):
    page, view = driven
    goal, motion = view.setting.goal_pose(), view.motion
    axis = best_axis(page, view, "goal")
    assert _moved(page, view, lambda: drag(page, view, "goal", axis, -6.0)) >= 1
    moved = np.array(view.setting.goal_pose().xyz) - goal.xyz
    assert np.linalg.norm(moved) == pytest.approx(0.06, abs=0.01)
    assert view.found is view.motion is not motion
    assert view.motion.certificate.valid
    end = view.setting.tool_pose(view.motion.trajectory.position[-1])
    assert end.xyz == pytest.approx(view.setting.goal_pose().xyz, abs=1e-4)
    words = f"certified: motion {view.shown_number}"
    wait_until(page, lambda: words in page.locator("body").inner_text(), "the words for it")


def test_an_obstacle_is_clicked_and_dragged_into_the_way(driven):
    page, view = driven
    motion = view.motion
    page.mouse.click(*on_screen(page, view, np.array(view.setting.scene.obstacle("post").pose.xyz)))
    wait_until(page, lambda: view.handles["obstacle"].visible, "the obstacle's handle")
    page.wait_for_timeout(300)
    assert view.panel.obstacle.value == "post"
    assert _moved(page, view, lambda: drag(page, view, "obstacle", 0, -25.0)) >= 1
    post = view.setting.scene.obstacle("post")
    assert post.pose.xyz == pytest.approx((0.55, 0.0, 0.37), abs=0.03)
    assert view.motion is view.found is not motion
    assert view.motion.certificate.valid
    assert view.motion.scene.obstacle("post") == post
    with dp.Certifier(motion.robot, view.setting.scene) as certifier:  # the motion before would touch it now
        assert min(certifier.clearance(q) for q in motion.trajectory.position) < 0


def test_an_impossible_goal_shows_its_reason_and_what_touches(driven):
    page, view = driven
    for _ in range(2):
        _moved(page, view, lambda: drag(page, view, "goal", 2, 17.0))  # down into the table
    assert view.found.status is dp.Status.GOAL_IN_COLLISION
    assert view.motion.solved
    wait_until(page, lambda: "goal_in_collision" in page.locator("body").inner_text(), "the reason")
    assert "table" in page.locator("body").inner_text()
    assert view.obstacles.colour("table") == RED
    assert view.obstacles.colour("post") != RED
    page.get_by_role("button", name="undo").click()
    wait_until(page, lambda: view.settled and view.found.solved, "the motion before")
    assert view.obstacles.colour("table") != RED


def test_what_is_saved_is_planned_again_bit_for_bit(driven, tmp_path):
    page, view = driven
    _moved(page, view, lambda: drag(page, view, "goal", best_axis(page, view, "goal"), -3.0))
    page.get_by_role("tab", name="Save").click()
    view.panel.folder.value = str(tmp_path)
    page.get_by_role("button", name="save scene, query and plan").click()
    wait_until(page, lambda: "wrote" in view.panel.command.content, "the files")
    command = re.search(r"```\n(.*)\n```", view.panel.command.content)[1]
    assert main(shlex.split(command)[1:]) == 0
    saved, again = dp.Plan.load(tmp_path / "plan.json"), dp.Plan.load(tmp_path / "again.json")
    for key in ("time", "position", "velocity", "acceleration"):
        assert (getattr(saved.trajectory, key) == getattr(again.trajectory, key)).all()
    page.get_by_role("tab", name="Ask").click()


def test_a_second_browser_has_a_setting_of_its_own_and_its_process_ends_with_it(browser, studio, driven):
    page, view = driven
    complaints = []
    other = _page(browser, studio, complaints)
    second = open_studio(other, studio)
    setting, found = view.setting, view.found
    process = second.planning.process
    _moved(other, second, lambda: drag(other, second, "goal", best_axis(other, second, "goal"), -4.0))
    assert second.setting.goal_pose() != setting.goal_pose()
    assert view.setting is setting
    assert view.found is found
    other.close()
    wait_until(page, lambda: process.poll() is not None, "the end of the planning process")
    assert complaints == []
    assert len(studio.views) == 1


def test_costs_planner_and_layers_are_taken_and_wrong_words_are_told(driven):
    page, view = driven

    def ask(**changes):
        view.actor.post(lambda: view.edit(replace(view.setting, **changes)))

    _moved(page, view, lambda: ask(planner="rrtconnect", alternatives=1, costs=("upright",)))
    assert view.found.solved_by == "rrtconnect"
    page.get_by_role("tab", name="Ask").click()
    page.locator("textarea").first.fill("nonsense")
    wait_until(page, lambda: "nonsense" in view.panel.status.content, "the refusal")
    page.get_by_role("tab", name="Layers").click()
    for name in ("collision spheres of the planner", "hulls of the certificate"):
        page.get_by_label(name).check()
    wait_until(page, lambda: view.layers["hulls"].root.visible, "the layers")


def test_the_start_is_dragged_by_its_handle(driven):
    page, view = driven
    page.get_by_role("tab", name="Layers").click()
    page.get_by_label("handle of the start").check()
    wait_until(page, lambda: view.handles["start"].visible, "the start's handle")
    page.wait_for_timeout(300)
    place = np.array(view.setting.tool_pose(view.setting.start).xyz)
    assert _moved(page, view, lambda: drag(page, view, "start", best_axis(page, view, "start"), -4.0)) >= 1
    moved = np.array(view.setting.tool_pose(view.setting.start).xyz) - place
    assert np.linalg.norm(moved) == pytest.approx(0.04, abs=0.01)
    assert view.motion is view.found
    assert view.motion.trajectory.position[0] == pytest.approx(view.setting.start, abs=1e-9)
    page.get_by_label("handle of the start").uncheck()
    wait_until(page, lambda: not view.handles["start"].visible, "no handle")


def test_alternatives_and_samples_are_drawn(driven):
    page, view = driven

    def drawn(name):
        return name in view._lines and view._lines[name].visible

    assert not drawn("alternatives")
    _moved(page, view, lambda: view.actor.post(lambda: view.edit(replace(view.setting, alternatives=1))))
    assert len(view.found.alternatives) == 1
    wait_until(page, lambda: drawn("alternatives"), "the way of the alternative")
    ways = view._lines["alternatives"].points
    page.get_by_role("tab", name="Layers").click()
    page.get_by_label("samples of the reverse process").check()
    wait_until(page, lambda: drawn("samples"), "the samples")
    assert len(view._lines["samples"].points) > 10 * len(ways)
    page.get_by_label("samples of the reverse process").uncheck()
    wait_until(page, lambda: not drawn("samples"), "no samples")


def test_nothing_piles_up_over_many_drags(driven):
    page, view = driven
    axis = best_axis(page, view, "goal")

    def back_and_forth(times):
        for turn in range(times):
            _moved(page, view, lambda turn=turn: drag(page, view, "goal", axis, (-3.0, 3.0)[turn % 2], steps=3))
        gc.collect()
        kinds = Counter(type(one).__name__ for one in gc.get_objects())
        return {kind: kinds[kind] for kind in ("Plan", "Trajectory", "Request", "MeshHandle", "LineSegmentsHandle")}

    before = back_and_forth(2)
    after = back_and_forth(6)
    assert {kind: number for kind, number in after.items() if number > before[kind]} == {}


@pytest.fixture(scope="module")
def bench_folder(tmp_path_factory):
    """What `diffplan bench` left of two planners, one of which fails."""
    folder = tmp_path_factory.mktemp("bench")
    post = replace(SCENE.obstacle("post"), pose=dp.Pose(xyz=(0.55, 0.0, 0.37)))
    start = SCENE.query("default").start
    mirrored = tuple((-q if i % 2 == 0 else q) for i, q in enumerate(start))
    queries = {"across": dp.Query(start=start, goal=mirrored)}
    replace(SCENE, obstacles=(SCENE.obstacle("table"), post), queries=queries).save(folder / "small.yaml")
    argv = ["bench", str(folder / "small.yaml"), "--planners", "straight,rrtconnect", "--timeout", "5"]
    assert main([*argv, "--out", str(folder / "out")]) == 0
    return folder / "out"


def test_a_failure_of_a_benchmark_is_clicked_and_shown(browser, bench_folder):
    opening = opened_with(str(bench_folder))
    assert [row.planner for row in opening.results.chosen("failures")] == ["straight"]
    assert len(opening.results.chosen("all")) == 2
    complaints = []
    with Studio(opening, port=8331) as studio:
        page = _page(browser, studio, complaints)
        view = open_studio(page, studio)
        page.get_by_role("tab", name="Results").click()
        page.get_by_role("button", name="straight: ").click()
        wait_until(
            page, lambda: "rrtconnect: certified" in page.locator("body").inner_text(), "what each planner found"
        )
        assert not view.found.solved
        assert view.obstacles.colour("post") == RED
        assert view.obstacles.colour("table") != RED
        page.close()
    assert complaints == []
