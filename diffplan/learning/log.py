"""What a training run leaves for people: a log, a picture of the curve, a model card."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from diffplan.errors import InputError
from diffplan.system.files import write_bytes, write_text
from diffplan.system.reading import read_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a log: `train` is the mean loss since the line before; `seconds` counts all parts of the run.

    What is measured on held-out data is NaN where there was no validation.
    """

    step: int
    seconds: float
    rate: float
    train: float


_Line = TypeVar("_Line", bound=Line)


@dataclass(frozen=True, kw_only=True)
class Progress(Line):
    """A line of the prior's log.

    `first`, `third` and `free` are the validation losses with the scene seen through the straight line, through the
    network's second estimate, and without the scene.
    """

    first: float = math.nan
    third: float = math.nan
    free: float = math.nan


def write_log(lines: Sequence[Line], path: Path) -> None:
    """Write a log of at least one line as CSV."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [field.name for field in fields(lines[0])])
    writer.writeheader()
    writer.writerows(asdict(line) for line in lines)
    write_text(path, text.getvalue())


def read_log(path: Path, kind: type[_Line], *, up_to: int) -> list[_Line]:
    """Read the log's lines up to a step (a checkpoint may be older than the log); none if there is no log.

    Raises:
        InputError: if the file is no such log.
    """
    if not path.exists():
        return []
    table = csv.DictReader(StringIO(read_text(path), newline=""))
    try:
        rows = [{key: float(value) for key, value in row.items()} for row in table]
        lines = [kind(**{**row, "step": int(row["step"])}) for row in rows]
    except (KeyError, TypeError, ValueError, OverflowError, csv.Error) as error:
        raise InputError(f"not a log of a training run: {error}", file=path, line=table.line_num or None) from error
    return [line for line in lines if line.step <= up_to]


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    picture = io.BytesIO()
    FigureCanvasAgg(figure).print_png(picture)
    write_bytes(path, picture.getvalue())


def draw_curve(lines: list[Progress], path: Path) -> None:
    """Draw the losses over steps as a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([line.step for line in lines], [line.train for line in lines], color="0.75", lw=1, label="training")
    names = {
        "free": "held-out scenes, scene not shown",
        "first": "held-out scenes, first pass",
        "third": "held-out scenes, third pass",
    }
    for (key, label), colour in zip(names.items(), ("tab:red", "tab:blue", "tab:green"), strict=True):
        points = [(line.step, asdict(line)[key]) for line in lines if not math.isnan(line.first)]
        axes.plot([p[0] for p in points], [p[1] for p in points], "-o", ms=3, color=colour, label=label)
    axes.set(xlabel="step", ylabel="loss (weighted squared error of x0)", yscale="log")
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    save_figure(figure, path)


def validated(lines: list[Progress]) -> Progress:
    """Return the last line with a validation.

    Raises:
        InputError: if there is none.
    """
    found = [line for line in lines if not math.isnan(line.first)]
    if not found:
        raise InputError("no validation yet", value=len(lines), allowed="a log with at least one validation")
    return found[-1]
