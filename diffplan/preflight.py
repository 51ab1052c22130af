"""Whether start and goals make a problem hopeless, before anything is searched."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffplan import arguments
from diffplan.certificate.certifier import Certifier, ConfigurationCheck
from diffplan.ends import outside_limits
from diffplan.geometry.pose import Float
from diffplan.keeping import Keeper
from diffplan.problem import Contact, Problem, Status
from diffplan.pybullet.failure import contact_of

_LIGHT_M = 0.01  # contacts up to here may be meant
_MOST_GOALS = 16  # of the free joint positions that a planner is given


@dataclass(frozen=True, kw_only=True, eq=False)
class Hopeless:
    """Why there is nothing to search for: the status, its cause in words, and what touches, if something does."""

    status: Status
    cause: str
    contact: Contact | None = None


def preflight(problem: Problem, certifier: Certifier, keeper: Keeper, start: Float | None) -> np.ndarray | Hopeless:
    """Return the numbers [k] of the goals that are worth planning for, or why there are none.

    Args:
        problem: its start is where the planned motion begins.
        certifier: of the problem's robot and scene.
        keeper: of the problem's constraints, which start and goals must keep.
        start: where the arm stands [dof]: there, or a short way in before; None if it may touch there.
    """
    robot = problem.robot
    outside = outside_limits(robot, problem.start)
    if outside:
        if robot.outside_within(problem.start, arguments.MOST_START_TOLERANCE):
            by = np.maximum(robot.lower - problem.start, problem.start - robot.upper).max()
            enough = min(np.ceil(1e4 * by) / 1e4, arguments.MOST_START_TOLERANCE)
            outside += f": start_tolerance={enough:.4f} (--start-tolerance) would take it"
        return Hopeless(status=Status.START_OUTSIDE_LIMITS, cause=outside)
    for q in [problem.start] if start is None or start is problem.start else [start, problem.start]:
        check = certifier.check(q)
        if check.contact:
            contact = contact_of(check, q, "start")
            cause = f"at the start, {check.contact}{allowing(contact)}"
            return Hopeless(status=Status.START_IN_COLLISION, cause=cause, contact=contact)
        broken = keeper.broken(q)
        if broken:
            return Hopeless(status=Status.START_BREAKS_CONSTRAINT, cause=f"at the start, {broken}")
    more = f" (and {len(problem.goals) - 1} more goals)" if len(problem.goals) > 1 else ""
    causes = [outside_limits(robot, goal) for goal in problem.goals]
    if all(causes):
        return Hopeless(status=Status.GOAL_OUTSIDE_LIMITS, cause=causes[0])
    breaks = [not cause and keeper.broken(goal) for cause, goal in zip(causes, problem.goals, strict=True)]
    causes = [cause or words for cause, words in zip(causes, breaks, strict=True)]
    if all(causes):
        words = next(words for words in breaks if words)
        return Hopeless(status=Status.GOAL_BREAKS_CONSTRAINT, cause=f"at the goal, {words}{more}")
    free: list[int] = []
    touching: dict[int, ConfigurationCheck] = {}
    for i in _in_turns(problem):
        if not causes[i]:
            check = certifier.check(problem.goals[i])
            if check.free:
                free.append(i)
            else:
                touching[i] = check
        if len(free) == _MOST_GOALS:
            break
    if free:
        return np.sort(free)
    first = min(touching)
    contact = contact_of(touching[first], problem.goals[first], "goal")
    cause = f"at the goal, {touching[first].contact}{allowing(contact)}{more}"
    return Hopeless(status=Status.GOAL_IN_COLLISION, cause=cause, contact=contact)


def _in_turns(problem: Problem) -> np.ndarray:
    """Return the numbers [k] of the goals: the nearest joint positions of each goal asked for, then the next.

    Where what is near touches, or lies where no way leads, the other poses of a set are there all the same.
    """
    distance = problem.robot.distance(problem.start, problem.goals)
    numbers = np.array(problem.goal_numbers or range(len(distance)))
    rank = np.empty(len(distance), int)
    for number in np.unique(numbers):
        own = np.flatnonzero(numbers == number)
        rank[own[np.argsort(distance[own], kind="stable")]] = np.arange(len(own))
    return np.lexsort((distance, rank))


def allowing(contact: Contact | None) -> str:
    """Return how a light contact, which may be meant, is allowed, in words; empty for others."""
    if contact is None or contact.clearance_m is None or contact.clearance_m < -_LIGHT_M:
        return ""
    one, other = contact.link, contact.obstacle or contact.other_link
    depth = np.ceil(1000 * max(0.0, -contact.clearance_m) + 0.5)  # mm, with room for what is measured a little deeper
    call = f'scene.allow("{one}", "{other}", depth_m={depth / 1000:g})'
    return f" (if this is meant: {call}, or allowed_contacts in the scene file)"
