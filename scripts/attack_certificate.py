"""Attack the certificate: near misses and near hits of every kind of shape, judged by exact distances.

For each kind of obstacle (and the arm itself), and each of two arms (the Panda, and one of boxes, cylinders, spheres
and a mesh with a prismatic joint), random scenes with random bases; configurations whose true clearance is within 1
mm of touching, found by bisection on exact distances (exact_distance.py: no PyBullet), some farther off; and motions,
half of which pass within 1 mm and half at 1 to 6 mm, judged every 0.0005 rad and finer around their least places. A
false accept is what the certificate lets pass though it touches, or a proven clearance that is more than the true
one; a false refusal what it refuses though the true clearance is more than all its margins together. Exits with 1 if
there is a false accept.

`held` is an object in the hand, of any kind but a plane, that an obstacle of any kind comes near. `allowed` is the same
with a sphere that it may enter by up to 3 mm: how deep a convex part lies in a ball is the ball's radius less the
distance from its centre, so the truth is that of a smaller ball, for the object alone.

    python scripts/attack_certificate.py --configurations 100000 --trajectories 1000 --seed 0 --jobs 2 --out parts.jsonl
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
from attack_shapes import OBSTACLES, Thing, draw, link_solids, primitive_arm, turned
from exact_distance import Solid, Solids, distances, heights, inside

import diffplan as dp
from diffplan.certificate.certifier import Certifier
from diffplan.geometry.pose import Float
from diffplan.problem import Trajectory, robot_in

KINDS = (*OBSTACLES, "self", "held", "allowed")
HELD = ("box", "sphere", "cylinder", "capsule", "mesh_convex")
HELD_NAME = "held object"
LARGEST_HELD, DEEPEST_ALLOWED = 0.3, 0.003  # [m]
NEAR = 0.001
_TOUCHES = 1e-8
_BATCH = 40
_MARGIN = 0.001  # of a link's hull
_SLACK = 0.0008  # the certificate's own "too close to tell", what is subtracted for GJK's error, and rounding
_STEP = 0.0005  # rad
_FARTHEST = 5.5  # bases are up to 10^5.5 m from the origin
_PROVEN = 1e-6  # m; by so much a proven clearance may be above the true one, found by sampling and rounded
_PART = 500  # configurations of one job

ARMS = ("panda", "primitives")


@dataclass(kw_only=True)
class Row:
    """What was found for a kind; lengths in m. `over` is measured minus true clearance at its worst.

    `scenes_refused` counts the scenes that a Certifier does not take (with a convex mesh whose corners PyBullet rounds
    too much), `undecided` those in which a true distance is not known to 1e-7 m; both are left out. `over_least` and
    `over_bound` are like `over` for the least clearances along certified motions: the measured and the proven ones.
    """

    kind: str
    configurations: int = 0
    farther: int = 0
    hits: int = 0
    trajectories: int = 0
    trajectory_hits: int = 0
    certified: int = 0
    false_accepts: int = 0
    false_refusals: int = 0
    scenes_refused: int = 0
    undecided: int = 0
    over: float = -np.inf
    over_least: float = -np.inf
    over_bound: float = -np.inf
    notes: list[str] = field(default_factory=list)

    def add(self, other: Row) -> None:
        """Take another part of the same kind in."""
        for one in fields(self)[1:]:
            mine, more = getattr(self, one.name), getattr(other, one.name)
            setattr(self, one.name, max(mine, more) if one.name.startswith("over") else mine + more)


class Truth:
    """True distances of a robot's links from a thing, and of its links from each other."""

    def __init__(
        self, robot: dp.Robot, thing: Thing | None, base: dp.Pose, link: int | None = None, allowed_m: float = 0.0
    ) -> None:
        self.robot, self.thing, self.allowed_m = robot, thing, allowed_m
        self.parts = link_solids(robot)
        self.bodies = np.array([body for _, body, _, _ in self.parts])
        self.placements = np.array([T for *_, T in self.parts])
        self.solids = Solids.of([solid for _, _, solid, _ in self.parts])
        self.moving = np.flatnonzero(self.bodies > 0) if link is None else np.array([link])
        self.still = np.flatnonzero(self.bodies == 0)
        self.T_base_thing = base.inverse().matrix @ (base if thing is None else thing.obstacle.pose).matrix
        if thing is not None and thing.solids:
            self.others = Solids.of([solid for solid, _ in thing.solids])
            self.T_others = self.T_base_thing @ np.array([T for _, T in thing.solids])
        names = [name for name, *_ in self.parts]
        self.rest: Truth | None = None
        if allowed_m:  # of what is held the truth is that of a smaller ball, see above
            assert thing is not None
            self.rest = Truth(robot, thing, base)
            self.rest.moving = np.array([i for i in self.moving if names[i] != HELD_NAME])
            self.moving = np.array([i for i in self.moving if names[i] == HELD_NAME])
            ((ball, _),) = thing.solids
            self.others = Solids.of([replace(ball, grow=ball.grow - allowed_m)])
        certified = set(robot.certified_pairs)
        every = [(i, j) for i in range(len(names)) for j in range(len(names)) if self.bodies[i] != self.bodies[j]]
        self.self_pairs = np.array([ij for ij in every if (names[ij[0]], names[ij[1]]) in certified]).reshape(-1, 2)

    def clearance(self, path: Float, cap: float = np.inf, *, still: bool = False) -> Float:
        """Return the least distance [n] of the moving (or the still) links from the thing at q [n, dof], up to cap."""
        assert self.thing is not None
        poses, parts = self._poses(path), self.still if still else self.moving
        if not self.thing.solids:
            T_thing_base = np.linalg.inv(self.T_base_thing)
            lowest = [heights(self.parts[i][2], T_thing_base @ poses[:, i]) for i in parts]
            return np.minimum(cap, np.min(lowest, axis=0)) if lowest else np.full(len(path), cap)
        least, _ = self._from_thing(poses, parts, cap)
        if self.rest:
            least = np.minimum(least, self.rest.clearance(path, cap, still=still))
        if self.thing.surface is not None:
            T_thing_base = np.linalg.inv(self.T_base_thing)
            for i in parts:
                T = T_thing_base @ poses[:, i]
                middle = T[:, :3, :3] @ self.parts[i][2].corners.mean(axis=0) + T[:, :3, 3]
                near = (np.abs(middle).max(axis=1) <= np.abs(self.thing.surface).max()) & (least > 0)
                least[near] = np.where(inside(self.thing.surface, middle[near]), 0.0, least[near])
        return least

    def told(self, path: Float) -> Float:
        """Return the clearances [n] that a certificate tells: those of pairs that may touch are none of them."""
        return (self.rest or self).clearance(path)

    def self_clearance(self, path: Float, cap: float = np.inf) -> Float:
        """Return the least distance [n], up to cap, between links of the certified pairs that a joint moves."""
        poses = self._poses(path)
        return distances(self.solids, poses, self.solids, poses, self.self_pairs, cap)[0]

    def nearest(self, q: Float) -> tuple[float, Float]:
        """Return the least distance from the thing's solids at q [dof] and the direction (base frame) to the link."""
        least, way = self._from_thing(self._poses(q[None]), self.moving, np.inf)
        return float(least[0]), way[0] / max(float(np.linalg.norm(way[0])), 1e-300)

    def _from_thing(self, poses: Float, parts: np.ndarray, cap: float) -> tuple[Float, Float]:
        there = np.arange(len(self.T_others))
        pairs = np.stack(np.meshgrid(parts, there, indexing="ij"), axis=-1).reshape(-1, 2)
        return distances(self.solids, poses, self.others, self.T_others[None], pairs, cap)

    def _poses(self, path: Float) -> Float:
        """Return the poses [n, parts, 4, 4] of all parts in the base frame."""
        return self.robot.body_poses(path)[:, self.bodies] @ self.placements


