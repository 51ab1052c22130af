"""Following a plan in simulated physics: PyBullet's position control, step by step."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from diffplan import arguments
from diffplan.certificate.bullet import bullet, connection
from diffplan.certificate.frames import joint_indices, link_frame
from diffplan.certificate.world import RobotBody, at_origin, attach_robot, load_robot_body, load_scene_bodies
from diffplan.errors import InputError
from diffplan.geometry.pose import Float, Pose
from diffplan.problem import Plan, Trajectory
from diffplan.pybullet.running import bodies_of, check_body, check_client
from diffplan.pybullet.same_robot import check_same_robot
from diffplan.robot.model import Robot
from diffplan.scene import Scene
from diffplan.system.exclusive import exclusive
from diffplan.system.progress import working

_LOG = logging.getLogger("diffplan")
_START_TOLERANCE = 0.05
_BASE_SHIFT = 0.002
_BASE_TURN = 0.002
_FINGER_TOLERANCE = 0.002
_SETTLE_S = 0.5
_GRAVITY = -9.81


@dataclass(frozen=True, kw_only=True)
class Contact:
    """The deepest contact of a link with an obstacle during an execution: when, and how deep (m, positive)."""

    link: str
    obstacle: str
    time_s: float
    depth_m: float


@dataclass(frozen=True, kw_only=True)
class ExecutionReport:
    """How well position control followed a plan: joint errors in rad (m for prismatic joints), and contacts.

    The tracking error is the largest over the joints, at the end of every step; the final error is taken half a
    second after the end.
    """

    max_tracking_error_rad: float
    mean_tracking_error_rad: float
    final_error_rad: float
    contacts: tuple[Contact, ...]


@exclusive
def play(plan: Plan, client: int, body: int) -> float:
    """Follow the plan in a running PyBullet world, stepping its simulation for as long as the plan lasts.

    Targets are the plan's positions, interpolated linearly; the force limits are the URDF's. With a
    window (GUI) the steps keep real time. Other joints of the body, such as fingers, are left as they are; where they
    stand otherwise than planned, or the base is not fixed, a warning says so (logger `diffplan`).

    Args:
        plan: with a trajectory.
        client: the physics client.
        body: the robot in it, standing at the plan's start, its base where the plan's scene has it.

    Returns:
        The largest tracking error of a joint [rad].

    Raises:
        InputError: if the plan is not certified or a part of a longer motion, the client is not connected, or the body
            is not there, another robot (see `check_same_robot`), not at the start, or on another base (that matters
            only among obstacles).
    """
    trajectory = _trajectory(plan)
    if not plan.solved:
        raise InputError("the plan is not certified; only `execute` follows such plans", key=plan.planner)
    plan.expect_rest()
    client = check_client(client)
    body = check_body(client, body, "body")
    # What is tied to the arm was told when the scene was read, and left out knowingly.
    check_same_robot(client, body, plan.robot, key="body", ignore=bodies_of(client))
    robot = attach_robot(client, body, plan.robot)
    _check_place(plan, robot)
    away = np.abs(robot.joint_positions() - trajectory.position[0])
    if away.max() > _START_TOLERANCE:
        raise InputError(
            f"the robot is not at the start of the plan: joint {plan.robot.joint_names[int(np.argmax(away))]} is "
            f"{away.max():.3f} rad away",
            key=f"body {body}",
            allowed=f"up to {_START_TOLERANCE} rad",
        )
    windowed = bullet.getConnectionInfo(physicsClientId=client)["connectionMethod"] == bullet.GUI
    errors = follow(robot, trajectory, settle=0.0, after_step=time.sleep if windowed else lambda step: None)
    return float(errors.max())


@exclusive
def execute(plan: Plan) -> ExecutionReport:
    """Follow the plan in a client of our own, with gravity, in the plan's scene; obstacles do not move.

    What the robot holds moves with its link, and weighs nothing. Contacts that the scene allows are not told.

    Raises:
        InputError: if the plan has no trajectory, or a file cannot be read.
    """
    trajectory = _trajectory(plan)
    with working("executing the motion"), connection() as client:
        bullet.setGravity(0, 0, _GRAVITY, physicsClientId=client)
        scene = at_origin(plan.scene)
        robot = load_robot_body(client, plan.robot, scene.robot_base)
        robot.place(trajectory.position[0])
        bodies = load_scene_bodies(client, scene)
        for body in bodies.values():
            _hold(client, body, {})
        _hold(client, robot.body, plan.robot.still_joints)
        for name in robot.held:
            for part, _ in robot.parts(name):  # it is moved with the hand, and shall not push it
                for link in robot.links.values():
                    bullet.setCollisionFilterPair(robot.body, part, link, -1, 0, physicsClientId=client)
        watch = _ContactWatch(robot=robot, plan=plan, names={body: name for name, body in bodies.items()}, found={})
        errors = follow(robot, trajectory, settle=_SETTLE_S, after_step=watch)
    return ExecutionReport(
        max_tracking_error_rad=float(errors.max()),
        mean_tracking_error_rad=float(errors.mean()),
        final_error_rad=float(errors[-1]),
        contacts=tuple(watch.found.values()),
    )


def _check_place(plan: Plan, robot: RobotBody) -> None:
    """Refuse another base than planned, where there are obstacles; warn of other fingers and of a base that can move.

    Raises:
        InputError: if the base stands elsewhere.
    """
    check_base(plan.scene, robot)
    joints = joint_indices(robot.client, robot.body)
    chain = robot.robot.chain
    follow = dict(zip(chain.names, chain.values(robot.joint_positions()).tolist(), strict=True))
    for name, planned in {**plan.robot.still_joints, **follow}.items():
        value = float(bullet.getJointState(robot.body, joints[name], physicsClientId=robot.client)[0])
        if abs(value - planned) > _FINGER_TOLERANCE:
            _LOG.warning("%s stands at %.4g, and the plan was made for %.4g: not certified so", name, value, planned)


def check_base(scene: Scene, robot: RobotBody) -> None:
    """Refuse another base than a scene has, where it has obstacles; warn of a base that can move.

    Raises:
        InputError: if the base stands elsewhere.
    """
    base = link_frame(robot.client, robot.body, robot.links[robot.robot.base_link])
    apart = np.abs(base.matrix - scene.robot_base.matrix)
    if scene.obstacles and (apart[:3, 3].max() > _BASE_SHIFT or apart[:3, :3].max() > _BASE_TURN):
        raise InputError(
            "its base is not where the plan's scene has it, and there are obstacles",
            key="body",
            value=tuple(round(x, 4) for x in base.xyz),
            allowed=f"{scene.robot_base.xyz}, within {1000 * _BASE_SHIFT:g} mm, turned alike",
        )
    if bullet.getDynamicsInfo(robot.body, -1, physicsClientId=robot.client)[0] > 0:
        _LOG.warning("the base of body %d is not fixed: the arm's motion may move it", robot.body)


@contextmanager
def tracker(robot: Robot) -> Iterator[Callable[[Trajectory], Float]]:
    """Give a function that follows trajectories, one after the other, in an empty world with gravity.

    It returns the tracking error [steps] of a trajectory: the largest over the joints [rad], after every step.
    """
    with connection() as client:
        bullet.setGravity(0, 0, _GRAVITY, physicsClientId=client)
        body = load_robot_body(client, robot.empty_handed, Pose())
        _hold(client, body.body, robot.still_joints)

        def track(trajectory: Trajectory) -> Float:
            body.place(trajectory.position[0])
            return follow(body, trajectory, settle=0.0, after_step=lambda step: None)

        yield track


def _trajectory(plan: Plan) -> Trajectory:
    arguments.instance(plan, Plan, "plan", allowed="a Plan")
    if plan.trajectory is None:
        raise InputError(f"the plan has no trajectory to follow ({plan.status.value})", key=plan.planner)
    return plan.trajectory


def follow(
    robot: RobotBody,
    trajectory: Trajectory,
    *,
    settle: float,
    after_step: Callable[[float], None],
    before_step: Callable[[], None] | None = None,
) -> Float:
    """Step the simulation along the trajectory and `settle` seconds more; returns the error [steps] of each step.

    `before_step` may set other joints' motors, `after_step` is given the length of the step [s].
    """
    client = robot.client
    step = float(bullet.getPhysicsEngineParameters(physicsClientId=client)["fixedTimeStep"])
    forces = [bullet.getJointInfo(robot.body, joint, physicsClientId=client)[10] for joint in robot.moving]
    end = trajectory.duration
    times = step * np.arange(1, int(np.ceil((end + settle) / step)) + 1)
    errors = np.zeros(len(times))
    for i, target in enumerate(_at(trajectory, np.minimum(times, end))):
        bullet.setJointMotorControlArray(
            robot.body,
            robot.moving,
            bullet.POSITION_CONTROL,
            targetPositions=robot.robot.chain.values(target).tolist(),
            forces=forces,
            positionGains=[1.0] * len(forces),
            velocityGains=[1.0] * len(forces),
            physicsClientId=client,
        )
        if before_step:
            before_step()
        bullet.stepSimulation(physicsClientId=client)
        errors[i] = np.abs(robot.joint_positions() - target).max()
        after_step(step)
    return errors


def _at(trajectory: Trajectory, moments: Float) -> Float:
    """Return the positions [n, dof] at times [n] since the trajectory's begin [s]."""
    times = trajectory.time[0] + moments
    return np.stack([np.interp(times, trajectory.time, q) for q in trajectory.position.T], axis=1)


