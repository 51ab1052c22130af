"""A small part of the fuzzing of readers (scripts/fuzz_readers.py alone is the whole), and that it sees faults."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"


def test_readers_answer_or_refuse():
    arguments = ["--cases", "300", "--jobs", "2", "--light", "--seed", "11", "--keep", os.devnull]
    run = subprocess.run(
        [sys.executable, SCRIPTS / "fuzz_readers.py", *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    name, cases, accepted, refused, *faults, _, _ = run.stdout.splitlines()[-2].split()
    assert (name, cases, faults) == ("all", "300", ["0", "0", "0"])
    assert int(accepted) > 30
    assert int(refused) > 150


@pytest.mark.parametrize(
    ("kind", "read"),
    [
        ("exception", lambda path: {}["missing"]),
        ("hang", lambda path: time.sleep(60)),
        ("crash", lambda path: os.kill(os.getpid(), signal.SIGKILL)),
        ("crash", lambda path: os._exit(0)),
        ("accepted", lambda path: None),
    ],
)
def test_the_fuzzer_sees_exceptions_hangs_and_crashes(monkeypatch, tmp_path, kind, read):
    monkeypatch.syspath_prepend(SCRIPTS)
    import fuzz_readers
    from fuzz_mutations import Syntax
    from fuzz_seeds import Reader

    reader = Reader(name="r", files={"a": b"[1]"}, damaged={"a": Syntax.JSON}, target="a", read=read)
    todo = [fuzz_readers.Case(reader=0, number=number, file="a") for number in range(2)]
    (tally,) = fuzz_readers.fuzz([reader], todo, seed=0, jobs=1, limit=0.5, keep=tmp_path / "kept")
    assert tally.outcomes == {kind: 2}
    assert (tmp_path / "kept").exists() == (kind != "accepted")
