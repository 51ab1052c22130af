"""Do two versions of the certificate agree? Both judge the same random and adversarial motions.

    git worktree add /tmp/before 233d5ad
    python scripts/compare_certificates.py /tmp/before [--motions 10000] [--seed 0]

The other version runs in processes of its own, from that worktree. Scenes hold boxes, spheres, cylinders, capsules,
meshes (convex and hollow) and planes; some have something in the hand or allow a contact. Half of the motions are
random, straight or curved. The others are adversarial: a motion that certifies is shifted in joint space until the
verdict turns, and then up to 3 mm farther or less. Told are the verdicts that differ, by how much least clearances and
their bounds differ where both certify, and CPU times. Exits 1 if a verdict differs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

os.environ["NUMBA_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import trimesh

import diffplan as dp
from diffplan.certificate.certifier import Certifier
from diffplan.problem import Trajectory
from diffplan.scene import Attached, Obstacle

ARMS = ("panda", "ur5")
_EACH = 20  # motions of a scene
_NEAR = 0.003
_PART = 25  # scenes that a process judges at a time


def moving(robot: dp.Robot, rng: np.random.Generator) -> Trajectory:
    """Return a motion within the limits from one random configuration to another, straight or in an arc."""
    a, size = rng.uniform(robot.lower, robot.upper), rng.choice([0.1, 0.5, 1.5])
    b = np.clip(a + rng.normal(0, size, robot.dof), robot.lower, robot.upper)
    aside = rng.normal(0, size / 4, robot.dof) if rng.random() < 0.5 else np.zeros(robot.dof)
    room = np.minimum(np.minimum(a, b) - robot.lower, robot.upper - np.maximum(a, b))
    aside = np.clip(aside, -0.9 * room, 0.9 * room)
    way = np.abs(b - a) + 4 * np.abs(aside)
    duration = max(float((4 * way / robot.velocity).max()), float(np.sqrt((12 * way / robot.acceleration).max())), 0.1)
    t = np.linspace(0.0, duration, int(np.ceil(duration / 0.01)) + 1)
    x = (t / duration)[:, None]
    s, ds, dds = 10 * x**3 - 15 * x**4 + 6 * x**5, 30 * x**2 - 60 * x**3 + 30 * x**4, 60 * x - 180 * x**2 + 120 * x**3
    bump, slope, bend = 4 * s * (1 - s), 4 * (1 - 2 * s) * ds, 4 * ((1 - 2 * s) * dds - 2 * ds**2)
    return Trajectory(
        time=t,
        position=a + s * (b - a) + bump * aside,
        velocity=(ds * (b - a) + slope * aside) / duration,
        acceleration=(dds * (b - a) + bend * aside) / duration**2,
    )


def pose(rng: np.random.Generator) -> dp.Pose:
    """Return a pose about the arm."""
    way = rng.normal(size=3)
    place = np.array([0.0, 0.0, 0.4]) + way / np.linalg.norm(way) * rng.uniform(0.4, 1.1)
    return dp.Pose.from_rpy(tuple(place.tolist()), tuple(rng.uniform(-np.pi, np.pi, 3).tolist()))


def obstacle(name: str, rng: np.random.Generator, folder: Path) -> Obstacle:
    """Return an obstacle of a random kind, size and place."""
    at, (x, y, z) = pose(rng), rng.uniform(0.02, 0.4, 3).tolist()
    kind = rng.choice(["box", "box", "sphere", "cylinder", "capsule", "convex", "hollow"])
    if kind == "box":
        return dp.Box(name=name, size=(x, y, z), pose=at)
    if kind == "sphere":
        return dp.Sphere(name=name, radius=x / 2, pose=at)
    if kind == "cylinder":
        return dp.Cylinder(name=name, radius=x / 2, height=y, pose=at)
    if kind == "capsule":
        return dp.Capsule(name=name, radius=x / 3, height=y, pose=at)
    file = folder / f"{name}.obj"
    ring = trimesh.creation.annulus(r_min=x / 3, r_max=x / 2, height=y)
    solid = trimesh.convex.convex_hull(rng.normal(0, 0.1, (12, 3))) if kind == "convex" else ring
    solid.export(file)
    return dp.Mesh(name=name, file=file, pose=at, convex=kind == "convex")


def scene(robot: dp.Robot, rng: np.random.Generator, folder: Path) -> dp.Scene:
    """Return a random scene, sometimes with a floor or with something in the hand."""
    things = [obstacle(f"o{i}", rng, folder) for i in range(int(rng.integers(1, 9)))]
    if rng.random() < 0.2:
        things.append(dp.Plane(name="floor", pose=dp.Pose(xyz=(0.0, 0.0, -0.02))))
    held = ()
    if rng.random() < 0.2:
        box = dp.Box(name="held", size=(0.04, 0.04, 0.15), pose=dp.Pose(xyz=(0.0, 0.0, 0.15)))
        held = (Attached(obstacle=box, link=robot.end_link),)
    found = dp.Scene(name="random", obstacles=tuple(things), attached=held)
    if rng.random() < 0.2:
        found = found.allow("held" if held else str(rng.choice(robot.links)), "o0", rng.choice([0.002, 0.01, 0.05]))
    return found


def turning(robot: dp.Robot, certifier: Certifier, motion: Trajectory, rng: np.random.Generator) -> list[Trajectory]:
    """Return motions about where the verdict turns as a motion is shifted in joint space; none if it does nowhere."""
    way = rng.normal(0, 0.3, robot.dof)
    room = np.where(way > 0, robot.upper - motion.position.max(axis=0), robot.lower - motion.position.min(axis=0))
    way = np.where(np.abs(way) < np.abs(room), way, 0.99 * room)

    def shifted(share: float) -> Trajectory:
        return replace(motion, position=motion.position + share * way)

    def refused(share: float) -> bool:
        path = shifted(share)
        verdict = certifier.certify(path, start=path.position[0], goals=path.position[-1:])
        return "touches" in verdict.reason or "too close" in verdict.reason

    if refused(0.0) or not refused(1.0):
        return []
    low, high = 0.0, 1.0
    while (high - low) * np.abs(way).max() > 1e-6:
        middle = (low + high) / 2
        low, high = (low, middle) if refused(middle) else (middle, high)
    some = slice(None, None, max(1, len(motion.time) // 8))
    there, here = (robot.link_pose(shifted(share).position[some], robot.end_link) for share in (low, low + 1e-4))
    speed = np.linalg.norm((there - here)[:, :3, 3], axis=1).max() / 1e-4 + 1e-3
    return [shifted(share) for share in low + rng.uniform(-_NEAR, _NEAR, _EACH // 4) / speed]


def write_case(folder: Path, arm: str, rng: np.random.Generator) -> int:
    """Write a case: a scene and motions in it; returns how many."""
    folder.mkdir(parents=True)
    robot = dp.Robot.load(arm)
    where = scene(robot, rng, folder)
    motions = [moving(robot, rng) for _ in range(_EACH // 2)]
    with Certifier(robot, where) as certifier:
        for motion in motions[:6]:
            if len(motions) < _EACH:
                motions += turning(robot, certifier, motion, rng)
    where.save(folder / "scene.yaml")
    arrays = {f"{key}{i}": getattr(m, key) for i, m in enumerate(motions) for key in m.__dataclass_fields__}
    np.savez(folder / "motions.npz", **arrays)
    (folder / "arm").write_text(arm)
    return len(motions)


def judge(folder: Path) -> list[dict[str, object]]:
    """Return what the certificate says of the motions of a case."""
    robot, where = dp.Robot.load((folder / "arm").read_text()), dp.Scene.load(folder / "scene.yaml")
    stored, found = np.load(folder / "motions.npz"), []
    begin = time.process_time()
    with Certifier(robot, where) as certifier:
        set_up = time.process_time() - begin
        for i in range(sum(key.startswith("time") for key in stored)):
            motion = Trajectory(**{k: stored[f"{k}{i}"] for k in ("time", "position", "velocity", "acceleration")})
            begin = time.process_time()
            verdict = certifier.certify(motion, start=motion.position[0], goals=motion.position[-1:])
            found.append(
                {
                    "valid": verdict.valid,
                    "reason": verdict.reason,
                    "least": verdict.min_clearance_m,
                    "bound": verdict.min_clearance_bound_m,
                    "self": verdict.min_self_clearance_m,
                    "s": time.process_time() - begin,
                    "set up s": set_up,
                }
            )
    return found


def judged_by(tree: Path, folders: list[Path]) -> list[dict[str, object]]:
    """Return what the version in another worktree says of cases, in order."""
    command = [sys.executable, str(Path(__file__).resolve()), "--judge", *map(str, folders)]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(tree.resolve())}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    told = json.loads(done.stdout)
    if not told["from"].startswith(str(tree.resolve())):
        raise SystemExit(f"the other version was not read from {tree} but from {told['from']}")
    return told["verdicts"]


def differences(pairs: list[tuple[dict[str, object], dict[str, object]]], key: str) -> np.ndarray:
    """Return by how much a number of the second exceeds that of the first [mm] where both certify and tell it."""
    both = [(a[key], b[key]) for a, b in pairs if a["valid"] and b["valid"]]
    return 1000 * np.array([b - a for a, b in both if a is not None and b is not None], dtype=np.float64)


def main() -> int:
    """Compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("worktree", type=Path, nargs="?", help="of the other version")
    parser.add_argument("--motions", type=int, default=10_000, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--judge", type=Path, nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.judge:
        verdicts = [verdict for folder in args.judge for verdict in judge(folder)]
        print(json.dumps({"from": dp.__file__, "verdicts": verdicts}))
        return 0
    if args.worktree is None:
        parser.error("a worktree of the other version is needed")
    pairs: list[tuple[dict[str, object], dict[str, object]]] = []
    wrong, part = 0, 0
    while len(pairs) < args.motions:
        rng = np.random.default_rng([args.seed, part])
        with tempfile.TemporaryDirectory() as folder:
            cases = [Path(folder) / str(i) for i in range(_PART)]
            counts = [write_case(case, ARMS[i % len(ARMS)], rng) for i, case in enumerate(cases)]
            owner = [case for case, count in zip(cases, counts, strict=True) for _ in range(count)]
            old, new = judged_by(args.worktree, cases), [verdict for case in cases for verdict in judge(case)]
            for case, before, after in zip(owner, old, new, strict=True):
                if before["valid"] != after["valid"]:
                    wrong += 1
                    print(f"part {part} {case.name}: {before} / {after}", file=sys.stderr, flush=True)
        pairs += zip(old, new, strict=True)
        part += 1
        print(f"{len(pairs)} motions, {wrong} verdicts differ", file=sys.stderr, flush=True)
    valid = sum(bool(before["valid"]) for before, _ in pairs)
    print(f"{len(pairs)} motions, {valid} certified before, {wrong} verdicts differ")
    for key, name in (("least", "least clearance"), ("self", "least self-clearance"), ("bound", "bound")):
        more = differences(pairs, key)
        quantiles = np.quantile(more, [0, 0.05, 0.5, 0.95, 1]).round(3).tolist() if len(more) else []
        print(f"{name}, now less before, mm (least, 5 %, median, 95 %, most): {quantiles}")
    for key, name in (("s", "certify"), ("set up s", "set-up")):
        before, after = (1000 * np.median([pair[i][key] for pair in pairs]) for i in range(2))
        print(f"CPU time of {name}, median: {before:.2f} before, {after:.2f} ms now")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
