"""Constraints are kept: planners lead paths into them, the certificate proves it, files and command line say them."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import diffplan as dp
from diffplan.certificate.constraint_bounds import kept_bounds
from diffplan.cli import main
from diffplan.constraints.kinds import SpeedLimit, StayIn, Upright
from diffplan.curves.spline import fit
from diffplan.errors import InputError
from diffplan.formats.constraints import constraint_word, parse_constraint
from diffplan.pace import paced
from diffplan.recheck import recheck

PANDA = dp.Robot.load("panda")
HOME = PANDA.configuration("home")
POST = dp.Box(name="post", size=(0.06, 0.06, 0.5), pose=dp.Pose(xyz=(0.55, 0.0, 0.55)))
SCENE = dp.Scene(name="post", obstacles=(POST,))


def _carrying(x: float, y: float, z: float, yaw: float) -> np.ndarray:
    """Return a configuration whose tool points down there."""
    pose = dp.Pose.from_rpy((x, y, z), (np.pi, 0.0, yaw))
    return dp.inverse_kinematics(PANDA, pose, dp.Pose(), rng=np.random.default_rng(0), near=HOME)[0]


START, GOAL = _carrying(0.5, -0.3, 0.4, 0.0), _carrying(0.5, 0.3, 0.4, 0.5)


def _tool(plan: dp.Plan) -> np.ndarray:
    """Return the tool's poses [n, 4, 4] at every half millisecond of a plan."""
    motion, tool = plan.trajectory, plan.robot.tool_frame
    assert motion
    q = motion.at(np.arange(motion.time[0], motion.time[-1], 0.0005)).position
    return plan.scene.robot_base.matrix @ plan.robot.link_pose(q, tool.link) @ tool.pose.matrix


def _tilt_deg(plan: dp.Plan) -> float:
    return float(np.degrees(np.arccos(np.clip(-_tool(plan)[:, 2, 2], -1, 1))).max())


@pytest.mark.parametrize("planner", ["diffusion", "rrtconnect"])
def test_what_the_hand_carries_stays_upright(planner: str) -> None:
    free = dp.plan(PANDA, SCENE, START, GOAL, planner=planner, fallback=False)
    plan = dp.plan(
        PANDA, SCENE, START, GOAL, planner=planner, fallback=False, constraints=dp.upright("tool", degrees=4)
    )
    assert free.solved
    assert _tilt_deg(free) > 5
    assert plan.solved, plan.message
    (kept,) = plan.certificate.constraints if plan.certificate else ()
    assert _tilt_deg(plan) <= np.degrees(kept.worst) <= 4
    assert kept.limit == np.radians(4)


@pytest.mark.parametrize("planner", ["diffusion", "rrtconnect", "bitstar"])
def test_the_tool_stays_in_a_box_where_the_shortest_way_would_leave_it(planner: str) -> None:
    box = dp.Box(name="low", size=(1.0, 1.0, 0.3), pose=dp.Pose(xyz=(0.5, 0.0, 0.37)))
    wall = dp.Box(name="wall", size=(0.3, 0.05, 0.2), pose=dp.Pose(xyz=(0.55, 0.0, 0.3)))
    scene = dp.Scene(obstacles=(wall,))
    plan = dp.plan(PANDA, scene, START, GOAL, planner=planner, fallback=False, constraints=[dp.stay_in(box)], timeout=8)
    assert plan.solved, plan.message
    assert plan.certificate
    assert plan.certificate.constraints[0].worst <= 0
    inside = _tool(plan)[:, :3, 3] - box.pose.xyz
    assert np.all(np.abs(inside) <= box.half_extents)


def test_a_planner_that_does_not_know_constraints_says_so() -> None:
    plan = dp.plan(PANDA, dp.Scene(), START, GOAL, planner="straight", constraints=[dp.upright("tool", degrees=0.1)])
    assert plan.status is dp.Status.NOT_CERTIFIED
    assert "straight does not know constraints" in plan.message
    assert "upright" in plan.message


