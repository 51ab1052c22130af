"""One thread that does what the callbacks of a browser ask for, one after the other; the newest of a kind wins."""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable, Hashable
from time import perf_counter


class Actor:
    """Does what is posted, in order; `tick` in between, as often as `every` [s] says (None: not at all)."""

    def __init__(self, tick: Callable[[], None], failed: Callable[[Exception], None]) -> None:
        """Start the thread; what is raised by something posted goes to `failed`."""
        self.every: float | None = None
        self._tick, self._failed = tick, failed
        self._todo: dict[Hashable, Callable[[], None]] = {}
        self._changed = threading.Condition()
        self._closed = False
        threading.Thread(target=self._run, daemon=True, name="diffplan studio view").start()

    def post(self, do: Callable[[], None], key: Hashable | None = None) -> None:
        """Do this soon; what was posted with the same key and is not done yet is dropped for it."""
        with self._changed:
            self._todo[object() if key is None else key] = do
            self._changed.notify()

    def close(self) -> None:
        """Do nothing more."""
        with self._changed:
            self._closed = True
            self._todo.clear()
            self._changed.notify()

    def _run(self) -> None:
        last = perf_counter()
        while True:
            with self._changed:
                if not self._todo and not self._closed:
                    wait = None if self.every is None else max(last + self.every - perf_counter(), 0.001)
                    self._changed.wait(wait)
                if self._closed:
                    return
                do = self._todo.pop(next(iter(self._todo))) if self._todo else self._tick
            if do is self._tick:
                last = perf_counter()
            try:
                do()
            except Exception as error:
                if self._closed:
                    return
                try:
                    self._failed(error)
                except Exception:
                    traceback.print_exc(file=sys.stderr)
