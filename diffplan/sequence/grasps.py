"""Simple grasps of boxes, cylinders and small meshes: from above and from the side, across their middle.

An object counts as its convex parts, as in PyBullet. A grasp closes the fingers along an axis of the object's box (of
what is round, along any of eight directions), the tool's origin at the object's middle or as near to it as the palm
lets it come. Lengths in m.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from diffplan import arguments
from diffplan.errors import InputError
from diffplan.geometry.pose import Float, Pose
from diffplan.geometry.shapes import Capsule, Cylinder, Plane, Shape, Sphere
from diffplan.scene import Obstacle, bodies
from diffplan.sequence.fingers import Fingers
from diffplan.sequence.section import Part, extent

_SPARE = 0.012  # m that each finger has to either side of what it shall take
_TIGHT = 0.002  # the same where the gripper opens no wider
_PALM = 0.005  # m between palm and object
_FLOOR = 0.003  # m between the fingers' ends and what the object stands on
_LONG = 0.06  # m of length beyond which an object is taken off its middle too
_TURNS = 8
_TILT = float(np.radians(30.0))  # from which grasps from the side come too
PAD = 0.004  # m along z around the tool's origin within which an object must be to be held
_STEEP = 0.25  # the slope of a side against the pads at which an object slips out of them
_UPRIGHT = np.cos(np.radians(35.0))

_HALF_TURN = Pose(quat_xyzw=(0.0, 0.0, 1.0, 0.0))

Grasps: TypeAlias = "str | Sequence[Grasp | Pose | tuple[Pose, float]]"


@dataclass(frozen=True, kw_only=True)
class Grasp:
    """Where the tool is when the fingers close: `pose` is T_object_tool.

    `opening` is the distance of the pads on the way in, `width` that at which they hold the object [m].
    """

    pose: Pose
    opening: float
    width: float
    name: str = "grasp"


def grasps_of(fingers: Fingers, obstacle: Obstacle, wanted: Grasps) -> tuple[list[Grasp], Counter[str]]:
    """Return the grasps of an obstacle where it lies, best first, and how often which reason left one out.

    Args:
        fingers: of the robot.
        obstacle: what shall be taken, in the world.
        wanted: `top` (from above), `side` (level), `any` (both, from above first), or grasps of the user's own: a
            pose T_object_tool each, alone or with the opening [m] on the way in, or a `Grasp`.

    Raises:
        InputError: if `wanted` is none of these, or the obstacle has no end.
    """
    parts = parts_of(obstacle)
    left_out: Counter[str] = Counter()
    kept: list[Grasp] = []
    for name, pose, opening, turns in _wanted(fingers, obstacle, wanted, parts):
        held = _held(fingers, parts, pose, as_given=not isinstance(wanted, str))
        most = fingers.widest if opening is None else opening
        if isinstance(held, str):
            left_out[held] += turns
        elif held[1] + 2 * _TIGHT > most:
            left_out[f"{1000 * held[1]:.0f} mm wide, the gripper opens to {1000 * most:.0f} mm"] += turns
        elif held[1] < fingers.least + 1e-4:
            left_out[f"{1000 * held[1]:.0f} mm wide, the gripper closes to {1000 * fingers.least:.0f} mm"] += turns
        else:
            placed, width = held
            wide = min(fingers.widest, width + 2 * _SPARE) if opening is None else opening
            kept += [
                Grasp(pose=turned, opening=wide, width=width, name=name)
                for turned in (placed, placed @ _HALF_TURN)[:turns]
            ]
    return kept, left_out


def _wanted(
    fingers: Fingers, obstacle: Obstacle, wanted: Grasps, parts: list[Part]
) -> Iterator[tuple[str, Pose, float | None, int]]:
    """Give the name, T_object_tool and opening (None: as is best) of every grasp that is asked for.

    Last is 2 for grasps that are as good with the hand turned by half a turn about its z axis.
    """
    allowed = "top, side, any, or a list of poses T_object_tool, each alone or with the opening [m]"
    if isinstance(wanted, str):
        kinds = ("top", "side") if wanted == "any" else (wanted,)
        if wanted not in ("top", "side", "any"):
            raise InputError("no such grasps", key="grasps", value=wanted, allowed=allowed)
        for kind in kinds:
            for name, pose in _simple(fingers, obstacle, parts, kind):
                yield name, pose, None, 2
        return
    for i, one in enumerate(arguments.items(wanted, "grasps", allowed=allowed)):
        name = f"grasps[{i}]"
        if isinstance(one, Grasp):
            yield one.name, one.pose, one.opening, 1
        elif isinstance(one, Pose):
            yield name, one, None, 1
        else:
            pair = arguments.items(one, name, allowed=allowed)
            if len(pair) != 2 or not isinstance(pair[0], Pose):
                raise InputError("not a grasp", key=name, value=one, allowed=allowed)
            opening = arguments.positive(pair[1], f"{name} opening", highest=fingers.widest)
            yield name, pair[0], opening, 1


def parts_of(obstacle: Obstacle) -> list[Part]:
    """Return the convex parts of an obstacle, in its own frame."""
    if isinstance(obstacle, Plane):
        raise InputError("a plane cannot be taken", key="object", value=obstacle.name)
    if isinstance(obstacle, Shape):
        return [Part.of(np.asarray(hull.vertices)) for hull in obstacle.hulls()]
    found, T_obstacle_world = [], obstacle.pose.inverse()
    for body in bodies(obstacle):
        for shape in body.shapes:
            T = (T_obstacle_world @ body.pose @ shape.pose).matrix
            found += [Part.of(np.asarray(hull.vertices)).moved(T) for hull in shape.hulls()]
    return found


def _simple(fingers: Fingers, obstacle: Obstacle, parts: list[Part], kind: str) -> Iterator[tuple[str, Pose]]:
    """Give the grasps from above or from the side, those at the middle first."""
    corners = np.concatenate([part.corners for part in parts])
    low, high = corners.min(axis=0), corners.max(axis=0)
    centre = _middle(parts) if not isinstance(obstacle, Sphere | Cylinder | Capsule) else (low + high) / 2
    R_world_object = obstacle.pose.matrix[:3, :3]
    found: list[tuple[float, str, Pose]] = []
    directions = list(_directions(obstacle, R_world_object, kind))
    up = R_world_object.T @ np.array([0.0, 0.0, 1.0])
    if kind == "side":  # and from obliquely above, where closing is level
        directions += [
            (_turned(normal, closing, float(np.sign(np.cross(closing, normal) @ up)) * _TILT), closing)
            for normal, closing in directions
            if abs(closing @ up) < 1 - _UPRIGHT
        ]
    for normal, closing in directions:
        along = np.cross(normal, closing)
        top, bottom = float((corners @ normal).max()), float((corners @ normal).min())
        level = max((top + bottom) / 2, top - fingers.depth + _PALM)
        if kind == "top":
            level = max(level, bottom + fingers.tip + _FLOOR)
        length = float(np.ptp(corners @ along))
        for share in (0.0, 0.25, -0.25) if length > _LONG else (0.0,):
            point = centre + share * length * along
            point = point + (level - point @ normal) * normal
            T_object_tool = np.eye(4)
            T_object_tool[:3, :3] = np.stack([np.cross(closing, -normal), closing, -normal], axis=1) @ fingers.frame.T
            T_object_tool[:3, 3] = point
            name = f"{kind}{'' if share == 0 else f', {abs(share) * length:.2f} m off the middle'}"
            found.append((abs(share), name, Pose.from_matrix(T_object_tool)))
    found.sort(key=lambda grasp: grasp[0])
    for _, name, pose in found:
        yield name, pose


def _middle(parts: list[Part]) -> Float:
    """Return the centre of mass [3] of convex parts, as if they did not overlap."""
    from diffplan.system.third_party import trimesh

    hulls = [trimesh.convex.convex_hull(part.corners) for part in parts]
    volume = np.array([hull.volume for hull in hulls])
    return np.asarray(volume @ np.array([hull.center_mass for hull in hulls]) / volume.sum())


def _directions(obstacle: Obstacle, R_world_object: Float, kind: str) -> Iterator[tuple[Float, Float]]:
    """Give the outward normals from which to come and the axes along which to close, unit vectors in its frame.

    Closing along the opposite axis is the same grasp with the hand turned by half a turn.
    """
    up = R_world_object.T @ np.array([0.0, 0.0, 1.0])
    axes = np.eye(3)
    if isinstance(obstacle, Sphere):
        e = axes[np.abs(up).argmin()]
        first = np.asarray(np.cross(up, e) / np.linalg.norm(np.cross(up, e)), dtype=np.float64)
        ring = [_turned(first, up, k * 2 * np.pi / _TURNS) for k in range(_TURNS)]
        yield from ((up, c) for c in ring[: _TURNS // 2]) if kind == "top" else ((n, np.cross(up, n)) for n in ring)
        return
    if isinstance(obstacle, Cylinder | Capsule):
        z, standing = axes[2] * (1.0 if up[2] >= 0 else -1.0), abs(up[2]) > _UPRIGHT
        if standing:
            ring = [_turned(axes[0], z, k * 2 * np.pi / _TURNS) for k in range(_TURNS)]
            yield from ((z, c) for c in ring[: _TURNS // 2]) if kind == "top" else ((n, np.cross(z, n)) for n in ring)
            return
        level = up - (up @ z) * z
        normal = level / np.linalg.norm(level)
        side = np.cross(z, normal)
        if kind == "top":
            yield normal, side
        else:
            yield from ((n, normal) for n in (side, -side))
            yield from ((n, c) for n in (z, -z) for c in (side, normal))
        return
    for normal in (*axes, *-axes):
        rise = float(normal @ up)
        if (rise > _UPRIGHT) if kind == "top" else (abs(rise) < 1 - _UPRIGHT):
            across = [axis for axis in axes if abs(axis @ normal) < 0.5]
            across.sort(key=lambda axis: abs(float(axis @ up)))
            yield from ((normal, axis) for axis in across)


def _turned(vector: Float, axis: Float, angle: float) -> Float:
    """Return a vector across a unit axis turned about it [rad]."""
    return np.asarray(np.cos(angle) * vector + np.sin(angle) * np.cross(axis, vector), dtype=np.float64)


def _held(fingers: Fingers, parts: list[Part], pose: Pose, *, as_given: bool) -> tuple[Pose, float] | str:
    """Return the grasp and the width [m] of what is between the pads; a reason if nothing is, or if it would slip out.

    The fingers close together, so that what stands off their middle is moved there: grasps of ours are moved to it
    instead. Those of the user are taken as they are given.
    """
    T_object_pads = pose.matrix.copy()
    T_object_pads[:3, :3] = T_object_pads[:3, :3] @ fingers.frame
    T = np.linalg.inv(T_object_pads).astype(np.float64)
    local, half = [part.moved(T) for part in parts], fingers.half
    between = extent(local, (-half, half), (-PAD, PAD))
    if between is None:
        return "nothing of it is between the pads"
    low, high = between
    if as_given:
        return pose, 2 * max(high, -low)
    for step, areas in (
        (PAD, (((-half, half), (-PAD, 0.0)), ((-half, half), (0.0, PAD)))),
        (half, (((-half, 0.0), (-PAD, PAD)), ((0.0, half), (-PAD, PAD)))),
    ):
        one, other = (extent(local, *area) for area in areas)
        if one is None or other is None:
            return "only its edge is between the pads"
        if max(abs(one[0] - other[0]), abs(one[1] - other[1])) > _STEEP * step:
            return "its sides there are not along the pads"
    return pose @ Pose.from_matrix(_shifted(fingers.axis * (low + high) / 2)), high - low


def _shifted(way: Float) -> Float:
    matrix = np.eye(4)
    matrix[:3, 3] = way
    return matrix
