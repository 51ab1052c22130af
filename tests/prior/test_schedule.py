"""The noise schedule and the samplers: identities, and a distribution whose answer is known in closed form."""

import math

import pytest
import torch

from diffplan.errors import InputError
from diffplan.prior.samplers import ddim
from diffplan.prior.schedule import Schedule


def test_signal_falls_from_one_to_nearly_nothing():
    schedule = Schedule(steps=100, data_std=1.0)
    assert schedule.alpha_bar[0] == 1
    assert (schedule.alpha_bar.diff() < 0).all()
    assert schedule.alpha_bar[-1] < 1e-5


def test_without_shift_it_is_the_cosine_schedule_of_nichol_and_dhariwal():
    schedule = Schedule(steps=50, data_std=1.0)
    expected = [
        (math.cos((t / 50 + 0.008) / 1.008 * math.pi / 2) / math.cos(0.008 / 1.008 * math.pi / 2)) ** 2
        for t in range(50)
    ]
    torch.testing.assert_close(schedule.alpha_bar[:50], torch.tensor(expected, dtype=torch.float64))


def test_variance_names_agree_with_each_other():
    schedule = Schedule(steps=20)
    torch.testing.assert_close(schedule.std**2, schedule.var)
    torch.testing.assert_close(schedule.alpha_bar + schedule.var, torch.ones(21, dtype=torch.float64))


def test_shifted_signal_to_noise_ratio_is_that_of_data_with_unit_variance():
    plain, shifted = Schedule(data_std=1.0), Schedule(data_std=0.2)
    ratio = (shifted.alpha_bar / shifted.var)[1:] * 0.2**2
    torch.testing.assert_close(ratio, (plain.alpha_bar / plain.var)[1:])
    torch.testing.assert_close(plain.loss_weight, shifted.loss_weight)


def test_noisy_paths_keep_their_ends_and_have_the_stated_moments():
    schedule = Schedule()
    generator = torch.Generator().manual_seed(0)
    x0 = torch.full((4000, 8, 2), 0.7)
    t = torch.full((4000,), 60)
    x_t = schedule.noisy(x0, t, torch.randn(x0.shape, generator=generator))
    assert torch.equal(x_t[:, [0, -1]], x0[:, [0, -1]])
    assert abs(x_t[:, 1:-1].mean() - 0.7 * schedule.alpha_bar[60].sqrt()) < 0.01
    assert abs(x_t[:, 1:-1].std() - schedule.std[60]) < 0.01


def test_going_on_to_a_noisier_level_gives_the_marginal_of_that_level():
    schedule = Schedule()
    generator = torch.Generator().manual_seed(1)
    x0 = torch.full((4000, 8, 2), -0.4)
    t, later = torch.full((4000,), 20), torch.full((4000,), 70)
    x_t = schedule.noisy(x0, t, torch.randn(x0.shape, generator=generator))
    x = schedule.noisier(x_t, t, later, torch.randn(x0.shape, generator=generator))
    assert torch.equal(x[:, [0, -1]], x0[:, [0, -1]])
    assert abs(x[:, 1:-1].mean() + 0.4 * schedule.alpha_bar[70].sqrt()) < 0.02
    assert abs(x[:, 1:-1].std() - schedule.std[70]) < 0.02


@pytest.mark.parametrize("count", [1, 3, 7, 100])
def test_sampling_steps_fall_from_pure_noise_and_never_reach_zero(count):
    times = Schedule(steps=100).times(count)
    assert len(times) == count == len(set(times))
    assert times[0] == 100
    assert min(times) > 0
    assert times == sorted(times, reverse=True)


@pytest.mark.parametrize("count", [0, 101])
def test_a_wrong_number_of_sampling_steps_says_what_is_allowed(count):
    with pytest.raises(InputError, match=r"allowed: 1\.\.100"):
        Schedule(steps=100).times(count)


class GaussianDenoiser:
    """E[x0 | x_t] for x0 ~ N(mean, std^2): the posterior mean in closed form."""

    def __init__(self, schedule: Schedule, mean: float, std: float) -> None:
        self.schedule, self.mean, self.std = schedule, mean, std

    def __call__(self, x_t, t):
        a = self.schedule.alpha_bar[t].to(x_t)[:, None, None]
        gain = a.sqrt() * self.std**2 / (a * self.std**2 + 1 - a)
        return self.mean + gain * (x_t - a.sqrt() * self.mean)


SAMPLERS = {
    "ddim": lambda d, x, s, n, g: ddim(d, x, s, s.times(n)),
    "stochastic ddim": lambda d, x, s, n, g: ddim(d, x, s, s.times(n), eta=1.0, generator=g),
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_samplers_reproduce_a_gaussian_from_its_exact_denoiser(name):
    schedule = Schedule(steps=100, data_std=0.5)
    generator = torch.Generator().manual_seed(3)
    noise = torch.randn((20000, 1, 1), generator=generator, dtype=torch.float64)
    x = SAMPLERS[name](GaussianDenoiser(schedule, 0.3, 0.5), noise, schedule, 100, generator)
    assert abs(x.mean() - 0.3) < 0.015
    assert abs(x.std() - 0.5) < 0.02


def test_a_stochastic_sampler_repeats_itself_with_the_same_generator_and_refuses_to_go_without():
    schedule = Schedule()
    denoiser = GaussianDenoiser(schedule, 0.0, 0.3)
    noise = torch.randn((4, 3, 2), generator=torch.Generator().manual_seed(5))
    runs = [
        ddim(denoiser, noise, schedule, schedule.times(6), eta=0.7, generator=torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    ]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])
    with pytest.raises(ValueError, match="generator"):
        ddim(denoiser, noise, schedule, schedule.times(6), eta=0.7)
