"""Pages of figures: one HTML file without scripts and without anything outside it.

They are read on wide screens and phones, on paper, in light and in dark.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from colorsys import hls_to_rgb
from dataclasses import dataclass
from html import escape

from diffplan.benchmark.machine import Machine
from diffplan.benchmark.svg import COLOURS


@dataclass(frozen=True, kw_only=True)
class TextTable:
    """A table of texts with a sentence on how to read it; cells may hold several lines.

    `in_words`: the cells are sentences rather than numbers, so they stand left and wrap.
    """

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    in_words: bool = False


def section(table: TextTable, level: int = 2) -> list[str]:
    """Return a table under its title as a heading of this level, with its note below."""
    parts = [heading(table.title, level), html_table(table)]
    return [*parts, f'<p class="note">{escape(table.note)}</p>'] if table.note else parts


def html_table(table: TextTable) -> str:
    """Return a table in a box of its own, which scrolls sideways where the table is too wide."""
    head = "".join(f'<th scope="col">{_lines(text)}</th>' for text in table.headings)
    body = "".join(_table_row(row) for row in table.rows)
    title, kind = escape(table.title), "text" if table.in_words else "numbers"
    return (
        f'<div class="wide" role="region" tabindex="0" aria-label="{title}"><table class="{kind}">'
        f'<caption class="unseen">{title}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _table_row(cells: Sequence[str]) -> str:
    first, *others = (_lines(text) for text in cells)
    return f'<tr><th scope="row">{first}</th>' + "".join(f"<td>{text}</td>" for text in others) + "</tr>"


def _lines(text: str) -> str:
    return escape(text).replace("\n", "<br/>")


def heading(title: str, level: int = 2) -> str:
    """Return a heading; one of level 2 can be linked to (see `contents`)."""
    if level == 2:
        return f'<h2 id="{anchor(title)}">{escape(title)}</h2>'
    return f"<h{level}>{escape(title)}</h{level}>"


def anchor(title: str) -> str:
    """Return what links to a heading call it."""
    return "-".join("".join(c if c.isalnum() else " " for c in title.lower()).split())


def contents(titles: Sequence[str]) -> str:
    """Return links to the headings of level 2 with these titles."""
    links = "".join(f'<li><a href="#{anchor(title)}">{escape(title)}</a></li>' for title in titles)
    return f'<nav aria-label="Contents"><ul>{links}</ul></nav>'


def image(png: bytes, alt: str) -> str:
    """Return a PNG picture that stands in the page itself."""
    return f'<img alt="{escape(alt)}" src="data:image/png;base64,{base64.b64encode(png).decode("ascii")}"/>'


def measured_how(notes: Sequence[str], machine: Machine) -> str:
    """Return a list: notes, machine, threads, versions, commit, command."""
    return bullets([*map(escape, notes), *map(escape, machine_facts(machine)), command(machine.command)])


def machine_facts(machine: Machine) -> tuple[str, ...]:
    """Return in words on what, with what and from which commit something was measured."""
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    threads = ", ".join(f"{name}={value}" for name, value in machine.threads.items())
    return (
        f"{machine.cpu}, {machine.cores} cores, {machine.system}; load {machine.load_at_start} at the start",
        f"threads: {threads or 'not limited'}; Python {machine.python}; {versions}",
        f"commit {machine.commit or 'unknown'}",
    )


def command(text: str) -> str:
    """Return a command line as one reads it."""
    return f"<code>{escape(text)}</code>"


def bullets(items: Sequence[str]) -> str:
    """Return a list of items, which are HTML."""
    return "<ul>" + "".join(f"<li>{item}</li>" for item in items) + "</ul>"


def seconds(time: float) -> str:
    """Return a time [s] for people."""
    if time < 0.00995:
        return f"{1000 * time:.1f} ms"
    return f"{1000 * time:.0f} ms" if time < 0.9995 else f"{time:.2f} s"


def number(value: float | None, digits: int) -> str:
    """Return a number with so many digits after the point, nothing for None."""
    return "" if value is None else f"{value:.{digits}f}"


def p_value(p: float) -> str:
    """Return a p-value for people."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def page(title: str, body: Sequence[str]) -> str:
    """Return a whole HTML page of these parts."""
    return _PAGE.format(title=escape(title), style=_STYLE, body="\n".join(body))


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>{title}</title><style>
{style}</style></head><body>
{body}
</body></html>
"""

# The first colours of curves (--c0 ...) can be told apart by the colour-blind (after Okabe and Ito, darkened for white
# paper, brightened for dark screens); those after them go round the colour circle. Dashes and markers differ too.
_LIGHT = """--ink: #1b1d21; --soft: #5a6069; --paper: #fff; --line: #d9dce1; --faint: #eceef1; --tint: #f5f6f8;
  --good: #0a6b3d;"""
_DARK = """--ink: #e7e9ec; --soft: #a5abb5; --paper: #15171a; --line: #3a3f46; --faint: #2a2e34; --tint: #1e2125;
  --good: #58d39b;"""
_GOLDEN_TURN = 0.618033988749895
_FIRST_ON_LIGHT = ("#0067a8", "#c84e00", "#00845f", "#a9437f", "#856600", "#2f8fce", "#54585f")
_FIRST_ON_DARK = ("#57b3f2", "#ff8d47", "#3fd0a4", "#f09acb", "#e3c04a", "#a6dcff", "#c3c8cf")


