"""What a robot holds: taking and putting down, the robot that holds it, and what planners see of it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh

import diffplan as dp
from diffplan.collision.cpu import CollisionModel
from diffplan.collision.obstacles import Obstacles
from diffplan.collision.torch_backend import TorchCollision
from diffplan.errors import InputError
from diffplan.geometry.convex import ConvexUnion
from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import Box, Capsule, Cylinder, Mesh, Plane, Sphere
from diffplan.planners import PLANNERS
from diffplan.planners.task import packed
from diffplan.problem import robot_in
from diffplan.robot.held import HeldBody
from diffplan.robot.model import Robot
from diffplan.scene import AllowedContact, Attached, Scene

BRICK = Box(name="brick", size=(0.05, 0.06, 0.14))


@pytest.fixture(scope="module")
def panda() -> Robot:
    return Robot.load("panda")


@pytest.fixture(scope="module")
def mug(tmp_path_factory) -> Mesh:
    """A closed cup with a wall of 5 mm: hollow as an obstacle, its hull when it is held."""
    cup = trimesh.creation.annulus(r_min=0.03, r_max=0.035, height=0.1)
    file = tmp_path_factory.mktemp("meshes") / "mug.obj"
    cup.export(file)
    return Mesh(name="mug", file=file)


def _in_hand(robot: Robot, q: np.ndarray, obstacle, xyz=(0.0, 0.0, 0.03)) -> Scene:
    """A scene in which an obstacle lies between the fingers at q."""
    pose = Pose.from_matrix(robot.link_pose(q, robot.tool_frame.link)[0]) @ Pose(xyz=xyz)
    return Scene(robot_base=Pose(xyz=(0.3, -0.2, 0.1)), obstacles=()).add(
        replace(obstacle, pose=Pose(xyz=(0.3, -0.2, 0.1)) @ pose)
    )


def test_what_is_attached_is_put_down_where_it_was_if_the_robot_did_not_move(panda):
    q = panda.configuration("home")
    scene = _in_hand(panda, q, BRICK)
    held = scene.attach("brick", robot=panda, q=q)
    assert held.obstacles == ()
    assert held.attached[0].link == "panda_grasptarget"
    np.testing.assert_allclose(held.attached[0].obstacle.pose.xyz, (0, 0, 0.03), atol=1e-12)
    back = held.detach("brick", robot=panda, q=q)
    assert back.attached == ()
    np.testing.assert_allclose(
        back.obstacle("brick").pose.matrix, scene.obstacle("brick").pose.matrix, rtol=0, atol=1e-12
    )


def test_what_is_held_moves_with_the_link(panda):
    rng, home = np.random.default_rng(3), panda.configuration("home")
    held = _in_hand(panda, home, BRICK).attach("brick", robot=panda, q=home)
    robot = robot_in(panda, held)
    for q in rng.uniform(panda.lower, panda.upper, (5, 7)):
        put = held.detach("brick", robot=panda, q=q).obstacle("brick").pose
        pose = held.robot_base.matrix @ robot.link_pose(q, "brick")[0]
        np.testing.assert_allclose(put.matrix, pose, rtol=0, atol=1e-12)
        ours = robot.forward_kinematics(torch.from_numpy(q[None]))["brick"][0].numpy()
        np.testing.assert_allclose(ours, robot.link_pose(q, "brick")[0], rtol=0, atol=1e-9)


def test_the_robot_that_holds_something_is_the_same_robot_with_one_more_link(panda):
    held = Scene(attached=(Attached(obstacle=BRICK, link="panda_hand"),))
    robot = robot_in(panda, held)
    assert robot.links == (*panda.links, "brick")
    assert robot.fingerprint == panda.fingerprint
    assert robot_in(robot, held) is robot
    empty = robot_in(robot, Scene())
    assert empty.links == panda.links
    assert np.array_equal(empty.spheres.centre, panda.spheres.centre)
    assert packed(robot) is not packed(panda)
    assert packed(robot_in(panda, held)) is packed(robot)
    assert robot.turned(panda.upper).fingerprint == panda.fingerprint


def test_a_held_body_is_checked_against_all_links_that_move_against_it_but_those_that_may_touch_it(panda):
    default = robot_in(panda, Scene(attached=(Attached(obstacle=BRICK, link="panda_hand"),)))
    told = replace(Attached(obstacle=BRICK, link="panda_hand"), may_touch=("panda_link5",))
    other = robot_in(panda, Scene(attached=(told,)))
    against = {a for a, b in default.checked_pairs if b == "brick"}
    assert against == {f"panda_link{i}" for i in range(7)}
    assert {a for a, b in other.certified_pairs if b == "brick"} == set(panda.links) - {"panda_link5"}
    assert ("panda_hand", "brick") not in default.certified_pairs
    assert [p for p in default.checked_pairs if "brick" not in p] == list(panda.checked_pairs)


@pytest.mark.parametrize(
    "shape",
    [
        Box(name="held", size=(0.1, 0.08, 0.2)),
        Box(name="held", size=(0.3, 0.2, 0.004)),
        Cylinder(name="held", radius=0.04, height=0.12),
        Cylinder(name="held", radius=0.008, height=1.0),
        Sphere(name="held", radius=0.06),
        Capsule(name="held", radius=0.02, height=0.2),
        "mug",
    ],
    ids=lambda shape: shape if isinstance(shape, str) else f"{shape.kind} {shape.sizes}",
)
def test_few_spheres_cover_what_is_held_as_far_as_they_say(shape, mug):
    shape = mug if shape == "mug" else shape
    body = HeldBody.of("held", "hand", Pose(), (shape,), ())
    fit = body.spheres
    assert len(fit.radius) <= 130
    assert fit.outside <= 0.013
    assert fit.uncovered <= 0.008
    surface = trimesh.sample.sample_surface(shape.surface().convex_hull, 4000, seed=1)[0]
    gaps = np.linalg.norm(surface[:, None] - fit.centre, axis=2) - fit.radius
    assert gaps.min(axis=1).max() <= fit.uncovered + 0.0015  # measured at other points
    rng = np.random.default_rng(0)
    way = rng.normal(size=(200, 3))
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    on_spheres = (fit.centre[:, None] + fit.radius[:, None, None] * way).reshape(-1, 3)
    away = ConvexUnion(parts=(shape.surface().convex_hull,)).distance(on_spheres)
    assert away.max() <= fit.outside + 3e-4


def test_a_thing_too_large_for_fine_spheres_says_how_coarse_its_spheres_are(panda):
    wardrobe = Box(name="wardrobe", size=(1.0, 0.8, 0.6))
    robot = robot_in(panda, Scene(attached=(Attached(obstacle=wardrobe, link="panda_hand"),)))
    assert robot.spheres.outside > panda.spheres.outside
    assert len(robot.spheres.radius) < len(panda.spheres.radius) + 260
    assert robot.empty_handed.spheres.outside == panda.spheres.outside


def test_the_kernel_and_its_twin_see_what_is_held_and_what_may_touch(panda):
    rng, low = np.random.default_rng(5), replace(BRICK, pose=Pose(xyz=(0, 0, 0.13)))
    boxes = [
        Box(name=f"b{i}", size=tuple(rng.uniform(0.05, 0.3, 3)), pose=Pose(xyz=tuple(rng.uniform(-0.6, 0.7, 3))))
        for i in range(8)
    ]
    held = Scene(obstacles=tuple(boxes), attached=(Attached(obstacle=low, link="panda_hand"),))
    scene = held.allow("panda_hand", "b1").allow("panda_link5", "brick").allow("brick", "b1")
    for i in (0, 2, 3, 4, 5):
        scene = scene.allow("brick", f"b{i}", 0.002 * (i + 1))
    robot, q = robot_in(panda, scene), rng.uniform(panda.lower, panda.upper, (4, 16, 7))
    world = Obstacles.around(robot, scene)
    for kind, rtol in ((np.float64, 1e-7), (np.float32, 2e-3)):
        ours = CollisionModel(robot).evaluate(world, q.astype(kind), activation=0.1, self_activation=0.05)
        twin = TorchCollision(robot).evaluate(world, q, activation=0.1, self_activation=0.05)
        np.testing.assert_allclose(ours.clearance, twin.clearance, rtol=rtol, atol=rtol)
        np.testing.assert_allclose(ours.self_clearance, twin.self_clearance, rtol=rtol, atol=rtol)
        np.testing.assert_allclose(ours.cost, twin.cost, rtol=10 * rtol, atol=rtol)
        np.testing.assert_allclose(ours.gradient, twin.gradient, rtol=10 * rtol, atol=10 * rtol)
    plain = CollisionModel(panda).evaluate(Obstacles.around(panda, held), q, activation=0.1)
    seen = CollisionModel(robot_in(panda, held)).evaluate(Obstacles.around(panda, held), q, activation=0.1)
    assert (seen.clearance <= plain.clearance).all()
    assert (seen.clearance < plain.clearance).any()
    allowed = CollisionModel(robot).evaluate(world, q, activation=0.1)
    assert (allowed.clearance >= seen.clearance).all()
    assert (allowed.cost <= seen.cost).all()
    assert (allowed.cost < 0.9 * seen.cost).any()
    flat = q.reshape(-1, 7)
    near, far = (model.nearest(world, flat, reach=0.1) for model in (CollisionModel(robot), TorchCollision(robot)))
    np.testing.assert_allclose(near.distance, far.distance, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("planner", PLANNERS)
def test_every_planner_carries_what_is_held_round_a_wall_that_the_hand_alone_clears(panda, planner):
    """The wall is below the hand all along the straight way, and the brick hangs lower than it."""
    start = panda.configuration("home")
    goal = start + np.array([0.9, 0, 0, 0, 0, 0, 0])
    tool = panda.link_pose(start + np.array([0.45, 0, 0, 0, 0, 0, 0]), "panda_grasptarget")[0]
    wall = Box(name="wall", size=(0.2, 0.04, 0.08), pose=Pose.turned((*tool[:2, 3], tool[2, 3] - 0.09), (0, 0, 0.45)))
    long = Box(name="long", size=(0.03, 0.03, 0.18), pose=Pose(xyz=(0, 0, 0.07)))
    held = Scene(obstacles=(wall,), attached=(Attached(obstacle=long, link="panda_grasptarget"),))
    free = dp.plan(panda, Scene(obstacles=(wall,)), start, goal, planner="straight")
    assert free.solved
    slow = planner == "rrtstar"  # one tree of its own: it may find nothing in this time
    found = dp.plan(panda, held, start, goal, planner=planner, timeout=2.0 if slow else 8.0, fallback=False)
    if planner == "straight":
        assert not found.solved
        assert "long touches wall" in found.message
        return
    if slow and found.status is dp.Status.NO_PATH_FOUND:
        return
    assert found.solved
    assert found.certificate is not None
    assert found.certificate.attached == ("long",)
    assert found.robot.links[-1] == "long"


def test_a_start_in_contact_names_the_pair_and_the_way_to_allow_it(panda):
    home = panda.configuration("home")
    low = panda.link_pose(home, "panda_grasptarget")[0][2, 3] - 0.03 - 0.07
    table = Box(name="table", size=(1.0, 1.4, 0.1), pose=Pose(xyz=(0.7, 0.0, low - 0.05)))
    held = Scene(obstacles=(table,)).add(
        replace(BRICK, pose=Pose.from_matrix(panda.link_pose(home, "panda_grasptarget")[0]) @ Pose(xyz=(0, 0, 0.03)))
    )
    held = held.attach("brick", robot=panda, q=home)
    goal = home + np.array([0.6, -0.1, 0, 0, 0, 0, 0])
    refused = dp.plan(panda, held, home, goal, planner="rrtconnect")
    assert refused.status is dp.Status.START_IN_COLLISION
    assert 'scene.allow("brick", "table", depth_m=0.0' in refused.message
    assert "allowed_contacts" in refused.message
    plan = dp.plan(panda, held.allow("table", "brick", 0.001), home, goal, planner="rrtconnect")
    assert plan.solved
    assert "contact allowed: brick and table, at most 0." in plan.message
    (exempt,) = plan.certificate.exempt
    assert exempt.pair == ("brick", "table")
    assert exempt.allowed_depth_mm == 1.0
    assert exempt.deepest_mm <= 1.0
    assert plan.certificate.min_clearance_m > 0
    assert "brick" not in (plan.certificate.closest.link, plan.certificate.closest.obstacle)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Attached(obstacle=Plane(name="floor"), link="hand"), "no end cannot be held"),
        (lambda: Attached(obstacle="mug", link="hand"), "attached"),
        (lambda: AllowedContact(pair=("a", "a")), "not a pair"),
        (lambda: AllowedContact(pair=("a",)), "not a pair"),
        (lambda: AllowedContact(pair=("a", "b"), depth_m=0.0), "not a positive finite depth"),
        (lambda: AllowedContact(pair=("a", "b"), depth_m=0.06), "not a positive finite depth"),
        (lambda: Scene(obstacles=(BRICK,), attached=(Attached(obstacle=BRICK, link="hand"),)), "names must be unique"),
        (
            lambda: Scene(allowed_contacts=(AllowedContact(pair=("a", "b")), AllowedContact(pair=("b", "a")))),
            "allowed twice",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(make, says):
    with pytest.raises(InputError, match=says):
        make()


@pytest.mark.parametrize(
    ("scene", "says"),
    [
        (Scene(attached=(Attached(obstacle=BRICK, link="panda_hnd"),)), r"no link 'panda_hnd'.*panda_hand"),
        (Scene(attached=(Attached(obstacle=BRICK, link="panda_hand", may_touch=("thumb",)),)), "no link 'thumb'"),
        (
            Scene(attached=(Attached(obstacle=replace(BRICK, name="panda_link4"), link="panda_hand"),)),
            "has a link of this name",
        ),
        (Scene(obstacles=(BRICK,)).allow("brik", "panda_hand"), r"nothing is named 'brik'.*brick"),
        (
            Scene(obstacles=(replace(BRICK, name="panda_link4"), BRICK)).allow("panda_link4", "brick"),
            "an obstacle, and a link of panda",
        ),
    ],
)
def test_a_scene_that_holds_or_allows_what_is_not_there_is_refused(panda, scene, says):
    with pytest.raises(InputError, match=says):
        robot_in(panda, scene)


def test_what_is_not_held_cannot_be_put_down(panda):
    with pytest.raises(InputError, match="no held object 'brick'"):
        Scene(obstacles=(BRICK,)).detach("brick", robot=panda, q=panda.configuration("home"))
    with pytest.raises(InputError, match="one configuration"):
        Scene(obstacles=(BRICK,)).attach("brick", robot=panda, q=np.zeros((2, 7)))


def test_allowing_a_pair_again_replaces_what_was_allowed_and_removing_a_body_forgets_it():
    scene = Scene(obstacles=(BRICK,)).allow("brick", "panda_hand").allow("panda_hand", "brick", 0.002)
    assert [contact.depth_m for contact in scene.allowed_contacts] == [0.002]
    assert scene.remove("brick").allowed_contacts == ()
