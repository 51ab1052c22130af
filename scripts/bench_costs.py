"""What named costs do, and what alternatives there are: every problem of a suite planned with and without, same seed.

    python scripts/bench_costs.py SUITE [--limit N] [--seed N] [--timeout S]

No fallback. `upright` is the hand's tilt, `avoid` a person who stands in front of the robot, `prefer` the forearm bent
(panda_joint4). Costs are unweighted, along motions that are certified with the cost and without; times are planning
alone. The last line asks for two alternatives beside the best way.
"""

import argparse
from collections.abc import Sequence

import numpy as np
import torch
from rich.progress import track

import diffplan as dp
from diffplan.benchmark.suites import Case, load_cases, select
from diffplan.ends import configuration, goal_configurations
from diffplan.planners.polyline import resample
from diffplan.planning import solve
from diffplan.problem import Plan, Problem

PERSON = dp.Capsule(name="person", radius=0.18, height=1.2, pose=dp.Pose(xyz=(0.8, 0.0, 0.78)))
ALTERNATIVES = 2
PLACES = 128


def wishes(robot: dp.Robot) -> tuple[dp.Cost, ...]:
    """Return the costs that are tried, one at a time."""
    return (
        dp.upright(robot),
        dp.avoid(robot, PERSON, comfort=0.3),
        dp.prefer(robot, {"panda_joint4": (-2.6, -2.0)}),
    )


def problem_of(case: Case) -> Problem:
    """Return a case as a problem without costs."""
    start = configuration(case.robot, case.start, "start")
    goals = goal_configurations(case.robot, case.scene, case.goal, start, seed=0)
    return Problem(robot=case.robot, scene=case.scene, start=start, goals=goals, name=case.id)


def planned(
    problem: Problem, args: argparse.Namespace, costs: Sequence[dp.Cost] = (), *, alternatives: int = 0
) -> Plan:
    """Return the plan with these costs."""
    changed = Problem(
        robot=problem.robot, scene=problem.scene, start=problem.start, goals=problem.goals, costs=tuple(costs)
    )
    return solve(changed, seed=args.seed, timeout=args.timeout, fallback=False, alternatives=alternatives)


def value(cost: dp.Cost, plan: Plan) -> float:
    """Return the unweighted cost along a plan's path, at places equally far apart."""
    assert plan.trajectory is not None
    return float(cost(torch.from_numpy(resample(plan.trajectory.position, PLACES))[None]))


def length(plan: Plan) -> float:
    """Return the path length [rad]."""
    assert plan.metrics is not None
    return plan.metrics.path_length_rad


def main() -> int:
    """Plan, compare, print a table in Markdown."""
    parser = argparse.ArgumentParser(description="Measure what named costs do to motions.")
    parser.add_argument("suite")
    parser.add_argument("--limit", type=int, help="only the first N problems of each set")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--timeout", type=float, default=5.0)
    args = parser.parse_args()
    cases = load_cases(args.suite)
    problems = [problem_of(cases[i]) for i in select(cases, sets=None, limit=args.limit)]
    planned(problems[0], args, wishes(problems[0].robot))  # warm-up
    plain = [planned(problem, args) for problem in track(problems, "without")]
    print(f"{len(problems)} problems, certified without a cost: {sum(plan.solved for plan in plain)}")
    print("| cost | certified | value without | with | lower in | path length | plan time median without | with |")
    print("|---|---|---|---|---|---|---|---|")
    for number, name in enumerate(wish.name for wish in wishes(problems[0].robot)):
        pairs, solved, times = [], 0, []
        for problem, before in zip(track(problems, name), plain, strict=True):
            wish = wishes(problem.robot)[number]
            after = planned(problem, args, (wish,))
            solved += after.solved
            times.append(after.timing_s["plan"])
            if before.solved and after.solved:
                pairs.append((value(wish, before), value(wish, after), length(after) / length(before)))
        old, new, ratio = np.array(pairs).T
        median = [1e3 * np.median(each) for each in ([plan.timing_s["plan"] for plan in plain], times)]
        print(
            f"| `{name}` | {solved} | {old.mean():.3f} | {new.mean():.3f} | {100 * np.mean(new < old):.0f} % "
            f"| x {ratio.mean():.2f} | {median[0]:.0f} ms | {median[1]:.0f} ms |"
        )
    found = [planned(p, args, alternatives=ALTERNATIVES) for p in track(problems, "alternatives")]
    counts = np.bincount([len(plan.alternatives) for plan in found if plan.solved], minlength=ALTERNATIVES + 1)
    seconds = np.median([plan.timing_s["plan"] for plan in found])
    print(f"alternatives found (0, 1, … {ALTERNATIVES}): {counts.tolist()} problems; plan time median {seconds:.3f} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
