"""Constraints as plan files hold them: a mapping of their fields, and their `kind`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from diffplan.constraints.line import OnLine
from diffplan.strict.entry import Entry, Json
from diffplan.strict.record import read_record, required

_KINDS = {"line": OnLine}


def constraint_document(constraints: Sequence[OnLine]) -> list[Json]:
    """Return what `read_constraints` reads back."""
    names = {kind: name for name, kind in _KINDS.items()}
    return [{"kind": names[type(one)], **asdict(one)} for one in constraints]


def read_constraints(entry: Entry) -> tuple[OnLine, ...]:
    """Return the constraints of a plan file.

    Raises:
        InputError: for a kind that is not there, or fields that are not those of the kind.
    """
    found = []
    for one in entry.sequence():
        kind = required(one, ["kind"])["kind"].choice(_KINDS, "kind")
        found.append(read_record(_KINDS[kind], one))
    return tuple(found)
