"""From a straight line to a certified plan: paths on it, timed and judged like all others, and that they stay on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import numpy as np

from diffplan import arguments
from diffplan.certificate.certifier import Certifier
from diffplan.collision.obstacles import Obstacles
from diffplan.constraints.kinds import Constraint, read_constraints
from diffplan.constraints.line import Line
from diffplan.constraints.on_line import OnLine, Segment
from diffplan.ends import configuration, outside_limits
from diffplan.formats.fingerprint import fingerprint
from diffplan.geometry.pose import Float, Pose
from diffplan.ik import inverse_kinematics
from diffplan.lines import COLLISION, CONSTRAINT, LIMIT, LineFinder, LinePath, LineStop
from diffplan.pace import paced
from diffplan.planners.task import packed
from diffplan.preflight import allowing
from diffplan.problem import Certificate, Judged, Plan, Status, Trajectory, robot_in, trajectory_metrics
from diffplan.pybullet.failure import contact_of
from diffplan.request import MotionRequest, read_robot, read_scene
from diffplan.robot.model import Robot
from diffplan.scene import PoseGoal, Scene
from diffplan.system.exclusive import exclusive
from diffplan.timing import load_compiled, why_untimed

LINE = "line"
"""The planner's name in plans along a line."""
_SEEDS = 64  # of inverse kinematics, to tell whether a pose can be reached at all
_BEYOND = 0.02  # of the line, from where it ended


@exclusive
def plan_line(
    robot: Robot | str | Path,
    scene: Scene | str | Path,
    start: str | Sequence[float] | Float,
    line: Line,
    *,
    constraints: Sequence[Constraint] | Constraint = (),
    seed: int = 0,
    timeout: float = 10.0,
    speed: float = 1.0,
    jerk: str | None = None,
) -> Plan:
    """Plan a motion on which the tool goes straight, and certify it.

    The tool (`robot.tool_frame`) stays within 1 mm of the line and within 0.5 deg of the orientation that belongs to
    how far it is (slerp); `certificate.constraints` has proven bounds on both, named `line` and `line orientation`.

    Args:
        robot: a robot, the name of a shipped one, or the path of a robot file.
        scene: the obstacles, or the name of a shipped scene or the path of a scene file.
        start: joint positions [dof] (rad or m) or the name of a configuration: there the line begins.
        line: where the tool goes.
        constraints: what the motion must keep beside those of the line, as `plan` takes them.
        seed: of the inverse kinematics that tells whether the end can be reached at all, where no path is found; paths
            do not depend on it.
        timeout: limit on planning [s]; certification of a last path may run over it.
        speed: share of the robot's limits, and
        jerk: whether its jerk limits are kept, both as `plan` takes them.

    Returns:
        A plan, never None, with the planner "line". Without a motion the message says how far along the line the arm
        came (percent, mm) and why no farther: a joint at its limit, what touches, a constraint, a singular
        configuration, out of reach.

    Raises:
        InputError: for an argument that makes no sense.
    """
    begin = perf_counter()
    arguments.instance(line, Line, "line", allowed="a Line")
    request = MotionRequest(seed=seed, timeout=timeout, speed=speed, jerk=jerk)
    asked = read_constraints(constraints)
    scene = read_scene(scene)
    robot = robot_in(read_robot(robot), scene)
    q = configuration(robot, start, "start")
    robot = robot.turned(q)
    finder = LineFinder(packed(robot), Obstacles.around(robot, scene), scene.robot_base)
    prepared = perf_counter()
    finder.segment(q, line)
    finder.under(_at_start(line, asked, finder, q), q).room(q)
    load_compiled()
    warm = perf_counter()
    with Certifier(robot, scene) as certifier:
        sums = fingerprint(robot, scene, certifier.sums)
        loaded = perf_counter()
        answer = line_from(q, line, finder, certifier, request, asked)
    times = {"prepare": prepared - begin, "warmup": warm - prepared, "load": loaded - warm}
    times |= {"total": perf_counter() - begin}
    return replace(answer, fingerprint=sums, timing_s={**times, **answer.timing_s})


