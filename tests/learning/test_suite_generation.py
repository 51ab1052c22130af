"""Suites: whole or absent, resumable, the same whoever makes them; and what is promised of the shipped ones."""

import gzip
import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from diffplan.benchmark.preflight import preflight
from diffplan.benchmark.suites import load_cases
from diffplan.certificate.certifier import Certifier
from diffplan.collision.cpu import CollisionModel, Obstacles
from diffplan.ends import outside_limits
from diffplan.errors import InputError
from diffplan.formats.problems_file import load_problems
from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import Box
from diffplan.learning.families import FAMILIES, HELD_OUT, TIGHT, draw_scene
from diffplan.learning.layout import obstacle_record
from diffplan.learning.problems import KINDS, DrawnProblem, draw_problem
from diffplan.learning.suite_generation import (
    SUITE_KINDS,
    SuiteConfig,
    SuiteMaker,
    beyond_random_plans,
    beyond_random_seeds,
    how_made,
    make_suite,
    solvable,
)
from diffplan.problem import Problem
from diffplan.robot.model import Robot
from diffplan.scene import Scene
from diffplan.system.assets import asset_folder, shipped_suites

LEAST = {"hard": 300, "seen": 200, "unseen": 200}


def small(folder: Path, **changes: object) -> SuiteConfig:
    config = SuiteConfig(out=folder / "some.json.gz", kind="unseen", count=3, seed=5, workers=2)
    return replace(config, **changes)  # pyright: ignore[reportArgumentType]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three problems made by two workers, beside which another run was killed while writing the second."""
    config = small(tmp_path_factory.mktemp("suite"))
    config.parts.mkdir()
    (config.parts / ".0123456789abcdef.part").write_bytes(b"half a pro")
    make_suite(config, show=False)
    return config.out


@pytest.fixture(scope="module")
def model() -> CollisionModel:
    return CollisionModel(Robot.load("panda"))


def test_a_run_leaves_the_suite_and_nothing_else(made: Path) -> None:
    assert [file.name for file in made.parent.iterdir()] == ["some.json.gz"]
    suite = load_problems(made)
    assert [entry.id for entry in suite.entries] == ["drawers/0", "window/1", "drawers/2"]
    assert "--kind unseen --count 3 --seed 5" in json.loads(gzip.decompress(made.read_bytes()))["description"]


def test_chosen_families_take_turns_and_the_suite_says_which(tmp_path: Path) -> None:
    config = small(tmp_path, kind="seen", families=("tabletop", "poles"), workers=1)
    make_suite(config, show=False)
    assert [entry.id for entry in load_problems(config.out).entries] == ["tabletop/0", "poles/1", "tabletop/2"]
    text = json.loads(gzip.decompress(config.out.read_bytes()))["description"]
    assert text.endswith("--kind seen --count 3 --seed 5 --families tabletop,poles")


def test_a_suite_of_an_arm_without_a_name_finds_its_file_and_tells_its_command(tmp_path: Path) -> None:
    shutil.copytree(asset_folder("robots") / "xarm6", tmp_path / "mine")
    file = tmp_path / "mine" / "robot.yaml"
    config = small(tmp_path, kind="seen", families=("tabletop",), count=1, workers=1, robot=str(file))
    make_suite(config, show=False)
    document = json.loads(gzip.decompress(config.out.read_bytes()))
    assert document["robot"] == "mine/robot.yaml"
    assert document["description"].endswith(f" --families tabletop --robot {file}")
    (case,) = load_cases(str(config.out))
    assert case.robot.file == file
    start, goal = preflight(case)
    assert start.free
    assert goal.free


def test_problems_of_a_run_with_another_proof_are_not_gone_on_with(tmp_path: Path) -> None:
    config = small(tmp_path)
    config.parts.mkdir()
    made = {key: value for key, value in how_made(config).items() if key != "proof"}
    (config.parts / "made.json").write_text(json.dumps(made))
    with pytest.raises(InputError, match=r"proof: made in another way \(found \{'iterations': 40000"):
        make_suite(config, show=False)


