"""From a question to a certified answer: the same road for every planner.

scene + robot -> problem -> a planner's candidates -> timing -> PyBullet's certificate -> plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from diffplan.errors import InputError
from diffplan.formats.fingerprint import fingerprint
from diffplan.geometry import Float
from diffplan.kernels.obstacles import Obstacles
from diffplan.planners import make_planner
from diffplan.planners.base import Options, Planner
from diffplan.problem import Contact, Plan, Problem, Status, Trajectory, robot_in
from diffplan.progress import working
from diffplan.robot import Robot
from diffplan.scene import PoseGoal, Scene
from diffplan.search import Retime, Search
from diffplan.simulation.certificate import Certifier
from diffplan.simulation.failure import contact_of

FALLBACK = "rrtconnect"
_FALLBACK_SHARE = 0.5  # of the time limit is left to the fallback
_IK_SEEDS = 96
_MOST_GOALS = 16  # of the free goals, nearest first, that a planner is given
_LIMIT_TOLERANCE = 1e-9  # [rad or m], that of retiming: more would let a start pass that no trajectory may have

if TYPE_CHECKING:
    from diffplan.costs import Cost
    from diffplan.formats.plan_file import PlanFile

EarlierPlan: TypeAlias = "Plan | PlanFile | str | Path"
GoalLike: TypeAlias = "str | PoseGoal | Sequence[float] | Sequence[Sequence[float]] | Float"


def plan(
    robot: Robot | str,
    scene: Scene,
    start: str | Sequence[float] | Float,
    goal: GoalLike,
    *,
    planner: str = "diffusion",
    seed: int = 0,
    timeout: float = 10.0,
    fallback: bool = True,
    options: Options | None = None,
    costs: Sequence[Cost] = (),
    warm_start: EarlierPlan | None = None,
    alternatives: int = 0,
) -> Plan:
    """Plan a motion and certify it.

    Args:
        robot: a robot or the name of a shipped one.
        scene: the obstacles; where it says how the robot's fingers stand (`scene.hold`), the plan's robot has them so.
        start: joint positions [dof] (rad or m) or the name of a configuration.
        goal: the same, or several joint positions [k, dof] of which any will do, or a `PoseGoal`.
        planner: a name in `PLANNERS`.
        seed: one seed, one answer (while the time limit is not reached).
        timeout: limit on planning [s]; certification of a last candidate may run over it.
        fallback: whether RRT-Connect may help when `diffusion` finds nothing.
        options: options of the planner.
        costs: your own differentiable wishes (see `diffplan.Cost`); `diffusion` weighs them against the path length.
        warm_start: an earlier plan for the same joints, or its file: where an obstacle, the start or the goal has moved
            a little, `diffusion` adapts it before it searches anew.
        alternatives: how many further ways are wanted (`diffplan.planners.ways` says when two ways are two); the plan
            is the one of shortest duration, `plan.alternatives` are the others in that order.

    Returns:
        A plan, never None; `plan.status` and `plan.message` say why there is no trajectory, if there is none.

    Raises:
        InputError: for a start, goal, planner, option, seed, time limit, number of alternatives or plan to start from
            that makes no sense.
    """
    begin = perf_counter()
    _check_numbers(seed, timeout)
    robot = robot_in(Robot.load(robot) if isinstance(robot, str) else robot, scene)
    q_start = configuration(robot, start, "start")
    reaching = perf_counter()
    goals = goal_configurations(robot, scene, goal, q_start, seed)
    reaching = perf_counter() - reaching
    if len(goals) == 0:
        make_planner(planner, options)  # a misspelt one is refused whatever the goal
        return _unsolved(robot, scene, q_start, goals, Status.GOAL_UNREACHABLE, planner, seed, begin, _unreached(goal))
    problem = Problem(robot=robot, scene=scene, start=q_start, goals=goals, name=scene.name, costs=tuple(costs))
    answer = solve(
        problem,
        planner=planner,
        seed=seed,
        timeout=timeout,
        fallback=fallback,
        options=options,
        warm_start=warm_start,
        alternatives=alternatives,
    )
    times = {**answer.timing_s, "plan": answer.timing_s["plan"] + reaching, "total": perf_counter() - begin}
    return replace(answer, timing_s=times)


def solve(
    problem: Problem,
    *,
    planner: str = "diffusion",
    seed: int = 0,
    timeout: float = 10.0,
    fallback: bool = True,
    options: Options | None = None,
    warm_start: EarlierPlan | None = None,
    alternatives: int = 0,
) -> Plan:
    """Solve a problem: the planner's candidates are timed and certified, best first, until enough ways pass.

    The arguments are those of `plan`.

    Raises:
        InputError: for a planner, option, seed, time limit, number of alternatives or plan to start from that makes no
            sense.
    """
    times = _Times()
    _check_numbers(seed, timeout, alternatives)
    previous = _previous(warm_start, problem.robot, planner)
    with ExitStack() as opened:
        with working("getting ready to plan"):
            chosen = make_planner(planner, options)
            times.lap("warmup")
            _prepare(chosen, problem, times)
            certifier = opened.enter_context(Certifier(problem.robot, problem.scene))
            sums = fingerprint(problem.robot, problem.scene)
            status, where, open_goals, contact = _preflight(problem, certifier)
            times.lap("load")
        if status is not None:
            answer = _unsolved(
                problem.robot, problem.scene, problem.start, problem.goals, status, planner, seed, times.begin, where
            )
            return times.told(replace(answer, fingerprint=sums, contact=contact))
        reachable = replace(problem, goals=problem.goals[open_goals], previous=previous, alternatives=alternatives)
        search = Search(problem=reachable, certifier=certifier, retime=_retimer(), seed=seed)
        begin = perf_counter()
        search.reuse()
        help_planned = fallback and planner == "diffusion"
        first = timeout * (1 - _FALLBACK_SHARE) if help_planned else timeout
        if not search.run(chosen, begin + first) and help_planned:
            left = begin + timeout - perf_counter()
            times.skip()
            helper = make_planner(FALLBACK)
            with working("getting ready to plan"):
                _prepare(helper, reachable, times)
            search.run(helper, perf_counter() + left, prefix="fallback:")
    return times.told(replace(search.answer(problem, planner, {}), fingerprint=sums))


def _prepare(planner: Planner, problem: Problem, times: _Times) -> None:
    """Do all that is slow and no search: sample the scene's meshes, load weights, compile; it is no planning time."""
    Obstacles.around(problem.robot, problem.scene)
    times.lap("prepare")
    planner.prepare(problem)
    if problem.costs:
        from diffplan.costs import compile_costs

        compile_costs(problem.costs, np.stack([problem.start, problem.goals[0]]))
    _retimer()
    times.lap("warmup")


