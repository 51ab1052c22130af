"""Signed distances in torch, and the collision cost built on them: the readable twin of the compiled kernel.

It is the reference in tests and the path on a GPU. Distances are positive outside [m]; frames: the robot's base.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from diffplan.collision.cpu import Evaluation, Nearest, Obstacles, sphere_groups
from diffplan.collision.lanes import BOX, CAPSULE, CYLINDER, SPHERE
from diffplan.collision.obstacles import Row
from diffplan.geometry.fields import SPLIT, DistanceField
from diffplan.geometry.pose import Float
from diffplan.robot.model import Robot


def box(p: Tensor, half: Tensor) -> Tensor:
    """Distance of points [..., 3] to a box with half edges [3], in the box's frame."""
    d = p.abs() - half
    return _norm(d.clamp(min=0)) + d.amax(dim=-1).clamp(max=0)


def sphere(p: Tensor, radius: float) -> Tensor:
    """Distance of points [..., 3] to a sphere at the origin."""
    return _norm(p) - radius


def cylinder(p: Tensor, radius: float, half_height: float) -> Tensor:
    """Distance of points [..., 3] to a cylinder about z."""
    d = torch.stack([_norm(p[..., :2]) - radius, p[..., 2].abs() - half_height], dim=-1)
    return _norm(d.clamp(min=0)) + d.amax(dim=-1).clamp(max=0)


def capsule(p: Tensor, radius: float, half_height: float) -> Tensor:
    """Distance of points [..., 3] to a capsule about z; `half_height` is that of the straight part."""
    z = p[..., 2] - p[..., 2].clamp(-half_height, half_height)
    return _norm(torch.stack([p[..., 0], p[..., 1], z], dim=-1)) - radius


def field(p: Tensor, grid: DistanceField) -> Tensor:
    """Trilinear distance of points [..., 3] to a sampled mesh, in the mesh's frame.

    Outside the grid: the value at the nearest grid point plus the distance to it.
    """
    values = torch.as_tensor(grid.values, dtype=p.dtype, device=p.device)
    shape = torch.tensor(values.shape, device=p.device)
    cell = (p - torch.as_tensor(grid.origin, dtype=p.dtype, device=p.device)) / grid.spacing
    inside = torch.minimum(cell.clamp(min=0), (shape - 1).to(p.dtype))
    low = torch.minimum(inside.detach().long(), shape - 2)
    result = _trilinear(inside - low, low, values)
    if grid.cells.size:
        own = torch.as_tensor(grid.cells, device=p.device).long()[low.unbind(dim=-1)]
        part = SPLIT * (inside - low)
        small = part.detach().long().clamp(max=SPLIT - 1)
        nodes = torch.as_tensor(grid.split, dtype=p.dtype, device=p.device)
        fine = _trilinear(part - small, small, nodes, own.clamp(min=0))
        result = torch.where(own < 0, result, fine)
    return result + _norm(cell - inside) * grid.spacing


def _trilinear(f: Tensor, low: Tensor, values: Tensor, *index: Tensor) -> Tensor:
    """Return the value at the share f [..., 3] of the cells with these lowest nodes [..., 3] of values[index]."""
    total = torch.zeros_like(f[..., 0])
    for corner in range(8):
        bits = torch.tensor([corner >> 2 & 1, corner >> 1 & 1, corner & 1], device=f.device)
        weight = torch.where(bits.bool(), f, 1 - f).prod(dim=-1)
        total = total + weight * values[(*index, *(low + bits).unbind(dim=-1))]
    return total


def _norm(v: Tensor) -> Tensor:
    """Euclidean norm over the last axis with gradient zero (not NaN) at the origin."""
    squared = (v * v).sum(dim=-1)
    safe = torch.where(squared > 0, squared, torch.ones_like(squared))
    return torch.where(squared > 0, safe.sqrt(), torch.zeros_like(squared))


_EXACT: dict[int, Callable[[Tensor, tuple[float, float, float]], Tensor]] = {
    BOX: lambda p, size: box(p, torch.as_tensor(size, dtype=p.dtype, device=p.device)),
    SPHERE: lambda p, size: sphere(p, size[0]),
    CYLINDER: lambda p, size: cylinder(p, size[0], size[1]),
    CAPSULE: lambda p, size: capsule(p, size[0], size[1]),
}
"""The distance of points [..., 3] in its own frame to each of the kernel's kinds but the sampled ones."""


def distance(row: Row, p: Tensor) -> Tensor:
    """Signed distance [...] of base-frame points [..., 3] to one packed obstacle."""
    T = torch.as_tensor(row.T_base_solid, dtype=p.dtype, device=p.device)
    local = (p - T[:3, 3]) @ T[:3, :3]
    return _EXACT[row.kind](local, row.size) if row.field is None else field(local, row.field)


