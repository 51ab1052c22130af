"""The format reference is what the readers take: made of their declarations, and compared with what they ask for."""

import gzip
import importlib.util
import json
import re
from pathlib import Path

import h5py
import pytest

import diffplan as dp
from diffplan.benchmark.suites import load_cases
from diffplan.cli.common import read_options
from diffplan.costs.named import COSTS
from diffplan.costs.reader import read_costs
from diffplan.formats.plan_file import PLAN, plan_document
from diffplan.learning.shards import ATTRIBUTES, DATASETS, shard_files
from diffplan.planners import PLANNERS, make_planner
from diffplan.problem import Status
from diffplan.sequence.task_file import load_task
from diffplan.strict.entry import Entry
from diffplan.system.assets import shipped_robots, shipped_scenes, shipped_tasks

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "reference" / "formats.md").read_text()
SCENE = """\
format: diffplan/scene@1
name: all_kinds
robot: panda
robot_base: {xyz: [0, 0, 0]}
hold: {panda_finger_joint1: 0.02}
obstacles:
  - {name: floor, type: floor}
  - {name: wall, type: plane, pose: {xyz: [0, 2, 0], rpy_deg: [90, 0, 0]}}
  - {name: a, type: box, size: [0.1, 0.1, 0.1], pose: {xyz: [0.9, 0, 0.4]}}
  - {name: b, type: sphere, radius: 0.1, pose: {xyz: [0.9, 0.3, 0.4], quat_xyzw: [0, 0, 0, 1]}}
  - {name: c, type: cylinder, radius: 0.1, height: 0.1, pose: {xyz: [0.9, 0.6, 0.4], quat_wxyz: [1, 0, 0, 0]}}
  - {name: d, type: capsule, radius: 0.1, height: 0.1, pose: {xyz: [0.9, 0.9, 0.4], rpy: [0, 0, 0]}}
  - {name: e, type: mesh, file: box.obj, scale: 0.1, convex: true, pose: {xyz: [5, 0, 0]}}
  - {name: f, type: urdf, file: box.urdf, scale: 1, pose: {xyz: [6, 0, 0]}}
attached:
  - {name: rod, type: cylinder, radius: 0.01, height: 0.1, pose: {xyz: [0, 0, 0.1]}, link: panda_hand, may_touch: []}
allowed_contacts: [{pair: [a, floor], depth_mm: 3}]
queries:
  one:
    start: home
    goal: {link: panda_hand, pose: {xyz: [0.5, 0, 0.4]}, free: z, box: [0.1, 0.1, 0]}
    constraints: ["upright:degrees=80", "stay_in:xyz=0,0,0:size=9,9,9", "speed:limit=1"]
  two: {start: home, goal: {tool: true, poses: [{xyz: [0.5, 0, 0.4]}]}}
"""
TASK = """\
format: diffplan/task@1
name: all_steps
scene: scene.yaml
robot: panda
start: home
steps:
  - pick: {object: a, grasps: [{pose: {xyz: [0, 0, 0]}, opening: 0.06}], approach: 0.1, lift: 0.1}
  - line: {offset: [0, 0, 0.1], frame: tool, constraints: ["speed:limit=1"]}
  - line: {pose: {xyz: [0.5, 0, 0.4]}}
  - move: {goal: home, constraints: ["speed:limit=1"]}
  - place: {object: a, pose: {xyz: [0.5, 0, 0.4]}, free: z, approach: 0.1, retreat: 0.1}
"""


