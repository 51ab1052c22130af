"""What every planner promises, whatever it is: a certified plan or a reason, one seed one answer, strict options."""

import numpy as np
import pytest

import diffplan as dp
from diffplan.kernels.obstacles import Obstacles
from diffplan.planners import PLANNERS, make_planner
from diffplan.planners.diffusion import DiffusionPlanner
from diffplan.problem import Problem, Status
from diffplan.search import Search

TIMEOUT = 20.0
STOPPED_BY_THE_WALL = ("chomp", "chomp-multi")  # descents with MoveIt's parameters; chomp-tuned runs the same code
# At home the hand is near (0.31, 0, 0.59).
HAND_AT_HOME = dp.Pose(xyz=(0.31, 0.0, 0.59))
BASE = dp.Pose.from_rpy((0.4, -0.2, 0.3), (0.2, -0.1, 2.0))


@pytest.fixture(scope="module")
def robot() -> dp.Robot:
    return dp.Robot.load("panda")


@pytest.fixture(scope="module")
def easy(robot: dp.Robot) -> Problem:
    """From home to the right, a post standing aside."""
    post = dp.Box(name="post", size=(0.05, 0.3, 0.6), pose=dp.Pose(xyz=(0.1, 0.75, 0.4)))
    home, right = robot.configuration("home"), robot.configuration("right")
    return Problem(robot=robot, scene=dp.Scene(name="easy", obstacles=(post,)), start=home, goals=right[None])


@pytest.fixture(scope="module")
def around_a_wall(robot: dp.Robot) -> Problem:
    """From one side of a wall to the other; the straight line hits it."""
    wall = dp.Box(name="wall", size=(0.6, 0.04, 0.6), pose=dp.Pose(xyz=(0.65, 0.0, 0.3)))
    start, goal = robot.configuration("home"), robot.configuration("home")
    start[:2], goal[:2] = (0.9, 0.1), (-0.9, 0.1)
    return Problem(robot=robot, scene=dp.Scene(name="wall", obstacles=(wall,)), start=start, goals=goal[None])


def _obstacle_at(pose: dp.Pose) -> dp.Scene:
    return dp.Scene(obstacles=(dp.Sphere(name="ball", radius=0.05, pose=pose),))


@pytest.mark.parametrize("planner", PLANNERS)
def test_an_easy_problem_is_solved_with_a_valid_certificate(planner: str, easy: Problem) -> None:
    plan = dp.solve(easy, planner=planner, timeout=TIMEOUT, fallback=False)
    assert plan.solved
    assert (plan.status, plan.planner, plan.solved_by) == (Status.SOLVED, planner, planner)
    assert plan.certificate is not None
    assert plan.certificate.valid
    assert plan.trajectory is not None
    assert np.array_equal(plan.trajectory.position[0], easy.start)
    assert np.array_equal(plan.trajectory.position[-1], easy.goals[0])


