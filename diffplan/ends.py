"""Start and goals as joint positions: by name, by value, or by inverse kinematics for poses."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import TypeAlias

import numpy as np

from diffplan import arguments
from diffplan.errors import InputError
from diffplan.formats.robot_file import load_robot
from diffplan.geometry.pose import Float, Pose
from diffplan.robot.model import Robot
from diffplan.scene import PoseGoal, Query, Scene

_IK_SEEDS, _FEWEST_SEEDS, _IK_ROWS = 96, 8, 384  # starts for each pose; all of them together

OneGoal: TypeAlias = "str | PoseGoal | Pose | Sequence[float] | Float"
GoalLike: TypeAlias = "OneGoal | Sequence[OneGoal]"


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
    return numbered_goals(robot, scene, goal, start, seed)[0]


def numbered_goals(
    robot: Robot, scene: Scene, goal: object, start: Float, seed: int, deadline: float = np.inf
) -> tuple[Float, tuple[int, ...]]:
    """Return the joint positions [k, dof] that a goal stands for, and which goal of the list each is of [k].

    Those of one pose stand together, the nearest to the start first. Inverse kinematics goes over all poses, and ends
    at the deadline (`perf_counter`) with what it has.

    Raises:
        InputError: if the goal makes no sense.
    """
    goals = _goals(robot, goal)
    poses = {i: one for i, one in enumerate(goals) if isinstance(one, PoseGoal)}
    found: dict[int, Float] = {}
    for i, one in enumerate(goals):
        if i not in poses:
            found[i] = configuration(robot, one, "goal" if len(goals) == 1 else f"goal[{i}]")[None]
    if poses:
        from diffplan.ik import solve_goals

        q, of = solve_goals(
            robot,
            list(poses.values()),
            scene.robot_base,
            seeds=min(_IK_SEEDS, max(_FEWEST_SEEDS, _IK_ROWS // len(poses))),
            rng=np.random.default_rng(seed),
            near=start,
            deadline=deadline,
        )
        found.update({i: q[of == k] for k, i in enumerate(poses)})
    numbers = np.repeat(np.arange(len(goals)), [len(found[i]) for i in range(len(goals))])
    return np.concatenate([found[i] for i in range(len(goals))]), tuple(numbers.tolist())


def unreached(robot: Robot, goal: object) -> str:
    """Return in words what could not be reached."""
    poses = [one for one in _goals(robot, goal) if isinstance(one, PoseGoal)]
    if len(poses) > 1:
        return f"no joint values within the limits bring the robot to any of the {len(poses)} poses"
    link, (x, y, z) = poses[0].link or robot.tool_frame.link, poses[0].pose.xyz
    place = "the box around " if poses[0].box else ""
    turned = f"in that orientation{f', turned about its {poses[0].free} as may be' if poses[0].free else ''}"
    return f"no joint values within the limits bring {link} to {place}({x:.3f}, {y:.3f}, {z:.3f}) m {turned}"


def _goals(robot: Robot, goal: object) -> list[object]:
    """Return the single goals, any of which will do; a pose is that of the robot's tool."""
    allowed = f"{robot.dof} joint values, {', '.join(robot.configurations)}, a PoseGoal, a Pose, or a list of these"
    if isinstance(goal, str | PoseGoal | Pose):
        found: list[object] = [goal]
    else:
        items = arguments.items(goal, "goal", allowed=allowed)
        several = bool(items) and not any(isinstance(arguments.plain(item), Real) for item in items)
        found = items if several else [items]
    return [PoseGoal(pose=one) if isinstance(one, Pose) else one for one in found]


def misfit(
    robot: Robot, scene: Scene, query: Query, *, start: bool = True, goal: bool = True, named: Robot | None = None
) -> str:
    """Return in words why a query of a scene is not one for this robot; empty if it is.

    Joint values are for the joints of the robot that the scene names; if it names none, for as many joints as there are
    values. The name of a configuration is for robots that have it, the pose of a link for those that have the link.

    Args:
        robot: the arm that shall be asked.
        scene: the scene of the query.
        query: start and goal.
        start: whether its start counts.
        goal: whether its goal counts.
        named: the robot that the scene names, if it is loaded already.

    Raises:
        InputError: if the robot that the scene names cannot be loaded.
    """
    for key, value in [("start", query.start)] * start + [("goal", query.goal)] * goal:
        if isinstance(value, PoseGoal) or (value and isinstance(value[0], PoseGoal)):
            for one in [value] if isinstance(value, PoseGoal) else value:
                if isinstance(one, PoseGoal) and one.link is not None and one.link not in robot.chain.placement:
                    return f"{robot.name} has no link {one.link}"
        elif isinstance(value, str):
            if value not in robot.configurations:
                return f"{robot.name} has no configuration {value}"
        elif (
            scene.robot is not None
            and (own := named or load_robot(scene.robot, collision=False)).joint_names != robot.joint_names
        ):
            return f"its {key} is joint values of {own.name}"
        elif len(value) != robot.dof:
            return f"its {key} is {len(value)} joint values, {robot.name} has {robot.dof} joints"
    return ""


def outside_limits(robot: Robot, q: Float) -> str:
    """Return which joint of q [dof] stands outside its limits, in words; empty if none does."""
    for name in robot.joints_outside(q)[:1]:
        i = robot.joint_names.index(name)
        return f"{name} = {q[i]:.10g} is outside [{robot.lower[i]:.4f}, {robot.upper[i]:.4f}]"
    return ""
