"""How a frame on a link moves between two samples: bounds on how far it is from the straight way.

Let v_k(u), u in [0, 1], be the values of the moving joints on one straight piece of a joint path, dv_k their steps. A
point p on the link has dp/dv_k = j_k: a_k x (p - o_k) for a joint that turns about a_k through o_k, |j_k| <= R_k, the
point's distance from the axis, and a_k for one that slides, |j_k| = 1 =: R_k. Turning about an axis k nearer to the
base turns j_m with it, sliding leaves it as it is: for k at or before m in the chain

    d2p / dv_k dv_m = a_k x j_m,  at most R_m in norm, or 0 where k slides;

and the order of derivation does not matter. As v is linear in u,

    |p''(u)| <= sum over m of  R_m |dv_m| (|dv_m|_turns + 2 sum over k before m of |dv_k|_turns)  =: bend.

The same holds for R(u) e, a unit vector e fixed to the link: no joint's derivative exceeds 1 in norm, and
|(R e)''| <= turn^2, with turn the sum of |dv_k| over the joints that turn.

A twice differentiable curve c in space is at most max |c''| / 8 from its chord at the same u: for every unit vector w,
w.c minus its chord vanishes at both ends, so it is at most u (1 - u) / 2 times its greatest second derivative. And its
derivative is at most max |c''| / 2 from the chord's.

The cubic through the samples is beside the straight piece at the same time by at most `aside_m` in position
(interpolation.py), and by `aside_rad`, the sum of its joints' deviations, in orientation.

Speed. The velocity dp/dt is within h^2 / 8 max |d3p/dt3| of its chord over a step of the time h, hence at most that of
the faster end plus as much. With x, y, z the greatest rates, accelerations and (constant) jerks of the moving joints

    |d3p/dt3| <= sum of R_k z_k + 3 sum over k, m of R_later x_k y_m + sum over k, m, l of R_latest x_k x_m x_l,

by the chain rule; as above, a joint that slides counts only as the latest, and there once. On the straight line the
rates are dv / h and the rest is 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffplan.certificate.interpolation import beside
from diffplan.certificate.motion_bound import Cover, farthest
from diffplan.curves.steps import Steps
from diffplan.geometry.pose import Float, Pose
from diffplan.ik import point_jacobian
from diffplan.problem import Trajectory
from diffplan.robot.model import Robot, Tool

_ROUNDING = 1e-9  # [m, rad] of our kinematics


@dataclass(frozen=True, kw_only=True, eq=False)
class FrameMotion:
    """A frame at the samples, and how far it strays in each step.

    `poses` are T_world_frame [n, 4, 4]. For each step [n - 1]: `sag_m` bounds how far its origin is from the chord
    between its places at the two samples, at the same u, on straight joint lines; `turn_rad` the sum of the turns of
    the joints that carry it; `aside_m` and `aside_rad` how far the cubic's frame is from that of the straight line;
    `speed` how fast its origin is at most on either (m/s).
    """

    poses: Float
    sag_m: Float
    turn_rad: Float
    aside_m: Float
    aside_rad: Float
    speed: Float

    @staticmethod
    def of(robot: Robot, robot_base: Pose, frame: Tool, trajectory: Trajectory) -> FrameMotion:
        """Return the motion of a frame in the world, with the robot's base there."""
        q, chain = trajectory.position, robot.chain
        body, T_body_link = chain.placement[frame.link]
        point = (T_body_link @ frame.pose.matrix)[:3, 3]
        centre = Cover(
            centre=point[None, None], radius=np.full((1, 1), _ROUNDING), body=np.array([body]), inner=(point[None],)
        )
        carried, turns = chain.carried[body], ~chain.prismatic
        steps = np.abs(np.diff(chain.values(q), axis=0)) * carried
        straight = farthest(robot, centre, q)[:, 0]
        sag = _pairs(straight, steps, steps, turns) / 8 + _ROUNDING
        reach, aside = beside(robot, centre, trajectory)
        reach, aside = reach[:, 0], aside * carried
        poses = robot_base.matrix @ robot.link_pose(q, frame.link) @ frame.pose.matrix
        h = np.diff(trajectory.time)
        J, way = point_jacobian(robot, frame, q), np.diff(q, axis=0)[..., None]
        ends = np.maximum(*(np.linalg.norm((side @ way)[..., 0], axis=1) for side in (J[:-1], J[1:])))
        on_line = (ends + _triples(straight, steps, turns) / 8) / h
        ends = greater_end(np.linalg.norm((J @ trajectory.velocity[..., None])[..., 0], axis=1))
        on_cubic = ends + h**2 / 8 * _jolt(robot, reach, carried, trajectory)
        return FrameMotion(
            poses=poses,
            sag_m=sag,
            turn_rad=(steps * turns).sum(axis=1) + _ROUNDING,
            aside_m=(reach * aside).sum(axis=1),
            aside_rad=(aside * turns).sum(axis=1),
            speed=np.maximum(on_line, on_cubic),
        )


def _pairs(reach: Float, x: Float, y: Float, turns: np.ndarray) -> Float:
    """Return the sum over joints k, m of R_later x_k y_m [n], with x, y and R [n, moving], as the module says."""
    turned, other = x * turns, y * turns
    before, other_before = np.cumsum(turned, axis=1) - turned, np.cumsum(other, axis=1) - other
    return (reach * (x * (other + other_before) + y * before)).sum(axis=1)


def _triples(reach: Float, x: Float, turns: np.ndarray) -> Float:
    """Return the sum over joints k, m, l of R_latest x_k x_m x_l [n], likewise."""
    turned = x * turns
    before = np.cumsum(turned, axis=1) - turned
    latest = np.where(turns, (before + x) ** 3 - before**3, 3 * x * before**2)
    return (reach * latest).sum(axis=1)


def _jolt(robot: Robot, reach: Float, carried: np.ndarray, trajectory: Trajectory) -> Float:
    """Bound the third derivative [n - 1] of the frame's origin by time on the cubics (m/s^3)."""
    chain, found = robot.chain, Steps.of(trajectory.time, trajectory.position, trajectory.velocity)
    ends = found.at_ends
    moving = chain.source, np.abs(chain.factor) * carried
    rate = found.speed[:, moving[0]] * moving[1]
    acceleration = np.abs(ends).max(axis=1)[:, moving[0]] * moving[1]
    jerk = (np.abs(np.diff(ends, axis=1)[:, 0]) / np.diff(trajectory.time)[:, None])[:, moving[0]] * moving[1]
    turns = ~chain.prismatic
    crossed = 3 * _pairs(reach, rate, acceleration, turns)
    return (reach * jerk).sum(axis=1) + crossed + _triples(reach, rate, turns)


def greater_end(values: Float) -> Float:
    """Return the greater of the values [n] at the two ends of each step [n - 1]."""
    return np.maximum(values[:-1], values[1:])
