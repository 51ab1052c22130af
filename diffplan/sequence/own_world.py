"""A PyBullet world of our own for a sequence: its scene with gravity, in which the objects that are taken can fall."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from diffplan.certificate.body_shapes import making
from diffplan.certificate.bullet import bullet, connection, silence
from diffplan.certificate.urdf_copy import mesh_file
from diffplan.certificate.world import load_obstacle, load_robot_body
from diffplan.errors import InputError
from diffplan.geometry.shapes import Mesh, Shape
from diffplan.problem import robot_in
from diffplan.scene import Obstacle
from diffplan.sequence.play import PlayReport, play_sequence
from diffplan.sequence.result import SequencePlan
from diffplan.system.exclusive import exclusive
from diffplan.system.progress import working

DENSITY = 600.0
"""Of what is taken [kg/m^3]: that of wood."""
_GRAVITY = -9.81
_SETTLE_STEPS = 60


@dataclass(frozen=True, kw_only=True)
class OwnWorld:
    """A physics client, the robot's body in it, and the bodies of all obstacles by name."""

    client: int
    body: int
    bodies: dict[str, int]


@contextmanager
def own_world(plan: SequencePlan) -> Iterator[OwnWorld]:
    """Give a world in which a sequence can be played: things lie where the scene has them, the arm at the start.

    Raises:
        InputError: if a file of robot or scene cannot be read, or an object that is taken is a URDF.
    """
    with connection() as client:
        bullet.setGravity(0, 0, _GRAVITY, physicsClientId=client)
        robot = load_robot_body(client, robot_in(plan.robot, plan.scene), plan.scene.robot_base)
        robot.place(plan.start)
        bodies = {
            obstacle.name: _falling(client, obstacle)
            if obstacle.name in plan.moved
            else load_obstacle(client, obstacle)
            for obstacle in plan.scene.obstacles
        }
        _hold(client, robot.body)
        for _ in range(_SETTLE_STEPS):
            bullet.stepSimulation(physicsClientId=client)
        yield OwnWorld(client=client, body=robot.body, bodies=bodies)


@exclusive
def execute_sequence(plan: SequencePlan) -> PlayReport:
    """Play a sequence in a world of our own and say where everything ended.

    Raises:
        InputError: if it is not solved, or a file cannot be read.
    """
    with working("executing the sequence"), own_world(plan) as world:
        return play_sequence(plan, world.client, world.body, bodies=world.bodies)


def _falling(client: int, obstacle: Obstacle) -> int:
    """Load an obstacle as a body with mass; a mesh as its convex hulls, which is how PyBullet moves meshes."""
    if not isinstance(obstacle, Shape):
        raise InputError("a URDF cannot be taken in a world of our own", key=obstacle.name, allowed="shapes, meshes")
    shape = replace(obstacle, convex=True) if isinstance(obstacle, Mesh) else obstacle
    hulls = shape.hulls()
    volumes = np.array([hull.volume for hull in hulls])
    centre = volumes @ np.array([hull.center_mass for hull in hulls]) / volumes.sum()
    made = making(shape)
    with silence():
        if made:
            number = bullet.createCollisionShape(physicsClientId=client, **made)
        else:
            number = bullet.createCollisionShape(
                bullet.GEOM_MESH, fileName=str(mesh_file(hulls)), physicsClientId=client
            )
    return bullet.createMultiBody(
        baseMass=DENSITY * float(volumes.sum()),
        baseCollisionShapeIndex=number,
        basePosition=shape.pose.xyz,
        baseOrientation=shape.pose.quat_xyzw,
        baseInertialFramePosition=centre.tolist(),
        physicsClientId=client,
    )


def _hold(client: int, body: int) -> None:
    """Hold every joint of the arm where it is."""
    for joint in range(bullet.getNumJoints(body, physicsClientId=client)):
        if bullet.getJointInfo(body, joint, physicsClientId=client)[2] in (
            bullet.JOINT_REVOLUTE,
            bullet.JOINT_PRISMATIC,
        ):
            now = bullet.getJointState(body, joint, physicsClientId=client)[0]
            bullet.setJointMotorControl2(
                body, joint, bullet.POSITION_CONTROL, targetPosition=now, force=200.0, physicsClientId=client
            )
