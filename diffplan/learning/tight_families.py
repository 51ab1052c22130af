"""Scene families that need long ways round and precise ends: deep shelves, bins in shelves, gaps, places behind.

Same conventions as families.py. Lengths in metres.
"""

from __future__ import annotations

import numpy as np

from diffplan.learning.furniture import bin_here, stand
from diffplan.learning.layout import DOWN, FORWARD, Layout, Vector

_DOWN_FORWARD: Vector = (0.8, 0.0, -0.6)


def deep_shelf(layout: Layout) -> None:
    """A rack of deep, low compartments with a back; the hand goes far in."""
    stand(layout, distance=(0.34, 0.58))
    columns, rows = layout.count(1, 2), layout.count(1, 3)
    width, height = layout.draw(0.26, 0.46), layout.draw(0.23, 0.38)
    depth, board = layout.draw(0.3, 0.5), layout.draw(0.012, 0.04)
    bottom = layout.draw(-0.05, 0.6 - 0.18 * rows)
    compartments = _compartments(layout, columns, rows, depth, width, height, board, bottom)
    for y, z in compartments:
        low, high = (0.3 * depth, y - width / 2 + 0.06, z + 0.05), (0.8 * depth, y + width / 2 - 0.06, z + height)
        layout.place("deep", low, (high[0], high[1], high[2] - 0.05), FORWARD, 0.45)
        if layout.chance(0.3):
            layout.thing(layout.draw(0.3, 0.95) * depth, y + layout.draw(-0.3, 0.3) * width, z, height * 0.5)


def bin_in_shelf(layout: Layout) -> None:
    """Bins that stand in the compartments of a shelf, reached over their rims and under the board above."""
    stand(layout, distance=(0.36, 0.55))
    columns, rows = layout.count(1, 2), layout.count(1, 2)
    width, height = layout.draw(0.36, 0.55), layout.draw(0.36, 0.55)
    depth, board = layout.draw(0.3, 0.45), layout.draw(0.012, 0.04)
    bottom = layout.draw(-0.1, 0.45 if rows == 1 else 0.15)
    for y, z in _compartments(layout, columns, rows, depth, width, height, board, bottom):
        if layout.chance(0.2):
            layout.place("shelf", (0.1, y - 0.1, z + 0.06), (0.7 * depth, y + 0.1, z + height - 0.1), FORWARD, 0.5)
            continue
        deep, wide, tall = depth * layout.draw(0.7, 0.95), width * layout.draw(0.6, 0.9), layout.draw(0.08, 0.18)
        before = layout.turn(0.0, (depth / 2 - 0.02, y, z))
        bin_here(layout, deep, wide, tall)
        low, high = (-deep / 2 + 0.05, -wide / 2 + 0.05, 0.04), (deep / 2 - 0.04, wide / 2 - 0.05, tall + 0.05)
        layout.place("bin_slanted", low, high, _DOWN_FORWARD, 0.5)
        layout.frame = before


def gap(layout: Layout) -> None:
    """Tall blocks and walls side by side with narrow gaps; the arm reaches between them."""
    if layout.chance(0.6):
        layout.box("ground", (1.6, 1.6, 0.02), (0.0, 0.0, layout.draw(-0.15, -0.02) - 0.01))
    blocks, angle = layout.count(3, 5), layout.draw(-1.0, -0.5)
    for i in range(blocks):
        near, depth = layout.draw(0.3, 0.45), layout.draw(0.15, 0.5)
        width, height, bottom = layout.draw(0.02, 0.22), layout.draw(0.5, 1.1), layout.draw(-0.1, 0.1)
        before = layout.turn(angle, (0.0, 0.0, 0.0))
        layout.box("block", (depth, width, height), (near + depth / 2, 0.0, bottom + height / 2))
        if layout.chance(0.3):
            layout.box("lintel", (depth, 0.4, 0.03), (near + depth / 2, 0.2, bottom + height + 0.015))
        layout.frame = before
        opening = layout.draw(0.17, 0.34)  # [m] at the near edge
        step = (width / 2 + opening + 0.06) / near
        if i < blocks - 1:
            between = layout.turn(angle + (width / 2 + opening / 2) / near)
            low, high = (near + 0.05, -opening * 0.25, bottom + 0.1), (near + depth, opening * 0.25, bottom + height)
            layout.place("gap", low, high, FORWARD, 0.4)
            layout.frame = between
        angle += step


def behind(layout: Layout) -> None:
    """Screens and rows of posts between the arm and where it has to be: round a side, or over the top."""
    number, start = layout.count(1, 3), layout.draw(-1.2, -0.2)
    for i in range(number):
        before = layout.turn(start + i * layout.draw(0.8, 1.3))
        stand(layout, distance=(0.3, 0.45), yaw=0.3)
        width, height, bottom = layout.draw(0.15, 0.5), layout.draw(0.3, 0.65), layout.draw(-0.1, 0.25)
        if layout.chance(0.65):
            layout.box("screen", (layout.draw(0.01, 0.06), width, height), (0.0, 0.0, bottom + height / 2))
        else:
            posts = layout.count(3, 5)
            for y in np.linspace(-width / 2, width / 2, posts):
                layout.cylinder("post", layout.draw(0.012, 0.03), height, (0.0, float(y), bottom + height / 2))
        if layout.chance(0.4):
            layout.box("table", (0.5, width + 0.3, 0.02), (0.3, 0.0, bottom - 0.01))
        low, high = (0.08, -0.45 * width, bottom + 0.05), (0.3, 0.45 * width, bottom + 0.7 * height)
        layout.place("behind", low, high, DOWN, 0.8)
        layout.place("behind", low, high, FORWARD, 1.0)
        layout.place("behind", low, high, DOWN, 1.2)
        layout.frame = before
    for _ in range(layout.count(2, 6)):
        layout.thing(layout.draw(0.35, 0.75), layout.draw(-0.6, 0.6), layout.draw(-0.05, 0.4), 0.4)


def _compartments(
    layout: Layout,
    columns: int,
    rows: int,
    depth: float,
    width: float,
    height: float,
    board: float,
    bottom: float,
) -> list[tuple[float, float]]:
    """Build a closed-backed rack open toward -x; return the (y, z) of each compartment's floor middle."""
    total_width, total_height = columns * width + (columns + 1) * board, rows * height + (rows + 1) * board
    for column in range(columns + 1):
        y = -total_width / 2 + board / 2 + column * (width + board)
        layout.box("side", (depth, board, total_height), (depth / 2, y, bottom + total_height / 2))
    for row in range(rows + 1):
        layout.box("board", (depth, total_width, board), (depth / 2, 0, bottom + board / 2 + row * (height + board)))
    layout.box("back", (0.015, total_width, total_height), (depth + 0.0075, 0, bottom + total_height / 2))
    return [
        (-total_width / 2 + board + width / 2 + c * (width + board), bottom + board + r * (height + board))
        for c in range(columns)
        for r in range(rows)
    ]
