"""The certificate judges what the files hold now, wherever the process runs and whatever it judged before."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh
import yaml

from diffplan.certificate.bounding import Hulls
from diffplan.certificate.bullet import bullet
from diffplan.certificate.certifier import Certifier
from diffplan.certificate.private_files import private_file
from diffplan.certificate.urdf_copy import urdf_copy
from diffplan.certificate.world import Stage, content_of
from diffplan.collision.cpu import Obstacles
from diffplan.errors import InputError
from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import Cylinder, Mesh
from diffplan.robot.model import Robot
from diffplan.robot.urdf import load_urdf
from diffplan.scene import Scene, Urdf
from diffplan.system.assets import asset_folder

FORMATS = ("obj", "stl", "ascii.stl", "ply", "off", "glb", "gltf", "dae")
AHEAD = Pose(xyz=(0.62, 0.0, 0.6))


def write(file: Path, mesh: trimesh.Trimesh) -> Path:
    if file.name.endswith("ascii.stl"):
        file.write_text(mesh.export(file_type="stl_ascii"))
    elif file.suffix == ".gltf":
        for name, data in mesh.export(file_type="gltf").items():
            (file if name.endswith(".gltf") else file.with_name(name)).write_bytes(data)
    else:
        mesh.export(file)
    return file


def cube(edge: float) -> trimesh.Trimesh:
    return trimesh.creation.box((edge, edge, edge))


def clearance(robot: Robot, obstacle: Mesh | Urdf) -> float:
    with Certifier(robot, Scene(obstacles=(obstacle,))) as certifier:
        return certifier.check(robot.configuration("home")).clearance_m


def urdf(shape: str, rest: str = "") -> str:
    return f'<robot name="r"><link name="l"><collision><geometry>{shape}</geometry></collision></link>{rest}</robot>'


@pytest.fixture
def own_panda(tmp_path: Path, panda: Robot) -> Path:
    """A robot file of the user's own, with its own URDF and meshes."""
    shipped, folder = panda.model.file.parent, tmp_path / "arm"
    shutil.copytree(shipped / "meshes" / "collision", folder / "meshes" / "collision")
    shutil.copy(shipped / "panda.urdf", folder)
    shutil.copy(asset_folder("robots") / "panda" / "collision.yaml", folder)
    document = yaml.safe_load((asset_folder("robots") / "panda" / "robot.yaml").read_text())
    document["urdf"] = {"file": "panda.urdf"}
    (folder / "robot.yaml").write_text(yaml.safe_dump(document))
    return folder / "robot.yaml"


@pytest.mark.parametrize("convex", [False, True])
@pytest.mark.parametrize("kind", FORMATS)
def test_a_rewritten_mesh_is_judged_as_it_is_now_even_if_size_and_date_are_the_same(panda, tmp_path, kind, convex):
    file = write(tmp_path / f"part.{kind}", cube(0.2))
    part = Mesh(name="part", file=file, pose=AHEAD, convex=convex)
    first, before = clearance(panda, part), file.stat()
    write(file, cube(0.3))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert clearance(panda, part) == pytest.approx(first - 0.05, abs=1e-4)
    file.unlink()
    (tmp_path / "elsewhere").mkdir()
    file.symlink_to(write(tmp_path / "elsewhere" / f"part.{kind}", cube(0.2)))
    if kind == "gltf":  # its numbers are looked for beside the link
        write(tmp_path / "part.gltf", cube(0.2))
    assert clearance(panda, part) == pytest.approx(first, abs=1e-6)


