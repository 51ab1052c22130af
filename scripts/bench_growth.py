"""How plan and certificate grow with the scene: `python scripts/bench_growth.py [--out DIR]`.

Obstacles: 1 to 10,000 boxes, spheres, capsules and cylinders of 1 to 6 cm at random places within 1.5 m of the base
(seed 0), none nearer than 5 cm to start, goal or the straight motion between them, so that every problem has a motion.
Triangles: one bumpy ball of 10^2 to 10^6 triangles between start and goal, as a mesh file; of more than PyBullet takes
of a hollow mesh (174,762), its convex hull.

For each size five motions of the Panda, planned by `diffusion` alone: medians in ms of the plan's time, of the
certificate, and of the whole call; then of a first call with the scene, which prepares it (the mesh's distance field is
not in the cache). The exponent is the slope between two sizes in a log-log plot: 1 is linear.
"""

import argparse
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

os.environ.setdefault("OMP_NUM_THREADS", "1")

import matplotlib as mpl
import numpy as np

import diffplan as dp
from diffplan.geometry.meshes import MOST_TRIANGLES
from diffplan.geometry.shapes import Shape
from diffplan.system.third_party import trimesh

mpl.use("Agg")
import matplotlib.pyplot as plt

MOTIONS = 5
REACH_M = 1.5
KEEP_CLEAR_M = 0.05
SIZE_M = (0.01, 0.06)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Medians over the motions [ms], and how many were certified."""

    size: int
    first: float
    plan: float
    certify: float
    call: float
    certified: str


def motions(robot: dp.Robot, rng: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return starts and goals [dof] to either side, in free space."""
    home = np.asarray(robot.configurations["home"])
    found = []
    with dp.Certifier(robot, dp.Scene()) as certifier:
        while len(found) < MOTIONS:
            ends = home + rng.normal(scale=0.3, size=(2, robot.dof))
            ends[:, 0] = (-0.7, 0.7)
            ends = np.clip(ends, robot.lower + 0.05, robot.upper - 0.05)
            if all(certifier.check(q).free for q in np.linspace(*ends, 40)):
                found.append((ends[0], ends[1]))
    return found


def scattered(number: int, rng: np.random.Generator) -> list[Shape]:
    """Return small obstacles at random places around the base."""
    obstacles: list[Shape] = []
    for index in range(number):
        xyz = rng.uniform(-REACH_M, REACH_M, 3)
        size, name, kind = float(rng.uniform(*SIZE_M)), f"o{index}", index % 4
        axis = rng.normal(size=4)
        pose = dp.Pose(xyz=tuple(xyz), quat_xyzw=tuple(axis / np.linalg.norm(axis)))
        if kind == 0:
            obstacles.append(dp.Box(name=name, size=(size, size / 2, size), pose=pose))
        elif kind == 1:
            obstacles.append(dp.Sphere(name=name, radius=size / 2, pose=pose))
        elif kind == 2:
            obstacles.append(dp.Capsule(name=name, radius=size / 4, height=size, pose=pose))
        else:
            obstacles.append(dp.Cylinder(name=name, radius=size / 3, height=size, pose=pose))
    return obstacles


def clear_of(robot: dp.Robot, obstacles: list[Shape], ends: list[tuple[np.ndarray, np.ndarray]]) -> list[Shape]:
    """Return the obstacles whose centre is far enough from the robot's spheres along the straight motions."""
    q = np.concatenate([np.linspace(a, b, 40) for a, b in ends])
    poses = np.stack([robot.link_pose(q, link) for link in robot.spheres.links])  # [links, n, 4, 4]
    T, c = poses[robot.spheres.link], robot.spheres.centre
    centres = (np.einsum("snij,sj->sni", T[..., :3, :3], c) + T[..., :3, 3]).reshape(-1, 3)
    radii = np.repeat(robot.spheres.radius, len(q))
    away = [float((np.linalg.norm(centres - obstacle.pose.xyz, axis=1) - radii).min()) for obstacle in obstacles]
    return [obstacle for obstacle, distance in zip(obstacles, away, strict=True) if distance > KEEP_CLEAR_M + SIZE_M[1]]


