"""The shipped scenes: they load, and their starts and goals stand clear of everything in PyBullet."""

import numpy as np
import pytest

from diffplan.benchmark.preflight import preflight
from diffplan.benchmark.suites import load_scenes, scene_cases
from diffplan.errors import InputError
from diffplan.geometry.shapes import Mesh
from diffplan.robot.model import Robot
from diffplan.scene import PoseGoal, Scene, Urdf
from diffplan.system.assets import shipped_robots, shipped_scenes

CLEAR = 0.010  # [m]


@pytest.fixture(scope="module")
def robot() -> Robot:
    return Robot.load("panda")


def test_at_least_eight_scenes_are_shipped() -> None:
    assert len(shipped_scenes()) >= 8


@pytest.mark.parametrize("name", shipped_scenes())
def test_a_scene_is_named_as_its_file_and_asks_at_least_two_queries(name: str) -> None:
    scene = Scene.load(name)
    assert scene.name == name
    assert scene.robot == "panda"
    assert {"default", "hard"} <= set(scene.queries)


def test_the_scenes_cover_mesh_and_urdf_obstacles_and_pose_goals() -> None:
    scenes = [Scene.load(name) for name in shipped_scenes()]
    kinds = {type(obstacle) for scene in scenes for obstacle in scene.obstacles}
    assert {Mesh, Urdf} <= kinds
    goals = [query.goal for scene in scenes for query in scene.queries.values()]
    assert sum(isinstance(goal, PoseGoal) for goal in goals) >= 4


@pytest.mark.parametrize("name", shipped_scenes())
def test_starts_and_goals_are_within_limits_and_a_centimetre_clear(name: str, robot: Robot) -> None:
    from diffplan.certificate.certifier import Certifier

    scene = Scene.load(name)
    with Certifier(robot, scene) as certifier:
        for query in scene.queries.values():
            for place in (query.start, query.goal):
                if isinstance(place, PoseGoal):
                    continue
                q = robot.configuration(place) if isinstance(place, str) else np.array(place)
                assert np.all((q >= robot.lower) & (q <= robot.upper))
                check = certifier.check(q)
                assert check.clearance_m > CLEAR, (check.link, check.obstacle)
                assert check.self_clearance_m > CLEAR, check.self_links


@pytest.mark.parametrize("name", shipped_scenes())
@pytest.mark.parametrize("arm", shipped_robots())
def test_every_shipped_robot_can_start_and_end_at_a_query_of_every_scene(arm: str, name: str) -> None:
    try:
        Robot.load(arm)
    except InputError as error:
        if "allowed: pip install" not in str(error):
            raise
        pytest.skip(str(error))
    ((robot, scene),) = load_scenes(name, arm)
    cases = scene_cases(robot, scene)
    assert any(start.free and goal.free for start, goal in map(preflight, cases)), [case.id for case in cases]
