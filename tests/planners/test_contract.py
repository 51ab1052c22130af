"""What every planner promises on every robot: a certified plan or a reason, one seed one answer, strict options."""

import ast
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import diffplan as dp
from diffplan.collision.obstacles import Obstacles
from diffplan.planners import PLANNERS, make_planner, planner_class
from diffplan.planners.base import Candidate, Planner
from diffplan.planners.diffusion import DiffusionPlanner
from diffplan.planners.straight import StraightPlanner
from diffplan.planners.task import Task
from diffplan.problem import Status

TIMEOUT = 20.0
STOPPED_BY_THE_WALL = ("chomp", "chomp-multi")  # descents with MoveIt's parameters; chomp-tuned runs the same code
BASE = dp.Pose.from_rpy((0.4, -0.2, 0.3), (0.2, -0.1, 2.0))
PACKAGE = Path(dp.__file__).parent


def _obstacle_at(pose: dp.Pose) -> dp.Scene:
    return dp.Scene(obstacles=(dp.Sphere(name="ball", radius=0.05, pose=dp.Pose(xyz=pose.xyz)),))


class Mute(DiffusionPlanner):
    """Finds nothing, as `diffusion` may, and loads nothing."""

    def prepare(self, task: Task) -> None:
        return

    def look(self, task: Task) -> Iterator[Candidate]:
        return iter(())

    def after_look(self, task: Task) -> Iterator[Candidate]:
        return iter(())

    def remarks(self, task: Task) -> tuple[str, ...]:
        return ()


@pytest.mark.parametrize("planner", PLANNERS)
def test_an_easy_problem_is_solved_with_a_valid_certificate(planner: str, arm) -> None:
    plan = dp.solve(arm.easy, arm.planner(planner), timeout=TIMEOUT, fallback=False)
    assert plan.solved
    source = "random-seeds" if "seeds" in arm.options.get(planner, {}) else planner
    assert (plan.status, plan.planner, plan.solved_by) == (Status.SOLVED, planner, source)
    assert plan.certificate is not None
    assert plan.certificate.valid
    assert plan.trajectory is not None
    assert np.array_equal(plan.trajectory.position[0], arm.easy.start)
    assert np.array_equal(plan.trajectory.position[-1], arm.easy.goals[0])


