"""Arguments of the public API: each kind of value is checked in one place, and comes out as plain Python or NumPy.

NumPy scalars and arrays and torch tensors, also those that ask for a gradient, are taken wherever numbers are; truth
values, texts, None and numbers that are not finite are not.
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from diffplan.errors import InputError, did_you_mean

MOST_START_TOLERANCE = 0.05
"""The widest tolerance of starts outside the joint limits (rad or m)."""
MOST_START_CONTACT_M = 0.005
"""How deep a contact at the start may be taken at most (m)."""
_T = TypeVar("_T")
_PLAIN = (float, int, str, list, tuple, dict, bool, type(None))


@runtime_checkable
class _Tensor(Protocol):
    """What a torch tensor can do; torch is slow to import and not needed to ask."""

    def detach(self) -> _Tensor: ...
    def cpu(self) -> _Tensor: ...
    def double(self) -> _Tensor: ...
    def tolist(self) -> object: ...


def plain(value: object) -> object:
    """Return a NumPy scalar or array or a torch tensor as Python numbers or lists of them, anything else as it is."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, np.ma.MaskedArray):
        return None if np.ma.is_masked(value) else value.tolist()
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, _Tensor) and not isinstance(value, type):
        try:
            return value.detach().cpu().tolist()
        except (RuntimeError, TypeError, ValueError, NotImplementedError):  # a tensor without content, or a sparse one
            return None
    return value


def real(value: object, key: str, *, allowed: str = "a finite number") -> float:
    """Return a finite number.

    Raises:
        InputError: naming `key`, if it is none.
    """
    if type(value) is float and value - value == 0:
        return value
    number = plain(value)
    if isinstance(number, Real) and not isinstance(number, bool):
        try:
            result = float(number)
        except (OverflowError, ValueError, TypeError):
            result = float("inf")
        if result - result == 0:
            return result
    raise InputError(
        "not a number" if not isinstance(number, Real) else "no finite number",
        key=key,
        value=_told(value),
        allowed=allowed,
    )


def positive(
    value: object, key: str, *, what: str = "length", highest: float = math.inf, allowed: str = "> 0 [m]"
) -> float:
    """Return a finite number above zero, and not above `highest`; `what` it is stands in the error.

    Raises:
        InputError: naming `key`, if it is none.
    """
    try:
        number = real(value, key)
    except InputError as error:
        raise InputError(f"not a positive finite {what}", key=key, value=error.value, allowed=allowed) from None
    if not 0 < number <= highest:
        raise InputError(f"not a positive finite {what}", key=key, value=number, allowed=allowed)
    return number


def start_tolerance(value: object) -> float:
    """Return by how much joints may begin outside their limits (rad or m).

    Raises:
        InputError: naming `start_tolerance`, if it is no number from 0 to `MOST_START_TOLERANCE`.
    """
    return _up_to(value, "start_tolerance", MOST_START_TOLERANCE, "rad or m")


def start_contact(value: object) -> float:
    """Return how deep bodies may touch at the start (m).

    Raises:
        InputError: naming `start_contact_m`, if it is no number from 0 to `MOST_START_CONTACT_M`.
    """
    return _up_to(value, "start_contact_m", MOST_START_CONTACT_M, "m")


def _up_to(value: object, key: str, highest: float, unit: str) -> float:
    allowed = f"0 to {highest:g} ({unit})"
    number = real(value, key, allowed=allowed)
    if not 0 <= number <= highest:
        raise InputError("out of range", key=key, value=number, allowed=allowed)
    return number


def whole(
    value: object, key: str, lowest: int, highest: int | None, *, what: str = "whole number", allowed: str = ""
) -> int:
    """Return a whole number from `lowest` to `highest`.

    Raises:
        InputError: naming `key`, if it is none.
    """
    number = plain(value)
    if isinstance(number, Integral) and not isinstance(number, bool):
        result = int(number)
        if lowest <= result and (highest is None or result <= highest):
            return result
    upper = "" if highest is None else f" to {highest}"
    raise InputError(
        f"not a {what}",
        key=key,
        value=_told(value),
        allowed=allowed or f"whole numbers from {lowest}{upper}",
    )


def flag(value: object, key: str) -> bool:
    """Return a truth value.

    Raises:
        InputError: naming `key`, if it is none.
    """
    value = plain(value)
    if not isinstance(value, bool):
        raise InputError("not a truth value", key=key, value=_told(value), allowed="True or False")
    return value


def items(value: object, key: str, *, allowed: str) -> list[object]:
    """Return the items of a list, tuple, array or tensor.

    Raises:
        InputError: naming `key`, if it is none of them.
    """
    listed = plain(value)
    if isinstance(listed, Sequence) and not isinstance(listed, str | bytes | bytearray | memoryview):
        return list(listed)
    raise InputError("not a list", key=key, value=_told(value), allowed=allowed)


