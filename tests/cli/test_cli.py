import json
import signal
import subprocess
import sys
import time
from dataclasses import asdict

import pytest

import diffplan
from diffplan.benchmark.results import COLUMNS, read_rows
from diffplan.cli import main
from diffplan.problem import Plan

SCENE = """\
format: diffplan/scene@1
name: small
robot: panda
obstacles:
  - {name: wall, type: box, size: [0.05, 0.6, 0.6], pose: {xyz: [0.1, 0.75, 0.4]}}
queries:
  free: {start: home, goal: right}
  far: {start: home, goal: {link: panda_hand, pose: {xyz: [3.0, 0, 0.5]}}}
"""
# At home the hand is near (0.31, 0, 0.59).
IN_THE_HAND = SCENE.replace("xyz: [0.1, 0.75, 0.4]", "xyz: [0.31, 0, 0.59]")


@pytest.fixture
def scene(tmp_path):
    def write(text=SCENE):
        path = tmp_path / "small.yaml"
        path.write_text(text)
        return str(path)

    return write


def _refused(capfd, *argv):
    """Run, and return the one line of a refusal."""
    assert main(argv) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("\n") == 1, err
    assert "Traceback" not in err
    return err


def test_a_plan_that_is_certified_exits_0_and_leaves_its_file(scene, tmp_path, capfd):
    file = tmp_path / "new" / "plan.json"
    argv = ["plan", scene(), "--query", "free", "--planner", "straight", "--out", str(file), "--json"]
    assert main(argv) == 0
    out, err = capfd.readouterr()
    printed, written = json.loads(out), json.loads(file.read_text())
    assert printed == written
    assert (written["format"], written["status"], written["solved_by"]) == ("diffplan/plan@1", "solved", "straight")
    assert written["certificate"]["valid"]
    assert {"load", "plan", "certify", "total"} <= set(written["timing_s"])
    assert "certified by PyBullet" in err


def test_plan_says_once_that_nothing_is_below_the_robot_unless_something_is(scene, capfd):
    argv = ["--query", "free", "--planner", "straight"]
    floor = SCENE.replace("obstacles:\n", "obstacles:\n  - {name: floor, type: floor}\n")
    table = SCENE.replace(
        "obstacles:\n", "obstacles:\n  - {name: top, type: box, size: [1, 1, 0.1], pose: {xyz: [0, 0, -0.05]}}\n"
    )
    for text, times in ((SCENE, 1), (floor, 0), (table, 0)):
        assert main(["plan", scene(text), *argv]) == 0
        assert capfd.readouterr().err.count("nothing is below the robot") == times


def test_a_start_in_collision_exits_1_and_names_what_touches(scene, capfd):
    assert main(["plan", scene(IN_THE_HAND), "--query", "free", "--planner", "straight"]) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert "start_in_collision" in err
    assert "touches wall" in err


def test_a_failure_is_drawn_and_its_contact_stands_in_the_plan_file(scene, tmp_path, capfd):
    files = {kind: tmp_path / f"plan.{kind}" for kind in ("png", "json", "svg")}
    argv = ["plan", scene(IN_THE_HAND), "--query", "free", "--out", str(files["json"])]
    assert main([*argv, "--render", str(files["png"]), "--plot", str(files["svg"])]) == 1
    err = capfd.readouterr().err
    assert f"wrote {files['png']}" in err
    assert "no curves to plot and no motion to follow" in err
    assert files["png"].stat().st_size > 1000
    assert not files["svg"].exists()
    contact = json.loads(files["json"].read_text())["contact"]
    assert (contact["at"], contact["obstacle"], contact["other_link"]) == ("start", "wall", "")
    assert contact["clearance_m"] < 0
    assert f"at the start, {contact['link']} touches wall" in err
    assert asdict(Plan.load(files["json"]).contact) == {**contact, "q": tuple(contact["q"])}


