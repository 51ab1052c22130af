"""A scene before planning: the arm at start and goal among the obstacles, with their names and the frames to know."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from diffplan.certificate.bullet import connection
from diffplan.certificate.world import at_origin
from diffplan.geometry.pose import Float
from diffplan.pybullet.camera import Camera
from diffplan.pybullet.failure import Arm
from diffplan.pybullet.render import place_arm, set_up, shoot
from diffplan.robot.model import Robot
from diffplan.scene import Obstacle, Scene, bodies
from diffplan.system.exclusive import exclusive

_FINER = 1.5
_INK, _PAPER = (40, 44, 52), (255, 255, 255)
_AXES = {"x": (200, 40, 40), "y": (30, 140, 50), "z": (40, 80, 200)}
_BASE_AXIS, _TOOL_AXIS = 0.2, 0.08  # [m]
_LARGEST = 4.0  # [m] of obstacles that have a middle worth naming


@exclusive
def draw_scene(robot: Robot, scene: Scene, arms: Sequence[Arm], *, size: tuple[int, int]) -> Image.Image:
    """Draw a scene: these arms, at least one, the obstacles with their names, the axes of the base and of each tool.

    Axes are red (x), green (y) and blue (z): 0.2 m long at the base, 0.08 m at the tools.

    Raises:
        InputError: if a file of the robot or the scene cannot be read.
    """
    scene = at_origin(scene)
    with connection() as client:
        seen, aspect = np.stack([arm.q for arm in arms]), size[0] / size[1]
        camera = set_up(client, robot, scene, seen, ways=(), tube=False, aspect=aspect, survey=True)
        for arm in arms:
            place_arm(client, robot, scene, arm)
        picture = shoot(client, camera, size, finer=_FINER)
    base = scene.robot_base.matrix
    _draw_axes(picture, camera, base, _BASE_AXIS)
    frame = robot.tool_frame
    for tool in base @ robot.link_pose(seen, frame.link) @ frame.pose.matrix:
        _draw_axes(picture, camera, tool, _TOOL_AXIS)
    _draw_names(picture, camera, scene)
    return picture


def _draw_axes(picture: Image.Image, camera: Camera, T_world_frame: Float, length: float) -> None:
    """Draw the axes of a frame [4, 4] as lines of this length (m)."""
    ends = T_world_frame[:3, 3] + length * np.concatenate([np.zeros((1, 3)), T_world_frame[:3, :3].T])
    origin, *tips = _pixels(camera, ends, picture.size)
    draw, width = ImageDraw.Draw(picture), max(2, picture.height // 200)
    for colour, tip in zip(_AXES.values(), tips, strict=True):
        draw.line([tuple(origin), tuple(tip)], fill=colour, width=width)


def _draw_names(picture: Image.Image, camera: Camera, scene: Scene) -> None:
    """Write the name of each obstacle over its middle, those that come first; none over another or the title's line."""
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=max(9, picture.height // 40))
    taken: list[tuple[float, float, float, float]] = [(0, 0, picture.width, picture.height / 12)]
    for obstacle in scene.obstacles:
        middle = _middle(obstacle)
        if middle is None:
            continue
        place = _pixels(camera, middle[None], picture.size)[0]
        box = draw.textbbox(tuple(place), obstacle.name, font=font, anchor="mm")
        inside = box[0] >= 0 and box[1] >= 0 and box[2] <= picture.width and box[3] <= picture.height
        if not inside or any(a < box[2] and box[0] < c and b < box[3] and box[1] < d for a, b, c, d in taken):
            continue
        taken.append(box)
        draw.text(tuple(place), obstacle.name, font=font, anchor="mm", fill=_INK, stroke_width=2, stroke_fill=_PAPER)


def _middle(obstacle: Obstacle) -> Float | None:
    """Return the middle [3] of the box around an obstacle (world, m); None of a vast one, such as a floor."""
    corners = [
        corner @ body.pose.matrix[:3, :3].T + body.pose.matrix[:3, 3]
        for body in bodies(obstacle)
        for shape in body.shapes
        for corner in shape.corners()
    ]
    points = np.concatenate(corners)
    low, high = points.min(axis=0), points.max(axis=0)
    return None if (high - low).max() > _LARGEST else (low + high) / 2


def _pixels(camera: Camera, points: Float, size: tuple[int, int]) -> Float:
    """Return where points [n, 3] (world) are in a picture of this size [n, 2] (pixels)."""
    view, projection = (np.reshape(m, (4, 4)).T for m in (camera.view, camera.projection))
    seen = np.column_stack([points, np.ones(len(points))]) @ (projection @ view).T
    flat = seen[:, :2] / seen[:, 3:]
    return (np.array([1.0, -1.0]) * flat + 1) / 2 * np.array(size)
