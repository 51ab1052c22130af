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
from diffplan.constraints.line import Line, OnLine, Segment
from diffplan.ends import configuration, outside_limits
from diffplan.formats.fingerprint import fingerprint
from diffplan.geometry.pose import Float, Pose
from diffplan.ik import inverse_kinematics
from diffplan.lines import COLLISION, LIMIT, LineFinder, LinePath, LineStop
from diffplan.planners.task import packed
from diffplan.preflight import allowing
from diffplan.problem import Certificate, Judged, Plan, Status, Trajectory, robot_in, trajectory_metrics
from diffplan.pybullet.failure import contact_of
from diffplan.request import LONGEST_TIMEOUT, read_robot, read_scene
from diffplan.robot.model import Robot
from diffplan.scene import PoseGoal, Scene
from diffplan.system.exclusive import exclusive
from diffplan.timing import retime, why_untimed

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
    seed: int = 0,
    timeout: float = 10.0,
) -> Plan:
    """Plan a motion on which the tool goes straight, and certify it.

    The tool (`robot.tool_frame`) stays within 1 mm of the line and within 0.5 deg of the orientation that belongs to
    how far it is (slerp); `certificate.constraints` has proven bounds on both, named `line` and `line orientation`.

    Args:
        robot: a robot, the name of a shipped one, or the path of a robot file.
        scene: the obstacles, or the name of a shipped scene or the path of a scene file.
        start: joint positions [dof] (rad or m) or the name of a configuration: there the line begins.
        line: where the tool goes.
        seed: of the inverse kinematics that tells whether the end can be reached at all, where no path is found; paths
            do not depend on it.
        timeout: limit on planning [s]; certification of a last path may run over it.

    Returns:
        A plan, never None, with the planner "line". Without a motion the message says how far along the line the arm
        came (percent, mm) and why no farther: a joint at its limit, what touches, a singular configuration, out of
        reach.

    Raises:
        InputError: for an argument that makes no sense.
    """
    begin = perf_counter()
    arguments.instance(line, Line, "line", allowed="a Line")
    seed = arguments.whole(seed, "seed", 0, 2**63 - 1, what="seed", allowed="whole numbers from 0 to 2^63 - 1")
    most = LONGEST_TIMEOUT
    timeout = arguments.positive(timeout, "timeout", what="time limit", highest=most, allowed=f"0 < s <= {most:g}")
    scene = read_scene(scene)
    robot = robot_in(read_robot(robot), scene)
    q = configuration(robot, start, "start")
    robot = robot.turned(q)
    finder = LineFinder(packed(robot), Obstacles.around(robot, scene), scene.robot_base)
    prepared = perf_counter()
    finder.segment(q, line)
    finder.room(q)
    retime(np.repeat(q[None], 4, axis=0), robot)  # so that what is slow to import or to compile is there
    warm = perf_counter()
    with Certifier(robot, scene) as certifier:
        sums = fingerprint(robot, scene)
        loaded = perf_counter()
        search = _LineSearch(finder=finder, certifier=certifier, start=q, segment=finder.segment(q, line), seed=seed)
        answer = search.plan(scene, loaded + timeout)
    times = {"prepare": prepared - begin, "warmup": warm - prepared, "load": loaded - warm}
    times |= {"total": perf_counter() - begin}
    return replace(answer, fingerprint=sums, timing_s={**times, **answer.timing_s})


