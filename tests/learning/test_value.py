"""Training of the value: it learns what sets paths apart, and a killed run ends in the same weights."""

import numpy as np
import pytest
import torch

from diffplan.curves import spline
from diffplan.errors import InputError
from diffplan.learning.log import read_log
from diffplan.learning.returns import Returns
from diffplan.learning.run import run
from diffplan.learning.value import ValueConfig, ValueFit, ValueLine, agreement, rate
from diffplan.learning.value_fit import fit_value
from diffplan.prior.value import load_value
from diffplan.robot.model import Robot

PANDA = Robot.load("panda")


def returns(groups: int = 60, seed: int = 0) -> Returns:
    """Groups of straight lines bent sideways in one joint, which take so much longer as they are bent."""
    rng = np.random.default_rng(seed)
    start, goal = (PANDA.lower + PANDA.upper) / 2 + rng.uniform(-0.5, 0.5, (2, groups, 7))
    bend = rng.uniform(0.0, 1.0, (groups, 4))
    control = np.repeat(spline.straight(start, goal, 8)[:, None], 4, axis=1)
    control[..., 0] += bend[:, :, None] * np.sin(np.linspace(0.0, np.pi, 8))
    tracking = np.full((groups, 4), np.nan)
    tracking[::5] = 0.001
    return Returns(
        control=control.astype(np.float32),
        duration=(1.0 + bend).astype(np.float32),
        tracking=tracking.astype(np.float32),
        scene=tuple(f"0/0/{number // 2}" for number in range(groups)),
    )


def config(**changes) -> ValueConfig:
    small = {"dim": 16, "mults": (1, 2), "steps": 20, "batch": 8, "warm_up": 2, "ema": 0.5, "held_out": 0.2}
    return ValueConfig(**{**small, "validate_every": 10, **changes})


def test_the_cost_of_a_path_is_its_time_and_its_weighted_tracking_error():
    rated = rate(returns(), PANDA, tracking_weight=10.0)
    np.testing.assert_allclose(rated.cost, returns().duration + 0.01, atol=1e-6)


def test_it_learns_which_of_a_group_is_better():
    trainer = ValueFit(config(steps=120, batch=24, rate=5e-3), returns(150), PANDA)
    before = trainer.validate(0)
    while trainer.done < 120:
        trainer.step()
    after = trainer.validate(0)
    assert before.spearman_within < 0.7 < 0.9 < after.spearman_within
    assert trainer.validate(75).spearman_within < after.spearman_within


def test_a_killed_run_that_is_resumed_ends_in_the_same_weights(tmp_path):
    def weights(trainer: ValueFit) -> torch.Tensor:
        return torch.cat([p.detach().flatten() for net in (trainer.net, trainer.average) for p in net.parameters()])

    whole = ValueFit(config(), returns(), PANDA)
    lines = list(run(whole, tmp_path / "whole", log_every=5))
    killed = run(ValueFit(config(), returns(), PANDA), tmp_path / "killed", log_every=5, checkpoint_minutes=0.0)
    next(killed), next(killed)
    killed.close()
    again = ValueFit(config(), returns(), PANDA)
    rest = list(run(again, tmp_path / "killed", log_every=5))
    assert [line.step for line in rest] == [15, 20]
    assert torch.equal(weights(again), weights(whole))
    log = read_log(tmp_path / "killed" / "log.csv", ValueLine, up_to=20)
    assert [line.train for line in log] == [line.train for line in lines]


def test_a_run_is_not_gone_on_with_other_settings_or_data(tmp_path):
    list(run(ValueFit(config(steps=5), returns(), PANDA), tmp_path))
    with pytest.raises(InputError, match="not the setting"):
        list(run(ValueFit(config(steps=6), returns(), PANDA), tmp_path))
    with pytest.raises(InputError, match="not the returns"):
        list(run(ValueFit(config(steps=5), returns(seed=1), PANDA), tmp_path))


def test_a_run_leaves_weights_curve_and_card(tmp_path, monkeypatch):
    monkeypatch.setattr("diffplan.learning.value_fit.read_returns", lambda folder: returns())
    threads = torch.get_num_threads()
    value = fit_value(PANDA, tmp_path, config(), tmp_path, threads=threads + 1)
    assert torch.get_num_threads() == threads
    control = returns().control[0].astype(np.float64)
    again = load_value(tmp_path / "value.safetensors")
    again.check(PANDA)
    np.testing.assert_allclose(again.duration(control), value.duration(control), atol=5e-3)
    assert (tmp_path / "curve.png").stat().st_size > 1000
    card = (tmp_path / "VALUE.md").read_text()
    assert all(f"| {level} % |" in card for level in (0, 10, 25, 50, 75))


def test_agreement_within_groups_is_blind_to_what_groups_have_in_common():
    rng = np.random.default_rng(0)
    level, apart = rng.normal(0.0, 10.0, (50, 1)), rng.normal(0.0, 1.0, (50, 6))
    found = agreement(0, level + 0.0 * apart + rng.normal(0.0, 0.1, (50, 6)), level + apart)
    assert found.pearson > 0.95
    assert abs(found.pearson_within) < 0.2
    assert abs(found.spearman_within) < 0.2
    perfect = agreement(0, 2 * (level + apart), level + apart)
    assert perfect.spearman_within == pytest.approx(1.0)
