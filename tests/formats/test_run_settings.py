"""Files that our own commands leave to go on from: what stands in them is read as strictly as what people write."""

from pathlib import Path

import pytest

from diffplan.benchmark.results import COLUMNS, read_rows
from diffplan.benchmark.suite_fetch import MBM, cache_file, is_intact
from diffplan.cli import main
from diffplan.errors import InputError
from diffplan.formats.run_settings import claim_settings
from diffplan.learning import generate, returns, suite_generation
from diffplan.learning.log import Progress, read_log
from diffplan.learning.value import ValueLine
from diffplan.strict.strict_json import read_object

DAMAGED = {
    "": "not readable as JSON",
    "[1]": "not a mapping",
    "7": "not a mapping",
    "{": "not readable as JSON",
    "[" * 65 + "]" * 65: "nested too deeply",
    "[" * 5000 + "]" * 5000: "nested too deeply",
    '{"a": ' + "1" * 5000 + "}": "too many digits",
}


@pytest.mark.parametrize("text", DAMAGED)
def test_a_damaged_note_of_how_data_were_made_is_refused(tmp_path: Path, text: str):
    notes = [
        generate.how_made(generate.GenerateConfig(out=tmp_path)),
        returns.how_measured(returns.ReturnsConfig(data=tmp_path, out=tmp_path), 1),
        suite_generation.how_made(suite_generation.SuiteConfig(out=tmp_path / "s.json", kind="hard", count=1, seed=1)),
    ]
    for number, note in enumerate(notes):
        file = tmp_path / f"{number}.json"
        claim_settings(file, note, "made in another way")
        claim_settings(file, note, "made in another way")
        file.write_text(text)
        with pytest.raises(InputError, match=DAMAGED[text]):
            claim_settings(file, note, "made in another way")


def test_a_damaged_suite_in_the_cache_is_not_intact(tmp_path: Path):
    (tmp_path / "mbm.json.gz").write_text('{"problems": ')
    assert not is_intact(MBM, tmp_path / "mbm.json.gz")


def test_a_note_that_is_no_file_is_refused(tmp_path: Path):
    (tmp_path / "note.json").symlink_to("/dev/zero")
    with pytest.raises(InputError, match="a device, pipe or socket, not a file"):
        read_object(tmp_path / "note.json")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"step,seconds,rate,train\n1,1,1\n", r"log\.csv:2: not a log"),
        (b"step,seconds,train\ninf,1,1\n", r"log\.csv:2: not a log"),
        (b"a\n1\n", r"log\.csv:2: not a log"),
        (b"step,seconds,train\n1,1,1,1\n", r"log\.csv:2: not a log"),
        (b"step\n\xff", "not a text file"),
        (b"step\n" + b"1" * 200_000, "not a log"),
    ],
)
def test_a_damaged_log_of_training_is_refused(tmp_path: Path, content: bytes, problem: str):
    (tmp_path / "log.csv").write_bytes(content)
    for kind in (Progress, ValueLine):
        with pytest.raises(InputError, match=problem):
            read_log(tmp_path / "log.csv", kind, up_to=10)


@pytest.mark.parametrize(
    ("row", "problem"),
    [(b"\xff\n", "not a text file"), (b"x" * 200_000 + b"\n", r"results\.csv:2"), (b"a,b\n", r"results\.csv:2")],
)
def test_damaged_results_are_refused(tmp_path: Path, row: bytes, problem: str):
    (tmp_path / "results.csv").write_bytes(",".join(COLUMNS).encode() + b"\n" + row)
    with pytest.raises(InputError, match=problem):
        read_rows(tmp_path / "results.csv")


def test_a_damaged_suite_in_the_cache_is_named_by_the_list_of_suites(tmp_path: Path, monkeypatch, capfd):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    file = cache_file(MBM)
    file.parent.mkdir(parents=True)
    for text, problem in (
        ("{}", "key 'robot' is missing"),
        ('{"robot": "panda", "problems": [{}]}', "key 'id' is missing"),
    ):
        file.write_text(text)
        assert main(["suites"]) == 2
        assert problem in capfd.readouterr().err
