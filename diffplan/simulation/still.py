"""One picture of one or several arms among the obstacles, each arm or some of its links in a colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from diffplan.geometry import Float
from diffplan.robot import Robot
from diffplan.scene import Scene
from diffplan.simulation.bullet import bullet, connection
from diffplan.simulation.palette import Rgba
from diffplan.simulation.render import set_up, shoot
from diffplan.simulation.world import load_robot_body

_FINER = 1.5


@dataclass(frozen=True, kw_only=True, eq=False)
class Arm:
    """An arm at joint positions `q` [dof]: all but its base in `colour` (None: its own), and some `links` in others."""

    q: Float
    colour: Rgba | None = None
    links: Mapping[str, Rgba] = field(default_factory=dict)


def draw_still(
    robot: Robot, scene: Scene, arms: Sequence[Arm], *, path: Float | None, size: tuple[int, int]
) -> Image.Image:
    """Draw these arms, at least one, and the tool's path along a motion [n, dof] if there is one.

    Raises:
        InputError: if a file of the robot or the scene cannot be read.
    """
    seen = np.stack([arm.q for arm in arms]) if path is None else path
    with connection() as client:
        camera = set_up(client, robot, scene, seen, ways=(), tube=path is not None, aspect=size[0] / size[1])
        for arm in arms:
            body = load_robot_body(client, robot, scene.robot_base, visuals=True)
            body.place(arm.q)
            for name, link in body.links.items():
                colour = arm.links.get(name, None if name == robot.base_link else arm.colour)
                if colour is not None:
                    bullet.changeVisualShape(body.body, link, rgbaColor=colour, physicsClientId=client)
        return shoot(client, camera, size, finer=_FINER)
