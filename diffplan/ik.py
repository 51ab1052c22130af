"""Inverse kinematics: damped least squares from many seeds at once (NumPy), for pose goals and for training data.

Each step solves (J^T J + lambda I) dq = J^T e with the geometric Jacobian J and the pose error e; lambda falls while
the error does and rises where it does not (Levenberg-Marquardt; Sugihara, "Solvability-Unconcerned Inverse Kinematics
by the Levenberg-Marquardt Method", IEEE T-RO 2011).
"""

from __future__ import annotations

import numpy as np

from diffplan import arguments
from diffplan.errors import InputError, did_you_mean
from diffplan.geometry.pose import Float, Pose
from diffplan.robot.model import Robot, Tool
from diffplan.scene import PoseGoal

POSITION_TOLERANCE = 1e-5
"""Largest distance of a solution's link from the goal position [m]."""
ROTATION_TOLERANCE = 1e-4
"""Largest angle between a solution's link and the goal orientation [rad]."""
CONVERGED = 1e-7
"""The norm of a pose error (m and rad) at which the descent for pose goals ends; it has met the tolerances by far."""
_DISTINCT = 0.05
_STEPS = 40
_LONGEST_STEP = 0.5
_MOST_SEEDS = 100_000


def inverse_kinematics(
    robot: Robot,
    goal: PoseGoal | Pose,
    robot_base: Pose,
    *,
    seeds: int = 64,
    rng: np.random.Generator,
    near: Float | None = None,
) -> Float:
    """Return distinct joint configurations [k, dof] inside the limits that bring a link to a pose.

    Args:
        robot: the arm.
        goal: the link and the pose that its frame shall meet, in the world frame; without a link, that of the tool.
        robot_base: pose of the robot's base link in the world frame.
        seeds: how many starts are tried, drawn uniformly within the limits.
        rng: source of the starts.
        near: a configuration [dof]; it is one of the starts, solutions come sorted by distance from it, and continuous
            joints at the turn nearest to it (else to the middle of their window).

    Returns:
        Solutions within 1e-5 m and 1e-4 rad of the pose, no two closer than 0.05 rad; empty [0, dof] if none was found.

    Raises:
        InputError: if the robot has no such link, or an argument is of another kind.
    """
    arguments.instance(robot, Robot, "robot", allowed="a Robot (Robot.load gives one)")
    goal = PoseGoal(pose=goal) if isinstance(goal, Pose) else goal
    goal = arguments.instance(goal, PoseGoal, "goal", allowed="a PoseGoal, or a Pose for the robot's tool")
    robot_base, seeds = Pose.of(robot_base, "robot_base"), arguments.whole(seeds, "seeds", 1, _MOST_SEEDS)
    arguments.instance(rng, np.random.Generator, "rng", allowed="numpy.random.default_rng(SEED)")
    tool = robot.tool_frame if goal.link is None else Tool(link=goal.link)
    link = tool.link
    if link not in robot.chain.placement:
        raise InputError(
            f"{robot.name} has no link {link!r}{did_you_mean(link, robot.chain.placement)}",
            allowed=list(robot.chain.placement),
        )
    if near is not None:
        near = arguments.array(near, "near", robot.dof)
        if near.ndim != 1:
            raise InputError(
                "not a configuration", key="near", value=near.tolist(), allowed=f"{robot.dof} joint values"
            )
        robot = robot.turned(near)
    T_base_goal = np.linalg.inv(robot_base.matrix) @ (goal.pose @ tool.pose.inverse()).matrix
    q = rng.uniform(robot.lower, robot.upper, (seeds, robot.dof))
    if near is not None:
        q[0] = np.clip(near, robot.lower, robot.upper)
    q = _descend(robot, link, T_base_goal, q, CONVERGED)
    error, _ = error_and_jacobian(robot, link, T_base_goal, q)
    met = np.linalg.norm(error[:, :3], axis=1) <= POSITION_TOLERANCE
    met &= np.linalg.norm(error[:, 3:], axis=1) <= ROTATION_TOLERANCE
    solutions = robot.nearest_turn(q[met], (robot.lower + robot.upper) / 2 if near is None else near)
    if near is not None:
        solutions = solutions[np.argsort(robot.distance(near, solutions), kind="stable")]
    return _distinct(robot, solutions)


def solve_poses(
    robot: Robot, T_base_end: Float, q: Float, *, tolerance: float, steps: int = _STEPS
) -> tuple[Float, np.ndarray]:
    """Return joint positions [n, dof] that bring the end link to poses [n, 4, 4] from seeds q [n, dof], and which did.

    Row i starts at q[i] and stays within the limits; it has arrived [n] where the norm of its pose error (m and rad) is
    at most `tolerance` after at most so many steps.
    """
    q = _descend(robot, robot.end_link, T_base_end, q.copy(), tolerance, steps)
    error, _ = error_and_jacobian(robot, robot.end_link, T_base_end, q)
    return q, np.linalg.norm(error, axis=1) <= tolerance


