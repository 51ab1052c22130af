"""Reading running worlds: what we read must measure as what is there."""

import numpy as np
import pybullet as p
import pybullet_data
import pytest
import trimesh

import diffplan as dp
from diffplan.certificate.frames import joint_indices, link_frame, link_indices
from diffplan.errors import InputError
from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import Box, Capsule, Cylinder, Mesh, Plane, Sphere
from diffplan.scene import Scene

TILT = Pose.from_rpy((0.4, -0.3, 0.5), (0.4, -0.7, 1.1))
DATA = pybullet_data.getDataPath()


@pytest.fixture
def world():
    client = p.connect(p.DIRECT)
    p.setAdditionalSearchPath(DATA, physicsClientId=client)
    yield client
    p.disconnect(client)


def _distances(client, points):
    """Distance of balls of 1 cm from the nearest body in a world [n], at most 1 m."""
    bodies = [p.getBodyUniqueId(i, physicsClientId=client) for i in range(p.getNumBodies(physicsClientId=client))]
    ball = p.createMultiBody(
        0, p.createCollisionShape(p.GEOM_SPHERE, radius=0.01, physicsClientId=client), physicsClientId=client
    )
    found = []
    for point in points:
        p.resetBasePositionAndOrientation(ball, point, (0, 0, 0, 1), physicsClientId=client)
        hits = [h[8] for body in bodies for h in p.getClosestPoints(ball, body, 1.0, physicsClientId=client)]
        found.append(min(hits, default=1.0))
    p.removeBody(ball, physicsClientId=client)
    return np.array(found)


def _assert_same_world(client, tolerance=0.0015):
    scene = Scene.from_pybullet(client)
    copy = p.connect(p.DIRECT)
    try:
        scene.to_pybullet(copy)
        points = TILT.xyz + np.random.default_rng(2).uniform(-0.5, 0.5, (120, 3))
        there, here = _distances(client, points), _distances(copy, points)
        outside = (there > 0) | (here > 0)
        assert outside.sum() > 20
        assert np.ptp(there) > 0.05
        np.testing.assert_allclose(here[outside], there[outside], atol=tolerance)
    finally:
        p.disconnect(copy)
    return scene


def _body(client, shape, **more):
    return p.createMultiBody(
        1.0, shape, basePosition=TILT.xyz, baseOrientation=TILT.quat_xyzw, physicsClientId=client, **more
    )


_OFFSET = {"collisionFramePosition": (0.1, 0.05, -0.1), "collisionFrameOrientation": (0.5, 0.5, -0.5, 0.5)}


@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        ({"shapeType": p.GEOM_BOX, "halfExtents": (0.1, 0.2, 0.05)}, Box),
        ({"shapeType": p.GEOM_SPHERE, "radius": 0.15}, Sphere),
        ({"shapeType": p.GEOM_CYLINDER, "radius": 0.1, "height": 0.4}, Cylinder),
        ({"shapeType": p.GEOM_CAPSULE, "radius": 0.1, "height": 0.3}, Capsule),
    ],
)
@pytest.mark.parametrize("offset", [{}, _OFFSET])
@pytest.mark.parametrize("inertia", [{}, {"baseInertialFramePosition": (0.02, -0.1, 0.07)}])
def test_primitives_are_read_with_their_offsets(world, shape, kind, offset, inertia):
    _body(world, p.createCollisionShape(physicsClientId=world, **shape, **offset), **inertia)
    (obstacle,) = _assert_same_world(world).obstacles
    assert isinstance(obstacle, kind)


def test_a_body_of_several_shapes_becomes_several_obstacles(world):
    shape = p.createCollisionShapeArray(
        [p.GEOM_BOX, p.GEOM_SPHERE],
        halfExtents=[(0.1, 0.1, 0.1), (0, 0, 0)],
        radii=[0, 0.1],
        collisionFramePositions=[(0, 0, 0), (0.3, 0, 0)],
        physicsClientId=world,
    )
    body = _body(world, shape)
    names = [o.name for o in _assert_same_world(world).obstacles]
    assert names == [f"link0#{body}.0", f"link0#{body}.1"]


@pytest.mark.parametrize("file", ["tray/traybox.urdf", "duck_vhacd.urdf", "lego/lego.urdf", "teddy_vhacd.urdf"])
@pytest.mark.parametrize("scale", [1.0, 1.7])
def test_urdf_bodies_are_read_at_their_scale(world, file, scale):
    p.loadURDF(file, TILT.xyz, TILT.quat_xyzw, globalScaling=scale, physicsClientId=world)
    _assert_same_world(world)


def test_the_links_of_an_arm_are_read_where_its_joints_put_them(world):
    arm = p.loadURDF("kuka_iiwa/model.urdf", TILT.xyz, TILT.quat_xyzw, useFixedBase=True, physicsClientId=world)
    for joint in range(7):
        p.resetJointState(arm, joint, 0.5 - 0.2 * joint, physicsClientId=world)
    scene = _assert_same_world(world)
    assert len(scene.obstacles) == 8
    assert scene.obstacles[3].name == f"lbr_iiwa#{arm}/lbr_iiwa_link_3"


