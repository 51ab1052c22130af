"""Inverse kinematics: damped least squares from many seeds at once (NumPy), for pose goals and for training data.

Each step solves (J^T J + lambda I) dq = J^T e with the geometric Jacobian J and the pose error e; lambda falls while
the error does and rises where it does not (Levenberg-Marquardt; Sugihara, "Solvability-Unconcerned Inverse Kinematics
by the Levenberg-Marquardt Method", IEEE T-RO 2011).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

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
_DISTINCT, _DISTINCT_LOOSE = 0.05, 0.2  # apart; those of loose goals, which lie on surfaces, need not be so dense
_HALF_TURN = 1e-6  # the sine of an angle nearer than that to half a turn tells no axis
_NEAR, _AROUND = 3, 0.5  # one start in three is drawn around the given configuration (standard deviation [rad])
_ROWS = 512  # configurations that are brought to their goals together, between two looks at the clock
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
            What it leaves free (`PoseGoal.free`, `PoseGoal.box`) is where it is easy for the arm.
        robot_base: pose of the robot's base link in the world frame.
        seeds: how many starts are tried, drawn uniformly within the limits.
        rng: source of the starts.
        near: a configuration [dof]; it is one of the starts, solutions come sorted by distance from it, and continuous
            joints at the turn nearest to it (else to the middle of their window).

    Returns:
        Solutions within 1e-5 m and 1e-4 rad of the pose, no two closer than 0.05 rad (0.2 rad where the goal leaves
        something free); empty [0, dof] if none was found.

    Raises:
        InputError: if the robot has no such link, or an argument is of another kind.
    """
    arguments.instance(robot, Robot, "robot", allowed="a Robot (Robot.load gives one)")
    goal = PoseGoal(pose=goal) if isinstance(goal, Pose) else goal
    goal = arguments.instance(goal, PoseGoal, "goal", allowed="a PoseGoal, or a Pose for the robot's tool")
    robot_base, seeds = Pose.of(robot_base, "robot_base"), arguments.whole(seeds, "seeds", 1, _MOST_SEEDS)
    arguments.instance(rng, np.random.Generator, "rng", allowed="numpy.random.default_rng(SEED)")
    return solve_goals(robot, [goal], robot_base, seeds=seeds, rng=rng, near=near)[0]


