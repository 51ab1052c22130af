import re
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


def test_what_the_readme_points_to_is_there():
    for target in re.findall(r"\]\(([^)#]+)\)", README.read_text()):
        assert (README.parent / target).is_file(), target
