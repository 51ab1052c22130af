"""The common prior's input: for every joint and control point what path, scene and arm are there; and its symmetries.

An arm may be described with a joint turning the other way, with its base turned, as its mirror image, and a path may be
run backwards: nothing real changes, so the input changes by a rule (`Symmetry`), which training draws at random.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from diffplan.collision.obstacles import Obstacles
from diffplan.geometry.pose import Float
from diffplan.prior.arm import BODY, Arm
from diffplan.prior.feedback import clearing_steps
from diffplan.prior.jointwise import JointwiseUnet
from diffplan.prior.tokens import Context, SceneTokens

TOLD = 3 + BODY
"""Channels of `Sight.look`: step of the point, step of the whole curve, clearance, and those of `Arm.along`."""
_STEP = 8.0  # brings steps to about one
_ESTIMATE = 4.0  # deviations from the line are small: a quarter and less

# Channels of the input. Those before `_AXIS` and the two vectors from there on change their sign with the joint's
# direction; the room to the two limits changes places.
_PATH, _AXIS, _MOTION, _PLACE, _LOW, _HIGH = 7, 7, 10, 13, 16, 17
_DELTA, _ODD = 2, 13
_SLIDES = 21
CHANNELS = 23


class Sight:
    """What the network sees of a batch of paths of one arm, each in its scene.

    Args:
        arm: the arm.
        world: obstacles of the scenes.
        line: the straight lines between the ends, as control points [b, K, dof] (rad or m).
        scene_of: the scene [b] of every path.
    """

    def __init__(self, arm: Arm, world: Obstacles, line: Float, scene_of: np.ndarray) -> None:
        self.arm, self.world, self.line, self.scene_of = arm, world, line, scene_of
        self.delta = torch.from_numpy((line[:, -1] - line[:, 0]) / arm.unit).float()
        self.line_told = self._told(line, scene_of)

    def look(self, y: Tensor, rows: Tensor | None = None) -> Tensor:
        """Return what scene and arm say about paths, `TOLD` channels [b, dof, K, TOLD].

        The paths are given by their deviations from the lines y [b, K, dof]; `rows` says which of the batch they are.
        """
        chosen = slice(None) if rows is None else rows.numpy()
        control = self.line[chosen] + self.arm.unit * y.detach().numpy().astype(np.float64)
        return self._told(control, self.scene_of[chosen])

    def input(self, y_t: Tensor, y: Tensor, told: Tensor, shown: Tensor, rows: Tensor | None = None) -> Tensor:
        """Return the network's input [b, dof, K, CHANNELS].

        Args:
            y_t: noisy deviations [b, K, dof].
            y: the clean estimate before [b, K, dof].
            told: what `look` says about it.
            shown: whether each sample [b] sees its scene and its estimate; the others see the line, in no scene.
            rows: which of the batch these are (default: all).
        """
        chosen = slice(None) if rows is None else rows
        line_told, delta = self.line_told[chosen], self.delta[chosen]
        b, k, dof = y_t.shape
        flag = shown.to(y_t)[:, None, None, None].expand(b, dof, k, 1)
        body = torch.where(shown[:, None, None, None], told[..., 3:], line_told[..., 3:])
        constant = torch.from_numpy(np.stack([self.arm.share, self.arm.model.robot.prismatic])).to(y_t)
        parts = (
            y_t.transpose(1, 2)[..., None],
            _ESTIMATE * y.transpose(1, 2)[..., None] * flag,
            delta[:, :, None, None].expand(b, dof, k, 1),
            told[..., :2] * flag,
            line_told[..., :2] * flag,
            body,
            told[..., 2:3] * flag,
            line_told[..., 2:3] * flag,
            constant.T[None, :, None].expand(b, dof, k, 2),
            flag,
        )
        return torch.cat(parts, dim=3)

    def _told(self, control: Float, scene_of: np.ndarray) -> Tensor:
        local, whole, room = clearing_steps(self.arm.model, self.world, control, scene_of)
        out = np.empty((len(control), control.shape[2], control.shape[1], TOLD), np.float32)
        out[..., 0] = (-_STEP * local / self.arm.unit).transpose(0, 2, 1)
        out[..., 1] = (-_STEP * whole / self.arm.unit).transpose(0, 2, 1)
        out[..., 2] = room.transpose(0, 2, 1)
        out[..., 3:] = self.arm.along(control)
        return torch.from_numpy(out)


@dataclass(frozen=True, kw_only=True, eq=False)
class Symmetry:
    """Another description of the same paths of the same arm, for each sample of a batch.

    `sign` [b, dof] is -1 where a joint turns (slides) the other way. `rotation` [b, 3, 3] turns the base about z, or
    mirrors it too (determinant -1): the mirrored arm moves along the mirrored path with the same joint values. Where
    `back` [b] is true the path runs backwards.
    """

    sign: Tensor
    rotation: Tensor
    back: Tensor

    @staticmethod
    def draw(batch: int, dof: int, generator: torch.Generator) -> Symmetry:
        """Return a random one: everything by halves, any angle."""
        angle = 2 * torch.pi * torch.rand(batch, generator=generator)
        half = torch.rand((batch, dof + 2), generator=generator) < 0.5
        mirror = 1.0 - 2.0 * half[:, 0].float()
        c, s, none = angle.cos(), angle.sin(), torch.zeros(batch)
        rows = (c, -s * mirror, none, s, c * mirror, none, none, none, torch.ones(batch))
        rotation = torch.stack(rows, dim=1).view(batch, 3, 3)
        return Symmetry(sign=1.0 - 2.0 * half[:, 2:].float(), rotation=rotation, back=half[:, 1])

    def rows(self, rows: Tensor) -> Symmetry:
        """Return the symmetry of some samples."""
        return Symmetry(sign=self.sign[rows], rotation=self.rotation[rows], back=self.back[rows])

    def input(self, x: Tensor) -> Tensor:
        """Return the network's input [b, dof, K, CHANNELS] for the other description, given that for this one."""
        b, dof, k, _ = x.shape
        x = torch.where(self.back[:, None, None, None], x.flip(2), x)
        turn = self.rotation.transpose(1, 2)[:, None]
        slides = x[:, :, 0, _SLIDES] > 0.5
        # what a joint turns about is mirrored the other way round than a direction
        handed = torch.where(slides, 1.0, torch.linalg.det(self.rotation)[:, None])[:, :, None, None]
        for first in (_AXIS, _MOTION, _PLACE):
            vectors = (x[..., first : first + 3].reshape(b, 1, dof * k, 3) @ turn).view(b, dof, k, 3)
            x[..., first : first + 3] = vectors * handed if first == _AXIS else vectors
        x[..., :_ODD] *= self.sign[:, :, None, None]
        x[..., _DELTA] *= torch.where(self.back, -1.0, 1.0)[:, None, None]
        low, high, swapped = x[..., _LOW].clone(), x[..., _HIGH], (self.sign < 0)[:, :, None]
        x[..., _LOW], x[..., _HIGH] = torch.where(swapped, high, low), torch.where(swapped, low, high)
        return x

    def output(self, y: Tensor) -> Tensor:
        """Return deviations [b, dof, K] for this description, given those for the other one."""
        return torch.where(self.back[:, None, None], y.flip(2), y) * self.sign[:, :, None]

    def tokens(self, tokens: SceneTokens) -> SceneTokens:
        """Return the obstacles of each sample [b, ...] for the other description."""
        return tokens.turned(self.rotation)


class Redescribed:
    """The network asked through other descriptions of what it is shown: `(x, t, context) -> y`, as the network."""

    def __init__(self, net: JointwiseUnet, symmetry: Symmetry) -> None:
        self.net, self.symmetry = net, symmetry

    def __call__(self, x: Tensor, t: Tensor, context: Context | None = None) -> Tensor:
        """Return deviations [b, dof, K] for inputs [b, dof, K, CHANNELS] at steps t [b]."""
        return self.symmetry.output(self.net(self.symmetry.input(x), t, context))
