"""What the scene says about a path: the collision gradient in joint space, fed back to the network as channels.

No scene encoder: the kernel sees obstacles of any kind and number, and tells the network at every control point
which way is out, how far, and how much room there is.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from diffplan.collision.cpu import CollisionModel, Obstacles
from diffplan.curves import spline
from diffplan.geometry.pose import Float
from diffplan.refinement import covariant_step

ACTIVATION = 0.06
"""Distance [m] below which the network feels an obstacle."""
_REACH = 0.3  # longest joint displacement [rad] that a channel shows
_SCALE = 8.0  # brings normalised displacements to about one


def unseen(x0: Tensor, scene_of: Tensor) -> Tensor:
    """Return features [b, K, 0] of x0 [b, K, dof]: nothing is fed back but the estimate itself."""
    return x0[..., :0]


def clearing_steps(
    model: CollisionModel, world: Obstacles, control: Float, scene_of: np.ndarray
) -> tuple[Float, Float, Float]:
    """Return what the scenes say about control points [b, K, dof] (rad or m), sample i in scene `scene_of[i]`.

    The step *against* which each point alone would be cleared, by the capped Newton step spread to the control points
    [b, K, dof]; the same for the whole curve through the smoothing metric (a capped Polyak step) [b, K, dof]; clearance
    over `ACTIVATION`, in [-1, 1] [b, K, 1].
    """
    n, joints = control.shape[1], model.robot.metric
    matrix = spline.basis(n, 2 * n - 1)
    result = model.evaluate(
        world, (matrix @ control).astype(np.float32), scene_of, activation=ACTIVATION, self_activation=0.02
    )
    slope = matrix[:, 1:-1].T @ result.gradient.astype(np.float64)
    gradient = result.gradient.astype(np.float64) / joints
    newton = gradient * (2 * result.cost / ((gradient**2).sum(axis=2) + 1e-9))[..., None]
    newton *= np.minimum(1.0, _REACH / (np.abs(newton).max(axis=2, keepdims=True) + 1e-9)) / joints
    spread = matrix / matrix.sum(axis=0)
    step = covariant_step(result.cost[:, 1:-1].sum(axis=1).astype(np.float64), slope, _REACH, joints)
    room = spread.T @ np.minimum(result.clearance, 3 * result.self_clearance)[..., None] / ACTIVATION
    return spread.T @ newton, np.pad(step, ((0, 0), (1, 1), (0, 0))), np.clip(room, -1, 1)


class Feedback:
    """Maps clean estimates x0 [b, K, dof] (normalised) to features [b, K, 2 dof + 1], each in its own scene.

    Channels: the step that would clear each point alone [dof]; that of the whole curve [dof]; the clearance (see
    `clearing_steps`).
    """

    def __init__(self, model: CollisionModel, world: Obstacles) -> None:
        self.model, self.world = model, world
        robot = model.robot
        self.half_range = (robot.upper - robot.lower) / 2
        self.channels = 2 * robot.dof + 1

    def __call__(self, x0: Tensor, scene_of: Tensor) -> Tensor:
        """Return features [b, K, channels] of x0 [b, K, dof]; not differentiable."""
        control = self.model.robot.denormalise(x0.detach().cpu().numpy().astype(np.float64))
        local, whole, room = clearing_steps(self.model, self.world, control, scene_of.cpu().numpy())
        moves = -np.concatenate([local / self.half_range, whole / self.half_range], axis=2) * _SCALE
        features = np.concatenate([moves, room], axis=2)
        return torch.from_numpy(features.astype(np.float32)).to(x0.device)
