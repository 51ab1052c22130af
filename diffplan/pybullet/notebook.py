"""Small pictures for notebooks: a plan's motion, a scene with its robot."""

from __future__ import annotations

import base64
from io import BytesIO

import numpy as np
from PIL import Image

from diffplan.errors import InputError
from diffplan.problem import Plan, robot_in
from diffplan.pybullet.failure import Arm
from diffplan.pybullet.render import strip, strip_pictures
from diffplan.pybullet.still import draw_obstacles, draw_still
from diffplan.robot.model import Robot
from diffplan.scene import Scene

_PLAN_SIZE = (280, 280)
_PLAN_POSES = 3
_SCENE_SIZE = (480, 360)
_COLOURS = 128


def plan_picture(plan: Plan) -> str:
    """Return a picture of a plan as a data URL.

    Raises:
        InputError: if a file of the robot or the scene cannot be read.
    """
    return _data_url(strip(strip_pictures(plan, size=_PLAN_SIZE, poses=_PLAN_POSES, finer=1.5)))


def scene_picture(scene: Scene) -> str:
    """Return a picture of a scene as a data URL, with its robot at `home` if the scene names one that is at hand.

    Raises:
        InputError: if a file of the scene cannot be read.
    """
    try:
        robot = robot_in(Robot.load(scene.robot), scene) if scene.robot else None
    except InputError:
        robot = None
    if robot is None:
        return _data_url(draw_obstacles(scene, size=_SCENE_SIZE))
    q = robot.configurations.get("home")
    q = np.clip(np.zeros(robot.dof), robot.lower, robot.upper) if q is None else q
    return _data_url(draw_still(robot, scene, [Arm(q=q)], path=None, size=_SCENE_SIZE, survey=True))


def _data_url(picture: Image.Image) -> str:
    stream = BytesIO()
    picture.quantize(_COLOURS).save(stream, format="png", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"
