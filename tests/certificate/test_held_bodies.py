"""The certificate of what a robot holds: against plain PyBullet with the object as a body of its own."""

from dataclasses import replace

import numpy as np
import pybullet as bullet
import pytest
import trimesh

from diffplan.certificate.certifier import Certifier
from diffplan.certificate.world import Stage
from diffplan.errors import InputError
from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import Box, Capsule, Cylinder, Mesh, Plane, Sphere
from diffplan.problem import robot_in
from diffplan.robot.model import Robot
from diffplan.scene import Attached, Scene, Urdf

TIP = Pose(xyz=(0.0, 0.0, 0.16))


@pytest.fixture(scope="module")
def cup(tmp_path_factory) -> Mesh:
    file = tmp_path_factory.mktemp("meshes") / "cup.obj"
    trimesh.creation.annulus(r_min=0.03, r_max=0.035, height=0.1).export(file)
    return Mesh(name="held", file=file)


def _holding(shape, *, link="panda_hand", pose=TIP, **more) -> Scene:
    return Scene(attached=(Attached(obstacle=replace(shape, name="held", pose=pose), link=link),), **more)


def _certify(robot, scene, trajectory):
    with Certifier(robot, scene) as certifier:
        return certifier.certify(trajectory, start=trajectory.position[0], goals=trajectory.position[-1:])


class _Judge:
    """Plain PyBullet: the arm from its URDF, the held body put where the link is, boxes as obstacles."""

    def __init__(self, robot: Robot, scene: Scene) -> None:
        self.client = bullet.connect(bullet.DIRECT)
        self.arm = bullet.loadURDF(str(robot.model.file), useFixedBase=True, physicsClientId=self.client)
        count = bullet.getNumJoints(self.arm, physicsClientId=self.client)
        infos = [bullet.getJointInfo(self.arm, j, physicsClientId=self.client) for j in range(count)]
        joints = {info[1].decode(): info[0] for info in infos}
        self.links = {info[12].decode(): info[0] for info in infos}
        for name, value in robot.still_joints.items():
            bullet.resetJointState(self.arm, joints[name], value, physicsClientId=self.client)
        self.joints = [joints[name] for name in robot.joint_names]
        (attached,) = scene.attached
        self.link, self.pose = self.links[attached.link], attached.obstacle.pose
        self.held = self._body(attached.obstacle)
        self.others = [self._body(obstacle) for obstacle in scene.obstacles]
        for other, obstacle in zip(self.others, scene.obstacles, strict=True):
            self._put(other, obstacle.pose)

    def _body(self, shape) -> int:
        if isinstance(shape, Box):
            words = {"shapeType": bullet.GEOM_BOX, "halfExtents": [edge / 2 for edge in shape.size]}
        elif isinstance(shape, Sphere):
            words = {"shapeType": bullet.GEOM_SPHERE, "radius": shape.radius}
        elif isinstance(shape, Mesh):
            vertices = np.asarray(shape.surface().convex_hull.vertices).tolist()
            words = {"shapeType": bullet.GEOM_MESH, "vertices": vertices}
        else:
            kind = bullet.GEOM_CYLINDER if isinstance(shape, Cylinder) else bullet.GEOM_CAPSULE
            words = {"shapeType": kind, "radius": shape.radius, "height": shape.height}
        made = bullet.createCollisionShape(physicsClientId=self.client, **words)
        return bullet.createMultiBody(0, made, physicsClientId=self.client)

    def _put(self, body: int, pose: Pose) -> None:
        bullet.resetBasePositionAndOrientation(body, pose.xyz, pose.quat_xyzw, physicsClientId=self.client)

    def least(self, q: np.ndarray) -> float:
        """The least distance of the held body from the obstacles and from the arm up to its sixth link (m)."""
        for joint, value in zip(self.joints, q, strict=True):
            bullet.resetJointState(self.arm, joint, value, physicsClientId=self.client)
        state = bullet.getLinkState(self.arm, self.link, computeForwardKinematics=True, physicsClientId=self.client)
        self._put(self.held, Pose(xyz=state[4], quat_xyzw=state[5]) @ self.pose)
        points = [
            p for o in self.others for p in bullet.getClosestPoints(self.held, o, 0.3, physicsClientId=self.client)
        ]
        for link in (-1, 0, 1, 2, 3, 4, 5):
            points += bullet.getClosestPoints(self.arm, self.held, 0.3, linkIndexA=link, physicsClientId=self.client)
        return min((point[8] for point in points), default=0.3)

    def close(self) -> None:
        bullet.disconnect(physicsClientId=self.client)


