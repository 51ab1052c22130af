"""The door of the public API: whatever is passed is taken where its meaning is plain, else it is an InputError."""

import math
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
import torch

import diffplan as dp
from diffplan import arguments
from diffplan.planners import make_planner
from diffplan.planners.diffusion import DiffusionConfig

NAN, INF = float("nan"), float("inf")
WILD: dict[str, object] = {
    "None": None,
    "text": "x",
    "empty text": "",
    "NUL": "a\0b",
    "half a surrogate pair": "\ud800",
    "long text": "x" * 100_000,
    "bytes": b"abc",
    "NaN": NAN,
    "infinity": INF,
    "true": True,
    "numpy false": np.bool_(False),
    "minus one": -1,
    "huge": 1e300,
    "huge whole": 10**400,
    "whole of 5,000 digits": 10**5000,
    "complex": 1j,
    "decimal": Decimal("1.5"),
    "numpy NaN": np.float32(NAN),
    "numpy complex": np.complex128(1),
    "numpy text": np.array(["a", "b", "c"]),
    "numpy time": np.datetime64("2026-01-01"),
    "numpy objects": np.array([None, {}, 1], dtype=object),
    "numpy truths": np.array([True, False, True]),
    "numpy record": np.zeros(3, dtype=[("a", float)]),
    "masked": np.ma.masked_array([1.0, 2.0, 3.0], mask=[0, 1, 0]),
    "empty list": [],
    "list of None": [None] * 3,
    "list of texts": ["1", "2", "3"],
    "list of NaN": [NAN] * 3,
    "list of truths": [True] * 3,
    "ragged": [[1.0], [1.0, 2.0], 3.0],
    "deep list": [[[[[[[[[[[1.0]]]]]]]]]]],
    "two numbers": (0.1, 0.2),
    "eleven numbers": np.zeros(11),
    "dict": {"a": 1},
    "set": {1, 2, 3},
    "range of none": range(0),
    "generator": (i for i in range(3)),
    "function": len,
    "class": float,
    "module": math,
    "object": object(),
    "tensor of truths": torch.tensor([True, False, True]),
    "tensor of NaN": torch.tensor([NAN, 0.0, 0.0], requires_grad=True),
    "tensor without content": torch.zeros(3, device="meta"),
    "sparse tensor": torch.zeros(3).to_sparse(),
    "complex tensor": torch.zeros(3, dtype=torch.complex64),
    "cube": np.zeros((2, 2, 2)),
}
NUMBERS: list[object] = [
    2,
    2.0,
    np.int8(2),
    np.uint64(2),
    np.float16(2),
    np.float32(2),
    np.longdouble(2),
    np.array(2.0),
    torch.tensor(2.0, requires_grad=True),
    torch.tensor(2.0, dtype=torch.bfloat16),
    torch.tensor(2),
]
ROWS: list[object] = [
    [1, 2, 3],
    (1.0, 2.0, 3.0),
    range(1, 4),
    np.array([1, 2, 3], dtype=np.int16),
    np.array([1, 2, 3], dtype=np.float32),
    np.array([1, 2, 3], dtype=object),
    np.arange(6.0)[1:4][::1],
    np.ma.masked_array([1.0, 2.0, 3.0]),
    [np.float64(1), np.array(2), torch.tensor(3.0)],
    torch.tensor([1.0, 2.0, 3.0], requires_grad=True),
    torch.tensor([1, 2, 3]),
    torch.tensor([1.0, 2.0, 3.0], dtype=torch.float16),
]


SCENE = dp.Scene(obstacles=(dp.Box(name="a", size=(0.1, 0.1, 0.1), pose=dp.Pose(xyz=(5, 5, 5))),))
ROBOT = dp.Robot.load("panda")
HOME = ROBOT.configuration("home")
PLANNED = {"robot": ROBOT, "scene": SCENE, "start": "home", "goal": "home"}


def call(function: Callable[..., object], good: dict[str, object], argument: str) -> Callable[[object], object]:
    return lambda value: function(**{**good, argument: value})


def each(title: str, door: Callable[..., object], /, *names: str, **good: object) -> dict[str, Callable]:
    return {f"{title}({name})": call(door, good, name) for name in names}


