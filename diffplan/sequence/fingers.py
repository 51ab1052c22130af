"""What a gripper can take: how far apart its fingers stand, along which axis they close, and how deep they reach.

Measured from the links' hulls at the gripper's open and closed joint values. Everything is in the tool's frame, whose z
axis is the direction of approach. Lengths in m.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffplan.errors import InputError
from diffplan.geometry.pose import Float
from diffplan.robot.model import Gripper, Robot
from diffplan.sequence.section import Part, extent
from diffplan.system.computed import computed

_PAD = 0.006  # m along z around the tool's origin: what of a finger counts as its pad
_STOPS = 17  # between open and closed at which the width is measured
_LEAST = 0.003  # m by which the fingers must close to be fingers
_ANY = (-np.inf, np.inf)
_measured: dict[str, Fingers] = {}


@dataclass(frozen=True, kw_only=True, eq=False)
class Fingers:
    """The fingers of a robot, in its tool's frame.

    `axis` [3] is the unit direction in which they close (across z), `share` [n] rises from 0 (open) to 1 (closed) and
    `width` [n] is the distance of the pads then. `palm` and `tip` are the z of the hand's foremost point and of the
    fingers' ends, `half` how far a pad reaches to either side along the third axis.
    """

    robot: Robot
    axis: Float
    share: Float
    width: Float
    palm: float
    tip: float
    half: float

    @staticmethod
    def of(robot: Robot) -> Fingers:
        """Measure the gripper of a robot; kept for as long as the process runs.

        Raises:
            InputError: if the robot file names no gripper, or no two sides of it close on each other.
        """
        gripper = robot.gripper
        if gripper is None or not gripper.may_touch:
            raise InputError(f"{robot.name} has no gripper", key="gripper", allowed="a robot whose file names one")
        key = repr((robot.fingerprint, gripper, robot.tool_frame))
        if key not in _measured:
            _measured[key] = _measure(robot, gripper)
        return _measured[key]

    @property
    def widest(self) -> float:
        """The distance of the pads when the gripper is open [m]."""
        return float(self.width[0])

    @property
    def least(self) -> float:
        """The distance of the pads when the gripper is closed [m]: less cannot be held."""
        return max(0.0, float(self.width[-1]))

    @property
    def depth(self) -> float:
        """How far the tool's origin lies before the palm [m]: no deeper below its face can an object be taken."""
        return -self.palm

    @computed
    def frame(self) -> Float:
        """The rotation [3, 3] from the pads' frame (x the third axis, y the closing axis, z) to the tool's."""
        return _pads_frame(self.axis)

    def values(self, width: float) -> dict[str, float]:
        """Return the gripper's joint values [rad or m] at which its pads are so far apart [m], within its range."""
        return joint_values(self.robot, float(np.interp(self.widest - width, self.widest - self.width, self.share)))


def joint_values(robot: Robot, share: float) -> dict[str, float]:
    """Return the joint values of the gripper and its followers, `share` of the way from open to closed [rad or m]."""
    assert robot.gripper is not None
    leads = {name: opened + share * (closed - opened) for name, (opened, closed) in robot.gripper.joints.items()}
    standing = robot.standing(leads).still_joints
    moved = {name for name in robot.model.joints if set(robot.model.leaders(name)) & set(leads)}
    return {**leads, **{name: standing[name] for name in sorted(moved) if name in standing}}


