"""Flat dataclasses from mappings with their fields, as files spell what a dataclass holds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import MISSING, fields, is_dataclass
from typing import TypeVar, get_args, get_origin, get_type_hints

from diffplan.errors import InputError
from diffplan.strict.entry import Entry

_T = TypeVar("_T")


def required(entry: Entry, keys: Iterable[str]) -> dict[str, Entry]:
    """Return the entries of a mapping that has these keys, and may have others.

    Raises:
        InputError: if this is no mapping, or a key is missing.
    """
    entries = entry.mapping()
    for key in keys:
        if key not in entries:
            raise entry.error(f"key {key!r} is missing")
    return entries


def read_record(kind: type[_T], entry: Entry, *, strict: bool = False) -> _T:
    """Return a flat dataclass from a mapping with its fields; a field typed as a dataclass is read likewise.

    A field with a default may be missing: files of earlier versions do not have it. Unknown keys are passed over, or
    refused if `strict`.

    Raises:
        InputError: if a key is missing, a value is of another kind, or the dataclass itself refuses it.
    """
    types = get_type_hints(kind)
    hints = {field.name: types[field.name] for field in fields(kind)}  # pyright: ignore[reportArgumentType]
    optional = {field.name for field in fields(kind) if field.default is not MISSING}  # pyright: ignore[reportArgumentType]
    entries = required(entry, [name for name in hints if name not in optional])
    if strict:
        entry.fields((), hints)
    values = {name: _value(entries[name], hint) for name, hint in hints.items() if name in entries}
    try:
        return kind(**values)
    except InputError as error:
        if error.file is not None:
            raise
        where = entries.get((error.key or "").rpartition(".")[2], entry)
        raise where.error(error.problem, allowed=error.allowed) from error


def _value(entry: Entry, hint: type) -> object:
    inner = get_args(hint)
    if inner and type(None) in inner:
        return None if entry.raw is None else _value(entry, inner[0])
    if get_origin(hint) is tuple:
        return tuple(_value(item, inner[0]) for item in entry.sequence())
    if get_origin(hint) is dict:
        return {name: _value(value, inner[1]) for name, value in entry.mapping().items()}
    if is_dataclass(hint):
        return read_record(hint, entry)
    if hint is bool:
        return entry.boolean()
    return word(entry) if hint is str else entry.whole() if hint is int else hint(entry.number())


def word(entry: Entry) -> str:
    """Return a text that may be empty and may have several lines."""
    return entry.raw if isinstance(entry.raw, str) and entry.raw.isascii() else entry.text() if entry.raw else ""
