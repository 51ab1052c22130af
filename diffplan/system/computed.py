"""Attributes that are computed when first asked for, and kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar, overload

from typing_extensions import Self

T = TypeVar("T")


class computed(Generic[T]):
    """Like `functools.cached_property`, but without its lock (Python 3.10 and 3.11).

    A process that is forked while a thread holds that lock waits for it for ever. Here two threads may compute the
    same value; both get the same result.
    """

    def __init__(self, compute: Callable[..., T]) -> None:
        self.compute, self.__doc__ = compute, compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object | None, owner: type) -> Self | T:
        if instance is None:
            return self
        return instance.__dict__.setdefault(self.name, self.compute(instance))