def _hold(client: int, body: int, targets: dict[str, float]) -> None:
    """Hold the movable joints of a body where they are, or at their targets, limits or not."""
    for name, joint in joint_indices(client, body).items():
        info = bullet.getJointInfo(body, joint, physicsClientId=client)
        if info[2] not in (bullet.JOINT_REVOLUTE, bullet.JOINT_PRISMATIC):
            continue
        now = float(bullet.getJointState(body, joint, physicsClientId=client)[0])
        value = targets.get(name, now)
        if info[8] <= info[9] and not info[8] <= value <= info[9]:
            low, high = min(info[8], value), max(info[9], value)
            bullet.changeDynamics(body, joint, jointLowerLimit=low, jointUpperLimit=high, physicsClientId=client)
        force = info[10] or 1000.0
        bullet.setJointMotorControl2(
            body, joint, bullet.POSITION_CONTROL, targetPosition=value, force=force, physicsClientId=client
        )


@dataclass(kw_only=True)
class _ContactWatch:
    """Notes after every step which moving links touch which obstacles, the deepest contact of each pair.

    What the robot holds is put where its link is then, and its contacts are noted too.
    """

    robot: RobotBody
    plan: Plan
    names: dict[int, str]
    found: dict[tuple[str, str], Contact]
    elapsed: float = 0.0

    def __call__(self, step: float) -> None:
        self.elapsed += step
        placement = self.plan.robot.chain.placement
        links = {index: link for link, index in self.robot.links.items()}
        for point in bullet.getContactPoints(self.robot.body, physicsClientId=self.robot.client):
            other, link, depth = point[2], links[point[3]], -point[8]
            if other in self.names and depth > 0 and placement.get(link, (1,))[0] > 0:
                self._note(link, self.names[other], depth)
        if self.robot.held:
            self.robot.carry(self.robot.joint_positions())
        for held in self.robot.held:
            for part, _ in self.robot.parts(held):
                for other, name in self.names.items():
                    points = bullet.getClosestPoints(part, other, 0.0, physicsClientId=self.robot.client)
                    if points and min(point[8] for point in points) < 0:
                        self._note(held, name, -min(point[8] for point in points))

    def _note(self, link: str, obstacle: str, depth: float) -> None:
        pair = (link, obstacle)
        if any(set(pair) == set(contact.pair) for contact in self.plan.scene.allowed_contacts):
            return
        if pair not in self.found or depth > self.found[pair].depth_m:
            self.found[pair] = Contact(link=link, obstacle=obstacle, time_s=self.elapsed, depth_m=depth)
