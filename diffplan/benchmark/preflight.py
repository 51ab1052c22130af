"""Whether a problem's start and goals are within limits, reachable, free of contact in PyBullet, and keep what they
have to; no planning.
"""

from __future__ import annotations

from dataclasses import dataclass

from diffplan.benchmark.suites import Case
from diffplan.certificate.certifier import Certifier
from diffplan.ends import configuration, goal_configurations, outside_limits
from diffplan.geometry.pose import Float
from diffplan.keeping import Keeper
from diffplan.planners.task import packed
from diffplan.problem import robot_in
from diffplan.robot.model import Robot
from diffplan.scene import Scene


@dataclass(frozen=True, kw_only=True)
class End:
    """Whether the robot can stand there as it has to, and in words how or why not."""

    free: bool
    text: str


def stand(robot: Robot, scene: Scene) -> None:
    """Set a scene up as the certificate does, which compares its meshes with what PyBullet holds of them.

    Raises:
        InputError: if an obstacle cannot be judged.
    """
    with Certifier(robot, scene):
        pass


def preflight(case: Case) -> tuple[End, End]:
    """Return the start's and the best goal's state."""
    robot, base = robot_in(case.robot, case.scene), case.scene.robot_base
    start = configuration(robot, case.start, "start")
    keeper = Keeper(packed(robot), base, [one.at(robot, base, start) for one in case.constraints])
    with Certifier(case.robot, case.scene) as certifier:
        return _state(start, case, certifier, keeper), _goal(case, start, certifier, keeper)


def _goal(case: Case, start: Float, certifier: Certifier, keeper: Keeper) -> End:
    """Return the state of the best goal configuration."""
    goals = goal_configurations(case.robot, case.scene, case.goal, start, seed=0)
    if len(goals) == 0:
        return End(free=False, text="unreachable: no joint values bring the tool there")
    return max((_state(q, case, certifier, keeper) for q in goals), key=lambda end: end.free)


def _state(q: Float, case: Case, certifier: Certifier, keeper: Keeper) -> End:
    """Return in words whether a configuration [dof] is within limits, free, and keeps the constraints."""
    outside = outside_limits(case.robot, q)
    if outside:
        return End(free=False, text=outside)
    check = certifier.check(q)
    if not check.free:
        return End(free=False, text=check.contact)
    broken = keeper.broken(q)
    if broken:
        return End(free=False, text=broken)
    return End(
        free=True, text=f"free, {1000 * check.clearance_m:.0f} mm to {check.obstacle}" if check.obstacle else "free"
    )
