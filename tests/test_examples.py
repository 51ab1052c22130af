"""The programs in examples/ run and do what they say."""

import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_the_program_for_a_pybullet_world_plans_in_it(tmp_path):
    run = subprocess.run(
        [sys.executable, EXAMPLES / "pybullet_world.py"], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert "certified: solved by" in run.stdout


def test_the_picture_of_costs_is_drawn(tmp_path):
    run = subprocess.run(
        [sys.executable, EXAMPLES / "costs.py"], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert (tmp_path / "costs.png").stat().st_size > 10_000
    assert run.stdout.count(", on: ") == run.stdout.count(", off: ") == 3


def test_the_program_for_pick_and_place_puts_the_cube_into_the_tray(tmp_path):
    run = subprocess.run(
        [sys.executable, EXAMPLES / "pick_and_place.py"], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert "from its place" in run.stdout
