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
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffplan.certificate.interpolation import swerve
from diffplan.certificate.motion_bound import Cover, farthest
from diffplan.curves import hermite
from diffplan.geometry.pose import Float, Pose
from diffplan.problem import Trajectory
from diffplan.robot.model import Robot, Tool

_ROUNDING = 1e-9  # [m, rad] of our kinematics


@dataclass(frozen=True, kw_only=True, eq=False)
class FrameMotion:
    """A frame at the samples, and how far it strays in each step.

    `poses` are T_world_frame [n, 4, 4]. For each step [n - 1]: `sag_m` bounds how far its origin is from the chord
    between its places at the two samples, at the same u, on straight joint lines; `turn_rad` the sum of the turns of
    the joints that carry it; `aside_m` and `aside_rad` how far the cubic's frame is from that of the straight line.
    """

    poses: Float
    sag_m: Float
    turn_rad: Float
    aside_m: Float
    aside_rad: Float

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
        turned = steps * turns
        before = np.cumsum(turned, axis=1) - turned
        bend = (farthest(robot, centre, q)[:, 0] * steps * (turned + 2 * before)).sum(axis=1)
        deviations = hermite.deviations(trajectory.time, q, trajectory.velocity)
        return FrameMotion(
            poses=robot_base.matrix @ robot.link_pose(q, frame.link) @ frame.pose.matrix,
            sag_m=bend / 8 + _ROUNDING,
            turn_rad=turned.sum(axis=1) + _ROUNDING,
            aside_m=swerve(robot, centre, trajectory)[:, 0].sum(axis=1),
            aside_rad=(deviations[:, chain.source] * np.abs(chain.factor) * carried * turns).sum(axis=1),
        )


def greater_end(values: Float) -> Float:
    """Return the greater of the values [n] at the two ends of each step [n - 1]."""
    return np.maximum(values[:-1], values[1:])
