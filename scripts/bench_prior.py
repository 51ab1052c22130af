"""What the prior is worth: its samples against smooth random seeds, in the same pipeline, on the same problems.

    python scripts/bench_prior.py SUITE [--limit N] [--kinds prior,random]

For each batch size: how many problems end certified after one round, and the planning time. For single samples: the
share that is clear of collision as sampled, and after refinement.
"""

import argparse
from collections import defaultdict

import numpy as np
import torch

from diffplan.benchmark.suites import Case, load_cases
from diffplan.kernels.collision import CollisionModel, Obstacles
from diffplan.planners.diffusion import DiffusionConfig, DiffusionPlanner
from diffplan.planning import configuration, goal_configurations, solve
from diffplan.problem import Problem
from diffplan.refine import RefineConfig, Refiner

BATCHES = (4, 8, 16, 32)
SINGLES = 32


def chosen(suite: str, limit: int) -> list[Problem]:
    """Return the first `limit` problems of each set (0: all)."""
    seen: dict[str, int] = defaultdict(int)
    problems = []
    for case in load_cases(suite):
        seen[case.set] += 1
        if limit == 0 or seen[case.set] <= limit:
            problems.append(problem_of(case))
    return problems


def problem_of(case: Case) -> Problem:
    """Return a case as a problem between configurations."""
    start = configuration(case.robot, case.start, "start")
    goals = goal_configurations(case.robot, case.scene, case.goal, start, seed=0)
    return Problem(robot=case.robot, scene=case.scene, start=start, goals=goals, name=case.id)


def single_shares(problem: Problem, kind: str) -> tuple[float, float]:
    """Return the share of single samples that are clear as sampled, and after refinement."""
    planner = DiffusionPlanner(DiffusionConfig(seeds=kind))
    model, world = CollisionModel(problem.robot), Obstacles.pack([problem.scene])
    generator = torch.Generator().manual_seed(0)
    refiner = Refiner(model, world, RefineConfig(stop_share=2.0))
    goals = problem.goals[planner.share_out(problem, SINGLES)]
    control = planner.sample(problem, refiner, goals, generator)
    *_, slack = refiner.evaluate(control, gradient=False)
    return float((slack >= 0).mean()), float(refiner.push(control).clear.mean())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite")
    parser.add_argument("--limit", type=int, default=0, help="problems of each set (default: all)")
    parser.add_argument("--kinds", default="random,unconditioned,prior")
    args = parser.parse_args()
    problems = chosen(args.suite, args.limit)
    print(f"{len(problems)} problems of {args.suite}; one round, no fallback, certified in PyBullet")
    for kind in args.kinds.split(","):
        solve(problems[0], options={"seeds": kind}, fallback=False)  # warm-up
        shares = np.mean([single_shares(problem, kind) for problem in problems], axis=0)
        print(f"{kind:14s} single samples clear: {shares[0]:.1%} as sampled, {shares[1]:.1%} refined", flush=True)
        for batch in BATCHES:
            options = {"seeds": kind, "batch": batch, "largest_batch": batch, "rounds": 1}
            plans = [solve(problem, options=options, fallback=False, seed=1) for problem in problems]
            times = [plan.timing_s["plan"] * 1000 for plan in plans]
            lengths = [p.metrics.path_length_rad / p.metrics.straight_line_rad for p in plans if p.solved and p.metrics]
            print(
                f"{kind:14s} batch {batch:2d}: certified {np.mean([p.solved for p in plans]):6.1%}, plan time median"
                f" {np.median(times):5.0f} ms, p95 {np.percentile(times, 95):5.0f} ms, length {np.mean(lengths):.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
