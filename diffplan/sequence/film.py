"""Films and strips of sequences: the arm, its fingers, and what it holds moving along."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from diffplan.certificate.bullet import bullet, connection
from diffplan.certificate.frames import inertial_frame, joint_indices, link_frame
from diffplan.certificate.world import RobotBody, at_origin, load_obstacle, load_robot_body
from diffplan.errors import InputError
from diffplan.geometry.pose import Float, Pose
from diffplan.pybullet.palette import HELD
from diffplan.pybullet.render import film_bytes, label, set_up, shoot, strip_bytes
from diffplan.sequence.result import SequencePlan
from diffplan.system.exclusive import exclusive
from diffplan.system.files import check_writable, write_bytes
from diffplan.system.progress import working

_SIZE = (640, 480)
_STRIP_SIZE = (480, 480)
_FRAME_S = 0.08
_CLOSING_FRAMES = 6
_FINER = 1.5
_KINDS = (".png", ".gif", ".mp4")


@dataclass(frozen=True, kw_only=True, eq=False)
class _Frame:
    """What one picture shows: joints q [dof], where the fingers stand, what is held on which link, and words."""

    q: Float
    fingers: dict[str, float]
    objects: dict[str, Pose]
    text: str


@exclusive
def render_sequence(plan: SequencePlan, file: Path) -> None:
    """Draw a sequence: `.gif` or `.mp4` a film, `.png` a strip with the end of every motion.

    Raises:
        InputError: if it is not solved, the file's kind is another, or a file of robot or scene cannot be read.
    """
    kind = file.suffix.lower()
    if kind not in _KINDS:
        raise InputError("cannot draw this kind of file", value=file.suffix, file=file, allowed=_KINDS)
    if not plan.solved:
        raise InputError("the sequence is not solved", key="sequence", value=plan.status.value, allowed="solved ones")
    check_writable(file)
    with working(f"drawing {file.name}"):
        if kind == ".png":
            ends = [frames[-1] for frames in _by_step(plan, 2) if len(frames) > 1]
            write_bytes(file, strip_bytes(list(_drawn(plan, ends, _STRIP_SIZE))))
            return
        frames = [frame for step in _by_step(plan, None) for frame in step]
        write_bytes(file, film_bytes(list(_drawn(plan, frames, _SIZE)), _FRAME_S, kind))


def _by_step(plan: SequencePlan, many: int | None) -> Iterator[list[_Frame]]:
    """Give the frames of every step: so many of a motion, or one each 0.08 s."""
    robot = plan.robot.standing(plan.scene.hold)
    fingers, q = dict(robot.still_joints), plan.start
    base = plan.scene.robot_base.matrix
    held = {body.name: (body.link, body.obstacle.pose) for body in plan.scene.attached}
    objects = {name: plan.scene.obstacle(name).pose for name in plan.moved if name not in held}
    for name, (link, pose) in held.items():
        objects[name] = Pose.from_matrix(base @ plan.robot.link_pose(q, link)[0]) @ pose
    for step in plan.steps:
        if step.plan and step.plan.trajectory:
            trajectory = step.plan.trajectory
            count = many or max(2, round(trajectory.duration / _FRAME_S))
            times = np.linspace(trajectory.time[0], trajectory.time[-1], count)
            frames = []
            for q in trajectory.at(times).position:
                for name, (link, pose) in held.items():
                    objects[name] = Pose.from_matrix(base @ plan.robot.link_pose(q, link)[0]) @ pose
                frames.append(_Frame(q=q, fingers=fingers, objects=dict(objects), text=step.label))
            yield frames
        elif step.kind == "gripper":
            before, after = fingers, {**fingers, **robot.standing(step.fingers).still_joints}
            shares = np.linspace(0.0, 1.0, _CLOSING_FRAMES)
            between = [{joint: before[joint] + s * (after[joint] - before[joint]) for joint in after} for s in shares]
            fingers = after
            yield [_Frame(q=q, fingers=one, objects=dict(objects), text=step.label) for one in between[many and -1 :]]
        elif step.kind == "attach":
            link = plan.robot.tool_frame.link
            T_world_link = Pose.from_matrix(base @ plan.robot.link_pose(q, link)[0])
            held[step.object] = link, T_world_link.inverse() @ objects[step.object]
        else:
            held.pop(step.object, None)


def _drawn(plan: SequencePlan, frames: list[_Frame], size: tuple[int, int]) -> Iterator[Image.Image]:
    """Draw frames, all by the same camera."""
    scene, robot = at_origin(plan.scene), plan.robot.empty_handed  # what it holds at first is drawn as a thing
    shift = scene.robot_base @ plan.scene.robot_base.inverse()
    rest = tuple(obstacle for obstacle in scene.obstacles if obstacle.name not in plan.moved)
    still = replace(scene, obstacles=rest, attached=(), allowed_contacts=())
    path = np.concatenate([one.trajectory.position for one in plan.plans if one.trajectory])
    with connection() as client, working("", len(frames)) as task:
        camera = set_up(client, robot, still, path, ways=(), tube=False, aspect=size[0] / size[1])
        body = load_robot_body(client, robot, scene.robot_base, visuals=True)
        obstacles = {one.name: one for one in (*scene.obstacles, *(body.obstacle for body in scene.attached))}
        things = {name: load_obstacle(client, obstacles[name], HELD) for name in frames[0].objects}
        in_link = {name: _inertia(client, number) for name, number in things.items()}
        for frame in frames:
            _put(body, frame)
            for name, pose in frame.objects.items():
                at = shift @ pose @ in_link[name]
                bullet.resetBasePositionAndOrientation(things[name], at.xyz, at.quat_xyzw, physicsClientId=client)
            yield label(shoot(client, camera, size, finer=_FINER), frame.text)
            task.advance()


def _inertia(client: int, body: int) -> Pose:
    """Return T_link_inertia of a body's base, which PyBullet moves it by."""
    return link_frame(client, body, -1).inverse() @ inertial_frame(client, body, -1)


def _put(body: RobotBody, frame: _Frame) -> None:
    """Put arm and fingers where a frame has them."""
    body.place(frame.q)
    joints = joint_indices(body.client, body.body)
    for name, value in frame.fingers.items():
        if name in joints:
            bullet.resetJointState(body.body, joints[name], value, physicsClientId=body.client)
