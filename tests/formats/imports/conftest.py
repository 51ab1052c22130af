"""MoveIt's files as MotionBenchMaker writes them, for the tests to change."""

from collections.abc import Callable
from pathlib import Path

import pytest

from diffplan.robot.model import Robot

SCENE = """\
robot_model_name: panda
robot_state:
  joint_state: {position: [0, 0], name: [panda_joint1, panda_joint2]}
  multi_dof_joint_state:
    transforms: [{translation: [0, 0, 0], rotation: [0, 0, 0, 1]}]
    joint_names: [virtual_joint]
allowed_collision_matrix:
  entry_names: [panda_hand, panda_link7]
  entry_values:
    - [false, true]
    - [true, false]
fixed_frame_transforms:
  - transform: {translation: [0, 0, 0], rotation: [0, 0, 0, 1]}
    child_frame_id: world
name: ""
world:
  collision_objects:
    - id: can
      primitives:
        - type: cylinder
          dimensions: [0.14, 0.03]
      primitive_poses:
        - position: [0.7, 0.5, 0.2]
          orientation: [0, 0, 0.6, 0.8]
    - id: board
      primitives:
        - type: box
          dimensions: [0.2, 0.4, 0.6]
      primitive_poses:
        - position: [0.9, -0.1, 0.3]
          orientation: [0.6, 0, 0, 0.8]
"""
REQUEST = """\
start_state:
  joint_state:
    name: [panda_finger_joint1, panda_joint1, panda_joint2, panda_joint3, panda_joint4, panda_joint5, panda_joint6,
      panda_joint7]
    position: [0.065, 0, -0.785, 0, -2.356, 0, 1.571, 0.785]
goal_constraints:
  - joint_constraints:
      - {joint_name: panda_joint2, position: -0.785}
      - {joint_name: panda_joint1, position: 0.5}
      - {joint_name: panda_joint3, position: 0.0}
      - {joint_name: panda_joint4, position: -2.356}
      - {joint_name: panda_joint5, position: 0.0}
      - {joint_name: panda_joint6, position: 1.571}
      - {joint_name: panda_joint7, position: 0.785}
workspace_parameters: {header: {frame_id: ""}, max_corner: [1, 1, 1], min_corner: [-1, -1, -1]}
planner_id: BKPIECEGood
group_name: panda_arm
num_planning_attempts: 2
allowed_planning_time: 60
max_velocity_scaling_factor: 0
max_acceleration_scaling_factor: 0
"""


@pytest.fixture(scope="session")
def panda() -> Robot:
    return Robot.load("panda")


@pytest.fixture
def pairs(tmp_path: Path) -> Callable[..., Path]:
    """Write a folder with a set of one pair or more; what is given is replaced in the first scene or request."""

    def write(*, count: int = 1, scene: tuple[str, str] = ("", ""), request: tuple[str, str] = ("", "")) -> Path:
        folder = tmp_path / "shelf_panda"
        folder.mkdir(exist_ok=True)
        for i in range(1, count + 1):
            for kind, text, (old, new) in (("scene", SCENE, scene), ("request", REQUEST, request)):
                assert old in text
                changed = text.replace(old, new, 1) if old and i == 1 else text
                (folder / f"{kind}{i:04d}.yaml").write_text(changed)
        return folder

    return write