def _descend(robot: Robot, link: str, T_base_goal: Float, q: Float, tolerance: float, steps: int = _STEPS) -> Float:
    """Run Levenberg-Marquardt on all rows of q [n, dof], kept inside the limits, to one pose or to one each."""
    damping = np.full(len(q), 1e-2)
    error, jacobian = error_and_jacobian(robot, link, T_base_goal, q)
    cost = (error**2).sum(axis=1)
    scale = np.diag(robot.metric**2)
    for _ in range(steps):
        active = np.flatnonzero(cost > tolerance**2)
        if len(active) == 0:
            break
        J, e = jacobian[active], error[active]
        # A joint at its limit that is pushed outward gives way to the others.
        gradient = np.einsum("nij,ni->nj", J, e)
        blocked = ((q[active] <= robot.lower) & (gradient < 0)) | ((q[active] >= robot.upper) & (gradient > 0))
        J = np.where(blocked[:, None, :], 0.0, J)
        normal = np.einsum("nij,nik->njk", J, J) + damping[active, None, None] * scale
        step = np.linalg.solve(normal, np.einsum("nij,ni->nj", J, e)[..., None])[..., 0]
        step *= np.minimum(1.0, _LONGEST_STEP / np.maximum(np.abs(step * robot.metric).max(axis=1), 1e-12))[:, None]
        moved = np.clip(q[active] + step, robot.lower, robot.upper)
        goals = T_base_goal if T_base_goal.ndim == 2 else T_base_goal[active]
        new_error, new_jacobian = error_and_jacobian(robot, link, goals, moved)
        new_cost = (new_error**2).sum(axis=1)
        better = new_cost < cost[active]
        rows = active[better]
        q[rows], error[rows], jacobian[rows] = moved[better], new_error[better], new_jacobian[better]
        cost[rows] = new_cost[better]
        damping[active] = np.clip(np.where(better, damping[active] / 5, damping[active] * 4), 1e-9, 1e2)
    return q


def error_and_jacobian(robot: Robot, link: str, T_base_goal: Float, q: Float) -> tuple[Float, Float]:
    """Return the pose error [n, 6] (position [m], rotation vector [rad], base frame) and the Jacobian [n, 6, dof].

    `T_base_goal` is one pose [4, 4], or one for each row [n, 4, 4].
    """
    body, T_body_link = robot.chain.placement[link]
    poses = robot.body_poses(q)
    T_base_link = poses[:, body] @ T_body_link
    turned = _rotation_vector(T_base_goal[..., :3, :3] @ T_base_link[:, :3, :3].transpose(0, 2, 1))
    error = np.concatenate([T_base_goal[..., :3, 3] - T_base_link[:, :3, 3], turned], axis=1)
    chain = robot.chain
    joints = np.flatnonzero(chain.carried[body])
    frames, turns = poses[:, joints + 1], ~chain.prismatic[joints, None]
    axis = chain.factor[joints, None] * (frames[..., :3, :3] @ chain.axis[joints, :, None])[..., 0]
    arm = T_base_link[:, None, :3, 3] - frames[..., :3, 3]
    linear, angular = np.where(turns, _cross(axis, arm), axis), np.where(turns, axis, 0.0)
    jacobian = np.zeros((len(q), 6, robot.dof))
    for k, source in enumerate(chain.source[joints]):
        jacobian[:, :3, source] += linear[:, k]
        jacobian[:, 3:, source] += angular[:, k]
    return error, jacobian


def _cross(a: Float, b: Float) -> Float:
    """Return the cross products of vectors [..., 3]; `numpy.cross` takes several times as long on so few."""
    x, y, z = a[..., 0], a[..., 1], a[..., 2]
    u, v, w = b[..., 0], b[..., 1], b[..., 2]
    return np.stack([y * w - z * v, z * u - x * w, x * v - y * u], axis=-1)


def _rotation_vector(rotation: Float) -> Float:
    """Return the rotation vectors [n, 3] of rotations [n, 3, 3]."""
    skew = np.stack(
        [
            rotation[:, 2, 1] - rotation[:, 1, 2],
            rotation[:, 0, 2] - rotation[:, 2, 0],
            rotation[:, 1, 0] - rotation[:, 0, 1],
        ],
        axis=1,
    )
    sine = np.linalg.norm(skew, axis=1) / 2
    angle = np.arctan2(sine, (np.trace(rotation, axis1=1, axis2=2) - 1) / 2)
    # Near half a turn the axis is ill-defined; any step there leads away, so its length is all that matters.
    return skew / 2 * (angle / np.maximum(sine, 1e-9))[:, None] if len(rotation) else skew


def _distinct(robot: Robot, solutions: Float) -> Float:
    kept: list[Float] = []
    for q in solutions:
        if all(np.abs((robot.nearest_turn(q, other) - other) * robot.metric).max() > _DISTINCT for other in kept):
            kept.append(q)
    return np.array(kept).reshape(-1, solutions.shape[1])
