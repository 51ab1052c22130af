"""Drawings as SVG that stand in a page: success against time, boxes of a quantity, and what tells planners apart.

Colours are CSS classes of the page (`page.py`), so that light, dark and paper each have their own. Texts are sized by
the page too; on phones they are larger relative to the drawing, and those of class `minor` are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

COLOURS = 60
"""How many colours there are: more series than that share them."""
_LEAST_SPAN = 0.1
_DASHES = ("", "8 4", "2 3", "10 3 2 3", "16 5")


def hue(number: int) -> int:
    """Return the number of the colour (CSS classes `s`, stroke, and `f`, fill) of the curve with this number."""
    return number % COLOURS


def stroke(number: int, width: float = 2.0) -> str:
    """Return the attributes of a curve's line: colour, and dashes that differ in black and white too."""
    dash = _DASHES[number % len(_DASHES)]
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return f'class="s{hue(number)}" stroke-width="{width:g}" stroke-linejoin="round"{dashes}'


def marker(number: int, x: float, y: float) -> str:
    """Return a curve's marker at a place: a shape filled with its colour."""
    shapes = ("m-4 -4h8v8h-8z", "m0 -5l5 5l-5 5l-5 -5z", "m0 -5l5 9h-10z", "m-5 -4h10l-5 9z", "m-2 -5h4v10h-4z")
    if number % (len(shapes) + 1) == 0:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.2" class="f{hue(number)}"/>'
    shape = shapes[number % (len(shapes) + 1) - 1]
    return f'<path d="M{x:.1f} {y:.1f}{shape}" class="f{hue(number)}"/>'


def legend(names: Sequence[str]) -> str:
    """Return the names beside their lines and markers."""
    items = "".join(
        f'<li><svg viewBox="0 0 34 12" aria-hidden="true"><path d="M0 6H34" {stroke(number)}/>'
        f"{marker(number, 17, 6)}</svg>{escape(name)}</li>"
        for number, name in enumerate(names)
    )
    return f'<ul class="legend">{items}</ul>'


def drawing(title: str, width: float, height: float, parts: Sequence[str]) -> str:
    """Return an SVG of this size that says what it shows to those who cannot see it."""
    text = escape(title)
    head = f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{text}"><title>{text}</title>'
    return "".join([head, *parts, "</svg>"])


def label(x: float, y: float, text: str, *, anchor: str = "middle", kind: str = "") -> str:
    """Return a text at a place; `kind` is a CSS class."""
    classes = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{classes}>{escape(text)}</text>'


@dataclass(frozen=True, kw_only=True)
class SuccessAxes:
    """Time [s] from `low` to `high`, logarithmic, to the right; share of success from 0 to 1 upwards."""

    low: float
    high: float
    left: float = 80.0
    right: float = 705.0
    top: float = 14.0
    bottom: float = 320.0

    @staticmethod
    def around(times: Sequence[float], right: float = 705.0) -> SuccessAxes:
        """Return axes that hold these times [s] (> 0), from a power of ten to the last of them, a decade at least."""
        low = 10.0 ** floor(log10(min(times)) + 1e-9)
        return SuccessAxes(low=low, high=max(max(times), 10 * low), right=right)

    def x(self, time: float) -> float:
        """Return where a time [s] stands."""
        inside = min(max(time, self.low), self.high)
        return self.left + (self.right - self.left) * log10(inside / self.low) / log10(self.high / self.low)

    def y(self, share: float) -> float:
        """Return where a share stands."""
        return self.bottom - (self.bottom - self.top) * share

    def drawing(self, title: str, curves: Sequence[str], names: Sequence[str]) -> str:
        """Return the SVG with grid and curves, and the legend of the names below it."""
        lines = []
        for percent in (0, 25, 50, 75, 100):
            y = self.y(percent / 100)
            lines.append(f'<path d="M{self.left} {y:.1f}H{self.right:.1f}" class="grid"/>')
            lines.append(label(self.left - 6, y + 5, f"{percent} %", anchor="end"))
        ticks = time_ticks(self.low, self.high)
        dense = len(ticks) > 9
        for tick, major in ticks:
            x = self.x(tick)
            lines.append(f'<path d="M{x:.1f} {self.top}V{self.bottom}" class="fine"/>')
            if major or not dense:
                lines.append(label(x, self.bottom + 24, tick_text(tick), kind="" if major else "minor"))
        lines.append(label((self.left + self.right) / 2, self.bottom + 50, "planning time", kind="minor"))
        svg = drawing(title, 720, self.bottom + 60, [*lines, *curves])
        return f'<div class="plot">{svg}{legend(names)}</div>'


