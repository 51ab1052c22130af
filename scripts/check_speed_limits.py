"""How long motions are with the tool's speed limited, against the same motions slowed as a whole until they keep it.

    python scripts/check_speed_limits.py [--problems 60] [--limit 0.25] [--jerk limited] [--seed 0]

Start and goal are random free configurations of the Panda in shipped scenes. The speed of certified motions is measured
by pytorch-kinematics at every 0.1 ms. The motion slowed as a whole is that without the limit, in as many times the
time as the fastest moment needs.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

import diffplan as dp
from diffplan.certificate.constraint_bounds import kept_bounds
from diffplan.problem import robot_in

_SCENES = ("bookshelf", "facing_shelves", "kitchen_counter", "tabletop_clutter", "under_table", "open_bin")


def fastest(plan: dp.Plan) -> float:
    """Measure how fast the tool is at most [m/s]."""
    motion, tool = plan.trajectory, plan.robot.tool_frame
    assert motion is not None
    at = np.linspace(motion.time[0], motion.time[-1], int(motion.duration / 1e-4) + 2)
    poses = (
        plan.robot.forward_kinematics(torch.from_numpy(motion.at(at).position))[tool.link].numpy() @ tool.pose.matrix
    )
    return float((np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1) / np.diff(at)).max())


def main() -> None:
    """Plan, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=60)
    parser.add_argument("--limit", type=float, default=0.25)
    parser.add_argument("--jerk", choices=("limited", "off"))
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    rng, bare = np.random.default_rng(args.seed), dp.Robot.load("panda")
    scenes = [dp.Scene.load(name) for name in _SCENES]
    robots = [robot_in(bare, scene) for scene in scenes]
    certifiers = [dp.Certifier(robot, scene) for robot, scene in zip(robots, scenes, strict=True)]
    kept = dp.speed("tool", args.limit)
    certified, above, worst, times = 0, 0, 0.0, []
    for number in range(args.problems):
        k = number % len(scenes)
        ends = []
        while len(ends) < 2:
            q = rng.uniform(robots[k].lower, robots[k].upper)
            if certifiers[k].check(q).free:
                ends.append(q)
        plain = dp.plan(robots[k], scenes[k], *ends, jerk=args.jerk)
        plan = dp.plan(robots[k], scenes[k], *ends, constraints=kept, jerk=args.jerk)
        if not (plan.solved and plan.certificate and plan.metrics):
            print(number, plan.message, flush=True)
            continue
        certified += 1
        measured, (proven,) = fastest(plan), plan.certificate.constraints
        above += measured > args.limit or measured > proven.worst
        worst = max(worst, measured)
        if plain.solved and plain.trajectory and plain.metrics:
            (free,) = kept_bounds(plain.robot, dp.Pose(), plain.trajectory, [kept])
            whole = plain.metrics.duration_s * max(1.0, free.worst / args.limit)
            times.append((plan.metrics.duration_s, whole, plain.metrics.duration_s))
    motions = np.array(times).T
    print(f"{args.problems} problems, tool at most {args.limit:g} m/s: {certified} certified")
    print(f"measured above the limit or the proven bound: {above}; fastest measured {worst:.4f} m/s")
    for name, part in zip(("with the limit", "slowed as a whole", "without the limit"), motions, strict=True):
        print(f"{name}: median {np.median(part):.2f} s")
    print(f"with the limit against slowed as a whole: mean {np.mean(motions[0] / motions[1]):.3f}, ", end="")
    print(f"most {np.max(motions[0] / motions[1]):.3f}")


if __name__ == "__main__":
    main()
