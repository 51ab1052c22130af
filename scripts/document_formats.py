"""Write docs/reference/formats.md: every key of every file, from the declarations that the readers themselves use.

    python scripts/document_formats.py

tests/test_format_reference.py compares the page with the readers.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import get_type_hints

from diffplan.constraints.named import CONSTRAINTS
from diffplan.constraints.named import PARAMETERS as CONSTRAINT_PARAMETERS
from diffplan.costs.named import COMMON, COSTS
from diffplan.costs.named import PARAMETERS as COST_PARAMETERS
from diffplan.formats import link_parts, obstacles, plan_file, problems_file, robot_file, scene_file, urdf_place
from diffplan.learning import shards
from diffplan.planners import PLANNERS, make_planner
from diffplan.problem import Certificate, Contact, Judged, Metrics, Status
from diffplan.sequence import task_file
from diffplan.strict.keys import Key, Keys

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "formats.md"


def table(keys: Keys | dict[str, Key]) -> str:
    """Return the table of the keys of a mapping."""
    lines = ["| key | value | unit | default | example | meaning |", "|---|---|---|---|---|---|"]
    for name, key in (keys.all if isinstance(keys, Keys) else keys).items():
        default = "**must be there**" if key.default is None else key.default
        lines.append(f"| `{name}` | {key.kind} | {key.unit} | {default} | `{key.example}` | {key.about} |")
    return "\n".join(lines)


def words(parameters: dict[str, str]) -> str:
    """Return the table of the parameters of a word."""
    return "\n".join(
        [
            "| key | meaning |",
            "|---|---|",
            *(f"| `{key}` | {about.replace('|', chr(92) + '|')} |" for key, about in parameters.items()),
        ]
    )


def record(kind: type) -> str:
    """Return the table of a record: the fields of a dataclass, what it says of them above."""
    assert is_dataclass(kind)
    types = {field.name: str(field.type).replace("|", "or").replace("None", "null") for field in fields(kind)}
    return "\n".join(
        [_about(kind), "", "| key | type |", "|---|---|", *(f"| `{name}` | {text} |" for name, text in types.items())]
    )


def _about(kind: type) -> str:
    text = "\n".join(line.strip() for line in (kind.__doc__ or "").splitlines()).strip()
    lines = [
        f"- `{line.replace(': ', '`: ', 1).replace(', ', '`, `', line.split(': ')[0].count(', '))}"
        if ": " in line and "Attributes" in text and all(name.isidentifier() for name in line.split(":")[0].split(", "))
        else line
        for line in text.splitlines()
    ]
    return "\n".join(line for line in lines if line != "Attributes:")


def options(name: str) -> str:
    """Return the options of a planner with what their dataclass says of them."""
    config = _config(name)
    if config is None:
        return "No options."
    first = next(one for one in PLANNERS if _config(one) and type(_config(one)) is type(config))
    about = f"Those of [{first}](#options-{first}), with other defaults."
    if first == name:
        own, *shared = (_about(kind) for kind in type(config).__mro__ if is_dataclass(kind))
        about = "\n\n".join([own, *(text.partition("\n\n")[2] for text in shared)])
    types = get_type_hints(type(config))
    rows = [
        f"| `{one.name}` | {types[one.name].__name__} | {_yaml(getattr(config, one.name))} |" for one in fields(config)
    ]
    return "\n".join([about, "", "| option | type | default |", "|---|---|---|", *rows])


def _config(name: str) -> object | None:
    return next((value for value in vars(make_planner(name)).values() if is_dataclass(value)), None)


def _yaml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def page() -> str:
    """Return the page."""
    kinds = {kind: one.keys for kind, one in obstacles.OBSTACLES.items()}
    top = {"format": scene_file.FORMAT, **scene_file.SCENE.all}
    parts: list[tuple[str, str]] = [
        ("# Format reference", _INTRODUCTION),
        (
            "## Scene",
            f"A YAML file, `diffplan/scene@1`, for `diffplan check`, `view`, `plan` and `studio`.\n\n"
            f"```yaml\n{_SCENE}```\n\n{table(top)}",
        ),
        ("### Pose", table(obstacles.POSE)),
        ("### Obstacle", f"{table(obstacles.OBSTACLE)}\n\nand by its type:"),
        *((f"#### Obstacle: {kind}", table(keys)) for kind, keys in kinds.items()),
        ("### Query", table(scene_file.QUERY)),
        (
            "### Pose goal",
            f"{table(scene_file.POSE_GOAL)}\n\n"
            f"or several poses that share the rest:\n\n{table({'poses': scene_file.POSE_GOALS.all['poses']})}",
        ),
        (
            "### Held object",
            f"The keys of an [obstacle](#obstacle) that has an end, and\n\n{table(scene_file.ATTACHED)}",
        ),
        ("### Allowed contact", table(scene_file.CONTACT)),
        (
            "### Constraint words",
            "`KIND:KEY=VALUE:KEY=VALUE`, lists with commas; `name` is what the plan calls it (default: its kind).",
        ),
        *(
            (f"#### Constraint: {kind}", f"{about[0].upper()}{about[1:]}.\n\n{words(CONSTRAINT_PARAMETERS[kind])}")
            for kind, about in CONSTRAINTS.items()
        ),
        (
            "## Robot",
            f"A YAML file, `diffplan/robot@1`: robot.yaml in a folder that `diffplan robots add URDF` makes.\n\n"
            f"{table(robot_file.ROBOT)}",
        ),
        ("### Place of the URDF", table(urdf_place.URDF)),
        ("### Limits of a joint", table(robot_file.JOINT)),
        ("### Gripper", f"{table(robot_file.GRIPPER)}\n\nof each finger's joint:\n\n{table(robot_file.FINGER)}"),
        (
            "## Collision",
            f"A YAML file, `diffplan/collision@1`, that `diffplan robots fit` writes.\n\n{table(robot_file.COLLISION)}",
        ),
        ("### Spheres of a link", table(robot_file.SPHERES)),
        (
            "### Convex parts",
            f"{table(link_parts.PARTS_IN_FILE)}\n\n"
            f"or, made when the robot is loaded:\n\n{table(link_parts.PARTS_WITHIN)}",
        ),
        ("### Self-collision", f"{table(robot_file.SELF_COLLISION)}\n\nof each pair:\n\n{table(robot_file.IGNORED)}"),
        ("## Suite", f"A JSON file, plain or gzipped, `diffplan/problems@1`.\n\n{table(problems_file.SUITE)}"),
        ("### Problem", table(problems_file.PROBLEM)),
        (
            "## Task",
            f"A YAML file, `diffplan/task@1`, for `diffplan task FILE`.\n\n```yaml\n{_TASK}```\n\n"
            f"{table(task_file.TASK)}\n\nEach step is one of:",
        ),
        ("### Step: pick", f"{table(task_file.PICK)}\n\nof each grasp in a list:\n\n{table(task_file.GRASP)}"),
        (
            "### Step: place",
            f"{table(task_file.PLACE)}\n\nor several:\n\n{table({'poses': task_file.PLACES.all['poses']})}",
        ),
        ("### Step: move", table(task_file.MOVE)),
        (
            "### Step: line",
            f"{table(task_file.LINE_BY)}\n\nor to a place:\n\n{table({'pose': task_file.LINE_TO.all['pose']})}",
        ),
        ("### Step: gripper", "`open`, `close`, or the distance of the pads [m]."),
        ("### Step: pause", "A time to stand still [s]."),
        ("### Step: attach, detach", table(task_file.OBJECT)),
        (
            "## Plan",
            f"A JSON file, `diffplan/plan@1`, that `diffplan plan --out` writes. Readers pass over keys "
            f"that they do not know.\n\n"
            f"{table(plan_file.PLAN)}",
        ),
        ("### Status words", "\n".join(f"- `{status.value}`: {status.advice}" for status in Status)),
        *(
            (f"### {name}", record(kind))
            for name, kind in (
                ("Certificate", Certificate),
                ("Metrics", Metrics),
                ("Judged", Judged),
                ("Contact", Contact),
            )
        ),
        (
            "## Options",
            "A YAML file without a `format`, `planner: {option: value}`, for `--options` of `plan` and `bench`; "
            f"options that are left out keep their default.\n\n```yaml\n{_OPTIONS}```",
        ),
        *((f"### Options: {name}", options(name)) for name in PLANNERS),
        (
            "## Costs",
            f"A YAML file with `format: diffplan/costs@1` and `costs`, a list of mappings `cost: KIND` "
            f"with its parameters, for `diffplan plan --costs`.\n\n```yaml\n{_COSTS}```\n\nOf every kind:\n\n"
            f"{words(COMMON)}",
        ),
        *(
            (f"### Cost: {kind}", f"{about[0].upper()}{about[1:]}.\n\n{words(COST_PARAMETERS[kind])}")
            for kind, about in COSTS.items()
        ),
        (
            "## Dataset",
            f"HDF5 files `shard-*.h5` of `diffplan data generate`, `{shards.FORMAT}`. Attributes:\n\n"
            f"{table(shards.ATTRIBUTES)}\n\nData sets (n paths):\n\n{table(shards.DATASETS)}",
        ),
    ]
    return "\n\n".join(f"{heading}\n\n{text}" for heading, text in parts) + "\n"


_INTRODUCTION = """Every key of every file. This page is made by `python scripts/document_formats.py` from what the
readers declare; a test compares it with the readers.

