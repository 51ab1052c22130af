"""Robots whose links collide as convex parts of their meshes: planner, certificate and files mean the same parts."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pybullet
import pytest
import trimesh
from scipy.spatial import ConvexHull

from diffplan.certificate.bullet import connection
from diffplan.certificate.certifier import Certifier
from diffplan.errors import InputError
from diffplan.formats.link_parts import parts_line
from diffplan.formats.robot_file import load_robot
from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import Mesh, Sphere
from diffplan.geometry.sphere_fit import SphereFit
from diffplan.learning.collision_model import FitReport, fit_robot
from diffplan.pybullet.same_robot import check_same_robot
from diffplan.robot.model import Robot
from diffplan.scene import Scene

URDF = """<robot name="u">
<link name="base"><collision><geometry><box size="0.1 0.1 0.1"/></geometry></collision></link>
<link name="arm"><collision><geometry><mesh filename="u.stl" scale="0.001 0.001 0.001"/></geometry></collision></link>
<joint name="turn" type="revolute"><parent link="base"/><child link="arm"/><origin xyz="0.5 0 0" rpy="0 0 0.3"/>
<axis xyz="0 0 1"/><limit lower="-2" upper="2" effort="1" velocity="1"/></joint></robot>"""
ROBOT = """format: diffplan/robot@1
name: u
urdf: {file: u.urdf}
base_link: base
end_link: arm
joints: {turn: {velocity: 1.0, acceleration: 1.0, jerk: 1.0}}
configurations: {home: [0]}
collision: collision.yaml
"""


def _u() -> trimesh.Trimesh:
    """A U, open along +z, 200 mm wide, its mouth 140 mm."""
    sizes = [((0.2, 0.06, 0.03), (0, 0, 0)), *(((0.03, 0.06, 0.15), (x, 0, 0.06)) for x in (-0.085, 0.085))]
    boxes = [trimesh.creation.box(size).apply_translation(at) for size, at in sizes]
    return trimesh.util.concatenate(boxes).apply_scale(1000)


def _fit(folder: Path, parts: str) -> FitReport:
    folder.mkdir(exist_ok=True)
    _u().export(folder / "u.stl")
    (folder / "u.urdf").write_text(URDF)
    (folder / "robot.yaml").write_text(ROBOT)
    return fit_robot(str(folder), parts=parts, samples=20)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Robot, FitReport]:
    """The robot with parts, and its report."""
    report = _fit(folder := tmp_path_factory.mktemp("u") / "robot", "auto")
    return Robot.load(str(folder)), report


def _copy(robot: Robot, folder: Path) -> Path:
    assert robot.file is not None
    for file in robot.file.parent.rglob("*.*"):
        target = folder / file.relative_to(robot.file.parent)
        target.parent.mkdir(exist_ok=True)
        if file.is_file():
            target.write_bytes(file.read_bytes())
    return folder


def _clearance(robot: Robot, at: tuple[float, float, float]) -> float:
    """Return how far the arm at home is from a ball of 20 mm in the link's frame, by the certificate."""
    x, y, z = (robot.link_pose(robot.configuration("home"), "arm")[0] @ (*at, 1.0))[:3].tolist()
    with Certifier(robot, Scene(obstacles=(Sphere(name="ball", radius=0.02, pose=Pose(xyz=(x, y, z))),))) as certifier:
        return certifier.clearance(robot.configuration("home"))


def test_the_mouth_of_a_u_is_free_for_certificate_and_spheres_and_its_hull_is_not(fitted, tmp_path):
    robot, report = fitted
    assert report.shapes["arm"].parts == 3
    assert report.shapes["arm"].hull_bulge == pytest.approx(0.07, abs=0.002)
    assert report.shapes["arm"].bulge < 0.001
    assert _clearance(robot, (0.0, 0.0, 0.08)) == pytest.approx(0.045, abs=0.003)  # 65 to the floor, 50 to the sides
    assert _clearance(robot, (0.085, 0.0, 0.08)) < 0  # in a leg
    _fit(tmp_path / "hull", "hull")
    assert _clearance(load_robot(tmp_path / "hull"), (0.0, 0.0, 0.08)) < 0
    mine = robot.spheres.link == robot.spheres.links.index("arm")
    gap = np.linalg.norm(robot.spheres.centre[mine] - (0.0, 0.0, 0.08), axis=1) - robot.spheres.radius[mine]
    assert gap.min() > 0.06


