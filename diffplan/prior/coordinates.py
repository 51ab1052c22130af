"""What a prior diffuses: the coordinates x of paths, and the way between them and joint positions.

A prior of one robot diffuses joint positions normalised by the limits (`Normalised`), the common prior the deviation
from the straight line between start and goal (`Deviations`). Samplers and wrappers know x only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import Tensor

from diffplan.curves import spline
from diffplan.geometry.pose import Float
from diffplan.robot.model import Robot


class Coordinates(ABC):
    """Coordinates x [b, K, dof] of a batch of paths from one start [dof] to goals [b, dof].

    Methods take the batch, or as many of its first paths as they are given.
    """

    def __init__(self, robot: Robot, start: Float, goals: Float) -> None:
        self.robot, self.start, self.goals = robot, start, goals

    @abstractmethod
    def encode(self, control: Float) -> Float:
        """Return x of control points [b, K, dof] (rad or m)."""

    @abstractmethod
    def decode(self, x: Float) -> Float:
        """Return the control points [b, K, dof] (rad or m) of x; limits are not kept."""

    @abstractmethod
    def within(self, x: Float) -> Float:
        """Return x with its control points moved to the nearest within the joint limits."""

    @property
    @abstractmethod
    def ends(self) -> tuple[Tensor, Tensor]:
        """The start and the goals in x, each [dof] or [b, dof] float32: what `Inpainted` holds."""

    @abstractmethod
    def normalised(self, x: Tensor) -> Tensor:
        """Return the positions normalised by the limits [b, K, dof] of x."""

    @abstractmethod
    def slope(self, gradient: Tensor) -> Tensor:
        """Return a gradient [b, K, dof] by x, given the gradient by normalised positions."""

    def paths(self, x: Tensor) -> Float:
        """Return the control points [b, K, dof] of x within the limits, from the start to the goals exactly."""
        control = self.decode(self.within(x.numpy().astype(np.float64)))
        control[:, 0], control[:, -1] = self.start, self.goals
        return control


class Normalised(Coordinates):
    """Joint positions in [-1, 1] between the joint limits."""

    def encode(self, control: Float) -> Float:
        """Return x of control points [b, K, dof] (rad or m)."""
        return self.robot.normalise(control)

    def decode(self, x: Float) -> Float:
        """Return the control points [b, K, dof] (rad or m) of x; limits are not kept."""
        return self.robot.denormalise(x)

    def within(self, x: Float) -> Float:
        """Return x with its control points moved to the nearest within the joint limits."""
        return np.clip(x, -1.0, 1.0)

    @property
    def ends(self) -> tuple[Tensor, Tensor]:
        """The start [dof] and the goals [b, dof] in x."""
        start, goals = (torch.from_numpy(self.robot.normalise(q)).float() for q in (self.start, self.goals))
        return start, goals

    def normalised(self, x: Tensor) -> Tensor:
        """Return x."""
        return x

    def slope(self, gradient: Tensor) -> Tensor:
        """Return the gradient."""
        return gradient


class Deviations(Coordinates):
    """How far paths are from the straight lines between their ends, in the joints' units (`Arm.unit`: rad or m).

    Nothing absolute is in x, so that it means the same for every arm, and its ends are 0.
    """

    def __init__(self, robot: Robot, start: Float, goals: Float, *, unit: Float, horizon: int) -> None:
        super().__init__(robot, start, goals)
        self.unit, self.line = unit, spline.straight(start, goals, horizon)

    def encode(self, control: Float) -> Float:
        """Return x of control points [b, K, dof] (rad or m)."""
        return (control - self.line[: len(control)]) / self.unit

    def decode(self, x: Float) -> Float:
        """Return the control points [b, K, dof] (rad or m) of x; limits are not kept."""
        return self.line[: len(x)] + self.unit * x

    def within(self, x: Float) -> Float:
        """Return x with its control points moved to the nearest within the joint limits."""
        return self.encode(np.clip(self.decode(x), self.robot.lower, self.robot.upper))

    @property
    def ends(self) -> tuple[Tensor, Tensor]:
        """Zeros."""
        return torch.zeros(self.robot.dof), torch.zeros(self.robot.dof)

    def normalised(self, x: Tensor) -> Tensor:
        """Return the positions normalised by the limits [b, K, dof] of x."""
        return torch.from_numpy(self.robot.normalise(self.decode(x.numpy().astype(np.float64)))).float()

    def slope(self, gradient: Tensor) -> Tensor:
        """Return a gradient [b, K, dof] by x, given the gradient by normalised positions."""
        return gradient * torch.from_numpy(2 * self.unit / (self.robot.upper - self.robot.lower)).to(gradient)