ASKED = {"robot": ROBOT, "scene": SCENE, "start": HOME, "goals": HOME[None]}
RANGE = {"panda_joint1": (0, 1)}
MOTION = ("constraints", "seed", "timeout", "speed", "jerk")
BOX = SCENE.obstacles[0]
LINE = {"robot": ROBOT, "scene": SCENE, "start": HOME, "line": dp.Line(to=(0.0, 0.0, 0.01))}
WISH = ("robot_base", "weight", "name")
SHAPE = {"name": "a", "pose": dp.Pose()}
DOORS: dict[str, Callable[[object], object]] = {
    **each("Pose", dp.Pose, "xyz", "quat_xyzw"),
    **each("Pose.from_rpy", dp.Pose.from_rpy, "xyz", "rpy", xyz=(0, 0, 0), rpy=(0, 0, 0)),
    **each("Pose.from_matrix", dp.Pose.from_matrix, "matrix"),
    **each("Box", dp.Box, "name", "size", "pose", **SHAPE, size=(1, 1, 1)),
    **each("Sphere", dp.Sphere, "name", "radius", "pose", **SHAPE, radius=1),
    **each("Cylinder", dp.Cylinder, "name", "radius", "height", "pose", **SHAPE, radius=1, height=1),
    **each("Capsule", dp.Capsule, "name", "radius", "height", "pose", **SHAPE, radius=1, height=1),
    **each("Mesh", dp.Mesh, "name", "file", "scale", "pose", "convex", **SHAPE, file="a.obj"),
    **each("Urdf", dp.Urdf, "name", "file", "scale", "pose", "joints", **SHAPE, file="a.urdf"),
    **each("PoseGoal", dp.PoseGoal, "link", "pose", pose=dp.Pose()),
    **each("Query", dp.Query, "start", "goal", start="home", goal="home"),
    **each("Scene", dp.Scene, "name", "robot", "robot_base", "obstacles", "queries", "hold"),
    "Scene.add": SCENE.add,
    "Scene.remove": SCENE.remove,
    "Scene.obstacle": SCENE.obstacle,
    "Scene.query": SCENE.query,
    "Scene.move(name)": lambda value: SCENE.move(value, dp.Pose()),  # pyright: ignore[reportArgumentType]
    "Scene.move(pose)": lambda value: SCENE.move("a", value),  # pyright: ignore[reportArgumentType]
    "Scene.load": dp.Scene.load,
    "Scene.from_pybullet": dp.Scene.from_pybullet,
    "Scene.to_pybullet": SCENE.to_pybullet,
    "Robot.load": dp.Robot.load,
    "Robot.with_held": ROBOT.with_held,
    "Robot.with_held(value)": lambda value: ROBOT.with_held({"panda_finger_joint1": value}),
    "Robot.configuration": ROBOT.configuration,
    "Robot.normalise": ROBOT.normalise,
    "Robot.denormalise": ROBOT.denormalise,
    "Robot.body_poses": ROBOT.body_poses,
    "Robot.link_pose(q)": lambda value: ROBOT.link_pose(value, "panda_hand"),
    "Robot.link_pose(link)": lambda value: ROBOT.link_pose(HOME, value),
    **each(
        "Problem",
        dp.Problem,
        "robot",
        "scene",
        "start",
        "goals",
        "costs",
        robot=ROBOT,
        scene=SCENE,
        start=HOME,
        goals=HOME[None],
    ),
    **each(
        "plan",
        dp.plan,
        "robot",
        "scene",
        "start",
        "goal",
        "planner",
        "helper",
        "seed",
        "timeout",
        "fallback",
        "options",
        "costs",
        "constraints",
        "warm_start",
        "alternatives",
        **{**PLANNED, "planner": "straight"},
    ),
    **each("solve", dp.solve, "problem", planner="straight"),
    **each("Cost", dp.Cost, "name", "function", "weight", name="a", function=len),
    **each(
        "avoid",
        dp.avoid,
        "robot",
        "region",
        "comfort",
        "link",
        "robot_base",
        "weight",
        "name",
        robot=ROBOT,
        region=BOX,
    ),
    **each("upright", dp.upright, "robot", "link", "axis", "tolerance_deg", *WISH, robot=ROBOT),
    **each("stay_in", dp.stay_in, "box", "link", "name", box=BOX),
    **each("speed", dp.speed, "link", "limit", "name", link="tool", limit=0.2),
    **each("Line", dp.Line, "to", "frame", "constraints", to=(0, 0, 0.1)),
    **each("plan_line", dp.plan_line, "robot", "scene", "start", "line", *MOTION, **LINE),
    **each(
        "prefer",
        dp.prefer,
        "robot",
        "ranges",
        "within",
        "weight",
        "name",
        robot=ROBOT,
        ranges={"panda_joint1": (0, 1)},
    ),
    "prefer(near)": lambda value: dp.prefer(ROBOT, near=value),
    "prefer(range)": lambda value: dp.prefer(ROBOT, {"panda_joint1": value}),
    **each(
        "inverse_kinematics",
        dp.inverse_kinematics,
        "robot",
        "goal",
        "robot_base",
        "seeds",
        "rng",
        "near",
        robot=ROBOT,
        goal=dp.Pose(xyz=(0.4, 0, 0.4)),
        robot_base=dp.Pose(),
        seeds=1,
        rng=np.random.default_rng(0),
    ),
    "Certifier(robot)": lambda value: dp.Certifier(value, SCENE),
    "Certifier(scene)": lambda value: dp.Certifier(ROBOT, value),
    "robot_as_held(client)": lambda value: dp.robot_as_held(value, 0, ROBOT),
    "robot_configuration(client)": lambda value: dp.robot_configuration(value, 0, ROBOT),
    "Plan.load": dp.Plan.load,
    "execute": dp.execute,
    "render(plan)": lambda value: dp.render(value, "a.png"),
    "plot_joints(plan)": lambda value: dp.plot_joints(value, "a.png"),
}

