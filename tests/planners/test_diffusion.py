"""The diffusion planner: samples between the ends, rounds that grow, candidates shortest first, strict options."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import diffplan as dp
from diffplan.collision.cpu import CollisionModel, Obstacles
from diffplan.curves import spline
from diffplan.curves.spline import basis
from diffplan.planners.base import Candidate
from diffplan.planners.diffusion import DEMANDS, DiffusionConfig, DiffusionPlanner
from diffplan.planners.picking import tight
from diffplan.planners.task import Task
from diffplan.prior.value import load_value, value_file
from diffplan.problem import Problem
from diffplan.refinement import RefineConfig, Refiner
from diffplan.system.kernel_threads import get_kernel_threads

KINDS = ("prior", "unconditioned", "random")

pytestmark = pytest.mark.usefixtures("products")


@pytest.fixture(scope="module")
def problem() -> Problem:
    """Around a wall to either of two goals, the farther one first."""
    robot = dp.Robot.load("panda")
    wall = dp.Box(name="wall", size=(0.6, 0.04, 0.6), pose=dp.Pose(xyz=(0.65, 0.0, 0.3)))
    home = robot.configuration("home")
    start, near, far = home.copy(), home.copy(), home.copy()
    start[:2], near[:2], far[:2] = (0.9, 0.1), (-0.9, 0.1), (-1.3, 0.1)
    return Problem(robot=robot, scene=dp.Scene(obstacles=(wall,)), start=start, goals=np.stack([far, near]))


@pytest.fixture(scope="module")
def refiner(problem: Problem) -> Refiner:
    return Refiner(CollisionModel(problem.robot), Obstacles.pack([problem.scene]), RefineConfig())


def _planner(problem: Problem, **options: str | float) -> DiffusionPlanner:
    planner = DiffusionPlanner.from_options(dict(options))
    planner.prepare(Task.of(problem))
    return planner


def _sample(problem: Problem, refiner: Refiner, kind: str, seed: int) -> np.ndarray:
    planner = _planner(problem, seeds=kind)
    goals = problem.goals[planner.share_out(problem, 6)]
    return planner.sample(problem, refiner, goals, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", KINDS)
def test_samples_join_start_and_goals_exactly_within_the_limits(problem: Problem, refiner: Refiner, kind: str) -> None:
    control = _sample(problem, refiner, kind, 0)
    assert control.shape == (6, DiffusionConfig().horizon, 7)
    assert np.array_equal(control[:, 0], np.repeat(problem.start[None], 6, axis=0))
    assert np.array_equal(control[:, -1], problem.goals[[1, 0, 1, 0, 1, 0]])
    assert np.all(control >= problem.robot.lower)
    assert np.all(control <= problem.robot.upper)


@pytest.mark.parametrize("kind", KINDS)
def test_the_generator_alone_decides_the_samples(problem: Problem, refiner: Refiner, kind: str) -> None:
    first, other, again = (_sample(problem, refiner, kind, seed) for seed in (0, 1, 0))
    assert np.array_equal(first, again)
    assert not np.allclose(first, other, atol=1e-3)


def test_the_prior_sees_the_scene_and_the_unconditioned_one_without_guidance_does_not(
    problem: Problem, refiner: Refiner
) -> None:
    bare = Refiner(refiner.model, Obstacles.pack([dp.Scene()]), RefineConfig())
    for kind, same in (("prior", False), ("unconditioned", True)):
        planner = _planner(problem, seeds=kind, guidance_steps=0)
        one, two = (
            planner.sample(problem, scene, problem.goals[[1, 1]], torch.Generator().manual_seed(0))
            for scene in (refiner, bare)
        )
        assert np.array_equal(one, two) == same


@pytest.mark.parametrize("kind", KINDS)
def test_candidates_of_a_round_are_clear_and_the_shortest_comes_first(problem: Problem, kind: str) -> None:
    planner = _planner(problem, seeds=kind, rounds=1, batch=16, repair=False)
    candidates = list(planner.candidates(Task.of(problem)))
    assert candidates
    assert {c.source for c in candidates} == {"random-seeds" if kind == "random" else "diffusion"}
    assert len(candidates) <= DiffusionConfig().tighten_best + 1
    for candidate in candidates:
        assert np.array_equal(candidate.control[0], problem.start)
        assert np.array_equal(candidate.control[-1], problem.goals[candidate.goal_index])
    world, model = Obstacles.pack([problem.scene]), CollisionModel(problem.robot)
    clearance = [np.minimum(*model.clearance(world, basis(16, 200) @ c.control)).min() for c in candidates]
    assert clearance[0] > 0
    clear = [c for c, room in zip(candidates, clearance, strict=True) if room > 0.004]
    lengths = [_length(candidate) for candidate in clear]
    assert lengths == sorted(lengths)


@pytest.mark.parametrize("different", [False, True])
def test_the_shortest_path_is_drawn_tighter_and_of_other_ways_each(
    problem: Problem, refiner: Refiner, different: bool
) -> None:
    control = _sample(problem, refiner, "random", seed=0)
    goal_of = np.zeros(len(control), dtype=int)

    def found(more: int) -> list[float]:
        options = {"stop_share": 2.0, "points_per_control": 12, "tighten_steps": 1, "tighten_more": more}
        once = refiner.with_config(replace(refiner.config, **options))
        candidates = tight(once, once.push(control), goal_of, most=3, source="test", different=different)
        return [_length(candidate) for candidate in candidates]

    few, more = found(0), found(9)
    assert len(few) == len(more) > 1
    assert more[0] < few[0]
    assert (more[1:] != few[1:]) == different


def _length(candidate: Candidate) -> float:
    curve = basis(len(candidate.control), 64) @ candidate.control
    return round(float(np.linalg.norm(np.diff(curve, axis=0), axis=1).sum()), 4)


def test_repair_mends_failures_of_a_round_that_had_nothing_else_to_offer(problem: Problem) -> None:
    """All samples are the straight line through the wall, and a few steps do not push them out."""
    few = tuple(replace(demand, steps=8) for demand in DEMANDS)
    configs = (DiffusionConfig(rounds=1, repair=repair) for repair in (False, True))
    planners = [Straight(config, demands=few) for config in configs]
    without, mended, again = (list(planner.candidates(Task.of(problem))) for planner in (*planners, planners[1]))
    assert without == []
    assert {candidate.source for candidate in mended} == {"repair"}
    assert [c.control.tolist() for c in mended] == [c.control.tolist() for c in again]


def test_a_planner_uses_the_prior_and_the_value_that_it_was_given(problem: Problem) -> None:
    robot = replace(problem.robot, name="one without a shipped prior", file=None)
    task, config = Task.of(replace(problem, robot=robot)), DiffusionConfig(rounds=1, value=True)
    with pytest.raises(dp.InputError, match="no such file"):
        DiffusionPlanner(config).prepare(task)
    shipped = DiffusionPlanner(config)
    given = DiffusionPlanner(config, prior=shipped.prior(problem.robot), value=shipped.value(problem.robot))
    given.prepare(task)
    one, other = (list(planner.candidates(Task.of(problem))) for planner in (shipped, given))
    assert [c.control.tobytes() for c in one] == [c.control.tobytes() for c in other]
    assert one


def test_the_first_look_offers_the_straight_line_where_it_is_clear_and_no_sample(problem: Problem) -> None:
    free = replace(problem, scene=dp.Scene())
    first = next(_planner(free, seeds="prior").candidates(Task.of(free)))
    assert (first.source, first.round) == ("diffusion", 0)
    assert first.goal_index == 1  # the nearer goal
    away = problem.robot.distance(problem.start, problem.goals[1])
    assert _length(first) == pytest.approx(away, abs=1e-3)


@pytest.mark.parametrize(
    "options", [{"first_look": 0.0}, {"seeds": "random"}, {"seeds": "unconditioned"}, {"value": True}]
)
def test_no_first_look_where_something_else_is_asked(problem: Problem, options: dict[str, str | float]) -> None:
    free = replace(problem, scene=dp.Scene())
    planner = _planner(free, rounds=1, **options)
    assert 0 not in {candidate.round for candidate in planner.candidates(Task.of(free))}


def test_no_first_look_at_other_ways(problem: Problem) -> None:
    free = replace(problem, scene=dp.Scene())
    found = _planner(free, rounds=1).candidates(Task.of(free, alternatives=1))
    assert 0 not in {candidate.round for candidate in found}


def test_the_first_look_offers_no_detour(problem: Problem) -> None:
    """The wall's end: pushed over it, the line is clear, but longer than asked."""
    low = dp.Box(name="wall", size=(0.6, 0.04, 0.45), pose=dp.Pose(xyz=(0.65, 0.0, 0.2)))
    over = replace(problem, scene=dp.Scene(obstacles=(low,)))
    offered = {
        most: [c for c in _planner(over, rounds=1, first_look=most).candidates(Task.of(over)) if c.round == 0]
        for most in (1.0, 5.0)
    }
    assert not offered[1.0]
    assert offered[5.0]


