"""How functions that only compiled ones call are compiled."""

from __future__ import annotations

from functools import partial

from numba import njit

inner = partial(njit, cache=True, _nrt=False)  # pyright: ignore[reportCallIssue]
"""For functions that are called from compiled ones only and make no arrays.

Without Numba's runtime their arguments are borrowed: counting references to arrays in every call takes longer than many
of these functions.
"""
