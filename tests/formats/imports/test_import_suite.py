import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from diffplan.benchmark.suite_import import import_suite
from diffplan.benchmark.suites import load_cases
from diffplan.cli import main
from diffplan.errors import InputError
from diffplan.formats.problems_file import load_problems
from diffplan.geometry.shapes import Box, Sphere
from diffplan.robot.model import Robot

Pairs = Callable[..., Path]
CONE = ("type: cylinder", "type: cone")
Q = [0.0, -0.785, 0.0, -2.356, 0.0, 1.571, 0.785]


def refused(capfd: pytest.CaptureFixture[str], *argv: str) -> str:
    """Run, and return the one line of a refusal (what is shown of the progress ends above it)."""
    assert main(argv) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert "Traceback" not in err
    return err.splitlines()[-1]


def test_a_folder_becomes_a_suite_that_reads_back_the_same_and_passes_the_check(
    pairs: Pairs, tmp_path: Path, panda: Robot, capfd: pytest.CaptureFixture[str]
) -> None:
    suite = tmp_path / "new" / "shelves.json.gz"
    assert main(["suites", "import", str(pairs(count=2)), "--out", str(suite)]) == 0
    assert f"wrote {suite}: 2 problems; digest " in capfd.readouterr().err
    loaded = load_problems(suite)
    assert (loaded.name, [entry.id for entry in loaded.entries]) == ("shelves", ["shelf/1", "shelf/2"])
    assert loaded.fixed_joints == {"panda_finger_joint1": 0.065, "panda_finger_joint2": 0.065}
    document = import_suite([tmp_path / "shelf_panda"], name="shelves", robot=panda, source="", show=False)
    for entry, record in zip(loaded.entries, document.problems, strict=True):
        assert entry.start.tolist() == record["start"]
        assert entry.goals.tolist() == record["goals"]
        assert [obstacle.name for obstacle in entry.scene.obstacles] == ["can", "board"]
    assert main(["check", str(suite)]) == 0
    assert "2 of 2 problems can start and end where they say" in capfd.readouterr().err


def test_the_same_problems_from_three_projects_are_one_suite(pairs: Pairs, tmp_path: Path, panda: Robot) -> None:
    goal = [0.5, *Q[1:]]
    vamp = tmp_path / "vamp.json"
    box = {"name": "board", "half_extents": [0.1, 0.2, 0.3], "position": [0.9, -0.1, 0.3]}
    can = {"name": "can", "length": 0.14, "radius": 0.03, "position": [0.7, 0.5, 0.2]}
    turned = [box | {"orientation_quat_xyzw": [0.6, 0, 0, 0.8]}], [can | {"orientation_quat_xyzw": [0, 0, 0.6, 0.8]}]
    problem = {"index": 1, "start": Q, "goals": [goal], "sphere": [], "box": turned[0], "cylinder": turned[1]}
    joints = list(panda.joint_names)
    vamp.write_text(json.dumps({"robot": "panda", "joints": joints, "problems": {"shelf": [problem]}}))
    robometrics = tmp_path / "set.yaml"
    cuboid = {"board": {"dims": [0.2, 0.4, 0.6], "pose": [0.9, -0.1, 0.3, 0.8, 0.6, 0, 0]}}
    cylinder = {"can": {"height": 0.14, "radius": 0.03, "pose": [0.7, 0.5, 0.2, 0.8, 0, 0, 0.6]}}
    obstacles = {"cylinder": cylinder, "cuboid": cuboid}
    robometrics.write_text(json.dumps({"shelf_panda": [{"start": Q, "goal_ik": [goal], "obstacles": obstacles}]}))
    hold = {"panda_finger_joint1": 0.065}
    documents = [
        import_suite([file], name="shelf", robot=panda, source="", hold=hold, show=False)
        for file in (pairs(), vamp, robometrics)
    ]

    def sorted_problem(problem: dict) -> dict:
        return {**problem, "obstacles": sorted(problem["obstacles"], key=lambda obstacle: obstacle["name"])}

    moveit, *others = [sorted_problem(document.problems[0]) for document in documents]
    assert others == [moveit, moveit]
    assert {json.dumps(document.fixed_joints) for document in documents} == {
        '{"panda_finger_joint1": 0.065, "panda_finger_joint2": 0.065}'
    }


