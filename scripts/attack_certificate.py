"""Attack the certificate: near misses and near hits of every kind of shape, judged by exact distances.

For each kind of obstacle (and the arm itself), random scenes with random bases; configurations whose true clearance is
within 1 mm of touching, found by bisection on exact distances (exact_distance.py: no PyBullet), some farther off; and
motions that pass within 1 mm, judged every 0.0005 rad and finer around their least places. A false accept is what the
certificate lets pass though it touches; a false refusal what it refuses though the true clearance is more than all its
margins together. Exits with 1 if there is a false accept.

    python scripts/attack_certificate.py --configurations 100000 --trajectories 1000 --seed 0 --jobs 2
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import numpy as np
from attack_shapes import OBSTACLES, Thing, draw, link_solids, turned
from exact_distance import Solid, distances, heights, inside, towards

import diffplan as dp
from diffplan.geometry import Float
from diffplan.problem import Trajectory
from diffplan.simulation.certificate import Certifier

KINDS = (*OBSTACLES, "self")
NEAR = 0.001
_TOUCHES = 1e-8
_BATCH = 40
_MARGIN = 0.001  # of a link's hull
_SLACK = 0.0002  # the certificate's own "too close to tell", and rounding
_STEP = 0.0005  # rad
_BASE = 100.0  # m


@dataclass(kw_only=True)
class Row:
    """What was found for a kind; lengths in m. `over` is measured minus true clearance at its worst.

    `over_least` and `over_bound` are the same for the least clearance along certified motions: measured, proven.
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

    def __init__(self, robot: dp.Robot, thing: Thing | None, base: dp.Pose) -> None:
        self.robot, self.thing = robot, thing
        self.parts = link_solids(robot)
        self.moving = [part for part in self.parts if part[1] > 0]
        self.T_base_thing = base.inverse().matrix @ (base if thing is None else thing.obstacle.pose).matrix

    def clearance(self, path: Float, cap: float = np.inf, *, still: bool = False) -> Float:
        """Return the least distance [n] of the moving (or the still) links from the thing at q [n, dof], up to cap."""
        assert self.thing is not None
        bodies = self.robot.body_poses(path)
        T_thing_base = np.linalg.inv(self.T_base_thing)
        parts = [part for part in self.parts if part[1] == 0] if still else self.moving
        poses = [T_thing_base @ bodies[:, body] @ T for _, body, _, T in parts]
        least = np.full(len(path), cap)
        if not self.thing.solids:
            for (*_, solid, _), T in zip(parts, poses, strict=True):
                least = np.minimum(least, heights(solid, T))
            return least
        jobs = [
            _Pair.of(part[2], T, solid, T_solid)
            for part, T in zip(parts, poses, strict=True)
            for solid, T_solid in self.thing.solids
        ]
        least = _least(jobs, least)
        if self.thing.surface is not None:
            for (*_, solid, _), T in zip(parts, poses, strict=True):
                middle = T[:, :3, :3] @ solid.corners.mean(axis=0) + T[:, :3, 3]
                far = np.abs(middle).max(axis=1) > np.abs(self.thing.surface).max()
                for at in np.flatnonzero(~far):
                    if inside(self.thing.surface, middle[at : at + 1])[0]:
                        least[at] = 0.0
        return least

    def self_clearance(self, path: Float, cap: float = np.inf) -> Float:
        """Return the least distance [n], up to cap, between links of the certified pairs that a joint moves."""
        bodies = self.robot.body_poses(path)
        jobs = []
        for a, body_a, one, T_a in self.parts:
            for b, body_b, other, T_b in self.parts:
                if body_a != body_b and ((a, b) in self.robot.certified_pairs):
                    T = np.linalg.inv(bodies[:, body_b] @ T_b) @ bodies[:, body_a] @ T_a
                    jobs.append(_Pair.of(one, T, other, np.eye(4)))
        return _least(jobs, np.full(len(path), cap))

    def nearest(self, q: Float) -> tuple[float, Float]:
        """Return the least distance from the thing's solids at q [dof] and the direction (thing frame) to the link."""
        bodies = self.robot.body_poses(q[None])[0]
        T_thing_base = np.linalg.inv(self.T_base_thing)
        best = (np.inf, np.zeros(3))
        for _, body, solid, T in self.moving:
            for other, T_solid in self.thing.solids if self.thing else ():
                d, way = towards(solid, other, np.linalg.inv(T_solid) @ T_thing_base @ bodies[body] @ T)
                if d < best[0]:
                    best = d, T_solid[:3, :3] @ way
        return best


