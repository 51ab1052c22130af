"""Robots as trees: every forward kinematics agrees on random trees, and nothing that belongs to a robot goes unseen."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from diffplan.certificate.bullet import connection
from diffplan.certificate.certifier import Certifier
from diffplan.certificate.frames import link_frame
from diffplan.certificate.limits import check_limits
from diffplan.certificate.motion_bound import body_poses, cover, travel
from diffplan.certificate.pair_table import Pairs
from diffplan.certificate.world import load_robot_body
from diffplan.collision.cpu import CollisionModel, Obstacles
from diffplan.collision.torch_backend import TorchCollision
from diffplan.costs.terms import tilt
from diffplan.errors import InputError
from diffplan.formats.robot_file import load_robot
from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import Sphere
from diffplan.ik import inverse_kinematics, solve_poses
from diffplan.problem import Problem, Trajectory
from diffplan.robot.model import CollisionSpheres, Robot
from diffplan.scene import Scene

JOINT = (
    '<joint name="{name}" type="{kind}"><parent link="{parent}"/><child link="{child}"/>'
    '<origin xyz="{xyz}" rpy="{rpy}"/><axis xyz="{axis}"/>{limit}{mimic}</joint>'
)
LIMIT = '<limit lower="-1.2" upper="1.5" effort="9" velocity="1"/>'
LINK = '<link name="{}"><collision><origin xyz="{}"/><geometry>{}</geometry></collision></link>'


def words(values) -> str:
    return " ".join(f"{value:.6f}" for value in values)


def write(folder: Path, joints: list[str], links: list[str], *, planned, held="", base="l0", end=None) -> Robot:
    """Write a robot of these parts and read it."""
    (folder / "robot.urdf").write_text(f'<robot name="tree">{"".join(links)}{"".join(joints)}</robot>')
    rates = "{velocity: 2, acceleration: 8, jerk: 300}"
    (folder / "robot.yaml").write_text(
        "format: diffplan/robot@1\nname: tree\nurdf: {file: robot.urdf}\n"
        f"base_link: {base}\nend_link: {end or base}\njoints:\n"
        + "".join(f"  {name}: {rates}\n" for name in planned)
        + f"held_joints: {{{held}}}\nconfigurations: {{}}\ncollision: collision.yaml\n"
    )
    return load_robot(folder, collision=False)


@st.composite
def trees(draw) -> tuple[int, int, list[str]]:
    """A seed, the number of links, and the kinds of their joints."""
    links = draw(st.integers(4, 9))
    kinds = draw(
        st.lists(
            st.sampled_from(["revolute", "continuous", "prismatic", "fixed", "mimic"]),
            min_size=links - 1,
            max_size=links - 1,
        )
    )
    return draw(st.integers(0, 10**6)), links, kinds


def random_robot(folder: Path, seed: int, links: int, kinds: list[str]) -> Robot | None:
    """A random tree: its planning joints lie on one random path, mimics follow any joint, the base is any link."""
    rng = np.random.default_rng(seed)
    parent = [0, *(int(rng.integers(max(0, i - 3), i)) for i in range(1, links))]
    movable = [i for i, kind in enumerate(kinds, start=1) if kind in ("revolute", "continuous", "prismatic")]
    path = [links - 1]
    while path[0] != 0:
        path.insert(0, parent[path[0]])
    planned = [i for i in path if i in movable]
    if not planned:
        return None
    base = path[int(rng.integers(0, path.index(planned[0])))]
    joints, shapes = [], []
    for i in range(links):
        size = rng.uniform(0.03, 0.1, 3)
        shape = f'<box size="{words(size)}"/>' if i % 2 else f'<sphere radius="{size[0]:.4f}"/>'
        shapes.append(LINK.format(f"l{i}", words(rng.normal(scale=0.05, size=3)), shape))
    held = []
    for i, kind in enumerate(kinds, start=1):
        mimic = ""
        if kind == "mimic":
            leader = int(rng.choice(movable))
            mimic = f'<mimic joint="j{leader}" multiplier="{rng.normal():.4f}" offset="{rng.normal():.4f}"/>'
        written = str(rng.choice(["revolute", "prismatic"])) if kind == "mimic" else kind
        limit = "" if kind in ("continuous", "fixed", "mimic") else LIMIT
        joints.append(
            JOINT.format(
                name=f"j{i}",
                kind=written,
                parent=f"l{parent[i]}",
                child=f"l{i}",
                xyz=words(rng.normal(scale=0.2, size=3)),
                rpy=words(rng.normal(size=3)),
                axis=words(rng.normal(size=3)),
                limit=limit,
                mimic=mimic,
            )
        )
        if i in movable and i not in planned:
            held.append(f"j{i}: {rng.uniform(-1, 1):.4f}")
    order = rng.permutation(len(joints))
    try:
        return write(
            folder,
            [joints[i] for i in order],
            shapes,
            planned=[f"j{i}" for i in planned],
            held=", ".join(held),
            base=f"l{base}",
            end=f"l{links - 1}",
        )
    except InputError as error:
        if "follow them, hang on the base link" not in str(error):  # a follower that would move the base
            raise
        return None


def with_spheres(robot: Robot) -> Robot:
    """The robot with one sphere on every link."""
    count = len(robot.links)
    centre = np.random.default_rng(5).normal(scale=0.05, size=(count, 3))
    spheres = CollisionSpheres(links=robot.links, link=np.arange(count), centre=centre, radius=np.full(count, 0.03))
    return replace(robot, spheres=spheres)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tree=trees())
def test_every_forward_kinematics_agrees_on_random_trees(tmp_path_factory, tree):
    bare = random_robot(tmp_path_factory.mktemp("tree"), *tree)
    if bare is None:
        return
    robot = with_spheres(bare)
    q = np.random.default_rng(1).uniform(robot.lower, robot.upper, (8, robot.dof))
    ours = {link: robot.link_pose(q, link) for link in robot.links}
    reference = robot.forward_kinematics(torch.from_numpy(q))
    for link in robot.links:
        np.testing.assert_allclose(ours[link], reference[link].numpy(), atol=1e-9)
    np.testing.assert_allclose(body_poses(robot, q), robot.body_poses(q), atol=1e-12)  # the certificate's own
    base = Pose.from_rpy((0.3, -0.2, 0.1), (0.1, 0.2, -0.7))
    with connection() as client:
        body = load_robot_body(client, robot, base)
        for i, configuration in enumerate(q):
            body.place(configuration)
            for link in robot.links:
                theirs = link_frame(client, body.body, body.links[link]).matrix
                np.testing.assert_allclose(base.matrix @ ours[link][i], theirs, atol=1e-5)
    model = CollisionModel(robot)
    far = Sphere(name="far", radius=0.1, pose=Pose(xyz=(0.2, 0.1, 0.3)))
    world = Obstacles.pack([Scene(obstacles=(far,))])
    asked = {"activation": 2.0, "self_activation": 1.0}
    kernel, torched = (backend.evaluate(world, q[None], **asked) for backend in (model, TorchCollision(robot)))
    for name in ("cost", "gradient", "clearance", "self_clearance"):
        np.testing.assert_allclose(getattr(kernel, name), getattr(torched, name), atol=1e-8)
    found, force = model.nearest(world, q, reach=1.0), np.random.default_rng(3).normal(size=(8, len(robot.links), 3))
    pulled = TorchCollision(robot).pull_back(q, force)
    np.testing.assert_allclose(model.pull_back(q, force), pulled, atol=1e-8)
    for i, link in enumerate(robot.links):
        expected = ours[link][:, :3, :3] @ robot.spheres.centre[i] + ours[link][:, :3, 3]
        np.testing.assert_allclose(found.centre[:, i], expected, atol=1e-9)
    tips = ours[robot.end_link]
    again, solved = solve_poses(robot, tips, q, tolerance=1e-9)
    assert solved.all()  # the seeds are solutions already: its own kinematics agree
    np.testing.assert_array_equal(again, q)
    step, jacobian = 1e-6, robot.jacobian(torch.from_numpy(q), robot.end_link).numpy()
    moved = [k for k in range(robot.dof) if robot.chain.carried[robot.chain.placement[robot.end_link][0]].any()]
    for column, k in enumerate(moved[: jacobian.shape[2]]):
        shift = step * np.eye(robot.dof)[k]
        ways = robot.link_pose(q + shift, robot.end_link) - robot.link_pose(q - shift, robot.end_link)
        np.testing.assert_allclose(jacobian[:, :3, column], ways[:, :3, 3] / (2 * step), atol=1e-6)
    up = np.array([np.linalg.inv(tips[0][:3, :3]) @ [0, 0, 1]])
    tilts = np.arccos(np.clip(np.einsum("nij,j->ni", tips[:, :3, :3], up[0])[:, 2], -1, 1))
    np.testing.assert_allclose(tilt(robot, q, link=robot.end_link), tilts, atol=1e-6)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tree=trees())
def test_no_two_links_of_a_random_tree_move_farther_against_each_other_than_the_bound(tmp_path_factory, tree):
    robot = random_robot(tmp_path_factory.mktemp("tree"), *tree)
    if robot is None:
        return
    rng, shapes = np.random.default_rng(2), cover(robot)
    path = np.cumsum(rng.normal(scale=0.3, size=(7, robot.dof)), axis=0) + rng.uniform(robot.lower, robot.upper)
    obstacle = Sphere(name="ball", radius=0.1)
    pairs = Pairs.of(robot, Scene(obstacles=(obstacle,)), shapes)
    bound = pairs.travel(travel(robot, shapes, path))[-1]
    dense = np.stack([np.interp(np.linspace(0, 6, 241), np.arange(7), joint) for joint in path.T], axis=1)
    corners = {
        link: np.concatenate([part for shape in robot.model.collisions[link] for part in shape.corners()])
        for link in robot.links
    }

    def way(frame: np.ndarray, link: str) -> float:
        T = np.linalg.inv(frame) @ robot.link_pose(dense, link)
        points = np.einsum("nij,pj->npi", T[:, :3, :3], corners[link]) + T[:, None, :3, 3]
        return float(np.linalg.norm(np.diff(points, axis=0), axis=2).sum(axis=0).max())

    for (a, b), most in zip(pairs.names, bound, strict=True):
        if b == "ball":
            assert way(np.eye(4), a) <= most + 1e-9
        else:  # seen from the one, the other moves no more than both do against what they hang on
            assert way(robot.link_pose(dense, a), b) <= most * 1.0 + _turning(robot, dense, a, b) + 1e-9


def _turning(robot: Robot, dense: np.ndarray, a: str, b: str) -> float:
    """How much farther points of b may go as seen from a, because a turns: what clearances do not depend on."""
    one, other = (robot.chain.carried[robot.chain.placement[link][0]] for link in (a, b))
    return np.inf if (one & ~other).any() and (other & ~one).any() else 0.0


def arm(folder: Path, *, head="0.0", extra_joint="", extra_link="") -> Robot:
    """A turning arm on a post; a head on a side branch of the post, and a second tip that follows the arm's joint."""
    joints = [
        JOINT.format(name="post", kind="fixed", parent="world", child="l0", xyz="0 0 0.1", rpy="0 0 0", axis="0 0 1",
                     limit="", mimic=""),
        JOINT.format(name="turn", kind="continuous", parent="l0", child="arm", xyz="0 0 0.3", rpy="0 0 0",
                     axis="0 0 1", limit="", mimic=""),
        JOINT.format(name="nod", kind="prismatic", parent="world", child="head", xyz="0 0.5 0.4", rpy="0 0 0",
                     axis="0 0 1", limit=LIMIT, mimic=""),
        JOINT.format(name="spin", kind="revolute", parent="l0", child="flag", xyz="0 0 0.6", rpy="0 0 0",
                     axis="0 0 1", limit="", mimic='<mimic joint="turn" multiplier="-2" offset="0.5"/>'),
        extra_joint,
    ]  # fmt: skip
    box = '<box size="0.5 0.04 0.04"/>'
    links = [
        LINK.format("world", "0 0 0", '<box size="0.3 0.3 0.02"/>'),
        LINK.format("l0", "0 0 0.1", '<cylinder radius="0.03" length="0.2"/>'),
        LINK.format("arm", "0.3 0 0", box),
        LINK.format("head", "0 0 0", '<sphere radius="0.06"/>'),
        LINK.format("flag", "0.3 0 0", box),
        extra_link,
    ]
    return write(folder, joints, links, planned=["turn"], held=f"nod: {head}", end="arm")