def _boxes(rng, count=5) -> tuple[Box, ...]:
    found = []
    for i in range(count):
        turn = rng.normal(size=4)
        place = tuple(rng.uniform([0.2, -0.7, 0.0], [0.8, 0.7, 0.9]))
        pose = Pose(xyz=place, quat_xyzw=tuple(turn / np.linalg.norm(turn)))
        found.append(Box(name=f"o{i}", size=tuple(rng.uniform(0.01, 0.2, 3)), pose=pose))
    return tuple(found)


@pytest.mark.parametrize("kind", ["box", "cylinder", "rod", "sphere", "capsule", "mesh"])
def test_certified_paths_of_a_held_body_have_no_contact_and_refused_ones_have_one(panda, timed, cup, kind):
    shape = {
        "box": Box(name="held", size=(0.08, 0.03, 0.12)),
        "cylinder": Cylinder(name="held", radius=0.03, height=0.15),
        "rod": Cylinder(name="held", radius=0.008, height=0.9),
        "sphere": Sphere(name="held", radius=0.05),
        "capsule": Capsule(name="held", radius=0.02, height=0.2),
        "mesh": cup,
    }[kind]
    rng = np.random.default_rng(sum(kind.encode()))
    certified = refused = 0
    for _ in range(400):
        start = rng.uniform(panda.lower, panda.upper)
        end = np.clip(start + rng.normal(0, 0.4, 7), panda.lower, panda.upper)
        turn = rng.normal(size=4)
        pose = TIP @ Pose(xyz=(0, 0, 0), quat_xyzw=tuple(turn / np.linalg.norm(turn)))
        scene = _holding(shape, pose=pose, obstacles=_boxes(rng))
        certificate = _certify(panda, scene, timed(np.array([start, end]), 2.5))
        if "held" not in certificate.reason and not certificate.valid:
            continue  # the arm itself touches
        if certified >= 3 and certificate.valid:
            continue
        judge = _Judge(panda, scene)
        steps = int(np.ceil(np.abs(end - start).max() / 0.005))
        least = min(judge.least(q) for q in np.linspace(start, end, steps + 1))
        judge.close()
        assert certificate.attached == ("held",)
        if certificate.valid:
            certified += 1
            assert least > 0
        else:
            refused += 1
            assert least < 0.003
        if certified >= 3 and refused >= 3:
            break
    assert certified >= 3
    assert refused >= 3


def test_a_long_rod_that_sweeps_through_a_thin_plate_between_two_samples_is_found(panda):
    home = panda.configuration("home")
    path = home + np.array([[-0.5], [0.5]]) * np.eye(7)[6]  # the hand turns, and the rod with it
    rod = Cylinder(name="held", radius=0.006, height=1.2)
    across = Pose.turned((0, 0, 0.16), (np.pi / 2, 0, 0))
    hand = panda.link_pose(home, "panda_hand")[0]
    end = (hand @ (across @ Pose(xyz=(0, 0, 0.55))).matrix)[:3, 3]
    plate = Box(name="plate", size=(0.3, 0.001, 0.3), pose=Pose(xyz=tuple(end.tolist())))
    turned = Pose.from_matrix(hand) @ Pose.turned((0, 0, 0), (0, 0, np.pi / 2))
    plate = replace(plate, pose=replace(turned, xyz=tuple(end.tolist())))
    scene = _holding(rod, pose=across, obstacles=(plate,))
    with Certifier(panda, scene) as certifier:
        assert all(certifier.check(q).free for q in path)
        checked = certifier._sweep(path, np.zeros(len(certifier._pairs.names)))[0]
    assert checked.touch is not None


def test_a_motion_that_touches_by_half_a_millimetre_with_the_held_body_only_is_refused(panda, timed):
    rng, refused = np.random.default_rng(8), 0
    home = panda.configuration("home")
    brick = Box(name="held", size=(0.05, 0.05, 0.2))
    for _ in range(6):
        end = home + rng.normal(0, 0.3, 7)
        trajectory = timed(np.array([home, end]), 2.0)
        assert _certify(panda, _holding(brick), trajectory).valid
        q = trajectory.position[int(rng.uniform(0.2, 0.8) * len(trajectory.time))]
        bottom = Pose.from_matrix(panda.link_pose(q, "panda_hand")[0]) @ TIP @ Pose(xyz=(0, 0, 0.1))
        plate = Box(name="plate", size=(0.02, 0.02, 0.02), pose=bottom @ Pose(xyz=(0, 0, 0.01 - 0.0005)))
        assert _certify(panda, Scene(obstacles=(plate,)), trajectory).valid
        certificate = _certify(panda, _holding(brick, obstacles=(plate,)), trajectory)
        assert not certificate.valid
        assert "held touches plate" in certificate.reason
        refused += 1
    assert refused == 6


