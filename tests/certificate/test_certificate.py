"""The certificate: never "valid" with a contact, and clear about what is wrong."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh

from diffplan.certificate import world
from diffplan.certificate.certifier import Certifier
from diffplan.certificate.motion_bound import cover, travel
from diffplan.errors import InputError
from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import Box, Capsule, Cylinder, Mesh, Plane, Sphere
from diffplan.scene import Scene, Urdf

AWAY = np.array([0.9, 0.1, 0.2, -1.3, 0.1, 1.2, 0.3])


def _certify(robot, scene, trajectory, start=None, goals=None):
    start = trajectory.position[0] if start is None else start
    goals = trajectory.position[-1:] if goals is None else goals
    with Certifier(robot, scene) as certifier:
        return certifier.certify(trajectory, start=start, goals=goals)


def _random_scene(rng):
    obstacles = []
    for i in range(6):
        place = rng.uniform([0.25, -0.6, 0.1], [0.7, 0.6, 0.9])
        turn = rng.normal(size=4)
        pose = Pose(xyz=tuple(place), quat_xyzw=tuple(turn / np.linalg.norm(turn)))
        size = rng.uniform(0.02, 0.25, 3)
        obstacles.append(
            [
                Box(name=f"o{i}", size=tuple(size), pose=pose),
                Cylinder(name=f"o{i}", radius=size[0] / 2, height=size[1], pose=pose),
                Sphere(name=f"o{i}", radius=size[0] / 2, pose=pose),
                Capsule(name=f"o{i}", radius=size[0] / 4, height=size[1], pose=pose),
            ][i % 4]
        )
    return Scene(obstacles=tuple(obstacles))


def test_certified_paths_have_no_contact_and_refused_ones_have_one(panda, timed):
    rng = np.random.default_rng(11)
    certified = refused = 0
    while certified < 6 or refused < 6:
        start = rng.uniform(panda.lower, panda.upper)
        trajectory = timed(np.array([start, np.clip(start + rng.normal(0, 0.4, 7), panda.lower, panda.upper)]), 2.5)
        scene = _random_scene(rng)
        with Certifier(panda, scene) as certifier:
            certificate = certifier.certify(trajectory, start=start, goals=trajectory.position[-1:])
            ends = trajectory.position[[0, -1]]
            steps = int(np.ceil(np.abs(ends[1] - ends[0]).max() / 0.005))
            checks = [certifier.check(q) for q in np.linspace(*ends, steps + 1)]
        least = min(min(check.clearance_m, check.self_clearance_m) for check in checks)
        if certificate.valid:
            certified += 1
            assert least > 0
            assert certificate.min_clearance_m >= min(0.25, *(check.clearance_m for check in checks)) - 0.002
        else:
            refused += 1
            assert "touches" in certificate.reason
            assert least < 0.003


def test_clearance_along_a_path_is_never_below_the_proven_bound_nor_far_below_the_measured_one(panda, timed):
    rng = np.random.default_rng(21)
    certified = 0
    while certified < 8:
        start = rng.uniform(panda.lower, panda.upper)
        trajectory = timed(np.array([start, np.clip(start + rng.normal(0, 0.3, 7), panda.lower, panda.upper)]), 2.5)
        with Certifier(panda, _random_scene(rng)) as certifier:
            certificate = certifier.certify(trajectory, start=start, goals=trajectory.position[-1:])
            if not certificate.valid:
                continue
            certified += 1
            checks = [certifier.check(q) for q in np.linspace(*trajectory.position[[0, -1]], 300)]
        for least, bound, measured in (
            (min(c.clearance_m for c in checks), certificate.min_clearance_bound_m, certificate.min_clearance_m),
            (
                min(c.self_clearance_m for c in checks),
                certificate.min_self_clearance_bound_m,
                certificate.min_self_clearance_m,
            ),
        ):
            if np.isfinite(least):
                assert 0 < bound <= min(least, measured) + 1e-9
                assert measured <= least + 0.003


def test_a_path_that_is_not_free_has_no_proven_clearance(panda, timed):
    home = panda.configuration("home")
    trajectory = timed(np.array([home, home + 0.2]), 1.5)
    tip = panda.link_pose((home + 0.1)[None], "panda_hand")[0, :3, 3]
    certificate = _certify(
        panda, Scene(obstacles=(Sphere(name="ball", radius=0.05, pose=Pose(xyz=tuple(tip))),)), trajectory
    )
    assert not certificate.valid
    assert certificate.min_clearance_bound_m is None
    assert certificate.min_self_clearance_bound_m is None


def test_a_path_far_from_everything_has_a_bound_too(panda, timed):
    home = panda.configuration("home")
    far = Box(name="far", size=(0.1, 0.1, 0.1), pose=Pose(xyz=(3.0, 0.0, 0.5)))
    certificate = _certify(panda, Scene(obstacles=(far,)), timed(np.array([home, home + 0.2]), 1.5))
    assert 1.5 < certificate.min_clearance_bound_m <= certificate.min_clearance_m


def test_a_thin_plate_between_two_samples_is_found(panda):
    reach = panda.configuration("home")
    path = np.array([reach, reach]) + np.array([[-1.0], [1.0]]) * np.eye(7)[0]
    tip = panda.link_pose(reach[None], "panda_hand")[0, :3, 3]
    plate = Box(name="plate", size=(0.2, 0.002, 0.3), pose=Pose(xyz=tuple(tip)))
    with Certifier(panda, Scene(obstacles=(plate,))) as certifier:
        assert all(certifier.check(q).free for q in path)
        touch = certifier._sweep(path, np.zeros(len(certifier._pairs.names)))[0].touch
        assert touch is not None
        assert 0.2 < touch.place < 0.8


def test_grazing_the_corner_of_a_plate_by_less_than_a_millimetre_is_found(panda, timed):
    reach = panda.configuration("home")
    trajectory = timed(np.array([reach - 0.5 * np.eye(7)[0], reach + 0.5 * np.eye(7)[0]]), 2.0)
    ball = Sphere(name="ball", radius=0.02, pose=Pose(xyz=(0.3, 0.0, 0.2)))
    with Certifier(panda, Scene(obstacles=(ball,))) as certifier:
        away = min(certifier.check(q).clearance_m for q in np.linspace(*trajectory.position[[0, -1]], 400))
    for gap, valid in ((0.0005, True), (-0.0005, False)):
        grown = Scene(obstacles=(replace(ball, radius=ball.radius + away - gap),))
        assert _certify(panda, grown, trajectory).valid is valid


def test_self_collision_is_found_and_named(panda, timed):
    folded = np.array([0.0, 0.0, 0.0, -3.05, 0.0, -0.05, 0.0])
    with Certifier(panda, Scene()) as certifier:
        check = certifier.check(folded)
    assert not check.free
    assert all(link in check.contact for link in check.self_links)
    certificate = _certify(panda, Scene(), timed(np.array([panda.configuration("home"), folded]), 3.0))
    assert not certificate.valid
    assert "touches" in certificate.reason
    assert certificate.min_self_clearance_m < 1e-4


def test_closed_fingers_touch_each_other_and_may(panda, timed):
    closed = panda.with_held({"panda_finger_joint1": 0.0, "panda_finger_joint2": 0.0})
    assert frozenset(("panda_leftfinger", "panda_rightfinger")) not in closed.touching
    trajectory = timed(np.array([closed.configuration("home"), closed.configuration("home") + 0.2]), 1.5)
    assert _certify(closed, Scene(), trajectory).valid


def test_distance_to_a_ball_is_the_distance_of_the_surfaces(panda):
    home = panda.configuration("home")
    ball = Sphere(name="ball", radius=0.05, pose=Pose(xyz=(0.8, 0.0, 0.5)))
    near = replace(ball, pose=Pose(xyz=(0.6, 0.0, 0.5)))
    with Certifier(panda, Scene(obstacles=(near, replace(ball, name="far", radius=0.01)))) as certifier:
        first = certifier.check(home)
    with Certifier(panda, Scene(obstacles=(replace(near, radius=0.10),))) as certifier:
        second = certifier.check(home)
    assert first.obstacle == "ball"
    assert first.clearance_m - second.clearance_m == pytest.approx(0.05, abs=1e-6)


def test_the_scene_moves_with_the_robot_base(panda):
    home = panda.configuration("home")
    base = Pose.from_rpy((0.3, -0.2, 0.4), (0.0, 0.0, 0.7))
    cube = Box(name="cube", size=(0.1, 0.1, 0.1), pose=Pose(xyz=(0.6, 0.0, 0.3)))
    with Certifier(panda, Scene(obstacles=(cube,))) as certifier:
        here = certifier.check(home)
    moved = Scene(robot_base=base, obstacles=(replace(cube, pose=base @ cube.pose),))
    with Certifier(panda, moved) as certifier:
        there = certifier.check(home)
    assert there.clearance_m == pytest.approx(here.clearance_m, abs=1e-5)
    assert (there.link, there.self_links) == (here.link, here.self_links)


def test_a_second_certifier_sees_neither_the_obstacles_nor_the_fingers_of_the_first(panda):
    home = panda.configuration("home")
    with Certifier(panda, Scene()) as certifier:
        empty = certifier.check(home)
    tip = panda.link_pose(home[None], "panda_hand")[0, :3, 3]
    inside = Box(name="inside", size=(0.2, 0.2, 0.2), pose=Pose(xyz=tuple(tip)))
    closed = panda.with_held({"panda_finger_joint1": 0.0})
    with Certifier(closed, Scene(obstacles=(inside,))) as certifier:
        assert not certifier.check(home).free
    with Certifier(panda, Scene()) as certifier:
        assert certifier.check(home) == empty


def test_many_bases_leave_few_clients_open(panda):
    import pybullet

    for i in range(8):
        Certifier(panda, Scene(robot_base=Pose(xyz=(0.1 * i, 0.0, 0.0)))).close()
    assert len(world.Stage._idle) <= 4
    assert sum(bool(pybullet.isConnected(i)) for i in range(64)) <= 6


def test_a_robot_may_stand_on_a_floor_but_not_in_it(panda, timed):
    trajectory = timed(np.array([panda.configuration("home"), panda.configuration("home") + 0.2]), 1.5)
    floor = Box(name="floor", size=(3.0, 3.0, 0.1), pose=Pose(xyz=(0.0, 0.0, -0.05)))
    assert _certify(panda, Scene(obstacles=(floor,)), trajectory).valid
    risen = _certify(panda, Scene(obstacles=(replace(floor, pose=Pose(xyz=(0.0, 0.0, -0.03))),)), trajectory)
    assert not risen.valid
    assert "panda_link0" in risen.reason
    assert "floor" in risen.reason


def test_a_robot_stands_on_a_plane_and_its_hand_may_not_sink_into_it(panda, timed):
    home = panda.configuration("home")
    trajectory = timed(np.array([home, home + 0.2]), 1.5)
    base = Pose.from_rpy((0.4, -0.3, 0.7), (0.3, 0.2, 1.0))
    on_it = Scene(robot_base=base, obstacles=(Plane(name="floor", pose=base @ Pose(xyz=(5.0, 3.0, 0.0))),))
    certificate = _certify(panda, on_it, trajectory)
    assert certificate.valid
    assert certificate.closest.obstacle == "floor"
    low = np.array([0.0, 1.5, 0.0, -0.9, 0.0, 2.4, 0.8])
    lowest = min(panda.link_pose(low, link)[0, 2, 3] for link in ("panda_hand", "panda_leftfinger"))
    assert lowest < -0.1
    with Certifier(panda, on_it) as certifier:
        assert "floor" in certifier.check(low).contact
    with Certifier(panda, Scene(obstacles=(Plane(name="floor", pose=Pose(xyz=(0.0, 0.0, -0.004))),))) as certifier:
        assert certifier.check(home).free
    with Certifier(panda, Scene(obstacles=(Plane(name="floor", pose=Pose(xyz=(0.0, 0.0, 0.006))),))) as certifier:
        assert "panda_link0 touches floor" in certifier.check(home).contact


def test_the_distance_from_a_plane_is_that_of_the_lowest_point(panda):
    rng = np.random.default_rng(2)
    shapes = cover(panda)
    for _ in range(10):
        base = Pose.from_rpy(tuple(rng.uniform(-50, 50, 3)), tuple(rng.uniform(-3, 3, 3)))
        wall = Plane(name="wall", pose=base @ Pose.from_rpy((0.2, 0.1, -1.5), tuple(rng.uniform(-0.4, 0.4, 3))))
        q = rng.uniform(panda.lower, panda.upper)
        T = wall.pose.inverse().matrix @ base.matrix
        poses = panda.body_poses(q)[0]
        heights = []
        for link, body in zip(panda.links, shapes.body, strict=True):
            place = panda.chain.placement[link][1]
            corners = np.concatenate([part for s in panda.model.collisions[link] for part in s.corners()])
            world = (T @ poses[body] @ place)[2]
            heights.append((corners @ world[:3] + world[3]).min() if body else np.inf)
        with Certifier(panda, Scene(robot_base=base, obstacles=(wall,))) as certifier:
            measured = certifier.clearance(q)
        assert min(heights) - 0.0018 < measured < min(heights) - 0.0005


def test_what_is_kilometres_away_is_no_obstacle_and_no_error(panda, timed):
    home = panda.configuration("home")
    trajectory = timed(np.array([home, home + 0.2]), 1.5)
    base = Pose(xyz=(9e5, -2e5, 3e4))
    near = Box(name="near", size=(0.2, 0.2, 0.2), pose=base @ Pose(xyz=(0.7, 0.3, 0.3)))
    far = [Sphere(name=f"far{x}", radius=100.0, pose=base @ Pose(xyz=(x, 0.0, 0.0))) for x in (-9e5, 1e4, 2e3, 400.0)]
    alone = _certify(panda, Scene(robot_base=base, obstacles=(near,)), trajectory)
    among = _certify(panda, Scene(robot_base=base, obstacles=(near, *far)), trajectory)
    assert alone.valid
    assert among.valid
    assert among.min_clearance_m == pytest.approx(alone.min_clearance_m, abs=1e-6)
    here = Scene(obstacles=(replace(near, pose=base.inverse() @ near.pose),))
    assert _certify(panda, here, trajectory).min_clearance_m == pytest.approx(alone.min_clearance_m, abs=1e-5)


def _away(kind, tmp_path, shift):
    """A post that stands in the arm, made of a solid that lies `shift` [3] from its origin."""
    post = trimesh.creation.box((0.3, 0.3, 0.8))
    pose = Pose(xyz=tuple((np.array((0.35, 0.0, 0.5)) - shift).tolist()))
    length = float(np.linalg.norm(shift))
    if kind != "slide":
        post.apply_translation(shift)
    post.export(tmp_path / "post.obj", digits=9)
    if kind in ("hollow", "convex"):
        return Mesh(name="post", file=tmp_path / "post.obj", pose=pose, convex=kind == "convex")
    axis = " ".join(str(x / length) for x in shift)
    slide = f'<axis xyz="{axis}"/><limit lower="0" upper="9999" effort="1" velocity="1"/>'
    joint = f'<joint name="j" type="prismatic"><parent link="root"/><child link="l"/>{slide}</joint>'
    mesh = '<collision><geometry><mesh filename="post.obj"/></geometry></collision>'
    urdf = tmp_path / "post.urdf"
    urdf.write_text(f'<robot name="r"><link name="root"/><link name="l">{mesh}</link>{joint}</robot>')
    return Urdf(name="post", file=urdf, pose=pose, joints={"j": length} if kind == "slide" else {})


_FAR_SOLIDS = ["hollow", "convex", "mesh in a URDF", "slide"]


@pytest.mark.parametrize("kind", _FAR_SOLIDS)
def test_a_solid_hundreds_of_metres_from_its_own_origin_touches_where_it_is(panda, tmp_path, kind):
    post = _away(kind, tmp_path, np.array((700.0, 600.0, 0.0)))
    with Certifier(panda, Scene(obstacles=(post,))) as certifier:
        assert certifier.check(panda.configuration("home")).contact


@pytest.mark.parametrize("kind", _FAR_SOLIDS)
@pytest.mark.parametrize("shift", [(800.0, 800.0, 0.0), (-600.0, 700.0, 800.0)])
def test_a_solid_at_the_arm_whose_origin_is_beyond_a_kilometre_is_refused_and_never_out_of_sight(
    panda, tmp_path, kind, shift
):
    post = _away(kind, tmp_path, np.array(shift))
    with pytest.raises(InputError, match=r"post: its origin is .* m from the robot's base"):
        Certifier(panda, Scene(obstacles=(post,)))


@pytest.mark.parametrize("kind", ["hollow", "mesh in a URDF"])
def test_a_mesh_kilometres_away_is_out_of_sight_wherever_its_origin_is(panda, tmp_path, kind):
    post = _away(kind, tmp_path, np.array((300.0, 0.0, 0.0)))
    with Certifier(panda, Scene(obstacles=(replace(post, pose=Pose(xyz=(0.0, 0.0, 5e4))),))) as certifier:
        assert certifier.clearance(panda.configuration("home")) == np.inf


def _shell(tmp_path, outer, inner):
    """A closed cube with a cubic hollow in it."""
    wall, hollow = trimesh.creation.box((outer,) * 3), trimesh.creation.box((inner,) * 3)
    hollow.invert()
    file = tmp_path / "shell.obj"
    trimesh.util.concatenate([wall, hollow]).export(file)
    return file


def test_a_robot_in_a_hollow_is_free_and_one_in_the_solid_is_not(panda, timed, tmp_path):
    trajectory = timed(np.array([panda.configuration("home"), panda.configuration("home") + 0.2]), 1.5)
    around = Mesh(name="shell", file=_shell(tmp_path, 6.0, 5.0))
    certificate = _certify(panda, Scene(obstacles=(around,)), trajectory)
    assert certificate.valid
    assert certificate.min_clearance_m >= 0.0299
    solid = replace(around, pose=Pose(xyz=(8.25, 0.0, 0.0)), scale=3.0)
    with Certifier(panda, Scene(obstacles=(solid,))) as certifier:
        assert "shell" in certifier.check(panda.configuration("home")).contact
    inside = _certify(panda, Scene(obstacles=(solid,)), trajectory)
    assert not inside.valid
    assert "inside shell" in inside.reason


def test_near_a_hollow_mesh_distances_are_those_of_its_triangles_and_farther_off_never_more(panda, tmp_path):
    rng = np.random.default_rng(8)
    file = tmp_path / "tube.obj"
    trimesh.creation.annulus(0.25, 0.3, 0.2).export(file)
    scene = Scene(obstacles=(Mesh(name="tube", file=file, pose=Pose(xyz=(0.3, 0.1, 0.5))),))
    near = within_hull = 0
    with Certifier(panda, scene) as certifier:
        pairs = np.arange(certifier._pairs.with_obstacles)
        hulls = certifier._hulls
        for _ in range(60):
            q = panda.configuration("home") + rng.normal(0, 0.15, 7)
            certifier._hulls, certifier._found_ends = hulls, {}
            fast = certifier._measure(q, pairs, 0.25)
            certifier._hulls, certifier._found_ends = {}, {}
            exact = certifier._measure(q, pairs, 0.25)
            close = exact < 0.029
            near += close.sum()
            within_hull += ((fast == 0.03) & (exact > 0.05)).sum()
            np.testing.assert_allclose(fast[close], exact[close], atol=1e-9)
            assert np.all(fast <= exact + 1e-6)
    assert near > 50
    assert within_hull > 50


def test_clearances_change_no_faster_than_the_links_move(panda, tmp_path):
    """PyBullet's distances, hollow meshes included, agree with the motion bounds: neither jumps nor misses."""
    rng = np.random.default_rng(5)
    ring = tmp_path / "ring.obj"
    trimesh.creation.annulus(0.15, 0.2, 0.1).export(ring)
    scene = _random_scene(rng).add(Mesh(name="ring", file=ring, pose=Pose(xyz=(0.45, 0.0, 0.4))))
    shapes = cover(panda)
    with Certifier(panda, scene) as certifier:
        names = certifier._pairs.names
        pairs = np.arange(len(names))
        for _ in range(40):
            start = rng.uniform(panda.lower, panda.upper)
            path = np.array([start, start + rng.normal(0, 0.05, 7)])
            way = certifier._pairs.travel(travel(panda, shapes, path))[-1]
            first, second = (np.minimum(certifier._measure(q, pairs, 0.4), 0.4) for q in path)
            outside = (first > 0) & (second > 0)
            assert np.all(np.abs(first - second)[outside] <= way[outside] + 1e-4)


