"""Returns: measured as said, whole or absent, the same whoever measures them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from diffplan.curves import spline
from diffplan.errors import InputError
from diffplan.learning.returns import ReturnsConfig, measure_returns, read_returns, vary
from diffplan.learning.shards import Shard, write_shard
from diffplan.robot.model import Robot
from diffplan.timing import retime

PANDA = Robot.load("panda")


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> ReturnsConfig:
    """Two shards of five bent paths each."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for index in range(2):
        s = np.linspace(0.0, 1.0, 64)[:, None]
        start, way, bend = rng.uniform(-0.5, 0.5, (3, 5, 1, 7))
        write_shard(
            Shard(
                seed=0,
                index=index,
                robot="panda",
                joint_names=PANDA.joint_names,
                versions={},
                waypoints=((PANDA.lower + PANDA.upper) / 2 + start + way * s + bend * s * (1 - s)).astype(np.float32),
                scene=np.array([0, 0, 1, 1, 1], np.int32),
                kind=np.zeros(5, np.int8),
                clearance=np.full(5, 0.1, np.float32),
                family=("a", "b"),
                obstacles=("[]", "[]"),
            ),
            folder,
        )
    config = ReturnsConfig(data=folder, out=folder / "returns", paths=6, variations=3, track_every=2, workers=1)
    assert measure_returns(config, show=False) == 6 * 4
    return config


def test_what_is_measured_is_the_time_that_timing_finds_and_every_so_manieth_is_followed(config):
    found = read_returns(config.out)
    assert found.control.shape == (6, 4, 16, 7)
    for control, duration in zip(found.control[1].astype(np.float64), found.duration[1], strict=True):
        trajectory = retime(control, PANDA)
        assert trajectory is not None
        assert trajectory.duration == pytest.approx(duration, rel=1e-3)
    assert np.isnan(found.tracking[1::2]).all()
    assert ((found.tracking[::2] > 0) & (found.tracking[::2] < 0.01)).all()
    assert set(found.scene) <= {"0/0/0", "0/0/1", "0/1/0", "0/1/1"}


def test_a_second_run_measures_only_what_is_missing_and_finds_the_same(config):
    before = read_returns(config.out)
    (config.out / "returns-00001.h5").unlink()
    assert measure_returns(config, show=False) == 3 * 4
    after = read_returns(config.out)
    np.testing.assert_array_equal(before.control, after.control)
    np.testing.assert_array_equal(before.duration, after.duration)


def test_a_folder_keeps_its_settings(config):
    with pytest.raises(InputError, match="other settings"):
        measure_returns(replace(config, variations=4), show=False)
    with pytest.raises(InputError, match="no returns here"):
        read_returns(Path(config.data))


def test_variations_have_the_same_ends_stay_within_limits_and_differ(config):
    rng = np.random.default_rng(1)
    start, goal = rng.uniform(PANDA.lower, PANDA.upper, (2, 7))
    control = spline.straight(start, goal, 16)
    varied = vary(control, PANDA, rng, replace(config, variations=40))
    np.testing.assert_array_equal(varied[0], control)
    np.testing.assert_allclose(varied[:, [0, -1]], np.broadcast_to([start, goal], (41, 2, 7)), atol=1e-12)
    assert (varied >= PANDA.lower).all()
    assert (varied <= PANDA.upper).all()
    away = np.abs(varied[1:] - control).max((1, 2))
    assert away.min() < 0.1 < 0.5 < away.max()
