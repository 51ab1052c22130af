"""Draw grippers open and closed, whose second finger follows the first (URDF `mimic`): the picture of docs/robots.md.

python scripts/draw_grippers.py docs/images/grippers.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from diffplan.certificate.bullet import bullet, connection
from diffplan.certificate.world import load_robot_body
from diffplan.geometry.pose import Pose
from diffplan.robot.model import Robot

_SIZE = 300
_ROBOTS = ("panda", "gen3")


def side(robot: Robot) -> np.ndarray:
    """Return the unit direction [3] across approach and closing, in the base frame, of an open gripper at `home`."""
    assert robot.gripper is not None
    q = robot.configuration("home")
    tips = [robot.link_pose(q, link)[0, :3, 3] for link in robot.gripper.may_touch]
    approach = (robot.link_pose(q, robot.tool_frame.link)[0] @ robot.tool_frame.pose.matrix)[:3, 2]
    across = max((np.cross(approach, a - b) for a in tips for b in tips), key=lambda way: float(np.linalg.norm(way)))
    return across / np.linalg.norm(across)


def shot(robot: Robot, across: np.ndarray) -> np.ndarray:
    """Return a picture [size, size, 3] of the robot's gripper at `home`, seen from this direction [3]."""
    q = robot.configuration("home")
    tool = robot.link_pose(q, robot.tool_frame.link)[0] @ robot.tool_frame.pose.matrix
    middle = tool[:3, 3] - 0.05 * tool[:3, 2]
    with connection() as client:
        load_robot_body(client, robot, Pose(), visuals=True).place(q)
        view = bullet.computeViewMatrix((middle + 0.35 * across).tolist(), middle.tolist(), (-tool[:3, 2]).tolist())
        lens = bullet.computeProjectionMatrixFOV(45, 1.0, 0.05, 2.0)
        _, _, pixels, _, _ = bullet.getCameraImage(
            _SIZE, _SIZE, view, lens, renderer=bullet.ER_TINY_RENDERER, physicsClientId=client
        )
    return np.reshape(pixels, (_SIZE, _SIZE, 4))[:, :, :3].astype(np.uint8)


def main() -> None:
    """Draw each robot's gripper open and closed, side by side."""
    parser = argparse.ArgumentParser(description="Draw grippers open and closed.")
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    pictures = []
    for name in _ROBOTS:
        robot = Robot.load(name)
        assert robot.gripper is not None
        (lead,) = (joint for joint in robot.gripper.joints if robot.model.joints[joint].mimic is None)
        opened, closed = (robot.with_held({lead: value}) for value in robot.gripper.joints[lead])
        pictures += [shot(opened, side(opened)), shot(closed, side(opened))]
    Image.fromarray(np.concatenate(pictures, axis=1)).quantize(64).save(out, optimize=True)


if __name__ == "__main__":
    main()