def test_all_formats_are_the_same_obstacle(panda, tmp_path):
    found = [
        clearance(panda, Mesh(name="part", file=write(tmp_path / f"part.{kind}", cube(0.25)), pose=AHEAD))
        for kind in FORMATS
    ]
    assert found == pytest.approx([found[0]] * len(FORMATS), abs=1e-7)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_mesh_in_a_urdf_is_judged_as_it_is_now(panda, tmp_path, kind):
    file = write(tmp_path / f"part.{kind}", cube(0.2))
    (tmp_path / "part.urdf").write_text(urdf(f'<mesh filename="{file.name}"/>'))
    part = Urdf(name="part", file=tmp_path / "part.urdf", pose=AHEAD)
    first = clearance(panda, part)
    write(file, cube(0.3))
    assert clearance(panda, part) == pytest.approx(first - 0.05, abs=1e-4)
    (tmp_path / "part.urdf").write_text(urdf(f'<mesh filename="{file.name}" scale="0.5 1 1"/>'))
    assert clearance(panda, part) == pytest.approx(first + 0.025, abs=1e-4)


def test_the_robots_own_meshes_are_judged_as_they_are_now(own_panda, tmp_path):
    robot = Robot.load(str(own_panda))
    wall = Mesh(name="wall", file=write(tmp_path / "wall.obj", cube(0.2)), pose=AHEAD)
    first, before = clearance(robot, wall), Hulls.of(robot, content_of(robot)[0])
    hand = own_panda.parent / "meshes" / "collision" / "hand.obj"
    larger = trimesh.load(hand, force="mesh")
    larger.apply_scale(1.5)
    larger.export(hand)
    second = clearance(robot, wall)
    assert second < first - 0.002
    assert second == clearance(Robot.load(str(own_panda)), wall)
    own, after = robot.links.index("panda_hand"), Hulls.of(robot, content_of(robot)[0])
    assert after.ball[own, 3] > 1.2 * before.ball[own, 3]
    assert np.array_equal(np.delete(after.ball, own, axis=0), np.delete(before.ball, own, axis=0))


def forget() -> None:
    """Close the clients that are kept for the next scene."""
    while Stage._idle:
        bullet.disconnect(physicsClientId=Stage._idle.pop().client)


def test_an_obstacle_that_only_moved_is_the_same_body_and_one_that_changed_is_another(panda, tmp_path):
    file = write(tmp_path / "part.stl", cube(0.1))
    part = Mesh(name="part", file=file, pose=AHEAD, convex=True)
    can = Cylinder(name="can", radius=0.05, height=0.2, pose=Pose(xyz=(0.0, 0.6, 0.3)))
    scene = Scene(obstacles=(part, can, replace(can, name="twin", pose=Pose(xyz=(0.0, -0.6, 0.3)))))
    moved = scene.move("can", Pose.from_rpy((0.5, 0.1, 0.3), (0.4, 0.2, 0.1))).move("part", Pose(xyz=(0.4, 0.4, 0.7)))
    others = replace(part, file=write(tmp_path / "other.stl", cube(0.2))), replace(can, radius=0.06)
    changed = Scene(obstacles=(*others, *moved.obstacles[2:]))

    def seen(one: Scene) -> tuple[set[int], np.ndarray]:
        with Certifier(panda, one) as certifier:
            every = np.arange(len(certifier._pairs.names))
            return set(certifier._bodies), certifier._measure(panda.configuration("home"), every, 2.0)

    forget()  # a client that other tests used much is closed when it is left
    found = [seen(one) for one in (scene, moved, scene, changed, moved)]
    bodies = [numbers for numbers, _ in found]
    assert bodies[0] == bodies[1] == bodies[2]
    assert len(bodies[0] & bodies[3]) == 1
    for (_, measured), one in zip(found, (scene, moved, scene, changed, moved), strict=True):
        forget()
        assert np.array_equal(measured, seen(one)[1])
    write(file, cube(0.3))
    numbers, larger = seen(scene)
    assert numbers != bodies[0]
    assert np.all(larger[:24:3] < found[0][1][:24:3] - 0.05)


