"""How large an arm's work space is and where: the scene families are written for the Panda's, and fitted to it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from diffplan.geometry.pose import Float
from diffplan.geometry.shapes import Primitive
from diffplan.learning.layout import DrawnScene, Place
from diffplan.learning.problems import tool_in_end, tool_offset
from diffplan.robot.model import Robot

REACH, SHOULDER = 0.947, 0.333
"""How far the Panda's finger tips get from its second joint, and how high that is [m]."""
_SAMPLES = 4096
_FARTHEST = 0.999  # quantile
_THINNEST = 0.004  # m: as thin as `Layout` makes things


@dataclass(frozen=True, kw_only=True, eq=False)
class Workspace:
    """Where furniture for an arm stands: that of the Panda times `scale`, about a point that may slide.

    A point x of the Panda's scene becomes origin + slide @ s + scale * x, where s is drawn for each scene: `slide`
    [3, k] is how the k joints that slide below the first one that turns move the arm, between `lower` and `upper` [k].
    Nothing is raised: what is the ground for the Panda stays below the base.
    """

    scale: float
    origin: Float
    slide: Float
    lower: Float
    upper: Float

    @staticmethod
    def of(robot: Robot) -> Workspace:
        """Return the work space of an arm: how far the tool's tip gets from the joint behind the first that turns."""
        first = int(np.argmin(robot.prismatic))  # the first that turns
        moving = np.array([robot.chain.names.index(name) for name in robot.joint_names])
        lower, upper = np.maximum(robot.lower, -np.pi), np.minimum(robot.upper, np.pi)
        q = lower + np.random.default_rng(0).random((_SAMPLES, robot.dof)) * (upper - lower)
        q[:, :first] = ((robot.lower + robot.upper) / 2)[:first]
        poses = robot.body_poses(q)
        places = poses[..., 3][:, moving + 1, :3]
        shoulder = places[:, min(first + 1, robot.dof - 1)]
        tool = robot.link_pose(q, robot.end_link) @ tool_in_end(robot)
        tip = tool[:, :3, 3] + tool_offset(robot) * tool[:, :3, 2]
        reach = float(np.quantile(np.linalg.norm(tip - shoulder, axis=1), _FARTHEST))
        scale = round(reach / REACH, 2)
        base = places[0, first]
        height = min(0.0, round(float(np.median(shoulder[:, 2])) - scale * SHOULDER, 2))
        sliding = moving[:first]
        slide = (poses[0, sliding + 1, :3, :3] @ robot.chain.axis[sliding, :, None]).reshape(first, 3).T
        slide[2] = 0.0
        return Workspace(
            scale=scale,
            origin=np.array([round(float(base[0]), 2), round(float(base[1]), 2), height]) + 0.0,
            slide=slide,
            lower=robot.lower[:first] - q[0, :first],
            upper=robot.upper[:first] - q[0, :first],
        )

    def fitted(self, drawn: DrawnScene, rng: np.random.Generator) -> DrawnScene:
        """Return a scene of the Panda's as one of this arm's; where the base slides, anywhere along its way."""
        if self.scale == 1.0 and not self.origin.any() and not len(self.lower):
            return drawn
        origin = self.origin + self.slide @ rng.uniform(self.lower, self.upper) if len(self.lower) else self.origin
        obstacles = tuple(self._obstacle(obstacle, origin) for obstacle in drawn.obstacles)
        return replace(drawn, obstacles=obstacles, places=tuple(self._place(place, origin) for place in drawn.places))

    def _obstacle(self, obstacle: Primitive, origin: Float) -> Primitive:
        x, y, z = (round(float(v), 4) for v in origin + self.scale * np.array(obstacle.pose.xyz))
        sizes = [max(round(self.scale * size, 4), _THINNEST) for size in obstacle.sizes]
        return type(obstacle).of_sizes(obstacle.name, sizes, replace(obstacle.pose, xyz=(x, y, z)))

    def _place(self, place: Place, origin: Float) -> Place:
        frame, (x, y, z) = place.frame.copy(), (self.scale * edge for edge in place.size)
        frame[:3, 3] = origin + self.scale * frame[:3, 3]
        return replace(place, frame=frame, size=(x, y, z))
