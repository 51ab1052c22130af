"""Write a suite of hard problems: procedural, solvable, and beyond sixteen smooth random seeds.

    python scripts/make_hard_suite.py OUT.json [--count 100] [--seed 777]

Scenes come from the families of the training data, with scene seeds that the training data does not use; start and goal
both reach into places. A problem is kept if the straight line is blocked, none of sixteen refined random seeds is clear
(one draw), and RRT-Connect's path is certified within 15 s. The selection does not look at the prior.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch

from diffplan.data.families import FAMILIES, draw_scene
from diffplan.data.layout import obstacle_record
from diffplan.data.problems import Clearances, draw_endpoints, draw_problem
from diffplan.kernels.collision import CollisionModel, Obstacles
from diffplan.planners.diffusion import DiffusionConfig, DiffusionPlanner
from diffplan.planning import solve
from diffplan.problem import Problem
from diffplan.refine import RefineConfig, Refiner
from diffplan.robot import Robot

TRIES, BATCH, PLACE_TO_PLACE = 6, 16, 0


def beyond_random_seeds(model: CollisionModel, world: Obstacles, problem: Problem) -> bool:
    """Whether no refined random seed is clear."""
    planner = DiffusionPlanner(DiffusionConfig(seeds="random"))
    refiner = Refiner(model, world, RefineConfig(clearance=0.002, stop_share=1 / BATCH))
    goals = np.repeat(problem.goals, BATCH, axis=0)
    curves = planner.sample(problem, refiner, goals, torch.Generator().manual_seed(5))
    return not refiner.push(curves).clear.any()


def hard_problem(robot: Robot, model: CollisionModel, seed: int, number: int) -> dict[str, object] | None:
    """Return the first hard problem of scene `number` as the suite spells it, if it has one."""
    rng = np.random.default_rng([seed, number])
    drawn = draw_scene(list(FAMILIES)[number % len(FAMILIES)], rng)
    world = Obstacles.pack([drawn.scene])
    ends = draw_endpoints(model, world, drawn, rng, wanted=8, clear=Clearances())
    for _ in range(TRIES):
        pair = draw_problem(ends, rng)
        if pair is None or pair.kind != PLACE_TO_PLACE or model.edge_free(world, pair.start, pair.goal):
            continue
        problem = Problem(robot=robot, scene=drawn.scene, start=pair.start, goals=pair.goal[None])
        if not beyond_random_seeds(model, world, problem):
            continue
        if solve(problem, planner="rrtconnect", timeout=15.0).solved:
            return {
                "id": f"{drawn.family}/{number}",
                "start": pair.start.tolist(),
                "goals": [pair.goal.tolist()],
                "obstacles": [obstacle_record(obstacle) for obstacle in drawn.obstacles],
            }
    return None


def main() -> None:
    """Write the suite."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=777, help="not 0, which the training data uses")
    args = parser.parse_args()
    robot = Robot.load("panda")
    model, problems, number = CollisionModel(robot), [], 0
    while len(problems) < args.count:
        number += 1
        found = hard_problem(robot, model, args.seed, number)
        if found:
            problems.append(found)
            print(f"\r{len(problems)} of {args.count}, scene {number}", end="", file=sys.stderr, flush=True)
    suite = {
        "format": "diffplan/problems@1",
        "name": f"hard-{args.seed}",
        "robot": robot.name,
        "joint_names": list(robot.joint_names),
        "fixed_joints": robot.held_joints,
        "problems": problems,
    }
    args.out.write_text(json.dumps(suite))
    print(f"\nwrote {args.out}", file=sys.stderr)


if __name__ == "__main__":
    main()
