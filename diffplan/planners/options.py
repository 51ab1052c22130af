"""A planner's options: a frozen dataclass, changed by name and strictly."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import TypeVar

from diffplan.errors import InputError, did_you_mean
from diffplan.planners.base import Options

Config = TypeVar("Config")
_LARGEST = 1e9


def configured(defaults: Config, options: Options, planner: str) -> Config:
    """Return the options `defaults` (a dataclass of numbers, flags and words) with some of them changed.

    Raises:
        InputError: for an unknown option or a value of the wrong type; what the dataclass itself refuses comes through.
    """
    assert is_dataclass(defaults)
    assert not isinstance(defaults, type)
    known = {field.name: type(getattr(defaults, field.name)) for field in fields(defaults)}
    for key, value in options.items():
        if key not in known:
            raise InputError(f"no option {key!r}{did_you_mean(key, known)}", key=planner, allowed=list(known))
        whole = known[key] is float and type(value) is int
        if type(value) is not known[key] and not whole:
            raise InputError("wrong type", key=f"{planner}.{key}", value=value, allowed=known[key].__name__)
        if isinstance(value, int | float) and not abs(value) <= _LARGEST:
            raise InputError("out of range", key=f"{planner}.{key}", value=value, allowed=f"up to {_LARGEST:g}")
    return replace(defaults, **options)


def require_positive(config: object, *keys: str) -> None:
    """Refuse values that are not above zero.

    Raises:
        InputError: naming the first of `keys` whose value is not.
    """
    for key in keys:
        value = getattr(config, key)
        if not value > 0:
            raise InputError("must be positive", key=key, value=value, allowed="> 0")
