"""Differentiable costs of curves q [batch, points, dof] -> [batch], and the user's own among them.

Costs compose when planning, without training anew: pass `Cost(name=..., function=...)` to `diffplan.plan`. A cost is at
least zero, and zero where there is nothing to wish for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from diffplan import arguments
from diffplan.collision.cpu import CollisionModel, Obstacles
from diffplan.collision.torch_backend import TorchCollision
from diffplan.constraints.kinds import Constraint
from diffplan.errors import InputError
from diffplan.geometry.pose import Float
from diffplan.robot.model import Robot

CurveCost: TypeAlias = Callable[[Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class Cost:
    """A named wish: `function` maps joint positions q [batch, points, dof] along curves to costs [batch] >= 0.

    `weight` says how many rad of path length one unit of the cost is worth. `constraint` is what is kept where it is
    given to `plan(constraints=...)` instead, if it can be.
    """

    name: str
    function: CurveCost
    weight: float = 1.0
    constraint: Constraint | None = None

    def __post_init__(self) -> None:
        if isinstance(self.name, str) and not self.name.strip():
            raise InputError("a cost needs a name", key="name", value=self.name)
        name = arguments.text(self.name, "Cost.name")
        if not callable(self.function):
            allowed = "a function of joint positions q [batch, points, dof] that returns costs [batch]"
            raise InputError("not a function", key=f"{name}.function", value=self.function, allowed=allowed)
        weight = arguments.real(self.weight, f"{name}.weight", allowed="finite and >= 0")
        if weight < 0:
            raise InputError("not a weight", key=f"{name}.weight", value=self.weight, allowed="finite and >= 0")
        object.__setattr__(self, "weight", weight)

    def __call__(self, q: Tensor) -> Tensor:
        """Return the unweighted costs [batch] of curves q [batch, points, dof].

        Raises:
            InputError: if the function returns another shape, or no tensor.
        """
        value = self.function(q)
        if not isinstance(value, Tensor):
            raise InputError("a cost must return a tensor", key=self.name, value=value, allowed="torch operations on q")
        if value.shape != q.shape[:1]:
            raise InputError(
                "a cost must return one value a curve",
                key=self.name,
                value=tuple(value.shape),
                allowed=f"shape {tuple(q.shape[:1])}",
            )
        return value


def smoothness(q: Tensor) -> Tensor:
    """Return the mean squared second difference [batch] of curves q [batch, points, dof] (rad^2)."""
    return (q[:, 2:] - 2 * q[:, 1:-1] + q[:, :-2]).square().sum(dim=2).mean(dim=1)


def joint_limits(robot: Robot, margin: float = 0.05) -> CurveCost:
    """Return the mean squared depth within `margin` [rad] of a joint limit, or beyond it."""

    def cost(q: Tensor) -> Tensor:
        lower, upper = (torch.as_tensor(v, dtype=q.dtype, device=q.device) for v in (robot.lower, robot.upper))
        depth = (lower + margin - q).clamp(min=0) + (q - upper + margin).clamp(min=0)
        return depth.square().sum(dim=2).mean(dim=1)

    return cost


def collision(
    model: CollisionModel, world: Obstacles, *, activation: float = 0.03, self_activation: float = 0.01
) -> CurveCost:
    """Return the collision cost (m^2, summed over the curve's points): compiled on the CPU, torch elsewhere."""

    @cache
    def twin(device: torch.device) -> TorchCollision:
        return TorchCollision(model.robot, device)

    def cost(q: Tensor) -> Tensor:
        if q.device.type == "cpu":
            value = _KernelCost.apply(q, model, world, activation, self_activation)
            assert isinstance(value, Tensor)
            return value
        value, *_ = twin(q.device).cost(world, q, activation=activation, self_activation=self_activation)
        return value.sum(dim=1)

    return cost


class _KernelCost(torch.autograd.Function):
    """The compiled kernel, which computes cost and gradient in one pass, as a differentiable function."""

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx,
        q: Tensor,
        model: CollisionModel,
        world: Obstacles,
        activation: float,
        self_activation: float,
    ) -> Tensor:
        result = model.evaluate(world, q.detach().numpy(), activation=activation, self_activation=self_activation)
        ctx.save_for_backward(torch.from_numpy(result.gradient).to(q.dtype))
        return torch.from_numpy(result.cost.sum(axis=1)).to(q.dtype)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *grads: Tensor) -> tuple[Tensor, None, None, None, None]:
        (gradient,) = ctx.saved_tensors  # pyright: ignore[reportAttributeAccessIssue]
        return grads[0][:, None, None] * gradient, None, None, None, None


def weighted_sum(costs: Sequence[Cost], q: Float) -> tuple[Float, Float]:
    """Return the weighted sum of costs [batch] of curves q [batch, points, dof] and its gradient [batch, points, dof].

    Raises:
        InputError: if a cost is not finite, or its gradient does not reach q.
    """
    curves = torch.from_numpy(np.ascontiguousarray(q)).requires_grad_(True)
    with torch.enable_grad():
        total = torch.stack([cost.weight * cost(curves) for cost in costs]).sum(dim=0)
        if not total.requires_grad or not bool(torch.isfinite(total).all()):
            names = ", ".join(cost.name for cost in costs)
            raise InputError("a cost is not finite, or not differentiable", key=names, allowed="torch operations on q")
        (gradient,) = torch.autograd.grad(total.sum(), curves)
    return total.detach().numpy(), gradient.numpy()


def compile_costs(costs: Sequence[Cost], q: Float) -> None:
    """Evaluate costs and their gradients once on a curve q [points, dof], so that what they compile is compiled.

    A cost that is refused there is refused when planning meets the same; here it does not matter.
    """
    with suppress(InputError):
        weighted_sum(costs, q[None])
