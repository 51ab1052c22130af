"""`diffplan check` of scenes without queries and of folders, and what large meshes are told."""

import re
from pathlib import Path

import pytest
import trimesh

from diffplan.cli import main

BOX = "v 0 0 0\nv 9 0 0\nv 9 9 0\nv 0 9 0\nv 0 0 9\nv 9 0 9\nv 9 9 9\nv 0 9 9\n" + (
    "f 1 3 2\nf 1 4 3\nf 5 6 7\nf 5 7 8\nf 1 2 6\nf 1 6 5\nf 2 3 7\nf 2 7 6\nf 3 4 8\nf 3 8 7\nf 4 1 5\nf 4 5 8\n"
)
QUERIES = "queries:\n  stay: {start: home, goal: home}\n"


def scene(name: str, *, scale: float, far: float = 40.0, mesh: str = "box.obj", queries: str = "") -> str:
    placed = f"pose: {{xyz: [{far}, 0, 0]}}"
    mesh = f"  - {{name: crate, type: mesh, file: {mesh}, scale: {scale}, {placed}}}\n"
    return f"format: diffplan/scene@1\nname: {name}\nobstacles:\n{mesh}{queries}"


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "box.obj").write_text(BOX)
    (tmp_path / "open.obj").write_text(BOX.rsplit("f", 1)[0])
    return tmp_path


def test_a_scene_without_queries_is_loaded_and_said_to_be_sound(folder, capfd):
    (folder / "a.yaml").write_text(scene("bare", scale=1))
    assert main(["check", str(folder / "a.yaml")]) == 0
    out, err = capfd.readouterr()
    assert "no queries" in out
    assert "bare has no queries: its file is sound, 1 obstacle can be loaded" in err


def test_an_open_mesh_of_a_scene_without_queries_is_refused(folder, capfd):
    (folder / "a.yaml").write_text(scene("bare", scale=1, mesh="open.obj"))
    assert main(["check", str(folder / "a.yaml")]) == 2
    assert "obstacles[0].file: the mesh is not closed (watertight)" in capfd.readouterr().err


def test_a_broken_file_of_a_folder_does_not_hide_the_others(folder, capfd):
    (folder / "a.yaml").write_text(scene("one", scale=0.01, far=3, queries=QUERIES))
    (folder / "b.yaml").write_text(scene("two", scale=-1, far=3, queries=QUERIES))
    (folder / "c.yaml").write_text(scene("three", scale=0.01, far=3, queries=QUERIES))
    assert main(["check", str(folder)]) == 2
    out, err = capfd.readouterr()
    assert "one/stay" in out
    assert "three/stay" in out
    assert "b.yaml:4: obstacles[0].scale: number out of range" in err
    assert "2 of 2 problems can start and end where they say" in err


def test_a_broken_file_of_a_folder_does_not_end_a_bench(folder, capfd):
    (folder / "a.yaml").write_text(scene("one", scale=-1, far=3, queries=QUERIES))
    (folder / "b.yaml").write_text(scene("two", scale=0.01, far=3, queries=QUERIES))
    assert main(["bench", str(folder), "--planners", "straight", "--out", str(folder / "out")]) == 2
    assert "a.yaml:4: obstacles[0].scale: number out of range" in capfd.readouterr().err
    rows = (folder / "out" / "results.csv").read_text().splitlines()
    assert [row.split(",")[1] for row in rows[1:]] == ["two/stay"]


def test_a_folder_of_broken_files_alone_is_refused(folder, capfd):
    for name in "ab":
        (folder / f"{name}.yaml").write_text(scene(name, scale=-1, queries=QUERIES))
    assert main(["check", str(folder)]) == 2
    lines = capfd.readouterr().err.splitlines()
    assert [Path(line.split(":")[1]).name for line in lines if line.startswith("diffplan:")] == ["a.yaml", "b.yaml"]


@pytest.mark.parametrize(("scale", "code", "hinted"), [(0.01, 0, False), (9.0, 0, True), (90.0, 2, True)])
def test_a_mesh_a_thousand_times_too_large_gets_the_units_hint(folder, capfd, scale, code, hinted):
    (folder / "a.yaml").write_text(scene("a", scale=scale, far=400))
    assert main(["check", str(folder / "a.yaml")]) == code
    err = capfd.readouterr().err
    assert ("in millimetres, its scale is" in err) == hinted
    assert (f"{0.001 * scale:g}" in err) == hinted


HELD = """format: diffplan/scene@1
name: carried
robot: panda
obstacles: []
attached:
  - {name: bowl, type: mesh, file: bowl.obj, link: panda_hand, pose: {xyz: [0, 0, 0.1034]}}
queries:
  level: {start: home, goal: home, constraints: ["upright:degrees=5"]}
  tipped: {start: home, goal: [0, -0.785, 0, -2.356, 0, 2.2, 0.785], constraints: ["upright:degrees=5"]}
"""


def test_the_constraints_of_queries_are_checked_and_the_cover_of_what_is_held_is_told(folder, capfd):
    bowl = trimesh.creation.annulus(r_min=0.02, r_max=0.03, height=0.04)
    bowl.export(folder / "bowl.obj")
    (folder / "a.yaml").write_text(HELD)
    assert main(["check", str(folder / "a.yaml")]) == 1
    out, err = capfd.readouterr()
    assert "tool is tilted by" in " ".join(out.split())
    assert "1 of 2 problems can start and end where they say" in err
    assert re.search(r"bowl \(held\): \d+ spheres, surface uncovered \d+\.\d mm, spheres outside \d+\.\d mm", err)
    assert re.search(r"bowl \(held\): it collides as the hull of each of its parts, 8\d % more than the mesh", err)
