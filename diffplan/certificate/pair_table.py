"""The pairs of bodies that a certificate checks, numbered, and what is the same for a pair wherever the arm stands."""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

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
class _OwnPairs:
    """What is the same of `Pairs` in every scene: the links that can move, the pairs of links, and, of both, `ends` and
    `ways`; and how much farther off than they are PyBullet may see links [links] (m).
    """

    moving: list[str]
    second: list[tuple[str, str]]
    ends: np.ndarray
    ways: Float
    rounded: Float

    @staticmethod
    def of(robot: Robot, shapes: Cover) -> _OwnPairs:
        body, carried = dict(zip(robot.links, shapes.body.tolist(), strict=True)), robot.chain.carried
        index = {link: i for i, link in enumerate(robot.links)}
        moving = [link for link in robot.links if body[link] > 0]
        # Links without a planning joint between them (closed fingers, say) touch or not whatever the plan.
        ordered = [(a, b) if body[a] <= body[b] else (b, a) for a, b in robot.certified_pairs]
        second = [(a, b) for a, b in ordered if body[a] < body[b]]
        own = [(index[link], index[link]) for link in moving], [(index[b], index[a]) for a, b in second]
        joints = [(carried[body[link]], carried[0]) for link in moving]
        joints += [(carried[body[b]] & ~carried[body[a]], carried[body[a]] & ~carried[body[b]]) for a, b in second]
        ways = np.zeros((len(joints), len(robot.links), robot.chain.moving))
        for number, (links, by) in enumerate(zip([*own[0], *own[1]], joints, strict=True)):
            for link, which in zip(links, by, strict=True):
                ways[number, link] += which
        return _OwnPairs(
            moving=moving,
            second=second,
            ends=np.array([*own[0], *own[1]], dtype=int).reshape(-1, 2),
            ways=ways.reshape(len(ways), -1),
            rounded=np.array([rounded_edges(robot.shapes(link)) for link in robot.links]),
        )


_own: WeakKeyDictionary[Robot, _OwnPairs] = WeakKeyDictionary()


@dataclass(frozen=True, kw_only=True, eq=False)
class Pairs:
    """What is checked: `names` of all pairs, the first `with_obstacles` of them (link, obstacle), then self pairs.

    `row` gives the first pair of each moving link, `moving` their numbers among all links. `ends` [pairs, 2] are
    link indices; of a link and an obstacle both are the link. `allowed` [pairs] is how deep a pair may touch (m):
    infinite where any depth will do. A body that the robot holds is one of its links, behind all others.

    `ways` [w, links * moving] says which travels of links by joints add up to each way that a pair can go against each
    other, `way` [pairs] which of these ways is a pair's: of a link and any obstacle it is the same. `rounded_links`
    [links] is how much farther off than they are PyBullet may see links (m).
    """

    names: list[tuple[str, str]]
    with_obstacles: int
    row: dict[str, int]
    moving: np.ndarray
    ends: np.ndarray
    allowed: Float
    ways: Float
    way: np.ndarray
    rounded_links: Float

    @staticmethod
    def of(robot: Robot, scene: Scene, shapes: Cover) -> Pairs:
        """Number the pairs of a robot in a scene; links that no joint moves against each other are left out."""
        if robot not in _own:
            _own[robot] = _OwnPairs.of(robot, shapes)
        own, index = _own[robot], {link: i for i, link in enumerate(robot.links)}
        moving, second = own.moving, own.second
        obstacles = [obstacle.name for obstacle in scene.obstacles]
        first = [(link, obstacle) for link in moving for obstacle in obstacles]
        way = [np.repeat(np.arange(len(moving)), len(obstacles)), len(moving) + np.arange(len(second))]
        depths = allowed_depths(scene)
        allowed = np.zeros(len(first) + len(second))
        if depths:
            allowed[:] = [depths.get(frozenset(pair), 0.0) for pair in (*first, *second)]
        return Pairs(
            names=[*first, *second],
            with_obstacles=len(first),
            moving=np.array([index[link] for link in moving], dtype=int),
            row={link: i * len(obstacles) for i, link in enumerate(moving)},
            ends=own.ends[np.concatenate(way)],
            allowed=allowed,
            ways=own.ways,
            way=np.concatenate(way),
            rounded_links=own.rounded,
        )

    def rounded(self, scene: Scene) -> Float:
        """Return how much more than the true distance PyBullet may measure between each pair [pairs] (m).

        It rounds the edges of boxes and cylinders, and its search for the nearest points may end too early; the margin
        of a hull on the other side makes up for some of that.
        """
        links = self.rounded_links
        obstacles = [
            rounded_edges(shape for body in bodies(obstacle) for shape in body.shapes) for obstacle in scene.obstacles
        ]
        split = self.with_obstacles
        first = links[self.ends[:split, 0]] + np.tile(obstacles, split // max(1, len(obstacles)))
        second = links[self.ends[split:]].sum(axis=1)
        return np.maximum(0.0, np.concatenate([first, second]) + TOO_FAR)

    def travel(self, by_joint: Float, length: Float | None = None) -> Float:
        """Return the relative travel of each pair [n, pairs] from that of each link by each joint [n, links, moving].

        See `travels`.
        """
        return self.travels(by_joint, length)[:, self.way]

    def travels(self, by_joint: Float, length: Float | None = None) -> Float:
        """Return the travel by each way that a pair can go [n, ways] from that of links by joints [n, links, moving].

        Seen from the body that both hang on, either link travels by the joints between it and that body: those of an
        end that do not carry both. Against obstacles a link goes no farther than its `length` [n, links] either, if
        given.
        """
        ways = by_joint.reshape(len(by_joint), -1) @ self.ways.T
        if length is not None:
            ways[:, : len(self.row)] = length[:, self.moving]
        return ways

    def most(self, by_joint: Float) -> Float:
        """Return the largest of `travel` for each pair [pairs]."""
        return (by_joint.reshape(len(by_joint), -1) @ self.ways.T).max(axis=0)[self.way]