class Straight(DiffusionPlanner):
    """Samples nothing but the straight line to the nearer goal."""

    def sample(self, problem: Problem, refiner: Refiner, goals: np.ndarray, *_: object, **__: object) -> np.ndarray:
        return spline.straight(problem.start, problem.goals[[1] * len(goals)], self.config.horizon)


def test_goals_are_shared_out_in_turn_nearest_first(problem: Problem) -> None:
    assert DiffusionPlanner().share_out(problem, 5).tolist() == [1, 0, 1, 0, 1]


def test_rounds_double_their_batch_up_to_the_largest(problem: Problem) -> None:
    sizes: list[int] = []

    class Counted(Straight):
        def sample(self, problem: Problem, refiner: Refiner, goals: np.ndarray, *_: object, **__: object) -> np.ndarray:
            sizes.append(len(goals))
            return super().sample(problem, refiner, goals)

    planner = Counted(DiffusionConfig(seeds="random", rounds=4, batch=2, largest_batch=6))
    list(planner.candidates(Task.of(problem)))
    assert sizes == [2, 4, 6, 6]


def test_after_the_deadline_there_are_no_candidates(problem: Problem) -> None:
    for asked in (problem, replace(problem, scene=dp.Scene())):
        assert list(DiffusionPlanner().candidates(Task.of(asked, seed=0, deadline=0.0))) == []


