"""Results of sequences on disk: `task.json` (`diffplan/task-result@1`), and a plan file for each motion."""

from __future__ import annotations

import json
from pathlib import Path

from diffplan import __version__
from diffplan.formats.scene_writer import scene_keys
from diffplan.sequence.play import PlacedObject, PlayReport
from diffplan.sequence.result import SequencePlan
from diffplan.strict.entry import Json
from diffplan.system.files import make_folder, write_text


def save_sequence(plan: SequencePlan, folder: Path, *, execution: PlayReport | None = None) -> None:
    """Write a sequence into a folder, `execution` too if it was played; the plan files first.

    Raises:
        InputError: if a file cannot be written.
    """
    make_folder(folder)
    names = _plan_files(plan)
    for step, name in zip(plan.steps, names, strict=True):
        if step.plan is not None and name is not None:
            step.plan.save(folder / name)
    document = sequence_document(plan, execution=execution)
    write_text(folder / "task.json", json.dumps(document, indent=1, allow_nan=False) + "\n")


def _plan_files(plan: SequencePlan) -> list[str | None]:
    """Return the name of each step's plan file, None for steps without a motion."""
    return [f"{i + 1:02}_{step.kind}.json" if step.plan else None for i, step in enumerate(plan.steps)]


def sequence_document(plan: SequencePlan, *, execution: PlayReport | None = None) -> dict[str, Json]:
    """Return what `task.json` holds of a sequence; the plan of a step is the name of its file beside it."""
    names = _plan_files(plan)
    steps: list[Json] = [
        {
            "kind": step.kind,
            "label": step.label,
            "status": step.status.value,
            "plan": name,
            "object": step.object or None,
            "held": list(step.held),
            "fingers": dict(step.fingers),
            "goes_on": step.goes_on,
            "seconds": step.seconds,
        }
        for step, name in zip(plan.steps, names, strict=True)
    ]
    document: dict[str, Json] = {
        "format": "diffplan/task-result@1",
        "status": plan.status.value,
        "message": plan.message,
        "robot": plan.robot.name,
        "scene": plan.scene.name,
        "seed": plan.seed,
        "start": plan.start.tolist(),
        "steps": steps,
        "duration_s": plan.duration,
        "timing_s": dict(plan.timing_s),
        "end": _objects(plan),
        "versions": {"diffplan": __version__},
    }
    if execution is not None:
        document["execution"] = execution_keys(execution)
    return document


def _objects(plan: SequencePlan) -> list[Json]:
    """Return where the objects that were put down should be afterwards, as obstacles of a scene file."""
    keys = scene_keys(plan.end, None)["obstacles"] if plan.solved else []
    assert isinstance(keys, list)
    return [one for one in keys if isinstance(one, dict) and one["name"] in plan.moved]


def execution_keys(report: PlayReport) -> dict[str, Json]:
    """Return what a file holds of how a sequence went in physics."""

    def told(one: PlacedObject) -> Json:
        return {
            "name": one.name,
            "off_mm": one.off_mm,
            "off_deg": one.off_deg,
            "pose": {"xyz": list(one.pose.xyz), "quat_xyzw": list(one.pose.quat_xyzw)},
        }

    return {
        "objects": [told(one) for one in report.objects],
        "disturbed": [told(one) for one in report.disturbed],
        "max_tracking_error_rad": report.tracking_rad,
    }