def test_the_hull_of_a_hollow_mesh_is_kept_while_it_stands_there_and_measured_as_in_a_fresh_client(panda, tmp_path):
    file = write(tmp_path / "ball.stl", trimesh.creation.icosphere(subdivisions=3, radius=0.1))
    ball = Mesh(name="ball", file=file, pose=AHEAD)
    can = Cylinder(name="can", radius=0.05, height=0.2, pose=Pose(xyz=(0.0, 0.6, 0.3)))
    here = Scene(obstacles=(ball, can))
    beside, there, gone = here.move("can", AHEAD), here.move("ball", Pose(xyz=(0.4, 0.4, 0.7))), Scene(obstacles=(can,))
    scenes = (here, beside, there, gone, here)

    def seen(one: Scene) -> tuple[list[int], np.ndarray]:
        with Certifier(panda, one) as certifier:
            every = np.arange(len(certifier._pairs.names))
            return list(certifier._hulls.values()), certifier._measure(panda.configuration("home"), every, 2.0)

    forget()
    found = [seen(one) for one in scenes]
    hulls = [numbers for numbers, _ in found]
    assert hulls[0] == hulls[1] != []
    assert hulls[2] != hulls[1]
    assert hulls[3] == []
    assert hulls[4] not in hulls[:3]
    for (_, measured), one in zip(found, scenes, strict=True):
        forget()
        assert np.array_equal(measured, seen(one)[1])
    write(file, trimesh.creation.icosphere(subdivisions=3, radius=0.15))
    assert seen(here)[1][0] == pytest.approx(found[0][1][0] - 0.05, abs=0.003)


def test_a_robot_whose_urdf_changed_after_it_was_loaded_is_refused(own_panda, tmp_path):
    robot, file = Robot.load(str(own_panda)), own_panda.parent / "panda.urdf"
    wall = Mesh(name="wall", file=write(tmp_path / "wall.obj", cube(0.2)), pose=AHEAD)
    clearance(robot, wall)
    file.write_text(file.read_text().replace("</robot>", "<!-- changed --></robot>"))
    with pytest.raises(InputError, match="the URDF file changed after the robot panda was loaded from it"):
        clearance(robot, wall)
    clearance(Robot.load(str(own_panda)), wall)


def test_files_of_the_same_names_under_the_current_folder_are_not_read(panda, own_panda, tmp_path, monkeypatch):
    part = write(tmp_path / "part.obj", cube(0.2))
    (tmp_path / "part.urdf").write_text(urdf(f'<mesh filename="package://{part.name}"/>'))
    obstacle = Urdf(name="part", file=tmp_path / "part.urdf", pose=AHEAD)
    robots = (panda, Robot.load(str(own_panda)))
    first = [clearance(robot, obstacle) for robot in robots]
    decoys = tmp_path / "decoys"
    for folder in ("", "meshes/collision", "collision", "data", "data/meshes/collision"):
        (decoys / folder).mkdir(parents=True, exist_ok=True)
        for name in ("part.obj", "link0.obj", "link7.obj", "hand.obj", "finger.obj"):
            write(decoys / folder / name, cube(0.002))
        (decoys / folder / "part.urdf").write_text(urdf('<box size="0.001 0.001 0.001"/>'))
    for folder in (decoys, decoys / "data", decoys / "meshes"):
        monkeypatch.chdir(folder)
        while Stage._idle:
            bullet.disconnect(physicsClientId=Stage._idle.pop().client)
        assert [clearance(robot, obstacle) for robot in robots] == first


def test_two_meshes_of_one_name_in_two_folders_are_two_meshes(panda, tmp_path):
    parts = []
    for i, edge in enumerate((0.1, 0.3)):
        (tmp_path / str(i)).mkdir()
        write(tmp_path / str(i) / "part.obj", cube(edge))
        (tmp_path / str(i) / "part.urdf").write_text(urdf('<mesh filename="part.obj"/>'))
        parts.append(Urdf(name=f"part{i}", file=tmp_path / str(i) / "part.urdf", pose=AHEAD))
    alone = [clearance(panda, part) for part in parts]
    assert alone[0] == pytest.approx(alone[1] + 0.1, abs=1e-4)
    with Certifier(panda, Scene(obstacles=tuple(parts))) as certifier:
        assert certifier.check(panda.configuration("home")).clearance_m == alone[1]


