"""Bounds without PyBullet are below what PyBullet measures, and hulls hold links whole."""

import numpy as np
import pytest
import trimesh

import diffplan as dp
from diffplan.certificate.bounding import Hulls, PathBounds, _outermost
from diffplan.certificate.certifier import Certifier
from diffplan.certificate.motion_bound import link_parts
from diffplan.certificate.planes import SPARE
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
    assert np.median(off) < 0.01


def test_the_corners_that_are_kept_of_a_link_span_all_of_it(any_robot):
    rng, hulls = np.random.default_rng(2), Hulls.of(any_robot, content_of(any_robot)[0])
    for i, link in enumerate(any_robot.links):
        corners = hulls.corners[hulls.first[i] : hulls.first[i + 1]]
        n = rng.normal(size=(3, 500))
        least = np.min([(part @ n).min(axis=0) for part in link_parts(any_robot, link)], axis=0)
        assert (corners @ n).min(axis=0) == pytest.approx(least, abs=1e-9)
        assert np.linalg.norm(corners - hulls.ball[i, :3], axis=1).max() <= hulls.ball[i, 3] + 1e-12


def test_bounds_are_below_the_clearance_of_obstacles_far_away_too_and_not_by_much(panda):
    rng = np.random.default_rng(3)
    boxes = [dp.Box(name=f"b{i}", size=(0.1, 0.2, 0.3), pose=dp.Pose(xyz=rng.uniform(-4, 4, 3))) for i in range(60)]
    with Certifier(panda, dp.Scene(obstacles=tuple(boxes))) as certifier:
        every, q = np.arange(len(certifier._pairs.names)), panda.configuration("home")
        measured, low = certifier._measure(q, every, 9.0), certifier._low(q[None])[0]
    assert np.all(low <= measured)
    assert np.all(low[measured > 2] > 1.9)
    assert np.min(measured - low) > SPARE - 1e-6


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


def test_corners_too_flat_for_a_hull_are_all_kept():
    rng = np.random.default_rng(5)
    turned = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    flat = np.c_[rng.uniform(-0.1, 0.1, (40, 2)), np.zeros(40)] @ turned.T
    assert len(_outermost(flat)) == 40


@pytest.mark.parametrize("held", [False, True])
def test_what_planes_prove_of_a_path_is_true_of_it(panda, tmp_path, held):
    rng = np.random.default_rng(6)
    proven, near, beyond = 0, 0, 0
    for _ in range(6):
        with Certifier(panda, _scene(rng, tmp_path, held)) as certifier:
            ends = rng.uniform(panda.lower, panda.upper, (2, 7))
            path = ends[0] + np.linspace(0, 1, 60)[:, None] * (ends[1] - ends[0])
            travels, way = certifier._travels(path), certifier._pairs.way
            more = certifier._pairs.allowed - certifier._rounded
            known = PathBounds.of(certifier._bounds, panda.body_poses(path), travels, more)
            every, demand = np.arange(len(way)), 0.03
            open_at = np.zeros((len(path), len(way)), bool)
            for pair, first, last in known.stretches:
                assert 0 <= first < last <= len(path) - 1
                open_at[first : last + 1, pair] = True
            closer = known.nearer(every, demand)
            far = np.setdiff1d(every, closer)
            for i in range(0, 60, 3):
                q = path[i] + (0.5 * (path[i + 1] - path[i]) if i % 2 else 0.0)
                measured = certifier._measure(q, every, 1.0)
                free = ~open_at[i]
                assert np.all(measured[free] > 0)
                assert np.all(measured[far] > min(demand, 0.03 - certifier._rounded.max()))
                proven += np.count_nonzero(free)
                near += np.count_nonzero(free & (measured < 0.03))
                beyond += np.count_nonzero(measured[far] < 0.06)
    assert proven > 5000
    assert near > 20
    assert beyond > 20