def _script():
    spec = importlib.util.spec_from_file_location("document_formats", ROOT / "scripts" / "document_formats.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _installed(name: str) -> dp.Robot | None:
    """Return a shipped robot; None if the package that its URDF comes with is not installed."""
    try:
        return dp.Robot.load(name)
    except dp.InputError as error:
        if "pip install" not in str(error):
            raise
        return None


def _tables() -> list[set[str]]:
    """Return the keys of each table of the page that tells units, defaults and examples."""
    tables = re.findall(r"\| key \| value \| unit .*\n\|---.*\n((?:\| .*\n?)+)", PAGE)
    return [set(re.findall(r"^\| `(\w+)` \|", table, flags=re.MULTILINE)) for table in tables]


@pytest.fixture
def asked(monkeypatch):
    """What readers asked for: the keys of each mapping that was read, but those that are names of the user's."""
    found: list[set[str]] = []
    fields = Entry.fields

    def spy(self, required, optional=(), faults=None):
        required, optional = list(required), list(optional)
        found.append({*required, *optional})
        return fields(self, required, optional, faults)

    monkeypatch.setattr(Entry, "fields", spy)
    return found


def test_the_page_is_what_the_script_makes():
    assert _script().page() == PAGE, "python scripts/document_formats.py"


def test_each_key_that_a_reader_takes_is_on_the_page_and_no_other(asked, tmp_path):
    (tmp_path / "scene.yaml").write_text(SCENE)
    (tmp_path / "task.yaml").write_text(TASK)
    corners = ((-1, -1, -1), (1, -1, -1), (0, 1, -1), (0, 0, 1))
    (tmp_path / "box.obj").write_text(
        "".join(f"v {x} {y} {z}\n" for x, y, z in corners) + "f 1 3 2\nf 1 2 4\nf 2 3 4\nf 3 1 4\n"
    )
    box = '<collision><geometry><box size="0.1 0.1 0.1"/></geometry></collision>'
    (tmp_path / "box.urdf").write_text(f'<robot name="box"><link name="box">{box}</link></robot>')
    dp.Scene.load(tmp_path / "scene.yaml")
    load_task(tmp_path / "task.yaml")
    for name in shipped_scenes():
        dp.Scene.load(name)
    robots = [robot for name in shipped_robots() if (robot := _installed(name))]
    for name in shipped_tasks():
        load_task(name)
    suite = json.loads(gzip.decompress((ROOT / "scenes" / "suites" / "unseen.json.gz").read_bytes()))
    (tmp_path / "suite.json").write_text(json.dumps({**suite, "problems": suite["problems"][:1]}))
    load_cases(str(tmp_path / "suite.json"), None)
    tables = _tables()
    on_page = set().union(*tables)
    names = {name for robot in robots for name in (*robot.model.joints, *robot.model.collisions)}
    words = {"upright", "stay_in", "speed"}
    taken = {key for keys in asked if not keys <= names for key in keys}
    taken -= {"pick", "place", "move", "line", "attach", "detach", "pause"}
    constraints = set().union(
        *(set(re.findall(r"^\| `(\w+)` \|", _section(f"Constraint: {w}"), flags=re.M)) for w in words)
    )
    assert taken <= on_page | constraints
    read_elsewhere = set(PLAN.all) | set(ATTRIBUTES.all) | set(DATASETS.all)
    parts_in_a_file = {"sha256"}  # which no shipped robot has
    assert on_page - taken - parts_in_a_file <= read_elsewhere


def test_the_examples_of_the_page_are_read(tmp_path):
    scene, task, options, costs = re.findall(r"^```yaml\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
    cube = "  - {name: cube, type: box, size: [0.05, 0.05, 0.05], pose: {xyz: [0.5, 0.2, 0.025]}}\n"
    (tmp_path / "scene.yaml").write_text(scene)
    (tmp_path / "table.yaml").write_text(SCENE.partition("obstacles:")[0] + "obstacles:\n" + cube)
    (tmp_path / "task.yaml").write_text(task)
    (tmp_path / "options.yaml").write_text(options)
    (tmp_path / "costs.yaml").write_text(costs)
    assert list(dp.Scene.load(tmp_path / "scene.yaml").queries) == ["default"]
    assert load_task(tmp_path / "task.yaml").name == "task"
    assert read_options(tmp_path / "options.yaml", PLANNERS)["diffusion"] == {"batch": 16, "steps": 4}
    assert [cost.name for cost in read_costs(tmp_path / "costs.yaml", dp.Robot.load("panda"), dp.Scene())] == [
        "upright",
        "avoid",
    ]


def _section(heading: str) -> str:
    return re.split(r"^#+ ", PAGE.partition(f"# {heading}\n")[2], flags=re.MULTILINE)[0]


def test_the_page_has_the_keys_that_a_plan_file_has():
    plan = dp.plan("panda", dp.Scene(), "home", "left", planner="straight")
    assert {*plan_document(plan), "robot_file"} == set(PLAN.all)
    assert set(PLAN.all) in _tables()


def test_the_page_has_what_a_shard_has(small_shard):
    with h5py.File(shard_files(small_shard)[0]) as file:
        assert set(file.attrs) == set(ATTRIBUTES.all)
        assert set(file) == set(DATASETS.all)
    assert set(ATTRIBUTES.all) in _tables()
    assert set(DATASETS.all) in _tables()


def test_the_page_has_each_option_of_each_planner():
    for name in PLANNERS:
        shown = re.findall(r"^\| `(\w+)` \|", _section(f"Options: {name}"), flags=re.MULTILINE)
        with pytest.raises(dp.InputError) as refused:
            make_planner(name, {"no_such_option": 1})
        assert (", ".join(shown) or "no options") == refused.value.allowed, name


def test_the_page_has_each_cost_and_status_word():
    assert all(f"Cost: {kind}" in PAGE for kind in COSTS)
    assert re.findall(r"^- `(\w+)`: ", _section("Status words"), flags=re.MULTILINE) == [one.value for one in Status]


def test_the_page_of_failures_has_a_section_for_each_status_word_and_no_other():
    page = (ROOT / "docs" / "reference" / "failures.md").read_text()
    words = [heading for heading in re.findall(r"^## (.+)$", page, flags=re.MULTILINE) if " " not in heading]
    assert words == [one.value for one in Status]
