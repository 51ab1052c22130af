"""A checkpoint that is not this network's, or does not tell its steps, is refused by name."""

from pathlib import Path

import pytest
import torch
from torch import nn

from diffplan.errors import InputError
from diffplan.learning.checkpoint import pack, unpack
from diffplan.strict.entry import Json


def made(width: int) -> tuple[nn.Module, nn.Module, torch.optim.Optimizer]:
    net = nn.Linear(2, width)
    optimiser = torch.optim.AdamW(net.parameters())
    net(torch.ones(1, 2)).sum().backward()
    optimiser.step()
    return net, nn.Linear(2, width), optimiser


def test_what_was_packed_is_put_back():
    net, average, optimiser = made(3)
    other = made(3)
    assert unpack(pack(net, average, optimiser), {"done": 7}, Path("c"), *other) == 7
    torch.testing.assert_close(other[0].state_dict(), net.state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("width", "changes", "done", "problem"),
    [
        (4, {}, 7, "not the checkpoint of this network"),
        (3, {"optimiser.x.step": torch.zeros(1)}, 7, "not the checkpoint of this network"),
        (3, {"optimiser.0": torch.zeros(1)}, 7, "not the checkpoint of this network"),
        (3, {}, None, "done: not a number"),
        (3, {}, 1.5, "done: not a whole number"),
        (3, {}, [1], "done: not a number"),
    ],
)
def test_what_does_not_fit_is_refused(width: int, changes: dict[str, torch.Tensor], done: Json, problem: str):
    tensors = {**pack(*made(width)), **changes}
    with pytest.raises(InputError, match=f"c: {problem}"):
        unpack(tensors, {"done": done}, Path("c"), *made(3))
