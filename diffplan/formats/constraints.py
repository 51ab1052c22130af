"""Constraints as people write them (`upright:degrees=10`), and as plan files hold them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from diffplan.constraints.kinds import KINDS, TOOL, Constraint, SpeedLimit, StayIn, Upright, unit
from diffplan.constraints.named import PARAMETERS
from diffplan.constraints.on_line import OnLine
from diffplan.errors import InputError
from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import Box
from diffplan.strict.entry import Entry, Fields, Json
from diffplan.strict.record import read_record, required
from diffplan.strict.spec import read_spec

_REQUIRED = {"upright": (), "stay_in": ("xyz", "size"), "speed": ("limit",)}
_OPTION = Path("--constraint")


def parse_constraint(text: str, at: Entry | None = None) -> Upright | StayIn | SpeedLimit:
    """Return the constraint of a word: `KIND[:KEY=VALUE]...`, lists with commas.

    Args:
        text: the word.
        at: where it stands in a file; on the command line if None.

    Raises:
        InputError: naming the key, the value and what is allowed.
    """
    kind, entry = read_spec(text, PARAMETERS, "constraint", option=_OPTION, at=at)
    fields = entry.fields(_REQUIRED[kind], ("name", *PARAMETERS[kind]))
    link = fields["link"].text() if "link" in fields else TOOL
    name = fields["name"].text() if "name" in fields else kind
    try:
        if kind == "upright":
            axis = fields.get("axis")
            along = None if axis is None else unit(axis.numbers(3) if axis.is_list else axis.text(), "axis")
            degrees = fields["degrees"].number() if "degrees" in fields else Upright.degrees
            return Upright(axis=along, degrees=degrees, link=link, name=name)
        if kind == "speed":
            return SpeedLimit(limit=fields["limit"].number(), link=link, name=name)
        x, y, z = fields["xyz"].numbers(3)
        if "quat_xyzw" in fields and "rpy_deg" in fields:
            raise fields["quat_xyzw"].error("two orientations", allowed="rpy_deg or quat_xyzw")
        pose = Pose.turned((x, y, z), tuple(math.radians(angle) for angle in _numbers(fields, "rpy_deg", (0.0,) * 3)))
        qx, qy, qz, qw = _numbers(fields, "quat_xyzw", pose.quat_xyzw)
        pose = Pose(xyz=(x, y, z), quat_xyzw=(qx, qy, qz, qw))
        a, b, c = fields["size"].numbers(3, positive=True)
        return StayIn(box=Box(name=name, size=(a, b, c), pose=pose), link=link, name=name)
    except InputError as error:
        if error.file is not None:
            raise
        line = at.line if at else None
        raise InputError(
            error.problem, file=entry.file, line=line, key=error.key, value=error.value, allowed=error.allowed
        ) from error


def _numbers(fields: Fields, key: str, default: tuple[float, ...]) -> tuple[float, ...]:
    return fields[key].numbers(len(default)) if key in fields else default


def constraint_word(constraint: Constraint) -> str:
    """Return the word that `parse_constraint` reads.

    Raises:
        InputError: for a line, which has none, or a name that no word can hold.
    """
    if isinstance(constraint, OnLine):
        raise InputError("a line is no word", key="constraints", value=constraint.name, allowed=list(PARAMETERS))
    kind = next(name for name, one in KINDS.items() if isinstance(constraint, one))
    values: dict[str, str] = {"link": constraint.link}
    if isinstance(constraint, Upright):
        values["degrees"] = repr(constraint.degrees)
        if constraint.axis is not None:
            values["axis"] = _list(constraint.axis)
    elif isinstance(constraint, SpeedLimit):
        values["limit"] = repr(constraint.limit)
    else:
        box = constraint.box
        values |= {"xyz": _list(box.pose.xyz), "size": _list(box.size)}
        if box.pose.quat_xyzw != Pose().quat_xyzw:
            values["quat_xyzw"] = _list(box.pose.quat_xyzw)
    if constraint.name != kind:
        values["name"] = constraint.name
    for key, value in values.items():
        if set(value) & set(":=") or ("," in value and key in ("link", "name")):
            raise InputError("a name that no word can hold", key=f"constraints.{key}", value=value)
    return ":".join([kind, *(f"{key}={value}" for key, value in values.items())])


def _list(values: Sequence[float]) -> str:
    return ",".join(repr(value) for value in values)


def constraint_document(constraints: Sequence[Constraint]) -> list[Json]:
    """Return what `read_constraints` reads back."""
    names = {kind: name for name, kind in KINDS.items()}
    return [{"kind": names[type(one)], **asdict(one)} for one in constraints]


def read_constraints(entry: Entry) -> tuple[Constraint, ...]:
    """Return the constraints of a plan file.

    Raises:
        InputError: for a kind that is not there, or fields that are not those of the kind.
    """
    found: list[Constraint] = []
    for one in entry.sequence():
        kind = required(one, ["kind"])["kind"].choice(KINDS, "kind")
        found.append(read_record(KINDS[kind], one))
    return tuple(found)
