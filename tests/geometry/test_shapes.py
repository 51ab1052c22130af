"""Every kind of primitive is known wherever kinds count: the classes are found, so that a new one is tested too."""

from pathlib import Path

import numpy as np
import pybullet as p
import pytest
import torch

from diffplan.certificate.body_shapes import making
from diffplan.certificate.loaded import MARGIN
from diffplan.certificate.reach import rounded_edges
from diffplan.collision.cpu import CollisionModel, Obstacles
from diffplan.collision.torch_backend import TorchCollision, distance
from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import Plane, Primitive
from diffplan.robot.model import Robot
from diffplan.scene import Scene

KINDS = Primitive.__subclasses__()
TILT = Pose.from_rpy((0.4, -0.3, 0.5), (0.4, -0.7, 1.1))
BALL = 0.01


def shape_of(kind: type[Primitive]) -> Primitive:
    return kind.of_sizes("one", [0.2, 0.32, 0.44][: sum(kind.lengths.values())], TILT)


@pytest.mark.parametrize("kind", KINDS)
def test_a_shape_is_made_of_the_sizes_that_it_tells(kind: type[Primitive]) -> None:
    shape = shape_of(kind)
    assert shape.sizes == (0.2, 0.32, 0.44)[: len(shape.sizes)]
    assert kind.of_sizes("one", shape.sizes, TILT) == shape


@pytest.mark.parametrize("kind", KINDS)
def test_half_extents_are_those_of_the_surface_and_corners_hold_it(kind: type[Primitive]) -> None:
    shape = shape_of(kind)
    low, high = shape.surface().bounds
    np.testing.assert_allclose([-low, high], [shape.half_extents] * 2, rtol=2e-3)
    (corners,) = shape.corners()
    vertices = shape.surface().vertices @ TILT.matrix[:3, :3].T + TILT.xyz
    assert np.all(vertices.max(axis=0) <= corners.max(axis=0) + shape.rounding + 1e-9)


def test_only_a_shape_without_end_is_another_one_near_a_point() -> None:
    assert all(shape_of(kind).near((1.0, 2.0, 3.0)) == shape_of(kind) for kind in KINDS)
    assert Plane(name="one").near((1.0, 2.0, 3.0)) != Plane(name="one")


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_written_to_scene_files_and_read_back(kind: type[Primitive], tmp_path: Path) -> None:
    Scene(obstacles=(shape_of(kind),)).save(tmp_path / "scene.yaml")
    assert Scene.load(tmp_path / "scene.yaml").obstacles == (shape_of(kind),)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if making(shape_of(kind))])
def test_a_kind_of_pybullets_is_put_into_it_and_read_back(kind: type[Primitive]) -> None:
    client = p.connect(p.DIRECT)
    try:
        Scene(obstacles=(shape_of(kind),)).to_pybullet(client)
        (found,) = Scene.from_pybullet(client).obstacles
    finally:
        p.disconnect(client)
    assert isinstance(found, kind)
    np.testing.assert_allclose(found.sizes, shape_of(kind).sizes, rtol=1e-6)
    np.testing.assert_allclose(found.pose.matrix, TILT.matrix, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_planner_and_pybullet_measure_the_same_distances(kind: type[Primitive]) -> None:
    """PyBullet may see edges farther off, by what `rounded_edges` says, and nearer what it has no kind for."""
    shape = shape_of(kind)
    points = TILT.xyz + np.random.default_rng(1).uniform(-0.7, 0.7, (200, 3))
    client = p.connect(p.DIRECT)
    try:
        body = Scene(obstacles=(shape,)).to_pybullet(client)["one"]
        ball = p.createMultiBody(
            0, p.createCollisionShape(p.GEOM_SPHERE, radius=BALL, physicsClientId=client), physicsClientId=client
        )
        found = []
        for point in points:
            p.resetBasePositionAndOrientation(ball, point, (0, 0, 0, 1), physicsClientId=client)
            found.append(p.getClosestPoints(ball, body, 2.0, physicsClientId=client)[0][8])
    finally:
        p.disconnect(client)
    (row,) = Obstacles.pack([Scene(obstacles=(shape,))]).rows
    own = distance(row, torch.as_tensor(points)).numpy() - BALL
    outside = own > 0.01
    assert outside.sum() > 50
    beyond = np.array(found)[outside] - own[outside]
    assert beyond.min() > -2e-4 - (0.0 if making(shape) else MARGIN)
    assert beyond.max() < rounded_edges([shape]) + 2e-4


@pytest.mark.parametrize("kind", KINDS)
def test_kernel_and_torch_measure_the_same(kind: type[Primitive]) -> None:
    robot = Robot.load("panda")
    world = Obstacles.pack([Scene(obstacles=(shape_of(kind),))])
    q = np.random.default_rng(0).uniform(robot.lower, robot.upper, (30, robot.dof))
    one, two = (model.nearest(world, q, reach=0.5) for model in (CollisionModel(robot), TorchCollision(robot)))
    assert np.count_nonzero(two.distance < 0.4) > 100
    np.testing.assert_allclose(one.distance, two.distance, atol=1e-5)
