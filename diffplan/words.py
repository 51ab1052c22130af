"""Words for `repr` and messages: lists and texts of any length, in one short line, and as HTML."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape

_MOST_NAMES = 8
_MOST_LETTERS = 100


def some(names: Iterable[str]) -> str:
    """Return `a, b, c`, or of more than eight names the first seven and how many more there are."""
    names = [one_line(name, 40) for name in names]
    if len(names) > _MOST_NAMES:
        names = [*names[: _MOST_NAMES - 1], f"{len(names) - _MOST_NAMES + 1} more"]
    return ", ".join(names)


def one_line(text: str, most: int = _MOST_LETTERS) -> str:
    """Return a text without line breaks or other control characters, cut to `most` letters."""
    text = "".join(letter if letter.isprintable() else " " for letter in " ".join(text.split()))
    return text if len(text) <= most else text[: most - 3] + "..."


def count(number: int, noun: str) -> str:
    """Return `1 box`, `2 boxes`."""
    plural = f"{noun}es" if noun.endswith(("x", "s", "sh")) else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"


def html(text: str, draw: Callable[[], str]) -> str:
    """Return a text and the picture that `draw` gives as a data URL; why there is none, where it fails.

    A notebook calls this to show a value, which must not fail whatever a picture needs and lacks.
    """
    try:
        picture = f'<img alt="" src="{draw()}">'
    except Exception as error:
        picture = f"<p>no picture: {escape(one_line(str(error) or type(error).__name__, 300))}</p>"
    return f"<pre>{escape(text)}</pre>{picture}"