def line_from(
    q: Float,
    line: Line,
    finder: LineFinder,
    certifier: Certifier,
    request: MotionRequest,
    constraints: tuple[Constraint, ...] = (),
) -> Plan:
    """Return the plan of a line from q [dof], as `plan_line` does, without the fingerprint.

    Args:
        q: where the line begins.
        line: where the tool goes.
        finder: for the certifier's robot among its obstacles.
        certifier: who judges.
        request: seed, time limit, share of the robot's limits and jerk.
        constraints: what the motion must keep beside those of the line.
    """
    deadline = perf_counter() + request.timeout
    kept = _at_start(line, constraints, finder, q)
    search = _LineSearch(
        finder=finder.under(kept, q),
        certifier=certifier,
        start=q,
        segment=finder.segment(q, line),
        request=request,
        constraints=kept,
    )
    return search.plan(deadline)


def _at_start(line: Line, constraints: tuple[Constraint, ...], finder: LineFinder, q: Float) -> tuple[Constraint, ...]:
    """Return the constraints of a line and these, with what they leave to its start q [dof]."""
    on_line = OnLine(tool=finder.tool, segment=finder.segment(q, line))  # for its name, which no other may have
    asked = read_constraints([on_line, *read_constraints(line.constraints), *constraints])[1:]
    return tuple(one.at(finder.robot, finder.base, q) for one in asked)


def certified_line(path: LinePath, finder: LineFinder, certifier: Certifier, request: MotionRequest) -> Plan:
    """Return the plan of a path on a line that was found already: timed and certified.

    The arguments are those of `line_from`; the path is of this finder.
    """
    start, segment = path.control[0], path.segment
    search = _LineSearch(finder=finder, certifier=certifier, start=start, segment=segment, request=request)
    return search.judged(path)


def line_reason(stop: LineStop, finder: LineFinder, certifier: Certifier, seed: int = 0) -> str:
    """Return in words how far along its line the arm came, and why no farther."""
    segment = stop.segment
    if segment.length:
        far, all_of = 1000 * segment.length * stop.progress, 1000 * segment.length
        way = f"{np.floor(100 * stop.progress):.0f} % of the line ({far:.0f} of {all_of:.0f} mm)"
    else:
        far, all_of = np.degrees(segment.angle) * stop.progress, np.degrees(segment.angle)
        way = f"{np.floor(100 * stop.progress):.0f} % of the turn ({far:.0f} of {all_of:.0f} deg)"
    return f"the tool comes {way}: there {_why(stop, finder, certifier, seed)}"


def _why(stop: LineStop, finder: LineFinder, certifier: Certifier, seed: int) -> str:
    if stop.cause == CONSTRAINT:
        return finder.keeper.broken(stop.q, margin=finder.margin)
    if stop.cause == COLLISION:
        check = certifier.check(stop.q)
        if check.contact:
            return check.contact
        link, other, near = check.link, check.obstacle, check.clearance_m
        if check.self_clearance_m < near:
            (link, other), near = check.self_links, check.self_clearance_m
        return f"{link} comes within {1000 * near:.1f} mm of {other}, too near for the spheres of the planner"
    if stop.cause == LIMIT:
        stand = "stands at its limit" if len(stop.joints) == 1 else "stand at their limits"
        return f"{' and '.join(stop.joints)} {stand}"
    if _out_of_reach(stop.segment, min(stop.progress + _BEYOND, 1.0), finder, seed):
        return "the pose is at the end of the arm's reach"
    return "the arm is singular: it cannot go on without a leap of its joints"


def _out_of_reach(segment: Segment, progress: float, finder: LineFinder, seed: int) -> bool:
    """Whether inverse kinematics finds no configuration at a place of the line."""
    tool, pose = finder.tool, Pose.from_matrix(segment.at(np.array([progress]))[0])
    goal = PoseGoal(link=tool.link, pose=pose @ tool.pose.inverse())
    found = inverse_kinematics(finder.robot, goal, finder.base, seeds=_SEEDS, rng=np.random.default_rng(seed))
    return len(found) == 0