@dataclass(frozen=True, kw_only=True, eq=False)
class _Pair:
    """Two solids, the poses of the one in the frame of the other, and a lower bound on their distances [n]."""

    one: Solid
    other: Solid
    T: Float
    bound: Float

    @staticmethod
    def of(one: Solid, T_one: Float, other: Solid, T_other: Float) -> _Pair:
        T = np.linalg.inv(T_other) @ T_one
        (centre, radius), (other_centre, other_radius) = one.sphere, other.sphere
        apart = np.linalg.norm(T[:, :3, :3] @ centre + T[:, :3, 3] - other_centre, axis=1)
        return _Pair(one=one, other=other, T=T, bound=apart - radius - other_radius)


def _least(jobs: list[_Pair], least: Float) -> Float:
    """Lower `least` [n] to the distances of all pairs, nearest first, leaving out what spheres show to be farther."""
    for job in sorted(jobs, key=lambda job: float(job.bound.min())):
        open_ = np.flatnonzero(job.bound < least)
        if len(open_):
            least[open_] = np.minimum(least[open_], distances(job.one, job.other, job.T[open_]))
    return least


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
        if kind == "self":
            truth = Truth(robot, None, dp.Pose())
            if truth.self_clearance(q[None])[0] == 0:
                yield Setting(kind=kind, scene=dp.Scene(), truth=truth, touching=q)
            continue
        base = turned(rng, rng.uniform(-_BASE, _BASE, 3)) if rng.random() < 0.5 else dp.Pose()
        thing = _placed(draw(kind, rng, folder), robot, q, base, rng)
        truth = Truth(robot, thing, base)
        if truth.clearance(q[None])[0] == 0 and truth.clearance(q[None], still=True)[0] > 0.001:
            yield Setting(
                kind=kind, scene=dp.Scene(robot_base=base, obstacles=(thing.obstacle,)), truth=truth, touching=q
            )


def _placed(thing: Thing, robot: dp.Robot, q: Float, base: dp.Pose, rng: np.random.Generator) -> Thing:
    """Bring a thing, turned anyhow, about half a millimetre deep into a random link at q [dof]."""
    moving = [part for part in link_solids(robot) if part[1] > 0]
    chosen = int(rng.integers(len(moving)))
    _, body, solid, T = moving[chosen]
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
        truth = Truth(robot, placed, dp.Pose())
        truth.moving = [moving[chosen]]
        d, back = truth.nearest(q)
        if d == 0:
            if shifts:
                break
            pose = replace(pose, xyz=tuple((np.array(pose.xyz) + way * reach).tolist()))
            continue
        move = pose.matrix[:3, :3] @ back * (d + 0.0005)
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
            if true > _TOUCHES and np.isfinite(measured):
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
    """Return a motion near the touching configuration, and the setting changed so that it passes within 1 mm."""
    truth, robot = setting.truth, setting.truth.robot
    for _ in range(4):
        way = rng.normal(0, 0.5, robot.dof)
        a, b = (np.clip(setting.touching + t * way, robot.lower, robot.upper) for t in (-rng.random(), rng.random()))
        line = a + np.linspace(0, 1, 12)[:, None] * (b - a)
        if setting.kind == "self" or truth.self_clearance(line, 0.01).min() >= 0.01:
            break
    else:
        return None
    wanted = rng.uniform(-NEAR, NEAR)
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
        turn = pose.matrix[:3, :3]
        if least > 0:
            back = np.array([0.0, 0.0, 1.0]) if not thing.solids else setting.truth.nearest(q)[1]
            move = turn @ back * (least - wanted)
        else:
            back = turn[:, 2] if not thing.solids else rng.normal(size=3)
            move = -0.03 * back / np.linalg.norm(back)
        thing = thing.at(replace(pose, xyz=tuple((np.array(pose.xyz) + move).tolist())))
        truth = Truth(robot, thing, base)
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
    if certificate.valid and certificate.min_clearance_m is not None:
        row.over_least = max(row.over_least, certificate.min_clearance_m - least)
        row.over_bound = max(row.over_bound, (certificate.min_clearance_bound_m or 0.0) - least)