@dataclass(frozen=True, kw_only=True, eq=False)
class Setting:
    """A scene with one obstacle (none for `self`), a configuration that touches, and the truth about it."""

    kind: str
    scene: dp.Scene
    truth: Truth
    touching: Float

    def clear(self, path: Float, cap: float = np.inf) -> Float:
        """Return the true clearances [n] that this kind is about, up to cap."""
        return self.truth.self_clearance(path, cap) if self.kind == "self" else self.truth.clearance(path, cap)

    @property
    def allowed(self) -> float:
        """Up to this true clearance a refusal is right [m]."""
        thing = self.truth.thing
        return _MARGIN + _SLACK + (_MARGIN if thing is None else thing.margin)


def settings(kind: str, robot: dp.Robot, rng: np.random.Generator, folder: Path) -> Iterator[Setting]:
    """Draw settings of a kind without end."""
    lower, upper = robot.lower, robot.upper
    while True:
        q = rng.uniform(lower, upper)
        if kind in ("held", "allowed"):
            yield from _holding_settings(kind, robot, q, rng, folder)
            continue
        if kind == "self":
            truth = Truth(robot, None, dp.Pose())
            if truth.self_clearance(q[None])[0] == 0:
                yield Setting(kind=kind, scene=dp.Scene(), truth=truth, touching=q)
            continue
        far = rng.normal(size=3) * 10 ** rng.uniform(-1, _FARTHEST)
        base = turned(rng, far) if rng.random() < 0.5 else dp.Pose()
        thing = _placed(draw(kind, rng, folder), robot, q, base, rng)
        truth = Truth(robot, thing, base)
        if truth.clearance(q[None])[0] == 0 and truth.clearance(q[None], still=True)[0] > 0.001:
            yield Setting(
                kind=kind, scene=dp.Scene(robot_base=base, obstacles=(thing.obstacle,)), truth=truth, touching=q
            )


