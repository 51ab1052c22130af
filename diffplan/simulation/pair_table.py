"""The pairs of bodies that a certificate checks, numbered, and what is the same for a pair wherever the arm stands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffplan.geometry import Float
from diffplan.robot import Robot
from diffplan.scene import Scene, bodies
from diffplan.simulation.motion_bound import Cover
from diffplan.simulation.reach import TOO_FAR, rounded_edges


@dataclass(frozen=True, kw_only=True, eq=False)
class Pairs:
    """What is checked: `names` of all pairs, the first `with_obstacles` of them (link, obstacle), then self pairs.

    `row` gives the first pair of each moving link; `base`, `tip` [pairs] are link indices: what moves by the joints
    between the body of `base` (0 for obstacles) and that of `tip`.
    """

    names: list[tuple[str, str]]
    with_obstacles: int
    row: dict[str, int]
    bodies: np.ndarray
    tips: np.ndarray

    @staticmethod
    def of(robot: Robot, scene: Scene, shapes: Cover) -> Pairs:
        """Number the pairs of a robot in a scene; links that no joint moves against each other are left out."""
        body = dict(zip(robot.links, shapes.body.tolist(), strict=True))
        index = {link: i for i, link in enumerate(robot.links)}
        moving = [link for link in robot.links if body[link] > 0]
        obstacles = [obstacle.name for obstacle in scene.obstacles]
        first = [(link, obstacle) for link in moving for obstacle in obstacles]
        # Links without a planning joint between them (closed fingers, say) touch or not whatever the plan.
        ordered = [(a, b) if body[a] <= body[b] else (b, a) for a, b in robot.certified_pairs]
        second = [(a, b) for a, b in ordered if body[a] < body[b]]
        return Pairs(
            names=[*first, *second],
            with_obstacles=len(first),
            row={link: i * len(obstacles) for i, link in enumerate(moving)},
            bodies=np.array([0] * len(first) + [body[a] for a, _ in second], dtype=int),
            tips=np.array([index[link] for link, _ in first] + [index[b] for _, b in second], dtype=int),
        )

    def rounded(self, robot: Robot, scene: Scene) -> Float:
        """Return how much more than the true distance PyBullet may measure between each pair [pairs] (m).

        It rounds the edges of boxes and cylinders, and its search for the nearest points may end too early; the margin
        of a hull on the other side makes up for some of that.
        """
        more = {f"link {link}": rounded_edges(robot.model.collisions[link]) for link in robot.links}
        for obstacle in scene.obstacles:
            shapes = [shape for body in bodies(obstacle) for shape in body.shapes]
            more[f"obstacle {obstacle.name}"] = rounded_edges(shapes)
        kinds = ["obstacle"] * self.with_obstacles + ["link"] * (len(self.names) - self.with_obstacles)
        each = [more[f"link {a}"] + more[f"{kind} {b}"] for kind, (a, b) in zip(kinds, self.names, strict=True)]
        return np.maximum(0.0, np.array(each, dtype=np.float64) + TOO_FAR)

    def travel(self, by_joint: Float) -> Float:
        """Return the relative travel of each pair [n, pairs] from that of each link by each joint [n, links, dof]."""
        inward = np.concatenate([np.cumsum(by_joint[:, :, ::-1], axis=2)[:, :, ::-1], 0 * by_joint[:, :, :1]], axis=2)
        return inward[:, self.tips, self.bodies]
