"""Things with parameters in one word: `avoid:xyz=0.4,0.3,0.5:radius=0.2`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from diffplan.errors import InputError, did_you_mean
from diffplan.strict.entry import Entry, Json


def read_spec(
    text: str, kinds: Iterable[str], what: str, *, option: Path | None = None, at: Entry | None = None
) -> tuple[str, Entry]:
    """Return the kind and the values of a word `KIND[:KEY=VALUE]...`, lists with commas.

    Args:
        text: the word.
        kinds: the kinds that there are.
        what: what the word is for, in messages.
        option: the option of the command line in which the word stands.
        at: where it stands in a file, if it does.

    Raises:
        InputError: naming the key, the value and what is allowed.
    """
    file, line = (at.file, at.line) if at else (None, None)
    where = at.key if at else str(option)
    kind, *pairs = text.split(":")
    values: dict[str, Json] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not (key and equals and value):
            allowed = "KIND:KEY=VALUE:KEY=VALUE, lists with commas"
            raise InputError("not KEY=VALUE", file=file, line=line, key=f"{where} {kind}", value=pair, allowed=allowed)
        if key in values:
            raise InputError("given twice", file=file, line=line, key=f"{where} {kind}.{key}", value=value)
        values[key] = [_scalar(item) for item in value.split(",")] if "," in value else _scalar(value)
    known = list(kinds)
    if kind not in known:
        problem = f"no such {what}{did_you_mean(kind, known)}"
        raise InputError(problem, file=file, line=line, key=where, value=kind, allowed=known)
    return kind, Entry(file=file or Path(where), key=f"{where}.{kind}" if at else kind, raw=values)


def _scalar(text: str) -> Json:
    try:
        return float(text)
    except ValueError:
        return text
