"""Wrappers around a denoiser: exact ends at every step, what is fed back, guidance without a classifier."""

import torch
from torch import nn

from diffplan.prior.samplers import ddim
from diffplan.prior.schedule import Schedule
from diffplan.prior.unet import TemporalUnet, UnetConfig, straight_between_ends
from diffplan.prior.wrappers import FeedbackDenoiser, Inpainted, condition_channels

DOF, FEATURES, K = 3, 2, 16
SCHEDULE = Schedule(steps=50)


def network() -> TemporalUnet:
    torch.manual_seed(0)
    net = TemporalUnet(UnetConfig(dof=DOF, condition=condition_channels(DOF, FEATURES), dim=16)).requires_grad_(False)
    nn.init.normal_(net.out.weight, std=0.05)
    nn.init.normal_(net.out.bias, std=0.1)
    return net


def features(x0, scene_of):
    return torch.cat((x0.mean(2, keepdim=True), scene_of[:, None, None].expand(len(x0), K, 1).to(x0)), dim=2)


def noise(count: int) -> torch.Tensor:
    return torch.randn((count, K, DOF), generator=torch.Generator().manual_seed(1))


def test_start_and_goal_hold_to_the_bit_inside_and_in_the_answer():
    start, goal = torch.tensor([0.1, -0.7, 0.3]), torch.tensor([[0.9, 0.2, -1 / 3]] * 4)
    seen = []

    def careless(x_t, t):
        seen.append(x_t)
        return 0.5 * x_t + 0.1

    generator, pinned = torch.Generator().manual_seed(2), Inpainted(careless, start, goal)
    x = ddim(pinned, noise(4), SCHEDULE, SCHEDULE.times(5), eta=0.7, generator=generator)
    assert len(seen) == 5
    for path in (x, *seen):
        assert torch.equal(path[:, 0], start.expand(4, -1))
        assert torch.equal(path[:, -1], goal)


def test_the_first_pass_is_shown_the_straight_line_and_later_ones_the_estimate_before():
    shown = []

    def recording(x0, scene_of):
        shown.append(x0.clone())
        return features(x0, scene_of)

    denoiser = FeedbackDenoiser(network(), recording)
    start, goal = torch.zeros(DOF), torch.ones(DOF)
    answers = []
    inpainted = Inpainted(denoiser, start, goal)
    ddim(lambda x, t: answers.append(inpainted(x, t)) or answers[-1], noise(2), SCHEDULE, SCHEDULE.times(4))
    torch.testing.assert_close(shown[0], straight_between_ends(answers[0]))
    for estimate, answer in zip(shown[1:], answers, strict=False):
        assert torch.equal(estimate, answer)


def test_each_sample_is_shown_its_own_scene():
    scene_of = torch.tensor([4, 0, 7])
    start, goal = torch.zeros(DOF), torch.ones(DOF)
    net, x, t = network(), noise(3), torch.full((3,), 30)
    together = Inpainted(FeedbackDenoiser(net, features, scene_of), start, goal)(x, t)
    alone = Inpainted(FeedbackDenoiser(net, features, scene_of[2:]), start, goal)(x[2:], t[2:])
    torch.testing.assert_close(together[2:], alone, rtol=1e-4, atol=1e-5)
    other = Inpainted(FeedbackDenoiser(net, features, scene_of[:1]), start, goal)(x[2:], t[2:])
    assert not torch.allclose(alone, other)


def test_guidance_weights_run_from_the_free_to_the_conditioned_estimate_and_beyond():
    net, x, t = network(), noise(3), torch.full((3,), 30)
    start, goal = torch.zeros(DOF), torch.ones(DOF)
    at = {
        weight: Inpainted(FeedbackDenoiser(net, features, weight=weight), start, goal)(x, t)
        for weight in (0.0, 1.0, 2.0)
    }
    free = Inpainted(FeedbackDenoiser(net), start, goal)(x, t)
    torch.testing.assert_close(at[0.0], free, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(at[2.0] - at[1.0], at[1.0] - free, rtol=1e-3, atol=1e-5)
    assert not torch.allclose(at[1.0], free)
