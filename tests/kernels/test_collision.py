"""The compiled kernel against finite differences and against its torch twin."""

import numpy as np
import pytest
import torch

from diffplan import sdf
from diffplan.geometry import Pose
from diffplan.kernels.collision import CollisionModel, Obstacles
from diffplan.robot import Robot
from diffplan.scene import Scene
from diffplan.shapes import Box, Capsule, Cylinder, Mesh, Plane, Sphere

TURNED = Pose.from_rpy((0.45, 0.1, 0.35), (0.4, -0.7, 1.1))


@pytest.fixture(scope="module")
def model() -> CollisionModel:
    return CollisionModel(Robot.load("panda"))


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


def configurations(model: CollisionModel, count: int, seed: int = 0) -> np.ndarray:
    robot = model.robot
    return np.random.default_rng(seed).uniform(robot.lower, robot.upper, (count, robot.dof))


def test_gradient_agrees_with_finite_differences(model: CollisionModel, scene: Scene) -> None:
    world, step = Obstacles.pack([scene]), 1e-6
    q = configurations(model, 400)[None]
    settings = {"activation": 0.06, "self_activation": 0.03}
    exact = model.evaluate(world, q, **settings)
    tolerance = 1e-4 * np.abs(exact.gradient).max()
    assert np.count_nonzero(np.abs(exact.gradient).max(axis=2)) > 100
    for joint in range(model.robot.dof):
        shift = np.zeros(model.robot.dof)
        shift[joint] = step
        up, down = (model.evaluate(world, q + s, **settings).cost for s in (shift, -shift))
        smooth = np.abs(up + down - 2 * exact.cost) / step < tolerance  # no kink (cell face, box diagonal) in between
        assert smooth.mean() > 0.98
        assert np.abs((up - down) / (2 * step) - exact.gradient[..., joint])[smooth].max() < tolerance


def test_kernel_and_torch_agree_in_cost_gradient_and_clearance(model: CollisionModel, scene: Scene) -> None:
    world = Obstacles.pack([scene])
    q = configurations(model, 64, seed=1)
    ours = model.evaluate(world, q[None], activation=0.06, self_activation=0.03)
    t = torch.tensor(q, requires_grad=True)
    cost, clear, clear_self = sdf.collision_cost(model, world, t, activation=0.06, self_activation=0.03)
    (gradient,) = torch.autograd.grad(cost.sum(), t)
    np.testing.assert_allclose(ours.cost[0], cost.detach(), atol=1e-12)
    np.testing.assert_allclose(ours.gradient[0], gradient, atol=1e-9 * float(gradient.abs().max()))
    np.testing.assert_allclose(ours.clearance[0], clear.detach(), atol=1e-12)
    np.testing.assert_allclose(ours.self_clearance[0], clear_self.detach(), atol=1e-12)


def test_single_precision_agrees_with_double(model: CollisionModel, scene: Scene) -> None:
    world, q = Obstacles.pack([scene]), configurations(model, 200, seed=2)[None]
    single, double = model.evaluate(world, q.astype(np.float32)), model.evaluate(world, q)
    assert single.cost.dtype == np.float32
    np.testing.assert_allclose(single.cost, double.cost, atol=1e-5 * double.cost.max())
    np.testing.assert_allclose(single.gradient, double.gradient, atol=1e-4 * np.abs(double.gradient).max())


def test_each_trajectory_sees_its_own_scene(model: CollisionModel, scene: Scene) -> None:
    worlds = Obstacles.pack([Scene(), scene, Scene()])
    q = np.repeat(configurations(model, 40, seed=3)[None], 3, axis=0).astype(np.float32)
    together = model.evaluate(worlds, q, np.array([1, 0, 1]))
    alone = model.evaluate(Obstacles.pack([scene]), q[:1])
    np.testing.assert_array_equal(together.clearance[0], alone.clearance[0])
    np.testing.assert_array_equal(together.clearance[0], together.clearance[2])
    assert (together.clearance[1] == np.float32(0.03)).all()


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


def test_moving_everything_with_the_base_changes_nothing(model: CollisionModel, scene: Scene) -> None:
    shift = Pose.from_rpy((0.3, -0.2, 0.5), (0.1, 0.2, 0.3))
    moved = Scene(
        robot_base=shift @ scene.robot_base,
        obstacles=tuple(type(o)(**{**o.__dict__, "pose": shift @ o.pose}) for o in scene.obstacles),
    )
    q = configurations(model, 100, seed=5)[None]
    ours, theirs = (model.evaluate(Obstacles.pack([s]), q) for s in (scene, moved))
    np.testing.assert_allclose(ours.cost, theirs.cost, atol=1e-9)


def test_a_plane_is_as_far_as_the_lowest_sphere_above_it(model: CollisionModel) -> None:
    robot, floor = model.robot, Plane(name="floor", pose=Pose.from_rpy((900.0, -700.0, -0.3), (0.0, 0.0, 0.4)))
    q = configurations(model, 100)
    world = Obstacles.pack([Scene(obstacles=(floor,))])
    clearance = model.evaluate(world, q[None], activation=3.0, gradient=False).clearance[0]
    centres = sdf.sphere_centres(robot, torch.as_tensor(q)).numpy()
    moving = [robot.chain.placement[robot.spheres.links[link]][0] > 0 for link in robot.spheres.link]
    lowest = (centres[:, :, 2] - robot.spheres.radius)[:, moving].min(axis=1) + 0.3
    np.testing.assert_allclose(clearance, lowest, atol=1e-9)