def _trajectory(panda, timed):
    return timed(np.array([panda.configuration("home"), AWAY]), 3.0)


def test_an_honest_trajectory_within_limits_is_valid_with_its_figures(panda, timed):
    trajectory = _trajectory(panda, timed)
    certificate = _certify(panda, Scene(), trajectory, goals=np.array([AWAY + 1.0, AWAY]))
    assert certificate.valid
    assert certificate.reason == ""
    assert certificate.goal_index == 1
    assert certificate.min_clearance_m is None
    assert certificate.start_error_rad == 0
    assert certificate.goal_error_rad < 1e-9


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda t: {"velocity": 0 * t.velocity}, "velocity of .* does not match"),
        (lambda t: {"acceleration": 0 * t.acceleration - 5}, "acceleration of .* does not match"),
        (lambda t: {"velocity": t.velocity + 0.2}, "at rest"),
        (lambda t: {"position": np.where(t.position > 0.85, np.nan, t.position)}, "not finite"),
        (lambda t: {"time": t.time[::-1].copy()}, "does not increase"),
        (lambda t: {"time": 1.5 * t.time}, "step of 0.015"),
        (lambda t: {"time": 0.1 * t.time, "velocity": 10 * t.velocity}, "exceeds its velocity limit"),
        (lambda t: {"time": 0.6 * t.time}, "does not match"),
        (lambda t: {"position": t.position + 1e-4}, "away from the start"),
        (lambda t: {"acceleration": t.acceleration[:-1]}, "has shape"),
        (lambda t: {"position": t.position[:, :6]}, "has shape"),
        (lambda t: {"velocity": t.velocity[0]}, "has shape"),
        (lambda t: {"time": t.time[:1], "position": t.position[:1]}, "fewer than two samples"),
        (lambda t: {"time": t.time[:-1]}, "has shape"),
        (lambda t: {"time": t.time[:, None]}, "fewer than two samples"),
        (lambda t: {"time": np.where(t.time > 1, np.nan, t.time)}, "does not increase"),
        (lambda t: {"time": 0 * t.time}, "does not increase"),
        (lambda t: {"velocity": np.where(t.velocity > 0.1, np.inf, t.velocity)}, "not finite"),
        (lambda t: {"velocity": np.where(t.velocity > 0.1, 1e308, t.velocity)}, "velocity limit"),
        (lambda t: {"position": np.where(t.position > 0.85, 1e308, t.position)}, "away from the start"),
        (lambda t: {"position": t.position.astype(complex)}, "no array of real numbers"),
        (lambda t: {"position": t.position.tolist()}, "no array of real numbers"),
    ],
)
def test_a_trajectory_that_lies_or_breaks_a_limit_is_refused(panda, timed, change, reason):
    honest = _trajectory(panda, timed)
    certificate = _certify(panda, Scene(), replace(honest, **change(honest)), honest.position[0], honest.position[-1:])
    assert not certificate.valid
    assert re.search(reason, certificate.reason), certificate.reason


