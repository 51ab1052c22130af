"""A plan file holds its plan whole: robot, scene, motion. What has changed since is noticed."""

import json
import os
import shutil
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

import diffplan as dp
from diffplan.cli import main
from diffplan.errors import InputError
from diffplan.formats.plan_file import plan_document
from diffplan.problem import Plan, Status
from diffplan.system.assets import asset_folder

CUBE = """v 0 0 0
v 1 0 0
v 1 1 0
v 0 1 0
v 0 0 1
v 1 0 1
v 1 1 1
v 0 1 1
f 1 4 3 2
f 5 6 7 8
f 1 2 6 5
f 2 3 7 6
f 3 4 8 7
f 4 1 5 8
"""
BODY = """<robot name="post"><link name="a"><collision><geometry>
<mesh filename="cube.obj" scale="0.1 0.1 0.1"/></geometry></collision></link></robot>"""


def same(one: object, other: object) -> bool:
    """Whether two values are equal through and through, arrays included."""
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and np.array_equal(one, other)
    if isinstance(one, tuple | list):
        return isinstance(other, type(one)) and len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dp.Plan | dp.Trajectory | dp.Alternative):
        return all(same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one) if f.name != "robot")
    return one == other


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "meshes").mkdir()
    (folder / "meshes" / "cube.obj").write_text(CUBE)
    (folder / "meshes" / "post.urdf").write_text(BODY)
    return folder


@pytest.fixture(scope="module")
def scene(folder: Path) -> dp.Scene:
    return dp.Scene(
        name="all kinds",
        robot="panda",
        robot_base=dp.Pose(xyz=(0.0, 0.0, 0.1)),
        obstacles=(
            dp.Box(name="box", size=(0.1, 0.2, 0.3), pose=dp.Pose(xyz=(0.0, 1.2, 0.2))),
            dp.Sphere(name="ball", radius=0.1, pose=dp.Pose(xyz=(0.0, -1.2, 0.2))),
            dp.Mesh(name="cube", file=folder / "meshes" / "cube.obj", scale=0.1, pose=dp.Pose(xyz=(-0.9, 0.0, 0.2))),
            dp.Urdf(name="post", file=folder / "meshes" / "post.urdf", pose=dp.Pose(xyz=(-0.9, 0.5, 0.2))),
        ),
        queries={"default": dp.Query(start="home", goal="left")},
        hold={"panda_finger_joint2": 0.02},
    )


@pytest.fixture(scope="module")
def plan(scene: dp.Scene) -> Plan:
    robot = dp.Robot.load("panda").with_held({"panda_finger_joint1": 0.01})
    goals = [robot.configuration("left"), robot.configuration("right")]
    plan = dp.plan(robot, scene, "home", goals, planner="straight", seed=5)
    assert plan.solved
    assert plan.certificate is not None
    assert plan.trajectory is not None
    assert plan.metrics is not None
    other = dp.Alternative(trajectory=plan.trajectory, certificate=plan.certificate, metrics=plan.metrics)
    return replace(plan, alternatives=(other,), costs={"upright": 0.5})


@pytest.fixture
def project(plan: Plan, folder: Path, tmp_path: Path) -> Path:
    """A copy of the project, with the plan in it."""
    shutil.copytree(folder, tmp_path / "project")
    moved = {str(folder): str(tmp_path / "project")}
    assert plan.fingerprint is not None
    files = {name.replace(*next(iter(moved.items()))): found for name, found in plan.fingerprint.files.items()}
    obstacles = tuple(
        replace(o, file=tmp_path / "project" / "meshes" / Path(o.file).name) if isinstance(o, dp.Mesh | dp.Urdf) else o
        for o in plan.scene.obstacles
    )
    scene = replace(plan.scene, obstacles=obstacles)
    replace(plan, scene=scene, fingerprint=replace(plan.fingerprint, files=files)).save(tmp_path / "project/plan.json")
    return tmp_path / "project"


def edited(file: Path, **keys: object) -> Path:
    document = {**json.loads(file.read_text()), **keys}
    file.write_text(json.dumps({key: value for key, value in document.items() if value is not ...}))
    return file


def test_a_plan_comes_back_as_it_was_saved(plan: Plan, folder: Path) -> None:
    plan.save(folder / "plan.json")
    again = Plan.load(folder / "plan.json")
    assert same(again, plan)
    assert again.robot.held_joints == {"panda_finger_joint1": 0.01, "panda_finger_joint2": 0.02}
    assert again.robot.name == "panda"
    assert plan_document(again, folder) == plan_document(plan, folder)


def test_a_plan_that_failed_comes_back_too(scene: dp.Scene, folder: Path) -> None:
    failed = dp.plan("panda", scene, "home", dp.PoseGoal(link="panda_hand", pose=dp.Pose(xyz=(9.0, 0.0, 0.0))))
    failed.save(folder / "failed.json")
    again = Plan.load(folder / "failed.json")
    assert again.status is Status.GOAL_UNREACHABLE
    assert not again
    assert again.goals.shape == (0, 7)
    assert same(again, replace(failed, fingerprint=again.fingerprint))