def test_an_unreachable_goal_exits_1_and_says_so(scene, capfd):
    assert main(["plan", scene(), "--query", "far", "--planner", "straight", "--json"]) == 1
    out, err = capfd.readouterr()
    assert json.loads(out)["status"] == "goal_unreachable"
    assert "goal_unreachable" in err


def test_joint_values_may_begin_with_a_minus(scene, capfd):
    goal = "-0.2,-0.785398,0.0,-2.356194,0.0,1.570796,0.785398"
    assert main(["plan", scene(), "--start", "home", "--goal", goal, "--planner", "straight", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["position"][-1][0] == pytest.approx(-0.2, abs=1e-6)


def test_a_misspelt_key_is_refused_with_file_line_and_the_right_word(scene, capfd):
    message = _refused(capfd, "plan", scene(SCENE.replace("size:", "sise:")), "--planner", "straight")
    assert "small.yaml:5: " in message
    assert "'size'" in message


def test_a_missing_mesh_is_refused_with_its_name(scene, capfd):
    mesh = SCENE.replace(
        "queries:", "  - {name: mug, type: mesh, file: meshes/mug.obj, pose: {xyz: [1, 1, 1]}}\nqueries:"
    )
    message = _refused(capfd, "check", scene(mesh))
    assert "small.yaml:6: " in message
    assert "meshes/mug.obj" in message


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["--planner", "strait"], "did you mean 'straight'?"),
        (["--query", "fre", "--planner", "straight"], "did you mean 'free'?"),
        (["--planner", "straight"], "which query?; allowed: free, far"),
        (["--robot", "pander"], "did you mean 'panda'?"),
        (["--start", "hom", "--goal", "left"], "did you mean 'home'?"),
        (["--start", "1,2", "--goal", "left"], "--start: wrong joint values (found '1,2'); allowed: 7 finite values"),
        (["--start", "1,2,x", "--goal", "left"], "--start: not joint values"),
        (["--query", "free", "--start", ""], "no configuration ''"),
        (["--query", "free", "--planner", "straight", "--seed", "-1"], "seed: not a seed (found -1)"),
        (["--query", "free", "--render", "plan.bmp"], "--render: cannot draw this kind of file"),
    ],
)
def test_what_is_not_known_is_refused_with_what_is(scene, capfd, argv, expected):
    assert expected in _refused(capfd, "plan", scene(), *argv)


@pytest.mark.parametrize("words", ["", "plann", "plan", "plan x --sede 1", "plan x --timeout -1", "bench x --out y"])
def test_wrong_usage_exits_2(words, capfd):
    with pytest.raises(SystemExit) as stopped:
        main(words.split())
    assert stopped.value.code == 2
    assert "usage: diffplan" in capfd.readouterr().err


def test_a_file_that_cannot_be_written_is_refused(scene, tmp_path, capfd):
    (tmp_path / "taken").write_text("")
    out = str(tmp_path / "taken" / "plan.json")
    assert "taken" in _refused(capfd, "plan", scene(), "--query", "free", "--planner", "straight", "--out", out)


def test_check_tells_which_queries_can_start_and_end(scene, capfd):
    assert main(["check", scene()]) == 1
    out, err = capfd.readouterr()
    assert "small/free" in out
    assert "unreachable" in out
    assert "1 of 2 problems" in err


def test_the_bench_writes_rows_plans_summary_report_and_log(scene, tmp_path, capfd):
    folder = tmp_path / "run"
    argv = ["bench", scene(), "--planners", "straight", "--seeds", "2", "--timeout", "5", "--out", str(folder)]
    assert main([*argv, "--dense-check", "0.05"]) == 0
    rows = read_rows(folder / "results.csv")
    assert [(row.problem, row.seed, row.status) for row in rows] == [
        ("small/free", 0, "solved"),
        ("small/far", 0, "goal_unreachable"),
        ("small/free", 1, "solved"),
        ("small/far", 1, "goal_unreachable"),
    ]
    assert [row.certified for row in rows] == [True, False, True, False]
    assert (rows[0].dense_contact, rows[1].dense_contact) == (0, None)
    plan = json.loads((folder / "plans" / "straight" / "small__free.1.json").read_text())
    assert plan["metrics"]["path_length_rad"] == pytest.approx(rows[2].path_length_rad, rel=1e-4)
    summary = json.loads((folder / "summary.json").read_text())["results"][-1]
    assert (summary["n"], summary["certified"], summary["dense_contacts"]) == (4, 2, 0)
    assert all((folder / name).stat().st_size > 100 for name in ("report.html", "ompl.log"))
    assert (folder / "results.csv").read_text().startswith(",".join(COLUMNS))
    capfd.readouterr()
    assert main([*argv, "--dense-check", "0.05"]) == 0  # everything is there already
    assert "4 of 4 runs are done already" in capfd.readouterr().err