def _holding_settings(
    kind: str, robot: dp.Robot, q: Float, rng: np.random.Generator, folder: Path
) -> Iterator[Setting]:
    """Draw an object in the hand and an obstacle that touches it at q [dof]; nothing if something else touches."""
    body = draw(HELD[int(rng.integers(len(HELD)))], rng, folder).obstacle
    if float(np.max(body.half_extents if not isinstance(body, dp.Mesh) else body.surface().extents / 2)) > LARGEST_HELD:
        return
    body = replace(body, name=HELD_NAME, pose=turned(rng, rng.normal(size=3) * 0.1))
    link = robot.end_link
    attached = dp.Attached(obstacle=body, link=link, may_touch=tuple(robot.links))
    base = turned(rng, rng.normal(size=3)) if rng.random() < 0.5 else dp.Pose()
    scene = dp.Scene(robot_base=base, attached=(attached,))
    holds = robot_in(robot, scene)
    thing = draw("sphere" if kind == "allowed" else OBSTACLES[int(rng.integers(len(OBSTACLES)))], rng, folder)
    depth = 0.0
    if kind == "allowed":
        ((ball, _),) = thing.solids
        depth = float(rng.uniform(1e-4, min(DEEPEST_ALLOWED, 0.3 * ball.grow)))
    thing = _placed(thing, holds, q, base, rng, HELD_NAME)
    scene = scene.add(thing.obstacle)
    if depth:
        scene = scene.allow(HELD_NAME, thing.obstacle.name, depth)
        back = base.matrix[:3, :3] @ Truth(holds, thing, base).nearest(q)[1]
        back = back if np.linalg.norm(back) > 0.5 else rng.normal(size=3)
        x, y, z = (np.array(thing.obstacle.pose.xyz) + back / np.linalg.norm(back) * depth).tolist()
        thing = thing.at(replace(thing.obstacle.pose, xyz=(x, y, z)))
        scene = replace(scene, obstacles=(thing.obstacle,))
    truth = Truth(holds, thing, base, allowed_m=depth)
    if truth.clearance(q[None])[0] == 0 and truth.clearance(q[None], still=True)[0] > 0.001:
        yield Setting(kind=kind, scene=scene, truth=truth, touching=q)