def test_planning_gives_the_threads_back_as_they_were(problem: Problem) -> None:
    before = torch.get_num_threads(), get_kernel_threads()
    list(_planner(problem, seeds="random", rounds=1, batch=2, threads=2).candidates(Task.of(problem)))
    assert (torch.get_num_threads(), get_kernel_threads()) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bacth": 3}, r"no option 'bacth' \(did you mean 'batch'\?\)"),
        ({"batch": 0}, "batch: must be positive"),
        ({"batch": "many"}, "wrong type"),
        ({"batch": 1.5}, "wrong type"),
        ({"seeds": "prior2"}, "prior, unconditioned, random"),
        ({"horizon": 3}, "horizon"),
        ({"repair": 1}, "wrong type"),
        ({"value_guidance": -1.0}, "value_guidance: negative"),
        ({"horizon": 18}, "multiples of"),
        ({"steps": 100_000}, "sampling steps"),
    ],
)
def test_options_that_make_no_sense_are_bad_input(problem: Problem, options: dict[str, object], message: str) -> None:
    with pytest.raises(dp.InputError, match=message):
        DiffusionPlanner.from_options(options).prepare(Task.of(problem))


def test_a_whole_number_will_do_where_a_number_is_meant() -> None:
    assert DiffusionPlanner.from_options({"eta": 1}).config.eta == 1


def test_a_prior_for_other_joint_limits_is_refused(problem: Problem) -> None:
    narrow = replace(problem.robot, lower=problem.robot.lower + 0.1)
    with pytest.raises(dp.InputError, match="other joint limits"):
        DiffusionPlanner().prepare(Task.of(replace(problem, robot=narrow)))


def test_the_learned_value_puts_a_path_first_that_it_takes_for_faster(problem: Problem) -> None:
    value = load_value(value_file(problem.robot.name))
    first = {}
    for on in (False, True):
        found = _planner(problem, value=on, batch=16).candidates(Task.of(problem))
        first[on] = next(iter(found)).control[None]
    assert value.duration(first[True]) < value.duration(first[False])


def test_the_learned_value_enters_the_reverse_process_when_asked(problem: Problem, refiner: Refiner) -> None:
    # Which way it leads is tested at the wrapper. Whether motions become shorter is a question for a benchmark: of 160
    # raw samples here half do (0.2 % in the mean); after refinement it is 1 to 2 % (docs/design.md).
    samples = []
    for scale in (0.0, 0.0, 0.1):
        planner = _planner(problem, value_guidance=scale)
        goals = problem.goals[planner.share_out(problem, 16)]
        control = planner.sample(problem, refiner, goals, torch.Generator().manual_seed(0))
        assert np.array_equal(control[:, -1], goals)
        samples.append(control)
    assert np.array_equal(samples[0], samples[1])
    assert (np.abs(samples[2] - samples[0]).max(axis=(1, 2)) > 1e-3).all()
