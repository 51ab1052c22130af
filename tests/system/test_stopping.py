"""What a signal raises is never lost; in processes of their own, since other tests leave Ray's handlers behind."""

import os
import signal
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")

_CODE = """
import os, signal, time
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup, under which tests may run, has it ignored
from diffplan.system.stopping import stoppable
class Stops:
    def __del__(self):
        {within}
try:
    with stoppable():
        Stops()
        time.sleep({pause})
        print("went on")
except KeyboardInterrupt as error:
    print("stopped", type(error).__name__, getattr(error, "number", None))
"""


def _run(within: str, pause: float) -> subprocess.CompletedProcess[str]:
    code = _CODE.format(within=within, pause=pause)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=True)


@pytest.mark.parametrize(
    ("number", "told"),
    [(signal.SIGINT, "KeyboardInterrupt None"), (signal.SIGTERM, "Stopped 15"), (signal.SIGHUP, "Stopped 1")],
)
def test_a_signal_within_a_finalizer_where_exceptions_are_ignored_stops_what_comes_after(number, told):
    run = _run(f"os.kill(os.getpid(), {int(number)})", 60)
    assert (run.stdout.strip(), run.stderr) == (f"stopped {told}", "")


def test_other_errors_within_a_finalizer_are_reported_as_ever():
    run = _run("raise ValueError('as ever')", 0)
    assert run.stdout.strip() == "went on"
    assert "ValueError: as ever" in run.stderr
