"""`diffplan serve`: what it answers is what a process of its own would."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from diffplan.system import serving

_LONG = ("plan", "bookshelf", "--planner", "rrtstar", "--timeout", "60")


def _client(folder: Path, *words: str, **environment: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "diffplan", *words],
        cwd=folder,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _run(folder: Path, *words: str, **environment: str) -> tuple[int, str, str]:
    process = _client(folder, *words, **environment)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory):
    """A server in a runtime folder of its own, for all tests of this module; its folder."""
    folder = tmp_path_factory.mktemp("runtime", numbered=True)
    process = _client(folder, "serve", XDG_RUNTIME_DIR=str(folder))
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("ready"):
            break
    else:
        pytest.fail("the server did not start")
    yield folder
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143
    assert not list(folder.iterdir())


def _served(runtime: Path, folder: Path, *words: str, **environment: str) -> tuple[int, str, str]:
    return _run(folder, *words, "--served", XDG_RUNTIME_DIR=str(runtime), **environment)


def _said(text: str) -> list[str]:
    """Return the lines that do not depend on how long anything takes; a step that takes long ends with dots."""
    return [line for line in text.splitlines() if not (line.startswith("times:") or line.endswith("..."))]


def test_a_served_plan_is_the_plan_and_says_the_same(runtime, tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    words = ("plan", "bookshelf", "--seed", "3", "--out", "plans/plan.json")
    code, out, err = _served(runtime, tmp_path / "one", *words)
    alone = _run(tmp_path / "other", *words)
    assert (code, out) == alone[:2] == (0, "")
    assert _said(err) == _said(alone[2])
    served, own = (json.loads((tmp_path / name / "plans" / "plan.json").read_text()) for name in ("one", "other"))
    del served["timing_s"], own["timing_s"]
    assert served == own


def test_results_go_to_the_clients_stdout_and_the_variable_asks_too(runtime, tmp_path):
    code, out, err = _run(
        tmp_path, "plan", "bookshelf", "--json", XDG_RUNTIME_DIR=str(runtime), DIFFPLAN_SERVE="1", ONLY_HERE="1"
    )
    assert code == 0
    assert json.loads(out)["status"] == "solved"
    assert "planning without" not in err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("bookshelf", "--query", "hard", "--planner", "straight"), 1, "not solved"),
        (("bokshelf",), 2, "bookshelf"),
        (("bookshelf", "--sed", "3"), 2, "unrecognized arguments"),
        (("bookshelf", "--out", "no/", "--seed", "x"), 2, "invalid int value"),
        (("--help",), 0, ""),
    ],
)
def test_exit_codes_and_messages_are_the_commands_own(runtime, tmp_path, words, code, message):
    found, _, err = _served(runtime, tmp_path, "plan", *words)
    assert found == code
    assert message in err
    assert "planning without" not in err


def test_files_have_the_clients_umask(runtime, tmp_path):
    before = os.umask(0o027)
    try:
        assert _served(runtime, tmp_path, "plan", "bookshelf", "--out", "plan.json")[0] == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "plan.json").stat().st_mode) & 0o077 == 0o040


def test_two_clients_at_once_are_both_answered(runtime, tmp_path):
    long = _client(tmp_path, *_LONG, "--served", XDG_RUNTIME_DIR=str(runtime))
    assert _served(runtime, tmp_path, "plan", "bookshelf")[0] == 0
    assert long.poll() is None
    long.send_signal(signal.SIGINT)
    _, err = long.communicate(timeout=60)
    assert long.returncode == 130
    assert err.splitlines()[-1] == "diffplan: stopped"
    assert _served(runtime, tmp_path, "plan", "bookshelf")[0] == 0


def test_a_command_ends_with_its_client(runtime, tmp_path):
    long = _client(tmp_path, *_LONG, "--out", "plan.json", "--served", XDG_RUNTIME_DIR=str(runtime))
    time.sleep(1.0)
    long.kill()
    long.communicate(timeout=60)  # ends when the last process that holds its streams does
    assert not (tmp_path / "plan.json").exists()
    assert _served(runtime, tmp_path, "plan", "bookshelf")[0] == 0


def test_what_the_server_cannot_do_as_the_client_would_it_does_not(runtime, tmp_path):
    code, _, err = _served(runtime, tmp_path, "plan", "bokshelf", NUMBA_OPT="2")
    assert code == 2
    first, second = _said(err)
    assert first == ("--served: the server was started with no NUMBA_OPT, here it is NUMBA_OPT=2; planning without it")
    assert "bookshelf" in second


def test_there_is_one_server_and_only_its_user_reaches_it(runtime, tmp_path):
    assert stat.S_IMODE((runtime / "diffplan-serve.sock").stat().st_mode) == 0o600
    code, _, err = _run(tmp_path, "serve", XDG_RUNTIME_DIR=str(runtime))
    assert code == 2
    assert "a server is running already" in err
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    code, _, err = _run(tmp_path, "serve", XDG_RUNTIME_DIR=str(open_to_all))
    assert code == 2
    assert "others could reach the server" in err
    assert not list(open_to_all.iterdir())


def test_without_a_server_the_command_runs_all_the_same(tmp_path):
    code, _, err = _run(tmp_path, "plan", "bokshelf", "--served", XDG_RUNTIME_DIR=str(tmp_path))
    assert code == 2
    assert err.startswith("--served: no server is running")
    assert _run(tmp_path, "serve", "--stop", XDG_RUNTIME_DIR=str(tmp_path))[0] == 1


def test_the_client_imports_next_to_nothing():
    code = (
        "import sys, diffplan.system.serving; print([m for m in sys.modules if m.startswith(('diffplan.', 'numpy'))])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.strip() == "['diffplan.system', 'diffplan.system.serving']"


def test_other_versions_of_the_code_are_told_apart(monkeypatch):
    before = serving.code_stamp()
    assert serving.code_stamp() == before
    monkeypatch.setattr(sys, "executable", "/elsewhere/python")
    assert serving.code_stamp() != before
