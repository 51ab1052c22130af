"""A kernel's rows in parallel threads: every row once, whoever asks."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import pytest

from diffplan.system.kernel_threads import KernelThreads

FOUR = KernelThreads(4)


@pytest.fixture
def four():
    """Four threads, however many cores there are, in a context of their own."""
    context = copy_context()
    context.run(FOUR.set, 4)
    return context


def _shares(rows, points):
    """Return the shares of a call, and the threads that worked."""
    shares, workers = [], set()
    lock = threading.Lock()

    def work(first, end):
        with lock:
            shares.append((first, end))
            workers.add(threading.current_thread().name)

    FOUR.run(work, rows, points)
    return sorted(shares), workers


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 64, 1001])
@pytest.mark.parametrize("points", [1, 300, 5000])
def test_every_row_is_worked_on_once(four, rows, points):
    shares, _ = four.run(_shares, rows, points)
    assert [row for first, end in shares for row in range(first, end)] == list(range(rows))


def test_little_work_stays_with_the_caller(four):
    shares, workers = four.run(_shares, 8, 64)
    assert shares == [(0, 8)]
    assert workers == {threading.current_thread().name}


def test_many_callers_at_once_each_get_all_their_rows(four):
    def call(_):
        return four.copy().run(_shares, 64, 4096)[0]

    with ThreadPoolExecutor(8) as pool:
        for shares in pool.map(call, range(50)):
            assert shares == [(0, 16), (16, 32), (32, 48), (48, 64)]


def test_a_fault_in_a_share_reaches_the_caller(four):
    def work(first, end):
        if first:
            raise ValueError("a share failed")

    with pytest.raises(ValueError, match="a share failed"):
        four.run(FOUR.run, work, 64, 4096)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_makes_threads_of_its_own(four):
    four.run(_shares, 64, 4096)
    child = os.fork()
    if child == 0:
        done = threading.Event()
        threading.Timer(120, lambda: done.is_set() or os._exit(3)).start()  # a hang is an answer too
        shares, workers = four.run(_shares, 64, 4096)
        done.set()
        os._exit(0 if len(shares) == 4 and any("kernel" in name for name in workers) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
