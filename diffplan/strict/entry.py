"""A value in an input file that knows where it stands: file, line and key path.

The readers ask for what they expect (`number`, `text`, `fields`), and every refusal is an `InputError` that says where.
Nothing is guessed from how a value looks, so `on` is text where text is meant and `1e-3` a number where one is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import yaml

from diffplan.arguments import unprintable
from diffplan.errors import AlreadyTold, Faults, InputError, closest, did_you_mean
from diffplan.system.reading import is_file

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One value: `raw` is a composed YAML node or a parsed JSON value, `key` its path, like `obstacles[2].size`."""

    file: Path
    key: str
    raw: yaml.Node | Json

    @property
    def line(self) -> int | None:
        """The line in the file, from 1; None in JSON."""
        return self.raw.start_mark.line + 1 if isinstance(self.raw, yaml.Node) else None

    def error(self, problem: str, *, allowed: str | Iterable[str] | None = None) -> InputError:
        """Return the error that says where this value stands, what it is and what is allowed."""
        return InputError(
            problem, file=self.file, line=self.line, key=self.key or None, value=_shown(self.raw), allowed=allowed
        )

    def mapping(self) -> dict[str, Entry]:
        """Return the entries of a mapping with free keys.

        Raises:
            InputError: if this is no mapping, or a key is no name.
        """
        return {key: entry for key, _, entry in self._pairs()}

    def _pairs(self) -> list[tuple[str, int | None, Entry]]:
        """Return key, the key's line and entry of a mapping."""
        if isinstance(self.raw, yaml.MappingNode):
            pairs = [(str(key.value), key.start_mark.line + 1, value) for key, value in self.raw.value]
        elif isinstance(self.raw, dict):
            pairs = [(key, None, value) for key, value in self.raw.items()]
        else:
            raise self.error("not a mapping", allowed="a mapping of keys to values")
        for key, line, _ in pairs:
            if unprintable(key):
                problem = f"a key with {unprintable(key)}"
                raise InputError(problem, file=self.file, line=line, key=self.key or None, value=key)
        prefix = f"{self.key}." if self.key else ""
        return [(key, line, Entry(file=self.file, key=prefix + key, raw=value)) for key, line, value in pairs]

    def fields(self, required: Iterable[str], optional: Iterable[str] = (), faults: Faults | None = None) -> Fields:
        """Return the entries of a mapping with exactly these keys.

        Args:
            required: keys that must be there.
            optional: keys that may be there.
            faults: gathers unknown and missing keys, and the known ones are returned; asking for a missing one raises
                an error that it passes over.

        Raises:
            InputError: if a required key is missing or a key is unknown.
        """
        required = list(required)
        known = dict.fromkeys([*required, *optional])
        found, meant = Fields(), set[str]()
        with Faults() as own:
            for key, line, entry in self._pairs():
                if key in known:
                    found[key] = entry
                    continue
                meant.add(close := closest(key, known))
                hint = f" (did you mean {close!r}?)" if close else ""
                own.add(InputError(f"unknown key{hint}", file=self.file, line=line, key=entry.key, allowed=known))
            for key in required:
                if key not in found and key not in meant:
                    where = self.key or None
                    problem = f"key {key!r} is missing"
                    own.add(InputError(problem, file=self.file, line=self.line, key=where, allowed=known))
            if faults is not None:
                told, own.found = own.found, []
                for error in told:
                    faults.add(error)
        return found

    def sequence(self) -> list[Entry]:
        """Return the entries of a list.

        Raises:
            InputError: if this is no list.
        """
        if isinstance(self.raw, yaml.SequenceNode):
            items: list[yaml.Node] | list[Json] = self.raw.value
        elif isinstance(self.raw, list):
            items = self.raw
        else:
            raise self.error("not a list", allowed="a list [a, b, ...]")
        return [Entry(file=self.file, key=f"{self.key}[{i}]", raw=item) for i, item in enumerate(items)]

    @property
    def is_list(self) -> bool:
        """Whether this is a list."""
        return isinstance(self.raw, yaml.SequenceNode | list)

    @property
    def is_mapping(self) -> bool:
        """Whether this is a mapping."""
        return isinstance(self.raw, yaml.MappingNode | dict)

    def text(self) -> str:
        """Return a text that is not empty and has no control characters: a name, a word, a path.

        Raises:
            InputError: if this is something else.
        """
        text = self.raw.value if isinstance(self.raw, yaml.ScalarNode) else self.raw
        if not isinstance(text, str) or not text.strip():
            raise self.error("not a text", allowed="a text that is not empty")
        if unprintable(text):
            raise self.error(f"a text with {unprintable(text)}", allowed="a text on one line")
        return text

    def choice(self, options: Iterable[str], what: str = "value") -> str:
        """Return a text that is one of `options`.

        Raises:
            InputError: if it is none of them; the message lists them.
        """
        options = list(options)
        text = self.text()
        if text not in options:
            raise self.error(f"unknown {what}{did_you_mean(text, options)}", allowed=options)
        return text

    def boolean(self) -> bool:
        """Return true or false, spelt so.

        Raises:
            InputError: if this is something else.
        """
        plain = _plain(self.raw)
        if isinstance(plain, bool):
            return plain
        if isinstance(plain, str) and plain in ("true", "false"):
            return plain == "true"
        raise self.error("not true or false", allowed=["true", "false"])

    def number(self, *, positive: bool = False) -> float:
        """Return a finite number; YAML's plain `1e-3` is 0.001 and `0123` is 123.

        Raises:
            InputError: if this is no finite number, or not above zero although `positive`.
        """
        allowed = "a finite number > 0" if positive else "a finite number"
        plain = _plain(self.raw)
        if isinstance(plain, _Quoted):
            raise self.error("a text, not a number", allowed=f"{allowed}, without quotes")
        if plain is None or isinstance(plain, bool | list | dict):
            raise self.error("not a number", allowed=allowed)
        try:
            value = float(plain)
        except (ValueError, OverflowError) as error:
            raise self.error("not a number", allowed=allowed) from error
        if not math.isfinite(value) or (positive and value <= 0):
            raise self.error("number out of range", allowed=allowed)
        return value

    def whole(self) -> int:
        """Return a whole number.

        Raises:
            InputError: if this is another number, or none.
        """
        plain = _plain(self.raw)
        if isinstance(plain, int) and not isinstance(plain, bool):
            return plain
        value = self.number()
        if not value.is_integer():
            raise self.error("not a whole number", allowed="whole numbers")
        exact = isinstance(plain, str) and plain.lstrip("+-").isascii() and plain.lstrip("+-").isdigit()
        return int(str(plain)) if exact else int(value)

    def numbers(self, length: int, *, positive: bool = False) -> tuple[float, ...]:
        """Return a list of `length` finite numbers.

        Raises:
            InputError: if this is no list, has another length, or an entry is no finite number.
        """
        entries = self.sequence() if self.is_list else []
        if len(entries) != length:
            raise self.error("wrong length" if self.is_list else "not a list", allowed=f"a list of {length} numbers")
        return tuple(entry.number(positive=positive) for entry in entries)

    def path(self) -> Path:
        """Return the path of an existing file, relative to the folder of this file.

        Raises:
            InputError: if there is no such file.
        """
        path = self.file.parent / self.text()
        if not is_file(path):
            raise self.error("file not found", allowed=f"a path relative to {self.file.parent}")
        return path

    def expect_format(self, name: str) -> None:
        """Check the text of a `format` key.

        Raises:
            InputError: if it names another format.
        """
        if self.text() != name:
            raise self.error("another format or version", allowed=name)


