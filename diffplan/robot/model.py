"""A robot: kinematic chain, limits, named configurations, and its collision model."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from diffplan import arguments
from diffplan.errors import InputError, did_you_mean, shown
from diffplan.geometry.pose import Float, Pose
from diffplan.geometry.shapes import Shape
from diffplan.robot.held import HeldBody
from diffplan.robot.urdf import Joint, UrdfModel
from diffplan.system.computed import computed
from diffplan.system.higher import higher
from diffplan.words import count, one_line, some

if TYPE_CHECKING:
    import torch

FULL_TURN = 2 * np.pi
WINDOW = FULL_TURN
"""How far either way a continuous joint is planned [rad]: as far as many arms' own limits are."""
_SHORTEST = 0.1  # [m] an arm that is shorter counts as so long in the metric of its joints
_HAIR = 1e-9  # [rad or m] of rounding at limits, that of retiming: more would let a start pass that no motion may have


@dataclass(frozen=True, kw_only=True, eq=False)
class CollisionSpheres:
    """Spheres fixed to links: `link` [s] indexes `links`; `centre` [s, 3] in the link frame, `radius` [s], in m.

    `uncovered` is how far a link's surface lies outside its spheres at most, `outside` how far spheres stick out of
    their link, over all links, as the fit measured them, to a whole millimetre [m]: planners' margins are made of them.
    Where spheres of held bodies stand behind those of the robot, `own` are the latter.
    """

    links: tuple[str, ...]
    link: np.ndarray
    centre: Float
    radius: Float
    uncovered: float = 0.008
    outside: float = 0.013
    own: CollisionSpheres | None = None

    def with_bodies(self, bodies: Sequence[HeldBody]) -> CollisionSpheres:
        """Return these spheres, and behind them those of held bodies."""
        fits = [body.spheres for body in bodies]
        counts = [len(fit.radius) for fit in fits]
        return CollisionSpheres(
            links=(*self.links, *(body.name for body in bodies)),
            link=np.concatenate([self.link, np.repeat(len(self.links) + np.arange(len(bodies)), counts)]),
            centre=np.concatenate([self.centre, *(fit.centre for fit in fits)]),
            radius=np.concatenate([self.radius, *(fit.radius for fit in fits)]),
            uncovered=max([self.uncovered, *(_whole_mm(fit.uncovered) for fit in fits)]),
            outside=max([self.outside, *(_whole_mm(fit.outside) for fit in fits)]),
            own=self,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Chain:
    """The moving bodies of a robot, a tree: body 0 stands still with the base, moving joint m carries body m + 1.

    A moving joint is a planning joint, or one that follows one (URDF `mimic`): it stands at
    factor[m] * q[source[m]] + offset[m] (rad or m). Parents come before children; of an arm without followers joint
    and body m are those of planning joint m. `names` are the moving joints' own; `parent` [moving] is the body that
    carries joint m, `origin` [moving, 4, 4] is T_body(parent)_joint(m) at zero, `axis` [moving, 3] the unit axis in the
    joint frame, `prismatic` [moving]; `carried` [bodies, moving] tells which joints move which body. `placement` gives
    for every link of the URDF, and every held body, its body and T_body_link [4, 4], all other joints folded in.
    """

    names: tuple[str, ...]
    parent: np.ndarray
    source: np.ndarray
    factor: Float
    offset: Float
    origin: Float
    axis: Float
    prismatic: np.ndarray
    carried: np.ndarray
    placement: dict[str, tuple[int, Float]]

    @property
    def moving(self) -> int:
        """Number of moving joints."""
        return len(self.parent)

    def lengths(self, slides: Float) -> Float:
        """Return how far from the first joint's place at zero each body's joint is at most [bodies] (m).

        `slides` [moving] is by how much the joints that slide may carry it farther.
        """
        length = np.zeros(self.moving + 1)
        for m, parent in enumerate(self.parent):
            step = self.origin[m, :3, 3] - (self.origin[0, :3, 3] if parent == 0 else 0.0)
            length[m + 1] = length[parent] + np.linalg.norm(step) + slides[m]
        return length

    def values(self, q: Float) -> Float:
        """Return where the moving joints stand [..., moving] at planning joint values q [..., dof] (rad or m)."""
        return q[..., self.source] * self.factor + self.offset


@dataclass(frozen=True, kw_only=True)
class Tool:
    """The frame that poses without a link mean: `pose` is T_link_tool."""

    link: str
    pose: Pose = field(default_factory=Pose)


@dataclass(frozen=True, kw_only=True)
class Gripper:
    """The joints that move fingers, each with its open and closed value [rad or m], and the links that may touch what
    is held.
    """

    joints: dict[str, tuple[float, float]]
    may_touch: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Robot:
    """An arm with fixed base. Arrays have one entry a planning joint: rad, rad/s, rad/s^2, rad/s^3 (m for prismatic).

    The planning joints lie on one path of the URDF's tree, behind the base link. Whatever else belongs to the robot
    stands still, where `held_joints` (fingers, a head) and zero put it, or follows a planning joint (URDF `mimic`), and
    is kept clear of as well. A continuous joint has no limits; `lower` and `upper` are the window that it is planned
    in: one turn either way of zero, or of as many turns as the start has (`turned`).

    `touching` are the link pairs that always touch (adjacent ones among them), `never_touching` those that
    planners leave to the certificate: sampling with the real meshes found no contact, or the spheres touch nearly
    everywhere although the links do not. `file` is the robot file that it was read from, if it was,
    `prior` the file of weights that it names. `assumed` are the joints by `velocity`, `acceleration`, `jerk` whose
    limit neither robot file nor URDF tells, so that a default stands for it.

    `attached` are the bodies that it holds (see `holding`): each counts as one more link, in `links`, `spheres`,
    `chain.placement` and the pairs. `allowed` are pairs of links whose contact planners need not avoid.
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
    prior: Path | None = None
    tool: Tool | None = None
    gripper: Gripper | None = None
    assumed: dict[str, tuple[str, ...]] = field(default_factory=dict)
    attached: tuple[HeldBody, ...] = ()
    allowed: frozenset[frozenset[str]] = field(default_factory=frozenset)

    @staticmethod
    def load(name: str) -> Robot:
        """Load a shipped robot by name, or a robot file by path (format `diffplan/robot@1`).

        Raises:
            InputError: if there is no such robot (the message lists the shipped ones) or its file is wrong.
        """
        return higher("formats.robot_file:load_robot")(name)

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
    def tool_frame(self) -> Tool:
        """The tool, or the end link's frame if none is named."""
        return self.tool or Tool(link=self.end_link)

    @computed
    def fingerprint(self) -> str:
        """SHA-256 over kinematics, limits and geometry (spheres, and what the mesh files hold when it is first asked).

        Neither names of robot and files nor configurations count, nor where the held joints stand (`still_joints`),
        nor what it holds (`attached`).
        """
        return higher("formats.fingerprint:robot_content")(self.empty_handed)

    @computed
    def links(self) -> tuple[str, ...]:
        """Links with collision geometry, in URDF order, and then the bodies that are held."""
        links = [link for link, shapes in self.model.collisions.items() if shapes]
        return (*links, *(body.name for body in self.attached))

    def shapes(self, link: str) -> tuple[Shape, ...]:
        """Return what collides of a link, or of a held body of that name, in its own frame."""
        held = next((body.shapes for body in self.attached if body.name == link), None)
        return self.model.collisions[link] if held is None else held

    @computed
    def empty_handed(self) -> Robot:
        """The robot without the bodies that it holds."""
        if not self.attached and not self.allowed:
            return self
        return replace(self, spheres=self.spheres.own or self.spheres, attached=(), allowed=frozenset())

    def holding(self, bodies: Sequence[HeldBody], allowed: Collection[frozenset[str]] = ()) -> Robot:
        """Return a copy that holds these bodies, in place of what it holds now.

        Args:
            bodies: what it holds.
            allowed: pairs of links or held bodies whose contact planners need not avoid.

        Raises:
            InputError: if a body hangs on a link, or may touch one, that is not there, or has a name that is taken.
        """
        keys, pairs, bare = [body.key for body in bodies], frozenset(allowed), self.empty_handed
        if keys == [body.key for body in self.attached] and pairs == self.allowed:
            return self
        if not keys and not pairs:
            return bare
        taken = list(bare.chain.placement)
        for body in bodies:
            for link in (body.link, *body.may_touch):
                if link not in bare.chain.placement:
                    problem = f"{self.name} has no link {link!r}{did_you_mean(link, bare.chain.placement)}"
                    raise InputError(problem, key=body.name, allowed=list(bare.chain.placement))
            if body.name in taken:
                allowed_names = "a name that no link and no other held body has"
                raise InputError(f"{self.name} has a link of this name", key=body.name, allowed=allowed_names)
            taken.append(body.name)
        held = replace(bare, spheres=bare.spheres.with_bodies(bodies), attached=tuple(bodies), allowed=pairs)
        held.__dict__["empty_handed"] = bare  # with its fingerprint, which takes a while
        return held

    @computed
    def chain(self) -> Chain:
        """The moving bodies: planning joints and their followers, all other joints folded in."""
        return _chain(self)

    @computed
    def continuous(self) -> np.ndarray:
        """Which planning joints turn without limits [dof]."""
        return np.array([self.model.joints[name].kind == "continuous" for name in self.joint_names])

    @computed
    def prismatic(self) -> np.ndarray:
        """Which planning joints slide [dof]."""
        return np.array([self.model.joints[name].kind == "prismatic" for name in self.joint_names])

    @computed
    def metric(self) -> Float:
        """What a joint's unit counts for in norms over joints [dof]: 1 for a rad; for a metre of a joint that slides,
        the angle [rad] by which the stretched arm must turn to move its end by a metre.
        """
        if not self.prismatic.any():
            return np.ones(self.dof)
        body, T_body_end = self.chain.placement[self.end_link]
        length = float(self.chain.lengths(np.zeros(self.chain.moving))[body] + np.linalg.norm(T_body_end[:3, 3]))
        return np.where(self.prismatic, 1.0 / max(length, _SHORTEST), 1.0)

    def distance(self, a: Float, b: Float) -> Float:
        """Return the distances [...] between joint positions a and b [..., dof]: norms weighted by `metric` [rad]."""
        way = (b - a) * self.metric
        return np.linalg.norm(way, axis=-1 if way.ndim > 1 else None)

    @computed
    def limits(self) -> tuple[Float, Float]:
        """The position limits [dof] (rad or m): none, that is infinite ones, where a joint is continuous."""
        return np.where(self.continuous, -np.inf, self.lower), np.where(self.continuous, np.inf, self.upper)

    def turned(self, q: Float) -> Robot:
        """Return a robot whose windows of continuous joints lie around q [dof]: within half a turn of their middle."""
        turns = self._turns(q - (self.lower + self.upper) / 2)
        if not turns.any():
            return self
        return replace(self, lower=self.lower + turns, upper=self.upper + turns)

    def nearest_turn(self, q: Float, to: Float) -> Float:
        """Return q [..., dof] with continuous joints turned by whole turns to be as near as may be `to` [..., dof]."""
        return q - self._turns(q - to)

    def _turns(self, way: Float) -> Float:
        """Return the whole turns [..., dof] in joint differences [..., dof] (rad); 0 for joints with limits."""
        return np.where(self.continuous, FULL_TURN * np.round(way / FULL_TURN), 0.0)

    @computed
    def checked_pairs(self) -> tuple[tuple[str, str], ...]:
        """Link pairs that can touch: neither always nor never touching. The planner's self-collision model.

        A held body is left out against what no joint moves against it, and where contact is allowed.
        """
        held, placement = {body.name for body in self.attached}, self.chain.placement

        def counts(a: str, b: str) -> bool:
            moves = not {a, b} & held or placement[a][0] != placement[b][0]
            return moves and not {frozenset((a, b))} & (self.never_touching | self.allowed)

        return tuple(pair for pair in self.certified_pairs if counts(*pair))

    @computed
    def certified_pairs(self) -> tuple[tuple[str, str], ...]:
        """Link pairs that the certificate checks: all but the always touching ones, and what may touch a held body."""
        pairs = [(a, b) for i, a in enumerate(self.links) for b in self.links[i + 1 :]]
        meant = {frozenset((body.name, link)) for body in self.attached for link in body.may_touch}
        return tuple(p for p in pairs if frozenset(p) not in self.touching | meant)

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
            limits, stands = self.model.joints[joint], self.held_joints[joint]
            slack = limits.upper - limits.lower
            low, high = min(limits.lower - slack, stands), max(limits.upper + slack, stands)
            if not low - _HAIR <= held[joint] <= high + _HAIR:
                allowed = f"{low:.6g} ... {high:.6g}: its limits in the URDF, and its "
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
        stands = replace(self, held_joints={**kept, **values, **{name: everything[name] for name in sorted(follow)}})
        if "fingerprint" in self.__dict__:  # it does not depend on held joints, and takes a while
            stands.__dict__["fingerprint"] = self.fingerprint
        return stands

    @computed
    def still_joints(self) -> dict[str, float]:
        """Where every movable joint stands that does not move (rad or m): held, following a held one, or at 0."""
        values = self.model.filled(self.held_joints)
        return {joint: value for joint, value in values.items() if joint not in self.moving_joints}

    @computed
    def farthest_values(self) -> Float:
        """How far from zero each moving joint of the chain may stand [moving] (rad or m)."""
        ends = self.chain.values(np.array([self.lower, self.upper]))
        return np.abs(ends).max(axis=0)

    @computed
    def farthest_sphere(self) -> float:
        """How far from the first joint's place no sphere of a moving body ever reaches (m)."""
        chain, spheres = self.chain, self.spheres
        length = chain.lengths(np.where(chain.prismatic, self.farthest_values, 0.0))
        farthest = 0.0
        for i, centre, radius in zip(spheres.link, spheres.centre, spheres.radius, strict=True):
            body, T_body_link = chain.placement[spheres.links[i]]
            if body > 0:
                at = T_body_link[:3, :3] @ centre + T_body_link[:3, 3]
                farthest = max(farthest, float(length[body] + np.linalg.norm(at) + radius))
        return farthest

    @computed
    def moving_joints(self) -> tuple[str, ...]:
        """The planning joints, and then those that follow one (URDF `mimic`)."""
        joints = self.model.joints
        planned = set(self.joint_names)
        follow = [name for name in joints if name not in planned and planned & set(self.model.leaders(name))]
        return (*self.joint_names, *follow)

    @computed
    def rules(self) -> dict[str, tuple[int, float, float]]:
        """By which planning joint each of `moving_joints` moves: value = factor * q[index] + offset (rad or m)."""
        return {name: _rule(self, name) for name in self.moving_joints}

    def joints_outside(self, q: Float) -> list[str]:
        """Return the planning joints that stand outside their limits at q [dof]."""
        low, high = self.limits[0] - _HAIR, self.limits[1] + _HAIR
        return [name for name, value, a, b in zip(self.joint_names, q, low, high, strict=True) if not a <= value <= b]

    def outside_within(self, q: Float, tolerance: float) -> bool:
        """Whether no planning joint stands farther than `tolerance` (rad or m) outside its limits at q [dof]."""
        low, high = self.limits
        return bool((np.maximum(low - q, q - high) <= tolerance + _HAIR).all())

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
        """Return T_base_body [n, bodies, 4, 4] for configurations q [n, dof] (NumPy, float64)."""
        q = np.atleast_2d(arguments.array(q, "q", self.dof))
        chain, values = self.chain, self.chain.values(q)
        poses = np.empty((len(q), chain.moving + 1, 4, 4))
        motions = _motions(chain, values)
        poses[:, 0] = np.eye(4)
        for m, parent in enumerate(chain.parent):
            poses[:, m + 1] = poses[:, parent] @ chain.origin[m] @ motions[m]
        return poses

    def link_pose(self, q: Float, link: str) -> Float:
        """Return T_base_link [n, 4, 4] for configurations q [n, dof].

        Raises:
            InputError: if the robot has no such link.
        """
        return self.link_poses(q, (link,))[:, 0]

    def link_poses(self, q: Float, links: Sequence[str]) -> Float:
        """Return T_base_link [n, links, 4, 4] for configurations q [n, dof].

        Raises:
            InputError: if the robot has no such link.
        """
        for link in links:
            if not isinstance(link, str) or link not in self.chain.placement:
                raise InputError(
                    f"{self.name} has no link {shown(link)}{did_you_mean(link, self.chain.placement)}",
                    allowed=list(self.chain.placement),
                )
        poses, placed = self.body_poses(q), [self.chain.placement[link] for link in links]
        return np.stack([poses[:, body] @ T_body_link for body, T_body_link in placed], axis=1)

    def forward_kinematics(self, q: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return T_base_link [n, 4, 4] of every link and held body for q [n, dof], by pytorch-kinematics.

        Differentiable.
        """
        import torch

        from diffplan.robot.reference_kinematics import reference_chain

        values = {name: factor * q[:, source] + offset for name, (source, factor, offset) in self.rules.items()}
        values |= {name: torch.full_like(q[:, 0], value) for name, value in self.still_joints.items()}
        poses = reference_chain(self.model, q.dtype, q.device).forward_kinematics(values)
        T_base_world = poses[self.base_link].get_matrix().inverse()
        found = {link: T_base_world @ pose.get_matrix() for link, pose in poses.items()}
        held = {body.name: found[body.link] @ torch.as_tensor(body.pose.matrix).to(q) for body in self.attached}
        return found | held

    def jacobian(self, q: torch.Tensor, link: str) -> torch.Tensor:
        """Return the geometric Jacobian [n, 6, k] of a link's origin (linear rows first) by the k planning joints that
        move it, in their order, by pytorch-kinematics.
        """
        import torch

        from diffplan.robot.reference_kinematics import reference_serial_chain

        chain = reference_serial_chain(self.model, q.dtype, q.device, self.base_link, link)
        names = chain.get_joint_parameter_names()
        rules = {name: self.rules[name] for name in names if name in self.rules}
        full = q.new_zeros((len(q), len(names)))
        for i, name in enumerate(names):
            source, factor, offset = rules.get(name, (0, 0.0, self.still_joints.get(name, 0.0)))
            full[:, i] = factor * q[:, source] + offset
        by_joint = chain.jacobian(full)
        assert isinstance(by_joint, torch.Tensor)  # a pair only where the pose is asked for too
        jacobian = q.new_zeros((len(q), 6, self.dof))
        for name, (source, factor, _) in rules.items():
            jacobian[:, :, source] += factor * by_joint[:, :, names.index(name)]
        return jacobian[:, :, sorted({source for source, _, _ in rules.values()})]


def _whole_mm(length: float) -> float:
    """Return a length [m] rounded up to a whole millimetre."""
    return float(np.ceil(1000 * length - 1e-6)) / 1000


def _rule(robot: Robot, name: str) -> tuple[int, float, float]:
    """Return by which planning joint a moving joint moves, and how: value = factor * q[source] + offset."""
    factor, offset = 1.0, 0.0
    while name not in robot.joint_names:
        mimic = robot.model.joints[name].mimic
        assert mimic is not None  # it follows a planning joint
        offset += factor * mimic.offset
        factor *= mimic.multiplier
        name = mimic.leader
    return robot.joint_names.index(name), factor, offset


def _motions(chain: Chain, values: Float) -> Float:
    """Return the motions [moving, n, 4, 4] of the moving joints at their values [n, moving]."""
    values = values.T[:, :, None]
    x, y, z = chain.axis.T
    none, turns = np.zeros(chain.moving), ~chain.prismatic[:, None, None]
    cross = np.array([[none, -z, y], [z, none, -x], [-y, x, none]]).transpose(2, 0, 1)
    turn = np.where(turns, values, 0.0)[..., None]
    motions = np.zeros((*values.shape[:2], 4, 4)) + np.eye(4)
    motions[..., :3, :3] += np.sin(turn) * cross[:, None] + (1 - np.cos(turn)) * (cross @ cross)[:, None]
    motions[..., :3, 3] = np.where(turns, 0.0, values) * chain.axis[:, None]
    return motions


def _chain(robot: Robot) -> Chain:
    """Fold the URDF tree, seen from the base link, into bodies moved by the planning joints and their followers."""
    model, moving = robot.model, robot.moving_joints
    for name in robot.joint_names:
        mimic = model.joints[name].mimic
        if mimic is not None:
            problem = f"{name} mimics {mimic.leader}: joints that follow others cannot be planned for"
            raise InputError(problem, key=name)
    for name in moving[robot.dof :]:
        if name in robot.held_joints:
            leader = robot.joint_names[robot.rules[name][0]]
            raise InputError(f"{name} follows {leader} (mimic), which is planned for: it cannot be held", key=name)
    above = {joint.child: joint for joint in model.joints.values()}
    below: dict[str, list[Joint]] = {}
    for joint in model.joints.values():
        below.setdefault(joint.parent, []).append(joint)
    found: list[tuple[Joint, int, Float]] = []  # moving joints with their parent body and origin
    placement: dict[str, tuple[int, Float]] = {robot.base_link: (0, np.eye(4))}
    stack = [robot.base_link]
    while stack:
        link = stack.pop(0)
        body, T_body_link = placement[link]
        for joint in below.get(link, []):
            if joint.child in placement:
                continue
            if joint.name in moving:
                found.append((joint, body, T_body_link @ joint.origin.matrix))
                placement[joint.child] = (len(found), np.eye(4))
            else:
                value = robot.still_joints.get(joint.name, 0.0)
                placement[joint.child] = (body, T_body_link @ joint.transform(value))
            stack.append(joint.child)
        joint = above.get(link)
        if joint is not None and joint.parent not in placement:
            if joint.name in moving:
                names = list(robot.joint_names) if joint.name in robot.joint_names else joint.name
                problem = "not all planning joints, and the joints that follow them, hang on the base link"
                raise InputError(problem, key=robot.base_link, value=names)
            T_parent_link = joint.transform(robot.still_joints.get(joint.name, 0.0))
            placement[joint.parent] = (body, T_body_link @ np.linalg.inv(T_parent_link))
            stack.append(joint.parent)
    for held in robot.attached:
        body, T_body_link = placement[held.link]
        placement[held.name] = (body, T_body_link @ held.pose.matrix)
    carried = np.zeros((len(found) + 1, len(found)), dtype=bool)
    for m, (_, parent, _) in enumerate(found):
        carried[m + 1] = carried[parent]
        carried[m + 1, m] = True
    order = [joint.name for joint, _, _ in found]
    for before, after in pairwise(robot.joint_names):
        if not carried[order.index(after) + 1, order.index(before)]:
            raise InputError("planning joints must form one serial chain, in order", key=after)
    rules = [robot.rules[name] for name in order]
    return Chain(
        names=tuple(order),
        parent=np.array([parent for _, parent, _ in found], dtype=np.int64),
        source=np.array([source for source, _, _ in rules], dtype=np.int64),
        factor=np.array([factor for _, factor, _ in rules], dtype=np.float64),
        offset=np.array([offset for _, _, offset in rules], dtype=np.float64),
        origin=np.array([origin for _, _, origin in found]),
        axis=np.array([joint.axis for joint, _, _ in found]),
        prismatic=np.array([joint.kind == "prismatic" for joint, _, _ in found]),
        carried=carried,
        placement=placement,
    )