def test_a_start_or_goal_that_breaks_a_constraint_is_told_before_anything_is_searched() -> None:
    box = dp.Box(name="b", size=(0.2, 0.2, 0.2), pose=dp.Pose(xyz=(0.5, -0.3, 0.4)))
    plan = dp.plan(PANDA, SCENE, GOAL, START, constraints=[dp.stay_in(box)])
    assert plan.status is dp.Status.START_BREAKS_CONSTRAINT
    assert "tool is 500.0 mm out of the box of stay_in" in plan.message
    plan = dp.plan(PANDA, SCENE, START, GOAL, constraints=[dp.stay_in(box)])
    assert plan.status is dp.Status.GOAL_BREAKS_CONSTRAINT
    assert plan.trajectory is None
    tipped = GOAL.copy()
    tipped[5] += 0.5
    plan = dp.plan(PANDA, SCENE, START, tipped, constraints=[dp.upright("tool", degrees=10)])
    assert plan.status is dp.Status.GOAL_BREAKS_CONSTRAINT
    assert "tilted by" in plan.message


def test_of_several_goals_those_that_keep_the_constraints_are_planned_for() -> None:
    tipped = GOAL.copy()
    tipped[5] += 0.5
    plan = dp.plan(PANDA, SCENE, START, np.stack([tipped, GOAL]), constraints=[dp.upright("tool", degrees=10)])
    assert plan.solved
    assert plan.certificate
    assert plan.certificate.goal_index == 1


def test_one_object_is_a_wish_as_a_cost_and_kept_as_a_constraint() -> None:
    wish = dp.upright("tool", degrees=10)
    wished = dp.plan(PANDA, SCENE, START, GOAL, costs=wish)
    assert set(wished.costs) == {"upright"}
    assert wished.constraints == ()
    made = dp.upright(PANDA, tolerance_deg=10)
    assert made.constraint == dp.upright("panda_hand", degrees=10)
    kept = dp.plan(PANDA, SCENE, START, GOAL, constraints=[made])
    assert kept.solved
    assert [one.name for one in kept.constraints] == ["upright"]
    with pytest.raises(InputError, match="not a constraint"):
        dp.plan(PANDA, SCENE, START, GOAL, constraints=[dp.prefer(PANDA, near="home")])  # pyright: ignore[reportArgumentType]


def test_a_plan_file_holds_the_constraints_and_they_are_certified_again(tmp_path: Path) -> None:
    box = dp.Box(name="b", size=(1.4, 1.4, 1.4), pose=dp.Pose.from_rpy((0.5, 0.0, 0.4), (0.0, 0.0, 0.3)))
    kept = [dp.upright("tool", degrees=10), dp.stay_in(box)]
    plan = dp.plan(PANDA, SCENE, START, GOAL, constraints=kept)
    plan.save(tmp_path / "plan.json")
    assert dp.Plan.load(tmp_path / "plan.json").constraints == plan.constraints
    now = recheck(tmp_path / "plan.json").motions[0].now
    assert plan.certificate
    assert [one.name for one in now.constraints] == ["upright", "stay_in"]
    np.testing.assert_allclose([k.worst for k in now.constraints], [k.worst for k in plan.certificate.constraints])
    document = json.loads((tmp_path / "plan.json").read_text())
    document["constraints"][0]["degrees"] = 0.5
    del document["content_sum"]
    (tmp_path / "other.json").write_text(json.dumps(document))
    found = recheck(tmp_path / "other.json")
    assert not found.holds
    assert "upright" in found.motions[0].now.reason


