"""Colours for obstacles in pictures."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle

Rgba = tuple[float, float, float, float]

_OBSTACLES: tuple[Rgba, ...] = (
    (0.36, 0.54, 0.66, 1.0),
    (0.89, 0.65, 0.35, 1.0),
    (0.49, 0.68, 0.47, 1.0),
    (0.80, 0.47, 0.47, 1.0),
    (0.60, 0.52, 0.72, 1.0),
    (0.47, 0.71, 0.71, 1.0),
    (0.85, 0.76, 0.46, 1.0),
    (0.72, 0.60, 0.52, 1.0),
)


def obstacle_colours() -> Iterator[Rgba]:
    """Give distinct quiet colours (RGBA, 0...1), without end."""
    return cycle(_OBSTACLES)
