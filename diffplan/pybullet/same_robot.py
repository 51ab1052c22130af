"""Whether a body of somebody's world is the robot that is planned for: its joints, where they stand, and its shapes.

The certificate loads the robot from its own file. What it says holds in another world only if the arm there is the
same: a tool on the hand, another scale or an edited URDF would make it false.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from diffplan.certificate.body_shapes import (
    BodyShape,
    alike,
    corners_in_link,
    facets,
    inertia_in_link,
    kind_word,
    shapes_in_link,
)
from diffplan.certificate.bullet import bullet
from diffplan.certificate.frames import joint_indices, link_frame, link_indices
from diffplan.certificate.hull_match import differing_part
from diffplan.errors import InputError, did_you_mean
from diffplan.geometry.pose import Float
from diffplan.geometry.shapes import Shape
from diffplan.pybullet.running import is_soft
from diffplan.robot.model import Robot
from diffplan.robot.urdf import Joint

_POSITION = 2e-5
_ANGLE = 1e-4
_PER_METRE = 1e-6  # of the distance from the world's origin, for single precision
_KINDS = {
    "revolute": (bullet.JOINT_REVOLUTE,),
    "continuous": (bullet.JOINT_REVOLUTE,),
    "prismatic": (bullet.JOINT_PRISMATIC,),
    "fixed": (bullet.JOINT_FIXED,),
}
_JOINT_WORDS = {
    bullet.JOINT_REVOLUTE: "revolute",
    bullet.JOINT_PRISMATIC: "prismatic",
    bullet.JOINT_FIXED: "fixed",
    bullet.JOINT_SPHERICAL: "spherical",
    bullet.JOINT_PLANAR: "planar",
}
_ADVICE = (
    "the arm as {robot}'s URDF has it (diffplan plans for the model, not for the body); for another arm or tool, a "
    "robot file of its own (diffplan.Robot.load)"
)


@dataclass(frozen=True, kw_only=True)
class _Arm:
    """The body under test: its number, and its joints and links by name (-1: base)."""

    client: int
    body: int
    key: str
    robot: Robot
    joints: dict[str, int]
    links: dict[str, int]

    def error(self, problem: str, *, found: object = None) -> InputError:
        """Return the refusal: what differs, and what was found."""
        name = self.robot.name
        return InputError(
            f"body {self.body} is not the robot {name}: {problem}",
            key=self.key,
            value=found,
            allowed=_ADVICE.format(robot=name),
        )


def check_same_robot(client: int, body: int, robot: Robot, *, key: str, ignore: Collection[int] = ()) -> None:
    """Make sure that a body in a running world is this robot, and that nothing is tied to it by a constraint.

    Links and joints (names, parents, kinds, frames, axes, limits of the planning joints) and every link's collision
    shapes (kind, sizes, pose, corners of meshes) are compared with the robot's model.

    Args:
        client: a physics client that is connected.
        body: a body in it.
        robot: the robot that it should be.
        key: the argument that names the body, for errors.
        ignore: bodies that may be tied to it: the user leaves them out knowingly.

    Raises:
        InputError: naming the link or joint that differs, what was found, and what was expected.
    """
    joints, links = joint_indices(client, body), link_indices(client, body)
    arm = _Arm(client=client, body=body, key=key, robot=robot, joints=joints, links=links)
    if is_soft(client, body):
        raise arm.error("it is soft")
    _check_names(arm)
    for joint in robot.model.joints.values():
        _check_joint(arm, joint)
    for link in links:
        _check_shapes(arm, link)
    _check_constraints(arm, ignore)


def _check_names(arm: _Arm) -> None:
    model, robot = arm.robot.model, arm.robot
    for name in (*robot.joint_names, *model.joints):
        if name not in arm.joints:
            raise arm.error(f"no joint {name!r}{did_you_mean(name, arm.joints)}", found=sorted(arm.joints))
    for name in model.collisions:
        if name not in arm.links:
            raise arm.error(f"no link {name!r}{did_you_mean(name, arm.links)}", found=sorted(arm.links))
    if arm.links[model.root] != -1:
        raise arm.error(f"its base is not the link {model.root!r}")
    if len(arm.joints) != bullet.getNumJoints(arm.body, physicsClientId=arm.client):
        raise arm.error("two of its joints have one name")


def _check_joint(arm: _Arm, joint: Joint) -> None:
    """Compare a joint's parent, kind, axis and limits, and where it puts its child now."""
    info = bullet.getJointInfo(arm.body, arm.joints[joint.name], physicsClientId=arm.client)
    kind, child, parent = info[2], info[12].decode(), info[16]
    names = {index: link for link, index in arm.links.items()}
    if child != joint.child or names[parent] != joint.parent:
        found = f"{names[parent]} -> {child}"
        raise arm.error(f"{joint.name} should tie {joint.child} to {joint.parent}", found=found)
    if kind not in _KINDS[joint.kind]:
        found = _JOINT_WORDS.get(kind, str(kind))
        raise arm.error(f"{joint.name} should be {joint.kind}", found=found)
    turned = inertia_in_link(arm.client, arm.body, arm.joints[joint.name]).matrix[:3, :3]
    axis = turned @ np.array(info[13])
    if joint.kind != "fixed" and np.abs(axis - joint.axis).max() > _ANGLE:
        raise arm.error(f"the axis of {joint.name} should be {_short(joint.axis)}", found=_short(axis))
    value = float(bullet.getJointState(arm.body, arm.joints[joint.name], physicsClientId=arm.client)[0])
    if not np.isfinite(value):
        raise arm.error(f"{joint.name} stands at no finite value", found=value)
    _check_limits(arm, joint, info[8], info[9])
    above = link_frame(arm.client, arm.body, arm.links[joint.parent])
    below = link_frame(arm.client, arm.body, arm.links[joint.child])
    seen, expected = (above.inverse() @ below).matrix, joint.transform(value)
    away = _POSITION + _PER_METRE * float(np.abs(above.xyz).max())
    shift, turn = np.abs(seen - expected)[:3, 3].max(), np.abs(seen - expected)[:3, :3].max()
    if shift > away or turn > _ANGLE:
        raise arm.error(
            f"{joint.child} should stand at {_short(expected[:3, 3])} on {joint.parent} (an edited URDF, or "
            "globalScaling?)"
            if shift > away
            else f"{joint.child} should be turned otherwise on {joint.parent}",
            found=_short(seen[:3, 3]) if shift > away else _short(seen[:3, :3].ravel()),
        )


