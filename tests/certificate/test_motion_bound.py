"""The motion bound bounds motion: against the densely sampled way of real points of the links."""

import numpy as np
import pytest

from diffplan.certificate.bullet import bullet, connection
from diffplan.certificate.frames import inertial_frame
from diffplan.certificate.motion_bound import cover, farthest, length, travel
from diffplan.certificate.world import load_robot_body
from diffplan.geometry.meshes import load_hulls
from diffplan.geometry.pose import Pose


@pytest.fixture(scope="module")
def shapes(panda):
    return cover(panda)


def _corner_points(panda, link):
    """Corners of the link's hulls [n, 3] in the link frame."""
    points = []
    for shape in panda.model.collisions[link]:
        pose = shape.pose.matrix
        for hull in load_hulls(shape.file, shape.scale):
            points.append(hull.vertices @ pose[:3, :3].T + pose[:3, 3])
    return np.concatenate(points)[::3]


def _random_path(panda, rng, samples, step):
    path = np.cumsum(rng.normal(scale=step, size=(samples, panda.dof)), axis=0)
    return path + rng.uniform(panda.lower, panda.upper)


def _dense(path, per_piece):
    places = np.linspace(0, len(path) - 1, (len(path) - 1) * per_piece + 1)
    return np.stack([np.interp(places, np.arange(len(path)), joint) for joint in path.T], axis=1)


@pytest.mark.parametrize("step", [0.01, 0.2, 1.0])
def test_no_point_of_a_link_travels_farther_than_the_bound(panda, shapes, step):
    rng = np.random.default_rng(3)
    for _ in range(4):
        path = _random_path(panda, rng, 14, step)
        bound = travel(panda, shapes, path).sum(axis=2)
        dense = _dense(path, 40)
        for i, link in enumerate(panda.links):
            poses = panda.link_pose(dense, link)
            points = np.einsum("nij,pj->npi", poses[:, :3, :3], _corner_points(panda, link)) + poses[:, None, :3, 3]
            way = np.concatenate([np.zeros((1, points.shape[1])), np.linalg.norm(np.diff(points, axis=0), axis=2)])
            way = np.cumsum(way, axis=0)[::40]
            for a, b in ((0, 13), (0, 5), (3, 4), (7, 13)):
                assert (way[b] - way[a]).max() <= bound[b, i] - bound[a, i] + 1e-9


@pytest.mark.parametrize("step", [0.01, 0.1, 0.5])
def test_no_part_of_a_piece_is_longer_than_its_share_of_the_bound_on_the_length(panda, shapes, step):
    rng = np.random.default_rng(6)
    less = []
    for _ in range(4):
        path = _random_path(panda, rng, 10, step)
        reach = farthest(panda, shapes, path)
        bound, alone = length(panda, shapes, path, reach), travel(panda, shapes, path, reach).sum(axis=2)
        assert np.all(np.diff(bound, axis=0) <= np.diff(alone, axis=0) + 1e-12)
        less.append(bound[-1, -1] / alone[-1, -1])
        dense = _dense(path, 40)
        for i, link in enumerate(panda.links):
            poses = panda.link_pose(dense, link)
            points = np.einsum("nij,pj->npi", poses[:, :3, :3], _corner_points(panda, link)) + poses[:, None, :3, 3]
            way = np.linalg.norm(np.diff(points, axis=0), axis=2).max(axis=1)
            assert np.all(way <= np.repeat(np.diff(bound[:, i]), 40) / 40 + 1e-9)
    assert step > 0.1 or np.mean(less) < 0.7


@pytest.mark.parametrize("step", [0.05, 0.5])
def test_relative_to_another_link_only_the_joints_between_count(panda, shapes, step):
    rng = np.random.default_rng(4)
    for _ in range(4):
        path = _random_path(panda, rng, 10, step)
        by_joint = travel(panda, shapes, path)
        dense = _dense(path, 40)
        for first, second in (("panda_link1", "panda_link4"), ("panda_link4", "panda_hand")):
            a, b = panda.links.index(first), panda.links.index(second)
            relative = np.linalg.inv(panda.link_pose(dense, first)) @ panda.link_pose(dense, second)
            points = (
                np.einsum("nij,pj->npi", relative[:, :3, :3], _corner_points(panda, second)) + relative[:, None, :3, 3]
            )
            way = np.linalg.norm(np.diff(points, axis=0), axis=2).sum(axis=0).max()
            assert way <= by_joint[-1, b, shapes.body[a] :].sum() + 1e-9


def test_the_bound_is_not_wasteful_for_one_turning_joint(panda, shapes):
    path = np.linspace(0, 1, 20)[:, None] * np.eye(7)[0] + panda.configuration("home")
    finger = panda.links.index("panda_leftfinger")
    points = panda.link_pose(path[:1], "panda_leftfinger")[0]
    corners = _corner_points(panda, "panda_leftfinger") @ points[:3, :3].T + points[:3, 3]
    reach = np.linalg.norm(corners[:, :2], axis=1).max()
    assert travel(panda, shapes, path)[-1, finger].sum() < 1.1 * reach


def test_links_that_no_joint_moves_do_not_travel(panda, shapes):
    path = _random_path(panda, np.random.default_rng(0), 5, 0.3)
    assert np.all(travel(panda, shapes, path)[:, panda.links.index("panda_link0")] == 0)


def test_the_cover_holds_every_corner_of_every_link(panda, shapes):
    for i, link in enumerate(panda.links):
        pose = panda.chain.placement[link][1]
        corners = _corner_points(panda, link) @ pose[:3, :3].T + pose[:3, 3]
        distance = np.linalg.norm(corners[:, None] - shapes.centre[i], axis=2) - shapes.radius[i]
        assert distance.min(axis=1).max() <= -0.001 + 1e-9


def test_the_cover_holds_what_pybullet_has_loaded(panda, shapes):
    with connection() as client:
        loaded = load_robot_body(client, panda, Pose())
        home = panda.configuration("home")
        loaded.place(home)
        bodies = panda.body_poses(home)[0]
        for i, link in enumerate(panda.links):
            count, corners = bullet.getMeshData(loaded.body, loaded.links[link], physicsClientId=client)
            assert count > 8
            T_world_inertia = inertial_frame(client, loaded.body, loaded.links[link]).matrix
            pose = np.linalg.inv(bodies[shapes.body[i]]) @ T_world_inertia
            points = np.array(corners) @ pose[:3, :3].T + pose[:3, 3]
            distance = np.linalg.norm(points[:, None] - shapes.centre[i], axis=2) - shapes.radius[i]
            assert distance.min(axis=1).max() <= -0.001 + 1e-6