def test_a_mesh_of_a_package_is_found_above_the_urdf(tmp_path):
    (tmp_path / "pkg" / "urdf").mkdir(parents=True)
    (tmp_path / "pkg" / "meshes").mkdir()
    write(tmp_path / "pkg" / "meshes" / "part.obj", cube(0.1))
    file = tmp_path / "pkg" / "urdf" / "part.urdf"
    file.write_text(urdf('<mesh filename="package://pkg/meshes/part.obj"/>'))
    assert load_urdf(file).collisions["l"][0].file == tmp_path / "pkg" / "meshes" / "part.obj"
    file.write_text(urdf('<mesh filename="../meshes/part.obj"/>'))
    assert load_urdf(file).collisions["l"][0].file.samefile(tmp_path / "pkg" / "meshes" / "part.obj")
    file.write_text(urdf('<mesh filename="meshes/part.obj"/>'))
    with pytest.raises(InputError, match="mesh file not found"):
        load_urdf(file)


def test_a_base_far_away_changes_nothing(panda, tmp_path):
    file = write(tmp_path / "part.stl", trimesh.creation.annulus(0.05, 0.1, 0.3))
    (tmp_path / "part.urdf").write_text(urdf('<cylinder radius="0.1" length="0.4"/>'))
    obstacles = (
        Mesh(name="ring", file=file, pose=AHEAD),
        Urdf(name="post", file=tmp_path / "part.urdf", pose=Pose.from_rpy((0.3, 0.5, 0.2), (0.3, 0.2, 0.1))),
    )
    q = panda.configuration("home")
    with Certifier(panda, Scene(obstacles=obstacles)) as certifier:
        near = certifier.check(q)
    base = Pose.from_rpy((10_000.0, -7_000.0, 300.0), (0.2, -0.1, 2.0))
    moved = tuple(type(o)(**{**o.__dict__, "pose": base @ o.pose}) for o in obstacles)
    with Certifier(panda, Scene(robot_base=base, obstacles=moved)) as certifier:
        far = certifier.check(q)
    assert far.clearance_m == pytest.approx(near.clearance_m, abs=1e-6)
    assert (far.link, far.obstacle) == (near.link, near.obstacle)


def test_cylinders_of_urdfs_are_round(panda, tmp_path):
    """A prism of 32 sides inside of it, as PyBullet makes by default, is 2.4 mm thinner at its faces here."""
    (tmp_path / "post.urdf").write_text(urdf('<cylinder radius="0.5" length="2"/>'))
    turned = [Pose.from_rpy((1.0, 0.0, 0.6), (0.0, 0.0, turn)) for turn in np.linspace(0, np.pi / 16, 5)]
    found = [clearance(panda, Urdf(name="post", file=tmp_path / "post.urdf", pose=pose)) for pose in turned]
    assert np.ptp(found) < 1e-4


def test_a_prismatic_joint_of_a_scaled_obstacle_moves_by_its_value_in_planner_and_certificate(panda, tmp_path):
    slide = (
        '<link name="m"><collision><geometry><box size="0.1 0.1 0.1"/></geometry></collision></link><joint name="j" '
        'type="prismatic"><parent link="l"/><child link="m"/><axis xyz="0 0 1"/><origin xyz="0 0 0.1"/>'
        '<limit lower="0" upper="1" effort="1" velocity="1"/></joint>'
    )
    (tmp_path / "slide.urdf").write_text(urdf('<box size="0.01 0.01 0.01"/>', slide))
    obstacle = Urdf(name="slide", file=tmp_path / "slide.urdf", pose=AHEAD, scale=2.0, joints={"j": 0.3})
    rows = Obstacles.pack([Scene(obstacles=(obstacle,))]).rows
    assert rows[1].T_base_solid[:3, 3] == pytest.approx([0.62, 0.0, 0.6 + 2 * 0.1 + 0.3])
    Certifier(panda, Scene(obstacles=(obstacle,))).close()  # compares the frames


