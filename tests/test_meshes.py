from pathlib import Path

import numpy as np
import pytest
import trimesh

from diffplan.errors import InputError
from diffplan.geometry.meshes import load_hulls, load_mesh

TWO_TETRAHEDRA = """
o first
v 0 0 0
v 1 0 0
v 0 1 0
v 0 0 1
f 1 3 2
f 1 2 4
f 1 4 3
f 2 3 4
g second
v 3 0 0
v 4 0 0
v 3 1 0
v 3 0 1
f -4 -2 -3
f 5/1 6/2 8/3
f 5//1 8//2 7//3
f 6 7 8
"""


@pytest.fixture
def two_tetrahedra(tmp_path: Path) -> Path:
    file = tmp_path / "two.obj"
    file.write_text(TWO_TETRAHEDRA)
    return file


def test_each_obj_group_becomes_its_own_convex_hull(two_tetrahedra: Path) -> None:
    hulls = load_hulls(two_tetrahedra, (2.0, 1.0, 1.0))
    assert [hull.volume for hull in hulls] == pytest.approx([1 / 3, 1 / 3])
    assert hulls[1].bounds[0] == pytest.approx([6, 0, 0])


def test_a_mesh_of_several_groups_loads_as_one_closed_mesh(two_tetrahedra: Path) -> None:
    assert load_mesh(two_tetrahedra).volume == pytest.approx(1 / 3)


def test_an_inside_out_mesh_is_turned(tmp_path: Path) -> None:
    box = trimesh.creation.box((1, 1, 1))
    box.invert()
    box.export(tmp_path / "box.obj")
    assert load_mesh(tmp_path / "box.obj").volume == pytest.approx(1)
    assert load_mesh(tmp_path / "box.obj", (-1, 1, 1)).volume == pytest.approx(1)


def test_an_open_mesh_is_refused_but_has_a_hull(tmp_path: Path) -> None:
    box = trimesh.creation.box((1, 1, 1))
    box.update_faces(np.arange(len(box.faces)) > 0)
    box.export(tmp_path / "open.stl")
    with pytest.raises(InputError, match=r"open\.stl: the mesh is not closed .*`convex: true`"):
        load_mesh(tmp_path / "open.stl")
    assert load_hulls(tmp_path / "open.stl")[0].volume == pytest.approx(1)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("no.obj", None, "mesh file not found"),
        ("a.txt", "x", "mesh format not supported"),
        ("a.obj", "v 0 0 zero\n", r"a\.obj:1: not readable as OBJ"),
        ("a.obj", "v 0 0 0\nf 1 2 3\n", r"a\.obj:2: .* vertex that is not there"),
        ("a.obj", "v 0 0 0\n", "holds no triangles"),
        ("a.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "flat"),
        ("a.stl", "not a mesh", "not readable as STL: too short"),
    ],
)
def test_a_bad_mesh_file_is_named(tmp_path: Path, name: str, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        load_hulls(tmp_path / name)
