"""JSON, plain or gzipped, without its traps: duplicate keys are errors, and `NaN` is no number to `Entry.number`."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path

from diffplan.errors import InputError
from diffplan.formats.entry import Entry, Json

_GZIP_MAGIC = b"\x1f\x8b"


def read_json(path: str | Path) -> Entry:
    """Read a JSON file; gzip is told by its first bytes, not by the name.

    Raises:
        InputError: if the file is missing, is not JSON, or has duplicate keys.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if data.startswith(_GZIP_MAGIC) else data).decode("utf-8-sig")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"not readable as gzip: {error}", file=path) from error
    except UnicodeDecodeError as error:
        raise InputError("not a text file", file=path, allowed="UTF-8") from error
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=path) from error

    def no_duplicates(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
        fields = dict(pairs)
        if len(fields) < len(pairs):
            names = [name for name, _ in pairs]
            raise InputError("duplicate key", file=path, key=next(name for name in names if names.count(name) > 1))
        return fields

    try:
        raw: Json = json.loads(text, object_pairs_hook=no_duplicates)
    except json.JSONDecodeError as error:
        raise InputError(f"not readable as JSON: {error.msg}", file=path, line=error.lineno) from error
    except RecursionError as error:
        raise InputError("nested too deeply", file=path) from error
    return Entry(file=path, key="", raw=raw)
