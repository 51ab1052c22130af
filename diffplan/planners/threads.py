"""How many threads torch and the compiled kernel use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from diffplan.system.kernel_threads import get_kernel_threads, set_kernel_threads

_forked: list[bool] = []


def _after_fork() -> None:
    """Keep torch on one thread in a forked process: those of OpenMP are gone, and it would wait for them for ever."""
    _forked.append(True)
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Let torch and the compiled kernel use so many threads for a while; torch one only in a forked process."""
    before = torch.get_num_threads(), get_kernel_threads()
    torch.set_num_threads(1 if _forked else number)
    set_kernel_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        set_kernel_threads(before[1])