def test_one_problem_that_cannot_be_kept_refuses_all_until_it_may_be_left_out(
    pairs: Pairs, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder, suite = pairs(count=3, scene=CONE), tmp_path / "suite.json"
    line = refused(capfd, "suites", "import", str(folder), "--out", str(suite))
    assert "1 of 3 problems cannot be kept: shelf/1: " in line
    assert "scene0001.yaml:20: world.collision_objects[0].primitives[0].type: 'can' is a cone (found cone)" in line
    assert line.endswith("allowed: --skip-unsupported leaves them out")
    assert not suite.exists()
    assert main(["suites", "import", str(folder), "--out", str(suite), "--skip-unsupported"]) == 0
    err = capfd.readouterr().err
    assert "left out: shelf/1: " in err
    assert "wrote" in err
    assert "2 problems, 1 left out" in err
    assert [entry.id for entry in load_problems(suite).entries] == ["shelf/2", "shelf/3"]


def test_nothing_is_written_if_no_problem_is_left_or_a_file_is_wrong(
    pairs: Pairs, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    suite = tmp_path / "suite.json"
    argv = ["suites", "import", "--out", str(suite), "--skip-unsupported"]
    assert "at least one problem that can be kept" in refused(capfd, *argv, str(pairs(scene=CONE)))
    assert "unknown key" in refused(capfd, *argv, str(pairs(count=2, scene=("primitives:", "primitivs:"))))
    assert list(tmp_path.iterdir()) == [tmp_path / "shelf_panda"]


def test_fingers_held_elsewhere_cannot_share_a_suite(pairs: Pairs, tmp_path: Path, panda: Robot) -> None:
    folder = pairs(count=2, request=("position: [0.065", "position: [0.02"))
    message = r"1 of 2 problems cannot be kept: shelf/2: panda_finger_joint1: held elsewhere .*\(found 0.065\).* 0.02"
    with pytest.raises(InputError, match=message):
        import_suite([folder], name="a", robot=panda, source="", show=False)
    with pytest.raises(InputError, match=r"1 of 2 problems .* shelf/1: .*\(found 0.02\); allowed: 0.065"):
        import_suite([folder], name="a", robot=panda, source="", show=False, hold={"panda_finger_joint1": 0.065})
    with pytest.raises(InputError, match="not a held joint of panda"):
        import_suite([folder], name="a", robot=panda, source="", show=False, hold={"panda_joint1": 0.065})


def test_equal_problems_make_equal_bytes_and_numbers_are_rounded_to_a_nanometre(
    pairs: Pairs, tmp_path: Path, panda: Robot
) -> None:
    folder = pairs(scene=("position: [0.7, 0.5, 0.2]", "position: [0.70000000004, 0.5, -1e-12]"))
    for name in ("a", "b"):
        import_suite([folder], name="same", robot=panda, source="", show=False).save(tmp_path / f"{name}.json.gz")
    assert (tmp_path / "a.json.gz").read_bytes() == (tmp_path / "b.json.gz").read_bytes()
    can = load_problems(tmp_path / "a.json.gz").entries[0].scene.obstacles[0]
    assert can.pose.xyz == (0.7, 0.5, 0.0)


def test_obstacles_and_problems_of_one_name_are_refused(pairs: Pairs, panda: Robot) -> None:
    folder = pairs(scene=("id: board", "id: can"))
    with pytest.raises(
        InputError, match=r"two obstacles of shelf/1 have one name \(found 'can'\); allowed: a name used"
    ):
        import_suite([folder], name="a", robot=panda, source="", show=False)
    folder = pairs()
    with pytest.raises(
        InputError, match=r"two problems are called 'shelf/1'; allowed: files and folders with different"
    ):
        import_suite([folder, folder], name="a", robot=panda, source="", show=False)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "scene0001.yaml",
            "a scene or request alone is no problem; MoveIt's come in pairs in a folder; allowed: the folder",
        ),
        ("kitchen.scene", "a scene or request alone is no problem"),
        ("problems.pkl", "--format: the format is not to be seen from the file; allowed: moveit, vamp, robometrics"),
        ("missing.json", "no such file or folder"),
    ],
)
def test_a_format_that_is_in_doubt_is_asked_for(
    name: str, message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    if not name.startswith("missing"):
        (tmp_path / name).write_text("{}")
    assert message in refused(capfd, "suites", "import", str(tmp_path / name), "--out", str(tmp_path / "out.json"))


def test_a_suite_that_is_there_already_is_not_written_over(
    pairs: Pairs, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    suite = tmp_path / "suite.json"
    suite.write_text("mine")
    assert "this file is there already" in refused(capfd, "suites", "import", str(pairs()), "--out", str(suite))
    assert suite.read_text() == "mine"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--out", "suite.yaml"], "'suite.yaml' is no name of a suite: *.json, *.json.gz"),
        (["--out", "suite.json", "--hold", "panda_finger_joint1"], "'panda_finger_joint1' is not JOINT=VALUE"),
        (["--out", "suite.json", "--format", "sdf"], "invalid choice: 'sdf'"),
    ],
)
def test_usage_is_told(argv: list[str], message: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["suites", "import", "x", *argv])
    assert stopped.value.code == 2
    assert message in capfd.readouterr().err


