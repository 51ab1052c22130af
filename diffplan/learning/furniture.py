"""Furniture that the scene families are made of, each put in the layout's current frame. Lengths in metres."""

from __future__ import annotations

import numpy as np

from diffplan.learning.layout import DOWN, FORWARD, Layout, Vector

_CLEAR_RADIUS = 0.16  # the column around the base axis that loose clutter keeps out of


def stand(layout: Layout, distance: tuple[float, float], yaw: float = 0.5) -> None:
    """Move the frame to the middle of a front face: `distance` ahead, a little to a side, turned by up to `yaw`."""
    layout.turn(layout.draw(-yaw, yaw), (layout.draw(*distance), layout.draw(-0.12, 0.12), 0.0))


def opening(layout: Layout, name: str, depth: float, y: float, width: float, z: float, height: float) -> None:
    """Add the place inside a compartment that is open toward -x: its floor at z, its middle at y."""
    side, end = min(0.06, 0.3 * width), max(0.06, 0.8 * depth)
    low, high = (0.0, y - width / 2 + side, z + 0.05), (end, y + width / 2 - side, z + height - 0.05)
    layout.place(name, low, high, FORWARD, 0.45)


def bookcase(layout: Layout, *, columns: int, rows: int, things: int) -> None:
    """A bookcase whose front face is the frame's origin, with a place in each compartment and things on the shelves."""
    width, height = layout.draw(0.25, 0.8) / max(1, columns - 1), layout.draw(0.2, 0.45)
    depth, board = layout.draw(0.16, 0.4), layout.draw(0.008, 0.035)
    bottom = layout.draw(-0.25, 0.35) if rows * height < 0.9 else layout.draw(-0.3, 0.05)
    total_width, total_height = columns * width + (columns + 1) * board, rows * height + (rows + 1) * board
    for column in range(columns + 1):
        y = -total_width / 2 + board / 2 + column * (width + board)
        layout.box("side", (depth, board, total_height), (depth / 2, y, bottom + total_height / 2))
    roof = layout.chance(0.8)
    for row in range(rows + (1 if roof else 0)):
        z = bottom + board / 2 + row * (height + board)
        layout.box("shelf", (depth, total_width, board), (depth / 2, 0, z))
    if layout.chance(0.5):
        layout.box("back", (0.012, total_width, total_height), (depth + 0.006, 0, bottom + total_height / 2))
    compartments = [(c, r) for c in range(columns) for r in range(rows)]
    for column, row in compartments:
        y = -total_width / 2 + board + width / 2 + column * (width + board)
        opening(layout, "shelf", depth, y, width, bottom + board + row * (height + board), height)
    for _ in range(things):
        column, row = compartments[layout.count(0, len(compartments) - 1)]
        y = -total_width / 2 + board + width * layout.draw(0.15, 0.85) + column * (width + board)
        z = bottom + board + row * (height + board)
        layout.thing(layout.draw(0.06, max(0.08, depth - 0.04)), y, z, height * 0.75)


def open_bin(layout: Layout, bottom: float) -> None:
    """An open-topped bin ahead, its long side across or along."""
    before = layout.turn(layout.draw(-0.5, 0.5), (layout.draw(0.42, 0.62), 0.0, bottom))
    bin_here(layout, layout.draw(0.22, 0.42), layout.draw(0.22, 0.5), layout.draw(0.12, 0.35))
    layout.frame = before


def bin_here(layout: Layout, depth: float, width: float, height: float) -> None:
    """An open-topped bin standing on the frame's origin, with the place inside it."""
    wall = layout.draw(0.008, 0.03)
    layout.box("bin_bottom", (depth, width, wall), (0, 0, wall / 2))
    for side in (-1, 1):
        layout.box("bin_wall", (wall, width, height), (side * (depth - wall) / 2, 0, height / 2))
        layout.box("bin_wall", (depth, wall, height), (0, side * (width - wall) / 2, height / 2))
    if layout.chance(0.4):
        x, y = layout.draw(-0.25, 0.25) * depth, layout.draw(-0.25, 0.25) * width
        layout.thing(x, y, wall, height * 0.6)
    low = (-depth / 2 + 0.05, -width / 2 + 0.05, 0.04)
    layout.place("bin", low, (depth / 2 - 0.05, width / 2 - 0.05, height + 0.02), DOWN, 0.5)


def rack(layout: Layout, x: float, y: float, surface: float) -> None:
    """A small shelf on legs standing on a table."""
    depth, width, height = layout.draw(0.15, 0.3), layout.draw(0.25, 0.6), layout.draw(0.18, 0.4)
    before = layout.turn(layout.draw(-0.5, 0.5), (x, y, surface))
    layout.box("rack_top", (depth, width, 0.015), (0, 0, height))
    for side in (-1, 1):
        layout.box("rack_side", (depth, 0.015, height), (0, side * (width / 2 - 0.0075), height / 2))
    low, high = (-depth / 2 - 0.05, -width / 2 + 0.06, 0.05), (depth / 4, width / 2 - 0.06, height - 0.05)
    layout.place("rack", low, high, FORWARD, 0.5)
    layout.frame = before


def open_cabinet(layout: Layout, inset: float, depth: float, width: float, bottom: float, height: float) -> None:
    """A wall cabinet without doors above a counter."""
    inner, middle = depth - inset, (depth + inset) / 2
    for z in (bottom, bottom + height):
        layout.box("cabinet_board", (inner, width, 0.018), (middle, 0, z))
    for y in (-width / 2, width / 2):
        layout.box("cabinet_side", (inner, 0.018, height), (middle, y, bottom + height / 2))
    before = layout.turn(0.0, (inset, 0.0, 0.0))
    opening(layout, "cabinet", inner, 0.0, width, bottom, height)
    layout.frame = before


def around(layout: Layout, near: float, far: float) -> tuple[float, float]:
    """Return a point (x, y) at a distance in [near, far] from the base axis, in any direction."""
    angle, distance = layout.draw(-np.pi, np.pi), layout.draw(near, far)
    return distance * float(np.cos(angle)), distance * float(np.sin(angle))


def floating(layout: Layout) -> None:
    """A box or ball somewhere in the work space, at any attitude."""
    x, y = around(layout, 0.35, 0.9)
    z = layout.draw(0.0, 1.1)
    if layout.chance(0.25):
        layout.sphere("ball", layout.draw(0.03, 0.12), (x, y, z))
        return
    size: Vector = (layout.draw(0.04, 0.25), layout.draw(0.04, 0.25), layout.draw(0.02, 0.3))
    layout.box("box", size, (x, y, z), (layout.draw(-1, 1), layout.draw(-1, 1), layout.draw(-np.pi, np.pi)))


def floor(layout: Layout) -> None:
    """The ground that the robot stands on or hangs a little above."""
    top = -layout.draw(0.02, 0.4)
    layout.frame = np.eye(4)
    layout.box("floor", (2.4, 2.4, 0.04), (0.0, 0.0, top - 0.02))


def loose_clutter(layout: Layout, number: int) -> None:
    """Poles and floating boxes anywhere but at the base."""
    layout.frame = np.eye(4)
    for _ in range(number):
        if layout.chance(0.5):
            floating(layout)
            continue
        x, y = around(layout, _CLEAR_RADIUS + 0.14, 0.9)
        height = layout.draw(0.3, 1.3)
        layout.cylinder("pole", layout.draw(0.015, 0.05), height, (x, y, height / 2 - 0.05))