def test_a_closed_certifier_judges_nothing(panda, timed):
    trajectory = _trajectory(panda, timed)
    home = panda.configuration("home")
    certifier = Certifier(panda, Scene())
    certifier.close()
    certifier.close()
    with pytest.raises(InputError, match="this Certifier is closed"):
        certifier.check(home)
    with pytest.raises(InputError, match="this Certifier is closed"):
        certifier.clearance(home)
    with pytest.raises(InputError, match="this Certifier is closed"):
        certifier.certify(trajectory, start=trajectory.position[0], goals=trajectory.position[-1:])


@pytest.mark.parametrize(
    "q",
    [np.full(7, np.nan), np.full(7, np.inf), np.zeros(6), np.zeros((1, 7)), np.zeros(0), ["home"], [[0.0], []], None],
)
def test_what_is_no_configuration_is_refused_rather_than_measured(panda, timed, q):
    trajectory = _trajectory(panda, timed)
    home = trajectory.position[0]
    with Certifier(panda, Scene()) as certifier:
        for call in (
            lambda: certifier.check(q),
            lambda: certifier.clearance(q),
            lambda: certifier.certify(trajectory, start=q, goals=trajectory.position[-1:]),
            lambda: certifier.certify(trajectory, start=home, goals=[home, q]),
        ):
            with pytest.raises(InputError, match="7 finite numbers"):
                call()
        for goals in (home, np.zeros((0, 7)), np.zeros((1, 1, 7))):
            with pytest.raises(InputError, match=r"goals: not joint positions.*one or more rows of 7 finite numbers"):
                certifier.certify(trajectory, start=home, goals=goals)


