"""Pick a cube up and put it into a tray in a PyBullet world that already exists: real contact, nothing glued.

The world is an ordinary PyBullet script: a floor, a table with an arm, a tray and things on it. diffplan reads it from
the running client, plans all steps of the pick and place together, certifies every motion with what the hand holds, and
moves arm and fingers in the same client.

    python examples/pick_and_place.py [--gui] [--film pick_and_place.gif]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pybullet as p
import pybullet_data

import diffplan as dp

START = (-0.9, -0.3, 0.0, -2.2, 0.0, 1.9, 0.8)
TOP = 0.625


def make_world(client: int) -> tuple[int, int]:
    """Build a world of pybullet_data's models and let the things settle; returns the bodies of the arm and a cube."""
    p.setAdditionalSearchPath(pybullet_data.getDataPath(), physicsClientId=client)
    p.setGravity(0, 0, -9.81, physicsClientId=client)
    p.loadURDF("plane.urdf", physicsClientId=client)
    p.loadURDF("table/table.urdf", useFixedBase=True, physicsClientId=client)
    p.loadURDF("tray/traybox.urdf", (0.1, 0.25, TOP), useFixedBase=True, globalScaling=0.5, physicsClientId=client)
    p.loadURDF("duck_vhacd.urdf", (0.2, -0.05, TOP + 0.02), (0.5, 0.5, 0.5, 0.5), physicsClientId=client)
    p.loadURDF("lego/lego.urdf", (0.05, -0.12, TOP + 0.03), globalScaling=1.5, physicsClientId=client)
    cube = p.loadURDF("cube_small.urdf", (0.12, -0.25, TOP + 0.03), physicsClientId=client)
    arm = p.loadURDF("franka_panda/panda.urdf", (-0.5, 0, TOP), useFixedBase=True, physicsClientId=client)
    for joint, value in enumerate(START):
        p.resetJointState(arm, joint, value, physicsClientId=client)
        p.setJointMotorControl2(arm, joint, p.POSITION_CONTROL, value, force=87, physicsClientId=client)
    for finger in (9, 10):
        p.resetJointState(arm, finger, 0.04, physicsClientId=client)
        p.setJointMotorControl2(arm, finger, p.POSITION_CONTROL, 0.04, force=20, physicsClientId=client)
    for _ in range(480):
        p.stepSimulation(physicsClientId=client)
    return arm, cube


def main() -> int:
    """Build the world, plan in it, play the plan; 0 if the cube lies in the tray where it should."""
    parser = argparse.ArgumentParser(description="Pick and place in a running PyBullet world.")
    parser.add_argument("--gui", action="store_true", help="open a window")
    parser.add_argument("--film", type=Path, help="draw it: .gif, .mp4 or .png")
    args = parser.parse_args()
    client = p.connect(p.GUI if args.gui else p.DIRECT)
    arm, cube = make_world(client)

    robot = dp.Robot.load("panda")
    scene = dp.Scene.from_pybullet(client, robot_body=arm, robot=robot)
    start = dp.robot_configuration(client, arm, robot)
    name = next(obstacle.name for obstacle in scene.obstacles if obstacle.name.endswith(f"#{cube}"))
    floor = p.rayTest((0.1, 0.25, 1.0), (0.1, 0.25, 0.0), physicsClientId=client)[0][3][2]  # of the tray
    target = dp.Pose(xyz=(0.1, 0.25, floor + 0.026))
    plan = dp.Sequence(dp.pick_and_place(name, target, grasps="top", free="z")).plan(robot, scene, start, seed=0)
    print(f"{plan.status.value}: {plan.message}")
    if not plan.solved:
        return 1
    report = plan.play(client, arm)
    print(f"planned in {plan.timing_s['plan']:.2f} s, played: {report.words}")
    if args.film:
        plan.render(args.film)
        print(f"wrote {args.film}")
    p.disconnect(client)
    return 0 if report.within(mm=10, deg=5) else 1


if __name__ == "__main__":
    raise SystemExit(main())
