from pathlib import Path

import numpy as np
import pytest
import trimesh

from diffplan.errors import InputError
from diffplan.kernels.triangle_distance import grid_distance
from diffplan.meshes import distance_field, file_field, load_hulls, load_mesh

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


def nodes(field) -> np.ndarray:
    index = np.stack(np.meshgrid(*(np.arange(n) for n in field.values.shape), indexing="ij"), axis=-1)
    return field.origin + field.spacing * index


def winding_number(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    a, b, c = (triangles[None, :, i] - points[:, None] for i in range(3))
    la, lb, lc = (np.linalg.norm(x, axis=-1) for x in (a, b, c))
    above = (a * np.cross(b, c)).sum(-1)
    below = la * lb * lc + (a * b).sum(-1) * lc + (b * c).sum(-1) * la + (c * a).sum(-1) * lb
    return (2 * np.arctan2(above, below)).sum(1) / (4 * np.pi)


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


def test_the_field_of_a_box_is_exact_at_the_nodes() -> None:
    half = np.array([0.05, 0.03, 0.02])
    field = distance_field([trimesh.creation.box(2 * half)], spacing=0.01)
    q = np.abs(nodes(field)) - half
    exact = np.linalg.norm(np.maximum(q, 0), axis=-1) + np.minimum(q.max(-1), 0)
    assert np.abs(field.values - exact).max() < 1e-6


def test_the_field_reaches_beyond_the_mesh_by_the_padding() -> None:
    field = distance_field([trimesh.creation.box((0.1, 0.1, 0.1))], padding=0.12)
    last = nodes(field)[-1, -1, -1]
    assert (field.origin <= -0.17 + 1e-9).all()
    assert (last >= 0.17 - 1e-9).all()


def test_the_sign_agrees_with_the_winding_number_on_a_knotted_mesh() -> None:
    rng = np.random.default_rng(0)
    mesh = trimesh.creation.torus(0.1, 0.03, major_sections=12, minor_sections=7)
    mesh.vertices += rng.normal(0, 0.004, mesh.vertices.shape)
    field = distance_field([mesh], spacing=0.01, padding=0.03)
    points = nodes(field).reshape(-1, 3)
    inside = winding_number(points, np.asarray(mesh.triangles)) > 0.5
    assert inside.sum() > 50
    assert np.array_equal(field.values.ravel() < 0, inside)


def test_distances_agree_with_a_search_over_all_triangles() -> None:
    mesh = trimesh.creation.icosphere(subdivisions=2, radius=0.1)
    points = np.random.default_rng(1).uniform(-0.2, 0.2, (20, 3))
    dense = mesh.triangles @ np.eye(3)  # [t, 3, 3]
    weights = np.array([(i, j, 30 - i - j) for i in range(31) for j in range(31 - i)]) / 30
    surface = np.einsum("wc,tcx->twx", weights, dense).reshape(-1, 3)
    for point in points:
        value = grid_distance(point, 1.0, (1, 1, 1), np.asarray(mesh.triangles), np.ones((len(dense), 7, 3)))
        searched = np.linalg.norm(surface - point, axis=1).min()
        assert searched - 1e-3 < abs(value[0, 0, 0]) <= searched + 1e-9


def test_a_union_is_the_nearest_of_its_parts() -> None:
    parts = [trimesh.creation.box((0.1, 0.1, 0.1)), trimesh.creation.box((0.1, 0.1, 0.1))]
    parts[1].apply_translation((0.2, 0, 0))
    field = distance_field(parts, spacing=0.05, padding=0.05)
    at = np.round((np.array([0.1, 0, 0]) - field.origin) / field.spacing).astype(int)
    assert field.values[tuple(at)] == pytest.approx(0.05)


def test_overlapping_parts_of_one_mesh_are_solid_throughout_and_cavities_are_empty() -> None:
    body, spout, cavity = (
        trimesh.creation.box(size) for size in ((0.2, 0.2, 0.2), (0.2, 0.05, 0.05), (0.08, 0.1, 0.1))
    )
    spout.apply_translation((0.15, 0, 0))  # from x = 0.05 inside the body to 0.25
    cavity.apply_translation((-0.05, 0, 0))
    cavity.invert()
    field = distance_field([trimesh.util.concatenate([body, spout, cavity])], spacing=0.01, padding=0.05)

    def at(x: float) -> float:
        return float(field.values[tuple(np.round((np.array([x, 0, 0]) - field.origin) / 0.01).astype(int))])

    assert [at(x) < 0 for x in (-0.14, -0.05, 0.04, 0.06, 0.2, 0.26)] == [False, False, True, True, True, False]
    assert at(-0.05) == pytest.approx(0.04, abs=1e-6)


def test_the_field_of_a_file_is_kept_until_the_file_changes(two_tetrahedra: Path) -> None:
    scale = (0.01, 0.01, 0.01)
    first = file_field(two_tetrahedra, scale, convex=True)
    assert file_field(two_tetrahedra, scale, convex=True) is first
    assert file_field(two_tetrahedra, scale) is not first
    trimesh.creation.box((1, 1, 1)).export(two_tetrahedra)
    assert file_field(two_tetrahedra, scale, convex=True) is not first
