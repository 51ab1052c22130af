"""The arguments of `plan` and `solve`, read: who plans, for how long, from which seed, and what is allowed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from diffplan import arguments
from diffplan.constraints.kinds import Upright
from diffplan.errors import InputError
from diffplan.planners import check_name, make_planner, names_of
from diffplan.planners.base import Options, Planner
from diffplan.problem import Plan, Trajectory
from diffplan.robot.model import Robot
from diffplan.scene import Scene

if TYPE_CHECKING:
    from diffplan.costs.cost import Cost
    from diffplan.formats.plan_file import PlanFile

LONGEST_TIMEOUT = 1e9  # [s]
_MOST_ALTERNATIVES = 1000

_SLOWEST, _SPEEDS = 0.001, "0.001 to 1"
JERK = ("limited", "off")
"""Whether the robot's jerk limits are kept."""
EarlierPlan: TypeAlias = "Plan | PlanFile | str | Path"
Wish: TypeAlias = "Cost | Upright"


@dataclass(frozen=True, kw_only=True, eq=False)
class MotionRequest:
    """What any motion is asked for with; `diffplan.planning.plan` says what each argument means.

    Raises:
        InputError: for a number or word that makes no sense.
    """

    seed: int
    timeout: float
    speed: float
    jerk: str | None

    def __post_init__(self) -> None:
        most = LONGEST_TIMEOUT
        read = {
            "seed": arguments.whole(
                self.seed, "seed", 0, 2**63 - 1, what="seed", allowed="whole numbers from 0 to 2^63 - 1"
            ),
            "timeout": arguments.positive(
                self.timeout, "timeout", what="time limit", highest=most, allowed=f"0 < s <= {most:g}"
            ),
            "speed": share(self.speed, "speed"),
            "jerk": None if self.jerk is None else arguments.one_of(self.jerk, "jerk", JERK, "choice"),
        }
        for key, value in read.items():
            object.__setattr__(self, key, value)

    @property
    def jerk_limited(self) -> bool:
        """Whether the jerk limits are kept; they are not unless that is asked for."""
        return self.jerk == "limited"


@dataclass(frozen=True, kw_only=True, eq=False)
class Request(MotionRequest):
    """How to solve a problem; `diffplan.planning.plan` says what each argument means.

    Raises:
        InputError: for a number, flag or name that makes no sense.
    """

    planner: str | Planner
    helper: str | Planner | None
    fallback: bool
    options: Options | None
    warm_start: EarlierPlan | None
    alternatives: int
    start_tolerance: float
    start_contact_m: float

    def __post_init__(self) -> None:
        super().__post_init__()
        read = {
            "alternatives": arguments.whole(self.alternatives, "alternatives", 0, _MOST_ALTERNATIVES),
            "start_tolerance": arguments.start_tolerance(self.start_tolerance),
            "start_contact_m": arguments.start_contact(self.start_contact_m),
            "fallback": arguments.flag(self.fallback, "fallback"),
        }
        for key, value in read.items():
            object.__setattr__(self, key, value)
        if self.helper is not None and not isinstance(self.helper, Planner):
            check_name(self.helper, "helper")
        if self.helper is not None and not self.fallback:
            raise InputError("a helper, but no planner may help", key="fallback", value=False, allowed="True")

    def chosen(self) -> Planner:
        """Return the planner, made now if it was given by name.

        Raises:
            InputError: if there is no such planner, or none that has these options.
        """
        if not isinstance(self.planner, Planner):
            return make_planner(self.planner, self.options)
        if self.options is not None:
            allowed = "options of planners that are given by name"
            raise InputError("this planner is set up already", key="options", value=self.options, allowed=allowed)
        return self.planner

    def help_for(self, planner: Planner) -> str | Planner | None:
        """Return who joins when a planner has not solved: the helper that was given, or its own; None if nobody may."""
        if not self.fallback:
            return None
        return (planner.helper or None) if self.helper is None else self.helper

    def earlier_motion(self, planner: Planner, robot: Robot) -> Trajectory | None:
        """Return the motion of the earlier plan that a planner shall start from, if one is given.

        Raises:
            InputError: if the planner cannot, or it is no plan, one for other joints, or one without a motion.
        """
        plan = self.warm_start
        if plan is None:
            return None
        if not planner.reuses_plans:
            allowed = names_of(lambda kind: kind.reuses_plans)
            raise InputError(
                "this planner cannot start from a plan", key="warm_start", value=planner.name, allowed=allowed
            )
        from diffplan.formats.plan_file import PlanFile, load_plan

        if isinstance(plan, str | Path):
            plan = load_plan(arguments.path(plan, "warm_start"))
        if not isinstance(plan, Plan | PlanFile):
            raise InputError("not a plan", key="warm_start", value=plan, allowed="a Plan, or the path of a plan file")
        names = plan.robot.joint_names if isinstance(plan, Plan) else plan.joint_names
        if names != robot.joint_names:
            allowed = f"plans for {', '.join(robot.joint_names)}"
            raise InputError("a plan for other joints", key="warm_start", value=", ".join(names), allowed=allowed)
        if plan.trajectory is None:
            status = plan.status.value
            raise InputError("this plan has no trajectory", key="warm_start", value=status, allowed="plans with one")
        return plan.trajectory


def share(value: float, key: str) -> float:
    """Return a share of the robot's limits.

    Raises:
        InputError: naming `key`, if it is none, or so small that motions would have millions of samples.
    """
    found = arguments.positive(value, key, what="share", highest=1.0, allowed=_SPEEDS)
    if found < _SLOWEST:
        raise InputError("too small a share", key=key, value=value, allowed=_SPEEDS)
    return found


def read_robot(value: object) -> Robot:
    """Return a robot given as such, by name or by path.

    Raises:
        InputError: if it is none, or its file is wrong.
    """
    if isinstance(value, Robot):
        return value
    return Robot.load(str(arguments.path(value, "robot", allowed="a Robot, or the name or path of one")))


def read_scene(value: object) -> Scene:
    """Return a scene given as such, by name or by path.

    Raises:
        InputError: if it is none, or its file is wrong.
    """
    if isinstance(value, Scene):
        return value
    return Scene.load(arguments.path(value, "scene", allowed="a Scene, or the name or path of one"))


def held_in(scene: Scene, robot: Robot, hold: object) -> Scene:
    """Return the scene in which held joints stand at these values (rad or m by name), and those that follow them.

    Raises:
        InputError: if the robot holds no such joint, or not there.
    """
    values = arguments.mapping(hold, "hold", allowed="joint values by joint name")
    held = robot.with_held({joint: arguments.real(value, f"hold.{joint}") for joint, value in values.items()})
    return replace(scene, hold={joint: held.held_joints[joint] for joint in {**scene.hold, **values}})


def read_costs(value: object, robot: Robot, scene: Scene) -> tuple[Cost, ...]:
    """Return the user's costs as a tuple; one alone may come without a list, and `Upright` stands for the wish.

    Raises:
        InputError: naming the first that is none.
    """
    if value is None or (isinstance(value, tuple) and not value):
        return ()
    from diffplan.costs.cost import Cost  # with torch behind it, which takes a second
    from diffplan.costs.terms import upright_wish

    allowed = "a list of diffplan.Cost (avoid, prefer and upright make some)"
    found = [value] if isinstance(value, Cost | Upright) else arguments.items(value, "costs", allowed=allowed)
    costs = [upright_wish(one, robot, scene.robot_base) if isinstance(one, Upright) else one for one in found]
    return tuple(arguments.instance(cost, Cost, f"costs[{i}]", allowed=allowed) for i, cost in enumerate(costs))
