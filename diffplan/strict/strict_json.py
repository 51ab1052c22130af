"""JSON, plain or gzipped, without its traps: duplicate keys are errors, and `NaN` is no number to `Entry.number`."""

from __future__ import annotations

import json
import re
from pathlib import Path

from diffplan.errors import Faults, InputError
from diffplan.strict.entry import Entry, Json
from diffplan.system.reading import DEEPEST, LARGEST_JSON, decode, read_zipped

_MOST_VALUES = 10_000_000
_LONGEST_WHOLE = 400  # digits; more is beyond any float
_LONG_WHOLE = re.compile(rf"\d{{{_LONGEST_WHOLE + 1},}}")


def read_json(path: str | Path) -> Entry:
    """Read a JSON file; gzip is told by its first bytes, not by the name.

    Raises:
        InputError: if the file is missing, too large, is not JSON, or has duplicate keys.
    """
    path = Path(path)
    return parse_json(decode(read_zipped(path, LARGEST_JSON), path), path)


def read_object(path: str | Path) -> dict[str, Json]:
    """Return the values of a JSON file that holds a mapping, as they stand there.

    Raises:
        InputError: as `read_json`, and if the file holds no mapping.
    """
    entry = read_json(path)
    entry.mapping()
    assert isinstance(entry.raw, dict)
    return entry.raw


def parse_json(text: str, path: Path) -> Entry:
    """Parse JSON text; `path` stands in the error messages, and relative paths start at its folder.

    Raises:
        InputError: as `read_json`.
    """
    if sum(text.count(mark) for mark in ",[{") > _MOST_VALUES:
        raise InputError("too many values", file=path, allowed=f"about {_MOST_VALUES}")
    with Faults() as faults:

        def no_duplicates(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
            fields = dict(pairs)
            if len(fields) < len(pairs):
                seen: set[str] = set()
                for name, _ in pairs:
                    if name in seen:
                        faults.add(InputError("duplicate key", file=path, key=name))
                    seen.add(name)
            return fields

        try:
            raw: Json = json.loads(text, object_pairs_hook=no_duplicates)
        except json.JSONDecodeError as error:
            raise InputError(f"not readable as JSON: {error.msg}", file=path, line=error.lineno) from error
        except RecursionError as error:
            raise _too_deep(path) from error
        except ValueError as error:  # Python reads no whole numbers of thousands of digits
            found = _LONG_WHOLE.search(text)
            line = text.count("\n", 0, found.start()) + 1 if found else None
            raise InputError("a number of too many digits", file=path, line=line) from error
    _check_depth(raw, path)
    return Entry(file=path, key="", raw=raw)


def _check_depth(raw: Json, path: Path) -> None:
    """Refuse what nests deeper than `DEEPEST`: how deep Python itself reads depends on its version."""
    level = [raw] if isinstance(raw, dict | list) else []
    for _ in range(DEEPEST):
        children = (child for item in level for child in (item.values() if isinstance(item, dict) else item))
        level = [child for child in children if isinstance(child, dict | list)]
    if level:
        raise _too_deep(path)


def _too_deep(path: Path) -> InputError:
    return InputError("nested too deeply", file=path, allowed=f"{DEEPEST} levels")
