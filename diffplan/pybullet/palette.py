"""Colours of pictures (RGBA, 0...1)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle
from typing import TypeAlias

Rgba: TypeAlias = tuple[float, float, float, float]

FLOOR: Rgba = (0.90, 0.91, 0.92, 1.0)
FURNITURE: Rgba = (0.80, 0.69, 0.55, 1.0)
PATH: Rgba = (0.86, 0.20, 0.42, 1.0)
START: Rgba = (0.20, 0.65, 0.32, 1.0)
OTHER_PATH: Rgba = (0.55, 0.57, 0.62, 1.0)
GOAL: Rgba = (0.86, 0.20, 0.42, 1.0)
TOUCHING: Rgba = (0.85, 0.11, 0.08, 1.0)
HELD: Rgba = (0.93, 0.30, 0.60, 1.0)

_OBSTACLES: tuple[Rgba, ...] = (
    (0.27, 0.51, 0.71, 1.0),
    (0.93, 0.60, 0.22, 1.0),
    (0.40, 0.66, 0.42, 1.0),
    (0.58, 0.45, 0.70, 1.0),
    (0.30, 0.68, 0.68, 1.0),
    (0.88, 0.76, 0.30, 1.0),
    (0.78, 0.42, 0.36, 1.0),
    (0.47, 0.53, 0.60, 1.0),
)


def held_colours() -> Iterator[Rgba]:
    """Give distinct colours for what an arm holds, without end."""
    return cycle(reversed(_OBSTACLES[:7]))


def obstacle_colours() -> Iterator[Rgba]:
    """Give distinct colours, without end."""
    return cycle(_OBSTACLES)
