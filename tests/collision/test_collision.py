"""Both backends of the collision model against finite differences, and one against the other."""

from dataclasses import replace

import numpy as np
import pytest

from diffplan.collision.cpu import CollisionModel, Obstacles
from diffplan.collision.torch_backend import TorchCollision
from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import Box, Capsule, Cylinder, Mesh, Plane, Sphere
from diffplan.robot.model import Robot
from diffplan.scene import Scene

TURNED = Pose.from_rpy((0.45, 0.1, 0.35), (0.4, -0.7, 1.1))


@pytest.fixture(scope="module")
def model() -> CollisionModel:
    return CollisionModel(Robot.load("panda"))


@pytest.fixture(scope="module", params=["cpu", "torch"])
def backend(request: pytest.FixtureRequest, model: CollisionModel) -> CollisionModel | TorchCollision:
    return model if request.param == "cpu" else TorchCollision(model.robot)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    import trimesh

    file = tmp_path_factory.mktemp("mesh") / "ball.obj"
    trimesh.creation.icosphere(subdivisions=2, radius=0.1).export(file)
    return Scene(
        robot_base=Pose(xyz=(0.05, 0.0, 0.02)),
        obstacles=(
            Box(name="box", size=(0.3, 0.2, 0.1), pose=TURNED),
            Sphere(name="ball", radius=0.1, pose=Pose(xyz=(0.4, -0.3, 0.5))),
            Cylinder(name="post", radius=0.06, height=0.5, pose=Pose.from_rpy((0.3, 0.4, 0.4), (0.3, 0.2, 0.0))),
            Capsule(name="pipe", radius=0.05, height=0.4, pose=Pose.from_rpy((0.0, 0.0, 0.95), (1.2, 0.2, 0.0))),
            Mesh(name="mesh", file=file, pose=Pose(xyz=(-0.4, 0.2, 0.6))),
            Plane(name="wall", pose=Pose.from_rpy((-0.5, 30.0, 2.0), (0.2, 1.4, 0.0))),
        ),
    )


def configurations(model: CollisionModel | TorchCollision, count: int, seed: int = 0) -> np.ndarray:
    robot = model.robot
    return np.random.default_rng(seed).uniform(robot.lower, robot.upper, (count, robot.dof))


def test_gradient_agrees_with_finite_differences(backend: CollisionModel | TorchCollision, scene: Scene) -> None:
    world, step = Obstacles.pack([scene]), 1e-6
    q = configurations(backend, 400)[None]
    settings = {"activation": 0.06, "self_activation": 0.03}
    exact = backend.evaluate(world, q, **settings)
    tolerance = 1e-4 * np.abs(exact.gradient).max()
    assert np.count_nonzero(np.abs(exact.gradient).max(axis=2)) > 100
    for joint in range(backend.robot.dof):
        shift = np.zeros(backend.robot.dof)
        shift[joint] = step
        up, down = (backend.evaluate(world, q + s, **settings).cost for s in (shift, -shift))
        smooth = np.abs(up + down - 2 * exact.cost) / step < tolerance  # no kink (cell face, box diagonal) in between
        assert smooth.mean() > 0.98
        assert np.abs((up - down) / (2 * step) - exact.gradient[..., joint])[smooth].max() < tolerance


def test_kernel_and_torch_agree_in_cost_gradient_and_clearance(model: CollisionModel, scene: Scene) -> None:
    worlds, scenes = Obstacles.pack([Scene(), scene]), np.array([1, 0, 1])
    q, twin = configurations(model, 96, seed=1).reshape(3, 32, -1), TorchCollision(model.robot)
    ours, theirs = (
        backend.evaluate(worlds, q, scenes, activation=0.06, self_activation=0.03) for backend in (model, twin)
    )
    np.testing.assert_allclose(ours.cost, theirs.cost, atol=1e-12)
    np.testing.assert_allclose(ours.gradient, theirs.gradient, atol=1e-9 * np.abs(theirs.gradient).max())
    np.testing.assert_allclose(ours.clearance, theirs.clearance, atol=1e-12)
    np.testing.assert_allclose(ours.self_clearance, theirs.self_clearance, atol=1e-12)


def test_a_link_of_many_spheres_is_packed_in_groups_that_change_nothing(model: CollisionModel, scene: Scene) -> None:
    robot, rng = model.robot, np.random.default_rng(2)
    spheres = robot.spheres
    copies = np.concatenate([np.arange(len(spheres.radius)), np.repeat(np.flatnonzero(spheres.link == 5), 4)])
    centre = spheres.centre[copies]
    centre[len(spheres.radius) :] += rng.normal(0.0, 0.01, (len(copies) - len(spheres.radius), 3))
    many = replace(spheres, link=spheres.link[copies], centre=centre, radius=spheres.radius[copies])
    robot = replace(robot, spheres=many)
    grouped, twin = CollisionModel(robot), TorchCollision(robot)
    assert len(grouped.arrays.link_body) > len(robot.links)
    world, q = Obstacles.pack([scene]), configurations(model, 96, seed=3).reshape(3, 32, -1)
    ours, theirs = (backend.evaluate(world, q, activation=0.06, self_activation=0.03) for backend in (grouped, twin))
    np.testing.assert_allclose(ours.cost, theirs.cost, atol=1e-12)
    np.testing.assert_allclose(ours.gradient, theirs.gradient, atol=1e-9 * np.abs(theirs.gradient).max())
    np.testing.assert_allclose(ours.self_clearance, theirs.self_clearance, atol=1e-12)


