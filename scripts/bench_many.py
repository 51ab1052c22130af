"""Plans a second of `dp.plan_many`: `python scripts/bench_many.py [SCENE] [--goals 1000] [--jobs 1 2]`.

The Panda moves from `home` to so many random free configurations of a scene (seed 0, chosen by the certificate alone).
Wall time of the whole call, the start of its processes included; one thread a process.
"""

import argparse
import os
from time import perf_counter

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

import diffplan as dp


def free_goals(robot: dp.Robot, scene: dp.Scene, number: int) -> list[np.ndarray]:
    """Return random configurations [dof] without contact."""
    rng, found = np.random.default_rng(0), []
    with dp.Certifier(robot, scene) as certifier:
        while len(found) < number:
            q = rng.uniform(robot.lower, robot.upper)
            if certifier.check(q).free:
                found.append(q)
    return found


def main() -> None:
    """Plan with each number of processes and print the rates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scene", nargs="?", default="bookshelf")
    parser.add_argument("--goals", type=int, default=1000)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2])
    args = parser.parse_args()
    robot, scene = dp.Robot.load("panda"), dp.Scene.load(args.scene)
    queries = [{"goal": q} for q in free_goals(robot, scene, args.goals)]
    dp.plan(robot, scene, "home", queries[0]["goal"])  # compiles, where that was not done
    for jobs in args.jobs:
        begin = perf_counter()
        plans = dp.plan_many(queries, jobs=jobs, robot=robot, scene=scene, start="home", timeout=2.0)
        took, solved = perf_counter() - begin, sum(plan.solved for plan in plans)
        print(f"{jobs} processes: {len(plans) / took:.1f} plans/s ({took:.1f} s), {solved} of {len(plans)} certified")


if __name__ == "__main__":
    main()