def time_ticks(low: float, high: float) -> list[tuple[float, bool]]:
    """Return times [s] 1, 2, 5, 10, ... of a logarithmic axis, and whether each is a power of ten."""
    powers = range(floor(log10(low) + 1e-9), ceil(log10(high) - 1e-9) + 1)
    ticks = [(step * 10.0**power, step == 1) for power in powers for step in (1, 2, 5)]
    return [(tick, major) for tick, major in ticks if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)]


def tick_text(time: float) -> str:
    """Return a time [s] as it stands at an axis."""
    return f"{time:g} s" if time >= 0.9999 else f"{1000 * time:g} ms"


@dataclass(frozen=True, kw_only=True)
class Box:
    """Percentiles 5, 25, 50, 75 and 95 of a quantity for one planner; `number` is its colour's."""

    name: str
    number: int
    percentiles: tuple[float, float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class Scale:
    """An axis from `low` to `high`, logarithmic if `log`, with ticks and how they read."""

    low: float
    high: float
    log: bool
    ticks: tuple[tuple[float, str], ...]

    @staticmethod
    def around(values: Sequence[float], *, log: bool, least: float | None = None, digits: str = "g") -> Scale:
        """Return an axis that holds these values (> 0 if `log`), and `least` if it is given."""
        values = [*values, *([] if least is None else [least])]
        low, high = min(values), max(values)
        if log:
            low, high = 10.0 ** floor(log10(low) + 1e-9), max(high, 2 * low) * 1.05
            ticks = [tick for tick, major in time_ticks(low, high) if major or high / low < 150]
        else:
            high = max(high, low + (_LEAST_SPAN * abs(low) or 1.0))  # rounding errors do not fill an axis
            step = _step(high - low)
            low, high = step * floor(low / step + 1e-9), step * ceil(high / step - 1e-9)
            ticks = [low + step * k for k in range(round((high - low) / step) + 1)]
        return Scale(low=low, high=high, log=log, ticks=tuple((tick, f"{tick:{digits}}") for tick in ticks))

    def place(self, value: float) -> float:
        """Return where a value stands, 0 to 1."""
        inside = min(max(value, self.low), self.high)
        if self.log:
            return log10(inside / self.low) / log10(self.high / self.low)
        return (inside - self.low) / (self.high - self.low)


def _step(span: float) -> float:
    """Return a step of 1, 2 or 5 times a power of ten of which three to six make the span."""
    power = 10.0 ** floor(log10(span))
    return next(step * power / 10 for step in (2, 5, 10, 20) if span / (step * power / 10) <= 6)


_NAME_WIDTH, _PLOT_WIDTH, _VALUE_WIDTH, _LINE = 118.0, 262.0, 60.0, 26.0


def box_plot(title: str, boxes: Sequence[Box], scale: Scale, values: Sequence[str]) -> str:
    """Return an SVG with a line for each planner: box from 25 to 75 %, whiskers from 5 to 95 %, the median.

    Args:
        title: what is shown, for those who cannot see it.
        boxes: one for each planner.
        scale: the axis.
        values: the medians as texts, beside the boxes.
    """
    width, bottom = _NAME_WIDTH + _PLOT_WIDTH + _VALUE_WIDTH, 6 + _LINE * len(boxes)
    parts = []
    for tick, text in scale.ticks:
        x = _NAME_WIDTH + _PLOT_WIDTH * scale.place(tick)
        parts += [f'<path d="M{x:.1f} 4V{bottom}" class="fine"/>', label(x, bottom + 17, text)]
    for line, (box, value) in enumerate(zip(boxes, values, strict=True)):
        y = 6 + _LINE * (line + 0.5)
        p5, p25, p50, p75, p95 = (_NAME_WIDTH + _PLOT_WIDTH * scale.place(p) for p in box.percentiles)
        colour = f"s{hue(box.number)}"
        parts += [
            f"<g><title>{escape(box.name)}: median {escape(value)}</title>",
            label(_NAME_WIDTH - 8, y + 4.5, box.name, anchor="end"),
            f'<path d="M{p5:.1f} {y}H{p95:.1f}M{p5:.1f} {y - 4}v8M{p95:.1f} {y - 4}v8" class="{colour}"/>',
            f'<path d="M{p25:.1f} {y - 7}H{max(p75, p25 + 1):.1f}v14H{p25:.1f}z" class="{colour} f{hue(box.number)}"'
            ' fill-opacity=".35"/>',
            f'<path d="M{p50:.1f} {y - 8}v16" class="{colour}" stroke-width="3"/>',
            label(width - 2, y + 4.5, value, anchor="end"),
            "</g>",
        ]
    return drawing(title, width, bottom + 24, parts)
