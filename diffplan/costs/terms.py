"""The named costs: `upright`, `avoid`, `prefer`.

Each is a squared hinge, averaged over the path: zero where the wish is granted, and smooth where it begins not to be.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import overload

import numpy as np
import torch
from torch import Tensor

from diffplan import arguments
from diffplan.collision.cpu import CollisionModel, Obstacles
from diffplan.constraints.kinds import Upright, frame, unit
from diffplan.costs.cost import Cost, collision
from diffplan.errors import InputError, did_you_mean
from diffplan.geometry.pose import Float, Pose
from diffplan.robot.model import CollisionSpheres, Robot
from diffplan.scene import Obstacle, Scene

_HORIZON_M = 10.0


@overload
def upright(
    robot: Robot,
    *,
    link: str | None = None,
    axis: str | Sequence[float] | None = None,
    tolerance_deg: float = 5.0,
    degrees: float | None = None,
    robot_base: Pose | None = None,
    weight: float = 20.0,
    name: str = "upright",
) -> Cost: ...


@overload
def upright(
    robot: str,
    *,
    axis: str | Sequence[float] | None = None,
    degrees: float | None = None,
    weight: float = 20.0,
    name: str = "upright",
) -> Upright: ...


def upright(
    robot: Robot | str,
    *,
    link: str | None = None,
    axis: str | Sequence[float] | None = None,
    tolerance_deg: float = 5.0,
    degrees: float | None = None,
    robot_base: Pose | None = None,
    weight: float = 20.0,
    name: str = "upright",
) -> Cost | Upright:
    """Return the wish that a link's axis points up: the mean squared tilt beyond the tolerance, in rad^2.

    In `plan(costs=...)` it is a wish, in `plan(constraints=...)` it is kept. `upright("tool", degrees=10)`, or a link's
    name instead of the robot, does for both, with the robot and its place as the plan has them.

    Args:
        robot: the robot that plans; or the name of a link, or "tool" for the robot's tool.
        link: a link of it; its end link if None.
        axis: a direction in the link's frame, by name (`AXES`) or as [3]; if None the one that points up where the path
            starts, so that what stands in the hand keeps standing.
        tolerance_deg: tilt that costs nothing [degrees].
        degrees: the same, as a constraint has it; instead of `tolerance_deg` if given.
        robot_base: where the robot stands (`scene.robot_base`); at the origin if None.
        weight: rad of path length that one unit is worth.
        name: what the plan calls the cost.

    Raises:
        InputError: for a link that is not there or does not move, an axis without direction, or no such tolerance.
    """
    tolerance_deg = tolerance_deg if degrees is None else degrees
    if isinstance(robot, str):
        for key, value in (("link", link), ("robot_base", robot_base)):
            if value is not None:
                problem = "a link is named already" if key == "link" else "the plan knows where its robot stands"
                raise InputError(problem, key=f"{name}.{key}", value=arguments.plain(value), allowed="None")
        return Upright(link=robot, axis=_given_axis(axis, name), degrees=tolerance_deg, weight=weight, name=name)
    name, base = _name_of(name, robot), Pose() if robot_base is None else Pose.of(robot_base, f"{name}.robot_base")
    tolerance_deg = arguments.real(tolerance_deg, f"{name}.tolerance_deg", allowed="0 <= degrees < 180")
    moving = [part for part, (body, _) in robot.chain.placement.items() if body > 0]
    link = robot.end_link if link is None else _known(link, moving, f"{name}.link")
    if not 0 <= tolerance_deg < 180:
        raise InputError("no such tilt", key=f"{name}.tolerance_deg", value=tolerance_deg, allowed="0 <= degrees < 180")
    given = None if axis is None else torch.tensor([unit(axis, f"{name}.axis")], dtype=torch.float64)
    free = math.radians(tolerance_deg)

    def cost(q: Tensor) -> Tensor:
        along = _up_at_start(robot, link, base, q) if given is None else given
        return (_tilt(robot, link, along, base, q) - free).clamp(min=0).square().mean(dim=1)

    kept = None
    if tolerance_deg > 0:
        kept = Upright(link=link, axis=_given_axis(axis, name), degrees=tolerance_deg, weight=weight, name=name)
    return Cost(name=name, function=cost, weight=weight, constraint=kept)


def upright_wish(kept: Upright, robot: Robot, robot_base: Pose) -> Cost:
    """Return the wish that a constraint stands for.

    Raises:
        InputError: for a link that is not there or does not move.
    """
    tool = frame(robot, kept.link, f"{kept.name}.link")
    axis = None if kept.axis is None else (tool.pose.matrix[:3, :3] @ kept.axis).tolist()
    wish = upright(
        robot,
        link=tool.link,
        axis=axis,
        tolerance_deg=kept.degrees,
        robot_base=robot_base,
        weight=kept.weight,
        name=kept.name,
    )
    return replace(wish, constraint=kept)


def _given_axis(axis: str | Sequence[float] | None, name: str) -> tuple[float, float, float] | None:
    return None if axis is None else unit(axis, f"{name}.axis")


def avoid(
    robot: Robot,
    region: Obstacle,
    *,
    comfort: float = 0.1,
    link: str | None = None,
    robot_base: Pose | None = None,
    weight: float = 100.0,
    name: str = "avoid",
) -> Cost:
    """Return the wish to keep away from a region, which may be entered where there is no other way.

    The value is the mean over the path and over the arm's collision spheres of (1 - distance / comfort)^2, where that
    is positive; 1 means that all of the arm touches the region all the time.

    Args:
        robot: the robot that plans.
        region: a shape in the world, of the scene or not.
        comfort: the distance from its surface that shall be kept [m].
        link: the link that keeps it; every moving link if None.
        robot_base: where the robot stands (`scene.robot_base`); at the origin if None.
        weight: rad of path length that one unit is worth.
        name: what the plan calls the cost.

    Raises:
        InputError: for a link that is not there or does not move, or a distance that is not positive.
    """
    name, base = _name_of(name, robot), Pose() if robot_base is None else Pose.of(robot_base, f"{name}.robot_base")
    if not isinstance(region, Obstacle):
        raise InputError(
            "not a region", key=f"{name}.region", value=arguments.plain(region), allowed="Box, Sphere, ..."
        )
    comfort = arguments.real(comfort, f"{name}.comfort", allowed=f"0 < m < {_HORIZON_M:g}")
    if not 0 < comfort < _HORIZON_M:
        raise InputError("not a distance", key=f"{name}.comfort", value=comfort, allowed=f"0 < m < {_HORIZON_M:g}")
    spheres = robot.spheres
    moving = [part for part in spheres.links if robot.chain.placement[part][0] > 0]
    wary = moving if link is None else [_known(link, moving, f"{name}.link")]
    kept = np.array([spheres.links[i] in wary for i in spheres.link])
    reduced = replace(
        robot,
        spheres=CollisionSpheres(
            links=spheres.links, link=spheres.link[kept], centre=spheres.centre[kept], radius=spheres.radius[kept]
        ),
    )
    world = Obstacles.pack([Scene(obstacles=(region,), robot_base=base)])
    # Far below any penetration, so that the arm's distances to itself never count.
    depth = collision(CollisionModel(reduced), world, activation=comfort, self_activation=-_HORIZON_M)
    scale = 2 / (comfort**2 * int(kept.sum()))
    return Cost(name=name, function=lambda q: scale * depth(q) / q.shape[1], weight=weight)


def prefer(
    robot: Robot,
    ranges: Mapping[str, tuple[float, float]] | None = None,
    *,
    near: str | Sequence[float] | None = None,
    within: float = 0.3,
    weight: float = 5.0,
    name: str = "prefer",
) -> Cost:
    """Return the wish to stay in a region of joint space: the mean over the path of the squared distance to it, rad^2.

    Args:
        robot: the robot that plans.
        ranges: lower and upper end by joint name [rad or m]; joints that are not named are free.
        near: instead, the name of a configuration or joint positions [dof].
        within: how far each joint may be from `near` for nothing [rad or m].
        weight: rad of path length that one unit is worth.
        name: what the plan calls the cost.

    Raises:
        InputError: for joints or a configuration that are not there, or a range without values within the limits.
    """
    name = _name_of(name, robot)
    given = (
        {} if ranges is None else arguments.mapping(ranges, f"{name}.ranges", allowed="(lower, upper) by joint name")
    )
    if (ranges is None) == (near is None) or (ranges is not None and not given):
        raise InputError("what is preferred?", key=name, allowed="ranges of joints, or `near` a configuration")
    within = arguments.real(within, f"{name}.within", allowed=">= 0")
    if within < 0:
        raise InputError("not a distance", key=f"{name}.within", value=within, allowed=">= 0")
    lower, upper = np.full(robot.dof, -np.inf), np.full(robot.dof, np.inf)
    if near is not None:
        allowed = f"{robot.dof} numbers, or the name of a configuration"
        middle = robot.configuration(near) if isinstance(near, str) else None
        found = arguments.items(near, f"{name}.near", allowed=allowed) if middle is None else []
        if middle is None and len(found) == robot.dof:
            middle = arguments.array(found, f"{name}.near", robot.dof, allowed=allowed)
        if middle is None or middle.ndim != 1:
            raise InputError("not a configuration", key=f"{name}.near", value=arguments.plain(near), allowed=allowed)
        lower, upper = middle - within, middle + within
    for joint, ends in given.items():
        low, high = arguments.vector(ends, 2, f"{name}.{joint}")
        index = robot.joint_names.index(_known(joint, robot.joint_names, f"{name}.{joint}"))
        bounds = robot.lower[index], robot.upper[index]
        if not (low <= high and low <= bounds[1] and high >= bounds[0]):
            allowed = f"lower, upper that meet the joint's limits [{bounds[0]:.4f}, {bounds[1]:.4f}]"
            raise InputError("no such range", key=f"{name}.{joint}", value=(low, high), allowed=allowed)
        lower[index], upper[index] = low, high
    low_end, high_end = torch.from_numpy(lower), torch.from_numpy(upper)

    def cost(q: Tensor) -> Tensor:
        beyond = (low_end.to(q) - q).clamp(min=0) + (q - high_end.to(q)).clamp(min=0)
        return beyond.square().sum(dim=2).mean(dim=1)

    return Cost(name=name, function=cost, weight=weight)


def tilt(robot: Robot, q: Float, *, link: str | None = None, robot_base: Pose | None = None) -> Float:
    """Return the angles [n] in rad by which a link (the end link if None) has tipped since the first of q [n, dof].

    Raises:
        InputError: for a link that is not there.
    """
    link, base = link or robot.end_link, Pose() if robot_base is None else robot_base
    path = torch.from_numpy(np.ascontiguousarray(q))[None]
    return _tilt(robot, link, _up_at_start(robot, link, base, path), base, path)[0].numpy()


def _name_of(name: object, robot: object) -> str:
    """Return the name of a cost, after making sure that it is for a robot."""
    arguments.instance(robot, Robot, "robot", allowed="a Robot (Robot.load gives one)")
    if isinstance(name, str) and not name.strip():
        raise InputError("a cost needs a name", key="name", value=name)
    return arguments.text(name, "name")


def _known(word: object, known: Collection[str], key: str) -> str:
    if not isinstance(word, str) or word not in known:
        raise InputError(f"unknown{did_you_mean(word, known)}", key=key, value=word, allowed=list(known))
    return word


def _up_at_start(robot: Robot, link: str, base: Pose, q: Tensor) -> Tensor:
    """Return the directions [batch, 3] in the link's frame that point up at the first of q [batch, points, dof]."""
    frames = base.matrix[:3, :3] @ robot.link_pose(q[:, 0].detach().cpu().numpy(), link)[:, :3, :3]
    return torch.from_numpy(frames[:, 2, :])