def certified_line(
    path: LinePath, finder: LineFinder, certifier: Certifier, *, seed: int = 0, speed: float = 1.0
) -> Plan:
    """Return the plan of a path on a line that was found already: timed and certified.

    Args:
        path: of this finder.
        finder: for the certifier's robot among its obstacles.
        certifier: who judges.
        seed: noted in the plan; nothing depends on it.
        speed: share of the velocity, acceleration and jerk limits that the motion may use, in (0, 1].
    """
    start, segment = path.control[0], path.segment
    search = _LineSearch(finder=finder, certifier=certifier, start=start, segment=segment, seed=seed, speed=speed)
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
    seed: int
    speed: float = 1.0
    plan_time: float = 0.0
    certify_time: float = 0.0
    rejected: tuple[Trajectory, Certificate] | None = None
    untimed: str = ""
    offered: int = 0

    def plan(self, scene: Scene, deadline: float) -> Plan:
        begin = perf_counter()
        outside = outside_limits(self.finder.robot, self.start)
        if outside:
            return self._unsolved(scene, Status.START_OUTSIDE_LIMITS, outside)
        check = self.certifier.check(self.start)
        if check.contact:
            touching = contact_of(check, self.start, "start")
            answer = self._unsolved(
                scene, Status.START_IN_COLLISION, f"at the start, {check.contact}{allowing(touching)}"
            )
            return replace(answer, contact=touching)
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
            return self._verdict(scene, found)
        if _out_of_reach(self.segment, 1.0, self.finder, self.seed):
            status, words = Status.GOAL_UNREACHABLE, "no joint values within the limits reach the end of the line; "
        else:
            status, words = Status.NO_PATH_FOUND, ""
        if stop:
            words += line_reason(stop, self.finder, self.certifier, self.seed)
        elif self.untimed:
            words += f"a path along the line could not be timed: {self.untimed}"
        else:
            words += "the time is up" if perf_counter() > deadline else "no path along the line is smooth enough"
        self.plan_time = perf_counter() - begin - self.certify_time
        return self._unsolved(scene, status, f"{words}; {_ADVICE}")

    def judged(self, path: LinePath) -> Plan:
        """Return the plan of this path."""
        begin = perf_counter()
        found = self._judged(path)
        self.plan_time = perf_counter() - begin - self.certify_time
        if found or self.rejected:
            return self._verdict(self.certifier.scene, found)
        words = f"a path along the line could not be timed: {self.untimed}"
        return self._unsolved(self.certifier.scene, Status.NO_PATH_FOUND, words)

    def _verdict(self, scene: Scene, found: tuple[Trajectory, Certificate] | None) -> Plan:
        """Return the plan of a path that passed, or of the last that did not."""
        if found:
            return self._answer(scene, Status.SOLVED, Status.SOLVED.advice, *found)
        assert self.rejected is not None
        words = f"a path along the line was rejected: {self.rejected[1].reason}"
        return self._answer(scene, Status.NOT_CERTIFIED, f"{words}; {_ADVICE}", *self.rejected)

    def _judged(self, path: LinePath) -> tuple[Trajectory, Certificate] | None:
        robot = self.finder.robot
        trajectory = retime(path.control, robot, speed=self.speed)
        if trajectory is None:
            self.untimed = why_untimed(path.control, robot)
            return None
        begin = perf_counter()
        certificate = self.certifier.certify(
            trajectory, start=self.start, goals=path.control[-1:], constraints=[self._kept]
        )
        self.certify_time += perf_counter() - begin
        self.offered += 1
        if certificate.valid:
            return trajectory, certificate
        self.rejected = trajectory, certificate
        return None

    @property
    def _kept(self) -> OnLine:
        return OnLine(tool=self.finder.tool, segment=self.segment)

    def _unsolved(self, scene: Scene, status: Status, cause: str) -> Plan:
        message = cause if status in (Status.NO_PATH_FOUND, Status.GOAL_UNREACHABLE) else f"{cause}; {status.advice}"
        return self._bare(scene, status, message)

    def _bare(self, scene: Scene, status: Status, message: str) -> Plan:
        return Plan(
            status=status,
            message=message,
            planner=LINE,
            solved_by=LINE if status is Status.SOLVED else "",
            robot=self.finder.robot,
            scene=scene,
            seed=self.seed,
            start=self.start,
            goals=np.zeros((0, self.finder.robot.dof)),
            timing_s={"plan": self.plan_time, "certify": self.certify_time},
        )

    def _answer(
        self, scene: Scene, status: Status, message: str, trajectory: Trajectory, certificate: Certificate
    ) -> Plan:
        plan = self._bare(scene, Status.NOT_CERTIFIED, message)
        rejected = self.offered - (status is Status.SOLVED)
        return replace(
            plan,
            status=status,
            solved_by=LINE if status is Status.SOLVED else "",
            goals=trajectory.position[-1:],
            trajectory=trajectory,
            certificate=certificate,
            metrics=trajectory_metrics(trajectory, self.finder.robot.metric),
            constraints=(self._kept,),
            judged=Judged(offered=self.offered, rejected=rejected, first_rejected=rejected > 0),
        )


_ADVICE = "begin in another configuration, or choose a shorter line or another orientation"