def test_kernel_and_torch_agree_where_each_sphere_is_and_what_is_nearest(model: CollisionModel, scene: Scene) -> None:
    worlds, q = Obstacles.pack([Scene(), scene]), configurations(model, 100, seed=6)
    ours, theirs = (backend.nearest(worlds, q, 1, reach=0.3) for backend in (model, TorchCollision(model.robot)))
    assert (theirs.distance < 0.3).sum() > 1000
    np.testing.assert_allclose(ours.centre, theirs.centre, atol=1e-12)
    np.testing.assert_allclose(ours.distance, theirs.distance, atol=1e-9)
    np.testing.assert_allclose(ours.normal, theirs.normal, atol=1e-6)


def test_nearest_is_the_clearance_and_its_normal_the_slope(
    backend: CollisionModel | TorchCollision, scene: Scene
) -> None:
    """The least distance of all spheres is the clearance; a motion changes each distance as J^T normal says."""
    world, q, step = Obstacles.pack([scene]), configurations(backend, 60, seed=7), 1e-6
    found = backend.nearest(world, q, reach=0.2)
    clearance = backend.evaluate(world, q[None], activation=0.2, gradient=False).clearance[0]
    np.testing.assert_allclose(found.distance.min(axis=1), clearance, atol=1e-9)
    direction = np.random.default_rng(8).normal(size=q.shape)
    up, down = (backend.nearest(world, q + sign * step * direction, reach=0.2).distance for sign in (1, -1))
    near = (found.distance < 0.199) & (np.abs(up + down - 2 * found.distance) < 1e-9)
    assert near.sum() > 500
    force = np.where(near[..., None], found.normal, 0.0)
    slope = (backend.pull_back(q, force) * direction).sum(axis=1)
    np.testing.assert_allclose(slope, np.where(near, up - down, 0.0).sum(axis=1) / (2 * step), atol=1e-4)


def test_single_precision_agrees_with_double(model: CollisionModel, scene: Scene) -> None:
    world, q = Obstacles.pack([scene]), configurations(model, 200, seed=2)[None]
    single, double = model.evaluate(world, q.astype(np.float32)), model.evaluate(world, q)
    assert single.cost.dtype == np.float32
    np.testing.assert_allclose(single.cost, double.cost, atol=1e-5 * double.cost.max())
    np.testing.assert_allclose(single.gradient, double.gradient, atol=1e-4 * np.abs(double.gradient).max())


def test_each_trajectory_sees_its_own_scene(backend: CollisionModel | TorchCollision, scene: Scene) -> None:
    worlds = Obstacles.pack([Scene(), scene, Scene()])
    q = np.repeat(configurations(backend, 40, seed=3)[None], 3, axis=0)
    together = backend.evaluate(worlds, q, np.array([1, 0, 1]))
    alone = backend.evaluate(Obstacles.pack([scene]), q[:1])
    np.testing.assert_array_equal(together.clearance[0], alone.clearance[0])
    np.testing.assert_array_equal(together.clearance[0], together.clearance[2])
    assert (together.clearance[1] == 0.03).all()


def test_edge_is_free_only_if_every_sample_on_it_is(model: CollisionModel, scene: Scene) -> None:
    world, ends = Obstacles.pack([scene]), configurations(model, 120, seed=4)
    verdicts = []
    for a, b in zip(ends[::2], ends[1::2], strict=True):
        along = a + np.linspace(0, 1, 400)[:, None] * (b - a)
        least = min(part.min() for part in model.clearance(world, along))
        verdict = model.edge_free(world, a, b, step=0.01)
        verdicts.append(verdict)
        if abs(least) > 2e-3:
            assert verdict == (least > 0)
    assert len(set(verdicts)) == 2


def test_moving_everything_with_the_base_changes_nothing(
    backend: CollisionModel | TorchCollision, scene: Scene
) -> None:
    shift = Pose.from_rpy((0.3, -0.2, 0.5), (0.1, 0.2, 0.3))
    moved = Scene(
        robot_base=shift @ scene.robot_base,
        obstacles=tuple(type(o)(**{**o.__dict__, "pose": shift @ o.pose}) for o in scene.obstacles),
    )
    q = configurations(backend, 100, seed=5)[None]
    ours, theirs = (backend.evaluate(Obstacles.pack([s]), q) for s in (scene, moved))
    np.testing.assert_allclose(ours.cost, theirs.cost, atol=1e-9)


def test_a_plane_is_as_far_as_the_lowest_sphere_above_it(backend: CollisionModel | TorchCollision) -> None:
    robot, floor = backend.robot, Plane(name="floor", pose=Pose.from_rpy((900.0, -700.0, -0.3), (0.0, 0.0, 0.4)))
    q = configurations(backend, 100)
    world = Obstacles.pack([Scene(obstacles=(floor,))])
    clearance = backend.evaluate(world, q[None], activation=3.0, gradient=False).clearance[0]
    arrays = CollisionModel(robot).double
    moving = np.repeat(arrays.link_body, np.diff(arrays.link_first)) > 0
    centres = backend.nearest(world, q, reach=0.1).centre
    lowest = (centres[:, :, 2] - arrays.sphere[:, 3])[:, moving].min(axis=1) + 0.3
    np.testing.assert_allclose(clearance, lowest, atol=1e-9)
