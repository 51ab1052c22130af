"""Bounds without PyBullet are below what PyBullet measures, and spheres hold links whole."""

import numpy as np
import pytest
import trimesh

import diffplan as dp
from diffplan.certificate.bounding import SPARE, Spheres, _slabs
from diffplan.certificate.certifier import Certifier
from diffplan.certificate.motion_bound import link_parts
from diffplan.certificate.world import content_of
from diffplan.scene import Attached


def _scene(rng, folder, held=False):
    """One obstacle of each kind about the arm."""
    poses = [dp.Pose.from_rpy((*rng.uniform(-0.7, 0.7, 2), rng.uniform(0, 1)), rng.uniform(-3, 3, 3)) for _ in range(6)]
    trimesh.creation.annulus(0.05, 0.1, 0.2).export(folder / "ring.obj")
    trimesh.convex.convex_hull(rng.normal(0, 0.1, (12, 3))).export(folder / "rock.obj")
    obstacles = (
        dp.Box(name="box", size=(0.3, 0.05, 0.2), pose=poses[0]),
        dp.Sphere(name="ball", radius=0.1, pose=poses[1]),
        dp.Cylinder(name="can", radius=0.05, height=0.3, pose=poses[2]),
        dp.Capsule(name="pill", radius=0.05, height=0.2, pose=poses[3]),
        dp.Mesh(name="ring", file=folder / "ring.obj", pose=poses[4]),
        dp.Mesh(name="rock", file=folder / "rock.obj", pose=poses[5], convex=True),
        dp.Plane(name="floor", pose=dp.Pose(xyz=(0.0, 0.0, -0.3))),
    )
    rod = dp.Cylinder(name="rod", radius=0.01, height=0.4, pose=dp.Pose(xyz=(0.0, 0.0, 0.2)))
    return dp.Scene(obstacles=obstacles, attached=(Attached(obstacle=rod, link="panda_hand"),) if held else ())


@pytest.mark.parametrize("held", [False, True])
def test_bounds_are_never_above_what_is_measured_and_say_something(panda, tmp_path, held):
    rng = np.random.default_rng(1)
    near, off = 0, []
    for _ in range(5):
        with Certifier(panda, _scene(rng, tmp_path, held)) as certifier:
            every = np.arange(len(certifier._pairs.names))
            q = rng.uniform(panda.lower, panda.upper, (30, 7))
            for one, low in zip(q, certifier._low(q), strict=True):
                measured = certifier._measure(one, every, 3.0)
                told = (low > 0) & (measured != 0.03 - certifier._rounded)  # as of a hollow mesh that is farther off
                assert np.all(low[told] <= measured[told])
                near += np.count_nonzero(measured < 0.05)
                off += (measured - low)[told & np.isfinite(measured) & (measured > 0)].tolist()
    assert near > 100
    assert np.median(off) < 0.06


def test_spheres_hold_all_of_a_link_and_not_only_its_corners(any_robot):
    rng, spheres = np.random.default_rng(2), Spheres.of(any_robot, content_of(any_robot)[0])
    for i, link in enumerate(any_robot.links):
        for part in link_parts(any_robot, link):
            shares = rng.dirichlet(np.full(len(part), 0.1), 500)
            away = np.linalg.norm((shares @ part)[:, None] - spheres.centre[i], axis=2) - spheres.radius[i]
            assert away.min(axis=1).max() < 0


def test_many_obstacles_far_away_have_one_bound_for_the_whole_arm_which_is_below_their_clearance(panda):
    rng = np.random.default_rng(3)
    boxes = [dp.Box(name=f"b{i}", size=(0.1, 0.2, 0.3), pose=dp.Pose(xyz=rng.uniform(-4, 4, 3))) for i in range(60)]
    with Certifier(panda, dp.Scene(obstacles=tuple(boxes))) as certifier:
        every, q = np.arange(len(certifier._pairs.names)), panda.configuration("home")
        measured, low = certifier._measure(q, every, 9.0), certifier._low(q[None])[0]
    assert np.all(low <= measured)
    assert np.all(low[measured > 2] > 0.5)
    assert np.min(measured - low) > SPARE


def test_where_a_contact_may_be_deep_bounds_do_not_say_that_it_is_shallow(panda, tmp_path):
    rng, entered = np.random.default_rng(4), 0
    scene = _scene(rng, tmp_path)
    for link in ("panda_link5", "panda_link6", "panda_link7", "panda_hand"):
        for name in ("box", "ball", "can", "pill"):
            scene = scene.allow(link, name, 0.05)
    with Certifier(panda, scene) as certifier:
        every = np.arange(len(certifier._pairs.names))
        for q in rng.uniform(panda.lower, panda.upper, (400, 7)):
            judged, low = certifier._judged(q, every, 3.0), certifier._low(q[None])[0]
            deep = (certifier._pairs.allowed > 0) & (judged < 0.05)
            assert np.all(low[deep] <= judged[deep])
            entered += np.count_nonzero(deep)
    assert entered > 20


def test_corners_too_flat_for_a_hull_have_spheres_too():
    rng = np.random.default_rng(5)
    turned = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    flat = np.c_[rng.uniform(-0.1, 0.1, (40, 2)), np.zeros(40)] @ turned.T
    centres, radii = _slabs([flat])
    inside = rng.dirichlet(np.full(40, 0.1), 500) @ flat
    assert (np.linalg.norm(inside[:, None] - centres, axis=2) - radii).min(axis=1).max() < 0
