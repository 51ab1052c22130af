"""Repair: which stretch collides, and that denoising it again leaves the rest alone."""

import numpy as np
import pytest
import torch

import diffplan as dp
from diffplan.collision.cpu import CollisionModel, Obstacles
from diffplan.curves import spline
from diffplan.prior.repair import Kept, colliding_stretch, renoised
from diffplan.prior.schedule import Schedule
from diffplan.refinement import RefineConfig, Refiner

N = 16


@pytest.fixture(scope="module")
def robot() -> dp.Robot:
    return dp.Robot.load("panda")


def _swing(robot: dp.Robot) -> np.ndarray:
    """A quarter turn about the first joint, control points [1, N, dof]."""
    start = robot.configuration("home")
    return spline.straight(start, start + np.array([np.pi / 2, 0, 0, 0, 0, 0, 0]), N)[None]


def _refiner(robot: dp.Robot, share: float) -> Refiner:
    """A small ball where the hand is after this share of the swing."""
    hand = robot.link_pose(_swing(robot)[0, 0], "panda_hand")[0, :3, 3]
    angle = share * np.pi / 2
    x, y = float(np.cos(angle) * hand[0]), float(np.sin(angle) * hand[0])
    ball = dp.Sphere(name="ball", radius=0.02, pose=dp.Pose(xyz=(x, y, float(hand[2]))))
    return Refiner(CollisionModel(robot), Obstacles.pack([dp.Scene(obstacles=(ball,))]), RefineConfig())


@pytest.mark.parametrize("share", [0.35, 0.5, 0.65])
def test_the_stretch_lies_where_the_path_collides_and_widens(robot: dp.Robot, share: float) -> None:
    refiner = _refiner(robot, share)
    (stretch,) = colliding_stretch(refiner, _swing(robot), widen=0)
    (wider,) = colliding_stretch(refiner, _swing(robot), widen=1)
    places = np.flatnonzero(stretch)
    assert np.array_equal(places, np.arange(places[0], places[-1] + 1))
    assert spline.greville(N)[places].mean() == pytest.approx(share, abs=0.08)
    assert wider.sum() == stretch.sum() + 2
    assert not wider[[0, -1]].any()


def test_a_path_that_is_clear_has_no_stretch(robot: dp.Robot) -> None:
    bare = Refiner(CollisionModel(robot), Obstacles.pack([dp.Scene()]), RefineConfig())
    assert not colliding_stretch(bare, _swing(robot), widen=3).any()


def test_what_is_kept_comes_back_exactly_and_the_rest_is_the_denoisers() -> None:
    known = torch.rand((3, N, 7), generator=torch.Generator().manual_seed(0)) - 0.5
    keep = torch.ones((3, N), dtype=torch.bool)
    keep[:, 5:9] = False
    seen = []

    def denoiser(x_t: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        seen.append((x_t, int(t[0])))
        return torch.full_like(x_t, 0.7)

    schedule = Schedule()
    x0 = renoised(
        denoiser, known, keep, schedule, level=0.5, eta=0.7, generator=torch.Generator().manual_seed(1), steps=3
    )
    assert torch.equal(x0[keep], known[keep])
    assert (x0[~keep] == 0.7).all()
    assert [t for _, t in seen] == [50, 33, 17]
    inner = keep[0].clone()
    inner[[0, -1]] = False
    for x_t, t in seen:  # what is kept is its own noisy self at every level
        noise = (x_t - schedule.alpha_bar[t].sqrt() * known)[:, inner] / schedule.std[t]
        assert 0.85 < float(noise.std()) < 1.15
        assert abs(float(noise.mean())) < 0.15


def test_kept_wraps_any_denoiser() -> None:
    known, keep = torch.zeros((1, 4, 2)), torch.tensor([[True, False, True, False]])
    x0 = Kept(lambda x_t, t: x_t, known, keep)(torch.ones((1, 4, 2)), torch.tensor([3]))
    assert x0[0, :, 0].tolist() == [0.0, 1.0, 0.0, 1.0]
