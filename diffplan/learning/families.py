"""Procedural scene families: furniture and clutter around a table-size arm, with wide variation.

Every family draws its furniture in a local frame (robot at the origin, the work ahead along +x) with parameters of its
own ranges, in metres for an arm like the Panda; `draw_scene` turns the arrangement about the base, sometimes adds loose
clutter, and fits it to another arm's work space.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from diffplan.learning.furniture import (
    around,
    bookcase,
    floating,
    floor,
    loose_clutter,
    open_bin,
    open_cabinet,
    opening,
    rack,
    stand,
)
from diffplan.learning.layout import DOWN, FORWARD, DrawnScene, Layout
from diffplan.learning.tight_families import behind, bin_in_shelf, deep_shelf, gap
from diffplan.learning.workspace import Workspace

MIN_OBSTACLES, MAX_OBSTACLES = 5, 25


def draw_scene(family: str, rng: np.random.Generator, workspace: Workspace | None = None) -> DrawnScene:
    """Return a random scene of a family, fitted to a work space (default: the Panda's); the same generator state gives
    the same scene.

    Raises:
        KeyError: if there is no such family.
    """
    build = (FAMILIES | HELD_OUT)[family]
    while True:
        layout = Layout(rng=rng)
        layout.turn(layout.draw(-np.pi, np.pi))
        build(layout)
        if layout.chance(0.35):
            floor(layout)
        if layout.chance(0.35):
            loose_clutter(layout, layout.count(1, 4))
        if MIN_OBSTACLES <= len(layout.obstacles) <= MAX_OBSTACLES:
            drawn = layout.finish(family)
            return drawn if workspace is None else workspace.fitted(drawn, rng)


def bookshelf(layout: Layout) -> None:
    """A bookcase ahead: columns and shelves, thin or tall or small, with things on the shelves."""
    stand(layout, distance=(0.42, 0.78))
    bookcase(layout, columns=layout.count(1, 3), rows=layout.count(2, 4), things=layout.count(0, 6))


def facing_shelves(layout: Layout) -> None:
    """Two bookcases on two sides of the robot, so that the arm swings from one into the other."""
    apart = layout.draw(1.2, np.pi)
    for side in (-0.5, 0.5):
        before = layout.turn(side * apart)
        stand(layout, distance=(0.4, 0.7))
        bookcase(layout, columns=layout.count(1, 2), rows=layout.count(1, 3), things=layout.count(0, 2))
        layout.frame = before


def cubby(layout: Layout) -> None:
    """One to four deep openings in thick walls."""
    stand(layout, distance=(0.38, 0.68))
    columns, rows = layout.count(1, 2), layout.count(1, 2)
    width, height = layout.draw(0.24, 0.5), layout.draw(0.24, 0.5)
    depth, wall = layout.draw(0.3, 0.6), layout.draw(0.012, 0.06)
    bottom = layout.draw(-0.05, 0.45)
    total_width, total_height = columns * width + (columns + 1) * wall, rows * height + (rows + 1) * wall
    for column in range(columns + 1):
        y = -total_width / 2 + wall / 2 + column * (width + wall)
        layout.box("side", (depth, wall, total_height), (depth / 2, y, bottom + total_height / 2))
    for row in range(rows + 1):
        z = bottom + wall / 2 + row * (height + wall)
        layout.box("shelf", (depth, total_width, wall), (depth / 2, 0, z))
    if layout.chance(0.7):
        layout.box("back", (0.02, total_width, total_height), (depth + 0.01, 0, bottom + total_height / 2))
    for column in range(columns):
        for row in range(rows):
            y = -total_width / 2 + wall + width / 2 + column * (width + wall)
            z = bottom + wall + row * (height + wall)
            if layout.chance(0.4):
                layout.thing(layout.draw(0.05, depth), y + layout.draw(-0.4, 0.4) * width, z, height * 0.6)
            opening(layout, "cubby", depth, y, width, z, height)


def bins(layout: Layout) -> None:
    """One to three open-topped bins, on a table or on stands, reached from above."""
    table = layout.chance(0.5)
    top = layout.draw(-0.05, 0.35)
    if table:
        reach = layout.draw(0.28, 0.45)
        length = layout.draw(0.5, 0.9)
        layout.box("table", (length, layout.draw(0.8, 1.5), 0.04), (reach + length / 2, 0, top - 0.02))
    number = layout.count(1, 3)
    start = layout.draw(-0.9, 0.3)
    for i in range(number):
        before = layout.turn(
            start + i * layout.draw(0.7, 1.1) if not table else layout.draw(-0.1, 0.1) + (i - 1) * 0.75
        )
        open_bin(layout, top if table else layout.draw(-0.1, 0.4))
        layout.frame = before
    if table and layout.chance(0.5):
        for _ in range(layout.count(1, 3)):
            layout.thing(layout.draw(0.4, 0.8), layout.draw(-0.5, 0.5), top, 0.3)


def cage(layout: Layout) -> None:
    """A frame of posts and rails with more bars on some sides; the hand reaches in between them."""
    stand(layout, distance=(0.36, 0.6))
    depth, width, height = layout.draw(0.3, 0.6), layout.draw(0.35, 0.75), layout.draw(0.3, 0.7)
    bottom, bar = layout.draw(0.0, 0.35), layout.draw(0.012, 0.05)
    for x in (0.0, depth):
        for y in (-width / 2, width / 2):
            layout.box("post", (bar, bar, height), (x, y, bottom + height / 2))
    for z in (bottom, bottom + height):
        for x in (0.0, depth):
            layout.box("rail", (bar, width, bar), (x, 0, z))
        for y in (-width / 2, width / 2):
            layout.box("rail", (depth, bar, bar), (depth / 2, y, z))
    sides = [s for s in ("left", "right", "back", "front") if layout.chance(0.2 if s == "front" else 0.45)]
    for side in sides:
        number = layout.count(1, 2 if side in ("left", "right", "back") else 1)
        for i in range(number):
            part = (i + 1) / (number + 1)
            if side == "back" or side == "front":
                y = (part - 0.5) * width
                layout.box("bar", (bar, bar, height), (depth if side == "back" else 0.0, y, bottom + height / 2))
            else:
                y = (0.5 if side == "left" else -0.5) * width
                layout.box("bar", (bar, bar, height), (part * depth, y, bottom + height / 2))
    if layout.chance(0.5):
        layout.box("plate", (depth, width, 0.01), (depth / 2, 0, bottom - bar / 2 - 0.005))
        for _ in range(layout.count(0, 3)):
            layout.thing(layout.draw(0.1, 0.9) * depth, layout.draw(-0.35, 0.35) * width, bottom, height * 0.6)
    low, high = (0.0, -width / 2 + 0.06, bottom + 0.06), (0.8 * depth, width / 2 - 0.06, bottom + height - 0.06)
    layout.place("cage_front", low, high, FORWARD, 0.6)
    layout.place("cage_top", low, high, DOWN, 0.6)


def under_table(layout: Layout) -> None:
    """A table to reach under and over, with legs, a shelf below now and then, and things on both levels."""
    stand(layout, distance=(0.3, 0.55), yaw=0.3)
    depth, width = layout.draw(0.4, 0.8), layout.draw(0.6, 1.3)
    top, thick = layout.draw(0.25, 0.65), layout.draw(0.015, 0.06)
    ground = top - layout.draw(0.28, 0.6)
    layout.box("table_top", (depth, width, thick), (depth / 2, 0, top - thick / 2))
    leg = layout.draw(0.03, 0.07)
    for x in (leg, depth - leg):
        for y in (-width / 2 + leg, width / 2 - leg):
            layout.box("leg", (leg, leg, top - thick - ground), (x, y, (top - thick + ground) / 2))
    if layout.chance(0.6):
        layout.box("ground", (depth + 0.2, width + 0.2, 0.02), (depth / 2 + 0.05, 0, ground - 0.01))
    for _ in range(layout.count(0, 4)):
        layout.thing(layout.draw(0.1, depth), layout.draw(-0.4, 0.4) * width, ground, (top - thick - ground) * 0.6)
    for _ in range(layout.count(0, 6)):
        layout.thing(layout.draw(0.05, depth), layout.draw(-0.45, 0.45) * width, top, 0.3)
    low, high = (0.02, -width * 0.4, ground + 0.04), (0.8 * depth, width * 0.4, top - thick - 0.05)
    layout.place("under", low, high, FORWARD, 0.7)
    layout.place("under", low, high, DOWN, 0.8)
    layout.place("over", (0.0, -width * 0.45, top + 0.02), (depth, width * 0.45, top + 0.25), DOWN, 0.8)


def tabletop(layout: Layout) -> None:
    """A table crowded with boxes, cans and balls, now and then with a rack or a screen on it."""
    top = layout.draw(-0.05, 0.35)
    near = layout.draw(0.22, 0.4)
    depth, width = layout.draw(0.5, 0.9), layout.draw(0.8, 1.6)
    layout.box("table", (depth, width, 0.03), (near + depth / 2, 0, top - 0.015))
    if layout.chance(0.4):
        layout.box(
            "screen",
            (0.02, layout.draw(0.2, 0.6), layout.draw(0.2, 0.5)),
            (near + layout.draw(0.1, depth), layout.draw(-0.3, 0.3), top + 0.2),
            (0.0, 0.0, layout.draw(-0.6, 0.6)),
        )
    if layout.chance(0.35):
        rack(layout, near + layout.draw(0.1, depth - 0.1), layout.draw(-0.4, 0.4), top)
    for _ in range(layout.count(4, 14)):
        layout.thing(near + layout.draw(0.03, depth), layout.draw(-0.48, 0.48) * width, top, 0.45)
    low, high = (near + 0.05, -width * 0.45, top + 0.02), (near + depth, width * 0.45, top + 0.16)
    layout.place("table", low, high, DOWN, 0.7)
    layout.place("table", low, high, DOWN, 0.4)
    layout.place("table_level", low, (high[0], high[1], top + 0.3), FORWARD, 0.8)


def counter(layout: Layout) -> None:
    """A kitchen-like counter with cabinets above, things on it, a tall unit or wall at a side."""
    stand(layout, distance=(0.35, 0.55), yaw=0.2)
    top, depth, width = layout.draw(0.0, 0.3), layout.draw(0.45, 0.65), layout.draw(0.9, 1.6)
    block = layout.draw(0.1, 0.5)
    layout.box("counter", (depth, width, block), (depth / 2, 0, top - block / 2))
    gap, cabinet = layout.draw(0.3, 0.55), layout.draw(0.25, 0.45)
    base, inset = top + gap, layout.draw(0.1, 0.3)
    if layout.chance(0.45):
        layout.box("cabinet", (depth - inset, width, cabinet), ((depth + inset) / 2, 0, base + cabinet / 2))
    else:
        open_cabinet(layout, inset, depth, width * layout.draw(0.4, 0.8), base, cabinet)
    if layout.chance(0.5):
        layout.box("splash", (0.02, width, gap), (depth + 0.01, 0, top + gap / 2))
    if layout.chance(0.4):
        side = 1 if layout.chance(0.5) else -1
        tall = layout.draw(0.5, 0.9)
        layout.box("tall_unit", (depth, 0.3, tall), (depth / 2, side * (width / 2 - 0.15), top + tall / 2))
    for _ in range(layout.count(2, 7)):
        layout.thing(layout.draw(0.05, depth - 0.05), layout.draw(-0.45, 0.45) * width, top, gap * 0.8)
    low, high = (0.02, -width * 0.42, top + 0.03), (depth - 0.08, width * 0.42, top + gap - 0.05)
    layout.place("counter", low, high, FORWARD, 0.8)
    layout.place("counter_down", low, high, DOWN, 0.6)


def drawers(layout: Layout) -> None:
    """A chest with one to three drawers pulled out; the hand dips into a drawer or rests on top."""
    stand(layout, distance=(0.55, 0.85))
    depth, width, bottom = layout.draw(0.3, 0.5), layout.draw(0.4, 1.0), layout.draw(-0.1, 0.15)
    rows = layout.count(2, 4)
    height = layout.draw(0.16, 0.26)
    total = rows * height
    layout.box("chest", (depth, width, total), (depth / 2, 0, bottom + total / 2))
    opened = layout.rng.choice(rows, size=layout.count(1, min(2, rows)), replace=False)
    for row in sorted(int(r) for r in opened):
        out, wall = layout.draw(0.15, 0.34), 0.015
        inner = width * layout.draw(0.5, 0.95)
        z, side = bottom + row * height, height * layout.draw(0.5, 0.85)
        layout.box("front", (wall, inner, side), (-out, 0, z + side / 2 + 0.01))
        for y in (-inner / 2, inner / 2):
            layout.box("drawer_side", (out, wall, side), (-out / 2, y, z + side / 2 + 0.01))
        layout.box("drawer_bottom", (out, inner, wall), (-out / 2, 0, z + 0.01))
        low, high = (-out + 0.04, -inner / 2 + 0.05, z + 0.04), (-0.04, inner / 2 - 0.05, z + side)
        layout.place("drawer", low, high, DOWN, 0.6)
    for _ in range(layout.count(0, 4)):
        layout.thing(layout.draw(0.05, depth), layout.draw(-0.45, 0.45) * width, bottom + total, 0.3)
    low, high = (0.0, -width * 0.45, bottom + total + 0.03), (depth, width * 0.45, bottom + total + 0.25)
    layout.place("chest_top", low, high, DOWN, 0.9)


def window(layout: Layout) -> None:
    """A wall with one or two windows to reach through, with things or a shelf behind it."""
    stand(layout, distance=(0.32, 0.55))
    thick, wall = layout.draw(0.015, 0.08), layout.draw(0.8, 1.5)
    wide, high, sill = layout.draw(0.26, 0.6), layout.draw(0.26, 0.55), layout.draw(0.15, 0.6)
    y = layout.draw(-0.25, 0.25)
    left, right, top = wall / 2 - (y + wide / 2), wall / 2 + (y - wide / 2), layout.draw(0.15, 0.5)
    bottom = layout.draw(-0.3, sill - 0.1)
    layout.box("below", (thick, wall, sill - bottom), (0, 0, (sill + bottom) / 2))
    layout.box("above", (thick, wall, top), (0, 0, sill + high + top / 2))
    layout.box("left", (thick, left, high), (0, wall / 2 - left / 2, sill + high / 2))
    layout.box("right", (thick, right, high), (0, -wall / 2 + right / 2, sill + high / 2))
    if layout.chance(0.4):
        layout.box("bar", (thick, 0.02, high), (0, y + layout.draw(-0.3, 0.3) * wide, sill + high / 2))
    if layout.chance(0.5):
        layout.box("shelf", (0.3, wall, 0.02), (0.2, 0, sill - layout.draw(0.02, 0.15)))
    for _ in range(layout.count(0, 4)):
        height = layout.draw(0.1, 0.6)
        layout.cylinder("pole", layout.draw(0.02, 0.05), height, (layout.draw(0.15, 0.4), layout.draw(-0.5, 0.5), sill))
    beyond = ((0.06, y - wide / 2 + 0.02, sill + 0.04), (0.3, y + wide / 2 - 0.02, sill + high - 0.04))
    layout.place("beyond", *beyond, FORWARD, 0.6)
    layout.place("beyond", *beyond, FORWARD, 0.9)
    layout.place("before", (-0.2, -0.4 * wall, 0.1), (-0.05, 0.4 * wall, sill + high + 0.2), FORWARD, 1.0)


def poles(layout: Layout) -> None:
    """A forest of poles, beams and floating boxes all around the robot."""
    for _ in range(layout.count(2, 7)):
        x, y = around(layout, 0.3, 0.9)
        height = layout.draw(0.4, 1.4)
        layout.cylinder("pole", layout.draw(0.015, 0.06), height, (x, y, layout.draw(-0.1, 0.3) + height / 2))
    for _ in range(layout.count(0, 4)):
        x, y = around(layout, 0.35, 0.9)
        size = (layout.draw(0.02, 0.05), layout.draw(0.3, 1.2), layout.draw(0.02, 0.05))
        layout.box(
            "beam", size, (x, y, layout.draw(0.1, 1.0)), (layout.draw(-0.6, 0.6), 0.0, layout.draw(-np.pi, np.pi))
        )
    for _ in range(layout.count(2, 10)):
        floating(layout)
    low, high = (0.3, -0.6, 0.05), (0.75, 0.6, 0.9)
    layout.place("between", low, high, FORWARD, np.pi)
    layout.place("between", (-0.7, -0.7, 0.05), (0.7, 0.7, 0.9), DOWN, 1.2)


FAMILIES: dict[str, Callable[[Layout], None]] = {
    build.__name__: build
    for build in (
        bookshelf,
        facing_shelves,
        cubby,
        bins,
        cage,
        under_table,
        tabletop,
        counter,
        poles,
        deep_shelf,
        bin_in_shelf,
        gap,
        behind,
    )
}
"""What the training data are drawn from."""

TIGHT = ("deep_shelf", "bin_in_shelf", "gap", "behind")
"""The families that hard suites are drawn from, beside narrow draws of the others."""

HELD_OUT: dict[str, Callable[[Layout], None]] = {build.__name__: build for build in (drawers, window)}
"""Never in the training data: what the learned parts make of furniture that they have not seen."""