def test_a_link_off_the_chain_is_a_body_that_the_arm_keeps_clear_of(tmp_path):
    robot = arm(tmp_path)
    assert set(robot.links) == {"world", "l0", "arm", "head", "flag"}
    assert robot.chain.placement["head"][0] == robot.chain.placement["world"][0] == 0
    with Certifier(robot, Scene()) as certifier:
        assert certifier.check(np.array([0.0])).free
        check = certifier.check(np.array([np.pi / 2]))
        assert set(check.self_links) == {"arm", "head"}
        assert not check.free
        swing = _motion(np.array([0.0]), np.array([np.pi]))
        assert "arm" in certifier.certify(swing, start=swing.position[0], goals=swing.position[-1:]).reason
    raised = robot.with_held({"nod": 0.3})
    with Certifier(raised, Scene()) as certifier:  # above the arm, and below the flag
        assert certifier.check(np.array([np.pi / 2])).free


def test_a_follower_of_a_planning_joint_moves_with_it_and_is_kept_clear_of_obstacles(tmp_path):
    robot = arm(tmp_path).with_held({"nod": -0.6})
    q = np.array([0.75])  # the flag stands at -1
    tip = robot.link_pose(q, "flag")[0] @ [0.55, 0, 0, 1]
    np.testing.assert_allclose(tip[:2], 0.55 * np.array([np.cos(-1.0), np.sin(-1.0)]), atol=1e-9)
    x, y, z = tip[:3].tolist()
    with Certifier(robot, Scene(obstacles=(Sphere(name="ball", radius=0.05, pose=Pose(xyz=(x, y, z))),))) as certifier:
        check = certifier.check(q)
        assert (check.link, check.obstacle) == ("flag", "ball")
        assert not check.free
        assert certifier.check(np.array([-0.75])).free
        swing = _motion(np.array([0.0]), np.array([1.5]))
        assert (
            "flag touches ball" in certifier.certify(swing, start=swing.position[0], goals=swing.position[-1:]).reason
        )