class Fields(dict[str, Entry]):
    """The entries of a mapping by key; a key that is missing was told of already."""

    def __missing__(self, key: str) -> Entry:
        raise AlreadyTold(f"key {key!r} is missing", key=key)

    def sizes(self, keys: Mapping[str, int]) -> list[float]:
        """Return the lengths above 0 of these keys, each one number or a list of so many.

        Raises:
            InputError: if one is something else.
        """
        sizes: list[float] = []
        for key, many in keys.items():
            sizes += self[key].numbers(many, positive=True) if many > 1 else [self[key].number(positive=True)]
        return sizes


class _Quoted(str):
    """A text in quotes: never a number."""

    __slots__ = ()


class _Bare(str):
    """A text that is shown as it stands in the file, without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _plain(raw: yaml.Node | Json) -> Json | _Quoted:
    """Return a scalar; JSON texts and quoted YAML texts come as `_Quoted`, plain YAML ones as str."""
    if isinstance(raw, yaml.ScalarNode):
        return raw.value if raw.style in (None, "") else _Quoted(raw.value)
    if isinstance(raw, yaml.Node):
        return []
    return _Quoted(raw) if isinstance(raw, str) else raw


def _shown(raw: yaml.Node | Json, depth: int = 3) -> object:
    """Return a value short enough to show in a message."""
    if isinstance(raw, yaml.ScalarNode):
        return raw.value if isinstance(_plain(raw), _Quoted) else _Bare(raw.value)
    if depth == 0:
        return _Bare("...")
    if isinstance(raw, yaml.MappingNode | dict):
        pairs = raw.value if isinstance(raw, yaml.Node) else list(raw.items())
        return {_shown(key): _shown(value, depth - 1) for key, value in pairs[:6]}
    if isinstance(raw, yaml.SequenceNode | list):
        items = raw.value if isinstance(raw, yaml.Node) else raw
        return [_shown(item, depth - 1) for item in items[:10]] + ([_Bare("...")] if len(items) > 10 else [])
    return raw
