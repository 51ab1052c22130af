"""The studio's tab for a benchmark's folder: filter, click a row, see what each planner found there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffplan.benchmark.results import ResultRow
from diffplan.problem import Plan
from diffplan.studio.results import FILTERS, Results, row_words
from diffplan.studio.words import plain

if TYPE_CHECKING:
    from diffplan.studio.panel import Panel

_ROWS = 8
_ANY = "(any)"


class ResultsTab:
    """Buttons for the rows that a filter lets through, a page at a time."""

    def __init__(self, panel: Panel, results: Results) -> None:
        """Add the controls."""
        self._panel, self._results = panel, results
        self._page = 0
        gui = panel.view.client.gui
        self.kind = panel.on_turn(gui.add_dropdown("rows", FILTERS), self._filter)
        self.planner = panel.on_turn(gui.add_dropdown("planner", (_ANY, *results.planners)), self._filter)
        self.about = gui.add_markdown("")
        self.buttons = [
            panel.on_click(gui.add_button("-"), lambda place=place: self._open(place)) for place in range(_ROWS)
        ]
        self._turns = gui.add_button_group("page", ("before", "next"))
        panel.on_click(self._turns, self._turn)
        self.found = gui.add_markdown("")
        self._list()

    def _rows(self) -> list[ResultRow]:
        return self._results.chosen(self.kind.value, None if self.planner.value == _ANY else self.planner.value)

    def _filter(self) -> None:
        self._page = 0
        self._list()

    def _turn(self) -> None:
        last = max(0, (len(self._rows()) - 1) // _ROWS)
        self._page = min(max(0, self._page + (1 if self._turns.value == "next" else -1)), last)
        self._list()

    def _list(self) -> None:
        rows = self._rows()
        first = self._page * _ROWS
        shown = rows[first : first + _ROWS]
        self.about.content = f"{len(rows)} of {len(self._results.rows)} rows, from {min(first + 1, len(rows))} on"
        for place, button in enumerate(self.buttons):
            button.visible = place < len(shown)
            if place < len(shown):
                button.label = row_words(shown[place])

    def _open(self, place: int) -> None:
        row = self._rows()[self._page * _ROWS + place]
        lines, plans = [], []
        for other in self._results.beside(row):
            plan = self._results.plan(other)
            plans += [plan] if plan is not None else []
            lines.append(f"- **{plain(other.planner)}**: {self._words(other, plan)}")
        self.found.content = f"{plain(row.problem)}, seed {row.seed}\n" + "\n".join(lines)
        if plans:
            self._panel.view.show_finds(plans)

    @staticmethod
    def _words(row: ResultRow, plan: Plan | None) -> str:
        if row.certified:
            length = "" if row.path_length_rad is None else f", path {row.path_length_rad:.2f} rad"
            return f"certified{length}"
        message = row.message if plan is None else plan.message
        refused = f" {row.rejected} of {row.offered} claims were refused." if row.rejected else ""
        return plain(f"{row.status}: {message}.{refused}")