@dataclass(kw_only=True, eq=False)
class _LineSearch:
    """One line from one start: its paths are timed and judged until one passes."""

    finder: LineFinder
    certifier: Certifier
    start: Float
    segment: Segment
    request: MotionRequest
    constraints: tuple[Constraint, ...] = ()
    plan_time: float = 0.0
    certify_time: float = 0.0
    rejected: tuple[Trajectory, Certificate] | None = None
    untimed: str = ""
    offered: int = 0

    def plan(self, deadline: float) -> Plan:
        begin = perf_counter()
        outside = outside_limits(self.finder.robot, self.start)
        if outside:
            status = Status.START_OUTSIDE_LIMITS
            return self._answer(status, f"{outside}; {status.advice}")
        check = self.certifier.check(self.start)
        if check.contact:
            status, touching = Status.START_IN_COLLISION, contact_of(check, self.start, "start")
            answer = self._answer(status, f"at the start, {check.contact}{allowing(touching)}; {status.advice}")
            return replace(answer, contact=touching)
        broken = self.finder.keeper.broken(self.start)
        if broken:
            status = Status.START_BREAKS_CONSTRAINT
            return self._answer(status, f"at the start, {broken}; {status.advice}")
        stop: LineStop | None = None
        found: tuple[Trajectory, Certificate] | None = None
        for one in self.finder.candidates(self.start, self.segment, deadline):
            if isinstance(one, LineStop):
                stop = one
                break
            found = self._judged(one)
            if found or perf_counter() > deadline:
                break
        self.plan_time = perf_counter() - begin - self.certify_time
        if found or self.rejected:
            return self._verdict(found)
        if _out_of_reach(self.segment, 1.0, self.finder, self.request.seed):
            status, words = Status.GOAL_UNREACHABLE, "no joint values within the limits reach the end of the line; "
        else:
            status, words = Status.NO_PATH_FOUND, ""
        if stop:
            words += line_reason(stop, self.finder, self.certifier, self.request.seed)
        elif self.untimed:
            words += self._not_timed
        else:
            words += "the time is up" if perf_counter() > deadline else "no path along the line is smooth enough"
        self.plan_time = perf_counter() - begin - self.certify_time
        return self._answer(status, f"{words}; {_ADVICE}")

    def judged(self, path: LinePath) -> Plan:
        """Return the plan of this path."""
        begin = perf_counter()
        found = self._judged(path)
        self.plan_time = perf_counter() - begin - self.certify_time
        if found or self.rejected:
            return self._verdict(found)
        return self._answer(Status.NO_PATH_FOUND, self._not_timed)

    def _verdict(self, found: tuple[Trajectory, Certificate] | None) -> Plan:
        """Return the plan of a path that passed, or of the last that did not."""
        if found:
            words = found[1].contact_words
            return self._answer(Status.SOLVED, Status.SOLVED.advice + (f"; {words}" if words else ""), found)
        assert self.rejected is not None
        words = f"a path along the line was rejected: {self.rejected[1].reason}"
        return self._answer(Status.NOT_CERTIFIED, f"{words}; {_ADVICE}", self.rejected)

    def _judged(self, path: LinePath) -> tuple[Trajectory, Certificate] | None:
        robot = self.finder.robot
        speed, jerk = self.request.speed, self.request.jerk_limited
        trajectory = paced(path.control, robot, self.constraints, speed=speed, jerk=jerk)
        if trajectory is None:
            self.untimed = why_untimed(path.control, robot)
            return None
        begin = perf_counter()
        certificate = self.certifier.certify(
            trajectory, start=self.start, goals=path.control[-1:], jerk_limited=jerk, constraints=self._kept
        )
        self.certify_time += perf_counter() - begin
        self.offered += 1
        if certificate.valid:
            return trajectory, certificate
        self.rejected = trajectory, certificate
        return None

    @property
    def _not_timed(self) -> str:
        return f"a path along the line could not be timed: {self.untimed}"

    @property
    def _kept(self) -> tuple[Constraint, ...]:
        return OnLine(tool=self.finder.tool, segment=self.segment), *self.constraints

    def _answer(self, status: Status, message: str, motion: tuple[Trajectory, Certificate] | None = None) -> Plan:
        """Return a plan with this motion; where there is none, none was judged."""
        robot, solved = self.finder.robot, status is Status.SOLVED
        trajectory, certificate = motion or (None, None)
        rejected = self.offered - solved
        return Plan(
            status=status,
            message=message,
            planner=LINE,
            solved_by=LINE if solved else "",
            robot=robot,
            scene=self.certifier.scene,
            seed=self.request.seed,
            speed=self.request.speed,
            start=self.start,
            goals=np.zeros((0, robot.dof)) if trajectory is None else trajectory.position[-1:],
            trajectory=trajectory,
            certificate=certificate,
            metrics=None if trajectory is None else trajectory_metrics(trajectory, robot.metric),
            constraints=self._kept,
            judged=Judged(
                offered=self.offered, rejected=rejected, first_rejected=rejected > 0 if self.offered else None
            ),
            timing_s={"plan": self.plan_time, "certify": self.certify_time},
        )


_ADVICE = "begin in another configuration, or choose a shorter line or another orientation"
