"""Curves of a plan: position, velocity and acceleration of every joint, with their limits."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from diffplan import arguments
from diffplan.errors import InputError
from diffplan.geometry.pose import Float
from diffplan.problem import Plan, Trajectory
from diffplan.robot.model import Robot
from diffplan.system.files import write_bytes
from diffplan.system.progress import working

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_KINDS = (".png", ".svg", ".pdf")
_CURVE = "#2f6f9f"
_LIMIT = "#c0392b"
_OTHER = "#b8bec6"


def plot_joints(plan: Plan, file: str | Path) -> None:
    """Draw a row of three curves for each joint: position, velocity, acceleration over time; limits dashed.

    Alternatives are thin grey curves behind.

    Raises:
        InputError: if the plan has no trajectory, or the file's kind is another.
    """
    file, plan = arguments.path(file, "file"), arguments.instance(plan, Plan, "plan", allowed="a Plan")
    if plan.trajectory is None:
        raise InputError(f"the plan has no trajectory to draw ({plan.status.value})", file=file)
    if file.suffix.lower() not in _KINDS:
        raise InputError("cannot draw this kind of file", value=file.suffix, file=file, allowed=_KINDS)
    with working(f"drawing {file.name}"):
        write_bytes(file, _drawn(plan, plan.trajectory, file.suffix[1:].lower()))


def _drawn(plan: Plan, trajectory: Trajectory, kind: str) -> bytes:
    """Return the picture of a plan's joints as a file of this kind."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    robot = plan.robot
    figure = Figure(figsize=(11.0, 1.5 * robot.dof + 0.8), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(robot.dof, 3, sharex=True, squeeze=False)
    for joint in range(robot.dof):
        _draw_joint(list(grid[joint]), robot, trajectory, joint)
        for other in plan.alternatives:
            for axes, values in zip(grid[joint], _curves(other.trajectory), strict=True):
                axes.plot(other.trajectory.time, values[:, joint], color=_OTHER, linewidth=0.9, zorder=1)
    for axes in grid[-1]:
        axes.set_xlabel("time [s]")
    figure.suptitle(f"{robot.name} in {plan.scene.name}: {plan.status.value}, {trajectory.duration:.2f} s")
    picture = io.BytesIO()
    figure.savefig(picture, dpi=110, format=kind)
    return picture.getvalue()


def _curves(trajectory: Trajectory) -> tuple[Float, Float, Float]:
    return trajectory.position, trajectory.velocity, trajectory.acceleration


def _draw_joint(row: list[Axes], robot: Robot, trajectory: Trajectory, joint: int) -> None:
    unit = "m" if robot.prismatic[joint] else "rad"
    curves = (
        ("position", unit, trajectory.position, robot.lower[joint], robot.upper[joint]),
        ("velocity", f"{unit}/s", trajectory.velocity, -robot.velocity[joint], robot.velocity[joint]),
        ("acceleration", f"{unit}/s²", trajectory.acceleration, -robot.acceleration[joint], robot.acceleration[joint]),
    )
    for axes, (name, unit_of, values, low, high) in zip(row, curves, strict=True):
        axes.plot(trajectory.time - trajectory.time[0], values[:, joint], color=_CURVE, linewidth=1.4)
        for limit in (low, high):
            if np.isfinite(limit):
                axes.axhline(limit, color=_LIMIT, linestyle="--", linewidth=0.9)
        axes.grid(alpha=0.25, linewidth=0.6)
        axes.tick_params(labelsize=7)
        axes.set_ylabel(f"[{unit_of}]", fontsize=7)
        if joint == 0:
            axes.set_title(name, fontsize=10)
    row[0].set_ylabel(f"{robot.joint_names[joint]}\n[{unit}]", fontsize=7)