def _resting(panda, lift: float):
    """A table below a brick in the hand at home, which overlaps it by `lift` (m)."""
    home = panda.configuration("home")
    bottom = panda.link_pose(home, "panda_hand")[0] @ (TIP @ Pose(xyz=(0, 0, 0.1))).matrix
    table = Box(
        name="table",
        size=(0.4, 0.8, 0.1),
        pose=Pose(xyz=(bottom[0, 3] + 0.05, bottom[1, 3], bottom[2, 3] - 0.05 + lift)),
    )
    return home, _holding(Box(name="held", size=(0.05, 0.05, 0.2)), obstacles=(table,))


@pytest.mark.parametrize("deep", [0.0, 0.0005, 0.002])
def test_an_allowed_contact_is_exempt_up_to_its_depth_and_no_deeper(panda, timed, deep):
    home, scene = _resting(panda, deep)
    up = timed(np.array([home, home + np.array([0, -0.3, 0, 0.1, 0, 0, 0])]), 2.0)
    assert not _certify(panda, scene, up).valid
    certificate = _certify(panda, scene.allow("table", "held", deep + 0.0005), up)
    assert certificate.valid
    (exempt,) = certificate.exempt
    assert exempt.pair == ("held", "table")
    assert exempt.allowed_depth_mm == pytest.approx(1000 * deep + 0.5)
    assert exempt.deepest_mm == pytest.approx(1000 * deep, abs=0.02)
    assert exempt.until_s is None
    assert certificate.min_clearance_m > 0
    assert certificate.min_clearance_bound_m is not None
    down = timed(np.array([home, home + np.array([0, 0.03, 0, 0, 0, 0, 0])]), 2.0)
    refused = _certify(panda, scene.allow("table", "held", deep + 0.0005), down)
    assert not refused.valid
    assert f"allowed up to {1000 * deep + 0.5:g} mm" in refused.reason
    told = _certify(panda, scene.allow("table", "held"), down)
    assert told.valid
    assert told.exempt[0].allowed_depth_mm is None
    assert told.exempt[0].deepest_mm > 9


def test_an_allowance_that_is_not_used_is_not_told_and_exempts_nothing_else(panda, timed):
    home, scene = _resting(panda, -0.02)
    up = timed(np.array([home, home + np.array([0, -0.3, 0, 0.1, 0, 0, 0])]), 2.0)
    certificate = _certify(panda, scene.allow("table", "held"), up)
    assert certificate.valid
    assert certificate.exempt == ()
    _, deep = _resting(panda, 0.02)
    other = deep.allow("table", "panda_hand").allow("held", "panda_link3")
    assert "held touches table" in _certify(panda, other, up).reason


def test_a_held_body_may_not_touch_the_arm_but_where_it_is_told(panda, timed):
    bent = panda.configuration("home") + np.array([0, 0, 0, -0.5, 0, 0.3, 0])
    rod = Cylinder(name="held", radius=0.01, height=1.4)
    across = Pose.turned((0, 0, 0.16), (0, np.pi / 2, 0))
    turning = timed(np.array([bent - 0.8 * np.eye(7)[6], bent + 1.9 * np.eye(7)[6]]), 4.0)
    scene = _holding(rod, pose=across)
    reason = _certify(panda, scene, turning).reason
    assert "held" in reason
    link = next(name for name in panda.links if f"{name} touches held" in reason or f"held touches {name}" in reason)
    allowed = _certify(panda, scene.allow("held", link), turning)
    assert allowed.valid or link not in allowed.reason


def test_two_held_bodies_are_checked_against_each_other_where_they_move_apart(panda, timed):
    home = panda.configuration("home")
    hand, arm = Box(name="a", size=(0.03, 0.03, 0.3), pose=TIP), Box(name="b", size=(0.03, 0.03, 0.6))
    beside = Pose.from_matrix(
        np.linalg.inv(panda.link_pose(home, "panda_link5")[0]) @ panda.link_pose(home, "panda_hand")[0]
    )
    shift = Pose(xyz=(0.2, 0, 0.25))
    scene = Scene(
        attached=(
            Attached(obstacle=hand, link="panda_hand"),
            Attached(obstacle=replace(arm, pose=beside @ shift), link="panda_link5"),
        )
    )
    robot = robot_in(panda, scene)
    assert ("a", "b") in robot.checked_pairs
    swing = timed(
        np.array([home, home + np.array([0, 0, 0, 0, 0, -1.0, 0]), home + np.array([0, 0, 0, 0, 0, 1.0, 0])]), 4.0
    )
    reasons = [_certify(panda, scene, swing).reason]
    turned = timed(np.array([home, home + np.array([0, 0, 0, 0, 0, 1.0, 0])]), 2.0)
    reasons.append(_certify(panda, scene, turned).reason)
    assert any("a touches b" in reason or "b touches a" in reason for reason in reasons)
    together = Scene(attached=tuple(replace(body, link="panda_hand") for body in scene.attached))
    assert not any({"a", "b"} == set(pair) for pair in robot_in(panda, together).checked_pairs)