def _tilt(robot: Robot, link: str, axis: Tensor, base: Pose, q: Tensor) -> Tensor:
    """Return the angles [batch, points] between the vertical and the link's axis [batch or 1, 3] at q.

    The axis is turned joint by joint, from the link to the base, by Rodrigues' formula (I + K^2) + sin K - cos K^2.
    """
    chain = robot.chain
    body, T_body_link = chain.placement[link]

    def rotate(matrix: Float, vectors: Tensor) -> Tensor:
        return vectors @ torch.as_tensor(matrix.T, dtype=q.dtype, device=q.device)

    v = rotate(T_body_link[:3, :3], axis.to(q))[:, None].expand(*q.shape[:2], 3)
    while body > 0:
        k = body - 1
        body, angle = chain.parent[k], chain.factor[k] * q[..., chain.source[k], None] + chain.offset[k]
        x, y, z = (0.0, 0.0, 0.0) if chain.prismatic[k] else chain.axis[k]
        cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
        still, with_sin, with_cos = np.eye(3) + cross @ cross, cross, -cross @ cross
        turned = rotate(np.concatenate([chain.origin[k][:3, :3] @ m for m in (still, with_sin, with_cos)]), v)
        v = turned[..., :3] + angle.sin() * turned[..., 3:6] + angle.cos() * turned[..., 6:]
    v = rotate(base.matrix[:3, :3], v)
    level = v[..., :2].square().sum(dim=-1)
    root = torch.where(level > 0, level, torch.ones_like(level)).sqrt()  # which has no slope at zero
    return torch.atan2(torch.where(level > 0, root, torch.zeros_like(level)), v[..., 2])
