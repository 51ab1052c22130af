"""From candidates to a plan: only the certificate makes one solved, the first that passes wins, and time has an end."""

import time
from collections.abc import Iterator

import numpy as np
import pytest

import diffplan as dp
from diffplan.curves import spline
from diffplan.formats.plan_file import plan_document
from diffplan.planners.base import Candidate, Planner
from diffplan.planners.task import Task
from diffplan.problem import Problem, Status
from diffplan.search import Search

# Across the way from home to home turned by 1.2 rad; the hand passes there, the elbow does not.
POST = dp.Box(name="post", size=(0.04, 0.04, 0.5), pose=dp.Pose(xyz=(0.26, 0.18, 0.5)))
BARE = dp.Scene(name="bare")


@pytest.fixture(scope="module")
def robot() -> dp.Robot:
    return dp.Robot.load("panda")


@pytest.fixture(scope="module")
def home(robot: dp.Robot) -> np.ndarray:
    return robot.configuration("home")


@pytest.fixture(scope="module")
def blocked(home: np.ndarray, robot: dp.Robot) -> Problem:
    """A straight line that a post stands in."""
    goal = home + np.array([1.2, 0, 0, 0, 0, 0, 0])
    return Problem(robot=robot, scene=dp.Scene(name="post", obstacles=(POST,)), start=home, goals=goal[None])


class Scripted(Planner):
    """Yields the given candidates, and counts how many were asked for."""

    name = "scripted"

    def __init__(self, candidates: Iterator[Candidate]) -> None:
        self.script, self.asked = candidates, 0

    def candidates(self, task: Task) -> Iterator[Candidate]:
        for candidate in self.script:
            self.asked += 1
            yield candidate


def _path(problem: Problem, *, lift: float, source: str) -> Candidate:
    """The straight line, or with `lift` [rad] one that folds the elbow on the way."""
    control = spline.straight(problem.start, problem.goals[0], 10)
    control[2:-2, 1] -= lift
    return Candidate(control=control, goal_index=0, source=source)


def test_a_path_that_the_judge_rejects_is_not_solved_and_says_what_touches(blocked: Problem) -> None:
    plan = dp.solve(blocked, planner="straight")
    assert plan.status is Status.NOT_CERTIFIED
    assert not plan.solved
    assert plan.solved_by == ""
    assert "post" in plan.message
    assert plan.certificate is not None
    assert not plan.certificate.valid


def test_the_first_candidate_that_passes_is_the_plan_and_no_more_are_asked_for(blocked: Problem) -> None:
    ways = [("a", 0.0), ("b", 0.9), ("c", 0.8)]
    planner = Scripted(_path(blocked, lift=lift, source=source) for source, lift in ways)
    plan = dp.solve(blocked, planner)
    assert (plan.status, plan.solved_by, planner.asked) == (Status.SOLVED, "b", 2)


def test_a_path_without_timing_is_never_solved(blocked: Problem) -> None:
    planner, task = Scripted(iter([_path(blocked, lift=0.9, source="a")])), Task.of(blocked)
    with dp.Certifier(blocked.robot, blocked.scene) as certifier:
        search = Search(
            asked=blocked,
            planner=planner,
            task=task,
            open_goals=np.arange(1),
            certifier=certifier,
            retime=lambda control, robot: None,
        )
        assert not search.run(planner, np.inf)
        plan = search.answer()
    assert (plan.status, plan.trajectory, plan.certificate) == (Status.NO_PATH_FOUND, None, None)
    assert (plan.judged.offered, plan.judged.untimed) == (0, 1)
    assert "1 path could not be timed" in plan.message


def test_a_path_beyond_the_limits_is_counted_and_the_message_names_the_joint(blocked: Problem) -> None:
    far = [_path(blocked, lift=0.9, source="a") for _ in range(2)]
    for path in far:
        path.control[3:6, 3] = blocked.robot.upper[3] + 0.1
    plan = dp.solve(blocked, Scripted(iter(far)))
    assert (plan.status, plan.judged.untimed) == (Status.NO_PATH_FOUND, 2)
    assert "2 paths could not be timed (the last: panda_joint4 leaves its position limits by 0.1)" in plan.message


def test_a_candidate_that_ends_elsewhere_than_it_says_is_rejected(blocked: Problem) -> None:
    stray = _path(blocked, lift=0.9, source="a")
    stray.control[-1, 6] += 0.01
    plan = dp.solve(blocked, Scripted(iter([stray])))
    assert plan.status is Status.NOT_CERTIFIED
    assert "goal" in plan.message


def test_a_planner_that_never_stops_is_stopped_by_the_time_limit(blocked: Problem) -> None:
    endless = Scripted(_path(blocked, lift=0.0, source="a") for _ in iter(int, 1))
    begin = time.perf_counter()
    plan = dp.solve(blocked, endless, timeout=2.0)
    assert not plan.solved
    assert endless.asked > 1
    assert time.perf_counter() - begin < 60  # it would never end


def test_the_goal_index_counts_the_goals_as_they_were_given(robot: dp.Robot, home: np.ndarray) -> None:
    ball = dp.Sphere(name="ball", radius=0.05, pose=dp.Pose(xyz=(0.0, 0.31, 0.59)))
    turned, outside, free = home.copy(), home.copy(), home.copy()
    turned[0], outside[3], free[0] = np.pi / 2, 0.3, -0.7
    plan = dp.plan(robot, dp.Scene(obstacles=(ball,)), home, [turned, outside, free], planner="straight")
    assert plan.solved
    assert plan.certificate is not None
    assert plan.certificate.goal_index == 2
    assert plan.trajectory is not None
    assert np.array_equal(plan.trajectory.position[-1], free)


