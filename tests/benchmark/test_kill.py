"""A benchmark killed with SIGKILL and started again: the real command in processes of its own."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from diffplan.benchmark.results import read_rows
from diffplan.benchmark.sessions import read_sessions

SCENE = """
format: diffplan/scene@1
name: small
robot: panda
obstacles:
  - {name: ball, type: sphere, radius: 0.05, pose: {xyz: [0.5, -0.3, 0.4]}}
queries:
  a: {start: home, goal: [0.3, 0.2, 0.0, -1.8, 0.0, 2.0, 0.8]}
  b: {start: home, goal: [0.5, 0.1, 0.0, -2.0, 0.0, 2.1, 0.8]}
  c: {start: home, goal: [0.2, 0.3, 0.1, -1.9, 0.0, 2.2, 0.8]}
"""
SEEDS = 8
KEYS = {("straight", f"small/{query}", seed) for query in "abc" for seed in range(SEEDS)}
COMMAND = "import sys, diffplan.cli; sys.exit(diffplan.cli.main(sys.argv[1:]))"


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    scene = tmp_path / "small.yaml"
    scene.write_text(SCENE)
    asked = ["--planners", "straight", "--seeds", str(SEEDS), "--timeout", "5", "--jobs", "2"]
    return [sys.executable, "-c", COMMAND, "bench", str(scene), *asked, "--out", str(tmp_path / "run")]


def _lines(results: Path) -> list[str]:
    """The whole lines of a results file, without the heading."""
    return results.read_text().split("\n")[1:-1] if results.exists() else []


def _killed_at(command: list[str], results: Path, rows: int, *, workers_too: bool) -> list[str]:
    """Run the command until there are so many rows, kill it, and return the lines it left."""
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        end = time.monotonic() + 240
        while len(_lines(results)) < rows:
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < end
            time.sleep(0.01)
        if workers_too:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait()
    return _lines(results)


def test_killed_twice_and_started_again_no_row_is_lost_and_none_doubled(command: list[str], tmp_path: Path) -> None:
    results = tmp_path / "run" / "results.csv"
    first = _killed_at(command, results, 4, workers_too=True)
    with results.open("a") as stream:
        stream.write(first[0][:30])  # what a kill in the middle of writing leaves
    second = _killed_at(command, results, len(first) + 4, workers_too=False)
    assert 4 <= len(first) < len(second) < len(KEYS)
    assert second[: len(first)] == first
    done = subprocess.run(command, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    assert f"{len(second)} of {len(KEYS)} runs are done already" in done.stderr
    assert _lines(results)[: len(second)] == second
    rows = read_rows(results)
    assert len(rows) == len(KEYS)
    assert {row.key for row in rows} == KEYS
    assert {row.status for row in rows} == {"solved"}
    assert len(list((tmp_path / "run" / "plans").rglob("*.json"))) == len(KEYS)
    sessions = read_sessions(tmp_path / "run")
    assert [session.rows_after for session in sessions] == [None, None, len(KEYS)]
