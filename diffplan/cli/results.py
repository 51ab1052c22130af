"""What a command prints on stdout: tables and lines for people, or with `--json` one JSON document."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO, TypeAlias

if TYPE_CHECKING:
    from diffplan.strict.entry import Json

Column: TypeAlias = "str | tuple[str, str]"
"""A column's key, with the format of its numbers for people where it has one: `("uncovered_mm", ".1f")`."""


class Results:
    """The results of one command, in the order in which they were found."""

    def __init__(self, stream: TextIO, *, as_json: bool = False) -> None:
        self._stream, self.as_json = stream, as_json
        self._document: dict[str, Json] = {}

    def table(
        self, name: str, columns: Sequence[Column], rows: Sequence[Sequence[Json]], *, title: str | None = None
    ) -> None:
        """Print a table; columns of numbers stand to the right. In JSON: a list of objects under `name`."""
        keys = [column if isinstance(column, str) else column[0] for column in columns]
        if self.as_json:
            self._document[name] = [dict(zip(keys, row, strict=True)) for row in rows]
            return
        from rich.console import Console
        from rich.table import Table

        forms = ["" if isinstance(column, str) else column[1] for column in columns]
        texts = [[_text(value, form) for value, form in zip(row, forms, strict=True)] for row in rows]
        table = Table(title=title, title_justify="left")
        for i, key in enumerate(keys):
            numeric = all(not row[i] or row[i].lstrip("-+")[:1].isdigit() for row in texts)
            table.add_column(key.replace("_", " "), justify="right" if numeric else "left", overflow="fold")
        for row in texts:
            table.add_row(*row)
        Console(file=self._stream, width=None if self._stream.isatty() else 160).print(table)

    def value(self, name: str, value: Json, text: str = "") -> None:
        """Print a value, as `text` where it is given. In JSON: `value` under `name`."""
        if self.as_json:
            self._document[name] = value
        else:
            self.line(text or _text(value, ""))

    def line(self, text: str) -> None:
        """Print a line for people. In JSON: nothing."""
        if not self.as_json:
            print(text, file=self._stream, flush=True)

    def document(self, document: dict[str, Json]) -> None:
        """Take a whole document. For people: nothing."""
        self._document.update(document)

    def close(self) -> None:
        """Print the JSON document, if that is asked."""
        if self.as_json:
            json.dump(self._document, self._stream, allow_nan=False)
            self._stream.write("\n")
        self._stream.flush()


def _text(value: Json, form: str) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return ", ".join(_text(item, form) for item in value)
    return format(value, form) if isinstance(value, int | float) else str(value)