def test_a_cylinder_of_a_urdf_is_recognised_though_pybullet_makes_a_hull_of_it(world, tmp_path):
    file = tmp_path / "post.urdf"
    file.write_text(
        '<robot name="post"><link name="post"><inertial><mass value="1"/><origin xyz="0 0.1 0"/>'
        '<inertia ixx="1" ixy="0" ixz="0" iyy="1" iyz="0" izz="1"/></inertial>'
        '<collision><origin xyz="0.1 0 0" rpy="0.3 0 0"/><geometry><cylinder radius="0.1" length="0.5"/></geometry>'
        "</collision></link></robot>"
    )
    p.loadURDF(str(file), TILT.xyz, TILT.quat_xyzw, physicsClientId=world)
    (post,) = _assert_same_world(world, tolerance=0.002).obstacles
    assert isinstance(post, Cylinder)
    assert post.radius == pytest.approx(0.1, abs=1e-3)
    assert post.height == pytest.approx(0.5)


def test_a_mesh_made_by_hand_is_read_by_its_corners(world):
    shape = p.createCollisionShape(
        p.GEOM_MESH, fileName="cube.obj", meshScale=(0.2, 0.3, 0.1), physicsClientId=world, **_OFFSET
    )
    _body(world, shape, baseInertialFramePosition=(0.02, -0.1, 0.07))
    (mesh,) = _assert_same_world(world).obstacles
    assert isinstance(mesh, Mesh)
    assert mesh.convex


def _cup(tmp_path, closed):
    cup = trimesh.creation.annulus(0.1, 0.15, 0.3)
    if not closed:
        cup.update_faces(np.arange(len(cup.faces)) > 3)
    cup.export(tmp_path / "cup.obj")
    (tmp_path / "cup.urdf").write_text(
        '<robot name="cup"><link name="cup"><collision concave="yes"><geometry><mesh filename="cup.obj"/></geometry>'
        "</collision></link></robot>"
    )
    return str(tmp_path / "cup.urdf")


def test_a_hollow_mesh_stays_hollow(world, tmp_path):
    flags = p.GEOM_FORCE_CONCAVE_TRIMESH
    p.loadURDF(_cup(tmp_path, True), TILT.xyz, TILT.quat_xyzw, useFixedBase=True, flags=flags, physicsClientId=world)
    (cup,) = _assert_same_world(world).obstacles
    assert isinstance(cup, Mesh)
    assert not cup.convex


def test_an_open_hollow_mesh_is_an_error_that_names_the_body(world, tmp_path):
    body = p.loadURDF(_cup(tmp_path, False), useFixedBase=True, physicsClientId=world)
    with pytest.raises(InputError, match=rf"cup#{body}.*not closed"):
        Scene.from_pybullet(world)


def test_a_plane_becomes_a_plane(world):
    turn = Pose.from_rpy((0, 0, 0.2), (0.2, 0, 0))
    p.loadURDF("plane_implicit.urdf", turn.xyz, turn.quat_xyzw, physicsClientId=world)
    _assert_same_world(world)
    (plane,) = Scene.from_pybullet(world).obstacles
    assert isinstance(plane, Plane)
    np.testing.assert_allclose(plane.pose.matrix[:3, 2], turn.matrix[:3, 2], atol=1e-6)
    assert abs((turn.inverse() @ plane.pose).xyz[2]) < 1e-6


def test_the_robot_and_ignored_bodies_are_no_obstacles_and_the_base_is_read(world, panda):
    base = Pose.from_rpy((0.1, 0.2, 0.3), (0, 0, 0.5))
    robot = p.loadURDF("franka_panda/panda.urdf", base.xyz, base.quat_xyzw, useFixedBase=True, physicsClientId=world)
    cube = p.loadURDF("cube_small.urdf", physicsClientId=world)
    p.loadURDF("lego/lego.urdf", physicsClientId=world)
    scene = Scene.from_pybullet(world, robot_body=robot, robot=panda, ignore=[cube])
    assert len(scene.obstacles) == 1
    np.testing.assert_allclose(scene.robot_base.matrix, base.matrix, atol=1e-6)
    assert scene.robot == "panda"


def test_bodies_that_only_can_be_seen_are_no_obstacles(world):
    visual = p.createVisualShape(p.GEOM_SPHERE, radius=0.1, physicsClientId=world)
    p.createMultiBody(0, -1, visual, physicsClientId=world)
    assert Scene.from_pybullet(world).obstacles == ()


def test_a_height_field_is_an_error_that_names_the_body(world):
    shape = p.createCollisionShape(
        p.GEOM_HEIGHTFIELD,
        heightfieldData=[0.0] * 16,
        numHeightfieldRows=4,
        numHeightfieldColumns=4,
        physicsClientId=world,
    )
    body = p.createMultiBody(0, shape, physicsClientId=world)
    with pytest.raises(InputError, match=f"#{body}.*height field"):
        Scene.from_pybullet(world)