def test_families_of_another_kind_and_other_families_in_one_run_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"families: no such family of kind 'hard' .*'windw'.*allowed: deep_shelf"):
        small(tmp_path, kind="hard", families=("windw",))
    config = small(tmp_path, families=("window",), count=1, workers=1)
    config.parts.mkdir()
    versions_of = {"kind": "unseen", "seed": 5, "robot": "panda"}
    (config.parts / "made.json").write_text(json.dumps(versions_of))
    with pytest.raises(InputError, match=r"families: made in another way \(found \['drawers', 'window'\]\)"):
        make_suite(config, show=False)


def test_a_problem_depends_on_seed_and_index_only(made: Path, tmp_path: Path) -> None:
    stored = json.loads(gzip.decompress(made.read_bytes()))["problems"]
    maker = SuiteMaker(small(tmp_path, workers=1))
    for index in (2, 0):
        assert [found for found in maker.attempts(index) if found is not None] == [stored[index]]
    other = SuiteMaker(small(tmp_path, seed=6))
    assert [found for found in other.attempts(0) if found is not None] != [stored[0]]


def test_a_stopped_run_goes_on_and_ends_with_the_same_bytes(made: Path, tmp_path: Path) -> None:
    config = small(tmp_path, workers=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("diffplan.learning.suite_generation._assemble", lambda config: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            make_suite(replace(config, count=2), show=False)
    kept = config.part(0)
    problem = json.loads(kept.read_text())
    kept.write_text(json.dumps(problem | {"id": "drawers/kept"}))
    with pytest.raises(InputError, match=r"made\.json: seed: made in another way \(found 5\)"):
        make_suite(replace(config, seed=6), show=False)
    make_suite(config, show=False)
    assert load_problems(config.out).entries[0].id == "drawers/kept"
    assert gzip.decompress(config.out.read_bytes()).replace(b"drawers/kept", b"drawers/0") == gzip.decompress(
        made.read_bytes()
    )
    assert not config.parts.exists()


def test_a_suite_that_is_there_is_not_overwritten(made: Path) -> None:
    with pytest.raises(InputError, match="there already"):
        make_suite(small(made.parent), show=False)


@pytest.mark.parametrize(
    ("key", "value"), [("seed", 0), ("count", 0), ("workers", 0), ("kind", "harder"), ("out", Path("suite.yaml"))]
)
def test_settings_that_make_no_suite_are_refused_by_name(tmp_path: Path, key: str, value: object) -> None:
    with pytest.raises(InputError, match=key):
        small(tmp_path, **{key: value})


def swing(model: CollisionModel, *boxes: Box) -> tuple[Obstacles, Problem]:
    """A swing of the arm about its base, and what stands in its way."""
    start, goal = model.robot.configuration("home").copy(), model.robot.configuration("home").copy()
    start[0], goal[0] = 0.9, -0.9
    start[1] = goal[1] = 0.1
    scene = Scene(obstacles=boxes)
    return Obstacles.pack([scene]), Problem(robot=model.robot, scene=scene, start=start, goals=goal[None])


def test_a_swing_past_a_post_is_not_beyond_random_seeds_but_one_through_walls_is(model: CollisionModel) -> None:
    world, easy = swing(model, Box(name="post", size=(0.05, 0.05, 0.5), pose=Pose(xyz=(0.6, 0.0, 0.3))))
    assert not beyond_random_seeds(model, world, easy, number=16, seed=0)
    assert solvable(model, world, easy, seed=0)
    walls = [Box(name=f"wall{x}", size=(3.0, 0.04, 3.0), pose=Pose(xyz=(x, 0.0, 0.5))) for x in (1.6, -1.6)]
    world, closed = swing(model, *walls)
    assert beyond_random_seeds(model, world, closed, number=16, seed=0)
    assert beyond_random_seeds(model, world, easy, number=0, seed=0)
    assert not beyond_random_plans(easy, number=16, seed=0)
    assert beyond_random_plans(easy, number=0, seed=0)


def test_hard_problems_pass_every_test_and_families_take_their_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    pairs: list[DrawnProblem | None] = []
    monkeypatch.setattr(
        "diffplan.learning.suite_generation.draw_problem", lambda *a: pairs.append(draw_problem(*a)) or pairs[-1]
    )
    monkeypatch.setattr(
        "diffplan.learning.suite_generation.beyond_random_seeds", lambda *_, number, seed: not asked.append(number)
    )
    monkeypatch.setattr("diffplan.learning.suite_generation.solvable", lambda *_, seed: len(asked) >= 2)
    monkeypatch.setattr(
        "diffplan.learning.suite_generation.beyond_random_plans",
        lambda *_, number, seed: number == 16 and len(asked) >= 3,
    )
    maker = SuiteMaker(small(tmp_path, kind="hard"))
    found = [problem for problem in maker.attempts(1) if problem is not None]
    assert len(found) == 1
    assert asked == [16, 16, 16]
    assert found[0]["id"] == "bin_in_shelf/1"
    assert pairs[-1] is not None
    assert KINDS[pairs[-1].kind] == "place-place"
    assert found[0]["start"] == pairs[-1].start.round(4).tolist()
    turns = Counter(SUITE_KINDS["hard"].families)
    assert set(turns) == set(FAMILIES)
    assert sum(turns[name] for name in TIGHT) > turns.total() / 2


def test_every_kind_of_suite_is_shipped_with_the_promised_number_of_problems() -> None:
    assert set(shipped_suites()) == set(SUITE_KINDS) == set(LEAST)
    for kind, file in shipped_suites().items():
        suite = load_problems(file)
        assert suite.name == kind
        assert len({entry.id for entry in suite.entries}) == len(suite.entries) >= LEAST[kind]
        families = [SUITE_KINDS[kind].families[i % len(SUITE_KINDS[kind].families)] for i in range(len(suite.entries))]
        assert [entry.id for entry in suite.entries] == [f"{family}/{i}" for i, family in enumerate(families)]
        assert file.stat().st_size < 200_000


def test_shipped_suites_go_by_name_and_a_folder_of_that_name_does_not_hide_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "unseen").mkdir()
    assert {case.set for case in load_cases("unseen")} == set(HELD_OUT)
    with pytest.raises(InputError, match="no scene files"):
        load_cases("./unseen")
    with pytest.raises(InputError, match=r"no such suite or scene \(did you mean 'unseen'\?\).*bookshelf.*hard"):
        load_cases("unsen")


def test_a_published_suite_that_is_not_fetched_is_refused_with_the_command_that_fetches_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(InputError, match=r"not fetched.*'mbm'.*`diffplan suites fetch mbm`"):
        load_cases("mbm")


def test_no_shipped_problem_lies_in_a_scene_of_the_training_data() -> None:
    numbers = range(300)
    families = list(FAMILIES)
    drawn = [draw_scene(families[i % len(families)], np.random.default_rng([0, i])) for i in numbers]
    trained = {json.dumps([obstacle_record(obstacle) for obstacle in scene.obstacles]) for scene in drawn}
    for file in shipped_suites().values():
        problems = json.loads(gzip.decompress(file.read_bytes()))["problems"]
        scenes = {json.dumps(problem["obstacles"]) for problem in problems}
        assert len(scenes) == len(problems)
        assert not scenes & trained
    assert not set(HELD_OUT) & set(FAMILIES)


@pytest.mark.parametrize("kind", sorted(LEAST))
def test_shipped_problems_start_and_end_free_and_the_straight_line_is_blocked(kind: str, model: CollisionModel) -> None:
    entries = load_problems(shipped_suites()[kind]).entries
    for entry in entries[::15]:
        with Certifier(model.robot, entry.scene) as certifier:
            for q in (entry.start, *entry.goals):
                assert outside_limits(model.robot, q) == ""
                assert certifier.check(q).free
    for entry in entries:
        assert not model.edge_free(Obstacles.pack([entry.scene]), entry.start, entry.goals[0])