def _measure(robot: Robot, gripper: Gripper) -> Fingers:
    """Return the fingers of a robot.

    Raises:
        InputError: if no two sides of its gripper close on each other.
    """
    parts = {link: _hulls(robot, link) for link in gripper.may_touch if robot.model.collisions[link]}
    opened, closed = ({link: T @ _centre(parts[link]) for link, T in _places(robot, s).items()} for s in (0.0, 1.0))
    ways = [((closed[a] - opened[a]) - (closed[b] - opened[b]))[:2] for a in parts for b in parts]
    way = max(ways, key=lambda way: float(np.linalg.norm(way)), default=np.zeros(2))
    if np.linalg.norm(way) < _LEAST:
        raise InputError(f"the fingers of {robot.name} do not close on each other", key="gripper.joints")
    axis = np.array([*way, 0.0]) / np.linalg.norm(way)
    axis *= np.sign(axis[np.abs(axis).argmax()])
    side = {link: float(np.sign(opened[link][:3] @ axis)) for link in parts}
    if not {-1.0, 1.0} <= set(side.values()):
        raise InputError(f"the fingers of {robot.name} do not close on each other", key="gripper.may_touch")
    frame = np.eye(4)
    frame[:3, :3] = _pads_frame(axis).T
    share = np.linspace(0.0, 1.0, _STOPS)
    stops = [
        {link: [part.moved(frame @ T) for part in parts[link]] for link, T in _places(robot, s).items()} for s in share
    ]
    turned = np.eye(4)[[1, 0, 2, 3]]  # x and y change places
    pads = extent([part.moved(turned) for found in stops[0].values() for part in found], _ANY, (-_PAD, _PAD))
    return Fingers(
        robot=robot,
        axis=axis,
        share=share,
        width=np.minimum.accumulate([_apart(stop, side) for stop in stops]),
        palm=_palm(robot),
        tip=max(float(part.corners[:, 2].max()) for stop in stops for found in stop.values() for part in found),
        half=max(map(abs, pads or (_PAD,))),
    )


def _pads_frame(axis: Float) -> Float:
    z = np.array([0.0, 0.0, 1.0])
    return np.stack([np.cross(axis, z), axis, z], axis=1)


def _places(robot: Robot, share: float) -> dict[str, Float]:
    """Return T_tool_link [4, 4] of each finger link with geometry, the gripper so far closed."""
    assert robot.gripper is not None
    tool = robot.tool_frame
    poses = robot.model.link_poses({**robot.still_joints, **joint_values(robot, share)})
    T_tool_root = np.linalg.inv(poses[tool.link] @ tool.pose.matrix)
    return {link: T_tool_root @ poses[link] for link in robot.gripper.may_touch if robot.model.collisions[link]}


def _hulls(robot: Robot, link: str) -> list[Part]:
    """Return the convex parts of a link, in its frame."""
    return [
        Part.of(np.asarray(hull.vertices)).moved(shape.pose.matrix)
        for shape in robot.model.collisions[link]
        for hull in shape.hulls()
    ]


def _centre(parts: list[Part]) -> Float:
    """Return the mean corner [4] (homogeneous) of parts."""
    return np.append(np.concatenate([part.corners for part in parts]).mean(axis=0), 1.0)


def _apart(stop: dict[str, list[Part]], side: dict[str, float]) -> float:
    """Return how far apart the pads of both sides are [m]; where none is near the tool's origin, the whole fingers."""
    ends = []
    for sign in (1.0, -1.0):
        parts = [part for link, found in stop.items() if side[link] == sign for part in found]
        reach = extent(parts, _ANY, (-_PAD, _PAD)) or extent(parts, _ANY, _ANY)
        assert reach is not None
        ends.append(reach[0] if sign > 0 else reach[1])
    return ends[0] - ends[1]


def _palm(robot: Robot) -> float:
    """Return the z of the foremost point of what moves with the tool but is no finger, in the tool's frame [m]."""
    tool, placement = robot.tool_frame, robot.chain.placement
    body, T_body_tool = placement[tool.link][0], placement[tool.link][1] @ tool.pose.matrix
    assert robot.gripper is not None
    hand = [link for link in robot.links if placement[link][0] == body and link not in robot.gripper.may_touch]
    reach = [
        float(part.moved(np.linalg.inv(T_body_tool) @ placement[link][1]).corners[:, 2].max())
        for link in hand
        for part in _hulls(robot, link)
    ]
    return max(reach, default=-np.inf)
