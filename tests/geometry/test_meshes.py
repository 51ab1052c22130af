from pathlib import Path

import numpy as np
import pytest
import trimesh

from diffplan.certificate.certifier import Certifier
from diffplan.collision.cpu import CollisionModel, Obstacles
from diffplan.errors import InputError
from diffplan.geometry.meshes import load_hulls, load_mesh
from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import Mesh
from diffplan.geometry.triangle_distance import unsigned_distance
from diffplan.robot.model import Robot
from diffplan.scene import Scene

TETRAHEDRON = ([(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)], [(0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3)])

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


@pytest.mark.parametrize("convex", [True, False])
def test_a_mirrored_uneven_mesh_stands_where_the_same_mesh_written_so_does(tmp_path: Path, convex: bool) -> None:
    """In the planner's distances and in the certificate's."""
    robot, factors = Robot.load("panda"), (0.2, -0.3, 0.5)
    (wedge := trimesh.Trimesh(TETRAHEDRON[0], TETRAHEDRON[1])).export(tmp_path / "wedge.obj")
    wedge.apply_scale(factors)
    wedge.invert()
    wedge.export(tmp_path / "written.obj")
    named = {"name": "wedge", "convex": convex, "pose": Pose.from_rpy((0.35, 0.1, 0.4), (0.3, 0.2, 0.1))}
    scaled = Mesh(file=tmp_path / "wedge.obj", scale=factors, **named)
    scenes = [Scene(obstacles=(mesh,)) for mesh in (scaled, Mesh(file=tmp_path / "written.obj", **named))]
    q = np.random.default_rng(0).uniform(robot.lower, robot.upper, (30, robot.dof))
    model = CollisionModel(robot)
    ours, theirs = (model.nearest(Obstacles.pack([scene]), q, reach=0.3).distance for scene in scenes)
    assert (ours < 0.3).sum() > 100
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
    with Certifier(robot, scenes[0]) as one, Certifier(robot, scenes[1]) as other:
        checks = [(one.check(row).clearance_m, other.check(row).clearance_m) for row in q]
    np.testing.assert_allclose(*np.array(checks).T, atol=1e-5)


def test_distances_that_are_near_enough_need_not_be_exact():
    triangles = np.asarray(trimesh.creation.torus(0.2, 0.05).triangles)
    points = np.random.default_rng(0).uniform(-0.4, 0.4, (3000, 3))
    distance = unsigned_distance(triangles)
    exact, enough = distance.at(points), 0.1
    found = distance.at(points, enough)
    far = exact >= enough
    assert 500 < far.sum() < 2500
    assert (found[far] == exact[far]).all()
    assert ((found[~far] >= exact[~far]) & (found[~far] < enough)).all()
    assert distance.farthest(points) == exact.max()