def test_a_follower_can_be_neither_held_nor_planned_for(tmp_path):
    robot = arm(tmp_path)
    file = tmp_path / "robot.yaml"
    text = file.read_text()
    file.write_text(text.replace("{nod: 0.0}", "{nod: 0.0, spin: 0.5}"))
    with pytest.raises(InputError, match=r"spin follows turn \(mimic\), which is planned for: it cannot be held"):
        load_robot(tmp_path, collision=False)
    urdf = tmp_path / "robot.urdf"
    urdf.write_text(urdf.read_text().replace('<mimic joint="turn"', '<limit lower="-9" upper="9"/><mimic joint="turn"'))
    file.write_text(text.replace("  turn: {", "  spin: {").replace("end_link: arm", "end_link: flag"))
    with pytest.raises(InputError, match="spin mimics turn: joints that follow others cannot be planned for"):
        load_robot(tmp_path, collision=False)
    assert "spin" not in robot.still_joints


def test_planning_joints_keep_the_limits_of_what_follows_them(tmp_path):
    follower = JOINT.format(name="tip", kind="prismatic", parent="arm", child="tip", xyz="0.6 0 0", rpy="0 0 0",
                            axis="1 0 0", limit='<limit lower="0" upper="0.05" effort="1" velocity="1"/>',
                            mimic='<mimic joint="turn" multiplier="-0.1" offset="0.02"/>')  # fmt: skip
    robot = arm(tmp_path, extra_joint=follower, extra_link=LINK.format("tip", "0 0 0", '<sphere radius="0.01"/>'))
    np.testing.assert_allclose([robot.lower[0], robot.upper[0]], [-0.3, 0.2])


