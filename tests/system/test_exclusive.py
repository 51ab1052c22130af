"""Threads and forks: every answer is the one that is given alone, every pool ends, and no stream is lost."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import diffplan as dp
from diffplan.errors import DiffplanError
from diffplan.system.exclusive import Turn, exclusive, turn

LONG_S = 600
"""No answer takes so long: what has not ended by then hangs."""


@pytest.fixture(scope="module")
def shelf():
    return dp.Scene.load("bookshelf")


@pytest.fixture(scope="module")
def panda():
    return dp.Robot.load("panda")


@pytest.mark.parametrize("planner", ["diffusion", "rrtconnect"])
def test_eight_threads_plan_bit_for_bit_what_one_plans(panda, shelf, planner):
    query = shelf.query("default")

    def positions(seed):
        answer = dp.plan(panda, shelf, query.start, query.goal, planner=planner, seed=seed, timeout=60.0)
        assert answer.trajectory is not None
        return answer.trajectory.position.tobytes()

    alone = [positions(seed) for seed in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(positions, range(8))) == alone


def test_threads_that_share_a_certifier_measure_what_one_measures(panda, shelf):
    draws = np.random.default_rng(0).uniform(panda.lower, panda.upper, (200, panda.dof))
    with dp.Certifier(panda, shelf) as certifier:
        alone = [(certifier.clearance(q), certifier.check(q)) for q in draws]
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(lambda q: (certifier.clearance(q), certifier.check(q)), draws)) == alone


_POOL = """
import multiprocessing as mp, sys, threading
import diffplan as dp

def positions(seed):
    scene = dp.Scene.load("bookshelf")
    query = scene.query("default")
    answer = dp.plan("panda", scene, query.start, query.goal, seed=seed, timeout=60.0)
    return answer.trajectory.position.tobytes() if answer.solved else answer.message

if __name__ == "__main__":
    alone = [positions(seed) for seed in range(2)]
    others = [threading.Thread(target=positions, args=(5,)) for _ in range(2)]
    for other in others:
        other.start()
    with mp.get_context("fork").Pool(2) as pool:
        same = pool.map_async(positions, range(2)).get(timeout=600) == alone
    for other in others:
        other.join()
    sys.exit(0 if same else 1)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_pool_forked_while_threads_plan_plans_what_its_parent_plans_and_ends(tmp_path):
    script = tmp_path / "pool_script.py"
    script.write_text(_POOL, encoding="utf-8")
    run = _run(script)
    assert run.returncode == 0, run.stderr


# In a process of its own, since what matters is the order in which modules register what happens before a fork.
_FORK = """
import os, threading
from diffplan.system.exclusive import turn
import logging
from concurrent.futures import ThreadPoolExecutor

pool = ThreadPoolExecutor(1)
ours = threading.Event()

def hold():
    with turn:
        ours.set()
        while not turn._gate.locked():  # until the fork waits
            pass
        logging.getLogger("other").isEnabledFor(logging.INFO)
        pool.submit(int).result()

thread = threading.Thread(target=hold)
thread.start()
ours.wait()
child = os.fork()
if child == 0:
    os._exit(int(turn._torn))
thread.join()
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_that_waits_for_a_turn_holds_no_lock_that_the_turn_needs(tmp_path):
    script = tmp_path / "fork.py"
    script.write_text(_FORK, encoding="utf-8")
    assert _run(script).returncode == 0


_STREAMS = """
import ctypes, os, sys, threading
from concurrent.futures import ThreadPoolExecutor
import diffplan as dp

before = [os.fstat(number) for number in (0, 1, 2)]
scene, robot = dp.Scene.load("bookshelf"), dp.Robot.load("panda")
done = threading.Event()

def write():
    n = 0
    while n < 200 or not done.wait(0.01):
        print("out", n, flush=True)
        print("err", n, file=sys.stderr, flush=True)
        os.write(1, b"raw %d\\n" % n)
        n += 1
    return n

with ThreadPoolExecutor(5) as pool:
    writer = pool.submit(write)
    for _ in pool.map(lambda _: dp.Certifier(robot, scene).close(), range(12)):
        pass
    done.set()
    count = writer.result()
assert all(os.fstat(number).st_ino == old.st_ino for number, old in enumerate(before))
ctypes.CDLL(None).puts(b"C after")
print("count", count)
"""


def test_streams_lose_no_line_and_keep_their_files_while_threads_silence_pybullet(tmp_path):
    script = tmp_path / "streams.py"
    script.write_text(_STREAMS, encoding="utf-8")
    run = _run(script)
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    count = int(next(line for line in lines if line.startswith("count")).split()[1])
    for word in ("out", "raw"):
        assert [line for line in lines if line.startswith(word)] == [f"{word} {n}" for n in range(count)]
    assert run.stderr.splitlines() == [f"err {n}" for n in range(count)]
    assert "C after" in lines
    assert len(lines) == 2 * count + 2


def _run(script: Path) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=LONG_S)


def test_whoever_waits_goes_before_the_thread_that_gave_its_turn_back():
    own, order, waiting = Turn(), [], threading.Event()

    def other():
        waiting.set()
        with own:
            order.append("other")

    thread = threading.Thread(target=other)
    with own:
        thread.start()
        waiting.wait(LONG_S)
        while not own._gate.locked():
            pass
    with own:
        order.append("first again")
    thread.join()
    assert order == ["other", "first again"]


def test_a_turn_is_given_back_when_a_function_fails_and_may_be_taken_again_inside():
    @exclusive
    def inner(fail):
        if fail:
            raise ValueError("inner")
        return _own_depth()

    @exclusive
    def outer(fail):
        return inner(fail)

    assert outer(False) == 2
    with pytest.raises(ValueError, match="inner"):
        outer(True)
    assert _own_depth() == 0


def _own_depth() -> int:
    return turn._depth


def test_a_child_forked_in_the_middle_of_another_threads_turn_is_refused():
    own = Turn()
    held, release = threading.Event(), threading.Event()

    def hold():
        with own:
            held.set()
            release.wait(LONG_S)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(LONG_S)
    own._forking.mine = False  # what `before_fork` notes when it has waited in vain
    own.after_fork_in_child()
    with pytest.raises(DiffplanError, match="forked while another of its threads planned"), own:
        pass
    release.set()
    thread.join()


def test_a_child_forked_by_the_thread_whose_turn_it_is_keeps_it():
    own = Turn()
    with own:
        own.before_fork()
        own.after_fork_in_child()
        with own:
            assert own._depth == 2
    own.before_fork()
    own.after_fork_in_child()
    with own:
        assert own._depth == 1
