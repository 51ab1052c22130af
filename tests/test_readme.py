import re
import shlex
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


WORLD = """
import pybullet, pybullet_data
import diffplan as dp
client = pybullet.connect(pybullet.DIRECT)
pybullet.setAdditionalSearchPath(pybullet_data.getDataPath())
arm = pybullet.loadURDF("franka_panda/panda.urdf", useFixedBase=True)
panda = dp.Robot.load("panda")
for joint, value in enumerate(panda.configuration("left")):
    pybullet.resetJointState(arm, joint, value)
"""


def _examples() -> list[str]:
    return re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)


def test_the_first_example_runs_and_leaves_a_plan(tmp_path):
    subprocess.run([sys.executable, "-c", _examples()[0]], cwd=tmp_path, check=True)
    assert (tmp_path / "plan.json").stat().st_size > 1000


def test_the_example_of_a_pybullet_world_moves_the_arm_there_to_its_goal(tmp_path):
    after = """
assert plan.solved, plan.message
away = abs(dp.robot_configuration(client, arm, robot) - panda.configuration("right")).max()
assert away < 0.05, away
"""
    subprocess.run([sys.executable, "-c", WORLD + _examples()[1] + after], cwd=tmp_path, check=True)


def test_the_example_of_a_pick_and_place_puts_the_cube_there(tmp_path):
    before = """
pybullet.setGravity(0, 0, -9.81)
pybullet.loadURDF("plane.urdf", (0, 0, -0.001))
for joint, value in enumerate(panda.configuration("home")):
    pybullet.resetJointState(arm, joint, value)
    pybullet.setJointMotorControl2(arm, joint, pybullet.POSITION_CONTROL, value, force=87)
cube = pybullet.loadURDF("cube_small.urdf", (0.5, 0.2, 0.025))
for _ in range(60):
    pybullet.stepSimulation()
"""
    after = "\nassert plan.solved, plan.message\nassert report.within(mm=10, deg=5), report.words\n"
    subprocess.run([sys.executable, "-c", WORLD + before + _examples()[2] + after], cwd=tmp_path, check=True)


def test_the_example_of_a_controller_sends_the_whole_motion(tmp_path):
    plan = "plan = dp.plan('panda', 'bookshelf', 'home', 'right', seed=0)\n"
    before = f"import diffplan as dp\n{plan}sent = []\ndef send(*point): sent.append(point)\n"
    after = """
assert abs(len(sent) - 1000 * plan.trajectory.duration) < 2
assert (sent[0][0] == plan.trajectory.position[0]).all() and (sent[-1][0] == plan.trajectory.position[-1]).all()
"""
    subprocess.run([sys.executable, "-c", before + _examples()[3] + after], cwd=tmp_path, check=True)


def test_each_python_block_of_the_readme_is_run_above():
    source = Path(__file__).read_text()
    assert [f"_examples()[{i}]" in source for i in range(len(_examples()))] == [True] * len(_examples())
    assert f"_examples()[{len(_examples())}]" not in source


NOT_RUN = {
    "scripts/demo     # makes .venv": "they make an environment from a package index; CI itself is `scripts/test`",
    "diffplan plan SCENE [": "a synopsis; test_documented_commands.py compares it with the parser",
    "diffplan suites fetch mbm\n": "a download, and an hour and more of planning",
}
"""First words of the shell blocks that no test runs, and why."""


def test_the_shell_blocks_of_the_readme_do_what_they_say(tmp_path):
    blocks = re.findall(r"^```bash\n(.*?)^```", README.read_text(), flags=re.DOTALL | re.MULTILINE)
    assert blocks
    lines = ["from diffplan.cli import main"]
    for command in "".join(blocks).splitlines():
        program, *words = shlex.split(command)
        assert program == "diffplan", command
        lines.append(f"assert main({words!r}) == 0, {command!r}")
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]


def test_each_other_block_is_named_above_with_the_reason_why_it_is_not_run():
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", README.read_text(), flags=re.DOTALL | re.MULTILINE)
    others = [block for kind, block in blocks if kind not in ("python", "bash")]
    for start in NOT_RUN:
        assert [block.startswith(start) for block in others].count(True) == 1, start
    assert len(others) == len(NOT_RUN)


def test_what_the_readme_points_to_is_there():
    for target in re.findall(r"\]\(([^)#]+)\)", README.read_text()):
        assert (README.parent / target).is_file(), target