Lengths are in metres and angles in radians where no unit in the key's name says otherwise. The world is right-handed
with z up; poses of obstacles are of their centre, in the world. Paths start at the folder of the file that names them.
Files are read strictly: a key that is not on this page, a missing key or a wrong value is refused with file, line and
what is allowed. YAML values need no quotes; a text with `: ` or `#` in it does."""

_SCENE = """format: diffplan/scene@1
name: workbench
robot: panda
obstacles:
  - {name: floor, type: floor}
  - {name: table, type: box, size: [0.6, 1.0, 0.04], pose: {xyz: [0.6, 0, 0.2]}}
  - {name: post, type: cylinder, radius: 0.04, height: 0.5, pose: {xyz: [0.45, 0.1, 0.47]}}
queries:
  default: {start: home, goal: {pose: {xyz: [0.5, 0.35, 0.45], rpy_deg: [180, 0, 0]}, free: z}}
"""

_TASK = """format: diffplan/task@1
scene: table.yaml
steps:
  - pick: {object: cube, grasps: top}
  - place: {pose: {xyz: [0.5, -0.2, 0.025]}, free: z}
  - gripper: close
  - pause: 0.5
  - line: {offset: [0, 0, 0.05]}
  - move: {goal: home}
"""

_OPTIONS = """diffusion: {batch: 16, steps: 4}
rrtconnect: {range: 0.5, simplify: false}
"""

_COSTS = """format: diffplan/costs@1
costs:
  - {cost: upright, tolerance_deg: 10}
  - {cost: avoid, xyz: [0.8, 0, 0.8], radius: 0.2, weight: 50}
"""


if __name__ == "__main__":
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page())
    print(PAGE)
