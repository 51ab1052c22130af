"""What a benchmark left in its folder: its rows, and the plans of every planner on a problem."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from diffplan.benchmark.results import ResultRow, read_rows
from diffplan.benchmark.worker import plan_path
from diffplan.errors import InputError
from diffplan.problem import Plan

FILTERS = ("failures", "refused claims", "all")


@dataclass(frozen=True, kw_only=True, eq=False)
class Results:
    """The folder that `diffplan bench` wrote, and its rows: one for each planner, problem and seed."""

    folder: Path
    rows: tuple[ResultRow, ...]

    @staticmethod
    def of(folder: Path) -> Results:
        """Read a folder.

        Raises:
            InputError: if its results.csv is wrong or without rows.
        """
        rows = tuple(read_rows(folder / "results.csv"))
        if not rows:
            raise InputError("no rows yet", file=folder / "results.csv")
        return Results(folder=folder, rows=rows)

    @property
    def planners(self) -> list[str]:
        """The planners, in the order of the rows."""
        return list(dict.fromkeys(row.planner for row in self.rows))

    def chosen(self, kind: str, planner: str | None = None) -> list[ResultRow]:
        """Return the rows that a filter lets through: `failures`, `refused claims` or `all`, of a planner or of any."""
        passes = {
            "failures": lambda row: not row.certified,
            "refused claims": lambda row: bool(row.rejected),
            "all": lambda row: True,
        }[kind]
        return [row for row in self.rows if passes(row) and planner in (None, row.planner)]

    def beside(self, row: ResultRow) -> list[ResultRow]:
        """Return the rows of all planners on a row's problem with its seed, that row first."""
        same = [other for other in self.rows if (other.problem, other.seed) == (row.problem, row.seed)]
        return [row, *(other for other in same if other is not row)]

    def plan(self, row: ResultRow) -> Plan | None:
        """Return the plan of a row; None if it left none (the planner raised or was killed).

        Raises:
            InputError: if its file is wrong, or what it was made with has changed since.
        """
        file = plan_path(self.folder, planner=row.planner, problem=row.problem, seed=row.seed)
        return Plan.load(file) if file.is_file() else None

    @property
    def first(self) -> Plan:
        """The first plan that there is, of a failure if one left a plan.

        Raises:
            InputError: if no row left a plan.
        """
        for row in [*self.chosen("failures"), *self.rows]:
            plan = self.plan(row)
            if plan is not None:
                return plan
        raise InputError("no plan files in this folder", file=self.folder / "plans")


def row_words(row: ResultRow) -> str:
    """Return a row in a few words."""
    return f"{row.problem}, seed {row.seed}, {row.planner}: {'certified' if row.certified else row.status}"
