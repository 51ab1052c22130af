"""A robot: kinematic chain, limits, named configurations, and its collision model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from diffplan import arguments
from diffplan.computed import computed
from diffplan.errors import InputError, did_you_mean, shown
from diffplan.geometry import Float
from diffplan.urdf import Joint, UrdfModel
from diffplan.words import count, one_line, some

if TYPE_CHECKING:
    import torch

_HAIR = 1e-9  # [rad or m] of rounding at limits, that of retiming: more would let a start pass that no motion may have


@dataclass(frozen=True, kw_only=True, eq=False)
class CollisionSpheres:
    """Spheres fixed to links: `link` [s] indexes `links`; `centre` [s, 3] in the link frame, `radius` [s], in m."""

    links: tuple[str, ...]
    link: np.ndarray
    centre: Float
    radius: Float


@dataclass(frozen=True, kw_only=True, eq=False)
class Chain:
    """The moving bodies of a serial arm: body 0 is the base, body k stands behind planning joint k.

    `origin` [dof, 4, 4] is T_body(k-1)_joint(k) at zero, `axis` [dof, 3] the unit axis in the joint frame,
    `prismatic` [dof]; `placement` gives for every link its body and T_body_link [4, 4], held joints folded in.
    """

    origin: Float
    axis: Float
    prismatic: np.ndarray
    placement: dict[str, tuple[int, Float]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Robot:
    """An arm with fixed base. Arrays have one entry a planning joint: rad, rad/s, rad/s^2, rad/s^3 (m for prismatic).

    `held_joints` are the joints kept still (fingers); `touching` are the link pairs that always touch (adjacent ones
    among them), `never_touching` those for which sampling with the real meshes found no contact. `file` is the robot
    file that it was read from, if it was.
    """

    name: str
    model: UrdfModel
    base_link: str
    end_link: str
    joint_names: tuple[str, ...]
    held_joints: dict[str, float]
    lower: Float
    upper: Float
    velocity: Float
    acceleration: Float
    jerk: Float
    configurations: dict[str, Float]
    spheres: CollisionSpheres
    touching: frozenset[frozenset[str]] = field(default_factory=frozenset)
    never_touching: frozenset[frozenset[str]] = field(default_factory=frozenset)
    file: Path | None = None

    @staticmethod
    def load(name: str) -> Robot:
        """Load a shipped robot by name, or a robot file by path (format `diffplan/robot@1`).

        Raises:
            InputError: if there is no such robot (the message lists the shipped ones) or its file is wrong.
        """
        from diffplan.formats.robot_file import load_robot

        return load_robot(name)

    def __repr__(self) -> str:
        held = some(f"{name} at {value:.4g}" for name, value in self.held_joints.items()) or "nothing"
        return (
            f"Robot({one_line(self.name, 40)!r}, {count(self.dof, 'joint')}: {some(self.joint_names)}\n"
            f"      from {one_line(self.base_link, 40)} to {one_line(self.end_link, 40)}, holds {held}; "
            f"configurations {some(self.configurations) or 'none'})"
        )

    @property
    def dof(self) -> int:
        """Number of planning joints."""
        return len(self.joint_names)

    @computed
    def fingerprint(self) -> str:
        """SHA-256 over kinematics, limits and geometry (spheres, and what the mesh files hold when it is first asked).

        Neither names of robot and files nor configurations count, nor where the held joints stand (`still_joints`).
        """
        from diffplan.formats.fingerprint import robot_content

        return robot_content(self)

    @computed
    def links(self) -> tuple[str, ...]:
        """Links with collision geometry that hang on the base, in URDF order."""
        return tuple(link for link, shapes in self.model.collisions.items() if shapes and link in self.chain.placement)

    @computed
    def chain(self) -> Chain:
        """The serial chain of the planning joints, held joints folded in."""
        return _chain(self)

    @computed
    def checked_pairs(self) -> tuple[tuple[str, str], ...]:
        """Link pairs that can touch: neither always nor never touching. The planner's self-collision model."""
        return tuple(p for p in self.certified_pairs if frozenset(p) not in self.never_touching)

    @computed
    def certified_pairs(self) -> tuple[tuple[str, str], ...]:
        """Link pairs that the certificate checks: all but the always touching ones."""
        pairs = [(a, b) for i, a in enumerate(self.links) for b in self.links[i + 1 :]]
        return tuple(p for p in pairs if frozenset(p) not in self.touching)

    def with_held(self, values: Mapping[str, float]) -> Robot:
        """Return a copy that holds these joints at these values (rad or m); joints that mimic them follow.

        A value may lie beyond the URDF's limits by as much as the joint's whole range, no further: published problems
        hold fingers at 0.065 m whose limit is 0.04 m.

        Raises:
            InputError: if a joint is not one of `held_joints`, is set against the one that it mimics, or its value
                is no number or too far beyond the limits.
        """
        held: dict[str, float] = {}
        for joint, value in arguments.mapping(values, "held_joints", allowed="values by joint name").items():
            if joint not in self.held_joints:
                raise InputError(
                    f"not a held joint of {self.name}{did_you_mean(joint, self.held_joints)}",
                    key=joint,
                    allowed=list(self.held_joints),
                )
            held[joint] = arguments.real(value, joint)
            limits = self.model.joints[joint]
            slack = limits.upper - limits.lower
            if not limits.lower - slack - _HAIR <= held[joint] <= limits.upper + slack + _HAIR:
                allowed = f"{limits.lower - slack:.6g} ... {limits.upper + slack:.6g}: its limits in the URDF, and its "
                allowed += "whole range beyond them"
                raise InputError("far beyond the joint's limits", key=joint, value=held[joint], allowed=allowed)
        leads = {name: value for name, value in self.held_joints.items() if self.model.joints[name].mimic is None}
        self.model.joint_values({**leads, **held}, key="", limited=False)
        return self.standing(held)

    def standing(self, values: Mapping[str, float]) -> Robot:
        """Return a copy whose held joints stand at these values as they are: measured ones (rad or m).

        Joints that mimic them follow unless they are named too: in a PyBullet world they may stand elsewhere.
        """
        model = self.model
        follow = {name for name in model.joints if name not in values and set(model.leaders(name)) & set(values)}
        kept = {name: value for name, value in self.held_joints.items() if name not in follow}
        everything = model.filled({**kept, **values})
        return replace(self, held_joints={**kept, **values, **{name: everything[name] for name in sorted(follow)}})

    @computed
    def still_joints(self) -> dict[str, float]:
        """Where every movable joint stands that is not planned for (rad or m): held, following a held one, or at 0."""
        values = self.model.filled(self.held_joints)
        return {joint: value for joint, value in values.items() if joint not in self.joint_names}

    def joints_outside(self, q: Float) -> list[str]:
        """Return the planning joints that stand outside their limits at q [dof]."""
        low, high = self.lower - _HAIR, self.upper + _HAIR
        return [name for name, value, a, b in zip(self.joint_names, q, low, high, strict=True) if not a <= value <= b]

    def outside_within(self, q: Float, tolerance: float) -> bool:
        """Whether no planning joint stands farther than `tolerance` (rad or m) outside its limits at q [dof]."""
        return bool((np.maximum(self.lower - q, q - self.upper) <= tolerance + _HAIR).all())

    def configuration(self, name: str) -> Float:
        """Return a named configuration [dof].

        Raises:
            InputError: if there is none of that name; the message lists the names there are.
        """
        if not isinstance(name, str) or name not in self.configurations:
            raise InputError(
                f"{self.name} has no configuration {shown(name)}{did_you_mean(name, self.configurations)}",
                allowed=list(self.configurations),
            )
        return self.configurations[name].copy()

    def normalise(self, q: Float) -> Float:
        """Map joint positions [..., dof] to x in [-1, 1] by the joint limits.

        Raises:
            InputError: if q is no such array of finite numbers.
        """
        return 2 * (arguments.array(q, "q", self.dof) - self.lower) / (self.upper - self.lower) - 1

    def denormalise(self, x: Float) -> Float:
        """Map x in [-1, 1] back to joint positions [..., dof].

        Raises:
            InputError: if x is no such array of finite numbers.
        """
        return self.lower + (arguments.array(x, "x", self.dof) + 1) * (self.upper - self.lower) / 2

    def body_poses(self, q: Float) -> Float:
        """Return T_base_body [n, dof + 1, 4, 4] for configurations q [n, dof] (NumPy, float64)."""
        q = np.atleast_2d(arguments.array(q, "q", self.dof))
        poses = np.empty((len(q), self.dof + 1, 4, 4))
        poses[:, 0] = np.eye(4)
        for k in range(self.dof):
            poses[:, k + 1] = poses[:, k] @ self.chain.origin[k] @ _motions(self.chain, k, q[:, k])
        return poses

    def link_pose(self, q: Float, link: str) -> Float:
        """Return T_base_link [n, 4, 4] for configurations q [n, dof].

        Raises:
            InputError: if the robot has no such link.
        """
        if not isinstance(link, str) or link not in self.chain.placement:
            raise InputError(
                f"{self.name} has no link {shown(link)}{did_you_mean(link, self.chain.placement)}",
                allowed=list(self.chain.placement),
            )
        body, T_body_link = self.chain.placement[link]
        return self.body_poses(q)[:, body] @ T_body_link

    def forward_kinematics(self, q: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return T_base_link [n, 4, 4] of every link for q [n, dof], differentiable, by pytorch-kinematics."""
        import torch

        from diffplan.reference_kinematics import reference_chain

        values = {name: q[:, i] for i, name in enumerate(self.joint_names)}
        values |= {name: torch.full_like(q[:, 0], value) for name, value in self.still_joints.items()}
        poses = reference_chain(self.model, q.dtype, q.device).forward_kinematics(values)
        T_base_world = poses[self.base_link].get_matrix().inverse()
        return {link: T_base_world @ pose.get_matrix() for link, pose in poses.items()}

    def jacobian(self, q: torch.Tensor, link: str) -> torch.Tensor:
        """Return the geometric Jacobian [n, 6, k] of a link's origin (linear rows first) by the k planning joints
        between base and link, by pytorch-kinematics.
        """
        import torch

        from diffplan.reference_kinematics import reference_serial_chain

        chain = reference_serial_chain(self.model, q.dtype, q.device, self.base_link, link)
        names = chain.get_joint_parameter_names()
        columns = [i for i, name in enumerate(names) if name in self.joint_names]
        full = q.new_zeros((len(q), len(names)))
        for i, name in enumerate(names):
            full[:, i] = q[:, self.joint_names.index(name)] if name in self.joint_names else self.still_joints[name]
        jacobian = chain.jacobian(full)
        assert isinstance(jacobian, torch.Tensor)  # a pair only where the pose is asked for too
        return jacobian[:, :, columns]


def _motions(chain: Chain, k: int, values: Float) -> Float:
    """Return the motion [n, 4, 4] of joint k."""
    motions = np.tile(np.eye(4), (len(values), 1, 1))
    axis = chain.axis[k]
    if chain.prismatic[k]:
        motions[:, :3, 3] = values[:, None] * axis
        return motions
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    motions[:, :3, :3] += np.sin(values)[:, None, None] * cross + (1 - np.cos(values))[:, None, None] * (cross @ cross)
    return motions


def _chain(robot: Robot) -> Chain:
    """Fold the URDF tree into bodies moved by the planning joints, in their order from the base."""
    for name, joint in robot.model.joints.items():
        planned = [leader for leader in (name, *robot.model.leaders(name)) if leader in robot.joint_names]
        if joint.mimic is not None and planned:
            problem = f"{name} mimics {joint.mimic.leader}: joints that follow others cannot be planned for"
            raise InputError(problem, key=planned[0])
    children: dict[str, list[Joint]] = {}
    for joint in robot.model.joints.values():
        children.setdefault(joint.parent, []).append(joint)
    origin, axis, prismatic = [], [], []
    placement: dict[str, tuple[int, Float]] = {robot.base_link: (0, np.eye(4))}
    stack = [robot.base_link]
    while stack:
        link = stack.pop(0)
        body, T_body_link = placement[link]
        for joint in children.get(link, []):
            if joint.name in robot.joint_names:
                if robot.joint_names.index(joint.name) != body or len(origin) != body:
                    raise InputError("planning joints must form one serial chain, in order", key=joint.name)
                origin.append(T_body_link @ joint.origin.matrix)
                axis.append(joint.axis)
                prismatic.append(joint.kind == "prismatic")
                placement[joint.child] = (body + 1, np.eye(4))
            else:
                value = robot.still_joints.get(joint.name, 0.0)
                placement[joint.child] = (body, T_body_link @ joint.transform(value))
            stack.append(joint.child)
    if len(origin) != robot.dof:
        raise InputError(
            "not all planning joints hang on the base link", key=robot.base_link, value=list(robot.joint_names)
        )
    return Chain(origin=np.array(origin), axis=np.array(axis), prismatic=np.array(prismatic), placement=placement)
