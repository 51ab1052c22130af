"""The arm in somebody's world must be the robot that is planned for; what differs is named."""

import numpy as np
import pybullet as p
import pybullet_data
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from diffplan.certificate.bullet import connection
from diffplan.errors import InputError
from diffplan.geometry.pose import Pose
from diffplan.problem import Problem, robot_in
from diffplan.pybullet.live import robot_as_held, robot_configuration, scene_from_pybullet
from diffplan.pybullet.same_robot import check_same_robot
from diffplan.robot.model import CollisionSpheres, Robot
from diffplan.robot.urdf import load_urdf
from diffplan.scene import Scene

FOLDER = pybullet_data.getDataPath() + "/franka_panda/"
with open(FOLDER + "panda.urdf", encoding="utf-8") as _file:
    URDF = _file.read().replace("package://", FOLDER)
BOX = '<collision><origin xyz="0 0 {z}"/><geometry><box size="0.03 0.03 0.3"/></geometry></collision>'
HAND_MESH = f'<collision>\n      <geometry>\n        <mesh filename="{FOLDER}meshes/collision/hand.obj"/>'
HAND_END = '\n      </geometry>\n      <material name="panda_white"/>\n    </collision>'


@pytest.fixture
def world():
    client = p.connect(p.DIRECT)
    yield client
    p.disconnect(client)


def _arm(client, folder, text=URDF, **options):
    (folder / "arm.urdf").write_text(text)
    return p.loadURDF(str(folder / "arm.urdf"), physicsClientId=client, **({"useFixedBase": True} | options))


def _link(name, parent, shape=""):
    joint = f'<joint name="{name}_joint" type="fixed"><parent link="{parent}"/><child link="{name}"/></joint>'
    return URDF.replace("</robot>", f'<link name="{name}">{shape}</link>{joint}</robot>')


def _refused(client, body, panda, match):
    for read in (
        lambda: robot_as_held(client, body, panda),
        lambda: robot_configuration(client, body, panda),
        lambda: scene_from_pybullet(client, robot_body=body, robot=panda),
        lambda: scene_from_pybullet(client, robot_body=body),
    ):
        with pytest.raises(InputError, match=match):
            read()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"useFixedBase": False},
        {"flags": p.URDF_USE_INERTIA_FROM_FILE},
        {"flags": p.URDF_USE_SELF_COLLISION},
        {"flags": p.URDF_INITIALIZE_SAT_FEATURES},
        {"flags": p.URDF_IGNORE_VISUAL_SHAPES | p.URDF_MAINTAIN_LINK_ORDER},
        {"basePosition": (50.0, -80.0, 3.0), "baseOrientation": Pose.from_rpy((0, 0, 0), (0.3, -1, 2)).quat_xyzw},
    ],
)
def test_the_unmodified_arm_is_read_however_it_was_loaded(world, panda, options):
    body = p.loadURDF(FOLDER + "panda.urdf", physicsClientId=world, **({"useFixedBase": True} | options))
    q = panda.configuration("left")
    for joint, value in enumerate(q):
        p.resetJointState(body, joint, value, physicsClientId=world)
    assert robot_configuration(world, body, panda) == pytest.approx(q)
    assert scene_from_pybullet(world, robot_body=body, robot=panda).robot_base.xyz == pytest.approx(
        options.get("basePosition", (0, 0, 0)), abs=1e-5
    )


def test_links_that_nothing_can_touch_may_be_added(world, panda, tmp_path):
    body = _arm(
        world,
        tmp_path,
        _link("camera_frame", "panda_hand", '<visual><geometry><box size="1 1 1"/></geometry></visual>'),
    )
    assert robot_as_held(world, body, panda).dof == 7


