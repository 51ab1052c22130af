"""How drawings of the pages look, and how they become part of a page: colours, dashes, markers, one way to SVG.

Matplotlib draws with the colours for white paper; in the page each of them is a variable (`--c0`), which dark screens
set otherwise. The same figure gives the same bytes on every machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from colorsys import hls_to_rgb
from contextlib import contextmanager
from io import StringIO
from typing import Any
from xml.etree import ElementTree

import matplotlib
from markupsafe import Markup
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

# The first colours of curves can be told apart by the colour-blind (after Okabe and Ito, darkened for white paper,
# brightened for dark screens); those after them go round the colour circle. Dashes and markers differ too.
_FIRST = (
    ("#0067a8", "#c84e00", "#00845f", "#a9437f", "#856600", "#2f8fce", "#54585f"),
    ("#57b3f2", "#ff8d47", "#3fd0a4", "#f09acb", "#e3c04a", "#a6dcff", "#c3c8cf"),
)
_LIGHTNESS = ((0.28, 0.42), (0.78, 0.62))
_GOLDEN_TURN = 0.618033988749895
_PAGE = (
    {"ink": "#1b1d21", "soft": "#5a6069", "paper": "#ffffff", "line": "#d9dce1", "faint": "#eceef1", "tint": "#f5f6f8"},
    {"ink": "#e7e9ec", "soft": "#a5abb5", "paper": "#15171a", "line": "#3a3f46", "faint": "#2a2e34", "tint": "#1e2125"},
)
_INK, _LINE, FAINT = (_PAGE[False][name] for name in ("ink", "line", "faint"))
_DASHES = ("-", (0, (4, 2)), (0, (1, 1.5)), (0, (5, 1.5, 1, 1.5)), (0, (8, 2.5)))
_MARKERS = ("o", "s", "D", "^", "v", "P")
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "diffplan",
    "font.family": ["DejaVu Sans"],
    "font.size": 13,
    "text.parse_math": False,
    "text.color": _INK,
    "axes.facecolor": "none",
    "axes.labelcolor": _INK,
    "axes.axisbelow": True,
    "grid.color": _LINE,
    "grid.linewidth": 1,
    "lines.linewidth": 2,
    "lines.markersize": 7,
    "legend.frameon": False,
    "path.simplify_threshold": 0.4,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.w_pad": 2 / 72,
    "figure.constrained_layout.h_pad": 2 / 72,
    **{f"axes.spines.{side}": False for side in ("left", "right", "top", "bottom")},
    **{f"{axis}tick.color": _INK for axis in "xy"},
    **{f"{axis}tick.{kind}.size": 0 for axis in "xy" for kind in ("major", "minor")},
}


def curve_colours(count: int, *, dark: bool = False) -> tuple[str, ...]:
    """Return the colours of curves 0, 1, ... as `#rrggbb`, no two alike, for white paper or for dark screens."""
    first, lightness = _FIRST[dark], _LIGHTNESS[dark]
    turns = [number * _GOLDEN_TURN % 1.0 for number in range(count - len(first))]
    further = [hls_to_rgb(turn, lightness[number % 2], 0.65) for number, turn in enumerate(turns)]
    return (*first, *("#" + "".join(f"{round(255 * part):02x}" for part in rgb) for rgb in further))[:count]


def curve_style(number: int, count: int) -> dict[str, Any]:
    """Return how curve `number` of `count` looks: a colour of its own, dashes and a marker for black and white."""
    dashes, marker = _DASHES[number % len(_DASHES)], _MARKERS[number % len(_MARKERS)]
    return {"color": curve_colours(count)[number], "linestyle": dashes, "marker": marker}


def page_colours(curves: int, *, dark: bool) -> dict[str, str]:
    """Return the page's variables: of text, paper and lines, and `c0`, `c1`, ... of its curves."""
    return _PAGE[dark] | {f"c{number}": colour for number, colour in enumerate(curve_colours(curves, dark=dark))}


@contextmanager
def drawing(width: float, height: float) -> Iterator[Figure]:
    """Give a figure of this size [pixels of the page], to be drawn on and turned to SVG inside, in the page's style.

    Inside, matplotlib's settings are its own defaults with that style, whatever the user's are; afterwards the user's.
    """
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        figure = Figure(figsize=(width / 72, height / 72), facecolor="none")
        FigureCanvasSVG(figure)
        yield figure


def svg(figure: Figure, *, name: str, title: str, curves: int, notes: Mapping[str, str]) -> Markup:
    """Return a figure as SVG to stand in a page, without what only a file of its own needs.

    Args:
        figure: what `drawing` gave.
        name: what the drawing's identifiers begin with; no other drawing of a page may have it.
        title: what is shown, for those who cannot see it.
        curves: how many curves the page has colours for.
        notes: what the pointer is told on parts of the drawing, by the `gid` of each.
    """
    stream = StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None})
    root = ElementTree.fromstring(stream.getvalue())
    written = {colour: f"var(--{variable})" for variable, colour in page_colours(curves, dark=False).items()}
    written["'DejaVu Sans'"] = "system-ui, sans-serif"
    words = re.compile("|".join(written))
    for part in list(root.iter()):
        part.tag, part.tail = _bare(part.tag), None
        part.text = part.text if (part.text or "").strip() else None
        part.attrib = {_bare(key): value for key, value in part.items()}
        for key, value in part.items():
            if key == "style":
                part.set(key, words.sub(lambda found: written[found[0]], value))
            elif key == "id":
                part.set(key, f"{name}-{value}")
            elif key in ("href", "clip-path"):
                part.set(key, value.replace("#", f"#{name}-"))
            elif key in ("d", "x", "y", "width", "height", "transform"):
                part.set(key, re.sub(r"\d+\.\d+", lambda found: f"{float(found[0]):.1f}".removesuffix(".0"), value))
        if (note := notes.get(part.get("id", "").removeprefix(f"{name}-"))) is not None:
            part.insert(0, _title(note))
    drawn = [part for part in root if part.tag != "metadata" and part.find("style") is None]
    root[:] = [_title(title), *drawn]
    root.attrib = {"viewBox": root.get("viewBox", ""), "role": "img", "aria-label": title}
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _bare(name: str) -> str:
    return name.rpartition("}")[2]  # the page's reader knows what is SVG without namespaces


def _title(text: str) -> ElementTree.Element:
    element = ElementTree.Element("title")
    element.text = text
    return element
