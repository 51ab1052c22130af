"""Jobs: what they tell depends neither on the number of workers nor on which of them die."""

import ast
import multiprocessing
import os
import sys
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

import diffplan
from diffplan.errors import DiffplanError, InputError
from diffplan.learning import numbered_files
from diffplan.learning.generate import GenerateConfig, PathConfig, generate
from diffplan.system.executor import THREAD_VARIABLES
from diffplan.system.files import alone_in, write_bytes
from diffplan.system.jobs import Lost, run_jobs


@pytest.fixture
def start(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    import stand_in_jobs

    return partial(stand_in_jobs.start, str(tmp_path))


def _told(start, jobs, **options):
    """Return what each job told, in its order."""
    told = {index: [] for index in range(len(jobs))}
    for index, message in run_jobs(start, jobs, **options):
        told[index].append(message)
    return list(told.values())


@pytest.mark.parametrize("workers", [1, 3])
def test_each_job_tells_its_messages_in_order_whatever_the_number_of_workers(start, workers):
    found = _told(start, ["a", "b", "c", "d"], workers=workers)
    assert found == [[1, 2, f"{job}: threads 1,1,1,1"] for job in "abcd"]


def test_a_worker_that_is_killed_loses_no_job_and_one_that_dies_again_is_told(start):
    found = _told(start, ["a", "dies once", "dies", "b"], workers=2)
    assert [messages[-1] for messages in found] == [
        "a: threads 1,1,1,1",
        "dies once: threads 1,1,1,1",
        Lost(problem="exit code 3"),
        "b: threads 1,1,1,1",
    ]
    assert found[1][:-1] == [1, 1, 2]
    assert found[2][:-1] == [1, 1]


def test_a_worker_that_does_not_answer_is_killed_and_the_others_go_on(start):
    found = _told(start, ["hangs", "a"], workers=1, patience=2.0)
    assert found == [[1, Lost(problem="no answer within 2 s", late=True)], [1, 2, "a: threads 1,1,1,1"]]


def test_what_a_worker_raises_is_raised_and_the_workers_end(start):
    with pytest.raises(InputError, match=r"job: not so \(found <function .*allowed: others"):
        _told(start, ["a", "refuses", "b"], workers=2)
    with pytest.raises(RuntimeError, match=r"(?s)ValueError\('a fault'\).*stand_in_jobs.py"):
        _told(start, ["breaks"], workers=1)
    assert multiprocessing.active_children() == []


def test_workers_that_do_not_start_are_told(start):
    import stand_in_jobs

    with pytest.raises(InputError, match="no such robot"):
        _told(stand_in_jobs.refuse, ["a"], workers=2)
    with pytest.raises(DiffplanError, match=r"die while they start.*exit code 4"):
        _told(stand_in_jobs.die, ["a"], workers=2)
    assert multiprocessing.active_children() == []


def test_who_leaves_early_leaves_no_worker_behind(start):
    with closing(run_jobs(start, ["hangs", "hangs"], workers=2)) as messages:
        assert next(messages)[1] == 1
    assert multiprocessing.active_children() == []


def test_threads_of_this_process_are_left_alone(start, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    before = dict(os.environ)
    assert _told(start, ["a"], workers=1)[0][-1] == "a: threads 1,1,1,1"
    assert dict(os.environ) == before
    asked = ",".join(os.environ.get(name, "-") for name in THREAD_VARIABLES)
    assert _told(start, ["a"], workers=1, one_thread=False)[0][-1] == f"a: threads {asked}"


def test_a_worker_killed_while_data_are_made_changes_no_byte(tmp_path, monkeypatch):
    def write_and_kill(path, data):
        write_bytes(path, data)
        if path.name == "shard-00000.h5":
            multiprocessing.active_children()[-1].kill()

    path = PathConfig(trees=1, iterations=100, shortcuts=10)
    config = GenerateConfig(
        out=tmp_path / "a", scenes=3, scenes_per_shard=1, problems_per_scene=1, workers=1, path=path
    )
    generate(config, show=False)
    monkeypatch.setattr(numbered_files, "write_bytes", write_and_kill)
    generate(GenerateConfig(**{**vars(config), "out": tmp_path / "b"}), show=False)
    for file in sorted((tmp_path / "a").iterdir()):
        assert (tmp_path / "b" / file.name).read_bytes() == file.read_bytes()


def test_an_executor_that_is_not_there_is_refused_with_what_to_do(start, monkeypatch):
    with pytest.raises(InputError, match=r"executor: no such executor.*allowed: local, ray"):
        _told(start, ["a"], executor="slurm")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r'Ray is not installed.*pip install "diffplan\[ray\]"'):
        _told(start, ["a"], executor="ray")


def test_two_commands_do_not_write_into_one_folder(tmp_path):
    config = GenerateConfig(out=tmp_path / "data", scenes=1)
    with alone_in(config.out), pytest.raises(InputError, match="another command is writing into this folder"):
        generate(config, show=False)
    assert list(config.out.iterdir()) == []


def test_there_is_one_pool_of_processes_and_one_place_that_sets_their_threads():
    pools = {"Process", "Pool", "ProcessPoolExecutor", "SpawnProcess", "get_context"}
    for file in Path(diffplan.__file__).parent.rglob("*.py"):
        text = file.read_text()
        if file.name == "local_executor.py":
            assert "get_context" in text
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import | ast.ImportFrom):
                module = getattr(node, "module", None) or ""
                names = {alias.name.split(".")[0] for alias in node.names} | {module.split(".")[0]}
                assert not names & (pools | {"joblib", "ray"}), file
            if isinstance(node, ast.Attribute):
                assert node.attr not in pools, file
            if isinstance(node, ast.Constant) and node.value == "OMP_NUM_THREADS":
                assert file.name == "executor.py", file
