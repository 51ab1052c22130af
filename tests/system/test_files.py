"""Files are whole or absent, and what keeps one from being written is one line: a full disk (RLIMIT_FSIZE), folders."""

import errno
import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from diffplan.errors import InputError
from diffplan.learning.returns import ReturnsConfig, measure_returns
from diffplan.system.files import NotWritten, check_writable, make_folder, remove_unfinished, write_bytes, write_text

# The file size limit stands for the end of the disk: the write fails after so many bytes.
_LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
import diffplan.cli
from diffplan.geometry import field_files
field_files.save = lambda *_: None
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, resource.RLIM_INFINITY))
sys.exit(diffplan.cli.main(sys.argv[1:]))
"""


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)


def test_a_file_is_written_and_nothing_else_is_left(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "ä")
    write_text(tmp_path / "a.txt", "ö")
    assert (tmp_path / "a.txt").read_bytes() == "ö".encode()
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_new_file_has_the_permissions_of_any_other_and_an_old_one_keeps_its_own(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_bytes(tmp_path / "new", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640
    (tmp_path / "new").chmod(0o604)
    write_bytes(tmp_path / "new", b"1")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o604


def test_links_stay_links_and_devices_stay_devices(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to("target")
    (tmp_path / "dangling").symlink_to("made")
    for name in ("link", "dangling"):
        write_text(tmp_path / name, "new")
        assert (tmp_path / name).is_symlink()
    assert (tmp_path / "target").read_text() == (tmp_path / "made").read_text() == "new"
    write_text("/dev/null", "gone")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_leaves_the_old_file_and_no_part_of_the_new_one(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text("old")
    with pytest.raises(NotWritten, match=r"plan.json: cannot be written: No space left on device"):
        write_text(tmp_path / "plan.json", "new")
    assert (tmp_path / "plan.json").read_text() == "old"
    assert os.listdir(tmp_path) == ["plan.json"]


def test_what_is_in_the_way_is_told_before_and_when_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    cases = {
        "folder": "a folder is there",
        "missing/a.txt": "No such file or directory",
        "file/a.txt": "Not a directory",
        "x" * 300: "File name too long",
        "nul\0": "null byte",
    }
    for name, reason in cases.items():
        with pytest.raises(InputError, match=reason):
            write_text(tmp_path / name, "")
        with pytest.raises(InputError, match=reason):
            check_writable(tmp_path / name)
    check_writable(tmp_path / "file")
    with pytest.raises(InputError, match="the folder cannot be made"):
        make_folder(tmp_path / "file" / "folder")
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_write_protected_file_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    (tmp_path / "a").chmod(0o444)
    with pytest.raises(InputError, match="write-protected"):
        write_text(tmp_path / "a", "new")


def test_unfinished_files_of_killed_processes_are_removed(tmp_path: Path) -> None:
    (tmp_path / ".0123.part").write_text("")
    (tmp_path / "kept.part").write_text("")
    remove_unfinished(tmp_path)
    assert os.listdir(tmp_path) == ["kept.part"]


def _on_a_full_disk(limit: int, *argv: str) -> str:
    """Run a command that can write so many bytes of a file, and return the error's line."""
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED.format(limit=limit), *argv], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert not any(line for line in done.stderr.splitlines() if line.count("rror") > 1)
    return done.stderr.splitlines()[-1]


@pytest.mark.parametrize("name", ["plan.json", "film.gif", "film.mp4", "strip.png", "curves.png"])
def test_plan_on_a_full_disk_says_one_line_and_leaves_no_file(name: str, tmp_path: Path) -> None:
    option = {"plan.json": "--out", "curves.png": "--plot"}.get(name, "--render")
    argv = ["plan", "bookshelf", "--planner", "straight", "--start", "home", "--goal", "home", option]
    argv[argv.index("--goal") + 1] = "0.1,-0.785398,0.0,-2.356194,0.0,1.570796,0.785398"
    line = _on_a_full_disk(2000, *argv, str(tmp_path / name))
    assert line.startswith("diffplan: ")
    assert "File too large" in line or "is the disk full?" in line
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("limit", [0, 300])
def test_data_generate_on_a_full_disk_says_one_line(limit: int, tmp_path: Path) -> None:
    argv = ["data", "generate", "--out", str(tmp_path), "--scenes", "1", "--workers", "1"]
    assert "cannot be written: File too large" in _on_a_full_disk(limit, *argv)
    assert not list(tmp_path.glob("shard-*"))


_TINY = """format: diffplan/train@1
horizon: 8
dim: 16
mults: [1, 2]
steps: 10
batch: 4
feedback: false
held_out: 0.5
products: float32
"""
_HOME = [0.0, -0.785, 0.0, -2.356, 0.0, 1.571, 0.785]
_NOTHING: dict[str, list[str]] = {"box": [], "cylinder": [], "sphere": []}
_VAMP = {
    "robot": "panda",
    "joints": [f"panda_joint{i}" for i in range(1, 8)],
    "problems": {"a": [{"index": 1, "problem": "a", "start": _HOME, "goals": [_HOME], "valid": True, **_NOTHING}]},
}


@pytest.mark.parametrize(
    ("limit", "argv"),
    [
        (50, "data problems --kind seen --count 1 --seed 1 --workers 1 --out made.json.gz"),
        (50, "data returns shards --paths 2 --workers 1 --out made"),
        (2000, "data returns shards --paths 2 --workers 1 --out made"),
        (50, "data info shards --picture made.png"),
        (50, "train prior --data shards --config tiny.yaml --out made"),
        (5000, "train prior --data shards --config tiny.yaml --out made"),
        (5000, "train value --data returns --steps 2 --out made"),
        (50, "suites import problems.json --out made.json.gz"),
    ],
)
def test_every_command_that_writes_says_one_line_on_a_full_disk(
    limit: int, argv: str, tmp_path: Path, small_shard: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("shards").symlink_to(small_shard)
    Path("tiny.yaml").write_text(_TINY)
    Path("problems.json").write_text(json.dumps(_VAMP))
    if "--data returns" in argv:
        config = ReturnsConfig(data=small_shard, out=Path("returns"), paths=60, variations=1, track_every=60, workers=1)
        measure_returns(config, show=False)
    assert re.search("cannot be written: File too large|is the disk full", _on_a_full_disk(limit, *argv.split()))
    assert list(Path().rglob("*.part")) == []
    assert not any(path.exists() for path in map(Path, ("made.json.gz", "made.png", "made/prior.safetensors")))


def test_bench_on_a_full_disk_stops_and_keeps_what_is_done(tmp_path: Path) -> None:
    argv = ["bench", "bookshelf", "--planners", "straight", "--timeout", "2", "--out", str(tmp_path / "run")]
    line = _on_a_full_disk(4000, *argv)
    assert "cannot be written: File too large" in line
    assert len((tmp_path / "run" / "results.csv").read_text().splitlines()) == 1
    assert list((tmp_path / "run").rglob("*.part")) == []


def test_results_on_a_full_device_are_one_line(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "diffplan", "planners"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=120
        )
    assert done.returncode == 2
    assert done.stderr == "diffplan: the output cannot be written: No space left on device\n"