def _edited(what):
    old, new, match = {
        "tool on the hand": ("", "", "tool.*attached.*box"),
        "shape more": (HAND_MESH, BOX.format(z=0.1) + HAND_MESH, "panda_hand should have 1 collision shapes.*2"),
        "box for a mesh": (HAND_MESH, '<collision><geometry><box size="0.2 0.2 0.2"/>', "panda_hand.*box"),
        "shape less": (HAND_MESH + HAND_END, "", "panda_hand should have 1.*0: none"),
        "mesh of another link": ("collision/hand.obj", "collision/link7.obj", "mesh of panda_hand.*mm"),
        "mesh scaled": ('collision/hand.obj"', 'collision/hand.obj" scale="1.05 1 1"', "mesh of panda_hand.*mm"),
        "mesh moved": (HAND_MESH, HAND_MESH.replace(">\n", '>\n<origin xyz="0 0 0.001"/>', 1), "mesh of panda_hand"),
        "longer forearm": ('xyz="-0.0825 0.384 0"', 'xyz="-0.0825 0.385 0"', "panda_link5 should stand at"),
        "turned joint": (
            'rpy="1.57079632679 0 0" xyz="0.088 0 0"',
            'rpy="1.5 0 0" xyz="0.088 0 0"',
            "panda_link7 should be turned",
        ),
        "turned the other way": (
            '<axis xyz="0 0 1"/>\n    <limit effort="12" lower="-0.0873"',
            '<axis xyz="0 0 -1"/>\n    <limit effort="12" lower="-0.0873"',
            "axis of panda_joint6",
        ),
        "narrower limits": ('lower="-3.1416" upper="0.0"', 'lower="-3.0718" upper="-0.0698"', "limits of panda_joint4"),
        "fixed joint": (
            '<joint name="panda_finger_joint1" type="prismatic">',
            '<joint name="panda_finger_joint1" type="fixed">',
            "panda_finger_joint1 should be prismatic.*fixed",
        ),
        "finger on another link": (
            '<parent link="panda_hand"/>\n    <child link="panda_rightfinger"/>',
            '<parent link="panda_link8"/>\n    <child link="panda_rightfinger"/>',
            "panda_finger_joint2 should tie",
        ),
    }[what]
    text = _link("tool", "panda_hand", BOX.format(z=0.25)) if what == "tool on the hand" else URDF.replace(old, new)
    assert text != URDF
    return text, match


@pytest.mark.parametrize(
    "what",
    [
        "tool on the hand",
        "shape more",
        "box for a mesh",
        "shape less",
        "mesh of another link",
        "mesh scaled",
        "mesh moved",
        "longer forearm",
        "turned joint",
        "turned the other way",
        "narrower limits",
        "fixed joint",
        "finger on another link",
    ],
)
def test_an_edited_urdf_is_refused_and_what_differs_is_named(world, panda, tmp_path, what):
    text, match = _edited(what)
    _refused(world, _arm(world, tmp_path, text), panda, match)


def test_an_arm_without_a_finger_is_refused(world, panda, tmp_path):
    start, end = URDF.index('<link name="panda_rightfinger">'), URDF.index('<joint name="panda_finger_joint1"')
    begin = URDF.index('<joint name="panda_finger_joint2"')
    text = URDF[:start] + URDF[end:begin] + URDF[URDF.index("</joint>", begin) + len("</joint>") :]
    _refused(world, _arm(world, tmp_path, text), panda, "no joint 'panda_finger_joint2'")


@pytest.mark.parametrize("scale", [1.3, 1.002, 0.9])
def test_an_arm_of_another_scale_is_refused(world, panda, tmp_path, scale):
    _refused(world, _arm(world, tmp_path, globalScaling=scale), panda, "panda_link1 should stand at.*globalScaling")


def test_a_thicker_mesh_of_the_same_name_is_refused(world, panda, tmp_path):
    thick = trimesh.load(FOLDER + "meshes/collision/link5.obj", force="mesh")
    thick.apply_transform(np.diag([1.02, 1.0, 1.0, 1.0]))
    thick.export(tmp_path / "link5.obj")
    text = URDF.replace(FOLDER + "meshes/collision/link5.obj", "link5.obj")
    _refused(world, _arm(world, tmp_path, text), panda, r"mesh of panda_link5 is not the model's.*mm")


def test_an_arm_with_merged_links_is_refused(world, panda, tmp_path):
    body = _arm(world, tmp_path, flags=p.URDF_MERGE_FIXED_LINKS)
    _refused(world, body, panda, "no (link|joint) 'panda_")


def test_another_arm_is_refused(world, panda):
    kuka = p.loadURDF(pybullet_data.getDataPath() + "/kuka_iiwa/model.urdf", physicsClientId=world)
    with pytest.raises(InputError, match="is not the robot panda: no joint"):
        robot_as_held(world, kuka, panda)
    assert Scene.from_pybullet(world, robot_body=kuka).robot == "iiwa"
    droid = p.loadURDF(pybullet_data.getDataPath() + "/r2d2.urdf", physicsClientId=world)
    with pytest.raises(InputError, match=r"^robot: which robot this body is has to be said"):
        Scene.from_pybullet(world, robot_body=droid, ignore=[kuka])


