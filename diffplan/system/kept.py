"""Results kept in memory by the content they were made of, never by a file's name or date."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

_T = TypeVar("_T")


class Kept(Generic[_T]):
    """The results used last, up to a sum of sizes in bytes; safe to use from several threads.

    A key must say everything that the result depends on: of a file its content, not its name.
    """

    def __init__(self, most_bytes: int) -> None:
        """Keep results of up to `most_bytes` in all; one result may be larger, and is then kept alone."""
        self._most_bytes = most_bytes
        self._lock = Lock()
        if hasattr(os, "register_at_fork"):  # a forked process has no thread that would give it back
            os.register_at_fork(after_in_child=self._renew_lock)
        self._results: OrderedDict[Hashable, tuple[_T, int]] = OrderedDict()

    def _renew_lock(self) -> None:
        self._lock = Lock()

    def get(self, key: Hashable, make: Callable[[], _T], size: Callable[[_T], int]) -> _T:
        """Return the result of this key, made now if it is not kept; `size` tells its bytes."""
        with self._lock:
            if key in self._results:
                self._results.move_to_end(key)
                return self._results[key][0]
        result = make()
        with self._lock:
            self._results[key] = (result, size(result))
            self._results.move_to_end(key)
            while len(self._results) > 1 and sum(bytes_ for _, bytes_ in self._results.values()) > self._most_bytes:
                self._results.popitem(last=False)
        return result
