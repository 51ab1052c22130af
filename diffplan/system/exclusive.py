"""One thread at a time: planning and PyBullet keep state that belongs to the whole process, not to a thread.

PyBullet's bodies and the clients that are kept, OMPL's seed, and the scratch memory of models are such state, and the
interpreter runs one thread at a time anyway. So every public entry waits for its turn: its answer is the one that it
gives alone, and its time limit counts from its turn.

A fork waits for its turn too, so that the child inherits nothing half done; not for ever, since the thread whose turn
it is may itself wait for the one that forks. A child forked in the middle of another thread's turn is refused.
"""

from __future__ import annotations

import concurrent.futures.thread  # noqa: F401 (registered before our hooks, see below)
import logging  # noqa: F401 (likewise)
import os
import threading
from collections.abc import Callable
from functools import wraps
from typing import TypeVar

from typing_extensions import ParamSpec

from diffplan.errors import DiffplanError

FORK_WAIT_S = 30.0
"""How long a fork waits for the end of another thread's turn [s]."""

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Turn:
    """A lock that its owner may take again. Whoever waits goes before the thread that gave it back."""

    def __init__(self) -> None:
        self._renew()
        self._owner = self._depth = 0
        self._torn = False
        self._forking = threading.local()

    def _renew(self) -> None:
        self._lock = threading.RLock()  # taken again by the same thread even if an interrupt kept us from noting it
        self._gate = threading.Lock()  # held by the next in line

    def __enter__(self) -> None:
        if self._torn:
            raise DiffplanError(
                "this process was forked while another of its threads planned, and cannot plan: fork at another time, "
                "or start processes with multiprocessing's 'spawn' or 'forkserver'"
            )
        self._take()

    def __exit__(self, *_: object) -> None:
        self._give_back()

    def _take(self, timeout: float = -1) -> bool:
        """Wait for the turn, for ever or twice this long [s]; returns whether it is ours."""
        me = threading.get_ident()
        if self._owner != me:
            if not self._gate.acquire(timeout=timeout):
                return False
            try:
                if not self._lock.acquire(timeout=timeout):
                    return False
            finally:
                self._gate.release()
            self._owner = me
        self._depth += 1
        return True

    def _give_back(self) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._owner = 0
            self._lock.release()

    def before_fork(self) -> None:
        """Wait for the turn in the process that forks."""
        self._forking.mine = self._take(FORK_WAIT_S / 2)

    def after_fork_in_parent(self) -> None:
        """Give it back."""
        if self._forking.mine:
            self._give_back()

    def after_fork_in_child(self) -> None:
        """Begin with new locks, those of the only thread that is left."""
        self._renew()
        if self._forking.mine:
            self._depth -= 1
        else:
            self._depth, self._torn = 0, True
        if self._depth:
            self._lock.acquire()
        else:
            self._owner = 0


turn = Turn()
"""The one of this process: `with turn:` around whatever uses PyBullet or the planners' state."""

# Hooks before a fork run in reverse order of registration. Those of `logging` and of thread pools take locks that a
# planning thread wants too. The imports above register them first, so that the wait for a turn holds neither.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=turn.before_fork,
        after_in_parent=turn.after_fork_in_parent,
        after_in_child=turn.after_fork_in_child,
    )


def exclusive(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """Let a function wait for its turn; it is not running until then."""

    @wraps(function)
    def alone(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        with turn:
            return function(*args, **kwargs)

    return alone
