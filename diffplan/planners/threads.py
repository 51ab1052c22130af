"""How many threads torch and the compiled kernel use."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from diffplan.system.kernel_threads import get_kernel_threads, set_kernel_threads

_forked: list[bool] = []


def _after_fork() -> None:
    """Keep torch on one thread in a forked process: those of OpenMP are gone, and it would wait for them for ever."""
    _forked.append(True)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Let torch and the compiled kernel use so many threads for a while; torch one only in a forked process.

    Torch is not loaded for that: it takes a second.
    """
    torch, before = sys.modules.get("torch"), get_kernel_threads()
    threads_before = torch.get_num_threads() if torch else 0
    set_kernel_threads(number)
    if torch:
        torch.set_num_threads(1 if _forked else number)
    try:
        yield
    finally:
        set_kernel_threads(before)
        if torch:
            torch.set_num_threads(threads_before)
