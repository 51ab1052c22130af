"""What jerk limits cost on a problem suite: greatest jerk, motion time and time of the timing, with and without.

    python scripts/check_jerk.py SUITE [N] [--default-limits]

Plans about N problems of the suite (default 200, evenly from each set) with jerk limited and without, seed 0. Motion
times and the time of the timing itself (CPU time of one call) are compared on the same paths; jerk is told by the
certificates, and of the motions sampled at 1 kHz, as a controller would see them. `--default-limits` gives the robot
the limits of an arm whose files tell none, under which jerk counts far more.
"""

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from time import process_time

os.environ["NUMBA_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np

import diffplan as dp
from diffplan import timing
from diffplan.benchmark.suites import Case, load_cases
from diffplan.problem import Trajectory
from diffplan.robot.rates import FIRM_UP, SPEED_UP


def spread(cases: tuple[Case, ...], count: int) -> list[Case]:
    """Return about so many cases, evenly from each set."""
    sets: dict[str, list[Case]] = {}
    for case in cases:
        sets.setdefault(case.set, []).append(case)
    each = max(1, round(count / len(sets)))
    return [
        own[i] for own in sets.values() for i in np.linspace(0, len(own) - 1, min(each, len(own))).round().astype(int)
    ]


def share(trajectory: Trajectory, robot: dp.Robot) -> float:
    """Return the greatest change of acceleration in a step, as a share of the jerk limit."""
    change = np.abs(np.diff(trajectory.acceleration, axis=0)) / np.diff(trajectory.time)[:, None]
    return float((change / robot.jerk).max())


def timed(run: Callable[[], Trajectory | None]) -> tuple[Trajectory | None, float]:
    """Return a trajectory, and the least CPU time [s] that it took of three."""
    best, found = np.inf, None
    for _ in range(3):
        begin = process_time()
        found = run()
        best = min(best, process_time() - begin)
    return found, best


def main() -> None:
    """Plan, time and compare."""
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    cases = spread(load_cases(words[0]), int(words[1]) if len(words) > 1 else 200)
    shares, seen, before, after, cost, plans, paths = [], [], [], [], [], {"off": [], "limited": []}, []
    plain = timing.retime

    def recorded(control: np.ndarray, robot: dp.Robot, **options) -> Trajectory | None:
        paths.append(control)
        return plain(control, robot, **options)

    solved = 0
    for number, case in enumerate(cases):
        robot = case.robot
        if "--default-limits" in sys.argv:
            acceleration = SPEED_UP * robot.velocity
            robot = replace(robot, acceleration=acceleration, jerk=FIRM_UP * acceleration)
        for jerk, took in [*plans.items()][:: 1 if number % 2 else -1]:  # in turns: the first one warms caches
            paths.clear()
            timing.retime = recorded
            begin = process_time()
            made = dp.plan(robot, case.scene, case.start, case.goal, seed=0, jerk=jerk)
            took.append((made.timing_s["plan"], made.timing_s["certify"], process_time() - begin))
            timing.retime = plain
            if jerk == "limited":
                plan, path = made, paths[-1]
        if not plan.solved or plan.trajectory is None or plan.certificate is None:
            print(f"{case.id}: {plan.status.value}: {plan.message}")
            continue
        solved += 1
        shares.append(plan.certificate.jerk_share)
        seen.append(share(plan.sampled(1000), robot))
        fast, quick = timed(lambda path=path, arm=robot: plain(path, arm))
        smooth, slow = timed(lambda path=path, arm=robot: plain(path, arm, jerk=True))
        assert fast is not None
        assert smooth is not None
        before.append(fast.duration)
        after.append(smooth.duration)
        cost.append((quick, slow))
    ratio, times = np.array(after) / np.array(before), 1000 * np.array(cost)
    quick, slow = np.median(times, axis=0)
    print(f"{solved} of {len(cases)} problems solved with jerk limited")
    print(f"greatest share of the jerk limit: {max(shares):.4f} (at 1 kHz: {max(seen):.4f})")
    print(f"motion time: {np.mean(before):.3f} s without, {np.mean(after):.3f} s with")
    print(f"ratio of motion times: {np.mean(ratio):.4f} in the mean, {ratio.max():.4f} at most")
    print(f"timing, CPU, median of a call: {quick:.1f} ms without, {slow:.1f} ms with")
    for jerk, took in plans.items():
        plan_s, certify_s, whole = 1000 * np.median(took, axis=0)
        print(f"{jerk}, median: plan {plan_s:.1f} ms, certify {certify_s:.1f} ms, CPU of the whole call {whole:.1f} ms")


if __name__ == "__main__":
    main()
