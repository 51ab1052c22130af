"""Following a sequence in simulated physics: position control of arm and fingers, friction alone holds what is held.

The fingers close together: each is sent a little beyond where all of them stand on average, with a limited force. So
what they hold is pressed from both sides and stays in their middle, whatever its width; nothing is glued to the hand.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from diffplan.certificate.bullet import bullet
from diffplan.certificate.frames import joint_indices, link_frame
from diffplan.certificate.world import RobotBody, attach_robot
from diffplan.errors import InputError
from diffplan.geometry.pose import Float, Pose
from diffplan.pybullet.execution import check_base, follow
from diffplan.pybullet.running import bodies_of, check_body, check_client
from diffplan.pybullet.same_robot import check_same_robot
from diffplan.sequence.fingers import Fingers, joint_values
from diffplan.sequence.result import SequencePlan
from diffplan.system.exclusive import exclusive

_AWAY = 0.05  # [rad or m] the arm may stand from the start
_GRIP = 20.0  # [N] at each finger
_SQUEEZE = 0.001  # [m] by which the pads are sent closer together than they stand, each step
_SLOWLY, _SLOW_M = 0.02, 0.004  # [m/s] of the pads, and how far [m]: so what was pressed is not flicked away
_QUICKLY = 0.1  # [m/s] of the pads, from there on
_GAIN = 0.2
_LEAST_S, _MOST_S, _SETTLE_S = 0.2, 3.0, 0.3
_STILL = 2e-4  # of the way from open to closed in 0.1 s: the fingers stand
_LEAST_MOVED = 0.005  # [m] or 2 degrees: what else has moved by more is told
_LEAST_TURNED = np.radians(2.0)
_BODY = re.compile(r"#(\d+)(\D|$)")


@dataclass(frozen=True, kw_only=True)
class PlacedObject:
    """Where an object is after playing against where it should be: `off_mm`, `off_deg`, and its `pose` in the world."""

    name: str
    pose: Pose
    off_mm: float
    off_deg: float


@dataclass(frozen=True, kw_only=True)
class PlayReport:
    """How a sequence went in physics: every object that was taken, and what else moved (by more than 5 mm or 2 deg).

    `tracking_rad` is the largest error of a planned joint [rad, or m] at the end of any step.
    """

    objects: tuple[PlacedObject, ...]
    disturbed: tuple[PlacedObject, ...]
    tracking_rad: float

    def within(self, mm: float = 10.0, deg: float = 5.0) -> bool:
        """Whether every object that was taken is so near to its place."""
        return all(one.off_mm <= mm and one.off_deg <= deg for one in self.objects)

    @property
    def words(self) -> str:
        """The report for people."""
        told = [f"{one.name} {one.off_mm:.1f} mm and {one.off_deg:.1f} deg from its place" for one in self.objects]
        told += [f"{one.name} was moved by {one.off_mm:.1f} mm and {one.off_deg:.1f} deg" for one in self.disturbed]
        return "; ".join(told) or "nothing was taken or moved"


@exclusive
def play_sequence(
    plan: SequencePlan,
    client: int,
    body: int,
    *,
    bodies: Mapping[str, int] | None = None,
    after_step: Callable[[], None] | None = None,
) -> PlayReport:
    """Follow a sequence in a running PyBullet world, stepping its simulation, and say where everything ended.

    Args:
        plan: of this world.
        client: the physics client.
        body: the robot in it, standing at the sequence's start.
        bodies: the body of each object by its name in the scene; not needed for those that
            `Scene.from_pybullet` named (`cube#3`).
        after_step: called after every step of the simulation.

    Raises:
        InputError: if the plan is not solved, the client is not connected, the body is not this robot, not at the
            start or on another base, or an object that is taken is no body of this world, or one that cannot move.
    """
    if not plan.solved:
        raise InputError("the sequence is not solved", key="sequence", value=plan.status.value, allowed="solved ones")
    if plan.scene.attached:
        names = [one.name for one in plan.scene.attached]
        raise InputError("the sequence begins with something in hand", key="attached", value=names, allowed="none")
    client = check_client(client)
    body = check_body(client, body, "body")
    check_same_robot(client, body, plan.robot, key="body", ignore=bodies_of(client))
    robot = attach_robot(client, body, plan.robot)
    check_base(plan.scene, robot)
    away = np.abs(robot.joint_positions() - plan.start)
    if away.max() > _AWAY:
        joint = plan.robot.joint_names[int(np.argmax(away))]
        problem = f"the robot is not at the start of the sequence: joint {joint} is {away.max():.3f} rad away"
        raise InputError(problem, key=f"body {body}", allowed=f"up to {_AWAY} rad")
    things = _things(plan, client, body, bodies or {})
    before = {name: link_frame(client, number, -1) for name, number in things.items()}
    windowed = bullet.getConnectionInfo(physicsClientId=client)["connectionMethod"] == bullet.GUI

    def stepped(step: float) -> None:
        if windowed:
            time.sleep(step)
        if after_step:
            after_step()

    hand = Hand(robot=robot, fingers=Fingers.of(plan.robot)) if plan.robot.gripper else None
    worst, q, motions = 0.0, plan.start, iter(plan.motions)
    for one in plan.steps:
        if one.plan and not one.goes_on:
            motion = next(motions)
            errors = follow(robot, motion, settle=0.0, after_step=stepped, before_step=hand)
            worst, q = max(worst, float(errors.max())), motion.position[-1]
        elif one.seconds:
            _stay(robot, q, hand, one.seconds, stepped)
        elif one.kind == "gripper" and hand:
            hand.send(one.fingers, closing=one.closing)
            for _ in range(round(_MOST_S / _LEAST_S)):
                before_s = hand.shares()
                _stay(robot, q, hand, _LEAST_S, stepped)
                if hand.arrived and np.abs(hand.shares() - before_s).max() < _STILL:
                    break
    _stay(robot, q, hand, _SETTLE_S, stepped)
    return _report(plan, client, things, before, worst)


class Hand:
    """The fingers of a robot in a client, told before every step where to go."""

    def __init__(self, *, robot: RobotBody, fingers: Fingers) -> None:
        """Hold the fingers where they stand."""
        self.client, self.body = robot.client, robot.body
        indices = joint_indices(robot.client, robot.body)
        opened, closed = joint_values(robot.robot, 0.0), joint_values(robot.robot, 1.0)
        self.names = [name for name in opened if abs(closed[name] - opened[name]) > 0]
        self.joints = [indices[name] for name in self.names]
        self.opened = np.array([opened[name] for name in self.names])
        self.range = np.array([closed[name] - opened[name] for name in self.names])
        span = max(fingers.widest - fingers.least, _SQUEEZE)
        self.squeeze = _SQUEEZE / span
        dt = bullet.getPhysicsEngineParameters(physicsClientId=robot.client)["fixedTimeStep"]
        self.slow, self.slow_way, self.quick = _SLOWLY * dt / span, _SLOW_M / span, _QUICKLY * dt / span
        # A pad goes by half of what the distance of the pads changes by.
        lever = 0.5 * (fingers.widest - fingers.least) / np.abs(self.range)
        told = np.array(
            [bullet.getJointInfo(self.body, joint, physicsClientId=self.client)[10] for joint in self.joints]
        )
        self.force = np.where(told > 0, np.minimum(told, _GRIP * lever), _GRIP * lever)
        self.goal, self.closing = self.shares(), False
        self.sent, self.since = self.goal, 0.0

    def send(self, values: Mapping[str, float], *, closing: bool) -> None:
        """Send the fingers to joint values [rad or m]; `closing`: on until something is between them."""
        goal = np.array([values.get(name, np.nan) for name in self.names])
        share = (goal - self.opened) / self.range
        self.goal = np.where(np.isfinite(share), share, self.goal)
        self.closing, self.since = closing, 0.0
        self.sent = np.full(len(share), self.shares().mean())

    @property
    def arrived(self) -> bool:
        """Whether the fingers have been sent all the way."""
        return self.closing or bool((self.sent == self.goal).all())

    def __call__(self) -> None:
        """Set the motors for the next step."""
        if self.closing:
            self.sent = np.full(len(self.sent), min(1.0, float(self.shares().mean()) + self.squeeze))
        else:
            step = self.slow if self.since < self.slow_way else self.quick
            self.since += step
            self.sent = self.sent + np.clip(self.goal - self.sent, -step, step)
        bullet.setJointMotorControlArray(
            self.body,
            self.joints,
            bullet.POSITION_CONTROL,
            targetPositions=(self.opened + self.sent * self.range).tolist(),
            forces=self.force.tolist(),
            positionGains=[_GAIN] * len(self.joints),
            velocityGains=[1.0] * len(self.joints),
            physicsClientId=self.client,
        )

    def shares(self) -> Float:
        """Return how far closed the fingers are: 0 open, 1 closed."""
        states = bullet.getJointStates(self.body, self.joints, physicsClientId=self.client)
        return (np.array([state[0] for state in states]) - self.opened) / self.range


def _stay(robot: RobotBody, q: Float, hand: Hand | None, seconds: float, after_step: Callable[[float], None]) -> None:
    """Step the simulation while the arm stands at q [dof] and the fingers go where they are sent."""
    from diffplan.problem import Trajectory

    still = np.zeros((2, len(q)))
    here = Trajectory(time=np.array([0.0, seconds]), position=np.stack([q, q]), velocity=still, acceleration=still)
    follow(robot, here, settle=0.0, after_step=after_step, before_step=hand)


def _things(plan: SequencePlan, client: int, body: int, given: Mapping[str, int]) -> dict[str, int]:
    """Return the bodies of the obstacles that are bodies of this world, those that are taken among them.

    Raises:
        InputError: if one that is taken is not told, not there, or cannot move.
    """
    known, found = set(bodies_of(client)) - {body}, {}
    for obstacle in plan.scene.obstacles:
        match = _BODY.search(obstacle.name)
        number = given.get(obstacle.name, int(match.group(1)) if match else None)
        if number in known:
            found[obstacle.name] = number
    for name in plan.moved:
        if name not in found:
            allowed = "bodies={name: body}, a body of this world that is not the robot"
            raise InputError("which body this object is has to be said", key="bodies", value=name, allowed=allowed)
        if bullet.getDynamicsInfo(found[name], -1, physicsClientId=client)[0] <= 0:
            raise InputError("this body cannot move: its mass is 0", key=f"bodies.{name}", value=found[name])
    return found


def _report(
    plan: SequencePlan, client: int, things: dict[str, int], before: dict[str, Pose], worst: float
) -> PlayReport:
    """Compare where bodies are with where they should be; bodies moved as rigidly as their obstacles should have."""
    objects, disturbed = [], []
    seen: set[int] = set()
    for name, number in things.items():
        start, now = plan.scene.obstacle(name).pose, link_frame(client, number, -1)
        ended = now @ before[name].inverse() @ start
        meant = expected_pose(plan, name)
        off = float(np.linalg.norm(np.subtract(ended.xyz, meant.xyz)))
        turn = (meant.inverse() @ ended).matrix[:3, :3]
        angle = float(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1.0, 1.0)))
        one = PlacedObject(name=name, pose=ended, off_mm=1000 * off, off_deg=float(np.degrees(angle)))
        if name in plan.moved:
            objects.append(one)
        elif number not in seen and (off > _LEAST_MOVED or angle > _LEAST_TURNED):
            disturbed.append(one)
        seen.add(number)
    return PlayReport(objects=tuple(objects), disturbed=tuple(disturbed), tracking_rad=worst)


def expected_pose(plan: SequencePlan, name: str) -> Pose:
    """Return where an object should be after a sequence, in the world: put down, or still in hand."""
    for obstacle in plan.end.obstacles:
        if obstacle.name == name:
            return obstacle.pose
    held = next(body for body in plan.end.attached if body.name == name)
    last = plan.plans[-1].trajectory
    q = plan.start if last is None else last.position[-1]
    link = plan.robot.standing(plan.end.hold).link_pose(q, held.link)[0]
    return Pose.from_matrix(plan.end.robot_base.matrix @ link) @ held.obstacle.pose
