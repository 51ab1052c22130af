"""From a question to a certified answer: the same road for every planner.

scene + robot -> problem -> a planner's candidates -> timing -> PyBullet's certificate -> plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from importlib import import_module
from numbers import Real
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from diffplan import arguments
from diffplan.errors import InputError
from diffplan.exclusive import exclusive
from diffplan.formats.fingerprint import fingerprint
from diffplan.geometry import Float, Pose
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
from diffplan.way_in import into_limits, out_of_contact

FALLBACK = "rrtconnect"
_FALLBACK_SHARE = 0.5  # of the time limit is left to the fallback
_IK_SEEDS = 96
_MOST_GOALS = 16  # of the free goals, nearest first, that a planner is given

_LONGEST_TIMEOUT = 1e9  # [s]
_MOST_ALTERNATIVES = 1000

if TYPE_CHECKING:
    from diffplan.costs import Cost
    from diffplan.formats.plan_file import PlanFile

EarlierPlan: TypeAlias = "Plan | PlanFile | str | Path"
OneGoal: TypeAlias = "str | PoseGoal | Pose | Sequence[float] | Float"
GoalLike: TypeAlias = "OneGoal | Sequence[OneGoal]"


@exclusive
def plan(
    robot: Robot | str | Path,
    scene: Scene | str | Path,
    start: str | Sequence[float] | Float,
    goal: GoalLike,
    *,
    planner: str = "diffusion",
    seed: int = 0,
    timeout: float = 10.0,
    fallback: bool = True,
    options: Options | None = None,
    costs: Sequence[Cost] | Cost = (),
    warm_start: EarlierPlan | None = None,
    alternatives: int = 0,
    start_tolerance: float = 0.0,
    start_contact_m: float = 0.0,
) -> Plan:
    """Plan a motion and certify it.

    Args:
        robot: a robot, the name of a shipped one, or the path of a robot file.
        scene: the obstacles, or the name of a shipped scene or the path of a scene file; where it says how the robot's
            fingers stand (`scene.hold`), the plan's robot has them so.
        start: joint positions [dof] (rad or m) or the name of a configuration.
        goal: the same, or a `PoseGoal`, or a `Pose` for the robot's end link; or a list of such goals, of which any
            will do, as any row of joint positions [k, dof].
        planner: a name in `PLANNERS`.
        seed: one seed, one answer (while the time limit is not reached).
        timeout: limit on planning [s]; certification of a last candidate may run over it. Threads of one process plan
            one after the other (see `exclusive`): waiting for the others does not count.
        fallback: whether RRT-Connect may help when `diffusion` finds nothing.
        options: options of the planner.
        costs: your own differentiable wishes (see `diffplan.Cost`); `diffusion` weighs them against the path length.
        warm_start: an earlier plan for the same joints, or its file: where an obstacle, the start or the goal has moved
            a little, `diffusion` adapts it before it searches anew.
        alternatives: how many further ways are wanted (`diffplan.planners.ways` says when two ways are two); the plan
            is the one of shortest duration, `plan.alternatives` are the others in that order.
        start_tolerance: by how much joints may stand outside their limits at the start (rad or m, up to 0.05), for the
            noise of sensors; 0 refuses such a start. The motion first brings them back inside; message and certificate
            say so.
        start_contact_m: how deep bodies may touch at the start, within the limits (m, up to 0.005); 0 refuses such a
            start. The motion first leaves the contact, going no deeper; message and certificate say so.

    Returns:
        A plan, never None; `plan.status` and `plan.message` say why there is no trajectory, if there is none.

    Raises:
        InputError: for a start, goal, planner, option, seed, time limit, number of alternatives, plan to start from,
            tolerance or depth that makes no sense.
    """
    begin = perf_counter()
    seed, timeout, alternatives = _numbers(seed, timeout, alternatives)
    start_tolerance = arguments.start_tolerance(start_tolerance)
    start_contact_m = arguments.start_contact(start_contact_m)
    scene = _scene(scene)
    robot = robot_in(_robot(robot), scene)
    q_start = configuration(robot, start, "start")
    reaching = perf_counter()
    goals = goal_configurations(robot, scene, goal, q_start, seed)
    reaching = perf_counter() - reaching
    if len(goals) == 0:
        make_planner(planner, options)  # a misspelt one is refused whatever the goal
        return _unsolved(
            robot, scene, q_start, goals, Status.GOAL_UNREACHABLE, planner, seed, begin, _unreached(robot, goal)
        )
    wishes = _wishes(costs)
    problem = Problem(robot=robot, scene=scene, start=q_start, goals=goals, name=scene.name, costs=wishes)
    answer = solve(
        problem,
        planner=planner,
        seed=seed,
        timeout=timeout,
        fallback=fallback,
        options=options,
        warm_start=warm_start,
        alternatives=alternatives,
        start_tolerance=start_tolerance,
        start_contact_m=start_contact_m,
    )
    times = {**answer.timing_s, "plan": answer.timing_s["plan"] + reaching, "total": perf_counter() - begin}
    return replace(answer, timing_s=times)


@exclusive
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
    start_tolerance: float = 0.0,
    start_contact_m: float = 0.0,
) -> Plan:
    """Solve a problem: the planner's candidates are timed and certified, best first, until enough ways pass.

    The arguments are those of `plan`.

    Raises:
        InputError: for a planner, option, seed, time limit, number of alternatives or plan to start from that makes no
            sense.
    """
    times = _Times()
    seed, timeout, alternatives = _numbers(seed, timeout, alternatives)
    start_tolerance = arguments.start_tolerance(start_tolerance)
    start_contact_m = arguments.start_contact(start_contact_m)
    fallback = arguments.flag(fallback, "fallback")
    allowed = "a Problem; `plan` takes robot, scene, start, goal"
    problem = arguments.instance(problem, Problem, "problem", allowed=allowed)
    previous = _previous(warm_start, problem.robot, planner)
    with ExitStack() as opened:
        with working("getting ready to plan"):
            chosen = make_planner(planner, options)
            times.lap("warmup")
            problem = replace(problem, world=Obstacles.around(problem.robot, problem.scene))
            times.lap("prepare")
            _prepare(chosen, problem, times)
            certifier = opened.enter_context(Certifier(problem.robot, problem.scene))
            sums = fingerprint(problem.robot, problem.scene)
            asked = problem
            way_in = into_limits(problem.robot, problem.start, start_tolerance, _retimer())
            if start_contact_m and not problem.robot.joints_outside(problem.start):
                way_in = out_of_contact(certifier, problem.start, start_contact_m, _retimer())
            if way_in:
                problem = replace(problem, start=way_in.end)
            in_contact = bool(way_in and way_in.start_contact_m)
            status, where, open_goals, contact = _preflight(problem, certifier, None if in_contact else asked.start)
            times.lap("load")
        if status is not None:
            answer = _unsolved(
                problem.robot, problem.scene, asked.start, problem.goals, status, planner, seed, times.begin, where
            )
            return times.told(replace(answer, fingerprint=sums, contact=contact))
        reachable = replace(problem, goals=problem.goals[open_goals], previous=previous, alternatives=alternatives)
        search = Search(problem=reachable, certifier=certifier, retime=_retimer(), seed=seed, way_in=way_in)
        begin = perf_counter()
        with working("looking for a path"):
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
    return times.told(replace(search.answer(asked, planner, {}), fingerprint=sums))


def _prepare(planner: Planner, problem: Problem, times: _Times) -> None:
    """Do what is slow and no search: load weights, compile; it is no planning time."""
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
    from diffplan.formats.plan_file import PlanFile, load_plan

    if isinstance(warm_start, str | Path):
        warm_start = load_plan(arguments.path(warm_start, "warm_start"))
    if not isinstance(warm_start, Plan | PlanFile):
        raise InputError("not a plan", key="warm_start", value=warm_start, allowed="a Plan, or the path of a plan file")
    names = warm_start.robot.joint_names if isinstance(warm_start, Plan) else warm_start.joint_names
    if names != robot.joint_names:
        allowed = f"plans for {', '.join(robot.joint_names)}"
        raise InputError("a plan for other joints", key="warm_start", value=", ".join(names), allowed=allowed)
    if warm_start.trajectory is None:
        status = warm_start.status.value
        raise InputError("this plan has no trajectory", key="warm_start", value=status, allowed="plans with one")
    return warm_start.trajectory


def _robot(value: object) -> Robot:
    if isinstance(value, Robot):
        return value
    return Robot.load(str(arguments.path(value, "robot", allowed="a Robot, or the name or path of one")))


def _scene(value: object) -> Scene:
    if isinstance(value, Scene):
        return value
    return Scene.load(arguments.path(value, "scene", allowed="a Scene, or the name or path of one"))


def _wishes(value: object) -> tuple[Cost, ...]:
    """Return the user's costs as a tuple; one alone may come without a list."""
    from diffplan.costs import Cost

    allowed = "a list of diffplan.Cost (avoid, prefer and upright make some)"
    found = (
        [value]
        if isinstance(value, Cost)
        else arguments.items(() if value is None else value, "costs", allowed=allowed)
    )
    return tuple(arguments.instance(cost, Cost, f"costs[{i}]", allowed=allowed) for i, cost in enumerate(found))


