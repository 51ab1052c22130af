"""Obstacle tokens: what they say of a scene, and that order, padding and hiding them do what they should."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from diffplan.collision.lanes import BOX, CYLINDER, SPHERE
from diffplan.collision.obstacles import Obstacles
from diffplan.errors import InputError
from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import Box, Cylinder, Sphere
from diffplan.prior.tokens import CHANNELS, MOST, Context, SceneTokens
from diffplan.prior.unet import TemporalUnet, UnetConfig
from diffplan.prior.wrappers import FeedbackDenoiser, Inpainted, condition_channels
from diffplan.scene import Scene

DOF, K = 3, 8
ALIKE = {"rtol": 1e-4, "atol": 1e-5}


@pytest.fixture
def net() -> TemporalUnet:
    torch.manual_seed(0)
    config = UnetConfig(dof=DOF, condition=condition_channels(DOF, 0), dim=16, mults=(1, 2), tokens=2)
    net = TemporalUnet(config).requires_grad_(False)
    for name, weight in net.named_parameters():
        if name.startswith(("out", "attend.blocks")):
            nn.init.normal_(weight, std=0.2)
    return net


def tokens(*counts: int) -> SceneTokens:
    """Return random obstacles, so many in each scene."""
    generator, most = torch.Generator().manual_seed(1), max(counts)
    features = torch.randn((len(counts), most, CHANNELS), generator=generator)
    return SceneTokens(features=features, there=torch.arange(most) < torch.tensor(counts)[:, None])


def estimate(net: TemporalUnet, context: Context | None, count: int = 2) -> torch.Tensor:
    x = torch.randn((count, K, DOF), generator=torch.Generator().manual_seed(2))
    return net(x, torch.full((count,), 40), torch.ones(count, K, net.config.condition), context)


def encode(net: TemporalUnet, of: SceneTokens) -> Context:
    assert net.attend is not None
    return net.attend.encode(of)


def test_the_order_of_obstacles_does_not_matter_but_they_do(net):
    scenes = tokens(5, 5)
    shuffled = replace(scenes, features=scenes.features[:, [3, 0, 4, 2, 1]])
    other = replace(scenes, features=scenes.features + 0.5)
    base = estimate(net, encode(net, scenes))
    torch.testing.assert_close(base, estimate(net, encode(net, shuffled)), **ALIKE)
    assert (base - estimate(net, encode(net, other))).abs().max() > 1e-2


def test_padding_changes_nothing_whatever_it_holds(net):
    scenes = tokens(3, 6)
    features = scenes.features.clone()
    features[0, 3:] = 1e3
    together = estimate(net, encode(net, replace(scenes, features=features)))
    alone = estimate(net, encode(net, scenes.of(torch.tensor([0]))))
    torch.testing.assert_close(together[:1], alone[:1], **ALIKE)
    assert scenes.of(torch.tensor([0])).features.shape[1] == 3


def test_samples_from_which_the_scene_is_kept_get_the_free_estimate(net):
    context = encode(net, tokens(4, 4))
    free = estimate(net, None)
    half = estimate(net, context.shown(torch.tensor([True, False])))
    assert torch.equal(half[1:], free[1:])
    torch.testing.assert_close(half[:1], estimate(net, context)[:1], **ALIKE)
    assert not torch.allclose(half[:1], free[:1], atol=1e-2)


def test_an_empty_scene_is_shown_too_and_is_not_the_free_estimate(net):
    empty = SceneTokens(features=torch.zeros(2, 1, CHANNELS), there=torch.zeros(2, 1, dtype=torch.bool))
    answer = estimate(net, encode(net, empty))
    assert answer.isfinite().all()
    assert not torch.allclose(answer, estimate(net, None), atol=1e-2)


def test_one_scene_encoded_once_serves_every_sample_and_every_weight(net):
    scene, x, t = tokens(4), torch.randn(3, K, DOF), torch.full((3,), 40)
    start, goal = torch.zeros(DOF), torch.ones(DOF)

    def at(weight: float, shown: SceneTokens | None = scene) -> torch.Tensor:
        unseen = None if shown is None else lambda x0, scene_of: x0[..., :0]
        denoiser = FeedbackDenoiser(net, unseen, weight=weight, tokens=shown)
        return Inpainted(denoiser, start, goal)(x, t)

    free = at(1.0, None)
    torch.testing.assert_close(at(0.0), free, **ALIKE)
    torch.testing.assert_close(at(2.0) - at(1.0), at(1.0) - free, rtol=1e-3, atol=1e-4)
    assert not torch.allclose(at(1.0), free, atol=1e-3)


def test_tokens_say_kind_place_turn_and_size_in_the_base_frame():
    quarter = Pose.from_rpy((0.4, 0.0, 0.1), (0.0, 0.0, np.pi / 2))
    first = Scene(
        robot_base=Pose(xyz=(0.0, 0.0, 0.1)),
        obstacles=(Box(name="box", size=(0.2, 0.4, 0.6), pose=quarter), Sphere(name="ball", radius=0.07)),
    )
    second = Scene(obstacles=(Cylinder(name="can", radius=0.05, height=0.3),))
    told = SceneTokens.describe(Obstacles.pack([first, second, Scene()]))
    assert told.there.tolist() == [[True, True], [True, False], [False, False]]
    kinds = told.features[:, :, :4].argmax(2)
    assert (kinds[0].tolist(), int(kinds[1, 0])) == ([BOX, SPHERE], CYLINDER)
    box = told.features[0, 0, 4:]
    expected = [0.4, 0, 0, 0, 1, 0, -1, 0, 0, 0.1, 0.2, 0.3]
    torch.testing.assert_close(box, torch.tensor(expected), rtol=0, atol=1e-6)
    torch.testing.assert_close(told.features[0, 1, 6:7], torch.tensor([-0.1]))
    torch.testing.assert_close(told.features[1, 0, -3:], torch.tensor([0.05, 0.05, 0.15]))


def test_of_very_many_obstacles_the_nearest_have_tokens_made_once():
    rng = np.random.default_rng(0)
    places = [tuple(xyz) for xyz in rng.uniform(-1, 1, (3 * MOST, 3)).tolist()]
    balls = tuple(Sphere(name=f"{i}", radius=0.01, pose=Pose(xyz=xyz)) for i, xyz in enumerate(places))
    world = Obstacles.pack([Scene(obstacles=balls), Scene(obstacles=balls[:3])])
    told = SceneTokens.describe(world)
    assert SceneTokens.describe(world) is told
    assert told.there.sum(dim=1).tolist() == [MOST, 3]
    away = np.linalg.norm(places, axis=1)
    kept = told.features[0, :, 4:7].norm(dim=1).numpy()
    assert kept.max() < np.sort(away)[MOST] + 0.02
    assert np.allclose(told.features[1, :3, 4:7].numpy(), places[:3])


def test_blocks_that_make_no_sense_name_their_key():
    with pytest.raises(InputError, match=r"unet\.tokens"):
        UnetConfig(dof=3, tokens=-1)
