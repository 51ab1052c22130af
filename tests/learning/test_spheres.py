"""The shipped spheres against the meshes, measured in other ways than the fitting tool does; and the tool itself."""

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import trimesh
from scipy.spatial import KDTree

from diffplan.certificate.pairs import pair_distances
from diffplan.errors import InputError
from diffplan.formats.robot_file import load_robot, robot_path
from diffplan.geometry.convex import TOUCHING, ConvexUnion, surface_grid
from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import Box, Mesh
from diffplan.geometry.sphere_cover import cubes, large_gaps, nearest_gaps
from diffplan.geometry.sphere_fit import SphereFit, Tolerance, fit_spheres, outside, uncovered
from diffplan.geometry.winding import section_winding, winding_number
from diffplan.learning.collision_model import FitReport, fit_robot, write_collision_file
from diffplan.robot.link_solid import LinkSolid
from diffplan.robot.model import Robot
from diffplan.strict.strict_yaml import read_yaml

TOOL = ("panda_hand", "panda_leftfinger", "panda_rightfinger")
PANDA = Robot.load("panda")
DOCS = Path(__file__).parents[2] / "docs"


def _fit(link: str) -> SphereFit:
    mine = PANDA.spheres.link == PANDA.spheres.links.index(link)
    centre, radius = PANDA.spheres.centre[mine], PANDA.spheres.radius[mine]
    return SphereFit(centre=centre, radius=radius, uncovered=0.0, outside=0.0)


def _solid(link: str) -> LinkSolid:
    return LinkSolid.from_shapes(PANDA.model.collisions[link])


def _written(link: str) -> tuple[float, float]:
    fields = read_yaml(robot_path("panda").parent / "collision.yaml").mapping()["links"].mapping()[link].mapping()
    return fields["uncovered_mm"].number(), fields["outside_mm"].number()


def _box(size: tuple[float, float, float], pose: Pose | None = None) -> Box:
    return Box(name="box", size=size, pose=pose or Pose())


_L = (_box((0.08, 0.03, 0.03)), _box((0.03, 0.03, 0.08), Pose(xyz=(0.025, 0.0, 0.025))))


def _union(*boxes: Box) -> ConvexUnion:
    return LinkSolid.from_shapes(boxes).solid


def _chain(folder: Path, size: float) -> None:
    """Write an arm of four boxes, each a bit larger than the one before."""
    links = "".join(
        f'<link name="l{k}"><collision><origin xyz="0.15 0 0"/><geometry><box size="{edge} {edge} {edge}"/></geometry>'
        "</collision></link>"
        for k in range(4)
        for edge in (size * (1 + 0.1 * k) if k != 1 else size,)
    )
    _write_arm(folder, links)


def _write_arm(folder: Path, links: str) -> None:
    joints = "".join(
        f'<joint name="j{k}" type="revolute"><origin xyz="0.3 0 0"/><parent link="l{k}"/><child link="l{k + 1}"/>'
        '<axis xyz="0 0 1"/><limit lower="-2.9" upper="2.9" effort="1" velocity="1"/></joint>'
        for k in range(3)
    )
    (folder / "arm.urdf").write_text(f'<robot name="arm">{links}{joints}</robot>')
    rates = "{velocity: 1.0, acceleration: 1.0, jerk: 1.0}"
    (folder / "robot.yaml").write_text(
        "format: diffplan/robot@1\nname: arm\nurdf: {file: arm.urdf}\nbase_link: l0\nend_link: l3\n"
        f"joints: {{j0: {rates}, j1: {rates}, j2: {rates}}}\nconfigurations: {{home: [0, 0, 0]}}\n"
        "collision: collision.yaml\n"
    )


def _hull_planes(solid: LinkSolid) -> tuple[np.ndarray, np.ndarray]:
    hull = solid.mesh.convex_hull
    return hull.face_normals, np.einsum("fd,fd->f", hull.face_normals, hull.triangles[:, 0])


@pytest.mark.parametrize("link", PANDA.links)
def test_the_surface_of_every_link_is_covered_within_the_bound(link):
    solid, fit = _solid(link), _fit(link)
    for mesh in (solid.mesh, *solid.solid.parts):
        points, _ = trimesh.sample.sample_surface(mesh, 8000, seed=0)
        gap = np.linalg.norm(points[:, None] - fit.centre, axis=2) - fit.radius
        assert gap.min(axis=1).max() <= (0.005 if link in TOOL else 0.010)