def _numbers(seed: object, timeout: object, alternatives: object) -> tuple[int, float, int]:
    return (
        arguments.whole(seed, "seed", 0, 2**63 - 1, what="seed", allowed="whole numbers from 0 to 2^63 - 1"),
        arguments.positive(
            timeout, "timeout", what="time limit", highest=_LONGEST_TIMEOUT, allowed=f"0 < s <= {_LONGEST_TIMEOUT:g}"
        ),
        arguments.whole(alternatives, "alternatives", 0, _MOST_ALTERNATIVES),
    )


def configuration(robot: Robot, value: object, key: str) -> Float:
    """Return joint positions [dof] given as such or as the name of a configuration.

    Raises:
        InputError: naming `key`, if it is neither.
    """
    if isinstance(value, str):
        return robot.configuration(value)
    allowed = f"{robot.dof} finite numbers, or one of {', '.join(robot.configurations)}"
    try:
        q = arguments.array(value, key, robot.dof)
    except InputError as error:
        raise InputError("not a configuration", key=key, value=error.value, allowed=allowed) from None
    if q.ndim != 1:
        raise InputError("not a configuration", key=key, value=q.tolist(), allowed=allowed)
    return q.copy()


def goal_configurations(robot: Robot, scene: Scene, goal: object, start: Float, seed: int) -> Float:
    """Return the joint positions [k, dof] that a goal stands for; none if a pose is out of reach.

    Raises:
        InputError: if the goal makes no sense.
    """
    goals = _goals(robot, goal)
    found: list[Float] = []
    for i, one in enumerate(goals):
        if isinstance(one, PoseGoal):
            from diffplan.ik import inverse_kinematics

            rng = np.random.default_rng(seed)
            found.append(inverse_kinematics(robot, one, scene.robot_base, seeds=_IK_SEEDS, rng=rng, near=start))
        else:
            found.append(configuration(robot, one, "goal" if len(goals) == 1 else f"goal[{i}]")[None])
    return np.concatenate(found)


