"""Pictures of a batch of samples: the paths of the hand among the obstacles after each step, with and without guidance.

Two views of the robot's base frame, obstacles as outlines (but for a floor that would fill the view). A path is green
where the sphere model finds the whole motion clear of obstacles and of itself, red otherwise, so a hand's path may be
red because the elbow collides.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from scipy.spatial import ConvexHull

from diffplan.curves import spline
from diffplan.geometry.pose import Float
from diffplan.planners.diffusion import DiffusionConfig, DiffusionPlanner
from diffplan.planners.task import Task
from diffplan.problem import Problem
from diffplan.refinement import RefineConfig, Refiner
from diffplan.robot.model import Robot
from diffplan.scene import Scene, bodies
from diffplan.system.third_party import trimesh

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CLEAR, _COLLIDING = "#1a7f37", "#c0392b"
_OBSTACLE, _EDGE, _ARM = "#d8cfc0", "#7d7361", "#33475b"
_TRACE_POINTS = 64
_MARGIN = 0.12  # m
_AXES = "xyz"
_COLOURS = 64  # of a picture: a third of the size that it had with all


@dataclass(frozen=True, kw_only=True, eq=False)
class Stage:
    """A batch after a step: what the step is, control points [batch, n, dof], which paths are clear [batch]."""

    name: str
    control: Float
    clear: np.ndarray


def stages(problem: Problem, config: DiffusionConfig, *, batch: int, seed: int) -> list[Stage]:
    """Return a batch's clean estimate after each reverse step, then pushed out of collision, then the best drawn tight.

    Raises:
        InputError: if the robot has no prior.
    """
    planner = DiffusionPlanner(config)
    task = Task.of(problem)
    planner.prepare(task)
    refiner = Refiner(task.model, task.world, RefineConfig())
    goals = problem.goals[planner.share_out(problem, batch)]
    estimates: list[Float] = []
    generator = torch.Generator().manual_seed(seed)
    control = planner.sample(problem, refiner, goals, generator, watch=estimates.append)
    found = []
    for number, estimate in enumerate(estimates, start=1):
        *_, slack = refiner.evaluate(estimate, gradient=False)
        found.append(Stage(name=f"estimate {number} of {len(estimates)}", control=estimate, clear=slack >= 0))
    pushed = refiner.push(control)
    found.append(Stage(name="refined", control=pushed.control, clear=pushed.clear))
    clear = np.flatnonzero(pushed.clear)
    best = clear[np.argsort(pushed.length[clear], kind="stable")][: config.tighten_best]
    tight = refiner.tighten(pushed.control[best])
    found.append(Stage(name="the shortest, drawn tight", control=tight.control, clear=tight.clear))
    return found


def draw_samples(problem: Problem, *, batch: int = 24, seed: int = 0) -> list[tuple[str, bytes]]:
    """Return for each step its name and a PNG: without guidance above, with guidance below, in two views.

    Raises:
        InputError: if the robot has no prior.
    """
    config = DiffusionConfig()
    guided = replace(config, guidance_steps=max(1, config.guidance_steps))
    plain = stages(problem, replace(config, guidance_steps=0), batch=batch, seed=seed)
    rows = {"without": plain, "with": stages(problem, guided, batch=batch, seed=seed)}
    traces = {name: [tool_traces(problem.robot, stage.control) for stage in own] for name, own in rows.items()}
    views = _views(traces["with"][-2])
    everything = np.concatenate([trace.reshape(-1, 3) for own in traces.values() for trace in own])
    low = np.minimum(everything.min(axis=0), 0.0) - _MARGIN
    high = np.maximum(everything.max(axis=0), 0.0) + _MARGIN
    outlines = [[_outline(points, view) for points in _solids(problem.scene)] for view in views]
    return [
        (plain[i].name, _picture(problem, {n: (rows[n][i], traces[n][i]) for n in rows}, views, outlines, low, high))
        for i in range(len(plain))
    ]


def tool_traces(robot: Robot, control: Float) -> Float:
    """Return the end link's positions [batch, points, 3] in m, base frame, along paths [batch, n, dof]."""
    q = spline.basis(control.shape[1], _TRACE_POINTS) @ control
    return robot.link_pose(q.reshape(-1, robot.dof), robot.end_link)[:, :3, 3].reshape(len(q), _TRACE_POINTS, 3)