@pytest.mark.parametrize("link", [link for link in PANDA.links if link != "panda_link6"])
def test_the_spheres_of_convex_links_stick_out_within_the_bound(link):
    solid, fit = _solid(link), _fit(link)
    normals, offsets = _hull_planes(solid)
    depth = (offsets - fit.centre @ normals.T).min(axis=1)
    # The ball of radius `depth` round a centre lies inside, so no point of the sphere is farther out than this.
    assert (fit.radius - depth).max() <= (0.005 if link in TOOL else 0.015)


def test_the_spheres_of_the_hollow_link_stick_out_of_its_mesh_within_the_bound():
    solid, fit = _solid("panda_link6"), _fit("panda_link6")
    directions = np.random.default_rng(0).normal(size=(1000, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    points = (fit.centre[:, None] + fit.radius[:, None, None] * directions).reshape(-1, 3)
    mesh_points, _ = trimesh.sample.sample_surface(solid.mesh, 200_000, seed=1)
    hollow = winding_number(solid.mesh.triangles, points) < 0.5
    assert solid.bulge > 0.015
    assert KDTree(mesh_points).query(points[hollow])[0].max() <= 0.015


@pytest.mark.parametrize("link", ["panda_link7", "panda_hand", "panda_leftfinger"])
def test_the_figures_in_the_file_are_those_of_its_spheres(link):
    solid, fit = _solid(link).solid, _fit(link)
    gap, beyond = _written(link)
    assert 1000 * uncovered(solid, fit) == pytest.approx(gap, abs=0.02)
    assert beyond - 0.06 < 1000 * outside(solid, fit) < beyond + 0.01  # measured then from points 0.7 mm apart


def test_the_table_in_the_docs_is_that_of_the_file():
    rows = [
        line.split("|")[1:-1] for line in (DOCS / "spheres.md").read_text().splitlines() if line.startswith("| panda")
    ]
    table = {name.strip(): tuple(float(cell) for cell in cells) for name, *cells in rows if len(cells) == 3}
    assert table == {link: (len(_fit(link).radius), *np.round(_written(link), 1)) for link in PANDA.links}


def test_the_right_finger_is_the_left_one_turned_by_its_collision_pose():
    left, right = _solid("panda_leftfinger"), _solid("panda_rightfinger")
    np.testing.assert_allclose(right.mesh.bounds[:, 1], -left.mesh.bounds[::-1, 1], atol=1e-9)
    assert _fit("panda_leftfinger").centre[:, 1].mean() > 0 > _fit("panda_rightfinger").centre[:, 1].mean()


def test_pairs_that_never_touch_do_not_with_fingers_wide_open_either():
    wide = dict.fromkeys(PANDA.held_joints, 0.065)
    pairs = list(combinations(PANDA.links, 2))
    q = np.random.default_rng(7).uniform(PANDA.lower, PANDA.upper, (300, PANDA.dof))
    with pair_distances(PANDA.with_held(wide)) as distances:
        distance = distances.at(q, pairs, np.ones((len(q), len(pairs)), dtype=bool))
    touched = {frozenset(pair) for pair, least in zip(pairs, distance.min(axis=0), strict=True) if least <= 0}
    assert touched.isdisjoint(PANDA.never_touching)
    assert {frozenset(("panda_link5", "panda_hand")), frozenset(("panda_link0", "panda_link1"))} <= touched


def test_neighbours_in_the_tree_and_links_of_one_body_count_as_touching():
    assert frozenset(("panda_link7", "panda_leftfinger")) in PANDA.touching
    assert frozenset(("panda_leftfinger", "panda_rightfinger")) in PANDA.touching
    assert frozenset(("panda_link6", "panda_hand")) not in PANDA.touching


def test_a_fitted_box_is_covered_within_the_tolerance_and_always_the_same():
    solid = _union(_box((0.1, 0.06, 0.04), Pose(xyz=(0.2, 0.0, 0.0))))
    tolerance = Tolerance(uncovered=0.006, outside=0.006)
    fit, again = fit_spheres(solid, tolerance), fit_spheres(solid, tolerance)
    points, _ = trimesh.sample.sample_surface(solid.parts[0], 20000, seed=3)
    gap = (np.linalg.norm(points[:, None] - fit.centre, axis=2) - fit.radius).min(axis=1).max()
    assert gap <= fit.uncovered + 1e-3
    assert fit.uncovered <= tolerance.uncovered
    assert fit.outside <= tolerance.outside
    assert fit.outside > 0.0
    np.testing.assert_array_equal(fit.centre, again.centre)


def test_a_tolerance_that_no_sphere_meets_is_an_error():
    solid = _union(_box((0.1, 0.1, 0.1)))
    with pytest.raises(InputError, match="cannot be covered"):
        fit_spheres(solid, Tolerance(uncovered=0.001, outside=-0.02))


def test_uncovered_and_outside_of_one_sphere_round_a_cube_are_the_textbook_ones():
    solid = _union(_box((0.2, 0.2, 0.2)))
    fit = SphereFit(centre=np.zeros((1, 3)), radius=np.array([0.12]), uncovered=0.0, outside=0.0)
    assert uncovered(solid, fit) == pytest.approx(0.1 * np.sqrt(3) - 0.12, abs=1e-9)
    assert outside(solid, fit) == pytest.approx(0.02, abs=1e-4)


def test_depth_in_an_l_of_two_parts_is_the_distance_to_its_outer_surface():
    solid = _union(*_L)
    assert len(solid.parts) == 2
    # In the arm; where both boxes meet, whose buried faces do not count; outside, in the hollow of the L.
    depth = solid.depth(np.array([[-0.02, 0.0, 0.0], [0.025, 0.0, 0.01], [-0.02, 0.0, 0.025]]))
    np.testing.assert_allclose(depth, [0.015, 0.015, -0.010], atol=1e-4)
    assert depth[1] <= 0.015


def test_depth_in_parts_is_that_of_every_plane_looked_at():
    rng = np.random.default_rng(0)
    parts = [
        trimesh.creation.icosphere(subdivisions=1, radius=0.1).apply_translation(at)
        for at in rng.uniform(0, 0.2, (5, 3))
    ]
    solid, points = ConvexUnion(parts=tuple(parts)), rng.uniform(-0.2, 0.4, (3000, 3))
    depths = [
        (np.einsum("fd,fd->f", part.face_normals, part.triangles[:, 0]) - points @ part.face_normals.T).min(axis=1)
        for part in parts
    ]
    np.testing.assert_allclose(solid.within_parts(points), np.max(depths, axis=0), atol=1e-12)
    points, normals = (np.concatenate(of) for of in zip(*(surface_grid(part, 0.01) for part in parts), strict=True))
    over = solid.within_parts(points + TOUCHING * normals) <= -TOUCHING / 2
    assert 0.2 < over.mean() < 0.9
    np.testing.assert_array_equal(solid.outer(points, normals), over)


def test_the_depth_in_hulls_of_many_faces_is_the_distance_to_the_nearest_plane():
    parts = _solid("panda_link5").solid.parts + _solid("panda_hand").solid.parts
    points = np.random.default_rng(4).uniform(-0.3, 0.3, (3000, 3))
    depths = [
        ((part.triangles[:, 0][None] - points[:, None]) * part.face_normals[None]).sum(axis=2).min(axis=1)
        for part in parts
    ]
    assert min(len(part.faces) for part in parts) > 100
    np.testing.assert_allclose(ConvexUnion(parts=parts).within_parts(points), np.max(depths, axis=0), atol=1e-8)


def test_large_gaps_of_dense_points_are_those_of_each_point_to_the_bit():
    rng = np.random.default_rng(5)
    points, centre = rng.uniform(0, 0.2, (20_000, 3)), rng.uniform(0, 0.2, (60, 3)).round(2)
    points[:50], radius = centre[:50], rng.uniform(0.005, 0.05, 60).round(3)
    for some in (points, points * (1.0, 1.0, 0.0)):
        exact = nearest_gaps(some, centre, radius)[0]
        for enough in (-np.inf, 0.01, np.inf):
            found, large = large_gaps(some, cubes(some), centre, radius, enough), exact >= min(enough, exact.max())
            np.testing.assert_array_equal(found[large], exact[large])
            assert (found >= exact).all()
            assert (found[~large] < min(enough, exact.max())).all()
    assert (large_gaps(points[:3], cubes(points[:3]), np.zeros((0, 3)), np.zeros(0), 0.0) == np.inf).all()


def test_parts_that_only_touch_are_as_deep_as_one():
    """Spheres about the seam of two halves are as large as in the whole; the seam itself needs no cover."""
    halves = _union(*(_box((0.1, 0.06, 0.06), Pose(xyz=(x, 0.0, 0.0))) for x in (-0.05, 0.05)))
    whole = _union(_box((0.2, 0.06, 0.06)))
    points = np.random.default_rng(0).uniform(-0.03, 0.03, (200, 3))
    np.testing.assert_allclose(halves.depth(points), whole.depth(points), atol=6e-4)
    assert (halves.depth(points) <= whole.depth(points) + 1e-9).all()
    assert halves.distance(halves.surface(0.005) * 1.01).min() > 0


def test_distances_to_a_union_are_those_to_its_nearest_part():
    points = np.random.default_rng(1).uniform(-0.1, 0.1, (300, 3))
    boxes = [np.abs(points - box.pose.xyz) - np.array(box.size) / 2 for box in _L]
    expected = np.min([np.linalg.norm(np.maximum(box, 0.0), axis=1) for box in boxes], axis=0)
    np.testing.assert_allclose(_union(*_L).distance(points), expected, atol=1e-9)


@pytest.mark.parametrize("thickness", [0.001, 0.01])
def test_thin_links_and_links_of_several_shapes_are_covered_within_the_bounds(thickness):
    """No grid point need be in a plate, and an L measured from its hull would stick out by centimetres."""
    plate = _box((0.1, 0.1, thickness), Pose(xyz=(0.0, 0.0, -0.05)))
    solid, bounds = _union(*_L, plate), Tolerance(uncovered=0.006, outside=0.006)
    fit = fit_spheres(solid, bounds)
    for part in solid.parts:
        points, _ = trimesh.sample.sample_surface(part, 5000, seed=0)
        gap = (np.linalg.norm(points[:, None] - fit.centre, axis=2) - fit.radius).min(axis=1)
        assert gap[solid.within_parts(points) < 1e-6].max() <= 0.0061
    directions = np.random.default_rng(0).normal(size=(500, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    points = (fit.centre[:, None] + fit.radius[:, None, None] * directions).reshape(-1, 3)
    assert solid.distance(points).max() <= 0.006


def test_bulge_is_how_far_the_hull_reaches_beyond_the_mesh(tmp_path):
    shapes = tuple(_box((0.02, 0.2, 0.1), Pose(xyz=(x, 0.0, 0.0))) for x in (-0.06, 0.0, 0.06))
    assert LinkSolid.from_shapes(shapes).bulge == pytest.approx(0.0, abs=1e-9)  # three boxes stand for themselves
    comb = trimesh.util.concatenate([shape.surface().apply_transform(shape.pose.matrix) for shape in shapes])
    comb.export(tmp_path / "comb.stl")  # one hull over all
    solid = LinkSolid.from_shapes((Mesh(name="comb", file=tmp_path / "comb.stl", convex=True),))
    assert solid.bulge == pytest.approx(0.02, abs=0.001)


def test_a_link_in_millimetres_is_refused_by_name_before_memory_is_asked_for(tmp_path):
    _chain(tmp_path, size=200.0)
    with pytest.raises(InputError, match=r"l0: too large to be fitted: 200 x 200 x 200 m.*is the mesh in millimetres"):
        fit_robot(str(tmp_path), samples=10)
    assert not (tmp_path / "collision.yaml").exists()


def test_links_too_large_in_all_are_refused_before_the_first_is_fitted(tmp_path, monkeypatch):
    _chain(tmp_path, size=1.3)  # 10 to 17 m^2 each
    monkeypatch.setattr("diffplan.learning.collision_model.fit_spheres", lambda *_: pytest.fail("a link was fitted"))
    with pytest.raises(InputError, match=r"too large to be fitted.*of all links \(is the robot drawn too large"):
        fit_robot(str(tmp_path), samples=10)


def test_a_fit_goes_on_where_it_was_interrupted(tmp_path, monkeypatch):
    _chain(tmp_path, size=0.08)
    done: list[int] = []

    def stop_at_third(solid: ConvexUnion, bounds: Tolerance, kept: SphereFit | None) -> SphereFit:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(1)
        return fit_spheres(solid, bounds)

    monkeypatch.setattr("diffplan.learning.collision_model.get_kernel_threads", lambda: 1)
    monkeypatch.setattr("diffplan.learning.collision_model.fit_spheres", stop_at_third)
    with pytest.raises(KeyboardInterrupt):
        fit_robot(str(tmp_path), samples=10)
    monkeypatch.setattr(
        "diffplan.learning.collision_model.fit_spheres", lambda *args: done.append(1) or fit_spheres(*args)
    )
    report = fit_robot(str(tmp_path), samples=10)
    assert len(done) == 4  # two before, two after
    again = fit_robot(str(tmp_path), samples=10)
    assert len(done) == 4
    for link, fit in report.links.items():
        np.testing.assert_array_equal(fit.centre, again.links[link].centre)
        np.testing.assert_array_equal(fit.radius, again.links[link].radius)


def test_the_winding_number_tells_inside_also_with_a_hole():
    ball = trimesh.creation.icosphere(subdivisions=3, radius=1.0)
    open_ball = ball.triangles[20:]
    points = np.array([[0.0, 0.0, 0.0], [0.0, 0.8, 0.0], [0.0, 1.2, 0.0], [3.0, 0.0, 0.0]])
    np.testing.assert_allclose(winding_number(ball.triangles, points), [1, 1, 0, 0], atol=1e-9)
    np.testing.assert_array_equal(winding_number(open_ball, points) > 0.5, [True, True, False, False])


@pytest.mark.parametrize("axis", [(0, 0, 1), (0.6, 0, 0.8), (-0.48, 0.6, 0.64)])
def test_a_section_has_the_winding_number_of_its_mesh(axis):
    one, other = (
        trimesh.creation.annulus(r_min=0.3, r_max=1.0, height=1.0).apply_translation((x, 0, 0)) for x in (0, 1)
    )
    triangles = np.concatenate([one.triangles, other.triangles])
    axis, place = np.array(axis, dtype=float), 0.05
    points = np.random.default_rng(0).uniform(-1.5, 2.5, (500, 3))
    points -= (points @ axis - place)[:, None] * axis
    found = section_winding(triangles, (axis, place), points)
    np.testing.assert_allclose(found, winding_number(triangles, points), atol=1e-6)
    assert set(np.round(found)) == {0.0, 1.0, 2.0}
    with_hole = section_winding(triangles[5:], (axis, place), points)
    assert (with_hole > 0.5).mean() == pytest.approx((found > 0.5).mean(), abs=0.02)


def test_the_grid_on_a_surface_leaves_no_gap_wider_than_its_spacing():
    mesh = _solid("panda_link7").mesh
    grid, _ = surface_grid(mesh, 0.003)
    points, _ = trimesh.sample.sample_surface(mesh, 5000, seed=0)
    assert KDTree(grid).query(points)[0].max() <= 0.003


def test_a_written_file_is_read_back_as_it_was(tmp_path):
    robot_file = robot_path("panda")
    (tmp_path / "robot.yaml").write_text(robot_file.read_text())
    fits = {link: replace(_fit(link), uncovered=0.001, outside=0.002) for link in PANDA.links}
    ignored = {("panda_link0", "panda_link1"): "adjacent", ("panda_link0", "panda_link2"): "never"}
    write_collision_file(FitReport(file=tmp_path / "collision.yaml", links=fits, ignored=ignored))
    robot = load_robot(tmp_path)
    np.testing.assert_array_equal(robot.spheres.centre, PANDA.spheres.centre)
    np.testing.assert_array_equal(robot.spheres.radius, PANDA.spheres.radius)
    assert robot.touching == {frozenset(("panda_link0", "panda_link1"))}
    assert robot.never_touching == {frozenset(("panda_link0", "panda_link2"))}
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["collision.yaml", "robot.yaml"]


def test_fitting_a_robot_writes_a_model_that_loads(tmp_path):
    links = "".join(
        f'<link name="l{k}"><collision><origin xyz="0.15 0 0"/><geometry><sphere radius="0.04"/></geometry></collision>'
        "</link>"
        for k in range(4)
    )
    _write_arm(tmp_path, links)
    report = fit_robot(str(tmp_path), samples=500)
    robot = Robot.load(str(tmp_path))
    assert report.spheres == len(robot.spheres.radius) == 4  # each link is a ball
    np.testing.assert_allclose(robot.spheres.centre, [[0.15, 0, 0]] * 4, atol=0.006)
    assert robot.touching == {frozenset((f"l{k}", f"l{k + 1}")) for k in range(3)}
    assert set(robot.checked_pairs) == {("l0", "l3"), ("l0", "l2"), ("l1", "l3")}