def curve_colours(*, dark: bool) -> tuple[str, ...]:
    """Return the colours of curves 0, 1, ... as `#rrggbb`, no two alike, for white paper or for dark screens."""
    first = _FIRST_ON_DARK if dark else _FIRST_ON_LIGHT
    lightness = (0.78, 0.62) if dark else (0.28, 0.42)
    turns = [number * _GOLDEN_TURN % 1.0 for number in range(COLOURS - len(first))]
    further = [hls_to_rgb(turn, lightness[number % 2], 0.65) for number, turn in enumerate(turns)]
    return (*first, *("#" + "".join(f"{round(255 * part):02x}" for part in rgb) for rgb in further))


def _variables(*, dark: bool) -> str:
    return " ".join(f"--c{i}: {colour};" for i, colour in enumerate(curve_colours(dark=dark)))


_CURVES = "".join(f".s{i} {{ stroke: var(--c{i}); }} .f{i} {{ fill: var(--c{i}); }}\n" for i in range(COLOURS))
_STYLE = (
    f""":root {{ color-scheme: light dark; {_LIGHT} {_variables(dark=False)} }}
@media (prefers-color-scheme: dark) {{ :root {{ {_DARK} {_variables(dark=True)} }} }}
{_CURVES}"""
    + """* { box-sizing: border-box; }
html { color: var(--ink); background: var(--paper); -webkit-text-size-adjust: 100%; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 68rem; margin: 0 auto; padding: 1rem 1rem 4rem;
  overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: .5rem 0; }
h2 { font-size: 1.25rem; margin: 2.6rem 0 .6rem; padding-top: .6rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.6rem 0 .4rem; }
p, li, figcaption, dd { max-width: 46rem; } p { margin: .5rem 0; }
a { color: var(--c0); } .note { color: var(--soft); font-size: .875em; }
nav ul { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; padding: 0; margin: .8rem 0; list-style: none; }
code { font-size: .8125rem; background: var(--tint); padding: .1rem .3rem; border-radius: 3px; }
.wide { position: relative; overflow-x: auto; margin: .6rem 0; }
table { border-collapse: collapse; font-size: .8125rem; line-height: 1.35; font-variant-numeric: tabular-nums;
  overflow-wrap: normal; }
th, td { padding: .3rem .55rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line);
  vertical-align: top; }
thead th { color: var(--soft); font-weight: 600; vertical-align: bottom; border-bottom: 2px solid var(--line);
  white-space: normal; }
th[scope=row], thead th:first-child { text-align: left; background: var(--paper); position: sticky; left: 0; }
th[scope=row] { font-weight: 600; }
table.text :is(th, td) { text-align: left; white-space: normal; min-width: 6.5rem; max-width: 28rem;
  overflow-wrap: break-word; }
figure { margin: 1rem 0; } figcaption { font-size: .875em; color: var(--soft); margin: .2rem 0; }
svg { display: block; width: 100%; height: auto; fill: none; }
svg text { fill: var(--ink); font-size: 13px; } svg .grid { stroke: var(--line); } svg .fine { stroke: var(--faint); }
.plot { max-width: 52rem; } .plots { display: grid; gap: .5rem 2rem; } .plots figure { margin: 0; min-width: 0; }
.legend { display: flex; flex-wrap: wrap; gap: .1rem 1rem; padding: 0; margin: .3rem 0; list-style: none;
  font-size: .875em; }
.legend svg { display: inline-block; width: 34px; height: 12px; margin-right: .35rem; }
.steps { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(16rem, 100%), 1fr)); gap: .75rem; }
.steps figure { margin: 0; break-inside: avoid; } .steps img { display: block; width: 100%; height: auto; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(19rem, 100%), 1fr)); gap: 1rem; }
.cards figure { margin: 0; border: 1px solid var(--line); border-radius: 6px; overflow: hidden; break-inside: avoid;
  min-width: 0; }
.cards img { display: block; width: 100%; height: auto; background: #fff; }
.cards figcaption { padding: .5rem .7rem .7rem; color: var(--ink); }
.cards p { margin: .25rem 0; } .cards code { display: block; }
details { margin: .3rem 0 .8rem; } summary { cursor: pointer; color: var(--soft); font-size: .875em; }
dl { display: grid; grid-template-columns: minmax(7rem, auto) 1fr; gap: .3rem 1rem; font-size: .9375em; }
dt { font-weight: 600; } dd { margin: 0; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
@media (min-width: 56rem) { .plots { grid-template-columns: 1fr 1fr; } }
@media (max-width: 40rem) { .plot svg text { font-size: 22px; } .plot svg .minor { display: none; }
  dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .5rem; } }
@page { size: A4; margin: 14mm; }
@media print { """
    + f":root {{ color-scheme: light; {_LIGHT} }}"
    + """
  body { max-width: none; padding: 0; font-size: 10pt; } h1 { font-size: 16pt; } h2, h3, h2 + p { break-after: avoid; }
  nav { display: none; } .wide { overflow: visible; } table { font-size: 7.5pt; } th, td { padding: .12rem .35rem; }
  .wide { break-inside: avoid; }
  th[scope=row], thead th:first-child { position: static; } thead { display: table-header-group; }
  tr, figure, svg { break-inside: avoid; } .plot { max-width: 150mm; } .plots { grid-template-columns: 1fr 1fr; }
  .cards { grid-template-columns: 1fr 1fr 1fr; } .cards figcaption { font-size: 8pt; }
  .steps { grid-template-columns: 1fr 1fr 1fr; }
  code { font-size: 7.5pt; } details::details-content { content-visibility: visible; height: auto; }
  table.text :is(th, td) { min-width: 0; }
  .screen { display: none; } summary { list-style: none; } p, li, figcaption, dd { max-width: none; } }
"""
)
