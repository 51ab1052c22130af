"""Start and goals as joint positions: by name, by value, or by inverse kinematics for poses."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import TypeAlias

import numpy as np

from diffplan import arguments
from diffplan.errors import InputError
from diffplan.geometry.pose import Float, Pose
from diffplan.robot.model import Robot
from diffplan.scene import PoseGoal, Scene

_IK_SEEDS = 96

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


def unreached(robot: Robot, goal: object) -> str:
    """Return in words what could not be reached."""
    poses = [one for one in _goals(robot, goal) if isinstance(one, PoseGoal)]
    if len(poses) > 1:
        return f"no joint values within the limits bring the robot to any of the {len(poses)} poses"
    link, (x, y, z) = poses[0].link or robot.tool_frame.link, poses[0].pose.xyz
    return f"no joint values within the limits bring {link} to ({x:.3f}, {y:.3f}, {z:.3f}) m in that orientation"


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


def outside_limits(robot: Robot, q: Float) -> str:
    """Return which joint of q [dof] stands outside its limits, in words; empty if none does."""
    for name in robot.joints_outside(q)[:1]:
        i = robot.joint_names.index(name)
        return f"{name} = {q[i]:.10g} is outside [{robot.lower[i]:.4f}, {robot.upper[i]:.4f}]"
    return ""