def test_a_urdf_that_can_only_be_seen_is_refused(panda, tmp_path):
    (tmp_path / "ghost.urdf").write_text(
        '<robot name="g"><link name="l"><visual><geometry><box size="1 1 1"/></geometry></visual></link></robot>'
    )
    ghost = Urdf(name="ghost", file=tmp_path / "ghost.urdf")
    with pytest.raises(InputError, match="no collision geometry"):
        Certifier(panda, Scene(obstacles=(ghost,)))
    with pytest.raises(InputError, match="no collision geometry"):
        Obstacles.pack([Scene(obstacles=(ghost,))])


def test_a_convex_mesh_that_pybullet_rounds_too_much_is_refused_with_the_number(panda, tmp_path):
    corners = np.random.default_rng(0).normal(size=(40, 3)) * 8
    file = write(tmp_path / "rock.obj", trimesh.convex.convex_hull(corners))
    with pytest.raises(
        InputError, match=r"rounds the corners of this convex mesh, .* m across, by .* mm.*up to 0\.9 mm"
    ):
        clearance(panda, Mesh(name="rock", file=file, pose=Pose(xyz=(60.0, 0.0, 0.0)), convex=True))


def test_a_fine_mesh_is_compared_in_little_memory_and_found_the_same(panda, tmp_path):
    file = write(tmp_path / "ball.ply", trimesh.creation.icosphere(subdivisions=5, radius=0.2))
    found = [clearance(panda, Mesh(name="ball", file=file, pose=AHEAD, convex=convex)) for convex in (True, False)]
    assert found[0] == pytest.approx(found[1], abs=0.0015)


def test_the_copy_for_pybullet_names_only_files_that_we_wrote(panda, tmp_path, monkeypatch):
    (tmp_path / "colours.mtl").write_text("newmtl a\nKd 1 0 0\nmap_Kd there.png\nmap_Ks missing.png\n")
    (tmp_path / "there.png").write_bytes(b"a picture")
    (tmp_path / "part.obj").write_text("mtllib colours.mtl\nmtllib missing.mtl\n" + cube(0.1).export(file_type="obj"))
    mesh = '<geometry><mesh filename="part.obj"/></geometry>'
    (tmp_path / "part.urdf").write_text(
        f'<robot name="r"><link name="l"><visual>{mesh}</visual><collision>{mesh}</collision></link></robot>'
    )
    copy = urdf_copy(load_urdf(tmp_path / "part.urdf"), visuals=True)
    folder = copy.parent
    assert folder != tmp_path
    names = [word.split('"')[0] for word in copy.read_text().split('filename="')[1:]]
    assert len(names) == 2
    assert all(Path(name).parent == folder for name in names)
    visual = next(Path(name).read_text() for name in names if "mtllib" in Path(name).read_text())
    library = folder / visual.split("mtllib ")[1].split()[0]
    assert "missing" not in visual
    assert "missing" not in library.read_text()
    assert (folder / library.read_text().split("map_Kd ")[1].split()[0]).read_bytes() == b"a picture"
    assert private_file(b"a picture", ".png").read_bytes() == b"a picture"


def test_a_lasting_process_certifies_like_a_fresh_one(tmp_path):
    """A small part of scripts/check_fresh_files.py."""
    script = Path(__file__).parents[2] / "scripts" / "check_fresh_files.py"
    done = subprocess.run(
        [sys.executable, str(script), "--cases", "8", "--seed", "5"], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("8 cases, 0 wrong") == 2
