"""Walks out of narrow ends: they keep clear, are the same for the same seed, and become seeds from start to goal."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pytest

import diffplan as dp
from diffplan.errors import InputError
from diffplan.planners.base import Candidate
from diffplan.planners.diffusion import DiffusionConfig, DiffusionPlanner, _too_close
from diffplan.planners.task import Task
from diffplan.planners.walks import Walks
from diffplan.prior.channels import CHANNELS
from diffplan.prior.common import CommonPrior
from diffplan.prior.jointwise import JointwiseConfig, JointwiseUnet
from diffplan.prior.schedule import Schedule
from diffplan.problem import Problem

WALKERS = 16


@pytest.fixture(scope="module")
def task() -> Task:
    """From beside a shelf deep into it, between boards: the goal reaches forward, the start stands to the side."""
    robot = dp.Robot.load("panda")
    goal = np.array([0.0, 0.9, 0.0, -1.5, 0.0, 2.4, 0.785])
    hand = robot.link_pose(goal[None], "panda_hand")[0, :3, 3]
    x, z = float(hand[0]), float(hand[2])
    boards = [
        dp.Box(name=name, size=size, pose=dp.Pose(xyz=at))
        for name, size, at in (
            ("upper", (0.5, 0.9, 0.02), (x + 0.15, 0.0, z + 0.25)),
            ("lower", (0.5, 0.9, 0.02), (x + 0.15, 0.0, z - 0.25)),
            ("left", (0.5, 0.02, 0.5), (x + 0.15, 0.3, z)),
            ("right", (0.5, 0.02, 0.5), (x + 0.15, -0.3, z)),
        )
    ]
    start = goal.copy()
    start[0] = 1.4
    return Task.of(Problem(robot=robot, scene=dp.Scene(obstacles=tuple(boards)), start=start, goals=goal[None]))


@pytest.fixture(scope="module")
def walks(task: Task) -> Walks:
    walks = Walks(task, np.zeros(WALKERS, dtype=np.int64), (0, 1))
    assert walks.go_on()
    return walks


def test_walks_stay_clear_of_obstacles_and_within_the_limits(task: Task, walks: Walks) -> None:
    for side in (walks._start, walks._goals):
        q = np.concatenate(side.trail)
        clear, apart = task.model.clearance(task.world, q)
        assert min(clear.min(), apart.min()) > -2e-4
        assert np.all((q >= task.problem.robot.lower) & (q <= task.problem.robot.upper))


def test_seeds_lead_from_the_start_to_a_goal_and_are_the_same_for_the_same_seed(task: Task, walks: Walks) -> None:
    again = Walks(task, np.zeros(WALKERS, dtype=np.int64), (0, 1))
    again.go_on()
    seeds, same = (list(islice(some.seeds(24), 3)) for some in (walks, again))
    assert len(seeds) == 3
    for (control, goal), (control_again, _) in zip(seeds, same, strict=True):
        assert control.shape == (1, 24, 7)
        assert np.array_equal(control[0, 0], task.problem.start)
        assert np.array_equal(control[:, -1], task.problem.goals[goal])
        assert control.tobytes() == control_again.tobytes()
    assert len({control.tobytes() for control, _ in seeds}) == 3


def test_walks_end_at_the_deadline(task: Task) -> None:
    late = Walks(replace(task, deadline=0.0), np.zeros(WALKERS, dtype=np.int64), (0, 1))
    assert not late.go_on()
    assert len(late._goals.trail) == 1


@pytest.mark.parametrize("walkers", [0, WALKERS])
def test_walks_are_tried_where_the_first_round_failed(task: Task, walkers: int) -> None:
    """One step of pushing helps no sample of the first round; what walks led to needs none or few."""
    config = DiffusionConfig(seeds="random", walkers=walkers, rounds=2, batch=1, largest_batch=1, repair=False)
    planner = DiffusionPlanner(config)
    planner.prepare(task)
    sources = {candidate.source for candidate in planner.candidates(task) if candidate.round == 2}
    assert ("walks" in sources) == bool(walkers)


@pytest.mark.parametrize("own", [True, False])
def test_walks_come_before_the_first_samples_of_the_common_prior_and_of_no_other(
    task: Task, own: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = JointwiseUnet(JointwiseConfig(channels=CHANNELS, dim=8, mults=(1, 2), mixing=(0, 1), tokens=1))
    common = CommonPrior(net=net.requires_grad_(False), schedule=Schedule(steps=30, data_std=0.1), horizon=16)
    planner = DiffusionPlanner(DiffusionConfig(rounds=1, batch=2), prior=None if own else common)
    asked: list[int] = []
    monkeypatch.setattr(
        planner,
        "_walked",
        lambda _task, number, _wave: asked.append(number) or iter(()),
    )
    list(planner.after_look(task))
    assert asked == ([] if own else [0, 0])


def test_a_step_is_pushed_out_and_good_only_if_its_end_and_its_middle_are_clear(task: Task) -> None:
    robot, model = task.problem.robot, task.model
    q = np.random.default_rng(1).uniform(robot.lower, robot.upper, (400, robot.dof))
    q = q[np.min(model.clearance(task.world, q), axis=0) > 0][:50]  # no multiple of the kernel's 16
    to = np.clip(q + 0.3 * np.random.default_rng(2).standard_normal(q.shape), robot.lower, robot.upper)
    floor = np.zeros(len(q))
    how = {"activation": 0.03, "self_activation": 0.01, "longest": 0.1, "floor": floor, "self_floor": floor}
    pushed, keeps = model.step(task.world, q, to, pushes=3, **how)
    unpushed, before = model.step(task.world, q, to, pushes=0, **how)
    assert np.allclose(unpushed, to, atol=1e-6)
    for end, good in ((pushed, keeps), (unpushed, before)):
        room = [np.min(model.clearance(task.world, some), axis=0) for some in (end, (q + end) / 2)]
        sure = np.abs(room).min(axis=0) > 1e-5  # m
        assert np.array_equal(good[sure], np.min(room, axis=0)[sure] > 0)
    assert before.sum() < keeps.sum() < len(q)
    assert np.all((pushed >= robot.lower) & (pushed <= robot.upper))
    assert np.abs(pushed - to).max() < 3 * 0.1 + 1e-6


def test_walks_whose_path_is_refused_for_close_own_links_are_pushed_apart_at_once(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    planner = DiffusionPlanner(DiffusionConfig(seeds="random", rounds=2, batch=1, repair=False))
    asked: list[bool] = []
    monkeypatch.setattr(planner, "_walked", lambda *_: iter([(np.zeros((1, 8, 7)), np.zeros(1, dtype=np.int64))] * 2))
    monkeypatch.setattr(planner, "_along_walks", lambda _task, _control, _goals, apart: asked.append(apart) or [])
    monkeypatch.setattr("diffplan.planners.diffusion._too_close", lambda *_: bool(asked))
    list(planner.after_look(task))
    assert asked == [False, True] * 2  # where links cannot be kept apart, the next pair is tried without that too


def test_every_other_round_keeps_close_own_links_apart(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    """In some places they cannot be, so no round may ask for it for good."""
    config = DiffusionConfig(seeds="random", walkers=0, rounds=4, batch=1, largest_batch=1, repair=False)
    planner = DiffusionPlanner(config)
    asked: list[tuple[int, bool]] = []
    refiner = planner._refiner
    monkeypatch.setattr(
        planner,
        "_refiner",
        lambda task, number, apart=False: asked.append((number, apart)) or refiner(task, number, apart),
    )
    monkeypatch.setattr("diffplan.planners.diffusion._too_close", lambda *_: len(asked) == 1)
    list(planner.after_look(task))
    assert asked == [(0, False), (0, True), (1, True), (2, False), (3, True)]


def test_the_next_pair_of_walks_is_a_seed_only_where_the_last_was_not_certified(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = DiffusionConfig(seeds="random", rounds=2, batch=1, largest_batch=1, repair=False)
    planner, made = DiffusionPlanner(config), []
    walked = planner._walked

    def counted(*of: Any) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for seed in walked(*of):
            made.append(seed)
            yield seed

    monkeypatch.setattr(planner, "_walked", counted)
    planner.prepare(task)
    next(candidate for candidate in planner.candidates(task) if candidate.source == "walks")
    assert len(made) == 1
    made.clear()
    list(planner.candidates(task))
    assert len(made) == 3


def test_where_a_refused_path_has_own_links_close_later_ones_keep_them_apart(task: Task) -> None:
    robot, planner = task.problem.robot, DiffusionPlanner(DiffusionConfig(seeds="random"))
    q = np.random.default_rng(0).uniform(robot.lower, robot.upper, (400, robot.dof))
    room, own = task.model.clearance(task.world, q)[1], robot.spheres.uncovered
    near, far = (
        Candidate(control=np.repeat(q[chosen][:1], 8, axis=0), goal_index=0, source="test")
        for chosen in ((room > 0) & (room < own), room > own)
    )
    assert _too_close(task, [far, near])
    assert not _too_close(task, [far])
    assert not _too_close(replace(task, alternatives=1), [near])  # those that were offered need not have been refused
    asked = [planner._refiner(task, number, apart=True).config.self_clearance for number in range(4)]
    assert asked == [pytest.approx(own)] * 3 + [0.0]
    assert planner._refiner(task, 0).config.self_clearance == 0.0


def test_a_negative_number_of_walkers_is_refused() -> None:
    with pytest.raises(InputError, match="walkers"):
        DiffusionConfig(walkers=-1)
