"""Microseconds per configuration of the compiled collision kernel and of its torch twin, in one run.

    python scripts/bench_kernel.py [threads]

Configurations lie on smooth random curves through the workspace of the Panda, as the planner sees them; obstacles are
random boxes, cylinders and spheres. Each figure is the best of several repetitions after a warm-up.
"""

import os
import sys
import time
from collections.abc import Callable

THREADS = sys.argv[1] if len(sys.argv) > 1 else str(os.cpu_count())
os.environ["NUMBA_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = THREADS

import numpy as np  # noqa: E402
import torch  # noqa: E402

from diffplan.collision import torch_backend as sdf  # noqa: E402
from diffplan.collision.cpu import CollisionModel, Obstacles  # noqa: E402
from diffplan.curves import spline  # noqa: E402
from diffplan.geometry.pose import Pose  # noqa: E402
from diffplan.geometry.shapes import Box, Cylinder, Sphere  # noqa: E402
from diffplan.refinement import metric_inverse  # noqa: E402
from diffplan.robot.model import Robot  # noqa: E402
from diffplan.scene import Obstacle, Scene  # noqa: E402

BATCH, POINTS = 64, 64


def scene_of(count: int, rng: np.random.Generator) -> Scene:
    """Return random boxes, cylinders and spheres around the arm."""
    obstacles: list[Obstacle] = []
    for i in range(count):
        angle, radius = rng.uniform(-np.pi, np.pi), rng.uniform(0.45, 0.9)
        xyz = (radius * np.cos(angle), radius * np.sin(angle), rng.uniform(0.1, 0.9))
        pose = Pose.from_rpy(xyz, tuple(rng.uniform(-np.pi, np.pi, 3)))
        a, b, c = rng.uniform(0.03, 0.3, 3)
        kinds = (Box(name=f"{i}", size=(a, b, c), pose=pose), Cylinder(name=f"{i}", radius=a / 3, height=b, pose=pose))
        obstacles.append((*kinds, Sphere(name=f"{i}", radius=a / 2, pose=pose))[i % 3])
    return Scene(obstacles=tuple(obstacles))


def curves(robot: Robot, rng: np.random.Generator) -> np.ndarray:
    """Return smooth random curves [BATCH, POINTS, dof]."""
    ends = rng.uniform(robot.lower, robot.upper, (2, BATCH, 1, robot.dof))
    control = ends[0] + spline.greville(16)[:, None] * (ends[1] - ends[0])
    control[:, 1:-1] += 0.5 * np.linalg.cholesky(metric_inverse(16)) @ rng.normal(size=(BATCH, 14, robot.dof))
    return spline.basis(16, POINTS) @ np.clip(control, robot.lower, robot.upper)


def best(run: Callable[[], object], repetitions: int) -> float:
    """Return the least time of a run [us per configuration]."""
    run()
    times = []
    for _ in range(repetitions):
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return min(times) / (BATCH * POINTS) * 1e6


def main() -> None:
    """Print the table."""
    torch.set_num_threads(int(THREADS))
    robot, rng = Robot.load("panda"), np.random.default_rng(0)
    model, twin, q = CollisionModel(robot), sdf.TorchCollision(robot), curves(robot, rng)
    single = q.astype(np.float32)
    print(f"{len(robot.spheres.radius)} spheres, {len(robot.checked_pairs)} self pairs, {THREADS} threads")
    print("obstacles  cost+gradient us  clearance us  torch us  torch/kernel  largest gradient difference")
    for count in (0, 7, 20, 50):
        world = Obstacles.pack([scene_of(count, rng)])
        graded = best(lambda world=world: model.evaluate(world, single), 30)
        clear = best(lambda world=world: model.evaluate(world, single, gradient=False), 30)

        def through_torch(points: np.ndarray, world: Obstacles = world) -> torch.Tensor:
            t = torch.tensor(points.reshape(-1, robot.dof), requires_grad=True)
            cost, *_ = twin.cost(world, t[None])
            return torch.autograd.grad(cost.sum(), t)[0]

        reference = best(lambda f=through_torch: f(single), 3)
        ours, theirs = model.evaluate(world, q).gradient.reshape(-1, robot.dof), through_torch(q).numpy()
        difference = np.abs(ours - theirs).max() / max(np.abs(theirs).max(), 1e-12)
        ratio = f"{reference / graded:12.0f}"
        print(f"{count:9d}  {graded:16.2f}  {clear:12.2f}  {reference:8.1f}  {ratio}  {difference:.1e} (float64)")


if __name__ == "__main__":
    main()