@pytest.mark.parametrize("planner", PLANNERS)
def test_the_scene_is_packed_once_and_before_the_search(planner: str, arm, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    around, problem = Obstacles.around, arm.around_a_wall

    def counted(robot: dp.Robot, scene: dp.Scene) -> Obstacles:
        if scene is problem.scene:  # not that of a warm-up
            seen.append("pack")
        return around(robot, scene)

    class Watched(Planner):
        """Another planner; says when it begins to search."""

        name = planner

        def __init__(self, watched: Planner) -> None:
            self.watched = watched

        def prepare(self, task: Task) -> None:
            self.watched.prepare(task)

        def candidates(self, task: Task) -> Iterator[Candidate]:
            seen.append("search")
            yield from self.watched.candidates(task)

    monkeypatch.setattr(Obstacles, "around", counted)
    dp.solve(problem, Watched(arm.planner(planner)), helper="straight", timeout=1e-3, alternatives=1)
    assert seen[:2] == ["pack", "search"]
    assert seen.count("pack") == 1


@pytest.mark.parametrize("planner", [name for name in PLANNERS if name not in STOPPED_BY_THE_WALL])
def test_one_seed_gives_the_same_positions_bit_for_bit(planner: str, arm) -> None:
    """Also where the planner that is made anew for each plan is one that planned before."""
    if planner in arm.slow:
        pytest.skip(f"{planner} takes most of the time limit")
    used, seeds = arm.planner(planner), (3, 4, 3)
    plans = [dp.solve(arm.around_a_wall, used, seed=seed, timeout=TIMEOUT, fallback=False) for seed in seeds]
    plans.append(dp.solve(arm.around_a_wall, arm.planner(planner), seed=3, timeout=TIMEOUT, fallback=False))
    first, other, again, anew = (plan.trajectory for plan in plans)
    assert first is not None
    assert other is not None
    for same in (again, anew):
        assert same is not None
        assert first.position.tobytes() == same.position.tobytes()
        assert first.time.tobytes() == same.time.tobytes()
    if planner != "chomp-tuned":  # its first attempt, which may do, draws nothing at random
        assert (first.position.tobytes() != other.position.tobytes()) == (planner != "straight")
    assert [plan.solved for plan in plans] == [planner != "straight"] * 4


@pytest.mark.parametrize("planner", PLANNERS)
def test_an_unknown_option_is_refused_by_name(planner: str, arm) -> None:
    with pytest.raises(dp.InputError, match="bacth"):
        dp.solve(arm.easy, planner, options={"bacth": 3})


@pytest.mark.parametrize("planner", PLANNERS)
def test_ends_that_cannot_be_are_a_status_that_names_the_cause(planner: str, arm) -> None:
    robot, home, other = arm.robot, arm.home, arm.other
    beyond, joint = arm.beyond
    blocked, bare = _obstacle_at(arm.tool(home)), dp.Scene()
    far = dp.PoseGoal(link=robot.end_link, pose=dp.Pose(xyz=(30.0, 0.0, 0.5)))
    asked = {
        (Status.START_IN_COLLISION, "ball"): (blocked, home, other),
        (Status.GOAL_IN_COLLISION, "ball"): (blocked, other, home),
        (Status.START_OUTSIDE_LIMITS, joint): (bare, beyond, home),
        (Status.GOAL_OUTSIDE_LIMITS, joint): (bare, home, beyond),
        (Status.GOAL_UNREACHABLE, robot.end_link): (bare, home, far),
    }
    for (status, cause), (scene, start, goal) in asked.items():
        plan = dp.plan(robot, scene, start, goal, planner=arm.planner(planner), timeout=TIMEOUT)
        assert plan.status is status
        assert not plan.solved
        assert cause in plan.message
        assert plan.trajectory is None


@pytest.mark.parametrize("planner", PLANNERS)
def test_a_robot_that_stands_elsewhere_reaches_a_pose_of_the_world(planner: str, arm) -> None:
    robot, aside = arm.robot, arm.aside
    scene = dp.Scene(robot_base=BASE, obstacles=(aside,)).move(aside.name, BASE @ aside.pose)
    goal = dp.PoseGoal(link=robot.end_link, pose=BASE @ arm.tool(arm.other))
    plan = dp.plan(robot, scene, arm.home, goal, planner=arm.planner(planner), timeout=TIMEOUT, fallback=False)
    assert plan.solved
    assert plan.trajectory is not None
    reached = BASE @ arm.tool(plan.trajectory.position[-1])
    assert np.allclose(reached.matrix, goal.pose.matrix, atol=1e-3)


@pytest.mark.parametrize("planner", PLANNERS)
def test_an_obstacle_is_where_the_moved_robot_meets_it(planner: str, arm) -> None:
    scene, made = _obstacle_at(BASE @ arm.tool(arm.home)), arm.planner(planner)
    moved = dp.Scene(robot_base=BASE, obstacles=scene.obstacles)
    assert dp.plan(arm.robot, moved, arm.home, arm.other, planner=made).status is Status.START_IN_COLLISION
    assert dp.plan(arm.robot, scene, arm.home, arm.other, planner=made, timeout=TIMEOUT, fallback=False).solved


@pytest.mark.parametrize("planner", PLANNERS)
def test_candidates_run_from_the_start_to_the_goal_they_name(planner: str, arm) -> None:
    near = arm.home.copy()
    near[0] += 0.3
    problem = replace(arm.easy, goals=np.stack([arm.other, near]))
    chosen, task = arm.planner(planner), Task.of(problem)
    chosen.prepare(task)
    candidate = next(chosen.candidates(task))
    assert np.array_equal(candidate.control[0], problem.start)
    assert np.array_equal(candidate.control[-1], problem.goals[candidate.goal_index])


@pytest.mark.parametrize("planner", PLANNERS)
def test_a_planner_that_reuses_plans_gives_back_one_that_holds_and_the_others_refuse_it(planner: str, arm) -> None:
    earlier = dp.solve(arm.easy, StraightPlanner())
    if planner_class(planner).reuses_plans:
        again = dp.solve(arm.easy, arm.planner(planner), warm_start=earlier)
        assert again.trajectory is earlier.trajectory
        assert again.solved_by == "warm-start"
    else:
        told = rf"cannot start from a plan \(found '{planner}'\); allowed: diffusion$"
        with pytest.raises(dp.InputError, match=told):
            dp.solve(arm.easy, arm.planner(planner), warm_start=earlier)


@pytest.mark.parametrize("planner", PLANNERS)
def test_a_plan_tells_whether_the_costs_were_weighed(planner: str, arm) -> None:
    wish = dp.Cost(name="wish", function=lambda q: q.square().sum(dim=(1, 2)))
    problem, made = replace(arm.easy, costs=(wish,)), arm.planner(planner)
    assert dp.solve(problem, made, timeout=TIMEOUT, fallback=False).costs_weighed is made.weighs_costs
    assert dp.solve(arm.easy, made, timeout=TIMEOUT, fallback=False).costs_weighed is None


@pytest.mark.parametrize("planner", PLANNERS)
def test_a_planner_is_called_what_it_is_taken_by(planner: str) -> None:
    kind = planner_class(planner)
    assert kind.name == planner
    assert not kind.helper or kind.helper in PLANNERS


def test_the_helper_answers_where_the_planner_finds_nothing_and_says_so(arm) -> None:
    helped = dp.solve(arm.easy, Mute(), timeout=TIMEOUT)
    assert (helped.status, helped.planner, helped.solved_by) == (Status.SOLVED, "diffusion", "fallback:rrtconnect")
    for helper in ("straight", StraightPlanner()):
        helped = dp.solve(arm.easy, Mute(), helper=helper, timeout=TIMEOUT)
        assert (helped.planner, helped.solved_by) == ("diffusion", "fallback:straight")
    alone = dp.solve(arm.easy, Mute(), timeout=TIMEOUT, fallback=False)
    assert (alone.status, alone.solved_by) == (Status.NO_PATH_FOUND, "")


def test_costs_that_only_the_first_planner_knows_are_not_weighed_where_the_helper_answered(arm) -> None:
    wish = dp.Cost(name="wish", function=lambda q: q.square().sum(dim=(1, 2)))
    helped = dp.solve(replace(arm.easy, costs=(wish,)), Mute(), helper=StraightPlanner(), timeout=TIMEOUT)
    assert helped.solved
    assert helped.costs_weighed is False


def test_a_planner_without_a_helper_of_its_own_is_helped_where_one_is_given(arm) -> None:
    class Silent(Planner):
        name = "silent"

        def candidates(self, task: Task) -> Iterator[Candidate]:
            return iter(())

    assert dp.solve(arm.easy, Silent(), timeout=TIMEOUT).status is Status.NO_PATH_FOUND
    assert dp.solve(arm.easy, Silent(), helper="rrtconnect", timeout=TIMEOUT).solved_by == "fallback:rrtconnect"


def test_what_makes_no_sense_of_planners_and_helpers_is_refused(arm) -> None:
    with pytest.raises(dp.InputError, match=r"did you mean 'diffusion'\?.*rrtconnect"):
        dp.solve(arm.easy, "difusion")
    with pytest.raises(dp.InputError, match=r"helper: no planner named 'rrt'.*rrtconnect"):
        dp.solve(arm.easy, helper="rrt")
    with pytest.raises(dp.InputError, match="fallback: a helper, but no planner may help"):
        dp.solve(arm.easy, helper="rrtconnect", fallback=False)
    with pytest.raises(dp.InputError, match="options: this planner is set up already"):
        dp.solve(arm.easy, StraightPlanner(), options={})


def test_the_index_of_a_goal_is_that_among_the_goals_as_they_were_asked(arm) -> None:
    beyond, _ = arm.beyond
    plan = dp.plan(arm.robot, dp.Scene(), arm.home, [beyond, arm.other], planner=StraightPlanner())
    assert plan.certificate is not None
    assert (plan.solved, plan.certificate.goal_index) == (True, 1)


def test_robots_of_one_name_share_nothing(arm) -> None:
    """What is kept of a robot is kept by what it is: here the second one has larger spheres, which end all the room."""
    made = make_planner("rrtconnect")
    swollen = replace(arm.robot, spheres=replace(arm.robot.spheres, radius=arm.robot.spheres.radius + 0.5))
    tasks = [Task.of(replace(arm.easy, robot=robot)) for robot in (arm.robot, swollen, arm.robot)]
    found = [next(made.candidates(task), None) for task in tasks]
    assert [candidate is not None for candidate in found] == [True, False, True]


@pytest.mark.parametrize("file", ["planning.py", "request.py", "preflight.py", "ends.py", "search.py"])
def test_solving_knows_no_planner_by_its_name(file: str) -> None:
    words = _words(PACKAGE / file)
    assert not words & set(PLANNERS)
    assert {word for word in words if "fallback:" in word} == ({"fallback:"} if file == "search.py" else set())


def test_nothing_asks_a_plan_for_its_planner_by_comparing_names() -> None:
    """Outside of planners/ no value is compared with a planner's name, or with how the name of a helper begins."""
    for file in PACKAGE.rglob("*.py"):
        if file.parent.name == "planners":
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Compare):
                compared = {part.value for part in ast.walk(node) if isinstance(part, ast.Constant)}
                assert not compared & set(PLANNERS), f"{file}:{node.lineno}"
        assert file.name == "search.py" or "fallback:" not in {word[:9] for word in _words(file)}, file


def _words(file: Path) -> set[str]:
    """The texts in a program, but for its docstrings."""
    tree = ast.parse(file.read_text())
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    texts = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in said)
    return {node.value for node in texts if isinstance(node.value, str)}
