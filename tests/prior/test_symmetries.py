"""What the common prior sees of an arm described otherwise is what the symmetry makes of its input: exactly."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from diffplan.collision.cpu import CollisionModel, Obstacles
from diffplan.curves import spline
from diffplan.geometry.pose import Pose, rotation_from_rpy
from diffplan.geometry.shapes import Box, Cylinder, Primitive, Sphere
from diffplan.prior.arm import Arm
from diffplan.prior.channels import CHANNELS, Redescribed, Sight, Symmetry
from diffplan.prior.familiarity import problem_features
from diffplan.prior.jointwise import JointwiseConfig, JointwiseUnet
from diffplan.prior.tokens import SceneTokens
from diffplan.robot.model import Robot
from diffplan.robot.urdf import Joint
from diffplan.scene import Scene

BATCH, K = 4, 8
MIRROR = np.diag([1.0, -1.0, 1.0])


def obstacles() -> tuple[Primitive, ...]:
    def at(x: float, y: float, z: float, *rpy: float) -> Pose:
        return Pose.from_rpy((x, y, z), (rpy[0], rpy[1], rpy[2]))

    return (
        Box(name="box", size=(0.3, 0.2, 0.4), pose=at(0.45, 0.1, 0.3, 0.3, -0.2, 0.7)),
        Cylinder(name="can", radius=0.08, height=0.5, pose=at(-0.2, 0.4, 0.6, 0.5, 0.4, 0.0)),
        Sphere(name="ball", radius=0.12, pose=at(0.3, -0.35, 0.5, 0.0, 0.0, 0.0)),
    )


def moved(pose: Pose, by: np.ndarray) -> Pose:
    """A pose turned about the base, or mirrored; the mirrored solid is its own mirror image in the new frame."""
    flip = MIRROR if np.linalg.det(by) < 0 else np.eye(3)
    matrix = pose.matrix
    matrix[:3, :3], matrix[:3, 3] = by @ matrix[:3, :3] @ flip, by @ matrix[:3, 3]
    return Pose.from_matrix(matrix)


def redescribed(robot: Robot, sign: np.ndarray, by: np.ndarray) -> Robot:
    """The same arm with some joints' directions turned, and the whole turned about the base or mirrored."""
    mirrored, signs = bool(np.linalg.det(by) < 0), dict(zip(robot.joint_names, sign, strict=True))
    base = {joint.child for joint in robot.model.joints.values() if joint.parent == robot.base_link}

    def joint(old: Joint) -> Joint:
        matrix, axis = old.origin.matrix, np.array(old.axis)
        if mirrored:  # every frame is the mirror image (of y) of what it was
            matrix[:3, :3], matrix[:3, 3] = MIRROR @ matrix[:3, :3] @ MIRROR, MIRROR @ matrix[:3, 3]
            axis = MIRROR @ axis if old.kind == "prismatic" else -MIRROR @ axis
        if old.child in base:
            turn = by @ MIRROR if mirrored else by
            matrix[:3, :3], matrix[:3, 3] = turn @ matrix[:3, :3], turn @ matrix[:3, 3]
        axis = axis * signs.get(old.name, 1.0)
        return replace(old, origin=Pose.from_matrix(matrix), axis=tuple(axis.tolist()))

    model = replace(robot.model, joints={name: joint(old) for name, old in robot.model.joints.items()})
    centre = robot.spheres.centre.copy()
    on_base = np.array([robot.spheres.links[i] == robot.base_link for i in robot.spheres.link])
    centre[~on_base] = centre[~on_base] @ (MIRROR if mirrored else np.eye(3))
    centre[on_base] = centre[on_base] @ by.T
    lower, upper = np.where(sign > 0, robot.lower, -robot.upper), np.where(sign > 0, robot.upper, -robot.lower)
    spheres = replace(robot.spheres, centre=centre)
    return replace(robot, model=model, spheres=spheres, lower=lower, upper=upper)


def sight(robot: Robot, shapes: tuple[Primitive, ...], line: np.ndarray) -> Sight:
    world = Obstacles.pack([Scene(obstacles=shapes)])
    return Sight(Arm(CollisionModel(robot)), world, line, np.zeros(len(line), dtype=np.int64))


