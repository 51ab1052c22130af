"""On what a gripper closes where it stands."""

from __future__ import annotations

import numpy as np

from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import Plane
from diffplan.scene import Scene
from diffplan.sequence.fingers import Fingers
from diffplan.sequence.grasps import PAD, parts_of
from diffplan.sequence.section import extent


def width_between(fingers: Fingers, scene: Scene, T_world_tool: Pose) -> float | None:
    """Return the width [m] at which pads that close together touch something between them; None if nothing is there."""
    T_world_pads = T_world_tool.matrix.copy()
    T_world_pads[:3, :3] = T_world_pads[:3, :3] @ fingers.frame
    widths = []
    for obstacle in scene.obstacles:
        if isinstance(obstacle, Plane):
            continue
        T = np.linalg.inv(T_world_pads) @ obstacle.pose.matrix
        found = extent([part.moved(T) for part in parts_of(obstacle)], (-fingers.half, fingers.half), (-PAD, PAD))
        if found is not None and 2 * max(found[1], -found[0]) < fingers.widest:
            widths.append(2 * max(found[1], -found[0]))
    return max(widths, default=None)