def test_every_point_of_the_mesh_is_in_a_part_and_within_the_spheres(fitted):
    robot, report = fitted
    points, _ = trimesh.sample.sample_surface(_u().apply_scale(0.001), 5000, seed=0)
    (shape,) = robot.model.collisions["arm"]
    assert isinstance(shape, Mesh)
    planes = [ConvexHull(corners).equations for corners in shape.corners()]
    beyond = np.min([(points @ each[:, :3].T + each[:, 3]).max(axis=1) for each in planes], axis=0)
    assert beyond.max() < 1e-6
    fit: SphereFit = report.links["arm"]
    gap = np.linalg.norm(points[:, None] - fit.centre, axis=2) - fit.radius
    assert gap.min(axis=1).max() <= fit.uncovered + 1e-3


def test_a_body_of_the_urdf_in_another_world_is_the_same_robot(fitted):
    robot, _ = fitted
    with connection() as client:
        body = pybullet.loadURDF(str(robot.model.file), useFixedBase=True, physicsClientId=client)
        check_same_robot(client, body, robot, key="body")


def test_parts_decide_the_fingerprint(fitted, tmp_path):
    robot, _ = fitted
    _fit(tmp_path / "hull", "hull")
    assert robot.fingerprint != load_robot(tmp_path / "hull").fingerprint
    assert robot.fingerprint == load_robot(_copy(robot, tmp_path)).fingerprint


def test_fitting_again_as_hulls_takes_the_parts_away(fitted, tmp_path):
    folder = _copy(fitted[0], tmp_path)
    assert list(folder.glob("parts/*.obj"))
    fit_robot(str(folder), parts="hull", samples=20)
    assert not (folder / "parts").exists()
    assert not load_robot(folder).model.published


def test_a_mesh_that_has_changed_since_is_told(fitted, tmp_path):
    folder = _copy(fitted[0], tmp_path)
    _u().apply_scale(1.1).export(folder / "u.stl")
    with pytest.raises(InputError, match=r"collision.yaml.*the mesh of arm is not the one that its parts were made of"):
        load_robot(folder)


def test_parts_that_are_not_those_that_were_written_are_told(fitted, tmp_path):
    folder = _copy(fitted[0], tmp_path)
    (file,) = folder.glob("parts/*.obj")
    file.write_text(file.read_text().replace("o part2", "o part3"))
    with pytest.raises(InputError, match=rf"{file.name} is not what was written"):
        load_robot(folder)
    file.unlink()
    with pytest.raises(InputError, match="file not found"):
        load_robot(folder)


def test_parts_that_are_not_known_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"no such parts \(did you mean 'convex'"):
        _fit(tmp_path, "convx")


def test_a_robot_without_files_of_parts_has_the_same_ones_made_when_it_is_loaded(fitted, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    robot, report = fitted
    folder = _copy(robot, tmp_path / "robot")
    text, (parts,) = (folder / "collision.yaml").read_text(), report.parts["arm"]
    (folder / "collision.yaml").write_text(text.replace(parts_line(parts), parts_line(replace(parts, limit=0.01))))
    for file in folder.glob("parts/*.obj"):
        file.unlink()
    made, again = load_robot(folder), load_robot(folder)
    (shape,) = made.model.collisions["arm"]
    assert isinstance(shape, Mesh)
    assert shape.file.is_relative_to(tmp_path / "cache")
    assert shape.file.read_bytes() == parts.file.read_bytes()
    assert made.fingerprint == again.fingerprint == robot.fingerprint
    _u().apply_scale(1.1).export(folder / "u.stl")
    with pytest.raises(InputError, match=r"collision.yaml.*the mesh of arm is not the one that its parts were made of"):
        load_robot(folder)


def test_the_ur5_is_shipped_with_parts_and_without_files_of_them():
    robot = load_robot("ur5")
    assert robot.model.published.keys() == {"base_link", "shoulder_link", "upper_arm_link", "forearm_link"}
    with Certifier(robot, Scene()) as certifier:
        assert all(certifier.check(q).free for q in robot.configurations.values())