TEXTS = {"text", "long text"}
TAKEN: dict[str, set[str]] = {
    **{name: TEXTS for name in DOORS if name.endswith("(name)") and not name.startswith("Scene.")},
    **{
        name: {"huge"}
        for name in DOORS
        if name.endswith(("weight)", "within)", "radius)", "height)", "scale)")) and "Scene" not in name
    },
    **{f"{kind}(file)": TEXTS for kind in ("Mesh", "Urdf")},
    "Mesh(convex)": {"true", "numpy false"},
    "Urdf(joints)": {"dict"},
    "PoseGoal(link)": {"None", *TEXTS},
    "Query(start)": {*TEXTS, "two numbers", "eleven numbers"},
    "Query(goal)": {*TEXTS, "two numbers", "eleven numbers"},
    "Scene(robot)": {"None", *TEXTS},
    "Scene(obstacles)": {"empty list", "range of none"},
    "Scene(hold)": {"dict"},
    "Problem(costs)": {"empty list", "range of none"},
    "plan(fallback)": {"true", "numpy false"},
    "plan(options)": {"None"},
    "plan(costs)": {"None", "empty list", "range of none"},
    "plan(warm_start)": {"None"},
    "plan(helper)": {"None"},
    "Cost(function)": {"function", "class"},
    "avoid(link)": {"None"},
    "avoid(robot_base)": {"None"},
    "plan(constraints)": {"None", "empty list", "range of none"},
    "Line(constraints)": {"None", "empty list", "range of none"},
    "plan_line(constraints)": {"None", "empty list", "range of none"},
    "plan_line(jerk)": {"None"},
    "upright(robot)": TEXTS,
    "upright(link)": {"None"},
    "stay_in(link)": TEXTS,
    "speed(link)": TEXTS,
    "speed(limit)": {"huge"},
    "upright(robot_base)": {"None"},
    "upright(axis)": {"None", "text"},
    "prefer(range)": {"two numbers"},
    "inverse_kinematics(near)": {"None"},
}
"""What of `WILD` makes sense somewhere: a huge size or weight is one until planning finds it too large."""


@pytest.mark.parametrize("door", DOORS)
def test_whatever_is_passed_is_taken_where_it_makes_sense_and_else_bad_input(door: str) -> None:
    taken, longest = set(), 0
    for title, value in WILD.items():
        try:
            DOORS[door](value)
            taken.add(title)
        except dp.InputError as error:
            longest = max(longest, len(str(error)))
    assert longest < 6000
    assert taken <= TAKEN.get(door, set())