def test_robots_and_planners_are_listed_on_stdout(capfd):
    assert main(["robots"]) == 0
    assert main(["planners"]) == 0
    out, _ = capfd.readouterr()
    assert all(word in out for word in ("panda", "home", "diffusion", "rrtconnect", "straight"))


def test_help_and_version_load_nothing_heavy():
    code = """
import sys
from diffplan.cli import main
try:
    main(["--help"])
except SystemExit:
    pass
print([name for name in ("torch", "numba", "pybullet", "numpy", "matplotlib", "ompl", "rich") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_planning_loads_nothing_that_only_reports_need(scene, tmp_path):
    code = f"""
import sys
import diffplan
from diffplan.cli import main
assert not {{"pandas", "jinja2", "matplotlib", "torch"}} & {{*sys.modules}}
main(["plan", {scene()!r}, "--planner", "straight", "--out", {str(tmp_path / "plan.json")!r}])
unused = "pandas", "jinja2", "matplotlib", "torch", "diffplan.benchmark"
print([name for name in unused if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_ctrl_c_exits_130_with_one_line(scene, tmp_path):
    argv = ["bench", scene(), "--planners", "rrtconnect", "--seeds", "1000", "--out", str(tmp_path / "run")]
    code = "import sys, diffplan.cli; sys.exit(diffplan.cli.main(sys.argv[1:]))"
    with subprocess.Popen([sys.executable, "-c", code, *argv], stderr=subprocess.PIPE, text=True) as process:
        results = tmp_path / "run" / "results.csv"
        for _ in range(300):
            if results.exists():
                break
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert err.strip().splitlines()[-1] == "diffplan: stopped"
    assert "Traceback" not in err


def test_the_package_offers_its_names_and_no_others():
    assert diffplan.Box.__name__ == "Box"
    assert {"Robot", "Scene", "Plan", "plan", "solve", "PoseGoal"} <= set(dir(diffplan))
    with pytest.raises(AttributeError, match="no attribute 'Bocks'"):
        diffplan.__getattr__("Bocks")


def test_a_plan_file_is_a_warm_start_and_alternatives_are_counted(scene, tmp_path, capfd):
    file = tmp_path / "plan.json"
    query = ["plan", scene(), "--query", "free", "--no-fallback"]
    assert main([*query, "--out", str(file)]) == 0
    capfd.readouterr()
    assert main([*query, "--warm-start", str(file), "--alternatives", "1", "--json"]) == 0
    out, err = capfd.readouterr()
    printed = json.loads(out)
    assert printed["position"] == json.loads(file.read_text())["position"] or printed["alternatives"]
    assert err.count("alternative ") == len(printed["alternatives"])
    assert "No such file" in _refused(capfd, *query, "--warm-start", str(tmp_path / "none.json"))
    assert "alternatives" in _refused(capfd, *query, "--alternatives", "-1")


def test_a_goal_may_be_a_pose_or_several_on_the_command_line_and_fingers_are_held(tmp_path):
    out = tmp_path / "plan.json"
    poses = ["--goal-pose", "-0.3,0.4,0.5,180,0,30", "--goal-pose", "9,0,0.5,0,0,0"]
    hold = ["--hold", "panda_finger_joint1=0.02", "--hold", "panda_finger_joint2=0.02"]
    words = ["plan", "bookshelf", "--start", "home", *poses, *hold, "--planner", "rrtconnect", "--out", str(out)]
    code = main(words)
    plan = Plan.load(out)
    assert code == 0
    assert plan.goal_number == 0
    assert plan.robot.held_joints == {"panda_finger_joint1": 0.02, "panda_finger_joint2": 0.02}
    assert plan.trajectory
    tool = plan.robot.link_pose(plan.trajectory.position[-1], plan.robot.tool_frame.link)[0]
    assert tool[:3, 3] == pytest.approx([-0.3, 0.4, 0.5], abs=1e-4)
    assert tool[:3, 2] == pytest.approx([0, 0, -1], abs=1e-4)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--goal-pose", "0.3,0.4,0.5"], "--goal-pose: not a pose (found '0.3,0.4,0.5')"),
        (["--goal-pose", "0.3,0.4,0.5,0,0,0", "--goal", "left"], "--goal-pose: two kinds of goals"),
        (["--hold", "panda_finger_joint1=0.02", "--hold", "panda_finger_joint1=0.03"], "--hold: a joint is held twice"),
        (["--hold", "panda_finger=0.02"], "not a held joint of panda (did you mean 'panda_finger_joint2'?)"),
        (["--only", "bookshelf/hrad"], "--only: which problem? (did you mean 'bookshelf/hard'?)"),
        (["--only", "bookshelf/hard", "--query", "hard"], "--query: --only names the problem already"),
    ],
)
def test_a_goal_pose_or_a_held_joint_that_makes_no_sense_is_told(words, message, capsys):
    assert main(["plan", "bookshelf", *words]) == 2
    assert message in capsys.readouterr().err


