"""The temporal U-Net: its own convolution and norm against PyTorch's, horizons, and what an untrained one answers."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from diffplan.curves.spline import straight
from diffplan.errors import InputError
from diffplan.prior.unet import Convolution, Norm, TemporalUnet, UnetConfig, chosen_products, straight_between_ends


def small(**changes) -> TemporalUnet:
    torch.manual_seed(0)
    net = TemporalUnet(UnetConfig(**{"dof": 3, "condition": 2, "dim": 16, **changes}))
    nn.init.normal_(net.out.weight, std=0.1)
    return net


@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_convolution_is_that_of_pytorch_with_its_gradients(kernel):
    torch.manual_seed(0)
    own, x = Convolution(6, 4, kernel), torch.randn(3, 8, 6, requires_grad=True)
    weight = own.weight.detach().view(kernel, 6, 4).permute(2, 1, 0).requires_grad_()
    other = x.detach().clone().requires_grad_()
    y, z = own(x), F.conv1d(other.transpose(1, 2), weight, own.bias.detach(), padding=kernel // 2).transpose(1, 2)
    torch.testing.assert_close(y, z, rtol=1e-4, atol=1e-5)
    y.square().sum().backward()
    z.square().sum().backward()
    torch.testing.assert_close(x.grad, other.grad, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(own.weight.grad.view(kernel, 6, 4).permute(2, 1, 0), weight.grad, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(own.bias.grad, 2 * y.detach().sum((0, 1)), rtol=1e-4, atol=1e-4)


def test_norm_is_that_of_pytorch_then_silu_then_shift():
    torch.manual_seed(0)
    own, reference = Norm(16, 4), nn.GroupNorm(4, 16)
    nn.init.normal_(own.weight)
    nn.init.normal_(own.bias)
    reference.load_state_dict(own.state_dict())
    x, shift = 3 + 2 * torch.randn(5, 8, 16), torch.randn(5, 16)
    expected = F.silu(reference(x.transpose(1, 2)).transpose(1, 2)) + shift[:, None]
    torch.testing.assert_close(own(x, shift), expected, rtol=1e-4, atol=1e-4)


def test_bfloat16_products_change_the_answer_by_their_rounding_only():
    net = small()
    x, t, condition = torch.randn(4, 16, 3), torch.tensor([1, 20, 50, 99]), torch.randn(4, 16, 2)
    exact = net(x, t, condition) - straight_between_ends(x)
    rounded = net.products(torch.bfloat16)(x, t, condition) - straight_between_ends(x)
    assert not torch.equal(exact, rounded)
    assert (exact - rounded).norm() < 0.03 * exact.norm()


@pytest.mark.parametrize("horizon", [8, 16, 24, 64])
def test_any_multiple_of_the_coarsest_step_is_a_horizon(horizon):
    x = torch.randn(2, horizon, 3)
    assert small()(x, torch.tensor([5, 50]), torch.zeros(2, horizon, 2)).shape == x.shape


def test_a_horizon_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="multiple of 4"):
        small()(torch.zeros(1, 18, 3), torch.tensor([1]), torch.zeros(1, 18, 2))


def test_missing_condition_channels_are_refused():
    with pytest.raises(ValueError, match="channels"):
        small()(torch.zeros(1, 16, 3), torch.tensor([1]))


@pytest.mark.parametrize("mults", [(1,), (1, 2), (1, 1, 3)])
@pytest.mark.parametrize("blocks", [1, 2])
def test_other_shapes_of_the_network_run(mults, blocks):
    x = torch.randn(2, 8, 3)
    assert small(mults=mults, blocks=blocks)(x, torch.tensor([5, 50]), torch.zeros(2, 8, 2)).shape == x.shape


def test_an_untrained_network_answers_with_the_straight_line():
    net = TemporalUnet(UnetConfig(dof=3, dim=16))
    x = torch.randn(2, 16, 3)
    answer = net(x, torch.tensor([5, 50])).detach().numpy()
    for path, given in zip(answer, x.numpy(), strict=True):
        assert abs(path - straight(given[0], given[-1], 16)).max() < 1e-6


def test_samples_of_a_batch_do_not_touch_each_other():
    net = small()
    x, t, condition = torch.randn(4, 16, 3), torch.tensor([1, 20, 50, 99]), torch.randn(4, 16, 2)
    torch.testing.assert_close(net(x, t, condition)[2:3], net(x[2:3], t[2:3], condition[2:3]), rtol=1e-4, atol=1e-5)


def test_time_and_condition_matter():
    net = small()
    x, condition = torch.randn(1, 16, 3), torch.randn(1, 16, 2)
    base = net(x, torch.tensor([10]), condition)
    assert not torch.allclose(base, net(x, torch.tensor([60]), condition))
    assert not torch.allclose(base, net(x, torch.tensor([10]), 0 * condition))


@pytest.mark.parametrize(("key", "value"), [("dim", 20), ("kernel", 4), ("mults", ()), ("blocks", 0)])
def test_a_shape_that_makes_no_sense_names_its_key(key, value):
    with pytest.raises(InputError, match=f"unet.{key}"):
        UnetConfig(**{"dof": 3, key: value})


@pytest.mark.parametrize(("word", "products"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_the_environment_chooses_the_products_of_the_shipped_prior(
    word: str, products: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIFFPLAN_PRODUCTS", word)
    assert chosen_products() is products


@pytest.mark.parametrize(
    ("units", "products"),
    [
        ({"amx_bf16": False, "avx512_bf16": False}, torch.float32),
        ({"amx_bf16": False, "avx512_bf16": True}, torch.float32),
        ({"amx_bf16": True}, torch.bfloat16),
        ({}, torch.float32),
    ],
)
def test_products_are_in_bfloat16_where_the_processor_multiplies_it(
    units: dict[str, bool], products: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DIFFPLAN_PRODUCTS", raising=False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: units, raising=False)
    assert chosen_products() is products


def test_an_unknown_type_of_products_is_refused_with_those_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIFFPLAN_PRODUCTS", "float16")
    with pytest.raises(InputError, match=r"DIFFPLAN_PRODUCTS: .*'float16'.*allowed: float32, bfloat16"):
        chosen_products()