class _Times:
    """Where the time goes before the search [s]: `prepare` the scene, `warmup` the code, `load` the judge."""

    def __init__(self) -> None:
        self.begin = self._last = perf_counter()
        self.spent = {"prepare": 0.0, "warmup": 0.0, "load": 0.0}

    def lap(self, name: str) -> None:
        """Count the time since the last call under a name."""
        now = perf_counter()
        self.spent[name] += now - self._last
        self._last = now

    def skip(self) -> None:
        """Leave out the time since the last call."""
        self._last = perf_counter()

    def told(self, plan: Plan) -> Plan:
        """Return a plan with these times, and nothing else changed: a cold cache gives the same plan as a warm one."""
        return replace(plan, timing_s={**plan.timing_s, **self.spent, "total": perf_counter() - self.begin})


@cache
def _retimer() -> Retime:
    """Return the retimer with toppra loaded, which takes half a second."""
    import_module("toppra")
    return import_module("diffplan.retime").retime


def _unsolved(
    robot: Robot,
    scene: Scene,
    start: Float,
    goals: Float,
    status: Status,
    planner: str,
    seed: int,
    begin: float,
    detail: str,
) -> Plan:
    return Plan(
        status=status,
        message=f"{detail}; {status.advice}" if detail else status.advice,
        planner=planner,
        solved_by="",
        robot=robot,
        scene=scene,
        seed=seed,
        start=start,
        goals=goals,
        timing_s={
            "prepare": 0.0,
            "warmup": 0.0,
            "load": 0.0,
            "plan": 0.0,
            "certify": 0.0,
            "total": perf_counter() - begin,
        },
    )


def _previous(warm_start: EarlierPlan | None, robot: Robot, planner: str) -> Trajectory | None:
    """Return the motion of an earlier plan, if one is given."""
    if warm_start is None:
        return None
    if planner != "diffusion":
        raise InputError("this planner cannot start from a plan", key="warm_start", value=planner, allowed="diffusion")
    if isinstance(warm_start, (str, Path)):
        from diffplan.formats.plan_file import load_plan

        warm_start = load_plan(warm_start)
    names = warm_start.robot.joint_names if isinstance(warm_start, Plan) else warm_start.joint_names
    if names != robot.joint_names:
        allowed = f"plans for {', '.join(robot.joint_names)}"
        raise InputError("a plan for other joints", key="warm_start", value=", ".join(names), allowed=allowed)
    if warm_start.trajectory is None:
        status = warm_start.status.value
        raise InputError("this plan has no trajectory", key="warm_start", value=status, allowed="plans with one")
    return warm_start.trajectory