@pytest.mark.parametrize("executor", ["local", "ray"])
def test_an_executor_is_taken_and_that_there_is_one_job_is_told(
    executor: str, pairs: Pairs, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    suite = tmp_path / "shelves.json"
    assert main(["suites", "import", str(pairs()), "--out", str(suite), "--executor", executor]) == 0
    assert ("one job" in capfd.readouterr().err) == (executor == "ray")
    assert suite.exists()


LIFTED = """<robot name="two"><link name="floor"/>
  <link name="stand"><collision><geometry><box size="0.1 0.1 0.1"/></geometry></collision></link>
  <link name="arm"><collision><origin xyz="0.3 0 0"/><geometry><box size="0.2 0.1 0.1"/></geometry></collision></link>
  <link name="tip"><collision><origin xyz="0.3 0 0"/><geometry><box size="0.2 0.1 0.1"/></geometry></collision></link>
  <link name="claw"/>
  <joint name="put" type="fixed"><parent link="floor"/><child link="stand"/>
    <origin xyz="0 0 1" rpy="0 0 1.5707963267948966"/></joint>
  <joint name="a" type="revolute"><parent link="stand"/><child link="arm"/><axis xyz="0 0 1"/>
    <limit lower="-2" upper="2" velocity="1" effort="1"/></joint>
  <joint name="b" type="revolute"><parent link="arm"/><child link="tip"/><origin xyz="0.5 0 0"/><axis xyz="0 0 1"/>
    <limit lower="-2" upper="2" velocity="1" effort="1"/></joint>
  <joint name="grip" type="fixed"><parent link="tip"/><child link="claw"/></joint>
</robot>"""
LIFTED_FILE = """format: diffplan/robot@1
name: two
urdf: {file: two.urdf}
base_link: stand
end_link: tip
joints: {a: {}, b: {}}
configurations: {home: [0, 0]}
collision: collision.yaml
"""
LIFTED_REQUEST = """start_state:
  joint_state: {name: [wheel, b, grip, a], position: [0, 0.2, 0.05, 0.1]}
goal_constraints:
  - joint_constraints: [{joint_name: a, position: 1}, {joint_name: b, position: 0.5}]
"""
LIFTED_SCENE = """world:
  collision_objects:
    - {id: in_world, header: {frame_id: world}, primitives: [{type: box, dimensions: [0.1, 0.2, 0.3]}],
       primitive_poses: [{position: [1, 0, 1.5], orientation: [0, 0, 0, 1]}]}
    - {id: in_base, header: {frame_id: stand}, primitives: [{type: sphere, dimensions: [0.1]}],
       primitive_poses: [{position: [1, 0, 0.5], orientation: [0, 0, 0, 1]}]}
"""


def test_problems_of_a_robot_of_the_users_are_put_into_its_base_and_the_suite_finds_it_by_its_path(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "two.urdf").write_text(LIFTED)
    (mine / "robot.yaml").write_text(LIFTED_FILE)
    (mine / "collision.yaml").write_text(
        "format: diffplan/collision@1\nlinks: {tip: {spheres: [[0.3, 0, 0, 0.2]]}}\nself_collision: {ignore: []}\n"
    )
    folder = tmp_path / "shelf_two"
    folder.mkdir()
    (folder / "scene0001.yaml").write_text(LIFTED_SCENE)
    (folder / "request0001.yaml").write_text(LIFTED_REQUEST)
    out = tmp_path / "suites" / "two.json"
    command = ["suites", "import", str(folder), "--robot", str(mine), "--out", str(out)]
    assert main(command) == 2
    assert "two has no such joint" in capsys.readouterr().err
    assert main([*command, "--without", "wheel"]) == 0
    said = capsys.readouterr().err
    assert "grip is fixed in two.urdf: its value in the files (0.05) is not taken over" in said
    assert "two has no wheel: not taken over" in said
    assert json.loads(out.read_text())["robot"] == "../mine/robot.yaml"
    (case,) = load_cases(str(out))
    assert (case.id, np.shape(case.goal)) == ("shelf/1", (1, 2))
    np.testing.assert_array_equal(np.array(case.start), (0.1, 0.2))
    box, ball = case.scene.obstacles
    assert isinstance(box, Box)
    assert isinstance(ball, Sphere)
    np.testing.assert_allclose(box.pose.xyz, (0, -1, 0.5), atol=1e-9)
    np.testing.assert_allclose(box.pose.matrix[:3, 0], (0, -1, 0), atol=1e-9)
    assert ball.pose.xyz == (1, 0, 0.5)
    assert load_cases(str(out), str(mine))[0].robot.file == load_cases(str(out))[0].robot.file
    (mine / "robot.yaml").rename(mine / "other.yaml")
    with pytest.raises(InputError, match=r"robot: unknown robot .*`diffplan robots add URDF --name"):
        load_cases(str(out))
