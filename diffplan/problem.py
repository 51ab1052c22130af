"""What is asked (`Problem`), what comes back (`Plan`, `Status`, `Certificate`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from diffplan import arguments
from diffplan.constraints.kinds import Constraint, read_constraints
from diffplan.curves import hermite
from diffplan.errors import InputError, did_you_mean
from diffplan.geometry.pose import Pose
from diffplan.robot.held import HeldBody
from diffplan.robot.model import Robot
from diffplan.scene import Attached, Scene, Urdf, bodies
from diffplan.system.higher import higher
from diffplan.words import count, html, one_line

if TYPE_CHECKING:
    from diffplan.costs.cost import Cost
    from diffplan.studio.server import Studio

Float: TypeAlias = NDArray[np.float64]
_INSTANT = 1e-9  # [s] by which a time may lie outside of a motion, from rounding
_MOST_SAMPLES = 10_000_000
_JERK_S = 0.01


class Status(Enum):
    """How planning ended; the value is the word in files, `advice` the sentence for people."""

    SOLVED = "solved"
    START_OUTSIDE_LIMITS = "start_outside_limits"
    START_IN_COLLISION = "start_in_collision"
    START_BREAKS_CONSTRAINT = "start_breaks_constraint"
    GOAL_OUTSIDE_LIMITS = "goal_outside_limits"
    GOAL_IN_COLLISION = "goal_in_collision"
    GOAL_BREAKS_CONSTRAINT = "goal_breaks_constraint"
    GOAL_UNREACHABLE = "goal_unreachable"
    NO_PATH_FOUND = "no_path_found"
    NOT_CERTIFIED = "not_certified"

    @property
    def advice(self) -> str:
        """What a person can do about it."""
        return _ADVICE[self]


_ADVICE = {
    Status.SOLVED: "certified free of collision and within limits",
    Status.START_OUTSIDE_LIMITS: "move the start inside the joint limits (diffplan robots show NAME lists them)",
    Status.START_IN_COLLISION: (
        "move the robot or the obstacle that it touches, or allow light contact (start_contact_m, --start-contact)"
    ),
    Status.START_BREAKS_CONSTRAINT: "move the start to where the constraint is kept, or allow more",
    Status.GOAL_OUTSIDE_LIMITS: "choose a goal inside the joint limits (diffplan robots show NAME lists them)",
    Status.GOAL_IN_COLLISION: "choose another goal or move the obstacle that it touches",
    Status.GOAL_BREAKS_CONSTRAINT: "choose another goal, or allow more",
    Status.GOAL_UNREACHABLE: "bring the goal pose closer or turn it",
    Status.NO_PATH_FOUND: "allow more time (timeout), or try another seed or planner",
    Status.NOT_CERTIFIED: "paths were found, but none keeps clear in PyBullet; allow more time or widen the gap",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Problem:
    """A motion to plan: from `start` [dof] to any row of `goals` [k, dof] (joint positions, rad or m).

    `goal_numbers` tell which of the goals that were asked for each row is of, since a pose has many (empty: its own).
    `costs` are the user's wishes; planners that optimise weigh them against the path length. `constraints` are what
    the motion must keep, taken as they are at the start (`Upright.at`).
    Continuous joints go the short way: goals are taken at the turn nearest to the start, and the robot turned to it.
    """

    robot: Robot
    scene: Scene
    start: Float
    goals: Float
    goal_numbers: tuple[int, ...] = ()
    name: str = "problem"
    costs: tuple[Cost, ...] = ()
    constraints: tuple[Constraint, ...] = ()

    def __post_init__(self) -> None:
        robot = arguments.instance(self.robot, Robot, "robot", allowed="a Robot")
        scene = arguments.instance(self.scene, Scene, "scene", allowed="a Scene")
        start = arguments.array(self.start, "start", robot.dof, allowed=f"{robot.dof} joint values")
        goals = arguments.array(self.goals, "goals", robot.dof, allowed=f"rows of {robot.dof} joint values")
        if start.ndim != 1 or goals.ndim != 2 or len(goals) == 0:
            shape, allowed = f"{start.shape}, {goals.shape}", f"start [{robot.dof}], goals [k, {robot.dof}], k >= 1"
            raise InputError("wrong shape", key="start, goals", value=shape, allowed=allowed)
        if len(self.goal_numbers) not in (0, len(goals)):
            allowed = f"none, or {len(goals)} numbers"
            raise InputError("wrong length", key="goal_numbers", value=len(self.goal_numbers), allowed=allowed)
        robot = holding(robot, scene)
        object.__setattr__(self, "robot", robot.turned(start))
        object.__setattr__(self, "start", start)
        object.__setattr__(self, "goals", robot.nearest_turn(goals, start))
        for joint, value in robot_in(robot, scene).still_joints.items():
            if value != robot.still_joints[joint]:
                raise InputError(
                    f"the scene says that {joint} is held at {value:.6g}: diffplan.problem.robot_in gives that robot",
                    key=joint,
                    value=robot.still_joints[joint],
                )
        for i, cost in enumerate(arguments.items(self.costs, "costs", allowed="a tuple of Cost")):
            if not (callable(cost) and isinstance(getattr(cost, "name", None), str)):
                raise InputError("not a cost", key=f"costs[{i}]", value=cost, allowed="diffplan.Cost")
        names = [cost.name for cost in self.costs]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise InputError("costs must have different names", key="costs", value=doubled[0])
        kept = [one.at(self.robot, scene.robot_base, start) for one in read_constraints(self.constraints)]
        object.__setattr__(self, "constraints", tuple(kept))

    def __repr__(self) -> str:
        where = f"{one_line(self.robot.name, 40)} in {one_line(self.scene.name, 40)}"
        return f"Problem({one_line(self.name, 40)!r}: {where}, {count(len(self.goals), 'goal')})"


def robot_in(robot: Robot, scene: Scene) -> Robot:
    """Return the robot as it stands in a scene: its held joints (fingers) as `scene.hold` says, holding `attached`.

    Raises:
        InputError: if the scene speaks of a joint that the robot does not hold, or of a link that it has not (it is a
            scene of another robot), if names clash, or if a file of a held object cannot be read.
    """
    for joint in scene.hold:
        if joint not in robot.still_joints:
            raise InputError(
                f"the scene was read for another robot: {robot.name} holds no joint {joint!r}",
                key=f"{scene.name}.hold",
                allowed=list(robot.held_joints),
            )
    stands = robot.standing(scene.hold)
    return holding(robot if stands.still_joints == robot.still_joints else stands, scene)


def holding(robot: Robot, scene: Scene) -> Robot:
    """Return the robot with the objects in its hands that a scene says (`scene.attached`), and no others.

    Raises:
        InputError: if a link is not there, names clash, or a file of a held object cannot be read.
    """
    if not scene.attached and not scene.allowed_contacts:
        return robot.empty_handed
    held = [_held_body(robot, attached) for attached in scene.attached]
    own = {*robot.empty_handed.links, *(body.name for body in held)}
    obstacles = {obstacle.name for obstacle in scene.obstacles}
    allowed = []
    for contact in scene.allowed_contacts:
        for name in contact.pair:
            key, known = f"{scene.name}.allowed_contacts", [*obstacles, *own]
            if name not in known:
                raise InputError(f"nothing is named {name!r}{did_you_mean(name, known)}", key=key, allowed=known)
            if name in own and name in obstacles:
                both = f"an obstacle, and a link of {robot.name}, are named so"
                raise InputError(both, key=key, value=name, allowed="another name for the obstacle")
        if own >= set(contact.pair):
            allowed.append(frozenset(contact.pair))
    return robot.holding(held, allowed)


def _held_body(robot: Robot, attached: Attached) -> HeldBody:
    may_touch = attached.may_touch
    if may_touch is None:
        may_touch = (attached.link, *(robot.gripper.may_touch if robot.gripper else _behind(robot, attached.link)))
    obstacle = replace(attached.obstacle, pose=Pose())
    shapes = [
        replace(shape, pose=body.pose @ shape.pose) if isinstance(obstacle, Urdf) else shape
        for body in bodies(obstacle)
        for shape in body.shapes
    ]
    return HeldBody.of(attached.name, attached.link, attached.obstacle.pose, tuple(shapes), tuple(may_touch))


def _behind(robot: Robot, link: str) -> tuple[str, ...]:
    """Return the links that hang on a link."""
    found = [link]
    for above in found:
        found += [joint.child for joint in robot.model.joints.values() if joint.parent == above]
    return tuple(found[1:])


@dataclass(frozen=True, kw_only=True)
class Closest:
    """Where a trajectory comes closest to an obstacle."""

    link: str
    obstacle: str
    time_s: float


@dataclass(frozen=True, kw_only=True)
class Outside:
    """A joint that a motion begins outside its position limits, and by how much (rad or m)."""

    joint: str
    by: float


@dataclass(frozen=True, kw_only=True)
class Exempt:
    """A pair of bodies that touches and may, nowhere deeper than `allowed_depth_mm` (None: however deep).

    Either the scene allows the pair to touch: then `deepest_mm` is the deepest that was measured along the motion, and
    `until_s` is None. Or the pair touches at the start, as was allowed, until it has come apart after `until_s`: then
    it is nowhere deeper than `deepest_mm`, which is proven.
    """

    pair: tuple[str, ...]
    allowed_depth_mm: float | None
    deepest_mm: float
    until_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A constraint that was asked for, its `limit`, and a proven bound on the `worst` along the motion, in `unit`s.

    It is kept where worst <= limit; a negative worst is the room that is left.
    """

    name: str
    limit: float
    worst: float
    unit: str

    @property
    def words(self) -> str:
        """Worst and limit for people, in degrees and mm."""
        factor, unit = {"rad": (180 / np.pi, "deg"), "m": (1000.0, "mm")}.get(self.unit, (1.0, self.unit))
        return f"{self.name} (at most {factor * self.worst:.3g} {unit}, allowed {factor * self.limit:.3g} {unit})"


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """The verdict of the independent PyBullet check on the samples and their linear and cubic interpolation.

    `reason` says in one sentence why `valid` is false; it is empty otherwise. `min_clearance_m` and
    `min_self_clearance_m` are the least clearances that were measured (between the measured configurations it may be
    less), `min_clearance_bound_m` and `min_self_clearance_bound_m` what is proven: nowhere is it less than that. The
    bounds are None where there is no such pair or the path is not free, and in files of earlier versions.

    Of the cubic `interpolation` (`Trajectory.at`) it says how far it is at most from the linear one
    (`interpolation_rad`, of a joint), and which share of its limit a velocity and an acceleration reach at most,
    between the samples too; None where the samples themselves are not within the limits. `jerk_share` is that of the
    change of acceleration from sample to sample; None where jerk was not to be limited.

    `start_outside` are the joints that begin outside their limits by at most `start_tolerance` (rad or m), as was
    allowed: such a joint goes no farther out and then stays inside. Empty unless that was asked for. `exempt` are the
    pairs that touch and may: those that touch at the start, at most `start_contact_m` deep, whose clearances count once
    they are apart; and those that the scene allows (`Scene.allowed_contacts`), whose clearances never count.
    `attached` names the objects that the robot held.

    `from_rest` and `to_rest` tell whether it begins and ends at rest; a motion of a sequence need not, where the arm
    goes on from one to the next.

    `constraints` are those that were asked for, each with a bound on the worst between the samples, of both
    interpolations.
    """

    valid: bool
    reason: str
    checked_by: str
    method: str
    resolution_rad: float
    min_clearance_m: float | None
    min_self_clearance_m: float | None
    closest: Closest | None
    joint_limits_ok: bool
    velocity_limits_ok: bool
    acceleration_limits_ok: bool
    start_error_rad: float
    goal_error_rad: float
    goal_index: int
    configurations_checked: int
    min_clearance_bound_m: float | None = None
    min_self_clearance_bound_m: float | None = None
    interpolation: str = ""
    interpolation_rad: float | None = None
    velocity_share: float | None = None
    acceleration_share: float | None = None
    jerk_share: float | None = None
    start_tolerance: float = 0.0
    start_outside: tuple[Outside, ...] = ()
    start_contact_m: float = 0.0
    exempt: tuple[Exempt, ...] = ()
    constraints: tuple[Kept, ...] = ()
    attached: tuple[str, ...] = ()
    from_rest: bool = True
    to_rest: bool = True

    @property
    def speed_words(self) -> str:
        """Where the motion does not begin or end at rest, in words; empty if it does."""
        moving = [word for word, rests in (("begins", self.from_rest), ("ends", self.to_rest)) if not rests]
        return f"{' and '.join(moving)} at speed: a part of a longer motion" if moving else ""

    @property
    def contact_words(self) -> str:
        """The contacts that the scene allows and the motion makes, in words; empty if it makes none."""
        meant = [one for one in self.exempt if one.until_s is None]
        pairs = ", ".join(f"{' and '.join(one.pair)}, at most {one.deepest_mm:.1f} mm" for one in meant)
        return f"contact allowed: {pairs}" if meant else ""

    @property
    def start_words(self) -> str:
        """What was allowed of the start, in words; empty if nothing was."""
        said = []
        if self.start_outside:
            joints = ", ".join(f"{outside.joint} by {outside.by:.3g}" for outside in self.start_outside)
            said.append(
                f"the start is outside the joint limits ({joints}), as start_tolerance {self.start_tolerance:g} "
                "allows: the motion first comes back inside"
            )
        until = {one: one.until_s for one in self.exempt if one.until_s is not None}
        if until:
            pairs = ", ".join(f"{' and '.join(one.pair)}, at most {one.deepest_mm:.1f} mm" for one in until)
            said.append(
                f"the start is in contact ({pairs}), as start_contact_m {self.start_contact_m:g} allows: "
                f"the motion first leaves it, in {max(until.values()):.2f} s"
            )
        return "; ".join(said)

    @property
    def clearance_words(self) -> str:
        """The least clearance from the obstacles in words: what is proven, and what was measured; empty if none."""
        if self.min_clearance_m is None:
            return ""
        measured = f"{1000 * self.min_clearance_m:.1f} mm"
        if self.min_clearance_bound_m is None:
            return f"least clearance measured {measured}"
        return f"least clearance at least {1000 * self.min_clearance_bound_m:.1f} mm (measured {measured})"


