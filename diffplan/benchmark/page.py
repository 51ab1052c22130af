"""Pages of figures: one HTML file without scripts and without anything outside it, from the templates beside this file.

They are read on wide screens and phones, on paper, in light and in dark.
"""

from __future__ import annotations

from base64 import b64encode

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from diffplan.benchmark.drawing import page_colours


def page(template: str, *, curves: int, **values: object) -> str:
    """Return the HTML that a template makes of these values; it has colours for as many curves."""
    colours = {"light": page_colours(curves, dark=False), "dark": page_colours(curves, dark=True)}
    return _TEMPLATES.get_template(template).render(colours=colours, **values)


def anchor(title: str) -> str:
    """Return what links to a heading call it."""
    return "-".join("".join(c if c.isalnum() else " " for c in title.lower()).split())


def seconds(time: float) -> str:
    """Return a time [s] for people."""
    if time < 0.00995:
        return f"{1000 * time:.1f} ms"
    return f"{1000 * time:.0f} ms" if time < 0.9995 else f"{time:.2f} s"


def number(value: float | None, digits: int, factor: float = 1.0, unit: str = "") -> str:
    """Return a number times a factor with so many digits after the point, nothing for None or NaN."""
    return "" if pd.isna(value) else f"{factor * value:.{digits}f}{unit}"


def percent(share: float | None) -> str:
    """Return a share in percent, nothing for None or NaN."""
    return number(share, 1, 100, " %")


def p_value(p: float) -> str:
    """Return a p-value for people."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


_TEMPLATES = Environment(
    loader=PackageLoader("diffplan", "benchmark/templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_TEMPLATES.filters |= {
    "anchor": anchor,
    "base64": lambda data: b64encode(data).decode("ascii"),
    "count": lambda n, thing: f"{n} {thing}" if n == 1 else f"{n} {thing}s",
    "seconds": seconds,
}