def _robot_of(file):
    one = np.ones(1)
    return Robot(
        name="one",
        model=load_urdf(file),
        base_link="base",
        end_link="arm",
        joint_names=("j",),
        held_joints={},
        lower=-one,
        upper=one,
        velocity=one,
        acceleration=one,
        jerk=one,
        configurations={},
        spheres=CollisionSpheres(links=(), link=np.zeros(0, int), centre=np.zeros((0, 3)), radius=np.zeros(0)),
    )


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(["box", "cylinder", "capsule", "sphere"]), st.integers(0, 3), st.floats(1.005, 1.5))
def test_any_change_of_a_shapes_size_is_seen(tmp_path_factory, kind, changed, factor):
    folder, sizes = tmp_path_factory.mktemp("robot"), [0.1, 0.23, 0.35]

    def urdf(values):
        x, y, z = values
        shape = {
            "box": f'<box size="{x} {y} {z}"/>',
            "cylinder": f'<cylinder radius="{x}" length="{y}"/>',
            "capsule": f'<capsule radius="{x}" length="{y}"/>',
            "sphere": f'<sphere radius="{x}"/>',
        }[kind]
        file = folder / "arm.urdf"
        file.write_text(
            '<robot name="a"><link name="base"/><link name="arm"><inertial><origin xyz="0 0.1 0" rpy="0 1 0"/>'
            '<mass value="1"/><inertia ixx="1" ixy="0" ixz="0" iyy="1" iyz="0" izz="1"/></inertial><collision>'
            f'<origin xyz="0.1 0 {0.3 if len(values) == 3 else 0}" rpy="0.4 0 0"/><geometry>{shape}</geometry>'
            '</collision></link><joint name="j" type="revolute"><parent link="base"/><child link="arm"/>'
            '<axis xyz="0 0 1"/><limit lower="-1" upper="1" effort="1" velocity="1"/></joint></robot>'
        )
        return file

    model = _robot_of(urdf(sizes))
    count = {"box": 3, "cylinder": 2, "capsule": 2, "sphere": 1}[kind]
    other = [size * (factor if i == changed % count else 1.0) for i, size in enumerate(sizes)]
    with connection() as client:
        check_same_robot(client, p.loadURDF(str(urdf(sizes)), physicsClientId=client), model, key="body")
    with connection() as client:  # another one: a client keeps the files that it has read
        differs = p.loadURDF(str(urdf(other)), physicsClientId=client)
        with pytest.raises(InputError, match="arm"):
            check_same_robot(client, differs, model, key="body")


def _cube(client):
    shape = p.createCollisionShape(p.GEOM_BOX, halfExtents=(0.02, 0.02, 0.1), physicsClientId=client)
    return p.createMultiBody(0.1, shape, -1, (0.6, 0.0, 0.9), physicsClientId=client)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("kind", [p.JOINT_FIXED, p.JOINT_POINT2POINT])
def test_what_a_constraint_ties_to_the_hand_is_refused_or_left_out_knowingly(world, panda, tmp_path, kind, turned):
    body, cube = _arm(world, tmp_path), _cube(world)
    ends = (cube, -1, body, 8) if turned else (body, 8, cube, -1)
    p.createConstraint(*ends, kind, (0, 0, 0), (0, 0, 0.2), (0, 0, 0), physicsClientId=world)
    _refused(world, body, panda, f"constraint .* ties body {cube} to panda_hand")
    assert scene_from_pybullet(world, robot_body=body, robot=panda, ignore=[cube]).obstacles == ()


def test_constraints_of_the_base_and_gears_of_the_fingers_are_no_hindrance(world, panda, tmp_path):
    body, cube = _arm(world, tmp_path, useFixedBase=False), _cube(world)
    p.createConstraint(body, -1, -1, -1, p.JOINT_FIXED, (0, 0, 0), (0, 0, 0), (0, 0, 0), physicsClientId=world)
    p.createConstraint(cube, -1, -1, -1, p.JOINT_FIXED, (0, 0, 0), (0, 0, 0), (0, 0, 0), physicsClientId=world)
    p.createConstraint(body, 9, body, 10, p.JOINT_GEAR, (1, 0, 0), (0, 0, 0), (0, 0, 0), physicsClientId=world)
    assert len(scene_from_pybullet(world, robot_body=body, robot=panda).obstacles) == 1


def test_a_scene_remembers_where_the_fingers_stand_and_the_plans_robot_has_them_there(world, panda, tmp_path, caplog):
    body = _arm(world, tmp_path)
    p.resetJointState(body, 9, 0.013, physicsClientId=world)
    p.resetJointState(body, 10, 0.027, physicsClientId=world)
    scene = scene_from_pybullet(world, robot_body=body)
    assert (
        "panda_finger_joint2 stands at 0.027 in this world, where panda_finger_joint1 would put it at 0.013"
        in caplog.text
    )
    assert scene.hold == pytest.approx({"panda_finger_joint1": 0.013, "panda_finger_joint2": 0.027})
    assert robot_in(panda, scene).held_joints == robot_as_held(world, body, panda).held_joints == scene.hold
    home = panda.configuration("home")
    with pytest.raises(InputError, match=r"panda_finger_joint1.*held at 0\.013"):
        Problem(robot=panda, scene=scene, start=home, goals=home[None])


def test_a_scene_of_another_robots_fingers_is_refused(panda):
    with pytest.raises(InputError, match="read for another robot: panda holds no joint 'jaw'"):
        robot_in(panda, Scene(hold={"jaw": 0.1}))