@pytest.mark.parametrize("planner", PLANNERS)
def test_the_scene_is_packed_once_and_before_the_search(
    planner: str, around_a_wall: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed: list[str] = []
    around, run = Obstacles.around, Search.run

    def counted(robot: dp.Robot, scene: dp.Scene) -> Obstacles:
        if scene is around_a_wall.scene:  # not that of a warm-up
            packed.append("pack")
        return around(robot, scene)

    def searched(self: Search, *args: object, **given: object) -> bool:
        packed.append("search")
        return run(self, *args, **given)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(Obstacles, "around", counted)
    monkeypatch.setattr(Search, "run", searched)
    dp.solve(around_a_wall, planner=planner, timeout=1e-3, alternatives=1)
    assert packed[:2] == ["pack", "search"]
    assert packed.count("pack") == 1


@pytest.mark.parametrize("planner", [name for name in PLANNERS if name not in STOPPED_BY_THE_WALL])
def test_one_seed_gives_the_same_positions_bit_for_bit(planner: str, around_a_wall: Problem) -> None:
    seeds = (3, 4, 3)
    plans = [dp.solve(around_a_wall, planner=planner, seed=seed, timeout=TIMEOUT, fallback=False) for seed in seeds]
    first, other, again = (plan.trajectory for plan in plans)
    assert first is not None
    assert other is not None
    assert again is not None
    assert first.position.tobytes() == again.position.tobytes()
    assert first.time.tobytes() == again.time.tobytes()
    assert (first.position.tobytes() != other.position.tobytes()) == (planner != "straight")
    assert [plan.solved for plan in plans] == [planner != "straight"] * 3


@pytest.mark.parametrize("planner", PLANNERS)
def test_an_unknown_option_is_refused_by_name(planner: str, easy: Problem) -> None:
    with pytest.raises(dp.InputError, match="bacth"):
        dp.solve(easy, planner=planner, options={"bacth": 3})


@pytest.mark.parametrize("planner", PLANNERS)
def test_ends_that_cannot_be_are_a_status_that_names_the_cause(planner: str, robot: dp.Robot) -> None:
    beyond = robot.configuration("home")
    beyond[3] = 0.2
    blocked, bare = _obstacle_at(HAND_AT_HOME), dp.Scene()
    far = dp.PoseGoal(link="panda_hand", pose=dp.Pose(xyz=(3.0, 0.0, 0.5)))
    asked = {
        (Status.START_IN_COLLISION, "ball"): (blocked, "home", "right"),
        (Status.GOAL_IN_COLLISION, "ball"): (blocked, "right", "home"),
        (Status.START_OUTSIDE_LIMITS, "panda_joint4"): (bare, beyond, "home"),
        (Status.GOAL_OUTSIDE_LIMITS, "panda_joint4"): (bare, "home", beyond),
        (Status.GOAL_UNREACHABLE, "panda_hand"): (bare, "home", far),
    }
    for (status, cause), (scene, start, goal) in asked.items():
        plan = dp.plan(robot, scene, start, goal, planner=planner, timeout=TIMEOUT)
        assert plan.status is status
        assert not plan.solved
        assert cause in plan.message
        assert plan.trajectory is None


@pytest.mark.parametrize("planner", PLANNERS)
def test_a_robot_that_stands_elsewhere_reaches_a_pose_of_the_world(planner: str, easy: Problem) -> None:
    robot, (post,) = easy.robot, easy.scene.obstacles
    scene = dp.Scene(robot_base=BASE, obstacles=(post,)).move("post", BASE @ post.pose)
    hand = robot.link_pose(easy.goals, "panda_hand")[0]
    goal = dp.PoseGoal(link="panda_hand", pose=dp.Pose.from_matrix(BASE.matrix @ hand))
    plan = dp.plan(robot, scene, easy.start, goal, planner=planner, timeout=TIMEOUT, fallback=False)
    assert plan.solved
    assert plan.trajectory is not None
    reached = BASE.matrix @ robot.link_pose(plan.trajectory.position[-1], "panda_hand")[0]
    assert np.allclose(reached, goal.pose.matrix, atol=1e-3)


@pytest.mark.parametrize("planner", PLANNERS)
def test_an_obstacle_is_where_the_moved_robot_meets_it(planner: str, robot: dp.Robot) -> None:
    scene = _obstacle_at(BASE @ HAND_AT_HOME)
    moved = dp.Scene(robot_base=BASE, obstacles=scene.obstacles)
    assert dp.plan(robot, moved, "home", "right", planner=planner).status is Status.START_IN_COLLISION
    assert dp.plan(robot, scene, "home", "right", planner=planner, timeout=TIMEOUT, fallback=False).solved


@pytest.mark.parametrize("planner", PLANNERS)
def test_candidates_run_from_the_start_to_the_goal_they_name(planner: str, easy: Problem) -> None:
    home = easy.robot.configuration("home")
    home[0] += 0.3
    problem = Problem(robot=easy.robot, scene=easy.scene, start=easy.start, goals=np.stack([easy.goals[0], home]))
    chosen = make_planner(planner)
    chosen.prepare(problem)
    candidate = next(chosen.candidates(problem, seed=0, deadline=np.inf))
    assert np.array_equal(candidate.control[0], problem.start)
    assert np.array_equal(candidate.control[-1], problem.goals[candidate.goal_index])


def test_the_helper_answers_where_diffusion_finds_nothing_and_says_so(
    easy: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DiffusionPlanner, "candidates", lambda *_args, **_named: iter(()))
    helped = dp.solve(easy, timeout=TIMEOUT)
    assert (helped.status, helped.planner, helped.solved_by) == (Status.SOLVED, "diffusion", "fallback:rrtconnect")
    alone = dp.solve(easy, timeout=TIMEOUT, fallback=False)
    assert (alone.status, alone.solved_by) == (Status.NO_PATH_FOUND, "")


def test_an_unknown_planner_is_refused_with_those_there_are(easy: Problem) -> None:
    with pytest.raises(dp.InputError, match=r"did you mean 'diffusion'\?.*rrtconnect"):
        dp.solve(easy, planner="difusion")