@dataclass(frozen=True, kw_only=True, eq=False)
class Moment:
    """Where a motion is at a time: `position`, `velocity`, `acceleration` [dof]; at several times [m, dof]."""

    position: Float
    velocity: Float
    acceleration: Float

    def __iter__(self) -> Iterator[Float]:
        """Give position, velocity and acceleration, in this order."""
        yield from (self.position, self.velocity, self.acceleration)


@dataclass(frozen=True, kw_only=True, eq=False)
class Trajectory:
    """A timed trajectory: `time` [n] in s, `position`, `velocity`, `acceleration` [n, dof].

    Between the samples it is the piecewise cubic through positions and velocities (`at`, curves/hermite.py). The
    certificate covers that motion, and the linear interpolation of the positions too.
    """

    time: Float
    position: Float
    velocity: Float
    acceleration: Float

    @property
    def duration(self) -> float:
        """Time from first to last sample [s]."""
        return float(self.time[-1] - self.time[0])

    def at(self, t: float | Sequence[float] | Float) -> Moment:
        """Return where the motion is at a time, or at several: cubic Hermite interpolation of the samples.

        Args:
            t: a time, or times [m], from the first to the last of `time` [s].

        Raises:
            InputError: for a time that is no number or outside of the motion.
        """
        try:
            moments = np.asarray(t, dtype=np.float64)
        except (TypeError, ValueError):
            moments = np.full(1, np.nan)
        first, last = float(self.time[0]), float(self.time[-1])
        if moments.ndim > 1 or not np.all((moments >= first - _INSTANT) & (moments <= last + _INSTANT)):
            bad = t if moments.ndim == 0 else "one of them is not" if moments.ndim == 1 else f"shape {moments.shape}"
            raise InputError("not a time within the motion", key="t", value=bad, allowed=f"{first:g} to {last:g} s")
        rows = hermite.at(self.time, self.position, self.velocity, np.clip(np.atleast_1d(moments), first, last))
        position, velocity, acceleration = rows if moments.ndim else (row[0] for row in rows)
        return Moment(position=position, velocity=velocity, acceleration=acceleration)

    def then(self, motion: Trajectory) -> Trajectory:
        """Return both motions as one; `motion` begins where this one ends, as fast as it is there."""
        return Trajectory(
            time=np.concatenate([self.time[:-1], self.time[-1] - motion.time[0] + motion.time]),
            position=np.concatenate([self.position[:-1], motion.position]),
            velocity=np.concatenate([self.velocity[:-1], motion.velocity]),
            acceleration=np.concatenate([self.acceleration[:-1], motion.acceleration]),
        )

    def sampled(self, hz: float) -> Trajectory:
        """Return the motion at equal steps of 1/hz seconds from the first time on, and at its end.

        Positions, velocities and accelerations are those of `at`, so that a controller can be given them one by one.
        The last step is shorter if it has to; where less than a tenth of a step would be left, the last two share it.

        Raises:
            InputError: for a rate that is not positive, or gives more than ten million samples.
        """
        if isinstance(hz, bool) or not isinstance(hz, (int, float, np.integer, np.floating)) or not 0 < hz < np.inf:
            raise InputError("not a rate", key="hz", value=hz, allowed="a number > 0 [1/s]")
        if self.duration * hz > _MOST_SAMPLES:
            raise InputError("too many samples", key="hz", value=hz, allowed=f"<= {_MOST_SAMPLES / self.duration:g}")
        steps = max(1, int(np.ceil(self.duration * hz - 1e-9)))
        time = np.append(self.time[0] + np.arange(steps) / hz, self.time[-1])
        if steps > 1 and time[-1] - time[-2] < 0.1 / hz:
            time[-2] = (time[-3] + time[-1]) / 2
        moment = self.at(time)
        return Trajectory(
            time=time, position=moment.position, velocity=moment.velocity, acceleration=moment.acceleration
        )

    def __repr__(self) -> str:
        moved = f" of {count(self.position.shape[1], 'joint')}" if self.position.ndim == 2 else ""
        return f"Trajectory({count(len(self.time), 'sample')}{moved}" + (
            f", {self.duration:.3f} s)" if len(self.time) else ")"
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class ToolPath:
    """Poses of the tool in the world frame: `time` [n] in s, `xyz` [n, 3] in m, `quat_xyzw` [n, 4].

    Of the two quaternions of a rotation it is the one nearer to that of the row before.
    """

    time: Float
    xyz: Float
    quat_xyzw: Float

    @staticmethod
    def of(time: Float, poses: Float) -> ToolPath:
        """Return the path of homogeneous matrices [n, 4, 4]."""
        from scipy.spatial.transform import Rotation

        quats = Rotation.from_matrix(poses[:, :3, :3]).as_quat()
        flips = np.where((quats[1:] * quats[:-1]).sum(axis=1) < 0, -1.0, 1.0)
        quats[1:] *= np.cumprod(flips)[:, None]
        return ToolPath(time=time, xyz=poses[:, :3, 3].copy(), quat_xyzw=quats)

    def __repr__(self) -> str:
        return f"ToolPath({count(len(self.time), 'pose')}, {self.time[-1] - self.time[0]:.3f} s)"


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """Properties of a trajectory: lengths in rad (Euclidean norm over the joints), jerk in rad/s^3.

    A metre of a joint that slides counts as `Robot.metric` says: as 1 / (length of the arm in m) rad.
    """

    path_length_rad: float
    straight_line_rad: float
    duration_s: float
    max_jerk: float
    mean_jerk: float


@dataclass(frozen=True, kw_only=True)
class Judged:
    """How the certificate judged the paths that a planner put forward as solutions, and that could be timed.

    `offered` counts them, those of its fallback and an earlier plan's motion among them, `rejected` the refused ones;
    `first_rejected` tells whether the first was refused (a false success, but for the certificate); None if none was
    offered. `untimed` counts those that were dropped before, because no timing keeps the robot's limits along them.
    """

    offered: int = 0
    rejected: int = 0
    first_rejected: bool | None = None
    untimed: int = 0


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """SHA-256 sums of what a plan was made with: the robot's parts by name, the obstacles' files by absolute path."""

    robot: dict[str, str]
    files: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Contact:
    """What touches at joint positions `q` (rad or m): `link` an `obstacle`, or `other_link` (the other of them is "").

    `at` is `start`, `goal` or `motion` (then with its time). `clearance_m` is negative where bodies overlap, None where
    one is wholly inside the other.
    """

    at: str
    link: str
    obstacle: str
    other_link: str
    q: tuple[float, ...]
    clearance_m: float | None
    time_s: float | None = None

    @property
    def links(self) -> tuple[str, ...]:
        """The links that touch."""
        return (self.link, self.other_link) if self.other_link else (self.link,)


@dataclass(frozen=True, kw_only=True, eq=False)
class Alternative:
    """Another certified way, with its own goal, certificate and metrics."""

    trajectory: Trajectory
    certificate: Certificate
    metrics: Metrics

    def __repr__(self) -> str:
        return f"Alternative({_motion(self.metrics, self.certificate)}, to goal {self.certificate.goal_index})"


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """What a planner returns, solved or not; `trajectory` is None unless a candidate was found.

    `goals` [k, dof] are joint positions; `goal_numbers` tell which of the goals that were asked for each row is of
    (empty: its own). `speed` is the share of the limits that the motion was timed for. `costs` gives the user's costs
    along the trajectory, unweighted, by name, `costs_weighed` whether the planner that found it weighs them (None
    without costs, and in plans that are read from files). `remarks` are what the planner says about the problem, such
    as that its prior was trained on other arms. `contact` is what touches where the status says that the start or the
    goal is in collision. `constraints` are what the motion has to keep beside limits and clearance; the certificate
    tells how it does. `fingerprint` tells what the files of robot and scene held when the plan was certified. A plan is
    true, as in `if plan:`, only if it is solved: taking one that is not for a success is the mistake that must not
    happen.
    """

    status: Status
    message: str
    planner: str
    solved_by: str
    robot: Robot
    scene: Scene
    seed: int
    start: Float
    goals: Float
    trajectory: Trajectory | None = None
    certificate: Certificate | None = None
    metrics: Metrics | None = None
    timing_s: dict[str, float] = field(default_factory=dict)
    costs: dict[str, float] = field(default_factory=dict)
    costs_weighed: bool | None = None
    alternatives: tuple[Alternative, ...] = ()
    judged: Judged = field(default_factory=Judged)
    remarks: tuple[str, ...] = ()
    contact: Contact | None = None
    fingerprint: Fingerprint | None = None
    constraints: tuple[Constraint, ...] = ()
    goal_numbers: tuple[int, ...] = ()
    speed: float = 1.0

    def __post_init__(self) -> None:
        if self.solved and not (self.trajectory and self.certificate and self.certificate.valid):
            raise ValueError("a plan is solved only with a trajectory and a valid certificate")

    @property
    def solved(self) -> bool:
        """Whether the trajectory passed the certificate."""
        return self.status is Status.SOLVED

    @property
    def goal_number(self) -> int | None:
        """Which of the goals that were asked for the motion ends in, counted from 0; None without a motion."""
        if self.certificate is None:
            return None
        row = self.certificate.goal_index
        return self.goal_numbers[row] if self.goal_numbers else row

    def __bool__(self) -> bool:
        return self.solved

    def __repr__(self) -> str:
        how = f"solved by {one_line(self.solved_by, 40)}" if self.solved else f"not solved: {self.status.value}"
        where = f"{one_line(self.robot.name, 40)} in {one_line(self.scene.name, 40)}, seed {self.seed}"
        if self.metrics and self.certificate and self.solved:
            further = f", {count(len(self.alternatives), 'alternative')}" if self.alternatives else ""
            about = _motion(self.metrics, self.certificate) + further
        else:
            about = one_line(self.message)
        return f"Plan({how}: {where}\n     {about})"

    def _repr_html_(self) -> str:
        """Return the words of `repr` and a picture, for notebooks; the words alone where nothing can be drawn."""

        def draw() -> str:
            return higher("pybullet.notebook:plan_picture")(self)

        return html(repr(self), draw)

    def save(self, path: str | Path) -> None:
        """Write the plan file (format `diffplan/plan@1`), with the scene that was planned in.

        Raises:
            InputError: if the file cannot be written.
        """
        higher("formats.plan_file:save_plan")(self, arguments.path(path, "path"))

    @staticmethod
    def load(path: str | Path, *, robot: Robot | None = None) -> Plan:
        """Read a plan file back as the plan that was saved.

        A plan speaks of the robot and the meshes that it was made with: if their files have changed since, or the plan
        file itself, it is refused (`diffplan check FILE` certifies the motion with what is there now). The first
        plan files did not hold their scene: such a plan can be played, and says so where its scene is needed.

        Args:
            path: the plan file.
            robot: the robot, where it is neither a shipped one nor read from a robot file.

        Raises:
            InputError: naming file, key and value if the file is wrong, or what has changed since.
        """
        if robot is not None:
            arguments.instance(robot, Robot, "robot", allowed="a Robot, or None")
        return higher("formats.stored_plan:read_plan")(arguments.path(path, "path"), robot=robot)

    def at(self, t: float | Sequence[float] | Float) -> Moment:
        """Return where the motion is at a time [s], or at several (see `Trajectory.at`).

        Raises:
            InputError: if there is no motion, or for a time outside of it.
        """
        return self._moving().at(t)

    def sampled(self, hz: float) -> Trajectory:
        """Return the motion at a rate [1/s] (see `Trajectory.sampled`).

        Raises:
            InputError: if there is no motion, or for a rate that makes no sense.
        """
        return self._moving().sampled(hz)

    def tool_path(self, hz: float | None = None) -> ToolPath:
        """Return where the robot's tool is in the world along the motion, at its samples or at a rate [1/s].

        Raises:
            InputError: if there is no motion, for a rate that makes no sense, or if the scene is not known.
        """
        motion, tool = self._moving() if hz is None else self.sampled(hz), self.robot.tool_frame
        poses = self.scene.robot_base.matrix @ self.robot.link_pose(motion.position, tool.link) @ tool.pose.matrix
        return ToolPath.of(motion.time, poses)

    def to_csv(self, path: str | Path, *, hz: float | None = None) -> None:
        """Write the certified motion as a table (docs/motions.md), at its samples or at a rate [1/s].

        Raises:
            InputError: if the plan is not solved, for a rate that makes no sense, or if the file cannot be written.
        """
        higher("formats.motion_files:write_csv")(self, arguments.path(path, "path"), hz)

    def to_ros(self, path: str | Path, *, hz: float | None = None) -> None:
        """Write the certified motion as a ROS `trajectory_msgs/JointTrajectory` in YAML; else as `to_csv`.

        Raises:
            InputError: if the plan is not solved, for a rate that makes no sense, or if the file cannot be written.
        """
        higher("formats.motion_files:write_ros")(self, arguments.path(path, "path"), hz)

    def expect_rest(self) -> None:
        """Refuse a motion that does not begin and end at rest, which no arm can do alone.

        Raises:
            InputError: for a part of a longer motion.
        """
        if self.certificate and self.certificate.speed_words:
            allowed = "the whole of it (SequencePlan.motions, .play), or Sequence.plan(join=False)"
            raise InputError(f"this motion {self.certificate.speed_words}", key=self.planner, allowed=allowed)

    def _moving(self) -> Trajectory:
        if self.trajectory is None:
            raise InputError("this plan has no motion", value=self.status.value, allowed="plans with a trajectory")
        return self.trajectory

    def show(self, *, port: int = 8080) -> Studio:
        """Open this plan in the studio (`diffplan studio`), a browser page; see `diffplan.show`.

        Raises:
            InputError: if the port is none.
            DiffplanError: if viser or plotly is not installed.
        """
        return higher("studio.server:show_plan")(self, port=port)

    def play(self, client: int, body: int) -> None:
        """Follow the trajectory in a running PyBullet world (`client`) with the robot `body` there.

        Raises:
            InputError: if the plan is not certified, or the body is not this robot, at the plan's start; see
                `diffplan.pybullet.execution.play`.
        """
        higher("pybullet.execution:play")(self, client=client, body=body)


def _motion(metrics: Metrics, certificate: Certificate) -> str:
    """Return a motion in words."""
    text = f"path {metrics.path_length_rad:.2f} rad in {metrics.duration_s:.2f} s"
    if certificate.clearance_words:
        text += f", {certificate.clearance_words}"
    if certificate.closest:
        text += f" ({one_line(certificate.closest.link, 40)} to {one_line(certificate.closest.obstacle, 40)})"
    return text


def trajectory_metrics(trajectory: Trajectory, joints: Float | float = 1.0) -> Metrics:
    """Return the metrics of a sampled trajectory, joints weighted by `joints` [dof] (`Robot.metric`; 1: all turn).

    Jerk is the change of acceleration over equal steps of 10 ms or a little less, however the trajectory is sampled:
    where accelerations switch, the quotient over a step says as much about the step as about the motion.
    """
    q = trajectory.position * joints
    even = np.linspace(trajectory.time[0], trajectory.time[-1], max(2, int(np.ceil(trajectory.duration / _JERK_S)) + 1))
    accelerations = (trajectory.acceleration * joints).T
    acceleration = np.stack([np.interp(even, trajectory.time, joint) for joint in accelerations], axis=1)
    jerk = np.diff(acceleration, axis=0) / np.diff(even)[:, None]
    return Metrics(
        path_length_rad=float(np.linalg.norm(np.diff(q, axis=0), axis=1).sum()),
        straight_line_rad=float(np.linalg.norm(q[-1] - q[0])),
        duration_s=trajectory.duration,
        max_jerk=float(np.abs(jerk).max()),
        mean_jerk=float(np.abs(jerk).mean()),
    )