def test_a_joint_above_the_base_link_cannot_be_planned_for(tmp_path):
    arm(tmp_path)
    file = tmp_path / "robot.yaml"
    file.write_text(file.read_text().replace("base_link: l0", "base_link: arm"))
    with pytest.raises(InputError, match="hang on the base link"):
        load_robot(tmp_path, collision=False)


def _motion(start: np.ndarray, goal: np.ndarray, duration: float = 8.0) -> Trajectory:
    time = np.linspace(0, duration, round(duration / 0.01) + 1)
    x = (time / duration)[:, None]
    way = goal - start
    return Trajectory(
        time=time,
        position=start + (10 * x**3 - 15 * x**4 + 6 * x**5) * way,
        velocity=(30 * x**2 - 60 * x**3 + 30 * x**4) * way / duration,
        acceleration=(60 * x - 180 * x**2 + 120 * x**3) * way / duration**2,
    )


def test_a_continuous_joint_takes_goals_at_the_nearest_turn_and_starts_at_any(tmp_path):
    robot = arm(tmp_path)
    assert (robot.lower[0], robot.upper[0]) == (-2 * np.pi, 2 * np.pi)
    assert robot.limits == (-np.inf, np.inf)
    problem = Problem(robot=robot, scene=Scene(), start=np.array([3.0]), goals=np.array([[-3.0], [2.5]]))
    np.testing.assert_allclose(problem.goals, [[2 * np.pi - 3.0], [2.5]])
    assert problem.robot is robot
    away = Problem(robot=robot, scene=Scene(), start=np.array([103.0]), goals=np.array([[-3.0]]))
    assert abs(away.goals[0, 0] - 103.0) <= np.pi
    assert away.robot.lower[0] <= 103.0 - np.pi < 103.0 + np.pi <= away.robot.upper[0]
    np.testing.assert_allclose(away.robot.normalise(away.start), robot.normalise(away.start - 32 * np.pi))
    assert not robot.joints_outside(np.array([1000.0]))


