"""The sphere model of a robot among obstacles: clearance, cost and gradient of many configurations at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from diffplan.collision import lanes
from diffplan.collision.obstacles import Obstacles, frame12
from diffplan.geometry.pose import Float
from diffplan.robot.model import Robot
from diffplan.system.kernel_threads import run_parallel

__all__ = ["CollisionModel", "Obstacles"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """Cost [m^2] and its joint gradient, and clearances [m] to obstacles and between links, for [batch, points]."""

    cost: np.ndarray
    gradient: np.ndarray
    clearance: np.ndarray
    self_clearance: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Nearest:
    """Centres [n, s, 3] of all spheres, base frame, and their distances [n, s] from the nearest obstacle's surface (m).

    `normal` [n, s, 3] is the gradient of a distance by the centre, zero where there is no obstacle within reach.
    """

    centre: Float
    distance: Float
    normal: Float


@dataclass(frozen=True, kw_only=True, eq=False)
class Joints:
    """Where the moving joints are: unit `axis` and `origin` [n, moving, 3], and the end link's origin `end` [n, 3].

    In the base frame, in m; moving joints as in `robot.chain`.
    """

    axis: np.ndarray
    origin: np.ndarray
    end: np.ndarray


class CollisionModel:
    """A robot's spheres, packed once; every method takes the packed obstacles. `sdf.TorchCollision` is its twin.

    Cost of a configuration: sum over spheres and obstacles of 0.5 max(0, activation - distance)^2, and the same over
    the sphere pairs of links that can touch. The base link is left out: it cannot be planned around.
    """

    def __init__(self, robot: Robot) -> None:
        self.robot = robot
        self.arrays = pack_robot(robot, np.float32)
        self.double = pack_robot(robot, np.float64)

    def evaluate(
        self,
        world: Obstacles,
        q: np.ndarray,
        scene_of: np.ndarray | None = None,
        *,
        activation: float = 0.03,
        self_activation: float = 0.01,
        gradient: bool = True,
    ) -> Evaluation:
        """Evaluate configurations q [batch, points, dof]; trajectory i stands in scene `scene_of[i]` (default 0).

        Clearances are exact below the activation distances and equal to them above. float64 input is computed in
        float64, anything else in float32.
        """
        kind = np.float64 if q.dtype == np.float64 else np.float32
        robot, obstacles = (self.double, world.double) if kind is np.float64 else (self.arrays, world.arrays)
        q = np.ascontiguousarray(q, dtype=kind)
        scene_of = (
            np.zeros(len(q), dtype=np.int64) if scene_of is None else np.ascontiguousarray(scene_of, dtype=np.int64)
        )
        shape = q.shape[:2]
        cost, grad = (
            (np.zeros(shape, kind), np.zeros(q.shape, kind))
            if gradient
            else (np.zeros((0, 0), kind), np.zeros((0, 0, 0), kind))
        )
        clear, clear_self = np.empty(shape, kind), np.empty(shape, kind)
        mode = lanes.GRADED if gradient else lanes.CLEARANCE

        def rows(first: int, end: int) -> None:
            part = slice(first, end)
            lanes.evaluate(
                q[part],
                robot,
                obstacles,
                scene_of[part],
                kind(activation),
                kind(self_activation),
                mode,
                cost[part],
                grad[part],
                clear[part],
                clear_self[part],
            )

        run_parallel(rows, *shape)
        return Evaluation(cost=cost, gradient=grad, clearance=clear, self_clearance=clear_self)

    def clearance(
        self, world: Obstacles, q: Float, scene: int = 0, *, cap: float = 0.15
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return signed clearances [n] of q [n, dof] to obstacles and between own links, at most `cap` [m]."""
        blocks = -(-len(q) // lanes.LANES)
        padded = np.concatenate([q, np.repeat(q[-1:], blocks * lanes.LANES - len(q), axis=0)])
        result = self.evaluate(
            world,
            padded.astype(np.float32).reshape(blocks, lanes.LANES, -1),
            np.full(blocks, scene),
            activation=cap,
            self_activation=cap,
            gradient=False,
        )
        return result.clearance.reshape(-1)[: len(q)], result.self_clearance.reshape(-1)[: len(q)]

    def nearest(self, world: Obstacles, q: Float, scene: int = 0, *, reach: float) -> Nearest:
        """Return where the spheres are at q [n, dof], and how far from the nearest obstacle, `reach` [m] at most.

        Spheres are in the order of `sphere_groups`. Those of the base link, which no motion can help, count as far.
        In float64.
        """
        q = np.ascontiguousarray(q, dtype=np.float64)
        shape = (len(q), len(self.double.sphere))
        centre, distance, normal = np.empty((*shape, 3)), np.empty(shape), np.empty((*shape, 3))
        lanes.nearest(q, self.double, world.double, scene, reach, centre, distance, normal)
        return Nearest(centre=centre, distance=distance, normal=normal)

    def joints(self, q: np.ndarray) -> Joints:
        """Return where the moving joints and the end link are at q [n, dof]; float64 stays so, the rest is float32."""
        rotation, origin = self._bodies(q)
        body, T_body_end = self._placed(self.robot.end_link)
        end = rotation[:, body] @ T_body_end[:3, 3].astype(rotation.dtype) + origin[:, body]
        return Joints(axis=rotation[:, 1:, :, 2], origin=origin[:, 1:], end=end)

    def frame(self, q: Float, link: str, T_link_frame: Float) -> tuple[Float, Float, Joints]:
        """Return rotation [n, 3, 3] and origin [n, 3] of a frame on a link at q [n, dof], and the joints.

        In the base frame, in m and float64.
        """
        rotation, origin = self._bodies(np.asarray(q, dtype=np.float64))
        body, T_body_link = self._placed(link)
        T_body_frame = T_body_link @ T_link_frame
        place = rotation[:, body] @ T_body_frame[:3, 3] + origin[:, body]
        joints = Joints(axis=rotation[:, 1:, :, 2], origin=origin[:, 1:], end=place)
        return rotation[:, body] @ T_body_frame[:3, :3], place, joints

    def _bodies(self, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return rotations [n, bodies, 3, 3], as the kernel turns them, and origins [n, bodies, 3] of the bodies."""
        arrays = self.double if q.dtype == np.float64 else self.arrays
        kind = arrays.origin.dtype
        frames = np.empty((len(q), len(arrays.parent) + 1, 12), kind)
        lanes.frames(np.ascontiguousarray(q, dtype=kind), arrays, frames)
        return frames[..., :9].reshape(*frames.shape[:2], 3, 3), frames[..., 9:]

    def _placed(self, link: str) -> tuple[int, Float]:
        """Return the body of a link, and the link's frame in it [4, 4] as the kernel turns it."""
        body, T_body_link = self.robot.chain.placement[link]
        return body, T_body_link if body == 0 else _z_to(self.robot.chain.axis[body - 1]).T @ T_body_link

    def pull_back(self, q: Float, force: Float) -> Float:
        """Return the joint gradient [n, dof] of forces [n, s, 3] on the centres of the spheres at q [n, dof]."""
        gradient = np.zeros(q.shape)
        lanes.pull_back(np.ascontiguousarray(q, dtype=np.float64), self.double, force, gradient)
        return gradient

    def edge_free(
        self,
        world: Obstacles,
        a: Float,
        b: Float,
        scene: int = 0,
        *,
        step: float = 0.03,
        margin: float = 0.0,
        self_margin: float = 0.0,
    ) -> bool:
        """Whether the straight edge from a to b [dof], sampled every `step` rad, keeps the margins [m].

        A step is the longest of the joints', weighted by `Robot.metric`.
        """
        single = np.float32
        return lanes.edge_free(
            a.astype(single),
            b.astype(single),
            self.arrays,
            world.arrays,
            scene,
            single(step),
            single(margin),
            single(self_margin),
        )

    def step(
        self,
        world: Obstacles,
        q: Float,
        to: Float,
        scene: int = 0,
        *,
        activation: float,
        self_activation: float,
        pushes: int,
        longest: float,
        floor: np.ndarray,
        self_floor: np.ndarray,
    ) -> tuple[Float, np.ndarray]:
        """Return where configurations `to` [n, dof] are pushed to [n, dof], and whether one can step there from q [n].

        Each is pushed at most so many times, by no more than `longest` [rad] and within the joint limits. The step is
        good if its end and its middle keep the clearances `floor` and `self_floor` [n] (m), which are not positive.
        """
        single = np.float32
        pushed, keeps = to.astype(single), np.empty(len(to), np.bool_)
        lanes.step(
            q.astype(single),
            pushed,
            self.arrays,
            world.arrays,
            scene,
            single(activation),
            single(self_activation),
            pushes,
            single(longest),
            self.robot.lower.astype(single),
            self.robot.upper.astype(single),
            floor.astype(single),
            self_floor.astype(single),
            keeps,
        )
        return np.clip(pushed.astype(np.float64), self.robot.lower, self.robot.upper), keeps

    def free(
        self, world: Obstacles, q: Float, scene: int = 0, *, margin: float = 0.0, self_margin: float = 0.0
    ) -> bool:
        """Whether one configuration [dof] keeps the margins [m]."""
        return self.edge_free(world, q, q, scene, margin=margin, self_margin=self_margin)


_WHOLE, _GROUP = 12, 8
"""A link of more spheres than the first is packed as groups of at most the second, each culled by its own bounds."""


def pack_robot(robot: Robot, kind: type) -> lanes.RobotArrays:
    """Pack a robot: frames turned so that joint axes are local z, spheres sorted by link and moved to body frames.

    A link of more than a few spheres becomes groups that lie close together.
    """
    chain = robot.chain
    turn = [np.eye(4)] + [_z_to(axis) for axis in chain.axis]
    origin = [np.linalg.inv(turn[body]) @ chain.origin[k] @ turn[k + 1] for k, body in enumerate(chain.parent)]
    first, spheres, bounds, bodies, numbers = [0], [], [], [], []
    groups_of: dict[str, list[int]] = {link: [] for link in robot.links}
    for link, group in sphere_groups(robot):
        body, T_body_link = chain.placement[link]
        centre = robot.spheres.centre[group] @ T_body_link[:3, :3].T + T_body_link[:3, 3]
        packed = np.column_stack([centre @ turn[body][:3, :3], robot.spheres.radius[group]])
        groups_of[link].append(len(bodies))
        spheres.append(packed)
        bounds.append(_bounding_sphere(packed[:, :3], packed[:, 3]))
        bodies.append(body)
        numbers.append(robot.links.index(link))
        first.append(first[-1] + len(group))
    pairs = [(i, j) for a, b in robot.checked_pairs for i in groups_of[a] for j in groups_of[b]]
    return lanes.RobotArrays(
        parent=chain.parent,
        source=chain.source,
        factor=chain.factor.astype(kind),
        offset=chain.offset.astype(kind),
        origin=np.array([frame12(m) for m in origin], dtype=kind),
        prismatic=chain.prismatic.astype(np.bool_),
        link_of=np.array(numbers, dtype=np.int64),
        link_body=np.array(bodies, dtype=np.int64),
        link_first=np.array(first, dtype=np.int64),
        bound=np.array(bounds, dtype=kind),
        sphere=np.concatenate(spheres).astype(kind),
        pairs=np.array(pairs, dtype=np.int64).reshape(-1, 2),
        metric=robot.metric.astype(kind),
    )


def sphere_groups(robot: Robot) -> Iterator[tuple[str, np.ndarray]]:
    """Yield a link's name and the numbers of spheres that are packed together, in the order of packing.

    A link without spheres has one empty group.
    """
    for link in robot.links:
        number = robot.spheres.links.index(link) if link in robot.spheres.links else -1
        chosen = np.flatnonzero(robot.spheres.link == number)
        for group in _groups(chosen, robot.spheres.centre) if len(chosen) > _WHOLE else [chosen]:
            yield link, group


def _groups(chosen: np.ndarray, centre: Float) -> list[np.ndarray]:
    """Return these spheres in groups, halved along the longest side of their box until none is too large."""
    if len(chosen) <= _GROUP:
        return [chosen]
    side = int(np.argmax(np.ptp(centre[chosen], axis=0)))
    order = chosen[np.argsort(centre[chosen, side], kind="stable")]
    half = len(order) // 2
    return [*_groups(order[:half], centre), *_groups(order[half:], centre)]


def _z_to(axis: Float) -> Float:
    """Return a rotation [4, 4] that takes local z to a unit axis."""
    turn = np.eye(4)
    helper = np.eye(3)[np.argmin(np.abs(axis))]
    x = np.cross(helper, axis)
    x /= np.linalg.norm(x)
    if np.allclose(axis, [0, 0, 1]):
        return turn
    turn[:3, :3] = np.column_stack([x, np.cross(axis, x), axis])
    return turn


def _bounding_sphere(centre: Float, radius: Float) -> Float:
    """Return centre and radius [4] of a sphere around spheres (Ritter-like: shrink towards the farthest)."""
    if len(radius) == 0:
        return np.zeros(4)
    return _bounding(centre.tobytes(), radius.tobytes())


@lru_cache(maxsize=1024)
def _bounding(centre_bytes: bytes, radius_bytes: bytes) -> Float:
    """Return the sphere of `_bounding_sphere`; kept, since robots differ in what they hold and little else."""
    centre, radius = np.frombuffer(centre_bytes).reshape(-1, 3), np.frombuffer(radius_bytes)
    middle = (centre.min(axis=0) + centre.max(axis=0)) / 2
    best, best_radius = middle, float((np.linalg.norm(centre - middle, axis=1) + radius).max())
    step = 0.5
    for _ in range(200):
        reach = np.linalg.norm(centre - middle, axis=1) + radius
        far = int(np.argmax(reach))
        if reach[far] < best_radius:
            best, best_radius = middle, float(reach[far])
        middle = middle + step * (centre[far] - middle)
        step *= 0.97
    return np.array([*best, best_radius])
