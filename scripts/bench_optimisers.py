"""Rates of optimisers on a suite, their deadline in seconds of this process's CPU time: for machines that are busy.

    python scripts/bench_optimisers.py SUITE PLANNER [PLANNER ...] [--limit 10] [--seconds 2]

`diffplan bench` is the benchmark proper; its deadline is in seconds of the wall clock. The times leave the certificate
out, the deadline does not. `first`: certified at the first path offered; `offered` and `rejected`: paths that the
planner believed in, and
those of them that the certificate did not.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from diffplan.benchmark.suites import load_cases, select
from diffplan.certificate.certifier import Certifier
from diffplan.planners import chomp, make_planner, stomp
from diffplan.planners.task import Task
from diffplan.problem import Problem, trajectory_metrics
from diffplan.timing import retime


def main() -> None:
    """Run and print one line a planner."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", type=Path)
    parser.add_argument("planners", nargs="+", choices=("chomp", "chomp-multi", "chomp-tuned", "stomp"))
    parser.add_argument("--limit", type=int, default=10, help="problems of each set")
    parser.add_argument("--seconds", type=float, default=2.0, help="CPU time for each")
    args = parser.parse_args()
    chomp.time = stomp.time = SimpleNamespace(perf_counter=time.process_time)
    cases = load_cases(str(args.suite))
    chosen = [cases[i] for i in select(cases, sets=None, limit=args.limit)]
    for name in args.planners:
        planner, offered, first, times, ratios = make_planner(name), 0, 0, [], []
        for case in chosen:
            problem = Problem(robot=case.robot, scene=case.scene, start=case.start, goals=case.goal)
            task = Task.of(problem)
            planner.prepare(task)
            with Certifier(case.robot, case.scene) as certifier:
                begin, judging = time.process_time(), 0.0
                for number, candidate in enumerate(
                    planner.candidates(replace(task, deadline=begin + args.seconds)), start=1
                ):
                    trajectory = retime(candidate.control, case.robot)
                    judged = time.process_time()
                    offered += 1
                    goals = problem.goals[[candidate.goal_index]]
                    verdict = trajectory and certifier.certify(trajectory, start=problem.start, goals=goals)
                    if trajectory and verdict and verdict.valid:
                        first += number == 1
                        times.append(judged - begin - judging)
                        metrics = trajectory_metrics(trajectory)
                        ratios.append(metrics.path_length_rad / metrics.straight_line_rad)
                        break
                    judging += time.process_time() - judged
        solved = len(times)
        print(f"{name}: certified {solved} of {len(chosen)}, first {first}, offered {offered},", end=" ")
        print(f"rejected {offered - solved}", end="")
        if solved:
            print(f", CPU s median {np.median(times):.3f} p95 {np.quantile(times, 0.95):.2f}", end="")
            print(f", path / straight line median {np.median(ratios):.2f} mean {np.mean(ratios):.2f}", end="")
        print(flush=True)


if __name__ == "__main__":
    main()