class TorchCollision:
    """`CollisionModel` in torch, on any device: the same cost, clearances, gradients and distances.

    Cost of a configuration: 0.5 max(0, activation - distance)^2 summed over spheres and obstacles (base link left out),
    and over the sphere pairs of links that can touch.
    """

    def __init__(self, robot: Robot, device: torch.device | str = "cpu") -> None:
        self.robot, self.device = robot, torch.device(device)
        order = np.concatenate([group for _, group in sphere_groups(robot)])
        spheres = robot.spheres
        self._link = [spheres.links[i] for i in spheres.link[order]]
        self._centre, self._radius = (
            torch.as_tensor(values[order], dtype=torch.float64, device=self.device)
            for values in (spheres.centre, spheres.radius)
        )
        moving = [robot.chain.placement[link][0] > 0 for link in self._link]
        self._moving = torch.as_tensor(moving, device=self.device)
        spheres_of = {link: [k for k, own in enumerate(self._link) if own == link] for link in robot.links}
        self._pairs = [(spheres_of[one], spheres_of[two]) for one, two in robot.checked_pairs]

    def centres(self, q: Tensor) -> Tensor:
        """Return the centres [n, s, 3] of the spheres in the base frame for q [n, dof]."""
        poses = self.robot.forward_kinematics(q)
        T = torch.stack([poses[link] for link in self._link], dim=1)
        return (T[..., :3, :3] @ self._centre.to(q)[..., None]).squeeze(-1) + T[..., :3, 3]

    def cost(
        self,
        world: Obstacles,
        q: Tensor,
        scene_of: np.ndarray | None = None,
        *,
        activation: float = 0.03,
        self_activation: float = 0.01,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return cost and clearances to obstacles and between links, all [batch, points], of q [batch, points, dof]."""
        scenes = np.zeros(len(q), dtype=np.int64) if scene_of is None else np.asarray(scene_of)
        centres = self.centres(q.flatten(0, 1)).unflatten(0, q.shape[:2])
        radius = self._radius.to(q)
        cost, clear, clear_self = (
            torch.zeros_like(q[..., 0]),
            *(torch.full_like(q[..., 0], reach) for reach in (activation, self_activation)),
        )
        for scene in np.unique(scenes).tolist():
            those = torch.as_tensor(scenes == scene, device=q.device)
            own, least = cost[those], clear[those]
            for row in _rows(world, scene):
                d = distance(row, centres[those][:, :, self._moving]) - (radius - self._give(row))[self._moving]
                own = own + 0.5 * (activation - d).clamp(min=0).square().sum(dim=-1)
                least = torch.minimum(least, d.amin(dim=-1))
            cost = cost.masked_scatter(those[:, None].expand_as(cost), own)
            clear = clear.masked_scatter(those[:, None].expand_as(clear), least)
        for one, two in self._pairs:
            apart = _norm(centres[..., one, None, :] - centres[..., None, two, :])
            d = (apart - radius[one, None] - radius[None, two]).flatten(-2)
            cost = cost + 0.5 * (self_activation - d).clamp(min=0).square().sum(dim=-1)
            clear_self = torch.minimum(clear_self, d.amin(dim=-1))
        return cost, clear, clear_self

    def _give(self, row: Row) -> Tensor | float:
        """Return by how much each sphere [s] may be nearer to an obstacle (m)."""
        if not row.give:
            return 0.0
        return torch.as_tensor([row.give.get(link, 0.0) for link in self._link], device=self.device)

    def evaluate(
        self,
        world: Obstacles,
        q: np.ndarray,
        scene_of: np.ndarray | None = None,
        *,
        activation: float = 0.03,
        self_activation: float = 0.01,
        gradient: bool = True,
    ) -> Evaluation:
        """Evaluate configurations q [batch, points, dof] as `CollisionModel.evaluate` does."""
        at = torch.as_tensor(q, device=self.device).requires_grad_(gradient)
        reach = {"activation": activation, "self_activation": self_activation}
        cost, clear, clear_self = self.cost(world, at, scene_of, **reach)
        grad = torch.autograd.grad(cost.sum(), at)[0] if gradient else at.new_zeros((0, 0, 0))
        cost = cost if gradient else at.new_zeros((0, 0))
        cost, grad, clear, clear_self = (part.detach().cpu().numpy() for part in (cost, grad, clear, clear_self))
        return Evaluation(cost=cost, gradient=grad, clearance=clear, self_clearance=clear_self)

    def nearest(self, world: Obstacles, q: Float, scene: int = 0, *, reach: float) -> Nearest:
        """Return where the spheres are at q [n, dof] and how far from obstacles, as `CollisionModel.nearest` does."""
        centre = self.centres(torch.as_tensor(q, device=self.device)).detach().requires_grad_()
        least = torch.full_like(centre[..., 0], reach)
        for row in _rows(world, scene):
            d = distance(row, centre) - (self._radius - self._give(row)).to(centre)
            least = torch.where(self._moving & (d < least), d, least)
        normal = torch.autograd.grad(least.sum(), centre)[0] if least.requires_grad else torch.zeros_like(centre)
        centre, least, normal = (part.detach().cpu().numpy() for part in (centre, least, normal))
        return Nearest(centre=centre, distance=least, normal=normal)

    def pull_back(self, q: Float, force: Float) -> Float:
        """Return the joint gradient [n, dof] of forces [n, s, 3] on the centres of the spheres at q [n, dof]."""
        at = torch.as_tensor(q, device=self.device).requires_grad_()
        work = (self.centres(at) * torch.as_tensor(force, device=self.device)).sum()
        return torch.autograd.grad(work, at)[0].cpu().numpy()


def _rows(world: Obstacles, scene: int) -> tuple[Row, ...]:
    return world.rows[world.first[scene] : world.first[scene + 1]]