def test_a_tensor_that_asks_for_a_gradient_is_measured_as_its_numbers(panda):
    home = panda.configuration("home")
    with Certifier(panda, Scene()) as certifier:
        assert certifier.check(torch.tensor(home, requires_grad=True)) == certifier.check(home)


def test_leaving_position_limits_is_refused_and_names_the_joint(panda, timed):
    outside = panda.configuration("home")
    outside[3] = panda.upper[3] + 0.01
    certificate = _certify(panda, Scene(), timed(np.array([panda.configuration("home"), outside]), 4.0))
    assert not certificate.valid
    assert not certificate.joint_limits_ok
    assert "panda_joint4" in certificate.reason


def test_ending_elsewhere_than_in_a_goal_is_refused(panda, timed):
    certificate = _certify(panda, Scene(), _trajectory(panda, timed), goals=AWAY[None] + 0.002)
    assert not certificate.valid
    assert certificate.goal_error_rad == pytest.approx(0.002)


def test_too_strong_an_acceleration_is_refused(panda, timed):
    path = np.array([panda.configuration("home"), panda.configuration("home") + 0.1 * np.eye(7)[1]])
    certificate = _certify(panda, Scene(), timed(path, 0.22))
    assert not certificate.acceleration_limits_ok
    assert certificate.velocity_limits_ok


