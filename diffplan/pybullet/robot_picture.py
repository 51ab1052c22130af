"""A picture of what a robot is to the planner: the arm, what collides, and its spheres."""

from __future__ import annotations

import io

import numpy as np

from diffplan.certificate.bullet import bullet, connection
from diffplan.geometry.pose import Float
from diffplan.pybullet.failure import Arm
from diffplan.pybullet.palette import obstacle_colours
from diffplan.pybullet.render import place_arm, set_up, shoot, strip
from diffplan.robot.link_solid import LinkSolid
from diffplan.robot.model import Robot
from diffplan.scene import Scene
from diffplan.system.exclusive import exclusive

_SIZE = (480, 480)


@exclusive
def robot_picture(robot: Robot, q: Float) -> bytes:
    """Return a PNG of a robot at q [dof]: its visual shapes, the convex parts that collide, and its spheres.

    Raises:
        InputError: if a mesh cannot be read.
    """
    poses = dict(zip(robot.links, robot.link_poses(q, robot.links)[0], strict=True))
    colours = dict(zip(robot.links, obstacle_colours(), strict=False))
    with connection() as client:
        camera = set_up(client, robot, Scene(), q[None], ways=(), tube=False, aspect=1.0)
        place_arm(client, robot, Scene(), Arm(q=q))
        pictures = [shoot(client, camera, _SIZE, finer=2.0)]
    with connection() as client:
        for link, pose in poses.items():
            for part in LinkSolid.from_shapes(robot.model.collisions[link]).solid.parts:
                corners = np.asarray(part.triangles) @ pose[:3, :3].T + pose[:3, 3]
                _add(
                    client,
                    bullet.createVisualShape(
                        bullet.GEOM_MESH,
                        vertices=corners.reshape(-1, 3).tolist(),
                        indices=list(range(3 * len(corners))),
                        normals=np.repeat(np.asarray(part.face_normals) @ pose[:3, :3].T, 3, axis=0).tolist(),
                        rgbaColor=colours[link],
                        physicsClientId=client,
                    ),
                )
        pictures.append(shoot(client, camera, _SIZE, finer=2.0))
    with connection() as client:
        for number, centre, radius in zip(
            robot.spheres.link, robot.spheres.centre, robot.spheres.radius.tolist(), strict=True
        ):
            link = robot.spheres.links[number]
            shape = bullet.createVisualShape(
                bullet.GEOM_SPHERE, radius=radius, rgbaColor=colours[link], physicsClientId=client
            )
            _add(client, shape, (poses[link] @ (*centre, 1.0))[:3].tolist())
        pictures.append(shoot(client, camera, _SIZE, finer=2.0))
    content = io.BytesIO()
    strip(pictures).save(content, format="png")
    return content.getvalue()


def _add(client: int, shape: int, place: list[float] | None = None) -> None:
    bullet.createMultiBody(baseVisualShapeIndex=shape, basePosition=place or [0.0, 0.0, 0.0], physicsClientId=client)