def _views(traces: Float) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the axes (right, up) of a view from above and of one from where the hands' paths look widest."""
    spread = traces.reshape(-1, 3).std(axis=0)
    return (0, 1), (int(spread[1] > spread[0]), 2)


def _solids(scene: Scene) -> list[Float]:
    """Return for each solid of a scene points [n, 3] of the robot's base frame of which it is the convex hull."""
    T_base_world = scene.robot_base.inverse()
    found = []
    for obstacle in scene.obstacles:
        for body in bodies(obstacle):
            for shape in body.shapes:
                here = replace(shape, pose=T_base_world @ body.pose @ shape.pose)
                near = here.near((0.0, 0.0, 0.0))
                found.append(trimesh.transform_points(near.surface().vertices, near.pose.matrix))
    return found


def _outline(points: Float, view: tuple[int, int]) -> Float:
    """Return the outline [m, 2] of points [n, 3] in a view."""
    flat = points[:, view]
    return flat[ConvexHull(flat).vertices]


def _picture(
    problem: Problem,
    rows: dict[str, tuple[Stage, Float]],
    views: tuple[tuple[int, int], tuple[int, int]],
    outlines: list[list[Float]],
    low: Float,
    high: Float,
) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.4, 4.4), dpi=140, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    grid = figure.subplots(len(rows), len(views), squeeze=False)
    for line, (name, (stage, traces)) in zip(grid, rows.items(), strict=True):
        for axes, view, shapes in zip(line, views, outlines, strict=True):
            window = np.array([low[list(view)], high[list(view)]])
            inside = [s for s in shapes if (s.min(axis=0) > window[0]).any() or (s.max(axis=0) < window[1]).any()]
            _draw(axes, problem, traces, stage.clear, view, inside)
            axes.set(xlim=window[:, 0], ylim=window[:, 1], aspect="equal")
        line[0].set_title(f"{name} guidance: {stage.clear.sum()} of {len(stage.clear)} clear", loc="left", fontsize=9)
    canvas.draw()
    stream = BytesIO()
    drawn = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    drawn.quantize(_COLOURS).save(stream, format="png", optimize=True)
    return stream.getvalue()


def _draw(
    axes: Axes, problem: Problem, traces: Float, clear: np.ndarray, view: tuple[int, int], outlines: list[Float]
) -> None:
    across, up = view
    for outline in outlines:
        axes.fill(*outline.T, facecolor=_OBSTACLE, edgecolor=_EDGE, alpha=0.5, linewidth=0.6)
    ends = (problem.start, problem.goals[0])
    for q, style in zip(ends, ("--", "-"), strict=True):
        bodies = problem.robot.body_poses(q)[0, :, :3, 3]
        arm = np.concatenate([bodies, problem.robot.link_pose(q, problem.robot.end_link)[:, :3, 3]])
        axes.plot(arm[:, across], arm[:, up], style, color=_ARM, linewidth=1.6, alpha=0.7)
        axes.plot(arm[-1, across], arm[-1, up], "o", color=_ARM, markersize=3.5)
    for colour, own in ((_COLLIDING, traces[~clear]), (_CLEAR, traces[clear])):
        for trace in own:
            axes.plot(trace[:, across], trace[:, up], color=colour, linewidth=0.8, alpha=0.8)
    axes.set_xlabel(f"{_AXES[across]} [m]", fontsize=7, labelpad=1)
    axes.set_ylabel(f"{_AXES[up]} [m]", fontsize=7, labelpad=1)
    axes.tick_params(labelsize=6.5, length=2, pad=1.5)
