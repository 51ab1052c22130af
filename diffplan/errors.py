"""Errors that tell a person what to change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TypeVar, cast

_T = TypeVar("_T")
_LONGEST = 400  # characters of a value, a key or a problem in a message
_LONGEST_LIST = 4000  # characters of what is allowed
_SHOWN = 20  # errors of one file that its message tells
_ALIKE = 3  # errors that differ in line and value only, from which on the first one stands for them
_MOST = 100  # errors after which reading stops
_LONGEST_WORD = 64  # characters of a word that is compared with known ones


class DiffplanError(Exception):
    """Bad input or usage; the message names what is wrong and what is allowed."""


class InputError(DiffplanError):
    """A value in a file or an argument that is not allowed.

    The message reads ``file:line: key: problem (found value); allowed: ...``, leaving out what is unknown. Several
    errors of one file are one error (`together`): a line each in its message, all of them in `errors`.
    """

    def __init__(
        self,
        problem: str,
        *,
        file: str | Path | None = None,
        line: int | None = None,
        key: str | None = None,
        value: object = None,
        allowed: str | Iterable[str] | None = None,
    ) -> None:
        self.problem, self.file, self.line, self.key, self.value = problem, file, line, key, value
        self.allowed = allowed if isinstance(allowed, str) or allowed is None else ", ".join(map(str, allowed))
        self._several: tuple[InputError, ...] = ()
        name = _cut(str(file)) if file else ""
        where = f"{name}:{line}: " if name and line else f"{name}: " if name else ""
        text = where + (f"{_cut(key)}: " if key else "") + _cut(problem, 4 * _LONGEST)
        if value is not None:
            text += f" (found {shown(value)})"
        if self.allowed is not None:
            text += f"; allowed: {_cut(self.allowed, _LONGEST_LIST)}"
        super().__init__(text)

    @property
    def errors(self) -> tuple[InputError, ...]:
        """The single errors that this one tells of: itself, unless it was made by `together`."""
        return self._several or (self,)

    @staticmethod
    def together(errors: Sequence[InputError]) -> InputError:
        """Return one error for several: a line each, at most 20 of them; its attributes are those of the first.

        Errors of one file come in the order of its lines. The first of three or more that differ in line and value only
        stands for all of them.
        """
        single = [one for error in errors for one in error.errors]
        if len(single) == 1:
            return single[0]
        if len({error.file for error in single}) == 1:
            single.sort(key=lambda error: error.line or 0)
        groups: dict[object, list[InputError]] = {}
        for error in single:
            groups.setdefault((error.file, error.key, error.problem, error.allowed), []).append(error)
        told = [text for group in groups.values() for text in _lines(group)]
        lines = told[:_SHOWN]
        if len(told) > _SHOWN:
            more = f"{len(told) - _SHOWN} more errors" if len(single) < _MOST else "many more errors"
            lines.append(f"{single[0].file}: and {more}" if single[0].file else f"and {more}")
        first, whole = single[0], InputError("")
        whole.problem, whole.file, whole.line, whole.key = first.problem, first.file, first.line, first.key
        whole.value, whole.allowed, whole._several = first.value, first.allowed, tuple(single)
        whole.args = ("\n".join(lines),)
        return whole


def _lines(group: list[InputError]) -> list[str]:
    """Return a line for each of some errors that differ in line and value only; one for all if they are many."""
    if len(group) < _ALIKE:
        return [" ".join(str(error).split()) for error in group]
    places = ", ".join(str(error.line) for error in group[1:] if error.line)
    more = f"{len(group) - 1} more like it" + (f": lines {places}" if places else "")
    return [f"{' '.join(str(group[0]).split())}; and {_cut(more)}"]


class AlreadyTold(InputError):
    """Stands for a value that could not be read and whose error `Faults` holds already."""


class Faults:
    """Gathers the errors of a `with` block, which are raised together at its end.

    What `of` returns after an error may not be used before that end.
    """

    def __init__(self) -> None:
        self.found: list[InputError] = []

    def add(self, error: InputError) -> None:
        """Note an error.

        Raises:
            InputError: all of them, when there are too many to go on.
        """
        if not isinstance(error, AlreadyTold):
            self.found += error.errors
        if len(self.found) >= _MOST:
            raise InputError.together(self.found)

    def of(self, read: Callable[[], _T]) -> _T:
        """Return what `read` returns; its errors are kept for the end of the block."""
        try:
            return read()
        except InputError as error:
            self.add(error)
            return cast("_T", None)

    def __enter__(self) -> Faults:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if isinstance(error, InputError):
            if not isinstance(error, AlreadyTold) and not set(error.errors) <= set(self.found):
                self.found += error.errors
        elif error is not None:
            return
        if self.found:
            raise InputError.together(self.found) from None


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """Return `` (did you mean 'x'?)`` for the closest known word, or an empty string."""
    close = closest(word, known)
    return f" (did you mean {close!r}?)" if close else ""


def closest(word: object, known: Iterable[str]) -> str:
    """Return the known word that is closest to this one, or an empty string; very long words resemble none."""
    if not isinstance(word, str) or len(word) > _LONGEST_WORD:
        return ""
    near = [other for other in islice(known, 2000) if len(other) <= _LONGEST_WORD]
    return next(iter(get_close_matches(word, near, n=1, cutoff=0.6)), "")


def shown(value: object) -> str:
    """Return a value as a message shows it: on one line, and not longer than a few hundred characters."""
    if isinstance(value, str):
        value = type(value)(value[: 2 * _LONGEST])
    try:
        text = repr(value)
    except Exception:  # a user's object, or an integer of thousands of digits
        text = f"a {type(value).__name__}"
    return _cut(" ".join(text.split()))


def _cut(text: str, longest: int = _LONGEST) -> str:
    return text if len(text) <= longest else f"{text[:longest]}..."
