"""Rows of `results.csv`: one planner on one problem with one seed, appended so that a kill loses at most one row."""

from __future__ import annotations

import csv
import io
import os
from dataclasses import dataclass, fields
from pathlib import Path

from diffplan.errors import InputError
from diffplan.system.files import unwritable, write_text
from diffplan.system.reading import read_text


@dataclass(frozen=True, kw_only=True)
class ResultRow:
    """One run. Empty cells (None) are what a run without a trajectory does not have; the order is the file's order.

    `certified` is the independent checker's verdict; `status` is a planner status, `error` (the planner raised or
    died) or `killed` (it did not return long after its time limit). `joint_steps` counts the trajectory's samples.
    `dense_contact` is 1 when the dense check found a contact in a certified plan, empty when it was not asked for.

    `offered` counts the paths that the planner (its fallback and a warm start among it) put forward as solutions and
    that were timed and judged, `rejected` those of them that the certificate refused; `first_rejected` is 1 if the
    first of them was refused, which alone would have been a false success, and empty if there was none.
    Of certified plans: `mean_clearance_m` is the mean along the motion of the least clearance from the obstacles;
    `tracking_error_rad` the largest error of a joint when PyBullet's position control executes the motion, and
    `executed_contact` is 1 if it touched an obstacle then. None of this counts as planning.
    """

    planner: str
    problem: str
    set: str
    seed: int
    status: str
    solved_by: str = ""
    certified: bool = False
    plan_time_s: float | None = None
    certify_time_s: float | None = None
    path_length_rad: float | None = None
    straight_line_rad: float | None = None
    duration_s: float | None = None
    max_jerk: float | None = None
    min_clearance_m: float | None = None
    joint_steps: int | None = None
    min_self_clearance_m: float | None = None
    mean_jerk: float | None = None
    goal_index: int | None = None
    total_time_s: float | None = None
    dense_contact: int | None = None
    offered: int | None = None
    rejected: int | None = None
    first_rejected: int | None = None
    mean_clearance_m: float | None = None
    tracking_error_rad: float | None = None
    executed_contact: int | None = None
    message: str = ""

    @property
    def key(self) -> tuple[str, str, int]:
        """What makes the run unique: planner, problem, seed."""
        return self.planner, self.problem, self.seed


COLUMNS = tuple(field.name for field in fields(ResultRow))


def cells(row: ResultRow) -> list[str]:
    """Return the row as text cells."""
    return [_text(getattr(row, name)) for name in COLUMNS]


def _text(value: str | float | int | bool | None) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    return " ".join(str(value).split())


def parse(texts: list[str]) -> ResultRow:
    """Return the row that these cells stand for.

    Raises:
        ValueError: if there are too few or too many cells, or a number is not one.
    """
    text = dict(zip(COLUMNS, texts, strict=True))
    return ResultRow(
        planner=text["planner"],
        problem=text["problem"],
        set=text["set"],
        seed=int(text["seed"]),
        status=text["status"],
        solved_by=text["solved_by"],
        certified=_flag(text["certified"]),
        plan_time_s=_number(text["plan_time_s"]),
        certify_time_s=_number(text["certify_time_s"]),
        path_length_rad=_number(text["path_length_rad"]),
        straight_line_rad=_number(text["straight_line_rad"]),
        duration_s=_number(text["duration_s"]),
        max_jerk=_number(text["max_jerk"]),
        min_clearance_m=_number(text["min_clearance_m"]),
        joint_steps=_count(text["joint_steps"]),
        min_self_clearance_m=_number(text["min_self_clearance_m"]),
        mean_jerk=_number(text["mean_jerk"]),
        goal_index=_count(text["goal_index"]),
        total_time_s=_number(text["total_time_s"]),
        dense_contact=_count(text["dense_contact"]),
        offered=_count(text["offered"]),
        rejected=_count(text["rejected"]),
        first_rejected=_count(text["first_rejected"]),
        mean_clearance_m=_number(text["mean_clearance_m"]),
        tracking_error_rad=_number(text["tracking_error_rad"]),
        executed_contact=_count(text["executed_contact"]),
        message=text["message"],
    )


def _number(text: str) -> float | None:
    return float(text) if text else None


def _count(text: str) -> int | None:
    return int(text) if text else None


def _flag(text: str) -> bool:
    if text not in ("True", "False"):
        raise ValueError(f"neither True nor False: {text!r}")
    return text == "True"


def read_rows(path: Path) -> list[ResultRow]:
    """Read `results.csv`; a last line cut off by a kill is left out.

    Raises:
        InputError: if the header or another line is not ours.
    """
    text = read_text(path)
    lines = text.split("\n")
    lines.pop()  # empty after a whole line; otherwise the line that a kill cut off
    if not lines:
        return []
    if lines[0] != ",".join(COLUMNS):
        raise InputError("not a results file of this version", file=path, line=1, value=lines[0][:80])
    rows = []
    table = csv.reader(lines[1:])
    try:
        rows += [parse(texts) for texts in table]
    except (ValueError, csv.Error) as error:
        raise InputError(f"not a results row: {error}", file=path, line=1 + table.line_num) from error
    return rows


class RowWriter:
    """Appends rows to `results.csv`; each is on the disk when `append` returns."""

    def __init__(self, path: Path, kept: list[ResultRow]) -> None:
        """Start the file anew with the rows `kept` from an earlier run (whole or not at all)."""
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows([COLUMNS, *(cells(row) for row in kept)])
        write_text(path, text.getvalue())
        self._path = path
        self._stream = path.open("ab", buffering=0)

    def append(self, row: ResultRow) -> None:
        """Write one row and wait until it is on the disk.

        Raises:
            InputError: if it cannot be written; `read_rows` leaves out what there is of it.
        """
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerow(cells(row))
        left = memoryview(text.getvalue().encode())
        try:
            while left:
                left = left[self._stream.write(left) :]
            os.fsync(self._stream.fileno())
        except OSError as error:
            raise unwritable(self._path, error) from error

    def __enter__(self) -> RowWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