def test_one_problem_of_a_suite_is_planned(tmp_path, capsys):
    q = diffplan.Robot.load("panda").configuration("home")
    problems = [
        {"id": f"a/{i}", "start": q.tolist(), "goals": [(q + 0.1 * i).tolist()], "obstacles": []} for i in (1, 2)
    ]
    names = list(diffplan.Robot.load("panda").joint_names)
    head = {"format": "diffplan/problems@1", "name": "s", "robot": "panda", "joint_names": names}
    suite = tmp_path / "suite.json"
    suite.write_text(json.dumps({**head, "fixed_joints": {"panda_finger_joint1": 0.065}, "problems": problems}))
    out = tmp_path / "plan.json"
    words = ["plan", str(suite), "--planner", "rrtconnect", "--out", str(out)]
    assert main([*words, "--only", "a/2"]) == 0
    plan = Plan.load(out)
    assert plan.trajectory
    assert plan.trajectory.position[-1] == pytest.approx(q + 0.2)
    assert plan.robot.held_joints["panda_finger_joint1"] == 0.065
    assert main(words) == 2
    assert main([*words, "--only", "a/3"]) == 2
    assert "--only: which problem?" in capsys.readouterr().err


def test_motions_are_written_for_controllers_at_a_rate_and_only_certified_ones(scene, tmp_path, capsys):
    csv, ros = tmp_path / "motion.csv", tmp_path / "motion.yaml"
    out = tmp_path / "plan.json"
    words = ["plan", scene(), "--query", "free", "--planner", "straight", "--csv", str(csv), "--ros", str(ros)]
    assert main([*words, "--rate", "50", "--out", str(out)]) == 0
    plan = Plan.load(out)
    assert plan.trajectory
    rows = len(plan.sampled(50).time)
    assert len(csv.read_text().splitlines()) == rows + 1
    assert ros.read_text().count("time_from_start") == rows
    for file in (csv, ros):
        file.unlink()
    words[1] = scene(IN_THE_HAND)
    assert main(words) == 1
    assert not csv.exists()
    assert not ros.exists()
    assert "only certified motions are for controllers" in capsys.readouterr().err
    assert main(["plan", scene(), "--query", "free", "--rate", "50"]) == 2
    assert "--rate" in capsys.readouterr().err