@pytest.mark.parametrize(
    ("word", "constraint"),
    [
        ("upright", Upright()),
        ("upright:degrees=10:axis=-z:link=panda_hand", Upright(degrees=10, axis=(0, 0, -1), link="panda_hand")),
        ("speed:limit=0.25:name=slow", SpeedLimit(limit=0.25, name="slow")),
        (
            "stay_in:xyz=0.5,0,0.4:size=1,2,0.5:rpy_deg=0,0,90",
            StayIn(
                box=dp.Box(
                    name="stay_in", size=(1, 2, 0.5), pose=dp.Pose.from_rpy((0.5, 0, 0.4), (0.0, 0.0, np.pi / 2))
                )
            ),
        ),
    ],
)
def test_constraints_are_read_from_words_and_written_as_such(word: str, constraint: Upright | StayIn) -> None:
    read = parse_constraint(word)
    assert read == constraint
    assert parse_constraint(constraint_word(read)) == read


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("uprigth", "did you mean 'upright'"),
        ("upright:degres=3", "did you mean 'degrees'"),
        ("upright:degrees=0", "no such tilt"),
        ("upright:axis=w", "axis"),
        ("speed", "'limit' is missing"),
        ("speed:limit=-1", "not a positive finite speed"),
        ("stay_in:xyz=0,0,0", "'size' is missing"),
        ("stay_in:xyz=0,0,0:size=1,1,1:rpy_deg=0,0,0:quat_xyzw=0,0,0,1", "two orientations"),
        ("upright:degrees", "not KEY=VALUE"),
    ],
)
def test_a_word_that_is_wrong_is_refused_with_what_is_allowed(word: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_constraint(word)
    assert said in str(caught.value)


def test_a_query_of_a_scene_has_constraints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = (dp.upright("tool", degrees=10), dp.speed("panda_link7", 5.0))
    query = dp.Query(start=tuple(START.tolist()), goal=tuple(GOAL.tolist()), constraints=kept)
    scene = dp.Scene(name="post", robot="panda", obstacles=(POST,), queries={"carry": query})
    file = tmp_path / "scene.yaml"
    scene.save(file)
    assert dp.Scene.load(file).queries["carry"].constraints == kept
    plan = tmp_path / "plan.json"
    assert main(["plan", str(file), "--out", str(plan), "--constraint", "upright:degrees=20:name=also"]) == 0
    assert "kept: upright" in capsys.readouterr().err
    names = [one["name"] for one in json.loads(plan.read_text())["certificate"]["constraints"]]
    assert names == ["upright", "speed", "also"]
    assert main(["check", str(plan)]) == 0
    file.write_text(file.read_text().replace("link=panda_link7", "link=panda_link77"))
    with pytest.raises(InputError, match="panda_link7"):
        dp.Scene.load(file)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: dp.upright("tool", degrees=200), "no such tilt"),
        (lambda: dp.speed("tool", 0.0), "not a positive finite speed"),
        (lambda: dp.stay_in("box"), "a Box"),
        (lambda: dp.plan(PANDA, SCENE, START, GOAL, constraints=[dp.upright("hand")]), "no such link"),
        (lambda: dp.plan(PANDA, SCENE, START, GOAL, constraints=[dp.upright("panda_link0")]), "no joint moves"),
        (lambda: dp.plan(PANDA, SCENE, START, GOAL, constraints=["upright"]), "not a constraint"),
        (lambda: dp.plan(PANDA, SCENE, START, GOAL, constraints=[dp.upright("tool"), dp.upright("tool")]), "different"),
    ],
)
def test_a_constraint_that_makes_no_sense_is_refused(made, said: str) -> None:
    with pytest.raises(InputError) as caught:
        made()
    assert said in str(caught.value)


def test_the_tool_is_nowhere_faster_than_it_may_be() -> None:
    free = dp.plan(PANDA, SCENE, START, GOAL)
    plan = dp.plan(PANDA, SCENE, START, GOAL, constraints=[dp.speed("tool", 0.25)])
    assert plan.solved, plan.message

    def fastest(plan: dp.Plan) -> float:
        return float(np.linalg.norm(np.diff(_tool(plan)[:, :3, 3], axis=0), axis=1).max() / 0.0005)

    assert fastest(free) > 0.5
    assert plan.certificate
    assert 0.24 < fastest(plan) <= plan.certificate.constraints[0].worst <= 0.25


@pytest.mark.parametrize("jerk", [None, "limited"])
@pytest.mark.parametrize("limit", [0.02, 0.25, 0.8])
def test_a_limit_on_the_speed_is_used_up_and_proven_to_be_kept(limit: float, jerk: str | None) -> None:
    way = np.array([HOME, START, GOAL, HOME + 0.2])
    control = fit(np.concatenate([np.linspace(a, b, 30, endpoint=False) for a, b in pairwise(way)]), 16)
    asked = [dp.speed("tool", limit), dp.speed("panda_link4", limit, name="elbow")]
    motion = paced(control, PANDA, asked, jerk=jerk == "limited")
    assert motion
    tool, elbow = kept_bounds(PANDA, dp.Pose(), motion, asked)
    assert 0.99 * limit < max(tool.worst, elbow.worst) <= limit


def test_the_short_motion_into_the_limits_keeps_the_speed_too() -> None:
    start = HOME.copy()
    start[0] = PANDA.upper[0] + 0.03
    kept = dp.speed("tool", 0.02)
    plan = dp.plan(PANDA, SCENE, start, start - 0.1, start_tolerance=0.05, constraints=kept)
    assert plan.solved, plan.message


@pytest.mark.parametrize("near", [0.0, 1e-12, 1e-7])
def test_a_motion_to_where_the_arm_is_keeps_any_speed(near: float) -> None:
    plan = dp.plan(PANDA, SCENE, START, START + near, constraints=dp.speed("tool", 0.1))
    assert plan.solved, plan.message