def test_numbers_of_every_library_are_one_number() -> None:
    for number in NUMBERS:
        assert arguments.real(number, "x") == 2.0
        assert type(arguments.real(number, "x")) is float
        assert dp.Sphere(name="a", radius=number) == dp.Sphere(name="a", radius=2.0)  # pyright: ignore[reportArgumentType]


def test_rows_of_every_library_are_plain_numbers() -> None:
    for row in ROWS:
        assert arguments.vector(row, 3, "x") == (1.0, 2.0, 3.0)
        np.testing.assert_array_equal(arguments.array(row, "x", 3), [1.0, 2.0, 3.0])
        box = dp.Box(name="a", size=row, pose=dp.Pose(xyz=row))  # pyright: ignore[reportArgumentType]
        assert box == dp.Box(name="a", size=(1.0, 2.0, 3.0), pose=dp.Pose(xyz=(1.0, 2.0, 3.0)))
        assert hash(box) == hash(dp.Box(name="a", size=(1.0, 2.0, 3.0), pose=dp.Pose(xyz=(1.0, 2.0, 3.0))))


@pytest.mark.parametrize("seed", [np.int64(3), np.uint8(3), np.array(3), torch.tensor(3)])
def test_a_seed_may_be_a_whole_number_of_any_library(seed: int) -> None:
    assert dp.plan(ROBOT, SCENE, "home", "home", planner="straight", seed=seed).seed == 3


@pytest.mark.parametrize("seed", [-1, 2**63, 3.0, True, "3", None, np.float64(3)])
def test_what_is_no_whole_number_is_no_seed(seed: int) -> None:
    with pytest.raises(dp.InputError, match=r"seed: not a seed .*whole numbers from 0 to 2\^63 - 1"):
        dp.plan(ROBOT, SCENE, "home", "home", planner="straight", seed=seed)


@pytest.mark.parametrize("size", [(1, 1), (1, 1, 1, 1), 1.0, (1, 1, 0), (1, 1, NAN)])
def test_a_box_has_three_positive_edges(size: tuple[float, float, float]) -> None:
    with pytest.raises(dp.InputError, match=r"a\.size"):
        dp.Box(name="a", size=size)


@pytest.mark.parametrize("quat", [(0, 0, 1), (0, 0, 0, 0, 1), (0, 0, 0, 2), (1e200, 0, 0, 1)])
def test_a_quaternion_has_four_numbers_of_norm_one(quat: tuple[float, float, float, float]) -> None:
    with pytest.raises(dp.InputError, match="quat_xyzw"):
        dp.Pose(quat_xyzw=quat)


@pytest.mark.parametrize("matrix", [2 * np.eye(4), np.diag([1, 1, -1, 1.0]), np.eye(3), np.zeros((4, 4)), -np.eye(4)])
def test_a_matrix_that_is_no_rigid_transform_is_no_pose(matrix: np.ndarray) -> None:
    with pytest.raises(dp.InputError, match="matrix"):
        dp.Pose.from_matrix(matrix)


def test_angles_in_degrees_are_told_from_radians() -> None:
    with pytest.raises(dp.InputError, match=r"an angle beyond 2 pi .*numpy\.radians"):
        dp.Pose.from_rpy((0, 0, 0), (0, 0, 90))


def test_three_numbers_are_a_pose_without_rotation() -> None:
    assert dp.Box(name="a", size=(1, 1, 1), pose=(1, 2, 3)).pose == dp.Pose(xyz=(1, 2, 3))  # pyright: ignore[reportArgumentType]
    assert SCENE.move("a", np.array([1, 2, 3])).obstacle("a").pose == dp.Pose(xyz=(1, 2, 3))  # pyright: ignore[reportArgumentType]
    assert dp.Scene(robot_base=(0, 0, 1)).robot_base == dp.Pose(xyz=(0, 0, 1))  # pyright: ignore[reportArgumentType]
    assert dp.PoseGoal(link="a", pose=[0, 0, 1]).pose == dp.Pose(xyz=(0, 0, 1))  # pyright: ignore[reportArgumentType]


def test_a_mesh_file_may_be_a_text() -> None:
    assert dp.Mesh(name="m", file="x.obj").file == Path("x.obj")  # pyright: ignore[reportArgumentType]


