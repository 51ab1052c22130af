"""Ray: a cluster of two nodes on this machine gives what local processes give, whichever worker or node dies."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import fields, replace
from functools import partial
from pathlib import Path

import pytest

from diffplan.benchmark.results import ResultRow, read_rows
from diffplan.errors import InputError
from diffplan.learning import numbered_files
from diffplan.learning.generate import GenerateConfig, PathConfig, generate
from diffplan.system.files import write_bytes
from diffplan.system.jobs import Lost, connected, run_jobs
from diffplan.system.ray_executor import versions_here

COMMAND = "import sys, diffplan.cli; sys.exit(diffplan.cli.main(sys.argv[1:]))"
TIMES = {"plan_time_s", "certify_time_s", "total_time_s"}
SCENE = """
format: diffplan/scene@1
name: small
robot: panda
obstacles:
  - {name: ball, type: sphere, radius: 0.05, pose: {xyz: [0.5, -0.3, 0.4]}}
queries:
  a: {start: home, goal: [0.3, 0.2, 0.0, -1.8, 0.0, 2.0, 0.8]}
  b: {start: home, goal: [0.5, 0.1, 0.0, -2.0, 0.0, 2.1, 0.8]}
"""


@pytest.fixture(scope="module")
def cluster():
    """Two nodes of one CPU each, which only this machine reaches, and RAY_ADDRESS."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        patch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # localhost is then this machine's address for Ray
        patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), *sys.path]))  # of the nodes
        pytest.importorskip("ray", reason="Ray has no wheel for this Python, or is not installed")
        from ray.cluster_utils import Cluster

        node = {"num_cpus": 1, "node_ip_address": "127.0.0.1", "object_store_memory": 80 * 2**20}
        made = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
        try:
            made.add_node(**node)
            patch.setenv("RAY_ADDRESS", made.address)
            yield made
        finally:
            made.shutdown()


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """A small data set made by local processes."""
    path = PathConfig(trees=1, iterations=100, shortcuts=10)
    folder = tmp_path_factory.mktemp("local")
    config = GenerateConfig(out=folder, scenes=4, scenes_per_shard=1, problems_per_scene=1, workers=2, path=path)
    generate(config, show=False)
    return config


def _same(a: Path, b: Path) -> None:
    assert sorted(file.name for file in a.iterdir()) == sorted(file.name for file in b.iterdir())
    for file in a.iterdir():
        assert (b / file.name).read_bytes() == file.read_bytes(), file.name


def _actors():
    """Return the process numbers of the actors of this checkout's cluster; other runs may have some too."""
    found, ours = [], str(Path(__file__).parent).encode()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if b"ray::_Actor" in (folder / "cmdline").read_bytes() and ours in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:  # it has just ended
            continue
    return found


def _wait_for_the_end_of_actors():
    end = time.monotonic() + 60
    while _actors():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.fixture
def after_the_first_file(monkeypatch):
    """Return what lets something happen when the first file of a data set has been written."""

    def arrange(happen):
        def write(path, data):
            write_bytes(path, data)
            if not happened:
                happened.append(path)
                happen()

        monkeypatch.setattr(numbered_files, "write_bytes", write)
        return happened

    happened = []
    return arrange


def test_a_killed_worker_loses_nothing_and_the_data_are_the_bytes_of_local_processes(
    cluster, config, tmp_path, after_the_first_file
):
    _wait_for_the_end_of_actors()

    def kill():
        actors = _actors()
        assert len(actors) == 2
        os.kill(actors[0], signal.SIGKILL)

    happened = after_the_first_file(kill)
    generate(replace(config, out=tmp_path / "ray", executor="ray", workers=None), show=False)
    assert happened
    _same(config.out, tmp_path / "ray")


def test_bench_gives_the_rows_of_local_processes(cluster, tmp_path):
    scene = tmp_path / "small.yaml"
    scene.write_text(SCENE)
    asked = ["bench", str(scene), "--planners", "straight,rrtconnect", "--timeout", "5"]
    for executor in ("local", "ray"):
        argv = [*asked, "--jobs", "2", "--executor", executor, "--out", str(tmp_path / executor)]
        done = subprocess.run([sys.executable, "-c", COMMAND, *argv], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
    assert "on a Ray cluster of 2 nodes with 2 CPUs" in done.stderr
    local, ray = (
        {row.key: [getattr(row, field.name) for field in fields(ResultRow) if field.name not in TIMES] for row in rows}
        for rows in (read_rows(tmp_path / executor / "results.csv") for executor in ("local", "ray"))
    )
    assert local == ray
    assert len(ray) == 4
    assert len(list((tmp_path / "ray" / "plans").rglob("*.json"))) == 4
    assert '"cpu": "a Ray cluster of 2 nodes with 2 CPUs"' in (tmp_path / "ray" / "sessions.json").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_command_with_one_sentence_and_the_workers(cluster, tmp_path, number):
    argv = ["data", "generate", "--scenes", "10000", "--executor", "ray", "--out", str(tmp_path / "data")]
    _wait_for_the_end_of_actors()
    with subprocess.Popen([sys.executable, "-c", COMMAND, *argv], stderr=subprocess.PIPE, text=True) as process:
        while not _actors():
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.1)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number, err
    assert err.strip().splitlines()[-1] == "diffplan: stopped"
    assert "Traceback" not in err
    _wait_for_the_end_of_actors()


def test_jobs_tell_the_same_on_ray(cluster, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    import stand_in_jobs

    start = partial(stand_in_jobs.start, str(tmp_path))
    told = {}
    for index, message in run_jobs(start, ["a", "dies", "dies once", "hangs"], executor="ray", patience=3.0):
        told[index] = message
    one = "threads 1,1,1,1"
    died, late = Lost(problem="ActorDiedError"), Lost(problem="no answer within 3 s", late=True)
    assert told == {0: f"a: {one}", 1: died, 2: f"dies once: {one}", 3: late}
    with pytest.raises(InputError, match="job: not so"):
        list(run_jobs(start, ["refuses"], executor="ray"))
    with pytest.raises(InputError, match="no such robot"):
        list(run_jobs(stand_in_jobs.refuse, ["a"], executor="ray"))
    with pytest.raises(RuntimeError, match="a fault"):
        list(run_jobs(start, ["breaks"], executor="ray"))


def test_an_address_where_nobody_answers_is_refused(cluster, monkeypatch):
    for address in ("127.0.0.1:1", "ray://127.0.0.1:1", "127.0.0.1:port"):
        monkeypatch.setenv("RAY_ADDRESS", address)
        with pytest.raises(InputError, match="RAY_ADDRESS: no Ray cluster answers there"), connected("ray"):
            pass


def test_a_node_of_other_versions_is_refused(cluster, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    import stand_in_jobs

    here = {**versions_here(), "numba": "0.1"}
    monkeypatch.setattr("diffplan.system.ray_executor.versions_here", lambda: here)
    with pytest.raises(InputError, match=r"the Ray node .* has another version of numba .*allowed: 0\.1"):
        list(run_jobs(partial(stand_in_jobs.start, str(tmp_path)), ["a"], executor="ray"))


def test_a_removed_node_loses_nothing_and_the_data_are_the_bytes_of_local_processes(
    cluster, config, tmp_path, after_the_first_file
):
    happened = after_the_first_file(lambda: cluster.remove_node(cluster.worker_nodes.copy().pop()))
    generate(replace(config, out=tmp_path / "ray", executor="ray"), show=False)
    assert happened
    _same(config.out, tmp_path / "ray")
    with connected("ray") as place:
        assert place.nodes == 1