def test_ignoring_a_body_that_is_not_there_is_an_error(world):
    with pytest.raises(InputError, match="no such body"):
        Scene.from_pybullet(world, ignore=[7])


def test_start_and_fingers_are_read_from_the_current_joints(world, panda):
    from diffplan.pybullet.live import robot_as_held, robot_configuration

    body = p.loadURDF("franka_panda/panda.urdf", useFixedBase=True, physicsClientId=world)
    q = panda.configuration("home")
    for joint, value in enumerate(q):
        p.resetJointState(body, joint, value, physicsClientId=world)
    p.resetJointState(body, 9, 0.01, physicsClientId=world)
    np.testing.assert_allclose(robot_configuration(world, body, panda), q)
    assert robot_as_held(world, body, panda).held_joints["panda_finger_joint1"] == pytest.approx(0.01)
    cube = p.loadURDF("cube_small.urdf", physicsClientId=world)
    with pytest.raises(InputError, match="is not the robot panda"):
        robot_configuration(world, cube, panda)


def _block(folder, edge):
    trimesh.creation.box((edge, edge, 0.1)).export(folder / "block.obj")
    (folder / "block.urdf").write_text(
        '<robot name="block"><link name="block"><inertial><mass value="0"/><inertia ixx="1" ixy="0" ixz="0" iyy="1" '
        'iyz="0" izz="1"/></inertial><collision><origin xyz="0.1 0 0" rpy="0.3 0 0"/><geometry><mesh '
        'filename="block.obj"/></geometry></collision></link></robot>'
    )


def test_a_mesh_is_read_as_it_was_loaded_though_its_file_has_changed_since(world, tmp_path):
    _block(tmp_path, 0.3)
    p.loadURDF(str(tmp_path / "block.urdf"), TILT.xyz, TILT.quat_xyzw, physicsClientId=world)
    _block(tmp_path, 0.05)
    _assert_same_world(world)


def test_a_mesh_of_the_same_name_in_the_current_folder_is_not_read_instead(world, tmp_path, monkeypatch):
    for folder, edge in (("one", 0.3), ("other", 0.05)):
        (tmp_path / folder).mkdir()
        _block(tmp_path / folder, edge)
    monkeypatch.chdir(tmp_path / "one")
    p.loadURDF("block.urdf", TILT.xyz, TILT.quat_xyzw, physicsClientId=world)
    monkeypatch.chdir(tmp_path / "other")
    _assert_same_world(world)


def test_what_the_hand_holds_is_read_from_a_world_and_planned_with(world):
    client, panda = world, dp.Robot.load("panda")
    arm = p.loadURDF(str(panda.model.file), [0.2, 0.1, 0.3], useFixedBase=True, physicsClientId=client)
    joints = joint_indices(client, arm)
    home = panda.configuration("home")
    for name, value in zip(panda.joint_names, home, strict=True):
        p.resetJointState(arm, joints[name], value, physicsClientId=client)
    for name in panda.held_joints:
        p.resetJointState(arm, joints[name], 0.02, physicsClientId=client)
    hand = link_frame(client, arm, link_indices(client, arm)["panda_grasptarget"])
    cube = p.createCollisionShape(p.GEOM_BOX, halfExtents=[0.02, 0.02, 0.06], physicsClientId=client)
    pose = hand @ Pose(xyz=(0, 0, 0.03))
    held = p.createMultiBody(0.1, cube, -1, pose.xyz, pose.quat_xyzw, physicsClientId=client)
    p.createConstraint(
        arm, joints["panda_grasptarget_hand"], held, -1, p.JOINT_FIXED, [0, 0, 0], [0, 0, 0], [0, 0, -0.03],
        physicsClientId=client,
    )  # fmt: skip
    with pytest.raises(InputError, match=rf"was not said to be held.*attached=\[{held}\]"):
        Scene.from_pybullet(client, robot_body=arm, robot=panda)
    scene = Scene.from_pybullet(client, robot_body=arm, robot=panda, attached=[held])
    (attached,) = scene.attached
    assert scene.obstacles == ()
    assert attached.link == "panda_grasptarget"
    np.testing.assert_allclose(attached.obstacle.pose.xyz, (0, 0, 0.03), atol=1e-5)
    assert attached.obstacle.size == pytest.approx((0.04, 0.04, 0.12))
    other = Scene.from_pybullet(client, robot_body=arm, robot=panda, attached={held: "panda_link7"})
    assert other.attached[0].link == "panda_link7"
    plan = dp.plan(panda, scene, "home", "left", planner="straight")
    assert plan.solved
    assert plan.certificate.attached == (attached.name,)
    with pytest.raises(InputError, match="which body holds them"):
        Scene.from_pybullet(client, attached=[held])
    with pytest.raises(InputError, match=r"no link 'thumb'"):
        Scene.from_pybullet(client, robot_body=arm, robot=panda, attached={held: "thumb"})