def _placed(
    thing: Thing, robot: dp.Robot, q: Float, base: dp.Pose, rng: np.random.Generator, link: str | None = None
) -> Thing:
    """Bring a thing, turned anyhow, about half a millimetre deep into a random link at q [dof], or into this one."""
    parts = link_solids(robot)
    chosen = int(rng.choice([i for i, part in enumerate(parts) if part[1] > 0 and link in (None, part[0])]))
    _, body, solid, T = parts[chosen]
    T_base_solid = robot.body_poses(q[None])[0, body] @ T
    corner = T_base_solid[:3, :3] @ solid.corners[rng.integers(len(solid.corners))] + T_base_solid[:3, 3]
    reach = max((np.linalg.norm(T[:3, 3]) + sum(s.sphere[1:], np.linalg.norm(s.sphere[0])) for s, T in thing.solids), default=0.1)  # fmt: skip # noqa: E501
    if not thing.solids:
        pose = turned(rng, np.zeros(3))
        normal = pose.matrix[:3, 2]
        lowest = _support(solid, T_base_solid, -normal)
        x, y, z = ((lowest @ normal + 0.0005) * normal + _across(rng, normal)).tolist()
        return thing.at(base @ dp.Pose(xyz=(x, y, z), quat_xyzw=pose.quat_xyzw))
    way = rng.normal(size=3)
    way /= np.linalg.norm(way)
    pose = turned(rng, corner + way * reach * rng.uniform(0.3, 1.2))
    shifts: list[float] = []
    for _ in range(4):
        placed = thing.at(pose)
        d, back = Truth(robot, placed, dp.Pose(), link=chosen).nearest(q)
        if d == 0:
            if shifts:
                break
            pose = replace(pose, xyz=tuple((np.array(pose.xyz) + way * reach).tolist()))
            continue
        move = back * (d + 0.0005)
        shifts.append(d)
        pose = replace(pose, xyz=tuple((np.array(pose.xyz) + move).tolist()))
        if d < NEAR:
            break
    return thing.at(base @ pose)


def _support(solid: Solid, T: Float, way: Float) -> Float:
    local = T[:3, :3].T @ way
    if solid.rod[0] > 0:
        across = local[:2] / max(float(np.linalg.norm(local[:2])), 1e-12)
        point = np.array([*(solid.rod[0] * across), np.copysign(solid.rod[1], local[2])])
    else:
        point = solid.corners[int(np.argmax(solid.corners @ local))] + solid.grow * local
    return T[:3, :3] @ point + T[:3, 3]


def _across(rng: np.random.Generator, normal: Float) -> Float:
    shift = rng.uniform(-1, 1, 3)
    return shift - (shift @ normal) * normal


