"""Settings files are strict: a wrong key or value is refused with its line."""

import pytest

from diffplan.errors import InputError
from diffplan.learning.config import TrainConfig


def load(tmp_path, text: str) -> TrainConfig:
    path = tmp_path / "train.yaml"
    path.write_text("format: diffplan/train@1\n" + text)
    return TrainConfig.load(path)


def test_what_is_given_is_read_and_the_rest_keeps_its_default(tmp_path):
    settings = load(tmp_path, "rate: 1e-3\nmults: [1, 2]\nsteps: 100\npass_shares: [0.1, 0.5, 0.2, 0.2]\n")
    assert (settings.rate, settings.mults, settings.steps) == (1e-3, (1, 2), 100)
    assert settings.pass_shares == (0.1, 0.5, 0.2, 0.2)
    assert settings.batch == TrainConfig().batch


def test_settings_come_back_from_the_file_they_are_dumped_to(tmp_path):
    settings = TrainConfig(seed=7, rate=0.00012345, mults=(1, 3), horizon=12)
    settings.save(tmp_path / "config.json")
    assert TrainConfig.load(tmp_path / "config.json") == settings


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stepz: 3\n", "train.yaml:2.*stepz.*steps"),
        ("seed: 1\nsteps: 2.5\n", "train.yaml:3: steps: not a whole number"),
        ("rate: fast\n", "train.yaml:2: rate"),
        ("rate: -1\n", "train.yaml:2: rate: not a positive number"),
        ("pass_shares: [0.5, 0.5]\n", "train.yaml:2: pass_shares: not four shares"),
        ("horizon: 18\n", "train.yaml:2: horizon: .*multiple of 4"),
        ("products: float64\n", "train.yaml:2: products: .*float32, bfloat16"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_line_and_what_is_allowed(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        load(tmp_path, text)
