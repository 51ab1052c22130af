"""Errors that tell a person what to change."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path


class DiffplanError(Exception):
    """Bad input or usage; the message names what is wrong and what is allowed."""


class InputError(DiffplanError):
    """A value in a file or an argument that is not allowed.

    The message reads ``file:line: key: problem (found value); allowed: ...``, leaving out what is unknown.
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
        self.allowed = allowed if isinstance(allowed, str) or allowed is None else ", ".join(allowed)
        where = f"{file}:{line}: " if file and line else f"{file}: " if file else ""
        text = where + (f"{key}: " if key else "") + problem
        if value is not None:
            text += f" (found {value!r})"
        if allowed is not None:
            text += f"; allowed: {self.allowed}"
        super().__init__(text)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `` (did you mean 'x'?)`` for the closest known word, or an empty string."""
    close = get_close_matches(str(word), list(known), n=1, cutoff=0.6)
    return f" (did you mean {close[0]!r}?)" if close else ""
