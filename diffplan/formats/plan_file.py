"""Plan files (JSON, `diffplan/plan@1`): written whole or not at all, and read back."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, is_dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TypeVar, get_args, get_type_hints

import numpy as np

from diffplan.errors import InputError
from diffplan.formats.entry import Entry, Json
from diffplan.formats.strict_json import read_json
from diffplan.problem import Alternative, Certificate, Metrics, Plan, Status, Trajectory

_T = TypeVar("_T")
_PACKAGES = ("diffplan", "numpy", "torch", "pybullet", "numba", "toppra", "ompl")
_ARRAYS = ("position", "velocity", "acceleration")
_MOTION = ("time_s", *_ARRAYS, "certificate", "metrics")


@dataclass(frozen=True, kw_only=True, eq=False)
class PlanFile:
    """A plan as its file tells it: robot and scene by name; `trajectory` is None if no candidate was found."""

    status: Status
    message: str
    planner: str
    solved_by: str
    robot: str
    scene: str
    seed: int
    joint_names: tuple[str, ...]
    held_joints: dict[str, float]
    trajectory: Trajectory | None
    goal_index: int | None
    certificate: Certificate | None
    metrics: Metrics | None
    timing_s: dict[str, float]
    alternatives: tuple[Alternative, ...]
    versions: dict[str, str]


def plan_document(plan: Plan) -> dict[str, Json]:
    """Return the content of the plan file."""
    return {
        "format": "diffplan/plan@1",
        "status": plan.status.value,
        "message": plan.message,
        "planner": plan.planner,
        "solved_by": plan.solved_by,
        "robot": plan.robot.name,
        "scene": plan.scene.name,
        "seed": plan.seed,
        "joint_names": list(plan.robot.joint_names),
        "held_joints": dict(plan.robot.held_joints),
        "start": plan.start.tolist(),
        "goals": plan.goals.tolist(),
        **_motion(plan.trajectory, plan.certificate, plan.metrics),
        "costs": dict(plan.costs),
        "judged": asdict(plan.judged),
        "timing_s": {name: float(seconds) for name, seconds in plan.timing_s.items()},
        "alternatives": [_motion(a.trajectory, a.certificate, a.metrics) for a in plan.alternatives],
        "versions": {"python": platform.python_version(), **_versions()},
    }


def save_plan(plan: Plan, path: str | Path) -> None:
    """Write a plan file; a reader never sees half of one, and a failed write leaves the old file.

    Raises:
        InputError: if the file cannot be written.
    """
    path = Path(path)
    lines = [f"{json.dumps(key)}: {json.dumps(value, allow_nan=False)}" for key, value in plan_document(plan).items()]
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise InputError(f"cannot be written: {error.strerror}", file=path) from error


def load_plan(path: str | Path) -> PlanFile:
    """Read a plan file; keys that are not known are passed over, since outputs may grow.

    Raises:
        InputError: naming file, key path, value and what is allowed.
    """
    names = {field.name for field in fields(PlanFile)} - {"trajectory"}
    entry = read_json(path)
    _required(entry, ["format"])["format"].expect_format("diffplan/plan@1")
    top = _required(entry, [*sorted(names), *_MOTION])
    joint_names = tuple(name.text() for name in top["joint_names"].sequence())
    trajectory, certificate, metrics = _read_motion(top, len(joint_names))
    return PlanFile(
        status=Status(top["status"].choice([status.value for status in Status], "status")),
        message=_word(top["message"]),
        planner=top["planner"].text(),
        solved_by=_word(top["solved_by"]),
        robot=top["robot"].text(),
        scene=top["scene"].text(),
        seed=int(top["seed"].number()),
        joint_names=joint_names,
        held_joints={name: value.number() for name, value in top["held_joints"].mapping().items()},
        trajectory=trajectory,
        goal_index=None if top["goal_index"].raw is None else int(top["goal_index"].number()),
        certificate=certificate,
        metrics=metrics,
        timing_s={name: value.number() for name, value in top["timing_s"].mapping().items()},
        alternatives=tuple(_alternative(entry, len(joint_names)) for entry in top["alternatives"].sequence()),
        versions={name: value.text() for name, value in top["versions"].mapping().items()},
    )


def _motion(trajectory: Trajectory | None, certificate: Certificate | None, metrics: Metrics | None) -> dict[str, Json]:
    """Return the part that a plan and its alternatives share; without a trajectory its lists are empty."""
    arrays: dict[str, Json] = {"time_s": trajectory.time.tolist() if trajectory else []}
    for name in _ARRAYS:
        arrays[name] = getattr(trajectory, name).tolist() if trajectory else []
    return {
        **arrays,
        "goal_index": certificate.goal_index if certificate else None,
        "certificate": asdict(certificate) if certificate else None,
        "metrics": asdict(metrics) if metrics else None,
    }


def _versions() -> dict[str, Json]:
    found: dict[str, Json] = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _required(entry: Entry, keys: Iterable[str]) -> dict[str, Entry]:
    entries = entry.mapping()
    for key in keys:
        if key not in entries:
            raise entry.error(f"key {key!r} is missing")
    return entries


def _alternative(entry: Entry, dof: int) -> Alternative:
    trajectory, certificate, metrics = _read_motion(_required(entry, _MOTION), dof)
    if trajectory is None or certificate is None or metrics is None:
        raise entry.error("an alternative needs a trajectory, a certificate and metrics")
    return Alternative(trajectory=trajectory, certificate=certificate, metrics=metrics)


def _read_motion(entries: dict[str, Entry], dof: int) -> tuple[Trajectory | None, Certificate | None, Metrics | None]:
    times = entries["time_s"].sequence()
    rows = {name: [row.numbers(dof) for row in entries[name].sequence()] for name in _ARRAYS}
    for name, values in rows.items():
        if len(values) != len(times):
            raise entries[name].error("not as many rows as time_s", allowed=f"{len(times)} rows")
    trajectory = None
    if times:
        time = np.array([entry.number() for entry in times])
        trajectory = Trajectory(time=time, **{name: np.array(values) for name, values in rows.items()})
    certificate, metrics = entries["certificate"], entries["metrics"]
    return (
        trajectory,
        None if certificate.raw is None else _read(Certificate, certificate),
        None if metrics.raw is None else _read(Metrics, metrics),
    )


def _read(kind: type[_T], entry: Entry) -> _T:
    """Return a flat dataclass from a mapping with its fields; a field typed as a dataclass is read likewise."""
    hints = get_type_hints(kind)
    entries = _required(entry, hints)
    return kind(**{name: _value(entries[name], hint) for name, hint in hints.items()})


def _value(entry: Entry, hint: type) -> object:
    optional = get_args(hint)
    if optional:
        return None if entry.raw is None else _value(entry, optional[0])
    if is_dataclass(hint):
        return _read(hint, entry)
    if hint is bool:
        return entry.boolean()
    return _word(entry) if hint is str else hint(entry.number())


def _word(entry: Entry) -> str:
    """Return a text that may be empty."""
    return "" if entry.raw == "" else entry.text()
