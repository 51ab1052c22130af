"""One picture of one or several arms among the obstacles, each arm or some of its links in a colour."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from diffplan.certificate.bullet import bullet, connection
from diffplan.certificate.world import at_origin
from diffplan.geometry.pose import Float
from diffplan.pybullet.camera import find_camera
from diffplan.pybullet.failure import Arm
from diffplan.pybullet.render import place_arm, set_up, shoot
from diffplan.pybullet.stage_set import load_coloured
from diffplan.robot.model import Robot
from diffplan.scene import Scene
from diffplan.system.exclusive import exclusive

_FINER = 1.5


def draw_obstacles(scene: Scene, *, size: tuple[int, int]) -> Image.Image:
    """Draw the obstacles of a scene that names no robot; a blank picture if there are none.

    Raises:
        InputError: if a file of the scene cannot be read.
    """
    with connection() as client:
        bodies = load_coloured(client, scene)
        boxes = [bullet.getAABB(body, physicsClientId=client) for body in bodies]
        corners = np.array([[x[0], y[1], z[2]] for box in boxes for x in box for y in box for z in box])
        if not boxes:
            return Image.new("RGB", size, "white")
        aspect, none = size[0] / size[1], corners[:0]
        camera = find_camera(
            client, motion=corners, ends=none, must=none, things=none, frame=corners, base_yaw=0.0, aspect=aspect
        )
        return shoot(client, camera, size, finer=_FINER)


@exclusive
def draw_still(
    robot: Robot, scene: Scene, arms: Sequence[Arm], *, path: Float | None, size: tuple[int, int], survey: bool = False
) -> Image.Image:
    """Draw these arms, at least one, and the tool's path along a motion [n, dof] if there is one.

    With `survey` the obstacles matter as much as the arms.

    Raises:
        InputError: if a file of the robot or the scene cannot be read.
    """
    seen = np.stack([arm.q for arm in arms]) if path is None else path
    scene = at_origin(scene)
    with connection() as client:
        aspect, tube = size[0] / size[1], path is not None
        camera = set_up(client, robot, scene, seen, ways=(), tube=tube, aspect=aspect, survey=survey)
        for arm in arms:
            place_arm(client, robot, scene, arm)
        return shoot(client, camera, size, finer=_FINER)