def test_hollow_meshes_in_urdf_obstacles_are_refused(panda, tmp_path):
    trimesh.creation.box((0.1, 0.1, 0.1)).export(tmp_path / "cube.obj")
    (tmp_path / "cup.urdf").write_text(
        '<robot name="cup"><link name="cup"><collision concave="yes"><geometry><mesh filename="cube.obj"/></geometry>'
        "</collision></link></robot>"
    )
    with pytest.raises(InputError, match="concave"):
        Certifier(panda, Scene(obstacles=(Urdf(name="cup", file=tmp_path / "cup.urdf"),)))


def test_geometry_that_pybullet_left_out_is_noticed(panda, tmp_path, monkeypatch):
    trimesh.creation.box((0.1, 0.1, 0.1)).export(tmp_path / "cube.obj")
    (tmp_path / "crate.urdf").write_text(
        '<robot name="crate"><link name="crate"><collision><geometry><mesh filename="cube.obj"/></geometry>'
        "</collision></link></robot>"
    )
    crate = Urdf(name="crate", file=tmp_path / "crate.urdf", pose=Pose(xyz=(1.0, 0.0, 0.0)), scale=2.0)
    Certifier(panda, Scene(obstacles=(crate,))).close()
    larger, corners = trimesh.creation.box((0.2, 0.2, 0.22)).vertices, Mesh.corners
    monkeypatch.setattr(Mesh, "corners", lambda s: [larger] if s.file.name == "cube.obj" else corners(s))
    with pytest.raises(
        InputError, match=r"crate: PyBullet does not hold what the file says: .* 10\.00 mm of it are missing"
    ):
        Certifier(panda, Scene(obstacles=(crate,)))


