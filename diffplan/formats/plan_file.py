"""Plan files (JSON, `diffplan/plan@1`): written whole or not at all, with the scene that was planned in.

`load_plan` reads the motion alone; `stored_plan.read_plan` gives the whole plan, robot and scene included.
"""

from __future__ import annotations

import json
import platform
import re
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from diffplan.errors import InputError
from diffplan.formats.constraints import constraint_document
from diffplan.formats.fingerprint import fingerprint, json_sum, scene_files
from diffplan.formats.scene_writer import path_word, scene_keys
from diffplan.problem import Alternative, Certificate, Contact, Metrics, Plan, Status, Trajectory
from diffplan.scene import UnknownScene
from diffplan.strict.entry import Entry, Json
from diffplan.strict.keys import Key, Keys
from diffplan.strict.record import read_record, required, word
from diffplan.strict.strict_json import read_json
from diffplan.system.assets import asset_folder
from diffplan.system.files import write_text
from diffplan.system.reading import LARGEST_JSON, is_file, read_bytes

_PACKAGES = ("diffplan", "numpy", "torch", "pybullet", "pybullet-arm64", "numba", "ompl")
_ARRAYS = ("position", "velocity", "acceleration")
_IS_PLAN = re.compile(rb'"format"\s*:\s*"diffplan/plan@')
_MOTION = ("time_s", *_ARRAYS, "certificate", "metrics")
_EARLIER = "not in files of earlier versions"


def _rows(what: str, unit: str, example: str) -> Key:
    return Key(kind="list of numbers", about=f"{what} at those times", unit=unit, example=f"[[{example}, ...], ...]")