def test_the_verdict_is_the_same_wherever_the_base_stands(panda, timed):
    rng = np.random.default_rng(4)
    base = Pose.turned((3.0, -2.0, 0.7), (0.2, -0.4, 1.1))
    for _ in range(6):
        start = rng.uniform(panda.lower, panda.upper)
        trajectory = timed(np.array([start, np.clip(start + rng.normal(0, 0.2, 7), panda.lower, panda.upper)]), 2.0)
        here = _holding(Box(name="held", size=(0.05, 0.05, 0.15)), obstacles=_boxes(rng))
        there = replace(here, robot_base=base, obstacles=tuple(replace(o, pose=base @ o.pose) for o in here.obstacles))
        one, other = _certify(panda, here, trajectory), _certify(panda, there, trajectory)
        assert one.valid == other.valid
        if one.valid:
            assert one.min_clearance_m == pytest.approx(other.min_clearance_m, abs=1e-5)


def test_a_held_body_within_the_wall_of_a_hollow_mesh_is_inside(panda, tmp_path):
    block = trimesh.creation.box(extents=(0.4, 0.4, 0.4))
    block.export(tmp_path / "block.stl")
    home = panda.configuration("home")
    far = Pose(xyz=(0, 0, 0.6))
    middle = (panda.link_pose(home, "panda_hand")[0] @ far.matrix)[:3, 3]
    solid = Mesh(name="block", file=tmp_path / "block.stl", pose=Pose(xyz=tuple(middle.tolist())))
    scene = _holding(Sphere(name="held", radius=0.01), pose=far, obstacles=(solid,))
    with Certifier(panda, scene) as certifier:
        assert certifier.check(home).contact == "held is inside block"
    with Certifier(panda, scene.allow("held", "block")) as certifier:
        assert certifier.check(home).free
    with Certifier(panda, scene.allow("held", "block", 0.03)) as certifier:
        assert not certifier.check(home).free


def test_a_urdf_is_held_with_all_its_links(panda, tmp_path):
    links = (
        "<link name='a'><collision><geometry><box size='0.04 0.04 0.1'/></geometry></collision></link>"
        "<link name='b'><collision><geometry><sphere radius='0.05'/></geometry></collision></link>"
    )
    joint = (
        "<joint name='j' type='prismatic'><parent link='a'/><child link='b'/><axis xyz='0 0 1'/>"
        "<limit lower='0' upper='1' effort='1' velocity='1'/></joint>"
    )
    (tmp_path / "thing.urdf").write_text(f"<robot name='thing'>{links}{joint}</robot>")
    home = panda.configuration("home")
    at = panda.link_pose(home, "panda_hand")[0] @ (TIP @ Pose(xyz=(0, 0, 0.4))).matrix
    ball = Sphere(name="ball", radius=0.02, pose=Pose(xyz=tuple(at[:3, 3].tolist())))
    for out, free in ((0.4, False), (0.2, True)):
        thing = Urdf(name="held", file=tmp_path / "thing.urdf", joints={"j": out})
        with Certifier(panda, _holding(thing, obstacles=(ball,))) as certifier:
            assert certifier.check(home).free == free


def test_a_client_that_is_used_again_holds_nothing_from_before(panda):
    home = panda.configuration("home")
    at = panda.link_pose(home, "panda_hand")[0] @ TIP.matrix
    ball = Sphere(name="ball", radius=0.02, pose=Pose(xyz=tuple(at[:3, 3].tolist())))
    brick = Box(name="held", size=(0.02, 0.02, 0.3))
    for _ in range(2):
        with Certifier(panda, _holding(brick, obstacles=(ball,))) as certifier:
            assert certifier.check(home).contact
        with Certifier(panda, Scene(obstacles=(ball,))) as certifier:
            client = certifier._client
            assert certifier.check(home).free
        assert client in [stage.client for stage in Stage._idle]


def test_a_plane_may_be_touched_up_to_a_depth(panda, timed):
    home, scene = _resting(panda, 0.0)
    level = scene.obstacles[0].pose.xyz[2] + 0.05
    floor = replace(scene, obstacles=(Plane(name="floor", pose=Pose(xyz=(0, 0, level))),))
    up = timed(np.array([home, home + np.array([0, -0.3, 0, 0.1, 0, 0, 0])]), 2.0)
    bottom = floor.allow("held", "floor", 0.0005)
    for link in panda.links:  # the plane is higher than the base
        bottom = bottom.allow(link, "floor")
    assert _certify(panda, bottom, up).valid


def test_a_certifier_refuses_a_scene_that_holds_what_the_robot_cannot(panda):
    with pytest.raises(InputError, match="no link 'hand'"):
        Certifier(panda, Scene(attached=(Attached(obstacle=Box(name="b", size=(0.1, 0.1, 0.1)), link="hand"),)))
