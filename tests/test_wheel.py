import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

PLAN = """
import diffplan as dp
assert not dp.__file__.startswith({root!r}), dp.__file__
scene = dp.Scene.load("bookshelf")
asked = {{"planner": {planner!r}, "options": {{"first_look": 0.0}}}}
plan = dp.plan(dp.Robot.load("panda"), scene, "home", "left", seed=0, **asked)
assert plan.solved, plan.message
plan.save("plan.json")
print(plan.solved_by)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Build the wheel and install it, alone, into a folder outside the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, text=True)
    (wheel,) = folder.glob("*.whl")
    target = folder / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), str(wheel)]
    subprocess.run(pip, check=True, capture_output=True, text=True)
    return target


def test_robots_scenes_and_weights_travel_in_the_wheel(installed):
    data = installed / "diffplan" / "assets_data"
    for kind in ("robots", "scenes"):
        tracked = subprocess.run(
            ["git", "-C", str(ROOT), "ls-files", kind], check=True, capture_output=True, text=True
        ).stdout.splitlines()
        assert tracked
        missing = [name for name in tracked if not (data / name).is_file()]
        assert missing == []


def test_the_source_distribution_has_what_the_checkout_has(tmp_path):
    build = [sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, text=True)
    (file,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(file) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    tracked = subprocess.run(["git", "-C", str(ROOT), "ls-files"], check=True, capture_output=True, text=True).stdout
    assert {*tracked.splitlines()} - names == {".ci/run"}


def test_every_file_of_the_package_travels_in_the_wheel(installed):
    tracked = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "diffplan"], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    assert {"diffplan/py.typed", "diffplan/benchmark/templates/page.html.jinja"} <= {*tracked}
    assert [name for name in tracked if not (installed / name).is_file()] == []


@pytest.mark.parametrize("planner", ["diffusion"])
def test_the_installed_wheel_plans_outside_the_checkout(installed, tmp_path, planner):
    environment = {**os.environ, "PYTHONPATH": str(installed), "PYTHONSAFEPATH": "1"}
    code = PLAN.format(root=str(ROOT), planner=planner)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == planner
    assert (tmp_path / "plan.json").is_file()
