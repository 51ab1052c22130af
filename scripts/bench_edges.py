"""Microseconds of an edge check through OMPL's callback against the bare compiled call, and edges a problem takes.

    python scripts/bench_edges.py [SUITE [N]]

Edges start at random free configurations of the Panda and are of one length (in the joint that moves most); random
boxes stand around the arm. An edge is checked every 0.03 rad (max-norm), 16 configurations at a time, and left at the
first block that is not free. Times are CPU times of one thread, the best of several repetitions. With a suite: edges
and CPU time that RRT-Connect and its simplification take for the first N problems of each set (default 10).
"""

import os
import sys
import time
from collections import Counter
from collections.abc import Callable

os.environ["NUMBA_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np

from diffplan.benchmark.suites import load_cases
from diffplan.collision import lanes
from diffplan.collision.cpu import CollisionModel, Obstacles
from diffplan.ends import configuration, goal_configurations
from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import Box
from diffplan.planners.ompl import base as ob
from diffplan.planners.trees import Checker, OmplQuery, connect
from diffplan.robot.model import Robot
from diffplan.scene import Scene

EDGES, LENGTHS, OBSTACLES, MARGIN = 200, (0.25, 1.0, 2.0), (0, 7, 20), -0.006


def scene_of(count: int, rng: np.random.Generator) -> Scene:
    """Return random boxes around the arm."""
    boxes = []
    for i in range(count):
        angle, radius = rng.uniform(-np.pi, np.pi), rng.uniform(0.45, 0.9)
        xyz = (radius * np.cos(angle), radius * np.sin(angle), rng.uniform(0.1, 0.9))
        a, b, c = rng.uniform(0.03, 0.3, 3)
        boxes.append(Box(name=f"{i}", size=(a, b, c), pose=Pose.from_rpy(xyz, tuple(rng.uniform(-np.pi, np.pi, 3)))))
    return Scene(obstacles=tuple(boxes))


def edges_of(checker: Checker, reach: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return random edges [EDGES, dof] each from a free configuration, `reach` rad (max-norm) long."""
    robot = checker.model.robot
    starts, ends = [], []
    while len(starts) < EDGES:
        a = rng.uniform(robot.lower, robot.upper)
        way = rng.normal(size=robot.dof)
        b = a + reach * way / np.abs(way).max()
        if np.all((b >= robot.lower) & (b <= robot.upper)) and checker.free(a):
            starts.append(a)
            ends.append(b)
    return np.array(starts), np.array(ends)


def best(run: Callable[[], object], repetitions: int = 15) -> float:
    """Return the least CPU time of a run over all edges [us an edge]."""
    run()
    times = []
    for _ in range(repetitions):
        begin = time.process_time()
        run()
        times.append(time.process_time() - begin)
    return min(times) / EDGES * 1e6


def time_edges() -> None:
    """Print the table of times."""
    robot, rng = Robot.load("panda"), np.random.default_rng(0)
    model, single = CollisionModel(robot), np.float32
    print("obstacles  edge rad  free  compiled us  through OMPL us  overhead us")
    for count in OBSTACLES:
        world = Obstacles.pack([scene_of(count, rng)])
        checker = Checker(model=model, world=world, margin=MARGIN, self_margin=MARGIN)
        for reach in LENGTHS:
            starts, ends = edges_of(checker, reach, rng)
            margins = (single(checker.step), single(MARGIN), single(MARGIN))
            packed = [(a.astype(single), b.astype(single), model.arrays, world.arrays, 0, *margins)
                      for a, b in zip(starts, ends, strict=True)]  # fmt: skip
            query = OmplQuery(checker, starts[0], ends[:1], seed=0)
            states = [(query.state(a), query.state(b)) for a, b in zip(starts, ends, strict=True)]
            check: Callable[[ob.State, ob.State], bool] = query.si.checkMotion
            bare = best(lambda packed=packed: [lanes.edge_free(*edge) for edge in packed])
            through = best(lambda states=states, check=check: [check(a, b) for a, b in states])
            free = np.mean([lanes.edge_free(*edge) for edge in packed])
            print(f"{count:9d}  {reach:8.2f}  {free:4.0%}  {bare:11.1f}  {through:15.1f}  {through - bare:11.1f}")


def count_edges(suite: str, limit: int) -> None:
    """Print edges and CPU milliseconds of RRT-Connect up to its first path, and of OMPL's simplification."""
    seen: Counter[str] = Counter()
    rows = []
    for case in load_cases(suite, None):
        seen[case.set] += 1
        if seen[case.set] > limit:
            continue
        start = configuration(case.robot, case.start, "start")
        goals = goal_configurations(case.robot, case.scene, case.goal, start, seed=0)
        world = Obstacles.pack([case.scene])
        checker = Checker(model=CollisionModel(case.robot), world=world, margin=MARGIN, self_margin=MARGIN)
        query = OmplQuery(checker, start, goals, seed=0)
        begin = time.process_time()
        path = connect(query, range=1.0, iterations=10_000)
        found, edges = time.process_time(), query.edges.count
        if path is not None:
            query.polyline(path, simplify=2_000)
            ends = time.process_time()
            rows.append((edges, (found - begin) * 1e3, query.edges.count - edges, (ends - found) * 1e3))
    table = np.array(rows)
    print(
        f"{len(table)} of {sum(min(n, limit) for n in seen.values())} problems of {suite} have a path; median and mean:"
    )
    for i, part in enumerate(("search", "simplification")):
        edges, ms = table[:, 2 * i], table[:, 2 * i + 1]
        print(f"{part:15s} {np.median(edges):6.0f} {edges.mean():6.0f} edges"
              f" {np.median(ms):6.1f} {ms.mean():6.1f} ms {ms.sum() / edges.sum() * 1e3:6.1f} us an edge")  # fmt: skip


if __name__ == "__main__":
    time_edges()
    if len(sys.argv) > 1:
        count_edges(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 10)
