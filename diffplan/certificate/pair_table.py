"""The pairs of bodies that a certificate checks, numbered, and what is the same for a pair wherever the arm stands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffplan.certificate.motion_bound import Cover
from diffplan.certificate.reach import TOO_FAR, rounded_edges
from diffplan.geometry.pose import Float
from diffplan.robot.model import Robot
from diffplan.scene import Scene, bodies


def allowed_depths(scene: Scene) -> dict[frozenset[str], float]:
    """Return how deep bodies may touch (m) by their names; infinite where any depth will do."""
    contacts = scene.allowed_contacts
    return {frozenset(one.pair): np.inf if one.depth_m is None else one.depth_m for one in contacts}


@dataclass(frozen=True, kw_only=True, eq=False)
class Pairs:
    """What is checked: `names` of all pairs, the first `with_obstacles` of them (link, obstacle), then self pairs.

    `row` gives the first pair of each moving link. `ends` [pairs, 2] are link indices, `between` [pairs, 2, moving]
    which joints move the one end of a pair against the other: those of an end that do not carry both. Of a link and an
    obstacle both ends are the link, and no joint moves the second. `allowed` [pairs] is how deep a pair may touch (m):
    infinite where any depth will do. A body that the robot holds is one of its links, behind all others.
    """

    names: list[tuple[str, str]]
    with_obstacles: int
    row: dict[str, int]
    ends: np.ndarray
    between: np.ndarray
    allowed: Float

    @staticmethod
    def of(robot: Robot, scene: Scene, shapes: Cover) -> Pairs:
        """Number the pairs of a robot in a scene; links that no joint moves against each other are left out."""
        body, carried = dict(zip(robot.links, shapes.body.tolist(), strict=True)), robot.chain.carried
        index = {link: i for i, link in enumerate(robot.links)}
        moving = [link for link in robot.links if body[link] > 0]
        obstacles = [obstacle.name for obstacle in scene.obstacles]
        first = [(link, obstacle) for link in moving for obstacle in obstacles]
        # Links without a planning joint between them (closed fingers, say) touch or not whatever the plan.
        ordered = [(a, b) if body[a] <= body[b] else (b, a) for a, b in robot.certified_pairs]
        second = [(a, b) for a, b in ordered if body[a] < body[b]]
        joints = [(carried[body[link]], carried[0]) for link, _ in first]
        joints += [(carried[body[b]] & ~carried[body[a]], carried[body[a]] & ~carried[body[b]]) for a, b in second]
        ends = [(index[link], index[link]) for link, _ in first] + [(index[b], index[a]) for a, b in second]
        depths = allowed_depths(scene)
        return Pairs(
            allowed=np.array([depths.get(frozenset(pair), 0.0) for pair in (*first, *second)], dtype=np.float64),
            names=[*first, *second],
            with_obstacles=len(first),
            row={link: i * len(obstacles) for i, link in enumerate(moving)},
            ends=np.array(ends, dtype=int).reshape(-1, 2),
            between=np.array(joints, dtype=bool).reshape(-1, 2, robot.chain.moving),
        )

    def rounded(self, robot: Robot, scene: Scene) -> Float:
        """Return how much more than the true distance PyBullet may measure between each pair [pairs] (m).

        It rounds the edges of boxes and cylinders, and its search for the nearest points may end too early; the margin
        of a hull on the other side makes up for some of that.
        """
        more = {f"link {link}": rounded_edges(robot.shapes(link)) for link in robot.links}
        for obstacle in scene.obstacles:
            shapes = [shape for body in bodies(obstacle) for shape in body.shapes]
            more[f"obstacle {obstacle.name}"] = rounded_edges(shapes)
        kinds = ["obstacle"] * self.with_obstacles + ["link"] * (len(self.names) - self.with_obstacles)
        each = [more[f"link {a}"] + more[f"{kind} {b}"] for kind, (a, b) in zip(kinds, self.names, strict=True)]
        return np.maximum(0.0, np.array(each, dtype=np.float64) + TOO_FAR)

    def travel(self, by_joint: Float) -> Float:
        """Return the relative travel of each pair [n, pairs] from that of each link by each joint [n, links, moving].

        Seen from the body that both hang on, either link travels by the joints between it and that body.
        """
        total = np.zeros((len(by_joint), len(self.names)))
        for k in reversed(range(by_joint.shape[2])):
            for end in range(2):
                total += by_joint[:, self.ends[:, end], k] * self.between[:, end, k]
        return total