def test_a_project_folder_that_moves_keeps_its_plans(project: Path, tmp_path: Path) -> None:
    project.rename(tmp_path / "elsewhere")
    plan = Plan.load(tmp_path / "elsewhere" / "plan.json")
    assert plan.solved
    assert plan.scene.obstacle("cube").file == tmp_path / "elsewhere" / "meshes" / "cube.obj"  # pyright: ignore[reportAttributeAccessIssue]


def test_a_plan_is_loaded_from_any_current_folder(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project / "meshes")
    assert Plan.load("../plan.json").solved


def test_a_certified_plan_is_certified_again_by_check(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(project / "plan.json")]) == 0
    out, err = capfd.readouterr()
    assert "alternative 1" in out
    assert err == "the verdict still holds: certified again\n"


@pytest.mark.parametrize("file", ["meshes/cube.obj", "meshes/post.urdf"])
def test_a_changed_file_is_noticed_and_the_motion_judged_with_it(
    project: Path, file: str, capfd: pytest.CaptureFixture[str]
) -> None:
    stamp = os.stat(project / file)
    text = (project / file).read_text()
    (project / file).write_text(text.replace("v 1 1 1", "v 1 1 2").replace("0.1 0.1 0.1", "0.1 0.1 0.2"))
    os.utime(project / file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    with pytest.raises(InputError, match=f"not as it was when this plan was made: .*{file}.*diffplan check"):
        Plan.load(project / "plan.json")
    assert main(["check", str(project / "plan.json")]) == 0
    err = capfd.readouterr().err
    assert f"{file}\n" in err
    assert err.endswith("certified again with what is there now\n")


def test_a_mesh_that_grew_into_the_motion_takes_the_verdict_away(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    text = (project / "meshes" / "cube.obj").read_text()
    (project / "meshes" / "cube.obj").write_text(text.replace("v 1 ", "v 20 ").replace(" 1\n", " 9\n"))
    assert main(["check", str(project / "plan.json")]) == 1
    assert "plan is refused: " in capfd.readouterr().err


def test_a_missing_mesh_is_named(project: Path) -> None:
    (project / "meshes" / "cube.obj").unlink()
    with pytest.raises(InputError, match=r"world\.obstacles\[2\]\.file: file not found"):
        Plan.load(project / "plan.json")


@pytest.mark.parametrize("key", ["position", "goals", "held_joints", "world", "certificate", "alternatives"])
def test_a_plan_file_that_was_changed_is_refused(project: Path, key: str, capfd: pytest.CaptureFixture[str]) -> None:
    file = project / "plan.json"
    value = json.loads(file.read_text())[key]
    if key == "position":
        value[20][1] += 0.2
    elif key == "goals":
        value = value[:1]
    elif key == "held_joints":
        value["panda_finger_joint1"] += 0.001
    elif key == "world":
        value["obstacles"].pop()
    elif key == "certificate":
        value["min_clearance_m"] += 0.01
    else:
        value = []
    edited(file, **{key: value})
    with pytest.raises(InputError, match="changed after it was written"):
        Plan.load(file)
    assert main(["check", str(file)]) == 1
    err = capfd.readouterr().err
    assert ("exceeds its velocity limit" if key == "position" else "its verdict is void") in err


def test_an_edited_motion_without_its_sum_is_judged_for_itself(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = project / "plan.json"
    motion = json.loads(file.read_text())
    goals = [motion["goals"][motion["goal_index"]]]
    assert main(["check", str(edited(file, goals=goals, content_sum=...))]) == 0
    late = {"start": motion["position"][5]}
    assert main(["check", str(edited(file, **late))]) == 1
    assert "start" in capfd.readouterr().err


def test_how_numbers_are_spelt_and_keys_are_ordered_does_not_matter(project: Path) -> None:
    file = project / "plan.json"
    document = json.loads(
        file.read_text(), parse_float=lambda word: int(float(word)) if float(word).is_integer() else float(word)
    )
    file.write_text(json.dumps(dict(sorted(document.items())), indent=2))
    assert Plan.load(file).solved
    assert main(["check", str(file)]) == 0


def test_a_plan_that_says_solved_without_a_certificate_is_refused(project: Path) -> None:
    file = edited(project / "plan.json", certificate=None, content_sum=...)
    with pytest.raises(InputError, match="status: no valid certificate stands in this file"):
        Plan.load(file)


def test_an_old_file_without_its_scene_gives_the_motion_and_refuses_the_scene(
    project: Path, plan: Plan, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = edited(project / "plan.json", world=..., sums=..., content_sum=...)
    old = Plan.load(file)
    assert same(old.trajectory, plan.trajectory)
    assert old.solved
    assert old.scene.name == "all kinds"
    assert repr(old.scene) == "UnknownScene('all kinds': the plan file does not hold it)"
    assert "panda in all kinds" in repr(old)
    needed = "does not hold its scene 'all kinds', which is needed here"
    with pytest.raises(InputError, match=needed):
        dp.Certifier(old.robot, old.scene)
    with pytest.raises(InputError, match=needed):
        dp.render(old, tmp_path / "plan.png")
    with pytest.raises(InputError, match=needed):
        old.scene.add(dp.Sphere(name="a", radius=1.0))
    assert main(["check", str(file)]) == 2
    assert needed in capfd.readouterr().err
    old.save(tmp_path / "again.json")
    assert same(Plan.load(tmp_path / "again.json").trajectory, plan.trajectory)


def test_a_robot_from_a_file_is_found_again_and_a_changed_one_is_noticed(scene: dp.Scene, tmp_path: Path) -> None:
    shutil.copytree(asset_folder("robots") / "panda", tmp_path / "mine")
    robot_file = tmp_path / "mine" / "robot.yaml"
    plan = dp.plan(dp.Robot.load(str(robot_file)), scene, "home", "left", planner="straight")
    plan.save(tmp_path / "plan.json")
    assert json.loads((tmp_path / "plan.json").read_text())["robot_file"] == "mine/robot.yaml"
    assert Plan.load(tmp_path / "plan.json").robot.file == robot_file
    slower = robot_file.read_text().replace("velocity: 2.175", "velocity: 1.175")
    assert slower != robot_file.read_text()
    robot_file.write_text(slower)
    with pytest.raises(InputError, match="not as it was when this plan was made: the limits of panda"):
        Plan.load(tmp_path / "plan.json")
    robot_file.unlink()
    with pytest.raises(InputError, match=r"robot_file: its robot cannot be loaded.*Plan\.load\(file, robot=\.\.\.\)"):
        Plan.load(tmp_path / "plan.json")
    assert Plan.load(tmp_path / "plan.json", robot=dp.Robot.load("panda")).solved


def test_a_robot_made_by_hand_is_handed_in_again(scene: dp.Scene, tmp_path: Path) -> None:
    robot = dp.Robot.load("panda")
    slow = replace(robot, velocity=robot.velocity / 2, file=None)
    dp.plan(slow, scene, "home", "left", planner="straight").save(tmp_path / "plan.json")
    with pytest.raises(InputError, match="the limits of panda"):
        Plan.load(tmp_path / "plan.json")
    assert Plan.load(tmp_path / "plan.json", robot=slow).solved


def test_a_plan_without_a_motion_has_nothing_to_certify(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    touching = dp.Scene(obstacles=(dp.Sphere(name="ball", radius=0.1, pose=dp.Pose(xyz=(0.31, 0.0, 0.59))),))
    dp.plan("panda", touching, "home", "left").save(tmp_path / "plan.json")
    assert main(["check", str(tmp_path / "plan.json")]) == 1
    assert "nothing to certify: the plan has no motion (start_in_collision: " in capfd.readouterr().err


def test_a_plan_with_held_objects_and_allowed_contacts_comes_back_and_is_certified_again(
    folder: Path, tmp_path: Path
) -> None:
    cube = dp.Mesh(name="cube", file=folder / "meshes" / "cube.obj", scale=0.04, pose=dp.Pose(xyz=(0, 0, 0.11)))
    post = dp.Urdf(name="post", file=folder / "meshes" / "post.urdf", scale=0.2, pose=dp.Pose(xyz=(0, 0, 0.2)))
    shelf = dp.Box(name="shelf", size=(0.05, 0.05, 0.02), pose=dp.Pose(xyz=(-0.6, 0.0, 0.5)))
    held = dp.Attached(obstacle=cube, link="panda_hand", may_touch=("panda_leftfinger",))
    scene = dp.Scene(obstacles=(shelf,), attached=(held, dp.Attached(obstacle=post, link="panda_hand")))
    scene = scene.allow("cube", "shelf", 0.0007).allow("panda_link5", "post")
    plan = dp.plan("panda", scene, "home", "left", planner="straight")
    assert plan.solved
    plan.save(tmp_path / "plan.json")
    again = Plan.load(tmp_path / "plan.json")
    assert again.scene == plan.scene
    assert again.certificate == plan.certificate
    assert again.certificate is not None
    assert again.certificate.attached == ("cube", "post")
    assert again.robot.links == plan.robot.links
    told = json.loads((tmp_path / "plan.json").read_text())
    assert told["certificate"]["attached"] == ["cube", "post"]
    assert main(["check", str(tmp_path / "plan.json")]) == 0
    (folder / "meshes" / "cube.obj").write_text(CUBE.replace("v 1 1 1", "v 1 1 1.5"))
    with pytest.raises(InputError, match=r"not as it was.*cube\.obj"):
        Plan.load(tmp_path / "plan.json")


def test_a_plan_file_whose_scene_holds_what_the_robot_cannot_is_refused(tmp_path: Path) -> None:
    box = dp.Box(name="box", size=(0.05, 0.05, 0.05), pose=dp.Pose(xyz=(0, 0, 0.2)))
    scene = dp.Scene(attached=(dp.Attached(obstacle=box, link="panda_hand"),))
    dp.plan("panda", scene, "home", "left", planner="straight").save(tmp_path / "plan.json")
    document = json.loads((tmp_path / "plan.json").read_text())
    document["world"]["attached"][0]["link"] = "thumb"
    (tmp_path / "plan.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match=r"plan\.json.*world.*no link 'thumb'"):
        Plan.load(tmp_path / "plan.json")