def test_nothing_is_printed_while_a_world_is_loaded(panda, tmp_path, capfd):
    (tmp_path / "post.urdf").write_text(
        '<robot name="post"><link name="post"><collision><geometry><box size="0.1 0.1 0.1"/></geometry></collision>'
        "</link></robot>"
    )
    Certifier(panda, Scene(obstacles=(Urdf(name="post", file=tmp_path / "post.urdf"),))).close()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", ["obj", "stl", "ply"])
@pytest.mark.parametrize("convex", [True, False])
def test_meshes_of_all_kinds_are_as_large_as_they_should_be(panda, tmp_path, kind, convex):
    file = tmp_path / f"cube.{kind}"
    trimesh.creation.box((0.1, 0.2, 0.3)).export(file)
    home = panda.configuration("home")
    pose = Pose.from_rpy((0.6, 0.0, 0.5), (0.3, 0.2, 0.1))
    box = Box(name="cube", size=(0.2, 0.4, 0.6), pose=pose)
    mesh = Mesh(name="cube", file=file, scale=2.0, pose=pose, convex=convex)
    found = []
    for obstacle in (box, mesh):
        with Certifier(panda, Scene(obstacles=(obstacle,))) as certifier:
            found.append(certifier._measure(home, np.arange(certifier._pairs.with_obstacles), 0.029).min())
    assert found[1] == pytest.approx(found[0], abs=0.0015)