def test_of_many_goals_the_nearest_ones_are_kept(robot: dp.Robot, home: np.ndarray) -> None:
    goals = np.repeat(home[None], 20, axis=0)
    goals[:, 0] += np.linspace(1.5, 0.1, 20)
    plan = dp.plan(robot, BARE, home, goals, planner="straight")
    assert plan.certificate is not None
    assert plan.certificate.goal_index == 19


def test_a_start_that_is_the_goal_is_solved_at_once(robot: dp.Robot) -> None:
    plan = dp.plan(robot, BARE, "home", "home", planner="straight")
    assert plan.solved
    assert plan.metrics is not None
    assert plan.metrics.path_length_rad == 0.0


@pytest.mark.parametrize("beyond", [1e-7, 1e-3])
def test_an_end_a_hair_beyond_a_limit_is_named_not_tried_in_vain(
    robot: dp.Robot, home: np.ndarray, beyond: float
) -> None:
    outside = home.copy()
    outside[5] = robot.upper[5] + beyond
    for start, goal, status in (
        (outside, home, Status.START_OUTSIDE_LIMITS),
        (home, outside, Status.GOAL_OUTSIDE_LIMITS),
    ):
        plan = dp.plan(robot, BARE, start, goal, planner="straight")
        assert plan.status is status
        assert "panda_joint6" in plan.message
    outside[5] = robot.upper[5]
    assert dp.plan(robot, BARE, outside, home, planner="straight").solved


def test_held_joints_count_in_the_verdict(robot: dp.Robot, home: np.ndarray) -> None:
    """A small ball where the open finger is, and the closed one is not."""
    opened = robot.with_held(dict.fromkeys(robot.held_joints, 0.065))
    closed = robot.with_held(dict.fromkeys(robot.held_joints, 0.0))
    tip = opened.link_pose(home, "panda_leftfinger")[0] @ np.array([0.0, 0.01, 0.045, 1.0])
    x, y, z = tip[:3].tolist()
    scene = dp.Scene(obstacles=(dp.Sphere(name="ball", radius=0.008, pose=dp.Pose(xyz=(x, y, z))),))
    goal = home + np.array([0.4, 0, 0, 0, 0, 0, 0])
    assert dp.plan(opened, scene, goal, home, planner="straight").status is Status.GOAL_IN_COLLISION
    assert dp.plan(closed, scene, home, home, planner="straight").solved


@pytest.mark.parametrize(
    "goal",
    [
        "hom",
        None,
        [],
        [0.0] * 6,
        [0.0] * 6 + [float("nan")],
        [[0.0] * 7, [0.0] * 6],
        np.zeros((0, 7)),
        np.zeros((1, 2, 7)),
        ["home", "nowhere"],
        ["home", 1.0],
        [True, "x"],
    ],
)
def test_a_goal_that_makes_no_sense_is_refused(robot: dp.Robot, goal: object) -> None:
    with pytest.raises(dp.InputError):
        dp.plan(robot, BARE, "home", goal, planner="straight")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("start", ["hom", None, [0.0] * 6, [[0.0] * 7], [0.0] * 6 + [float("inf")]])
def test_a_start_that_makes_no_sense_is_refused(robot: dp.Robot, start: object) -> None:
    with pytest.raises(dp.InputError):
        dp.plan(robot, BARE, start, "home", planner="straight")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"seed": 2**64}, {"timeout": 0.0}, {"timeout": float("nan")}])
def test_seeds_and_time_limits_that_make_no_sense_are_refused(
    robot: dp.Robot, blocked: Problem, wrong: dict[str, float]
) -> None:
    with pytest.raises(dp.InputError, match=next(iter(wrong))):
        dp.plan(robot, BARE, "home", "left", planner="straight", **wrong)  # pyright: ignore[reportArgumentType]
    with pytest.raises(dp.InputError, match=next(iter(wrong))):
        dp.solve(blocked, planner="straight", **wrong)  # pyright: ignore[reportArgumentType]


def test_a_misspelt_planner_is_refused_even_where_the_goal_is_out_of_reach(robot: dp.Robot) -> None:
    far = dp.PoseGoal(link="panda_hand", pose=dp.Pose(xyz=(3.0, 0.0, 0.5)))
    with pytest.raises(dp.InputError, match="straight"):
        dp.plan(robot, BARE, "home", far, planner="strait")
    with pytest.raises(dp.InputError, match="no option"):
        dp.plan(robot, BARE, "home", far, planner="straight", options={"speed": 1})


def test_times_are_told_apart_and_add_up(robot: dp.Robot) -> None:
    plan = dp.plan(robot, BARE, "home", "left", planner="straight")
    parts = [plan.timing_s[part] for part in ("load", "warmup", "plan", "certify")]
    assert min(parts) >= 0
    assert sum(parts) <= plan.timing_s["total"]


def test_the_users_costs_are_reported_unweighted_by_name(robot: dp.Robot, home: np.ndarray) -> None:
    wish = dp.Cost(name="wish", function=lambda q: (q[:, :, 0] - 0.25).square().amax(dim=1), weight=7.0)
    goal = home + np.array([0.5, 0, 0, 0, 0, 0, 0])
    plan = dp.plan(robot, BARE, home, goal, planner="straight", costs=[wish])
    assert plan.costs == {"wish": pytest.approx(0.25**2)}
    assert plan_document(plan)["costs"] == plan.costs
