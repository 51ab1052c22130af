"""Attributes computed once: kept by the instance, without a lock that a fork could find taken."""

import multiprocessing
import threading

from diffplan.system.computed import computed


class Slow:
    """Computes an attribute in a thread that waits."""

    def __init__(self) -> None:
        self.calls, self.wait, self.begun = 0, threading.Event(), threading.Event()

    @computed
    def value(self) -> list[int]:
        """A list."""
        self.calls += 1
        if self.calls == 1 and threading.current_thread() is not threading.main_thread():
            self.begun.set()
            self.wait.wait(60)
        return [self.calls]


def test_it_is_computed_once_for_an_instance_and_documented():
    slow, other = Slow(), Slow()
    assert slow.value is slow.value
    assert slow.calls == 1
    assert other.value is not slow.value
    assert Slow.value.__doc__ == "A list."


def test_a_process_forked_while_a_thread_computes_does_not_wait_for_it():
    slow = Slow()
    thread = threading.Thread(target=lambda: slow.value)
    thread.start()
    assert slow.begun.wait(60)
    child = multiprocessing.get_context("fork").Process(target=lambda: slow.value)
    child.start()
    child.join(60)
    ended = child.exitcode
    child.kill()
    slow.wait.set()
    thread.join()
    assert ended == 0
