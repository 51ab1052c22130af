"""Ctrl-C and SIGTERM to real commands: one sentence, the exit code, no process and no unfinished file left behind.

What was finished is kept, and the same command goes on from there. Each test waits for what it can see (a file, a
line in it), sends the signal, and waits for the end; no test depends on how long anything takes.
"""

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and process groups of POSIX")

PATIENCE_S = 180
"""What has not happened by then never does; a busy machine takes a good part of it to load everything."""

# Ctrl-C in a terminal goes to all processes of the command, SIGTERM to the one that was started.
STOPS = {signal.SIGINT: (os.killpg, 130), signal.SIGTERM: (os.kill, 143)}
each_signal = pytest.mark.parametrize("number", STOPS, ids=lambda number: number.name)

_COMMAND = "import sys, diffplan.cli\n{before}\nsys.exit(diffplan.cli.main(sys.argv[1:]))"


def _until(event: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not event():
        assert process.poll() is None, f"ended before it was stopped: {process.communicate()}"
        assert time.monotonic() < until, "what the test waits for never happened"
        time.sleep(0.02)


@contextmanager
def _running(before: str, *argv: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command in a process group of its own, which is gone afterwards whatever happens."""
    code = _COMMAND.format(before=before)
    with subprocess.Popen(
        [sys.executable, "-c", code, *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _stopped(number: signal.Signals, event: Callable[[], bool], *argv: str, before: str = "") -> str:
    """Start a command, send the signal when the event is seen, check how it ends, and return what it printed."""
    send, code = STOPS[number]
    with _running(before, *argv) as process:
        _until(event, process)
        send(process.pid, number)
        out, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == code, err
        assert err.splitlines()[-1] == "diffplan: stopped"
        assert err.count("stopped") == 1
        assert not any(word in err for word in ("Traceback", "KeyboardInterrupt", "Error", "leaked")), err
        _gone(process.pid)
    return out


def _gone(group: int) -> None:
    """Make sure that no process of a group is left; Python's resource tracker ends a moment after its parent."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.02)
    pytest.fail("a worker outlived the command")


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def _unfinished(folder: Path) -> list[Path]:
    return list(folder.rglob("*.part"))


@each_signal
def test_bench_with_two_jobs_keeps_its_rows_and_goes_on(number: signal.Signals, tmp_path: Path) -> None:
    results = tmp_path / "run" / "results.csv"
    argv = (
        "bench",
        "bookshelf",
        "--planners",
        "straight",
        "--seeds",
        "1000",
        "--jobs",
        "2",
        "--out",
        str(tmp_path / "run"),
    )
    _stopped(number, lambda: len(_lines(results)) > 2, *argv)
    assert _unfinished(tmp_path) == []
    kept = _lines(results)
    assert len(list(csv.DictReader(kept))) == len(kept) - 1
    _stopped(number, lambda: len(_lines(results)) > len(kept), *argv)
    assert set(kept) <= set(_lines(results))


# A file says that OMPL's search has begun.
_SEARCHING = """
from pathlib import Path
from diffplan.planners.sampling import RRTStarPlanner
search = RRTStarPlanner.search
def told(self, query, iterations):
    Path(sys.argv[sys.argv.index("--out") + 1]).with_name("searching").touch()
    return search(self, query, iterations)
RRTStarPlanner.search = told
"""


@each_signal
def test_plan_leaves_no_file(number: signal.Signals, tmp_path: Path) -> None:
    argv = ("plan", "bookshelf", "--planner", "rrtstar", "--timeout", "1000", "--out", str(tmp_path / "plan.json"))
    out = _stopped(number, (tmp_path / "searching").exists, *argv, before=_SEARCHING)
    assert out == ""
    assert os.listdir(tmp_path) == ["searching"]


_SMALL_SHARDS = """
from diffplan.learning.generate import GenerateConfig
GenerateConfig.__init__.__kwdefaults__.update(scenes_per_shard=1, problems_per_scene=1)
"""


@each_signal
def test_data_generate_keeps_its_shards_and_goes_on(number: signal.Signals, tmp_path: Path) -> None:
    def shards() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in tmp_path.glob("shard-*")}

    argv = ("data", "generate", "--out", str(tmp_path), "--scenes", "100000", "--workers", "2")
    _stopped(number, lambda: len(shards()) > 1, *argv, before=_SMALL_SHARDS)
    assert _unfinished(tmp_path) == []
    kept = shards()
    _stopped(number, lambda: len(shards()) > len(kept), *argv, before=_SMALL_SHARDS)
    assert kept.items() <= shards().items()


_STOPPED_WHILE_OMPL_LOADS = """
import enum, os, signal, sys
from diffplan.system.stopping import Stopped, stoppable
calls = []
def call(*args, **options):
    if "ompl" in sys.modules:
        if not calls:
            os.kill(os.getpid(), signal.SIGTERM)
        calls.append(args)
    return made(*args, **options)
made, enum.EnumMeta.__call__ = enum.EnumMeta.__call__, call
try:
    with stoppable():
        import diffplan.planners.trees
except Stopped:
    print("stopped after", len(calls) > 1)
"""


def test_a_signal_while_ompl_loads_ends_it_as_any_other() -> None:
    # OMPL makes its enumerations from C++, where an exception of Python ends the process.
    done = subprocess.run([sys.executable, "-c", _STOPPED_WHILE_OMPL_LOADS], capture_output=True, text=True)
    assert (done.stdout, done.stderr, done.returncode) == ("stopped after True\n", "", 0)


_OFTEN = """
from diffplan.learning import fit
fit.fit_prior.__kwdefaults__["checkpoint_minutes"] = 0.0
"""
_TINY = """format: diffplan/train@1
horizon: 8
dim: 16
mults: [1, 2]
steps: 1000000
batch: 4
feedback: false
held_out: 0.5
validate_every: 1000000
products: float32
"""


@each_signal
def test_train_prior_keeps_its_checkpoint_and_goes_on(
    number: signal.Signals, tmp_path: Path, small_shard: Path
) -> None:
    (tmp_path / "tiny.yaml").write_text(_TINY)
    run = tmp_path / "run"
    argv = (
        "train",
        "prior",
        "--data",
        str(small_shard),
        "--config",
        str(tmp_path / "tiny.yaml"),
        "--out",
        str(run),
    )
    _stopped(number, (run / "checkpoint.safetensors").exists, *argv, before=_OFTEN)
    assert _unfinished(tmp_path) == []
    kept = _lines(run / "log.csv")
    _stopped(number, lambda: len(_lines(run / "log.csv")) > len(kept), *argv, before=_OFTEN)
    assert _lines(run / "log.csv")[: len(kept)] == kept