def _check_limits(arm: _Arm, joint: Joint, lower: float, upper: float) -> None:
    """A planning joint of the body must reach all that the plan may ask of it (lower > upper: no limits)."""
    if joint.name not in arm.robot.joint_names or lower > upper:
        return
    i = arm.robot.joint_names.index(joint.name)
    low, high = float(arm.robot.lower[i]), float(arm.robot.upper[i])
    if lower > low + 1e-6 or upper < high - 1e-6:
        raise arm.error(
            f"the limits of {joint.name} should hold {low:.6g} ... {high:.6g}",
            found=f"{lower:.6g} ... {upper:.6g}",
        )


def _check_shapes(arm: _Arm, link: str) -> None:
    """Compare a link's collision shapes with the model's, each by kind, sizes and pose; meshes by their corners."""
    found = shapes_in_link(arm.client, arm.body, arm.links[link], f"body {arm.body}/{link}")
    model = arm.robot.model  # of convex parts a body in PyBullet knows nothing: its meshes are the URDF's
    expected = model.published.get(link, model.collisions.get(link, ()))
    if link not in arm.robot.model.collisions and found:
        raise arm.error(f"the link {link!r} is attached to it, and is no part of the model", found=_words(found))
    if len(found) != len(expected):
        raise arm.error(f"{link} should have {len(expected)} collision shapes", found=f"{len(found)}: {_words(found)}")
    solid = [shape for shape in found if not shape.is_mesh]
    faceted: list[Float] = []
    for shape in expected:
        match = next((other for other in solid if _alike(shape, other)), None)
        if match is not None:
            solid.remove(match)
        elif parts := facets(shape):
            faceted += parts
        else:
            raise arm.error(
                f"{link} should have a {shape.kind} of {_short(shape.sizes)} at {_short(shape.pose.xyz)}",
                found=_words(found),
            )
    if solid:
        raise arm.error(f"a collision shape of {link} is not the model's", found=_words(solid))
    if not faceted:
        return
    corners = corners_in_link(arm.client, arm.body, arm.links[link])
    difference = "hollow (concave)" if len(corners) == 0 else differing_part(faceted, corners)
    if difference:
        raise arm.error(f"the collision mesh of {link} is not the model's", found=difference)


def _alike(shape: Shape, other: BodyShape) -> bool:
    """Whether a primitive that PyBullet tells is this one of the model."""
    if not alike(other, shape, within=_POSITION):
        return False
    apart = np.abs(other.pose.matrix - shape.pose.matrix)
    return bool(apart[:3, 3].max() < _POSITION and (not shape.oriented or apart[:3, :3].max() < _ANGLE))


def _check_constraints(arm: _Arm, ignore: Collection[int]) -> None:
    """Refuse what a constraint ties to a link that moves: it would be carried along, unseen."""
    placement = arm.robot.chain.placement
    client, moving = arm.client, {index for link, index in arm.links.items() if placement.get(link, (0,))[0] > 0}
    names = {index: link for link, index in arm.links.items()}
    for i in range(bullet.getNumConstraints(physicsClientId=client)):
        number = bullet.getConstraintUniqueId(i, physicsClientId=client)
        parent, parent_link, child, child_link, kind = bullet.getConstraintInfo(number, physicsClientId=client)[:5]
        ends = ((parent, parent_link, child), (child, child_link, parent))
        for one, link, other in ends:
            if one != arm.body or link not in moving or other in ignore:
                continue
            if other == arm.body and kind == bullet.JOINT_GEAR and _held(arm, parent_link, child_link):
                continue
            what = f"body {other}" if other >= 0 else "the world"
            raise InputError(
                f"a constraint (number {number}) ties {what} to {names[link]}: it would move with the arm, and "
                "was not said to be held",
                key=arm.key,
                allowed=f"Scene.from_pybullet(attached=[{other}]) if the arm holds it; or ignore=[{other}], if nothing "
                "shall be known of it",
            )


def _held(arm: _Arm, *joints: int) -> bool:
    """Whether none of these joints (by index) is planned for, or follows one that is."""
    planned = {arm.joints[name] for name in arm.robot.moving_joints}
    return not planned.intersection(joints)


def _words(shapes: Collection[BodyShape]) -> str:
    return ", ".join(f"{kind_word(s)} {_short(s.sizes)}" for s in shapes) or "none"


def _short(values: Collection[float] | Float) -> str:
    return "(" + ", ".join(f"{float(v):.5g}" for v in values) + ")"
