"""The value: gradients, horizons, files, and the straight line that it corrects."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from diffplan.curves import spline
from diffplan.errors import InputError
from diffplan.prior.schedule import Schedule
from diffplan.prior.unet import UnetConfig
from diffplan.prior.value import Value, ValueNet, load_value, normalised_limits, save_value, straight_time
from diffplan.robot.model import Robot
from diffplan.timing import retime

PANDA = Robot.load("panda")


@pytest.fixture(scope="module")
def value() -> Value:
    torch.manual_seed(0)
    limits = {key: tuple(map(float, getattr(PANDA, key))) for key in ("lower", "upper", "velocity", "acceleration")}
    return Value(
        net=ValueNet(UnetConfig(dof=7, dim=16, mults=(1, 2)), normalised_limits(PANDA)).requires_grad_(False),
        schedule=Schedule(),
        joint_names=PANDA.joint_names,
        mean=0.3,
        std=0.5,
        **limits,
    )


def paths(count: int, horizon: int = 16) -> np.ndarray:
    """Smooth curves (cubic polynomials, which any number of control points holds exactly) within the limits."""
    rng = np.random.default_rng(0)
    s = np.linspace(0.0, 1.0, 50)[:, None]
    start, way, bend, twist = rng.uniform(-0.4, 0.4, (4, count, 1, 7))
    curve = start + way * s + bend * s * (1 - s) + twist * s * (1 - s) * (1 - 2 * s)
    return spline.fit((PANDA.lower + PANDA.upper) / 2 + curve, horizon)


def test_the_gradient_is_that_of_the_duration_and_zero_at_the_ends(value):
    control = paths(3)
    duration, gradient = value.duration_and_gradient(control)
    np.testing.assert_allclose(duration, value.duration(control), atol=1e-5)
    assert gradient.shape == control.shape
    assert not gradient[:, [0, -1]].any()
    amount = np.random.default_rng(1).standard_normal((3, 1, 7))
    direction = amount * np.sin(np.linspace(0.0, np.pi, 16))[:, None] ** 2
    step = 1e-3
    change = (value.duration(control + step * direction) - value.duration(control - step * direction)) / (2 * step)
    np.testing.assert_allclose((gradient * direction).sum((1, 2)), change, rtol=0.02, atol=0.01)


def test_the_gradient_in_the_reverse_process_points_to_a_better_return(value):
    x = torch.from_numpy(PANDA.normalise(paths(4))).float()
    t = 30
    uphill = value.gradient_at(x, t)
    assert not uphill[:, [0, -1]].any()
    at = torch.full((4,), t)
    better = value.net(x + 0.02 * uphill / uphill.norm(), at)
    assert (better < value.net(x, at)).all()  # the network's number is a cost, the return its negative


def test_the_same_curve_with_more_control_points_is_worth_the_same(value):
    np.testing.assert_allclose(value.duration(paths(5, 16)), value.duration(paths(5, 24)), atol=1e-4)


def test_a_saved_value_says_the_same(value, tmp_path):
    save_value(value, tmp_path / "value.safetensors")
    again = load_value(tmp_path / "value.safetensors")
    again.check(PANDA)
    control = paths(5)
    np.testing.assert_allclose(again.duration(control), value.duration(control), atol=5e-3)  # half precision


def test_a_value_of_other_limits_is_refused(value):
    with pytest.raises(InputError, match="other velocity limits"):
        value.check(replace(PANDA, velocity=0.5 * PANDA.velocity))
    with pytest.raises(InputError, match="other joints"):
        value.check(replace(PANDA, joint_names=tuple(reversed(PANDA.joint_names))))


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "value.safetensors").write_bytes(b"nothing")
    with pytest.raises(InputError, match="not a readable safetensors file"):
        load_value(tmp_path / "value.safetensors")


def test_straight_lines_take_the_time_that_timing_finds():
    rng = np.random.default_rng(2)
    middle = (PANDA.lower + PANDA.upper) / 2
    ends = middle + rng.uniform(-1, 1, (6, 2, 7)) * np.geomspace(0.01, 1.0, 6)[:, None, None]
    measured = []
    for start, goal in ends:
        trajectory = retime(spline.straight(start, goal, 16), PANDA)
        assert trajectory is not None
        measured.append(trajectory.duration)
    predicted = straight_time(ends[:, 1] - ends[:, 0], PANDA.velocity, PANDA.acceleration)
    np.testing.assert_allclose(measured, predicted, rtol=0.03)
