"""From a question to a certified answer: the same road for every planner.

arguments -> problem -> preflight -> a planner's candidates -> timing -> PyBullet's certificate -> plan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from time import perf_counter
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from diffplan import arguments
from diffplan.certificate.certifier import Certifier
from diffplan.constraints.kinds import Constraint, read_constraints
from diffplan.ends import GoalLike, configuration, numbered_goals, unreached
from diffplan.formats.fingerprint import fingerprint
from diffplan.geometry.pose import Float
from diffplan.planners import DEFAULT, make_planner
from diffplan.planners.base import Options, Planner
from diffplan.planners.task import Task
from diffplan.preflight import Hopeless, preflight
from diffplan.problem import Plan, Problem, Status, robot_in
from diffplan.request import EarlierPlan, Request, held_in, read_costs, read_robot, read_scene
from diffplan.robot.model import Robot
from diffplan.scene import Scene
from diffplan.search import Retime, Search
from diffplan.system.exclusive import exclusive
from diffplan.system.progress import working
from diffplan.way_in import WayIn, into_limits, out_of_contact

_HELPER_SHARE = 0.5  # of the time limit is left to the helper
_REACH_SHARE = 0.5  # of the time limit may go into inverse kinematics

if TYPE_CHECKING:
    from diffplan.request import Wish


@exclusive
def plan(
    robot: Robot | str | Path,
    scene: Scene | str | Path,
    start: str | Sequence[float] | Float,
    goal: GoalLike,
    *,
    planner: str | Planner = DEFAULT,
    helper: str | Planner | None = None,
    seed: int = 0,
    timeout: float = 10.0,
    fallback: bool = True,
    options: Options | None = None,
    costs: Sequence[Wish] | Wish = (),
    constraints: Sequence[Constraint] | Constraint = (),
    warm_start: EarlierPlan | None = None,
    alternatives: int = 0,
    start_tolerance: float = 0.0,
    start_contact_m: float = 0.0,
    speed: float = 1.0,
    jerk: str | None = None,
    hold: Mapping[str, float] | None = None,
) -> Plan:
    """Plan a motion and certify it.

    Args:
        robot: a robot, the name of a shipped one, or the path of a robot file.
        scene: the obstacles, or the name of a shipped scene or the path of a scene file; where it says how the robot's
            fingers stand (`scene.hold`), the plan's robot has them so.
        start: joint positions [dof] (rad or m) or the name of a configuration.
        goal: the same, or a `PoseGoal`, or a `Pose` for the robot's tool; or a list of such goals, of which any
            will do, as any row of joint positions [k, dof]. Inverse kinematics may take half of the time limit.
        planner: a name in `PLANNERS`, or a planner.
        helper: the same: who joins for the rest of the time when the planner has not solved within half of it. None
            stands for the planner's own (`diffusion` has RRT-Connect, the others none).
        seed: one seed, one answer (while the time limit is not reached).
        timeout: limit on planning [s]; certification of a last candidate may run over it. Threads of one process plan
            one after the other (see `exclusive`): waiting for the others does not count.
        fallback: whether a helper may join.
        options: options of the planner, if it is given by name.
        costs: your own differentiable wishes (see `diffplan.Cost`); `diffusion` weighs them against the path length.
        constraints: what the motion must keep at every moment (`dp.upright("tool", degrees=10)`, `dp.stay_in(box)`,
            `dp.speed("tool", 0.25)`), proven in the certificate. Goals that break one are left out.
        warm_start: an earlier plan for the same joints, or its file: where an obstacle, the start or the goal has moved
            a little, `diffusion` adapts it before it searches anew.
        alternatives: how many further ways are wanted (`diffplan.planners.ways` says when two ways are two); the plan
            is the one of shortest duration, `plan.alternatives` are the others in that order.
        start_tolerance: by how much joints may stand outside their limits at the start (rad or m, up to 0.05), for the
            noise of sensors; 0 refuses such a start. The motion first brings them back inside; message and certificate
            say so.
        start_contact_m: how deep bodies may touch at the start, within the limits (m, up to 0.005); 0 refuses such a
            start. The motion first leaves the contact, going no deeper; message and certificate say so.
        speed: share of the robot's velocity, acceleration and jerk limits that the motion may use, up to 1; the
            certificate judges by the full limits.
        jerk: `limited` keeps the robot's jerk limits too, proven by the certificate (`jerk_share`); `off` and None do
            not.
        hold: where held joints (fingers) stand, by name (rad or m), whatever robot and scene say of them.

    Returns:
        A plan, never None; `plan.status` and `plan.message` say why there is no trajectory, if there is none.

    Raises:
        InputError: for a start, goal, planner, helper, option, seed, time limit, number of alternatives, plan to start
            from, constraint, tolerance, depth, speed or kind of jerk that makes no sense.
    """
    begin = perf_counter()
    request = Request(
        planner=planner,
        helper=helper,
        seed=seed,
        timeout=timeout,
        fallback=fallback,
        options=options,
        warm_start=warm_start,
        alternatives=alternatives,
        start_tolerance=start_tolerance,
        start_contact_m=start_contact_m,
        speed=speed,
        jerk=jerk,
    )
    robot, scene = read_robot(robot), read_scene(scene)
    if hold is not None:
        scene = held_in(scene, robot_in(robot, scene), hold)
    robot = robot_in(robot, scene)
    q_start = configuration(robot, start, "start")
    reaching = perf_counter()
    latest = reaching + _REACH_SHARE * request.timeout
    goals, numbers = numbered_goals(robot, scene, goal, q_start, request.seed, latest)
    reaching = perf_counter() - reaching
    if len(goals) == 0:
        why = Hopeless(status=Status.GOAL_UNREACHABLE, cause=unreached(robot, goal))
        answer = _unsolved(why, robot, scene, q_start, goals, request.chosen(), request.seed)
        return replace(answer, timing_s={**answer.timing_s, "total": perf_counter() - begin})
    problem = Problem(
        robot=robot,
        scene=scene,
        start=q_start,
        goals=goals,
        goal_numbers=numbers,
        name=scene.name,
        costs=read_costs(costs, robot, scene),
        constraints=read_constraints(constraints),
    )
    left = max(request.timeout - reaching, (1 - _REACH_SHARE) * request.timeout)
    answer = _solve(problem, replace(request, timeout=left))
    times = {**answer.timing_s, "plan": answer.timing_s["plan"] + reaching, "total": perf_counter() - begin}
    return replace(answer, timing_s=times)


@exclusive
def solve(
    problem: Problem,
    planner: str | Planner = DEFAULT,
    *,
    helper: str | Planner | None = None,
    seed: int = 0,
    timeout: float = 10.0,
    fallback: bool = True,
    options: Options | None = None,
    warm_start: EarlierPlan | None = None,
    alternatives: int = 0,
    start_tolerance: float = 0.0,
    start_contact_m: float = 0.0,
    speed: float = 1.0,
    jerk: str | None = None,
) -> Plan:
    """Solve a problem: the planner's candidates are timed and certified, best first, until enough ways pass.

    The arguments are those of `plan`.

    Raises:
        InputError: for a planner, helper, option, seed, time limit, number of alternatives or plan to start from that
            makes no sense.
    """
    request = Request(
        planner=planner,
        helper=helper,
        seed=seed,
        timeout=timeout,
        fallback=fallback,
        options=options,
        warm_start=warm_start,
        alternatives=alternatives,
        start_tolerance=start_tolerance,
        start_contact_m=start_contact_m,
        speed=speed,
        jerk=jerk,
    )
    allowed = "a Problem; `plan` takes robot, scene, start, goal"
    return _solve(arguments.instance(problem, Problem, "problem", allowed=allowed), request)


def _solve(problem: Problem, request: Request) -> Plan:
    """Solve a problem as requested."""
    times, robot, scene = _Times(), problem.robot, problem.scene
    with ExitStack() as opened:
        with working("getting ready to plan"):
            planner = request.chosen()
            previous = request.earlier_motion(planner, robot)
            times.lap("warmup")
            task = Task.of(problem, seed=request.seed, previous=previous, alternatives=request.alternatives)
            times.lap("prepare")
            _prepare(planner, task, times)
            certifier = opened.enter_context(Certifier(robot, scene))
            sums = fingerprint(robot, scene, certifier.sums)
            way_in = _way_in(problem, request, certifier)
            begins = replace(problem, start=way_in.end) if way_in else problem
            may_touch = bool(way_in and way_in.start_contact_m)
            goals = preflight(begins, certifier, task.keeper, None if may_touch else problem.start)
            times.lap("load")
        if isinstance(goals, Hopeless):
            answer = _unsolved(
                goals, robot, scene, problem.start, problem.goals, planner, request.seed, problem.constraints
            )
        else:
            search = Search(
                asked=problem,
                planner=planner,
                task=replace(task, problem=replace(begins, goals=problem.goals[goals], goal_numbers=())),
                open_goals=goals,
                certifier=certifier,
                retime=_retimer(problem, request),
                way_in=way_in,
                speed=request.speed,
                jerk=request.jerk_limited,
            )
            enough = _run(search, request, times)
            answer = replace(search.answer(), remarks=() if enough else planner.remarks(task))
    return times.told(replace(answer, fingerprint=sums))


def _run(search: Search, request: Request, times: _Times) -> bool:
    """Search until there are enough ways or the time is up: the planner first, then its helper, if there is one.

    Returns whether the planner's first look was enough, or an earlier plan.
    """
    planner, helper = search.planner, request.help_for(search.planner)
    end = perf_counter() + request.timeout
    helped = 0.0 if helper is None else request.timeout * _HELPER_SHARE
    with working("looking for a path"):
        if request.speed == 1.0 and not request.jerk_limited:  # else it was timed under other limits
            search.reuse()
        search.run(planner, end - helped, planner.look)
        if search.complete:
            return True
        end += _ready(planner, search.task, times)[1]
        if search.run(planner, end - helped, planner.after_look) or helper is None:
            return False
        helper, spent = _ready(helper, search.task, times)
        search.run(helper, end + spent)
        return False


def _ready(planner: str | Planner, task: Task, times: _Times) -> tuple[Planner, float]:
    """Prepare a planner during the search; return it, and how long it took [s], which is no planning time."""
    begin = perf_counter()
    times.skip()
    with working("getting ready to plan"):
        planner = planner if isinstance(planner, Planner) else make_planner(planner)
        planner.prepare(task)
    times.lap("warmup")
    return planner, perf_counter() - begin


def _way_in(problem: Problem, request: Request, certifier: Certifier) -> WayIn | None:
    """Return the short motion that comes first where the start is outside of limits or in contact, as allowed."""
    retime = _retimer(problem, request)
    if request.start_contact_m and not problem.robot.joints_outside(problem.start):
        return out_of_contact(certifier, problem.start, request.start_contact_m, retime)
    return into_limits(problem.robot, problem.start, request.start_tolerance, retime)


def _prepare(planner: Planner, task: Task, times: _Times) -> None:
    """Do what is slow and no search, for the first look: compile, load; it is no planning time."""
    planner.prepare_look(task)
    problem = task.problem
    if problem.costs:
        from diffplan.costs.cost import compile_costs

        compile_costs(problem.costs, np.stack([problem.start, problem.goals[0]]))
    if task.keeper:
        task.keeper.look(problem.start[None])
    _timing()
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


def _retimer(problem: Problem, request: Request) -> Retime:
    """Return what times paths within the share of the limits, with or without those of jerk, and the constraints."""
    return partial(_timing().paced, constraints=problem.constraints, speed=request.speed, jerk=request.jerk_limited)


@cache
def _timing() -> ModuleType:
    """Return the module that times, with its compiled code loaded."""
    import_module("diffplan.timing").load_compiled()
    return import_module("diffplan.pace")


def _unsolved(
    why: Hopeless,
    robot: Robot,
    scene: Scene,
    start: Float,
    goals: Float,
    planner: Planner,
    seed: int,
    constraints: tuple[Constraint, ...] = (),
) -> Plan:
    """Return the plan of a problem that was not searched."""
    return Plan(
        status=why.status,
        message=f"{why.cause}; {why.status.advice}",
        planner=planner.name,
        solved_by="",
        robot=robot,
        scene=scene,
        seed=seed,
        start=start,
        goals=goals,
        contact=why.contact,
        constraints=constraints,
        timing_s=dict.fromkeys(("prepare", "warmup", "load", "plan", "certify", "total"), 0.0),
    )