def test_robot_and_scene_may_be_named_and_a_pose_is_a_goal_of_the_tool() -> None:
    tool = ROBOT.tool_frame.link
    frame = ROBOT.link_pose(ROBOT.configuration("left"), tool)[0]
    pose = dp.Pose.from_matrix(frame)
    empty = dp.Scene()
    named = dp.plan("panda", "bookshelf", "home", "home", planner="straight")
    assert (named.robot.name, named.scene.name) == ("panda", "bookshelf")
    goals = {
        "pose": pose,
        "pose goal": dp.PoseGoal(pose=pose),
        "of the tool's link": dp.PoseGoal(link=tool, pose=pose),
        "list": [dp.PoseGoal(pose=dp.Pose(xyz=(9, 9, 9))), dp.PoseGoal(pose=pose)],
    }
    asked = {title: dp.plan("panda", empty, "home", goal, planner="straight") for title, goal in goals.items()}
    reached = ROBOT.link_pose(asked["pose"].goals, tool)
    assert np.abs(reached - frame).max() < 1e-3
    for plan in asked.values():
        np.testing.assert_array_equal(plan.goals, asked["pose"].goals)


def test_a_list_of_goals_is_any_of_them() -> None:
    left, right = ROBOT.configuration("left"), ROBOT.configuration("right")
    for goal in (["left", "right"], [left, right], np.array([left, right]), [list(left), "right"]):
        plan = dp.plan(ROBOT, dp.Scene(), "home", goal, planner="straight")
        np.testing.assert_array_equal(plan.goals, [left, right])


def test_no_pose_of_a_list_in_reach_is_told() -> None:
    far = [dp.Pose(xyz=(9, 0, 0)), dp.Pose(xyz=(0, 9, 0))]
    plan = dp.plan(ROBOT, dp.Scene(), "home", far, planner="straight")
    assert plan.status is dp.Status.GOAL_UNREACHABLE
    assert "any of the 2 poses" in plan.message


def test_a_tensor_with_a_gradient_is_a_start_and_is_left_alone() -> None:
    start = torch.from_numpy(HOME).requires_grad_(True)
    plan = dp.plan(ROBOT, dp.Scene(), start, "left", planner="straight")
    np.testing.assert_array_equal(plan.start, HOME)
    assert start.requires_grad
    given = HOME.copy()
    plan = dp.plan(ROBOT, dp.Scene(), given, "left", planner="straight")
    given[:] = 0
    np.testing.assert_array_equal(plan.start, HOME)


@pytest.mark.parametrize("value", [5.0, -1.0, 0.081, NAN, "open", True])
def test_a_finger_far_beyond_its_limits_is_refused(value: float) -> None:
    with pytest.raises(dp.InputError, match="panda_finger_joint1"):
        ROBOT.with_held({"panda_finger_joint1": value})


def test_a_finger_beyond_its_limits_by_less_than_its_range_is_held_so() -> None:
    held = ROBOT.with_held({"panda_finger_joint1": np.float32(0.065)})
    assert held.held_joints["panda_finger_joint1"] == pytest.approx(0.065)
    assert type(held.held_joints["panda_finger_joint1"]) is float


def test_options_may_come_as_numbers_of_numpy() -> None:
    options: dict[str, object] = {"batch": np.int64(2), "eta": np.float64(0.5), "repair": np.bool_(False)}
    assert make_planner("diffusion", options).config == DiffusionConfig(batch=2, eta=0.5, repair=False)  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    ("key", "value"),
    [("batch", True), ("batch", 10**12), ("batch", 2.0), ("eta", NAN), ("eta", "x"), ("eta", None), ("repair", 1)],
)
def test_options_of_another_kind_or_without_bound_are_refused(key: str, value: object) -> None:
    with pytest.raises(dp.InputError, match=key):
        make_planner("diffusion", {key: value})


def test_one_cost_needs_no_list() -> None:
    cost = dp.Cost(name="still", function=lambda q: q.square().sum(dim=(1, 2)))
    assert set(dp.plan(ROBOT, SCENE, "home", "left", planner="straight", costs=cost).costs) == {"still"}


def test_a_cost_that_returns_no_tensor_is_bad_input() -> None:
    cost = dp.Cost(name="none", function=lambda q: None)  # pyright: ignore[reportArgumentType]
    with pytest.raises(dp.InputError, match="none: a cost must return a tensor"):
        dp.plan(ROBOT, SCENE, "home", "left", planner="straight", costs=[cost])
