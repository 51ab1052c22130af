"""What a motion keeps of its constraints: proven bounds on the worst between the samples, linear and cubic.

Each rests on `frame_motion`: at the same u the frame is within `sag_m` of its chord, and the cubic's within `aside_m`
of that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from diffplan.certificate.frame_motion import FrameMotion, greater_end
from diffplan.constraints.kinds import Constraint, StayIn, Upright, frame
from diffplan.constraints.on_line import TOLERANCE_M, TOLERANCE_RAD, OnLine
from diffplan.geometry.pose import Float, Pose
from diffplan.geometry.shapes import Box
from diffplan.problem import Kept, Trajectory
from diffplan.robot.model import Robot


def kept_bounds(
    robot: Robot, robot_base: Pose, trajectory: Trajectory, constraints: Sequence[Constraint]
) -> tuple[Kept, ...]:
    """Return for each constraint its limit and a bound on the worst along the motion, in the order given.

    Of `upright` the tilt [rad], of `stay_in` how far the point is out of the box [m] (limit 0; negative inside), of
    `speed` the speed [m/s]. A line has two: of position [m] and of orientation [rad].
    """
    found: list[Kept] = []
    for constraint in constraints:
        name = constraint.name
        tool = constraint.tool if isinstance(constraint, OnLine) else frame(robot, constraint.link, name)
        motion = FrameMotion.of(robot, robot_base, tool, trajectory)
        if isinstance(constraint, OnLine):
            away, turned = on_line(constraint, motion)
            found.append(Kept(name=name, limit=TOLERANCE_M, worst=away, unit="m"))
            found.append(Kept(name=f"{name} orientation", limit=TOLERANCE_RAD, worst=turned, unit="rad"))
        elif isinstance(constraint, Upright):
            limit = math.radians(constraint.degrees)
            found.append(Kept(name=name, limit=limit, worst=tilt(constraint, motion), unit="rad"))
        elif isinstance(constraint, StayIn):
            found.append(Kept(name=name, limit=0.0, worst=out_of_box(constraint.box, motion), unit="m"))
        else:
            found.append(Kept(name=name, limit=constraint.limit, worst=float(motion.speed.max()), unit="m/s"))
    return tuple(found)


def broken(kept: Sequence[Kept]) -> str:
    """Return in words the first constraint that is not proven to be kept; empty if all are."""
    return next((f"{one.words} is not kept" for one in kept if not one.worst <= one.limit), "")


def on_line(constraint: OnLine, motion: FrameMotion) -> tuple[float, float]:
    """Bound how far the tool is from a line [m], and its orientation from that of the line at equal progress [rad].

    Progress s_i is that of the sample i, within [0, 1], and between two samples at u the mean (1 - u) s_i + u s_i+1, so
    that the line's position is linear in u. The chord minus it is linear too, hence longest at an end; `sag_m` and
    `aside_m` come on top.

    For every unit vector e of the tool, R e runs within turn^2 / 8 of its chord, and the line's within (angle ds)^2 / 8
    of its own. Two rotations that differ by the angle x move some e by 2 sin(x / 2), the most that they move any. So
    the greatest difference between R e and the line's is at most that at an end plus both eighths.

    Whoever measures the orientation at the progress of the position itself is at another s, by at most as much as the
    position is from its chord along the line, and where samples lie beyond its ends by as much as they do.
    """
    line, poses = constraint.segment, motion.poses
    found = line.progress(poses)
    s = np.clip(found, 0.0, 1.0)
    on = line.at(s)
    ends = line.at(np.array([0.0, 1.0]))
    away = np.linalg.norm(poses[:, :3, 3] - on[:, :3, 3], axis=1)
    end_away = np.linalg.norm(poses[[0, -1], :3, 3] - ends[:, :3, 3], axis=1)
    position = max(float((greater_end(away) + motion.sag_m + motion.aside_m).max()), float(end_away.max()))
    chord = 2 * np.sin(_angles(on, poses) / 2)
    chord = greater_end(chord) + (motion.turn_rad**2 + (line.angle * np.diff(s)) ** 2) / 8
    turned = 2 * np.arcsin(np.minimum(chord / 2, 1.0)) + motion.aside_rad
    if line.by_position:
        other = (motion.sag_m + motion.aside_m) / max(line.length, 1e-12) + greater_end(np.abs(found - s))
        turned += line.angle * other
    return position, max(float(turned.max()), float(_angles(ends, poses[[0, -1]]).max()))


def tilt(constraint: Upright, motion: FrameMotion) -> float:
    """Bound the angle between the vertical and the axis w = R a of a constraint whose axis is given (rad).

    |w''| <= turn^2, so the level part of w is at most that of the longer end plus turn^2 / 8, and its height at least
    that of the lower end less as much. The first bounds the sine of the tilt, good while the height is positive, the
    second its cosine; the cubic's axis is turned by at most `aside_rad` from that.
    """
    if constraint.axis is None:
        raise ValueError(f"{constraint.name} has no axis yet: its `at` gives it that of the start")
    w = motion.poses[:, :3, :3] @ np.asarray(constraint.axis)
    eighth = motion.turn_rad**2 / 8
    level = greater_end(np.linalg.norm(w[:, :2], axis=1)) + eighth
    height = np.minimum(w[:-1, 2], w[1:, 2]) - eighth
    by_height = np.arccos(np.clip(height, -1.0, 1.0))
    by_level = np.where((height > 0) & (level < 1), np.arcsin(np.minimum(level, 1.0)), np.pi)
    return float((np.minimum(by_height, by_level) + motion.aside_rad).max())


def out_of_box(box: Box, motion: FrameMotion) -> float:
    """Bound how far the frame's origin is beyond the farthest face of a box (m); negative inside.

    A distance from a face's plane is linear in the point, so along a chord it is greatest at an end.
    """
    T_box_world = np.linalg.inv(box.pose.matrix)
    points = motion.poses[:, :3, 3] @ T_box_world[:3, :3].T + T_box_world[:3, 3]
    beyond = (np.abs(points) - box.half_extents).max(axis=1)
    return float((greater_end(beyond) + motion.sag_m + motion.aside_m).max())


def _angles(a: Float, b: Float) -> Float:
    """Return the angles [n] between the rotations of poses a and b [n, 4, 4] (rad)."""
    between = a[:, :3, :3].transpose(0, 2, 1) @ b[:, :3, :3]
    skew = between - between.transpose(0, 2, 1)
    sine = np.linalg.norm(skew, axis=(1, 2)) / np.sqrt(8)
    return np.arctan2(sine, (np.trace(between, axis1=1, axis2=2) - 1) / 2)
