"""Signed distances in torch, and the collision cost built on them: the readable twin of the compiled kernel.

It is the reference in tests and the path on a GPU. Distances are positive outside [m]; frames: the robot's base.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from diffplan.fields import SPLIT, DistanceField
from diffplan.kernels.collision import CollisionModel, Obstacles
from diffplan.kernels.lanes import BOX, CAPSULE, CYLINDER, SPHERE
from diffplan.kernels.obstacles import Row
from diffplan.robot import Robot


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


def _solid(row: Row) -> Callable[[Tensor], Tensor]:
    a, b, _ = row.size
    if row.kind == BOX:
        return lambda p: box(p, torch.as_tensor(row.size, dtype=p.dtype, device=p.device))
    if row.kind == SPHERE:
        return lambda p: sphere(p, a)
    if row.kind == CYLINDER:
        return lambda p: cylinder(p, a, b)
    if row.kind == CAPSULE:
        return lambda p: capsule(p, a, b)
    grid = row.field
    assert grid is not None
    return lambda p: field(p, grid)


def distance(row: Row, p: Tensor) -> Tensor:
    """Signed distance [...] of base-frame points [..., 3] to one packed obstacle."""
    T = torch.as_tensor(row.T_base_solid, dtype=p.dtype, device=p.device)
    return _solid(row)((p - T[:3, 3]) @ T[:3, :3])


def sphere_centres(robot: Robot, q: Tensor) -> Tensor:
    """Return the centres [n, s, 3] of the collision spheres in the base frame for q [n, dof]."""
    poses = robot.forward_kinematics(q)
    centre = torch.as_tensor(robot.spheres.centre, dtype=q.dtype, device=q.device)
    T = torch.stack([poses[robot.spheres.links[i]] for i in robot.spheres.link], dim=1)
    return (T[..., :3, :3] @ centre[..., None]).squeeze(-1) + T[..., :3, 3]


def collision_cost(
    model: CollisionModel, world: Obstacles, q: Tensor, *, activation: float = 0.03, self_activation: float = 0.01
) -> tuple[Tensor, Tensor, Tensor]:
    """Return cost [n] [m^2] and clearances [n] to obstacles and between links of q [n, dof], first scene of `world`.

    The same definition as `CollisionModel`: 0.5 max(0, activation - distance)^2 summed over spheres and obstacles
    (base link left out), and over the sphere pairs of links that can touch.
    """
    robot = model.robot
    centres = sphere_centres(robot, q)
    radius = torch.as_tensor(robot.spheres.radius, dtype=q.dtype, device=q.device)
    owner = torch.as_tensor(robot.spheres.link, device=q.device)
    bodies = [robot.chain.placement[robot.spheres.links[i]][0] for i in robot.spheres.link]
    moving = torch.as_tensor([body > 0 for body in bodies], device=q.device)
    cost = q.new_zeros(len(q))
    clear, clear_self = torch.full_like(cost, activation), torch.full_like(cost, self_activation)
    for row in world.rows[: int(world.arrays.first[1])]:
        d = distance(row, centres[:, moving]) - radius[moving]
        cost = cost + 0.5 * (activation - d).clamp(min=0).square().sum(dim=-1)
        clear = torch.minimum(clear, d.amin(dim=-1))
    for pair in robot.checked_pairs:
        one, two = (owner == robot.spheres.links.index(link) for link in pair)
        apart = _norm(centres[:, one, None] - centres[:, None, two])
        d = (apart - radius[one, None] - radius[None, two]).flatten(1)
        cost = cost + 0.5 * (self_activation - d).clamp(min=0).square().sum(dim=-1)
        clear_self = torch.minimum(clear_self, d.amin(dim=-1))
    return cost, clear, clear_self