def _check_numbers(seed: int, timeout: float, alternatives: int = 0) -> None:
    if not 0 <= seed < 2**63:
        raise InputError("not a seed", key="seed", value=seed, allowed="whole numbers from 0 to 2^63 - 1")
    if not timeout > 0:
        raise InputError("not a time limit", key="timeout", value=timeout, allowed="> 0 [s]")
    if alternatives < 0:
        raise InputError("not a number of ways", key="alternatives", value=alternatives, allowed=">= 0")


def configuration(robot: Robot, value: str | Sequence[float] | Float, key: str) -> Float:
    """Return joint positions [dof] given as such or as the name of a configuration.

    Raises:
        InputError: naming `key`, if it is neither.
    """
    if isinstance(value, str):
        return robot.configuration(value)
    try:
        q = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        q = np.zeros(0)
    if q.shape != (robot.dof,) or not np.isfinite(q).all():
        allowed = f"{robot.dof} finite numbers, or one of {', '.join(robot.configurations)}"
        raise InputError("not a configuration", key=key, value=_shown(value), allowed=allowed)
    return q


def _shown(value: object) -> object:
    return value.tolist() if isinstance(value, np.ndarray) else value


def goal_configurations(robot: Robot, scene: Scene, goal: GoalLike, start: Float, seed: int) -> Float:
    """Return the joint positions [k, dof] that a goal stands for; none if a pose is out of reach.

    Raises:
        InputError: if the goal makes no sense.
    """
    if isinstance(goal, PoseGoal):
        from diffplan.ik import inverse_kinematics

        rng = np.random.default_rng(seed)
        return inverse_kinematics(robot, goal, scene.robot_base, seeds=_IK_SEEDS, rng=rng, near=start)
    try:
        shape = np.shape(goal)
    except ValueError:  # rows of different lengths
        shape = ()
    rows = goal if len(shape) == 2 and shape[0] > 0 else [goal]
    return np.array([configuration(robot, row, "goal") for row in rows])  # pyright: ignore[reportArgumentType]


def _unreached(goal: GoalLike) -> str:
    """Return in words what could not be reached."""
    if not isinstance(goal, PoseGoal):
        return ""
    x, y, z = goal.pose.xyz
    return f"no joint values within the limits bring {goal.link} to ({x:.3f}, {y:.3f}, {z:.3f}) m in that orientation"


def _preflight(problem: Problem, certifier: Certifier) -> tuple[Status | None, str, np.ndarray, Contact | None]:
    """Return a status, its cause and what touches if the ends make the problem hopeless, and which goals are open."""
    robot = problem.robot
    everything = np.ones(len(problem.goals), dtype=bool)
    outside = outside_limits(robot, problem.start)
    if outside:
        return Status.START_OUTSIDE_LIMITS, outside, everything, None
    check = certifier.check(problem.start)
    if check.contact:
        contact = contact_of(check, problem.start, "start")
        return Status.START_IN_COLLISION, f"at the start, {check.contact}", everything, contact
    causes = [outside_limits(robot, goal) for goal in problem.goals]
    if all(causes):
        return Status.GOAL_OUTSIDE_LIMITS, causes[0], everything, None
    checks = [None if cause else certifier.check(goal) for cause, goal in zip(causes, problem.goals, strict=True)]
    free = np.array([check is not None and check.free for check in checks])
    near = np.argsort(np.linalg.norm(problem.goals - problem.start, axis=1), kind="stable")
    free[near[np.cumsum(free[near]) > _MOST_GOALS]] = False
    if free.any():
        return None, "", free, None
    first = next(i for i, check in enumerate(checks) if check is not None)
    touching = checks[first]
    assert touching is not None
    more = f" (and {len(checks) - 1} more goals)" if len(checks) > 1 else ""
    contact = contact_of(touching, problem.goals[first], "goal")
    return Status.GOAL_IN_COLLISION, f"at the goal, {touching.contact}{more}", free, contact


def outside_limits(robot: Robot, q: Float) -> str:
    """Return which joint of q [dof] stands outside its limits, in words; empty if none does."""
    for name, value, low, high in zip(robot.joint_names, q, robot.lower, robot.upper, strict=True):
        if not low - _LIMIT_TOLERANCE <= value <= high + _LIMIT_TOLERANCE:
            return f"{name} = {value:.10g} is outside [{low:.4f}, {high:.4f}]"
    return ""
