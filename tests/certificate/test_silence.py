"""Silencing what PyBullet prints, in C: only that, only meanwhile, and whichever threads do so."""

import ctypes
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from diffplan.certificate.bullet import silence

LIBC = ctypes.CDLL(None)
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="C's streams are tried on Linux")


def _in_c(text: str) -> None:
    LIBC.puts(text.encode())
    LIBC.fflush(None)


def test_c_is_silent_meanwhile_and_heard_before_and_after(capfd):
    _in_c("before")
    with silence():
        _in_c("meanwhile")
        with silence():
            _in_c("nested")
        _in_c("still meanwhile")
    _in_c("after")
    assert capfd.readouterr().out.splitlines() == ["before", "after"]


def test_python_and_the_descriptors_are_heard_meanwhile(capfd):
    with silence():
        print("print", flush=True)
        print("error", file=sys.stderr, flush=True)
        os.write(1, b"descriptor\n")
    told = capfd.readouterr()
    assert told.out.splitlines() == ["print", "descriptor"]
    assert told.err.splitlines() == ["error"]


def test_c_is_silent_until_the_last_of_several_threads_is_done(capfd):
    first_is_in, second_is_in = threading.Event(), threading.Event()

    def first():
        with silence():
            first_is_in.set()
            second_is_in.wait(60)
        _in_c("the first is done")

    def second():
        first_is_in.wait(60)
        with silence():
            second_is_in.set()
            thread.join()

    thread = threading.Thread(target=first)
    thread.start()
    second()
    _in_c("both are done")
    assert capfd.readouterr().out.splitlines() == ["both are done"]


def test_a_fault_meanwhile_gives_the_streams_back(capfd):
    with pytest.raises(ValueError, match="meanwhile"), silence():
        raise ValueError("meanwhile")
    _in_c("after")
    assert capfd.readouterr().out.splitlines() == ["after"]


def test_many_threads_leave_the_streams_as_they_were(capfd):
    before = [os.fstat(number).st_ino for number in (1, 2)]

    def many(_):
        for _ in range(200):
            with silence():
                pass

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(many, range(8)))
    _in_c("after")
    assert capfd.readouterr().out.splitlines() == ["after"]
    assert [os.fstat(number).st_ino for number in (1, 2)] == before