def vector(value: object, length: int, key: str, *, unit: str = "") -> tuple[float, ...]:
    """Return `length` finite numbers.

    Raises:
        InputError: naming `key`, if these are others.
    """
    allowed = f"{length} finite numbers{f' [{unit}]' if unit else ''}"
    found = items(value, key, allowed=allowed)
    if len(found) != length:
        raise InputError(f"{len(found)} values instead of {length}", key=key, value=_told(value), allowed=allowed)
    return tuple(real(item, f"{key}[{i}]") for i, item in enumerate(found))


def array(value: object, key: str, last: int, *, allowed: str = "") -> NDArray[np.float64]:
    """Return an array [..., last] of finite numbers; a new one unless it was one of float64 already.

    Raises:
        InputError: naming `key`, if it is none.
    """
    allowed = allowed or f"finite numbers, {last} in the last dimension"
    numbers = np.asarray(value) if isinstance(value, np.ndarray) and not isinstance(value, np.ma.MaskedArray) else None
    if numbers is None or numbers.dtype.kind == "O":
        try:
            numbers = np.asarray(_numbers(value, 0))
        except (TypeError, ValueError, OverflowError):
            raise InputError("not an array of numbers", key=key, value=_told(value), allowed=allowed) from None
    if numbers.dtype.kind not in "iuf" or numbers.ndim == 0 or numbers.shape[-1] != last:
        raise InputError("not an array of numbers", key=key, value=_told(value), allowed=allowed)
    result = numbers.astype(np.float64, copy=False)
    if not np.isfinite(result).all():
        raise InputError("no finite numbers", key=key, value=_told(value), allowed=allowed)
    return result


def _numbers(value: object, depth: int) -> object:
    """Return nested lists of numbers as such, arrays and tensors in them too; anything else is an error."""
    value = plain(value)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray) and depth < 8:
        return [_numbers(item, depth + 1) for item in value]
    if isinstance(value, Real) and not isinstance(value, bool):
        return float(value)
    raise TypeError


def text(value: object, key: str, *, allowed: str = "a text on one line that is not empty") -> str:
    """Return a text that can stand in files and on a screen: not empty, no control characters, no half surrogates.

    Raises:
        InputError: naming `key`, if it is none.
    """
    value = str(value) if isinstance(value, np.str_) else value
    if not isinstance(value, str):
        raise InputError("not a text", key=key, value=_told(value), allowed=allowed)
    if not value.strip():
        raise InputError("an empty text", key=key, value=value, allowed=allowed)
    problem = unprintable(value)
    if problem:
        raise InputError(f"a text with {problem}", key=key, value=value, allowed=allowed)
    return value


def path(value: object, key: str, *, allowed: str = "a path (text or pathlib.Path)") -> Path:
    """Return a path.

    Raises:
        InputError: naming `key`, if it is none.
    """
    word = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(word, str):
        raise InputError("not a path", key=key, value=_told(value), allowed=allowed)
    try:
        usable = bool(word) and b"\0" not in os.fsencode(word)
    except UnicodeEncodeError:
        usable = False
    if not usable:
        raise InputError("not a path", key=key, value=word, allowed=allowed)
    return Path(word)


def one_of(value: object, key: str, known: Collection[str], what: str) -> str:
    """Return a text that is one of the known ones.

    Raises:
        InputError: naming `key`, if it is none of them; the message lists them.
    """
    if not isinstance(value, str) or value not in known:
        raise InputError(
            f"no {what} {value!r}{did_you_mean(value, known)}"
            if isinstance(value, str)
            else f"not the name of a {what}",
            key=key,
            value=None if isinstance(value, str) else _told(value),
            allowed=list(known),
        )
    return value


def instance(value: object, kind: type[_T], key: str, *, allowed: str) -> _T:
    """Return a value of this class.

    Raises:
        InputError: naming `key`, if it is of another one.
    """
    if not isinstance(value, kind):
        raise InputError("not what is meant here", key=key, value=_told(value), allowed=allowed)
    return value


def mapping(value: object, key: str, *, allowed: str) -> dict[str, object]:
    """Return a mapping from texts as a dict.

    Raises:
        InputError: naming `key`, if it is none.
    """
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise InputError("not a mapping from names", key=key, value=_told(value), allowed=allowed)
    return dict(value)


def unprintable(text: str) -> str:
    """Return in words what in a text cannot stand in a name or a path; empty if all of it can."""
    if text.isprintable():
        return ""
    if any("\ud800" <= character <= "\udfff" for character in text):
        return "half a surrogate pair"
    return "a control character" if any((c < " " and c != "\t") or "\x7f" <= c <= "\x9f" for c in text) else ""


def _told(value: object) -> object:
    """Return a value to show; None is shown too."""
    value = plain(value)
    return "None" if value is None else value