def seen(of: Sight, y_t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return of.input(y_t, y, of.look(y), torch.tensor([True] * (BATCH - 1) + [False]))


def paths(robot: Robot) -> tuple[np.ndarray, torch.Tensor, torch.Tensor]:
    """Lines [BATCH, K, dof] within the limits, and two deviations from them."""
    rng = np.random.default_rng(0)
    low, high = np.maximum(robot.lower, -3.0), np.minimum(robot.upper, 3.0)
    start, goal = low + (high - low) * rng.uniform(0.1, 0.9, (2, BATCH, robot.dof))
    y_t, y = rng.normal(scale=(0.3, 0.05), size=(BATCH, K, robot.dof, 2)).astype(np.float32).transpose(3, 0, 1, 2)
    y_t[:, [0, -1]] = y[:, [0, -1]] = 0
    return spline.straight(start, goal, K), torch.from_numpy(y_t.copy()), torch.from_numpy(y.copy())


Case = Callable[[int], tuple[np.ndarray, np.ndarray, bool]]
CASES: dict[str, Case] = {
    "directions of joints": lambda dof: ((-1.0) ** np.arange(dof), np.eye(3), False),
    "turned base": lambda dof: (np.ones(dof), rotation_from_rpy(0, 0, 0.8), False),
    "mirrored arm": lambda dof: (np.ones(dof), MIRROR, False),
    "backwards": lambda dof: (np.ones(dof), np.eye(3), True),
    "all at once": lambda dof: ((-1.0) ** (np.arange(dof) // 2), rotation_from_rpy(0, 0, -2.0) @ MIRROR, True),
}


@pytest.fixture(scope="module")
def rail(rail_file) -> Robot:
    """The arm on a prismatic axis, without what does not turn with it: joints that follow others, and the head."""
    robot = Robot.load(str(rail_file))
    joints = {name: replace(joint, mimic=None) for name, joint in robot.model.joints.items()}
    kept, old = robot.spheres.link != robot.spheres.links.index("head"), robot.spheres
    spheres = replace(old, link=old.link[kept], centre=old.centre[kept], radius=old.radius[kept])
    return replace(robot, model=replace(robot.model, joints=joints), spheres=spheres)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("arm", ["panda", "rail"])
def test_the_input_for_the_other_description_is_the_input_redescribed(arm: str, name: str, rail: Robot) -> None:
    robot = Robot.load("panda") if arm == "panda" else rail
    sign, by, back = CASES[name](robot.dof)
    line, y_t, y = paths(robot)
    other_line, other_y_t, other_y = line * sign, y_t * torch.from_numpy(sign).float(), y * torch.from_numpy(sign)
    if back:
        other_line, other_y_t, other_y = other_line[:, ::-1].copy(), other_y_t.flip(1), other_y.flip(1)
    shapes = tuple(replace(shape, pose=moved(shape.pose, by)) for shape in obstacles())
    one = sight(robot, obstacles(), line)
    other = sight(redescribed(robot, sign, by), shapes, other_line)
    symmetry = Symmetry(
        sign=torch.from_numpy(sign).float().expand(BATCH, -1),
        rotation=torch.from_numpy(by).float().expand(BATCH, -1, -1),
        back=torch.full((BATCH,), back),
    )
    expected, found = seen(other, other_y_t, other_y.float()), symmetry.input(seen(one, y_t, y))
    assert found.shape == (BATCH, robot.dof, K, CHANNELS)
    assert (one.line_told[..., :2] != 0).any()  # the scene says something
    torch.testing.assert_close(found, expected, atol=2e-4, rtol=2e-4)
    tokens = [SceneTokens.describe(of.world).of(torch.zeros(BATCH, dtype=torch.int64)) for of in (one, other)]
    found, expected = symmetry.tokens(tokens[0]).features.abs(), tokens[1].features.abs()
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)  # axes of a mirror image: up to their direction
    # and neither arm nor problems are any farther from what a prior was trained on
    np.testing.assert_allclose(other.arm.features, one.arm.features, atol=1e-6)
    problems = [problem_features(of.arm, of.world, of.line, of.scene_of) for of in (one, other)]
    np.testing.assert_allclose(*problems, atol=1e-3)


def test_an_answer_through_another_description_comes_back_as_one_for_this() -> None:
    """A network that answers with its first channel answers the noisy path however it is described."""

    class Echo(JointwiseUnet):
        def forward(self, x, t, context=None):
            return x[..., 0]

    x = torch.randn((6, 3, K, CHANNELS), generator=torch.Generator().manual_seed(1))
    symmetry = Symmetry.draw(6, 3, torch.Generator().manual_seed(2))
    assert symmetry.back.any()
    assert not symmetry.back.all()
    net = Echo(JointwiseConfig(channels=CHANNELS, dim=8, mults=(1,), mixing=()))
    assert torch.equal(Redescribed(net, symmetry)(x, torch.ones(6)), x[..., 0])


def test_drawn_symmetries_turn_by_any_angle_and_mirror_half_of_the_samples() -> None:
    symmetry = Symmetry.draw(4000, 6, torch.Generator().manual_seed(0))
    found = torch.linalg.det(symmetry.rotation)
    torch.testing.assert_close(found.abs(), torch.ones(4000))
    for share in (found < 0, symmetry.back, symmetry.sign < 0):
        assert 0.45 < float(share.float().mean()) < 0.55
    assert float(torch.atan2(symmetry.rotation[:, 1, 0], symmetry.rotation[:, 0, 0]).abs().max()) > 3.0
