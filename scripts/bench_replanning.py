"""What a warm start is worth: replanning after a change against planning anew, on the same changed problems.

    python scripts/bench_replanning.py SUITE [--limit N] [--tries N] [--repeat N] [--seed N] [--cpu]

Every problem of the suite is planned first. Then either the obstacle nearest to the motion moves by 5 to 15 cm in a
random direction, the start changes by 0.05 to 0.3 rad, or the goal does. Moves of the obstacle after which the old
motion stays certified, and those that make it collide, are reported apart. Each changed problem is solved with and
without `warm_start`, no fallback; a change that puts start or goal into collision is drawn again. Times are planning
and certificate, the least of the repetitions (one seed has one answer, and other processes disturb).
"""

import argparse
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from diffplan import search
from diffplan.benchmark.suites import load_cases, select
from diffplan.benchmark.summary import wilson_interval
from diffplan.certificate.certifier import Certifier
from diffplan.ends import configuration, goal_configurations
from diffplan.geometry.pose import Float, Pose
from diffplan.planning import solve
from diffplan.problem import Plan, Problem
from diffplan.scene import Scene

KINDS = ("obstacle moved, old motion still free", "obstacle moved into the old motion", "start changed", "goal changed")

TIMEOUT_S = 30.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Pair:
    """The same changed problem solved anew and from the old plan; times are planning and certificate [s]."""

    cold: Plan
    warm: Plan
    cold_s: float
    warm_s: float


def problems_of(suite: str, limit: int | None) -> list[Problem]:
    """Return the first `limit` problems of each set."""
    cases, problems = load_cases(suite), []
    for case in (cases[i] for i in select(cases, sets=None, limit=limit)):
        start = configuration(case.robot, case.start, "start")
        goals = goal_configurations(case.robot, case.scene, case.goal, start, seed=0)
        problems.append(Problem(robot=case.robot, scene=case.scene, start=start, goals=goals, name=case.id))
    return problems


def changes(problem: Problem, plan: Plan, tries: int, rng: np.random.Generator) -> Iterator[tuple[str, Problem]]:
    """Yield changed problems, at most one of each kind."""
    assert plan.trajectory is not None
    assert plan.certificate is not None
    reached = replace(problem, goals=problem.goals[[plan.certificate.goal_index]])
    missing = set(KINDS[:2]) if plan.certificate.closest else set()
    for _ in range(tries):
        if not missing:
            break
        changed = replace(reached, scene=_moved(plan, rng))
        with Certifier(changed.robot, changed.scene) as judge:
            if not all(judge.check(q).free for q in (changed.start, changed.goals[0])):
                continue
            still = judge.certify(plan.trajectory, start=changed.start, goals=changed.goals).valid
        kind = KINDS[0] if still else KINDS[1]
        if kind in missing:
            missing.remove(kind)
            yield kind, changed
    with Certifier(problem.robot, problem.scene) as judge:
        start = _near(judge, reached.start, tries, rng)
        goal = _near(judge, reached.goals[0], tries, rng)
    if start is not None:
        yield KINDS[2], replace(reached, start=start)
    if goal is not None:
        yield KINDS[3], replace(reached, goals=goal[None])


def _moved(plan: Plan, rng: np.random.Generator) -> Scene:
    """Return the scene with the obstacle nearest to the motion moved by 5 to 15 cm."""
    assert plan.certificate is not None
    assert plan.certificate.closest is not None
    name = plan.certificate.closest.obstacle
    pose = plan.scene.obstacle(name).pose
    direction = rng.normal(size=3)
    x, y, z = np.array(pose.xyz) + rng.uniform(0.05, 0.15) * direction / np.linalg.norm(direction)
    return plan.scene.move(name, Pose(xyz=(float(x), float(y), float(z)), quat_xyzw=pose.quat_xyzw))


def _near(judge: Certifier, q: Float, tries: int, rng: np.random.Generator) -> Float | None:
    """Return a free configuration [dof] 0.05 to 0.3 rad from q, within the limits."""
    robot = judge.robot
    for _ in range(tries):
        direction = rng.normal(size=len(q))
        changed = q + rng.uniform(0.05, 0.3) * direction / np.linalg.norm(direction)
        if np.all((changed >= robot.lower) & (changed <= robot.upper)) and judge.check(changed).free:
            return changed
    return None


def compared(problem: Problem, plan: Plan, *, seed: int, repeat: int) -> Pair:
    """Solve a changed problem anew and from the old plan."""
    colds = [solve(problem, seed=seed, timeout=TIMEOUT_S, fallback=False) for _ in range(repeat)]
    warms = [solve(problem, seed=seed, timeout=TIMEOUT_S, fallback=False, warm_start=plan) for _ in range(repeat)]
    cold_s, warm_s = (min(p.timing_s["plan"] + p.timing_s["certify"] for p in plans) for plans in (colds, warms))
    return Pair(cold=colds[0], warm=warms[0], cold_s=cold_s, warm_s=warm_s)


def report(kind: str, pairs: list[Pair]) -> None:
    """Print what one kind of change gave."""
    print(f"\n{kind}: {len(pairs)} problems")
    if not pairs:
        return
    for name, plans, times in (
        ("anew", [p.cold for p in pairs], [p.cold_s for p in pairs]),
        ("warm start", [p.warm for p in pairs], [p.warm_s for p in pairs]),
    ):
        solved = sum(plan.solved for plan in plans)
        low, high = wilson_interval(solved, len(plans))
        print(
            f"  {name:10s} certified {solved} of {len(plans)} ({low:.1%}-{high:.1%}), time median"
            f" {1000 * np.median(times):6.1f} ms, p95 {1000 * np.percentile(times, 95):7.1f} ms,"
            f" by {dict(Counter(plan.solved_by or 'nothing' for plan in plans))}"
        )
    both = [pair for pair in pairs if pair.cold.solved and pair.warm.solved]
    ratios = [pair.cold_s / pair.warm_s for pair in both]
    lengths = [_length(pair.warm) / max(_length(pair.cold), 1e-9) for pair in both]
    print(
        f"  anew / warm: time median {np.median(ratios):.2f} (quartiles {np.percentile(ratios, 25):.2f},"
        f" {np.percentile(ratios, 75):.2f}), warm faster in {np.mean(np.array(ratios) > 1):.1%};"
        f" path warm / anew: median {np.median(lengths):.3f}, mean {np.mean(lengths):.3f}"
    )


def _length(plan: Plan) -> float:
    assert plan.metrics is not None
    return plan.metrics.path_length_rad


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite")
    parser.add_argument("--limit", type=int, help="problems of each set (default: all)")
    parser.add_argument("--tries", type=int, default=12, help="draws of a change that fits")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cpu", action="store_true", help="count CPU seconds: for a machine with other work")
    args = parser.parse_args()
    pairs: dict[str, list[Pair]] = {kind: [] for kind in KINDS}
    if args.cpu:
        search.perf_counter = time.process_time
    problems = problems_of(args.suite, args.limit)
    solved = 0
    for number, problem in enumerate(problems):
        rng = np.random.default_rng([args.seed, number])
        plan = solve(problem, seed=args.seed, timeout=TIMEOUT_S)
        solved += plan.solved
        if plan.solved:
            for kind, changed in changes(problem, plan, args.tries, rng):
                pairs[kind].append(compared(changed, plan, seed=args.seed + 1, repeat=args.repeat))
    print(f"{args.suite}: {solved} of {len(problems)} problems planned, then changed")
    for kind in KINDS:
        report(kind, pairs[kind])


if __name__ == "__main__":
    main()
