"""Why a proof about the straight lines between samples holds for the cubics too.

At the same time the cubic through positions and velocities (hermite.py) is at most `Steps.off` from the straight
line, joint by joint (a follower of a planning joint by its factor times that). On the straight way from the one
configuration to the other a point of a link therefore travels at most the sum over the joints of R'_k *
deviation_k, where R'_k is R_k of `motion_bound`, good for the line, plus what the joints beyond k can add on that short
way. Where the line keeps a clearance greater than this, the cubic keeps the rest of it.
"""

from __future__ import annotations

import numpy as np

from diffplan.certificate import moves
from diffplan.certificate.motion_bound import Cover, farthest
from diffplan.curves.steps import Steps
from diffplan.geometry.pose import Float
from diffplan.problem import Trajectory
from diffplan.robot.model import Robot


def swerve(robot: Robot, shapes: Cover, trajectory: Trajectory, reach: Float | None = None) -> Float:
    """Bound how far because of each moving joint a link's points are off the straight lines, at the same time.

    `reach` is what `farthest` says of its positions, if it is known.

    Returns:
        [n - 1, links, moving] in m for the steps of the trajectory.
    """
    reach, aside = beside(robot, shapes, trajectory, reach)
    return reach * aside[:, None]


def beside(robot: Robot, shapes: Cover, trajectory: Trajectory, reach: Float | None = None) -> tuple[Float, Float]:
    """Return R'_k [n - 1, links, moving] (m; 1 for a joint that slides), good for the lines, for the cubics and for the
    straight ways between them, and the deviations [n - 1, moving] (rad or m).
    """
    chain = robot.chain
    deviations = Steps.of(trajectory.time, trajectory.position, trajectory.velocity).off
    aside = deviations[:, chain.source] * np.abs(chain.factor)
    reach = farthest(robot, shapes, trajectory.position) if reach is None else reach
    return moves.widened(moves.Joints.of(chain), shapes.spheres, reach, np.ascontiguousarray(aside)), aside
