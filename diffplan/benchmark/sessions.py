"""The commands that filled a benchmark's folder, one after the other: each machine, commit, load and time it took."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

from diffplan.benchmark.machine import Machine
from diffplan.strict.record import read_record
from diffplan.strict.strict_json import read_json
from diffplan.system.files import write_text

_FILE = "sessions.json"


@dataclass(frozen=True, kw_only=True)
class Session:
    """One command that planned: on what, how many at a time (`jobs`), since when, from how many rows to how many.

    `rows_after`, `time_s` and `warm_up_s` (each planner's longest warm-up) are empty if it was stopped before its end.
    """

    machine: Machine
    jobs: int
    begun: str
    rows_before: int
    rows_after: int | None = None
    time_s: float | None = None
    warm_up_s: dict[str, float]


def begin_session(folder: Path, machine: Machine, *, jobs: int, rows_before: int) -> Session:
    """Note in the folder that a command begins to plan, and return the note."""
    begun = f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC"
    session = Session(machine=machine, jobs=jobs, begun=begun, rows_before=rows_before, warm_up_s={})
    _write(folder, [*read_sessions(folder), session])
    return session


def end_session(folder: Path, session: Session) -> None:
    """Replace the last note of the folder by what is known at the end."""
    _write(folder, [*read_sessions(folder)[:-1], session])


def read_sessions(folder: Path) -> tuple[Session, ...]:
    """Return the notes of a folder, none if it has no such file.

    Raises:
        InputError: if the file is not one of ours.
    """
    file = folder / _FILE
    if not file.is_file():
        return ()
    return tuple(read_record(Session, entry) for entry in read_json(file).sequence())


def _write(folder: Path, sessions: Sequence[Session]) -> None:
    write_text(folder / _FILE, json.dumps([asdict(session) for session in sessions], indent=2) + "\n")


def longest_warm_up(sessions: Sequence[Session]) -> Mapping[str, float]:
    """Return each planner's longest warm-up [s] over the sessions."""
    longest: dict[str, float] = {}
    for session in sessions:
        for planner, time in session.warm_up_s.items():
            longest[planner] = max(time, longest.get(planner, 0.0))
    return longest
