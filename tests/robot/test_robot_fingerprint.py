"""A robot's fingerprint: the sum of what decides where it can move, and of nothing else."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import Mesh, Shape
from diffplan.robot.model import Robot

TRIANGLES = "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 3 2\nf 1 2 4\nf 2 3 4\nf 1 4 3\n"


@pytest.fixture
def robot(tmp_path: Path) -> Robot:
    """The Panda with a tetrahedron as its hand."""
    file = tmp_path / "hand.obj"
    file.write_text(TRIANGLES)
    return _with_hand(Robot.load("panda"), Mesh(name="hand", file=file, scale=0.1))


def _with_hand(robot: Robot, shape: Shape) -> Robot:
    return replace(robot, model=replace(robot.model, collisions={**robot.model.collisions, "panda_hand": (shape,)}))


def _hand(robot: Robot) -> Mesh:
    (shape,) = robot.model.collisions["panda_hand"]
    assert isinstance(shape, Mesh)
    return shape


def _with_joint(robot: Robot, **changes: object) -> Robot:
    joints = robot.model.joints
    changed = replace(joints["panda_joint4"], **changes)  # pyright: ignore[reportArgumentType]
    return replace(robot, model=replace(robot.model, joints={**joints, "panda_joint4": changed}))


CHANGES: dict[str, Callable[[Robot], Robot]] = {
    "a joint's origin": lambda robot: _with_joint(robot, origin=Pose(xyz=(0.0825, 0.0, 0.001))),
    "a joint's axis": lambda robot: _with_joint(robot, axis=(0.0, 0.0, -1.0)),
    "the end link": lambda robot: replace(robot, end_link="panda_link8"),
    "lower": lambda robot: replace(robot, lower=robot.lower + 1e-9),
    "upper": lambda robot: replace(robot, upper=robot.upper - 1e-9),
    "velocity": lambda robot: replace(robot, velocity=0.5 * robot.velocity),
    "acceleration": lambda robot: replace(robot, acceleration=0.5 * robot.acceleration),
    "jerk": lambda robot: replace(robot, jerk=0.5 * robot.jerk),
    "a mesh's scale": lambda robot: _with_hand(robot, replace(_hand(robot), scale=0.11)),
    "a mesh's pose": lambda robot: _with_hand(robot, replace(_hand(robot), pose=Pose(xyz=(0.0, 0.0, 0.01)))),
    "a sphere": lambda robot: replace(robot, spheres=replace(robot.spheres, radius=robot.spheres.radius + 1e-6)),
    "pairs that touch": lambda robot: replace(robot, touching=frozenset()),
    "pairs that never touch": lambda robot: replace(robot, never_touching=frozenset()),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_it_changes_with_kinematics_limits_and_geometry(robot: Robot, change: Callable[[Robot], Robot]) -> None:
    assert change(robot).fingerprint != robot.fingerprint


def test_it_changes_with_what_a_mesh_file_holds(robot: Robot) -> None:
    before, file = robot.fingerprint, _hand(robot).file
    assert isinstance(file, Path)
    file.write_text(TRIANGLES.replace("v 0 0 1", "v 0 0 1.1"))
    assert robot.fingerprint == before  # of when it was first asked
    assert replace(robot).fingerprint != before


def test_names_and_places_of_files_configurations_and_held_joints_do_not_count(robot: Robot, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere" / "other.obj"
    moved.parent.mkdir()
    moved.write_text(TRIANGLES)
    other = _with_hand(robot, replace(_hand(robot), name="tool", file=moved))
    other = replace(
        other,
        name="another",
        file=moved,
        model=replace(other.model, file=moved, name="another", source=b""),
        configurations={"up": robot.lower},
    ).with_held({"panda_finger_joint1": 0.01})
    assert other.fingerprint == robot.fingerprint


def test_it_is_a_sha_256_sum_that_another_load_gives_again() -> None:
    first, again = Robot.load("panda").fingerprint, Robot.load("panda").fingerprint
    assert first == again
    assert len(bytes.fromhex(first)) == 32
