"""The drawings of the pages: success against time, and boxes of what the certified plans are like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, PercentFormatter
from numpy.typing import ArrayLike

from diffplan.benchmark.drawing import FAINT, curve_colours, curve_style, drawing, svg
from diffplan.benchmark.summary import wilson_interval

if TYPE_CHECKING:
    from diffplan.benchmark.ablation import Ablation

_WIDE, _PHONE, _BOXES, _LINE = (740, 360), (358, 300), 420, 20
_LEAST_OF_BARS, _MOST_OF_BARS = 52, 0.4  # pixels, share of the width
_MOST_BANDS = 4
_LEAST_RUNS = 10
_LEAST_SPAN = 0.1
_BAR_SPACE = 13
_PERCENTILES = (5, 25, 50, 75, 95)


@dataclass(frozen=True, kw_only=True)
class Plot:
    """One drawing in two widths: for wide screens and paper, and for phones."""

    wide: Markup
    phone: Markup


def _plot(name: str, title: str, curves: Sequence[str], draw: Callable[[Figure], dict[str, str]]) -> Plot:
    """Return what `draw` draws, with the notes that it returns, and the names of the curves below, in both widths."""
    lines = [Line2D([], [], label=curve, **curve_style(number, len(curves))) for number, curve in enumerate(curves)]
    drawn = []
    for kind, (width, height) in (("wide", _WIDE), ("phone", _PHONE)):
        columns = min(len(curves), max(1, width // (50 + 8 * max(map(len, curves)))))
        by_rows = [line for column in range(columns) for line in lines[column::columns]]
        with drawing(width, height + _LINE * ceil(len(curves) / columns)) as figure:
            notes = draw(figure)
            figure.legend(handles=by_rows, loc="outside lower left", ncols=columns, handlelength=2.6, columnspacing=1.2)
            drawn.append(svg(figure, name=f"{name}-{kind}", title=title, curves=len(curves), notes=notes))
    return Plot(wide=drawn[0], phone=drawn[1])


def success_plot(runs: pd.DataFrame, limit: float) -> Plot:
    """Return the share of runs (`summary.frame`) certified within a planning time, against that time (logarithmic).

    To the right of the axes stands each planner's share at the time limit [s] with Wilson's 95 % interval; the whole
    curves have bands of that interval if they are at most four, each of ten runs at least: with fewer a band is as wide
    as the drawing.
    """
    planners = list(runs.planner.unique())
    bands = len(planners) <= _MOST_BANDS
    times = {name: np.sort(own.counted_time_s[own.in_time].to_numpy()) for name, own in runs.groupby("planner")}

    def draw(figure: Figure) -> dict[str, str]:
        bars = min(max(_BAR_SPACE * (len(planners) + 1), _LEAST_OF_BARS) / (72 * figure.get_figwidth()), _MOST_OF_BARS)
        axes, side = figure.subplots(1, 2, sharey=True, width_ratios=(1 - bars, bars))
        first = min((own[0] for own in times.values() if len(own)), default=limit / 10)
        low, high = _time_axis(axes, [max(first, 1e-3), limit])
        side.set(xlim=(-1, len(planners)), xticks=[], xlabel="at the\nlimit")
        notes = {}
        for number, planner in enumerate(planners):
            own, style = times[planner], curve_style(number, len(planners))
            n = int((runs.planner == planner).sum())
            shares = np.arange(len(own) + 1) / n
            least, most = np.transpose([wilson_interval(count, n) for count in range(len(own) + 1)])
            x = np.clip([low, *own, high], low, high)
            if bands and n >= _LEAST_RUNS:
                ends = ([*edge, edge[-1]] for edge in (least, most))
                axes.fill_between(x, *ends, step="post", color=style["color"], alpha=0.13, lw=0, gid=f"band-{number}")
            middle = [len(own) // 2 + 1] if len(own) else []
            y = [*shares, shares[-1]]
            axes.step(x, y, where="post", markevery=middle, gid=f"curve-{number}", **style)
            interval = _interval(shares[-1:], least[-1:], most[-1:])
            bar = side.errorbar([number], shares[-1:], interval, capsize=3, elinewidth=1.3, **style)
            bar.lines[0].set_gid(f"bar-{number}")
            note = f"{planner}: {100 * shares[-1]:.1f} % within {tick_text(limit)}"
            notes |= {f"curve-{number}": note, f"bar-{number}": note}
        figure.align_xlabels()
        return notes

    title = f"Share of runs certified within a planning time up to {tick_text(limit)}, a line for each planner"
    return _plot("success", title, planners, draw)


def round_plot(a: Ablation) -> Plot:
    """Return the success of single rounds with its interval over the median planning time, batch by batch."""
    points = {v.title: [a.point(v.name, batch) for batch in a.batches] for v in a.variants}

    def draw(figure: Figure) -> dict[str, str]:
        axes = figure.subplots()
        low, high = _time_axis(axes, [max(p.plan_time_median_s, 1e-3) for own in points.values() for p in own])
        axes.set_xlim(low / 1.04, high * 1.04)  # room for markers at the ends
        for number, own in enumerate(points.values()):
            times, shares = [max(p.plan_time_median_s, low) for p in own], [p.share for p in own]
            interval = _interval(shares, [p.low for p in own], [p.high for p in own])
            drawn = axes.errorbar(times, shares, interval, elinewidth=0.9, **curve_style(number, len(points)))
            drawn.lines[0].set_gid(f"curve-{number}")
        return {f"curve-{number}": title for number, title in enumerate(points)}

    title = "Share of problems certified in one round over the median planning time, a line for each variant"
    return _plot("rounds", title, list(points), draw)


def _interval(shares: ArrayLike, low: ArrayLike, high: ArrayLike) -> np.ndarray:
    """Return how far an interval goes down and up from the shares [2, n]; a share of 1 may lie above it by rounding."""
    return np.maximum([np.subtract(shares, low), np.subtract(high, shares)], 0.0)


def _time_axis(axes: Axes, times: Sequence[float]) -> tuple[float, float]:
    """Make the axes those of a share over a time [s], from a power of ten to the last time, a decade at least."""
    low = 10.0 ** np.floor(np.log10(min(times)) + 1e-9)
    high = max(*times, 10 * low)
    axes.set(xscale="log", xlim=(low, high), ylim=(-0.015, 1.02), xlabel="planning time")
    axes.xaxis.set_major_locator(LogLocator())
    axes.xaxis.set_minor_locator(LogLocator(subs=(2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda time, _: tick_text(time)))
    axes.xaxis.set_minor_formatter(FuncFormatter(lambda time, _: tick_text(time) if high < 100 * low else ""))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
    axes.grid(which="minor", color=FAINT)
    axes.grid(which="major")
    return low, high


def tick_text(time: float) -> str:
    """Return a time [s] as it stands at an axis."""
    return f"{time:g} s" if time >= 0.9999 else f"{1000 * time:g} ms"


class Quality(NamedTuple):
    """A quantity of certified plans: the column of `summary.frame` that has it, and digits after the point.

    An axis holds `least`, if there is such a value, or is logarithmic (`log`).
    """

    column: str
    title: str
    digits: int
    least: float | None = None
    log: bool = False


QUALITIES = (
    Quality("path_ratio", "Path length / straight line", 2, least=1.0),
    Quality("path_to_best", "Path length / best known", 2, least=1.0),
    Quality("duration_s", "Duration of the motion [s]", 2, least=0.0),
    Quality("plan_time_s", "Planning time of certified runs [s]", 3, log=True),
    Quality("min_clearance_mm", "Least clearance from obstacles [mm]", 1, least=0.0),
    Quality("max_jerk", "Largest jerk [rad/s³]", 0, log=True),
)


@dataclass(frozen=True, kw_only=True)
class QualityPlot:
    """A box of a quantity for each planner that has it, and the same figures as texts, a row for each."""

    quality: Quality
    drawn: Markup
    cells: pd.DataFrame


def quality_plots(runs: pd.DataFrame) -> list[QualityPlot]:
    """Return the plots of all qualities that the certified runs (`summary.frame`) have."""
    planners, good = list(runs.planner.unique()), runs[runs.in_time]
    colours = dict(zip(planners, curve_colours(len(planners)), strict=True))
    plots = []
    for quality in QUALITIES:
        known = good[good[quality.column] > (0 if quality.log else -np.inf)]
        if known.empty:
            continue
        values = known.groupby("planner", sort=False)[quality.column]
        found = pd.DataFrame({f"{p} %" if p != 50 else "median": values.quantile(p / 100) for p in _PERCENTILES})
        texts = found.map(lambda value, digits=quality.digits: f"{value:.{digits}f}")
        texts.insert(0, "plans", values.size().astype(str))
        drawn = _boxes(quality, found, list(texts["median"]), colours)
        plots.append(QualityPlot(quality=quality, drawn=drawn, cells=texts.reset_index()))
    return plots


def _boxes(quality: Quality, found: pd.DataFrame, medians: list[str], colours: dict[str, str]) -> Markup:
    """Draw a line for each planner: box from 25 to 75 %, whiskers from 5 to 95 %, the median, beside it as a number."""
    names, places = [str(name) for name in found.index], range(len(found))
    with drawing(_BOXES, 40 + 26 * len(names)) as figure:
        axes = figure.subplots()
        for place, name, row in zip(places, names, found.to_numpy(), strict=True):
            colour = colours[name]
            line: dict[str, Any] = {"color": colour, "linewidth": 1.2}
            box = {"facecolor": (colour, 0.35), "edgecolor": colour, "gid": f"box-{place}"}
            axes.bxp(
                [dict(zip(("whislo", "q1", "med", "q3", "whishi"), row, strict=True))],
                positions=[place],
                widths=0.55,
                orientation="horizontal",
                patch_artist=True,
                showfliers=False,
                manage_ticks=False,
                boxprops=box,
                medianprops={**line, "linewidth": 3},
                whiskerprops=line,
                capprops=line,
            )
        axes.set(yticks=places, yticklabels=names, ylim=(len(names) - 0.5, -0.5))
        side = axes.secondary_yaxis("right")
        side.spines[:].set_visible(False)
        side.set_yticks(places, [text.rjust(max(map(len, medians)), "\u2007") for text in medians])
        _value_axis(axes, quality, found.to_numpy())
        title = f"{quality.title} of certified plans, a box for each planner"
        notes = {f"box-{place}": f"{names[place]}: median {medians[place]}" for place in places}
        return svg(figure, name=quality.column, title=title, curves=len(colours), notes=notes)


def _value_axis(axes: Axes, quality: Quality, values: np.ndarray) -> None:
    """Let the axis hold these values, with few round ticks."""
    low, high = float(values.min()), float(values.max())
    if quality.log:
        low = 10.0 ** np.floor(np.log10(low) + 1e-9)
        high = max(high, 2 * low) * 1.05
        axes.set(xscale="log", xlim=(low, high))
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 150 * low else (1,)))
        axes.xaxis.set_minor_locator(LogLocator(subs=()))
    else:
        low = low if quality.least is None else min(low, quality.least)
        high = max(high, low + (_LEAST_SPAN * abs(low) or 1.0))  # rounding errors do not fill an axis
        ticks = MaxNLocator(nbins=6, steps=[1, 2, 5, 10]).tick_values(low, high)
        axes.set(xticks=ticks, xlim=(ticks[0], ticks[-1]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.grid(axis="x", color=FAINT)