def test_the_certificate_takes_a_goal_at_another_turn_of_a_continuous_joint_only(tmp_path):
    robot = arm(tmp_path)
    motion = _motion(np.array([3.0]), np.array([2 * np.pi - 3.0]))
    found = check_limits(robot, motion, start=motion.position[0], goals=np.array([[1.0], [-3.0]]))
    assert found.reason == ""
    assert found.goal_index == 1
    assert found.goal_error_rad < 1e-9
    file = tmp_path / "robot.urdf"
    file.write_text(file.read_text().replace('type="continuous">', 'type="revolute"><limit lower="-7" upper="7"/>'))
    turning = load_robot(tmp_path, collision=False)
    assert (
        "away from the nearest goal"
        in check_limits(turning, motion, start=motion.position[0], goals=np.array([[-3.0]])).reason
    )


def test_inverse_kinematics_gives_each_solution_at_one_turn_the_nearest(tmp_path):
    robot = arm(tmp_path)
    goal = Pose.from_matrix(robot.link_pose(np.array([2.9]), "arm")[0])
    rng = np.random.default_rng(0)
    np.testing.assert_allclose(inverse_kinematics(robot, goal, Pose(), rng=rng), [[2.9]], atol=1e-3)
    for near in (-2.9, 47.0):
        (found,) = inverse_kinematics(robot, goal, Pose(), rng=rng, near=np.array([near]))
        assert abs(found[0] - near) <= np.pi + 1e-6
        assert np.cos(found[0] - 2.9) == pytest.approx(1.0)


def test_a_joint_without_limits_is_refused_where_it_is_planned_for(tmp_path):
    arm(tmp_path)
    file = tmp_path / "robot.urdf"
    file.write_text(file.read_text().replace('type="continuous"', 'type="revolute"'))
    with pytest.raises(InputError, match=r"turn is revolute and needs position limits.*<limit lower="):
        load_robot(tmp_path, collision=False)