def near_configurations(setting: Setting, rng: np.random.Generator, number: int) -> tuple[Float, Float]:
    """Return configurations whose true clearance lies within 1 mm of touching, on either side, and some free ones."""
    robot, a = setting.truth.robot, setting.touching
    b = np.clip(a + rng.normal(0, rng.choice([0.1, 0.5]), (number, robot.dof)), robot.lower, robot.upper)
    free = setting.clear(b, 2 * NEAR) > NEAR
    b = b[free]
    if len(b) == 0:
        return b, b
    wanted = rng.uniform(-NEAR, NEAR, len(b))
    low, high = np.zeros(len(b)), np.ones(len(b))
    for _ in range(26):
        middle = (low + high) / 2
        above = setting.clear(a + middle[:, None] * (b - a), 2 * NEAR) > np.maximum(wanted, _TOUCHES)
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    step = np.minimum(1e-4, 1 - high)
    at, beyond = (setting.clear(a + t[:, None] * (b - a), 4 * NEAR) for t in (high, high + step))
    rate = np.maximum((beyond - at) / np.maximum(step, 1e-12), 1e-3)
    inward = np.where(wanted < 0, low + wanted / rate, high)
    return a + np.clip(inward, 0, 1)[:, None] * (b - a), b[: max(1, len(b) // 4)]


def attack_configurations(row: Row, setting: Setting, rng: np.random.Generator) -> None:
    """Compare the certificate's verdict on one batch of configurations with the truth."""
    near, far = near_configurations(setting, rng, _BATCH)
    if len(near) == 0:
        return
    with Certifier(setting.truth.robot, setting.scene) as certifier:
        for q, true in zip(np.concatenate([near, far]), setting.clear(np.concatenate([near, far])), strict=True):
            check = certifier.check(q)
            measured = check.self_clearance_m if setting.kind == "self" else check.clearance_m
            accepted = measured > 1e-4
            row.hits += bool(true <= _TOUCHES)
            if accepted and true <= _TOUCHES:
                row.false_accepts += 1
                row.notes.append(f"{setting.scene} q={q.tolist()} measured {measured}")
            if not accepted and true > setting.allowed:
                row.false_refusals += 1
                row.notes.append(f"refused: {setting.scene} q={q.tolist()} true {true} {check.contact}")
            if true > _TOUCHES and np.isfinite(measured) and not setting.truth.allowed_m:
                row.over = max(row.over, measured - true)
    row.configurations += len(near)
    row.farther += len(far)


def straight(robot: dp.Robot, a: Float, b: Float) -> Trajectory:
    """Run straight from a to b [dof] by a quintic law within the limits, a sample every 10 ms."""
    way = np.abs(b - a)
    duration = max(float((1.9 * way / robot.velocity).max()), float(np.sqrt((5.8 * way / robot.acceleration).max())))
    time_s = np.linspace(0.0, duration, max(2, int(np.ceil(duration / 0.01)) + 1))
    x = (time_s / duration)[:, None]
    return Trajectory(
        time=time_s,
        position=a + (10 * x**3 - 15 * x**4 + 6 * x**5) * (b - a),
        velocity=(30 * x**2 - 60 * x**3 + 30 * x**4) / duration * (b - a),
        acceleration=(60 * x - 180 * x**2 + 120 * x**3) / duration**2 * (b - a),
    )


def _least_on_line(setting: Setting, a: Float, b: Float) -> tuple[float, Float]:
    """Return the least clearance on a straight motion, up to 5 cm, and where it is; fine enough to aim with."""
    low, high, best, at = 0.0, 1.0, np.inf, a
    for count in (150, 10, 10, 10, 10):
        fractions = np.linspace(low, high, count)
        clear = setting.clear(a + fractions[:, None] * (b - a), 0.05)
        i = int(np.argmin(clear))
        if clear[i] < best:
            best, at = float(clear[i]), a + fractions[i] * (b - a)
        low, high = fractions[max(i - 1, 0)], fractions[min(i + 1, count - 1)]
    return best, at


def _passing(setting: Setting, rng: np.random.Generator) -> tuple[Setting, Float, Float] | None:
    """Return a motion near the touching configuration, and the setting changed so that it passes within 1 or 6 mm."""
    truth, robot = setting.truth, setting.truth.robot
    for _ in range(4):
        way = rng.normal(0, 0.5, robot.dof)
        a, b = (np.clip(setting.touching + t * way, robot.lower, robot.upper) for t in (-rng.random(), rng.random()))
        line = a + np.linspace(0, 1, 12)[:, None] * (b - a)
        if setting.kind == "self" or truth.self_clearance(line, 0.01).min() >= 0.01:
            break
    else:
        return None
    wanted = rng.uniform(-NEAR, NEAR) if rng.random() < 0.5 else rng.uniform(NEAR, 6 * NEAR)
    if setting.kind == "self":
        return setting, *_shifted(setting, a, b, wanted, rng)
    base = setting.scene.robot_base
    for _ in range(12):
        thing = setting.truth.thing
        assert thing is not None
        least, q = _least_on_line(setting, a, b)
        if least > 0 and abs(least - wanted) < NEAR / 10:
            return setting, a, b
        free = least > 0
        pose = thing.obstacle.pose
        normal = pose.matrix[:3, 2]
        if least > 0:
            back = normal if not thing.solids else base.matrix[:3, :3] @ setting.truth.nearest(q)[1]
            move = back * (least - wanted)
        else:
            back = normal if not thing.solids else rng.normal(size=3)
            move = -0.03 * back / np.linalg.norm(back)
        thing = thing.at(replace(pose, xyz=tuple((np.array(pose.xyz) + move).tolist())))
        truth = Truth(robot, thing, base, allowed_m=truth.allowed_m)
        setting = replace(setting, truth=truth, scene=replace(setting.scene, obstacles=(thing.obstacle,)))
        if free and wanted < 0:
            return setting, a, b
    return None


def _shifted(setting: Setting, a: Float, b: Float, wanted: float, rng: np.random.Generator) -> tuple[Float, Float]:
    """Shift a motion towards a free configuration until it passes within 1 mm of touching itself."""
    robot = setting.truth.robot
    way = rng.uniform(robot.lower, robot.upper) - setting.touching

    def moved(t: float) -> tuple[Float, Float]:
        return np.clip(a + t * way, robot.lower, robot.upper), np.clip(b + t * way, robot.lower, robot.upper)

    low, high = 0.0, 1.0
    for _ in range(12):
        t = (low + high) / 2
        above = _least_on_line(setting, *moved(t))[0] > max(wanted, 0.0)
        low, high = (low, t) if above else (t, high)
    return moved(low if wanted < 0 else high)


def least_along(clear: Callable[[Float], Float], path: Float) -> float:
    """Return the least true clearance along a sampled path [n, dof], its linear interpolation included."""
    steps = np.abs(np.diff(path, axis=0)).max(axis=1)
    cuts = [np.linspace(0, 1, max(1, int(np.ceil(step / _STEP))), endpoint=False) for step in steps]
    places = np.concatenate([*(i + cut for i, cut in enumerate(cuts)), [len(path) - 1.0]])

    def at(where: Float) -> Float:
        sample = np.minimum(where.astype(int), len(path) - 2)
        return path[sample] + (where - sample)[:, None] * (path[sample + 1] - path[sample])

    values = clear(at(places))
    for i in np.argsort(values)[:3]:
        low, high = places[max(i - 1, 0)], places[min(i + 1, len(places) - 1)]
        for _ in range(4):
            finer = np.linspace(low, high, 12)
            found = clear(at(finer))
            j = int(np.argmin(found))
            low, high = finer[max(j - 1, 0)], finer[min(j + 1, 11)]
            values = np.append(values, found[j])
    return float(values.min())


def attack_trajectory(row: Row, setting: Setting, rng: np.random.Generator) -> None:
    """Compare the certificate's verdict on a motion with the truth."""
    passing = _passing(setting, rng)
    if passing is None:
        return
    setting, a, b = passing
    if setting.kind != "self" and setting.truth.clearance(a[None], 0.002, still=True)[0] < 0.001:
        return
    robot, truth = setting.truth.robot, setting.truth
    motion = straight(robot, a, b)
    with Certifier(robot, setting.scene) as certifier:
        certificate = certifier.certify(motion, start=motion.position[0], goals=motion.position[-1:])
    least = np.inf if truth.thing is None else least_along(truth.clearance, motion.position)
    least_self = least_along(truth.self_clearance, motion.position)
    hit = min(least, least_self) <= _TOUCHES
    row.trajectories += 1
    row.trajectory_hits += hit
    row.certified += certificate.valid
    if certificate.valid and hit:
        row.false_accepts += 1
        row.notes.append(f"certified: {setting.scene} {a.tolist()} -> {b.tolist()}: true {least}, {least_self}")
    if not certificate.valid and least > setting.allowed and least_self > 2 * _MARGIN + _SLACK:
        row.false_refusals += 1
        row.notes.append(f"refused: {setting.scene} {a.tolist()} -> {b.tolist()}: {certificate.reason}, true {least}")
    told = least if not truth.allowed_m else least_along(truth.told, motion.position)
    for found, proven, true in (
        (certificate.min_clearance_m, certificate.min_clearance_bound_m, told),
        (certificate.min_self_clearance_m, certificate.min_self_clearance_bound_m, least_self),
    ):
        if certificate.valid and found is not None and proven is not None:
            row.over_least = max(row.over_least, found - true)
            row.over_bound = max(row.over_bound, proven - true)
            if proven > true + _PROVEN:
                row.false_accepts += 1
                row.notes.append(f"proven {proven}: {setting.scene} {a.tolist()} -> {b.tolist()}: true {true}")


def attack(arm: str, kind: str, configurations: int, trajectories: int, seed: int) -> Row:
    """Attack one kind with one arm until it has its numbers of cases."""
    row = Row(kind=f"{kind}, {arm}")
    rng = np.random.default_rng([seed, ARMS.index(arm), KINDS.index(kind)])
    with tempfile.TemporaryDirectory() as folder:
        robot = dp.Robot.load("panda") if arm == "panda" else primitive_arm(Path(folder))
        for setting in settings(kind, robot, rng, Path(folder)):
            try:
                if row.configurations < configurations:
                    attack_configurations(row, setting, rng)
                if row.trajectories * max(configurations, 1) <= row.configurations * trajectories:
                    attack_trajectory(row, setting, rng)
            except dp.InputError:
                row.scenes_refused += 1
            except ArithmeticError:
                row.undecided += 1
            if row.configurations >= configurations and row.trajectories >= trajectories:
                return row
    raise AssertionError("settings never end")


def main() -> int:
    """Run the attack and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configurations", type=int, default=100_000, metavar="N", help="near ones, over all kinds")
    parser.add_argument("--trajectories", type=int, default=1_000, metavar="N", help="over all kinds")
    parser.add_argument("--kinds", default=",".join(KINDS), help="some of the kinds, with commas between")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes")
    parser.add_argument("--out", type=Path, metavar="FILE", help="JSON lines: parts in it are not run again")
    args = parser.parse_args()
    jobs = _jobs(args.kinds.split(","), args.configurations, args.trajectories, args.seed)
    rows, begin = _rows(jobs, args.jobs, args.out), time.perf_counter()
    every = Row(kind="all")
    for row in rows.values():
        every.add(row)
    _print_table([*rows.values(), every])
    for note in every.notes[:20]:
        print(note, file=sys.stderr)
    print(f"{time.perf_counter() - begin:.0f} s", file=sys.stderr)
    return 1 if every.false_accepts else 0


_Job: TypeAlias = tuple[str, str, int, int, int]
"""The arguments of `attack`."""


def _jobs(kinds: list[str], configurations: int, trajectories: int, seed: int) -> list[_Job]:
    """Share the cases out over kinds and arms, in parts of some hundred configurations."""
    series = [(arm, kind) for kind in kinds for arm in ARMS]
    parts = -(-configurations // (_PART * len(series)))
    near, motions = (-(-number // (len(series) * parts)) for number in (configurations, trajectories))
    return [(arm, kind, near, motions, 1000 * seed + part) for part in range(parts) for arm, kind in series]


def _rows(jobs: list[_Job], processes: int, out: Path | None) -> dict[str, Row]:
    """Run the jobs, each noted in `out` as it ends, but for those that are there; return the sums by kind and arm."""
    lines = [json.loads(line) for line in out.read_text().splitlines()] if out and out.exists() else []
    done = [(tuple(line["job"]), Row(**line["row"])) for line in lines]
    done = [(job, row) for job, row in done if job in jobs]
    rows = {f"{kind}, {arm}": Row(kind=f"{kind}, {arm}") for arm, kind, *_ in jobs}
    for _, row in done:
        rows[row.kind].add(row)
    begin = time.perf_counter()
    with ProcessPoolExecutor(processes) as pool:
        running = {pool.submit(attack, *job): job for job in jobs if job not in [job for job, _ in done]}
        for number, future in enumerate(as_completed(running), start=1):
            if future.exception():
                pool.shutdown(cancel_futures=True)
            row = future.result()
            rows[row.kind].add(row)
            if out:
                with out.open("a") as stream:
                    stream.write(json.dumps({"job": running[future], "row": asdict(row)}) + "\n")
            spent, faults = time.perf_counter() - begin, sum(row.false_accepts for row in rows.values())
            print(
                f"{number} of {len(running)} parts, {spent:.0f} s, {faults} false accepts", file=sys.stderr, flush=True
            )
    return rows


def _print_table(rows: list[Row]) -> None:
    heads = (
        "kind, arm",
        "near",
        "hits",
        "farther",
        "motions",
        "hits",
        "certified",
        "false accepts",
        "refusals",
        "scenes",
        "undecided",
    )
    heads = (*heads, "over mm", "least over mm", "bound over mm")
    widths = (24, *(max(9, len(head)) for head in heads[1:]))
    print(" ".join(f"{head:>{width}}" for head, width in zip(heads, widths, strict=True)))
    for row in rows:
        cells = (row.kind, row.configurations, row.hits, row.farther, row.trajectories, row.trajectory_hits)
        cells = (*cells, row.certified, row.false_accepts, row.false_refusals, row.scenes_refused, row.undecided)
        over = (f"{1000 * value:.3f}" for value in (row.over, row.over_least, row.over_bound))
        print(" ".join(f"{cell:>{width}}" for cell, width in zip((*cells, *over), widths, strict=True)))


if __name__ == "__main__":
    sys.exit(main())
