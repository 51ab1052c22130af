import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffplan.errors import InputError
from diffplan.strict.entry import Entry
from diffplan.strict.strict_json import read_json
from diffplan.strict.strict_yaml import parse_yaml, read_yaml


def value(text: str) -> Entry:
    return parse_yaml(f"key: {text}\n", Path("file.yaml")).mapping()["key"]


@pytest.mark.parametrize(
    ("text", "number"),
    [("1e-3", 0.001), ("1E5", 1e5), ("0123", 123.0), (".5", 0.5), ("+2", 2.0), ("-0", 0.0), ("1_000", 1000.0)],
)
def test_a_number_is_what_a_person_means(text: str, number: float) -> None:
    assert value(text).number() == number


@pytest.mark.parametrize(
    "text", ["on", "no", "null", "~", "1:30", "0x10", "0o17", "1,5", "2 m", "'1'", "[1]", "{a: 1}"]
)
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="not a number"):
        value(text).number()


@pytest.mark.parametrize("text", ["on", "yes", "123", "1e-3", "null", "2026-01-01", "'on'"])
def test_text_stays_text(text: str) -> None:
    assert value(text).text() == text.strip("'")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_float_survives_yaml(number: float) -> None:
    assert value(repr(number)).number() == number


def refusal(text: str) -> str:
    try:
        for entry in parse_yaml(text, Path("file.yaml")).mapping().values():
            assert math.isfinite(entry.number())
    except InputError as error:
        return str(error)
    return ""


@given(st.text(), st.text())
def test_any_text_is_read_or_refused_with_an_error_that_names_the_file(key: str, text: str) -> None:
    message = refusal(f"{key}: {text}")
    assert not message or message.startswith("file.yaml")


def test_values_know_their_line_and_key_path() -> None:
    top = parse_yaml("a:\n  - b: 1\n  - b: {c: 2,\n         d: 3}\n", Path("x")).mapping()
    entry = top["a"].sequence()[1].mapping()["b"].mapping()["d"]
    assert (entry.line, entry.key) == (4, "a[1].b.d")


def test_an_anchor_may_be_used_twice() -> None:
    top = parse_yaml("a: &size [1, 2]\nb: *size\n", Path("x")).mapping()
    assert top["b"].numbers(2) == (1, 2)


def test_a_missing_or_binary_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for read in (read_yaml, read_json):
        with pytest.raises(InputError, match="cannot be read"):
            read(tmp_path / "none")
        with pytest.raises(InputError, match="not a text file"):
            read(tmp_path / "binary")


def test_a_cut_off_gzip_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cut.json.gz").write_bytes(b"\x1f\x8b\x08\x00\x00")
    with pytest.raises(InputError, match="not readable as gzip"):
        read_json(tmp_path / "cut.json.gz")