def _goals(robot: Robot, goal: object) -> list[object]:
    """Return the single goals, any of which will do; a pose is that of the robot's end link."""
    allowed = f"{robot.dof} joint values, {', '.join(robot.configurations)}, a PoseGoal, a Pose, or a list of these"
    if isinstance(goal, str | PoseGoal | Pose):
        found: list[object] = [goal]
    else:
        items = arguments.items(goal, "goal", allowed=allowed)
        several = bool(items) and not any(isinstance(arguments.plain(item), Real) for item in items)
        found = items if several else [items]
    return [PoseGoal(pose=one) if isinstance(one, Pose) else one for one in found]


def _unreached(robot: Robot, goal: object) -> str:
    """Return in words what could not be reached."""
    poses = [one for one in _goals(robot, goal) if isinstance(one, PoseGoal)]
    if len(poses) > 1:
        return f"no joint values within the limits bring the robot to any of the {len(poses)} poses"
    link, (x, y, z) = poses[0].link or robot.end_link, poses[0].pose.xyz
    return f"no joint values within the limits bring {link} to ({x:.3f}, {y:.3f}, {z:.3f}) m in that orientation"


def _preflight(
    problem: Problem, certifier: Certifier, start: Float | None
) -> tuple[Status | None, str, np.ndarray, Contact | None]:
    """Return a status, its cause and what touches if the ends make the problem hopeless, and which goals are open.

    The arm stands at `start` [dof]: where the problem starts, or a short way in before; None if it may touch there.
    """
    robot = problem.robot
    everything = np.ones(len(problem.goals), dtype=bool)
    outside = outside_limits(robot, problem.start)
    if outside:
        if robot.outside_within(problem.start, arguments.MOST_START_TOLERANCE):
            by = np.maximum(robot.lower - problem.start, problem.start - robot.upper).max()
            enough = min(np.ceil(1e4 * by) / 1e4, arguments.MOST_START_TOLERANCE)
            outside += f": start_tolerance={enough:.4f} (--start-tolerance) would take it"
        return Status.START_OUTSIDE_LIMITS, outside, everything, None
    for q in [problem.start] if start is None or start is problem.start else [start, problem.start]:
        check = certifier.check(q)
        if check.contact:
            contact = contact_of(check, q, "start")
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
    for name in robot.joints_outside(q)[:1]:
        i = robot.joint_names.index(name)
        return f"{name} = {q[i]:.10g} is outside [{robot.lower[i]:.4f}, {robot.upper[i]:.4f}]"
    return ""
