"""Plan in a PyBullet world that already exists, and play the plan there.

The world is an ordinary PyBullet script: a floor, a table with an arm and things on it. diffplan reads
the obstacles and the arm's joints from the running client, plans, certifies, and moves the arm in the same client.

    python examples/pybullet_world.py [--gui] [--picture world.png] [--planner diffusion]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pybullet as p
import pybullet_data

import diffplan as dp

START = (-0.9, -0.3, 0.0, -2.2, 0.0, 1.9, 0.8)


def make_world(client: int) -> int:
    """Build a world with pybullet_data's models, let the things fall and settle; returns the arm's body."""
    p.setAdditionalSearchPath(pybullet_data.getDataPath(), physicsClientId=client)
    p.setGravity(0, 0, -9.81, physicsClientId=client)
    p.loadURDF("plane.urdf", physicsClientId=client)
    p.loadURDF("table/table.urdf", useFixedBase=True, physicsClientId=client)
    top = 0.625
    p.loadURDF("tray/traybox.urdf", (0.1, 0.25, top), useFixedBase=True, globalScaling=0.6, physicsClientId=client)
    p.loadURDF("lego/lego.urdf", (0.1, 0.25, top + 0.05), globalScaling=1.5, physicsClientId=client)
    p.loadURDF("duck_vhacd.urdf", (0.12, -0.2, top + 0.02), (0.5, 0.5, 0.5, 0.5), physicsClientId=client)
    p.loadURDF("cube_small.urdf", (0.25, -0.35, top + 0.04), globalScaling=1.6, physicsClientId=client)
    post = p.createCollisionShape(p.GEOM_CYLINDER, radius=0.03, height=0.4, physicsClientId=client)
    looks = p.createVisualShape(
        p.GEOM_CYLINDER, radius=0.03, length=0.4, rgbaColor=(0.9, 0.5, 0.1, 1), physicsClientId=client
    )
    p.createMultiBody(0, post, looks, (0.0, 0.0, top + 0.2), physicsClientId=client)
    arm = p.loadURDF("franka_panda/panda.urdf", (-0.5, 0, top), useFixedBase=True, physicsClientId=client)
    for joint, value in enumerate(START):
        p.resetJointState(arm, joint, value, physicsClientId=client)
        p.setJointMotorControl2(arm, joint, p.POSITION_CONTROL, value, force=87, physicsClientId=client)
    for _ in range(480):
        p.stepSimulation(physicsClientId=client)
    return arm


def main() -> int:
    """Build the world, plan in it, play the plan; 0 if it was certified."""
    parser = argparse.ArgumentParser(description="Plan in a running PyBullet world.")
    parser.add_argument("--gui", action="store_true", help="open a window")
    parser.add_argument("--picture", type=Path, default=Path("pybullet_world.png"))
    parser.add_argument("--planner", default="diffusion", help="see `diffplan planners`")
    args = parser.parse_args()
    client = p.connect(p.GUI if args.gui else p.DIRECT)
    arm = make_world(client)

    robot = dp.robot_as_held(client, arm, dp.Robot.load("panda"))
    scene = dp.Scene.from_pybullet(client, robot_body=arm, robot=robot)
    start = dp.robot_configuration(client, arm, robot)
    goal = dp.PoseGoal(link="panda_hand", pose=dp.Pose.from_rpy((0.1, 0.25, 0.8), (3.14159, 0.0, 0.8)))
    print(f"read {len(scene.obstacles)} obstacles: {', '.join(obstacle.name for obstacle in scene.obstacles)}")

    plan = dp.plan(robot, scene, start, goal, planner=args.planner, seed=0)
    if not plan.solved or plan.certificate is None or plan.trajectory is None:
        print(f"not certified: {plan.status.value}: {plan.message}")
        return 1
    clearance = plan.certificate.min_clearance_m or float("inf")
    print(f"certified: solved by {plan.solved_by}, least clearance {1000 * clearance:.1f} mm")

    dp.render(plan, args.picture)
    plan.play(client, arm)
    reached = dp.robot_configuration(client, arm, robot)
    print(f"played: {abs(reached - plan.trajectory.position[-1]).max():.4f} rad from the goal at the end")
    print(f"wrote {args.picture}")
    p.disconnect(client)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
