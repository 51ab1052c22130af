"""Upright within 10 degrees: how many problems are certified, how long it takes, and how much longer the way is.

    python scripts/check_constraints.py [--problems 200] [--degrees 10] [--seed 0] [--planner diffusion] [--timeout 3]

Start and goal are configurations of the Panda in shipped scenes in which the tool points down, free in PyBullet, by
inverse kinematics of random poses in front of it. Each is planned without and with the constraint. The tilt of
certified motions is measured by pytorch-kinematics at every 0.1 ms, on the cubics and on the straight lines between the
samples.
"""

from __future__ import annotations

import argparse
from time import perf_counter

import numpy as np
import torch

import diffplan as dp
from diffplan.geometry.pose import Float
from diffplan.problem import robot_in
from diffplan.robot.model import Robot

_SCENES = ("bookshelf", "facing_shelves", "kitchen_counter", "tabletop_clutter", "under_table", "open_bin")


def pointing_down(robot: Robot, scene: dp.Scene, certifier: dp.Certifier, rng: np.random.Generator) -> Float:
    """Return a free configuration [dof] whose tool points straight down."""
    while True:
        x, y, z = rng.uniform((0.3, -0.5, 0.2), (0.65, 0.5, 0.8)).tolist()
        pose = dp.Pose.from_rpy((x, y, z), (np.pi, 0.0, float(rng.uniform(-3, 3))))
        found = dp.inverse_kinematics(robot, pose, scene.robot_base, rng=rng, seeds=16)
        for q in found[:1]:
            if certifier.check(q).free:
                return q


def tilt_deg(plan: dp.Plan) -> float:
    """Measure the greatest angle between the tool's z axis and straight down [degrees]."""
    motion, tool = plan.trajectory, plan.robot.tool_frame
    assert motion is not None
    at = np.linspace(motion.time[0], motion.time[-1], int(motion.duration / 1e-4) + 2)
    straight = np.stack([np.interp(at, motion.time, joint) for joint in motion.position.T], axis=1)
    worst = 0.0
    for q in (motion.at(at).position, straight):
        poses = plan.robot.forward_kinematics(torch.from_numpy(q))[tool.link].numpy()
        poses = plan.scene.robot_base.matrix @ poses @ tool.pose.matrix
        level = np.linalg.norm(poses[:, :2, 2], axis=1)
        worst = max(worst, float(np.degrees(np.arctan2(level, -poses[:, 2, 2])).max()))
    return worst


def main() -> None:
    """Plan, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=200)
    parser.add_argument("--degrees", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--planner", default="diffusion")
    parser.add_argument("--timeout", type=float, default=3.0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    rng, bare = np.random.default_rng(args.seed), dp.Robot.load("panda")
    scenes = [dp.Scene.load(name) for name in _SCENES]
    robots = [robot_in(bare, scene) for scene in scenes]
    certifiers = [dp.Certifier(robot, scene) for robot, scene in zip(robots, scenes, strict=True)]
    kept = [dp.upright("tool", degrees=args.degrees)]
    free, certified, above, without = 0, 0, 0, 0
    worst, times, free_times, ratios = 0.0, [], [], []
    for number in range(args.problems):
        k = number % len(scenes)
        start, goal = (pointing_down(robots[k], scenes[k], certifiers[k], rng) for _ in range(2))
        common = {"planner": args.planner, "timeout": args.timeout}
        plain = dp.plan(robots[k], scenes[k], start, goal, **common)
        begin = perf_counter()
        plan = dp.plan(robots[k], scenes[k], start, goal, constraints=kept, **common)
        took = perf_counter() - begin
        free += plain.solved
        if plain.solved:
            without += tilt_deg(plain) > args.degrees
            free_times.append(plain.timing_s["plan"])
        if plan.solved and plan.certificate and plan.metrics:
            certified += 1
            measured, proven = tilt_deg(plan), np.degrees(plan.certificate.constraints[0].worst)
            above += measured > args.degrees or measured > proven
            worst = max(worst, measured)
            times.append((plan.timing_s["plan"], plan.timing_s["certify"], took))
            if plain.solved and plain.metrics:
                ratios.append(plan.metrics.path_length_rad / plain.metrics.path_length_rad)
    print(f"{args.problems} problems: certified {certified} with the constraint, {free} without it, ", end="")
    print(f"{without} of which tilt more than {args.degrees:g} deg")
    print(f"tilt measured above the limit or the proven bound: {above}; worst measured {worst:.3f} deg")
    for name, part in zip(("plan", "certify", "whole call"), np.array(times).T, strict=True):
        print(f"{name}: median {1000 * np.median(part):.0f} ms, 95 % {1000 * np.quantile(part, 0.95):.0f} ms")
    print(f"plan without the constraint: median {1000 * np.median(free_times):.0f} ms")
    print(f"path against without: median {np.median(ratios):.3f}, 95 % {np.quantile(ratios, 0.95):.2f}")


if __name__ == "__main__":
    main()
