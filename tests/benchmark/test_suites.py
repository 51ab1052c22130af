import json
from types import SimpleNamespace

import numpy as np
import pytest

from diffplan.benchmark.suites import Case, load_cases, select
from diffplan.errors import InputError

HOME = [0.0, -0.785398, 0.0, -2.356194, 0.0, 1.570796, 0.785398]


def _cases(*ids):
    return [Case(id=name, robot=SimpleNamespace(), scene=SimpleNamespace(), start="home", goal="home") for name in ids]


def test_the_limit_takes_the_first_of_each_set():
    cases = _cases("a/1", "b/1", "a/2", "a/3", "b/2")
    assert select(cases, sets=None, limit=2) == [0, 1, 2, 4]
    assert select(cases, sets=["a"], limit=None) == [0, 2, 3]


def test_an_unknown_set_is_refused_with_those_there_are():
    with pytest.raises(InputError, match=r"no set 'cagee' \(did you mean 'cage'\?\); allowed: box, cage"):
        select(_cases("box/1", "cage/1"), sets=["cagee"], limit=None)


def test_a_suite_gives_its_problems_with_its_fixed_joints(tmp_path):
    document = {
        "format": "diffplan/problems@1",
        "name": "tiny",
        "robot": "panda",
        "joint_names": [f"panda_joint{i}" for i in range(1, 8)],
        "fixed_joints": {"panda_finger_joint1": 0.065},
        "problems": [{"id": "s/1", "start": HOME, "goals": [HOME, HOME], "obstacles": []}],
    }
    file = tmp_path / "tiny.json"
    file.write_text(json.dumps(document))
    (case,) = load_cases(str(file))
    assert (case.id, case.set, case.robot.held_joints["panda_finger_joint1"]) == ("s/1", "s", 0.065)
    assert np.shape(case.goal) == (2, 7)
    with pytest.raises(InputError, match="another robot"):
        load_cases(str(file), robot="iiwa")


def test_every_query_of_every_scene_in_a_folder_is_a_problem(tmp_path):
    for name in ("one", "two"):
        text = f"format: diffplan/scene@1\nname: {name}\nobstacles: []\n"
        (tmp_path / f"{name}.yaml").write_text(
            text + "queries: {a: {start: home, goal: left}, b: {start: left, goal: home}}\n"
        )
    assert [case.id for case in load_cases(str(tmp_path))] == ["one/a", "one/b", "two/a", "two/b"]


def test_a_folder_without_scenes_and_a_scene_without_queries_are_refused(tmp_path):
    with pytest.raises(InputError, match="no scene files"):
        load_cases(str(tmp_path))
    (tmp_path / "bare.yaml").write_text("format: diffplan/scene@1\nname: bare\nobstacles: []\n")
    with pytest.raises(InputError, match="no queries"):
        select(load_cases(str(tmp_path / "bare.yaml")), sets=None, limit=None)
