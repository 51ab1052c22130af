"""What planners ask of a prior, whether it is one robot's own or the common one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Protocol

from torch import Tensor

from diffplan.collision.cpu import CollisionModel
from diffplan.collision.obstacles import Obstacles
from diffplan.geometry.pose import Float
from diffplan.prior.coordinates import Coordinates
from diffplan.prior.schedule import Schedule
from diffplan.robot.model import Robot


class SelfConditioned(Protocol):
    """A denoiser that remembers its clean estimate [b, K, dof] for its next call; whoever improves it may assign it."""

    estimate: Tensor | None

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Return the clean estimate [b, K, dof] of x_t [b, K, dof] at step t [b]."""
        ...


class PathPrior(ABC):
    """A denoising network of paths with what is needed to use it."""

    schedule: Schedule
    variety: ClassVar[float] = 0.0
    """Up to how much [rad] the samples of a round are bent, the first not at all, where those are too much alike."""

    @property
    @abstractmethod
    def multiple(self) -> int:
        """The number of control points must be a multiple of this."""

    @abstractmethod
    def check(self, robot: Robot) -> None:
        """Make sure that the prior speaks of this robot.

        Raises:
            InputError: if it does not.
        """

    def remarks(self, model: CollisionModel, world: Obstacles, start: Float, goal: Float) -> tuple[str, ...]:
        """Return where robot, scene, start and goal are far from what the prior was trained on, if it tells."""
        return ()

    @abstractmethod
    def coordinates(self, model: CollisionModel, start: Float, goals: Float, horizon: int) -> Coordinates:
        """Return the coordinates of paths of `horizon` control points from start [dof] to goals [b, dof]."""

    @abstractmethod
    def denoiser(
        self,
        model: CollisionModel,
        world: Obstacles,
        coordinates: Coordinates,
        *,
        sees: bool,
        weight: float,
        estimate: Tensor | None = None,
    ) -> SelfConditioned:
        """Return the denoiser of a batch of paths in the first scene of `world`; ends go in and come out as they are.

        Args:
            model: the robot.
            world: the obstacles.
            coordinates: those of the batch.
            sees: whether the scene is shown to the network.
            weight: classifier-free guidance: x0 = free + weight (conditioned - free).
            estimate: the clean estimate [b, K, dof] that the first call sees, if it is not to be the straight line.
        """