def bumpy_ball(triangles: int, folder: Path) -> Path:
    """Write a ball of 16 cm with bumps, of about so many triangles, as an STL file."""
    rows = max(4, int(np.sqrt(triangles / 4)))
    columns = 2 * rows
    theta, phi = np.meshgrid(np.linspace(0, np.pi, rows + 1), np.linspace(0, 2 * np.pi, columns, endpoint=False))
    radius = 0.08 + 0.006 * np.sin(7 * theta) * np.sin(5 * phi) * np.sin(theta)
    xyz = radius[..., None] * np.stack(
        [np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], axis=-1
    )
    at = np.arange(columns * (rows + 1)).reshape(columns, rows + 1)
    a, b, c, d = at[:, :-1], at[:, 1:], np.roll(at, -1, 0)[:, :-1], np.roll(at, -1, 0)[:, 1:]
    faces = np.concatenate([np.stack([a, b, d], -1).reshape(-1, 3), np.stack([a, d, c], -1).reshape(-1, 3)])
    mesh = trimesh.Trimesh(xyz.reshape(-1, 3), faces, process=True)
    mesh.update_faces(mesh.nondegenerate_faces())
    file = folder / f"ball-{len(mesh.faces)}.stl"
    mesh.export(file)
    return file


def measure(robot: dp.Robot, scene: dp.Scene, size: int, ends: list[tuple[np.ndarray, np.ndarray]]) -> Measured:
    """Plan the motions once for the first call, then three times each, once where the first call took 5 s."""
    begin = perf_counter()
    first = dp.plan(robot, scene, *ends[0], fallback=False)
    first_ms = 1000 * (perf_counter() - begin)
    print(f"  {size}: first call {first_ms:.0f} ms, {first.status.value} {first.message}", flush=True)
    rows, certified = [], 0
    for start, goal in ends:
        for seed in range(3 if first_ms < 5000 else 1):
            begin = perf_counter()
            plan = dp.plan(robot, scene, start, goal, seed=seed, fallback=False)
            rows.append((plan.timing_s["plan"], plan.timing_s["certify"], perf_counter() - begin))
            certified += plan.solved
    plan_ms, certify_ms, call_ms = 1000 * np.median(rows, axis=0)
    return Measured(
        size=size,
        first=first_ms,
        plan=plan_ms,
        certify=certify_ms,
        call=call_ms,
        certified=f"{certified} of {len(rows)}",
    )


def table(what: str, rows: list[Measured]) -> str:
    """Return the rows in Markdown, with the exponent between a size and the one before."""
    lines = [f"| {what} | plan | certificate | call | exponent of the call | first call | certified |"]
    lines.append("|---|---|---|---|---|---|---|")
    for before, row in zip([None, *rows[:-1]], rows, strict=True):
        slope = np.log(row.call / before.call) / np.log(row.size / before.size) if before else None
        lines.append(
            f"| {row.size:,} | {row.plan:.1f} ms | {row.certify:.1f} ms | {row.call:.1f} ms | "
            f"{'' if slope is None else f'{slope:.2f}'} | {row.first / 1000:.2f} s | {row.certified} |"
        )
    return "\n".join(lines)


def draw(curves: dict[str, list[Measured]], file: Path) -> None:
    """Draw the medians against the size."""
    figure, axes = plt.subplots(1, len(curves), figsize=(10, 3.6), layout="constrained")
    for axis, (what, rows) in zip(np.atleast_1d(axes), curves.items(), strict=True):
        for name in ("plan", "certify", "call"):
            axis.loglog([row.size for row in rows], [getattr(row, name) for row in rows], "o-", label=name)
        axis.set(xlabel=what, ylabel="median [ms]")
        axis.grid(alpha=0.3)
        axis.legend()
    figure.savefig(file, dpi=110)


def main() -> None:
    """Measure both growths, print the tables, draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("out/growth"))
    parser.add_argument("--obstacles", type=int, nargs="*", default=[1, 10, 100, 1000, 10_000])
    parser.add_argument("--triangles", type=int, nargs="*", default=[100, 1000, 10_000, 100_000, 1_000_000])
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    robot = dp.Robot.load("panda")
    ends = motions(robot, rng)
    dp.plan(robot, dp.Scene(), *ends[0], fallback=False)  # loads and compiles
    curves: dict[str, list[Measured]] = {}
    if args.obstacles:
        many = clear_of(robot, scattered(int(1.6 * max(args.obstacles)), rng), ends)
        curves["obstacles"] = [measure(robot, dp.Scene(obstacles=many[:n]), n, ends) for n in args.obstacles]
    with tempfile.TemporaryDirectory() as folder:
        place = dp.Pose(xyz=(0.5, 0.0, 0.3))
        files = [bumpy_ball(n, Path(folder)) for n in args.triangles]
        rows = []
        for file in files:
            size = int(file.stem.split("-")[1])
            ball = dp.Mesh(name="ball", file=file, pose=place, convex=size > MOST_TRIANGLES)
            rows.append(measure(robot, dp.Scene(obstacles=(ball,)), size, ends))
        if rows:
            curves["triangles"] = rows
    text = "\n\n".join(table(what, rows) for what, rows in curves.items())
    (args.out / "growth.md").write_text(text + "\n")
    draw(curves, args.out / "growth.png")
    print(text)


if __name__ == "__main__":
    main()
