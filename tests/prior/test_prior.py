"""The prior's file: what goes in comes out, without pickle, and files that are not ours say so."""

import json
import struct
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from diffplan.errors import InputError
from diffplan.prior.choice import kept_prior
from diffplan.prior.prior import Prior, load_prior, save_prior
from diffplan.prior.schedule import Schedule
from diffplan.prior.unet import TemporalUnet, UnetConfig


def make_prior() -> Prior:
    torch.manual_seed(0)
    net = TemporalUnet(UnetConfig(dof=2, condition=1, dim=16, mults=(1, 2)))
    nn.init.normal_(net.out.weight)
    return Prior(
        net=net,
        schedule=Schedule(steps=30, data_std=0.2),
        horizon=8,
        joint_names=("a", "b"),
        lower=(-1.0, -2.0),
        upper=(1.0, 0.5),
        training={"seed": 3, "hours": 0.5, "robot": "toy"},
    )


def answer(prior: Prior) -> torch.Tensor:
    x = torch.randn((2, 8, 2), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return prior.net(x, torch.tensor([3, 20]), torch.zeros(2, 8, 1))


def test_a_saved_prior_comes_back_with_everything_it_needs(tmp_path):
    prior = make_prior()
    save_prior(prior, tmp_path / "prior.safetensors", dtype=torch.float32)
    again = load_prior(tmp_path / "prior.safetensors")
    assert torch.equal(answer(prior), answer(again))
    for key in ("schedule", "horizon", "joint_names", "lower", "upper", "training"):
        assert getattr(prior, key) == getattr(again, key)
    assert not any(p.requires_grad for p in again.net.parameters())
    assert [file.name for file in tmp_path.iterdir()] == ["prior.safetensors"]


def test_a_prior_is_kept_by_what_its_file_holds_wherever_it_lies(tmp_path):
    one, other = tmp_path / "one.safetensors", tmp_path / "other.safetensors"
    save_prior(make_prior(), one)
    other.write_bytes(one.read_bytes())
    kept = kept_prior(one, torch.float32)
    assert kept_prior(other, torch.float32) is kept
    assert kept_prior(one, torch.bfloat16) is not kept
    save_prior(replace(make_prior(), horizon=16), one)
    assert kept_prior(one, torch.float32).horizon == 16
    one.unlink()
    with pytest.raises(InputError, match="no such file"):
        kept_prior(one, torch.float32)


def test_half_precision_storage_changes_answers_by_its_rounding(tmp_path):
    prior = make_prior()
    save_prior(prior, tmp_path / "prior.safetensors")
    again = answer(load_prior(tmp_path / "prior.safetensors"))
    assert again.dtype == torch.float32
    assert 0 < (again - answer(prior)).norm() < 3e-3 * answer(prior).norm()


def test_the_header_is_json_that_anyone_can_read(tmp_path):
    save_prior(make_prior(), tmp_path / "prior.safetensors")
    raw = (tmp_path / "prior.safetensors").read_bytes()
    length = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8 : 8 + length])["__metadata__"]
    assert json.loads(header["unet"])["mults"] == [1, 2]
    assert json.loads(header["training"])["seed"] == 3


def test_a_missing_file_a_broken_file_and_a_file_of_another_kind_are_told_apart(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        load_prior(tmp_path / "none.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"not weights")
    with pytest.raises(InputError, match="not a readable safetensors file"):
        load_prior(tmp_path / "broken.safetensors")
    from safetensors.numpy import save_file

    save_file({"x": np.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="allowed: diffplan/prior@1"):
        load_prior(tmp_path / "other.safetensors")


@pytest.mark.parametrize(
    ("key", "text", "problem"),
    [
        ("unet", "[" * 5000 + "]" * 5000, "nested too deeply"),
        ("unet", "{}", "unet: key 'dof' is missing"),
        ("unet", '{"dof": 2, "condition": 1, "dim": 16, "mults": [1, 2], "dims": 1}', "unet.dims: unknown key"),
        (
            "unet",
            '{"dof": 2, "condition": 1, "dim": 800000, "mults": [1, 2]}',
            "more than the 32914 numbers in this",
        ),
        ("unet", '{"dof": 2, "condition": 1, "dim": 16, "mults": [1, 2], "blocks": 100000000}', "more than the"),
        ("unet", '{"dof": 2, "condition": 1, "dim": 16, "mults": []}', "unet.mults: needs at least one level"),
        ("unet", '{"dof": 2, "condition": 2, "dim": 16, "mults": [1, 2]}', "header and weights do not fit together"),
        ("schedule", '{"steps": 1000000000}', "schedule.steps: not a number of steps"),
        ("horizon", "1" * 5000, "too many digits"),
        ("horizon", "7", "horizon: does not fit the network"),
        ("lower", "[-1]", "lower: wrong length"),
        ("lower", '["a", NaN]', r"lower\[0\]: a text, not a number"),
        ("joint_names", '["a", "a"]', "joint_names: not a name for each joint"),
        ("training", "[]", "training: not a mapping"),
    ],
)
def test_a_header_that_makes_no_sense_is_refused_before_a_network_is_made(tmp_path, key, text, problem):
    file = tmp_path / "prior.safetensors"
    save_prior(make_prior(), file)
    raw = file.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + length])
    header["__metadata__"][key] = text
    changed = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(changed)) + changed + raw[8 + length :])
    with pytest.raises(InputError, match=problem):
        load_prior(file)


def test_weights_that_are_not_finite_are_refused(tmp_path):
    prior = make_prior()
    nn.init.constant_(prior.net.out.weight, float("nan"))
    save_prior(prior, tmp_path / "prior.safetensors")
    with pytest.raises(InputError, match=r"out\.weight: weights that are not finite"):
        load_prior(tmp_path / "prior.safetensors")
