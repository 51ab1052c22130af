"""Certified motions for controllers: tables (CSV) and ROS messages (YAML), written whole or not at all."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import yaml

from diffplan.errors import InputError
from diffplan.problem import Plan, Trajectory
from diffplan.system.files import write_text

RATES = ("position", "velocity", "acceleration")
"""What a row tells of each joint, in this order."""


def write_csv(plan: Plan, path: Path, hz: float | None) -> None:
    """Write the motion as a table: columns `time_s`, `JOINT position`, `JOINT velocity`, `JOINT acceleration`.

    Numbers are written in full, so that what is read back is the same to the bit. Units are s, rad or m.

    Args:
        plan: a solved plan.
        path: the file.
        hz: rows a second; None writes the samples of the plan.

    Raises:
        InputError: if the plan is not solved, for a rate that makes no sense, or if the file cannot be written.
    """
    motion, names = _motion(plan, hz), plan.robot.joint_names
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["time_s", *(f"{name} {rate}" for rate in RATES for name in names)])
    for row in zip(motion.time.tolist(), *(getattr(motion, rate).tolist() for rate in RATES), strict=True):
        table.writerow([row[0], *row[1], *row[2], *row[3]])
    write_text(path, text.getvalue())


def write_ros(plan: Plan, path: Path, hz: float | None) -> None:
    """Write the motion as a message `trajectory_msgs/msg/JointTrajectory` in YAML, as `ros2 topic pub` takes it.

    Times are rounded to a nanosecond. The arguments and errors are those of `write_csv`.
    """
    motion = _motion(plan, hz)
    points: list[dict[str, object]] = []
    for i, time in enumerate((motion.time - motion.time[0]).tolist()):
        seconds, nanoseconds = divmod(round(1e9 * time), 10**9)
        points.append(
            {
                "positions": motion.position[i].tolist(),
                "velocities": motion.velocity[i].tolist(),
                "accelerations": motion.acceleration[i].tolist(),
                "effort": [],
                "time_from_start": {"sec": seconds, "nanosec": nanoseconds},
            }
        )
    message = {
        "header": {"stamp": {"sec": 0, "nanosec": 0}, "frame_id": ""},
        "joint_names": list(plan.robot.joint_names),
        "points": points,
    }
    write_text(path, yaml.safe_dump(message, sort_keys=False, default_flow_style=None, width=2**20))


def _motion(plan: Plan, hz: float | None) -> Trajectory:
    """Return what is to be written.

    Raises:
        InputError: if the plan is not solved, does not begin and end at rest, or for a rate that makes no sense.
    """
    if not plan.solved or plan.trajectory is None:
        allowed = "solved plans: only certified motions are written for controllers"
        raise InputError("this plan is not solved", value=plan.status.value, allowed=allowed)
    plan.expect_rest()
    return plan.trajectory if hz is None else plan.trajectory.sampled(hz)