PLAN = Keys(
    format=Key(kind="text", about="the format and its version", example='"diffplan/plan@1"'),
    status=Key(kind="a word", about="how planning ended (see the status words)", example='"solved"'),
    message=Key(kind="text", about="the reason, and what can be done about it", example='""'),
    planner=Key(kind="text", about="the planner that was asked", example='"diffusion"'),
    solved_by=Key(kind="text", about="the planner whose path it is; empty if none", example='"diffusion"'),
    robot=Key(kind="text", about="the robot's name", example='"panda"'),
    scene=Key(kind="text", about="the scene's name", example='"bookshelf"'),
    seed=Key(kind="whole number", about="the random seed", example="0"),
    joint_names=Key(kind="list of texts", about="the joints, in the order of all values", example='["panda_joint1"]'),
    held_joints=Key(
        kind="names to numbers",
        about="where joints stood that are not planned for",
        unit="rad or m",
        example='{"panda_finger_joint1": 0.04}',
    ),
    time_s=Key(kind="numbers", about="times of the samples; empty without a motion", unit="s", example="[0, 0.01]"),
    position=_rows("joint values", "rad or m", "0, -0.785"),
    velocity=_rows("velocities", "rad/s or m/s", "0, 0"),
    acceleration=_rows("accelerations", "rad/s² or m/s²", "1.5, -0.8"),
    goal_index=Key(kind="whole number or null", about="the row of goals where it ends", example="0"),
    certificate=Key(kind="mapping or null", about="PyBullet's verdict (see below)", example="{...}"),
    metrics=Key(kind="mapping or null", about="properties of the motion (see below)", example="{...}"),
    timing_s=Key(kind="names to numbers", about="what took how long", unit="s", example='{"plan": 0.02}'),
    alternatives=Key(kind="list of mappings", about="other ways: time_s to metrics of each", example="[]"),
    versions=Key(kind="names to texts", about="versions of packages", example='{"numpy": "2.3.0"}'),
    start=Key(kind="numbers", about="joint values of the start", unit="rad or m", default=_EARLIER, example="[0, ...]"),
    goals=Key(
        kind="list of numbers", about="joint values of the goals", unit="rad or m", default=_EARLIER, example="[[...]]"
    ),
    goal_numbers=Key(
        kind="whole numbers", about="which of the goals asked for each row is of", default=_EARLIER, example="[0, 0]"
    ),
    goal_number=Key(
        kind="whole number or null", about="which of the goals asked for was reached", default=_EARLIER, example="0"
    ),
    speed=Key(kind="number", about="share of the limits it was timed for", default="1", example="0.5"),
    assumed_limits=Key(
        kind="names to texts", about="limits that nothing told, by kind", default=_EARLIER, example='{"jerk": []}'
    ),
    constraints=Key(kind="list of mappings", about="what the motion keeps", default=_EARLIER, example="[]"),
    costs=Key(kind="names to numbers", about="the wishes, unweighted", default=_EARLIER, example="{}"),
    judged=Key(kind="mapping", about="how many paths were judged (see below)", default=_EARLIER, example="{...}"),
    remarks=Key(kind="list of texts", about="what the planner says of the problem", default=_EARLIER, example="[]"),
    contact=Key(
        kind="mapping or null",
        about="what touches, where the status says so (see below)",
        default=_EARLIER,
        example="null",
    ),
    world=Key(kind="mapping", about="the scene, with the keys of a scene file", default=_EARLIER, example="{...}"),
    sums=Key(
        kind="mapping", about="SHA-256 sums of `robot` parts and scene `files`", default=_EARLIER, example="{...}"
    ),
    robot_file=Key(
        kind="path", about="the robot file, of a robot of yours", default="a shipped robot", example='"a.yaml"'
    ),
    content_sum=Key(
        kind="text",
        about="sum of what the verdict hangs on; a changed file has another",
        default=_EARLIER,
        example='"9c..."',
    ),
)
_SUMMED = (
    *("status", "robot", "joint_names", "held_joints", "start", "goals", "goal_index", "alternatives", "world"),
    *("sums", *_MOTION),
)
"""The keys that the verdict hangs on: `content_sum` is made of them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PlanFile:
    """A plan as its file tells it: robot and scene by name; `trajectory` is None if no candidate was found.

    `intact` is false if the file was changed after it was written; `entries` are all its keys.
    """

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
    intact: bool
    entries: dict[str, Entry]


def plan_document(plan: Plan, folder: Path | None = None) -> dict[str, Json]:
    """Return the content of a plan file in this folder (None: all paths are absolute).

    Raises:
        InputError: if the scene has a name that no file can hold, or a file of robot or scene cannot be read.
    """
    document: dict[str, Json] = {
        "format": "diffplan/plan@1",
        "status": plan.status.value,
        "message": plan.message,
        "planner": plan.planner,
        "solved_by": plan.solved_by,
        "robot": plan.robot.name,
        "scene": plan.scene.name,
        "seed": plan.seed,
        "speed": plan.speed,
        "joint_names": list(plan.robot.joint_names),
        "held_joints": dict(plan.robot.held_joints),
        "assumed_limits": {rate: list(joints) for rate, joints in plan.robot.assumed.items()},
        "start": plan.start.tolist(),
        "goals": plan.goals.tolist(),
        "goal_numbers": list(plan.goal_numbers),
        "goal_number": plan.goal_number,
        "constraints": constraint_document(plan.constraints),
        **_motion(plan.trajectory, plan.certificate, plan.metrics),
        "costs": dict(plan.costs),
        "judged": asdict(plan.judged),
        "remarks": list(plan.remarks),
        "contact": _contact(plan.contact),
        "timing_s": {name: float(seconds) for name, seconds in plan.timing_s.items()},
        "alternatives": [_motion(a.trajectory, a.certificate, a.metrics) for a in plan.alternatives],
        **_world(plan, folder),
        "versions": {"python": platform.python_version(), **_versions()},
    }
    return {**document, "content_sum": content_sum(document)}


def content_sum(document: dict[str, Json]) -> str:
    """Return the sum of those keys of a plan file that its verdict hangs on."""
    summed = {key: document.get(key) for key in _SUMMED}
    if document.get("constraints"):  # which earlier versions do not have
        summed["constraints"] = document["constraints"]
    return json_sum(summed)


def _world(plan: Plan, folder: Path | None) -> dict[str, Json]:
    """Return what the motion was certified in: the scene in its own keys, and the sums of all files behind it."""
    if isinstance(plan.scene, UnknownScene):
        return {}
    sums = plan.fingerprint
    if sums is None or set(sums.files) != set(scene_files(plan.scene)):  # not certified, or its scene was replaced
        sums = fingerprint(plan.robot, plan.scene)
    files: dict[str, Json] = {path_word(Path(file), folder): found for file, found in sums.files.items()}
    world: dict[str, Json] = {
        "world": scene_keys(plan.scene, folder),
        "sums": {"robot": {**sums.robot}, "files": files},
    }
    if plan.robot.file is not None and not plan.robot.file.is_relative_to(asset_folder("robots")):
        world["robot_file"] = path_word(plan.robot.file, folder)
    return world


def save_plan(plan: Plan, path: str | Path) -> None:
    """Write a plan file; a reader never sees half of one, and a failed write leaves the old file.

    Raises:
        InputError: if the file cannot be written.
    """
    path = Path(path)
    write_text(path, plan_text(plan, path.parent))


def plan_text(plan: Plan, folder: Path) -> str:
    """Return the content of a plan file in this folder; as `plan_document`."""
    lines = [
        f"{json.dumps(key)}: {json.dumps(value, allow_nan=False)}" for key, value in plan_document(plan, folder).items()
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def is_plan_file(path: str | Path) -> bool:
    """Whether a file says that it is a plan; what is wrong with it, `load_plan` tells."""
    path = Path(path)
    if path.suffix.lower() != ".json" or not is_file(path):
        return False
    try:
        data = read_bytes(path, LARGEST_JSON)
    except InputError:
        return False
    return data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") and _IS_PLAN.search(data) is not None


def load_plan(path: str | Path) -> PlanFile:
    """Read a plan file; keys that are not known are passed over, since outputs may grow.

    Raises:
        InputError: naming file, key path, value and what is allowed.
    """
    entry = read_json(path)
    required(entry, ["format"])["format"].expect_format("diffplan/plan@1")
    top = required(entry, PLAN.required)
    joint_names = tuple(name.text() for name in top["joint_names"].sequence())
    trajectory, certificate, metrics = _read_motion(top, len(joint_names))
    return PlanFile(
        status=Status(top["status"].choice([status.value for status in Status], "status")),
        message=word(top["message"]),
        planner=top["planner"].text(),
        solved_by=word(top["solved_by"]),
        robot=top["robot"].text(),
        scene=top["scene"].text(),
        seed=top["seed"].whole(),
        joint_names=joint_names,
        held_joints={name: value.number() for name, value in top["held_joints"].mapping().items()},
        trajectory=trajectory,
        goal_index=None if top["goal_index"].raw is None else top["goal_index"].whole(),
        certificate=certificate,
        metrics=metrics,
        timing_s={name: value.number() for name, value in top["timing_s"].mapping().items()},
        alternatives=tuple(_alternative(entry, len(joint_names)) for entry in top["alternatives"].sequence()),
        versions={name: value.text() for name, value in top["versions"].mapping().items()},
        intact="content_sum" not in top or top["content_sum"].raw == _sum_of(entry),
        entries=top,
    )


def _sum_of(entry: Entry) -> str | None:
    return content_sum(entry.raw) if isinstance(entry.raw, dict) else None


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


def _contact(contact: Contact | None) -> Json:
    return None if contact is None else {**asdict(contact), "q": list(contact.q)}


def _versions() -> dict[str, Json]:
    found: dict[str, Json] = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _alternative(entry: Entry, dof: int) -> Alternative:
    trajectory, certificate, metrics = _read_motion(required(entry, _MOTION), dof)
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
        None if certificate.raw is None else read_record(Certificate, certificate),
        None if metrics.raw is None else read_record(Metrics, metrics),
    )
