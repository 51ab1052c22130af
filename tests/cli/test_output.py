import json
import shlex
import subprocess

import pytest
from PIL import Image

from diffplan.cli import main
from diffplan.cli.parser import COMMANDS, build_parser, parsers

SCENE = """\
format: diffplan/scene@1
name: small
robot: panda
obstacles:
  - {name: wall, type: box, size: [0.05, 0.6, 0.6], pose: {xyz: [0.1, 0.75, 0.4]}}
queries:
  free: {start: home, goal: right}
"""


@pytest.fixture
def scene(tmp_path):
    file = tmp_path / "small.yaml"
    file.write_text(SCENE)
    return str(file)


def _leaves():
    for each in parsers(build_parser()):
        if not any(action.dest in ("command", "action") for action in each._actions):
            yield each


def test_each_command_tells_of_json_quiet_and_verbose_and_has_an_example():
    for each in _leaves():
        told = each.format_help()
        assert all(word in told for word in ("--json", "--quiet", "--verbose", f"  {each.prog}")), each.prog


def test_each_example_of_the_help_can_be_parsed():
    found = []
    for each in parsers(build_parser()):
        examples = (each.epilog or "").partition("examples:\n")[2].splitlines()
        found += [shlex.split(line) for line in examples if "--help" not in line and "--print" not in line]
    assert len({words[1] for words in found}) == len(COMMANDS)
    for words in found:
        build_parser().parse_args(words[1:])


@pytest.mark.parametrize(
    ("command", "key"),
    [("robots", "robots"), ("planners", "planners"), ("suites", "suites"), ("robots show panda", "joints")],
)
def test_json_is_one_document_on_stdout_with_numbers_as_numbers(command, key, capfd):
    assert main([*command.split(), "--json"]) == 0
    rows = json.loads(capfd.readouterr().out)[key]
    assert rows
    if command == "robots":
        assert next(row for row in rows if row["robot"] == "panda")["joints"] == 7
    if key == "joints":
        assert all(isinstance(row["lower"], float) for row in rows)


def test_json_before_the_command_is_the_same_as_after_it(capfd):
    assert main(["--json", "planners"]) == 0
    first = capfd.readouterr().out
    assert main(["planners", "--json"]) == 0
    assert capfd.readouterr().out == first


def test_quiet_says_nothing_but_errors(scene, capfd):
    words = ["--query", "free", "--planner", "straight"]
    assert main(["plan", scene, *words, "--quiet"]) == 0
    assert capfd.readouterr() == ("", "")
    assert main(["plan", scene, *words, "--quiet", "--json"]) == 0
    out, err = capfd.readouterr()
    assert (json.loads(out)["status"], err) == ("solved", "")
    assert main(["check", "no_such_scene", "--quiet"]) == 2
    assert "no_such_scene" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("command", "steps"),
    [
        ("plan {scene} --query free --planner straight --execute --out {folder}/plan.json --render {folder}/plan.gif "
         "--plot {folder}/joints.png", ["reading", "getting ready to plan", "looking for a path",
         "executing the motion", "drawing plan.gif", "drawing joints.png"]),
        ("task {task} --execute --render {folder}/task.png", ["reading", "planning a sequence", "getting ready to plan",
         "executing the sequence", "drawing task.png"]),
        ("check {scene} --render {folder}/scene.png", ["reading", "checking", "drawing"]),
        ("view {scene} --out {folder}/scene.png", ["reading", "drawing"]),
        ("bench {scene} --planners straight --timeout 1 --out {folder}/bench", ["reading", "planning: 1 run",
         "writing the report"]),
    ],
    ids=lambda value: value.split()[0] if isinstance(value, str) else "",
)  # fmt: skip
def test_whatever_may_take_long_is_a_step_that_is_told(command, steps, scene, tmp_path, capfd):
    task = tmp_path / "task.yaml"
    task.write_text(f"format: diffplan/task@1\nscene: {scene}\nsteps: [{{line: {{offset: [0, 0, 0.02]}}}}]\n")
    assert main([*command.format(scene=scene, task=task, folder=tmp_path).split(), "--verbose"]) in (0, 1)
    lines = capfd.readouterr().err.splitlines()
    told = list(dict.fromkeys(line.split(" s  ")[1] for line in lines if " s  " in line))
    assert [step for step in told if step in steps] == steps, told


def test_check_gives_its_rows_and_draws_what_it_checked(scene, capfd, tmp_path):
    picture = tmp_path / "scene.png"
    assert main(["check", scene, "--json", "--render", str(picture)]) in (0, 1)
    out, _ = capfd.readouterr()
    document = json.loads(out)
    assert document["refused"] == []
    assert {"problem", "robot", "obstacles", "start", "goal"} == set(document["problems"][0])
    with Image.open(picture) as image:
        assert image.size[0] >= 480


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_the_completion_of_a_shell_knows_every_command(shell, capfd):
    with pytest.raises(SystemExit) as ended:
        main(["--print-completion", shell])
    out, _ = capfd.readouterr()
    assert ended.value.code == 0
    assert all(name in out for name in COMMANDS)
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=out, text=True, check=True)
