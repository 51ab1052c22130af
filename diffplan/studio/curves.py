"""Curves of a plan for the studio's panel: clearance and joint positions over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from diffplan.geometry.pose import Float
from diffplan.problem import Plan

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_MOST = 150  # samples of a curve


def curves(plan: Plan | None, clearance: tuple[Float, Float] | None) -> Figure:
    """Return the least clearance [mm] and the joint positions [rad or m] over time [s]; empty without a motion."""
    from plotly.graph_objects import Scatter
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.08, row_heights=[0.4, 0.6])
    figure.update_layout(margin={"l": 46, "r": 8, "t": 8, "b": 34}, font={"size": 10}, legend={"font": {"size": 9}})
    figure.update_yaxes(title_text="clearance [mm]", row=1, col=1)
    figure.update_yaxes(title_text="joints [rad, m]", row=2, col=1)
    figure.update_xaxes(title_text="time [s]", row=2, col=1)
    if plan is None or plan.trajectory is None:
        return figure
    if clearance is not None:
        times, values = clearance
        line = {"color": "#2f6f9f", "width": 1.5}
        figure.add_trace(Scatter(x=times, y=1000 * values, line=line, name="clearance", showlegend=False), row=1, col=1)
    motion = plan.trajectory
    times = np.linspace(motion.time[0], motion.time[-1], min(_MOST, len(motion.time)))
    for name, values in zip(plan.robot.joint_names, motion.at(times).position.T, strict=True):
        figure.add_trace(Scatter(x=times, y=values, name=name, line={"width": 1.2}), row=2, col=1)
    return figure