def attack(kind: str, configurations: int, trajectories: int, seed: int) -> Row:
    """Attack one kind until it has its numbers of cases."""
    robot, row = dp.Robot.load("panda"), Row(kind=kind)
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    with tempfile.TemporaryDirectory() as folder:
        for setting in settings(kind, robot, rng, Path(folder)):
            if row.configurations < configurations:
                attack_configurations(row, setting, rng)
            if row.trajectories * max(configurations, 1) <= row.configurations * trajectories:
                attack_trajectory(row, setting, rng)
            if row.configurations >= configurations and row.trajectories >= trajectories:
                return row
    raise AssertionError("settings never end")


def _job(job: tuple[str, int, int, int]) -> tuple[Row, float]:
    begin = time.perf_counter()
    return attack(*job), time.perf_counter() - begin


def main() -> int:
    """Run the attack and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configurations", type=int, default=100_000, metavar="N", help="near ones, over all kinds")
    parser.add_argument("--trajectories", type=int, default=1_000, metavar="N", help="over all kinds")
    parser.add_argument("--kinds", default=",".join(KINDS), help="some of the kinds, with commas between")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes")
    args = parser.parse_args()
    kinds = args.kinds.split(",")
    parts = 4 if args.configurations > 10_000 else 1
    shares = [-(-number // (len(kinds) * parts)) for number in (args.configurations, args.trajectories)]
    jobs = [(kind, *shares, 1000 * args.seed + part) for part in range(parts) for kind in kinds]
    rows = {kind: Row(kind=kind) for kind in kinds}
    begin = time.perf_counter()
    with ProcessPoolExecutor(args.jobs) as pool:
        for (row, seconds), job in zip(pool.map(_job, jobs), jobs, strict=True):
            rows[row.kind].add(row)
            print(f"{job}: {seconds:.0f} s, {row.false_accepts} false accepts", file=sys.stderr, flush=True)
    every = Row(kind="all")
    for row in rows.values():
        every.add(row)
    heads = ("kind", "near", "hits", "farther", "motions", "hits", "certified", "false accepts", "refusals", "over mm")
    print(" ".join(f"{head:>{max(9, len(head))}}" for head in (*heads, "least over mm", "bound over mm")))
    for row in (*rows.values(), every):
        cells = (row.kind, row.configurations, row.hits, row.farther, row.trajectories, row.trajectory_hits)
        cells = (*cells, row.certified, row.false_accepts, row.false_refusals)
        over = (f"{1000 * value:.3f}" for value in (row.over, row.over_least, row.over_bound))
        widths = (9, 9, 9, 9, 9, 9, 9, 13, 9, 9, 13, 13)
        print(" ".join(f"{cell:>{width}}" for cell, width in zip((*cells, *over), widths, strict=True)))
    for note in every.notes[:20]:
        print(note, file=sys.stderr)
    print(f"{time.perf_counter() - begin:.0f} s", file=sys.stderr)
    return 1 if every.false_accepts else 0


if __name__ == "__main__":
    sys.exit(main())