def solve_goals(
    robot: Robot,
    goals: Sequence[PoseGoal],
    robot_base: Pose,
    *,
    seeds: int,
    rng: np.random.Generator,
    near: Float | None = None,
    deadline: float = np.inf,
) -> tuple[Float, NDArray[np.intp]]:
    """Return configurations [k, dof] as `inverse_kinematics` does, and which of several goals each meets [k].

    All goals are tried from the same starts, all goals from one start before the next start, until the deadline
    (`perf_counter`). Sorted by distance from `near`; distinct among those of one goal.

    Raises:
        InputError: if the robot has no such link, or `near` is no configuration.
    """
    if near is not None:
        near = arguments.array(near, "near", robot.dof)
        if near.ndim != 1:
            raise InputError(
                "not a configuration", key="near", value=near.tolist(), allowed=f"{robot.dof} joint values"
            )
        robot = robot.turned(near)
    starts = rng.uniform(robot.lower, robot.upper, (seeds, robot.dof))
    places = np.zeros((seeds, 3))
    if any(goal.box for goal in goals):
        places[1::2] = rng.uniform(-0.5, 0.5, (seeds // 2, 3))
    if near is not None:
        starts[0] = np.clip(near, robot.lower, robot.upper)
        if any(goal.loose for goal in goals):  # the nearest of many solutions is wanted too
            some = starts[1 : max(1, seeds // _NEAR)]
            some[:] = np.clip(near + rng.normal(0, _AROUND, some.shape) / robot.metric, robot.lower, robot.upper)
    tools = [_tool(robot, goal) for goal in goals]
    found, of = [np.empty((0, robot.dof))], [np.empty(0, np.intp)]
    for tool in dict.fromkeys(tools):
        numbers = np.array([i for i, other in enumerate(tools) if other == tool])
        aim = _Aim.of([goals[i] for i in numbers], tool, robot_base)
        at_once = max(1, _ROWS // len(numbers))
        for begin in range(0, seeds, at_once):
            if begin and perf_counter() > deadline:
                break
            some = slice(begin, begin + at_once)
            rows = np.tile(np.arange(len(numbers)), len(starts[some]))
            block = aim.rows(rows).within(np.repeat(places[some], len(numbers), axis=0))
            q = _descend(robot, block, np.repeat(starts[some], len(numbers), axis=0), CONVERGED)
            error, _ = _error_and_jacobian(robot, block, q)
            met = np.linalg.norm(error[:, :3], axis=1) <= POSITION_TOLERANCE
            met &= np.linalg.norm(error[:, 3:], axis=1) <= ROTATION_TOLERANCE
            found.append(q[met])
            of.append(numbers[rows[met]])
    solutions, which = np.concatenate(found), np.concatenate(of)
    solutions = robot.nearest_turn(solutions, (robot.lower + robot.upper) / 2 if near is None else near)
    if near is not None:
        order = np.argsort(robot.distance(near, solutions), kind="stable")
        solutions, which = solutions[order], which[order]
    apart = np.array([_DISTINCT_LOOSE if goal.loose else _DISTINCT for goal in goals])
    kept = _distinct(robot, solutions, which, apart)
    return solutions[kept], which[kept]


def _tool(robot: Robot, goal: PoseGoal) -> Tool:
    """Return the frame that shall meet the pose.

    Raises:
        InputError: if the robot has no such link.
    """
    tool = robot.tool_frame if goal.link is None else Tool(link=goal.link)
    if tool.link not in robot.chain.placement:
        raise InputError(
            f"{robot.name} has no link {tool.link!r}{did_you_mean(tool.link, robot.chain.placement)}",
            allowed=list(robot.chain.placement),
        )
    return tool


@dataclass(frozen=True, kw_only=True, eq=False)
class _Aim:
    """Where a frame on a link shall be, in each row: at `T_base_goal` [n, 4, 4].

    Its origin may lie anywhere in a box of half lengths `half` [n, 3] around that pose, in the pose's frame, and it may
    be turned about the unit vector `axis` [n, 3] of the pose's frame (0: it may not). None: no row leaves that free.
    """

    link: str
    T_link_tool: Float
    T_base_goal: Float
    half: Float | None = None
    axis: Float | None = None

    @staticmethod
    def of(goals: Sequence[PoseGoal], tool: Tool, robot_base: Pose) -> _Aim:
        half = np.array([goal.box or (0.0, 0.0, 0.0) for goal in goals]) / 2
        axis = np.array([[goal.free == name for name in "xyz"] for goal in goals], dtype=np.float64)
        return _Aim(
            link=tool.link,
            T_link_tool=tool.pose.matrix,
            # `@ Pose()` rounds as it always did: the plans of earlier versions stay what they are.
            T_base_goal=np.linalg.inv(robot_base.matrix) @ np.array([(goal.pose @ Pose()).matrix for goal in goals]),
            half=half if half.any() else None,
            axis=axis if axis.any() else None,
        )

    def rows(self, rows: NDArray[np.intp]) -> _Aim:
        """Return the aim of some of the rows."""
        return replace(
            self,
            T_base_goal=self.T_base_goal[rows],
            half=None if self.half is None else self.half[rows],
            axis=None if self.axis is None else self.axis[rows],
        )

    def within(self, places: Float) -> _Aim:
        """Return the aim at one place of each row's box, by shares [n, 3] of its lengths; 0 leaves the whole box.

        The whole box is met at its side that is nearest to the start; the places spread over it.
        """
        if self.half is None:
            return self
        chosen, T_base_goal = places.any(axis=1, keepdims=True), self.T_base_goal.copy()
        offset = 2 * places * self.half
        T_base_goal[:, :3, 3] += (T_base_goal[:, :3, :3] @ offset[..., None])[..., 0]
        return replace(self, T_base_goal=T_base_goal, half=np.where(chosen, 0.0, self.half))


def solve_poses(
    robot: Robot, T_base_end: Float, q: Float, *, tolerance: float, steps: int = _STEPS
) -> tuple[Float, np.ndarray]:
    """Return joint positions [n, dof] that bring the end link to poses [n, 4, 4] from seeds q [n, dof], and which did.

    Row i starts at q[i] and stays within the limits; it has arrived [n] where the norm of its pose error (m and rad) is
    at most `tolerance` after at most so many steps.
    """
    aim = _Aim(link=robot.end_link, T_link_tool=np.eye(4), T_base_goal=T_base_end)
    q = _descend(robot, aim, q.copy(), tolerance, steps)
    error, _ = _error_and_jacobian(robot, aim, q)
    return q, np.linalg.norm(error, axis=1) <= tolerance


def _descend(robot: Robot, aim: _Aim, q: Float, tolerance: float, steps: int = _STEPS) -> Float:
    """Run Levenberg-Marquardt on all rows of q [n, dof], kept inside the limits, each to its own aim."""
    damping = np.full(len(q), 1e-2)
    error, jacobian = _error_and_jacobian(robot, aim, q)
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
        new_error, new_jacobian = _error_and_jacobian(robot, aim.rows(active), moved)
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
    aim = _Aim(link=link, T_link_tool=np.eye(4), T_base_goal=T_base_goal.reshape(-1, 4, 4))
    return _error_and_jacobian(robot, aim, q)


def point_jacobian(robot: Robot, frame: Tool, q: Float) -> Float:
    """Return the Jacobian [n, 3, dof] of a frame's origin at q [n, dof], in the base's frame."""
    pose = robot.link_pose(q, frame.link)
    _, J = error_and_jacobian(robot, frame.link, pose, q)
    arm = pose[:, :3, :3] @ np.asarray(frame.pose.xyz)
    return J[:, :3] + np.cross(J[:, 3:], arm[..., None], axis=1)


def _error_and_jacobian(robot: Robot, aim: _Aim, q: Float) -> tuple[Float, Float]:
    """Return error and Jacobian as `error_and_jacobian`, for an aim.

    What an aim leaves free is in neither: in a box the error is that beyond its sides, about a free axis it is the turn
    that brings the axis to the goal's.
    """
    body, T_body_link = robot.chain.placement[aim.link]
    poses = robot.body_poses(q)
    T_base_tool = poses[:, body] @ T_body_link @ aim.T_link_tool
    R_base_goal = aim.T_base_goal[:, :3, :3]
    off = aim.T_base_goal[:, :3, 3] - T_base_tool[:, :3, 3]
    turned = _rotation_vector(R_base_goal @ T_base_tool[:, :3, :3].transpose(0, 2, 1))
    chain = robot.chain
    joints = np.flatnonzero(chain.carried[body])
    frames, turns = poses[:, joints + 1], ~chain.prismatic[joints, None]
    axis = chain.factor[joints, None] * (frames[..., :3, :3] @ chain.axis[joints, :, None])[..., 0]
    arm = T_base_tool[:, None, :3, 3] - frames[..., :3, 3]
    linear, angular = np.where(turns, _cross(axis, arm), axis), np.where(turns, axis, 0.0)
    jacobian = np.zeros((len(q), 6, robot.dof))
    for k, source in enumerate(chain.source[joints]):
        jacobian[:, :3, source] += linear[:, k]
        jacobian[:, 3:, source] += angular[:, k]
    if aim.half is not None:
        inside = (R_base_goal.transpose(0, 2, 1) @ off[..., None])[..., 0]
        beyond = inside - np.clip(inside, -aim.half, aim.half)
        off = np.where(aim.half.any(axis=1, keepdims=True), (R_base_goal @ beyond[..., None])[..., 0], off)
        counts = (np.abs(inside) >= aim.half).astype(np.float64)
        jacobian[:, :3] = (R_base_goal * counts[:, None]) @ (R_base_goal.transpose(0, 2, 1) @ jacobian[:, :3])
    if aim.axis is not None:
        tool_axis, goal_axis = (R @ aim.axis[..., None] for R in (T_base_tool[:, :3, :3], R_base_goal))
        turned = np.where(aim.axis.any(axis=1, keepdims=True), _turn(tool_axis[..., 0], goal_axis[..., 0]), turned)
        jacobian[:, 3:] -= tool_axis @ (tool_axis.transpose(0, 2, 1) @ jacobian[:, 3:])
    return np.concatenate([off, turned], axis=1), jacobian


def _turn(a: Float, b: Float) -> Float:
    """Return the rotation vectors [n, 3], at right angles to both, that bring unit vectors a [n, 3] to b [n, 3]."""
    across = _cross(a, b)
    sine, cosine = np.linalg.norm(across, axis=1), (a * b).sum(axis=1)
    # From a to -a all axes at right angles to a are as good: that of a with the coordinate axis farthest from it.
    aside = _cross(a, np.eye(3)[np.abs(a).argmin(axis=1)])
    opposite = (sine < _HALF_TURN) & (cosine < 0)
    across = np.where(opposite[:, None], aside, across)
    length = np.linalg.norm(across, axis=1)
    return across * (np.arctan2(sine, cosine) / np.maximum(length, 1e-12))[:, None]


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
    sine, cosine = np.linalg.norm(skew, axis=1) / 2, (np.trace(rotation, axis1=1, axis2=2) - 1) / 2
    vector = skew / 2 * (np.arctan2(sine, cosine) / np.maximum(sine, 1e-9))[:, None]
    # Half a turn has no skew part: R = 2 a a^T - 1 there, and the axis a is its greatest column, whichever sign it has.
    for i in np.flatnonzero((sine < _HALF_TURN) & (cosine < 0)):
        outer = rotation[i] + np.eye(3)
        axis = outer[:, np.diag(outer).argmax()]
        vector[i] = np.pi * axis / np.linalg.norm(axis)
    return vector


def _distinct(robot: Robot, solutions: Float, of: NDArray[np.intp], apart: Float) -> list[int]:
    """Return the rows of solutions [n, dof] that no earlier one of the same goal is nearer to than `apart` [goals]."""
    kept: list[int] = []
    near_by: dict[int, list[int]] = {}
    for i, goal in enumerate(of):
        same = near_by.setdefault(int(goal), [])
        steps = np.abs((robot.nearest_turn(solutions[i], solutions[same]) - solutions[same]) * robot.metric)
        if steps.max(axis=1, initial=0.0).min(initial=np.inf) > apart[goal]:
            same.append(i)
            kept.append(i)
    return kept
