"""Drawings of success against time: axes, colours, legend; plain SVG to stand in a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

_COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#d9730d", "#0b7f8c", "#8c564b", "#555555")
_LEGEND_COLUMNS = 3


def colour(number: int) -> str:
    """Return the colour of the curve with this number."""
    return _COLOURS[number % len(_COLOURS)]


@dataclass(frozen=True, kw_only=True)
class SuccessAxes:
    """Time [s] from `low` to `high`, logarithmic, to the right; share of success from 0 to 1 upwards."""

    low: float
    high: float
    left: float = 45.0
    right: float = 690.0
    top: float = 10.0
    bottom: float = 280.0

    @staticmethod
    def around(times: Sequence[float]) -> SuccessAxes:
        """Return axes over whole powers of ten that hold these times [s] (> 0)."""
        low = floor(log10(min(times)))
        return SuccessAxes(low=10.0**low, high=10.0 ** max(ceil(log10(max(times)) - 1e-9), low + 1))

    def x(self, time: float) -> float:
        """Return where a time [s] stands."""
        inside = min(max(time, self.low), self.high)
        return self.left + (self.right - self.left) * log10(inside / self.low) / log10(self.high / self.low)

    def y(self, share: float) -> float:
        """Return where a share stands."""
        return self.bottom - (self.bottom - self.top) * share

    def drawing(self, curves: Sequence[str], names: Sequence[str]) -> str:
        """Return the SVG in a box that scrolls sideways: grid, curves, a legend of the names in their colours."""
        lines = []
        for percent in (0, 25, 50, 75, 100):
            y = self.y(percent / 100)
            lines.append(f'<path d="M{self.left} {y:.1f}H{self.right}" stroke="#ddd"/>')
            lines.append(f'<text x="{self.left - 6}" y="{y + 4:.1f}" text-anchor="end" fill="#333">{percent} %</text>')
        for power in range(round(log10(self.low)), round(log10(self.high)) + 1):
            for step in (1, 2, 5):
                tick = step * 10.0**power
                if tick <= self.high * (1 + 1e-9):
                    x = self.x(tick)
                    lines.append(f'<path d="M{x:.1f} {self.top}V{self.bottom}" stroke="#eee"/>')
                    text = f"{tick:g} s" if tick >= 1 else f"{1000 * tick:g} ms"
                    lines.append(
                        f'<text x="{x:.1f}" y="{self.bottom + 16}" text-anchor="middle" fill="#333">{text}</text>'
                    )
        width = (self.right - self.left) / _LEGEND_COLUMNS
        for number, name in enumerate(names):
            x, y = self.left + width * (number % _LEGEND_COLUMNS), self.bottom + 42 + 20 * (number // _LEGEND_COLUMNS)
            lines.append(f'<path d="M{x:.1f} {y - 4}h20" stroke="{colour(number)}" stroke-width="3"/>')
            lines.append(f'<text x="{x + 26:.1f}" y="{y}" fill="#111">{escape(name)}</text>')
        height = self.bottom + 56 + 20 * ((len(names) - 1) // _LEGEND_COLUMNS)
        head = f'<svg viewBox="0 0 720 {height:g}" font-size="12" fill="none" role="img" aria-label="success">'
        return "".join(['<div class="wide">', head, *lines, *curves, "</svg></div>"])
